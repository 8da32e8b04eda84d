//! References: every name in the inventory leads somewhere (seams.md 5, step 3).

use std::collections::{BTreeMap, BTreeSet};

use super::mistake::Mistake;
use super::nearest::{GUESSES, nearest};
use super::parse::Reading;
use super::yaml::Yaml;
use super::{Cluster, Place, Selector, Via};
use crate::name::{ClusterName, NodeName};

/// So many letters of selectors are tried on nodes, per cluster, only to warn; then no more is said.
const TRIES: usize = 10_000_000;

/// The known name that may be meant.
fn meant(mistake: Mistake, name: &str, known: &mut dyn Iterator<Item = &str>, mistakes: usize) -> Mistake {
    match (mistakes < GUESSES).then(|| nearest(name, known)).flatten() {
        Some(meant) => mistake.instead(format!("did you mean `{meant}`?")),
        None => mistake.instead("write a name that this inventory has"),
    }
}

/// What a cluster says about its own nodes: `via` and `on`. Only asked where every node could be read.
pub(super) fn inside(cluster: &Cluster, yaml: &Yaml, mistakes: &mut Vec<Mistake>) {
    let via = yaml.entry("admin").and_then(|admin| admin.value.entry("via"));
    if let (Via::Node(node), Some(via)) = (&cluster.admin.via, via) {
        known_node(cluster, node.as_str(), via.value.at, mistakes);
    }
    let plugins = yaml.entry("plugins").map_or(&[][..], |plugins| plugins.value.entries());
    let places: BTreeMap<&str, Place> =
        plugins.iter().filter_map(|entry| Some((&*entry.key, entry.value.entry("on")?.value.at))).collect();
    let mut tries = TRIES;
    for assignment in cluster.plugins.values() {
        if let (Some(on), Some(place)) = (&assignment.on, places.get(assignment.subject.as_str())) {
            for name in on.exact_names() {
                known_node(cluster, name, *place, mistakes);
            }
            tries = tries.saturating_sub(on.len().saturating_mul(cluster.nodes.len()));
            if tries > 0 {
                idle(cluster, on, *place, mistakes);
            }
        }
    }
}

fn known_node(cluster: &Cluster, name: &str, place: Place, mistakes: &mut Vec<Mistake>) {
    if NodeName::parse(name).is_ok_and(|name| cluster.nodes.contains_key(&name)) {
        return;
    }
    let mistake = Mistake::new(place, format!("cluster {} has no node {name}", cluster.name));
    let names = &mut cluster.nodes.keys().map(NodeName::as_str);
    mistakes.push(meant(mistake, name, names, mistakes.len()));
}

fn idle(cluster: &Cluster, on: &Selector, place: Place, mistakes: &mut Vec<Mistake>) {
    let exact: BTreeSet<&str> = on.exact_names().collect();
    for term in on.idle_nodes(&[cluster]) {
        if !exact.contains(term.strip_prefix('!').unwrap_or(term)) {
            mistakes.push(Mistake::warning(place, format!("`{term}` chooses no node of cluster {}", cluster.name)));
        }
    }
}

/// What clusters say about each other: `rollout.after`.
pub(super) fn across(clusters: &BTreeMap<ClusterName, Cluster>, reading: &mut Reading, root: &Yaml) {
    let mut places = BTreeMap::new();
    for entry in root.entry("clusters").map_or(&[][..], |clusters| clusters.value.entries()) {
        let after = entry.value.entry("rollout").and_then(|rollout| rollout.value.entry("after"));
        for after in after.map_or(&[][..], |after| after.value.entries()) {
            places.insert((&*entry.key, &*after.key), after.at);
        }
    }
    for cluster in clusters.values() {
        for after in cluster.rollout.after.keys().filter(|after| !reading.clusters.contains(after)) {
            let place = places.get(&(cluster.name.as_str(), after.as_str())).copied().unwrap_or(cluster.place);
            let mistake = Mistake::new(place, format!("there is no cluster {after}"));
            let names = &mut reading.clusters.iter().map(ClusterName::as_str);
            reading.mistakes.push(meant(mistake, after.as_str(), names, reading.mistakes.len()));
        }
    }
    if let Some(circle) = circle(clusters) {
        let first = (circle[0].as_str(), circle[1 % circle.len()].as_str());
        let place = places.get(&first).copied().unwrap_or(Place::START);
        let names: Vec<&str> = circle.iter().chain(&circle[..1]).map(|name| name.as_str()).collect();
        let mistake = Mistake::new(place, format!("these clusters wait for each other: {}", names.join(" after ")));
        reading.mistakes.push(mistake.instead("take one of the `after` entries out"));
    }
}

/// Clusters of which each waits for the next and the last for the first, if there are such.
fn circle(clusters: &BTreeMap<ClusterName, Cluster>) -> Option<Vec<&ClusterName>> {
    let mut waits: BTreeMap<&ClusterName, usize> = BTreeMap::new();
    let mut waited: BTreeMap<&ClusterName, Vec<&ClusterName>> = BTreeMap::new();
    for cluster in clusters.values() {
        let known: Vec<_> = cluster.rollout.after.keys().filter(|name| clusters.contains_key(*name)).collect();
        waits.insert(&cluster.name, known.len());
        for name in known {
            waited.entry(name).or_default().push(&cluster.name);
        }
    }
    // Whoever waits for nobody is done, and nobody waits for it any more; what remains has a circle in it.
    let mut done: Vec<&ClusterName> = waits.iter().filter(|(_, waits)| **waits == 0).map(|(name, _)| *name).collect();
    while let Some(name) = done.pop() {
        waits.remove(name);
        for next in waited.get(name).into_iter().flatten() {
            let left = waits.get_mut(*next)?;
            *left -= 1;
            if *left == 0 {
                done.push(next);
            }
        }
    }
    let mut path: Vec<&ClusterName> = Vec::new();
    let mut at: BTreeMap<&ClusterName, usize> = BTreeMap::new();
    let mut name = *waits.keys().next()?;
    while !at.contains_key(name) {
        at.insert(name, path.len());
        path.push(name);
        name = clusters.get(name)?.rollout.after.keys().find(|next| waits.contains_key(next))?;
    }
    Some(path.split_off(at[name]))
}
