//! What an operator changed about a plan: left out, and lifted. Pure; the planner is asked for a plan that follows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::effect::Part;
use super::shown::count;
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::{Allow, Plan};

/// What is left out of a plan, and which blockers are lifted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Clusters that are left out.
    pub clusters: BTreeSet<ClusterName>,
    /// Nodes that are left out.
    pub nodes: BTreeSet<NodeName>,
    /// Plugins and bundles, as the inventory names them, that are left out of every cluster: `--plugin` knows no clusters.
    pub plugins: BTreeSet<String>,
    /// Blockers that are lifted.
    pub allow: BTreeSet<Allow>,
}

/// Something that can be left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// A cluster.
    Cluster(ClusterName),
    /// Some nodes.
    Nodes(Vec<NodeName>),
    /// A plugin or bundle.
    Plugin(String),
}

/// The command lines that come to the same as what was made here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Equal {
    /// The one that shows it.
    pub plan: String,
    /// The one that carries it out.
    pub apply: String,
}

/// What a plan was made from, apart from the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFrom {
    /// The part of the fleet that it is for.
    pub part: Part,
    /// What was left out and lifted.
    pub edits: Edits,
    /// The same on the command line; empty where nobody has said so.
    pub equal: Equal,
}

/// A plan that was made, and what from.
#[derive(Debug, Clone)]
pub struct Made {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What it was made from.
    pub from: MadeFrom,
}

impl Default for MadeFrom {
    fn default() -> Self {
        Self { part: Part::All, edits: Edits::default(), equal: Equal::default() }
    }
}

impl From<Arc<Plan>> for Made {
    fn from(plan: Arc<Plan>) -> Self {
        Self { plan, from: MadeFrom::default() }
    }
}

impl From<Plan> for Made {
    fn from(plan: Plan) -> Self {
        Arc::new(plan).into()
    }
}

impl Edits {
    /// Whether nothing is left out or lifted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all of this is left out.
    pub fn leaves_out(&self, what: &LeftOut) -> bool {
        match what {
            LeftOut::Cluster(cluster) => self.clusters.contains(cluster),
            LeftOut::Plugin(name) => self.plugins.contains(name),
            LeftOut::Nodes(nodes) => nodes.iter().all(|node| self.nodes.contains(node)),
        }
    }

    /// Leaves it out, or takes it in again where all of it is out.
    pub fn turn(&mut self, what: &LeftOut) {
        let out = self.leaves_out(what);
        match what {
            LeftOut::Cluster(cluster) => turn(&mut self.clusters, cluster, out),
            LeftOut::Plugin(name) => turn(&mut self.plugins, name, out),
            LeftOut::Nodes(nodes) => nodes.iter().for_each(|node| turn(&mut self.nodes, node, out)),
        }
    }

    /// What is left out and lifted, in few words: `2 nodes left out, 1 blocker lifted`. Nothing where nothing is.
    pub fn words(&self) -> Option<String> {
        let some = |number: usize, one: &str| (number > 0).then(|| count(number, one));
        let out =
            [some(self.clusters.len(), "cluster"), some(self.plugins.len(), "plugin"), some(self.nodes.len(), "node")];
        let out: Vec<String> = out.into_iter().flatten().collect();
        let out = (!out.is_empty()).then(|| format!("{} left out", out.join(", ")));
        let lifted = some(self.allow.len(), "blocker").map(|words| format!("{words} lifted"));
        let words: Vec<String> = out.into_iter().chain(lifted).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn turn<T: Ord + Clone>(set: &mut BTreeSet<T>, one: &T, out: bool) {
    if out {
        set.remove(one);
    } else {
        set.insert(one.clone());
    }
}

impl LeftOut {
    /// What it is called.
    pub fn words(&self) -> String {
        match self {
            Self::Cluster(cluster) => cluster.to_string(),
            Self::Nodes(nodes) => collapse(nodes),
            Self::Plugin(name) => name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> LeftOut {
        LeftOut::Nodes(names.iter().map(|name| NodeName::parse(name).unwrap()).collect())
    }

    #[test]
    fn what_is_left_out_is_taken_in_by_the_same_key() {
        let mut edits = Edits::default();
        edits.turn(&nodes(&["eu-1", "eu-2"]));
        edits.turn(&LeftOut::Plugin("geo-ip".into()));
        assert!(edits.leaves_out(&nodes(&["eu-2"])) && !edits.leaves_out(&nodes(&["eu-2", "eu-3"])));
        assert_eq!(edits.words().as_deref(), Some("1 plugin, 2 nodes left out"));
        edits.turn(&nodes(&["eu-2", "eu-3"]));
        assert_eq!(edits.nodes.len(), 3, "of which one was in is out with the others");
        edits.turn(&nodes(&["eu-1", "eu-2", "eu-3"]));
        edits.turn(&LeftOut::Plugin("geo-ip".into()));
        assert!(edits.is_empty() && edits.words().is_none());
    }

    #[test]
    fn what_is_lifted_is_counted_too() {
        let mut edits = Edits::default();
        edits.allow.insert(Allow::parse("pending-settings=eu-7").unwrap());
        assert_eq!(edits.words().as_deref(), Some("1 blocker lifted"));
        edits.turn(&LeftOut::Cluster(ClusterName::parse("us").unwrap()));
        assert_eq!(edits.words().as_deref(), Some("1 cluster left out, 1 blocker lifted"));
    }
}
