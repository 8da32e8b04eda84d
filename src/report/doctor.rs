//! `muster doctor`: a row for each node, nodes that are alike as one, and below what stands in the way, the worst first.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::words::{clean, count, pad, parts, time, width, wrap};
use crate::doctor::{Check, Examined, Standing, Topic};
use crate::name::{NodeName, collapse};

/// How wide a line may be.
const COLUMNS: usize = 80;
/// How wide the names of nodes may be.
const NAMES: usize = 19;

/// What was found where muster runs: what it is about, and how it is.
pub type Here = (&'static str, Check);

/// What was found here and on the nodes.
pub struct Report {
    /// When it was.
    pub at: Timestamp,
    /// What was found where muster runs.
    pub here: Vec<Here>,
    /// The nodes, in the order of the inventory.
    pub nodes: Vec<Examined>,
    /// The exit code.
    pub exit: u8,
}

/// Nodes of which the same is to be said.
struct Alike<'a> {
    nodes: Vec<NodeName>,
    one: &'a Examined,
}

/// For people.
pub fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    here(&report.here, out)?;
    let groups = alike(&report.nodes);
    let number = |standing| report.nodes.iter().filter(|node| node.standing() == standing).count();
    let counts = parts(&[
        (number(Standing::Well), "well"),
        (number(Standing::Unknown), "not known"),
        (number(Standing::Wrong), "with something in the way"),
    ]);
    let of = count(report.nodes.len(), "node");
    let counts = if counts.is_empty() { String::new() } else { format!(": {counts}") };
    writeln!(out, "\nlooked {} UTC  {of}{counts}\n", time(report.at))?;
    table(&groups, out)?;
    let mut order: Vec<&Alike<'_>> = groups.iter().collect();
    order.sort_by_key(|group| std::cmp::Reverse(group.one.standing()));
    for group in order {
        writeln!(out)?;
        details(group, out)?;
    }
    let verdict = match report.exit {
        0 => "all is well",
        4 => "nothing is known to stand in the way, and not all is known",
        _ => "something stands in the way; nothing was changed",
    };
    writeln!(out, "\n{verdict}: exit {}", report.exit)?;
    out.flush()
}

/// What was found where muster runs, for people.
pub fn here(here: &[Here], out: &mut dyn Write) -> io::Result<()> {
    for (what, check) in here {
        lines(&format!("{} {}", check.standing.mark(), pad(what, 12)), &check.found, out)?;
        fixes(check, out)?;
    }
    Ok(())
}

fn table(groups: &[Alike<'_>], out: &mut dyn Write) -> io::Result<()> {
    if groups.is_empty() {
        return writeln!(out, "no node was chosen");
    }
    let words: Vec<&str> = Topic::ALL.iter().map(|topic| topic.word()).collect();
    writeln!(out, "{}", format!("{} {}", pad("NODE", NAMES), words.join(" ")).trim_end())?;
    let mut cluster = None;
    for group in groups {
        if cluster != Some(&group.one.cluster) {
            cluster = Some(&group.one.cluster);
            writeln!(out, "{}", group.one.cluster)?;
        }
        let marks = group.one.checks.iter().map(|(topic, check)| pad(check.standing.mark(), topic.word().len()));
        let marks: Vec<String> = marks.collect();
        writeln!(out, "{} {}", pad(&format!("  {}", brief(group)), NAMES), marks.join(" ").trim_end())?;
    }
    Ok(())
}

fn brief(group: &Alike<'_>) -> String {
    super::nodes::brief(&group.nodes, NAMES - 2)
}

/// What is wrong first, then what is not known, then what Kong is there and how it would be changed.
fn details(group: &Alike<'_>, out: &mut dyn Write) -> io::Result<()> {
    let names = collapse(&group.nodes);
    lines(&format!("{} ", group.one.standing().mark()), &names, out)?;
    let mut checks: Vec<&(Topic, Check)> = group.one.checks.iter().collect();
    checks
        .retain(|(topic, check)| !check.found.is_empty() && (check.standing != Standing::Well || told_always(*topic)));
    checks.sort_by_key(|(_, check)| std::cmp::Reverse(check.standing));
    for (topic, check) in checks {
        lines(&format!("  {} {}", check.standing.mark(), pad(topic.word(), 6)), &check.found, out)?;
        fixes(check, out)?;
    }
    if !group.one.seen {
        writeln!(out, "    the rest could not be looked at")?;
    }
    if group.nodes.len() > 1 && group.one.checks.iter().any(|(_, check)| !check.fixes.is_empty()) {
        writeln!(out, "    the same on each of them, with its own name")?;
    }
    Ok(())
}

fn told_always(topic: Topic) -> bool {
    matches!(topic, Topic::Kong | Topic::From | Topic::Load | Topic::Api)
}

fn fixes(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    // Whole, however long: what is to be typed is copied from here.
    check.fixes.iter().try_for_each(|fix| writeln!(out, "      > {}", clean(&fix.to_string())))
}

/// A text behind its head, broken at spaces and kept below where it began.
fn lines(head: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let indent = width(head);
    for (number, line) in wrap(&clean(text), COLUMNS - indent).iter().enumerate() {
        let head = if number == 0 { head } else { "" };
        writeln!(out, "{}{line}", pad(head, indent))?;
    }
    Ok(())
}

/// Neighbours in a cluster of which the same is to be said, apart from their names.
fn alike(nodes: &[Examined]) -> Vec<Alike<'_>> {
    let mut groups: Vec<(String, Alike<'_>)> = Vec::new();
    for node in nodes {
        let key = key(node);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.nodes.push(node.node.clone()),
            None => groups.push((key, Alike { nodes: vec![node.node.clone()], one: node })),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn key(node: &Examined) -> String {
    let said = node.checks.iter().map(|(topic, check)| {
        let told = check.standing != Standing::Well || told_always(*topic);
        let text = if told { check.found.replace(node.node.as_str(), "\u{0}") } else { String::new() };
        format!("{}{text}", check.standing.mark())
    });
    format!("{}\u{1}{}", node.cluster, said.collect::<Vec<_>>().join("\u{1}"))
}

/// As one line of JSON.
pub fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Found<'a> {
        what: &'static str,
        #[serde(flatten)]
        check: &'a Check,
    }
    let here: Vec<Found<'_>> = report.here.iter().map(|(what, check)| Found { what, check }).collect();
    let nodes: Vec<Value> = report.nodes.iter().map(node).collect();
    let value = json!({
        "muster": "doctor", "format": 1, "at": report.at, "here": here, "nodes": nodes, "exit": report.exit,
    });
    super::json::line(&value, out)
}

fn node(examined: &Examined) -> Value {
    let checks: Map<String, Value> =
        examined.checks.iter().map(|(topic, check)| (topic.word().to_owned(), json!(check))).collect();
    json!({
        "node": examined.node, "cluster": examined.cluster, "seen": examined.seen, "standing": examined.standing(),
        "checks": checks,
    })
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
