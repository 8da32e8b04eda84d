//! What a plan stands on: the revision, and per node exactly the facts that the planner read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::NodeBasis;
use crate::name::{NodeName, Owner, Revision};

/// What a plan stands on. A changing script gets its node's part and answers `moved` before it touches anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The name of the repository, for people.
    pub repository: String,
    /// The commit that the inventory and the bundles were read from.
    pub revision: Revision,
    /// The first line of its message.
    pub summary: String,
    /// The branch, if the commit is at the tip of the one checked out.
    pub branch: Option<String>,
    /// The owner that the inventory speaks for.
    pub owner: Owner,
    /// What was chosen, as it was written.
    #[serde(default)]
    pub selected: Selected,
    /// When the survey began.
    pub surveyed: Timestamp,
    /// How many nodes were looked at, seen, unreachable, refused.
    pub looked: [usize; 4],
    /// The nodes with steps.
    pub nodes: BTreeMap<NodeName, NodeBasis>,
}

/// What was chosen to be changed, as it was written; nothing means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// Clusters.
    pub clusters: Option<String>,
    /// Nodes.
    pub nodes: Option<String>,
    /// Plugins and bundles.
    pub plugins: Option<String>,
    /// Nodes of which it cannot be told what their workers run were to be reloaded, too.
    pub unproven: bool,
}
