//! What a step does, as data and words. `perform` carries it out; the plan, the screens and the journal show it.
//!
//! Owns: the closed list of actions and everything that one needs to be carried out without further choices. Must not
//! know: how it is done, or why it was chosen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::{BundleName, BundlePath, Digest, NodeName, NodePath, Owner, PluginName, Shared};
use crate::survey::PluginRow;

/// The kind of thing a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Bring a bundle into its release directory on a node: harmless, nothing loads it yet.
    Deliver(Deliver),
    /// Load what was delivered with the node's own Kong, away from what runs: nothing live changes.
    Rehearse(Box<Rehearse>),
    /// Everything that changes on one node at once, with one reload, its proof and the way back.
    Activate(Box<Activate>),
    /// First step of a removal: take plugins out of use, once for a whole cluster, through the Admin API of a node.
    Unapply(Box<Unapply>),
    /// Between the second and the third step: wait until every node of the cluster has proven to be without the plugins.
    Fence(Fence),
    /// Third step of a removal: delete the files on one node.
    Delete(Box<Delete>),
}

impl Action {
    /// The verb, as in the column of a screen.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Deliver(_) => "deliver",
            Self::Rehearse(_) => "rehearse",
            Self::Activate(_) => "activate",
            Self::Unapply(_) => "un-apply",
            Self::Fence(_) => "fence",
            Self::Delete(_) => "delete",
        }
    }

    /// What it is about, behind the verb: the bundle, the directive, the plugins.
    pub fn about(&self) -> String {
        let names =
            |plugins: &BTreeSet<PluginName>| plugins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Deliver(deliver) => deliver.bundle.to_string(),
            Self::Rehearse(rehearse) => rehearse.about(),
            Self::Activate(activate) => activate.directive.1.clone(),
            Self::Unapply(unapply) => unapply.name.clone(),
            Self::Fence(fence) => names(&fence.plugins),
            Self::Delete(delete) => names(&delete.plugins),
        }
    }
}

/// Deliver one bundle to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// The bundle.
    pub bundle: BundleName,
    /// Its content.
    pub digest: Digest,
    /// The release directory is there already with other content than its name says: it is replaced, a copy is kept.
    pub repair: bool,
}

/// A bundle whose content is to be loaded, as a trial load has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The bundle.
    pub bundle: BundleName,
    /// Its version in the inventory, where it has one.
    pub version: Option<String>,
    /// Its content.
    pub digest: Digest,
    /// The plugins that it holds.
    pub plugins: BTreeSet<PluginName>,
    /// What stands before a file's path in the release, and what stands there in the repository instead; `None` where its
    /// files are not files of the repository.
    pub source: Option<(String, String)>,
}

impl Candidate {
    /// Its name, with its version where it has one.
    pub fn title(&self) -> String {
        self.version.as_ref().map_or_else(|| self.bundle.to_string(), |version| format!("{} {version}", self.bundle))
    }
}

/// A trial load: Kong's own command loads every plugin of the new directive from a scratch prefix, with the new releases at
/// the head of the search path (facts.md B10, measured.md 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearse {
    /// `plugins` as it will be.
    pub plugins: String,
    /// Plugins that the node did not list before.
    pub added: BTreeSet<PluginName>,
    /// What is loaded anew, in the order in which it stands in the search path.
    pub staged: Shared<Vec<Candidate>>,
    /// `lua_package_path` without releases; `None` where nothing sets it.
    pub search_path: Option<String>,
    /// Kong runs there, so that its `.kong_env` is rehearsed with; else kong.conf is.
    pub runs: bool,
}

impl Rehearse {
    /// What is loaded anew: bundles, else names.
    pub fn about(&self) -> String {
        let bundles: Vec<String> = self.staged.iter().map(Candidate::title).collect();
        let names = || self.added.iter().map(ToString::to_string).collect();
        let parts: Vec<String> = if bundles.is_empty() { names() } else { bundles };
        if parts.is_empty() { self.plugins.clone() } else { parts.join(", ") }
    }
}

/// One bundle's content changes on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The bundle.
    pub bundle: BundleName,
    /// Whose it is.
    pub owner: Owner,
    /// What the bundle's switchable link leads to now.
    pub from: Option<Digest>,
    /// What is to be there.
    pub to: Digest,
    /// The roots that have to be links into the release afterwards.
    pub links: BTreeSet<BundlePath>,
    /// Roots of the old content that the new one does not have: their links go.
    pub unlinks: BTreeSet<BundlePath>,
    /// Roots where something that is not ours stands in the way: it is moved to the attic, and said.
    pub adopts: BTreeSet<BundlePath>,
    /// The plugins that the bundle holds.
    pub plugins: BTreeSet<PluginName>,
}

/// How the running Kong is made to load what is wanted (protocols.md A).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReloadWay {
    /// `kong reload -c` of the node's own running settings plus our lines.
    Candidate,
    /// Our lines into `.kong_env`, then a HUP to the master.
    Hup,
    /// As Kong's documents have it: `kong prepare -c CONF`, then `kong reload -c CONF`.
    Prepare,
    /// `kong restart -c CONF`.
    Restart,
    /// The reload of its unit.
    Unit {
        /// The unit.
        unit: String,
    },
    /// A command of the operator's, which `/bin/sh` on the node is given.
    Command {
        /// The command, as the inventory has it.
        command: String,
    },
    /// No reload is needed: what runs is already right, only what the next start reads is not.
    Unneeded,
    /// Kong is not running: delivered and edited, never started.
    Stopped,
}

impl ReloadWay {
    /// Whether the running Kong is made to load something.
    pub const fn reloads(&self) -> bool {
        !matches!(self, Self::Unneeded | Self::Stopped)
    }

    /// Whether new content is staged while it is proven, so that nothing that lasts changes before. The others are asked for by
    /// an inventory: links and the directive are in place before Kong is told, and a power cut then leaves them there.
    pub const fn stages(&self) -> bool {
        matches!(self, Self::Candidate | Self::Hup)
    }

    /// Whether Kong may have another master afterwards, through no fault.
    pub const fn may_restart(&self) -> bool {
        matches!(self, Self::Restart | Self::Unit { .. } | Self::Command { .. })
    }
}

/// How Kong is started again, should a way that an inventory asks for leave it down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// By the CLI, with the settings that ran.
    #[default]
    Kong,
    /// By its unit.
    Unit(String),
}

/// What a reload of a node waits for (facts.md E5: old workers drain without limit, each with its memory).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// How many seconds ago its last reload must be.
    pub gap: u64,
    /// How many old generations of workers may still be leaving; none: however many.
    pub draining: Option<u32>,
}

/// What kind of file the directive is kept in on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "kebab-case")]
pub enum Keeping {
    /// kong.conf.
    #[default]
    Conf,
    /// A file that the unit names in `EnvironmentFile=`: read at every start, so that systemd need not be told.
    EnvironmentFile,
    /// A drop-in of ours, which systemd has to read. No restart comes of that.
    DropIn {
        /// The unit.
        unit: String,
        /// The assignment that systemd has to show for it then.
        shows: String,
    },
}

/// An edit of the file that the directive is kept in, by bytes, so that nothing else in it can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfEdit {
    /// What kind of file it is.
    #[serde(default)]
    pub keeping: Keeping,
    /// The file, with all links resolved.
    pub path: NodePath,
    /// Its digest before; anything else means that somebody wrote it since. `None`: it is not there yet.
    pub before: Option<Digest>,
    /// Where the edit begins.
    pub offset: u64,
    /// How many bytes go.
    pub remove: u64,
    /// What comes in their place.
    pub insert: String,
    /// The digest afterwards.
    pub after: Digest,
}

impl Activate {
    /// What its commit writes beside the manifest, in words: the links, and the file that the directive is kept in by its
    /// name, as it need not be kong.conf.
    pub fn kept(&self) -> String {
        let links = (!self.switches.is_empty()).then(|| "links".to_owned());
        let file = self.conf.as_ref().map(|edit| match edit.keeping {
            Keeping::Conf => "kong.conf".to_owned(),
            Keeping::EnvironmentFile | Keeping::DropIn { .. } => edit.path.to_string(),
        });
        let both: Vec<_> = links.into_iter().chain(file).collect();
        if both.is_empty() { "the manifest".to_owned() } else { both.join(", ") }
    }
}

/// What one node looked like to the planner: nothing that moves by itself (seams.md 1.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeBasis {
    /// kong.conf.
    pub conf: Option<Digest>,
    /// The files of Kong's unit, those too that were not there: what the next start reads before kong.conf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<(NodePath, Option<Digest>)>,
    /// `.kong_env`, its lines sorted (its order is random).
    pub env: Option<Digest>,
    /// One digest of the nginx files of the prefix, by which the way was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nginx: Option<Digest>,
    /// Every link of the bundles concerned, with its target; absent ones too.
    pub links: Shared<BTreeMap<BundlePath, Option<String>>>,
    /// The generation of our manifest.
    pub generation: u64,
    /// Pid and start time of the master; `None` when Kong is not running.
    pub master: Option<(u32, u64)>,
}

/// Everything that changes on one node in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activate {
    /// What the planner saw; the script compares before it touches anything.
    pub basis: NodeBasis,
    /// Bundles whose links change.
    pub switches: Shared<Vec<Switch>>,
    /// The directive before and after, as one value of `plugins`.
    pub directive: Shared<(String, String)>,
    /// How it is loaded.
    pub way: ReloadWay,
    /// Why so, one line: what a closer look at the node found. Empty where nothing is reloaded.
    #[serde(default)]
    pub evidence: Shared<String>,
    /// How Kong is started again, should the way leave it down.
    #[serde(default)]
    pub again: Again,
    /// What a reload waits for.
    #[serde(default)]
    pub pace: Pace,
    /// The releases that are staged at the head of `lua_package_path` while the reload is proven.
    pub staged: Shared<Vec<(BundleName, Digest)>>,
    /// `lua_package_path` of `.kong_env` as it was, and will be again; `None` if the file has no such line.
    pub search_path: Option<String>,
    /// The edit of kong.conf, or of where the directive is really kept, if it needs one.
    pub conf: Option<ConfEdit>,
    /// Plugins that have to be loaded, with the version as Kong will report it where it is known.
    pub loaded: Shared<BTreeMap<PluginName, Option<String>>>,
    /// Plugins that must not be loaded. Their rows are counted right before, through the node's own Admin API: with one row
    /// left, a reload without them would not be applied and a restart would take the node down (measured.md 5).
    pub gone: BTreeSet<PluginName>,
    /// Nodes of the same cluster through which the rows are counted where the node's own Kong is stopped.
    #[serde(default)]
    pub count_through: Vec<NodeName>,
    /// How many releases of each switched bundle are kept on the node, the new one counted; 0: all. Older ones are deleted at
    /// the end of the commit, unless old workers are leaving.
    #[serde(default = "Activate::keep")]
    pub keep: u32,
    /// Plugins whose rows in use have to fit the schema that the reload loads. They are asked about through the node's own Admin
    /// API once the proof holds and before anything is kept: an upgrade is tried on the first node that loads it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub validate: BTreeSet<PluginName>,
    /// Our manifest afterwards, as lines.
    pub manifest: Shared<Vec<String>>,
    /// The content that the workers run afterwards.
    pub content: Shared<BTreeMap<BundleName, Digest>>,
}

impl Activate {
    /// How many releases are kept where the inventory does not say: the new one, and the one to go back to.
    pub const fn keep() -> u32 {
        2
    }
}

/// What happens to the rows of a plugin that is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawal {
    /// Saved, then deleted.
    Delete,
    /// Disabled. A disabled row is in use all the same (facts.md B4), so that the removal goes no further.
    Disable,
}

/// Take a bundle's plugins, or one plugin, out of use in a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unapply {
    /// The bundle or plugin, as the inventory names it.
    pub name: String,
    /// What happens to the rows.
    pub how: Withdrawal,
    /// The rows that the plan showed, by plugin. A row of these plugins that is not among them stops the step before anything
    /// is changed; one that has gone meanwhile is no matter.
    pub rows: BTreeMap<PluginName, Vec<PluginRow>>,
    /// Nodes through whose Admin API it can be done, the first that answers serves.
    pub through: Vec<NodeName>,
}

impl Unapply {
    /// How many rows the plan showed.
    pub fn count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }
}

/// Every node of a cluster is without these plugins: no row, not in the directive, not loaded, and no worker is left that
/// had them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The plugins.
    pub plugins: BTreeSet<PluginName>,
    /// The nodes: all of the cluster but those that are `out`, whatever was selected.
    pub nodes: Vec<NodeName>,
    /// For how many seconds old workers are waited for. Kong sets no limit to them (measured.md 6).
    pub limit: u64,
}

/// Delete the files of bundles and plugins on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Bundles of ours that go, with the roots that are links of ours: links, releases, and what they leave empty.
    pub bundles: BTreeMap<BundleName, BTreeSet<BundlePath>>,
    /// Roots that are not ours and go all the same, as the inventory adopts them: into the attic.
    pub adopts: BTreeSet<BundlePath>,
    /// The plugins concerned. None of them may be in kong.conf or `.kong_env`, and no old worker may be left.
    pub plugins: BTreeSet<PluginName>,
    /// The generation of our manifest that the planner counts on.
    pub generation: u64,
    /// Our manifest afterwards, as lines.
    pub manifest: Shared<Vec<String>>,
}
