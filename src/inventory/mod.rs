//! The desired state: bundles, clusters, nodes, plugins, rollout policy (architecture.md 4).
//!
//! Owns: the types of an inventory and [`parse`], the only door to them. Reading an inventory executes nothing and
//! opens nothing: the bytes come from [`crate::git`], and a stranger's branch is as safe to read as one's own.
//! Must not know: what is on the nodes, where the bytes came from, which command was typed.

mod amount;
mod bundle;
mod check;
mod cluster;
mod cluster_entry;
mod declared;
mod decode;
mod document;
mod excerpt;
mod length;
mod listen;
mod mistake;
#[cfg(test)]
mod mod_tests;
pub(crate) mod nearest;
mod node;
mod parse;
mod pattern;
mod place;
mod plugin;
mod plugin_entry;
mod reload;
mod rollout;
mod schema;
mod selector;
mod unapply;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use amount::{Amount, WaveSize};
pub use bundle::{BundleEntry, BundleSource, GitRev, TreePath, VersionLabel};
pub use cluster::{Admin, Cluster, EnvName, TokenSource, Topology, Via};
pub use declared::{DeclaredIn, Declares, declares};
pub use excerpt::Look;
pub use length::Length;
pub use listen::Listen;
pub use mistake::{Mistake, Mistakes, Weight};
pub use node::{Become, Host, KongPaths, LabelName, LabelValue, Labels, Node, NodeAdmin, SshUser, Transport};
pub use parse::{machines, parse};
pub use place::Place;
pub use plugin::{Assignment, Management, State, Subject};
pub use reload::Reload;
pub use rollout::Rollout;
pub use schema::schema;
pub use selector::{Selector, SelectorError};
pub use unapply::Unapply;

use crate::name::{BundleName, ClusterName, NodeName, Owner};

/// The name under which the inventory is looked for at the top of the repository.
pub const FILE_NAME: &str = "inventory.yaml";

/// The format that this program reads (`version:`).
pub const FORMAT: u32 = 1;

/// The desired state of a fleet, complete and checked: every reference in it leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The format of the file, at present always [`FORMAT`].
    pub version: u32,
    /// Written on every node beside what is installed; what others own is never touched.
    pub owner: Owner,
    /// Whether what this owner installed and what then left the inventory is removed; else it is only shown.
    pub prune: bool,
    /// How many releases of a bundle are kept on a node, counting the current one; older ones are collected.
    pub keep: u32,
    /// The content that can be assigned, by name.
    pub bundles: BTreeMap<BundleName, BundleEntry>,
    /// The clusters with their machines and their plugins, by name.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// What is probably not meant, without being wrong.
    pub warnings: Vec<Mistake>,
    file: Arc<str>,
    text: Arc<str>,
}

impl Inventory {
    /// Every node of every cluster, in the order of cluster and node names. Names are unique in the whole inventory.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.clusters.values().flat_map(|cluster| cluster.nodes.values())
    }

    /// The node of this name, in whichever cluster it is.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.clusters.values().find_map(|cluster| cluster.nodes.get(name))
    }

    /// The content that an assignment asks for; `None` for a plugin without a bundle.
    pub fn source(&self, assignment: &Assignment) -> Option<&BundleSource> {
        let bundle = self.bundles.get(assignment.subject.bundle()?)?;
        bundle.source(assignment.version.as_ref())
    }

    /// A place of this inventory for people: `inventory.yaml:12:7`.
    pub fn locate(&self, place: Place) -> String {
        format!("{}:{place}", mistake::shown(&self.file))
    }

    /// What turned out to be wrong with the inventory only later (a directory that is not in the commit), told in the
    /// same form, with an excerpt. `place` is one that this inventory's parts carry.
    pub fn mistaken(&self, place: Place, what: &str, instead: &str) -> Mistakes {
        let mistake = Mistake::new(place, what).instead(instead);
        Mistakes::new(&self.file, Arc::clone(&self.text), vec![mistake])
    }

    /// The warnings with their excerpts.
    pub fn warned(&self) -> Mistakes {
        Mistakes::new(&self.file, Arc::clone(&self.text), self.warnings.clone())
    }
}
