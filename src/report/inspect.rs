//! `muster inspect NODE`: one node, closely.

use std::io::{self, Write};

use serde::Serialize;

use super::words::{clean, pad, time, width};
use crate::diff::{CloserLook, Comparison, Excerpt, Fact, Inspection, LineKind, PluginFiles, ReceiptFacts};
use crate::run::Cause;

/// The version of the JSON.
pub const FORMAT: u32 = 1;

/// A node, and what it answered.
#[derive(Debug)]
pub struct Shown<'a> {
    /// What is known of it.
    pub inspection: &'a Inspection,
    /// What it was asked, where it could be asked.
    pub closer: Result<&'a CloserLook, &'a Cause>,
    /// The files that differ, where they were wanted: each compared, or why not.
    pub diffs: Option<&'a [Result<Comparison, Cause>]>,
    /// How many of the last lines of the log people see; the JSON has all that was sent.
    pub lines: usize,
}

/// As one line of JSON.
pub fn json(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        muster: &'static str,
        format: u32,
        #[serde(flatten)]
        inspection: &'a Inspection,
        #[serde(skip_serializing_if = "Option::is_none")]
        closer: Option<&'a CloserLook>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trouble: Option<&'a Cause>,
        #[serde(skip_serializing_if = "Option::is_none")]
        diffs: Option<Vec<&'a Comparison>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_compared: Vec<&'a Cause>,
    }
    let diffs = shown.diffs.map(|diffs| diffs.iter().filter_map(|diff| diff.as_ref().ok()).collect());
    let not_compared = shown.diffs.into_iter().flatten().filter_map(|diff| diff.as_ref().err()).collect();
    let line = Line {
        muster: "inspect",
        format: FORMAT,
        inspection: shown.inspection,
        closer: shown.closer.ok(),
        trouble: shown.closer.err(),
        diffs,
        not_compared,
    };
    super::json::line(&line, out)
}

/// For people.
pub fn text(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let inspection = shown.inspection;
    let mut lines = head(inspection);
    section(&mut lines, "plugins", inspection.plugins.iter().flat_map(plugin));
    section(&mut lines, "the next plan would", planned(inspection));
    section(&mut lines, "facts, each with where it comes from", facts(&inspection.facts));
    let receipts = shown.closer.map_or(&inspection.receipts, |closer| &closer.receipts);
    let all = shown.closer.ok().and_then(|closer| closer.receipts_all).filter(|all| *all > receipts.len());
    let more = all.map(|all| format!("  and {} older", all - receipts.len()));
    section(&mut lines, "receipts, the newest first", receipts.iter().flat_map(receipt).chain(more));
    section(&mut lines, "error log", log(shown));
    for diff in shown.diffs.into_iter().flatten() {
        match diff {
            Ok(diff) => section(&mut lines, &difference(diff), unified(diff)),
            Err(cause) => section(&mut lines, &cause.text, []),
        }
    }
    for line in lines {
        writeln!(out, "{}", clean(line.trim_end()))?;
    }
    out.flush()
}

fn section(lines: &mut Vec<String>, title: &str, rows: impl IntoIterator<Item = String>) {
    lines.extend([String::new(), title.to_owned()]);
    let before = lines.len();
    lines.extend(rows);
    if lines.len() == before {
        lines.push("  none".to_owned());
    }
}

fn head(inspection: &Inspection) -> Vec<String> {
    let Inspection { node, cluster, looked, state: (mark, word), remarks, hints, .. } = inspection;
    let first = format!("{node}  {mark} {word}  in {cluster}, looked {} UTC", time(*looked));
    let remarks = remarks.iter().map(|remark| format!("  {remark}"));
    std::iter::once(first).chain(remarks).chain(hints.iter().map(|hint| format!("  {hint}"))).collect()
}

fn plugin(plugin: &PluginFiles) -> Vec<String> {
    let version = plugin.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let mut lines = vec![format!("  {}  {}{version}", plugin.truths.signs(), plugin.name)];
    lines.extend(plugin.remarks.iter().map(|remark| format!("        {remark}")));
    for file in &plugin.files {
        let kind = file.kind.map(|kind| format!("  ({kind})")).unwrap_or_default();
        lines.push(format!("     {}  {}{kind}", file.state.sign(), file.path));
    }
    lines.extend(plugin.cut.then(|| "     ?  and more than a look reads".to_owned()));
    lines
}

fn planned(inspection: &Inspection) -> Vec<String> {
    let planned = &inspection.planned;
    let mut lines: Vec<String> = planned.changes.iter().map(|change| format!("  {change}")).collect();
    if let Some((before, after)) = &planned.directive {
        lines.extend([format!("  - plugins = {before}"), format!("  + plugins = {after}")]);
    }
    if let Some(conf) = &planned.conf {
        lines.push(format!("  edit {}", conf.path));
        lines.extend(unified(conf));
    }
    lines.extend(planned.blocked.iter().map(|why| format!("  ! {why}")));
    lines
}

fn facts(facts: &[Fact]) -> Vec<String> {
    let widest = facts.iter().map(|fact| width(&fact.name)).max().unwrap_or_default();
    let mut group = "";
    let mut lines = Vec::new();
    for fact in facts {
        if fact.group != group {
            group = fact.group;
            lines.push(format!("  {group}"));
        }
        let mark = if fact.odd { '!' } else { ' ' };
        lines.push(format!("  {mark} {}  {}  ({})", pad(&fact.name, widest), fact.value, fact.source));
    }
    lines
}

fn receipt(receipt: &ReceiptFacts) -> Vec<String> {
    let commit = receipt.commit.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let at = receipt.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let first = format!("  {at}  run {} step {}{commit}: {}", receipt.run, receipt.step, receipt.words());
    let content = receipt.content.iter().map(|content| format!("      proven with {content}"));
    std::iter::once(first).chain(content).collect()
}

fn log(shown: &Shown<'_>) -> Vec<String> {
    match shown.closer.map(|closer| &closer.log) {
        Err(cause) => vec![format!("  not known: {}", cause.text)],
        Ok(Err(why)) => vec![format!("  {why}")],
        Ok(Ok(tail)) => {
            let lines = &tail.lines[tail.lines.len().saturating_sub(shown.lines)..];
            let before = if lines.len() < tail.lines.len() || tail.cut { ", the last lines of it" } else { "" };
            let head = format!("  {}, {} bytes{before}", tail.path, tail.length);
            std::iter::once(head).chain(lines.iter().map(|line| format!("    {line}"))).collect()
        }
    }
}

fn difference(diff: &Comparison) -> String {
    format!("{}: - {}, + {}, -{} +{} lines", diff.path, diff.before, diff.after, diff.removed, diff.added)
}

/// The lines that changed, with three around each.
fn unified(diff: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    for excerpt in diff.excerpts(3) {
        match excerpt {
            Excerpt::Alike(number) => lines.push(format!("         @ {number} lines alike")),
            Excerpt::Lines(range) => lines.extend(diff.lines[range].iter().map(|line| {
                let number = line.before.or(line.after).map(|number| number.to_string()).unwrap_or_default();
                let sign = match line.kind {
                    LineKind::Removed => '-',
                    LineKind::Added => '+',
                    LineKind::Same => ' ',
                    LineKind::Gap | LineKind::Note => '@',
                };
                format!("  {number:>6} {sign} {}", line.text)
            })),
        }
    }
    lines
}
