//! What the interface asks for, and who does it.

use std::sync::Arc;

use crate::name::{ClusterName, NodeName};
use crate::plan::Plan;
use crate::run::CancelLevel;

/// A part of the fleet. It narrows what the command line already chose, never widens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// One cluster.
    Cluster(ClusterName),
    /// One node.
    Node(NodeName),
    /// These nodes.
    Nodes(Vec<NodeName>),
}

/// Something to be done outside of the model: `update` returns it, the loop has it done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look again.
    Look(Part),
    /// Make a plan from the last survey.
    Plan(Part),
    /// Carry a plan out.
    Apply(Arc<Plan>),
    /// Cancel the run, this hard.
    Cancel(CancelLevel),
    /// Pause the run after the wave that is on, or go on.
    Pause(bool),
    /// Skip a node of the run.
    Skip(NodeName),
    /// Give this text to the clipboard, where the terminal allows it.
    Copy(String),
    /// Draw everything anew: something else wrote on the terminal.
    Redraw,
    /// Give the terminal back to the shell until the operator returns.
    Suspend,
    /// Leave.
    Quit,
}

/// What does the work. Every method returns at once; what comes of it arrives as a [`super::Message`]:
///
/// - `look` ends in `Looked` or `Failed`, after any number of `Looking`;
/// - `plan` ends in `Planned` or `Failed`;
/// - `apply` gives the run's events as `Run`, the last of them `RunEnded`, and then, if the run looked again, what it saw as
///   `Looked`; or `Failed` if it could not begin or could not go on;
/// - `cancel`, `pause` and `skip` show as events of the run.
///
/// If a task of the driver panics, it sends `Died`.
pub trait Driver {
    /// Looks again, over the connections that are held. What is not looked at stays as it was.
    fn look(&self, part: Part);
    /// Makes a plan from the last survey. A part narrows what is changed, never what is looked at.
    fn plan(&self, part: Part);
    /// Carries out exactly this plan.
    fn apply(&self, plan: Arc<Plan>);
    /// Cancels the run that is on. It only ever rises.
    fn cancel(&self, level: CancelLevel);
    /// Asks for a pause after the wave that is on; or takes that back, or goes on.
    fn pause(&self, paused: bool);
    /// Asks for a node to be skipped; the run may refuse it.
    fn skip(&self, node: NodeName);
}
