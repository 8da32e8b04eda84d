//! One execution as numbered events, and a fold over them.
//!
//! Owns: [`Event`], [`RunState`] (what a view knows, all of it learnt from events), [`Verdict`]. Must not know: how a
//! step is carried out, or who watches.

mod event;
mod state;
mod verdict;

pub use event::{
    CancelLevel, Cause, Event, EventKind, Outcome, RunHead, SkipReason, StepEnd, StepPhase, SurveyCounts, Waiting,
};
pub use state::{Cell, NodeRun, RunState};
pub use verdict::{FailureKind, Verdict};
