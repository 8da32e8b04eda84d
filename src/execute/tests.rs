//! What a run does, case by case, on scripted nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::Looked;
use super::errand::cause;
use super::fake::{
    Act, Draft, Order, Over, Rollout, Script, cluster, done, failed, moved, node, play, rolled_back, step_id, unknown,
};
use crate::hint::Hint;
use crate::perform::LeaseRefusal;
use crate::plan::{Blocker, BlockerCode, Plan, Scope};
use crate::run::{CancelLevel, Cause, EventKind, Fate, SkipReason, StepEnd, SurveyCounts, Verdict};

/// One cluster, three waves of 1, 2 and 3 nodes, one bundle each: deliveries are steps 0-5, activations 6-11.
fn six(rollout: Rollout) -> Plan {
    Draft::new().cluster("eu-prod", rollout, 1, &[&["eu-1"], &["eu-2", "eu-3"], &["eu-4", "eu-5", "eu-6"]]).plan()
}

fn acts(acts: impl IntoIterator<Item = (u32, Act)>) -> Script {
    Script { steps: acts.into_iter().map(|(id, act)| (step_id(id), act)).collect(), ..Script::default() }
}

fn fate(over: &Over, name: &str) -> Fate {
    over.state.nodes[&node(name)].fate
}

fn started(over: &Over, action: &str) -> Vec<String> {
    let started = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepStarted { node, action: verb, .. } if verb == action => Some(node.to_string()),
        _ => None,
    });
    started.collect()
}

fn words(over: &Over) -> Vec<&'static str> {
    over.seen.events.iter().filter(|event| !event.kind.is_chatter()).map(|event| event.kind.word()).collect()
}

#[test]
fn a_good_run_converges_after_looking_again() {
    let over = play(&six(Rollout { soak: 30, ..Rollout::default() }), Script::default());
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
    assert_eq!(over.state.counts().proven, 6);
    assert_eq!(over.state.waves_proven[&cluster("eu-prod")], 3);
    assert_eq!(over.seen.released.len(), 6);
    assert_eq!(words(&over).last(), Some(&"run-ended"));
    assert_eq!(over.seen.durable, over.state.seq);
}

#[test]
fn drift_that_is_left_is_not_converged() {
    let looked = Looked {
        counts: SurveyCounts { in_line: 5, drift: 1, ..SurveyCounts::default() },
        left: vec!["eu-4: acme-auth".to_owned()],
        in_line: BTreeSet::new(),
    };
    let over = play(&six(Rollout::default()), Script { looked: Some(looked), ..Script::default() });
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn a_plan_without_steps_is_in_line_after_a_look() {
    let over = play(&Draft::new().plan(), Script::default());
    assert_eq!(over.state.verdict, Some(Verdict::InLine));
    assert_eq!(over.seen.looked, 1);
}

#[test]
fn a_hundred_nodes_with_a_bad_plugin_stop_in_the_first_wave() {
    let names: Vec<String> = (1..=100).map(|n| format!("eu-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let waves = [&names[..1], &names[1..10], &names[10..40], &names[40..]];
    let plan = Draft::new().cluster("eu-prod", Rollout::default(), 1, &waves).plan();
    let over = play(&plan, acts((100..200).map(|id| (id, Act::End(3000, rolled_back())))));
    assert_eq!(started(&over, "activate"), ["eu-1"]);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    let counts = over.state.counts();
    assert_eq!((counts.rolled_back, counts.not_tried), (1, 99));
    assert_eq!(over.state.stopped[&cluster("eu-prod")], "1 failed, 0 allowed");
}

#[test]
fn failures_within_the_budget_do_not_stop_it_and_never_exit_0() {
    let over = play(&six(Rollout { max_failed: 1, ..Rollout::default() }), acts([(7, Act::End(10, rolled_back()))]));
    assert_eq!(over.state.counts().proven, 5);
    assert_eq!(fate(&over, "eu-2"), Fate::RolledBack);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn rows_that_do_not_fit_stop_the_cluster_whatever_may_fail() {
    let rollout = Rollout { max_failed: 5, at_once: 1, ..Rollout::default() };
    let end = StepEnd::RolledBack { cause: cause(Cause::ROWS_INVALID, "1 row does not fit") };
    let over = play(&six(rollout), acts([(6, Act::End(10, end))]));
    assert_eq!(started(&over, "activate"), ["eu-1"]);
    assert_eq!(over.state.stopped[&cluster("eu-prod")], "1 row does not fit");
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn a_node_whose_delivery_failed_is_not_activated_and_counts() {
    let over = play(&six(Rollout { max_failed: 1, ..Rollout::default() }), acts([(1, Act::End(10, failed()))]));
    assert!(!started(&over, "activate").contains(&"eu-2".to_owned()));
    assert_eq!(over.state.counts().proven, 5);
    let skipped = EventKind::StepEnded {
        step: step_id(7),
        node: node("eu-2"),
        action: "activate".to_owned(),
        end: StepEnd::Skipped { why: SkipReason::Needs { step: step_id(1) } },
    };
    assert!(over.seen.events.iter().any(|event| event.kind == skipped));
    let over = play(&six(Rollout::default()), acts([(1, Act::End(10, failed()))]));
    assert_eq!(started(&over, "activate"), Vec::<String>::new());
}

#[test]
fn nodes_that_may_be_out_of_service_use_up_max_out() {
    let rollout = Rollout { max_failed: 5, max_out: 1, ..Rollout::default() };
    let over = play(&six(rollout), acts([(7, Act::End(10, unknown()))]));
    assert_eq!(started(&over, "activate"), ["eu-1", "eu-2"]);
    assert_eq!(over.state.stopped[&cluster("eu-prod")], "1 may be out of service, 1 allowed");
}

#[test]
fn a_panic_is_unknown_and_stops_the_run() {
    let over = play(&six(Rollout::default()), Script { looked: Some(Looked::default()), ..acts([(6, Act::Panic)]) });
    assert_eq!(fate(&over, "eu-1"), Fate::Unknown);
    let text = &over.state.nodes[&node("eu-1")].cause.as_ref().unwrap().text;
    assert_eq!(text, "muster's own worker stopped (scripted); report this as a bug");
    assert_eq!(started(&over, "activate"), ["eu-1"]);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn an_unknown_node_is_settled_by_being_seen_in_line() {
    let plan = Draft::new().cluster("eu", Rollout { max_failed: 1, ..Rollout::default() }, 0, &[&["a", "b"]]).plan();
    let over = play(&plan, acts([(0, Act::End(10, unknown()))]));
    assert_eq!((fate(&over, "a"), over.state.verdict), (Fate::Proven, Some(Verdict::Converged)));
    assert_eq!(over.seen.released, BTreeSet::from([node("b")]), "the lease of an unknown node is kept");

    let looked = Looked { in_line: BTreeSet::from([node("b")]), ..Looked::default() };
    let script = Script { looked: Some(looked), ..acts([(0, Act::End(10, unknown()))]) };
    let over = play(&plan, script);
    assert_eq!((fate(&over, "a"), over.state.verdict), (Fate::Unknown, Some(Verdict::Incomplete)));
}

#[test]
fn a_held_lease_ends_it_before_anything_is_changed() {
    let held = LeaseRefusal::Held(cause("locked", "01JD3 by ann@laptop, for 40 s more"));
    let leases = BTreeMap::from([(node("eu-3"), held)]);
    let over = play(&six(Rollout::default()), Script { leases, ..Script::default() });
    assert_eq!(over.state.verdict, Some(Verdict::Locked));
    assert!(!words(&over).contains(&"step-started"));
    assert_eq!(over.seen.released.len(), 5);
    assert_eq!(over.seen.looked, 0);
}

#[test]
fn a_node_that_cannot_give_its_lease_is_left_alone() {
    let leases = BTreeMap::from([(node("eu-3"), LeaseRefusal::Failed(cause("timed-out", "no answer in 10 s")))]);
    let over = play(&six(Rollout::default()), Script { leases, ..Script::default() });
    assert_eq!(over.state.counts().proven, 5);
    assert_eq!(fate(&over, "eu-3"), Fate::Unknown);
    assert!(!started(&over, "deliver").contains(&"eu-3".to_owned()));
    assert_eq!(over.state.verdict, Some(Verdict::Incomplete));
}

#[test]
fn a_run_wide_blocker_refuses_it() {
    let mut plan = six(Rollout::default());
    plan.blockers.push(Blocker {
        code: BlockerCode::TooManyUnreachable,
        scope: Scope::Run,
        what: "9 of 28 nodes are unreachable, 2 are allowed".to_owned(),
        details: Vec::new(),
        hints: vec![Hint::type_("muster --apply --allow too-many-unreachable")],
    });
    let over = play(&plan, Script::default());
    assert_eq!(over.state.verdict, Some(Verdict::Refused));
    assert!(!words(&over).contains(&"lease-taken"));
}

#[test]
fn a_node_that_moved_is_not_tried_and_costs_nothing_but_its_wave() {
    let over = play(&six(Rollout::default()), acts([(7, Act::End(10, moved()))]));
    assert_eq!(fate(&over, "eu-2"), Fate::NotTried);
    assert_eq!(over.state.counts().proven, 5);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    // Alone in its wave: that wave proved nothing, so that no other may stand on it.
    let over = play(&six(Rollout::default()), acts([(6, Act::End(10, moved()))]));
    assert_eq!((fate(&over, "eu-1"), over.state.counts().proven), (Fate::NotTried, 0));
    assert!(over.state.stopped.values().any(|why| why.contains("wave 1 proved nothing")));
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn one_bad_poll_is_forgiven_two_in_a_row_are_not() {
    let rollout = Rollout { soak: 30, ..Rollout::default() };
    let once = BTreeMap::from([(node("eu-1"), vec![true, false, true, false])]);
    let over = play(&six(rollout), Script { health: once, ..Script::default() });
    assert_eq!(over.state.verdict, Some(Verdict::Converged));

    let twice = BTreeMap::from([(node("eu-1"), vec![true, false, false])]);
    let over = play(&six(rollout), Script { health: twice, ..Script::default() });
    assert_eq!(fate(&over, "eu-1"), Fate::Failed);
    assert_eq!(started(&over, "activate"), ["eu-1"]);
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
}

#[test]
fn doubt_at_the_end_of_the_soak_is_settled_before_the_next_wave() {
    let rollout = Rollout { soak: 10, ..Rollout::default() };
    // Polled every second from 0 to 10: the eleventh answer is the last one of the soak.
    let late = BTreeMap::from([(node("eu-1"), [vec![true; 10], vec![false, false]].concat())]);
    let over = play(&six(rollout), Script { health: late, ..Script::default() });
    assert_eq!(fate(&over, "eu-1"), Fate::Failed);
    assert!(!over.state.waves_proven.contains_key(&cluster("eu-prod")));
}

#[test]
fn cancelling_after_the_wave_ends_the_wave_with_its_soak() {
    let rollout = Rollout { soak: 30, ..Rollout::default() };
    let script = Script { orders: vec![(2000, Order::Cancel(CancelLevel::AfterWave))], ..Script::default() };
    let over = play(&six(rollout), script);
    assert_eq!(started(&over, "activate"), ["eu-1"]);
    assert_eq!(over.state.waves_proven[&cluster("eu-prod")], 1);
    assert_eq!((over.state.verdict, over.seen.looked), (Some(Verdict::Interrupted), 1));
}

#[test]
fn cancelling_after_the_steps_lets_running_ones_end() {
    let rollout = Rollout { at_once: 1, ..Rollout::default() };
    // Deliveries end at 6.05 s, eu-1 at 7.05 s, eu-2 at 8.05 s.
    let script = Script { orders: vec![(7500, Order::Cancel(CancelLevel::AfterSteps))], ..Script::default() };
    let over = play(&six(rollout), script);
    assert_eq!(started(&over, "activate"), ["eu-1", "eu-2"]);
    assert_eq!(fate(&over, "eu-2"), Fate::Proven);
    assert_eq!(over.state.counts().not_tried, 4);
}

#[test]
fn leaving_drops_what_is_not_proven_and_lets_a_commit_end() {
    let script = Script {
        orders: vec![(3000, Order::Cancel(CancelLevel::LeaveSteps))],
        ..acts([(6, Act::End(0, done())), (7, Act::Slow), (8, Act::Hang)])
    };
    let over = play(&six(Rollout::default()), script);
    assert_eq!((fate(&over, "eu-2"), fate(&over, "eu-3")), (Fate::Proven, Fate::Unknown));
    assert_eq!(over.state.nodes[&node("eu-3")].cause.as_ref().unwrap().code, "left");
    assert_eq!((over.state.verdict, over.seen.looked), (Some(Verdict::Interrupted), 0));
    let stopped: Vec<&String> = over.state.stopped.values().collect();
    assert!(matches!(stopped[..], [why] if why.starts_with("by ") && why.ends_with(" (leave steps)")), "{stopped:?}");
}

#[test]
fn closing_drops_everything() {
    let script = Script {
        orders: vec![(3000, Order::Cancel(CancelLevel::Close))],
        ..acts([(6, Act::End(0, done())), (7, Act::Slow), (8, Act::Hang)])
    };
    let over = play(&six(Rollout::default()), script);
    assert_eq!((fate(&over, "eu-2"), fate(&over, "eu-3")), (Fate::Unknown, Fate::Unknown));
    assert!(over.seen.released.is_empty());
}

#[test]
fn a_pause_holds_the_next_wave_until_it_is_resumed() {
    let orders = vec![(10, Order::Pause), (600_000, Order::Resume)];
    let over = play(&six(Rollout::default()), Script { orders, ..Script::default() });
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
    let waves = over.seen.events.iter().filter(|event| matches!(event.kind, EventKind::WaveStarted { .. }));
    let times: Vec<_> = waves.map(|event| event.at.duration_since(super::fake::start()).as_secs()).collect();
    // It was asked for before the first.
    assert_eq!(times, [600, 601, 602]);
}

#[test]
fn a_journal_that_cannot_be_written_stops_it_before_the_next_step() {
    // run-started, six leases, six starts of deliveries: the last of those cannot be kept.
    let over = play(&six(Rollout::default()), Script { disk_full_at: Some(13), ..Script::default() });
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    assert!(over.state.stopped[&cluster("eu-prod")].starts_with("the journal cannot be written"));
    assert_eq!(over.state.counts().not_tried, 6);
    assert!(over.seen.unannounced.is_empty());
}

#[test]
fn a_step_whose_start_is_not_durable_is_not_begun() {
    // The start of the first delivery is the eighth fact.
    let over = play(&six(Rollout::default()), Script { sync_fails_at: Some(8), ..Script::default() });
    assert_eq!(over.seen.unannounced, []);
    assert_eq!((over.state.counts().not_tried, over.state.verdict), (6, Some(Verdict::NotReached)));
}

#[test]
fn a_stopped_cluster_keeps_later_ones_from_beginning() {
    let plan = Draft::new()
        .cluster("canary", Rollout::default(), 0, &[&["c-1"]])
        .cluster("prod", Rollout::default(), 0, &[&["p-1"]])
        .plan();
    let over = play(&plan, acts([(0, Act::End(10, rolled_back()))]));
    assert_eq!(started(&over, "activate"), ["c-1"]);
    assert_eq!(fate(&over, "p-1"), Fate::NotTried);
}
