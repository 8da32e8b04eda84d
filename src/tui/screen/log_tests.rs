//! Moving and searching in a log.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::name::NodeName;
use crate::run::{Event, EventKind};
use crate::tui::logs::Logs;
use crate::tui::shown::width;

fn subject() -> Subject {
    Subject::Node(NodeName::parse("a").unwrap())
}

fn print(logs: &mut Logs, line: &str) {
    let step = serde_json::from_value(serde_json::json!(1)).unwrap();
    let kind = EventKind::StepPrinted { step, node: NodeName::parse("a").unwrap(), line: line.to_owned() };
    logs.take(&Event { seq: 1, at: Timestamp::UNIX_EPOCH, kind });
}

fn logs<'a>(lines: impl IntoIterator<Item = &'a str>) -> Logs {
    let mut logs = Logs::default();
    lines.into_iter().for_each(|line| print(&mut logs, line));
    logs
}

fn log(logs: &Logs) -> &Log {
    logs.of(&subject()).unwrap()
}

const EXTENT: Extent = Extent { columns: 10, rows: 3 };

fn seen(screen: &LogScreen, log: &Log) -> Vec<String> {
    let rows = screen.rows(log, EXTENT);
    rows.into_iter().map(|row| log.line(row.line).unwrap().text[row.text].to_owned()).collect()
}

#[test]
fn it_follows_from_the_start_and_no_more_once_it_is_scrolled() {
    let mut logs = logs(["1", "2", "3", "4", "5"]);
    let mut screen = LogScreen::new(subject());
    assert_eq!(seen(&screen, log(&logs)), ["3", "4", "5"]);
    print(&mut logs, "6");
    assert_eq!(seen(&screen, log(&logs)), ["4", "5", "6"]);
    screen.step(Step::By(-1), log(&logs), EXTENT);
    print(&mut logs, "7");
    assert_eq!((seen(&screen, log(&logs)), screen.follows), (vec!["3".into(), "4".into(), "5".into()], false));
    screen.step(Step::Last, log(&logs), EXTENT);
    print(&mut logs, "8");
    assert_eq!((seen(&screen, log(&logs)), screen.follows), (vec!["6".into(), "7".into(), "8".into()], true));
}

#[test]
fn following_that_is_ended_by_its_key_stays_where_it_is() {
    let mut logs = logs(["1", "2", "3", "4"]);
    let mut screen = LogScreen::new(subject());
    screen.follow(log(&logs), EXTENT);
    print(&mut logs, "5");
    assert_eq!(seen(&screen, log(&logs)), ["2", "3", "4"]);
    screen.follow(log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs)), ["3", "4", "5"]);
}

#[test]
fn long_lines_are_wrapped_at_spaces_and_scrolled_by_rows() {
    let logs = logs(["first", "one two three four five", "last"]);
    let mut screen = LogScreen::new(subject());
    assert_eq!(seen(&screen, log(&logs)), ["three ", "four five", "last"]);
    screen.step(Step::By(-1), log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs)), ["one two ", "three ", "four five"]);
    screen.step(Step::First, log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs)), ["first", "one two ", "three "]);
    screen.step(Step::Pages(1), log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs))[2], "last");
}

#[test]
fn unwrapped_lines_are_cut_and_moved_sideways() {
    let logs = logs(["0123456789abcdefghijklmnopqrstuvwxyz"]);
    let mut screen = LogScreen::new(subject());
    assert!(!screen.sideways(true), "wrapped lines have no side");
    screen.wrap(log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs)), ["0123456789"]);
    assert!(screen.sideways(true));
    assert_eq!(seen(&screen, log(&logs)), ["klmnopqrst"]);
    screen.sideways(true);
    assert_eq!(seen(&screen, log(&logs)), [""], "behind its end");
}

#[test]
fn a_search_goes_to_matches_in_turn_and_round_the_end() {
    let lines: Vec<String> =
        (0..30).map(|n| if n % 10 == 4 { format!("Error {n}") } else { format!("line {n}") }).collect();
    let logs = logs(lines.iter().map(String::as_str));
    let mut screen = LogScreen::new(subject());
    screen.search("error".to_owned(), log(&logs), EXTENT);
    assert_eq!(
        (screen.search.words(), screen.search.at),
        ("1 of 3".to_owned(), Some(4)),
        "the next one is at the start"
    );
    assert!(seen(&screen, log(&logs)).contains(&"Error 4".to_owned()));
    assert!(screen.next_match(true, log(&logs), EXTENT) && screen.search.at == Some(14));
    assert!(screen.next_match(false, log(&logs), EXTENT) && screen.next_match(false, log(&logs), EXTENT));
    assert_eq!((screen.search.words(), screen.follows), ("3 of 3".to_owned(), false));
    screen.search("Line".to_owned(), log(&logs), EXTENT);
    assert_eq!(screen.search.words(), "not found", "a capital is meant");
    assert!(!screen.next_match(true, log(&logs), EXTENT));
}

#[test]
fn matches_in_lines_that_come_are_found_without_looking_at_the_others_again() {
    let mut logs = logs(["x", "y"]);
    let mut screen = LogScreen::new(subject());
    screen.search("x".to_owned(), log(&logs), EXTENT);
    print(&mut logs, "x again");
    screen.grown(log(&logs));
    assert_eq!((screen.search.found.clone(), screen.search.scanned), (vec![0, 2], 3));
}

#[test]
fn what_was_dropped_is_no_longer_found_and_the_view_goes_to_what_is_left() {
    let mut logs = logs(["match"]);
    let mut screen = LogScreen::new(subject());
    screen.search("match".to_owned(), log(&logs), EXTENT);
    screen.step(Step::First, log(&logs), EXTENT);
    screen.follows = false;
    for _ in 0..6_000 {
        print(&mut logs, "other");
    }
    screen.grown(log(&logs));
    assert_eq!(screen.search.words(), "not found");
    assert_eq!(seen(&screen, log(&logs)), ["other", "other", "other"]);
    assert_eq!(screen.rows(log(&logs), EXTENT)[0].line, log(&logs).first());
}

#[test]
fn one_line_of_a_megabyte_is_laid_out_no_further_than_it_is_kept() {
    let logs = logs(["short", &"word ".repeat(200_000)]);
    let mut screen = LogScreen::new(subject());
    screen.step(Step::First, log(&logs), EXTENT);
    assert_eq!(seen(&screen, log(&logs)), ["short", "word word ", "word word "]);
}

proptest! {
    #[test]
    fn rows_are_the_whole_line_and_fit(text in "[ a-zé日]{0,80}", columns in 2usize..20) {
        let rows = wrapped(&text, columns);
        let whole: String = rows.iter().map(|row| &text[row.clone()]).collect();
        prop_assert_eq!(&whole, &text);
        for row in &rows {
            prop_assert!(width(&text[row.clone()]) <= columns);
        }
    }

    #[test]
    fn no_movement_leaves_empty_rows_while_there_is_more(
        lines in prop::collection::vec("[ a-z]{0,40}", 1..20),
        moves in prop::collection::vec((-9isize..9, any::<bool>()), 0..20),
    ) {
        let logs = logs(lines.iter().map(String::as_str));
        let mut screen = LogScreen::new(subject());
        for (by, wraps) in moves {
            if wraps {
                screen.wrap(log(&logs), EXTENT);
            }
            screen.step(Step::By(by), log(&logs), EXTENT);
            let all: usize = (0..log(&logs).end()).map(|line| screen.parts(log(&logs), line, EXTENT.columns).len()).sum();
            prop_assert_eq!(screen.rows(log(&logs), EXTENT).len(), all.min(EXTENT.rows));
        }
    }
}
