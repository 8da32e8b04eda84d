//! What a removal adds to the order of a run: steps of the whole cluster, and the way back when somebody uses again what is
//! being removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::dispatcher::{Dispatcher, Turn};
use super::errand::{Answer, Errand};
use super::lane::Budget;
use super::schedule::Leases;
use crate::action::Action;
use crate::name::{ClusterName, NodeName, PluginName, collapse};
use crate::plan::{ClusterPlan, Phase, Plan, Step, StepId};
use crate::run::{CancelLevel, Cause, EventKind, StepEnd};

impl Dispatcher {
    /// The steps of the whole cluster in this phase, one after the other. One that fails stops the cluster.
    pub(super) async fn once(&mut self, cluster: &ClusterPlan, phase: Phase, budget: &mut Budget) {
        let plan = Arc::clone(&self.job.plan);
        let steps = plan.steps.iter().filter(|step| step.cluster == cluster.cluster && step.phase == phase);
        for step in steps {
            if self.ends.contains_key(&step.id) || !self.may_begin(phase, budget) {
                continue;
            }
            if let Some(unmet) = self.unmet(step.id) {
                let why = self.held_by_skips(step.id).unwrap_or_else(|| self.why_not(unmet));
                self.end_step(step.id, StepEnd::Skipped { why });
            } else if self.begin(&[step.id]) {
                self.wait_for_end(step.id).await;
                budget.spent = budget.spent.take().or_else(|| self.failure(&cluster.cluster, step.id));
            }
        }
    }

    async fn wait_for_end(&mut self, step: StepId) {
        while !self.ends.contains_key(&step) {
            self.next(None).await;
        }
    }

    /// Why a step of the whole cluster stops it; one that is held stops only what needs it.
    fn failure(&self, cluster: &ClusterName, step: StepId) -> Option<String> {
        let steps = self.state.cluster_steps.get(cluster)?;
        let ended = steps.iter().find(|known| known.step == step)?;
        match ended.end.as_ref()? {
            StepEnd::Failed { cause } | StepEnd::Unknown { cause } | StepEnd::RolledBack { cause } => {
                Some(format!("{} {}: {}", ended.action, ended.about, cause.text))
            }
            StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
        }
    }

    /// Puts the second step of a removal back where somebody uses the plugin again: a node that does not list it would not
    /// start any more (measured.md 5). It is done in spite of a spent budget and of a cancelling that lets steps end. What is
    /// left in danger is returned in words.
    pub(super) async fn put_back(&mut self, cluster: &ClusterPlan, leases: &mut Leases) -> Option<String> {
        let cause = self.broken.get(&cluster.cluster).cloned()?;
        let done = self.without(&cluster.cluster);
        if self.cancel() >= Some(CancelLevel::LeaveSteps) || self.unrecorded.is_some() {
            return in_danger(&done);
        }
        let Some(more) = self.plan_back(&cluster.cluster).await else { return in_danger(&done) };
        if more.is_empty() {
            return blocked(&more);
        }
        let (blocked, known) = (blocked(&more), self.job.plan.waves.len());
        let whole = self.add(cluster, cause, *more);
        self.putting_back = true;
        let mut budget = Budget::default();
        for wave in &whole.waves[known..] {
            self.renew(&wave.nodes.iter().cloned().collect(), leases).await;
            self.announce(wave);
            self.carry(cluster, Phase::Wave(wave.id), &mut budget).await;
        }
        self.putting_back = false;
        let added = |step: &&Step| matches!(step.phase, Phase::Wave(id) if id.0 as usize >= known);
        let bad = whole.steps.iter().filter(added).filter(|step| self.ends.get(&step.id) != Some(&true));
        let bad: BTreeSet<NodeName> = bad.filter_map(|step| step.target.node().cloned()).collect();
        let words: Vec<String> = in_danger(&bad).into_iter().chain(blocked).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// The steps are the run's from here on.
    fn add(&mut self, cluster: &ClusterPlan, mut cause: Cause, more: Plan) -> Arc<Plan> {
        let mut steps_of: BTreeMap<NodeName, u32> = BTreeMap::new();
        for node in more.steps.iter().filter_map(|step| step.target.node()) {
            *steps_of.entry(node.clone()).or_default() += 1;
        }
        let nodes: Vec<NodeName> = steps_of.keys().cloned().collect();
        let it = if nodes.len() == 1 { "it does" } else { "they do" };
        cause
            .details
            .push(format!("{} would not start again now, as {it} not list it; it is listed again", collapse(&nodes)));
        let waves = u32::try_from(more.waves.len()).unwrap_or(u32::MAX);
        self.job.plan = Arc::new(self.job.plan.followed_by(more));
        self.record(EventKind::StepsAdded { cluster: cluster.cluster.clone(), cause, steps_of, waves });
        Arc::clone(&self.job.plan)
    }

    /// The nodes on which this run took a plugin out of the directive.
    fn without(&self, cluster: &ClusterName) -> BTreeSet<NodeName> {
        let gone = |step: &&Step| matches!(&step.action, Action::Activate(activate) if !activate.gone.is_empty());
        let steps = self.job.plan.steps.iter().filter(|step| step.cluster == *cluster).filter(gone);
        let done = steps.filter(|step| self.ends.get(&step.id) == Some(&true));
        done.filter_map(|step| step.target.node().cloned()).collect()
    }

    async fn plan_back(&mut self, cluster: &ClusterName) -> Option<Box<Plan>> {
        let (relook, name, plugins) = (Arc::clone(&self.relook), cluster.clone(), self.removed(cluster));
        self.wait_for(Some(("the nodes to be looked at, as a plugin that was being removed is used again", None)));
        self.send(
            Errand::PlanBack,
            async move { Answer::PlanBack(relook.put_back(&name, &plugins).await.map(Box::new)) },
        );
        let more = loop {
            if let Turn::PlannedBack(more) = self.next(None).await {
                break more;
            }
        };
        self.wait_for(None);
        more
    }

    /// Every plugin that the plan removes from this cluster.
    fn removed(&self, cluster: &ClusterName) -> BTreeSet<PluginName> {
        let steps = self.job.plan.steps.iter().filter(|step| step.cluster == *cluster);
        let of = |action: &Action| -> BTreeSet<PluginName> {
            match action {
                Action::Activate(activate) => activate.gone.clone(),
                Action::Unapply(unapply) => unapply.rows.keys().cloned().collect(),
                Action::Fence(fence) => fence.plugins.clone(),
                Action::Deliver(_) | Action::Rehearse(_) | Action::Delete(_) => BTreeSet::new(),
            }
        };
        steps.flat_map(|step| of(&step.action)).collect()
    }
}

/// The nodes that do not list what is used, and are left so.
fn in_danger(nodes: &BTreeSet<NodeName>) -> Option<String> {
    let names: Vec<NodeName> = nodes.iter().cloned().collect();
    let it = if names.len() == 1 { "it does" } else { "they do" };
    (!names.is_empty())
        .then(|| format!("{} would not start again now, as {it} not list what is used", collapse(&names)))
}

/// What keeps a node from listing it again.
fn blocked(more: &Plan) -> Option<String> {
    let lines: Vec<&str> = more.blockers.iter().map(|blocker| blocker.what.as_str()).take(3).collect();
    (!lines.is_empty()).then(|| format!("not put back: {}", lines.join("; ")))
}
