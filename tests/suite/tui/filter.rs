//! The filter of the fleet: what is typed, what is seen.

use std::sync::Arc;

use crossterm::event::{Event as Input, KeyCode};
use muster::inventory::{LabelName, LabelValue};
use muster::tui::{Look, Message};

use super::fixture::{picture, planned};
use super::screens::seen;
use super::script::{Act, Played, ctrl, enter, key, play, say, typed};

/// The fleet, with labels on two nodes.
fn looked() -> Vec<Act> {
    let mut picture = picture();
    for (cluster, at) in [(0, 1), (1, 0)] {
        let labels = &mut picture.clusters[cluster].nodes[at].labels;
        labels.insert(LabelName::parse("zone").unwrap(), LabelValue::parse("a").unwrap());
    }
    say(Message::Looked(Arc::new(picture)))
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, [vec![looked()], script.to_vec()].concat().concat())
}

/// The nodes that stand in the list.
fn nodes(screen: &str) -> Vec<String> {
    let list = screen.lines().skip(3).take_while(|line| !line.starts_with('─'));
    let words = list.filter_map(|line| line.trim_start_matches(['›', ' ']).split(' ').next());
    words.filter(|word| word.starts_with("eu-") || word.starts_with("us-")).map(str::to_owned).collect()
}

fn shown(text: &str) -> Vec<String> {
    nodes(&played(&[typed("/"), typed(text)]).screen)
}

#[test]
fn every_letter_shows_at_once_what_it_chooses() {
    seen("filter", &[looked(), typed("/eu-[1-2],zone=a")]);
    assert_eq!(shown(""), ["eu-1", "eu-2", "eu-3", "us-1", "us-2", "us-3"]);
    assert_eq!(shown("eu-[1-2]"), ["eu-1", "eu-2"]);
    assert_eq!(shown("*-1"), ["eu-1", "us-1"]);
    assert_eq!(shown("zone=a"), ["eu-2", "us-1"]);
    assert_eq!(shown("cluster=us-prod"), ["us-1", "us-2", "us-3"]);
    assert_eq!(shown("us-2,eu-3"), ["eu-3", "us-2"]);
}

#[test]
fn a_name_that_is_not_finished_is_looked_for_inside_names() {
    assert_eq!(shown("s"), ["us-1", "us-2", "us-3"]);
    assert_eq!(shown("eu-1"), ["eu-1"], "a whole name is only that node");
    let nothing = played(&[typed("/ap-")]).screen;
    assert!(nodes(&nothing).is_empty() && nothing.contains("no node is chosen by this filter"), "{nothing}");
}

#[test]
fn what_is_no_selector_says_why_and_hides_nothing_more() {
    let screen = played(&[typed("/eu-[1-2],eu-[")]).screen;
    assert_eq!(nodes(&screen), ["eu-1", "eu-2"]);
    assert!(screen.lines().last().unwrap_or_default().contains("cannot be used to choose"), "{screen}");
}

#[test]
fn enter_keeps_it_and_says_so_until_escape_ends_it() {
    let kept = played(&[typed("/eu-[1-2]"), enter()]).screen;
    assert!(kept.contains("filter eu-[1-2]: 2 of 6 nodes shown (/)") && kept.contains("2 of 3 nodes"), "{kept}");
    assert!(kept.lines().last().unwrap_or_default().contains("q quit"), "{kept}");
    let again = played(&[typed("/eu-[1-2]"), enter(), looked()]).screen;
    assert_eq!(nodes(&again), ["eu-1", "eu-2"], "a new look does not end it");
    for end in [key(KeyCode::Esc), ctrl('c')] {
        let all = played(&[typed("/eu-[1-2]"), enter(), typed("/"), end]);
        assert!(nodes(&all.screen).len() == 6 && !all.screen.contains("nodes shown"), "{}", all.screen);
        assert!(!all.left(), "the program goes on");
    }
}

#[test]
fn enter_does_not_keep_what_is_no_selector() {
    let refused = played(&[typed("/eu-[1-2"), enter()]).screen;
    let last = refused.lines().last().unwrap_or_default();
    assert!(last.contains("filter: eu-[1-2") && last.contains("cannot be used to choose"), "{refused}");
    let mended = played(&[typed("/eu-[1-2"), enter(), typed("]"), enter()]).screen;
    assert!(mended.contains("filter eu-[1-2]: 2 of 6 nodes shown (/)"), "{mended}");
}

#[test]
fn where_no_node_is_shown_none_is_called_well() {
    let screen = played(&[typed("/ap-*"), enter(), typed("n")]).screen;
    assert!(screen.contains("no node is shown") && !screen.contains("is well"), "{screen}");
}

#[test]
fn while_it_is_typed_no_letter_is_a_command() {
    let played = played(&[typed("/qprRxa")]);
    assert!(played.asked.is_empty() && !played.left(), "{:?}", played.asked);
    assert!(played.screen.contains("filter: qprRxa"), "{}", played.screen);
}

#[test]
fn the_cursor_stays_on_its_node_and_acts_on_what_it_is_on() {
    let part = |script: &[Vec<Act>]| played(script).asked;
    assert_eq!(part(&[typed("jj"), typed("/eu-2"), enter(), typed("R")]), [r#"look Node("eu-2")"#]);
    assert_eq!(part(&[typed("/us-2"), enter(), typed("jP")]), [r#"plan Node("us-2")"#]);
    assert_eq!(
        part(&[typed("/us-2"), enter(), typed("r")]),
        ["look All"],
        "it narrows what is shown, and nothing else"
    );
}

#[test]
fn a_paste_is_its_first_line_and_enters_nothing() {
    let screen = played(&[typed("/"), vec![Act::Input(Input::Paste("eu-1\nq\n".into()))]]).screen;
    assert!(screen.contains("filter: eu-1  ") && nodes(&screen) == ["eu-1"], "{screen}");
}

#[test]
fn a_plan_that_comes_while_it_is_typed_ends_the_typing() {
    let played = played(&[typed("p"), typed("/eu"), say_all(planned()), typed("a")]);
    assert!(played.screen.contains("type the cluster's name to go on"), "{}", played.screen);
    let fleet = self::played(&[typed("p"), typed("/eu"), say_all(planned()), key(KeyCode::Esc)]).screen;
    assert!(fleet.contains("filter eu: 3 of 6 nodes shown"), "{fleet}");
}

fn say_all(message: Message) -> Vec<Act> {
    say(message)
}
