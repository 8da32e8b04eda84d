//! Ordered steps in waves, with needs and reasons; what was not planned and why; and the basis it all stands on.
//!
//! Owns: the [`Plan`] as a value and the function that makes it. Must not know: clocks, files, nodes, terminals. The
//! same request gives the same bytes.

mod basis;
mod blocker;
mod change;
mod step;

use serde::{Deserialize, Serialize};

pub use basis::Basis;
pub use blocker::{Blocker, BlockerCode, Scope};
pub use change::{Change, ChangeKind, Note};
pub use step::{Phase, Step, StepId, Target, Wave, WaveId};

use crate::name::{ClusterName, NodeName};

/// The format of a saved plan.
pub const FORMAT: u32 = 1;

/// What will be done, in which order, and what will not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// What it stands on.
    pub basis: Basis,
    /// The clusters, in the order in which they are worked on.
    pub clusters: Vec<ClusterPlan>,
    /// The steps; a step needs only steps before it.
    pub steps: Vec<Step>,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// What was not planned, and why.
    pub blockers: Vec<Blocker>,
    /// What a person should know and nothing depends on.
    pub notes: Vec<Note>,
}

/// One cluster's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// The cluster.
    pub cluster: ClusterName,
    /// `traditional`, `dbless`, `hybrid`.
    pub topology: String,
    /// What changes, grouped: one entry for each change, with the nodes that have it.
    pub changes: Vec<Change>,
    /// The nodes, each in one list only.
    pub nodes: NodeLists,
    /// How many nodes may fail before the cluster stops.
    pub max_failed: usize,
    /// How many nodes are worked on at once.
    pub at_once: usize,
    /// How many nodes may be out of service at once because of us.
    pub max_out: usize,
    /// How long, in seconds, a wave has to stay healthy before the next.
    pub soak: u64,
}

/// The nodes of a cluster by what the plan makes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLists {
    /// Has steps.
    pub changing: Vec<NodeName>,
    /// Nothing to do.
    pub in_line: Vec<NodeName>,
    /// Has drift, and a blocker on it.
    pub blocked: Vec<NodeName>,
    /// Could not be seen: will be planned when it can be.
    pub unknown: Vec<NodeName>,
    /// Marked `out` in the inventory.
    pub out: Vec<NodeName>,
    /// Not selected.
    pub left_out: Vec<NodeName>,
}

impl Plan {
    /// True when it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The step of this id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(id.index())
    }

    /// How many nodes have a step that reloads Kong.
    pub fn reloads(&self) -> usize {
        self.steps.iter().filter(|step| step.reloads()).count()
    }
}
