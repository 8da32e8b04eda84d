//! The fold: the only way that a view learns anything.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{CancelLevel, Cause, Event, EventKind, RunHead, SurveyCounts, Verdict, Waiting};
use crate::name::{ClusterName, NodeName};

/// What is known of one phase on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cell {
    /// Not begun.
    #[default]
    Waiting,
    /// Under way since then.
    Running(Timestamp),
    /// Done, `=`.
    Done,
    /// Failed, `x`.
    Failed,
    /// Put back, `<`.
    PutBack,
    /// Not known, `?`.
    Unknown,
    /// Not begun, and will not be, `.`.
    Skipped,
}

/// What is known of one node in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeRun {
    /// deliver, guard, reload, prove, commit.
    pub cells: [Cell; 5],
    /// The last thing seen, one line.
    pub now: String,
    /// Why it did not end well.
    pub cause: Option<Cause>,
    /// It ended, well or not.
    pub ended: bool,
    /// It holds.
    pub proven: bool,
    /// Its wave, from 1; 0 before.
    pub wave: u32,
    /// The last lines printed, bounded.
    pub printed: Vec<String>,
}

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
    /// The current wave of each cluster.
    pub waves: BTreeMap<ClusterName, u32>,
    /// Clusters that were stopped, and why.
    pub stopped: BTreeMap<ClusterName, String>,
    /// How hard it is being cancelled.
    pub cancel: Option<CancelLevel>,
    /// What everything waits for.
    pub waiting: Option<Waiting>,
    /// What looking again found.
    pub looked: Option<(SurveyCounts, Vec<String>)>,
    /// A node's lease was refused.
    pub locked: bool,
    /// How it ended.
    pub verdict: Option<Verdict>,
}

impl RunState {
    /// Takes one event in. A fact that was seen already changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if !event.kind.is_chatter() {
            if event.seq <= self.seq {
                return;
            }
            self.seq = event.seq;
        }
        self.now = Some(event.at);
        if let EventKind::RunStarted { head } = &event.kind {
            self.started = Some(event.at);
            self.nodes =
                head.clusters.iter().flat_map(|(_, nodes)| nodes).map(|n| (n.clone(), NodeRun::default())).collect();
            self.head = Some(head.clone());
        }
    }
}
