//! The facts of a run, as they are journalled, printed as JSON lines, and folded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::hint::Hint;
use crate::name::{BundleName, ClusterName, NodeName, Revision, RunId};
use crate::plan::StepId;

/// One fact of a run. Facts are numbered and never lost; `step-progressed` and `step-printed` are chatter, which may be
/// dropped and never changes a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 1, without gaps among facts.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What a run is, in its first event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// Its id.
    pub run: RunId,
    /// The repository's name.
    pub repository: String,
    /// The commit.
    pub revision: Revision,
    /// The first line of the commit's message.
    pub summary: String,
    /// Who runs it, `user@host`.
    pub operator: String,
    /// The clusters in order, each with its nodes that have steps.
    pub clusters: Vec<(ClusterName, Vec<NodeName>)>,
    /// How many steps there are.
    pub steps: usize,
    /// How many waves each cluster has.
    pub waves: BTreeMap<ClusterName, u32>,
}

/// A phase of an activate step, as it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPhase {
    /// A bundle travels.
    Deliver,
    /// The guard is being armed.
    Guard,
    /// The reload was asked for.
    Reload,
    /// The proof is being looked for.
    Prove,
    /// Proven; links and kong.conf are switched.
    Commit,
    /// It is being put back.
    PutBack,
}

/// How a step that was carried out came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something was changed.
    Changed,
    /// Everything was already so.
    Unchanged,
}

/// Why a step did not end well, for people and for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A stable word: `reload-failed`, `not-proven`, `moved`, `locked`, `timed-out`, `no-space`…
    pub code: String,
    /// What was found, one line, free of control characters.
    pub text: String,
    /// More: the log's own lines, what they mean.
    pub details: Vec<String>,
    /// What to do.
    pub hints: Vec<Hint>,
}

/// Why a step was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// A step that it needs did not end well.
    Needs {
        /// Which.
        step: StepId,
    },
    /// The cluster stopped: its failure budget was spent.
    ClusterStopped,
    /// The run was cancelled.
    Cancelled,
    /// The node is not as the plan saw it.
    NodeMoved,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum StepEnd {
    /// It holds.
    Done {
        /// Whether anything had to be changed.
        outcome: Outcome,
    },
    /// It did not hold, and the node serves as before: proven.
    RolledBack {
        /// Why.
        cause: Cause,
    },
    /// It failed; the cause says in which state the node is.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// The connection was lost: what happened is not known until the node is looked at again.
    Unknown {
        /// What was lost.
        cause: Cause,
    },
    /// It was not begun.
    Skipped {
        /// Why not.
        why: SkipReason,
    },
}

/// How hard a run is being cancelled; it only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelLevel {
    /// No next wave.
    AfterWave,
    /// No new steps; running ones end.
    AfterSteps,
    /// Steps that may be interrupted are left; the guards on the nodes put them back.
    LeaveSteps,
    /// Connections are closed.
    Close,
}

/// What everything waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The node, if it is one.
    pub node: Option<NodeName>,
    /// For what, in words ("to prove its reload").
    pub what: String,
    /// How long it may take, in seconds, where there is a limit.
    pub limit: Option<u64>,
}

/// The result of looking again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyCounts {
    /// Nodes in line.
    pub in_line: usize,
    /// Nodes with drift.
    pub drift: usize,
    /// Nodes with a blocker.
    pub blocked: usize,
    /// Nodes that could not be seen.
    pub unknown: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// What it is.
        #[serde(flatten)]
        head: RunHead,
    },
    /// The node's lease was taken.
    LeaseTaken {
        /// The node.
        node: NodeName,
    },
    /// Another run holds the node.
    LeaseRefused {
        /// The node.
        node: NodeName,
        /// Who holds it, and for how long.
        cause: Cause,
    },
    /// A step was begun. For a changing step this line is on disk before its worker goes on.
    StepStarted {
        /// The step.
        step: StepId,
        /// Its node.
        node: NodeName,
        /// Its verb.
        action: String,
        /// What it is about: the bundle, the directive.
        about: String,
    },
    /// Chatter: a phase of the step passed.
    StepProgressed {
        /// The step.
        step: StepId,
        /// Its node.
        node: NodeName,
        /// The phase it is in now.
        phase: StepPhase,
        /// What is seen, one line.
        text: String,
    },
    /// Chatter: a line of output.
    StepPrinted {
        /// The step.
        step: StepId,
        /// Its node.
        node: NodeName,
        /// The line, cleaned.
        line: String,
    },
    /// The proof of a reload holds: a fact, as commit follows.
    StepProven {
        /// The step.
        step: StepId,
        /// Its node.
        node: NodeName,
        /// What was proven ("2 new workers, request-tag 1.4.0").
        text: String,
    },
    /// A step ended.
    StepEnded {
        /// The step.
        step: StepId,
        /// Its node.
        node: NodeName,
        /// Its verb.
        action: String,
        /// How.
        #[serde(flatten)]
        end: StepEnd,
    },
    /// All deliveries of a cluster are over.
    ClusterDelivered {
        /// The cluster.
        cluster: ClusterName,
        /// What, with the size in bytes.
        bundles: BTreeMap<BundleName, u64>,
        /// To how many nodes.
        nodes: usize,
    },
    /// A wave began.
    WaveStarted {
        /// The cluster.
        cluster: ClusterName,
        /// The number of the wave in the cluster, from 1.
        wave: u32,
        /// Of how many.
        of: u32,
        /// Its nodes.
        nodes: Vec<NodeName>,
    },
    /// A wave stayed healthy for the soak.
    WaveProven {
        /// The cluster.
        cluster: ClusterName,
        /// The wave.
        wave: u32,
        /// The soak, in seconds.
        soak: u64,
    },
    /// A cluster was stopped.
    ClusterStopped {
        /// The cluster.
        cluster: ClusterName,
        /// Why, in words.
        why: String,
        /// Nodes changed, rolled back or failed, not tried.
        counts: [usize; 3],
    },
    /// Cancelling was asked for.
    CancelRequested {
        /// How hard.
        level: CancelLevel,
    },
    /// What everything waits for; `None` when nothing does.
    WaitingFor {
        /// For what.
        waiting: Option<Waiting>,
    },
    /// The touched nodes were looked at again.
    LookedAgain {
        /// What was found.
        #[serde(flatten)]
        counts: SurveyCounts,
        /// What still differs, one line for each.
        left: Vec<String>,
    },
    /// The run ended.
    RunEnded {
        /// How.
        verdict: Verdict,
        /// The exit code.
        exit: u8,
    },
}

impl EventKind {
    /// Whether it may be dropped.
    pub const fn is_chatter(&self) -> bool {
        matches!(self, Self::StepProgressed { .. } | Self::StepPrinted { .. })
    }
}
