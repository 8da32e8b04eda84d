//! Whether every node of a cluster is without plugins that are being removed: what has to hold before files are deleted.

use std::collections::BTreeSet;

use crate::action::Fence;
use crate::diff::{FleetDiff, Mark, NodeDiff, own_admin};
use crate::name::{NodeName, PluginName, collapse};
use crate::survey::{NodeFacts, Survey};

/// What a look at the nodes of a fence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// It will hold once the old workers of these nodes have ended.
    Waits {
        /// For what, in words.
        why: String,
        /// The nodes.
        nodes: BTreeSet<NodeName>,
    },
    /// Something outside the run has to happen first.
    Held {
        /// What, one line for each reason.
        why: Vec<String>,
    },
    /// Somebody uses a plugin again.
    Broken {
        /// The rows in words.
        rows: Vec<String>,
    },
}

/// What stands in the way on one node.
enum Obstacle {
    Held(String),
    Draining(usize),
}

/// Judges a fence by what was seen. What could not be seen holds it.
pub fn judge(fence: &Fence, survey: &Survey, diff: &FleetDiff) -> Judgement {
    let seen = || fence.nodes.iter().filter_map(|node| Some((node, survey.seen(node)?)));
    let rows: BTreeSet<String> = seen().flat_map(|(_, facts)| rows(&fence.plugins, facts)).collect();
    if !rows.is_empty() {
        return Judgement::Broken { rows: rows.into_iter().collect() };
    }
    let (mut held, mut draining) = (Vec::new(), Vec::new());
    for name in &fence.nodes {
        let found = match (survey.seen(name), diff.node(name)) {
            (Some(facts), Some(node)) => obstacle(&fence.plugins, facts, node),
            _ => Some(Obstacle::Held("could not be seen".to_owned())),
        };
        match found {
            None => {}
            Some(Obstacle::Held(why)) => held.push((why, name)),
            Some(Obstacle::Draining(workers)) => draining.push((workers, name)),
        }
    }
    if !held.is_empty() {
        return Judgement::Held { why: grouped(&held) };
    }
    if draining.is_empty() {
        return Judgement::Holds;
    }
    let workers: usize = draining.iter().map(|(workers, _)| workers).sum();
    let nodes: BTreeSet<NodeName> = draining.into_iter().map(|(_, name)| name.clone()).collect();
    let names: Vec<NodeName> = nodes.iter().cloned().collect();
    let plural = if workers == 1 { "worker" } else { "workers" };
    Judgement::Waits { why: format!("{}: {workers} old {plural} still at work", collapse(&names)), nodes }
}

/// What of a node holds files, whatever this run may still do about it; old workers hold nothing for good.
pub(super) fn held(plugins: &BTreeSet<PluginName>, facts: &NodeFacts, node: &NodeDiff) -> Option<String> {
    match obstacle(plugins, facts, node)? {
        Obstacle::Held(why) => Some(why),
        Obstacle::Draining(_) => None,
    }
}

/// The rows of these plugins that a node shows, in words.
fn rows(plugins: &BTreeSet<PluginName>, facts: &NodeFacts) -> Vec<String> {
    let admin = facts.admin.as_ref().ok();
    let of = |plugin: &PluginName| {
        let rows = admin.and_then(|admin| admin.rows.get(plugin.as_str()));
        let plugin = plugin.clone();
        rows.into_iter().flatten().map(move |row| format!("{plugin}: {}", row.words()))
    };
    plugins.iter().flat_map(of).collect()
}

fn obstacle(plugins: &BTreeSet<PluginName>, facts: &NodeFacts, node: &NodeDiff) -> Option<Obstacle> {
    let held = |why: String| Some(Obstacle::Held(why));
    for plugin in plugins {
        match node.directives.mark(std::slice::from_ref(plugin), false, node.running) {
            Mark::Absent => {}
            Mark::Extra => return held(format!("{plugin} is still in its directive")),
            _ => return held("its directive could not be read".to_owned()),
        }
    }
    if !node.running {
        return None;
    }
    let Some(admin) = own_admin(facts) else {
        return held("what its workers have loaded could not be asked".to_owned());
    };
    if let Some(trouble) = &admin.rows_trouble {
        return held(format!("what it uses could not be read: {}", trouble.text));
    }
    if let Some(plugin) = plugins.iter().find(|plugin| admin.loaded.contains_key(*plugin)) {
        return held(format!("its workers still have {plugin} loaded"));
    }
    let leaving = facts.master.as_ref().map_or(0, |master| master.leaving.len());
    (leaving > 0).then_some(Obstacle::Draining(leaving))
}

fn grouped(held: &[(String, &NodeName)]) -> Vec<String> {
    let reasons: BTreeSet<&String> = held.iter().map(|(why, _)| why).collect();
    let line = |reason: &String| {
        let nodes: Vec<NodeName> =
            held.iter().filter(|(why, _)| why == reason).map(|(_, node)| (*node).clone()).collect();
        format!("{}: {reason}", collapse(&nodes))
    };
    reasons.into_iter().map(line).collect()
}
