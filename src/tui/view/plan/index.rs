//! What the plan says, by cluster and by node: read once, so that a plan for thousands of nodes is laid out in one pass.

use std::collections::BTreeMap;

use crate::name::{ClusterName, NodeName};
use crate::plan::{Blocker, Note, Plan, Scope, Step};

/// Why a node is unknown stands with the node.
pub(super) const UNKNOWN: &str = "unknown";

/// A note, and those of its nodes that are of one cluster.
type OfCluster<'a> = (&'a Note, Vec<&'a NodeName>);

/// See the module.
#[derive(Default)]
pub(super) struct Index<'a> {
    /// The steps of each node, in order.
    pub(super) steps: BTreeMap<&'a NodeName, Vec<&'a Step>>,
    /// What is to be known of single nodes.
    pub(super) notes: BTreeMap<&'a NodeName, Vec<&'a Note>>,
    /// What stops the run, or belongs to no cluster of the plan.
    pub(super) run: Vec<&'a Blocker>,
    /// Notes without a node of the plan.
    pub(super) general: Vec<&'a Note>,
    of_cluster: BTreeMap<&'a ClusterName, Vec<OfCluster<'a>>>,
    blockers: BTreeMap<&'a ClusterName, Vec<&'a Blocker>>,
}

impl<'a> Index<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut index = Self::default();
        for step in &plan.steps {
            if let Some(node) = step.target.node() {
                index.steps.entry(node).or_default().push(step);
            }
        }
        let homes = homes(plan);
        for blocker in &plan.blockers {
            let home = match &blocker.scope {
                Scope::Run => None,
                Scope::Cluster { cluster } | Scope::Plugin { cluster, .. } => Some(cluster),
                Scope::Node { node } => homes.get(node).copied(),
            };
            home.map_or(&mut index.run, |home| index.blockers.entry(home).or_default()).push(blocker);
        }
        for note in plan.notes.iter().filter(|note| note.topic != UNKNOWN) {
            index.note(note, &homes);
        }
        index
    }

    fn note(&mut self, note: &'a Note, homes: &BTreeMap<&'a NodeName, &'a ClusterName>) {
        let mut by_cluster: BTreeMap<&ClusterName, Vec<&NodeName>> = BTreeMap::new();
        for node in &note.nodes {
            if let Some(home) = homes.get(node) {
                by_cluster.entry(home).or_default().push(node);
            }
            if is_of_nodes(&note.topic) {
                self.notes.entry(node).or_default().push(note);
            }
        }
        if by_cluster.is_empty() {
            self.general.push(note);
        }
        for (cluster, nodes) in by_cluster {
            self.of_cluster.entry(cluster).or_default().push((note, nodes));
        }
    }

    /// The notes with nodes of a cluster.
    pub(super) fn notes_of(&self, cluster: &ClusterName) -> &[OfCluster<'a>] {
        self.of_cluster.get(cluster).map_or(&[], Vec::as_slice)
    }

    /// What stands in the way in a cluster.
    pub(super) fn blockers_of(&self, cluster: &ClusterName) -> &[&'a Blocker] {
        self.blockers.get(cluster).map_or(&[], Vec::as_slice)
    }
}

/// The cluster of every node that the plan knows.
fn homes(plan: &Plan) -> BTreeMap<&NodeName, &ClusterName> {
    let mut homes = BTreeMap::new();
    for cluster in &plan.clusters {
        let n = &cluster.nodes;
        let lists = [&n.changing, &n.in_line, &n.blocked, &n.unknown, &n.out, &n.left_out];
        homes.extend(lists.into_iter().flatten().map(|node| (node, &cluster.cluster)));
    }
    homes
}

/// Notes that stand with their nodes too: what a reload there would also apply, what becomes of edits by hand.
fn is_of_nodes(topic: &str) -> bool {
    is_loud(topic) || matches!(topic, "waiting" | "ours" | "shared" | "settings")
}

/// Notes that must not be overlooked.
pub(super) fn is_loud(topic: &str) -> bool {
    matches!(topic, "also applied" | "allowed" | "edited" | "adopt" | "safety" | "unfinished" | "unseen" | "time bomb")
}

/// The order of notes: what must not be overlooked, then what waits, then how it is done.
pub(super) fn weight(topic: &str) -> u8 {
    match topic {
        "also applied" | "allowed" | "time bomb" => 0,
        topic if is_loud(topic) => 1,
        "waiting" => 2,
        _ => 3,
    }
}
