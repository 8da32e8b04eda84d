//! What is worked out once for all nodes: who shares a directory with whom, and what differs between two contents.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Request;
use super::node::NodeChange;
use super::swap::Swap;
use crate::action::{Candidate, Switch};
use crate::bundle::Bundle;
use crate::diff;
use crate::kong::{Conf, EnvFile};
use crate::name::{BundleName, BundlePath, ClusterName, Digest, NodeName, NodePath, PluginName, Pool, Recall, Shared};
use crate::survey::{Kind, NodeFacts, PlaceFacts};
use crate::wire::Manifest;

/// A directory of one running machine: machine id, boot id, device and inode. Machines made from one image are alike in all
/// but the boot id.
type Place<'a> = (&'a str, &'a str, (u64, u64));

/// The difference between two contents, counted and in full.
pub(super) struct ContentDiff {
    /// `+41 -12 lines in 3 files`.
    pub(super) detail: String,
    /// Unified diffs.
    pub(super) lines: Arc<Vec<String>>,
}

/// What the next manifest of a node depends on: the one it has, the switches, kong.conf as edited.
pub(super) type NextManifest = (Option<Shared<Manifest>>, Shared<Vec<Switch>>, Option<(NodePath, Digest)>);

/// What the activations of a cluster have alike.
#[derive(Default)]
pub(super) struct Alike {
    /// All switches of a node.
    pub(super) switches: Recall<Vec<Shared<Switch>>, Shared<Vec<Switch>>>,
    pub(super) evidence: Pool<ClusterName, String>,
    pub(super) staged: Pool<ClusterName, Vec<(BundleName, Digest)>>,
    pub(super) rehearsed: Pool<ClusterName, Vec<Candidate>>,
    pub(super) links: Pool<ClusterName, BTreeMap<BundlePath, Option<String>>>,
    pub(super) directives: Pool<ClusterName, (String, String)>,
    pub(super) manifests: Recall<NextManifest, Shared<Vec<String>>>,
    /// What waits in a kong.conf, by what runs.
    pub(super) waiting: Recall<(Shared<EnvFile>, Shared<Conf>), Vec<String>>,
    pub(super) loaded: Pool<ClusterName, BTreeMap<PluginName, Option<String>>>,
    pub(super) content: Pool<ClusterName, BTreeMap<BundleName, Digest>>,
}

/// What is made of a bundle whose links change on a node.
type Swapped = (Shared<Switch>, Shared<NodeChange>);

/// See the module.
pub(super) struct Lookup<'a> {
    places: BTreeMap<Place<'a>, Vec<&'a NodeName>>,
    contents: RefCell<BTreeMap<(Digest, Digest), Arc<ContentDiff>>>,
    listings: RefCell<BTreeMap<Digest, Arc<Vec<String>>>>,
    swaps: RefCell<BTreeMap<BundleName, Recall<Swap, Swapped>>>,
    alike: RefCell<Alike>,
}

/// A directory of a node, as it is told from all others.
fn place(facts: &NodeFacts, id: Option<(u64, u64)>) -> Option<Place<'_>> {
    let host = &facts.host;
    Some((host.machine.as_str(), host.boot.as_str(), id?)).filter(|_| !host.boot.is_empty())
}

/// The prefix and the Lua root of a node.
fn places(facts: &NodeFacts) -> impl Iterator<Item = Place<'_>> {
    [facts.prefix.id, facts.lua_root.id].into_iter().filter_map(|id| place(facts, id))
}

impl<'a> Lookup<'a> {
    pub(super) fn new(request: &Request<'a>) -> Self {
        let mut found: BTreeMap<Place<'a>, Vec<&'a NodeName>> = BTreeMap::new();
        for node in request.inventory.nodes() {
            for place in request.survey.seen(&node.name).into_iter().flat_map(places) {
                found.entry(place).or_default().push(&node.name);
            }
        }
        Self {
            places: found,
            contents: RefCell::default(),
            listings: RefCell::default(),
            swaps: RefCell::default(),
            alike: RefCell::default(),
        }
    }

    /// Another node with the same prefix or the same Lua root.
    pub(super) fn neighbour(&self, node: &NodeName, facts: &NodeFacts) -> Option<&'a NodeName> {
        places(facts).filter_map(|place| self.places.get(&place)).flatten().find(|other| **other != node).copied()
    }

    /// The other nodes with the same Lua root.
    pub(super) fn beside(&self, node: &NodeName, facts: &NodeFacts) -> Vec<&'a NodeName> {
        let found = place(facts, facts.lua_root.id).and_then(|place| self.places.get(&place));
        found.into_iter().flatten().filter(|other| **other != node).copied().collect()
    }

    /// Whether nothing but a Lua root is shared with other nodes: each has a Kong, and a home of muster, of its own.
    pub(super) fn shares_only_lua(&self, request: &Request<'_>, node: &NodeName, facts: &NodeFacts) -> bool {
        let prefix = place(facts, facts.prefix.id).and_then(|place| self.places.get(&place));
        // One that is not there yet is another than one that is; of two that are not there nothing is known.
        let own_home = |other: &&NodeName| {
            let Some(theirs) = request.survey.seen(other).map(|facts| &facts.home) else { return false };
            let known = |home: &PlaceFacts| home.id.is_some() || home.kind == Kind::Absent;
            known(&facts.home) && known(theirs) && facts.home.id != theirs.id
        };
        prefix.is_some_and(|nodes| nodes.len() == 1) && self.beside(node, facts).iter().all(own_home)
    }

    /// The values that activations share.
    pub(super) fn alike(&self) -> std::cell::RefMut<'_, Alike> {
        self.alike.borrow_mut()
    }

    /// What is made of this; made once for all nodes that are alike.
    pub(super) fn swapped(&self, name: &BundleName, swap: Swap, make: impl FnOnce(&Swap) -> Swapped) -> Swapped {
        self.swaps.borrow_mut().entry(name.clone()).or_default().ask(swap, make)
    }

    /// The difference between two contents.
    pub(super) fn difference(&self, before: &Bundle, after: &Bundle) -> Arc<ContentDiff> {
        let key = (before.digest.clone(), after.digest.clone());
        let make = || {
            let (lines, added, removed, files) = diff::content_diff(before, after);
            let plural = if files == 1 { "" } else { "s" };
            let detail = format!("+{added} -{removed} lines in {files} file{plural}");
            Arc::new(ContentDiff { detail, lines: Arc::new(lines) })
        };
        self.contents.borrow_mut().entry(key).or_insert_with(make).clone()
    }

    /// The files of a bundle that is new on a node, one a line.
    pub(super) fn listing(&self, bundle: &Bundle) -> Arc<Vec<String>> {
        let line = |(path, content): (&BundlePath, &crate::bundle::Content)| {
            let size = match diff::line_counts(&[], content.bytes()) {
                Some((1, _)) => "1 line".to_owned(),
                Some((lines, _)) => format!("{lines} lines"),
                None => format!("{} bytes, not text", content.bytes().len()),
            };
            format!("{path}: new file, {size}")
        };
        let make = || Arc::new(bundle.files.iter().map(line).collect());
        self.listings.borrow_mut().entry(bundle.digest.clone()).or_insert_with(make).clone()
    }
}
