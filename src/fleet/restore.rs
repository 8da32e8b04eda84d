//! Bringing back the rows that a run took out of use: only where every node of the cluster could bear them.

use std::collections::BTreeSet;

use super::{Fleet, Picture};
use crate::diff::{Mark, own_admin};
use crate::hint::Hint;
use crate::inventory::Node;
use crate::name::{NodeName, PluginName, collapse};
use crate::perform::restore::{self, Restored};
use crate::perform::undo::UndoBundle;
use crate::perform::{self, Doors, Reach as _};
use crate::run::Cause;

/// What the rows of a bundle are now, or, if it is to be done, what they came to.
///
/// With rows of a plugin that it does not list a node would freeze, and not start again (measured.md 5). So nothing is brought
/// back while a node of the cluster that is not `out` does not have every plugin listed and loaded, or cannot be seen.
pub async fn restore_rows(
    fleet: &Fleet,
    picture: &Picture,
    bundle: &UndoBundle,
    carry_out: bool,
) -> Result<Vec<Restored>, Cause> {
    let cluster = fleet.inventory().clusters.get(&bundle.head.cluster).ok_or_else(|| {
        perform::cause("unknown-cluster", format!("the inventory has no cluster {}", bundle.head.cluster))
    })?;
    if carry_out {
        may_restore(fleet, picture, bundle)?;
    }
    let mut nodes: Vec<&Node> = cluster.active().collect();
    // Through the node that they were taken away through, if it is there.
    nodes.sort_by_key(|node| node.name != bundle.head.node);
    let mut last = perform::cause("admin-unreachable", format!("no node of {} could be asked", cluster.name));
    for node in nodes {
        match through(fleet, picture, node, bundle, carry_out).await {
            // Nothing was asked for yet: another one may answer.
            Err(cause) if UNASKED.contains(&cause.code.as_str()) => last = cause,
            other => return other,
        }
    }
    Err(last)
}

/// Whether every node of the cluster could bear the rows.
pub fn may_restore(fleet: &Fleet, picture: &Picture, bundle: &UndoBundle) -> Result<(), Cause> {
    let Some(cluster) = fleet.inventory().clusters.get(&bundle.head.cluster) else { return Ok(()) };
    let plugins: BTreeSet<PluginName> = bundle.rows.iter().map(|row| row.row.name.clone()).collect();
    let unseen = |node: &&Node| picture.survey.seen(&node.name).is_none();
    let unseen: Vec<NodeName> = cluster.active().filter(unseen).map(|node| node.name.clone()).collect();
    if !unseen.is_empty() {
        let text = format!("{} could not be seen, and may not have what the rows need", collapse(&unseen));
        return Err(Cause { hints: vec![Hint::type_("muster status")], ..perform::cause("unseen", text) });
    }
    every_node_has(picture, cluster.active(), &plugins)
}

/// Causes after which another node may be asked.
const UNASKED: [&str; 3] = ["admin-unreachable", "not-running", "unseen"];

async fn through(
    fleet: &Fleet,
    picture: &Picture,
    node: &Node,
    bundle: &UndoBundle,
    carry_out: bool,
) -> Result<Vec<Restored>, Cause> {
    let unseen = || perform::cause("unseen", format!("{} could not be seen", node.name));
    let facts = picture.survey.seen(&node.name).ok_or_else(unseen)?;
    let site = fleet.sites.get(&node.name).ok_or_else(unseen)?;
    let env = facts.env_file.as_ref().map(|env| env.open().bytes());
    let doors = Doors::of(site, env, fleet.settings.request);
    let face = doors.admin.map_err(perform::of_trouble)?;
    let remote = fleet.pool.reach(&site.address).await.map_err(|error| perform::of_remote(&error))?;
    if carry_out {
        restore::restore(&*remote, &face, bundle).await
    } else {
        restore::compare(&*remote, &face, bundle).await
    }
}

fn every_node_has<'a>(
    picture: &Picture,
    nodes: impl Iterator<Item = &'a Node>,
    plugins: &BTreeSet<PluginName>,
) -> Result<(), Cause> {
    let lacks = |node: &&Node| !has(picture, &node.name, plugins);
    let without: Vec<NodeName> = nodes.filter(lacks).map(|node| node.name.clone()).collect();
    if without.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = plugins.iter().map(PluginName::as_str).collect();
    let names = names.join(", ");
    Err(Cause {
        code: "not-loaded".to_owned(),
        text: format!("{} was not seen with {names} listed and loaded", collapse(&without)),
        details: vec![
            "with its rows back such a node takes up no change any more, and does not start again".to_owned(),
        ],
        hints: vec![
            Hint::do_(format!("put {names} back into the inventory as `present`, commit, and apply")),
            Hint::type_("muster --plan"),
        ],
    })
}

fn has(picture: &Picture, node: &NodeName, plugins: &BTreeSet<PluginName>) -> bool {
    let (Some(facts), Some(diff)) = (picture.survey.seen(node), picture.diff.node(node)) else { return false };
    let names: Vec<PluginName> = plugins.iter().cloned().collect();
    let listed = diff.directives.mark(&names, true, diff.running) == Mark::AsWanted;
    let loaded = own_admin(facts).is_some_and(|admin| names.iter().all(|name| admin.loaded.contains_key(name)));
    listed && (loaded || !diff.running)
}
