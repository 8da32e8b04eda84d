//! What the planner is given: values only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{BlockerCode, Selected, Tried};
use crate::bundle::Bundle;
use crate::diff::{Bundles, FleetDiff};
use crate::inventory::{Cluster, Inventory, Node, Selector};
use crate::name::{ClusterName, Digest, NodeName, PluginName, Revision};
use crate::survey::Survey;

/// Where the desired state comes from, for the basis of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the repository.
    pub repository: String,
    /// The commit.
    pub revision: Revision,
    /// The first line of its message.
    pub summary: String,
    /// The branch, if the commit is the tip of the one checked out.
    pub branch: Option<String>,
}

/// What is to be changed; it never narrows what is looked at.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Clusters, by name; none: all.
    pub clusters: Option<Selector>,
    /// Nodes; none: all.
    pub nodes: Option<Selector>,
    /// Plugins and bundles, as the inventory names them; none: all.
    pub plugins: Option<Selector>,
    /// Nodes of which it cannot be told what their workers run are reloaded too, as that settles it.
    pub unproven: bool,
}

/// What is to be planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Goal {
    /// Whatever brings the selection into line.
    #[default]
    InLine,
    /// Only this: plugins that were being removed are used again, and are to be listed again on every node of the cluster
    /// that no longer lists them.
    PutBack {
        /// The cluster.
        cluster: ClusterName,
        /// The plugins.
        plugins: BTreeSet<PluginName>,
    },
}

impl Selection {
    /// As it was written.
    pub(super) fn written(&self) -> Selected {
        let text = |selector: &Option<Selector>| selector.as_ref().map(ToString::to_string);
        Selected {
            clusters: text(&self.clusters),
            nodes: text(&self.nodes),
            plugins: text(&self.plugins),
            unproven: self.unproven,
        }
    }

    /// Whether this cluster may be changed.
    pub fn cluster(&self, cluster: &ClusterName) -> bool {
        self.clusters.as_ref().is_none_or(|selector| selector.matches_name(cluster.as_str()))
    }

    /// Whether this node may be changed.
    pub fn node(&self, node: &Node) -> bool {
        self.cluster(&node.cluster)
            && self.nodes.as_ref().is_none_or(|selector| selector.matches(&node.name, &node.labels, &node.cluster))
    }

    /// Whether this plugin or bundle may be changed.
    pub fn plugin(&self, name: &str) -> bool {
        self.plugins.as_ref().is_none_or(|selector| selector.matches_name(name))
    }
}

/// A blocker that the operator lifts: `--allow CODE[=NODE]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allow {
    /// Which.
    pub code: BlockerCode,
    /// On which node; none: wherever it stands.
    pub node: Option<NodeName>,
}

impl Allow {
    /// Reads `pending-settings=eu-7`, or says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (code, node) = text.split_once('=').map_or((text, None), |(code, node)| (code, Some(node)));
        let parsed = serde_json::from_value::<BlockerCode>(serde_json::Value::String(code.to_owned()));
        let code =
            parsed.map_err(|_| format!("there is no blocker `{code}`; a plan names the code behind each blocker"))?;
        if !code.can_be_allowed() {
            return Err(format!("`{}` cannot be lifted: what it stops would take a node down", code.word()));
        }
        let node = node.map(|node| NodeName::parse(node).map_err(|error| error.to_string())).transpose()?;
        Ok(Self { code, node })
    }
}

impl std::fmt::Display for Allow {
    /// As `--allow` takes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{}={node}", self.code.word()),
            None => f.write_str(&self.code.word()),
        }
    }
}

/// Everything that a plan is made from.
pub struct Request<'a> {
    /// The desired state.
    pub inventory: &'a Inventory,
    /// Its content.
    pub bundles: &'a Bundles,
    /// Other content that is known, by digest: to show what an upgrade changes.
    pub known: &'a BTreeMap<Digest, Arc<Bundle>>,
    /// What was seen.
    pub survey: &'a Survey,
    /// The two compared.
    pub diff: &'a FleetDiff,
    /// Where the desired state comes from.
    pub origin: Origin,
    /// What may be changed.
    pub selection: Selection,
    /// What the operator lifts.
    pub allow: Vec<Allow>,
    /// What is to be planned.
    pub goal: Goal,
    /// The trial loads that were made for it; none where nobody asked for any.
    pub trials: &'a [Tried],
}

impl Request<'_> {
    /// Whether the operator lifts this blocker on this node.
    pub fn allows(&self, code: BlockerCode, node: Option<&NodeName>) -> bool {
        let on = |allow: &Allow| allow.node.is_none() || allow.node.as_ref() == node;
        code.can_be_allowed() && self.allow.iter().any(|allow| allow.code == code && on(allow))
    }

    /// The clusters in the order in which they are worked on: those that others wait for come first.
    pub fn clusters(&self) -> Vec<&Cluster> {
        let mut order: Vec<&Cluster> = Vec::new();
        let mut left: Vec<&Cluster> = self.inventory.clusters.values().collect();
        while !left.is_empty() {
            let placed = |name: &ClusterName| order.iter().any(|cluster| cluster.name == *name);
            let ready = left.iter().position(|cluster| cluster.rollout.after.keys().all(placed));
            // The inventory has no cycles (it was checked); the first one is a way out all the same.
            order.push(left.remove(ready.unwrap_or(0)));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_no_node_down_can_be_allowed() {
        let allow = Allow::parse("pending-settings=eu-7").unwrap();
        assert_eq!((allow.code, allow.node.unwrap().as_str()), (BlockerCode::PendingSettings, "eu-7"));
        assert_eq!(Allow::parse("managed-conf").unwrap().node, None);
        for text in ["pending-settings=eu-7", "managed-conf"] {
            assert_eq!(Allow::parse(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("removal", "cannot be lifted"),
            ("reload-fails=eu-1", "cannot be lifted"),
            ("search-path", "cannot be lifted"),
            ("pending-setting", "there is no blocker"),
            ("", "there is no blocker"),
            ("managed-conf=a b", "not a valid node name"),
        ] {
            let error = Allow::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
