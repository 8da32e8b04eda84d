//! Diff and plan in a compact text that a person can review in a pull request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use muster::action::{Action, Activate, Delete, Switch, Unapply, Withdrawal};
use muster::diff::{Condition, FleetDiff, NodeDiff};
use muster::name::{Digest, NodeName, PluginName};
use muster::plan::{Blocker, ClusterPlan, Phase, Plan, Scope, Step};

/// What digests are called: `name@label`.
pub(crate) type Labels = BTreeMap<Digest, String>;

fn label(labels: &Labels, digest: &Digest) -> String {
    labels
        .get(digest)
        .map_or_else(|| digest.short().to_owned(), |label| label.split('@').next_back().unwrap_or(label).to_owned())
}

fn names(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" ")
}

/// The matrix of marks, with the condition of each node and what there is to say.
pub(crate) fn diff(diff: &FleetDiff) -> String {
    let mut out = String::new();
    for (name, cluster) in &diff.clusters {
        let _ = writeln!(out, "{name}  {}", cluster.columns.join(" "));
        for (node, diff) in &cluster.nodes {
            let _ = writeln!(out, "  {}", row(node, diff, &cluster.columns));
            for remark in &diff.remarks {
                let _ = writeln!(out, "      {remark}");
            }
        }
    }
    out
}

fn row(node: &NodeName, diff: &NodeDiff, columns: &[String]) -> String {
    let marks = columns.iter().map(|column| diff.items.get(column).map(|item| item.truths.signs()));
    let marks: Vec<String> = marks.map(|signs| signs.unwrap_or_else(|| "    ".to_owned())).collect();
    let (sign, word) = diff.condition.words();
    let why = match &diff.condition {
        Condition::Unknown { why, .. } | Condition::Out { why } => format!(": {why}"),
        _ => String::new(),
    };
    format!("{node}  {}  {sign} {word}{why}", marks.join(" "))
}

/// The plan.
pub(crate) fn plan(plan: &Plan, labels: &Labels) -> String {
    let mut out = plan.danger().map(|danger| danger + "\n").unwrap_or_default();
    for cluster in &plan.clusters {
        let _ = writeln!(out, "plan {}", cluster.cluster);
        lists(&mut out, cluster);
        for change in &cluster.changes {
            let from = change.from.as_ref().map(|from| format!("{from} > ")).unwrap_or_default();
            let to = change.to.clone().unwrap_or_default();
            let (mark, verb) = (change.kind.mark(), change.kind.verb());
            let version = if from.is_empty() && to.is_empty() { String::new() } else { format!(" {from}{to}") };
            let line = format!("  {mark} {verb} {}{version}: {}", change.name, change.detail);
            let _ = writeln!(out, "{}  [{}]", line.trim_end(), names(&change.nodes));
        }
        for wave in plan.waves.iter().filter(|wave| wave.cluster == cluster.cluster) {
            let _ = writeln!(out, "  wave {}: {}", wave.number, names(&wave.nodes));
        }
    }
    for step in &plan.steps {
        out.push_str(&one_step(step, labels));
    }
    for blocker in &plan.blockers {
        out.push_str(&one_blocker(blocker));
    }
    for note in &plan.notes {
        let _ = writeln!(out, "note {}: {}  [{}]", note.topic, note.text, names(&note.nodes));
    }
    out
}

fn lists(out: &mut String, cluster: &ClusterPlan) {
    let nodes = &cluster.nodes;
    let lists = [
        ("changing", &nodes.changing),
        ("in line", &nodes.in_line),
        ("blocked", &nodes.blocked),
        ("unknown", &nodes.unknown),
        ("out", &nodes.out),
        ("left out", &nodes.left_out),
    ];
    for (word, nodes) in lists.iter().filter(|(_, nodes)| !nodes.is_empty()) {
        let _ = writeln!(out, "  {word}: {}", names(nodes));
    }
}

fn one_step(step: &Step, labels: &Labels) -> String {
    let phase = match step.phase {
        Phase::Prepare => "prepare".to_owned(),
        Phase::Unapply => "un-apply".to_owned(),
        Phase::Fence => "fence".to_owned(),
        Phase::Clean => "clean".to_owned(),
        Phase::Wave(wave) => format!("wave {}", wave.0),
    };
    let needs: Vec<String> = step.needs.iter().map(ToString::to_string).collect();
    let needs = if needs.is_empty() { String::new() } else { format!(" needs {}", needs.join(",")) };
    let target = step.target.node().map_or_else(|| step.cluster.to_string(), ToString::to_string);
    let mut out = format!("step {} {target} {} ({phase}{needs}): {}\n", step.id, step.action.verb(), step.why);
    match &step.action {
        Action::Deliver(deliver) => {
            let repair = if deliver.repair { " repair" } else { "" };
            let _ = writeln!(out, "    {} {}{repair}", deliver.bundle, label(labels, &deliver.digest));
        }
        Action::Rehearse(rehearse) => {
            let staged: Vec<String> = rehearse.staged.iter().map(|staged| label(labels, &staged.digest)).collect();
            let added: Vec<&str> = rehearse.added.iter().map(PluginName::as_str).collect();
            let lists = if added.is_empty() { String::new() } else { format!(", lists {}", added.join(", ")) };
            let _ = writeln!(
                out,
                "    plugins {}{lists}; staged: {}",
                rehearse.plugins,
                if staged.is_empty() { "nothing".to_owned() } else { staged.join(", ") }
            );
        }
        Action::Activate(activate) => activate_lines(&mut out, activate, labels),
        Action::Unapply(unapply) => unapply_lines(&mut out, unapply),
        Action::Fence(fence) => {
            let plugins: Vec<&str> = fence.plugins.iter().map(PluginName::as_str).collect();
            let _ = writeln!(out, "    {} on {} within {} s", plugins.join(", "), names(&fence.nodes), fence.limit);
        }
        Action::Delete(delete) => delete_lines(&mut out, delete),
    }
    out
}

fn unapply_lines(out: &mut String, unapply: &Unapply) {
    let how = match unapply.how {
        Withdrawal::Delete => "delete",
        Withdrawal::Disable => "disable",
    };
    let _ = writeln!(out, "    {how} through {}", names(&unapply.through));
    for (plugin, row) in unapply.rows.iter().flat_map(|(plugin, rows)| rows.iter().map(move |row| (plugin, row))) {
        let _ = writeln!(out, "    row {plugin} {}: {}", row.id, row.words());
    }
}

fn delete_lines(out: &mut String, delete: &Delete) {
    for (bundle, links) in &delete.bundles {
        let links: Vec<&str> = links.iter().map(muster::name::BundlePath::as_str).collect();
        let _ = writeln!(out, "    {bundle} with {}", links.join(" "));
    }
    for root in &delete.adopts {
        let _ = writeln!(out, "    {root} to the attic");
    }
    let plugins: Vec<&str> = delete.plugins.iter().map(PluginName::as_str).collect();
    let _ = writeln!(out, "    without {}; generation {}", plugins.join(", "), delete.generation);
}

fn activate_lines(out: &mut String, activate: &Activate, labels: &Labels) {
    for switch in &activate.switches {
        let _ = writeln!(out, "    switch {}", one_switch(switch, labels));
    }
    let (before, after) = &*activate.directive;
    let way = serde_json::to_string(&activate.way).unwrap_or_default();
    let same = if before == after { after.clone() } else { format!("{before} > {after}") };
    let _ = writeln!(out, "    {} plugins {same}", way.trim_matches('"'));
    let pairs = |pairs: &mut dyn Iterator<Item = (String, &Digest)>| {
        pairs.map(|(name, digest)| format!("{name} {}", label(labels, digest))).collect::<Vec<_>>().join(", ")
    };
    if !activate.gone.is_empty() {
        let gone: Vec<&str> = activate.gone.iter().map(PluginName::as_str).collect();
        let through = &activate.count_through;
        let through = if through.is_empty() { String::new() } else { format!(", counted through {}", names(through)) };
        let _ = writeln!(out, "    gone {}{through}", gone.join(", "));
    }
    if !activate.staged.is_empty() {
        let staged = pairs(&mut activate.staged.iter().map(|(name, digest)| (name.to_string(), digest)));
        let _ = writeln!(out, "    staged {staged}");
    }
    if let Some(edit) = &activate.conf {
        let _ = writeln!(out, "    edit {} at {} -{} {:?}", edit.path, edit.offset, edit.remove, edit.insert);
    }
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "?".to_owned());
    let loaded: Vec<String> = activate.loaded.iter().map(|(name, is)| format!("{name} {}", version(is))).collect();
    let _ = writeln!(out, "    loaded {}", loaded.join(", "));
    let content = pairs(&mut activate.content.iter().map(|(name, digest)| (name.to_string(), digest)));
    let _ = writeln!(out, "    content {content}");
}

fn one_switch(switch: &Switch, labels: &Labels) -> String {
    let from = switch.from.as_ref().map_or_else(|| "-".to_owned(), |from| label(labels, from));
    let paths = |word: &str, paths: &std::collections::BTreeSet<muster::name::BundlePath>| {
        let paths: Vec<&str> = paths.iter().map(muster::name::BundlePath::as_str).collect();
        if paths.is_empty() { String::new() } else { format!(" {word} {}", paths.join(" ")) }
    };
    let to = label(labels, &switch.to);
    let roots = paths("links", &switch.links) + &paths("unlinks", &switch.unlinks) + &paths("adopts", &switch.adopts);
    format!("{} {from} > {to}{roots}", switch.bundle)
}

fn one_blocker(blocker: &Blocker) -> String {
    let scope = match &blocker.scope {
        Scope::Run => "run".to_owned(),
        Scope::Cluster { cluster } => cluster.to_string(),
        Scope::Plugin { cluster, name } => format!("{name} on {cluster}"),
        Scope::Node { node } => node.to_string(),
    };
    let mut out = format!("! {} {scope}: {}\n", blocker.code.word(), blocker.what);
    for detail in &blocker.details {
        let _ = writeln!(out, "      {detail}");
    }
    for hint in &blocker.hints {
        let _ = writeln!(out, "      {hint}");
    }
    out
}
