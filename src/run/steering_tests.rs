//! How the fold takes what a person asked of a run, and what a run is as a ticket.

use super::*;
use crate::name::{ClusterName, NodeName, Revision, RunId};
use crate::plan::StepId;

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn eu() -> ClusterName {
    ClusterName::parse("eu").unwrap()
}

fn step(number: u32) -> StepId {
    serde_json::from_value(serde_json::json!(number)).unwrap()
}

/// A run of three nodes, an event every ten seconds.
fn fold(kinds: impl IntoIterator<Item = EventKind>) -> RunState {
    let nodes: Vec<NodeName> = ["a", "b", "c"].map(node).to_vec();
    let head = RunHead {
        run: RunId::from_parts(1, 1),
        repository: "fleet".to_owned(),
        revision: Revision::parse(&"a".repeat(40)).unwrap(),
        summary: "raise".to_owned(),
        operator: "ann@ops".to_owned(),
        steps: 3,
        steps_of: nodes.iter().map(|node| (node.clone(), 1)).collect(),
        clusters: vec![(eu(), nodes)],
        waves: [(eu(), 2)].into(),
        cluster_steps: Vec::new(),
    };
    let mut state = RunState::default();
    for kind in std::iter::once(EventKind::RunStarted { head }).chain(kinds) {
        let seq = state.seq + 1;
        let at = jiff::Timestamp::from_second(10 * i64::try_from(seq).unwrap()).unwrap();
        state.apply(&Event { seq, at, kind });
    }
    state
}

fn asked(paused: bool) -> EventKind {
    EventKind::PauseRequested { paused, by: Some("ann@ops".to_owned()) }
}

fn paused(wave: u32) -> EventKind {
    EventKind::RunPaused { cluster: eu(), wave, by: "ann@ops".to_owned() }
}

fn ended(name: &str, end: StepEnd) -> EventKind {
    EventKind::StepEnded { step: step(1), node: node(name), action: "activate".to_owned(), end }
}

fn started(name: &str) -> EventKind {
    EventKind::StepStarted { step: step(1), node: node(name), action: "activate".to_owned(), about: String::new() }
}

fn bad() -> StepEnd {
    StepEnd::RolledBack {
        cause: Cause {
            code: "reload-failed".to_owned(),
            text: "module 'resty.jwt' not found".to_owned(),
            details: ["one", "two", "three", "four"].map(str::to_owned).to_vec(),
            hints: vec![crate::hint::Hint::do_("install it")],
        },
    }
}

#[test]
fn a_pause_is_first_asked_for_then_on_then_over() {
    let words = |events: Vec<EventKind>| fold(events).pause.map(|pause| (pause.words(), pause.since.is_some()));
    assert_eq!(words(vec![asked(true)]), Some(("pause after this wave, asked for by ann@ops".to_owned(), false)));
    assert_eq!(words(vec![asked(true), asked(false)]), None);
    assert_eq!(words(vec![asked(true), paused(2)]), Some(("paused after wave 2 by ann@ops".to_owned(), true)));
    assert_eq!(words(vec![paused(0)]), Some(("paused before the first wave of eu by ann@ops".to_owned(), true)));
    assert_eq!(words(vec![asked(true), paused(2), EventKind::RunResumed { by: "bob@ops".to_owned() }]), None);
}

#[test]
fn a_pause_is_what_everything_waits_for_until_it_is_cancelled() {
    let events = vec![asked(true), paused(2)];
    let (since, waiting) = fold(events.clone()).waiting().unwrap();
    assert_eq!((since.as_second(), waiting.what.as_str()), (30, "you to go on: paused after wave 2 by ann@ops"));
    let cancel = EventKind::CancelRequested { level: CancelLevel::AfterWave, by: None };
    assert_eq!(fold(events.into_iter().chain([cancel])).waiting(), None);
}

#[test]
fn a_pause_of_an_old_journal_has_nobody_who_asked() {
    let old = r#"{"seq":2,"at":"2026-03-02T14:05:00Z","event":"pause-requested","paused":true}"#;
    let event: Event = serde_json::from_str(old).unwrap();
    assert_eq!(event.kind, EventKind::PauseRequested { paused: true, by: None });
    assert_eq!(fold([event.kind]).pause.unwrap().words(), "pause after this wave");
    let old = r#"{"seq":2,"at":"2026-03-02T14:05:00Z","event":"cancel-requested","level":"close"}"#;
    let event: Event = serde_json::from_str(old).unwrap();
    assert_eq!(event.kind, EventKind::CancelRequested { level: CancelLevel::Close, by: None });
    assert!(!serde_json::to_string(&event).unwrap().contains("by"), "what is not known is not written");
}

#[test]
fn a_step_has_its_own_time() {
    let state = fold([started("a"), ended("a", bad())]);
    let run = &state.nodes[&node("a")];
    let seconds = [run.begun, run.over].map(|at| at.map(jiff::Timestamp::as_second));
    assert_eq!(seconds, [Some(20), Some(30)]);
    assert_eq!(fold([started("a")]).nodes[&node("a")].over, None);
    let never = StepEnd::Skipped { why: SkipReason::Cancelled };
    assert_eq!(fold([ended("a", never)]).nodes[&node("a")].over, None, "it was not begun");
}

/// The ticket of a run to which nothing is added any more.
fn over(state: &RunState, carry: impl Fn(&str) -> String) -> Vec<String> {
    ticket(state, Extent::Whole, None, carry)
}

#[test]
fn a_ticket_of_a_run_that_is_on_does_not_say_that_it_is_over() {
    let of = |state: &RunState, extent| ticket(state, extent, None, str::to_owned).join("\n");
    let on = of(&fold([asked(true), paused(1)]), Extent::AtWork);
    assert!(
        on.contains("UTC, 0 min 20 s, and it goes on\nverdict   none yet: at work, paused after wave 1 by ann@ops\n"),
        "{on}"
    );
    assert!(on.contains("not begun yet:\n") && on.ends_with("muster runs 00000000010000000000000001 --follow"), "{on}");
    let moment = of(&fold([started("a")]), Extent::Moment);
    assert!(moment.contains("; the recording goes on\nverdict   none yet at that time\n"), "{moment}");
    for open in [on, moment] {
        assert!(!open.contains("exit") && !open.contains("resume") && !open.contains("nothing more"), "{open}");
    }
    let cut = of(&fold([started("a")]), Extent::Whole);
    assert!(cut.contains("and then nothing more was recorded") && cut.contains("(as far as it was recorded)"), "{cut}");
    let end = EventKind::RunEnded { verdict: Verdict::NotReached, exit: 3 };
    let ended = of(&fold([end]), Extent::AtWork);
    assert!(ended.contains("verdict   not reached, exit 3\n"), "the verdict counts\n{ended}");
    assert!(ended.contains("the run itself did not look at the nodes again"), "others may have looked\n{ended}");
}

#[test]
fn a_ticket_says_what_was_un_applied_and_how_it_comes_back() {
    let path = format!("/srv/{}/old.yaml", "x".repeat(500));
    let proven = format!("un-applied old: 2 rows, none left; undo bundle {path}");
    let about = "old".to_owned();
    let action = || "un-apply".to_owned();
    let state = fold([
        EventKind::ClusterStepStarted { step: step(9), cluster: eu(), action: action(), about },
        EventKind::ClusterStepProven { step: step(9), cluster: eu(), text: proven },
        EventKind::ClusterStepEnded {
            step: step(9),
            cluster: eu(),
            action: action(),
            end: StepEnd::Done { outcome: Outcome::Changed },
        },
        EventKind::RunEnded { verdict: Verdict::Converged, exit: 0 },
    ]);
    let text = over(&state, |line| format!("{line} --repo /srv")).join("\n");
    let expected = format!(
        "un-applied:\n  eu  un-applied old: 2 rows, none left\n  undo bundle  {path}\n  to bring them back: type: muster \
         restore-rows 00000000010000000000000001 --repo /srv; it shows the rows first\n"
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_ticket_has_what_somebody_else_needs_to_know() {
    let skipped = StepEnd::Skipped { why: SkipReason::Operator { by: "ann@ops".to_owned() } };
    let fence = StepEnd::Skipped { why: SkipReason::Held { why: "c was skipped".to_owned() } };
    let state = fold([
        EventKind::WaveStarted { cluster: eu(), wave: 1, of: 2, nodes: vec![node("a"), node("b")] },
        started("a"),
        started("b"),
        ended("a", bad()),
        ended("b", bad()),
        ended("c", skipped),
        EventKind::ClusterStepEnded { step: step(9), cluster: eu(), action: "fence".to_owned(), end: fence },
        EventKind::LookedAgain {
            counts: SurveyCounts { drift: 3, ..SurveyCounts::default() },
            left: vec!["old is held on eu: 2 rows use it".to_owned(), "a drift".to_owned()],
            settled: Vec::new(),
        },
        EventKind::RunEnded { verdict: Verdict::NotReached, exit: 3 },
    ]);
    let text = over(&state, |line| format!("{line} --repo /srv/fleet")).join("\n");
    let expected = [
        "muster run 00000000010000000000000001",
        "commit    fleet @ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "subject   raise",
        "operator  ann@ops",
        "time      1970-01-01 00:00:10 to 00:01:40 UTC, 1 min 30 s",
        "verdict   not reached, exit 3",
        "eu: 0 of 3 nodes proven, 2 rolled back, 1 not tried; wave 1 of 2",
        "looked again: 3 drift",
        "",
        "went wrong:",
        "  a, b  rolled back, serving as before (reload-failed): module 'resty.jwt' not found",
        "      one",
        "      two",
        "      three",
        "      to do: install it",
        "",
        "not begun:",
        "  c: skipped by ann@ops",
        "",
        "held:",
        "  files on eu: c was skipped; once that is gone, a new plan deletes them",
        "  the removal of old on eu: 2 rows use it; a plan names the way out of it",
        "",
        "still differs:",
        "  a drift",
        "",
        "to see it again:  muster runs 00000000010000000000000001",
        "to go on:  muster resume 00000000010000000000000001 --repo /srv/fleet",
    ];
    assert_eq!(text, expected.join("\n"));
}

#[test]
fn a_ticket_of_a_run_that_was_cancelled_in_a_pause_says_so() {
    let cancel = EventKind::CancelRequested { level: CancelLevel::AfterWave, by: None };
    let end = EventKind::RunEnded { verdict: Verdict::Interrupted, exit: 130 };
    let text = over(&fold([asked(true), paused(1), cancel, end]), str::to_owned).join("\n");
    assert!(text.contains("verdict   interrupted, exit 130, paused after wave 1 by ann@ops\n"), "{text}");
}

#[test]
fn a_ticket_is_bounded_however_bad_it_was() {
    let cause = |n: u32| Cause {
        code: "x".to_owned(),
        text: format!("{n} {}", "y".repeat(10_000)),
        details: vec!["z".repeat(1_000_000); 50],
        hints: Vec::new(),
    };
    let state = fold((0..3).zip(["a", "b", "c"]).map(|(n, name)| ended(name, StepEnd::Failed { cause: cause(n) })));
    let lines = over(&state, str::to_owned);
    assert!(lines.len() < 40 && lines.iter().all(|line| line.len() < 500), "{}", lines.len());
}

#[test]
fn leases_that_were_not_given_back_are_held() {
    let lost =
        StepEnd::Unknown { cause: Cause { code: "lost".into(), text: String::new(), details: vec![], hints: vec![] } };
    let end = EventKind::RunEnded { verdict: Verdict::Incomplete, exit: 4 };
    let state = fold([started("a"), ended("a", lost), end]);
    let held = state.held();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].what, "the lease of a");
    assert!(held[0].release.ends_with("muster unlock eu"), "{held:?}");
}
