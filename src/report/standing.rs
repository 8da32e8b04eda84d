//! How the nodes of a cluster stand, apart from their plugins: their roles, who holds them, the last run.

use std::collections::BTreeMap;

use super::nodes::brief;
use super::words::count;
use crate::diff::{ClusterDiff, NodeDiff};
use crate::name::NodeName;
use crate::survey::{Asked, LastRun, Lock, Role, RunEnd};

/// How wide a list of nodes may be before it becomes a number.
const NODES: usize = 40;

/// How many nodes have which role: "2 control planes, 12 data planes"; `None` where the topology of the cluster says it.
pub(super) fn roles(cluster: &ClusterDiff) -> Option<String> {
    let mut counts: BTreeMap<Role, usize> = BTreeMap::new();
    for role in cluster.nodes.values().filter_map(|node| node.standing.role) {
        *counts.entry(role).or_default() += 1;
    }
    let plain = counts.keys().all(|role| role.to_string() == cluster.topology);
    let word = |role: Role, number: usize| match role {
        Role::Traditional | Role::Dbless => format!("{number} {role}"),
        Role::ControlPlane | Role::DataPlane => count(number, &role.to_string()),
    };
    let counts: Vec<String> = counts.into_iter().map(|(role, number)| word(role, number)).collect();
    (!plain).then(|| counts.join(", "))
}

/// Who holds nodes of it, and the newest run that left something on any.
pub(super) fn lines(cluster: &ClusterDiff) -> Vec<String> {
    let mut lines = held(cluster);
    lines.extend(unclear(cluster));
    lines.extend(asked(cluster));
    lines.extend(last_run(cluster));
    lines
}

fn held(cluster: &ClusterDiff) -> Vec<String> {
    let mut holders: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for (name, node) in &cluster.nodes {
        if let Some(Lock::Held { who, run, .. }) = &node.standing.lock {
            holders.entry(format!("held by {who}, run {run}")).or_default().push(name.clone());
        }
    }
    holders.into_iter().map(|(words, nodes)| format!("{words}: {}", brief(&nodes, NODES))).collect()
}

fn unclear(cluster: &ClusterDiff) -> Option<String> {
    let unclear = |node: &NodeDiff| matches!(node.standing.lock, Some(Lock::Unclear { .. }));
    let nodes: Vec<NodeName> =
        cluster.nodes.iter().filter(|(_, node)| unclear(node)).map(|(name, _)| name.clone()).collect();
    (!nodes.is_empty()).then(|| format!("whether a run holds it is unknown: {}", brief(&nodes, NODES)))
}

/// The Admin APIs that were not asked through the connection, by the way that was taken.
fn asked(cluster: &ClusterDiff) -> Vec<String> {
    let mut ways: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for (name, node) in &cluster.nodes {
        if let Some(words) = node.standing.asked.as_ref().and_then(Asked::words) {
            ways.entry(words).or_default().push(name.clone());
        }
    }
    ways.into_iter().map(|(words, nodes)| format!("Admin API {words}: {}", brief(&nodes, NODES))).collect()
}

fn last_run(cluster: &ClusterDiff) -> Option<String> {
    let runs = || cluster.nodes.values().filter_map(|node| node.standing.last_run.as_deref());
    let newest: &LastRun = runs().max_by_key(|run| (run.at, &run.run))?;
    let mut ends: BTreeMap<RunEnd, usize> = BTreeMap::new();
    for run in runs().filter(|run| run.run == newest.run) {
        *ends.entry(run.end).or_default() += 1;
    }
    // The worst first.
    let ends: Vec<String> =
        ends.into_iter().rev().map(|(end, number)| format!("{} on {}", end.words().1, count(number, "node"))).collect();
    let by = runs().filter(|run| run.run == newest.run).find_map(|run| run.by.as_ref());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let at = newest.at.strftime("%Y-%m-%d %H:%M UTC");
    Some(format!("last run {at}{by}: {} ({})", ends.join(", "), newest.run.short()))
}
