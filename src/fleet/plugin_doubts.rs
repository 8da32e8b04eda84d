//! What the files of assigned plugins make doubtful without looking at a node: whose name they have, which of them run first,
//! and what Kong makes of their VERSION (facts.md A2, B4, B6).

use std::collections::{BTreeMap, BTreeSet};

use super::Desired;
use super::doubts::Doubt;
use crate::bundle::Bundle;
use crate::inventory::{Assignment, Cluster, Place, State};
use crate::kong::directive::is_bundled;
use crate::name::{PluginName, collapse};
use crate::plan::{bundled_name, cleaned_version, equal_priorities, same_priority};

/// All of them; each said once, at the first place that has it.
pub(super) fn of(desired: &Desired) -> Vec<Doubt> {
    let mut found: BTreeMap<String, (Place, &'static str)> = BTreeMap::new();
    for cluster in desired.inventory.clusters.values() {
        for (assignment, bundle) in assigned(desired, cluster) {
            for (name, info) in &bundle.plugins {
                if is_bundled(name) {
                    let instead = "give it a name of its own, unless that is meant";
                    found.entry(bundled_name(name)).or_insert((assignment.place, instead));
                }
                if let Some(text) = cleaned_version(name, info) {
                    let instead = "tell builds apart by the three numbers";
                    found.entry(text).or_insert((assignment.place, instead));
                }
            }
        }
    }
    let doubt = |(what, (place, instead)): (String, (Place, &str))| Doubt { place, what, instead: instead.to_owned() };
    let equal = desired.inventory.clusters.values().flat_map(|cluster| equal(desired, cluster));
    found.into_iter().map(doubt).chain(equal).collect()
}

fn assigned<'a>(desired: &'a Desired, cluster: &'a Cluster) -> impl Iterator<Item = (&'a Assignment, &'a Bundle)> {
    let present = cluster.plugins.values().filter(|assignment| assignment.state == State::Present);
    present.filter_map(|assignment| {
        let name = assignment.subject.bundle()?;
        Some((assignment, desired.bundles.get(&(name.clone(), assignment.version.clone()))?.as_ref()))
    })
}

/// Plugins of one cluster that have the same PRIORITY, with the nodes that get all of them.
fn equal(desired: &Desired, cluster: &Cluster) -> Vec<Doubt> {
    let all: Vec<(&Assignment, &Bundle)> = assigned(desired, cluster).collect();
    let heights = equal_priorities(all.iter().map(|(_, bundle)| *bundle));
    let doubts = heights.into_iter().filter_map(|(priority, names)| {
        let has = |bundle: &Bundle| names.iter().any(|name| bundle.plugins.contains_key(*name));
        let place = all.iter().find(|(_, bundle)| has(bundle))?.0.place;
        let nodes = cluster.active().filter(|node| {
            let given: BTreeSet<&PluginName> = cluster
                .assignments(node)
                .filter(|assignment| assignment.state == State::Present)
                .filter_map(|assignment| {
                    let name = assignment.subject.bundle()?;
                    desired.bundles.get(&(name.clone(), assignment.version.clone()))
                })
                .flat_map(|bundle| bundle.plugins.keys())
                .collect();
            names.iter().filter(|name| given.contains(**name)).count() > 1
        });
        let nodes: Vec<_> = nodes.map(|node| node.name.clone()).collect();
        let names: Vec<&PluginName> = names.into_iter().collect();
        (!nodes.is_empty()).then(|| Doubt {
            place,
            what: format!("{} (on {})", same_priority(priority, &names), collapse(&nodes)),
            instead: "give them different priorities, unless that order is meant".to_owned(),
        })
    });
    doubts.collect()
}
