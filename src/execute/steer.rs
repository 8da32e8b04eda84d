//! What a person asks of a run besides ending it: a pause between waves, going on, a node that is skipped.
//!
//! A pause begins only where no step is under way: no guard is armed then, and nothing that waits for a proof runs into its
//! deadline. Leases are kept alive by the performer all the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::dispatcher::Dispatcher;
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::{ClusterPlan, Step, StepId};
use crate::run::{EventKind, SkipReason};

impl Dispatcher {
    /// Takes in that a pause is asked for, or no longer.
    pub(super) fn obey_pause(&mut self, paused: bool) {
        let by = self.job.operator.clone();
        match &self.state.pause {
            // Nothing begins any more that could wait.
            _ if self.state.cancel.is_some() => {}
            None if paused => self.record(EventKind::PauseRequested { paused, by: Some(by) }),
            Some(pause) if !paused && pause.since.is_some() => self.record(EventKind::RunResumed { by }),
            Some(_) if !paused => self.record(EventKind::PauseRequested { paused, by: Some(by) }),
            _ => {}
        }
    }

    /// Waits here while a pause is asked for; whether it did. Called only where nothing is under way.
    pub(super) async fn pause_here(&mut self, cluster: &ClusterName) -> bool {
        self.heed();
        let Some(pause) = self.state.pause.as_ref().filter(|_| self.goes_on()) else { return false };
        let wave = self.state.waves.get(cluster).copied().unwrap_or(0);
        let by = pause.by.clone();
        self.record(EventKind::RunPaused { cluster: cluster.clone(), wave, by });
        while self.state.pause.is_some() && self.goes_on() {
            self.next(None).await;
        }
        true
    }

    /// Answers the requests to skip a node that came since.
    pub(super) fn obey_skips(&mut self, asked: &[NodeName]) {
        let new: Vec<NodeName> = asked.iter().skip(self.skips_heard).cloned().collect();
        self.skips_heard = asked.len();
        for node in new {
            let by = self.job.operator.clone();
            match self.why_no_skip(&node) {
                Some(why) => self.record(EventKind::SkipRefused { node, by, why }),
                None => self.skip_node(&node, by),
            }
        }
    }

    fn skip_node(&mut self, node: &NodeName, by: String) {
        self.record(EventKind::NodeSkipped { node: node.clone(), by: by.clone() });
        self.skipped.insert(node.clone());
        self.skip(&SkipReason::Operator { by }, |step| step.target.is(node));
    }

    /// Why a node cannot be skipped now. What puts a removal back is never skipped: without it the node would not start again.
    fn why_no_skip(&self, node: &NodeName) -> Option<String> {
        let plan = Arc::clone(&self.job.plan);
        let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.target.is(node)).collect();
        let open = |id: StepId| !self.ends.contains_key(&id);
        if steps.is_empty() {
            return Some("no step of this run is for it".to_owned());
        }
        if steps.iter().all(|step| !open(step.id)) {
            return Some("all of its steps are over".to_owned());
        }
        if self.is_at_work_on(node) {
            return Some("a step is under way on it, which ends first: x stops the run".to_owned());
        }
        let broken = steps.iter().any(|step| self.broken.contains_key(&step.cluster));
        broken.then(|| "a plugin that was being removed is used again, and is being put back first".to_owned())
    }

    /// What of a step's needs is only not met because somebody had nodes skipped: what waits for them is held by them, as by
    /// nodes that could not be reached. `None` if anything else is not met.
    pub(super) fn held_by_skips(&self, id: StepId) -> Option<SkipReason> {
        let needs = self.job.plan.step(id).map(|step| step.needs.as_slice()).unwrap_or_default();
        let mut nodes = BTreeSet::new();
        for need in needs.iter().filter(|need| self.ends.get(need) != Some(&true)) {
            nodes.insert(self.job.plan.step(*need)?.target.node()?.clone());
        }
        let all = !nodes.is_empty() && nodes.iter().all(|node| self.skipped.contains(node));
        let (was, lists) = if nodes.len() == 1 { ("was", "it still lists") } else { ("were", "they still list") };
        let why = || format!("{} {was} skipped, and {lists} what is to go", collapse(&nodes));
        all.then(|| SkipReason::Held { why: why() })
    }

    /// The steps of a cluster that have not ended.
    pub(super) fn open_steps(&self, cluster: &ClusterPlan) -> impl Iterator<Item = &Step> {
        let steps = self.job.plan.steps.iter().filter(|step| step.cluster == cluster.cluster);
        steps.filter(|step| !self.ends.contains_key(&step.id))
    }
}
