//! What of a node is in order, what is not, and what mends it: one row of checks for each node, from one look at it.
//!
//! Owns: the checks and their words. Must not know: how it was looked, how it is printed, or what is to be changed. A doctor
//! changes nothing.

mod kong;
mod machine;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::hint::Hint;
use crate::inventory::{Become, Cluster, Node, Transport};
use crate::name::{ClusterName, NodeName};
use crate::survey::{NodeFacts, NodeSurvey, Trouble};

/// What is examined, in the order of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The way in.
    Ssh,
    /// The rights that scripts have there, through sudo or without.
    Sudo,
    /// Kong runs, in which version and role, and is ready.
    Kong,
    /// Where the `plugins` directive comes from.
    From,
    /// How it would be reloaded.
    Load,
    /// The Admin API, and what it lets see.
    Api,
    /// The node's clock against this machine's.
    Clock,
    /// Free space.
    Space,
    /// Owner and mode of `.kong_env`.
    Env,
    /// The master's limit of open files.
    Files,
    /// Whether logind ends the guard together with the login.
    Kill,
    /// Leases and guards.
    Lock,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Ssh,
        Self::Sudo,
        Self::Kong,
        Self::From,
        Self::Load,
        Self::Api,
        Self::Clock,
        Self::Space,
        Self::Env,
        Self::Files,
        Self::Kill,
        Self::Lock,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Sudo => "sudo",
            Self::Kong => "kong",
            Self::From => "from",
            Self::Load => "load",
            Self::Api => "api",
            Self::Clock => "clock",
            Self::Space => "space",
            Self::Env => "env",
            Self::Files => "files",
            Self::Kill => "kill",
            Self::Lock => "lock",
        }
    }
}

/// How a check came out, the worse the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In order.
    Well,
    /// It cannot be told.
    Unknown,
    /// It stands in the way, or will.
    Wrong,
}

impl Standing {
    /// The mark in a table.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Well => "=",
            Self::Unknown => "?",
            Self::Wrong => "!",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it came out.
    pub standing: Standing,
    /// What was found, one line; empty where nothing could be looked at.
    pub found: String,
    /// What mends it, one step each.
    pub fixes: Vec<Hint>,
}

impl Check {
    /// In order.
    pub fn well(found: impl Into<String>) -> Self {
        Self { standing: Standing::Well, found: found.into(), fixes: Vec::new() }
    }

    /// It cannot be told.
    pub fn unknown(found: impl Into<String>) -> Self {
        Self { standing: Standing::Unknown, found: found.into(), fixes: Vec::new() }
    }

    /// It stands in the way, and this mends it.
    pub fn wrong(found: impl Into<String>, fixes: Vec<Hint>) -> Self {
        Self { standing: Standing::Wrong, found: found.into(), fixes }
    }

    fn of(trouble: &Trouble) -> Self {
        Self::wrong(trouble.text.clone(), trouble.hints.clone())
    }
}

/// A node and what was found of it: a check for each topic, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The node.
    pub node: NodeName,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Whether it was seen.
    pub seen: bool,
    /// The checks.
    pub checks: Vec<(Topic, Check)>,
}

impl Examined {
    /// The worst of its checks.
    pub fn standing(&self) -> Standing {
        self.checks.iter().map(|(_, check)| check.standing).max().unwrap_or(Standing::Unknown)
    }
}

/// What a node is measured by.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// How much space is to be free, in KiB.
    pub least_kib: u64,
    /// Between which times of this machine the node told its own.
    pub asked: (Timestamp, Timestamp),
}

/// A node that was seen, with what its checks need.
struct Patient<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    facts: &'a NodeFacts,
    measure: Measure,
}

/// Examines a node.
pub fn examine(cluster: &Cluster, node: &Node, seen: &NodeSurvey, measure: Measure) -> Examined {
    let checks = match seen {
        NodeSurvey::Seen(facts) => Patient { cluster, node, facts, measure }.checks(),
        NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble) => not_seen(trouble),
    };
    let checks = Topic::ALL.into_iter().zip(checks).collect();
    let seen = matches!(seen, NodeSurvey::Seen(_));
    Examined { node: node.name.clone(), cluster: cluster.name.clone(), seen, checks }
}

/// Where nothing could be looked at, what stopped it is the one thing that is known.
fn not_seen(trouble: &Trouble) -> Vec<Check> {
    let mut checks = vec![Check::unknown(""); Topic::ALL.len()];
    match trouble.code.as_str() {
        // sudo was asked, so that the way in is open.
        "sudo-refused" => {
            checks[0] = Check::well("the login is accepted");
            checks[1] = Check::of(trouble);
        }
        "login-withheld" => checks[0] = Check { standing: Standing::Unknown, ..Check::of(trouble) },
        _ => checks[0] = Check::of(trouble),
    }
    checks
}

impl Patient<'_> {
    /// In the order of [`Topic::ALL`].
    fn checks(&self) -> Vec<Check> {
        vec![
            self.way_in(),
            self.rights(),
            self.kong(),
            self.directive(),
            self.reload(),
            self.admin(),
            self.clock(),
            self.space(),
            self.env(),
            self.open_files(),
            self.logout(),
            self.lease(),
        ]
    }

    fn way_in(&self) -> Check {
        let user = &self.facts.host.user.0;
        match self.node.transport {
            Transport::Local => Check::well("it is this machine"),
            Transport::Ssh => Check::well(format!("entered as {user}")),
        }
    }

    fn rights(&self) -> Check {
        let (user, uid) = &self.facts.host.user;
        let line = format!("in /etc/sudoers.d/muster on {}: {user} ALL=(root) NOPASSWD: /bin/sh", self.node.name);
        let fixes = || vec![Hint::do_("set `become: sudo` in the inventory"), Hint::do_(line.clone())];
        if let (Some(master), true) = (&self.facts.master, *uid != 0)
            && master.owner.0 != *uid
        {
            let found =
                format!("Kong's master belongs to uid {}, and scripts run as {user} (uid {uid})", master.owner.0);
            return Check::wrong(found, fixes());
        }
        let shut = [&self.facts.home, &self.facts.lua_root].into_iter().find(|place| !place.writable);
        if let Some(place) = shut {
            return Check::wrong(format!("{user} (uid {uid}) cannot write {}", place.path), fixes());
        }
        match self.node.becomes {
            Become::Sudo => Check::well(format!("sudo without a password, uid {uid}")),
            Become::None => Check::well(format!("{user} itself, uid {uid}")),
        }
    }

    /// The plugins of which the inventory says where they belong: where these differ is drift, and no trouble.
    fn ruled(&self) -> BTreeSet<String> {
        let named = self.cluster.plugins.keys().map(|subject| subject.as_str().to_owned());
        let manifest = self.facts.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok());
        let installed = manifest.into_iter().flat_map(|manifest| manifest.bundles.values());
        named.chain(installed.flat_map(|owned| owned.plugins.iter().map(ToString::to_string))).collect()
    }
}

#[cfg(test)]
mod tests;
