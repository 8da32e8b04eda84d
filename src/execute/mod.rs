//! Carrying out a plan: dispatcher, errands, gates, cancelling.
//!
//! Owns: the order in which steps begin (leases, deliveries, un-apply, wave after wave, soak, fence, files), the budgets, and the numbering of
//! events. Must not know: how a step is carried out (that is [`crate::perform`]), or who reads the events.
//!
//! One task, the dispatcher, owns the [`RunState`]; everything that awaits a node is an errand in a task of its own,
//! which answers once. So a change of state, its event and what the reporters see are one thing, and a worker that panics
//! takes nothing with it. At most one errand is out for a node, hence one step at a time.

mod control;
mod dispatcher;
mod errand;
mod lane;
pub mod look;
pub mod pool;
mod removal;
mod schedule;
mod soak;
mod steer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub use control::Control;

use crate::action::Fence;
use crate::name::{ClusterName, Digest, NodeName, PluginName, RunId};
use crate::perform::{Perform, Watch};
use crate::plan::Plan;
use crate::run::{Recorder, Reporter, RunState, StepEnd, SurveyCounts};

/// What is to be carried out.
pub struct Job {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The id of this execution of it.
    pub run: RunId,
    /// Who runs it, `user@host`.
    pub operator: String,
    /// The size in bytes of each bundle that travels, for people.
    pub sizes: BTreeMap<Digest, u64>,
}

/// Where events go: first to the recorder, then to each reporter in turn.
pub struct Readers {
    /// The journal.
    pub recorder: Box<dyn Recorder>,
    /// Text, JSON, the TUI.
    pub reporters: Vec<Box<dyn Reporter>>,
}

/// What the time is: wall time for events. Waiting uses tokio's time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What was seen after the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// All nodes that the plan speaks of, by what they are now; those not looked at again count as the plan had them.
    pub counts: SurveyCounts,
    /// What still differs, one line for each.
    pub left: Vec<String>,
    /// The nodes that were seen in line.
    pub in_line: BTreeSet<NodeName>,
}

/// Looks at the nodes again once all steps are over: without it nothing is called converged.
#[async_trait]
pub trait Relook: Send + Sync {
    /// Looks, at least at the nodes that were touched.
    async fn look(&self, touched: &BTreeSet<NodeName>) -> Looked;
    /// Looks at the nodes of a fence until it holds, or is broken, or its limit is over. A row that reappeared is a failure
    /// with the code [`crate::run::Cause::REAPPLIED`].
    async fn fence(&self, fence: &Fence, watch: &dyn Watch) -> StepEnd;
    /// What puts these plugins back on every node of a cluster that no longer lists them while somebody uses them; `None`
    /// where there is no such node.
    async fn put_back(&self, cluster: &ClusterName, plugins: &BTreeSet<PluginName>) -> Option<Plan>;
}

/// Carries out a plan to its end, whatever that is, and returns what is known then; the verdict is in it.
///
/// Whatever goes wrong is an event and part of the verdict, so there is no error: a plan with a run-wide blocker is
/// refused, a held lease ends the run before anything of that cluster is changed, a journal that cannot be written stops
/// it before the next step.
pub async fn run(
    job: Job,
    perform: Arc<dyn Perform>,
    relook: Arc<dyn Relook>,
    control: Control,
    clock: Clock,
    readers: Readers,
) -> RunState {
    dispatcher::Dispatcher::new(job, perform, relook, control, clock, readers).carry_out().await
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod steer_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial_tests;
