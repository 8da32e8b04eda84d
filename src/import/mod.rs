//! Writing an inventory from nodes that run, so that the first plan from it is empty.
//!
//! Owns: what a Kong that was found is in the words of an inventory: cluster, bundles, assignments; and the text of all that,
//! with where each fact comes from. Must not know: how nodes are reached, or where files are kept. What would make the first
//! plan change something, or cannot be explained, is left out and said: nothing here decides that a node is wrong.
//!
//! What a node said is untrusted: names and paths were parsed at the door, content is never run, and every other text is
//! cleaned before it stands in the file.

mod assign;
mod cluster;
mod content;
mod node;
mod place;
mod target;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use cluster::Identity;
pub use place::{Place, Typed, place};
pub use target::{Hints, PathHint, Target};

use crate::inventory::Become;
use crate::name::{BundlePath, ClusterName, Digest, NodeName, Owner, PluginName};
use crate::survey::NodeFacts;

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It was seen.
    Found,
    /// It is recorded nowhere, and was taken to be so.
    Assumed,
    /// It could not be explained, or was left out.
    Open,
}

/// Something that is to be said of a node, one line, cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// How sure it is.
    pub weight: Weight,
    /// What.
    pub text: String,
}

impl Said {
    /// It was seen.
    pub fn found(text: impl Into<String>) -> Self {
        Self::new(Weight::Found, text)
    }

    /// It was taken to be so.
    pub fn assumed(text: impl Into<String>) -> Self {
        Self::new(Weight::Assumed, text)
    }

    /// It could not be explained.
    pub fn open(text: impl Into<String>) -> Self {
        Self::new(Weight::Open, text)
    }

    fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self { weight, text: crate::kong::printable(&text.into(), 400) }
    }
}

/// A node that was seen.
pub struct Subject<'a> {
    /// Its name in the inventory.
    pub name: NodeName,
    /// What was typed.
    pub target: &'a Target,
    /// Where Kong is on it.
    pub place: &'a Place,
    /// What the survey brought home.
    pub facts: &'a NodeFacts,
}

/// The bytes of files, by their digest.
pub type Contents = BTreeMap<Digest, Vec<u8>>;

/// What is not seen on nodes.
pub struct Options<'a> {
    /// Whose inventory it is to be, and where that is from.
    pub owner: (Owner, &'a str),
    /// What the cluster is to be called; with several, what their names begin with.
    pub cluster: Option<ClusterName>,
    /// How rights are got.
    pub becomes: Become,
    /// Where the directory of the inventory is in its repository: empty, or with a slash at its end.
    pub below: &'a str,
    /// What is left out, and why: found to make the first plan change something.
    pub leave: &'a BTreeMap<(NodeName, PluginName), String>,
    /// Lines for the head of the file: which command wrote it, when, and which hosts are missing.
    pub head: &'a [String],
}

/// An inventory, and the files that it names.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The text of `inventory.yaml`.
    pub text: String,
    /// The files of its bundles, below the directory of the inventory.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The clusters, with their nodes.
    pub clusters: BTreeMap<ClusterName, Vec<NodeName>>,
    /// The directories of its bundles, below that of the inventory.
    pub directories: BTreeSet<String>,
    /// What is to be said of each node beside what was said when it was found.
    pub said: BTreeMap<NodeName, Vec<Said>>,
    /// What is to be said of the whole.
    pub general: Vec<Said>,
}

/// The roots below its Lua root that matter on a node: of every custom plugin and library that is there, and of every plugin
/// that is listed.
pub fn roots(place: &Place) -> Vec<BundlePath> {
    let there = place.directories.keys().filter(|name| !node::comes_with_kong(name)).cloned();
    let names: BTreeSet<String> = there.chain(place.listed.iter().map(ToString::to_string)).collect();
    names.iter().filter_map(|name| BundlePath::parse(&format!("kong/plugins/{name}")).ok()).collect()
}

/// The files whose content is needed of this node: those of its custom plugins and libraries, with their digests.
pub fn wanted(place: &Place, facts: &NodeFacts) -> BTreeMap<BundlePath, Digest> {
    let mut wanted = BTreeMap::new();
    for root in node::own_roots(place, facts) {
        if let Ok(files) = node::files(&root, facts) {
            wanted.extend(files);
        }
    }
    wanted
}

/// Writes the inventory of these nodes, whose names are all different.
pub fn draft(nodes: &[Subject<'_>], contents: &Contents, options: &Options<'_>) -> Draft {
    let mut draft = Draft::default();
    let stances: BTreeMap<&NodeName, node::Stances> =
        nodes.iter().map(|subject| (&subject.name, node::stances(subject, options, &mut draft))).collect();
    let shelf = content::Shelf::of(nodes, &stances, contents, &mut draft);
    let groups = cluster::groups(nodes, options, &mut draft);
    let assigned = assign::assign(&groups, &stances, &shelf, &mut draft);
    for (directory, variant) in &assigned.directories {
        for (path, bytes) in shelf.files(variant) {
            draft.files.insert(format!("{directory}/{path}"), bytes);
        }
    }
    draft.clusters = groups
        .iter()
        .map(|group| (group.name.clone(), group.nodes.iter().map(|node| node.name.clone()).collect()))
        .collect();
    draft.directories = assigned.directories.keys().cloned().collect();
    draft.text = write::inventory(&groups, &assigned, options, &draft);
    draft
}

impl Draft {
    fn say(&mut self, node: &NodeName, said: Said) {
        let all = self.said.entry(node.clone()).or_default();
        if !all.contains(&said) {
            all.push(said);
        }
    }
}

#[cfg(test)]
mod tests;
