//! Machines: how a node is reached, and where Kong is on it.

use std::collections::BTreeMap;

use super::{Listen, Place, Reload, TokenSource};
use crate::name::{ClusterName, NodeName, NodePath, text_id};

fn label_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    match text {
        "cluster" => Err("`cluster=NAME` is what selectors call the cluster itself".to_owned()),
        _ if text.len() > 100 => Err("it is longer than 100 characters".to_owned()),
        _ if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed) => Ok(()),
        _ => Err("allowed are letters, digits and _ . - /, beginning with a letter or digit".to_owned()),
    }
}

fn label_value(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-/".contains(c);
    if !text.is_empty() && text.len() <= 200 && text.chars().all(allowed) {
        return Ok(());
    }
    Err("allowed are up to 200 letters, digits and _ . : - /".to_owned())
}

fn user(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-\\".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins && text.len() <= 100 && text.chars().all(allowed) {
        return Ok(());
    }
    Err("allowed are letters, digits and _ . @ - \\, beginning with a letter, a digit or _".to_owned())
}

text_id!(
    /// The name of a label of a node.
    LabelName, "name of a label", "^[A-Za-z0-9][A-Za-z0-9_./-]*$", label_name
);
text_id!(
    /// The value of a label of a node.
    LabelValue, "value of a label", "^[A-Za-z0-9_.:/-]+$", label_value
);
text_id!(
    /// The user that ssh logs in as; like a host, never something that ssh could take for an option.
    SshUser, "ssh user", r"^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*$", user
);
text_id!(
    /// What ssh is given as the host: an address, a name, or an alias of the operator's `~/.ssh/config`. Its first
    /// character is never `-` (ssh would take it for an option: crates.md 1), and it holds no white space.
    Host, "host name", "^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$", |text| NodeName::parse(text).map(|_| ()).map_err(|e| e.why)
);

impl Host {
    /// The host that a bare node name is: both have the same rules.
    pub fn of(node: &NodeName) -> Self {
        Self(crate::name::intern::text(node.as_str()))
    }
}

/// The labels of a node, for selectors and for people.
pub type Labels = BTreeMap<LabelName, LabelValue>;

/// How a node is reached.
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
pub enum Transport {
    /// The operator's own OpenSSH.
    #[default]
    Ssh,
    /// The node is this machine.
    Local,
}

/// How the rights to change a node are got. Nothing here ever asks for a password.
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
pub enum Become {
    /// The login has them.
    #[default]
    None,
    /// `sudo -n`.
    Sudo,
}

/// Where Kong and muster's own files are on a node; `kong:` of the defaults, the cluster and the node, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KongPaths {
    /// kong.conf, default `/etc/kong/kong.conf`.
    pub conf: NodePath,
    /// Kong's prefix, default `/usr/local/kong`.
    pub prefix: NodePath,
    /// The directory below which `kong/plugins/NAME` is, default `/usr/local/share/lua/5.1`.
    pub lua_root: NodePath,
    /// Where releases, receipts and locks are kept, default `/var/lib/muster`.
    pub home: NodePath,
    /// The `kong` command, default `/usr/local/bin/kong`.
    pub cli: NodePath,
}

/// A node's own Admin API; `admin:` of the cluster and the node, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeAdmin {
    /// Where it listens, as seen from the node; none: where the node's own settings say.
    pub listen: Option<Listen>,
    /// Where the token is, if one is needed and the operator's own settings name none.
    pub token: Option<TokenSource>,
}

/// One machine, everything resolved: defaults, then its cluster's, then its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique in the inventory.
    pub name: NodeName,
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// What ssh is given, by default the name.
    pub host: Host,
    /// The user to log in as; none: as the operator's ssh configuration says.
    pub user: Option<SshUser>,
    /// The port; none: as the operator's ssh configuration says.
    pub port: Option<u16>,
    /// How it is reached.
    pub transport: Transport,
    /// How the rights to change it are got.
    pub becomes: Become,
    /// Its labels.
    pub labels: Labels,
    /// Why it is out, if it is: known and shown, not touched, not waited for by fences.
    pub out: Option<String>,
    /// Where Kong is on it.
    pub kong: KongPaths,
    /// How Kong is made to load what is on it.
    pub reload: Reload,
    /// Its own Admin API.
    pub admin: NodeAdmin,
    /// Its status API; none: where its own settings say.
    pub status: Option<Listen>,
    /// Its proxy port; none: where its own settings say.
    pub proxy: Option<Listen>,
    /// Where it stands in the inventory; nodes of one range share a place.
    pub place: Place,
}
