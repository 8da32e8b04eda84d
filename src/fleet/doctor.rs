//! Examining nodes: a look at those that were chosen, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::Fleet;
use crate::doctor::{Examined, Measure, examine};
use crate::execute::look;
use crate::inventory::{Cluster, Node};
use crate::name::NodeName;

/// Looks at the nodes that `chosen` takes, those that are out left aside, and examines each. `now` tells this machine's time: a
/// node's clock is compared with the span in which it was asked. `progress` is told of every node as soon as it was seen.
pub async fn examined(
    fleet: &Fleet,
    chosen: &(dyn Fn(&Node) -> bool + Sync),
    least_kib: u64,
    now: &(dyn Fn() -> Timestamp + Send + Sync),
    progress: look::Progress<'_>,
) -> Vec<Examined> {
    let nodes = |cluster: &'_ Cluster| -> Vec<Node> { cluster.active().filter(|node| chosen(node)).cloned().collect() };
    let clusters: Vec<(&Cluster, Vec<Node>)> =
        fleet.inventory().clusters.values().map(|cluster| (cluster, nodes(cluster))).collect();
    let names: BTreeSet<&NodeName> = clusters.iter().flat_map(|(_, nodes)| nodes).map(|node| &node.name).collect();
    let ended: Mutex<BTreeMap<NodeName, Timestamp>> = Mutex::default();
    let begun = now();
    let told = |name: &NodeName, seen: &crate::survey::NodeSurvey| {
        ended.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), now());
        progress(name, seen);
    };
    let survey = fleet.survey(&names, begun, &told).await;
    let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut examined = Vec::new();
    for (cluster, nodes) in &clusters {
        for node in nodes {
            let Some(seen) = survey.nodes.get(&node.name) else { continue };
            let asked = (begun, ended.get(&node.name).copied().unwrap_or(begun));
            examined.push(examine(cluster, node, seen, Measure { least_kib, asked }));
        }
    }
    examined
        .sort_by(|a, b| a.cluster.cmp(&b.cluster).then_with(|| crate::name::natural(a.node.as_str(), b.node.as_str())));
    examined
}
