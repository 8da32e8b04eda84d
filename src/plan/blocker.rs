//! Why something was not planned.

use serde::{Deserialize, Serialize};

use crate::hint::Hint;
use crate::name::{ClusterName, NodeName};

/// The reasons, each a stable word that `--allow` and scripts can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockerCode {
    /// Files that are not ours, with other content, stand where a bundle has to go.
    ForeignFiles,
    /// A rock of LuaRocks owns files that a bundle would replace.
    OwnedByRock,
    /// Another owner's manifest entry has the name.
    OtherOwner,
    /// kong.conf says that a configuration manager writes it.
    ManagedConf,
    /// kong.conf cannot be written: read-only, hard links, not a file.
    ConfUnwritable,
    /// The prefix is another one than the inventory says, or is not there: which Kong is meant cannot be told.
    Prefix,
    /// No master is found where it should be, and the Admin API answers: whether Kong runs cannot be told.
    NoMaster,
    /// kong.conf sets `plugins` in a way that an edit cannot keep (`off` first, an empty name).
    DirectiveUnclear,
    /// A file or directory of ours on the node cannot be read, or has an unknown format.
    NodeFiles,
    /// The version of Kong is one that muster only looks at.
    KongVersion,
    /// The Lua root is not on the node's search path.
    SearchPath,
    /// The Admin API did not answer, so that nothing could be proven.
    AdminUnreachable,
    /// Something that muster needs on the node is missing (a tool, space, rights).
    NodeLacks,
    /// Two bundles own the same path.
    PathConflict,
    /// A plugin to be removed: the order of a removal is not safe to plan here.
    Removal,
    /// Any reload would also apply settings that wait in `.kong_env`.
    PendingSettings,
    /// Any reload would fail: the directive names a plugin whose files are gone, and this plan does not bring them.
    ReloadFails,
    /// What is `external` is not there yet.
    ExternalMissing,
    /// The node holds an unfinished change of another run, or a guard.
    Unfinished,
    /// Two nodes of the inventory are one machine, prefix or Lua root.
    SharedNode,
    /// More nodes are unreachable than the rollout allows.
    TooManyUnreachable,
    /// The topology is one that this version does not change.
    Topology,
    /// A cluster named in `rollout.after` is not in line.
    AfterCluster,
}

impl BlockerCode {
    /// The word that `--allow` takes.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether `--allow CODE[=NODE]` lifts it. What would take a node down is never lifted.
    pub const fn can_be_allowed(self) -> bool {
        matches!(self, Self::ManagedConf | Self::PendingSettings | Self::TooManyUnreachable | Self::AfterCluster)
    }
}

/// How much a blocker stops. The rest goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum Scope {
    /// The whole run.
    Run,
    /// A cluster.
    Cluster {
        /// Which.
        cluster: ClusterName,
    },
    /// One plugin or bundle on a cluster.
    Plugin {
        /// On which cluster.
        cluster: ClusterName,
        /// Which, as the inventory names it.
        name: String,
    },
    /// One node.
    Node {
        /// Which.
        node: NodeName,
    },
}

/// Something that was not planned, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The reason.
    pub code: BlockerCode,
    /// What it stops.
    pub scope: Scope,
    /// What was found, one line, without a full stop.
    pub what: String,
    /// More lines of what was found.
    pub details: Vec<String>,
    /// What to do.
    pub hints: Vec<Hint>,
}
