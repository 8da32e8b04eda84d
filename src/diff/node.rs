//! One node: every assignment against what was seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bundles, Condition, Directives, Doubt, FilesDiff, Item, Mark, NodeDiff, Settings, Truths, loaded};
use crate::bundle::Bundle;
use crate::hint::Hint;
use crate::inventory::{Assignment, Cluster, Inventory, Management, Node, State, Subject};
use crate::name::{BundleName, BundlePath, Digest, PluginName, Shared};
use crate::survey::{NodeFacts, Standing};
use crate::wire::Owned;

/// The remark about a Kong that does not run.
const STOPPED: &str = "Kong is not running";
/// How many of the settings that wait in kong.conf are said; a node's diff has them all.
const WAITING: usize = 5;

/// A node that the inventory marks `out`.
pub(super) fn out(why: &str) -> NodeDiff {
    NodeDiff {
        condition: Condition::Out { why: why.to_owned() },
        kong: None,
        running: false,
        items: super::Items::new().into(),
        orphans: BTreeMap::new(),
        directives: Directives::UNKNOWN,
        settings: Shared::default(),
        waiting: Shared::default(),
        remarks: Vec::new().into(),
        standing: Standing::default(),
    }
}

/// A node that was not seen: everything about it is unknown.
pub(super) fn unseen(
    inventory: &Inventory,
    cluster: &Cluster,
    node: &Node,
    bundles: &Bundles,
    why: &str,
    hints: &[Hint],
) -> NodeDiff {
    let items = cluster.assignments(node).map(|assignment| {
        let (bundle, plugins) = content(inventory, assignment, bundles);
        let mut item = blank(assignment, bundle, plugins);
        item.truths = Truths::UNKNOWN;
        (assignment.subject.as_str().to_owned(), item.into())
    });
    let condition = Condition::Unknown { why: why.to_owned(), hints: hints.to_vec() };
    NodeDiff { condition, items: items.collect::<super::Items>().into(), ..out("") }
}

/// A node that was seen.
pub(super) fn seen(
    inventory: &Inventory,
    cluster: &Cluster,
    node: &Node,
    bundles: &Bundles,
    facts: &NodeFacts,
    waiting: Shared<Vec<String>>,
) -> NodeDiff {
    let directives = Directives::of(&node.kong, facts);
    let mut items = super::Items::new();
    for assignment in cluster.assignments(node) {
        let (bundle, plugins) = content(inventory, assignment, bundles);
        let mut item = blank(assignment, bundle, plugins);
        fill(&mut item, assignment, bundle, node, facts, &directives);
        items.insert(assignment.subject.as_str().to_owned(), item.into());
    }
    let orphans = orphans(inventory, cluster, node, facts);
    if inventory.prune {
        pruned(&orphans, &mut items, node, facts, &directives);
    }
    let settings = {
        let ruled = items.values().flat_map(|item| &item.plugins).collect();
        Settings::of(&node.kong, facts, &directives, &ruled).into()
    };
    let waiting = with_names(waiting, &directives, &items, !super::stopped(&node.kong, facts));
    let mut diff = NodeDiff {
        condition: Condition::InLine,
        kong: version(facts),
        running: !super::stopped(&node.kong, facts),
        items: items.into(),
        orphans,
        directives,
        settings,
        waiting,
        remarks: Vec::new().into(),
        standing: Standing::default(),
    };
    let prune = inventory.prune;
    let mut said = remarks(&diff, facts, node);
    said.extend(diff.orphans.keys().map(|name| orphan_words(name.as_str(), prune)));
    diff.remarks = said.into();
    diff.condition = match Doubt::of(&node.kong, facts) {
        Some(Doubt { what, hints, .. }) => Condition::Unknown { why: what, hints },
        None => condition(&diff, facts, prune),
    };
    // Last, as it is never the reason for the state.
    let waits = waiting_words(&diff.waiting);
    if waits.is_some() {
        diff.remarks.to_mut().extend(waits);
    }
    diff
}

fn version(facts: &NodeFacts) -> Option<String> {
    let running = facts.admin.as_ref().ok().map(|admin| admin.version.clone()).filter(|version| !version.is_empty());
    running.or_else(|| facts.installed_version.clone())
}

/// The bundle of an assignment and the plugins that it stands for.
pub(super) fn content<'a>(
    inventory: &Inventory,
    assignment: &Assignment,
    bundles: &'a Bundles,
) -> (Option<&'a Bundle>, Vec<PluginName>) {
    match &assignment.subject {
        Subject::Plugin(plugin) => (None, vec![plugin.clone()]),
        Subject::Bundle(name) => {
            let bundle = bundles.get(&(name.clone(), assignment.version.clone())).map(AsRef::as_ref);
            debug_assert!(bundle.is_some() || inventory.bundles.contains_key(name));
            (bundle, bundle.map(|bundle| bundle.plugins.keys().cloned().collect()).unwrap_or_default())
        }
    }
}

fn blank(assignment: &Assignment, bundle: Option<&Bundle>, plugins: Vec<PluginName>) -> Item {
    let own = bundle.and_then(|bundle| bundle.plugins.values().find_map(|plugin| plugin.version.clone()));
    Item {
        truths: Truths::UNKNOWN,
        wanted: assignment.state,
        version: assignment.version.as_ref().map(|version| version.as_str().to_owned()).or(own),
        digest: bundle.map(|bundle| bundle.digest.clone()),
        installed: None,
        loaded_version: None,
        priority: None,
        plugins,
        files: FilesDiff::default(),
        rows: None,
        remarks: Vec::new(),
    }
}

/// What left the inventory and is pruned is like a plugin that is to be absent. Plugins of it that are wanted in another way
/// are not among those that go.
fn pruned(
    orphans: &BTreeMap<BundleName, Digest>,
    items: &mut super::Items,
    node: &Node,
    facts: &NodeFacts,
    directives: &Directives,
) {
    let running = !super::stopped(&node.kong, facts);
    let ruled: BTreeSet<PluginName> = items.values().flat_map(|item| item.plugins.iter().cloned()).collect();
    let Some(Ok(manifest)) = &facts.manifest else { return };
    for name in orphans.keys() {
        let Some(owned) = manifest.bundles.get(name).filter(|_| !items.contains_key(name.as_str())) else { continue };
        let plugins: Vec<PluginName> = owned.plugins.difference(&ruled).cloned().collect();
        if plugins.is_empty() && !owned.plugins.is_empty() && goes_with_others(owned, items) {
            continue;
        }
        let mut item = Item {
            truths: Truths::UNKNOWN,
            wanted: State::Absent,
            version: None,
            digest: None,
            installed: Some(owned.digest.clone()),
            loaded_version: None,
            priority: None,
            plugins,
            files: FilesDiff::default(),
            rows: None,
            remarks: Vec::new(),
        };
        observe(&mut item, facts);
        item.truths = Truths {
            files: Mark::Extra,
            directive: directives.mark(&item.plugins, false, running),
            loaded: loaded::unwanted(&item.plugins, facts, &node.kong),
            used: used_mark(&item, State::Absent),
        };
        items.insert(name.to_string(), item.into());
    }
}

/// Whether each plugin of a bundle is to be absent by its own name, so that its files go with these.
fn goes_with_others(owned: &Owned, items: &super::Items) -> bool {
    let absent = |plugin: &PluginName| items.values().any(|i| i.wanted == State::Absent && i.plugins.contains(plugin));
    owned.plugins.iter().any(absent)
}

/// Versions and rows, as the node's own Admin API has them.
fn observe(item: &mut Item, facts: &NodeFacts) {
    let Some(admin) = loaded::own_admin(facts) else { return };
    item.loaded_version = item.plugins.iter().find_map(|plugin| admin.loaded.get(plugin).cloned().flatten());
    item.priority = item.plugins.iter().find_map(|plugin| admin.priorities.get(plugin).copied());
    if admin.rows_trouble.is_none() {
        let rows = item.plugins.iter().filter_map(|plugin| admin.rows.get(plugin.as_str())).map(Vec::len);
        item.rows = Some(rows.sum());
    }
}

fn fill(
    item: &mut Item,
    assignment: &Assignment,
    bundle: Option<&Bundle>,
    node: &Node,
    facts: &NodeFacts,
    directives: &Directives,
) {
    let (kong, home) = (&node.kong, &node.kong.home);
    let running = !super::stopped(kong, facts);
    if let Some(bundle) = bundle {
        item.files = FilesDiff::of(bundle, facts, home.as_str());
        let manifest = facts.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok());
        item.installed = manifest.and_then(|m| m.bundles.get(&bundle.name)).map(|owned| owned.digest.clone());
    }
    observe(item, facts);
    let listed = assignment.state == State::Present;
    let (loaded, remark) = if listed {
        let ours = (assignment.files == Management::Managed).then_some(&item.files);
        loaded::wanted(&item.plugins, bundle, ours, facts, kong)
    } else {
        (loaded::unwanted(&item.plugins, facts, kong), None)
    };
    item.remarks.extend(remark);
    item.truths = Truths {
        files: files_mark(item, assignment, bundle, facts),
        directive: match assignment.directive {
            Management::External if listed => directives.kept_by_others(&item.plugins, running, facts.unit().is_some()),
            _ => directives.mark(&item.plugins, listed, running),
        },
        loaded,
        used: used_mark(item, assignment.state),
    };
    if item.truths.files == Mark::Differs {
        item.remarks.insert(0, item.files.words());
    }
    if item.rows.is_some_and(|rows| rows > 0) && running && lacks(item, listed, directives) {
        let rows = item.rows.unwrap_or_default();
        let (rows, use_) = if rows == 1 { ("1 row".to_owned(), "uses") } else { (format!("{rows} rows"), "use") };
        let does = if listed { "load" } else { "list" };
        // measured.md 5: such a node freezes its set of plugins, and its next reload or start fails.
        let text =
            format!("{rows} {use_} it and this node does not {does} it: its next reload or start fails until it does");
        item.remarks.insert(0, text);
    }
}

/// Old workers run the code of before for as long as a request holds them, and nothing limits that (measured.md 6).
fn lingering(facts: &NodeFacts) -> Option<String> {
    match facts.master.as_ref().map_or(0, |master| master.leaving.len()) {
        0 => None,
        1 => Some("1 old worker still ends its requests, with the code from before".to_owned()),
        more => Some(format!("{more} old workers still end their requests, with the code from before")),
    }
}

/// Whether a plugin that is in use is not there for the workers, or will not be for the next ones.
fn lacks(item: &Item, listed: bool, directives: &Directives) -> bool {
    if listed {
        return item.truths.loaded == Mark::Missing;
    }
    matches!(directives.mark(&item.plugins, true, true), Mark::Missing | Mark::Differs)
}

fn files_mark(item: &Item, assignment: &Assignment, bundle: Option<&Bundle>, facts: &NodeFacts) -> Mark {
    let external = assignment.files == Management::External || bundle.is_none();
    match (assignment.state, external) {
        (State::Absent, _) if assignment.files == Management::External => Mark::Absent,
        (State::Absent, _) => absent_files(item, facts),
        (State::Present | State::Staged, false) => item.files.wanted(),
        (State::Present | State::Staged, true) => external_files(item, facts),
    }
}

/// Files of plugins without a bundle: only whether they are there.
fn standing<'a>(item: &'a Item, facts: &'a NodeFacts) -> impl Iterator<Item = Option<crate::survey::Kind>> + 'a {
    item.plugins.iter().map(|plugin| {
        let root = BundlePath::parse(&format!("kong/plugins/{plugin}")).ok()?;
        facts.roots.get(&root).map(|found| found.kind)
    })
}

fn absent_files(item: &Item, facts: &NodeFacts) -> Mark {
    use crate::survey::Kind;
    let bundles = facts.manifest.iter().flatten().flat_map(|manifest| manifest.bundles.values());
    let recorded = bundles.flat_map(|owned| &owned.plugins).any(|plugin| item.plugins.contains(plugin));
    let mut mark = if recorded { Mark::Extra } else { Mark::Absent };
    for kind in standing(item, facts) {
        match kind {
            None | Some(Kind::Denied) => return Mark::Unknown,
            Some(Kind::Absent) => {}
            Some(_) => mark = Mark::Extra,
        }
    }
    mark
}

fn external_files(item: &Item, facts: &NodeFacts) -> Mark {
    use crate::survey::Kind;
    let mut mark = Mark::AsWanted;
    let manifest = facts.manifest.iter().flatten().flat_map(|manifest| manifest.bundles.values());
    let links: BTreeSet<&str> = manifest.flat_map(|owned| &owned.links).map(BundlePath::as_str).collect();
    let ours = item.plugins.iter().any(|plugin| links.contains(format!("kong/plugins/{plugin}").as_str()));
    for kind in standing(item, facts) {
        match kind {
            None | Some(Kind::Denied) => return Mark::Unknown,
            // What is external may also lie elsewhere on the search path; that it is loaded shows that it is there, unless
            // it was a link of ours that is gone.
            Some(Kind::Absent) => mark = Mark::Missing,
            Some(_) => {}
        }
    }
    let loaded = |plugin: &PluginName| loaded::own_admin(facts).is_some_and(|admin| admin.loaded.contains_key(plugin));
    if mark == Mark::Missing && !ours && item.plugins.iter().all(loaded) { Mark::AsWanted } else { mark }
}

fn used_mark(item: &Item, state: State) -> Mark {
    match (item.rows, state) {
        (None, _) => Mark::Unknown,
        (Some(0), _) => Mark::Absent,
        (Some(_), State::Present) => Mark::AsWanted,
        (Some(_), State::Staged | State::Absent) => Mark::Extra,
    }
}

fn orphans(inventory: &Inventory, cluster: &Cluster, node: &Node, facts: &NodeFacts) -> BTreeMap<BundleName, Digest> {
    let Some(Ok(manifest)) = &facts.manifest else { return BTreeMap::new() };
    let assigned = |name: &str| cluster.assignments(node).any(|assignment| assignment.subject.as_str() == name);
    let ours =
        manifest.bundles.iter().filter(|(name, owned)| owned.owner == inventory.owner && !assigned(name.as_str()));
    ours.map(|(name, owned)| (name.clone(), owned.digest.clone())).collect()
}

fn remarks(diff: &NodeDiff, facts: &NodeFacts, node: &Node) -> Vec<String> {
    let mut remarks = Vec::new();
    for (name, item) in &diff.items {
        remarks.extend(item.remarks.iter().map(|remark| format!("{name}: {remark}")));
    }
    if !diff.running {
        remarks.push(STOPPED.to_owned());
    }
    if let Some(Err(why)) = &facts.manifest {
        remarks.insert(0, format!("muster's manifest cannot be read: {why}"));
    }
    if let (Some(_), Err(trouble)) = (&facts.master, &facts.admin) {
        remarks.push(trouble.text.clone());
    }
    if let (Some(master), Ok(admin), None) = (&facts.master, &facts.admin, loaded::own_admin(facts)) {
        let (pid, other) = (master.process.0, admin.master.unwrap_or_default());
        remarks.push(format!("its Admin API is that of another Kong: of master {other}, and this node's is {pid}"));
    }
    if let Some(trouble) = facts.admin.as_ref().ok().and_then(|admin| admin.rows_trouble.as_ref()) {
        remarks.push(format!("what uses its plugins is not known: {}", trouble.text));
    }
    remarks.extend(super::readiness::not_ready(facts));
    remarks.extend(lingering(facts));
    if facts.conf.kind == crate::survey::Kind::Absent {
        remarks.insert(0, format!("kong.conf {} is not there", node.kong.conf));
    }
    remarks.extend(origin_words(diff, facts, node));
    // What goes off at the next reload or start stands first; what only counts at another time, behind what is wrong now.
    remarks.extend(diff.settings.words());
    remarks.splice(0..0, diff.settings.alarms());
    if facts.undoes {
        remarks.insert(
            0,
            "a run was left unfinished there and its guard died: the next change puts it back first".to_owned(),
        );
    }
    remarks
}

/// What is said of where `plugins` is set, where a person would look in the wrong place.
fn origin_words(diff: &NodeDiff, facts: &NodeFacts, node: &Node) -> Option<String> {
    let origin = &diff.directives.origin;
    let in_conf = facts.conf_file.as_ref().is_some_and(|conf| conf.open().get("plugins").is_some());
    (origin.is_environment() && in_conf)
        .then(|| format!("plugins is set by {}, which beats {}", origin.words(), node.kong.conf))
}

/// What is said of a bundle of ours that the inventory does not have any more.
fn orphan_words(name: &str, prune: bool) -> String {
    let then = if prune { ", and is to be removed (prune)" } else { "" };
    format!("{name} was installed by us and left the inventory{then}")
}

/// What waits, with the names that somebody added to `plugins` in kong.conf and that are nobody's here: the next start
/// loads them, or fails on them.
fn with_names(
    waiting: Shared<Vec<String>>,
    directives: &Directives,
    items: &super::Items,
    running: bool,
) -> Shared<Vec<String>> {
    let (Some(file), Some(env)) = (directives.file.directive(), directives.env.directive()) else { return waiting };
    let ours = |plugin: &PluginName| items.values().any(|item| item.plugins.contains(plugin));
    let new: Vec<&str> = file
        .plugins()
        .into_iter()
        .filter(|plugin| running && !env.loads(plugin) && !ours(plugin))
        .map(PluginName::as_str)
        .collect();
    if new.is_empty() {
        return waiting;
    }
    let mut lines = (*waiting).clone();
    let beside =
        if directives.origin.is_environment() { format!(", in {}", directives.origin.words()) } else { String::new() };
    lines.push(format!("plugins (and {}{beside})", new.join(", ")));
    lines.into()
}

/// What is said of settings that nobody has loaded.
pub(super) fn waiting_words(waiting: &[String]) -> Option<String> {
    let some = waiting.iter().take(WAITING).cloned().collect::<Vec<_>>().join(", ");
    match waiting.len() {
        0 => None,
        all if all > WAITING => Some(format!("waiting in kong.conf, not loaded: {some} and {} more", all - WAITING)),
        _ => Some(format!("waiting in kong.conf, not loaded: {some}")),
    }
}

fn condition(diff: &NodeDiff, facts: &NodeFacts, prune: bool) -> Condition {
    let removal = prune && !diff.orphans.is_empty();
    let drift = removal || facts.undoes || diff.items.values().any(|item| item.truths.is_drift());
    let owed = diff.items.values().all(|item| {
        let Truths { files, directive, loaded, .. } = item.truths;
        !item.truths.is_drift() || (loaded == Mark::Differs && !files.is_drift() && !directive.is_drift())
    });
    match () {
        () if drift && owed && !removal => Condition::ReloadOwed,
        () if drift => Condition::Drift,
        () if diff.items.values().any(|item| item.truths.is_unknown()) => {
            let admin = facts.admin.as_ref().err().filter(|_| facts.master.is_some());
            let first = diff.remarks.iter().find(|remark| *remark != STOPPED);
            let why = admin.map(|trouble| trouble.text.clone()).or_else(|| first.cloned());
            let hints = admin.map(|trouble| trouble.hints.clone()).unwrap_or_default();
            Condition::Unknown { why: why.unwrap_or_else(|| "not all of it could be read".to_owned()), hints }
        }
        () => Condition::InLine,
    }
}
