//! How the nodes of the fleet are put together and in which order: pure functions of the picture.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::Filter;
use crate::inventory::{LabelName, LabelValue};
use crate::name::{ClusterName, NodeName, natural};
use crate::survey::Lock;
use crate::tui::picture::{ClusterRows, NodeRow, Picture};
use crate::tui::shown::count;

/// The marks of states, the worst first.
const WORST: [char; 7] = ['x', '!', '?', '*', '~', '=', '.'];

/// What the nodes of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Grouping {
    /// The cluster.
    #[default]
    Cluster,
    /// The state, the worst first.
    State,
    /// The version of Kong.
    Version,
    /// The value of a label.
    Label(LabelName),
}

/// The order of the nodes in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// The worst state first.
    State,
    /// The oldest version of Kong first; unknown ones last.
    Version,
    /// The youngest run first; nodes without any last.
    LastRun,
}

/// What a group is, whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// The nodes of a cluster.
    Cluster(ClusterName),
    /// The nodes in a state: how bad it is, its mark and word.
    State(usize, char, &'static str),
    /// The nodes with a version of Kong; the last of these is unknown.
    Version(bool, Natural),
    /// The nodes with a value of a label; the last of these have none.
    Label(LabelName, bool, Natural),
}

/// A text that sorts as people number things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Natural(pub String);

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        natural(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

/// Nodes that are shown together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Those that the filter shows, by cluster and node in the picture, in order.
    pub nodes: Vec<(usize, usize)>,
    /// How many there are, shown or not.
    pub of: usize,
    /// How many of those that are shown are selected.
    pub selected: usize,
    /// How many of those that are shown are in which state, or in which cluster where the state is what they have in common.
    pub summary: String,
    /// The mark of the worst of these.
    pub worst: char,
    /// How many of these are held by a run.
    pub held: usize,
    /// More about these, a line each: who holds how many, their versions and roles.
    pub facts: Vec<String>,
}

impl Grouping {
    /// The next one: cluster, state, version, each label that any node has, and round again.
    #[must_use]
    pub fn next(&self, picture: &Picture) -> Self {
        let labels = || label_names(picture);
        match self {
            Self::Cluster => Self::State,
            Self::State => Self::Version,
            Self::Version => labels().next().map_or(Self::Cluster, Self::Label),
            Self::Label(now) => labels().find(|name| name > now).map_or(Self::Cluster, Self::Label),
        }
    }

    /// What it goes by, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Cluster => "cluster".to_owned(),
            Self::State => "state".to_owned(),
            Self::Version => "version".to_owned(),
            Self::Label(name) => format!("label {name}"),
        }
    }

    fn key(&self, cluster: &ClusterRows, node: &NodeRow) -> GroupKey {
        let natural = |text: Option<&str>| (text.is_none(), Natural(text.unwrap_or_default().to_owned()));
        match self {
            Self::Cluster => GroupKey::Cluster(cluster.name.clone()),
            Self::State => GroupKey::State(badness(node.state.mark), node.state.mark, node.state.word),
            Self::Version => {
                let (unknown, version) = natural(node.kong.as_deref());
                GroupKey::Version(unknown, version)
            }
            Self::Label(name) => {
                let (without, value) = natural(node.labels.get(name).map(LabelValue::as_str));
                GroupKey::Label(name.clone(), without, value)
            }
        }
    }
}

/// The names of all labels, each once, in order.
fn label_names(picture: &Picture) -> impl Iterator<Item = LabelName> {
    let nodes = picture.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let names: std::collections::BTreeSet<LabelName> = nodes.flat_map(|node| node.labels.keys().cloned()).collect();
    names.into_iter()
}

impl Order {
    /// The next one, and round again.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Name => Self::State,
            Self::State => Self::Version,
            Self::Version => Self::LastRun,
            Self::LastRun => Self::Name,
        }
    }

    /// What it goes by, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::Version => "version",
            Self::LastRun => "last run",
        }
    }

    fn compare(self, a: &NodeRow, b: &NodeRow) -> Ordering {
        match self {
            Self::Name => Ordering::Equal,
            Self::State => badness(a.state.mark).cmp(&badness(b.state.mark)),
            Self::Version => match (&a.kong, &b.kong) {
                (Some(a), Some(b)) => natural(a, b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            },
            Self::LastRun => {
                let at = |node: &NodeRow| node.standing.last_run.as_ref().map(|run| run.at);
                at(b).cmp(&at(a))
            }
        }
    }
}

impl GroupKey {
    /// What stands in its heading.
    pub fn title(&self) -> String {
        match self {
            Self::Cluster(name) => name.to_string(),
            Self::State(_, mark, word) => format!("{mark} {word}"),
            Self::Version(true, _) => "version unknown".to_owned(),
            Self::Version(false, version) => format!("Kong {}", version.0),
            Self::Label(name, true, _) => format!("without {name}"),
            Self::Label(name, false, value) => format!("{name}={}", value.0),
        }
    }
}

impl Group {
    /// The names of those that are shown.
    pub fn names<'a>(&'a self, picture: &'a Picture) -> impl Iterator<Item = &'a NodeName> {
        self.nodes.iter().filter_map(|at| Some(&node(picture, *at)?.name))
    }
}

/// A node of the picture by its place.
fn node(picture: &Picture, (cluster, node): (usize, usize)) -> Option<&NodeRow> {
    picture.clusters.get(cluster)?.nodes.get(node)
}

/// How bad a state is, the worst 0.
fn badness(mark: char) -> usize {
    WORST.iter().position(|known| *known == mark).unwrap_or(WORST.len())
}

/// Puts every node that the filter shows into exactly one group, and the groups and their nodes in order. A group of which
/// the filter shows nothing is left out; where there is no filter, a cluster without nodes is not.
pub(super) fn groups(picture: &Picture, grouping: &Grouping, order: Order, filter: &Filter) -> Vec<Group> {
    let mut found: BTreeMap<GroupKey, Group> = BTreeMap::new();
    for (at, cluster) in picture.clusters.iter().enumerate() {
        if *grouping == Grouping::Cluster {
            let key = GroupKey::Cluster(cluster.name.clone());
            found.insert(key.clone(), empty(key));
        }
        for (place, node) in cluster.nodes.iter().enumerate() {
            let key = grouping.key(cluster, node);
            let group = found.entry(key).or_insert_with_key(|key| empty(key.clone()));
            group.of += 1;
            if filter.shows(node, &cluster.name) {
                group.nodes.push((at, place));
            }
        }
    }
    let mut groups: Vec<Group> =
        found.into_values().filter(|group| !filter.is_on() || !group.nodes.is_empty()).collect();
    for group in &mut groups {
        arrange(picture, group, order);
    }
    groups
}

fn empty(key: GroupKey) -> Group {
    Group { key, nodes: Vec::new(), of: 0, selected: 0, summary: String::new(), worst: '.', held: 0, facts: Vec::new() }
}

/// Sorts the nodes of a group and says what they are.
fn arrange(picture: &Picture, group: &mut Group, order: Order) {
    let of_cluster = matches!(group.key, GroupKey::Cluster(_));
    if order != Order::Name || !of_cluster {
        // Within a cluster the picture is in the order of names, and equal nodes stay as they are.
        group.nodes.sort_by(|a, b| match (node(picture, *a), node(picture, *b)) {
            (Some(x), Some(y)) => order.compare(x, y).then_with(|| {
                if a.0 == b.0 { a.1.cmp(&b.1) } else { natural(x.name.as_str(), y.name.as_str()).then(a.cmp(b)) }
            }),
            _ => Ordering::Equal,
        });
    }
    let rows = || group.nodes.iter().filter_map(|at| node(picture, *at));
    group.worst = rows().map(|row| row.state.mark).min_by_key(|mark| badness(*mark)).unwrap_or('.');
    group.held = rows().filter(|row| row.is_held()).count();
    group.facts = facts(rows);
    group.summary = match group.key {
        GroupKey::State(..) => clusters(picture, &group.nodes),
        GroupKey::Cluster(_) | GroupKey::Version(..) | GroupKey::Label(..) => states(rows()),
    };
}

/// Who holds how many nodes, each run once; then how many nodes have which version and which role, where these differ.
fn facts<'a, I: Iterator<Item = &'a NodeRow>>(rows: impl Fn() -> I) -> Vec<String> {
    let held = rows().filter_map(|row| match &row.standing.lock {
        Some(Lock::Held { who, run, .. }) => Some(format!("held by {who}, run {}", run.short())),
        _ => None,
    });
    let mut facts: Vec<String> =
        tally(held).into_iter().map(|(words, number)| format!("{}: {}", words.0, count(number, "node"))).collect();
    let versions = tally(rows().map(|row| row.kong.clone().unwrap_or_else(|| "unknown".to_owned())));
    let roles = tally(rows().filter_map(|row| row.standing.role.map(|role| role.to_string())));
    for (what, counts) in [("Kong ", versions), ("roles: ", roles)] {
        if counts.len() > 1 {
            let counts: Vec<String> =
                counts.iter().map(|(text, number)| format!("{} on {}", text.0, count(*number, "node"))).collect();
            facts.push(format!("{what}{}", counts.join(", ")));
        }
    }
    facts
}

/// How often each text comes, in their order.
fn tally(texts: impl Iterator<Item = String>) -> BTreeMap<Natural, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(Natural(text)).or_default() += 1;
    }
    counts
}

/// How many nodes are in which state, worst first: "1 unknown, 3 drift, 2 in line".
fn states<'a>(rows: impl Iterator<Item = &'a NodeRow>) -> String {
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for row in rows {
        *counts.entry((badness(row.state.mark), row.state.word)).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|((_, word), number)| format!("{number} {word}")).collect();
    counts.join(", ")
}

/// How many of the nodes are in which cluster: "3 in eu-prod, 1 in us-prod", or in how many where these are many.
fn clusters(picture: &Picture, nodes: &[(usize, usize)]) -> String {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (cluster, _) in nodes {
        *counts.entry(*cluster).or_default() += 1;
    }
    if counts.len() > 3 {
        return format!("in {}", count(counts.len(), "cluster"));
    }
    let names = counts.iter().filter_map(|(at, number)| Some((&picture.clusters.get(*at)?.name, number)));
    names.map(|(name, number)| format!("{number} in {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "group_tests.rs"]
pub(super) mod tests;
