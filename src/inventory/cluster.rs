//! Clusters: the nodes that share one configuration.

use std::collections::BTreeMap;

use super::{Assignment, DeclaredIn, Listen, Node, Place, Rollout, Subject, TreePath};
use crate::name::{ClusterName, NodeName, text_id};

fn env_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(allowed) && text.len() <= 200
    {
        return Ok(());
    }
    Err("a name of an environment variable has letters, digits and _, and begins with no digit".to_owned())
}

text_id!(
    /// The name of an environment variable of the operator, where a secret is; the secret itself is never in Git.
    EnvName, "name of an environment variable", "^[A-Za-z_][A-Za-z0-9_]*$", env_name
);

/// Where a token is; the token itself is never in Git. A command that gives it is the operator's own to name, in the settings of
/// this machine: what a repository says is never run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In this variable of the operator's environment.
    Env(EnvName),
    /// In this file below the operator's own directory of settings for muster. A repository cannot name others: what it
    /// names is sent to a node that it names as well.
    File(TreePath),
}

impl TokenSource {
    /// The name of the variable or file.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Env(name) => name.as_str(),
            Self::File(path) => path.as_str(),
        }
    }
}

/// How a cluster's nodes get their configuration; the order of steps depends on it (architecture.md 6).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// Every node reads one database.
    Traditional,
    /// No database: each node has its own declarative configuration.
    Dbless,
    /// Control planes with a database, data planes that are told.
    Hybrid,
}

impl Topology {
    /// The word of the inventory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traditional => "traditional",
            Self::Dbless => "dbless",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Through which node a cluster's Admin API is spoken to where one node speaks for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Via {
    /// Whichever is reachable.
    #[default]
    Any,
    /// This one, a node of the same cluster.
    Node(NodeName),
}

/// A cluster's Admin API. A node's own address and token are in [`super::NodeAdmin`], already resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admin {
    /// Where it listens, as seen from each node; none: where the node's own settings say.
    pub listen: Option<Listen>,
    /// Through which node the cluster is spoken to.
    pub via: Via,
    /// Where the token (`Kong-Admin-Token`) is, if one is needed and the operator's own settings name none.
    pub token: Option<TokenSource>,
}

/// One cluster: machines, assignment and policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// How its nodes get their configuration.
    pub topology: Topology,
    /// Its Admin API.
    pub admin: Admin,
    /// How a change is rolled out over it.
    pub rollout: Rollout,
    /// Its nodes, those that are out too.
    pub nodes: BTreeMap<NodeName, Node>,
    /// What is wanted on its nodes, by bundle or plugin.
    pub plugins: BTreeMap<Subject, Assignment>,
    /// Files from which something else configures the cluster, with what they declare once they were read.
    pub declared_in: Vec<DeclaredIn>,
    /// Where the cluster stands in the inventory.
    pub place: Place,
}

impl Cluster {
    /// The nodes that are not out: those that steps are planned for and that fences wait for.
    pub fn active(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.out.is_none())
    }

    /// The assignments that hold on this node (`on:`).
    pub fn assignments<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Assignment> {
        self.plugins.values().filter(|assignment| assignment.applies_to(node))
    }
}
