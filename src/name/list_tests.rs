use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::inventory::Selector;

fn names(names: &[&str]) -> Vec<NodeName> {
    names.iter().map(|name| NodeName::parse(name).unwrap()).collect()
}

#[test]
fn runs_of_numbers_become_ranges() {
    for (given, wanted) in [
        (&["eu-1", "eu-2", "eu-3", "eu-5", "eu-8", "eu-9"][..], "eu-[1-3,5,8,9]"),
        (&["eu-10", "eu-9", "eu-11"], "eu-[9-11]"),
        (&["eu-6"], "eu-6"),
        (&["us-2", "eu-1", "us-1", "gateway"], "eu-1, gateway, us-[1,2]"),
        (&["eu-1", "eu-1"], "eu-1"),
        (&["n08", "n09", "n10", "n11"], "n[08-11]"),
        (&["n1", "n01", "n10"], "n1, n[01,10]"),
        (&["gw1.dc2.example.org", "gw2.dc2.example.org"], "gw[1,2].dc2.example.org"),
        (&["10.0.0.41", "10.0.0.42", "10.0.0.43"], "10.0.0.[41-43]"),
        (&["fe80::1", "fe80::2"], "fe80::1, fe80::2"),
        (&["n12345678901", "n2"], "n2, n12345678901"),
        (&[], ""),
    ] {
        assert_eq!(collapse(&names(given)), wanted);
    }
}

#[test]
fn names_sort_as_people_count() {
    let mut names = ["eu-10", "eu-9", "eu-09", "eu", "eu-9a", "us-1", "eu-100"];
    names.sort_by(|a, b| natural(a, b));
    assert_eq!(names, ["eu", "eu-9", "eu-9a", "eu-09", "eu-10", "eu-100", "us-1"]);
}

proptest! {
    #[test]
    fn what_is_printed_selects_exactly_these_nodes(
        numbers in prop::collection::btree_set(0..120u32, 1..30),
        padded in any::<bool>(),
        after in prop::sample::select(vec!["", ".example.org"]),
    ) {
        let name = |n: u32| if padded { format!("eu-{n:03}{after}") } else { format!("eu-{n}{after}") };
        let chosen: BTreeSet<String> = numbers.iter().copied().map(name).collect();
        let nodes: Vec<NodeName> = chosen.iter().map(|name| NodeName::parse(name).unwrap()).collect();
        let text = collapse(&nodes);
        let selector = Selector::parse(&text).unwrap();
        for n in 0..120 {
            prop_assert_eq!(selector.matches_name(&name(n)), chosen.contains(&name(n)), "{} of {}", name(n), text);
        }
    }
}
