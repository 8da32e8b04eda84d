//! One node's part of a plan: what changes there, what stands in the way, and the one activation that does it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Blocker, BlockerCode, Change, ChangeKind, Request, Scope, activation, obstacle};
use crate::action::{Activate, Deliver, Switch};
use crate::bundle::Bundle;
use crate::diff::{self, Item, Mark, NodeDiff};
use crate::hint::Hint;
use crate::inventory::{Assignment, Cluster, Management, Node, State};
use crate::name::{BundleName, BundlePath, Digest, PluginName};
use crate::survey::NodeFacts;

/// What is planned for one node.
#[derive(Default)]
pub(super) struct NodePlan {
    /// What changes, each with an empty list of nodes.
    pub(super) changes: Vec<Change>,
    /// What stands in the way.
    pub(super) blockers: Vec<Blocker>,
    /// What travels.
    pub(super) delivers: Vec<Deliver>,
    /// The one activation.
    pub(super) activate: Option<Box<Activate>>,
    /// Topic and text.
    pub(super) notes: Vec<(String, String)>,
}

impl NodePlan {
    /// Whether there is anything to do.
    pub(super) fn changes(&self) -> bool {
        !self.delivers.is_empty() || self.activate.is_some()
    }

    /// Its changes in one line.
    pub(super) fn why(&self) -> String {
        let words: Vec<String> =
            self.changes.iter().map(|change| format!("{} {}", change.kind.verb(), change.name)).collect();
        words.join(", ")
    }
}

/// What one node is to become, collected from its assignments.
pub(super) struct Draft<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    pub(super) facts: &'a NodeFacts,
    pub(super) diff: &'a NodeDiff,
    /// Bundles whose links change.
    pub(super) switches: Vec<Switch>,
    /// Names that go into the directive.
    pub(super) add: Vec<PluginName>,
    /// Something needs a reload although neither links nor directive change.
    pub(super) reload: bool,
    /// Plugins that have to be loaded afterwards, with their version as Kong reports it.
    pub(super) loaded: BTreeMap<PluginName, Option<String>>,
    /// Content that the workers run afterwards.
    pub(super) content: BTreeMap<BundleName, Digest>,
    /// The paths that its bundles own, for links and conflicts.
    pub(super) roots: BTreeMap<BundlePath, BundleName>,
    pub(super) plan: NodePlan,
}

/// Plans a node that was seen.
pub(super) fn plan(request: &Request<'_>, cluster: &Cluster, node: &Node, diff: &NodeDiff) -> NodePlan {
    let Some(facts) = request.survey.seen(&node.name) else { return NodePlan::default() };
    let mut draft = Draft {
        request,
        cluster,
        node,
        facts,
        diff,
        switches: Vec::new(),
        add: Vec::new(),
        reload: false,
        loaded: BTreeMap::new(),
        content: BTreeMap::new(),
        roots: BTreeMap::new(),
        plan: NodePlan::default(),
    };
    for assignment in cluster.assignments(node) {
        draft.assignment(assignment);
    }
    draft.orphans();
    draft.finish()
}

impl<'a> Draft<'a> {
    fn assignment(&mut self, assignment: &Assignment) {
        let name = assignment.subject.as_str();
        let Some(item) = self.diff.items.get(name) else { return };
        let bundle = self.bundle(assignment);
        let selected = self.request.selection.plugin(name);
        match assignment.state {
            State::Absent => self.absent(name, item, selected),
            State::Present | State::Staged => {
                let external = assignment.files == Management::External || bundle.is_none();
                let files =
                    if external { self.external(name, item) } else { self.files(assignment, item, bundle, selected) };
                if assignment.state == State::Present {
                    self.listed(assignment, item, bundle, files && selected);
                } else {
                    self.staged(name, item);
                }
            }
        }
    }

    fn bundle(&self, assignment: &Assignment) -> Option<&'a Bundle> {
        let name = assignment.subject.bundle()?;
        self.request.bundles.get(&(name.clone(), assignment.version.clone())).map(AsRef::as_ref)
    }

    /// Files that somebody else writes: they have to be there. False if they are not.
    fn external(&mut self, name: &str, item: &Item) -> bool {
        if matches!(item.truths.files, Mark::AsWanted) {
            return true;
        }
        let what = format!("{name}: its files are external and are not there (kong/plugins/{name})");
        let hint = Hint::do_(format!("install them on {} the way they are installed, then plan again", self.node.name));
        self.block(BlockerCode::ExternalMissing, what, Vec::new(), vec![hint]);
        false
    }

    /// Files of a bundle. False if they cannot be brought in line.
    fn files(&mut self, assignment: &Assignment, item: &Item, bundle: Option<&'a Bundle>, selected: bool) -> bool {
        let Some(bundle) = bundle else { return false };
        if !self.claim(bundle) {
            return false;
        }
        match item.truths.files {
            Mark::AsWanted => {
                self.content.insert(bundle.name.clone(), bundle.digest.clone());
                true
            }
            Mark::Unknown => {
                let what = format!("{}: its files on the node could not be read", bundle.name);
                let details = item.files.files.keys().take(5).cloned().collect();
                self.block(
                    BlockerCode::NodeFiles,
                    what,
                    details,
                    vec![Hint::do_("give the login the right to read them")],
                );
                false
            }
            _ if !selected => false,
            _ => self.switch(assignment, item, bundle),
        }
    }

    /// Notes the bundle's paths; false, with a blocker, if another bundle of this node has one of them.
    fn claim(&mut self, bundle: &Bundle) -> bool {
        for root in &bundle.roots {
            if let Some(other) = self.roots.get(root) {
                let what = format!("{} and {other} both own {root}", bundle.name);
                self.block(BlockerCode::PathConflict, what, Vec::new(), vec![Hint::do_("assign only one of them")]);
                return false;
            }
        }
        self.roots.extend(bundle.roots.iter().map(|root| (root.clone(), bundle.name.clone())));
        true
    }

    fn switch(&mut self, assignment: &Assignment, item: &Item, bundle: &'a Bundle) -> bool {
        if obstacle::files(self, assignment, item, bundle) {
            return false;
        }
        let owned = self.manifest().and_then(|manifest| manifest.bundles.get(&bundle.name));
        let from = owned.map(|owned| owned.digest.clone());
        let unlinks: BTreeSet<BundlePath> =
            owned.map(|owned| owned.links.difference(&bundle.roots).cloned().collect()).unwrap_or_default();
        let repair = from.as_ref() == Some(&bundle.digest)
            && self.facts.releases.get(&bundle.name).is_some_and(|releases| releases.contains(&bundle.digest));
        self.plan.delivers.push(Deliver { bundle: bundle.name.clone(), digest: bundle.digest.clone(), repair });
        let installs = from.is_none() && !item.files.any();
        self.switches.push(Switch {
            bundle: bundle.name.clone(),
            owner: self.request.inventory.owner.clone(),
            from: from.clone(),
            to: bundle.digest.clone(),
            links: bundle.roots.clone(),
            unlinks,
            adopts: item.files.foreign().cloned().collect(),
            plugins: bundle.plugins.keys().cloned().collect(),
        });
        self.content.insert(bundle.name.clone(), bundle.digest.clone());
        let kind = match assignment.state {
            State::Staged if installs => ChangeKind::Stage,
            _ if installs => ChangeKind::Install,
            _ if repair => ChangeKind::Repair,
            _ => ChangeKind::Upgrade,
        };
        self.content_change(kind, item, bundle, from.as_ref());
        true
    }

    fn content_change(&mut self, kind: ChangeKind, item: &Item, bundle: &Bundle, from: Option<&Digest>) {
        let before = from.and_then(|digest| self.request.known.get(digest)).map(AsRef::as_ref);
        let (detail, diff) = match (kind, before) {
            (ChangeKind::Upgrade, Some(before)) => {
                let (lines, added, removed, files) = diff::content_diff(before, bundle);
                let plural = if files == 1 { "" } else { "s" };
                (format!("+{added} -{removed} lines in {files} file{plural}"), lines)
            }
            (ChangeKind::Upgrade | ChangeKind::Repair, _) => {
                let lines = item.files.files.iter().map(|(path, drift)| format!("{path}: {}", drift_word(*drift)));
                (item.files.words(), lines.collect())
            }
            _ => (contents(bundle), bundle.files.keys().map(ToString::to_string).collect()),
        };
        let version = |bundle: &Bundle| bundle.plugins.values().find_map(|plugin| plugin.version.clone());
        let to = item.version.clone().or_else(|| version(bundle));
        let from = match kind {
            ChangeKind::Upgrade => before.and_then(version).or_else(|| item.loaded_version.clone()),
            _ => None,
        };
        self.change(kind, bundle.name.as_str(), from.filter(|from| Some(from) != to.as_ref()), to, detail, diff);
    }

    /// A plugin that is to be in the directive and loaded.
    fn listed(&mut self, assignment: &Assignment, item: &Item, bundle: Option<&Bundle>, ready: bool) {
        let name = assignment.subject.as_str();
        let installed = self.plan.changes.iter().any(|change| change.name == name);
        let missing = item.truths.directive.is_drift();
        if assignment.directive == Management::External && missing {
            let what = format!("{name}: its place in the directive is external, and it is not there");
            let hint = Hint::do_("let what writes the directive add it, then plan again");
            self.block(BlockerCode::ExternalMissing, what, Vec::new(), vec![hint]);
            return;
        }
        let stays = !missing && item.truths.directive == Mark::AsWanted;
        if ready || stays {
            self.expect(item, bundle);
        }
        if !ready {
            return;
        }
        if missing {
            self.add.extend(item.plugins.iter().cloned());
            if !installed {
                self.change(
                    ChangeKind::Enable,
                    name,
                    None,
                    item.version.clone(),
                    "its files are there".to_owned(),
                    Vec::new(),
                );
            }
        } else if item.truths.loaded.is_drift() && !installed {
            self.reload = true;
            let why = item.remarks.first().cloned().unwrap_or_else(|| "listed, and not loaded".to_owned());
            self.change(ChangeKind::Reload, name, None, item.version.clone(), why, Vec::new());
        }
    }

    fn expect(&mut self, item: &Item, bundle: Option<&Bundle>) {
        for plugin in &item.plugins {
            let version = bundle.and_then(|bundle| bundle.plugins.get(plugin)?.version.clone());
            let version = version.map(|version| crate::kong::clean_plugin_version(&version).unwrap_or(version));
            self.loaded.insert(plugin.clone(), version);
        }
    }

    /// A plugin whose files only are wanted: a name in the directive goes the way of a removal.
    fn staged(&mut self, name: &str, item: &Item) {
        if item.truths.directive == Mark::Extra {
            self.removal(name, "it is in the directive, and only its files are wanted");
        }
    }

    fn absent(&mut self, name: &str, item: &Item, selected: bool) {
        if selected && item.truths.is_drift() {
            self.removal(name, "it is to be absent, and it is there");
        }
    }

    fn removal(&mut self, name: &str, why: &str) {
        let what = format!("{name}: {why}; this version shows removals and does not carry them out");
        let scope = Scope::Plugin { cluster: self.cluster.name.clone(), name: name.to_owned() };
        let hints = vec![Hint::look("docs/safety.md")];
        self.plan.blockers.push(Blocker { code: BlockerCode::Removal, scope, what, details: Vec::new(), hints });
    }

    fn orphans(&mut self) {
        for bundle in self.diff.orphans.keys() {
            self.plan.notes.push(("orphan".to_owned(), format!("{bundle} was installed by us and left the inventory")));
        }
    }

    fn finish(mut self) -> NodePlan {
        let wanted = !self.switches.is_empty() || !self.add.is_empty() || self.reload;
        if wanted && !obstacle::node(&mut self) {
            activation::make(&mut self);
        }
        if self.plan.activate.is_none() {
            self.plan.changes.clear();
            self.plan.delivers.clear();
        }
        self.plan
    }

    /// Our manifest, if there is one that can be read.
    pub(super) fn manifest(&self) -> Option<&'a crate::wire::Manifest> {
        self.facts.manifest.as_ref()?.as_ref().ok()
    }

    /// Adds a blocker on this node.
    pub(super) fn block(&mut self, code: BlockerCode, what: String, details: Vec<String>, hints: Vec<Hint>) {
        let scope = Scope::Node { node: self.node.name.clone() };
        self.plan.blockers.push(Blocker { code, scope, what, details, hints });
    }

    /// Adds a change.
    pub(super) fn change(
        &mut self,
        kind: ChangeKind,
        name: &str,
        from: Option<String>,
        to: Option<String>,
        detail: String,
        diff: Vec<String>,
    ) {
        self.plan.changes.push(Change { kind, name: name.to_owned(), from, to, detail, diff, nodes: Vec::new() });
    }
}

fn drift_word(drift: diff::FileDrift) -> &'static str {
    match drift {
        diff::FileDrift::Missing => "missing on the node",
        diff::FileDrift::Differs => "differs on the node",
        diff::FileDrift::Extra => "on the node, not in the bundle",
        diff::FileDrift::Unknown => "could not be read",
    }
}

/// `handler, schema, 2 more files`.
fn contents(bundle: &Bundle) -> String {
    let has = |end: &str| bundle.files.keys().any(|path| path.as_str().ends_with(end));
    let mut words: Vec<String> = Vec::new();
    let mut named = 0;
    for part in ["handler", "schema", "api", "daos"] {
        let end = format!("/{part}.lua");
        if has(&end) {
            named += bundle.files.keys().filter(|path| path.as_str().ends_with(&end)).count();
            words.push(part.to_owned());
        }
    }
    match bundle.files.len().saturating_sub(named) {
        0 => {}
        1 => words.push("1 more file".to_owned()),
        more => words.push(format!("{more} more files")),
    }
    words.join(", ")
}
