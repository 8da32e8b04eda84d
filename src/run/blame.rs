//! The cause that an event carries, if it carries one.

use super::{Cause, EventKind, StepEnd};

impl EventKind {
    /// Why something did not end well.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::LeaseRefused { cause, .. }
            | Self::LeaseFailed { cause, .. }
            | Self::RunRefused { cause }
            | Self::StepsAdded { cause, .. }
            | Self::NodeUnhealthy { cause, .. } => Some(cause),
            Self::StepEnded { end, .. } | Self::ClusterStepEnded { end, .. } => match end {
                StepEnd::RolledBack { cause } | StepEnd::Failed { cause } | StepEnd::Unknown { cause } => Some(cause),
                StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
            },
            _ => None,
        }
    }

    /// The same, to be changed.
    pub const fn cause_mut(&mut self) -> Option<&mut Cause> {
        match self {
            Self::LeaseRefused { cause, .. }
            | Self::LeaseFailed { cause, .. }
            | Self::RunRefused { cause }
            | Self::StepsAdded { cause, .. }
            | Self::NodeUnhealthy { cause, .. } => Some(cause),
            Self::StepEnded { end, .. } | Self::ClusterStepEnded { end, .. } => match end {
                StepEnd::RolledBack { cause } | StepEnd::Failed { cause } | StepEnd::Unknown { cause } => Some(cause),
                StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
            },
            _ => None,
        }
    }
}
