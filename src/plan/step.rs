//! Steps and waves.

use serde::{Deserialize, Serialize};

use crate::action::{Action, ReloadWay};
use crate::name::{ClusterName, NodeName, Shared};

/// The number of a step in its plan, from 0. Only [`super::PlanBuilder`] issues them, and a step can need only what was
/// issued before, so that a cycle cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub(super) u32);

impl StepId {
    /// Its place in [`super::Plan::steps`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number itself, as in receipts.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a wave in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WaveId(pub u32);

/// What a step works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One node.
    Node(NodeName),
    /// The whole cluster of the step.
    Cluster,
}

impl Target {
    /// The node, if it is one.
    pub const fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Node(node) => Some(node),
            Self::Cluster => None,
        }
    }

    /// Whether it is this node.
    pub fn is(&self, node: &NodeName) -> bool {
        self.node() == Some(node)
    }
}

/// When a step may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before all waves of its cluster: harmless to what runs.
    Prepare,
    /// Once for the cluster, after everything was brought there and before any wave.
    Unapply,
    /// In a wave.
    Wave(WaveId),
    /// Once for the cluster, after all its waves.
    Fence,
    /// After the fence.
    Clean,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// What it works on.
    pub target: Target,
    /// When.
    pub phase: Phase,
    /// What it does.
    pub action: Action,
    /// Why, one line.
    pub why: Shared<String>,
    /// What must have been done before.
    pub needs: Vec<StepId>,
}

impl Step {
    /// Whether it stops Kong and starts it again, so that the node serves nothing for a moment (measured.md 9).
    pub fn restarts(&self) -> bool {
        matches!(&self.action, Action::Activate(activate) if activate.way == ReloadWay::Restart)
    }

    /// Whether it reloads Kong.
    pub fn reloads(&self) -> bool {
        match &self.action {
            Action::Activate(activate) => activate.way.reloads(),
            Action::Deliver(_) | Action::Rehearse(_) | Action::Unapply(_) | Action::Fence(_) | Action::Delete(_) => {
                false
            }
        }
    }
}

/// A wave of a cluster: nodes that are changed before any node of the next wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Its number in the plan.
    pub id: WaveId,
    /// The cluster.
    pub cluster: ClusterName,
    /// Its number in the cluster, from 1.
    pub number: u32,
    /// Its nodes.
    pub nodes: Vec<NodeName>,
}
