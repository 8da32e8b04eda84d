//! The rows that use plugins in a cluster, as all of its nodes together show them.

use std::collections::{BTreeMap, BTreeSet};

use super::Request;
use crate::diff::own_admin;
use crate::inventory::{Cluster, Topology};
use crate::name::{NodeName, PluginName, collapse};
use crate::survey::{AdminFacts, NodeFacts, PluginRow};

/// So many rows are written out in a blocker; all of them are in the step and in the JSON.
const SHOWN: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Usage {
    /// The rows by plugin; plugins without any are left out.
    pub(super) rows: BTreeMap<PluginName, Vec<PluginRow>>,
    /// At least one node listed all of them.
    pub(super) known: bool,
}

/// What the Admin API of this node itself says, if it listed every row.
fn listing(facts: &NodeFacts) -> Option<&AdminFacts> {
    own_admin(facts).filter(|admin| admin.rows_trouble.is_none())
}

impl Usage {
    /// The union over all nodes of the cluster that were seen; of a row that several show, what was changed last.
    pub(super) fn of(request: &Request<'_>, cluster: &Cluster, plugins: &BTreeSet<PluginName>) -> Self {
        let mut usage = Self::default();
        let mut found: BTreeMap<(&PluginName, &str), &PluginRow> = BTreeMap::new();
        let seen: Vec<&NodeFacts> = cluster.active().filter_map(|node| request.survey.seen(&node.name)).collect();
        for facts in &seen {
            usage.known |= listing(facts).is_some();
            for (plugin, row) in plugins.iter().flat_map(|plugin| rows(facts, plugin).map(move |row| (plugin, row))) {
                let known = found.entry((plugin, &row.id)).or_insert(row);
                if (row.updated_at, row.enabled) > (known.updated_at, known.enabled) {
                    *known = row;
                }
            }
        }
        // Without a database each node has rows of its own: all of those that run must have told theirs.
        usage.known &=
            cluster.topology != Topology::Dbless || seen.iter().all(|f| f.master.is_none() || listing(f).is_some());
        for ((plugin, _), row) in found {
            usage.rows.entry(plugin.clone()).or_default().push(row.clone());
        }
        for rows in usage.rows.values_mut() {
            rows.sort_by(|a, b| (&a.workspace, &a.scope, &a.id).cmp(&(&b.workspace, &b.scope, &b.id)));
        }
        usage
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &PluginRow> {
        self.rows.values().flatten()
    }

    /// `1 row uses it`, `41 rows use it`.
    pub(super) fn words(&self) -> String {
        match self.count() {
            1 => "1 row uses it".to_owned(),
            some => format!("{some} rows use it"),
        }
    }

    /// The rows one a line, with their plugin where there are several.
    pub(super) fn lines(&self) -> Vec<String> {
        let named = self.rows.len() > 1;
        let line = |plugin: &PluginName, row: &PluginRow| {
            if named { format!("{plugin}: {}", row.words()) } else { row.words() }
        };
        let all = self.rows.iter().flat_map(|(plugin, rows)| rows.iter().map(move |row| line(plugin, row)));
        let mut lines: Vec<String> = all.take(SHOWN).collect();
        let more = self.count() - lines.len();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

fn rows<'a>(facts: &'a NodeFacts, plugin: &PluginName) -> impl Iterator<Item = &'a PluginRow> {
    own_admin(facts).and_then(|admin| admin.rows.get(plugin.as_str())).into_iter().flatten()
}

/// How many rows of a plugin a node shows.
pub(super) fn on_node(facts: &NodeFacts, plugin: &PluginName) -> usize {
    rows(facts, plugin).count()
}

/// Why the nodes of a cluster did not list their rows, nodes with the same trouble on one line.
pub(super) fn troubles(request: &Request<'_>, cluster: &Cluster) -> Vec<String> {
    let mut found: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for node in cluster.active() {
        let why = match request.survey.seen(&node.name) {
            None => "could not be seen".to_owned(),
            Some(facts) if facts.master.is_none() => "its Kong is stopped".to_owned(),
            Some(facts) => match &facts.admin {
                Err(trouble) => trouble.text.clone(),
                Ok(admin) => match &admin.rows_trouble {
                    Some(trouble) => trouble.text.clone(),
                    None if own_admin(facts).is_none() => "its Admin API is that of another Kong".to_owned(),
                    None => continue,
                },
            },
        };
        found.entry(why).or_default().push(node.name.clone());
    }
    found.into_iter().map(|(why, nodes)| format!("{}: {why}", collapse(&nodes))).take(SHOWN).collect()
}

/// The nodes through whose Admin API a cluster's rows can be listed and changed: the one that the inventory names first, then
/// those that have the plugins loaded, then the others that run.
pub(super) fn through(request: &Request<'_>, cluster: &Cluster, plugins: &BTreeSet<PluginName>) -> Vec<NodeName> {
    let mut nodes: Vec<(bool, bool, &NodeName)> = Vec::new();
    for node in cluster.active() {
        let Some(facts) = request.survey.seen(&node.name).filter(|facts| facts.master.is_some()) else { continue };
        if let Some(admin) = listing(facts) {
            let lacks = !plugins.iter().all(|plugin| admin.loaded.contains_key(plugin));
            nodes.push((!is_via(cluster, &node.name), lacks, &node.name));
        }
    }
    nodes.sort();
    nodes.into_iter().map(|(_, _, node)| node.clone()).collect()
}

/// Whether others write this cluster's configuration through this node.
pub(super) fn is_via(cluster: &Cluster, node: &NodeName) -> bool {
    matches!(&cluster.admin.via, crate::inventory::Via::Node(via) if via == node)
}
