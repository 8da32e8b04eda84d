//! Steering a run, case by case, on scripted nodes.

use std::collections::BTreeMap;

use super::fake::{Act, Draft, Order, Over, Rollout, Script, cluster, node, play, reapplied, start, step_id};
use crate::plan::Plan;
use crate::run::{CancelLevel, ClusterStep, EventKind, Fate, SkipReason, StepEnd, Verdict};

/// One cluster, three waves of 1, 2 and 3 nodes, one bundle each: deliveries are steps 0-5 (until 1 s), activations 6-11, a
/// second for each wave.
fn six() -> Plan {
    let rollout = Rollout::default();
    Draft::new().cluster("eu-prod", rollout, 1, &[&["eu-1"], &["eu-2", "eu-3"], &["eu-4", "eu-5", "eu-6"]]).plan()
}

/// A removal: un-apply is step 0, activations 1-3 in two waves, the fence 4, files 5-7.
fn removal() -> Plan {
    Draft::new().removal("eu", Rollout::default(), &[&["a"], &["b", "c"]]).plan()
}

fn steered(plan: &Plan, orders: Vec<(u64, Order)>) -> Over {
    play(plan, Script { orders, ..Script::default() })
}

fn skip(name: &str) -> Order {
    Order::Skip(node(name))
}

/// Each event of these kinds, with the seconds since the start.
fn times(over: &Over, words: &[&str]) -> Vec<(&'static str, i64)> {
    let events = over.seen.events.iter().filter(|event| words.contains(&event.kind.word()));
    events.map(|event| (event.kind.word(), event.at.duration_since(start()).as_secs())).collect()
}

fn fate(over: &Over, name: &str) -> Fate {
    over.state.nodes[&node(name)].fate
}

fn refused(over: &Over) -> Vec<String> {
    let refused = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::SkipRefused { node, by, why } => Some(format!("{node} by {by}: {why}")),
        _ => None,
    });
    refused.collect()
}

fn fence(over: &Over) -> &ClusterStep {
    over.state.cluster_steps[&cluster("eu")].iter().find(|step| step.action == "fence").unwrap()
}

#[test]
fn a_pause_begins_when_the_wave_that_is_on_is_over() {
    // The first wave runs from 1.05 s to 2.05 s.
    let over = steered(&six(), vec![(1500, Order::Pause), (600_000, Order::Resume)]);
    let words = ["pause-requested", "run-paused", "run-resumed", "wave-started"];
    let expected = [
        ("wave-started", 1),
        ("pause-requested", 1),
        ("run-paused", 2),
        ("run-resumed", 600),
        ("wave-started", 600),
        ("wave-started", 601),
    ];
    assert_eq!(times(&over, &words), expected);
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
    let by = |event: &crate::run::Event| match &event.kind {
        EventKind::RunPaused { by, wave, cluster } => Some((by.clone(), *wave, cluster.to_string())),
        _ => None,
    };
    let paused: Vec<_> = over.seen.events.iter().filter_map(by).collect();
    assert_eq!(paused, [("cron@ops-1".to_owned(), 1, "eu-prod".to_owned())]);
}

#[test]
fn a_pause_that_is_asked_for_in_a_soak_lets_the_soak_end() {
    let rollout = Rollout { soak: 30, ..Rollout::default() };
    let plan = Draft::new().cluster("eu", rollout, 0, &[&["a"], &["b"]]).plan();
    let over = steered(&plan, vec![(5000, Order::Pause), (100_000, Order::Resume)]);
    let seen = times(&over, &["wave-proven", "run-paused", "run-resumed"]);
    assert_eq!(seen, [("wave-proven", 31), ("run-paused", 31), ("run-resumed", 100), ("wave-proven", 131)]);
}

#[test]
fn a_pause_that_is_taken_back_in_time_holds_nothing() {
    let over = steered(&six(), vec![(1200, Order::Pause), (1500, Order::Resume)]);
    assert_eq!(times(&over, &["run-paused", "run-resumed"]), []);
    assert_eq!(times(&over, &["pause-requested"]).len(), 2);
    assert_eq!(over.state.pause, None);
}

#[test]
fn a_pause_before_the_first_wave_keeps_rows_where_they_are() {
    let over = steered(&removal(), vec![(10, Order::Pause), (90_000, Order::Resume)]);
    assert_eq!(
        times(&over, &["run-paused", "cluster-step-started"])[..2],
        [("run-paused", 0), ("cluster-step-started", 90)]
    );
}

#[test]
fn a_pause_after_the_last_wave_keeps_files_where_they_are() {
    // Un-apply until 1 s, the waves until 2 s and 3 s.
    let over = steered(&removal(), vec![(2500, Order::Pause), (90_000, Order::Resume)]);
    assert_eq!(times(&over, &["run-paused", "run-resumed"]), [("run-paused", 3), ("run-resumed", 90)]);
    assert_eq!(over.seen.fences, 1);
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
}

#[test]
fn nothing_left_to_begin_is_no_reason_to_wait() {
    let over = steered(&six(), vec![(3500, Order::Pause)]);
    assert_eq!(times(&over, &["run-paused"]), []);
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
}

#[test]
fn a_stopped_cluster_is_not_paused() {
    let script = Script {
        orders: vec![(1500, Order::Pause)],
        steps: [(step_id(6), Act::End(1000, super::fake::rolled_back()))].into(),
        ..Script::default()
    };
    let over = play(&six(), script);
    assert_eq!(times(&over, &["run-paused"]), []);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn a_paused_run_can_be_cancelled_on_every_rung() {
    use CancelLevel::{AfterSteps, AfterWave, Close, LeaveSteps};
    for level in [AfterWave, AfterSteps, LeaveSteps, Close] {
        let over = steered(&six(), vec![(1500, Order::Pause), (50_000, Order::Cancel(level))]);
        assert_eq!(over.state.verdict, Some(Verdict::Interrupted), "{level:?}");
        assert_eq!(over.state.counts().proven, 1);
        let pause = over.state.pause.as_ref().unwrap();
        assert_eq!(pause.words(), "paused after wave 1 by cron@ops-1");
        let last = over.seen.events.last().unwrap().at.duration_since(start()).as_secs();
        assert!((50..=52).contains(&last), "{level:?} took until {last}");
    }
}

#[test]
fn leases_are_asked_for_again_after_a_pause_before_anything_begins() {
    let over = steered(&removal(), vec![(2500, Order::Pause), (3_600_000, Order::Resume)]);
    let after: Vec<&str> = over
        .seen
        .events
        .iter()
        .skip_while(|event| event.kind.word() != "run-resumed")
        .map(|event| event.kind.word())
        .collect();
    assert_eq!(after[..2], ["run-resumed", "cluster-step-started"]);
    // Once at the beginning, once after the pause.
    assert_eq!(over.seen.asked[&node("a")], 2);
}

#[test]
fn a_lease_that_was_lost_in_a_pause_ends_the_run_before_the_next_step() {
    let script = Script {
        orders: vec![(1500, Order::Pause), (3_600_000, Order::Resume)],
        taken_after: BTreeMap::from([(node("eu-4"), 1)]),
        ..Script::default()
    };
    let over = play(&six(), script);
    assert_eq!(over.state.verdict, Some(Verdict::Locked));
    assert_eq!(over.state.counts().proven, 1);
}

#[test]
fn a_skipped_node_is_left_alone_and_the_rest_goes_on() {
    let over = steered(&six(), vec![(1200, skip("eu-5"))]);
    assert_eq!(fate(&over, "eu-5"), Fate::NotTried);
    assert_eq!(over.state.nodes[&node("eu-5")].now, "not begun: skipped by cron@ops-1");
    assert_eq!(over.state.counts().proven, 5);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    assert!(over.seen.released.contains(&node("eu-5")));
}

#[test]
fn a_node_under_way_is_not_skipped() {
    let over = steered(&six(), vec![(1500, skip("eu-1"))]);
    assert_eq!(refused(&over), ["eu-1 by cron@ops-1: a step is under way on it, which ends first: x stops the run"]);
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
}

#[test]
fn nodes_that_are_over_or_not_of_the_run_are_not_skipped() {
    let over = steered(&six(), vec![(2500, skip("eu-1")), (2600, skip("us-1"))]);
    let said = ["eu-1 by cron@ops-1: all of its steps are over", "us-1 by cron@ops-1: no step of this run is for it"];
    assert_eq!(refused(&over), said);
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
}

#[test]
fn no_wave_stands_on_one_whose_nodes_were_all_skipped() {
    let over = steered(&six(), vec![(10, skip("eu-1"))]);
    assert_eq!(over.state.counts().proven, 0);
    assert!(over.state.stopped[&cluster("eu-prod")].contains("wave 1 proved nothing"));
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn a_skipped_node_holds_the_files_of_its_cluster() {
    let over = steered(&removal(), vec![(1500, skip("b"))]);
    let why = "b was skipped, and it still lists what is to go".to_owned();
    let held = StepEnd::Skipped { why: SkipReason::Held { why } };
    assert_eq!(fence(&over).end, Some(held.clone()));
    assert_eq!(over.seen.fences, 0, "nobody is looked at for it");
    let deletes = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepEnded { node, action, end, .. } if action == "delete" => Some((node.to_string(), end.clone())),
        _ => None,
    });
    let by_operator = StepEnd::Skipped { why: SkipReason::Operator { by: "cron@ops-1".to_owned() } };
    let deletes: BTreeMap<String, StepEnd> = deletes.collect();
    assert_eq!(deletes, [("a".to_owned(), held.clone()), ("b".to_owned(), by_operator), ("c".to_owned(), held)].into());
    assert_eq!((fate(&over, "a"), fate(&over, "b")), (Fate::Held, Fate::NotTried));
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn a_node_that_is_without_the_plugin_already_keeps_only_its_own_files_when_it_is_skipped() {
    // In the fence, which takes from 3 s to 4 s.
    let over = steered(&removal(), vec![(3500, skip("b"))]);
    assert!(matches!(fence(&over).end, Some(StepEnd::Done { .. })));
    assert_eq!((fate(&over, "a"), fate(&over, "b")), (Fate::Proven, Fate::Held));
    assert_eq!(over.state.nodes[&node("b")].now, "proven; files stay: skipped by cron@ops-1");
}

#[test]
fn what_is_put_back_is_not_skipped() {
    let back = Draft::new().cluster("eu", Rollout::default(), 0, &[&["a"]]).plan();
    let script = Script {
        steps: [(step_id(2), Act::End(2000, reapplied()))].into(),
        // Step 2 ends at 4 s; what it broke is put back from then on.
        orders: vec![(4500, skip("a"))],
        back: Some(back),
        ..Script::default()
    };
    let over = play(&removal(), script);
    assert_eq!(refused(&over).len(), 1, "{:?}", times(&over, &["steps-added", "node-skipped", "skip-refused"]));
    assert!(over.state.nodes[&node("a")].listed_again);
    let began = times(&over, &["steps-added", "skip-refused"]);
    assert_eq!(began.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["steps-added", "skip-refused"]);
}

#[test]
fn a_skip_that_was_asked_for_twice_is_answered_twice() {
    let over = steered(&six(), vec![(1200, skip("eu-5")), (1300, skip("eu-5"))]);
    assert_eq!(times(&over, &["node-skipped", "skip-refused"]), [("node-skipped", 1), ("skip-refused", 1)]);
}

#[test]
fn a_node_is_skipped_while_the_run_is_paused() {
    let orders = vec![(1500, Order::Pause), (20_000, skip("eu-3")), (30_000, Order::Resume)];
    let over = steered(&six(), orders);
    assert_eq!(times(&over, &["node-skipped"]), [("node-skipped", 20)]);
    assert_eq!((over.state.counts().proven, over.state.counts().not_tried), (5, 1));
    assert_eq!(over.seen.released.len(), 6);
}
