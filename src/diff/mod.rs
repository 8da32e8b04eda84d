//! Desired against observed: the four truths of every plugin on every node, and what differs.
//!
//! Owns: [`FleetDiff`] and the function that makes it. Must not know: what will be done about a difference, or in which
//! order. Deterministic: the same inventory, bundles and survey give the same diff.

mod comparison;
mod directive;
mod disagreement;
mod doubt;
mod facts;
mod files;
mod inspection;
mod loaded;
mod node;
mod origins;
mod readiness;
mod search_path;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::bundle::Bundle;
use crate::hint::Hint;
use crate::inventory::{Inventory, State, VersionLabel};
use crate::kong::Directive;
use crate::kong::origin::not_beaten;
use crate::name::{BundleName, ClusterName, Digest, NodeName, PluginName, Pool, Shared};
use crate::survey::{LastRun, NodeSurvey, Standing, Survey};

pub use crate::kong::origin::{Chain, Link};
pub use comparison::{ComparedLine, Comparison, Excerpt, Language, LineKind};
pub use directive::{Agreement, Directives, Source, conf_file};
pub use disagreement::{Disagreement, Settings, TimeBomb};
pub use doubt::{Doubt, stopped};
pub use facts::Fact;
pub use files::{FileDrift, FilesDiff, RootState};
pub use inspection::{CloserLook, FileState, Inspection, Planned, PluginFiles, ReceiptFacts, inspect};
pub use loaded::own_admin;
pub use origins::{Reaches, SettingOrigin, chains, settings};
pub use readiness::{not_ready, stuck};
pub use search_path::{Lack, Who, first_of_all, lacks, next_path};
pub use text::{content_diff, line_counts, unified};

/// The content of every bundle that the inventory assigns, by name and version.
pub type Bundles = BTreeMap<(BundleName, Option<VersionLabel>), Arc<Bundle>>;

/// One of the four truths, as a mark (screens.md, "The marks").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// `=` as the inventory wants.
    AsWanted,
    /// `-` wanted, not there.
    Missing,
    /// `~` there, but different.
    Differs,
    /// `+` there, and should not be.
    Extra,
    /// `.` rightly absent.
    Absent,
    /// `?` unknown; never shown as anything else.
    Unknown,
}

impl Mark {
    /// The character.
    pub const fn sign(self) -> char {
        match self {
            Self::AsWanted => '=',
            Self::Missing => '-',
            Self::Differs => '~',
            Self::Extra => '+',
            Self::Absent => '.',
            Self::Unknown => '?',
        }
    }

    /// Whether it calls for a change.
    pub const fn is_drift(self) -> bool {
        matches!(self, Self::Missing | Self::Differs | Self::Extra)
    }
}

/// The four truths of one plugin or bundle on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Truths {
    /// Files on disk.
    pub files: Mark,
    /// In the effective `plugins` directive.
    pub directive: Mark,
    /// Loaded by the workers.
    pub loaded: Mark,
    /// In use in the cluster: rows. `.` where nothing uses it; the inventory rules only that what is not wanted is not used.
    pub used: Mark,
}

impl Truths {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Self { files: Mark::Unknown, directive: Mark::Unknown, loaded: Mark::Unknown, used: Mark::Unknown };

    /// The four signs in their order.
    pub fn signs(self) -> String {
        [self.files, self.directive, self.loaded, self.used].iter().map(|mark| mark.sign()).collect()
    }

    /// Whether a file, the directive, the workers, or rows that should not be there call for a change.
    pub fn is_drift(self) -> bool {
        self.files.is_drift() || self.directive.is_drift() || self.loaded.is_drift() || self.used.is_drift()
    }

    /// Whether something of it is not known.
    pub fn is_unknown(self) -> bool {
        [self.files, self.directive, self.loaded].contains(&Mark::Unknown)
    }
}

/// One plugin or bundle on one node: wanted against observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The marks.
    pub truths: Truths,
    /// How far it is wanted.
    pub wanted: State,
    /// The version wanted, as the inventory calls it or as its handler says.
    pub version: Option<String>,
    /// The content wanted, for a bundle.
    pub digest: Option<Digest>,
    /// What our manifest says is there.
    pub installed: Option<Digest>,
    /// The version that the workers report, where they do.
    pub loaded_version: Option<String>,
    /// The PRIORITY that the workers report, where they do: the higher runs first.
    pub priority: Option<i64>,
    /// The plugins that it stands for.
    pub plugins: Vec<PluginName>,
    /// What differs on disk.
    #[serde(skip)]
    pub files: FilesDiff,
    /// How many rows use it, if that is known.
    pub rows: Option<usize>,
    /// What it is about, worst first, one short sentence each.
    pub remarks: Vec<String>,
}

/// The state of a node, always shown as mark and word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Condition {
    /// `=` everything is as wanted.
    InLine,
    /// `~` something differs.
    Drift,
    /// `*` the workers run something else than is on disk.
    ReloadOwed,
    /// `?` it could not be seen, or not well enough.
    Unknown {
        /// What was found.
        why: String,
        /// What to do.
        hints: Vec<Hint>,
    },
    /// `.` marked `out` in the inventory.
    Out {
        /// The reason given there.
        why: String,
    },
}

impl Condition {
    /// Mark and word.
    pub const fn words(&self) -> (char, &'static str) {
        match self {
            Self::InLine => ('=', "in line"),
            Self::Drift => ('~', "drift"),
            Self::ReloadOwed => ('*', "reload owed"),
            Self::Unknown { .. } => ('?', "unknown"),
            Self::Out { .. } => ('.', "out"),
        }
    }
}

/// One node: wanted against observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeDiff {
    /// Its state.
    pub condition: Condition,
    /// The version of Kong that runs, or is installed.
    pub kong: Option<String>,
    /// Kong runs, or it cannot be told that it does not.
    pub running: bool,
    /// What the inventory assigns to it, by name.
    pub items: Shared<Items>,
    /// What we installed and the inventory no longer has, by bundle.
    pub orphans: BTreeMap<BundleName, Digest>,
    /// The directive in its three places.
    pub directives: Directives,
    /// Settings whose places do not say the same, and what of that is a time bomb.
    #[serde(flatten)]
    pub settings: Shared<Settings>,
    /// Settings that were edited in kong.conf and that nobody has loaded, one line each (`log_level (notice > info)`; of those
    /// that are not to be read out loud the name only). A reload by muster leaves them waiting (protocols.md A).
    pub waiting: Shared<Vec<String>>,
    /// What there is to say, worst first, one line each.
    pub remarks: Shared<Vec<String>>,
    /// When it was looked at, its role, who holds it, its last run.
    #[serde(flatten)]
    pub standing: Standing,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterDiff {
    /// `traditional`, `dbless`, `hybrid`.
    pub topology: String,
    /// The names of plugins and bundles that any of its nodes is assigned, in order: the columns of the matrix.
    pub columns: Vec<String>,
    /// Its nodes.
    pub nodes: BTreeMap<NodeName, NodeDiff>,
}

/// The whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FleetDiff {
    /// The clusters.
    pub clusters: BTreeMap<ClusterName, ClusterDiff>,
}

/// What is assigned to a node, by name as the inventory has it. Most nodes of a fleet have the same items.
pub type Items = BTreeMap<String, Shared<Item>>;

/// Compares. A node that the survey does not have is unknown.
pub fn diff(inventory: &Inventory, bundles: &Bundles, survey: &Survey) -> FleetDiff {
    let mut alike = Alike::default();
    let mut waits = Waits::default();
    let mut clusters = BTreeMap::new();
    for cluster in inventory.clusters.values() {
        let mut compare = |node: &crate::inventory::Node| match survey.nodes.get(&node.name) {
            _ if node.out.is_some() => node::out(node.out.as_deref().unwrap_or_default()),
            Some(NodeSurvey::Seen(facts)) => node::seen(inventory, cluster, node, bundles, facts, waits.of(facts)),
            Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) => {
                node::unseen(inventory, cluster, node, bundles, &trouble.text, &trouble.hints)
            }
            None => node::unseen(inventory, cluster, node, bundles, "it was not looked at", &[]),
        };
        let mut standing =
            |node: &crate::inventory::Node| NodeDiff { standing: survey.standing(&node.name), ..compare(node) };
        let nodes: BTreeMap<_, _> =
            cluster.nodes.values().map(|node| (node.name.clone(), alike.share(cluster, standing(node)))).collect();
        let columns = columns(cluster, &nodes);
        let entry = ClusterDiff { topology: cluster.topology.as_str().to_owned(), columns, nodes };
        clusters.insert(cluster.name.clone(), entry);
    }
    FleetDiff { clusters }
}

/// What waits in kong.conf, worked out once for nodes whose two files are one and the same in the survey.
#[derive(Default)]
struct Waits(BTreeMap<(usize, usize, usize), Shared<Vec<String>>>);

impl Waits {
    /// For a node whose Kong runs; one that is stopped reads the whole kong.conf at its next start, and nothing waits.
    fn of(&mut self, facts: &crate::survey::NodeFacts) -> Shared<Vec<String>> {
        let (Some(conf), Some(env), Some(_)) = (&facts.conf_file, &facts.env_file, &facts.master) else {
            return Shared::default();
        };
        let (conf, env): (&crate::kong::Conf, &crate::kong::EnvFile) = (conf.open(), env.open());
        let unit = facts.unit();
        let places = (
            std::ptr::from_ref(conf).addr(),
            std::ptr::from_ref(env).addr(),
            unit.map_or(0, |unit| std::ptr::from_ref(unit).addr()),
        );
        let make = || {
            let mut waiting = env.waiting(conf);
            if let Some(unit) = unit {
                not_beaten(&mut waiting, unit);
            }
            waiting.into()
        };
        self.0.entry(places).or_insert_with(make).clone()
    }
}

/// What is assigned, and what left the inventory and is pruned.
fn columns(cluster: &crate::inventory::Cluster, nodes: &BTreeMap<NodeName, NodeDiff>) -> Vec<String> {
    let mut columns: Vec<String> = cluster.plugins.keys().map(|subject| subject.as_str().to_owned()).collect();
    let pruned =
        nodes.values().flat_map(|node| node.orphans.keys().filter(|name| node.items.contains_key(name.as_str())));
    let pruned: std::collections::BTreeSet<&str> = pruned.map(BundleName::as_str).collect();
    let new: Vec<String> =
        pruned.into_iter().filter(|name| !columns.iter().any(|known| known == name)).map(str::to_owned).collect();
    columns.extend(new);
    columns
}

/// What nodes have alike, kept once.
#[derive(Default)]
struct Alike {
    single: Pool<String, Item>,
    all: Pool<ClusterName, Items>,
    directives: Pool<(), Directive>,
    settings: Pool<ClusterName, Settings>,
    remarks: Pool<ClusterName, Vec<String>>,
    runs: Pool<(), LastRun>,
}

impl Alike {
    fn share(&mut self, cluster: &crate::inventory::Cluster, mut node: NodeDiff) -> NodeDiff {
        for (name, item) in node.items.to_mut() {
            // It has served as evidence of what the workers loaded, and nearly no two nodes have it alike.
            item.to_mut().files.newest = None;
            *item = self.single.share(name, item.clone());
        }
        node.items = self.all.share(&cluster.name, node.items);
        let Directives { file, env, running, .. } = &mut node.directives;
        for source in [file, env, running] {
            if let Source::Read(directive) = source {
                *directive = self.directives.share(&(), directive.clone());
            }
        }
        node.settings = self.settings.share(&cluster.name, node.settings);
        node.remarks = self.remarks.share(&cluster.name, node.remarks);
        node.standing.last_run = node.standing.last_run.map(|run| self.runs.share(&(), run));
        node
    }
}

impl NodeDiff {
    /// Mark and word of its state, as people see it: besides the condition that a plan goes by, what of its settings goes off
    /// at the next reload or start, or counts at another time than the rest, is a state of its own.
    pub fn state(&self) -> (char, &'static str) {
        match self.condition {
            Condition::Unknown { .. } | Condition::Out { .. } => self.condition.words(),
            _ if !self.settings.time_bombs.is_empty() => ('!', "time bomb"),
            // Nothing is loaded there, so that nothing is proven.
            Condition::InLine if !self.running => ('.', "stopped"),
            Condition::InLine if !self.settings.agree() => ('~', "settings differ"),
            Condition::InLine | Condition::Drift | Condition::ReloadOwed => self.condition.words(),
        }
    }

    /// Whether a remark is about what waits in kong.conf, which is never the reason for a state.
    pub fn is_waiting(&self, remark: &str) -> bool {
        node::waiting_words(&self.waiting).is_some_and(|words| words == remark)
    }
}

impl FleetDiff {
    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<&NodeDiff> {
        self.clusters.values().find_map(|cluster| cluster.nodes.get(name))
    }

    /// The part of it with the nodes that `keep` names; clusters without any are left out.
    #[must_use]
    pub fn narrowed(&self, keep: impl Fn(&NodeName) -> bool) -> Self {
        let clusters = self.clusters.iter().filter_map(|(name, cluster)| {
            let nodes = cluster.nodes.iter().filter(|(node, _)| keep(node));
            let nodes: BTreeMap<_, _> = nodes.map(|(node, diff)| (node.clone(), diff.clone())).collect();
            (!nodes.is_empty()).then(|| (name.clone(), ClusterDiff { nodes, ..cluster.clone() }))
        });
        Self { clusters: clusters.collect() }
    }

    /// What to do about the nodes that could not be seen.
    pub fn hints_mut(&mut self) -> impl Iterator<Item = &mut Hint> {
        let nodes = self.clusters.values_mut().flat_map(|cluster| cluster.nodes.values_mut());
        nodes.flat_map(|node| match &mut node.condition {
            Condition::Unknown { hints, .. } => hints.as_mut_slice(),
            Condition::InLine | Condition::Drift | Condition::ReloadOwed | Condition::Out { .. } => &mut [],
        })
    }

    /// How many nodes are in a state of their own ([`NodeDiff::state`]), by its word: `time bomb`, `settings differ`, `stopped`.
    pub fn apart(&self) -> Vec<(usize, &'static str)> {
        let states = self.clusters.values().flat_map(|cluster| cluster.nodes.values()).map(|node| node.state().1);
        let states: Vec<&str> = states.collect();
        let count = |word: &'static str| (states.iter().filter(|state| **state == word).count(), word);
        ["time bomb", "settings differ", "stopped"].into_iter().map(count).filter(|(number, _)| *number > 0).collect()
    }

    /// Nodes in line, with drift (a reload that is owed counts), unknown; nodes that are out count nowhere.
    pub fn counts(&self) -> (usize, usize, usize) {
        let nodes = self.clusters.values().flat_map(|cluster| cluster.nodes.values());
        nodes.fold((0, 0, 0), |(line, drift, unknown), node| match node.condition {
            Condition::InLine => (line + 1, drift, unknown),
            Condition::Drift | Condition::ReloadOwed => (line, drift + 1, unknown),
            Condition::Unknown { .. } => (line, drift, unknown + 1),
            Condition::Out { .. } => (line, drift, unknown),
        })
    }
}
