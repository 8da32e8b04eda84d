//! How a run ended, and the one place where that becomes an exit code.

use serde::{Deserialize, Serialize};

/// Why a run could not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
