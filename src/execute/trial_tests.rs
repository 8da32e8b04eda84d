//! What a trial load that fails means for the nodes of its cluster, and for the clusters behind it.

use std::collections::BTreeSet;

use super::errand::cause;
use super::fake::{Act, Draft, Over, Rollout, Script, cluster, done, node, play, step_id};
use crate::action::{Action, Rehearse};
use crate::plan::Plan;
use crate::run::{Cause, EventKind, Fate, StepEnd, Verdict};

/// Two clusters of three nodes; a delivery and a trial load for each: steps 0-5 and 9-14, trial loads the odd ones of the first.
fn two(rollout: Rollout) -> Plan {
    let waves: [&[&[&str]]; 2] = [&[&["a-1"], &["a-2", "a-3"]], &[&["b-1"], &["b-2", "b-3"]]];
    let draft = Draft::new().cluster("a", rollout, 2, waves[0]).cluster("b", rollout, 2, waves[1]);
    let mut plan = draft.plan();
    for step in &mut plan.steps {
        if matches!(&step.action, Action::Deliver(deliver) if deliver.bundle.as_str() == "acme-auth") {
            step.action = Action::Rehearse(Box::new(Rehearse {
                plugins: "bundled,acme-auth".to_owned(),
                added: BTreeSet::new(),
                staged: Vec::new().into(),
                search_path: None,
                runs: true,
            }));
        }
    }
    plan
}

fn fails(code: &str) -> Act {
    Act::End(1000, StepEnd::Failed { cause: cause(code, "acme-auth 2.0.0 does not load on a-1: handler.lua:12: no") })
}

fn run(rollout: Rollout, step: u32, act: Act) -> Over {
    play(&two(rollout), Script { steps: [(step_id(step), act)].into(), ..Script::default() })
}

fn begun(over: &Over, verb: &str) -> usize {
    let is_it = |kind: &EventKind| matches!(kind, EventKind::StepStarted { action, .. } if action == verb);
    over.seen.events.iter().filter(|event| is_it(&event.kind)).count()
}

#[test]
fn content_that_does_not_load_changes_no_node_whatever_may_fail() {
    for max_failed in [0, 2] {
        let rollout = Rollout { max_failed, ..Rollout::default() };
        let over = run(rollout, 1, fails(Cause::DOES_NOT_LOAD));
        assert_eq!(begun(&over, "activate"), 0, "max_failed {max_failed}");
        assert_eq!(over.state.verdict, Some(Verdict::NotReached));
        let why = &over.state.stopped[&cluster("a")];
        let said = "not begun: acme-auth 2.0.0 does not load on a-1: handler.lua:12: no; correct it, then plan again";
        assert_eq!(why, said);
        assert!(over.state.nodes.values().all(|run| !run.proven()));
        assert_eq!(over.state.counts_of(&cluster("b")).not_tried, 3, "a later cluster was begun");
    }
}

#[test]
fn what_is_wrong_with_a_node_keeps_that_node_back_and_the_rest_goes_on_where_one_may_fail() {
    let allowed = Rollout { max_failed: 1, ..Rollout::default() };
    let over = run(allowed, 3, fails(Cause::DOES_NOT_LOAD_HERE));
    assert_eq!(over.state.nodes[&node("a-2")].fate, Fate::Failed);
    assert_eq!((begun(&over, "activate"), over.state.counts().proven), (5, 5));
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    let over = run(Rollout::default(), 1, fails(Cause::DOES_NOT_LOAD_HERE));
    assert_eq!(begun(&over, "activate"), 0);
    assert!(over.state.stopped[&cluster("a")].starts_with("not begun: acme-auth 2.0.0 does not load on a-1"));
}

#[test]
fn a_trial_load_that_is_lost_counts_as_any_step_that_is() {
    let over = run(Rollout::default(), 1, Act::End(1000, StepEnd::Unknown { cause: cause("lost", "it broke") }));
    assert_eq!(begun(&over, "activate"), 0);
    assert_eq!(over.state.stopped[&cluster("a")], "1 failed, 0 allowed");
    let over = run(Rollout::default(), 1, Act::End(10, done()));
    assert_eq!(over.state.verdict, Some(Verdict::Converged));
}
