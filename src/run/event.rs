//! The facts of a run, as they are journalled, printed as JSON lines, and folded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cause, Counts, StepEnd, SurveyCounts, Verdict};
use crate::name::{BundleName, ClusterName, NodeName, Revision, RunId};
use crate::plan::StepId;

/// One fact of a run. Facts are numbered and never lost; `step-progressed` and `step-printed` are chatter, which may be
/// dropped and never changes a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its number, from 1, without gaps among facts. Chatter has the number of the fact before it.
    pub seq: u64,
    /// When it was recorded.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What a run is, in its first event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// How many steps each node has; a node has reached its goal when all of them are done.
    pub steps_of: BTreeMap<NodeName, u32>,
    /// How many waves each cluster has.
    pub waves: BTreeMap<ClusterName, u32>,
    /// The steps of whole clusters, in their order; a journal of an older muster names none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_steps: Vec<PlannedStep>,
}

/// A step of a whole cluster, as it is named before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// The step.
    pub step: StepId,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its verb.
    pub action: String,
    /// What it is about: the bundle or plugin.
    pub about: String,
}

/// A phase of an activate step, as it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepPhase {
    /// A bundle travels.
    Deliver,
    /// What was delivered is loaded on trial, away from what runs.
    Rehearse,
    /// The guard is being armed.
    Guard,
    /// The reload was asked for.
    Reload,
    /// The proof is being looked for.
    Prove,
    /// Proven; links are switched, and the file that the directive is kept in is written.
    Commit,
    /// It is being put back.
    PutBack,
    /// Files are being deleted.
    Delete,
}

/// How hard a run is being cancelled; it only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The node, if it is one.
    pub node: Option<NodeName>,
    /// For what, in words ("to prove its reload").
    pub what: String,
    /// How long it may take, in seconds, where there is a limit.
    pub limit: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Another run holds the node: nothing is begun on its cluster or on any later one.
    LeaseRefused {
        /// The node.
        node: NodeName,
        /// Who holds it, and for how long.
        cause: Cause,
    },
    /// The node could not be asked for its lease: it is left alone, and the rest goes on.
    LeaseFailed {
        /// The node.
        node: NodeName,
        /// What was found.
        cause: Cause,
    },
    /// A safety rule forbids the run: nothing was begun.
    RunRefused {
        /// Which rule, and what to do.
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
    /// The proof of a reload holds: a fact, as commit follows. Of a trial load: what loads, or why there is none. Of a
    /// deletion: what was kept, and where.
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
    /// A step of a whole cluster was begun. For a changing step this line is on disk before anything is changed.
    ClusterStepStarted {
        /// The step.
        step: StepId,
        /// Its cluster.
        cluster: ClusterName,
        /// Its verb.
        action: String,
        /// What it is about: the bundle or plugin.
        about: String,
    },
    /// Chatter: what a step of a whole cluster does or waits for.
    ClusterStepProgressed {
        /// The step.
        step: StepId,
        /// Its cluster.
        cluster: ClusterName,
        /// What is seen, one line.
        text: String,
    },
    /// What a step of a whole cluster came to, before it ended.
    ClusterStepProven {
        /// The step.
        step: StepId,
        /// Its cluster.
        cluster: ClusterName,
        /// What was proven ("2 rows un-applied, none left").
        text: String,
    },
    /// A step of a whole cluster ended.
    ClusterStepEnded {
        /// The step.
        step: StepId,
        /// Its cluster.
        cluster: ClusterName,
        /// Its verb.
        action: String,
        /// How.
        #[serde(flatten)]
        end: StepEnd,
    },
    /// Steps were added to the run: something was done behind it, and what it had done is put back.
    StepsAdded {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        cause: Cause,
        /// The nodes with added steps, and how many each has.
        steps_of: BTreeMap<NodeName, u32>,
        /// How many waves they are in.
        waves: u32,
    },
    /// All deliveries of a cluster are over.
    ClusterDelivered {
        /// The cluster.
        cluster: ClusterName,
        /// What, with the size in bytes where it is known.
        bundles: BTreeMap<BundleName, Option<u64>>,
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
    /// A node that was proven did not stay healthy during the soak; it counts as failed.
    NodeUnhealthy {
        /// The node.
        node: NodeName,
        /// What was seen.
        cause: Cause,
    },
    /// A cluster was stopped, and no later one is begun.
    ClusterStopped {
        /// The cluster.
        cluster: ClusterName,
        /// Why, in words.
        why: String,
        /// Its nodes by what became of them.
        #[serde(flatten)]
        counts: Counts,
    },
    /// Cancelling was asked for.
    CancelRequested {
        /// How hard.
        level: CancelLevel,
        /// Who asked, `user@host`; not known in journals of old.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A pause after the current wave was asked for, or taken back.
    PauseRequested {
        /// Whether to pause.
        paused: bool,
        /// Who asked, `user@host`; not known in journals of old.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The pause has begun: no step is under way, no guard is armed, and none will be until it goes on.
    RunPaused {
        /// The cluster whose wave was the last, or whose first has not begun.
        cluster: ClusterName,
        /// The last wave of it that is over; 0 before the first.
        wave: u32,
        /// Who asked, `user@host`.
        by: String,
    },
    /// The run goes on after a pause.
    RunResumed {
        /// Who asked, `user@host`.
        by: String,
    },
    /// Somebody asked for a node to be skipped: its steps that have not begun end as skipped.
    NodeSkipped {
        /// The node.
        node: NodeName,
        /// Who asked, `user@host`.
        by: String,
    },
    /// A node was to be skipped, and cannot be; nothing changed.
    SkipRefused {
        /// The node.
        node: NodeName,
        /// Who asked, `user@host`.
        by: String,
        /// Why not.
        why: String,
    },
    /// What everything waits for; `null` when nothing does.
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
        /// Nodes that were unknown in the run and were now seen in line.
        settled: Vec<NodeName>,
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
        matches!(self, Self::StepProgressed { .. } | Self::StepPrinted { .. } | Self::ClusterStepProgressed { .. })
    }

    /// The word in the field `event`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run-started",
            Self::LeaseTaken { .. } => "lease-taken",
            Self::LeaseRefused { .. } => "lease-refused",
            Self::LeaseFailed { .. } => "lease-failed",
            Self::RunRefused { .. } => "run-refused",
            Self::StepStarted { .. } => "step-started",
            Self::StepProgressed { .. } => "step-progressed",
            Self::StepPrinted { .. } => "step-printed",
            Self::StepProven { .. } => "step-proven",
            Self::StepEnded { .. } => "step-ended",
            Self::ClusterStepStarted { .. } => "cluster-step-started",
            Self::ClusterStepProgressed { .. } => "cluster-step-progressed",
            Self::ClusterStepProven { .. } => "cluster-step-proven",
            Self::ClusterStepEnded { .. } => "cluster-step-ended",
            Self::StepsAdded { .. } => "steps-added",
            Self::ClusterDelivered { .. } => "cluster-delivered",
            Self::WaveStarted { .. } => "wave-started",
            Self::WaveProven { .. } => "wave-proven",
            Self::NodeUnhealthy { .. } => "node-unhealthy",
            Self::ClusterStopped { .. } => "cluster-stopped",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::PauseRequested { .. } => "pause-requested",
            Self::RunPaused { .. } => "run-paused",
            Self::RunResumed { .. } => "run-resumed",
            Self::NodeSkipped { .. } => "node-skipped",
            Self::SkipRefused { .. } => "skip-refused",
            Self::WaitingFor { .. } => "waiting-for",
            Self::LookedAgain { .. } => "looked-again",
            Self::RunEnded { .. } => "run-ended",
        }
    }

    /// The words of all kinds that this version knows; a journal may hold others (docs/events.md).
    pub const WORDS: [&'static str; 29] = [
        "run-started",
        "lease-taken",
        "lease-refused",
        "lease-failed",
        "run-refused",
        "step-started",
        "step-progressed",
        "step-printed",
        "step-proven",
        "step-ended",
        "cluster-step-started",
        "cluster-step-progressed",
        "cluster-step-proven",
        "cluster-step-ended",
        "steps-added",
        "cluster-delivered",
        "wave-started",
        "wave-proven",
        "node-unhealthy",
        "cluster-stopped",
        "cancel-requested",
        "pause-requested",
        "run-paused",
        "run-resumed",
        "node-skipped",
        "skip-refused",
        "waiting-for",
        "looked-again",
        "run-ended",
    ];
}

impl CancelLevel {
    /// The next rung, or the last one again.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::AfterWave => Self::AfterSteps,
            Self::AfterSteps => Self::LeaveSteps,
            Self::LeaveSteps | Self::Close => Self::Close,
        }
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterWave => "no next wave",
            Self::AfterSteps => "no new steps",
            Self::LeaveSteps => "leave steps",
            Self::Close => "close connections",
        }
    }

    /// What it means, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AfterWave => "no next wave",
            Self::AfterSteps => "no new steps; running ones end",
            Self::LeaveSteps => "running steps are left to the guards on their nodes",
            Self::Close => "connections are closed",
        }
    }
}
