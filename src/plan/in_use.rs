//! An upgrade against rows in use: which activation tries whether they fit the new schema (measured.md 7: Kong loads a row
//! that does not fit without complaint, and runs it without what it lost).

use std::collections::BTreeSet;

use super::usage::Usage;
use super::{PlanBuilder, Request};
use crate::action::{Activate, ReloadWay, Switch};
use crate::inventory::{Cluster, Topology};
use crate::name::{BundleName, Digest, NodeName, PluginName};

/// What of a cluster's new content has been given to a wave that tries it.
#[derive(Default)]
pub(super) struct Trials {
    /// The rows of all plugins with new content; read once, where there are any.
    usage: Usage,
    /// Content that an earlier wave has tried.
    tried: BTreeSet<(BundleName, Digest)>,
    /// Content that this wave tries, on each of its nodes.
    now: BTreeSet<(BundleName, Digest)>,
}

fn loads(activate: &Activate) -> impl Iterator<Item = &Switch> {
    let reloads = matches!(activate.way, ReloadWay::Candidate | ReloadWay::Hup);
    let loaded = |switch: &&Switch| switch.plugins.iter().any(|plugin| activate.loaded.contains_key(plugin));
    activate.switches.iter().filter(move |switch| reloads && loaded(switch))
}

impl Trials {
    /// For the activations of a cluster. Only with a database: without one each node has rows of its own, which its reload
    /// reads anew, and a data plane has no Admin API.
    pub(super) fn of<'b>(request: &Request<'_>, cluster: &Cluster, all: impl Iterator<Item = &'b Activate>) -> Self {
        let plugins: BTreeSet<PluginName> = match cluster.topology {
            Topology::Traditional => all.flat_map(loads).flat_map(|switch| switch.plugins.iter().cloned()).collect(),
            Topology::Dbless | Topology::Hybrid => BTreeSet::new(),
        };
        let usage = if plugins.is_empty() { Usage::default() } else { Usage::of(request, cluster, &plugins) };
        Self { usage, ..Self::default() }
    }

    /// Marks an activation of the wave that is being made.
    pub(super) fn mark(&mut self, activate: &mut Activate) {
        if self.usage.rows.is_empty() {
            return;
        }
        let new = loads(activate).filter(|switch| !self.tried.contains(&(switch.bundle.clone(), switch.to.clone())));
        let mut plugins = BTreeSet::new();
        for switch in new {
            self.now.insert((switch.bundle.clone(), switch.to.clone()));
            plugins.extend(switch.plugins.iter().filter(|plugin| self.usage.rows.contains_key(*plugin)).cloned());
        }
        activate.validate = plugins;
    }

    /// The wave is made; these of its nodes try something.
    pub(super) fn next(&mut self, nodes: Vec<NodeName>, builder: &mut PlanBuilder) {
        self.tried.append(&mut self.now);
        if nodes.is_empty() {
            return;
        }
        let count = self.usage.count();
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let names: Vec<&str> = self.usage.rows.keys().take(5).map(PluginName::as_str).collect();
        let more = self.usage.rows.len().saturating_sub(names.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let text = format!(
            "{rows} of {}{more}: checked against the new schema there, before anything is kept",
            names.join(", ")
        );
        builder.note("rows", text, nodes);
    }
}
