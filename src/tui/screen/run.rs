//! The run: its fold, the fixed order of its rows, and where the cursor is.

use jiff::Timestamp;

use crate::name::{ClusterName, NodeName};
use crate::run::{CancelLevel, Event, EventKind, Fate, NodeRun, RunState, Verdict};
use crate::tui::cursor::{Cursor, Step};
use crate::tui::shown::width;

/// A run that is watched, live or over.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// What is known, all of it learnt from events.
    pub state: RunState,
    /// The rows, in the order of the run's first event; they never move.
    pub rows: Vec<RunRow>,
    /// The columns that the longest name of all nodes takes: scrolling must not move the columns.
    pub name_width: usize,
    /// It will never say how it ended: the part of muster that carried it out failed.
    pub lost: bool,
    /// The hardest cancelling that was asked for, and when.
    pub asked: Option<(CancelLevel, Timestamp)>,
}

/// A row of the run screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRow {
    /// A cluster's heading, where there are several.
    Cluster(ClusterName),
    /// A node.
    Node(NodeName),
}

impl Watched {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        self.state.apply(event);
        if let EventKind::RunStarted { head } = &event.kind {
            self.rows = rows(&head.clusters);
            let names = head.clusters.iter().flat_map(|(_, nodes)| nodes).map(|node| width(node.as_str()));
            self.name_width = names.max().unwrap_or(0);
        }
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

/// The clusters of a run in which it does something: a plan for one has the others too, without nodes.
pub(crate) fn busy(
    clusters: &[(ClusterName, Vec<NodeName>)],
) -> impl DoubleEndedIterator<Item = &(ClusterName, Vec<NodeName>)> {
    clusters.iter().filter(|(_, nodes)| !nodes.is_empty())
}

fn rows(clusters: &[(ClusterName, Vec<NodeName>)]) -> Vec<RunRow> {
    let several = busy(clusters).nth(1).is_some();
    let of = |(cluster, nodes): &(ClusterName, Vec<NodeName>)| {
        let head = several.then(|| RunRow::Cluster(cluster.clone()));
        head.into_iter().chain(nodes.iter().cloned().map(RunRow::Node)).collect::<Vec<_>>()
    };
    busy(clusters).flat_map(of).collect()
}

/// What the run screen knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunScreen {
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
            RunRow::Cluster(_) => None,
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
    let node = match run.rows.get(row) {
        Some(RunRow::Node(node)) => run.state.nodes.get(node),
        Some(RunRow::Cluster(_)) | None => None,
    };
    node.is_some_and(|node| node.fate.is_bad())
}

/// Why a level of cancelling means what it means, for the ladder: what it does, and what it leaves.
pub(crate) const fn note(level: CancelLevel) -> (&'static str, &'static str) {
    match level {
        CancelLevel::AfterWave => ("no next wave", "nodes of the wave that is on are finished and proven"),
        CancelLevel::AfterSteps => ("no new steps", "steps that are under way end; other nodes stay as they are"),
        CancelLevel::LeaveSteps => ("leave steps", "a node in the middle of a change is put back by its own guard"),
        CancelLevel::Close => {
            ("close connections", "at once; guards put back; how nodes end is unknown until looked at")
        }
    }
}
