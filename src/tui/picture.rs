//! The fleet as the screens show it: clusters, nodes, and the four truths of each plugin as marks.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::shown::{count, moment, width};
use crate::diff::{ClusterDiff, Condition, FleetDiff, Item, Mark, NodeDiff, Truths};
use crate::hint::Hint;
use crate::inventory::{Inventory, Labels};
use crate::name::{ClusterName, NodeName, PluginName, natural};
use crate::survey::{Lock, Sight, Standing, Survey};

/// What is shown in the first line: which commit of which repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Title {
    /// The name of the repository.
    pub repository: String,
    /// The branch, if one is checked out.
    pub branch: Option<String>,
    /// The commit, short.
    pub revision: String,
    /// The first line of its message.
    pub summary: String,
    /// What has to be known all the time: uncommitted changes are not used, this is the demo.
    pub remark: Option<String>,
}

/// The fleet after a look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// When looking began; where some nodes were looked at again, when that began.
    pub looked: Timestamp,
    /// When the oldest look began that something here is from.
    pub oldest: Timestamp,
    /// How many nodes answered.
    pub seen: usize,
    /// How many nodes there are.
    pub nodes: usize,
    /// The plugins and bundles that any cluster assigns: the columns of the matrix.
    pub columns: Vec<String>,
    /// The clusters.
    pub clusters: Vec<ClusterRows>,
}

/// A cluster and its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRows {
    /// Its name.
    pub name: ClusterName,
    /// `traditional`, `dbless`, `hybrid`.
    pub topology: String,
    /// Its nodes, in natural order.
    pub nodes: Vec<NodeRow>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: NodeName,
    /// Its labels in the inventory.
    pub labels: Labels,
    /// The version of Kong, where it is known.
    pub kong: Option<String>,
    /// One entry for each column; `None` where its cluster does not assign it.
    pub cells: Vec<Option<Marks>>,
    /// Kong does not run there: nothing is loaded, whatever is on disk.
    pub stopped: bool,
    /// Its state.
    pub state: NodeState,
    /// What there is to say of it, worst first, one line each.
    pub remarks: Vec<String>,
    /// For each plugin with something to say: its column and the lines.
    pub plugins: Vec<(usize, Vec<String>)>,
    /// When it was looked at and last seen, its role, who holds it, its last run.
    pub standing: Standing,
}

/// The state of a node: mark, word, and a few words more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The mark (screens.md).
    pub mark: char,
    /// The word: `in line`, `drift`, `reload owed`, `unknown`, `out`, `stopped`.
    pub word: &'static str,
    /// Why, one line; may be empty.
    pub why: String,
    /// The same in fewer words, the longest first: for where the whole does not fit.
    pub brief: Vec<String>,
}

impl NodeRow {
    /// Whether a run holds it.
    pub const fn is_held(&self) -> bool {
        matches!(self.standing.lock, Some(Lock::Held { .. }))
    }
}

/// The word of a node whose Kong does not run, while all is as wanted on disk.
const STOPPED: &str = "stopped";

impl NodeState {
    /// Whether somebody should look at the node: it is not in line, or does not serve. One that is out is as was wanted.
    pub fn is_trouble(&self) -> bool {
        self.word == STOPPED || !matches!(self.mark, '=' | '.')
    }

    /// Why, in as many words as there is room for.
    pub fn why_within(&self, columns: usize) -> &str {
        let all = std::iter::once(&self.why).chain(&self.brief);
        let fits = all.clone().find(|words| width(words) <= columns);
        fits.or_else(|| all.last()).map_or("", String::as_str)
    }
}

/// The four truths of a plugin on a node: files, directive, loaded, used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks(pub [char; 4]);

impl Marks {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self(['?'; 4]);

    /// The four signs.
    pub fn signs(self) -> String {
        self.0.iter().collect()
    }

    /// The sign that decides how loud the cell is: the first that is not quiet.
    pub fn loudest(self) -> char {
        let rank = |mark: &char| match mark {
            '?' => 3,
            '-' | '~' | '+' => 2,
            '=' => 1,
            _ => 0,
        };
        self.0.iter().copied().max_by_key(rank).unwrap_or('.')
    }

    /// The four truths in words: "files as wanted, not in the directive, …". Where Kong is `stopped`, that is why nothing
    /// is loaded.
    pub fn words(self, stopped: bool) -> String {
        let [files, directive, loaded, used] = self.0;
        let loaded = if stopped && loaded == '.' { "nothing loaded: Kong is stopped" } else { loaded_words(loaded) };
        [file_words(files), directive_words(directive), loaded, used_words(used)].join(", ")
    }
}

const fn file_words(mark: char) -> &'static str {
    match mark {
        '=' => "files as wanted",
        '-' => "files missing",
        '~' => "files differ",
        '+' => "files still there",
        '.' => "no files",
        _ => "files unknown",
    }
}

const fn directive_words(mark: char) -> &'static str {
    match mark {
        '=' => "in the directive",
        '-' => "not in the directive",
        '~' => "directive differs",
        '+' => "still in the directive",
        '.' => "rightly not in the directive",
        _ => "directive unknown",
    }
}

const fn loaded_words(mark: char) -> &'static str {
    match mark {
        '=' => "loaded",
        '-' => "not loaded",
        '~' => "loaded, other content",
        '+' => "still loaded",
        '.' => "rightly not loaded",
        _ => "loaded or not is unknown",
    }
}

const fn used_words(mark: char) -> &'static str {
    match mark {
        '=' => "in use",
        '-' => "wanted in use, not used",
        '~' => "used otherwise than wanted",
        '+' => "still in use",
        '.' => "not in use",
        _ => "use unknown",
    }
}

impl Picture {
    /// The picture of a fleet that was compared: when it was looked at, and how many nodes answered.
    pub fn of(fleet: &FleetDiff, looked: Timestamp, seen: usize) -> Self {
        let mut columns: Vec<String> = Vec::new();
        for name in fleet.clusters.values().flat_map(|cluster| &cluster.columns) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let clusters = fleet.clusters.iter().map(|(name, cluster)| cluster_rows(name, cluster, &columns));
        let clusters: Vec<ClusterRows> = clusters.collect();
        let nodes = clusters.iter().map(|cluster| cluster.nodes.len()).sum();
        let looks = clusters.iter().flat_map(|cluster| &cluster.nodes).filter_map(|node| node.standing.looked);
        let oldest = looks.min().unwrap_or(looked).min(looked);
        Self { looked, oldest, seen, nodes, columns, clusters }
    }

    /// The same picture, with what uses a plugin that is to be absent: each row with its scope, as the node shows it.
    #[must_use]
    pub fn with_rows(mut self, fleet: &FleetDiff, survey: &Survey) -> Self {
        let Self { columns, clusters, .. } = &mut self;
        for row in clusters.iter_mut().flat_map(|cluster| &mut cluster.nodes) {
            let facts = survey.seen(&row.name).and_then(|facts| facts.admin.as_ref().ok());
            let Some((admin, node)) = facts.zip(fleet.node(&row.name)) else { continue };
            for (at, column) in columns.iter().enumerate() {
                let Some(item) = node.items.get(column).filter(|item| item.truths.used == Mark::Extra) else {
                    continue;
                };
                let named = item.plugins.len() > 1;
                let of = |plugin: &PluginName| admin.rows.get(plugin.as_str()).into_iter().flatten();
                let rows = item.plugins.iter().flat_map(|plugin| of(plugin).map(move |row| (plugin, row.words())));
                let words = rows.map(|(plugin, row)| if named { format!("{plugin}: {row}") } else { row });
                add_rows(row, at, words.collect());
            }
        }
        self
    }

    /// The same picture, with the labels that nodes have in the inventory.
    #[must_use]
    pub fn with_labels(mut self, inventory: &Inventory) -> Self {
        for cluster in &mut self.clusters {
            let Some(of) = inventory.clusters.get(&cluster.name) else { continue };
            for row in &mut cluster.nodes {
                row.labels = of.nodes.get(&row.name).map(|node| node.labels.clone()).unwrap_or_default();
            }
        }
        self
    }

    /// The row of a node.
    pub fn node(&self, name: &NodeName) -> Option<&NodeRow> {
        self.clusters.iter().flat_map(|cluster| &cluster.nodes).find(|row| row.name == *name)
    }
}

/// How many rows of the Admin API are listed with a plugin of a node; the plan has more.
const ROWS: usize = 20;

fn add_rows(node: &mut NodeRow, at: usize, mut rows: Vec<String>) {
    let Some((_, lines)) = node.plugins.iter_mut().find(|(column, _)| *column == at) else { return };
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    rows.extend((more > 0).then(|| format!("and {more} more")));
    lines.extend(rows.into_iter().map(|row| format!("  {row}")));
}

fn cluster_rows(name: &ClusterName, cluster: &ClusterDiff, columns: &[String]) -> ClusterRows {
    let mut nodes: Vec<NodeRow> = cluster.nodes.iter().map(|(name, node)| node_row(name, node, columns)).collect();
    nodes.sort_by(|a, b| natural(a.name.as_str(), b.name.as_str()).then_with(|| a.name.cmp(&b.name)));
    ClusterRows { name: name.clone(), topology: cluster.topology.clone(), nodes }
}

fn node_row(name: &NodeName, node: &NodeDiff, columns: &[String]) -> NodeRow {
    let items = || columns.iter().enumerate().filter_map(|(at, column)| Some((at, node.items.get(column)?)));
    let cells = columns.iter().map(|column| node.items.get(column).map(|item| marks(item.truths))).collect();
    let plugins: Vec<_> =
        items().map(|(at, item)| (at, item_lines(item))).filter(|(_, lines)| !lines.is_empty()).collect();
    let (state, hints) = state(node);
    // What a plugin says stands with the plugin.
    let of_items: BTreeSet<String> = node
        .items
        .iter()
        .flat_map(|(name, item)| item.remarks.iter().map(move |remark| format!("{name}: {remark}")))
        .collect();
    let own = node.remarks.iter().filter(|remark| !of_items.contains(*remark)).cloned();
    let remarks = own.filter(|remark| *remark != state.why).chain(hints.iter().map(ToString::to_string)).collect();
    let stopped = !node.running && !matches!(node.condition, Condition::Unknown { .. } | Condition::Out { .. });
    NodeRow {
        name: name.clone(),
        labels: Labels::new(),
        kong: node.kong.clone(),
        cells,
        stopped,
        state,
        remarks,
        plugins,
        standing: node.standing.clone(),
    }
}

fn marks(truths: Truths) -> Marks {
    Marks([truths.files, truths.directive, truths.loaded, truths.used].map(Mark::sign))
}

fn item_lines(item: &Item) -> Vec<String> {
    let mut lines = item.remarks.clone();
    match (&item.loaded_version, &item.version) {
        (Some(loaded), Some(wanted)) if loaded != wanted => {
            let versions = format!("loaded {loaded}, wanted {wanted}");
            // The version of the inventory and that of the handler need not be the same: one of the two is enough.
            if !lines.iter().any(|line| line.starts_with(&format!("loaded {loaded}, wanted "))) {
                lines.push(versions);
            }
        }
        (None, Some(wanted)) if item.truths.loaded.is_drift() => lines.push(format!("wanted {wanted}")),
        _ => {}
    }
    if let Some(rows @ 1..) = item.rows {
        lines.push(format!("used by {}", count(rows, "row")));
    }
    lines
}

fn state(node: &NodeDiff) -> (NodeState, &[Hint]) {
    let (mark, word) = node.state();
    let state = |why: String, brief: Vec<String>| NodeState { mark, word, why, brief };
    match &node.condition {
        Condition::InLine if !node.running => (state("as wanted on disk".to_owned(), Vec::new()), &[]),
        Condition::InLine => (state(settings_words(node), Vec::new()), &[]),
        Condition::Drift | Condition::ReloadOwed => {
            (state(node.remarks.first().cloned().unwrap_or_default(), differing(node)), &[])
        }
        Condition::Unknown { why, hints } => {
            // What was being done says less than what was found.
            let found = why.split_once(": ").map(|(_, found)| found.to_owned());
            let Some((age, short)) = age(&node.standing) else {
                return (state(why.clone(), found.into_iter().collect()), hints.as_slice());
            };
            let found = found.unwrap_or_else(|| why.clone());
            let brief = vec![format!("{found}; {age}"), format!("{found}; {short}"), found];
            (state(format!("{why}; {age}"), brief), hints.as_slice())
        }
        Condition::Out { why } => (state(why.clone(), Vec::new()), &[]),
    }
}

/// What of its settings does not say the same, of a node that is in line otherwise.
fn settings_words(node: &NodeDiff) -> String {
    let first = node.settings.alarms().into_iter().next();
    first.or_else(|| node.settings.words().into_iter().next()).unwrap_or_default()
}

/// Since when nothing is known of a node that was looked at and not seen; the same in fewer words.
fn age(standing: &Standing) -> Option<(String, String)> {
    let looked = standing.looked.filter(|_| matches!(standing.sight, Some(Sight::Unreachable | Sight::Refused)))?;
    Some(standing.last_seen.map_or_else(
        || ("not seen since muster was started".to_owned(), "not seen yet".to_owned()),
        |at| {
            let at = moment(at, looked);
            (format!("last seen {at} UTC"), format!("last seen {at}"))
        },
    ))
}

/// What differs, by its names, then by its number.
fn differing(node: &NodeDiff) -> Vec<String> {
    let names = node.items.iter().filter(|(_, item)| item.truths.is_drift()).map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.collect();
    let (names, what) = if names.is_empty() {
        (node.orphans.keys().map(crate::name::BundleName::as_str).collect(), "orphan")
    } else {
        (names, "plugin")
    };
    if names.is_empty() { Vec::new() } else { vec![names.join(", "), count(names.len(), what)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(signs: [Mark; 4]) -> Item {
        let [files, directive, loaded, used] = signs;
        Item {
            truths: Truths { files, directive, loaded, used },
            wanted: serde_json::from_value("present".into()).unwrap(),
            version: Some("2.1.0".to_owned()),
            digest: None,
            installed: None,
            loaded_version: Some("2.0.3".to_owned()),
            priority: None,
            plugins: Vec::new(),
            files: crate::diff::FilesDiff::default(),
            rows: Some(3),
            remarks: vec!["1 file differs".to_owned()],
        }
    }

    fn fleet() -> FleetDiff {
        let node = NodeDiff {
            condition: Condition::Drift,
            kong: Some("3.9.1".to_owned()),
            running: true,
            items: [("auth".to_owned(), item([Mark::AsWanted, Mark::Differs, Mark::Unknown, Mark::Absent]).into())]
                .into_iter()
                .collect(),
            orphans: std::collections::BTreeMap::new(),
            directives: crate::diff::Directives::UNKNOWN,
            settings: crate::name::Shared::default(),
            waiting: crate::name::Shared::default(),
            standing: Standing::default(),
            remarks: vec!["auth: 1 file differs".to_owned(), "/status/ready answers 503".to_owned()].into(),
        };
        let why = Condition::Unknown { why: "timed out".to_owned(), hints: vec![Hint::type_("ssh gw-2 true")] };
        let gone = NodeDiff { condition: why, items: crate::name::Shared::default(), ..node.clone() };
        let nodes = [("gw-10", gone), ("gw-9", node)].map(|(name, node)| (NodeName::parse(name).unwrap(), node));
        let cluster =
            ClusterDiff { topology: "traditional".to_owned(), columns: vec!["auth".to_owned()], nodes: nodes.into() };
        let other = ClusterDiff { columns: vec!["tag".to_owned(), "auth".to_owned()], ..cluster.clone() };
        let name = |name| ClusterName::parse(name).unwrap();
        FleetDiff { clusters: [(name("eu"), cluster), (name("us"), other)].into() }
    }

    #[test]
    fn the_picture_has_every_column_once_and_each_fact_in_one_place() {
        let picture = Picture::of(&fleet(), Timestamp::UNIX_EPOCH, 3);
        assert_eq!(
            (picture.columns.as_slice(), picture.nodes, picture.seen),
            (&["auth".into(), "tag".into()][..], 4, 3)
        );
        let row = &picture.clusters[0].nodes[0];
        assert_eq!(row.name.as_str(), "gw-9", "9 is before 10");
        assert_eq!(row.cells, [Some(Marks(['=', '~', '?', '.'])), None]);
        assert_eq!(
            row.state,
            NodeState {
                mark: '~',
                word: "drift",
                why: "auth: 1 file differs".to_owned(),
                brief: vec!["auth".to_owned(), "1 plugin".to_owned()],
            }
        );
        assert_eq!(row.remarks, ["/status/ready answers 503"], "what a plugin says stands with the plugin");
        assert_eq!(
            row.plugins,
            [(0, vec!["1 file differs".into(), "loaded 2.0.3, wanted 2.1.0".into(), "used by 3 rows".into()])]
        );
    }

    #[test]
    fn a_node_that_was_not_seen_says_why_and_what_to_do() {
        let picture = Picture::of(&fleet(), Timestamp::UNIX_EPOCH, 3);
        let row = &picture.clusters[0].nodes[1];
        assert_eq!((row.state.word, row.state.why.as_str()), ("unknown", "timed out"));
        assert!(row.remarks.contains(&"type: ssh gw-2 true".to_owned()));
    }

    #[test]
    fn a_node_that_was_not_seen_says_when_it_last_was() {
        let of = |last_seen: Option<&str>| {
            let mut fleet = fleet();
            let node = fleet.clusters.values_mut().next().unwrap().nodes.values_mut().next().unwrap();
            node.condition = Condition::Unknown { why: "looking at gw-10: timed out".to_owned(), hints: Vec::new() };
            node.standing = Standing {
                looked: Some("2026-03-02T14:05:00Z".parse().unwrap()),
                sight: Some(Sight::Unreachable),
                last_seen: last_seen.map(|at| at.parse().unwrap()),
                ..Standing::default()
            };
            Picture::of(&fleet, Timestamp::UNIX_EPOCH, 3).clusters[0].nodes[1].state.clone()
        };
        let today = of(Some("2026-03-02T14:02:11Z"));
        assert_eq!(today.why, "looking at gw-10: timed out; last seen 14:02:11 UTC");
        assert_eq!(today.why_within(34), "timed out; last seen 14:02:11 UTC");
        assert_eq!((today.why_within(30), today.why_within(12)), ("timed out; last seen 14:02:11", "timed out"));
        assert!(of(Some("2026-03-01T23:02:11Z")).why.ends_with("; last seen 2026-03-01 23:02:11 UTC"));
        let never = of(None);
        assert_eq!(never.why, "looking at gw-10: timed out; not seen since muster was started");
        assert_eq!(never.why_within(24), "timed out; not seen yet");
    }

    #[test]
    fn the_reason_is_said_in_as_many_words_as_there_is_room_for() {
        let picture = Picture::of(&fleet(), Timestamp::UNIX_EPOCH, 3);
        let drift = &picture.clusters[0].nodes[0].state;
        let said = [30, 8, 5, 0].map(|columns| drift.why_within(columns));
        assert_eq!(said, ["auth: 1 file differs", "auth", "auth", "1 plugin"]);
        let away = &picture.clusters[0].nodes[1].state;
        assert_eq!(away.why_within(3), "timed out", "there is nothing shorter");
    }

    #[test]
    fn a_stopped_node_is_never_called_proven() {
        let mut fleet = fleet();
        let cluster = fleet.clusters.values_mut().next().unwrap();
        let node = cluster.nodes.values_mut().last().unwrap();
        (node.condition, node.running) = (Condition::InLine, false);
        let picture = Picture::of(&fleet, Timestamp::UNIX_EPOCH, 3);
        let row = &picture.clusters[0].nodes[0];
        assert_eq!((row.stopped, row.state.mark, row.state.word), (true, '.', "stopped"));
        let words = Marks(['=', '=', '.', '?']).words(true);
        assert_eq!(words, "files as wanted, in the directive, nothing loaded: Kong is stopped, use unknown");
    }

    #[test]
    fn unknown_is_louder_than_drift_and_drift_louder_than_the_rest() {
        assert_eq!(Marks(['=', '-', '?', '.']).loudest(), '?');
        assert_eq!(Marks(['=', '=', '-', '.']).loudest(), '-');
        assert_eq!(Marks(['=', '=', '=', '.']).loudest(), '=');
    }

    #[test]
    fn each_of_the_four_truths_has_words_for_every_mark() {
        let all: Vec<String> = "=-~+.?".chars().map(|mark| Marks([mark; 4]).words(false)).collect();
        assert_eq!(all[0], "files as wanted, in the directive, loaded, in use");
        assert_eq!(all[5], "files unknown, directive unknown, loaded or not is unknown, use unknown");
        assert!(all[..5].iter().all(|words| !words.contains("unknown")));
    }
}
