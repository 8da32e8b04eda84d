//! A recorded run played back: whichever way one came to an event, what is known there is the fold of all before it.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::journal::{self, Journal};
use crate::name::{ClusterName, NodeName, Revision};
use crate::plan::StepId;
use crate::run::{Outcome, RunHead, RunState, StepPhase};

const RECORDED: [&str; 9] = [
    "converged",
    "cut-short",
    "interrupted",
    "locked",
    "newer-kind",
    "refused",
    "removal",
    "removal-held",
    "rolled-back",
];

fn read(name: &str) -> Journal {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals").join(format!("FORMAT-1-{name}.jsonl"));
    journal::read(&path).unwrap()
}

fn replay(events: &[Event], rest: Rest) -> Replay {
    let mut replay = Replay::new(RunId::from_parts(1, 1));
    replay.take(Reel::Events { events: events.to_vec(), unknown: 0 });
    replay.take(Reel::Rest(rest));
    replay
}

fn of(name: &str) -> (Vec<Event>, Replay) {
    let journal = read(name);
    let events: Vec<Event> = journal.events().cloned().collect();
    let mut replay = Replay::new(journal.run.clone());
    replay.take(Reel::Plan(journal.plan().map(Arc::new).map_err(|error| error.to_string())));
    replay.take(Reel::Events { events: events.clone(), unknown: 0 });
    replay.take(Reel::Rest(Rest::Over { torn: journal.torn }));
    (events, replay)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A run of so many nodes with about so many events.
fn long(nodes: usize, events: usize) -> Vec<Event> {
    let cluster: ClusterName = "edge".parse().unwrap();
    let names: Vec<NodeName> = (0..nodes).map(|at| format!("edge-{at}").parse().unwrap()).collect();
    let head = RunHead {
        run: RunId::from_parts(1, 1),
        repository: "fleet".to_owned(),
        revision: Revision::parse(&"a".repeat(40)).unwrap(),
        summary: String::new(),
        operator: "cron@ops".to_owned(),
        clusters: vec![(cluster, names.clone())],
        steps: nodes,
        steps_of: names.iter().map(|name| (name.clone(), 1)).collect(),
        waves: [("edge".parse().unwrap(), 1)].into(),
        cluster_steps: Vec::new(),
    };
    let mut kinds = vec![EventKind::RunStarted { head }];
    for number in 0..events / 4 {
        let node = names[number % nodes].clone();
        let step: StepId = serde_json::from_value(u32::try_from(number).unwrap().into()).unwrap();
        let (action, about) = ("activate".to_owned(), "acme-auth".to_owned());
        kinds.push(EventKind::StepStarted { step, node: node.clone(), action: action.clone(), about });
        let text = "reloading".to_owned();
        kinds.push(EventKind::StepProgressed { step, node: node.clone(), phase: StepPhase::Reload, text });
        kinds.push(EventKind::StepPrinted { step, node: node.clone(), line: format!("line {number}") });
        kinds.push(EventKind::StepEnded { step, node, action, end: StepEnd::Done { outcome: Outcome::Changed } });
    }
    let mut seq = 0;
    let number = |(second, kind): (i64, EventKind)| {
        seq += u64::from(!kind.is_chatter());
        Event { seq, at: at(second), kind }
    };
    (0..).zip(kinds).map(number).collect()
}

#[test]
fn every_recorded_journal_replays_from_its_first_event_to_its_last() {
    for name in RECORDED {
        let (events, mut replay) = of(name);
        assert_eq!(replay.position(), (events.len(), events.len()), "{name}: it opens at its end");
        let whole = read(name).state();
        assert_eq!(replay.watched().state, whole, "{name}");
        assert_eq!(replay.watched().verdict(), Some(whole.verdict()), "{name}: also where it was cut short");
        for back in (1..events.len()).rev() {
            replay.step(-1);
            assert_eq!(replay.watched().state, RunState::of(&events[..back]), "{name}: after {back} events");
        }
        assert!(events.len() < 2 || replay.watched().verdict().is_none(), "{name}: nothing has ended at its start");
    }
}

#[test]
fn the_rows_of_whole_clusters_stand_there_from_the_first_event() {
    let (_, mut replay) = of("removal");
    let rows = replay.watched().rows.clone();
    replay.go(0);
    assert_eq!(replay.watched().rows, rows);
}

#[test]
fn a_run_that_was_cut_short_is_over_at_its_end_and_on_before_it() {
    let (_, mut replay) = of("cut-short");
    assert!(!replay.watched().is_on());
    replay.step(-1);
    assert!(replay.watched().is_on());
    replay.go_to_end();
    assert!(replay.watched().lost);
}

#[test]
fn marks_are_waves_and_what_went_wrong() {
    let (_, mut replay) = of("rolled-back");
    replay.go(0);
    let mut found = Vec::new();
    while let Some(words) = replay.go_to_mark(true) {
        found.push(words);
    }
    let is_there = |words: &str| found.iter().any(|found| found.contains(words));
    assert!(is_there("wave 1 of 2 begins") && is_there("eu-2: activate rolled back"), "{found:?}");
    assert_eq!(found.last().map(String::as_str), Some("verdict: not reached"));
    let mut back = vec![found.last().unwrap().clone()];
    while let Some(words) = replay.go_to_mark(false) {
        back.push(words);
    }
    back.reverse();
    assert_eq!(back, found, "the same on the way back");
}

#[test]
fn playing_takes_in_what_happened_until_then() {
    let events = long(2, 40);
    let mut replay = replay(&events, Rest::Over { torn: false });
    replay.play(at(0));
    assert_eq!((replay.position().0, replay.is_playing()), (1, true), "at its end it begins again");
    assert!(replay.tick(at(3)) && replay.position().0 == 4, "{:?}", replay.position());
    replay.change_pace(1);
    replay.tick(at(5));
    assert_eq!((replay.position().0, replay.clock()), (12, at(11)), "4 seconds in one");
    replay.play(at(6));
    assert!(!replay.tick(at(60)), "it stands still");
    replay.play(at(60));
    assert!(replay.tick(at(600)) && !replay.is_playing(), "its end is its end");
    assert_eq!((replay.position().0, replay.clock()), (events.len(), events.last().unwrap().at));
}

#[test]
fn a_run_that_is_on_is_followed_until_one_goes_back() {
    let events = long(2, 40);
    let mut replay = replay(&events[..10], Rest::On);
    assert!(replay.is_watching());
    replay.take(Reel::Events { events: events[10..12].to_vec(), unknown: 0 });
    assert_eq!(replay.position(), (12, 12));
    replay.step(-3);
    replay.take(Reel::Events { events: events[12..20].to_vec(), unknown: 0 });
    assert_eq!((replay.position(), replay.is_watching()), ((9, 20), false), "it stays where one went");
    replay.go_to_end();
    assert_eq!((replay.position().0, replay.is_watching()), (20, true));
}

#[test]
fn of_a_hundred_thousand_events_little_is_folded_again_and_little_is_kept() {
    let events = long(1_000, 100_000);
    let mut replay = replay(&events, Rest::Over { torn: false });
    let states: usize = replay.kept.iter().map(|(_, watched)| watched.state.nodes.len()).sum();
    assert!(states <= STATES && replay.kept.len() > 8, "{} checkpoints", replay.kept.len());
    for at in (0..events.len()).step_by(997) {
        let nearest = replay.kept.iter().rev().map(|(kept, _)| *kept).find(|kept| *kept <= at).unwrap();
        assert!(at - nearest <= replay.gap && replay.gap <= events.len() / 10, "{at} is {} behind", at - nearest);
    }
    replay.step(-1);
    replay.go_to_end();
    assert_eq!(replay.watched().state.verdict(), RunState::of(&events).verdict());
}

#[test]
fn beyond_a_bound_only_facts_are_kept() {
    let (facts, chatter): (Vec<Event>, Vec<Event>) =
        long(2, 40).into_iter().partition(|event| !event.kind.is_chatter());
    let mut replay = replay(&vec![chatter[0].clone(); MOST], Rest::On);
    replay.take(Reel::Events { events: chatter, unknown: 0 });
    replay.take(Reel::Events { events: facts.clone(), unknown: 0 });
    assert_eq!(replay.position().1, MOST + facts.len());
    assert_eq!(replay.watched().state.seq, facts.last().unwrap().seq);
}

#[test]
fn a_recording_without_events_shows_nothing_and_breaks_nothing() {
    let mut replay = replay(&[], Rest::Over { torn: true });
    replay.step(-1);
    replay.play(at(0));
    replay.tick(at(9));
    assert_eq!((replay.position(), replay.go_to_mark(true), replay.span()), ((0, 0), None, None));
}

#[derive(Debug, Clone)]
enum Move {
    Step(isize),
    Go(usize),
    Mark(bool),
    Play,
    Tick(i64),
    More,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (-40isize..40).prop_map(Move::Step),
        (0usize..2_200).prop_map(Move::Go),
        any::<bool>().prop_map(Move::Mark),
        Just(Move::Play),
        (0i64..200).prop_map(Move::Tick),
        Just(Move::More),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_known_after_some_events_does_not_depend_on_the_way(moves in prop::collection::vec(moves(), 1..25)) {
        let events = long(7, 2_000);
        let mut replay = replay(&events[..900], Rest::On);
        let (mut now, mut there) = (0, 900);
        for step in moves {
            match step {
                Move::Step(by) => replay.step(by),
                Move::Go(to) => replay.go(to),
                Move::Mark(forward) => drop(replay.go_to_mark(forward)),
                Move::Play => replay.play(at(now)),
                Move::Tick(by) => {
                    now += by;
                    replay.tick(at(now));
                }
                Move::More => {
                    let more = events[there..(there + 300).min(events.len())].to_vec();
                    there += more.len();
                    replay.take(Reel::Events { events: more, unknown: 0 });
                }
            }
            let (taken, of) = replay.position();
            prop_assert_eq!(of, there);
            prop_assert_eq!(&replay.watched().state, &RunState::of(&events[..taken]));
        }
    }
}
