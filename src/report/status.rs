//! `muster --status`: the four truths of every plugin on every node, nodes that are alike on one line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::standing;
use super::words::{clean, count, pad, parts, time, width};
use crate::diff::{ClusterDiff, Condition, FleetDiff, Mark, NodeDiff, Truths};
use crate::name::{ClusterName, NodeName, Revision, collapse, natural};
use crate::plan::Origin;
use crate::run::Verdict;

/// The version of the JSON.
pub const FORMAT: u32 = 1;

/// The line that a table keeps to as long as it can: then columns without anything to say are left out.
const COLUMNS: usize = 80;
/// The widest list of nodes in its column; a longer one gets a line of its own.
const NODES: usize = 20;
/// How many remarks of one line are shown; all are in the JSON.
const REMARKS: usize = 4;

/// What the marks mean (screens.md, "The marks").
const LEGEND: [&str; 2] = [
    "four marks for each plugin: files, directive, loaded, used",
    "= as wanted  - missing  ~ different  + not wanted  . rightly absent  ? unknown",
];

/// What a status stands on.
#[derive(Debug, Clone)]
pub struct Head {
    /// Where the inventory came from.
    pub origin: Origin,
    /// When the look began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Nodes seen, unreachable, refused.
    pub counts: (usize, usize, usize),
}

/// The status as one line of JSON.
pub fn json(head: &Head, diff: &FleetDiff, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Shown<'a> {
        muster: &'static str,
        format: u32,
        repository: &'a str,
        revision: &'a Revision,
        summary: &'a str,
        branch: Option<&'a str>,
        at: Timestamp,
        took_ms: u128,
        seen: usize,
        unreachable: usize,
        refused: usize,
        in_line: usize,
        drift: usize,
        unknown: usize,
        clusters: &'a BTreeMap<ClusterName, ClusterDiff>,
    }
    let Head { origin, at, took, counts: (seen, unreachable, refused) } = head;
    let (in_line, drift, unknown) = diff.counts();
    let line = Shown {
        muster: "status",
        format: FORMAT,
        repository: &origin.repository,
        revision: &origin.revision,
        summary: &origin.summary,
        branch: origin.branch.as_deref(),
        at: *at,
        took_ms: took.as_millis(),
        seen: *seen,
        unreachable: *unreachable,
        refused: *refused,
        in_line,
        drift,
        unknown,
        clusters: &diff.clusters,
    };
    super::json::line(&line, out)
}

/// The status for people.
pub fn text(head: &Head, diff: &FleetDiff, verdict: Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = about(head).to_vec();
    for (name, cluster) in &diff.clusters {
        lines.push(String::new());
        lines.push(cluster_line(name, cluster));
        lines.extend(standing::lines(cluster).into_iter().map(|line| format!("  {line}")));
        table(cluster, &mut lines);
    }
    lines.extend([String::new(), LEGEND[0].to_owned(), LEGEND[1].to_owned()]);
    let (in_line, drift, unknown) = diff.counts();
    let counts = parts(&[(drift, "drift"), (unknown, "unknown"), (in_line, "in line")]);
    let all = count(diff.clusters.values().map(|cluster| cluster.nodes.len()).sum(), "node");
    let counts = if counts.is_empty() { String::new() } else { format!(": {counts}") };
    let apart = parts(&diff.apart());
    let counts = if apart.is_empty() { counts } else { format!("{counts}; of these {apart}") };
    // "In line" is the verdict of a look that found no trouble, drift or not: as a word it would deny the numbers.
    let word = if verdict.exit() == 0 { String::new() } else { format!("{}, ", verdict.word()) };
    lines.push(format!("{all}{counts}. {word}exit {}", verdict.exit()));
    for line in lines {
        writeln!(out, "{}", clean(line.trim_end()))?;
    }
    out.flush()
}

fn about(head: &Head) -> [String; 2] {
    let Head { origin, at, took, counts: (seen, unreachable, refused) } = head;
    let Origin { repository, revision, summary, branch } = origin;
    let branch = branch.as_ref().map(|branch| format!("  {branch}")).unwrap_or_default();
    let nodes = count(seen + unreachable + refused, "node");
    let parts = parts(&[(*seen, "seen"), (*unreachable, "unreachable"), (*refused, "refused")]);
    [
        format!("{repository} @ {}{branch}  \"{summary}\"", revision.short()),
        format!("looked {} UTC, {nodes} in {:.1} s: {parts}", time(*at), took.as_secs_f64()),
    ]
}

fn cluster_line(name: &ClusterName, cluster: &ClusterDiff) -> String {
    let mut versions: Vec<&str> = cluster.nodes.values().filter_map(|node| node.kong.as_deref()).collect();
    versions.sort_by(|a, b| natural(a, b));
    versions.dedup();
    let kong = if versions.is_empty() { String::new() } else { format!(" · Kong {}", versions.join(", ")) };
    let roles = standing::roles(cluster).map(|roles| format!(": {roles}")).unwrap_or_default();
    format!("{name}  {}{kong} · {}{roles}", cluster.topology, count(cluster.nodes.len(), "node"))
}

/// Nodes of which the same is to be said.
struct Row<'a> {
    nodes: Vec<NodeName>,
    diff: &'a NodeDiff,
    remarks: Vec<String>,
}

fn rows(cluster: &ClusterDiff) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places: BTreeMap<(Vec<String>, char, Vec<String>), usize> = BTreeMap::new();
    for (name, diff) in &cluster.nodes {
        let remarks = remarks(diff);
        let signs = cluster.columns.iter().map(|column| signs(diff, column)).collect();
        let (mark, _) = diff.state();
        let place = *places.entry((signs, mark, remarks.clone())).or_insert_with(|| {
            rows.push(Row { nodes: Vec::new(), diff, remarks });
            rows.len() - 1
        });
        rows[place].nodes.push(name.clone());
    }
    for row in &mut rows {
        row.nodes.sort_by(|a, b| natural(a.as_str(), b.as_str()));
    }
    rows.sort_by(|a, b| natural(a.nodes[0].as_str(), b.nodes[0].as_str()));
    rows
}

/// Why a node is as it is, what to do about it, and what else there is to say.
fn remarks(diff: &NodeDiff) -> Vec<String> {
    let mut all: Vec<String> = match &diff.condition {
        Condition::Unknown { why, hints } => {
            std::iter::once(why.clone()).chain(hints.iter().map(ToString::to_string)).collect()
        }
        Condition::Out { why } => vec![why.clone()],
        Condition::InLine | Condition::Drift | Condition::ReloadOwed => Vec::new(),
    };
    all.extend(diff.remarks.iter().cloned());
    all.extend(unexplained(diff));
    let mut seen = BTreeSet::new();
    all.retain(|remark| seen.insert(remark.clone()));
    all
}

/// The differences that no remark explains, in words: the marks alone would have to be read from the table.
fn unexplained(diff: &NodeDiff) -> Vec<String> {
    if !matches!(diff.condition, Condition::Drift | Condition::ReloadOwed) {
        return Vec::new();
    }
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, item) in diff.items.iter().filter(|(_, item)| item.truths.is_drift() && item.remarks.is_empty()) {
        let explained = diff.remarks.iter().any(|remark| remark.starts_with(&format!("{name}: ")));
        let words = drift_words(item.truths);
        match found.iter_mut().find(|(known, _)| *known == words) {
            _ if explained => {}
            Some((_, names)) => names.push(name),
            None => found.push((words, vec![name])),
        }
    }
    found.into_iter().map(|(words, names)| format!("{}: {words}", names.join(", "))).collect()
}

/// What differs of a plugin, from its marks.
fn drift_words(truths: Truths) -> String {
    let Truths { files, directive, loaded, used } = truths;
    if [files, directive, loaded] == [Mark::Missing; 3] {
        return "not installed".to_owned();
    }
    let words = |mark, missing, differs, extra| match mark {
        Mark::Missing => Some(missing),
        Mark::Differs => Some(differs),
        Mark::Extra => Some(extra),
        Mark::AsWanted | Mark::Absent | Mark::Unknown => None,
    };
    let all = [
        words(files, "files missing", "files differ", "files there, not wanted"),
        words(directive, "not in the directive", "the directive differs", "in the directive, not wanted"),
        words(loaded, "not loaded", "other content loaded", "loaded, not wanted"),
        words(used, "not used", "used otherwise", "in use, not wanted"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The four signs of a plugin on a node; blanks where the node is not assigned it.
fn signs(diff: &NodeDiff, column: &str) -> String {
    diff.items.get(column).map(|item| item.truths.signs()).unwrap_or_default()
}

fn table(cluster: &ClusterDiff, lines: &mut Vec<String>) {
    let rows = rows(cluster);
    let names: Vec<String> = rows.iter().map(|row| collapse(&row.nodes)).collect();
    let node_width = names.iter().map(|name| width(name)).filter(|w| *w <= NODES).max().unwrap_or_default().max(4);
    let (columns, hidden) = columns(cluster, &rows, COLUMNS.saturating_sub(node_width + 20));
    let widths: Vec<usize> = columns.iter().map(|column| width(column).max(4)).collect();
    let header: String =
        columns.iter().zip(&widths).fold(String::new(), |line, (column, width)| line + "  " + &pad(column, *width));
    lines.push(format!("  {}{header}  STATE", pad("NODE", node_width)));
    for (name, row) in names.iter().zip(&rows) {
        let cell =
            |line: String, (column, width): (&&str, &usize)| line + "  " + &pad(&signs(row.diff, column), *width);
        let cells = columns.iter().zip(&widths).fold(String::new(), cell);
        let name = if width(name) > node_width {
            lines.push(format!("  {name}"));
            ""
        } else {
            name
        };
        let (mark, word) = match row.diff.state() {
            (mark, "stopped") => (mark, "in line, stopped"),
            state => state,
        };
        let begin = format!("  {}{cells}  {mark} {}", pad(name, node_width), pad(word, 11));
        said(&begin, row, lines);
    }
    if hidden > 0 {
        lines.push(format!("  and {}, as wanted on all of these nodes", count(hidden, "plugin")));
    }
}

/// The line of a row with its remarks; further remarks stand below the first.
fn said(begin: &str, row: &Row<'_>, lines: &mut Vec<String>) {
    let alike = row.nodes.len() > 1 && row.diff.state().1 != "in line";
    let same = alike.then(|| format!("the same on {}", count(row.nodes.len(), "node")));
    let more = row.remarks.len().saturating_sub(REMARKS);
    let more = (more > 0).then(|| format!("and {more} more"));
    let remarks = row.remarks.iter().take(REMARKS).cloned();
    let mut texts = remarks.chain(more).chain(same);
    lines.push(format!("{begin}  {}", texts.next().unwrap_or_default()));
    // Below a wide table further remarks would stand far right: they begin where they can be read.
    let indent = if width(begin) > COLUMNS / 2 { 6 } else { width(begin) + 2 };
    lines.extend(texts.map(|text| format!("{:indent$}{text}", "")));
}

/// The columns that are shown. When they do not fit, those go on which every node is as wanted.
fn columns<'a>(cluster: &'a ClusterDiff, rows: &[Row<'_>], room: usize) -> (Vec<&'a str>, usize) {
    let all: Vec<&str> = cluster.columns.iter().map(String::as_str).collect();
    if all.iter().map(|column| width(column).max(4) + 2).sum::<usize>() <= room {
        return (all, 0);
    }
    let telling = |column: &&str| {
        let items = rows.iter().filter_map(|row| row.diff.items.get(*column));
        items.into_iter().any(|item| item.truths.is_drift() || item.truths.is_unknown())
    };
    let shown: Vec<&str> = all.iter().copied().filter(telling).collect();
    let hidden = all.len() - shown.len();
    (shown, hidden)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
