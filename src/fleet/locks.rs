//! Who holds which nodes, and taking that away.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;

use super::{Fleet, Picture};
use crate::inventory::Cluster;
use crate::name::{ClusterName, NodeName};
use crate::perform::{self, LeaseRefusal, Reach as _};
use crate::run::Cause;
use crate::survey::{self, Locks};
use crate::wire::Lease;

/// How many leases are taken away at once.
const AT_ONCE: usize = 16;

/// The leases of every cluster, as they were seen.
pub fn locks(fleet: &Fleet, picture: &Picture) -> BTreeMap<ClusterName, Locks> {
    let of = |cluster: &Cluster| {
        let nodes = cluster.active().map(|node| &node.name);
        (cluster.name.clone(), Locks::of(nodes, &picture.survey))
    };
    fleet.inventory().clusters.values().map(of).collect()
}

/// Nodes that are free now, and those that are not, and why.
pub type Unlocked = (BTreeSet<NodeName>, BTreeMap<NodeName, Cause>);

/// Takes the leases of a cluster away from whoever has them, as they were seen. A lease that is another one by now, or whose
/// run has a guard armed on the node, stays.
pub async fn unlock(fleet: &Fleet, picture: &Picture, cluster: &ClusterName) -> Unlocked {
    let nodes = fleet.inventory().clusters.get(cluster).into_iter().flat_map(Cluster::active);
    let held = nodes
        .filter_map(|node| Some((node.name.clone(), survey::in_force(picture.survey.seen(&node.name)?)?.0.clone())));
    let held: Vec<(NodeName, Lease)> = held.collect();
    let taken = futures_util::stream::iter(held).map(|(node, lease)| async move {
        let taken = take_away(fleet, &node, &lease).await;
        (node, taken)
    });
    let (mut free, mut kept) = Unlocked::default();
    for (node, taken) in taken.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match taken {
            Ok(()) => drop(free.insert(node)),
            Err(cause) => drop(kept.insert(node, cause)),
        }
    }
    (free, kept)
}

async fn take_away(fleet: &Fleet, node: &NodeName, lease: &Lease) -> Result<(), Cause> {
    let gone = || perform::cause("unknown-node", format!("{node} is not in the inventory"));
    let site = fleet.sites.get(node).ok_or_else(gone)?;
    let remote = fleet.pool.reach(&site.address).await.map_err(|error| perform::of_remote(&error))?;
    perform::break_lease(&*remote, site, lease).await.map_err(|refusal| match refusal {
        LeaseRefusal::Held(cause) | LeaseRefusal::Failed(cause) => cause,
    })
}
