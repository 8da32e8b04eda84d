//! The steps of one phase, node by node, under the bounds of the rollout.

use std::collections::{BTreeMap, VecDeque};

use super::dispatcher::{Dispatcher, Turn};
use crate::action::Action;
use crate::name::NodeName;
use crate::plan::{ClusterPlan, Phase, StepId};
use crate::run::{CancelLevel, Cause, Fate, SkipReason, StepEnd};

/// What is left to do on one node in one phase, in the plan's order.
struct Lane {
    node: NodeName,
    steps: VecDeque<StepId>,
}

/// What a cluster has used up of what its rollout allows.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Nodes rolled back, failed or unknown.
    pub(super) failed: usize,
    /// Nodes that may be out of service since: those that failed or are unknown after a change was begun.
    pub(super) out: usize,
    /// Why no more may begin.
    pub(super) spent: Option<String>,
}

impl Budget {
    /// Counts a node that went wrong, and says whether that was one too many.
    pub(super) fn count(&mut self, cluster: &ClusterPlan, out: bool) {
        self.failed += 1;
        self.out += usize::from(out);
        if self.failed > cluster.max_failed {
            self.spent = Some(format!("{} failed, {} allowed", self.failed, cluster.max_failed));
        }
    }
}

impl Dispatcher {
    /// Carries out a phase of a cluster, as far as budget and cancelling allow; returns once no step of it runs.
    pub(super) async fn carry(&mut self, cluster: &ClusterPlan, phase: Phase, budget: &mut Budget) {
        let mut waiting = self.lanes(cluster, phase);
        let mut busy: BTreeMap<NodeName, Lane> = BTreeMap::new();
        loop {
            let (steps, lanes) = self.pick(cluster, phase, budget, &mut waiting, busy.len());
            if self.begin(&steps) {
                busy.extend(lanes);
            }
            if busy.is_empty() {
                break;
            }
            if let Turn::StepEnded(id) = self.next(None).await
                && let Some(lane) = self.job.plan.step(id).and_then(|step| busy.remove(step.target.node()?))
            {
                self.count(cluster, id, &lane.node, budget);
                waiting.push_front(lane);
            }
        }
        waiting.retain(|lane| lane.steps.iter().any(|step| !self.ends.contains_key(step)));
        if self.may_begin(phase, budget) && !waiting.is_empty() {
            let (out, most) = (budget.out, cluster.max_out.max(1));
            budget.spent = Some(format!("{out} may be out of service, {most} allowed"));
        }
    }

    /// The steps to begin now, one for each node, and their lanes. A node that has begun comes before one that has not.
    fn pick(
        &mut self,
        cluster: &ClusterPlan,
        phase: Phase,
        budget: &Budget,
        waiting: &mut VecDeque<Lane>,
        busy: usize,
    ) -> (Vec<StepId>, Vec<(NodeName, Lane)>) {
        let (mut steps, mut lanes) = (Vec::new(), Vec::new());
        while self.may_begin(phase, budget) && busy + steps.len() < bound(cluster, phase, budget) {
            let Some(mut lane) = waiting.pop_front() else { break };
            if let Some(step) = self.next_step(&mut lane) {
                steps.push(step);
                lanes.push((lane.node.clone(), lane));
            }
        }
        (steps, lanes)
    }

    /// The next step of a lane that can begin. One whose needs are not met is ended here, and with it the lane.
    fn next_step(&mut self, lane: &mut Lane) -> Option<StepId> {
        let id = lane.steps.pop_front().filter(|id| !self.ends.contains_key(id))?;
        let Some(unmet) = self.unmet(id) else { return Some(id) };
        let why = self.held_by_skips(id).unwrap_or_else(|| self.why_not(unmet));
        self.end_step(id, StepEnd::Skipped { why });
        None
    }

    /// Why what needs this step is not begun: what holds it holds that, too.
    pub(super) fn why_not(&self, unmet: StepId) -> SkipReason {
        let ended = self.state.cluster_steps.values().flatten().find(|known| known.step == unmet);
        match ended.and_then(|known| known.end.as_ref()) {
            Some(StepEnd::Skipped { why: why @ SkipReason::Held { .. } }) => why.clone(),
            _ => SkipReason::Needs { step: unmet },
        }
    }

    /// A step that this one needs and that did not end well.
    pub(super) fn unmet(&self, id: StepId) -> Option<StepId> {
        let needs = self.job.plan.step(id).map(|step| step.needs.as_slice()).unwrap_or_default();
        needs.iter().find(|need| self.ends.get(need) != Some(&true)).copied()
    }

    fn lanes(&self, cluster: &ClusterPlan, phase: Phase) -> VecDeque<Lane> {
        let mut lanes: VecDeque<Lane> = VecDeque::new();
        let mut places: BTreeMap<NodeName, usize> = BTreeMap::new();
        for step in self.job.plan.steps.iter().filter(|s| s.cluster == cluster.cluster && s.phase == phase) {
            if self.ends.contains_key(&step.id) {
                continue;
            }
            let Some(node) = step.target.node() else { continue };
            let place = *places.entry(node.clone()).or_insert_with(|| {
                lanes.push_back(Lane { node: node.clone(), steps: VecDeque::new() });
                lanes.len() - 1
            });
            lanes[place].steps.push_back(step.id);
        }
        lanes
    }

    pub(super) fn may_begin(&self, phase: Phase, budget: &Budget) -> bool {
        let cancelled = match phase {
            _ if self.putting_back => self.cancel() >= Some(CancelLevel::LeaveSteps),
            Phase::Wave(_) => self.cancel() >= Some(CancelLevel::AfterSteps),
            // Nothing of it is needed for what was begun before.
            Phase::Prepare | Phase::Unapply | Phase::Fence | Phase::Clean => self.cancel().is_some(),
        };
        !cancelled && !self.state.locked && self.unrecorded.is_none() && budget.spent.is_none()
    }

    /// What the end of a step means for the budget. A node that went wrong before is not counted for a step that did not.
    fn count(&self, cluster: &ClusterPlan, step: StepId, node: &NodeName, budget: &mut Budget) {
        let fate = self.state.nodes.get(node).map(|node| node.fate).unwrap_or_default();
        if let Some(cause) = self.broken.get(&cluster.cluster).filter(|_| !self.putting_back) {
            budget.spent = Some(cause.text.clone());
        }
        if fate.is_bad() && self.ends.get(&step) == Some(&false) {
            let planned = self.job.plan.step(step);
            let wave = planned.is_some_and(|step| matches!(step.phase, Phase::Wave(_)));
            budget.count(cluster, fate != Fate::RolledBack && wave);
            if planned.is_some_and(|step| matches!(step.action, Action::Rehearse(_))) {
                self.count_trial(node, budget);
            }
        }
        let cause = self.state.nodes.get(node).and_then(|node| node.cause.as_ref());
        if let Some(cause) = cause.filter(|cause| fate.is_bad() && cause.code == Cause::ROWS_INVALID) {
            budget.spent = Some(cause.text.clone());
        }
    }

    /// Content that does not load is loaded on no node of the cluster; what is wrong with a node is wrong there.
    fn count_trial(&self, node: &NodeName, budget: &mut Budget) {
        let cause = self.state.nodes.get(node).and_then(|node| node.cause.as_ref());
        let stops = |cause: &&Cause| match cause.code.as_str() {
            Cause::DOES_NOT_LOAD => true,
            Cause::DOES_NOT_LOAD_HERE => budget.spent.is_some(),
            _ => false,
        };
        if let Some(cause) = cause.filter(stops) {
            budget.spent = Some(format!("not begun: {}; correct it, then plan again", cause.text));
        }
    }
}

/// How many nodes of a cluster may have a step running.
fn bound(cluster: &ClusterPlan, phase: Phase, budget: &Budget) -> usize {
    match phase {
        Phase::Prepare | Phase::Unapply | Phase::Fence | Phase::Clean => cluster.at_once.max(1),
        Phase::Wave(_) => cluster.at_once.max(1).min(cluster.max_out.max(1).saturating_sub(budget.out)),
    }
}
