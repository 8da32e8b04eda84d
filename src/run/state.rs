//! The fold: the only way that a view learns anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    CancelLevel, Cause, ClusterStep, Counts, Event, EventKind, Fate, NodeRun, Pause, RunHead, SurveyCounts, Verdict,
    Waiting,
};
use crate::name::{ClusterName, NodeName};
use crate::plan::StepId;

/// What a view knows of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunState {
    /// The first event's content.
    pub head: Option<RunHead>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// The time of the last event.
    pub now: Option<Timestamp>,
    /// The highest number seen among facts.
    pub seq: u64,
    /// The nodes with steps.
    pub nodes: BTreeMap<NodeName, NodeRun>,
    /// The steps of whole clusters that were begun or ended, in that order.
    pub cluster_steps: BTreeMap<ClusterName, Vec<ClusterStep>>,
    /// Clusters to which steps were added, and why.
    pub added: BTreeMap<ClusterName, Cause>,
    /// Clusters whose deliveries are over.
    pub delivered: BTreeSet<ClusterName>,
    /// The current wave of each cluster.
    pub waves: BTreeMap<ClusterName, u32>,
    /// The last wave of each cluster that stayed healthy for its soak.
    pub waves_proven: BTreeMap<ClusterName, u32>,
    /// Clusters that were stopped, and why.
    pub stopped: BTreeMap<ClusterName, String>,
    /// How hard it is being cancelled.
    pub cancel: Option<CancelLevel>,
    /// A pause was asked for: waiting for the end of the wave, or paused. Kept when a paused run is cancelled.
    pub pause: Option<Pause>,
    /// What everything waits for, as was announced, and since when; see [`RunState::waiting`].
    pub announced: Option<(Timestamp, Waiting)>,
    /// What looking again found.
    pub looked: Option<(SurveyCounts, Vec<String>)>,
    /// A node's lease was refused.
    pub locked: bool,
    /// The safety rule that forbade the run.
    pub refused: Option<Cause>,
    /// How it ended.
    pub verdict: Option<Verdict>,
}

impl RunState {
    /// Takes one event in. A fact that was seen already changes nothing; nor does chatter from before a fact that was.
    pub fn apply(&mut self, event: &Event) {
        if event.kind.is_chatter() {
            if event.seq < self.seq {
                return;
            }
        } else {
            if event.seq <= self.seq {
                return;
            }
            self.seq = event.seq;
        }
        self.now = Some(event.at);
        self.take(event.at, &event.kind);
    }

    /// The state after these events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    fn take(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::RunStarted { head } => self.run_started(at, head),
            EventKind::StepStarted { .. }
            | EventKind::StepProgressed { .. }
            | EventKind::StepPrinted { .. }
            | EventKind::StepProven { .. }
            | EventKind::StepEnded { .. } => self.take_step(at, kind),
            EventKind::ClusterStepStarted { .. }
            | EventKind::ClusterStepProgressed { .. }
            | EventKind::ClusterStepProven { .. }
            | EventKind::ClusterStepEnded { .. } => self.take_cluster_step(at, kind),
            EventKind::StepsAdded { cluster, cause, steps_of, waves } => self.added(cluster, cause, steps_of, *waves),
            EventKind::LeaseTaken { node } => self.on(node, |n| "lease taken".clone_into(&mut n.now)),
            EventKind::LeaseRefused { node, cause } => {
                self.locked = true;
                self.on(node, |n| n.now = format!("held: {}", cause.text));
            }
            EventKind::LeaseFailed { node, cause } => self.on(node, |n| n.bad(Fate::Unknown, "unknown", cause)),
            EventKind::RunRefused { cause } => self.refused = Some(cause.clone()),
            EventKind::ClusterDelivered { cluster, .. } => {
                self.delivered.insert(cluster.clone());
            }
            EventKind::WaveStarted { cluster, wave, nodes, .. } => {
                self.waves.insert(cluster.clone(), *wave);
                for node in nodes {
                    self.on(node, |n| n.wave = *wave);
                }
            }
            EventKind::WaveProven { cluster, wave, .. } => {
                self.waves_proven.insert(cluster.clone(), *wave);
            }
            EventKind::NodeUnhealthy { node, cause } => self.on(node, |n| n.bad(Fate::Failed, "not healthy", cause)),
            EventKind::ClusterStopped { cluster, why, .. } => {
                self.stopped.insert(cluster.clone(), why.clone());
            }
            EventKind::CancelRequested { level, .. } => self.cancel = self.cancel.max(Some(*level)),
            EventKind::PauseRequested { .. } | EventKind::RunPaused { .. } | EventKind::RunResumed { .. } => {
                self.pause = Pause::after(self.pause.take(), at, kind);
            }
            EventKind::NodeSkipped { node, by } => self.on(node, |n| n.skipped_by = Some(by.clone())),
            EventKind::SkipRefused { .. } => {}
            EventKind::WaitingFor { waiting } => self.announced = waiting.clone().map(|w| (at, w)),
            EventKind::LookedAgain { counts, left, settled } => {
                for node in settled {
                    self.on(node, NodeRun::settled);
                }
                self.looked = Some((counts.clone(), left.clone()));
            }
            EventKind::RunEnded { verdict, .. } => {
                self.nodes.values_mut().for_each(NodeRun::run_ended);
                self.announced = None;
                self.verdict = Some(*verdict);
            }
        }
    }

    fn take_step(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::StepStarted { step, node, action, about } => {
                self.on(node, |n| n.step_started(at, *step, action, about));
            }
            EventKind::StepProgressed { step, node, phase, text } => {
                self.on(node, |n| n.progressed(at, *step, *phase, text));
            }
            EventKind::StepPrinted { step, node, line } => self.on(node, |n| n.printed(*step, line)),
            EventKind::StepProven { node, text, .. } => self.on(node, |n| n.step_proven(at, text)),
            EventKind::StepEnded { node, action, end, .. } => self.on(node, |n| n.step_ended(at, action, end)),
            _ => {}
        }
    }

    fn take_cluster_step(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::ClusterStepStarted { step, cluster, action, about } => {
                let begun = ClusterStep::new(*step, action, about, Some(at));
                self.cluster_steps.entry(cluster.clone()).or_default().push(begun);
            }
            EventKind::ClusterStepProgressed { step, cluster, text } => {
                self.on_cluster(cluster, *step, |s| {
                    if s.running() {
                        text.clone_into(&mut s.now);
                    }
                });
            }
            EventKind::ClusterStepProven { step, cluster, text } => {
                self.on_cluster(cluster, *step, |s| text.clone_into(&mut s.now));
            }
            EventKind::ClusterStepEnded { step, cluster, action, end } => {
                let steps = self.cluster_steps.entry(cluster.clone()).or_default();
                if steps.iter().all(|known| known.step != *step) {
                    steps.push(ClusterStep::new(*step, action, "", None));
                }
                self.on_cluster(cluster, *step, |s| s.ended(end));
            }
            _ => {}
        }
    }

    fn on_cluster(&mut self, cluster: &ClusterName, step: StepId, change: impl FnOnce(&mut ClusterStep)) {
        let steps = self.cluster_steps.get_mut(cluster).into_iter().flatten();
        if let Some(step) = steps.into_iter().find(|known| known.step == step) {
            change(step);
        }
    }

    fn added(&mut self, cluster: &ClusterName, cause: &Cause, steps_of: &BTreeMap<NodeName, u32>, waves: u32) {
        for (node, steps) in steps_of {
            // One that was not seen when the run began is a node of the run from here on.
            self.nodes.entry(node.clone()).or_default().more_steps(*steps);
        }
        if let Some(head) = &mut self.head {
            for (_, nodes) in head.clusters.iter_mut().filter(|(name, _)| name == cluster) {
                let new: Vec<NodeName> = steps_of.keys().filter(|node| !nodes.contains(node)).cloned().collect();
                nodes.extend(new);
            }
            head.steps += steps_of.values().map(|steps| *steps as usize).sum::<usize>();
            *head.waves.entry(cluster.clone()).or_default() += waves;
        }
        self.added.insert(cluster.clone(), cause.clone());
    }

    fn run_started(&mut self, at: Timestamp, head: &RunHead) {
        self.started = Some(at);
        let nodes = head.clusters.iter().flat_map(|(_, nodes)| nodes);
        self.nodes = nodes
            .map(|node| (node.clone(), NodeRun::with_steps(head.steps_of.get(node).copied().unwrap_or_default())))
            .collect();
        self.head = Some(head.clone());
    }

    /// A node that the head does not name is no node of this run: a journal that says otherwise is not believed.
    fn on(&mut self, node: &NodeName, change: impl FnOnce(&mut NodeRun)) {
        if let Some(node) = self.nodes.get_mut(node) {
            change(node);
        }
    }

    /// All nodes by what became of them.
    pub fn counts(&self) -> Counts {
        Counts::of(self.nodes.values())
    }

    /// The nodes of one cluster by what became of them.
    pub fn counts_of(&self, cluster: &ClusterName) -> Counts {
        Counts::of(self.nodes_of(cluster).map(|(_, node)| node))
    }

    /// The nodes of a cluster, in the order of the plan.
    pub fn nodes_of(&self, cluster: &ClusterName) -> impl Iterator<Item = (&NodeName, &NodeRun)> {
        let clusters = self.head.iter().flat_map(|head| &head.clusters);
        let nodes = clusters.filter(move |(name, _)| name == cluster).flat_map(|(_, nodes)| nodes);
        nodes.filter_map(|name| self.nodes.get_key_value(name))
    }

    /// How many nodes of a cluster count against its failure budget: rolled back, failed and unknown ones. A node that
    /// only could not be asked for its lease was not touched and does not count.
    pub fn failures(&self, cluster: &ClusterName) -> usize {
        self.nodes_of(cluster).filter(|(_, node)| node.touched && node.fate.is_bad()).count()
    }

    /// The steps that run now, in the order of the nodes' names.
    pub fn running(&self) -> impl Iterator<Item = (&NodeName, StepId)> {
        self.nodes.iter().filter_map(|(name, node)| node.step.map(|step| (name, step)))
    }

    /// What everything waits for, and since when: what was announced, else the step of a whole cluster that runs, else the
    /// node whose phase has run longest.
    pub fn waiting(&self) -> Option<(Timestamp, Waiting)> {
        if let Some(announced) = &self.announced {
            return Some(announced.clone());
        }
        let pause = self.pause.as_ref().filter(|_| self.cancel.is_none());
        if let Some((since, words)) = pause.and_then(|pause| Some((pause.since?, pause.words()))) {
            return Some((since, Waiting { node: None, what: format!("you to go on: {words}"), limit: None }));
        }
        let mut steps = self.cluster_steps.values().flatten().filter(|step| step.running());
        if let Some((since, step)) = steps.find_map(|step| Some((step.since?, step))) {
            let now = if step.now.is_empty() { String::new() } else { format!(": {}", step.now) };
            return Some((
                since,
                Waiting { node: None, what: format!("{} {}{now}", step.action, step.about), limit: None },
            ));
        }
        let running = self.nodes.iter().filter(|(_, node)| node.step.is_some());
        let (since, name, node) =
            running.filter_map(|(name, node)| Some((node.since()?, name, node))).min_by_key(|w| w.0)?;
        Some((since, Waiting { node: Some(name.clone()), what: node.now.clone(), limit: None }))
    }

    /// The verdict: as recorded once the run has ended, before that what it would be if nothing more happened.
    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or_else(|| Verdict::of(self))
    }
}
