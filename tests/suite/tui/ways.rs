//! The ways of the interface that belong to no screen: help, the palette, the equal command line, own keys, read-only.

use std::sync::Arc;

use crossterm::event::{Event as Input, KeyCode};
use muster::run::{CancelLevel, Verdict};
use muster::tui::{Carry, Keys, Look, Message, Model, READ_ONLY};

use super::fixture::{Recording, looked, planned};
use super::screens::to_run;
use super::script::{Act, Played, ctrl, enter, key, play, play_with, say, typed};

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 50)];

fn seen_with(name: &str, prepare: impl Fn(&mut Model), script: &[Vec<Act>]) {
    for (width, height) in SIZES {
        let played = play_with((width, height), Look::FULL, &prepare, script.concat());
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), played.screen);
    }
}

fn seen(name: &str, script: &[Vec<Act>]) {
    seen_with(name, |_| {}, script);
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

fn esc() -> Vec<Act> {
    key(KeyCode::Esc)
}

fn to_plan() -> Vec<Act> {
    [say(looked()), typed("p"), say(planned())].concat()
}

fn running() -> Vec<Act> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).started(3, "eu-1", "activate", "request-tag");
    [to_run(), run.acts].concat()
}

fn over() -> Vec<Act> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).rolled_back(3, "eu-1");
    run.verdict(Verdict::NotReached);
    [to_run(), run.acts].concat()
}

/// With options that would be given at the start.
#[derive(Debug)]
struct Given;

impl Carry for Given {
    fn carry(&self, command: &str) -> String {
        format!(
            "{command} --repo '/srv/fleets/gateway fleet' --rev release-2026.11 --ssh-config /etc/muster/ssh_config"
        )
    }
}

#[test]
fn help_is_made_from_the_keys_of_the_screen() {
    seen("help-fleet", &[say(looked()), typed("?")]);
    seen("help-run", &[running(), typed("?")]);
    let own =
        Keys::read("~/.config/muster/keys.yaml", "fleet: { look-again: [f5, ctrl-r], next-trouble: [] }\n").unwrap();
    let keys = Arc::new(own);
    seen_with("help-own-keys", |model| model.keys = Arc::clone(&keys), &[say(looked()), typed("?")]);
}

#[test]
fn help_scrolls_to_its_end_on_a_small_terminal() {
    let screen = played(&[say(looked()), typed("?"), key(KeyCode::End)]).screen;
    assert!(screen.contains("muster keys prints all names and keys"), "{screen}");
    let back = played(&[say(looked()), typed("?"), typed("?")]).screen;
    assert!(back.contains("eu-prod"), "the key that opened it closes it\n{back}");
}

#[test]
fn the_palette_finds_actions_by_their_words() {
    seen("palette", &[say(looked()), typed(":")]);
    seen("palette-words", &[say(looked()), typed(":look")]);
    seen("palette-running", &[running(), typed(":plan")]);
    seen("palette-nothing", &[say(looked()), typed(":banana")]);
}

#[test]
fn what_is_chosen_in_the_palette_is_done_as_by_its_key() {
    assert_eq!(played(&[say(looked()), typed(":again all"), enter()]).asked, ["look All"]);
    assert_eq!(played(&[say(looked()), typed(":look"), key(KeyCode::Down), enter()]).asked.len(), 1);
    assert_eq!(played(&[say(looked()), typed(":plan"), esc(), typed("p")]).asked, ["plan All"], "escape does nothing");
    let question = played(&[to_plan(), typed(":apply"), enter()]);
    assert!(question.screen.contains("type the cluster's name to go on:"), "{}", question.screen);
    assert_eq!(question.asked, ["plan All"], "danger is asked about as ever");
    assert!(played(&[say(looked()), typed(":quit"), enter()]).left());
}

#[test]
fn the_palette_says_why_something_is_not_possible_and_does_not_do_it() {
    let apply = played(&[say(looked()), typed(":apply"), enter()]);
    assert_eq!(apply.asked, [""; 0]);
    assert!(apply.screen.contains("not now: only on the plan"), "{}", apply.screen);
    let plan = played(&[running(), typed(":plan"), enter()]);
    assert!(plan.screen.contains("a run is on: a plan can be made when it has ended"), "{}", plan.screen);
    assert_eq!(plan.asked.iter().filter(|asked| asked.starts_with("plan")).count(), 1, "{:?}", plan.asked);
}

#[test]
fn an_action_without_a_key_is_still_in_the_palette() {
    let keys = Arc::new(Keys::read("keys.yaml", "everywhere: { quit: [], redraw: [] }\n").unwrap());
    let with = |script: &[Vec<Act>]| play_with((80, 24), Look::FULL, |m| m.keys = Arc::clone(&keys), script.concat());
    assert!(!with(&[say(looked()), typed("q")]).left());
    assert!(with(&[say(looked()), typed(":quit"), enter()]).left());
    assert!(!with(&[say(looked())]).screen.contains("q quit"), "the bottom line has no key for it");
}

#[test]
fn a_paste_into_the_palette_is_text() {
    let paste = vec![Act::Input(Input::Paste("quit\nquit\n\x1b[2J".to_owned()))];
    let pasted = played(&[say(looked()), typed(":"), paste]);
    assert!(!pasted.left() && pasted.screen.contains(": quit"), "{}", pasted.screen);
}

#[test]
fn own_keys_are_the_ones_of_the_bottom_line() {
    let keys = Arc::new(Keys::read("keys.yaml", "fleet: { look-again: [f5, ctrl-r] }\n").unwrap());
    let with = |script: &[Vec<Act>]| play_with((80, 24), Look::FULL, |m| m.keys = Arc::clone(&keys), script.concat());
    assert_eq!(with(&[say(looked()), key(KeyCode::F(5))]).asked, ["look All"]);
    assert_eq!(with(&[say(looked()), ctrl('r')]).asked, ["look All"]);
    assert_eq!(with(&[say(looked()), typed("r")]).asked, [""; 0]);
    assert!(with(&[say(looked())]).screen.contains("F5 look"));
}

#[test]
fn the_equal_command_line_of_every_screen() {
    let given = |model: &mut Model| model.carry = Arc::new(Given);
    seen_with("equal-fleet", given, &[say(looked()), typed("jjc")]);
    seen_with("equal-plan", given, &[to_plan(), typed("c")]);
    seen("equal-run", &[running(), typed("c")]);
    let node = played(&[say(looked()), typed("jj"), enter(), typed("c")]).screen;
    assert!(node.contains("\nmuster status --node eu-2\n"), "it begins in the first column\n{node}");
    let over = played(&[over(), typed("c")]).screen;
    assert!(over.contains("\nmuster resume 01"), "{over}");
    let filtered = played(&[say(looked()), typed("/us-1,eu-*"), enter(), typed("c")]).screen;
    assert!(filtered.contains("muster status --node 'us-1,eu-*'"), "{filtered}");
    let within = played(&[say(looked()), typed("/u-2"), enter(), typed("c")]).screen;
    assert!(within.contains("muster status --node '*u-2*'"), "{within}");
}

#[test]
fn the_equal_command_line_is_closed_by_the_key_that_opened_it() {
    for close in [typed("c"), esc(), typed("q"), enter(), ctrl('c')] {
        let screen = played(&[say(looked()), typed("c"), close]);
        assert!(!screen.left() && !screen.screen.contains("# "), "{}", screen.screen);
    }
}

#[test]
fn read_only_is_seen_on_every_screen_and_applies_nothing() {
    let read_only = |model: &mut Model| model.read_only = true;
    seen_with("read-only", read_only, &[say(looked())]);
    let plan = play_with((80, 24), Look::FULL, read_only, [to_plan(), typed("a")].concat());
    assert!(plan.screen.contains(READ_ONLY) && plan.screen.contains(" read-only "), "{}", plan.screen);
    assert!(!plan.screen.contains("to go on:"), "{}", plan.screen);
    let whole = play_with((160, 50), Look::FULL, read_only, to_plan()).screen;
    let end = "Nothing has been changed; started read-only: it cannot be applied here";
    assert!(whole.contains(end) && !whole.contains("applies exactly this"), "{whole}");
    let palette = play_with((80, 24), Look::FULL, read_only, [to_plan(), typed(":apply"), enter()].concat());
    assert_eq!(palette.asked, ["plan All"]);
    assert!(palette.screen.contains("this muster was started read-only"), "{}", palette.screen);
    let help = play_with((80, 24), Look::FULL, read_only, [say(looked()), typed("?")].concat());
    assert!(help.screen.contains(" read-only "), "{}", help.screen);
}

#[test]
fn no_key_is_silent_where_it_does_nothing() {
    // What each of these says when it cannot do anything.
    for (script, says) in [
        (typed("p"), "not been looked at yet"),
        (typed("P"), "not been looked at yet"),
        (typed("/"), "not been looked at yet"),
        (typed("n"), "not been looked at yet"),
        (enter(), "not been looked at yet"),
        ([say(looked()), typed("w")].concat(), "no run was begun here"),
        ([say(looked()), typed("rr")].concat(), "a look is under way"),
        ([over(), typed("x")].concat(), "no run is on"),
    ] {
        let screen = played(&[script]).screen;
        assert!(screen.contains(says), "{says}\n{screen}");
    }
}

#[test]
fn a_question_is_not_torn_away_by_a_notice() {
    use muster::tui::{Doing, Notice};
    let notice = Notice { text: "the disk is full".to_owned(), details: vec![], hints: vec![] };
    let failed = say(Message::Failed { doing: Doing::Look, notice });
    let screen = played(&[say(looked()), typed(":lo"), failed]).screen;
    assert!(screen.contains(": lo") && screen.contains("the disk is full"), "{screen}");
}

#[test]
fn the_ladder_is_reached_through_the_palette_too() {
    let played = played(&[running(), typed(":stop"), enter(), enter()]);
    assert!(played.asked.contains(&format!("cancel {:?}", CancelLevel::AfterWave)), "{:?}", played.asked);
}
