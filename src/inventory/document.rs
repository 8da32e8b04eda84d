//! The keys of the file as they are written: what the typed decoder fills and what the JSON Schema is made of.
//!
//! One struct per *entry* (seams.md 5, step 2): the file's own keys, the defaults, a source, a cluster's own keys, a node,
//! a plugin. A doc comment here is the description in the schema; `docs/inventory.md` says more.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Amount, Become, EnvName, GitRev, Host, LabelName, LabelValue, Length, Listen, Management, Reload, Selector,
    SshUser, State, Topology, Transport, TreePath, Unapply, VersionLabel,
};
use crate::name::{BundleName, ClusterName, Digest, NodeName, NodePath, Owner};

/// A value that is an entry of its own, and is read there; here it is only known to be allowed.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub(super) struct Elsewhere;

impl From<serde::de::IgnoredAny> for Elsewhere {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

/// The desired state of a fleet of Kong nodes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "inventory")]
pub(super) struct Document {
    /// The format of this file: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(super) version: u32,
    /// Written beside everything that is installed; what others own is never touched.
    pub(super) owner: Owner,
    /// Whether what this owner installed and what left the inventory is removed; else it is only shown.
    #[serde(default)]
    pub(super) prune: bool,
    /// How many releases of a bundle are kept on a node, counting the current one: 2 by default.
    pub(super) keep: Option<NonZeroU32>,
    /// What all clusters share.
    #[serde(default, rename = "defaults")]
    #[schemars(with = "Defaults")]
    pub(super) _defaults: Elsewhere,
    /// The content that can be assigned.
    #[serde(default, rename = "bundles")]
    #[schemars(with = "BTreeMap<BundleName, BundleShape>")]
    pub(super) _bundles: Elsewhere,
    /// The clusters with their machines and plugins.
    #[serde(default, rename = "clusters")]
    #[schemars(with = "BTreeMap<ClusterName, ClusterKeys>")]
    pub(super) _clusters: Elsewhere,
}

/// What all clusters share; a cluster and a node may say otherwise, key by key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// The login.
    pub(super) ssh: Option<SshKeys>,
    /// How nodes are reached: ssh, or local (the node is this machine).
    pub(super) transport: Option<Transport>,
    /// How the rights to change a node are got: none, or sudo (never asks).
    #[serde(rename = "become")]
    pub(super) becomes: Option<Become>,
    /// Where Kong is on the nodes.
    pub(super) kong: Option<KongKeys>,
}

/// The login; everything else is in the operator's own ssh configuration.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SshKeys {
    /// The user to log in as.
    pub(super) user: Option<SshUser>,
    /// The port.
    pub(super) port: Option<NonZeroU16>,
}

/// Where Kong and muster's own files are on a node; absolute paths.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KongKeys {
    /// kong.conf.
    pub(super) conf: Option<NodePath>,
    /// Kong's prefix.
    pub(super) prefix: Option<NodePath>,
    /// The directory below which kong/plugins/NAME is.
    pub(super) lua_root: Option<NodePath>,
    /// Where muster keeps releases, receipts and locks.
    pub(super) home: Option<NodePath>,
    /// The kong command.
    pub(super) cli: Option<NodePath>,
    /// How Kong is made to load what is there: auto, prepare, restart, unit, or { command: … }.
    pub(super) reload: Option<Reload>,
}

/// Where the bytes of a bundle are: dir (with at), or archive with sha256.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceKeys {
    /// A directory of this repository, from its top.
    pub(super) dir: Option<TreePath>,
    /// The tag or commit that the directory is taken from; without it the planned commit.
    pub(super) at: Option<GitRev>,
    /// A .tar.gz file of this repository, from its top.
    pub(super) archive: Option<TreePath>,
    /// The sha256 of the archive.
    pub(super) sha256: Option<Digest>,
}

/// A bundle: one source, or one per version.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only the JSON Schema is made of it")]
pub(super) enum BundleShape {
    /// Without versions; assigned by `present`.
    Single(SourceKeys),
    /// By version; quote the versions.
    Versions(BTreeMap<VersionLabel, SourceKeys>),
}

/// A cluster: the nodes that share one configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterKeys {
    /// How the nodes get their configuration: traditional, dbless or hybrid.
    pub(super) topology: Topology,
    /// The Admin API.
    pub(super) admin: Option<AdminKeys>,
    /// Files of this repository from which something else configures the cluster: decK state files, Kubernetes manifests.
    #[serde(default)]
    pub(super) declared_in: Vec<TreePath>,
    /// How a change is rolled out.
    pub(super) rollout: Option<RolloutKeys>,
    /// The login, where it differs from the defaults.
    pub(super) ssh: Option<SshKeys>,
    /// How the nodes are reached, where it differs from the defaults.
    pub(super) transport: Option<Transport>,
    /// How rights are got, where it differs from the defaults.
    #[serde(rename = "become")]
    pub(super) becomes: Option<Become>,
    /// Where Kong is, where it differs from the defaults.
    pub(super) kong: Option<KongKeys>,
    /// The machines: a list of names, or a map of names to keys. Names may hold ranges: eu-[1-40].
    #[serde(default, rename = "nodes")]
    #[schemars(with = "NodesShape")]
    pub(super) _nodes: Elsewhere,
    /// What is wanted: a version, present, staged, absent, or a map of keys, by the name of a bundle or plugin.
    #[serde(default, rename = "plugins")]
    #[schemars(with = "BTreeMap<String, PluginShape>")]
    pub(super) _plugins: Elsewhere,
}

/// The nodes of a cluster.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only the JSON Schema is made of it")]
pub(super) enum NodesShape {
    /// Names; a bare name is the ssh host.
    Names(Vec<String>),
    /// Names with keys.
    Keys(BTreeMap<String, Option<NodeKeys>>),
}

/// The Admin API of a cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminKeys {
    /// Where it listens, as seen from each node.
    pub(super) listen: Option<Listen>,
    /// Through which node the cluster is spoken to: any, or a node's name.
    pub(super) via: Option<NodeName>,
    /// Where the token is.
    pub(super) token: Option<TokenKeys>,
}

/// The Admin API of one node, where it differs from its cluster's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeAdminKeys {
    /// Where it listens, as seen from the node.
    pub(super) listen: Option<Listen>,
    /// Where the token is.
    pub(super) token: Option<TokenKeys>,
}

/// Where a secret is; the secret itself is never in the inventory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenKeys {
    /// The variable of the operator's environment that holds it.
    pub(super) env: Option<EnvName>,
    /// The file that holds it, below the operator's own directory of settings for muster.
    pub(super) file: Option<TreePath>,
}

/// How a change is rolled out over a cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutKeys {
    /// Clusters that must have converged before, and for how long.
    #[serde(default)]
    pub(super) after: BTreeMap<ClusterName, Length>,
    /// How many nodes are done at the end of each wave.
    pub(super) waves: Option<Vec<Amount>>,
    /// How many nodes are worked on at one time.
    pub(super) at_once: Option<NonZeroU32>,
    /// How many nodes may be not serving at one time.
    pub(super) max_out: Option<Amount>,
    /// How many nodes may fail before the run stops.
    pub(super) max_failed: Option<Amount>,
    /// How many nodes may be unreachable.
    pub(super) max_unreachable: Option<Amount>,
    /// How long a node must be stable before it counts as done.
    pub(super) soak: Option<Length>,
    /// How long ago the last reload of a node must be when it is reloaded: by default the soak, 10s at most.
    pub(super) reload_gap: Option<Length>,
    /// How many old generations of workers may still be leaving a node when it is reloaded.
    pub(super) max_draining: Option<u32>,
}

/// A machine.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeKeys {
    /// What ssh is given, by default the name.
    pub(super) host: Option<Host>,
    /// The login, where it differs from the cluster's.
    pub(super) ssh: Option<SshKeys>,
    /// How it is reached, where it differs from the cluster's.
    pub(super) transport: Option<Transport>,
    /// How rights are got, where it differs from the cluster's.
    #[serde(rename = "become")]
    pub(super) becomes: Option<Become>,
    /// For selectors and for people.
    #[serde(default)]
    pub(super) labels: BTreeMap<LabelName, LabelValue>,
    /// Why it is out: known, not touched, not waited for.
    pub(super) out: Option<String>,
    /// Where Kong is, where it differs from the cluster's.
    pub(super) kong: Option<KongKeys>,
    /// Its own Admin API, where it differs from the cluster's.
    pub(super) admin: Option<NodeAdminKeys>,
    /// Its status API; by default as its own settings say.
    pub(super) status: Option<Listen>,
    /// Its proxy port; by default as its own settings say.
    pub(super) proxy: Option<Listen>,
}

/// What is wanted of one bundle or plugin, in full.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginKeys {
    /// How far it is to be: present, staged or absent.
    #[serde(default)]
    pub(super) state: State,
    /// Which version of the bundle; quote it.
    pub(super) version: Option<VersionLabel>,
    /// Who writes the files: managed, or external.
    #[serde(default)]
    pub(super) files: Management,
    /// Who writes the plugins directive: managed, or external.
    #[serde(default)]
    pub(super) directive: Management,
    /// Whether other content already there may be replaced.
    #[serde(default)]
    pub(super) adopt: bool,
    /// What happens to the configuration rows of an absent plugin: delete, disable, or { disable: LENGTH }.
    pub(super) unapply: Option<Unapply>,
    /// On which nodes of the cluster: names, ranges, wildcards, labels, joined by commas; behind ! what is left out.
    pub(super) on: Option<Selector>,
}

/// What is wanted of one bundle or plugin.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only the JSON Schema is made of it")]
pub(super) enum PluginShape {
    /// A version (quoted), or present, staged, absent.
    Short(String),
    /// In full.
    Keys(PluginKeys),
}
