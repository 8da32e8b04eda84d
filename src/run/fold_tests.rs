//! The fold, event by event; how it takes whole runs is tested in `execute`, with runs that were carried out.

use super::*;
use crate::name::NodeName;
use crate::plan::StepId;

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn step(number: u32) -> StepId {
    serde_json::from_value(serde_json::json!(number)).unwrap()
}

fn cause(text: &str) -> Cause {
    Cause { code: "x".to_owned(), text: text.to_owned(), details: Vec::new(), hints: Vec::new() }
}

fn cluster() -> crate::name::ClusterName {
    crate::name::ClusterName::parse("eu").unwrap()
}

/// Numbers the events and gives each a second of its own.
fn fold(kinds: impl IntoIterator<Item = EventKind>) -> RunState {
    let mut state = RunState::default();
    let head = RunHead {
        run: crate::name::RunId::from_parts(1, 1),
        repository: "fleet".to_owned(),
        revision: crate::name::Revision::parse(&"a".repeat(40)).unwrap(),
        summary: String::new(),
        operator: "ann@ops".to_owned(),
        clusters: vec![(cluster(), vec![node("a"), node("b")])],
        steps: 4,
        steps_of: [(node("a"), 2), (node("b"), 2)].into(),
        waves: [(cluster(), 1)].into(),
        cluster_steps: Vec::new(),
    };
    for kind in std::iter::once(EventKind::RunStarted { head }).chain(kinds) {
        let seq = state.seq + u64::from(!kind.is_chatter());
        let at = jiff::Timestamp::from_second(i64::try_from(seq).unwrap()).unwrap();
        state.apply(&Event { seq, at, kind });
    }
    state
}

fn started(id: u32, name: &str, action: &str) -> EventKind {
    EventKind::StepStarted {
        step: step(id),
        node: node(name),
        action: action.to_owned(),
        about: "acme-auth".to_owned(),
    }
}

fn ended(id: u32, name: &str, action: &str, end: StepEnd) -> EventKind {
    EventKind::StepEnded { step: step(id), node: node(name), action: action.to_owned(), end }
}

fn progressed(id: u32, phase: StepPhase) -> EventKind {
    EventKind::StepProgressed { step: step(id), node: node("a"), phase, text: "seen".to_owned() }
}

fn changed() -> StepEnd {
    StepEnd::Done { outcome: Outcome::Changed }
}

fn looked(counts: SurveyCounts, settled: &[&str]) -> EventKind {
    let settled = settled.iter().map(|name| node(name)).collect();
    EventKind::LookedAgain { counts, left: Vec::new(), settled }
}

fn both_proven() -> Vec<EventKind> {
    let steps = [(0, "a", "deliver"), (1, "b", "deliver"), (2, "a", "activate"), (3, "b", "activate")];
    steps
        .into_iter()
        .flat_map(|(id, name, action)| [started(id, name, action), ended(id, name, action, changed())])
        .collect()
}

fn signs(state: &RunState, name: &str) -> String {
    let sign = |cell: &Cell| match cell {
        Cell::Waiting => ' ',
        Cell::Running(_) => '>',
        Cell::Done => '=',
        Cell::Failed => 'x',
        Cell::PutBack => '<',
        Cell::Unknown => '?',
        Cell::Skipped => '.',
    };
    state.nodes[&node(name)].cells.iter().map(sign).collect()
}

#[test]
fn the_cells_follow_a_step_through_its_phases() {
    let mut events = vec![started(0, "a", "deliver")];
    let mut seen = vec![signs(&fold(events.clone()), "a")];
    events.extend([ended(0, "a", "deliver", changed()), started(2, "a", "activate")]);
    for phase in [StepPhase::Guard, StepPhase::Reload, StepPhase::Prove] {
        events.push(progressed(2, phase));
        seen.push(signs(&fold(events.clone()), "a"));
    }
    events.push(EventKind::StepProven { step: step(2), node: node("a"), text: "2 workers".to_owned() });
    seen.push(signs(&fold(events.clone()), "a"));
    events.push(ended(2, "a", "activate", changed()));
    seen.push(signs(&fold(events), "a"));
    assert_eq!(seen, [">     ", "=>    ", "==>   ", "===>  ", "====> ", "===== "]);
}

#[test]
fn what_a_deletion_kept_is_told_and_proves_nothing() {
    let edited = StepEnd::Done { outcome: Outcome::Edited };
    let events = vec![
        started(2, "a", "activate"),
        ended(2, "a", "activate", edited),
        started(3, "a", "delete"),
        EventKind::StepProven { step: step(3), node: node("a"), text: "x was edited by hand".to_owned() },
    ];
    let before = signs(&fold(events[..3].to_vec()), "a");
    let state = fold(events);
    assert_eq!(signs(&state, "a"), before);
    assert_eq!(state.nodes[&node("a")].now, "x was edited by hand");
}

#[test]
fn a_bad_end_marks_the_phase_that_ran_and_never_shows_unknown_as_unchanged() {
    let reloading = [started(2, "a", "activate"), progressed(2, StepPhase::Reload)];
    let with = |end: StepEnd| signs(&fold(reloading.iter().cloned().chain([ended(2, "a", "activate", end)])), "a");
    assert_eq!(with(StepEnd::RolledBack { cause: cause("x") }), " <x.. ");
    assert_eq!(with(StepEnd::Failed { cause: cause("x") }), " =x.. ");
    assert_eq!(with(StepEnd::Unknown { cause: cause("x") }), " =??? ");
    let skipped = StepEnd::Skipped { why: SkipReason::Cancelled };
    assert_eq!(signs(&fold([ended(2, "a", "activate", skipped)]), "a"), " .... ");
}

#[test]
fn a_node_is_proven_when_its_last_step_is_done() {
    let mut events = both_proven();
    let last = events.pop().unwrap();
    assert_eq!(fold(events.clone()).counts().proven, 1);
    events.push(last);
    let state = fold(events);
    assert_eq!((state.counts().proven, state.counts_of(&cluster()).total), (2, 2));
}

#[test]
fn a_node_that_was_edited_while_stopped_is_not_counted_as_proven() {
    let mut events = both_proven();
    events.truncate(6);
    let edited = StepEnd::Done { outcome: Outcome::Edited };
    events.extend([started(3, "b", "activate"), progressed(3, StepPhase::Guard), ended(3, "b", "activate", edited)]);
    let state = fold(events.clone());
    let counts = state.counts();
    assert_eq!((counts.proven, counts.edited, counts.total), (1, 1, 2));
    assert_eq!((signs(&state, "b").as_str(), state.nodes[&node("b")].ended()), ("==..= ", true));
    assert!(!state.nodes[&node("b")].proven());
    events.push(looked(SurveyCounts { in_line: 2, ..SurveyCounts::default() }, &[]));
    assert_eq!(Verdict::of(&fold(events)), Verdict::Converged);
}

#[test]
fn counts_of_a_journal_from_before_edited_nodes_were_told_apart_are_read() {
    let old = r#"{"total":2,"proven":1,"under_way":0,"rolled_back":1,"failed":0,"unknown":0,"not_tried":0}"#;
    let counts: Counts = serde_json::from_str(old).unwrap();
    assert_eq!((counts.proven, counts.edited), (1, 0));
}

#[test]
fn what_went_wrong_first_is_what_became_of_the_node() {
    let needs = StepEnd::Skipped { why: SkipReason::Needs { step: step(0) } };
    let state = fold([
        started(0, "a", "deliver"),
        ended(0, "a", "deliver", StepEnd::Failed { cause: cause("no space") }),
        ended(2, "a", "activate", needs),
    ]);
    let a = &state.nodes[&node("a")];
    assert_eq!((a.fate, a.now.as_str()), (Fate::Failed, "failed: no space"));
    assert_eq!(state.failures(&cluster()), 1);
}

#[test]
fn late_chatter_says_nothing() {
    let mut state = fold([started(0, "a", "deliver"), ended(0, "a", "deliver", changed())]);
    let before = state.clone();
    let at = state.now.unwrap();
    state.apply(&Event { seq: 1, at, kind: progressed(0, StepPhase::Deliver) });
    state.apply(&Event { seq: 3, at, kind: progressed(0, StepPhase::Deliver) });
    assert_eq!(state, before);
}

#[test]
fn printed_lines_are_bounded() {
    let lines = (0..=PRINTED).map(|n| EventKind::StepPrinted { step: step(0), node: node("a"), line: n.to_string() });
    let state = fold(std::iter::once(started(0, "a", "deliver")).chain(lines));
    let printed = &state.nodes[&node("a")].printed;
    assert_eq!((printed.len(), printed.front().map(String::as_str)), (PRINTED, Some("1")));
}

#[test]
fn it_waits_for_what_was_announced_else_for_the_slowest_node() {
    let running = [started(0, "a", "deliver"), started(1, "b", "deliver")];
    let (since, waiting) = fold(running.clone()).waiting().unwrap();
    assert_eq!((since.as_second(), waiting.node), (2, Some(node("a"))));
    let announced = Waiting { node: None, what: "you to go on".to_owned(), limit: None };
    let asked = EventKind::WaitingFor { waiting: Some(announced.clone()) };
    let state = fold(running.into_iter().chain([asked.clone()]));
    assert_eq!(state.waiting().unwrap().1, announced);
    assert_eq!(fold([asked, EventKind::WaitingFor { waiting: None }]).waiting(), None);
}

#[test]
fn a_node_that_the_head_does_not_name_is_not_made_up() {
    assert_eq!(fold([started(0, "mallory", "deliver")]).nodes.len(), 2);
}

#[test]
fn verdicts_keep_to_their_precedence() {
    let line = SurveyCounts { in_line: 2, ..SurveyCounts::default() };
    let with = |more: Vec<EventKind>| Verdict::of(&fold(both_proven().into_iter().chain(more)));
    assert_eq!(with(vec![looked(line.clone(), &[])]), Verdict::Converged);
    assert_eq!(with(vec![]), Verdict::Incomplete, "nobody looked again");
    let drift = SurveyCounts { drift: 1, unknown: 1, ..line.clone() };
    assert_eq!(with(vec![looked(drift.clone(), &[])]), Verdict::NotReached, "3 before 4");
    assert_eq!(with(vec![looked(SurveyCounts { unknown: 1, ..line.clone() }, &[])]), Verdict::Incomplete);
    let refused = EventKind::RunRefused { cause: cause("x") };
    let held = EventKind::LeaseRefused { node: node("a"), cause: cause("x") };
    let cancel = EventKind::CancelRequested { level: CancelLevel::AfterWave, by: None };
    assert_eq!(with(vec![looked(drift.clone(), &[]), refused.clone()]), Verdict::Refused, "6 before 3");
    assert_eq!(with(vec![refused.clone(), held.clone()]), Verdict::Locked, "5 before 6");
    assert_eq!(with(vec![refused, held, cancel, looked(drift, &[])]), Verdict::Interrupted, "130 before all");
    assert_eq!(Verdict::of(&fold([])), Verdict::NotReached, "nothing was tried");
}

#[test]
fn only_unknown_is_made_good_by_looking() {
    let line = SurveyCounts { in_line: 2, ..SurveyCounts::default() };
    let after = |end: StepEnd, settled: &[&str]| {
        let mut events = both_proven();
        events.truncate(7);
        events.extend([ended(3, "b", "activate", end), looked(line.clone(), settled)]);
        Verdict::of(&fold(events))
    };
    assert_eq!(after(StepEnd::RolledBack { cause: cause("x") }, &["b"]), Verdict::NotReached);
    assert_eq!(after(StepEnd::Failed { cause: cause("x") }, &["b"]), Verdict::NotReached);
    assert_eq!(after(StepEnd::Unknown { cause: cause("x") }, &["b"]), Verdict::Converged);
    assert_eq!(after(StepEnd::Unknown { cause: cause("x") }, &[]), Verdict::Incomplete);
}

#[test]
fn what_was_under_way_when_muster_was_killed_is_unknown() {
    let ended = EventKind::RunEnded { verdict: Verdict::Interrupted, exit: 130 };
    let state = fold([started(0, "a", "deliver"), ended]);
    assert_eq!((state.nodes[&node("a")].fate, state.nodes[&node("b")].fate), (Fate::Unknown, Fate::NotTried));
    assert_ne!(fold([started(0, "a", "deliver")]).verdict().exit(), 0);
}

#[test]
fn a_look_alone_has_its_own_verdict() {
    let counts = |drift, blocked, unknown| SurveyCounts { in_line: 1, drift, blocked, unknown, stopped: 0 };
    assert_eq!(Verdict::of_look(&counts(0, 0, 0)), Verdict::InLine);
    assert_eq!(Verdict::of_look(&counts(0, 1, 0)), Verdict::Pending);
    assert_eq!(Verdict::of_look(&counts(1, 0, 1)), Verdict::Incomplete);
}

#[test]
fn events_survive_json() {
    for kind in both_proven().into_iter().chain([looked(SurveyCounts::default(), &["a"])]) {
        let event = Event { seq: 7, at: jiff::Timestamp::UNIX_EPOCH, kind };
        let text = serde_json::to_string(&event).unwrap();
        assert!(text.contains(&format!(r#""event":"{}""#, event.kind.word())), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}

fn cluster_ended(id: u32, action: &str, end: StepEnd) -> EventKind {
    EventKind::ClusterStepEnded { step: step(id), cluster: cluster(), action: action.to_owned(), end }
}

/// Un-apply, both nodes, the fence, and the files of both.
fn removed(fence: StepEnd) -> Vec<EventKind> {
    let mut events = vec![
        EventKind::ClusterStepStarted {
            step: step(0),
            cluster: cluster(),
            action: "un-apply".to_owned(),
            about: "x".to_owned(),
        },
        EventKind::ClusterStepProven { step: step(0), cluster: cluster(), text: "un-applied x".to_owned() },
        cluster_ended(0, "un-apply", changed()),
    ];
    for (id, name) in [(1, "a"), (2, "b")] {
        events.extend([started(id, name, "activate"), ended(id, name, "activate", changed())]);
    }
    let delete = match &fence {
        StepEnd::Skipped { why } => StepEnd::Skipped { why: why.clone() },
        _ => changed(),
    };
    events.push(cluster_ended(3, "fence", fence));
    events.extend([(4, "a"), (5, "b")].map(|(id, name)| ended(id, name, "delete", delete.clone())));
    events.push(looked(SurveyCounts { in_line: 2, ..SurveyCounts::default() }, &[]));
    events
}

#[test]
fn a_removal_is_converged_only_when_its_cluster_steps_hold() {
    let holds = StepEnd::Done { outcome: Outcome::Unchanged };
    let state = fold(removed(holds));
    assert_eq!((state.verdict(), signs(&state, "a").as_str()), (Verdict::Converged, " ====="));
    assert_eq!(state.cluster_steps[&cluster()][0].now, "un-applied x");
    let held = StepEnd::Skipped { why: SkipReason::Held { why: "eu-3: could not be seen".to_owned() } };
    let state = fold(removed(held));
    assert_eq!((state.verdict(), signs(&state, "a").as_str()), (Verdict::NotReached, " ====."));
    assert_eq!(fold(removed(StepEnd::Unknown { cause: cause("lost") })).verdict(), Verdict::Incomplete);
    assert_eq!(fold(removed(StepEnd::Failed { cause: cause("x") })).verdict(), Verdict::NotReached);
}

#[test]
fn a_node_that_is_put_back_is_under_way_again() {
    let mut events = both_proven();
    let more = [(node("a"), 1)].into();
    events.push(EventKind::StepsAdded { cluster: cluster(), cause: cause("x"), steps_of: more, waves: 1 });
    let state = fold(events.clone());
    assert_eq!((state.nodes[&node("a")].fate, state.nodes[&node("b")].fate), (Fate::Waiting, Fate::Proven));
    let head = state.head.as_ref().unwrap();
    assert_eq!((head.steps, head.waves[&cluster()], state.added.len()), (5, 2, 1));
    events.extend([started(9, "a", "activate"), ended(9, "a", "activate", changed())]);
    assert_eq!(fold(events).nodes[&node("a")].fate, Fate::Proven);
}

#[test]
fn while_a_step_of_the_whole_cluster_runs_everything_waits_for_it() {
    let begun = EventKind::ClusterStepStarted {
        step: step(9),
        cluster: cluster(),
        action: "un-apply".to_owned(),
        about: "legacy-hmac".to_owned(),
    };
    let says = EventKind::ClusterStepProgressed { step: step(9), cluster: cluster(), text: "1 of 2 rows".to_owned() };
    let ended = EventKind::ClusterStepEnded {
        step: step(9),
        cluster: cluster(),
        action: "un-apply".to_owned(),
        end: changed(),
    };
    let waiting = |kinds: &[EventKind]| fold(kinds.iter().cloned()).waiting().map(|(_, waiting)| waiting.what);
    let all = [begun, says, ended];
    assert_eq!(waiting(&all[..1]).as_deref(), Some("un-apply legacy-hmac"));
    assert_eq!(waiting(&all[..2]).as_deref(), Some("un-apply legacy-hmac: 1 of 2 rows"));
    assert_eq!(waiting(&all), None);
}
