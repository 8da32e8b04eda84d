//! The third step of a removal: files go once every node of the cluster is without the plugin, and not before.

use std::collections::{BTreeMap, BTreeSet};

use super::fence;
use super::lookup::Lookup;
use super::node::NodePlan;
use super::removal::{Removals, Subject};
use super::{Blocker, BlockerCode, Request, Scope};
use crate::action::{Delete, Fence};
use crate::bundle::Bundle;
use crate::diff::FilesDiff;
use crate::hint::Hint;
use crate::inventory::Cluster;
use crate::name::{BundleName, BundlePath, NodeName, PluginName, collapse};
use crate::survey::NodeFacts;
use crate::wire::Manifest;

/// For how many seconds the old workers of a cluster are waited for before files go.
const LIMIT: u64 = 300;

/// What stands between the second and the third step, if anything is to be deleted.
pub(super) struct Clean {
    /// The join.
    pub(super) fence: Fence,
    /// What each subject leaves, for its line in the plan.
    pub(super) nodes: BTreeMap<String, Vec<NodeName>>,
}

/// What is looked at.
pub(super) struct Third<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) lookup: &'a Lookup<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) removals: &'a Removals<'a>,
}

impl Third<'_> {
    /// Gives each node the deletion that it is due. What has to wait says for what.
    pub(super) fn plan(&self, plans: &mut [(NodeName, NodePlan)]) -> Option<Clean> {
        let mut ready: BTreeSet<&str> = BTreeSet::new();
        for subject in self.removals.subjects.values().filter(|subject| subject.goes()) {
            if !plans.iter().any(|(_, made)| made.leftovers.contains_key(&subject.name)) {
                continue;
            }
            let held = self.held(subject, plans);
            if held.is_empty() {
                ready.insert(&subject.name);
                continue;
            }
            let blocker = self.blocker(subject, held);
            for (_, made) in plans.iter_mut().filter(|(_, made)| made.leftovers.contains_key(&subject.name)) {
                made.blockers.push(blocker.clone());
            }
        }
        let mut nodes: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
        for (name, made) in plans.iter_mut() {
            for subject in self.delete(name, made, &ready) {
                nodes.entry(subject).or_default().push(name.clone());
            }
        }
        let subjects = nodes.keys().filter_map(|name| self.removals.subjects.get(name));
        let plugins: BTreeSet<PluginName> = subjects.flat_map(|subject| subject.plugins.iter().cloned()).collect();
        let mut all: Vec<NodeName> = self.cluster.active().map(|node| node.name.clone()).collect();
        all.extend(nodes.values().flatten().flat_map(|node| self.elsewhere(node)).collect::<BTreeSet<_>>());
        let fence = Fence { plugins, nodes: all, limit: LIMIT };
        (!nodes.is_empty()).then_some(Clean { fence, nodes })
    }

    /// What holds the files of a subject, one line for each reason, with its nodes.
    fn held(&self, subject: &Subject<'_>, plans: &[(NodeName, NodePlan)]) -> Vec<String> {
        let mut reasons: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
        let made: BTreeMap<&NodeName, &NodePlan> = plans.iter().map(|(name, made)| (name, made)).collect();
        for node in self.cluster.active() {
            if let Some(why) = self.holds(subject, &node.name, made.get(&node.name).copied()) {
                reasons.entry(why).or_default().push(node.name.clone());
            }
        }
        for (node, _) in plans.iter().filter(|(_, made)| made.leftovers.contains_key(&subject.name)) {
            for other in self.elsewhere(node) {
                if let Some(why) = self.holds(subject, &other, None) {
                    reasons.entry(format!("{why}; it has the same Lua root as {node}")).or_default().push(other);
                }
            }
        }
        reasons.into_iter().map(|(why, nodes)| format!("{} ({why})", collapse(&nodes))).collect()
    }

    /// The nodes of other clusters with the same Lua root: its files are theirs too.
    fn elsewhere(&self, node: &NodeName) -> Vec<NodeName> {
        let beside = self.request.survey.seen(node).map(|facts| self.lookup.beside(node, facts)).unwrap_or_default();
        beside.into_iter().filter(|other| !self.cluster.nodes.contains_key(*other)).cloned().collect()
    }

    fn holds(&self, subject: &Subject<'_>, node: &NodeName, made: Option<&NodePlan>) -> Option<String> {
        if self.removals.left_out.contains(node) {
            return Some("not selected".to_owned());
        }
        let (Some(facts), Some(diff)) = (self.request.survey.seen(node), self.request.diff.node(node)) else {
            return Some("could not be seen".to_owned());
        };
        let gone = made.and_then(|made| made.activate.as_ref()).map(|activate| &activate.gone);
        // What leaves with this plan is proven by its own step; the rest has to be so already.
        let left = subject.plugins.iter().filter(|plugin| !gone.is_some_and(|gone| gone.contains(*plugin)));
        let left: BTreeSet<PluginName> = left.cloned().collect();
        if left.is_empty() && !subject.plugins.is_empty() {
            return None;
        }
        let mut why = fence::held(&left, facts, diff)?;
        if made.is_some_and(|made| made.blockers.iter().any(|blocker| matches!(blocker.scope, Scope::Node { .. }))) {
            why.push_str("; it is left alone, see below");
        } else if self
            .cluster
            .nodes
            .get(node)
            .is_some_and(|node| subject.assignment.is_some_and(|a| !a.applies_to(node)))
        {
            why.push_str("; `on` leaves it out");
        }
        Some(why)
    }

    fn blocker(&self, subject: &Subject<'_>, held: Vec<String>) -> Blocker {
        let name = subject.name.clone();
        let all = self.cluster.active().count();
        let by = if held.len() == 1 { held[0].clone() } else { format!("{} reasons", held.len()) };
        let until = if all == 1 { "the node is".to_owned() } else { format!("all {all} nodes are") };
        let what = format!("{name}: its files stay until {until} without it: held by {by}");
        let mut hints = Vec::new();
        if !self.removals.left_out.is_empty() {
            hints.push(Hint::type_(format!("muster --plan --cluster {}", self.cluster.name)));
        }
        hints.push(Hint::do_(
            "once that is put right, plan again; a node that is gone for good: write  out: \"why\"  for it",
        ));
        let scope = Scope::Plugin { cluster: self.cluster.name.clone(), name };
        let details = if held.len() == 1 { Vec::new() } else { held };
        Blocker { code: BlockerCode::FilesHeld, scope, what, details, hints }
    }

    /// The deletion of one node. Returns the subjects whose files go there.
    fn delete(&self, node: &NodeName, made: &mut NodePlan, ready: &BTreeSet<&str>) -> Vec<String> {
        let due: Vec<String> = made.leftovers.keys().filter(|name| ready.contains(name.as_str())).cloned().collect();
        let Some(facts) = self.request.survey.seen(node).filter(|_| !due.is_empty()) else { return Vec::new() };
        if !made.undeletable.is_empty() {
            let new: Vec<Blocker> = made.undeletable.drain(..).filter(|b| !made.blockers.contains(b)).collect();
            made.blockers.extend(new);
            return Vec::new();
        }
        let before = match &made.manifest {
            Some(manifest) => manifest.clone(),
            None => facts.manifest.as_ref().and_then(|manifest| manifest.as_deref().ok()).cloned().unwrap_or_default(),
        };
        let waits = |bundle: &BundleName| {
            made.leftovers
                .iter()
                .any(|(name, left)| !ready.contains(name.as_str()) && left.bundles.contains_key(bundle))
        };
        let left: Vec<_> = due.iter().filter_map(|name| made.leftovers.get(name)).collect();
        let bundles = left.iter().flat_map(|left| left.bundles.keys()).filter(|bundle| !waits(bundle));
        // Links that pass to another bundle in the same run are not in the manifest any more.
        let bundles: BTreeMap<BundleName, BTreeSet<BundlePath>> =
            bundles.filter_map(|bundle| Some((bundle.clone(), before.bundles.get(bundle)?.links.clone()))).collect();
        let adopts: BTreeSet<BundlePath> = left.iter().flat_map(|left| left.adopts.iter().cloned()).collect();
        if bundles.is_empty() && adopts.is_empty() {
            return Vec::new();
        }
        let edited: Vec<_> = bundles.keys().filter_map(|bundle| self.kept(node, facts, bundle, &before)).collect();
        made.notes.extend(edited.into_iter().map(|text| ("edited".to_owned(), text)));
        let plugins = due.iter().filter_map(|name| self.removals.subjects.get(name));
        let plugins = plugins.flat_map(|subject| subject.plugins.iter().cloned()).collect();
        let mut after = before.clone();
        after.bundles.retain(|name, _| !bundles.contains_key(name));
        after.generation += 1;
        let generation = before.generation;
        made.delete = Some(Box::new(Delete { bundles, adopts, plugins, generation, manifest: after.lines().into() }));
        due
    }

    /// What is said of a release that was edited on the node: it is not deleted. Only where its content is known can that be
    /// told beforehand.
    fn kept(&self, node: &NodeName, facts: &NodeFacts, bundle: &BundleName, manifest: &Manifest) -> Option<String> {
        let known = self.request.known.get(&manifest.bundles.get(bundle)?.digest)?;
        let home = &self.cluster.nodes.get(node)?.kong.home;
        let edited = is_edited(known, facts, home.as_str());
        edited.then(|| format!("{bundle}, as it was edited, is kept in {home}/attic and not deleted"))
    }
}

/// Whether what stands behind the links of a bundle of ours is not what it was installed as.
pub(super) fn is_edited(known: &Bundle, facts: &NodeFacts, home: &str) -> bool {
    let files = FilesDiff::of(known, facts, home);
    files.edited() && files.foreign().next().is_none()
}
