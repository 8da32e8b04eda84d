//! Removals: what a run does when a step of the whole cluster does not end well, case by case.

use super::fake::{
    Act, Draft, Order, Over, Rollout, Script, cluster, done, failed, held, node, play, reapplied, step_id, unknown,
};
use crate::plan::Plan;
use crate::run::{CancelLevel, EventKind, Fate, SkipReason, StepEnd, Verdict};

/// Step 0 un-applies, 1 to 3 activate a, b and c in two waves, 4 is the fence, 5 to 7 delete.
fn plan() -> Plan {
    let rollout = Rollout { at_once: 1, ..Rollout::default() };
    Draft::new().removal("eu", rollout, &[&["a"], &["b", "c"]]).plan()
}

/// What lists the plugin again on these nodes.
fn back(nodes: &[&str]) -> Plan {
    Draft::new().cluster("eu", Rollout::default(), 0, &[nodes]).plan()
}

fn act(id: u32, end: StepEnd) -> Script {
    Script { steps: [(step_id(id), Act::End(1000, end))].into(), ..Script::default() }
}

fn begun(over: &Over) -> Vec<String> {
    let begun = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepStarted { node, action, .. } => Some(format!("{action} {node}")),
        EventKind::ClusterStepStarted { action, .. } => Some(action.clone()),
        _ => None,
    });
    begun.collect()
}

fn end_of(over: &Over, id: u32) -> StepEnd {
    let mut ends = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepEnded { step, end, .. } | EventKind::ClusterStepEnded { step, end, .. }
            if *step == step_id(id) =>
        {
            Some(end.clone())
        }
        _ => None,
    });
    ends.next().unwrap_or_else(|| panic!("step {id} has no end"))
}

const ALL: [&str; 8] =
    ["un-apply", "activate a", "activate b", "activate c", "fence", "delete a", "delete b", "delete c"];

#[test]
fn a_removal_goes_rows_then_names_then_the_fence_then_files() {
    let over = play(&plan(), Script::default());
    assert_eq!((begun(&over), over.state.verdict), (ALL.map(str::to_owned).to_vec(), Some(Verdict::Converged)));
    assert_eq!((over.seen.fences, over.seen.unannounced.len()), (1, 0));
}

#[test]
fn rows_that_cannot_be_un_applied_stop_the_whole_cluster() {
    for end in [failed(), unknown()] {
        let over = play(&plan(), act(0, end));
        assert_eq!((begun(&over), over.state.verdict), (vec!["un-apply".to_owned()], Some(Verdict::NotReached)));
        assert!(over.state.stopped[&cluster("eu")].starts_with("un-apply legacy: "), "{:?}", over.state.stopped);
        assert_eq!((over.state.counts().not_tried, over.seen.looked), (3, 1));
    }
}

#[test]
fn a_fence_that_is_held_holds_the_files_and_says_why() {
    let over = play(&plan(), Script { fence: Some(held()), ..Script::default() });
    assert_eq!(begun(&over), ALL[..5]);
    for id in 5..8 {
        assert_eq!(end_of(&over, id), held());
    }
    assert_eq!((over.state.verdict, over.state.stopped.len()), (Some(Verdict::NotReached), 0));
    assert!(over.state.nodes.values().all(crate::run::NodeRun::proven), "step 2 is proven all the same");
    let counts = over.state.counts();
    assert_eq!((counts.total, counts.held, counts.not_tried, counts.proven), (3, 3, 0, 0));
    assert_eq!(over.state.nodes[&node("b")].now, "proven; files held: eu-9: could not be seen");
}

#[test]
fn files_that_nobody_got_to_are_told_from_nodes_that_nobody_tried() {
    // The deletion on a fails, so that those on b and c are not begun.
    let over = play(&plan(), act(5, failed()));
    let counts = over.state.counts();
    assert_eq!((counts.failed, counts.held, counts.not_tried), (1, 2, 0));
    assert_eq!(over.state.nodes[&node("c")].now, "proven; files stay: the cluster was stopped");
    assert_eq!(over.state.verdict, Some(Verdict::NotReached));
    // The second step fails on b, so that c is not tried; the files of a stay.
    let over = play(&plan(), act(2, failed()));
    let counts = over.state.counts();
    assert_eq!((counts.failed, counts.held, counts.not_tried), (1, 1, 1));
}

#[test]
fn a_fence_that_is_held_keeps_no_other_fence_back() {
    let mut plan = plan();
    let mut second = plan.steps[4].clone();
    second.id = step_id(8);
    plan.steps.push(second);
    let over = play(&plan, Script { fence: Some(held()), ..Script::default() });
    assert_eq!(over.seen.fences, 2);
}

#[test]
fn a_row_found_at_the_recount_puts_back_in_spite_of_the_spent_budget() {
    let over = play(&plan(), Script { back: Some(back(&["a"])), ..act(2, reapplied()) });
    assert_eq!(begun(&over), ["un-apply", "activate a", "activate b", "activate a"]);
    assert_eq!((over.state.verdict, end_of(&over, 8)), (Some(Verdict::NotReached), done()));
    assert_eq!(over.state.nodes[&node("a")].fate, Fate::NotTried, "its files were to go");
    let cause = &over.state.added[&cluster("eu")];
    assert!(cause.text.contains("legacy: service billing"), "{cause:?}");
    assert_eq!(
        cause.details.last().unwrap(),
        "a would not start again now, as it does not list it; it is listed again"
    );
    assert_eq!(cause.hints.len(), 2, "both ways out");
    assert!(!over.state.stopped[&cluster("eu")].contains("would not start"), "nothing is in danger any more");
}

#[test]
fn a_row_found_at_the_fence_puts_back_on_every_node() {
    let script = Script { fence: Some(reapplied()), back: Some(back(&["a", "b", "c"])), ..Script::default() };
    let over = play(&plan(), script);
    let again = ["activate a", "activate b", "activate c"];
    assert_eq!(begun(&over), [&ALL[..5], &again].concat());
    assert_eq!((over.state.verdict, over.state.counts().proven), (Some(Verdict::NotReached), 0), "files were to go");
    let waves = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::WaveStarted { wave, of, nodes, .. } => Some((*wave, *of, nodes.len())),
        _ => None,
    });
    assert_eq!(waves.collect::<Vec<_>>(), [(1, 2, 1), (2, 2, 2), (3, 3, 3)]);
    let details = &over.state.added[&cluster("eu")].details;
    assert!(details.last().unwrap().contains("would not start again now, as they do not list it"), "{details:?}");
}

#[test]
fn a_node_that_was_not_seen_at_first_is_of_the_run_once_it_is_put_back() {
    let script = Script { fence: Some(reapplied()), back: Some(back(&["d"])), ..Script::default() };
    let over = play(&plan(), script);
    assert_eq!(begun(&over).last().unwrap(), "activate d");
    let late = &over.state.nodes[&node("d")];
    assert_eq!((late.fate, late.wave, late.touched), (Fate::Proven, 3, true));
    assert!(over.seen.released.contains(&node("d")));
    assert!(over.state.nodes_of(&cluster("eu")).any(|(name, _)| *name == node("d")));
}

#[test]
fn what_cannot_be_put_back_is_named_as_in_danger() {
    let danger = |over: &Over| over.state.stopped[&cluster("eu")].clone();
    let over = play(&plan(), act(2, reapplied()));
    assert!(
        danger(&over).ends_with("a would not start again now, as it does not list what is used"),
        "{}",
        danger(&over)
    );
    // Step 8 is the first of those that were added.
    let mut script = Script { back: Some(back(&["a"])), ..act(2, reapplied()) };
    script.steps.insert(step_id(8), Act::End(10, failed()));
    let over = play(&plan(), script);
    assert!(
        danger(&over).ends_with("a would not start again now, as it does not list what is used"),
        "{}",
        danger(&over)
    );
    let mut blocked = Draft::new().plan();
    blocked.blockers.push(crate::plan::Blocker {
        code: crate::plan::BlockerCode::TooManyUnreachable,
        scope: crate::plan::Scope::Run,
        what: "a has no files of legacy".to_owned(),
        details: Vec::new(),
        hints: Vec::new(),
    });
    let over = play(&plan(), Script { back: Some(blocked), ..act(2, reapplied()) });
    assert!(danger(&over).ends_with("not put back: a has no files of legacy"), "{}", danger(&over));
}

/// Leases are taken at 0.05 s, rows un-applied from then on for a second.
fn cancelled(script: Script, at: u64, level: CancelLevel) -> Over {
    let over = play(&plan(), Script { orders: vec![(at, Order::Cancel(level))], ..script });
    assert_eq!(over.state.verdict, Some(Verdict::Interrupted));
    over
}

#[test]
fn an_un_apply_ends_by_itself_on_all_rungs_but_the_last() {
    for level in [CancelLevel::AfterWave, CancelLevel::AfterSteps, CancelLevel::LeaveSteps] {
        let over = cancelled(Script::default(), 500, level);
        assert_eq!((begun(&over), end_of(&over, 0)), (vec!["un-apply".to_owned()], done()), "{level:?}");
    }
    let over = cancelled(Script::default(), 500, CancelLevel::Close);
    let StepEnd::Unknown { cause } = end_of(&over, 0) else { panic!("{:?}", end_of(&over, 0)) };
    assert!(
        cause.text.contains("undo bundle") && cause.hints[1].to_string().contains("muster restore-rows"),
        "{cause:?}"
    );
}

#[test]
fn a_fence_that_is_left_is_no_unknown_and_no_file_goes_after_a_cancel() {
    for level in [CancelLevel::AfterWave, CancelLevel::AfterSteps] {
        let over = cancelled(Script::default(), 4500, level);
        assert_eq!((begun(&over), end_of(&over, 4)), (ALL[..5].iter().map(ToString::to_string).collect(), done()));
    }
    for level in [CancelLevel::LeaveSteps, CancelLevel::Close] {
        let over = cancelled(Script::default(), 4500, level);
        assert_eq!(end_of(&over, 4), StepEnd::Skipped { why: SkipReason::Cancelled }, "{level:?}");
    }
}

#[test]
fn it_is_put_back_after_a_cancel_that_lets_steps_end_and_named_after_one_that_does_not() {
    let script = || Script { back: Some(back(&["a"])), ..act(2, reapplied()) };
    for level in [CancelLevel::AfterWave, CancelLevel::AfterSteps] {
        let over = cancelled(script(), 2500, level);
        assert_eq!(begun(&over).last().unwrap(), "activate a", "{level:?}");
    }
    // The last order comes while the node is put back.
    let over = cancelled(
        Script { steps: [(step_id(2), Act::End(1000, reapplied())), (step_id(8), Act::Hang)].into(), ..script() },
        3500,
        CancelLevel::LeaveSteps,
    );
    assert!(over.state.stopped[&cluster("eu")].contains("a would not start again now"), "{:?}", over.state.stopped);
}

#[test]
fn rows_are_not_touched_when_the_journal_cannot_say_so_first() {
    // run-started and three leases come before it.
    for script in
        [Script { disk_full_at: Some(5), ..Script::default() }, Script { sync_fails_at: Some(5), ..Script::default() }]
    {
        let over = play(&plan(), script);
        assert_eq!(end_of(&over, 0), StepEnd::Skipped { why: SkipReason::NotRecorded });
        assert_eq!((over.seen.unannounced.len(), over.state.verdict), (0, Some(Verdict::NotReached)));
    }
}
