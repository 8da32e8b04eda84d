//! How a step ended, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hint::Hint;
use crate::plan::StepId;

/// How a step that was carried out came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something was changed.
    Changed,
    /// Everything was already so.
    Unchanged,
    /// Files and kong.conf are as wanted, and Kong is stopped: nothing was loaded, so that nothing is proven.
    Edited,
}

/// Why a step did not end well, for people and for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl Cause {
    /// The code of a failure that nothing but a row of the Admin API explains: somebody uses a plugin again that is being
    /// removed. What the run has done of the removal is put back.
    pub const REAPPLIED: &str = "re-applied";
    /// The code of an upgrade whose new schema does not take rows that are in use. It is the same on every node, so that no
    /// further one of the cluster is tried, whatever its rollout allows to fail.
    pub const ROWS_INVALID: &str = "rows-invalid";
    /// The code of a trial load that failed because of the content itself: no node of the cluster begins with it.
    pub const DOES_NOT_LOAD: &str = "does-not-load";
    /// The code of a trial load that failed because of something on its node.
    pub const DOES_NOT_LOAD_HERE: &str = "does-not-load-here";
}

/// Why a step was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// A step that it needs, or an earlier one of its node, did not end well.
    Needs {
        /// Which.
        step: StepId,
    },
    /// The cluster, or one before it, was stopped.
    ClusterStopped,
    /// The run was cancelled.
    Cancelled,
    /// The node is not as the plan saw it: nothing was touched.
    NodeMoved {
        /// What is not: `conf`, `env`, `master`, `manifest`, `link`, `root`, with what was found.
        #[serde(default)]
        what: String,
    },
    /// Another run holds a node of the cluster.
    Locked,
    /// The node could not be asked for its lease.
    NoLease,
    /// Its start could not be written to the journal.
    NotRecorded,
    /// Somebody asked for its node to be skipped, before the step was begun.
    Operator {
        /// Who, `user@host`.
        by: String,
    },
    /// It waits for something outside the run.
    Held {
        /// For what.
        why: String,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl SkipReason {
    /// The reason in words, after "not begun: ".
    pub fn words(&self) -> String {
        match self {
            Self::Needs { step } => format!("step {step} did not end well"),
            Self::ClusterStopped => "the cluster was stopped".to_owned(),
            Self::Cancelled => "the run was cancelled".to_owned(),
            Self::NodeMoved { what } if what.is_empty() => "the node is no longer as the plan saw it".to_owned(),
            Self::NodeMoved { what } => format!("the node is no longer as the plan saw it: {what}"),
            Self::Locked => "another run holds the cluster".to_owned(),
            Self::NoLease => "the node's lease could not be taken".to_owned(),
            Self::NotRecorded => "its start could not be written to the journal".to_owned(),
            Self::Operator { by } => format!("skipped by {by}"),
            Self::Held { why } => format!("held: {why}"),
        }
    }
}
