//! Recorded runs as text.

use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::journal::{self, Journal};
use crate::name::NodeName;

pub(in crate::report) fn recorded(name: &str) -> Journal {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals");
    journal::read(&dir.join(format!("FORMAT-1-{name}.jsonl"))).unwrap()
}

fn text_of<'a>(events: impl IntoIterator<Item = &'a Event>, colour: bool) -> String {
    let mut out = Vec::new();
    let reporter = TextReporter::new(&mut out);
    let mut reporter = if colour { reporter.coloured() } else { reporter };
    let mut state = RunState::default();
    for event in events {
        state.apply(event);
        reporter.event(event, &state);
    }
    assert!(reporter.broken.is_none());
    String::from_utf8(out).unwrap()
}

fn text(name: &str) -> String {
    text_of(recorded(name).events(), false)
}

#[test]
fn a_run_that_converged() {
    assert_snapshot!(text("converged"), @"");
}

#[test]
fn a_run_that_was_stopped() {
    assert_snapshot!(text("rolled-back"), @"");
}

#[test]
fn a_run_with_everything_that_can_go_wrong() {
    assert_snapshot!(text("interrupted"), @"");
}

#[test]
fn runs_that_did_not_begin() {
    assert_snapshot!(text("locked"), @"");
    assert_snapshot!(text("refused"), @"");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let journal = recorded("rolled-back");
    let coloured = text_of(journal.events(), true);
    assert!(coloured.contains("\u{1b}[31mrolled back"));
    let stripped = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, text("rolled-back"));
}

#[test]
fn what_a_node_said_never_reaches_the_terminal_raw() {
    let mut events: Vec<Event> = recorded("rolled-back").events().cloned().collect();
    for event in &mut events {
        if let EventKind::StepEnded { end: StepEnd::RolledBack { cause }, .. } = &mut event.kind {
            cause.text = "\u{1b}]0;owned\u{7}\r\nfaked line".to_owned();
            cause.details = vec!["\u{9b}2J".to_owned()];
        }
        if let EventKind::StepProven { text, .. } = &mut event.kind {
            *text = "\u{1b}[2J".to_owned();
        }
    }
    let text = text_of(&events, false);
    assert!(text.contains("owned"));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn what_is_left_is_bounded() {
    let left: Vec<String> = (0..30).map(|n| format!("eu-{n} drift")).collect();
    let said = looked_again(&SurveyCounts { drift: 30, ..SurveyCounts::default() }, &left);
    assert_eq!((said.words.as_str(), said.more.len()), ("looked again: 30 drift", 21));
    assert_eq!(said.more.last().unwrap(), "and 10 more");
}

#[test]
fn long_names_do_not_widen_the_column_for_ever() {
    let mut events: Vec<Event> = recorded("converged").events().cloned().collect();
    if let EventKind::RunStarted { head } = &mut events[0].kind {
        head.clusters[0].1.push(NodeName::parse(&"n".repeat(80)).unwrap());
        assert_eq!(subjects(head), SUBJECT);
    } else {
        panic!("{:?}", events[0]);
    }
}
