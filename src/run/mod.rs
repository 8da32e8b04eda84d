//! One execution as numbered events, and a fold over them.
//!
//! Owns: [`Event`], [`RunState`] (what a view knows, all of it learnt from events), [`Verdict`]. Must not know: how a
//! step is carried out, or who watches.

mod blame;
mod cluster;
mod counts;
mod ended;
mod event;
mod held;
mod looked;
mod node;
mod pause;
mod reader;
mod recorded;
mod state;
mod ticket;
mod verdict;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod fold_tests;
#[cfg(test)]
mod steering_tests;

pub use cluster::ClusterStep;
pub use counts::Counts;
pub use ended::{Cause, Outcome, SkipReason, StepEnd};
pub use event::{CancelLevel, Event, EventKind, PlannedStep, RunHead, StepPhase, Waiting};
pub use held::Held;
pub use looked::SurveyCounts;
pub use node::{Cell, Fate, NodeRun, PRINTED};
pub use pause::Pause;
pub use reader::{Recorder, Reporter};
pub use recorded::{About, Came, Recorded};
pub use state::RunState;
pub use ticket::{Extent, ticket};
pub use verdict::{FailureKind, Verdict};
