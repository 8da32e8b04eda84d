//! Small terminals, large ones, large fleets, storms.

use std::sync::Arc;

use crossterm::event::Event as Input;
use muster::run::StepPhase;
use muster::tui::{Look, Message};

use super::fixture::{Recording, large, looked, planned};
use super::screens::to_run;
use super::script::{Act, enter, play, say, typed};

fn resize(width: u16, height: u16) -> Act {
    Act::Input(Input::Resize(width, height))
}

#[test]
fn below_60x15_it_says_what_it_needs() {
    for size in [(59, 24), (80, 14), (30, 5)] {
        let screen = play(size, Look::FULL, say(looked())).screen;
        assert!(screen.contains("muster needs at least 60x15"), "{screen}");
    }
    assert!(play((60, 15), Look::FULL, say(looked())).screen.contains("eu-prod"));
}

#[test]
fn keys_do_nothing_that_cannot_be_seen() {
    let blind = [to_run(), vec![resize(40, 10)], typed("xjj"), enter(), typed("leave"), enter(), typed("qp")].concat();
    let played = play((80, 24), Look::FULL, [blind, vec![resize(80, 24)]].concat());
    assert_eq!(played.asked, ["plan All", "apply 6 steps"]);
    assert!(!played.screen.contains("Stop the run"), "{}", played.screen);
    let idle = play((80, 24), Look::FULL, [say(looked()), vec![resize(40, 10)], typed("pq")].concat());
    assert_eq!((idle.asked.len(), idle.ended.died), (0, None), "it can be left");
}

#[test]
fn the_smallest_terminal_still_shows_the_question_and_its_keys() {
    let script = [say(looked()), typed("p"), say(planned()), typed("a")].concat();
    let screen = play((60, 15), Look::FULL, script).screen;
    assert!(screen.contains("type the cluster's name to go on:"), "{screen}");
    assert!(screen.contains("esc: no"), "{screen}");
    assert!(screen.contains("replaces what was edited by hand"), "the worst is not cut off\n{screen}");
}

#[test]
fn five_thousand_nodes_scroll_with_the_cursor() {
    let fleet = say(Message::Looked(Arc::new(large(5_000))));
    let screen = play((80, 24), Look::FULL, [fleet, typed("G")].concat()).screen;
    assert!(screen.contains("edge-5000"), "{screen}");
    assert!(screen.contains("4989 more above"), "{screen}");
}

#[test]
fn the_cursor_stays_on_its_node_when_the_fleet_is_looked_at_again() {
    let mut smaller = super::fixture::picture();
    smaller.clusters[0].nodes.remove(0);
    let script = [say(looked()), typed("jj"), say(Message::Looked(Arc::new(smaller)))].concat();
    let screen = play((80, 24), Look::FULL, script).screen;
    let at = screen.lines().find(|line| line.starts_with('›')).unwrap_or_default();
    assert!(at.contains("eu-2"), "{screen}");
}

#[test]
fn a_storm_of_sizes_ends_with_a_screen_of_the_right_size() {
    let storm = (0..200u16).map(|n| resize(20 + n % 150, 5 + n % 50));
    let script = say(looked()).into_iter().chain(storm).chain([resize(80, 24)]).collect();
    let screen = play((80, 24), Look::FULL, script).screen;
    assert_eq!(screen, play((80, 24), Look::FULL, say(looked())).screen);
}

#[test]
fn a_storm_of_events_is_drawn_in_few_frames() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).started(3, "eu-1", "activate", "x");
    let chatter = run.phase(3, "eu-1", StepPhase::Prove, "still loading").acts.pop().unwrap_or(Act::Wait(0));
    let before = play((80, 24), Look::FULL, [to_run(), run.acts.clone()].concat()).frames;
    let noisy = play((80, 24), Look::FULL, [to_run(), run.acts, super::script::at_once(&chatter, 50_000)].concat());
    assert!(noisy.frames <= before + 10, "{} frames after {before}", noisy.frames);
    assert!(noisy.screen.contains("still loading"), "{}", noisy.screen);
}

#[test]
fn nothing_is_drawn_while_nothing_happens() {
    let script = |seconds| [say(looked()), vec![Act::Wait(seconds)]].concat();
    let short = play((80, 24), Look::FULL, script(1)).frames;
    assert_eq!(play((80, 24), Look::FULL, script(3_600)).frames, short);
}

#[test]
fn time_is_drawn_only_while_a_run_is_on() {
    let script = |seconds| [to_run(), Recording::begin().acts, vec![Act::Wait(seconds)]].concat();
    let screen = play((80, 24), Look::FULL, script(75)).screen;
    assert!(screen.contains(" 01:1"), "{screen}");
}

#[test]
fn wide_and_high_terminals_are_used() {
    let screen = play((300, 80), Look::FULL, [say(looked()), typed("jjj"), enter()].concat()).screen;
    assert!(screen.contains("files missing, not in the directive, not loaded, not in use"), "{screen}");
}
