//! Assignment: what is wanted on a cluster's nodes.

use std::fmt;

use super::{Node, Place, Selector, Unapply, VersionLabel};
use crate::name::{BundleName, PluginName};

/// What a key below `plugins:` names: a bundle where there is one of that name, else a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A bundle of this inventory; which plugins it holds is known once its content is read.
    Bundle(BundleName),
    /// A plugin whose content is not in this inventory.
    Plugin(PluginName),
}

impl Subject {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bundle(name) => name.as_str(),
            Self::Plugin(name) => name.as_str(),
        }
    }

    /// The bundle, if it is one.
    pub fn bundle(&self) -> Option<&BundleName> {
        match self {
            Self::Bundle(name) => Some(name),
            Self::Plugin(_) => None,
        }
    }

    /// The plugin, if it is one without a bundle.
    pub fn plugin(&self) -> Option<&PluginName> {
        match self {
            Self::Plugin(name) => Some(name),
            Self::Bundle(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a plugin is to be on its nodes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Installed, in the directive, loaded.
    #[default]
    Present,
    /// Its files are on the nodes; it is not in the directive.
    Staged,
    /// Neither loaded, nor in the directive, nor on disk.
    Absent,
}

/// Who writes a plugin's files, or its name in the directive.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Management {
    /// muster does.
    #[default]
    Managed,
    /// Someone else does (an image, Puppet); muster waits for it, orders around it and proves it.
    External,
}

/// What is wanted of one bundle or plugin on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The bundle or plugin.
    pub subject: Subject,
    /// How far it is to be.
    pub state: State,
    /// Which version, for a bundle that has versions; that version exists.
    pub version: Option<VersionLabel>,
    /// Who writes the files.
    pub files: Management,
    /// Who writes the directive.
    pub directive: Management,
    /// Whether other content already there may be replaced (it is kept and comes back on undo).
    pub adopt: bool,
    /// What happens to the rows of an absent plugin.
    pub unapply: Option<Unapply>,
    /// On which nodes of the cluster; none: on all.
    pub on: Option<Selector>,
    /// Where it stands in the inventory.
    pub place: Place,
}

impl Assignment {
    /// Whether it holds on this node, which is one of its cluster.
    pub fn applies_to(&self, node: &Node) -> bool {
        self.on.as_ref().is_none_or(|on| on.matches(&node.name, &node.labels, &node.cluster))
    }
}
