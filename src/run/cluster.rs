//! What is known of the steps of a whole cluster: the un-apply before its waves, the fence behind them.

use jiff::Timestamp;

use super::{Cause, Outcome, StepEnd};
use crate::plan::StepId;

/// What is known of a step of a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStep {
    /// The step.
    pub step: StepId,
    /// Its verb.
    pub action: String,
    /// What it is about: the bundle or plugin.
    pub about: String,
    /// When it was begun; `None` for one that was not.
    pub since: Option<Timestamp>,
    /// The last thing seen, one line.
    pub now: String,
    /// How it ended.
    pub end: Option<StepEnd>,
}

impl ClusterStep {
    pub(super) fn new(step: StepId, action: &str, about: &str, since: Option<Timestamp>) -> Self {
        let (action, about) = (action.to_owned(), about.to_owned());
        Self { step, action, about, since, now: String::new(), end: None }
    }

    pub(super) fn ended(&mut self, end: &StepEnd) {
        match end {
            StepEnd::Done { .. } => {}
            StepEnd::RolledBack { cause } | StepEnd::Failed { cause } | StepEnd::Unknown { cause } => {
                self.now.clone_from(&cause.text);
            }
            StepEnd::Skipped { why } => self.now = why.words(),
        }
        self.end = Some(end.clone());
    }

    /// Why it did not end well, if it did not; one that was only not begun has no cause.
    pub const fn cause(&self) -> Option<&Cause> {
        match &self.end {
            Some(StepEnd::Failed { cause } | StepEnd::Unknown { cause } | StepEnd::RolledBack { cause }) => Some(cause),
            Some(StepEnd::Done { .. } | StepEnd::Skipped { .. }) | None => None,
        }
    }

    /// It runs.
    pub const fn running(&self) -> bool {
        self.end.is_none()
    }

    /// It changed something.
    pub const fn changed(&self) -> bool {
        matches!(self.end, Some(StepEnd::Done { outcome: Outcome::Changed }))
    }

    /// It ended, and does not hold.
    pub const fn not_reached(&self) -> bool {
        matches!(self.end, Some(StepEnd::RolledBack { .. } | StepEnd::Failed { .. } | StepEnd::Skipped { .. }))
    }

    /// What it came to is not known.
    pub const fn unknown(&self) -> bool {
        matches!(self.end, None | Some(StepEnd::Unknown { .. }))
    }
}
