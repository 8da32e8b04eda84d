//! What the interface asks for, and who does it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::edits::Edits;
use super::screen::DiffAbout;
use crate::name::{ClusterName, NodeName, RunId};
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
    /// These nodes, of whatever clusters.
    Nodes(BTreeSet<NodeName>),
}

/// Something to be done outside of the model: `update` returns it, the loop has it done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look again.
    Look(Part),
    /// Make a plan from the last survey.
    Plan(Part),
    /// Make a plan from the last survey that follows what was left out and lifted.
    PlanWith(Part, Edits),
    /// Save a plan in a file of this name; in place of another plan if so.
    Save {
        /// The plan.
        plan: Arc<Plan>,
        /// The file, from the working directory.
        file: String,
        /// Another plan that is there is replaced.
        replace: bool,
    },
    /// Carry a plan out.
    Apply(Arc<Plan>),
    /// Cancel the run, this hard.
    Cancel(CancelLevel),
    /// Say what is known of a node.
    Inspect(NodeName),
    /// Ask a node for its receipts and the end of its error log.
    Ask(NodeName),
    /// Compare files of a node with what is wanted.
    Compare(DiffAbout),
    /// Tell of the recorded runs.
    ListRuns,
    /// Read a recording, and follow it while its run is at work.
    OpenRun(RunId, PathBuf),
    /// Read no recording any more.
    CloseRun,
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
/// - `plan_with` as `plan`;
/// - `save` ends in `Saved`;
/// - `apply` gives the run's events as `Run`, the last of them `RunEnded`, and then, if the run looked again, what it saw as
///   `Looked`; or `Failed` if it could not begin or could not go on;
/// - `cancel`, `pause` and `skip` show as events of the run;
/// - `inspect` ends in `Inspected`, or in nothing if there is no such node or no look yet;
/// - `ask` ends in `Answered`, `compare` in `Compared`, each with an answer or the reason why there is none;
/// - `list_runs` gives `Runs`: `Listed`, then any number of `Told`;
/// - `open_run` gives `Replay`: its plan, its events, and what has to come behind them; or `Failed`, if not even its
///   beginning can be read.
///
/// If a task of the driver panics, it sends `Died`.
pub trait Driver {
    /// Looks again, over the connections that are held. What is not looked at stays as it was.
    fn look(&self, part: Part);
    /// Makes a plan from the last survey. A part narrows what is changed, never what is looked at.
    fn plan(&self, part: Part);
    /// The same without what was left out, and with what was lifted.
    fn plan_with(&self, part: Part, edits: Edits);
    /// Saves a plan. Nothing but a plan is ever replaced, and that only if so.
    fn save(&self, plan: Arc<Plan>, file: String, replace: bool);
    /// Carries out exactly this plan.
    fn apply(&self, plan: Arc<Plan>);
    /// Cancels the run that is on. It only ever rises.
    fn cancel(&self, level: CancelLevel);
    /// Says what the last survey knows of a node. Asks nobody.
    fn inspect(&self, node: NodeName);
    /// Asks a node for its receipts and the end of its error log, over the connection that is held.
    fn ask(&self, node: NodeName);
    /// Compares files of a node with what is wanted, and asks it for content that is not known here.
    fn compare(&self, about: DiffAbout);
    /// Tells of the recorded runs: quickly of all, then more exactly.
    fn list_runs(&self);
    /// Reads a recording, in place of the one before; it goes on reading while the run is at work.
    fn open_run(&self, run: RunId, journal: PathBuf);
    /// Reads no recording any more.
    fn close_run(&self);
    /// Asks for a pause after the wave that is on; or takes that back, or goes on.
    fn pause(&self, paused: bool);
    /// Asks for a node to be skipped; the run may refuse it.
    fn skip(&self, node: NodeName);
}
