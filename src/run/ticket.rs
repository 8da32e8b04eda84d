//! What became of a run, as a block of plain text to paste into a ticket.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Cause, ClusterStep, Fate, NodeRun, RunState};
use crate::hint::Hint;
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::Plan;

/// More groups of nodes than a ticket is read for; the journal has them all.
const MOST: usize = 20;
/// How much of a line is pasted.
const LONGEST: usize = 400;
/// How many lines of what a cause knows.
const DETAILS: usize = 3;

/// What the lead of a kept undo bundle's line is. Such a line is never cut: half a path finds nothing.
const UNDO: &str = "  undo bundle  ";

/// How far what is known of a run reaches, as long as it has no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Up to now: the run is at work, and more comes.
    AtWork,
    /// Up to a moment of a recording that goes on after it.
    Moment,
    /// To the end of what was recorded, and nobody writes it any more.
    Whole,
}

/// The lines of the block: run, commit, operator, times, verdict, each cluster in numbers, what was un-applied and how it comes
/// back, what went wrong with cause and code, what was not begun, what is held and what releases it, and how to see it again or
/// go on. The plan knows the rows that were un-applied; `carry` adds to a command line of muster what it needs here.
///
/// Nothing in it is aligned by more than spaces, so that it survives every ticket system. What it quotes was cleaned where it came
/// from; whoever prints it cleans it again.
pub fn ticket(state: &RunState, extent: Extent, plan: Option<&Plan>, carry: impl Fn(&str) -> String) -> Vec<String> {
    // The verdict counts, whoever holds the journal.
    let extent = if state.verdict.is_some() { Extent::Whole } else { extent };
    let Some(head) = &state.head else { return vec!["nothing of this run was recorded".to_owned()] };
    let mut lines = vec![
        format!("muster run {}", head.run),
        format!("commit    {} @ {}", head.repository, head.revision),
        format!("subject   {}", head.summary),
        format!("operator  {}", head.operator),
        format!("time      {}", times(state, extent)),
        format!("verdict   {}", verdict(state, extent)),
    ];
    lines.extend(head.clusters.iter().filter_map(|(cluster, nodes)| cluster_line(state, cluster, nodes)));
    lines.extend(looked(state));
    section(&mut lines, "un-applied", unapplied(state, plan, &carry(&format!("muster restore-rows {}", head.run))));
    section(&mut lines, "went wrong", wrong(state));
    section(&mut lines, if extent == Extent::Whole { "not begun" } else { "not begun yet" }, not_begun(state));
    section(&mut lines, "held", held(state));
    section(&mut lines, "still differs", left(state));
    lines.push(String::new());
    lines.push(match extent {
        Extent::AtWork => format!("to see how it goes on:  muster runs {} --follow", head.run),
        Extent::Moment | Extent::Whole => format!("to see it again:  muster runs {}", head.run),
    });
    if extent == Extent::Whole && state.verdict().exit() != 0 {
        lines.push(format!("to go on:  {}", carry(&format!("muster resume {}", head.run))));
    }
    lines.into_iter().map(|line| if line.starts_with(UNDO) { line } else { clipped(&line) }).collect()
}

fn clipped(line: &str) -> String {
    let mut chars = line.chars();
    let mut short: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() {
        short.push_str(" ...");
    }
    short
}

fn section(lines: &mut Vec<String>, title: &str, mut content: Vec<String>) {
    if content.is_empty() {
        return;
    }
    lines.extend([String::new(), format!("{title}:")]);
    lines.extend(content.drain(..).map(|line| format!("  {line}")));
}

fn times(state: &RunState, extent: Extent) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let (Some(began), Some(now)) = (state.started, state.now) else { return "not begun".to_owned() };
    let seconds = (now.as_second() - began.as_second()).max(0);
    let end = if now.strftime("%F").to_string() == began.strftime("%F").to_string() {
        now.strftime("%H:%M:%S").to_string()
    } else {
        day(now)
    };
    let over = match extent {
        Extent::AtWork => ", and it goes on",
        Extent::Moment => "; the recording goes on",
        Extent::Whole if state.verdict.is_some() => "",
        Extent::Whole => ", and then nothing more was recorded",
    };
    format!("{} to {end} UTC, {} min {} s{over}", day(began), seconds / 60, seconds % 60)
}

fn verdict(state: &RunState, extent: Extent) -> String {
    let verdict = state.verdict();
    let paused = state.pause.as_ref().filter(|pause| pause.since.is_some());
    let paused = paused.map(|pause| format!(", {}", pause.words())).unwrap_or_default();
    let stopping = state.cancel.map(|level| format!(", being stopped: {}", level.name())).unwrap_or_default();
    match extent {
        Extent::AtWork => return format!("none yet: at work{paused}{stopping}"),
        Extent::Moment => return format!("none yet at that time{paused}{stopping}"),
        Extent::Whole => {}
    }
    let on = if state.verdict.is_some() { "" } else { " (as far as it was recorded)" };
    format!("{}, exit {}{paused}{on}", verdict.word(), verdict.exit())
}

fn cluster_line(state: &RunState, cluster: &ClusterName, nodes: &[NodeName]) -> Option<String> {
    let steps = state.cluster_steps.get(cluster);
    if nodes.is_empty() && steps.is_none() {
        return None;
    }
    let wave = state.waves.get(cluster).copied().unwrap_or(0);
    let of = state.head.as_ref().and_then(|head| head.waves.get(cluster).copied()).unwrap_or(wave);
    let waves = if of > 0 { format!("; wave {wave} of {of}") } else { String::new() };
    let stopped = state.stopped.get(cluster).map(|why| format!("; stopped: {why}")).unwrap_or_default();
    Some(format!("{cluster}: {}{waves}{stopped}", state.counts_of(cluster).words()))
}

fn looked(state: &RunState) -> Option<String> {
    let Some((counts, _)) = &state.looked else {
        return state.verdict.is_some().then(|| "the run itself did not look at the nodes again".to_owned());
    };
    let parts = [
        (counts.unknown, "unknown"),
        (counts.blocked, "blocked"),
        (counts.drift, "drift"),
        (counts.in_line, "in line"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    Some(format!("looked again: {}", parts.collect::<Vec<_>>().join(", ")))
}

/// What was done to rows, which ones, and how they come back. Of an un-apply that failed, its cause says that.
fn unapplied(state: &RunState, plan: Option<&Plan>, restore: &str) -> Vec<String> {
    let steps = state.cluster_steps.iter().flat_map(|(cluster, steps)| steps.iter().map(move |step| (cluster, step)));
    let mut lines: Vec<String> = steps
        .filter_map(|(cluster, step)| Some((cluster, step, step.now.split_once(KEPT).filter(|_| step.changed())?)))
        .flat_map(|(cluster, step, (done, kept))| {
            let first = format!("{cluster}  {done}");
            let same = plan.filter(|plan| state.head.as_ref().is_some_and(|head| head.revision == plan.basis.revision));
            let rows = same.map(|plan| rows(plan, step)).unwrap_or_default();
            // The two spaces before it come with the section.
            std::iter::once(first).chain(rows).chain([format!("{}{kept}", UNDO.trim_start())])
        })
        .collect();
    if !lines.is_empty() {
        lines.push(format!("to bring them back: {}; it shows the rows first", Hint::type_(restore)));
    }
    lines
}

/// What stands before the paths of undo bundles in what an un-apply says of itself (`perform` writes it).
const KEPT: &str = "; undo bundle ";

/// The rows of an un-apply, as its plan names them; the plan of another run names none.
fn rows(plan: &Plan, step: &ClusterStep) -> Vec<String> {
    let rows = plan.rows_of(step.step, &step.about);
    let more = rows.len().saturating_sub(MOST);
    let lines = rows.into_iter().take(MOST).map(|row| format!("  {row}"));
    lines.chain((more > 0).then(|| format!("  and {more} more"))).collect()
}

/// What went wrong, the same on many nodes once.
fn wrong(state: &RunState) -> Vec<String> {
    let mut groups: Vec<(&NodeRun, &Cause, Vec<NodeName>)> = Vec::new();
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let bad = state.nodes.iter().filter_map(|(name, node)| Some((name, node, node.cause.as_ref()?)));
    for (name, node, cause) in bad.filter(|(_, node, _)| node.fate.is_bad()) {
        let key = (fate(node.fate), cause.code.as_str(), cause.text.as_str());
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((node, cause, Vec::new()));
            groups.len() - 1
        });
        groups[place].2.push(name.clone());
    }
    let steps = state.cluster_steps.iter().flat_map(|(cluster, steps)| steps.iter().map(move |step| (cluster, step)));
    let steps = steps.filter_map(|(cluster, step)| Some((cluster, step, step.cause()?)));
    let mut lines: Vec<String> = steps
        .flat_map(|(cluster, step, cause)| {
            cause_lines(&format!("{cluster}  {} {} failed", step.action, step.about), cause)
        })
        .collect();
    lines.extend(state.refused.iter().flat_map(|cause| cause_lines("refused", cause)));
    let more = groups.len().saturating_sub(MOST);
    lines.extend(
        groups
            .iter()
            .take(MOST)
            .flat_map(|(node, cause, nodes)| cause_lines(&format!("{}  {}", collapse(nodes), fate(node.fate)), cause)),
    );
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::RolledBack => "rolled back, serving as before",
        Fate::Failed => "failed",
        Fate::Unknown => "unknown",
        Fate::Waiting | Fate::Running | Fate::Proven | Fate::Edited | Fate::Held | Fate::NotTried => "not well",
    }
}

fn cause_lines(lead: &str, cause: &Cause) -> Vec<String> {
    let first = format!("{lead} ({}): {}", cause.code, cause.text);
    let details = cause.details.iter().take(DETAILS).map(|line| format!("    {line}"));
    let hints = cause.hints.iter().map(|hint| format!("    to do: {hint}"));
    std::iter::once(first).chain(details).chain(hints).collect()
}

/// The nodes that were not tried, by why.
fn not_begun(state: &RunState) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<NodeName>> = BTreeMap::new();
    for (name, node) in state.nodes.iter().filter(|(_, node)| matches!(node.fate, Fate::NotTried | Fate::Waiting)) {
        groups.entry(node.now.strip_prefix("not begun: ").unwrap_or("")).or_default().push(name.clone());
    }
    let line = |(why, nodes): (&str, Vec<NodeName>)| {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{}{why}", collapse(&nodes))
    };
    let more = groups.len().saturating_sub(MOST);
    let lines = groups.into_iter().take(MOST).map(line);
    lines.chain((more > 0).then(|| format!("and for {more} reasons more"))).collect()
}

fn held(state: &RunState) -> Vec<String> {
    let held = state.held();
    held.iter().map(|held| format!("{}: {}; {}", held.what, held.why, held.release)).collect()
}

fn left(state: &RunState) -> Vec<String> {
    let left: Vec<&str> = state.still_differs().collect();
    let more = left.len().saturating_sub(MOST);
    left.into_iter().take(MOST).map(str::to_owned).chain((more > 0).then(|| format!("and {more} more"))).collect()
}
