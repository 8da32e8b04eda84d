//! Why something was not planned.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::hint::Hint;
use crate::name::{ClusterName, NodeName, collapse};

/// The reasons, each a stable word that `--allow` and scripts can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockerCode {
    /// Files that are not ours, with other content, stand where a bundle has to go.
    ForeignFiles,
    /// A rock of LuaRocks owns files that a bundle would replace.
    OwnedByRock,
    /// Another owner's manifest entry has the name.
    OtherOwner,
    /// kong.conf says that a configuration manager writes it.
    ManagedConf,
    /// kong.conf cannot be written: read-only, hard links, not a file.
    ConfUnwritable,
    /// The prefix is another one than the inventory says, or is not there: which Kong is meant cannot be told.
    Prefix,
    /// No master is found where it should be, and the Admin API answers: whether Kong runs cannot be told.
    NoMaster,
    /// kong.conf sets `plugins` in a way that an edit cannot keep (`off` first, an empty name).
    DirectiveUnclear,
    /// `plugins` is set where muster cannot edit it, or cannot see it: the environment of the service, a container.
    DirectiveElsewhere,
    /// A file or directory of ours on the node cannot be read, or has an unknown format.
    NodeFiles,
    /// The version of Kong is one that muster only looks at.
    KongVersion,
    /// The Lua root is not on the node's search path.
    SearchPath,
    /// The Admin API did not answer, so that nothing could be proven.
    AdminUnreachable,
    /// Something that muster needs on the node is missing (a tool, space, rights).
    NodeLacks,
    /// Two bundles own the same path.
    PathConflict,
    /// A plugin to be removed that is wanted in another way too.
    Removal,
    /// Rows use a plugin that is to be removed, and nothing says that they may go, or not yet.
    RowsInUse,
    /// Which rows use a plugin that is to be removed is not known.
    RowsUnknown,
    /// Somebody else writes the rows of a plugin that is to be removed, and would put them back.
    RowsManaged,
    /// A file of this repository declares a plugin that is to be removed.
    Declared,
    /// Files of a plugin that is to be removed stay until every node of the cluster is without it.
    FilesHeld,
    /// Rows use a plugin that a node does not list and has no files of: it would not start again.
    UsedWithoutFiles,
    /// Any reload would also apply settings that wait in `.kong_env`.
    PendingSettings,
    /// Any reload would fail: the directive names a plugin whose files are gone, and this plan does not bring them.
    ReloadFails,
    /// The way to reload that the inventory asks for would break the node, or cannot be gone there.
    ReloadWay,
    /// The way to reload that the inventory asks for would also apply what waits, or may leave files to the wrong user.
    ReloadApplies,
    /// What is `external` is not there yet.
    ExternalMissing,
    /// The node holds an unfinished change of another run, or a guard.
    Unfinished,
    /// Two nodes of the inventory are one machine, prefix or Lua root.
    SharedNode,
    /// More nodes are unreachable than the rollout allows.
    TooManyUnreachable,
    /// The topology is one that this version does not change.
    Topology,
    /// A cluster named in `rollout.after` is not in line.
    AfterCluster,
    /// Another directory that comes before the Lua root on the search path has the same module.
    Shadowed,
    /// A trial load that was made for the plan failed: the content does not load, or not on that node.
    TrialLoad,
}

impl BlockerCode {
    /// The word that `--allow` takes.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether it holds a removal at one of its steps, while the steps before it go on.
    pub const fn holds(self) -> bool {
        matches!(self, Self::RowsInUse | Self::RowsUnknown | Self::RowsManaged | Self::Declared | Self::FilesHeld)
    }

    /// Whether `--allow CODE[=NODE]` lifts it. What would take a node down is never lifted.
    pub const fn can_be_allowed(self) -> bool {
        matches!(
            self,
            Self::ManagedConf
                | Self::PendingSettings
                | Self::ReloadApplies
                | Self::RowsManaged
                | Self::TooManyUnreachable
                | Self::AfterCluster
        )
    }
}

/// How much a blocker stops. The rest goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum Scope {
    /// The whole run.
    Run,
    /// A cluster.
    Cluster {
        /// Which.
        cluster: ClusterName,
    },
    /// One plugin or bundle on a cluster.
    Plugin {
        /// On which cluster.
        cluster: ClusterName,
        /// Which, as the inventory names it.
        name: String,
    },
    /// One node.
    Node {
        /// Which.
        node: NodeName,
    },
}

/// Something that was not planned, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The reason.
    pub code: BlockerCode,
    /// What it stops.
    pub scope: Scope,
    /// What was found, one line, without a full stop.
    pub what: String,
    /// More lines of what was found.
    pub details: Vec<String>,
    /// What to do.
    pub hints: Vec<Hint>,
}

impl Blocker {
    /// The bundle or plugin that it is about, with the rest of what was found.
    pub fn subject(&self) -> Option<(&str, &str)> {
        let named = self.what.split_once(": ").filter(|(name, _)| !name.contains(' '));
        match &self.scope {
            Scope::Plugin { name, .. } => {
                Some((name, named.filter(|(is, _)| is == name).map_or(&self.what, |named| named.1)))
            }
            Scope::Node { .. } => named,
            Scope::Run | Scope::Cluster { .. } => None,
        }
    }
}

/// Blockers that say the same of several nodes.
#[derive(Debug)]
pub struct Alike<'a> {
    /// One of them.
    pub first: &'a Blocker,
    /// What was found; without the name of the node where there are several.
    pub what: String,
    /// The nodes; empty where it is not about nodes.
    pub nodes: Vec<NodeName>,
    /// Other things change on these nodes: it is about one bundle or plugin only.
    pub partly: bool,
    /// The others have hints of their own, with other names in them.
    pub hints_differ: bool,
}

impl<'a> Alike<'a> {
    /// Groups blockers, in their order. What a node that is `changing` is blocked for is one bundle or plugin, as anything
    /// else would keep all of it from changing.
    pub fn group(blockers: impl Iterator<Item = &'a Blocker>, changing: &BTreeSet<&NodeName>) -> Vec<Self> {
        let mut groups: Vec<(Self, String)> = Vec::new();
        for blocker in blockers {
            let Scope::Node { node } = &blocker.scope else {
                groups.push((Self::alone(blocker), blocker.what.clone()));
                continue;
            };
            let partly = changing.contains(node);
            let what = super::node::nameless(&blocker.what, node);
            let same = |(group, nameless): &&mut (Self, String)| {
                let first = group.first;
                let alike =
                    (first.code, &first.details, nameless.as_str()) == (blocker.code, &blocker.details, what.as_str());
                !group.nodes.is_empty() && group.partly == partly && alike
            };
            match groups.iter_mut().find(same) {
                Some((group, _)) => {
                    group.nodes.push(node.clone());
                    group.hints_differ |= group.first.hints != blocker.hints;
                    group.what.clone_from(&what);
                }
                None => groups.push((Self { nodes: vec![node.clone()], partly, ..Self::alone(blocker) }, what)),
            }
        }
        groups.into_iter().map(|(group, _)| group).collect()
    }

    fn alone(first: &'a Blocker) -> Self {
        Self { first, what: first.what.clone(), nodes: Vec::new(), partly: false, hints_differ: false }
    }

    /// What is left alone, where, and why.
    pub fn sentence(&self) -> String {
        let nodes = collapse(&self.nodes);
        match (&self.first.scope, self.first.subject()) {
            (Scope::Plugin { cluster, .. }, Some((name, why))) => {
                let word = if self.first.code.holds() { "held" } else { "left alone" };
                format!("{name} is {word} on {cluster}: {why}")
            }
            (Scope::Node { .. }, Some((name, why))) if self.partly => format!("{name} is left alone on {nodes}: {why}"),
            (Scope::Node { .. }, _) if self.partly => format!("a plugin is left alone on {nodes}: {}", self.what),
            (Scope::Node { .. }, _) if self.nodes.len() > 1 => format!("{nodes} are left alone: {}", self.what),
            (Scope::Node { .. }, _) => format!("{nodes} is left alone: {}", self.what),
            (Scope::Run | Scope::Cluster { .. } | Scope::Plugin { .. }, _) => self.what.clone(),
        }
    }
}

impl super::Plan {
    /// The names of bundles and plugins that are left alone while the rest of their cluster or node goes on.
    pub fn left_alone(&self) -> BTreeSet<&str> {
        let changing: BTreeSet<&NodeName> = self.clusters.iter().flat_map(|cluster| &cluster.nodes.changing).collect();
        let partly = |blocker: &&Blocker| match &blocker.scope {
            Scope::Plugin { .. } => true,
            Scope::Node { node } => changing.contains(node),
            Scope::Run | Scope::Cluster { .. } => false,
        };
        let alone = self.blockers.iter().filter(|blocker| !blocker.code.holds()).filter(partly);
        alone.map(|blocker| blocker.subject().map_or("", |(name, _)| name)).collect()
    }

    /// The names of what is to go and is held at one of the steps of its removal.
    pub fn held(&self) -> BTreeSet<&str> {
        let held = self.blockers.iter().filter(|blocker| blocker.code.holds());
        held.map(|blocker| blocker.subject().map_or("", |(name, _)| name)).collect()
    }

    /// The unknown nodes of a cluster, those of which the same is known together, with that.
    pub fn unknown<'a>(&'a self, cluster: &'a super::ClusterPlan) -> Vec<(Vec<&'a NodeName>, Option<&'a str>)> {
        let mut left: BTreeSet<&NodeName> = cluster.nodes.unknown.iter().collect();
        let mut groups = Vec::new();
        for note in self.notes.iter().filter(|note| note.topic == "unknown") {
            let nodes: Vec<&NodeName> = note.nodes.iter().filter(|node| left.remove(*node)).collect();
            if !nodes.is_empty() {
                groups.push((nodes, Some(note.text.as_str())));
            }
        }
        if !left.is_empty() {
            groups.push((left.into_iter().collect(), None));
        }
        groups
    }

    /// The nodes of a cluster that are in line but for plugins that were not chosen.
    pub fn not_chosen(&self, cluster: &super::ClusterPlan) -> usize {
        let notes = self.notes.iter().filter(|note| note.topic == "not chosen");
        let differ: BTreeSet<&NodeName> = notes.flat_map(|note| &note.nodes).collect();
        cluster.nodes.in_line.iter().filter(|node| differ.contains(node)).count()
    }
}

impl super::ClusterPlan {
    /// What is to be said of a cluster in which nothing changes and nothing stands in the way; `None` where that is not so.
    pub fn at_rest(&self, not_chosen: usize) -> Option<&'static str> {
        let lists = &self.nodes;
        let busy = !(lists.changing.is_empty() && lists.blocked.is_empty() && lists.unknown.is_empty());
        match () {
            () if busy => None,
            () if lists.in_line.is_empty() && !lists.left_out.is_empty() => Some("not selected"),
            () if lists.in_line.is_empty() => Some("nothing to do: all of its nodes are out"),
            () if not_chosen > 0 => Some("nothing to do for the chosen plugins"),
            () if !lists.left_out.is_empty() => Some("nothing to do on the selected nodes"),
            () => Some("in line, nothing to do"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeName {
        NodeName::parse(&format!("eu-{number}")).unwrap()
    }

    fn of(number: u32, what: String) -> Blocker {
        let hints = vec![Hint::look(format!("the log of eu-{number}"))];
        let scope = Scope::Node { node: node(number) };
        Blocker { code: BlockerCode::AdminUnreachable, scope, what, details: Vec::new(), hints }
    }

    #[test]
    fn a_reason_with_each_nodes_own_name_in_it_is_one_reason() {
        let blockers: Vec<Blocker> = (1..=40).map(|n| of(n, format!("asking eu-{n} took 5 s"))).collect();
        let groups = Alike::group(blockers.iter(), &BTreeSet::new());
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].sentence(), "eu-[1-40] are left alone: asking it took 5 s");
        assert!(groups[0].hints_differ);
        let one = Alike::group(blockers[..1].iter(), &BTreeSet::new());
        assert_eq!(one[0].sentence(), "eu-1 is left alone: asking eu-1 took 5 s");
    }

    #[test]
    fn on_a_node_that_changes_only_a_plugin_is_left_alone() {
        let blockers = [1, 2].map(|n| of(n, "geo: its files are not there".to_owned()));
        let changing = node(1);
        let groups = Alike::group(blockers.iter(), &BTreeSet::from([&changing]));
        let said: Vec<String> = groups.iter().map(Alike::sentence).collect();
        assert_eq!(
            said,
            ["geo is left alone on eu-1: its files are not there", "eu-2 is left alone: geo: its files are not there",]
        );
    }
}
