//! What was observed, per node, at one time: always partial, always a little old.
//!
//! Owns: the facts of a node as types, and reading them from the records of `scripts/survey.sh`. Must not know: what was
//! wanted, or how a node is reached. What a node said is untrusted: it was bounded and decoded by `wire`, and every text
//! here is free of control characters.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::hint::{Hint, Sealed};
use crate::kong::origin::Environment;
use crate::kong::service::Unit;
use crate::kong::{Conf, EnvFile};
use crate::name::{BundleName, BundlePath, Digest, NodeName, NodePath, PluginName, Shared};
use crate::wire::{Lease, Manifest, Receipt};

mod candidate;
mod collection;
mod decode;
mod detail;
mod discovery;
mod fields;
mod locks;
mod request;
mod service;
mod share;
mod standing;

pub use crate::kong::Topology as Role;
pub use candidate::{CandidateDecoder, CandidateFacts, CandidateRequest, Closer, From};
pub use collection::{COLLECT_MOST, CollectDecoder, CollectRequest, Collected};
pub use decode::SurveyDecoder;
pub use detail::{Detail, DetailDecoder, DetailRequest, HIDDEN, LogTail, Withheld};
pub use discovery::{DiscoverRequest, Discovery, DiscoveryDecoder, FoundKong, FoundRoot};
pub use fields::SurveyError;
pub use locks::{Guarded, Holder, Locks, in_force};
pub use request::SurveyRequest;
pub use share::Sharer;
pub use standing::{LastRun, Lock, RunEnd, Sight, Standing};

/// What was observed of a fleet.
#[derive(Clone, Default)]
pub struct Survey {
    /// When looking began; where some nodes were looked at again, when that began.
    pub at: Timestamp,
    /// One entry for every node that was looked at.
    pub nodes: BTreeMap<NodeName, NodeSurvey>,
    /// When the look at a node began, of those that were not looked at in the last one.
    pub earlier: BTreeMap<NodeName, Timestamp>,
    /// When a node that was not seen was last seen, of those that were, in the same session.
    pub last_seen: BTreeMap<NodeName, Timestamp>,
    /// What a closer look found, of nodes that were looked at closer since they were looked at.
    pub closer: BTreeMap<NodeName, Closer>,
}

/// What was observed of one node.
#[derive(Clone)]
pub enum NodeSurvey {
    /// It answered in full.
    Seen(std::sync::Arc<NodeFacts>),
    /// It could not be reached: nothing is known of it now.
    Unreachable(Trouble),
    /// It was reached and would not let us look (login, sudo, a garbled answer).
    Refused(Trouble),
}

/// Why a node was not seen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trouble {
    /// The class of the trouble, a stable word such as `timed-out`.
    pub code: String,
    /// What was being done and what was found, one line.
    pub text: String,
    /// What to do next.
    pub hints: Vec<Hint>,
}

/// The facts of one node.
pub struct NodeFacts {
    /// The machine.
    pub host: HostFacts,
    /// The configuration file of Kong.
    pub conf: PlaceFacts,
    /// Kong's prefix directory.
    pub prefix: PlaceFacts,
    /// The Lua root: the directory that plugin files are installed under.
    pub lua_root: PlaceFacts,
    /// muster's own directory on the node.
    pub home: PlaceFacts,
    /// kong.conf as it stands, if it could be read.
    pub conf_file: Option<Sealed<Shared<Conf>>>,
    /// `PREFIX/.kong_env`: what the next HUP reads. As it stands; with [`NodeFacts::undoes`], as it will be.
    pub env_file: Option<Sealed<Shared<EnvFile>>>,
    /// Who may read `.kong_env`; `None` where that could not be seen.
    pub env_rights: Option<Rights>,
    /// What starts Kong: its unit, where systemd has one.
    pub service: ServiceFacts,
    /// What the kong.conf says of itself: a "managed by" line of a configuration manager, cleaned and shortened.
    pub conf_managed: Option<String>,
    /// The running Kong, if it runs.
    pub master: Option<MasterFacts>,
    /// The version of the installed `kong` command, where it was asked for (Kong not running or no Admin API).
    pub installed_version: Option<String>,
    /// Every root that was asked for, by its path below the Lua root.
    pub roots: BTreeMap<BundlePath, RootFacts>,
    /// The release directories under muster's home, by bundle.
    pub releases: Shared<BTreeMap<BundleName, BTreeSet<Digest>>>,
    /// Where the switchable links point.
    pub current: Shared<BTreeMap<BundleName, Digest>>,
    /// muster's manifest: `None` if there is none, `Some(Err)` if it cannot be read.
    pub manifest: Option<Result<Shared<Manifest>, String>>,
    /// The lease, likewise.
    pub lease: Option<Result<Lease, String>>,
    /// The newest receipts, oldest first, every open one, and the newest that names workers.
    pub receipts: Vec<Receipt>,
    /// A guard that is still there.
    pub guard: Option<GuardFacts>,
    /// The guard died before it had put back what an unfinished run had staged: whoever changes the node next does that
    /// first, and `env_file` is what it brings back.
    pub undoes: bool,
    /// Where no master was found: workers of nginx that serve, and whether they hold files or sockets below the prefix
    /// (`false`: that cannot be seen, and they have no master at all).
    pub orphans: BTreeMap<Process, bool>,
    /// Rocks that LuaRocks says own files of ours: in the tree of the Lua root, and in the system's.
    pub rocks: Vec<Rock>,
    /// What stands for modules of ours in other directories of the search path that is set.
    pub doubles: Vec<Double>,
    /// The error log.
    pub log: LogFacts,
    /// The Admin API and the status API.
    pub admin: Result<AdminFacts, Trouble>,
    /// The status of `/status/ready` on the status API: `None` if there is no status API.
    pub ready: Option<u16>,
}

/// What starts Kong on a node, and so what its environment is at the next start (facts.md A3, A6).
#[derive(Default)]
pub enum ServiceFacts {
    /// No systemd runs there, or it knows no unit of Kong.
    #[default]
    None,
    /// There is a unit, and it is not what runs, or cannot be told; why.
    Beside(String),
    /// The unit that runs the master, or that would start it.
    Unit(Sealed<Shared<Unit>>),
}

/// The machine that a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// `/etc/machine-id`, or empty.
    pub machine: String,
    /// The boot id.
    pub boot: String,
    /// The node's clock, seconds since 1970.
    pub clock: i64,
    /// Seconds since boot.
    pub uptime: u64,
    /// The user that the script ran as, by the name that the login has for it, and its uid.
    pub user: (String, u32),
    /// Which of the optional tools are there: `flock`, `setsid`, `perl`, `curl`, `systemd-run`, `sha256sum`, ...
    pub tools: BTreeSet<String>,
    /// The process filesystem can be read for other users' processes (no `hidepid`).
    pub proc_visible: bool,
    /// logind ends what a login started when the login ends (`KillUserProcesses`); `None` where it does not say, or there is
    /// no logind.
    pub kills: Option<bool>,
}

/// Whose a file is and who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Permission bits.
    pub mode: u32,
    /// uid and gid.
    pub owner: (u32, u32),
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Nothing is there.
    #[default]
    Absent,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (for a [`PlaceFacts`], one that leads nowhere).
    Link,
    /// A device, socket, pipe.
    Other,
    /// We may not look.
    Denied,
}

/// A path that muster works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceFacts {
    /// The path that was asked about.
    pub path: NodePath,
    /// What is at the end of all links.
    pub kind: Kind,
    /// The path with all links resolved.
    pub real: Option<NodePath>,
    /// Device and inode at the end of all links.
    pub id: Option<(u64, u64)>,
    /// Permission bits.
    pub mode: u32,
    /// uid and gid.
    pub owner: (u32, u32),
    /// Number of hard links.
    pub links: u32,
    /// A mount point of its own.
    pub mount: bool,
    /// Our script could write here.
    pub writable: bool,
    /// Free space in KiB on its filesystem.
    pub free_kib: Option<u64>,
}

/// A process by the two numbers that tell it from all others of this boot: pid, and start time in clock ticks since boot.
pub type Process = (u32, u64);

/// The nginx master of a running Kong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterFacts {
    /// Its pid and start time.
    pub process: Process,
    /// The uid and gid that it runs as.
    pub owner: (u32, u32),
    /// Its soft limit of open files.
    pub nofile: u64,
    /// No HUP is blocked or pending: it is not working on a reload (protocols.md, "Proof").
    pub idle: bool,
    /// Its working directory.
    pub cwd: Option<NodePath>,
    /// Its workers that serve.
    pub workers: BTreeSet<Process>,
    /// Its workers that are shutting down.
    pub leaving: BTreeSet<Process>,
}

/// A file below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: Kind,
    /// The digest of a regular file, if it could be read.
    pub digest: Option<Digest>,
    /// Permission bits.
    pub mode: u32,
}

/// A root below the Lua root, looked at through all links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootFacts {
    /// What the path itself is, not following a link.
    pub kind: Kind,
    /// Where it points to, if it is a link.
    pub target: Option<std::sync::Arc<str>>,
    /// The files below it, by path relative to the root, cleaned of control characters; `""` for a root that is a file.
    /// Directories are not listed.
    pub files: Shared<BTreeMap<String, FileFacts>>,
    /// The newest change of any of them, and of the links on the way, seconds since 1970.
    pub newest: i64,
    /// There was more than the script is willing to hash; what is not in `files` is unknown.
    pub cut: bool,
    /// It is a mount point, or lies on another filesystem than the Lua root.
    pub mount: bool,
}

/// A guard on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardFacts {
    /// `armed`, `confirmed` or `fired`.
    pub state: String,
    /// The run and step it guards, as `RUN.STEP`.
    pub step: String,
    /// Seconds until it fires, negative when it should have.
    pub left: i64,
    /// Its process lives.
    pub alive: bool,
}

/// A rock of LuaRocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rock {
    /// Its name.
    pub name: String,
    /// Its version and revision.
    pub version: String,
    /// The files that it deployed below the roots, relative to the directory of its tree's Lua modules.
    pub files: BTreeSet<String>,
    /// The tree, such as `/usr/local`; its Lua modules are in `share/lua/5.1` below it. Empty where it is not told.
    pub tree: String,
}

impl Rock {
    /// The directory that its Lua modules are deployed in; `None` where its tree is not told.
    pub fn lua_root(&self) -> Option<String> {
        (!self.tree.is_empty()).then(|| format!("{}/share/lua/5.1", self.tree))
    }
}

/// The same module in another directory of the search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Double {
    /// Which of the path's entries finds it, from 1.
    pub place: usize,
    /// The root whose module it stands for.
    pub root: BundlePath,
    /// The file.
    pub path: String,
}

/// Where the error log is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFacts {
    /// The path, if it is a regular file.
    pub path: Option<NodePath>,
    /// Its inode.
    pub inode: u64,
    /// Its length in bytes: where a reload's own lines will begin.
    pub length: u64,
}

/// What the Admin API says, on one fresh connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminFacts {
    /// Kong's version ("3.9.1").
    pub version: String,
    /// `community` or `enterprise`, from 3.6.
    pub edition: Option<String>,
    /// The loaded plugins with their versions (normalised by Kong; `None` before 3.0).
    pub loaded: Shared<BTreeMap<PluginName, Option<String>>>,
    /// PRIORITY of the loaded plugins, where the Admin API tells it (from 3.0 on, facts.md C1).
    pub priorities: Shared<BTreeMap<PluginName, i64>>,
    /// Loaded names that are not plugin names as muster knows them.
    pub odd: Vec<String>,
    /// `configuration.plugins`: the directive that the workers run with.
    pub plugins: Shared<Vec<String>>,
    /// `configuration.lua_package_path` of the workers: holds the digests of staged releases.
    pub lua_package_path: Option<String>,
    /// `configuration.database`.
    pub database: Option<String>,
    /// `configuration.role`.
    pub role: Option<String>,
    /// `configuration.log_level`.
    pub log_level: Option<String>,
    /// `pids.workers`; `None` when it is missing, which is the mark of a reload that failed or is under way.
    pub workers: Option<BTreeSet<u32>>,
    /// `pids.master`.
    pub master: Option<u32>,
    /// Every row of `plugins` that the node shows, by plugin name as text (a row may name a plugin that is not loaded).
    pub rows: Shared<BTreeMap<String, Vec<PluginRow>>>,
    /// The rows could not all be read, and why.
    pub rows_trouble: Option<Trouble>,
    /// How it was asked.
    pub asked: Asked,
}

/// How an Admin API was asked (docs/decisions/0013).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Asked {
    /// Through the connection to the node.
    #[default]
    Connection,
    /// By this command on the node, as its server forbids forwarding.
    Command {
        /// `curl` or `perl`.
        tool: String,
    },
    /// From the operator's machine, at this address.
    Url {
        /// Without path and secrets.
        url: String,
    },
}

impl Asked {
    /// In words, where it is not the usual way.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Connection => None,
            Self::Command { tool } => Some(format!("asked by {tool} on the node (forwarding is forbidden)")),
            Self::Url { url } => Some(format!("asked from here at {url}")),
        }
    }
}

/// A row of Kong's `plugins` entity: one use of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PluginRow {
    /// Its id.
    pub id: String,
    /// Enabled. A disabled row still counts as use (facts.md B4).
    pub enabled: bool,
    /// What it applies to, in words: `global`, `service billing`, `route login`, `consumer x`.
    pub scope: String,
    /// The workspace, where there are several.
    pub workspace: Option<String>,
    /// Its tags; decK and the ingress controller know their rows by them.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it was last changed, seconds since 1970.
    #[serde(default)]
    pub updated_at: Option<i64>,
}

impl PluginRow {
    /// What it applies to, with its workspace: `service billing (workspace default), disabled`.
    pub fn words(&self) -> String {
        let space = self.workspace.as_ref().map(|space| format!(" (workspace {space})")).unwrap_or_default();
        let disabled = if self.enabled { "" } else { ", disabled" };
        format!("{}{space}{disabled}", self.scope)
    }
}

impl NodeFacts {
    /// The unit that starts Kong, if it is known.
    pub fn unit(&self) -> Option<&Unit> {
        match &self.service {
            ServiceFacts::Unit(unit) => Some(unit.open()),
            ServiceFacts::None | ServiceFacts::Beside(_) => None,
        }
    }

    /// The environment of the next start, as far as it can be read. A master that is the first process of its machine is that
    /// of a container, and its environment is lost (facts.md A3).
    pub fn environment(&self) -> Environment<'_> {
        match (&self.service, &self.master) {
            (ServiceFacts::Unit(unit), _) => Environment::Unit(unit.open()),
            (ServiceFacts::None, Some(master)) if master.process.0 == 1 => Environment::Container,
            (ServiceFacts::None | ServiceFacts::Beside(_), _) => Environment::None,
        }
    }
}

impl Trouble {
    /// The code where Kong does not run: no master was found, and nothing listens where its Admin API would.
    pub const NOT_RUNNING: &str = "not-running";
}

impl Survey {
    /// The facts of a node, if it was seen.
    pub fn seen(&self, node: &NodeName) -> Option<&NodeFacts> {
        match self.nodes.get(node)? {
            NodeSurvey::Seen(facts) => Some(facts),
            NodeSurvey::Unreachable(_) | NodeSurvey::Refused(_) => None,
        }
    }

    /// How many nodes were seen, unreachable, refused.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.nodes.values().fold((0, 0, 0), |(seen, unreachable, refused), node| match node {
            NodeSurvey::Seen(_) => (seen + 1, unreachable, refused),
            NodeSurvey::Unreachable(_) => (seen, unreachable + 1, refused),
            NodeSurvey::Refused(_) => (seen, unreachable, refused + 1),
        })
    }
}
