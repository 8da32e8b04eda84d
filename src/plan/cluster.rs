//! One cluster's part of a plan: its nodes, its waves, its changes grouped.

use std::collections::BTreeMap;

use super::node::{self, NodePlan};
use super::{
    Blocker, BlockerCode, Change, ChangeKind, ClusterPlan, NodeLists, Phase, PlanBuilder, Request, Scope, StepId,
};
use crate::action::{Action, ReloadWay};
use crate::diff::{ClusterDiff, Condition};
use crate::hint::Hint;
use crate::inventory::{Cluster, Topology};
use crate::name::NodeName;

/// Plans one cluster: the order is deliver everywhere, then wave by wave activate (architecture.md 6).
pub(super) fn plan(request: &Request<'_>, cluster: &Cluster, builder: &mut PlanBuilder) -> ClusterPlan {
    let empty = ClusterDiff { topology: String::new(), columns: Vec::new(), nodes: BTreeMap::new() };
    let diff = request.diff.clusters.get(&cluster.name).unwrap_or(&empty);
    let mut lists = NodeLists::default();
    let mut plans: Vec<(NodeName, NodePlan)> = Vec::new();
    for node in cluster.nodes.values() {
        let Some(node_diff) = diff.nodes.get(&node.name) else { continue };
        let list = match &node_diff.condition {
            Condition::Out { .. } => &mut lists.out,
            _ if !request.selection.node(node) => &mut lists.left_out,
            Condition::Unknown { .. } if request.survey.seen(&node.name).is_none() => &mut lists.unknown,
            _ => {
                let made = node::plan(request, cluster, node, node_diff);
                let list = match () {
                    () if made.changes() => &mut lists.changing,
                    () if !made.blockers.is_empty() => &mut lists.blocked,
                    () if matches!(node_diff.condition, Condition::Unknown { .. }) => &mut lists.unknown,
                    () => &mut lists.in_line,
                };
                plans.push((node.name.clone(), made));
                list
            }
        };
        list.push(node.name.clone());
    }
    let stopped = blockers(request, cluster, &lists, builder);
    for (_, made) in &mut plans {
        builder.blockers.append(&mut made.blockers);
    }
    if stopped {
        lists.blocked.append(&mut lists.changing);
        lists.blocked.sort();
        plans.clear();
    }
    let running = |name: &NodeName| diff.nodes.get(name).is_some_and(|node| node.running);
    plans.retain(|(name, made)| made.changes() && lists.changing.contains(name));
    // A node whose Kong is stopped proves nothing: it must not be the canary.
    plans.sort_by_key(|(name, _)| !running(name));
    let changes = changes(&plans);
    notes(cluster, &plans, &changes, &lists, builder);
    steps(cluster, plans, builder);
    let nodes = cluster.active().count();
    ClusterPlan {
        cluster: cluster.name.clone(),
        topology: cluster.topology.as_str().to_owned(),
        changes,
        max_failed: match cluster.rollout.max_failed.of(nodes) {
            // All nodes may never fail: an amount is bounded by the cluster, so that the last one must hold.
            all if all == nodes && nodes > 0 => nodes - 1,
            some => some,
        },
        at_once: cluster.rollout.at_once.max(1),
        max_out: cluster.rollout.max_out.of(nodes).max(1),
        soak: cluster.rollout.soak.duration().as_secs(),
        nodes: lists,
    }
}

/// What stops the whole cluster; true if something does.
fn blockers(request: &Request<'_>, cluster: &Cluster, lists: &NodeLists, builder: &mut PlanBuilder) -> bool {
    if lists.changing.is_empty() {
        return false;
    }
    let found = [too_many_unreachable(cluster, lists), topology(cluster), after(request, cluster)];
    let mut stopped = false;
    for (code, what, hints) in found.into_iter().flatten() {
        if request.allows(code, None) {
            builder.note("allowed", format!("{}: {what}", code.word()), Vec::new());
            continue;
        }
        stopped = true;
        let scope = Scope::Cluster { cluster: cluster.name.clone() };
        builder.blockers.push(Blocker { code, scope, what, details: Vec::new(), hints });
    }
    stopped
}

type Found = Option<(BlockerCode, String, Vec<Hint>)>;

fn too_many_unreachable(cluster: &Cluster, lists: &NodeLists) -> Found {
    let nodes = cluster.active().count();
    let allowed = cluster.rollout.max_unreachable.of(nodes);
    let unknown = lists.unknown.len();
    (unknown > allowed).then(|| {
        let what = format!(
            "{}: {unknown} of {nodes} nodes are unknown, and max_unreachable is {}",
            cluster.name, cluster.rollout.max_unreachable
        );
        let hint = Hint::type_(format!("muster --plan --allow {}", BlockerCode::TooManyUnreachable.word()));
        (BlockerCode::TooManyUnreachable, what, vec![hint, Hint::do_("or mark the nodes `out` in the inventory")])
    })
}

fn topology(cluster: &Cluster) -> Found {
    (cluster.topology == Topology::Hybrid).then(|| {
        let what = format!("{}: hybrid clusters are looked at and not changed by this version", cluster.name);
        (BlockerCode::Topology, what, vec![Hint::look("docs/safety.md")])
    })
}

fn after(request: &Request<'_>, cluster: &Cluster) -> Found {
    let in_line = |diff: &ClusterDiff| {
        diff.nodes.values().all(|node| matches!(node.condition, Condition::InLine | Condition::Out { .. }))
    };
    let waits =
        cluster.rollout.after.keys().filter(|name| request.diff.clusters.get(*name).is_none_or(|diff| !in_line(diff)));
    let waits: Vec<String> = waits.map(ToString::to_string).collect();
    (!waits.is_empty()).then(|| {
        let names = waits.join(", ");
        let what = format!("{} comes after {names}, which is not in line", cluster.name);
        let hints = vec![Hint::type_(format!("muster --apply --cluster {names}")), Hint::type_("muster --plan")];
        (BlockerCode::AfterCluster, what, hints)
    })
}

/// The changes of all nodes, each listed once with the nodes that have exactly it.
fn changes(plans: &[(NodeName, NodePlan)]) -> Vec<Change> {
    type Key = (ChangeKind, String, Option<String>, Option<String>, String);
    let mut grouped: BTreeMap<Key, Change> = BTreeMap::new();
    for (name, made) in plans {
        for change in &made.changes {
            let key = (change.kind, change.name.clone(), change.from.clone(), change.to.clone(), change.detail.clone());
            grouped.entry(key).or_insert_with(|| change.clone()).nodes.push(name.clone());
        }
    }
    grouped.into_values().collect()
}

fn notes(
    cluster: &Cluster,
    plans: &[(NodeName, NodePlan)],
    changes: &[Change],
    lists: &NodeLists,
    builder: &mut PlanBuilder,
) {
    for (name, made) in plans {
        if let Some(activate) = &made.activate {
            let way = match activate.way {
                ReloadWay::Candidate => "staged, with each node's own running settings",
                ReloadWay::Hup => "`.kong_env` and HUP, as its settings hold vault references",
                ReloadWay::Unneeded => "none needed: what runs is right, what the next start reads is edited",
                ReloadWay::Stopped => "none: Kong is not running there; it starts with the new content",
            };
            builder.note("reload", way, vec![name.clone()]);
            if let Some(conf) = &activate.conf {
                builder.note("kept in", conf.path.as_str(), vec![name.clone()]);
            }
        }
        for (topic, text) in &made.notes {
            builder.note(topic, text.clone(), vec![name.clone()]);
        }
    }
    let away: Vec<NodeName> =
        lists.unknown.iter().chain(&lists.blocked).chain(&lists.left_out).chain(&lists.out).cloned().collect();
    for change in changes.iter().filter(|change| change.kind == ChangeKind::Install && !away.is_empty()) {
        let text =
            format!("{} on {}: not yet safe to configure, as these nodes will not have it", change.name, cluster.name);
        builder.note("safety", text, away.clone());
    }
}

fn steps(cluster: &Cluster, plans: Vec<(NodeName, NodePlan)>, builder: &mut PlanBuilder) {
    let mut delivered: BTreeMap<NodeName, Vec<StepId>> = BTreeMap::new();
    for (name, made) in &plans {
        for deliver in &made.delivers {
            let why = if deliver.repair { "its files were edited on the node" } else { "the content is not there yet" };
            let what = (Action::Deliver(deliver.clone()), format!("{}: {why}", deliver.bundle));
            let id = builder.step(&cluster.name, name, Phase::Prepare, what, Vec::new());
            delivered.entry(name.clone()).or_default().push(id);
        }
    }
    let ends = cluster.rollout.wave_ends(plans.iter().filter(|(_, made)| made.activate.is_some()).count());
    let mut active = plans.into_iter().filter(|(_, made)| made.activate.is_some());
    let mut begin = 0;
    for (number, end) in ends.into_iter().enumerate() {
        let members: Vec<_> = active.by_ref().take(end - begin).collect();
        begin = end;
        let names = members.iter().map(|(name, _)| name.clone()).collect();
        let wave = builder.wave(&cluster.name, number + 1, names);
        for (name, made) in members {
            let why = made.why();
            let Some(activate) = made.activate else { continue };
            builder.nodes.insert(name.clone(), activate.basis.clone());
            let needs = delivered.remove(&name).unwrap_or_default();
            builder.step(&cluster.name, &name, Phase::Wave(wave), (Action::Activate(activate), why), needs);
        }
    }
}
