//! One node's part of a plan: what changes there, what stands in the way, and the one activation that does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::leaving::{self, Leftover};
use super::lookup::Lookup;
use super::removal::Removals;
use super::swap::Swap;
use super::{Blocker, BlockerCode, ChangeKind, Request, Scope, activation, notes, obstacle, shadow, trial, tried};
use crate::action::{Activate, Delete, Deliver, Rehearse, ReloadWay, Switch};
use crate::bundle::Bundle;
use crate::diff::{self, Directives, Item, Mark, NodeDiff, Source};
use crate::hint::Hint;
use crate::inventory::{Assignment, Cluster, Management, Node, State};
use crate::name::{BundleName, BundlePath, Digest, NodeName, PluginName, Shared};
use crate::survey::NodeFacts;
use crate::wire::Manifest;

/// A [`super::Change`] of one node. The diff is shared: an upgrade is the same text on every node.
pub(super) struct NodeChange {
    pub(super) kind: ChangeKind,
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) detail: String,
    pub(super) diff: Arc<Vec<String>>,
}

/// What is planned for one node.
#[derive(Default)]
pub(super) struct NodePlan {
    /// What changes.
    pub(super) changes: Vec<Shared<NodeChange>>,
    /// What stands in the way.
    pub(super) blockers: Vec<Blocker>,
    /// What travels.
    pub(super) delivers: Vec<Deliver>,
    /// The trial load of what travels, before the activation.
    pub(super) rehearse: Option<Box<Rehearse>>,
    /// The one activation.
    pub(super) activate: Option<Box<Activate>>,
    /// Our manifest after the activation.
    pub(super) manifest: Option<Manifest>,
    /// What is left on disk of what is to go, by subject.
    pub(super) leftovers: BTreeMap<String, Leftover>,
    /// What stands in the way of deleting anything there.
    pub(super) undeletable: Vec<Blocker>,
    /// The files that go, behind the fence.
    pub(super) delete: Option<Box<Delete>>,
    /// Topic and text of what belongs to its changes.
    pub(super) notes: Vec<(String, String)>,
    /// Topic and text of what is to be known whether it changes or not.
    pub(super) remarks: Vec<(String, String)>,
}

impl NodePlan {
    /// Whether there is anything to do.
    pub(super) fn changes(&self) -> bool {
        !self.delivers.is_empty() || self.activate.is_some() || self.delete.is_some()
    }

    /// Whether a name leaves its directive.
    pub(super) fn removes(&self) -> bool {
        self.activate.as_ref().is_some_and(|activate| !activate.gone.is_empty())
    }

    /// Its changes in one line.
    pub(super) fn why(&self) -> String {
        let mut why = String::new();
        for change in &self.changes {
            let comma = if why.is_empty() { "" } else { ", " };
            for part in [comma, change.kind.verb(), " ", &change.name] {
                why.push_str(part);
            }
        }
        why
    }
}

/// What one node is to become, collected from its assignments.
pub(super) struct Draft<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) lookup: &'a Lookup<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    pub(super) facts: &'a NodeFacts,
    pub(super) diff: &'a NodeDiff,
    pub(super) removals: &'a Removals<'a>,
    /// Bundles whose links change.
    pub(super) switches: Vec<Shared<Switch>>,
    /// Names that go into the directive.
    pub(super) add: Vec<PluginName>,
    /// Names that leave the directive.
    pub(super) drop: BTreeSet<PluginName>,
    /// Something needs a reload although neither links nor directive change.
    pub(super) reload: bool,
    /// Plugins that have to be loaded afterwards, with their version as Kong reports it.
    pub(super) loaded: BTreeMap<PluginName, Option<String>>,
    /// Content that the workers run afterwards.
    pub(super) content: BTreeMap<BundleName, Digest>,
    /// Paths that more than one of its bundles owns, with these bundles.
    conflicts: BTreeMap<&'a BundlePath, Vec<&'a BundleName>>,
    pub(super) plan: NodePlan,
}

/// Plans a node that was seen.
pub(super) fn plan<'a>(
    request: &'a Request<'a>,
    lookup: &'a Lookup<'a>,
    cluster: &'a Cluster,
    node: &'a Node,
    diff: &'a NodeDiff,
    removals: &'a Removals<'a>,
) -> NodePlan {
    let Some(facts) = request.survey.seen(&node.name) else { return NodePlan::default() };
    let mut draft = Draft {
        request,
        lookup,
        cluster,
        node,
        facts,
        diff,
        removals,
        switches: Vec::new(),
        add: Vec::new(),
        drop: BTreeSet::new(),
        reload: false,
        loaded: BTreeMap::new(),
        content: BTreeMap::new(),
        conflicts: BTreeMap::new(),
        plan: NodePlan::default(),
    };
    if obstacle::doubt(&mut draft) {
        return draft.plan;
    }
    draft.plan.notes.extend(diff.settings.notes().map(|(topic, text)| (topic.to_owned(), text)));
    if let Some(back) = &removals.back {
        draft.keep_what_is_there();
        leaving::put_back(&mut draft, back);
        return draft.finish();
    }
    draft.find_conflicts();
    for assignment in cluster.assignments(node) {
        draft.assignment(assignment);
    }
    draft.orphans();
    draft.finish()
}

impl<'a> Draft<'a> {
    /// Which of two bundles is meant to have a path nobody can say: neither is touched.
    fn find_conflicts(&mut self) {
        let managed =
            |assignment: &&Assignment| assignment.files == Management::Managed && assignment.state != State::Absent;
        let mut owners: BTreeMap<&BundlePath, Vec<&BundleName>> = BTreeMap::new();
        for bundle in self.cluster.assignments(self.node).filter(managed).filter_map(|assigned| self.bundle(assigned)) {
            for root in &bundle.roots {
                owners.entry(root).or_default().push(&bundle.name);
            }
        }
        owners.retain(|_, bundles| bundles.len() > 1);
        self.conflicts = owners;
    }

    fn assignment(&mut self, assignment: &Assignment) {
        let name = assignment.subject.as_str();
        let Some(item) = self.diff.items.get(name) else { return };
        let selected = self.request.selection.plugin(name);
        if !selected && item.truths.is_drift() {
            self.plan.remarks.push(("not chosen".to_owned(), format!("{name} differs, and stays as it is")));
        }
        match assignment.state {
            State::Absent if selected => drop(leaving::plan(self, name, item, Some(assignment))),
            State::Absent => {}
            State::Staged => {
                let leaves = selected && leaving::plan(self, name, item, Some(assignment));
                // While workers run it, and its name does not go with this plan, its files stay as they are.
                let ready = match item.truths.loaded {
                    Mark::Absent => self.ready(assignment, item, selected),
                    Mark::Extra if leaves => self.ready(assignment, item, selected),
                    Mark::Unknown if selected && item.truths.files.is_drift() => {
                        obstacle::admin(self);
                        false
                    }
                    _ => false,
                };
                leaving::used(self, name, item, ready);
            }
            State::Present => {
                let ready = self.ready(assignment, item, selected);
                self.listed(assignment, item, ready);
            }
        }
    }

    /// Its files, so far as they may be touched. False where they are not as wanted, and will not be.
    fn ready(&mut self, assignment: &Assignment, item: &Shared<Item>, selected: bool) -> bool {
        let bundle = self.bundle(assignment);
        match bundle.filter(|_| assignment.files == Management::Managed) {
            _ if !selected => false,
            None => self.external(assignment.subject.as_str(), item, bundle),
            Some(bundle) => self.files(assignment, item, bundle),
        }
    }

    pub(super) fn bundle(&self, assignment: &Assignment) -> Option<&'a Bundle> {
        let name = assignment.subject.bundle()?;
        self.request.bundles.get(&(name.clone(), assignment.version.clone())).map(AsRef::as_ref)
    }

    /// Files that somebody else writes: they have to be there. False if they are not.
    fn external(&mut self, name: &str, item: &Item, bundle: Option<&Bundle>) -> bool {
        let (code, what, hint) = match item.truths.files {
            // A reload loads what is on disk: where that is not the version wanted, it would only fail its proof.
            Mark::AsWanted if item.truths.loaded == Mark::Differs && bundle.is_some() && !item.files.same() => (
                BlockerCode::ExternalMissing,
                format!("{name}: its files are external and not those of the version wanted ({})", item.files.words()),
                Hint::do_(
                    "let what writes them write that version and reload, or correct the version in the inventory",
                ),
            ),
            Mark::AsWanted => return true,
            Mark::Unknown => (
                BlockerCode::NodeFiles,
                format!("{name}: whether its files are there could not be read (kong/plugins/{name})"),
                Hint::do_("give the login the right to read them"),
            ),
            _ => (
                BlockerCode::ExternalMissing,
                format!("{name}: its files are external and are not there (kong/plugins/{name})"),
                Hint::do_(format!("install them on {} the way they are installed, then plan again", self.node.name)),
            ),
        };
        self.block(code, what, Vec::new(), vec![hint]);
        false
    }

    /// Files of a bundle. False if they cannot be brought in line.
    fn files(&mut self, assignment: &Assignment, item: &Shared<Item>, bundle: &'a Bundle) -> bool {
        if self.conflict(bundle) {
            return false;
        }
        let settled = [item.truths.files, item.truths.loaded] == [Mark::AsWanted, Mark::AsWanted];
        match item.truths.files {
            Mark::AsWanted => settled || !shadow::stands_before(self, bundle),
            Mark::Unknown => {
                let what = format!("{}: its files on the node could not be read", bundle.name);
                let details = item.files.files.keys().take(5).cloned().collect();
                let hint = Hint::do_("give the login the right to read them");
                self.block(BlockerCode::NodeFiles, what, details, vec![hint]);
                false
            }
            _ => self.switch(assignment, item, bundle),
        }
    }

    /// Adds a blocker and returns true if another bundle of this node has one of its paths.
    fn conflict(&mut self, bundle: &Bundle) -> bool {
        let found = bundle.roots.iter().find_map(|root| Some((root, self.conflicts.get(root)?)));
        let Some((root, owners)) = found else { return false };
        let owners: Vec<&str> = owners.iter().map(|owner| owner.as_str()).collect();
        let what = format!("{} both own {root}", owners.join(" and "));
        let name = bundle.name.to_string();
        let scope = Scope::Plugin { cluster: self.cluster.name.clone(), name };
        let hints = vec![Hint::do_("assign only one of them")];
        let code = BlockerCode::PathConflict;
        self.plan.blockers.push(Blocker { code, scope, what, details: Vec::new(), hints });
        true
    }

    fn switch(&mut self, assignment: &Assignment, item: &Shared<Item>, bundle: &'a Bundle) -> bool {
        let stopped = obstacle::files(self, assignment, item, bundle) || shadow::stands_before(self, bundle);
        if stopped || tried::does_not_load(self, bundle) {
            return false;
        }
        let owned = self.manifest().and_then(|manifest| manifest.bundles.get(&bundle.name));
        // What the link says, not the manifest: it is the link that is compared and switched.
        let from = self.facts.current.get(&bundle.name).cloned();
        let repair = from.as_ref() == Some(&bundle.digest)
            && self.facts.releases.get(&bundle.name).is_some_and(|releases| releases.contains(&bundle.digest));
        self.plan.delivers.push(Deliver { bundle: bundle.name.clone(), digest: bundle.digest.clone(), repair });
        if repair && item.files.edited() {
            let text =
                format!("{}, as it was edited, is kept in {}/attic and replaced", bundle.name, self.node.kong.home);
            self.plan.notes.push(("edited".to_owned(), text));
        }
        let before = from.as_ref().filter(|from| **from != bundle.digest).and_then(|from| self.request.known.get(from));
        if before.is_some_and(|before| super::files::is_edited(before, self.facts, self.node.kong.home.as_str())) {
            let text = format!(
                "{}, as it was edited, stays in {}/releases, and is no way back: the new content has none of the edits",
                bundle.name, self.node.kong.home
            );
            self.plan.notes.push(("edited".to_owned(), text));
        }
        let swap = Swap {
            to: bundle.digest.clone(),
            state: assignment.state,
            others_list: assignment.directive == Management::External,
            item: item.clone(),
            from,
            repair,
            unlinks: owned.into_iter().flat_map(|owned| owned.links.difference(&bundle.roots)).cloned().collect(),
            lua_root: self.node.kong.lua_root.clone(),
        };
        let (request, lookup) = (self.request, self.lookup);
        let make = |swap: &Swap| (swap.switch(bundle, request).into(), swap.change(bundle, request, lookup).into());
        let (switch, change) = lookup.swapped(&bundle.name, swap, make);
        self.switches.push(switch);
        self.plan.changes.push(change);
        true
    }

    /// A plugin that is to be in the directive and loaded.
    fn listed(&mut self, assignment: &Assignment, item: &Item, ready: bool) {
        let name = assignment.subject.as_str();
        let missing = item.truths.directive.is_drift();
        let external = assignment.files == Management::External;
        let there = if external { item.files.same() } else { ready || item.truths.files == Mark::AsWanted };
        if !ready {
            // It stays as it is: loaded, where it is listed, with whatever a reload finds on disk.
            if item.truths.directive == Mark::AsWanted {
                self.expect(assignment, item, there);
            }
            return;
        }
        if missing && assignment.directive == Management::External {
            let what = format!("{name}: its place in the directive is external, and it is not there");
            let hint = Hint::do_("let what writes the directive add it, then plan again");
            self.block(BlockerCode::ExternalMissing, what, Vec::new(), vec![hint]);
            return;
        }
        self.expect(assignment, item, there);
        let new = self.plan.changes.last().filter(|change| change.name == name).map(|change| change.kind);
        if missing {
            self.add.extend(item.plugins.iter().cloned());
            if new != Some(ChangeKind::Install) {
                let (kind, why) = self.enabling(item);
                self.change(kind, name, item, why.to_owned());
            }
        }
        if item.truths.loaded.is_drift() || self.settles(item) {
            self.reload = true;
            if new.is_none() && !missing {
                let why = item.remarks.first().cloned().unwrap_or_else(|| "listed, and not loaded".to_owned());
                self.change(ChangeKind::Reload, name, item, why);
            }
        }
    }

    /// Whether a reload was asked for where it cannot be told what the workers run.
    fn settles(&self, item: &Item) -> bool {
        let unclear = item.truths.loaded == Mark::Unknown && self.facts.admin.is_ok() && self.diff.running;
        self.request.selection.unproven && unclear
    }

    /// What it means that one of the places of the directive lacks the names.
    fn enabling(&self, item: &Item) -> (ChangeKind, &'static str) {
        let names = |source: &Source| source.directive().is_some_and(|d| item.plugins.iter().all(|name| d.names(name)));
        let Directives { file, env, running, .. } = &self.diff.directives;
        let runs = self.diff.running && names(env) && names(running);
        let environment = self.diff.directives.origin.is_environment();
        match (runs, names(file)) {
            (true, _) if environment => (
                ChangeKind::Record,
                "it runs, and the environment of the service does not name it: the next start would be without it",
            ),
            (false, true) if environment => {
                (ChangeKind::Enable, "the environment of the service names it, and it was never loaded")
            }
            (true, _) => {
                (ChangeKind::Record, "it runs, and kong.conf does not name it: the next start would be without it")
            }
            (false, true) => (ChangeKind::Enable, "kong.conf names it, and it was never loaded"),
            (false, false) => (ChangeKind::Enable, "into the directive"),
        }
    }

    /// Expects its plugins to be loaded afterwards; in which version is known only where `there` the files are as wanted.
    fn expect(&mut self, assignment: &Assignment, item: &Item, there: bool) {
        let bundle = self.bundle(assignment);
        for plugin in &item.plugins {
            let version = bundle.filter(|_| there).and_then(|bundle| bundle.plugins.get(plugin)?.version.clone());
            let version = version.map(|version| crate::kong::clean_plugin_version(&version).unwrap_or(version));
            self.loaded.insert(plugin.clone(), version);
        }
        if let Some(bundle) = bundle.filter(|_| there && assignment.files == Management::Managed) {
            self.content.insert(bundle.name.clone(), bundle.digest.clone());
        }
    }

    /// What is listed and on disk as wanted is loaded by any reload, whatever that reload is for.
    fn keep_what_is_there(&mut self) {
        for assignment in self.cluster.assignments(self.node).filter(|assignment| assignment.state == State::Present) {
            let Some(item) = self.diff.items.get(assignment.subject.as_str()) else { continue };
            if [item.truths.files, item.truths.directive] == [Mark::AsWanted, Mark::AsWanted] {
                self.expect(assignment, item, true);
            }
        }
    }

    /// Bundles whose new content the workers have to load.
    pub(super) fn loads(&self) -> impl Iterator<Item = &Switch> {
        let loaded = |switch: &&Switch| switch.plugins.iter().any(|plugin| self.loaded.contains_key(plugin));
        self.switches.iter().map(|switch| &**switch).filter(loaded)
    }

    /// Whether the running Kong has to be reloaded.
    pub(super) fn reloads(&self) -> bool {
        let names = |source: &Source| source.directive().is_some_and(|d| self.add.iter().all(|name| d.names(name)));
        let listed = self.add.is_empty() || (names(&self.diff.directives.env) && names(&self.diff.directives.running));
        self.diff.running && (self.reload || !listed || self.unloads() || self.loads().next().is_some())
    }

    /// Whether a name that leaves is in what the next reload reads, or in what runs.
    fn unloads(&self) -> bool {
        let loaded = diff::own_admin(self.facts).map(|admin| &admin.loaded);
        let Directives { env, running, .. } = &self.diff.directives;
        let named = |name: &PluginName| {
            [env, running].into_iter().filter_map(Source::directive).any(|directive| directive.names(name))
        };
        self.drop.iter().any(|name| named(name) || loaded.is_some_and(|loaded| loaded.contains_key(name)))
    }

    /// The bundle of ours, of whichever owner, that a root is linked into now.
    pub(super) fn linked_by(&self, root: &BundlePath) -> Option<(&'a BundleName, &'a crate::wire::Owned)> {
        let target = self.facts.roots.get(root)?.target.as_deref()?;
        let below = target.strip_prefix(self.node.kong.home.as_str())?.strip_prefix("/current/")?;
        let manifest = self.manifest()?;
        manifest.bundles.iter().find(|(name, owned)| {
            owned.links.contains(root) && below.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// What we installed and the inventory no longer has: always said, removed only where it is pruned.
    fn orphans(&mut self) {
        for bundle in self.diff.orphans.keys().filter(|bundle| self.request.selection.plugin(bundle.as_str())) {
            let left = format!("{bundle} was installed by us and left the inventory");
            self.plan.remarks.push(("orphan".to_owned(), left));
            if let Some(item) = self.diff.items.get(bundle.as_str()).filter(|_| self.request.inventory.prune) {
                leaving::plan(self, bundle.as_str(), item, None);
            }
        }
    }

    /// What an unfinished run staged goes before anything else is done, so that whatever is loaded now, it has to be loaded
    /// again (protocols.md A, "Dead-man's guard").
    fn undoes(&mut self) {
        if !self.facts.undoes {
            return;
        }
        let left = self.facts.guard.as_ref().map_or("an unfinished run", |guard| guard.step.as_str());
        let text = format!("step {left} was left unfinished, and its guard died: it is put back first");
        self.plan.notes.push(("unfinished".to_owned(), text));
        self.reload = true;
        if self.plan.changes.is_empty() && self.plan.blockers.is_empty() {
            let (name, detail) = ("settings".to_owned(), "an unfinished run staged others".to_owned());
            let (kind, from, to, diff) = (ChangeKind::Reload, None, None, Arc::default());
            self.plan.changes.push(NodeChange { kind, name, from, to, detail, diff }.into());
        }
    }

    /// A reload that failed, whoever asked for it, leaves a node not ready until one succeeds (measured.md 3).
    fn not_ready(&mut self) {
        if !diff::stuck(self.facts) {
            return;
        }
        let ways = [ReloadWay::Candidate, ReloadWay::Hup];
        let reloads = self.plan.activate.as_ref().is_some_and(|activate| ways.contains(&activate.way));
        let then = if reloads {
            "the reload of this plan has to bring 200 back"
        } else {
            "nothing here reloads it: mend what failed, and reload it (muster errors not-ready)"
        };
        let text = format!("/status/ready answers 503 since a reload that failed, and it serves as before; {then}");
        self.plan.remarks.push(("readiness".to_owned(), text));
    }

    fn finish(mut self) -> NodePlan {
        self.undoes();
        if !self.plan.leftovers.is_empty() {
            self.plan.undeletable = obstacle::deletion(&mut self);
        }
        let wanted = !self.switches.is_empty() || !self.add.is_empty() || !self.drop.is_empty() || self.reload;
        if wanted && !obstacle::node(&mut self) {
            if self.removals.back.is_none() {
                notes::of(&mut self);
            }
            activation::make(&mut self);
            self.plan.rehearse = trial::make(&mut self).map(Box::new);
            tried::not_here(&mut self);
        }
        if self.plan.activate.is_none() {
            self.plan.changes.clear();
            self.plan.delivers.clear();
        }
        self.not_ready();
        self.plan
    }

    /// Our manifest, if there is one that can be read.
    pub(super) fn manifest(&self) -> Option<&'a Shared<Manifest>> {
        self.facts.manifest.as_ref()?.as_ref().ok()
    }

    /// Adds a blocker on this node.
    pub(super) fn block(&mut self, code: BlockerCode, what: String, details: Vec<String>, hints: Vec<Hint>) {
        let scope = Scope::Node { node: self.node.name.clone() };
        self.plan.blockers.push(Blocker { code, scope, what, details, hints });
    }

    /// Adds a change of names only, of whatever version.
    pub(super) fn names_change(&mut self, kind: ChangeKind, name: &str, detail: &str) {
        let (name, detail) = (name.to_owned(), detail.to_owned());
        self.plan.changes.push(NodeChange { kind, name, from: None, to: None, detail, diff: Arc::default() }.into());
    }

    /// Adds a change without a difference to show.
    fn change(&mut self, kind: ChangeKind, name: &str, item: &Item, detail: String) {
        let (name, to, diff) = (name.to_owned(), item.version.clone(), Arc::default());
        self.plan.changes.push(NodeChange { kind, name, from: None, to, detail, diff }.into());
    }
}

/// Why a node is unknown, without its own name, so that what is true of many is the same text for each.
pub(super) fn nameless(why: &str, node: &NodeName) -> String {
    let why = why.strip_prefix(&format!("{node}: ")).unwrap_or(why);
    let of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let mut said = String::new();
    let mut rest = why;
    while let Some(at) = rest.find(node.as_str()) {
        let (before, behind) = (&rest[..at], &rest[at + node.as_str().len()..]);
        let inside = before.ends_with(of_name) || behind.starts_with(of_name);
        said.push_str(before);
        said.push_str(if inside { node.as_str() } else { "it" });
        rest = behind;
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_loses_the_name_of_its_own_node_only() {
        let node = NodeName::parse("eu-1").unwrap();
        for (why, said) in [
            ("eu-1: connection refused", "connection refused"),
            ("connecting to eu-1: connection refused", "connecting to it: connection refused"),
            ("asking eu-1, then eu-10 and xeu-1", "asking it, then eu-10 and xeu-1"),
            ("no route to host", "no route to host"),
        ] {
            assert_eq!(nameless(why, &node), said);
        }
    }
}
