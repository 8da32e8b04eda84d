//! The run: its fold, the fixed order of its rows, and where the cursor is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::name::{ClusterName, NodeName};
use crate::plan::{Plan, StepId, Target};
use crate::run::{
    CancelLevel, Cell, ClusterStep, Event, EventKind, Fate, NodeRun, RunHead, RunState, StepEnd, Verdict,
};
use crate::tui::cursor::{Cursor, Step};
use crate::tui::logs::Logs;
use crate::tui::shown::width;

/// A run that is watched, live or over.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// What is known, all of it learnt from events.
    pub state: RunState,
    /// The rows, in the order of the run's first event; they never move.
    pub rows: Vec<RunRow>,
    /// The steps of whole clusters that the plan has. Their rows stand there before they begin: rows never move.
    expected: BTreeMap<ClusterName, Vec<Expected>>,
    /// The columns that the longest name of all nodes takes: scrolling must not move the columns.
    pub name_width: usize,
    /// It will never say how it ended: the part of muster that carried it out failed.
    pub lost: bool,
    /// The hardest cancelling that was asked for, and when.
    pub asked: Option<(CancelLevel, Timestamp)>,
    /// What was heard of each node and cluster.
    pub logs: Logs,
    /// The wave of each node, by the plan.
    waves: BTreeMap<NodeName, u32>,
    /// The cluster of each node.
    clusters: BTreeMap<NodeName, ClusterName>,
}

/// A step of a whole cluster, as its row is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    step: StepId,
    action: String,
    about: String,
}

impl Expected {
    /// Whether it is the fence before files go; else it is an un-apply.
    pub fn is_fence(&self) -> bool {
        self.action == FENCE
    }

    /// The name of its row.
    pub fn words(&self) -> String {
        if self.is_fence() {
            format!("before files go: {}", self.about)
        } else {
            format!("{} {}", self.action, self.about)
        }
    }

    /// What it is about: the bundle or plugin.
    pub fn about(&self) -> &str {
        &self.about
    }
}

/// The verb of a fence (`action::Action::verb`).
const FENCE: &str = "fence";

/// A row of the run screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRow {
    /// A cluster's heading, where there are several.
    Cluster(ClusterName),
    /// A step of a whole cluster, above its nodes.
    Step(ClusterName, StepId),
    /// A node.
    Node(NodeName),
}

impl Watched {
    /// A run of this plan, of which nothing was heard yet.
    pub fn of(plan: &Plan) -> Self {
        let mut watched = Self::default();
        for wave in &plan.waves {
            watched.waves.extend(wave.nodes.iter().map(|node| (node.clone(), wave.number)));
        }
        for step in plan.steps.iter().filter(|step| step.target == Target::Cluster) {
            let (action, about) = (step.action.verb().to_owned(), step.action.about());
            let expected = Expected { step: step.id, action, about };
            watched.expected.entry(step.cluster.clone()).or_default().push(expected);
        }
        watched
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        if event.kind.is_chatter() || event.seq > self.state.seq {
            self.logs.take(event);
        }
        self.state.apply(event);
        match &event.kind {
            EventKind::RunStarted { head } => {
                for planned in &head.cluster_steps {
                    self.heard_of(&planned.cluster, planned.step, &planned.action, &planned.about);
                }
                for (cluster, nodes) in &head.clusters {
                    self.clusters.extend(nodes.iter().map(|node| (node.clone(), cluster.clone())));
                }
                self.rows = self.lay_out(head);
                let names = head.clusters.iter().flat_map(|(_, nodes)| nodes).map(|node| width(node.as_str()));
                self.name_width = names.max().unwrap_or(0);
            }
            EventKind::ClusterStepStarted { step, cluster, action, about } => {
                self.heard_of(cluster, *step, action, about);
            }
            EventKind::ClusterStepEnded { step, cluster, action, .. } => self.heard_of(cluster, *step, action, ""),
            _ => {}
        }
    }

    /// A step that the plan did not have, as there was none: its row can only be made now.
    fn heard_of(&mut self, cluster: &ClusterName, step: StepId, action: &str, about: &str) {
        if self.expected(cluster, step).is_some() {
            return;
        }
        let expected = Expected { step, action: action.to_owned(), about: about.to_owned() };
        self.expected.entry(cluster.clone()).or_default().push(expected);
        if let Some(head) = &self.state.head {
            self.rows = self.lay_out(head);
        }
    }

    /// A step of a whole cluster, as its row is named.
    pub fn expected(&self, cluster: &ClusterName, step: StepId) -> Option<&Expected> {
        self.expected.get(cluster)?.iter().find(|known| known.step == step)
    }

    /// The steps of whole clusters.
    pub fn all_expected(&self) -> impl Iterator<Item = &Expected> {
        self.expected.values().flatten()
    }

    /// What is known of a step of a whole cluster; `None` before it is begun.
    pub fn step(&self, cluster: &ClusterName, step: StepId) -> Option<&ClusterStep> {
        self.state.cluster_steps.get(cluster)?.iter().find(|known| known.step == step)
    }

    /// The wave of a node: the one it was in, or the one that the plan has it in.
    pub fn wave_of(&self, node: &NodeName) -> Option<u32> {
        let begun = self.state.nodes.get(node).map(|node| node.wave).filter(|wave| *wave > 0);
        begun.or_else(|| self.waves.get(node).copied())
    }

    /// The cluster of a node.
    pub fn cluster_of(&self, node: &NodeName) -> Option<&ClusterName> {
        self.clusters.get(node)
    }

    /// What the fence of a cluster is about, if it has one and it has not ended.
    pub fn fence_of(&self, cluster: &ClusterName) -> Option<&str> {
        let fence = self.expected.get(cluster)?.iter().find(|expected| expected.is_fence())?;
        let open = self.step(cluster, fence.step).is_none_or(ClusterStep::running);
        open.then_some(fence.about.as_str())
    }

    /// The nodes that did not end well, in the order of the rows.
    pub fn failed(&self) -> Vec<NodeName> {
        let nodes = self.rows.iter().filter_map(|row| match row {
            RunRow::Node(node) => Some(node),
            RunRow::Cluster(_) | RunRow::Step(..) => None,
        });
        nodes.filter(|node| self.state.nodes.get(*node).is_some_and(|node| node.fate.is_bad())).cloned().collect()
    }

    /// How long the step that runs on a node has run, or how long the last one took, in seconds.
    pub fn seconds_of(&self, node: &NodeRun, clock: Timestamp) -> Option<i64> {
        let end = node.over.or_else(|| if self.is_on() { Some(clock) } else { self.state.now })?;
        Some((end.as_second() - node.begun?.as_second()).max(0))
    }

    /// How many nodes have proven what their workers run; the deleting of files may be to come, or be held.
    pub fn proven(&self) -> usize {
        self.state.nodes.values().filter(|node| node.proven()).count()
    }

    /// How many steps have ended, well or not, of how many.
    pub fn steps_done(&self) -> (usize, usize) {
        let all = self.state.head.as_ref().map_or(0, |head| head.steps);
        let ended = |(cluster, expected): (&ClusterName, &Expected)| {
            self.step(cluster, expected.step).is_some_and(|step| step.end.is_some())
        };
        let expected = self.expected.iter().flat_map(|(cluster, steps)| steps.iter().map(move |step| (cluster, step)));
        let of_clusters = expected.filter(|step| !ended(*step)).count();
        let of_nodes: usize = self.state.nodes.values().map(|node| node.left as usize).sum();
        (all.saturating_sub(of_clusters + of_nodes), all)
    }

    /// What is under way.
    pub fn under_way(&self) -> UnderWay {
        if self.state.pause.as_ref().is_some_and(|pause| pause.since.is_some()) {
            return UnderWay::Paused;
        }
        let mut steps = self.state.cluster_steps.values().flatten();
        match steps.find(|step| step.running()) {
            Some(step) if step.action == FENCE => UnderWay::Fence,
            Some(_) => UnderWay::Unapply,
            None if self.state.nodes.values().any(|node| matches!(node.cells.last(), Some(Cell::Running(_)))) => {
                UnderWay::Files
            }
            None => UnderWay::Nodes,
        }
    }

    /// The clusters in which the run does something: a plan for one has the others too, without steps.
    pub fn busy(&self) -> Vec<&ClusterName> {
        self.state.head.as_ref().map(|head| self.busy_of(head)).unwrap_or_default()
    }

    fn busy_of<'a>(&self, head: &'a RunHead) -> Vec<&'a ClusterName> {
        let is_busy =
            |cluster: &ClusterName, nodes: &[NodeName]| !nodes.is_empty() || self.expected.contains_key(cluster);
        head.clusters.iter().filter(|(cluster, nodes)| is_busy(cluster, nodes)).map(|(cluster, _)| cluster).collect()
    }

    fn lay_out(&self, head: &RunHead) -> Vec<RunRow> {
        let busy = self.busy_of(head);
        let mut rows = Vec::new();
        for (cluster, nodes) in head.clusters.iter().filter(|(cluster, _)| busy.contains(&cluster)) {
            rows.extend((busy.len() > 1).then(|| RunRow::Cluster(cluster.clone())));
            let steps = self.expected.get(cluster).into_iter().flatten();
            rows.extend(steps.map(|expected| RunRow::Step(cluster.clone(), expected.step)));
            rows.extend(nodes.iter().cloned().map(RunRow::Node));
        }
        rows
    }

    /// True until the verdict.
    pub const fn is_on(&self) -> bool {
        self.state.verdict.is_none() && !self.lost
    }

    /// The hardest cancelling that was asked for, here or elsewhere.
    pub fn cancelling(&self) -> Option<CancelLevel> {
        self.asked.map(|(level, _)| level).max(self.state.cancel)
    }

    /// Seconds since it began; it stands still after the verdict.
    pub fn elapsed(&self, clock: Timestamp) -> i64 {
        let end = if self.is_on() { Some(clock.max(self.state.now.unwrap_or(clock))) } else { self.state.now };
        match (self.state.started, end) {
            (Some(start), Some(end)) => end.as_second() - start.as_second(),
            _ => 0,
        }
    }

    /// How it ended; for a run that was lost, what can be said of it.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.lost { Some(self.state.verdict()) } else { self.state.verdict }
    }
}

/// How a node stands in a run, as one mark: `=` proven, `<` rolled back, `x` failed, `?` unknown, `.` not tried,
/// edited while stopped, which proves nothing, or with files that are held, else space.
pub(crate) const fn mark(node: &NodeRun) -> char {
    match node.fate {
        Fate::Waiting | Fate::Running => ' ',
        Fate::Proven => '=',
        Fate::RolledBack => '<',
        Fate::Failed => 'x',
        Fate::Unknown => '?',
        Fate::NotTried | Fate::Edited | Fate::Held => '.',
    }
}

/// Where what a screen shows of a run comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// What this muster does, or is about to do.
    #[default]
    Live,
    /// The recording that is open.
    Replay,
}

/// What the run screen knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunScreen {
    /// Which run it shows.
    pub source: Source,
    /// Where the cursor is among the run's rows.
    pub cursor: Cursor,
    /// The operator has moved it: it follows nothing any more.
    pub moved: bool,
}

impl RunScreen {
    /// The node under the cursor.
    pub fn node<'a>(&self, run: &'a Watched) -> Option<&'a NodeName> {
        match run.rows.get(self.cursor.at)? {
            RunRow::Node(node) => Some(node),
            RunRow::Cluster(_) | RunRow::Step(..) => None,
        }
    }

    /// To the next node that did not end well, round the end.
    pub fn next_trouble(&mut self, run: &Watched, height: usize) -> bool {
        let rows = run.rows.len();
        let next = (1..=rows).map(|by| (self.cursor.at + by) % rows.max(1)).find(|at| is_trouble(run, *at));
        if let Some(at) = next {
            self.cursor.at = at;
            self.cursor.step(Step::By(0), rows, height);
            self.moved = true;
        }
        next.is_some()
    }

    /// As long as the operator has not moved the cursor, it goes to the first node that does not end well.
    pub fn follow(&mut self, run: &Watched, height: usize) {
        if !self.moved && !is_trouble(run, self.cursor.at) && self.next_trouble(run, height) {
            self.moved = false;
        }
    }
}

fn is_trouble(run: &Watched, row: usize) -> bool {
    match run.rows.get(row) {
        Some(RunRow::Node(node)) => run.state.nodes.get(node).is_some_and(|node| node.fate.is_bad()),
        Some(RunRow::Step(cluster, step)) => {
            let end = run.step(cluster, *step).and_then(|step| step.end.as_ref());
            end.is_some_and(is_bad_end)
        }
        Some(RunRow::Cluster(_)) | None => false,
    }
}

/// Whether somebody has to look at a step of a whole cluster; what was only not begun is somebody else's trouble.
fn is_bad_end(end: &StepEnd) -> bool {
    match end {
        StepEnd::Failed { .. } | StepEnd::Unknown { .. } | StepEnd::RolledBack { .. } => true,
        StepEnd::Skipped { why } => matches!(why, crate::run::SkipReason::Held { .. }),
        StepEnd::Done { .. } => false,
    }
}

/// What is under way, as stopping it means something else for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderWay {
    /// Content travels, gateways reload, or nothing runs.
    Nodes,
    /// Rows are being un-applied.
    Unapply,
    /// Old workers are waited for, before files go.
    Fence,
    /// Files are being deleted.
    Files,
    /// Nothing: the run is paused between two waves.
    Paused,
}

/// What a level of cancelling does, and what it leaves, for the ladder.
pub(crate) const fn note_during(level: CancelLevel, now: UnderWay) -> (&'static str, &'static str) {
    let (name, of_nodes) = note(level);
    let what = match (now, level) {
        (UnderWay::Nodes, _) => of_nodes,
        (UnderWay::Paused, CancelLevel::AfterWave) => {
            "the run ends here: nothing is under way, what is done stays done; the nodes are looked at again"
        }
        (UnderWay::Paused, CancelLevel::AfterSteps) => "the same",
        (UnderWay::Paused, CancelLevel::LeaveSteps) => "the same, without looking at the nodes again",
        (UnderWay::Paused, CancelLevel::Close) => "the same, at once: leases are not given back, and end by their time",
        (UnderWay::Unapply, CancelLevel::AfterWave) => {
            "the un-apply is finished; no wave begins, so nodes go on listing the plugin and keep its files"
        }
        (UnderWay::Unapply | UnderWay::Fence | UnderWay::Files, CancelLevel::AfterSteps) => {
            "the same: no other step runs"
        }
        (UnderWay::Unapply, CancelLevel::LeaveSteps) => {
            "the un-apply stops between two rows; those that are gone are in the undo bundle"
        }
        (UnderWay::Unapply, CancelLevel::Close) => {
            "at once; which rows are gone is unknown until looked at; all are in the undo bundle"
        }
        (UnderWay::Fence, CancelLevel::AfterWave) => {
            "old workers are waited for no longer; no file goes, and the next run goes on from there"
        }
        (UnderWay::Fence, CancelLevel::LeaveSteps) => "the same, without the end of the present look",
        (UnderWay::Fence, CancelLevel::Close) => "the same, at once: looking changes nothing",
        (UnderWay::Files, CancelLevel::AfterWave) => {
            "nodes whose files are being deleted are finished; the others keep theirs"
        }
        (UnderWay::Files, CancelLevel::LeaveSteps | CancelLevel::Close) => {
            "at once; nothing loads what is left of the files any more; the next run deletes it"
        }
    };
    (name, what)
}

/// Why a level of cancelling means what it means, for the ladder: what it does, and what it leaves.
pub(crate) const fn note(level: CancelLevel) -> (&'static str, &'static str) {
    let what = match level {
        CancelLevel::AfterWave => "nodes of the wave that is on are finished and proven",
        CancelLevel::AfterSteps => "steps that are under way end; other nodes stay as they are",
        CancelLevel::LeaveSteps => "a node in the middle of a change is put back by its own guard",
        CancelLevel::Close => "at once; guards put back; how nodes end is unknown until looked at",
    };
    (level.name(), what)
}
