//! The order of things in a run: cluster after cluster; leases, deliveries, wave after wave; then a look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Looked;
use super::dispatcher::{Dispatcher, Turn};
use super::errand::{Answer, Errand};
use super::lane::Budget;
use crate::action::Action;
use crate::name::{BundleName, ClusterName, NodeName};
use crate::perform::LeaseRefusal;
use crate::plan::{Blocker, ClusterPlan, Phase, Plan, Scope, Step, Wave};
use crate::run::{
    CancelLevel, Cause, EventKind, Fate, NodeRun, PlannedStep, RunHead, RunState, SkipReason, Verdict, Waiting,
};

/// How many nodes are asked for their lease, or given it back, at once.
const LEASES: usize = 32;
/// How long giving a lease back may take; leases expire.
const RELEASE: Duration = Duration::from_secs(10);
/// A lease that is older when a wave begins is taken again, so that it does not expire in the middle.
const RENEW: Duration = Duration::from_mins(1);

/// The nodes whose leases are held, and since when.
pub(super) type Leases = BTreeMap<NodeName, Instant>;

impl Dispatcher {
    pub(super) async fn carry_out(mut self) -> RunState {
        let plan = Arc::clone(&self.job.plan);
        self.record(EventKind::RunStarted { head: self.head(&plan) });
        if let Some(blocker) = plan.blockers.iter().find(|blocker| blocker.scope == Scope::Run) {
            self.record(EventKind::RunRefused { cause: refusal(blocker) });
        } else {
            for cluster in plan.clusters.iter().filter(|cluster| !leased(&plan, &cluster.cluster).is_empty()) {
                self.pause_here(&cluster.cluster).await;
                if !self.goes_on() {
                    break;
                }
                self.cluster(&plan, cluster).await;
            }
        }
        self.heed();
        self.skip(&self.reason(), |_| true);
        self.look().await;
        let verdict = Verdict::of(&self.state);
        self.record(EventKind::RunEnded { verdict, exit: verdict.exit() });
        self.sync();
        self.state
    }

    fn head(&self, plan: &Plan) -> RunHead {
        let mut steps_of: BTreeMap<NodeName, u32> = BTreeMap::new();
        for step in &plan.steps {
            if let Some(node) = step.target.node() {
                *steps_of.entry(node.clone()).or_default() += 1;
            }
        }
        let mut waves: BTreeMap<ClusterName, u32> = BTreeMap::new();
        for wave in &plan.waves {
            *waves.entry(wave.cluster.clone()).or_default() += 1;
        }
        RunHead {
            run: self.job.run.clone(),
            repository: plan.basis.repository.clone(),
            revision: plan.basis.revision.clone(),
            summary: plan.basis.summary.clone(),
            operator: self.job.operator.clone(),
            clusters: plan.clusters.iter().map(|c| (c.cluster.clone(), nodes_of(plan, &c.cluster))).collect(),
            steps: plan.steps.len(),
            steps_of,
            waves,
            cluster_steps: cluster_steps(plan),
        }
    }

    /// Whether another wave or cluster may begin.
    pub(super) fn goes_on(&self) -> bool {
        self.cancel().is_none() && !self.state.locked && self.unrecorded.is_none() && self.state.stopped.is_empty()
    }

    /// Why what has not begun will not.
    fn reason(&self) -> SkipReason {
        if self.state.cancel.is_some() {
            SkipReason::Cancelled
        } else if self.state.locked {
            SkipReason::Locked
        } else {
            SkipReason::ClusterStopped
        }
    }

    async fn cluster(&mut self, plan: &Plan, cluster: &ClusterPlan) {
        let nodes = leased(plan, &cluster.cluster);
        if nodes.is_empty() {
            return;
        }
        let mut leases = Leases::new();
        self.take_leases(nodes, &mut leases).await;
        let mut budget = Budget::default();
        if self.goes_on() {
            self.carry(cluster, Phase::Prepare, &mut budget).await;
            self.delivered(plan, cluster);
            self.pause_unless(&budget, cluster, &mut leases).await;
            self.once(cluster, Phase::Unapply, &mut budget).await;
        }
        for wave in plan.waves.iter().filter(|wave| wave.cluster == cluster.cluster) {
            self.pause_unless(&budget, cluster, &mut leases).await;
            if budget.spent.is_some() || !self.goes_on() {
                break;
            }
            self.wave(plan, cluster, wave, &mut budget, &mut leases).await;
        }
        if self.goes_on() {
            self.pause_unless(&budget, cluster, &mut leases).await;
            self.once(cluster, Phase::Fence, &mut budget).await;
            self.carry(cluster, Phase::Clean, &mut budget).await;
        }
        if let Some(danger) = self.put_back(cluster, &mut leases).await {
            budget.spent = Some(budget.spent.map_or_else(|| danger.clone(), |why| format!("{why}; {danger}")));
        }
        self.stop(cluster, budget);
        self.release(leases).await;
    }

    async fn wave(
        &mut self,
        plan: &Plan,
        cluster: &ClusterPlan,
        wave: &Wave,
        budget: &mut Budget,
        leases: &mut Leases,
    ) {
        let of_wave = || plan.steps.iter().filter(|step| step.phase == Phase::Wave(wave.id));
        let open = |step: &&Step| !self.ends.contains_key(&step.id);
        let nodes: BTreeSet<NodeName> = of_wave().filter(open).filter_map(|step| step.target.node().cloned()).collect();
        if nodes.is_empty() {
            let planned: BTreeSet<NodeName> = of_wave().filter_map(|step| step.target.node().cloned()).collect();
            if !planned.is_empty() {
                self.came_to_nothing(wave, &planned, budget);
            }
            return;
        }
        self.renew(&nodes, leases).await;
        if !self.goes_on() {
            return;
        }
        self.announce(wave);
        self.carry(cluster, Phase::Wave(wave.id), budget).await;
        self.came_to_nothing(wave, &nodes, budget);
        if budget.spent.is_none() && self.cancel() < Some(CancelLevel::AfterSteps) && self.unrecorded.is_none() {
            self.soak(cluster, wave, budget).await;
        }
    }

    /// Says that a wave begins.
    pub(super) fn announce(&mut self, wave: &Wave) {
        let of = self.state.head.as_ref().and_then(|head| head.waves.get(&wave.cluster).copied()).unwrap_or(1);
        let (cluster, nodes) = (wave.cluster.clone(), wave.nodes.clone());
        self.record(EventKind::WaveStarted { cluster, wave: wave.number, of, nodes });
    }

    /// A wave of which no node was brought to its goal proved nothing, so that no next one may stand on it.
    fn came_to_nothing(&self, wave: &Wave, nodes: &BTreeSet<NodeName>, budget: &mut Budget) {
        let reached = |node: &NodeName| {
            let run = self.state.nodes.get(node);
            run.is_some_and(|run| run.proven() || matches!(run.fate, Fate::Edited | Fate::Held) || run.edited())
        };
        if budget.spent.is_none() && self.cancel().is_none() && !nodes.iter().any(reached) {
            budget.spent = Some(format!("wave {} proved nothing, as no node of it was changed", wave.number));
        }
    }

    fn delivered(&mut self, plan: &Plan, cluster: &ClusterPlan) {
        let mut bundles: BTreeMap<BundleName, Option<u64>> = BTreeMap::new();
        let mut nodes: BTreeSet<&NodeName> = BTreeSet::new();
        for step in plan.steps.iter().filter(|step| step.cluster == cluster.cluster) {
            if let (Action::Deliver(deliver), Some(true)) = (&step.action, self.ends.get(&step.id)) {
                let size = self.job.sizes.get(&deliver.digest).copied();
                let known = bundles.entry(deliver.bundle.clone()).or_default();
                *known = (*known).max(size);
                nodes.extend(step.target.node());
            }
        }
        let nodes = nodes.len();
        if nodes > 0 {
            self.record(EventKind::ClusterDelivered { cluster: cluster.cluster.clone(), bundles, nodes });
        }
    }

    /// Says why a cluster was stopped, if it was; nothing further of it has begun since the reason came up.
    fn stop(&mut self, cluster: &ClusterPlan, budget: Budget) {
        let journal = self.unrecorded.clone().map(|error| format!("the journal cannot be written: {error}"));
        let name = &cluster.cluster;
        let spent = budget.spent.map(|spent| self.stopped_by(name).unwrap_or(spent));
        if let Some(why) = journal.or(spent) {
            self.skip(&SkipReason::ClusterStopped, |step| step.cluster == *name);
            let counts = self.state.counts_of(name);
            self.record(EventKind::ClusterStopped { cluster: name.clone(), why, counts });
        }
    }

    /// Who stopped a cluster of which nodes are only unknown because their steps were left, and how.
    fn stopped_by(&self, cluster: &ClusterName) -> Option<String> {
        let level = self.state.cancel.filter(|level| *level >= CancelLevel::LeaveSteps)?;
        let mut bad = self.state.nodes_of(cluster).filter(|(_, node)| node.fate.is_bad());
        let left = bad.all(|(_, node)| node.fate == Fate::Unknown);
        left.then(|| format!("by {} ({})", self.job.operator, level.name()))
    }

    /// Takes the leases of these nodes. One that another run holds ends it; one that cannot be asked for ends its node.
    async fn take_leases(&mut self, nodes: Vec<NodeName>, leases: &mut Leases) {
        let mut nodes = nodes.into_iter();
        loop {
            while self.out() < LEASES && self.goes_on() {
                let Some(node) = nodes.next() else { break };
                let (perform, asked) = (Arc::clone(&self.perform), node.clone());
                self.send(Errand::Lease(node), async move { Answer::Lease(perform.acquire(&asked).await) });
            }
            if self.out() == 0 {
                return;
            }
            if let Turn::Lease(node, result) = self.next(None).await {
                self.lease(node, result, leases);
            }
        }
    }

    fn lease(&mut self, node: NodeName, result: Result<(), LeaseRefusal>, leases: &mut Leases) {
        match result {
            Ok(()) => {
                if leases.insert(node.clone(), Instant::now()).is_none() {
                    self.record(EventKind::LeaseTaken { node });
                }
            }
            Err(LeaseRefusal::Held(cause)) => {
                leases.remove(&node);
                self.record(EventKind::LeaseRefused { node, cause });
            }
            // It was held a moment ago; whether it still is, each changing script asks on the node itself.
            Err(LeaseRefusal::Failed(_)) if leases.contains_key(&node) => {}
            Err(LeaseRefusal::Failed(cause)) => {
                self.record(EventKind::LeaseFailed { node: node.clone(), cause });
                self.skip(&SkipReason::NoLease, |step| step.target.is(&node));
            }
        }
    }

    pub(super) async fn renew(&mut self, nodes: &BTreeSet<NodeName>, leases: &mut Leases) {
        let old = |node: &&NodeName| leases.get(*node).is_none_or(|since| since.elapsed() > RENEW);
        let old: Vec<NodeName> = nodes.iter().filter(old).cloned().collect();
        self.take_leases(old, leases).await;
    }

    /// Gives leases back, but those of nodes whose state is unknown: there the lease still keeps others away from what may
    /// be going on. At the last rung of cancelling none, as connections are being closed.
    async fn release(&mut self, leases: Leases) {
        let unknown = |node: &NodeName| self.state.nodes.get(node).is_some_and(NodeRun::is_uncertain);
        let mut nodes = leases.into_keys().filter(|node| !unknown(node)).collect::<Vec<_>>().into_iter();
        loop {
            while self.out() < LEASES && self.cancel() < Some(CancelLevel::Close) {
                let Some(node) = nodes.next() else { break };
                let (perform, given) = (Arc::clone(&self.perform), node.clone());
                self.send(Errand::Release(node), async move {
                    let _ = timeout(RELEASE, perform.release(&given)).await;
                    Answer::Released
                });
            }
            if self.out() == 0 {
                return;
            }
            self.next(None).await;
        }
    }

    /// Waits while a pause is asked for, unless nothing of the cluster will begin any more, or nothing is left to begin. Leases
    /// that may have been lost meanwhile are taken again.
    async fn pause_unless(&mut self, budget: &Budget, cluster: &ClusterPlan, leases: &mut Leases) {
        self.heed();
        if budget.spent.is_some() || self.open_steps(cluster).next().is_none() {
            return;
        }
        if self.pause_here(&cluster.cluster).await && self.goes_on() {
            let open = self.open_steps(cluster).filter_map(|step| step.target.node().cloned()).collect();
            self.renew(&open, leases).await;
        }
    }

    pub(super) fn wait_for(&mut self, what: Option<(&str, Option<u64>)>) {
        let waiting = what.map(|(what, limit)| Waiting { node: None, what: what.to_owned(), limit });
        self.record(EventKind::WaitingFor { waiting });
    }

    /// Looks again, unless nothing can have changed, or the operator wants to leave.
    async fn look(&mut self) {
        let touched = self.state.nodes.iter().filter(|(_, node)| node.touched).map(|(name, _)| name.clone());
        let touched: BTreeSet<NodeName> = touched.chain(self.concerned()).collect();
        let in_vain = touched.is_empty() && self.state.cluster_steps.is_empty() && !self.state.nodes.is_empty();
        if in_vain || self.state.refused.is_some() || self.cancel() >= Some(CancelLevel::LeaveSteps) {
            return;
        }
        self.wait_for(Some(("the nodes to be looked at again", None)));
        let relook = Arc::clone(&self.relook);
        self.send(Errand::Look, async move { Answer::Looked(relook.look(&touched).await) });
        loop {
            match self.next(None).await {
                Turn::Looked(Some(looked)) => return self.looked(looked),
                Turn::Looked(None) => return,
                _ => {}
            }
        }
    }

    /// The nodes that a step of a whole cluster may have changed in what they show, though none of their own did: rows are
    /// everybody's, and so are the files of a shared Lua root.
    fn concerned(&self) -> BTreeSet<NodeName> {
        let begun = |cluster: &ClusterName| self.state.cluster_steps.contains_key(cluster);
        let clusters = self.job.plan.clusters.iter().filter(|planned| begun(&planned.cluster));
        let seen =
            clusters.flat_map(|planned| [&planned.nodes.changing, &planned.nodes.in_line, &planned.nodes.blocked]);
        let fenced = self.job.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Fence(fence) if begun(&step.cluster) => Some(&fence.nodes),
            _ => None,
        });
        seen.chain(fenced).flatten().cloned().collect()
    }

    fn looked(&mut self, looked: Looked) {
        let unknown = self.state.nodes.iter().filter(|(_, node)| node.fate == Fate::Unknown).map(|(name, _)| name);
        let settled = unknown.filter(|name| looked.in_line.contains(*name)).cloned().collect();
        self.record(EventKind::LookedAgain { counts: looked.counts, left: looked.left, settled });
    }
}

/// The nodes of a cluster that have steps: those of its waves in their order, then those without a wave.
fn nodes_of(plan: &Plan, cluster: &ClusterName) -> Vec<NodeName> {
    let waves = plan.waves.iter().filter(|wave| wave.cluster == *cluster).flat_map(|wave| &wave.nodes);
    let with_steps: BTreeSet<&NodeName> =
        plan.steps.iter().filter(|step| step.cluster == *cluster).filter_map(|step| step.target.node()).collect();
    let mut seen = BTreeSet::new();
    let mut nodes = Vec::new();
    for node in waves.filter(|node| with_steps.contains(node)).chain(with_steps.iter().copied()) {
        if seen.insert(node) {
            nodes.push(node.clone());
        }
    }
    nodes
}

/// The steps of whole clusters: a view has a row for each from the beginning.
fn cluster_steps(plan: &Plan) -> Vec<PlannedStep> {
    let steps = plan.steps.iter().filter(|step| step.target.node().is_none());
    let planned = |step: &Step| PlannedStep {
        step: step.id,
        cluster: step.cluster.clone(),
        action: step.action.verb().to_owned(),
        about: step.action.about(),
    };
    steps.map(planned).collect()
}

/// The nodes of which a cluster's part needs the lease: those with steps; where there is none, as only what is shared is
/// changed, the one that it is changed through.
fn leased(plan: &Plan, cluster: &ClusterName) -> Vec<NodeName> {
    let nodes = nodes_of(plan, cluster);
    if !nodes.is_empty() {
        return nodes;
    }
    let through = plan.steps.iter().filter(|step| step.cluster == *cluster).filter_map(|step| match &step.action {
        Action::Unapply(unapply) => unapply.through.first().cloned(),
        _ => None,
    });
    through.take(1).collect()
}

fn refusal(blocker: &Blocker) -> Cause {
    Cause {
        code: blocker.code.word(),
        text: blocker.what.clone(),
        details: blocker.details.clone(),
        hints: blocker.hints.clone(),
    }
}
