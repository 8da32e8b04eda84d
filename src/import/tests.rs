//! Tests of [`super`]; whole fleets are in tests/suite/scenarios/import.rs.

use super::*;

#[test]
fn what_is_said_is_one_line_that_no_terminal_acts_on() {
    let said = Said::open("a\u{1b}[2J\nb".to_owned() + &"x".repeat(1000));
    assert!(!said.text.chars().any(char::is_control) && said.text.chars().count() <= 401);
}

#[test]
fn an_inventory_of_nothing_can_be_read() {
    let leave = BTreeMap::new();
    let options = Options {
        owner: (Owner::parse("on").unwrap(), "as typed"),
        cluster: None,
        becomes: Become::Sudo,
        below: "",
        leave: &leave,
        head: &[],
    };
    let draft = draft(&[], &Contents::new(), &options);
    let inventory = crate::inventory::parse("inventory.yaml", draft.text.as_bytes()).unwrap();
    assert_eq!((inventory.owner.as_str(), inventory.nodes().count()), ("on", 0), "{}", draft.text);
}
