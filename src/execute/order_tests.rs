//! Over random plans, outcomes and orders: in no prefix of any run is a rule of the order broken, and the fold over the
//! events says what the run says, however they arrive.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::errand::cause;
use super::fake::{
    Act, Draft, Order, Over, Rollout, Script, done, failed, held, moved, node, play, reapplied, rolled_back, step_id,
    unknown,
};
use crate::action::Action;
use crate::name::{ClusterName, NodeName};
use crate::perform::LeaseRefusal;
use crate::plan::{ClusterPlan, Phase, Plan, Step, StepId};
use crate::run::{CancelLevel, Cause, Event, EventKind, Fate, RunState, SkipReason, StepEnd, Verdict};

/// What is known of a run so far, kept on its own, so that it does not share the mistakes of the dispatcher.
#[derive(Default)]
struct Model {
    running: BTreeMap<StepId, NodeName>,
    /// Of whole clusters.
    running_once: BTreeSet<StepId>,
    /// Clusters of which nothing may begin any more, whatever its budget.
    stopped: BTreeSet<ClusterName>,
    started: BTreeSet<StepId>,
    ends: BTreeMap<StepId, bool>,
    leases: BTreeSet<NodeName>,
    failed: BTreeMap<ClusterName, usize>,
    out: BTreeMap<ClusterName, usize>,
    waves: BTreeMap<ClusterName, u32>,
    cancel: Option<CancelLevel>,
    paused: bool,
    /// Nodes on which nothing may begin any more, as somebody had them skipped.
    skipped: BTreeSet<NodeName>,
    locked: bool,
    over: bool,
}

impl Model {
    fn take(&mut self, plan: &Plan, event: &Event) -> Result<(), String> {
        if self.over {
            return Err("something after the end".to_owned());
        }
        match &event.kind {
            EventKind::LeaseTaken { node } => {
                self.leases.insert(node.clone());
            }
            EventKind::LeaseRefused { .. } => self.locked = true,
            EventKind::CancelRequested { level, .. } => {
                if self.cancel >= Some(*level) {
                    return Err("cancelling did not rise".to_owned());
                }
                self.cancel = Some(*level);
            }
            EventKind::RunPaused { .. } => {
                let idle = self.running.is_empty() && self.running_once.is_empty();
                self.check(
                    idle && !self.paused && self.cancel.is_none(),
                    "a pause begins while something is under way",
                )?;
                self.paused = true;
            }
            EventKind::RunResumed { .. } => {
                self.check(self.paused && self.cancel.is_none(), "it goes on without a pause")?;
                self.paused = false;
            }
            EventKind::NodeSkipped { node, .. } => {
                let at_work = self.running.values().any(|other| other == node);
                self.check(!at_work, "a node is skipped while a step runs on it")?;
                self.skipped.insert(node.clone());
            }
            EventKind::WaveStarted { cluster, wave, .. } => self.wave(plan, cluster, *wave)?,
            EventKind::WaveProven { .. } => {
                self.check(self.running.is_empty(), "a wave is proven while a step runs")?;
            }
            EventKind::NodeUnhealthy { node, .. } => {
                let cluster = plan.steps.iter().find(|s| s.target.is(node)).map(|s| s.cluster.clone()).unwrap();
                *self.failed.entry(cluster.clone()).or_default() += 1;
                *self.out.entry(cluster).or_default() += 1;
            }
            EventKind::StepStarted { step, .. } => self.begin(plan, plan.step(*step).ok_or("no such step")?)?,
            EventKind::StepEnded { step, end, .. } => self.end(plan.step(*step).ok_or("no such step")?, end)?,
            EventKind::ClusterStepStarted { step, .. } => {
                self.begin_once(plan, plan.step(*step).ok_or("no such step")?)?;
            }
            EventKind::ClusterStepEnded { step, end, .. } => {
                self.end_once(plan.step(*step).ok_or("no such step")?, end)?;
            }
            EventKind::RunEnded { .. } => {
                self.check(self.running.is_empty() && self.running_once.is_empty(), "a step outlives the run")?;
                self.check(self.ends.len() == plan.steps.len(), "a step has no end")?;
                self.over = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_once(&mut self, plan: &Plan, step: &Step) -> Result<(), String> {
        self.check(step.target.node().is_none(), "a step of a node begins as one of a whole cluster")?;
        let first = self.started.insert(step.id);
        self.check(first && !self.ends.contains_key(&step.id), "a step begins twice, or after its end")?;
        self.check(self.running.is_empty() && self.running_once.is_empty(), "a cluster's step is not alone")?;
        self.check(self.cancel.is_none() && !self.locked, "a cluster's step begins after a cancel")?;
        self.check(!self.paused, "a cluster's step begins in a pause")?;
        self.check(step.needs.iter().all(|need| self.ends.get(need) == Some(&true)), "a need is not met")?;
        self.within_budget(plan, &step.cluster)?;
        let mut waves = plan.steps.iter().filter(|s| s.cluster == step.cluster && matches!(s.phase, Phase::Wave(_)));
        match step.phase {
            Phase::Unapply => self.check(!self.waves.contains_key(&step.cluster), "rows go after a wave has begun")?,
            Phase::Fence => self.check(waves.all(|s| self.ends.contains_key(&s.id)), "a fence before the last wave")?,
            _ => return Err("a step of a whole cluster in a phase of nodes".to_owned()),
        }
        self.running_once.insert(step.id);
        Ok(())
    }

    fn end_once(&mut self, step: &Step, end: &StepEnd) -> Result<(), String> {
        let ran = self.running_once.remove(&step.id);
        self.check(ran || matches!(end, StepEnd::Skipped { .. }), "a cluster's step that did not run ended")?;
        let before = self.ends.insert(step.id, matches!(end, StepEnd::Done { .. }));
        self.check(before.is_none(), "a step ends twice")?;
        if !matches!(end, StepEnd::Done { .. } | StepEnd::Skipped { .. }) {
            self.stopped.insert(step.cluster.clone());
        }
        Ok(())
    }

    fn within_budget(&self, plan: &Plan, cluster: &ClusterName) -> Result<(), String> {
        let failed = self.failed.get(cluster).copied().unwrap_or(0);
        self.check(failed <= policy(plan, cluster).max_failed, "a step begins without budget")?;
        self.check(!self.stopped.contains(cluster), "a step begins though its cluster was stopped")
    }

    fn check(&self, holds: bool, otherwise: &str) -> Result<(), String> {
        if holds { Ok(()) } else { Err(format!("{otherwise} (running: {:?})", self.running)) }
    }

    fn wave(&mut self, plan: &Plan, cluster: &ClusterName, wave: u32) -> Result<(), String> {
        self.check(self.cancel.is_none(), "a wave begins after a cancel")?;
        self.check(self.running.is_empty(), "a wave begins while a step runs")?;
        self.check(!self.paused, "a wave begins in a pause")?;
        self.check(self.waves.get(cluster) < Some(&wave), "waves are out of order")?;
        self.within_budget(plan, cluster)?;
        self.waves.insert(cluster.clone(), wave);
        Ok(())
    }

    fn begin(&mut self, plan: &Plan, step: &Step) -> Result<(), String> {
        let cluster = &step.cluster;
        let node = step.target.node().ok_or("a step of a whole cluster begins as one of a node")?;
        let policy = policy(plan, cluster);
        let first = self.started.insert(step.id);
        self.check(first, "a step begins twice")?;
        self.check(!self.ends.contains_key(&step.id), "a step begins after its end")?;
        self.check(self.leases.contains(node), "a step begins without a lease")?;
        self.check(!self.locked, "a step begins though another run holds a node")?;
        self.check(!self.paused, "a step begins in a pause")?;
        self.check(!self.skipped.contains(node), "a step begins on a node that was skipped")?;
        self.check(self.cancel < Some(CancelLevel::AfterSteps), "a step begins after a cancel")?;
        self.check(!self.running.values().any(|other| other == node), "two steps run on a node")?;
        self.check(step.needs.iter().all(|need| self.ends.get(need) == Some(&true)), "a need is not met")?;
        let earlier = plan.clusters.iter().take_while(|c| c.cluster != *cluster);
        for other in earlier {
            let mut steps = plan.steps.iter().filter(|s| s.cluster == other.cluster);
            self.check(
                steps.all(|s| self.ends.contains_key(&s.id)),
                "a cluster begins before the one before it is over",
            )?;
        }
        self.running.insert(step.id, node.clone());
        self.check(self.running.len() <= policy.at_once, "more run than at_once")?;
        self.check(self.running_once.is_empty(), "a node's step runs beside one of its cluster")?;
        self.within_budget(plan, cluster)?;
        match step.phase {
            Phase::Prepare => self.check(self.cancel.is_none() && !self.waves.contains_key(cluster), "a late delivery"),
            Phase::Unapply | Phase::Fence => Err("a step of a node in a phase of the whole cluster".to_owned()),
            Phase::Clean => {
                let fenced = step.needs.iter().filter_map(|need| plan.step(*need)).any(|s| s.phase == Phase::Fence);
                self.check(fenced && self.cancel.is_none(), "files are deleted without a fence, or after a cancel")
            }
            Phase::Wave(id) => {
                let number = plan.waves.iter().find(|wave| wave.id == id).map(|wave| wave.number);
                self.check(self.waves.get(cluster).copied() == number, "a step of another wave")?;
                let out = self.running.len() + self.out.get(cluster).copied().unwrap_or(0);
                self.check(out <= policy.max_out, "more out of service than max_out")
            }
        }
    }

    fn end(&mut self, step: &Step, end: &StepEnd) -> Result<(), String> {
        let ran = self.running.remove(&step.id).is_some();
        let skipped = matches!(end, StepEnd::Skipped { why } if !matches!(why, SkipReason::NodeMoved { .. }));
        // What holds files may be found on the node itself.
        let held = matches!(end, StepEnd::Skipped { why: SkipReason::Held { .. } });
        self.check(held || ran != skipped, "a step that did not run ended, or one that ran was skipped")?;
        let before = self.ends.insert(step.id, matches!(end, StepEnd::Done { .. }));
        self.check(before.is_none(), "a step ends twice")?;
        if !matches!(end, StepEnd::Done { .. } | StepEnd::Skipped { .. }) {
            *self.failed.entry(step.cluster.clone()).or_default() += 1;
            if matches!(end, StepEnd::Failed { cause } if cause.code == Cause::REAPPLIED) {
                self.stopped.insert(step.cluster.clone());
            }
            let out = !matches!(end, StepEnd::RolledBack { .. }) && matches!(step.phase, Phase::Wave(_));
            *self.out.entry(step.cluster.clone()).or_default() += usize::from(out);
        }
        Ok(())
    }
}

fn policy<'a>(plan: &'a Plan, cluster: &ClusterName) -> &'a ClusterPlan {
    plan.clusters.iter().find(|c| c.cluster == *cluster).unwrap()
}

const CLUSTERS: [&str; 3] = ["canary", "eu", "us"];

fn rollouts() -> impl Strategy<Value = Rollout> {
    let soak = prop_oneof![Just(0), Just(10), Just(120)];
    (1..5usize, 1..5usize, 0..3usize, soak).prop_map(|(at_once, max_out, max_failed, soak)| Rollout {
        at_once,
        max_out,
        max_failed,
        soak,
    })
}

/// One to three clusters of one to four waves of one to four nodes, with up to three bundles.
fn plans() -> impl Strategy<Value = Plan> {
    let cluster = (rollouts(), 0..5usize, prop::collection::vec(1..5usize, 1..5));
    prop::collection::vec(cluster, 1..4).prop_map(|clusters| {
        let mut draft = Draft::new();
        for (name, (rollout, bundles, sizes)) in CLUSTERS.iter().zip(clusters) {
            let mut number = 0;
            let mut wave = |size: usize| -> Vec<String> {
                (0..size)
                    .map(|_| {
                        number += 1;
                        format!("{name}-{number}")
                    })
                    .collect()
            };
            let waves: Vec<Vec<String>> = sizes.into_iter().map(&mut wave).collect();
            let waves: Vec<Vec<&str>> = waves.iter().map(|wave| wave.iter().map(String::as_str).collect()).collect();
            let waves: Vec<&[&str]> = waves.iter().map(Vec::as_slice).collect();
            draft = match bundles {
                4 => draft.removal(name, rollout, &waves),
                _ => draft.cluster(name, rollout, bundles, &waves),
            };
        }
        draft.plan()
    })
}

fn any_act() -> impl Strategy<Value = Act> {
    let after = 0..5000u64;
    let after_held = after.clone().prop_map(|after| Act::End(after, held()));
    let after_reapplied = after.clone().prop_map(|after| Act::End(after, reapplied()));
    prop_oneof![
        12 => after.clone().prop_map(|after| Act::End(after, done())),
        2 => after.clone().prop_map(|after| Act::End(after, rolled_back())),
        1 => after.clone().prop_map(|after| Act::End(after, failed())),
        1 => after.clone().prop_map(|after| Act::End(after, unknown())),
        1 => after.prop_map(|after| Act::End(after, moved())),
        1 => after_held,
        1 => after_reapplied,
        1 => Just(Act::Slow),
    ]
}

fn orders() -> impl Strategy<Value = Vec<(u64, Order)>> {
    use CancelLevel::{AfterSteps, AfterWave, Close, LeaveSteps};
    let cancel = prop::sample::select(vec![AfterWave, AfterSteps, LeaveSteps, Close]).prop_map(Order::Cancel);
    let names: Vec<NodeName> = CLUSTERS.iter().flat_map(|c| (1..=8).map(move |n| node(&format!("{c}-{n}")))).collect();
    let skip = prop::sample::select(names).prop_map(Order::Skip);
    let order = prop_oneof![1 => cancel, 2 => Just(Order::Pause), 2 => Just(Order::Resume), 2 => skip];
    // Some at once, some while the first waves are on.
    let time = prop_oneof![1 => 0..100u64, 3 => 0..10_000u64, 1 => 0..60_000u64];
    prop::collection::vec((time, order), 0..6).prop_map(|mut orders| {
        orders.sort_by_key(|(at, _)| *at);
        // Whoever pauses comes back one day, or the run would wait for ever.
        orders.push((1_000_000, Order::Resume));
        orders
    })
}

/// Which of many nodes something is wrong with; an index beyond the plan's nodes means none.
fn scripts() -> impl Strategy<Value = Script> {
    let acts = prop::collection::vec(any_act(), 48);
    let health = prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.8), 0..8), 16);
    let fence =
        prop_oneof![4 => Just(None), 1 => Just(Some(held())), 1 => Just(Some(reapplied())), 1 => Just(Some(unknown()))];
    (acts, health, 0..80usize, 0..80usize, prop_oneof![3 => Just(Vec::new()), 2 => orders()], fence).prop_map(
        |(acts, health, locked, deaf, orders, fence)| {
            let names: Vec<NodeName> =
                CLUSTERS.iter().flat_map(|c| (1..=16).map(move |n| node(&format!("{c}-{n}")))).collect();
            let mut leases = BTreeMap::new();
            if let Some(name) = names.get(locked) {
                leases.insert(name.clone(), LeaseRefusal::Held(cause("locked", "01JD3")));
            }
            if let Some(name) = names.get(deaf) {
                leases.insert(name.clone(), LeaseRefusal::Failed(cause("timed-out", "no answer")));
            }
            Script {
                steps: (0..).map(step_id).zip(acts).collect(),
                health: names.iter().step_by(3).cloned().zip(health).collect(),
                leases,
                orders,
                fence,
                ..Script::default()
            }
        },
    )
}

fn rules_hold(plan: &Plan, over: &Over) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut facts = 0;
    for event in &over.seen.events {
        facts += u64::from(!event.kind.is_chatter());
        prop_assert_eq!(event.seq, facts, "facts are numbered without gaps");
        model.take(plan, event).map_err(|why| TestCaseError::fail(format!("{why}, at {event:?}")))?;
    }
    prop_assert!(model.over);
    prop_assert_eq!(&over.seen.unannounced, &Vec::<StepId>::new());
    Ok(())
}

fn verdict_is_honest(over: &Over) -> Result<(), TestCaseError> {
    let verdict = over.state.verdict.unwrap();
    let all_proven = over.state.nodes.values().all(|node| node.fate == Fate::Proven);
    if verdict.exit() == 0 {
        prop_assert!(all_proven && over.seen.looked == 1 && over.state.cancel.is_none());
        let mut steps = over.state.cluster_steps.values().flatten();
        let all_hold = steps.all(|step| matches!(step.end, Some(StepEnd::Done { .. })));
        prop_assert!(all_hold, "a cluster's step does not hold");
    }
    if over.state.cancel.is_some() {
        prop_assert_eq!(verdict, Verdict::Interrupted);
    }
    let counts = over.state.counts();
    prop_assert_eq!(counts.under_way, 0);
    let sum = counts.proven + counts.rolled_back + counts.failed + counts.unknown + counts.held + counts.not_tried;
    prop_assert_eq!(sum, counts.total);
    Ok(())
}

fn leases_are_given_back(over: &Over) -> Result<(), TestCaseError> {
    if over.state.cancel == Some(CancelLevel::Close) {
        return Ok(());
    }
    let unknown = over.seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepEnded { node, end: StepEnd::Unknown { .. }, .. } => Some(node),
        _ => None,
    });
    let unknown: BTreeSet<&NodeName> = unknown.collect();
    for event in &over.seen.events {
        if let EventKind::LeaseTaken { node } = &event.kind {
            prop_assert!(unknown.contains(node) != over.seen.released.contains(node), "{}", node);
        }
    }
    Ok(())
}

/// The fold says the same however the events arrive.
fn fold_agrees(over: &Over, cut: prop::sample::Index) -> Result<(), TestCaseError> {
    let events = &over.seen.events;
    prop_assert_eq!(&RunState::of(events), &over.state);
    let facts: Vec<&Event> = events.iter().filter(|event| !event.kind.is_chatter()).collect();
    let twice = facts.iter().flat_map(|event| [*event, *event]);
    let thinned = RunState::of(facts.iter().copied());
    prop_assert_eq!(&RunState::of(twice), &thinned);
    prop_assert_eq!(thinned.verdict, over.state.verdict);
    prop_assert_eq!(thinned.counts(), over.state.counts());

    // A viewer that lost its place begins anew: what it knows already does no harm.
    let cut = cut.index(facts.len());
    let again = RunState::of(facts[..cut].iter().chain(&facts).copied());
    prop_assert_eq!(&again, &thinned);

    // A journal that was cut short never claims more than was seen.
    let short = RunState::of(facts[..cut].iter().copied());
    if short.verdict().exit() == 0 {
        prop_assert!(short.looked.is_some() && short.counts().proven == short.counts().total);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_prefix_of_any_run_breaks_a_rule(plan in plans(), script in scripts(), cut in any::<prop::sample::Index>()) {
        let over = play(&plan, script);
        rules_hold(&plan, &over)?;
        verdict_is_honest(&over)?;
        leases_are_given_back(&over)?;
        fold_agrees(&over, cut)?;
    }
}

#[test]
fn the_lease_stays_where_a_deletion_was_lost_though_the_node_had_failed_before() {
    let rollout = Rollout { at_once: 1, max_failed: 1, soak: 30, ..Rollout::default() };
    let plan = Draft::new().removal("eu", rollout, &[&["a", "b"]]).plan();
    let delete = plan.steps.iter().find(|step| matches!(step.action, Action::Delete(_))).unwrap();
    let lost = Act::End(0, StepEnd::Unknown { cause: cause("lost", "the connection broke") });
    let (node, steps) = (delete.target.node().unwrap().clone(), [(delete.id, lost)].into());
    let over = play(&plan, Script { steps, health: [(node.clone(), vec![false; 9])].into(), ..Script::default() });
    assert_eq!(over.state.nodes[&node].fate, Fate::Failed);
    assert!(
        over.seen
            .events
            .iter()
            .any(|event| matches!(&event.kind, EventKind::StepEnded { end: StepEnd::Unknown { .. }, .. }))
    );
    leases_are_given_back(&over).unwrap();
}

#[test]
fn the_model_sees_a_broken_rule_of_a_removal() {
    let plan = Draft::new().removal("eu", Rollout { at_once: 1, ..Rollout::default() }, &[&["a", "b"]]).plan();
    let over = play(&plan, Script::default());
    rules_hold(&plan, &over).unwrap();
    for word in ["cluster-step-started", "cluster-step-ended", "step-ended"] {
        let mut model = Model::default();
        let mut kept = over.seen.events.iter().filter(|event| event.kind.word() != word);
        assert!(kept.try_for_each(|event| model.take(&plan, event)).is_err(), "{word}");
    }
    // A file that goes before the fence.
    let mut early = plan.clone();
    early.steps.last_mut().unwrap().needs.clear();
    assert!(rules_hold(&early, &over).is_err());
}

#[test]
fn the_model_sees_a_broken_rule() {
    let plan = Draft::new().cluster("eu", Rollout { at_once: 1, ..Rollout::default() }, 0, &[&["a", "b"]]).plan();
    let over = play(&plan, Script::default());
    rules_hold(&plan, &over).unwrap();
    let events = over.seen.events;
    let without = |word: &str| {
        let mut model = Model::default();
        let mut kept = events.iter().filter(|event| event.kind.word() != word);
        kept.try_for_each(|event| model.take(&plan, event))
    };
    for word in ["lease-taken", "wave-started", "step-started", "step-ended"] {
        assert!(without(word).is_err(), "{word}");
    }
    assert!(without("step-proven").is_ok());
}
