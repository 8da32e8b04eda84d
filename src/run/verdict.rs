//! How a run ended, and the one place where that becomes an exit code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterStep, Fate, RunState, SurveyCounts};

/// Why a run could not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The command line is wrong.
    Usage,
    /// The repository, the inventory or a bundle is.
    Input,
    /// Something of ours or of this machine failed.
    Internal,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing was to be done, and everything was seen.
    InLine,
    /// It was done, and a look afterwards found nothing left.
    Converged,
    /// There are changes, and they were only to be shown.
    Pending,
    /// What was seen is in line; some nodes are unknown.
    Incomplete,
    /// Not every node reached its goal.
    NotReached,
    /// A safety rule forbids it.
    Refused,
    /// Another run holds the nodes.
    Locked,
    /// It was interrupted.
    Interrupted,
    /// It did not begin.
    NotStarted(FailureKind),
}

impl Verdict {
    /// The verdict of a run as far as it is known: the precedence is 130, 5, 6, 3, 4, 0.
    ///
    /// A node that was rolled back or failed, or was not tried, is never made good by looking again. One that is unknown
    /// is, if it was then seen in line. Without a look afterwards the best that can be said is [`Verdict::Incomplete`].
    pub fn of(state: &RunState) -> Self {
        if state.cancel.is_some() {
            return Self::Interrupted;
        }
        if state.locked {
            return Self::Locked;
        }
        if state.refused.is_some() {
            return Self::Refused;
        }
        let counts = state.counts();
        let looked = state.looked.as_ref().map(|(counts, _)| counts);
        let left = looked.is_some_and(|l| l.drift + l.blocked > 0);
        let steps = || state.cluster_steps.values().flatten();
        if steps().any(ClusterStep::not_reached) {
            return Self::NotReached;
        }
        let short = counts.rolled_back + counts.failed + counts.held + counts.not_tried;
        if left || short > 0 || !state.stopped.is_empty() {
            return Self::NotReached;
        }
        let all_seen = looked.is_some_and(|l| l.unknown == 0);
        if !all_seen || counts.unknown + counts.under_way > 0 || steps().any(ClusterStep::unknown) {
            return Self::Incomplete;
        }
        let changed = state.nodes.values().any(|node| node.changed && matches!(node.fate, Fate::Proven | Fate::Edited));
        let changed = changed || steps().any(ClusterStep::changed);
        if changed { Self::Converged } else { Self::InLine }
    }

    /// What a look alone says. [`Verdict::Pending`] becomes exit code 2 only where the command line asks for it.
    pub const fn of_look(counts: &SurveyCounts) -> Self {
        if counts.unknown > 0 {
            Self::Incomplete
        } else if counts.drift + counts.blocked > 0 {
            Self::Pending
        } else {
            Self::InLine
        }
    }

    /// The exit code (docs/events.md). 1 only while nothing was changed.
    pub const fn exit(self) -> u8 {
        match self {
            Self::InLine | Self::Converged => 0,
            Self::NotStarted(FailureKind::Usage) => 64,
            Self::NotStarted(FailureKind::Input | FailureKind::Internal) => 1,
            Self::Pending => 2,
            Self::NotReached => 3,
            Self::Incomplete => 4,
            Self::Locked => 5,
            Self::Refused => 6,
            Self::Interrupted => 130,
        }
    }

    /// The word, as on every screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InLine => "in line",
            Self::Converged => "converged",
            Self::Pending => "changes pending",
            Self::Incomplete => "incomplete",
            Self::NotReached => "not reached",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::Interrupted => "interrupted",
            Self::NotStarted(_) => "not started",
        }
    }
}
