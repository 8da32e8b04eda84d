//! Tests of the keys in effect.

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;
use crate::tui::key::{ctrl, key, plain};

fn read(text: &str) -> Keys {
    Keys::read("keys.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn wrong(text: &str) -> Vec<String> {
    Keys::read("keys.yaml", text).unwrap_err().to_string().lines().map(str::to_owned).collect()
}

#[test]
fn the_keys_of_the_table_have_one_meaning_on_each_screen_and_every_screen_can_be_left() {
    let mut mistakes = Vec::new();
    check::check(&Keys::built_in(), &mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn every_action_has_a_name_for_each_screen_that_is_its_alone() {
    for place in Place::ALL {
        let mut names: Vec<&str> = KEYMAP.iter().filter(|b| b.is_on(*place)).map(|b| b.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{place:?}");
    }
    let places = KEYMAP.iter().flat_map(|binding| binding.places);
    assert!(places.clone().all(|place| Place::ALL.contains(place)));
}

#[test]
fn a_shifted_letter_is_the_same_with_and_without_the_modifier() {
    for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
        let event = KeyEvent::new(KeyCode::Char('P'), modifiers);
        assert_eq!(Keys::built_in().command(Place::Fleet, &event), Some(Command::PlanHere));
    }
}

#[test]
fn the_settings_of_a_screen_come_before_those_for_everywhere() {
    let keys = read("everywhere: { look-again: F6 }\nfleet: { look-again: [f5, ctrl-r] }\n");
    let does = |place, key: Key| keys.command(place, &key.event());
    assert_eq!(does(Place::Fleet, ctrl('r')), Some(Command::Look));
    assert_eq!(does(Place::Fleet, plain(KeyCode::F(6))), None);
    assert_eq!(does(Place::Plan, plain(KeyCode::F(6))), Some(Command::Look));
    assert_eq!(does(Place::Plan, key('r')), None, "the key of the table is gone");
    assert_eq!(keys.shown(Place::Fleet, Command::Look), Some(plain(KeyCode::F(5))));
}

#[test]
fn a_second_key_for_everywhere_gives_way_to_a_meaning_of_the_screen() {
    let keys = read("fleet: { look-again: k }\n");
    assert_eq!(keys.command(Place::Fleet, &key('k').event()), Some(Command::Look));
    assert_eq!(keys.command(Place::Plan, &key('k').event()), Some(Command::Up));
    let up = KEYMAP.iter().find(|binding| binding.command == Command::Up).unwrap();
    assert_eq!(keys.of(Place::Fleet, up), [plain(KeyCode::Up)]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place_and_what_to_write() {
    let found = wrong(
        "flet: { quit: q }\nfleet:\n  look-agian: [f5]\n  apply: [f7]\n  plan: [f5, frob, f5]\nrun: 7\neverywhere: { filter: { a: b } }\n",
    );
    let says = [
        "keys.yaml:1:1: there is no screen `flet`; write `fleet`",
        "keys.yaml:3:3: there is no action `look-agian`; write `look-again`",
        "keys.yaml:4:3: `apply` does nothing on the screen `fleet`; give it a key on one of: plan",
        "keys.yaml:5:14: `frob` is not the name of a key: it is no key that muster knows; write one such as",
        "keys.yaml:5:20: F5 is given to `plan` twice (the other is given here: 5:10); keep one of the two",
        "keys.yaml:6:6: `run` is no map of actions",
        "keys.yaml:7:23: a key is a word, this is a map or a list; write, for example:  filter: [F5, Ctrl-R]",
    ];
    assert_eq!(found.len(), says.len(), "{found:#?}");
    for (found, says) in found.iter().zip(says) {
        assert!(found.starts_with(says), "{found}\n{says}");
    }
}

#[test]
fn one_key_with_two_meanings_is_refused() {
    let found = wrong("fleet: { look-again: [q] }\n");
    assert_eq!(
        found,
        [
            "keys.yaml:1:23: q has two meanings on the screen `fleet`: `look-again` and `quit`; take another key, or give \
          `everywhere: quit` other keys"
        ]
    );
    let both = wrong("fleet: { plan: F5, look-again: F5 }\n");
    assert_eq!(
        both,
        [
            "keys.yaml:1:32: F5 has two meanings on the screen `fleet`: `look-again` and `plan` (the other is given here: \
          1:16); take another key, or give `fleet: plan` other keys"
        ]
    );
    let everywhere = wrong("everywhere: { quit: x }\n");
    assert!(everywhere[0].contains("x has two meanings on the screen `run`: `quit` and `stop`"), "{everywhere:?}");
}

#[test]
fn what_is_no_yaml_says_so() {
    assert!(wrong("fleet: [")[0].contains("this is not YAML"));
    assert!(wrong("- a\n")[0].contains("this is no map of screens"));
    assert!(wrong("fleet: { quit: a }\nfleet: { quit: b }\n")[0].contains("`fleet` is given twice"));
}

#[test]
fn an_empty_file_changes_nothing() {
    for text in ["", "# nothing\n", "fleet:\n", "fleet: {}\n"] {
        assert!(read(text).changed.is_empty(), "{text:?}");
    }
}

#[test]
fn a_tilde_is_a_key() {
    assert_eq!(read("fleet: { plan: ~ }\n").shown(Place::Fleet, Command::Plan), Some(key('~')));
    assert_eq!(read("fleet: { plan: }\n").shown(Place::Fleet, Command::Plan), None);
}
