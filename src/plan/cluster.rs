//! One cluster's part of a plan: its nodes, its waves, its changes grouped.

use std::collections::BTreeMap;

use super::files::{Clean, Third};
use super::in_use::Trials;
use super::lookup::Lookup;
use super::node::{self, NodeChange, NodePlan};
use super::removal::{Removals, Subject};
use super::{
    Blocker, BlockerCode, Change, ChangeKind, ClusterPlan, Goal, NodeLists, Phase, PlanBuilder, Removal, Request,
    Scope, StepId, Target, trial, tried, usage,
};
use crate::action::{Action, Delete, Deliver, NodeBasis, ReloadWay, Withdrawal};
use crate::diff::{ClusterDiff, Condition, Mark};
use crate::hint::Hint;
use crate::inventory::{Cluster, Length, State, Topology};
use crate::name::{BundleName, ClusterName, NodeName, Pool, Shared};

/// Plans one cluster: the order is deliver everywhere, then wave by wave activate (architecture.md 6).
pub(super) fn plan(
    request: &Request<'_>,
    lookup: &Lookup<'_>,
    cluster: &Cluster,
    builder: &mut PlanBuilder,
) -> ClusterPlan {
    let empty = ClusterDiff { topology: String::new(), columns: Vec::new(), nodes: BTreeMap::new() };
    let diff = request.diff.clusters.get(&cluster.name).unwrap_or(&empty);
    if let Goal::PutBack { cluster: only, .. } = &request.goal
        && *only != cluster.name
    {
        let lists = NodeLists { left_out: cluster.nodes.keys().cloned().collect(), ..NodeLists::default() };
        return summary(cluster, Vec::new(), Vec::new(), lists);
    }
    let removals = Removals::of(request, cluster, diff);
    let mut plans = node_plans(request, lookup, cluster, diff, &removals);
    let clean = Third { request, lookup, cluster, removals: &removals }.plan(&mut plans);
    let mut lists = lists(request, cluster, diff, &plans);
    for node in &lists.unknown {
        if let Some(Condition::Unknown { why, .. }) = diff.nodes.get(node).map(|node| &node.condition) {
            builder.note("unknown", node::nameless(why, node), vec![node.clone()]);
        }
    }
    if let Some(text) = nobody_seen(request, &lists, diff) {
        builder.note("unseen", text, lists.unknown.clone());
    }
    for (name, made) in &plans {
        for (topic, text) in &made.remarks {
            builder.note(topic, text.clone(), vec![name.clone()]);
        }
    }
    for what in &removals.lifted {
        builder.note("allowed", format!("{}: {what}", BlockerCode::RowsManaged.word()), Vec::new());
    }
    let works = !lists.changing.is_empty() || removals.unapplies();
    let stopped = works && removals.back.is_none() && blockers(request, cluster, &lists, builder);
    for (_, made) in &mut plans {
        for blocker in made.blockers.drain(..) {
            // One for a plugin on the cluster comes from each of its nodes alike.
            let alike = matches!(blocker.scope, Scope::Plugin { .. }) && builder.blockers.contains(&blocker);
            if !alike {
                builder.blockers.push(blocker);
            }
        }
    }
    if stopped {
        lists.blocked.append(&mut lists.changing);
        lists.blocked.sort();
        plans.clear();
    }
    let running = |name: &NodeName| diff.nodes.get(name).is_some_and(|node| node.running);
    plans.retain(|(_, made)| made.changes());
    // A node whose Kong is stopped proves nothing: it must not be the canary. The one through which others write the
    // configuration comes first, so that nobody can apply again what the others no longer list (protocols.md A).
    let writes = |name: &NodeName, made: &NodePlan| made.removes() && usage::is_via(cluster, name);
    plans.sort_by_key(|(name, made)| (!running(name), !writes(name, made)));
    let removed = if stopped { Vec::new() } else { removed(cluster, &removals, &plans, clean.as_ref(), builder) };
    let changes = changes(&plans, &removed);
    notes(&plans, builder);
    tried::tell(request, cluster, builder);
    if cluster.topology != Topology::Dbless {
        unsafe_to_configure(cluster, diff, &changes, builder);
    }
    if !stopped {
        steps(request, cluster, &removals, plans, clean, builder);
    }
    summary(cluster, changes, removed, lists)
}

/// What is planned for each node that was seen and is selected.
fn node_plans(
    request: &Request<'_>,
    lookup: &Lookup<'_>,
    cluster: &Cluster,
    diff: &ClusterDiff,
    removals: &Removals<'_>,
) -> Vec<(NodeName, NodePlan)> {
    let nodes =
        cluster.active().filter(|node| request.selection.node(node) && request.survey.seen(&node.name).is_some());
    let plan = |node: &crate::inventory::Node| {
        let made = node::plan(request, lookup, cluster, node, diff.nodes.get(&node.name)?, removals);
        Some((node.name.clone(), made))
    };
    nodes.filter_map(plan).collect()
}

/// Each node in one list.
fn lists(request: &Request<'_>, cluster: &Cluster, diff: &ClusterDiff, plans: &[(NodeName, NodePlan)]) -> NodeLists {
    let mut lists = NodeLists::default();
    let plans: BTreeMap<&NodeName, &NodePlan> = plans.iter().map(|(name, made)| (name, made)).collect();
    for node in cluster.nodes.values() {
        let Some(node_diff) = diff.nodes.get(&node.name) else { continue };
        let made = plans.get(&node.name);
        let list = match &node_diff.condition {
            Condition::Out { .. } => &mut lists.out,
            _ if !request.selection.node(node) => &mut lists.left_out,
            _ if made.is_some_and(|made| made.changes()) => &mut lists.changing,
            _ if made.is_some_and(|made| !made.blockers.is_empty()) => &mut lists.blocked,
            Condition::Unknown { .. } => &mut lists.unknown,
            _ => &mut lists.in_line,
        };
        list.push(node.name.clone());
    }
    lists
}

fn summary(cluster: &Cluster, changes: Vec<Change>, removals: Vec<Removal>, lists: NodeLists) -> ClusterPlan {
    let nodes = cluster.active().count();
    ClusterPlan {
        cluster: cluster.name.clone(),
        topology: cluster.topology.as_str().to_owned(),
        changes,
        removals,
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

/// The three steps of every removal, as far as this plan goes.
fn removed(
    cluster: &Cluster,
    removals: &Removals<'_>,
    plans: &[(NodeName, NodePlan)],
    clean: Option<&Clean>,
    builder: &PlanBuilder,
) -> Vec<Removal> {
    let mut all = Vec::new();
    for subject in removals.subjects.values().filter(|subject| !subject.is_staged()) {
        let leaves = |made: &NodePlan| {
            let gone = made.activate.as_ref().map(|activate| &activate.gone);
            gone.is_some_and(|gone| !gone.is_disjoint(&subject.plugins))
        };
        let directive = plans.iter().filter(|(_, made)| leaves(made)).map(|(name, _)| name.clone()).collect();
        let files = clean.and_then(|clean| clean.nodes.get(&subject.name)).cloned().unwrap_or_default();
        let about = |blocker: &&Blocker| matches!(&blocker.scope, Scope::Plugin { cluster: of, name } if *of == cluster.name && *name == subject.name);
        let held = builder.blockers.iter().filter(about).map(|blocker| blocker.subject().map_or("", |(_, why)| why));
        let removal = Removal {
            name: subject.name.clone(),
            how: subject.unapply().map(|step| step.how),
            rows: subject.usage.rows.clone(),
            directive,
            files,
            proven_by: cluster.active().count(),
            held: held.map(str::to_owned).collect(),
        };
        if removal.how.is_some() || !removal.directive.is_empty() || !removal.files.is_empty() {
            all.push(removal);
        }
    }
    all
}

/// What stops the whole cluster; true if something does.
fn blockers(request: &Request<'_>, cluster: &Cluster, lists: &NodeLists, builder: &mut PlanBuilder) -> bool {
    let found = [too_many_unreachable(request, cluster, lists), topology(cluster), after(request, cluster)];
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

/// What to do where nothing can be planned, as no node was seen. Why each was not stands with it.
fn nobody_seen(request: &Request<'_>, lists: &NodeLists, diff: &ClusterDiff) -> Option<String> {
    let NodeLists { changing, in_line, blocked, unknown, .. } = lists;
    let none = changing.is_empty() && in_line.is_empty() && blocked.is_empty();
    let unseen = none && !unknown.is_empty() && unknown.iter().all(|node| request.survey.seen(node).is_none());
    let hint = diff.nodes.get(unknown.first()?).and_then(|node| match &node.condition {
        Condition::Unknown { hints, .. } => hints.first(),
        _ => None,
    });
    let way = hint.map_or_else(|| "type: muster status".to_owned(), ToString::to_string);
    unseen.then(|| format!("nothing can be planned before one of these nodes answers. To begin with, {way}"))
}

type Found = Option<(BlockerCode, String, Vec<Hint>)>;

/// Nodes that answered are not among them, whatever could not be told of them.
fn too_many_unreachable(request: &Request<'_>, cluster: &Cluster, lists: &NodeLists) -> Found {
    let nodes = cluster.active().count();
    let allowed = cluster.rollout.max_unreachable.of(nodes);
    let unseen = lists.unknown.iter().filter(|node| request.survey.seen(node).is_none()).count();
    (unseen > allowed).then(|| {
        let what = format!(
            "{}: {unseen} of {nodes} nodes could not be seen, and max_unreachable is {}",
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
    let waits = cluster.rollout.after.iter().filter_map(|(name, rest)| waits_for(request, name, *rest));
    let waits: Vec<(String, Hint)> = waits.collect();
    if waits.is_empty() {
        return None;
    }
    let (reasons, mut hints): (Vec<String>, Vec<Hint>) = waits.into_iter().unzip();
    let what = format!("{} comes after {}", cluster.name, reasons.join(", and after "));
    hints.push(Hint::type_(format!("muster --plan --allow {}", BlockerCode::AfterCluster.word())));
    Some((BlockerCode::AfterCluster, what, hints))
}

/// Why a cluster that comes first is not yet done, or has not been for long enough, and what to do.
fn waits_for(request: &Request<'_>, name: &ClusterName, rest: Length) -> Option<(String, Hint)> {
    let in_line = |diff: &ClusterDiff| {
        diff.nodes.values().all(|node| matches!(node.condition, Condition::InLine | Condition::Out { .. }))
    };
    if !request.diff.clusters.get(name).is_some_and(in_line) {
        return Some((format!("{name}, which is not in line"), Hint::type_(format!("muster --plan --cluster {name}"))));
    }
    let nodes = request.inventory.clusters.get(name).map(|cluster| cluster.nodes.keys());
    let receipts =
        nodes.into_iter().flatten().filter_map(|node| request.survey.seen(node)).flat_map(|seen| &seen.receipts);
    let changed = receipts.map(|receipt| receipt.run.milliseconds() / 1000).max()?;
    let now = u64::try_from(request.survey.at.as_second()).unwrap_or(0);
    let since = now.saturating_sub(changed);
    let left = rest.duration().as_secs().checked_sub(since).filter(|left| *left > 0)?;
    let what = format!("{name}, which has to stay in line for {rest} and was changed {} ago", length(since));
    Some((what, Hint::do_(format!("plan again in {}", length(left)))))
}

/// `40m`, `1h05m`: minutes are enough to wait by.
pub(super) fn length(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m"),
        (hours, minutes) => format!("{hours}h{minutes:02}m"),
    }
}

/// The changes of all nodes, each listed once with the nodes that have exactly it.
fn changes(plans: &[(NodeName, NodePlan)], removed: &[Removal]) -> Vec<Change> {
    let mut grouped: BTreeMap<_, (&NodeChange, Vec<NodeName>)> = BTreeMap::new();
    let all = plans.iter().flat_map(|(name, made)| made.changes.iter().map(move |change| (name, &**change)));
    for (name, change) in all {
        let NodeChange { kind, name: of, from, to, detail, .. } = change;
        if *kind == ChangeKind::Remove {
            continue;
        }
        grouped.entry((kind, of, from, to, detail)).or_insert_with(|| (change, Vec::new())).1.push(name.clone());
    }
    let change = |(change, nodes): (&NodeChange, Vec<NodeName>)| Change {
        kind: change.kind,
        name: change.name.clone(),
        from: change.from.clone(),
        to: change.to.clone(),
        detail: change.detail.clone(),
        diff: change.diff.to_vec(),
        nodes,
    };
    let mut changes: Vec<Change> = grouped.into_values().map(change).collect();
    changes.extend(removed.iter().map(remove));
    changes.sort_by_key(|change| change.kind);
    changes
}

/// A removal as one change.
fn remove(removal: &Removal) -> Change {
    let mut nodes: Vec<NodeName> = removal.directive.clone();
    nodes.extend(removal.files.iter().filter(|node| !removal.directive.contains(node)).cloned());
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    match removal.how {
        Some(Withdrawal::Delete) => parts.push(format!("{} deleted", plural(removal.withdraws(), "row"))),
        Some(Withdrawal::Disable) => parts.push(format!("{} disabled", plural(removal.withdraws(), "row"))),
        None => {}
    }
    if !removal.directive.is_empty() {
        parts.push(format!("out of the directive of {}", plural(removal.directive.len(), "node")));
    }
    if !removal.files.is_empty() {
        parts.push(format!("files off {}", plural(removal.files.len(), "node")));
    }
    let detail = parts.join(", ");
    Change {
        kind: ChangeKind::Remove,
        name: removal.name.clone(),
        from: None,
        to: None,
        detail,
        diff: Vec::new(),
        nodes,
    }
}

fn notes(plans: &[(NodeName, NodePlan)], builder: &mut PlanBuilder) {
    for (name, made) in plans {
        if let Some(activate) = &made.activate {
            let way = match &activate.way {
                ReloadWay::Candidate => "staged, with each node's own running settings",
                ReloadWay::Hup => "staged, by `.kong_env` and HUP",
                ReloadWay::Prepare => "`kong prepare` and `kong reload`, each with -c, as asked for",
                ReloadWay::Restart => "`kong restart -c`, as asked for: the node serves nothing for a moment",
                ReloadWay::Unit { unit } => &format!("systemctl reload {unit}, as asked for"),
                ReloadWay::Command { command } => &format!("the command of the inventory, on each node: {command}"),
                ReloadWay::Unneeded => "none needed: what runs stays as it is",
                ReloadWay::Stopped => "none: Kong is not running there; it starts with the new content",
            };
            let why = if activate.evidence.is_empty() { String::new() } else { format!("; {}", activate.evidence) };
            builder.note("reload", format!("{way}{why}"), vec![name.clone()]);
            if let Some(conf) = &activate.conf {
                builder.note("kept in", conf.path.as_str(), vec![name.clone()]);
            }
        }
        for (topic, text) in &made.notes {
            builder.note(topic, text.clone(), vec![name.clone()]);
        }
    }
}

/// Where nodes share a configuration, a plugin may be configured only once every one of them has it (measured.md 5).
fn unsafe_to_configure(cluster: &Cluster, diff: &ClusterDiff, changes: &[Change], builder: &mut PlanBuilder) {
    let new = |change: &&Change| matches!(change.kind, ChangeKind::Install | ChangeKind::Enable);
    let wanted =
        |name: &str| cluster.plugins.values().any(|one| one.subject.as_str() == name && one.state != State::Absent);
    for change in changes.iter().filter(new).filter(|change| wanted(&change.name)) {
        let given: std::collections::BTreeSet<&NodeName> = change.nodes.iter().collect();
        let has = |node: &NodeName| {
            let item = diff.nodes.get(node).and_then(|node| node.items.get(&change.name));
            given.contains(node) || item.is_some_and(|item| item.truths.loaded == Mark::AsWanted)
        };
        let without: Vec<NodeName> = cluster.nodes.keys().filter(|node| !has(node)).cloned().collect();
        if !without.is_empty() {
            let what = "not yet safe to configure, as these nodes will not have it";
            builder.note("safety", format!("{} on {}: {what}", change.name, cluster.name), without);
        }
    }
}

fn steps(
    request: &Request<'_>,
    cluster: &Cluster,
    removals: &Removals<'_>,
    mut plans: Vec<(NodeName, NodePlan)>,
    clean: Option<Clean>,
    builder: &mut PlanBuilder,
) {
    let mut own: BTreeMap<NodeName, Vec<StepId>> = BTreeMap::new();
    // Hundreds of nodes have the same reasons.
    let mut deliver_whys: BTreeMap<(BundleName, bool), Shared<String>> = BTreeMap::new();
    let mut whys: Pool<(), String> = Pool::default();
    for (name, made) in &mut plans {
        for deliver in &made.delivers {
            let why =
                deliver_whys.entry((deliver.bundle.clone(), deliver.repair)).or_insert_with(|| deliver_why(deliver));
            let what = (Action::Deliver(deliver.clone()), why.clone());
            let id = builder.step(&cluster.name, Target::Node(name.clone()), Phase::Prepare, what, Vec::new());
            own.entry(name.clone()).or_default().push(id);
        }
        if let Some(rehearse) = made.rehearse.take() {
            let what = (Action::Rehearse(rehearse), whys.share(&(), trial::WHY.to_owned().into()));
            let needs = own.get(name).cloned().unwrap_or_default();
            let id = builder.step(&cluster.name, Target::Node(name.clone()), Phase::Prepare, what, needs);
            own.entry(name.clone()).or_default().push(id);
        }
    }
    let withdrawn = withdraw(cluster, removals, builder);
    let deletes: Vec<_> =
        plans.iter_mut().filter_map(|(name, made)| Some((name.clone(), made.delete.take()?))).collect();
    let mut proven = withdrawn.clone();
    let ends = cluster.rollout.wave_ends(plans.iter().filter(|(_, made)| made.activate.is_some()).count());
    let mut trials = Trials::of(request, cluster, plans.iter().filter_map(|(_, made)| made.activate.as_deref()));
    let mut active = plans.into_iter().filter(|(_, made)| made.activate.is_some());
    let mut begin = 0;
    for (number, end) in ends.into_iter().enumerate() {
        let members: Vec<_> = active.by_ref().take(end - begin).collect();
        begin = end;
        let names = members.iter().map(|(name, _)| name.clone()).collect();
        let wave = builder.wave(&cluster.name, number + 1, names);
        let mut trying = Vec::new();
        for (name, made) in members {
            let why = whys.share(&(), made.why().into());
            let Some(mut activate) = made.activate else { continue };
            trials.mark(&mut activate);
            trying.extend((!activate.validate.is_empty()).then(|| name.clone()));
            builder.nodes.insert(name.clone(), activate.basis.clone());
            let mut needs = own.remove(&name).unwrap_or_default();
            let removes = !activate.gone.is_empty();
            if removes {
                needs.extend(&withdrawn);
            }
            let what = (Action::Activate(activate), why);
            let id = builder.step(&cluster.name, Target::Node(name.clone()), Phase::Wave(wave), what, needs);
            proven.extend(removes.then_some(id));
            own.insert(name, vec![id]);
        }
        trials.next(trying, builder);
    }
    if let Some(Clean { fence, nodes }) = clean {
        let names = nodes.keys().cloned().collect::<Vec<_>>().join(", ");
        let why = match fence.nodes.len() {
            1 => format!("{names}: files go once the node is without it"),
            all => format!("{names}: files go once all {all} nodes are without it"),
        };
        let fence =
            builder.step(&cluster.name, Target::Cluster, Phase::Fence, (Action::Fence(fence), why.into()), proven);
        delete(cluster, deletes, fence, &own, builder);
    }
}

/// The first step of the removals: once for the cluster.
fn withdraw(cluster: &Cluster, removals: &Removals<'_>, builder: &mut PlanBuilder) -> Vec<StepId> {
    let mut ids = Vec::new();
    for step in removals.subjects.values().filter_map(Subject::unapply) {
        let why = match step.how {
            Withdrawal::Delete => "it is to be absent, and its rows may go",
            Withdrawal::Disable => "it is to be absent, and its rows are disabled first",
        };
        let what = (Action::Unapply(Box::new(step.clone())), format!("{}: {why}", step.name).into());
        ids.push(builder.step(&cluster.name, Target::Cluster, Phase::Unapply, what, Vec::new()));
    }
    ids
}

/// The third step of the removals: behind the fence, and behind the node's own activation.
fn delete(
    cluster: &Cluster,
    deletes: Vec<(NodeName, Box<Delete>)>,
    fence: StepId,
    activated: &BTreeMap<NodeName, Vec<StepId>>,
    builder: &mut PlanBuilder,
) {
    for (name, delete) in deletes {
        let generation = delete.generation;
        builder.nodes.entry(name.clone()).or_insert_with(|| NodeBasis { generation, ..NodeBasis::default() });
        let of: Vec<&str> = delete
            .bundles
            .keys()
            .map(BundleName::as_str)
            .chain(delete.adopts.iter().map(crate::name::BundlePath::as_str))
            .collect();
        let why = format!("{}: no node of the cluster has it any more", of.join(", "));
        let needs = activated.get(&name).into_iter().flatten().copied().chain([fence]).collect();
        builder.step(&cluster.name, Target::Node(name), Phase::Clean, (Action::Delete(delete), why.into()), needs);
    }
}

fn deliver_why(deliver: &Deliver) -> Shared<String> {
    let why = if deliver.repair { "its files were edited on the node" } else { "the content is not there yet" };
    format!("{}: {why}", deliver.bundle).into()
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn a_length_of_time_is_as_exact_as_waiting_needs() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (2400, "40m"), (3900, "1h05m"), (7200, "2h00m")] {
            assert_eq!(length(seconds), text);
        }
    }
}
