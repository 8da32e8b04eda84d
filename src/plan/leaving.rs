//! What a removal means for one node: which names leave its directive, which have to come back, and what is left on disk.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Draft;
use super::removal::{Ruling, Subject};
use super::{Blocker, BlockerCode, ChangeKind, Scope, obstacle, usage};
use crate::diff::{Item, Mark, own_admin};
use crate::hint::Hint;
use crate::inventory::{Assignment, Management, State, Topology};
use crate::name::{BundleName, BundlePath, NodeName, PluginName};
use crate::survey::Kind;
use crate::wire::Owned;

/// What is left of a bundle or plugin on the disk of a node.
#[derive(Default)]
pub(super) struct Leftover {
    /// Bundles of ours, with the roots that are links of ours.
    pub(super) bundles: BTreeMap<BundleName, BTreeSet<BundlePath>>,
    /// Roots that are not ours and go all the same.
    pub(super) adopts: BTreeSet<BundlePath>,
}

/// Plans what the removal of this name means here. True if its plugins are not listed any more, or will not be.
pub(super) fn plan(draft: &mut Draft<'_>, name: &str, item: &Item, assignment: Option<&Assignment>) -> bool {
    let removals = draft.removals;
    let Some(subject) = removals.subjects.get(name) else { return listed(draft, &item.plugins).is_empty() };
    match &subject.ruling {
        Ruling::NotOurs(blocker) => draft.plan.blockers.push(blocker.clone()),
        Ruling::Held(_, blocker) => {
            draft.plan.blockers.push(blocker.clone());
            if !subject.is_staged() {
                used(draft, name, item, false);
            }
        }
        Ruling::Free | Ruling::Behind(_) => {
            let goes = names(draft, name, item, assignment);
            if !subject.is_staged() {
                leftovers(draft, subject, item, assignment);
            }
            return goes;
        }
    }
    false
}

/// Where rows hold it, what this node lacks of it; `brought`: its files come with this plan, or are there.
pub(super) fn used(draft: &mut Draft<'_>, name: &str, item: &Item, brought: bool) {
    let removals = draft.removals;
    let Some(subject) = removals.subjects.get(name).filter(|subject| matches!(subject.ruling, Ruling::Held(..))) else {
        return;
    };
    let used = item.plugins.iter().filter(|plugin| is_used(draft, subject, plugin)).cloned().collect();
    list_again(draft, name, &used, brought);
}

/// Lists plugins again that are used again ([`super::Goal::PutBack`]).
pub(super) fn put_back(draft: &mut Draft<'_>, plugins: &BTreeSet<PluginName>) {
    for plugin in plugins {
        list_again(draft, plugin.as_str(), &BTreeSet::from([plugin.clone()]), false);
    }
}

/// Without a database a node has rows of its own; with one, what any node shows is used everywhere.
fn is_used(draft: &Draft<'_>, subject: &Subject<'_>, plugin: &PluginName) -> bool {
    match draft.cluster.topology {
        Topology::Dbless => usage::on_node(draft.facts, plugin) > 0,
        Topology::Traditional | Topology::Hybrid => subject.usage.rows.contains_key(plugin),
    }
}

/// Those of the plugins that any place of the directive names, or that the workers have loaded.
fn listed(draft: &Draft<'_>, plugins: &[PluginName]) -> Vec<PluginName> {
    let running = draft.diff.running;
    let loaded = own_admin(draft.facts).filter(|_| running).map(|admin| &admin.loaded);
    let is = |plugin: &&PluginName| {
        draft.diff.directives.mark(std::slice::from_ref(*plugin), false, running) == Mark::Extra
            || loaded.is_some_and(|loaded| loaded.contains_key(*plugin))
    };
    plugins.iter().filter(is).cloned().collect()
}

/// Takes the names out, so far as that may be done here. True if none is left then.
fn names(draft: &mut Draft<'_>, name: &str, item: &Item, assignment: Option<&Assignment>) -> bool {
    let listed = listed(draft, &item.plugins);
    if listed.is_empty() {
        return true;
    }
    if assignment.is_some_and(|assignment| assignment.directive == Management::External) {
        let what = format!("{name}: its place in the directive is external, and it is still there");
        let hint = Hint::do_("let what writes the directive take it out, and reload; then plan again");
        draft.block(BlockerCode::ExternalMissing, what, Vec::new(), vec![hint]);
        return false;
    }
    if rows_are_unclear(draft, name) {
        return false;
    }
    draft.drop.extend(listed);
    match item.wanted {
        State::Staged => draft.names_change(ChangeKind::Disable, name, "out of the directive; its files stay"),
        State::Absent | State::Present => draft.names_change(ChangeKind::Remove, name, ""),
    }
    true
}

/// Right before its name goes the rows are counted through the node's own eyes: what cannot be counted blocks.
fn rows_are_unclear(draft: &mut Draft<'_>, name: &str) -> bool {
    let running = draft.diff.running;
    let trouble = own_admin(draft.facts).filter(|_| running).and_then(|admin| admin.rows_trouble.clone());
    let (what, hints) = match trouble {
        Some(trouble) => {
            (format!("{name}: which rows use it could not be read on this node: {}", trouble.text), trouble.hints)
        }
        None if !running && draft.cluster.topology == Topology::Dbless => {
            let hint = Hint::do_("start it, or take it out of the fleet with  out: \"why\"");
            (
                format!("{name}: Kong is stopped, and only it could tell whether its own configuration uses it"),
                vec![hint],
            )
        }
        None => return false,
    };
    draft.block(BlockerCode::RowsUnknown, what, Vec::new(), hints);
    true
}

/// Plugins that are used and that this node does not list: it would not start again, and its next reload would not be applied
/// (measured.md 5). They are listed again where their files are there.
fn list_again(draft: &mut Draft<'_>, name: &str, used: &BTreeSet<PluginName>, brought: bool) {
    let running = draft.diff.running;
    let as_wanted = |plugin: &PluginName| draft.diff.directives.mark(std::slice::from_ref(plugin), true, running);
    let missing: Vec<&PluginName> =
        used.iter().filter(|plugin| matches!(as_wanted(plugin), Mark::Missing | Mark::Differs)).collect();
    if missing.is_empty() {
        return;
    }
    let gone: Vec<&str> = missing.iter().filter(|p| !brought && !is_there(draft, p)).map(|p| p.as_str()).collect();
    if !gone.is_empty() {
        let what = format!(
            "{name}: rows use {}, which this node does not list and has no files of: it would not start again",
            gone.join(", ")
        );
        let hints = vec![
            Hint::do_("delete these rows, if nothing needs them"),
            Hint::do_("or install it: assign its bundle, or put its files there, and list it"),
        ];
        draft.block(BlockerCode::UsedWithoutFiles, what, Vec::new(), hints);
        return;
    }
    let missing: Vec<PluginName> = missing.into_iter().cloned().collect();
    draft.loaded.extend(missing.iter().map(|plugin| (plugin.clone(), None)));
    draft.add.extend(missing);
    let detail = "rows use it, and this node does not list it: it would not start again";
    draft.names_change(ChangeKind::Enable, name, detail);
}

/// Whether files of a plugin are there, by its directory or by a link of ours.
fn is_there(draft: &Draft<'_>, plugin: &PluginName) -> bool {
    let Some(root) = root_of(plugin) else { return false };
    match draft.facts.roots.get(&root) {
        Some(found) => found.kind != Kind::Absent,
        // Nobody looked there: our own record tells.
        None => draft.manifest().is_some_and(|m| m.bundles.values().any(|owned| owned.links.contains(&root))),
    }
}

fn root_of(plugin: &PluginName) -> Option<BundlePath> {
    BundlePath::parse(&format!("kong/plugins/{plugin}")).ok()
}

/// What is left of it on this node's disk, and what of that may not go.
fn leftovers(draft: &mut Draft<'_>, subject: &Subject<'_>, item: &Item, assignment: Option<&Assignment>) {
    if assignment.is_some_and(|assignment| assignment.files == Management::External) {
        return;
    }
    let mut left = Leftover::default();
    for (bundle, owned) in ours(draft, subject, item) {
        match kept_for(draft, &bundle, &owned) {
            None => drop(left.bundles.insert(bundle, owned.links)),
            Some(others) => {
                let scope = Scope::Plugin { cluster: draft.cluster.name.clone(), name: subject.name.clone() };
                let what = format!("{}: its files are those of {bundle}, which holds {others} too", subject.name);
                let hint = Hint::do_(format!("name {others} as absent as well, if all of {bundle} is to go"));
                let code = BlockerCode::FilesHeld;
                draft.plan.blockers.push(Blocker { code, scope, what, details: Vec::new(), hints: vec![hint] });
            }
        }
    }
    if let Some(assignment) = assignment {
        let roots = item.plugins.iter().filter_map(root_of);
        let foreign: Vec<BundlePath> = roots.filter(|root| is_foreign(draft, root)).collect();
        let foreign = without_shared(draft, &subject.name, foreign);
        if !foreign.is_empty() && obstacle::foreign(draft, &subject.name, assignment.adopt, &foreign) {
            left.adopts.extend(foreign);
        }
    }
    if !left.bundles.is_empty() || !left.adopts.is_empty() {
        draft.plan.leftovers.insert(subject.name.clone(), left);
    }
}

/// The bundles of ours that hold one of its plugins and are not wanted here.
fn ours(draft: &Draft<'_>, subject: &Subject<'_>, item: &Item) -> Vec<(BundleName, Owned)> {
    let owner = &draft.request.inventory.owner;
    let wanted = |name: &BundleName| {
        draft.diff.items.get(name.as_str()).is_some_and(|item| item.digest.is_some() && item.wanted != State::Absent)
    };
    let holds = |name: &BundleName, owned: &Owned| {
        name.as_str() == subject.name
            || item.plugins.iter().any(|plugin| owned.plugins.contains(plugin))
            || item.plugins.iter().filter_map(root_of).any(|root| owned.links.contains(&root))
    };
    let bundles = draft.manifest().into_iter().flat_map(|manifest| &manifest.bundles);
    let ours = bundles.filter(|(name, owned)| owned.owner == *owner && holds(name, owned) && !wanted(name));
    ours.map(|(name, owned)| (name.clone(), owned.clone())).collect()
}

/// The plugins of a bundle on disk that do not go with it, if there are any: nobody removes them, and no other bundle brings them.
fn kept_for(draft: &Draft<'_>, bundle: &BundleName, owned: &Owned) -> Option<String> {
    let other = |plugin: &&PluginName| {
        let mut ruled = draft.diff.items.iter().filter(|(_, item)| item.plugins.contains(plugin));
        !ruled.any(|(name, item)| {
            let goes = item.wanted == State::Absent && draft.removals.subjects.get(name).is_none_or(Subject::goes);
            goes || (item.digest.is_some() && name != bundle.as_str())
        })
    };
    let others: Vec<&str> = owned.plugins.iter().filter(other).map(PluginName::as_str).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

/// The roots that are not those of another node with the same Lua root; what is goes with that node, and is said.
fn without_shared(draft: &mut Draft<'_>, name: &str, roots: Vec<BundlePath>) -> Vec<BundlePath> {
    let owner = &draft.request.inventory.owner;
    let owns = |other: &NodeName, root: &BundlePath| {
        let manifest = draft.request.survey.seen(other).and_then(|facts| facts.manifest.as_ref()?.as_deref().ok());
        let mut bundles = manifest.into_iter().flat_map(|manifest| manifest.bundles.values());
        bundles.any(|owned| owned.owner == *owner && owned.links.contains(root))
    };
    let beside = draft.lookup.beside(&draft.node.name, draft.facts);
    let holder = |root: &BundlePath| beside.iter().find(|other| owns(other, root)).map(|other| (*other).clone());
    let (mut own, mut holders) = (Vec::new(), BTreeSet::new());
    for root in roots {
        match holder(&root) {
            Some(other) => drop(holders.insert(other)),
            None => own.push(root),
        }
    }
    for other in holders {
        let text =
            format!("{name}: what is left of it is that of {other}, which has the same Lua root, and goes there");
        draft.plan.remarks.push(("shared".to_owned(), text));
    }
    own
}

/// Whether something stands at a root that muster did not put there, or whether that cannot be told.
fn is_foreign(draft: &Draft<'_>, root: &BundlePath) -> bool {
    let found = draft.facts.roots.get(root);
    found.is_some_and(|found| found.kind != Kind::Absent) && draft.linked_by(root).is_none()
}
