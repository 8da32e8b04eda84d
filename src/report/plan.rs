//! `muster --plan`: what would be done, cluster by cluster, and what would not.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use super::nodes::brief;
use super::words::{clean, count, pad, parts, time, width, wrap};
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::{Alike, At, Blocker, Change, ChangeKind, ClusterPlan, Note, Plan, Removal, Scope, Wave};

/// The line that texts are wrapped at.
const COLUMNS: usize = 80;
/// The line that the table of changes keeps to; a detail that does not fit gets a line of its own.
const TABLE: usize = 100;
/// How wide a list of nodes may be before it becomes a number.
const NODES: usize = 24;
/// What a cluster of which no node is selected is called.
const NOT_SELECTED: &str = "not selected";
/// The topic of notes that say why a node is unknown.
const UNKNOWN: &str = "unknown";
/// How many rows of a removal are written out; all are in the JSON.
const ROWS: usize = 8;
/// How many sizes of waves are written out.
const WAVES: usize = 5;

/// The plan as one line of JSON: its own fields, behind `"muster":"plan"`.
pub fn json(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        muster: &'static str,
        #[serde(flatten)]
        plan: &'a Plan,
    }
    super::json::line(&Line { muster: "plan", plan }, out)
}

/// The plan for people; with `diff`, the difference of every text too. A plan that is only shown has the `command` that
/// carries out exactly it; one that is carried out next has none.
pub fn text(plan: &Plan, diff: bool, command: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { plan, diff, command, lines: Vec::new() };
    if let Some(danger) = plan.danger() {
        // What cannot be taken back stands first.
        page.wrapped("", "", &danger);
    }
    page.head();
    for cluster in &plan.clusters {
        page.cluster(cluster);
    }
    page.rest();
    page.summary();
    for line in &page.lines {
        writeln!(out, "{}", clean(line.trim_end()))?;
    }
    out.flush()
}

struct Page<'a> {
    plan: &'a Plan,
    diff: bool,
    command: Option<&'a str>,
    lines: Vec<String>,
}

impl<'a> Page<'a> {
    fn head(&mut self) {
        let basis = &self.plan.basis;
        let at = time(basis.surveyed);
        let (repository, revision) = (&basis.repository, basis.revision.short());
        let about = format!("{repository} @ {revision} · from the survey of {at} UTC");
        let shown = if self.command.is_some() { " · nothing has been changed" } else { "" };
        self.wrapped("", "Plan for ", &format!("{about}{shown}"));
        let blockers = self.blockers(|blocker| blocker.scope == Scope::Run);
        if !blockers.is_empty() {
            self.lines.push(String::new());
        }
        for group in blockers {
            self.blocker(&group);
        }
    }

    fn cluster(&mut self, cluster: &'a ClusterPlan) {
        self.lines.push(String::new());
        let name = &cluster.cluster;
        let about = self.about(cluster);
        self.wrapped("", &format!("{name}   "), &about);
        self.changes(cluster);
        self.notes(cluster);
        let here = |blocker: &Blocker| match &blocker.scope {
            Scope::Run => false,
            Scope::Cluster { cluster } | Scope::Plugin { cluster, .. } => cluster == name,
            Scope::Node { node } => members(cluster).contains(node),
        };
        let blockers = self.blockers(here);
        if !blockers.is_empty() && !cluster.changes.is_empty() {
            self.lines.push(String::new());
        }
        for group in blockers {
            self.blocker(&group);
        }
        self.unknown(cluster);
        self.left_out(cluster);
    }

    /// What a cluster's line says behind its name.
    fn about(&self, cluster: &ClusterPlan) -> String {
        let lists = &cluster.nodes;
        let unapplied: usize = cluster.removals.iter().map(Removal::withdraws).sum();
        if lists.changing.is_empty() && unapplied > 0 {
            return format!("{} un-applied, no node is changed", count(unapplied, "row"));
        }
        if lists.changing.is_empty() {
            let not_chosen = self.plan.not_chosen(cluster);
            if let Some(words) = cluster.at_rest(not_chosen) {
                return words.to_owned();
            }
            let (blocked, unknown) = (lists.blocked.len(), lists.unknown.len());
            return format!("nothing planned: {}", tally(blocked, unknown, lists.in_line.len(), not_chosen));
        }
        let mut about = vec![format!("{} of {}", lists.changing.len(), count(members(cluster).len(), "node"))];
        about.extend(self.waves(&cluster.cluster));
        about.push(match cluster.max_failed {
            0 => "stops at the first failure".to_owned(),
            some => format!("stops when more than {some} fail"),
        });
        let steps = self.plan.steps.iter().filter(|step| step.cluster == cluster.cluster);
        let restarts = steps.clone().filter(|step| step.restarts()).count();
        about.push(match steps.filter(|step| step.reloads()).count() {
            _ if restarts > 0 => format!("RESTARTS {}, which serve nothing meanwhile", count(restarts, "node")),
            reloads if reloads == lists.changing.len() => "one reload per node".to_owned(),
            0 => "no reload".to_owned(),
            reloads => count(reloads, "reload"),
        });
        about.join(" · ")
    }

    fn waves(&self, cluster: &ClusterName) -> Option<String> {
        let waves: Vec<&Wave> = self.plan.waves.iter().filter(|wave| wave.cluster == *cluster).collect();
        let sizes: Vec<String> = waves.iter().take(WAVES).map(|wave| wave.nodes.len().to_string()).collect();
        let more = waves.len().saturating_sub(WAVES);
        match waves.len() {
            0 => None,
            1 => Some("one wave".to_owned()),
            _ if more > 0 => Some(format!("waves: {}, then {more} more", sizes.join(", then "))),
            _ => Some(format!("waves: {}", sizes.join(", then "))),
        }
    }

    fn changes(&mut self, cluster: &ClusterPlan) {
        let named: Vec<(String, &Change)> = cluster.changes.iter().map(|change| (named(change), change)).collect();
        let name_width = named.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
        let verb_width =
            cluster.changes.iter().map(|change| width(change.kind.verb())).max().unwrap_or_default().max(7);
        let fits = |change: &&Change| 5 + verb_width + name_width + 2 + width(&change.detail) + 2 + NODES <= TABLE;
        let detail_width = cluster
            .changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Remove)
            .filter(fits)
            .map(|change| width(&change.detail))
            .max()
            .unwrap_or_default();
        for (name, change) in &named {
            let left =
                format!("  {} {}  {}", change.kind.mark(), pad(change.kind.verb(), verb_width), pad(name, name_width));
            if let Some(removal) = cluster.removals.iter().find(|removal| is_of(removal, change)) {
                self.lines.push(left);
                self.removal(removal);
                continue;
            }
            let who = brief(&change.nodes, NODES);
            if width(&change.detail) <= detail_width {
                self.lines.push(format!("{left}  {}  {who}", pad(&change.detail, detail_width)));
            } else {
                self.lines.push(format!("{left}  {}  {who}", pad("", detail_width)));
                self.wrapped("             ", "", &change.detail);
            }
            if self.diff {
                self.lines.extend(change.diff.iter().map(|line| format!("      {line}")));
            }
        }
    }

    /// The three steps of a removal: what, where, how; below the first, how far it reaches and the rows.
    fn removal(&mut self, removal: &Removal) {
        let steps = removal.steps().map(|step| (step.name, place(step.at), step.how));
        let column = steps.iter().map(|(_, place, _)| width(place)).max().unwrap_or_default();
        for (number, (step, at, how)) in steps.iter().enumerate() {
            self.wrapped(&format!("      {}  {}  ", pad(step, 11), pad(at, column)), "", how);
            if number == 0 {
                let indent = " ".repeat(21 + column);
                for line in removal.reach() {
                    self.wrapped(&indent, "", &line);
                }
                self.lines.extend(removal.row_lines(ROWS).into_iter().map(|row| format!("{indent}- {row}")));
            }
        }
    }

    /// Notes with nodes of this cluster, one paragraph for each topic.
    fn notes(&mut self, cluster: &ClusterPlan) {
        let members = members(cluster);
        let mut topics: Vec<(&str, Vec<String>)> = Vec::new();
        // Why a node is unknown stands with the node.
        for note in self.plan.notes.iter().filter(|note| note.topic != UNKNOWN) {
            let here: Vec<NodeName> = note.nodes.iter().filter(|node| members.contains(node)).cloned().collect();
            if here.is_empty() {
                continue;
            }
            let all = here.len() > 1 && here == cluster.nodes.changing;
            let who = if all { format!("all {}", here.len()) } else { brief(&here, NODES) };
            let said = format!("{} ({who})", note.text);
            match topics.iter_mut().find(|(topic, _)| *topic == note.topic) {
                Some((_, texts)) => texts.push(said),
                None => topics.push((&note.topic, vec![said])),
            }
        }
        if !topics.is_empty() && !cluster.changes.is_empty() {
            self.lines.push(String::new());
        }
        for (topic, texts) in topics {
            self.wrapped("  ", &format!("{topic}: "), &texts.join("; "));
        }
    }

    fn blockers(&self, of: impl Fn(&Blocker) -> bool) -> Vec<Alike<'a>> {
        let changing = self.plan.clusters.iter().flat_map(|cluster| &cluster.nodes.changing).collect();
        Alike::group(self.plan.blockers.iter().filter(|blocker| of(blocker)), &changing)
    }

    fn blocker(&mut self, group: &Alike<'_>) {
        let Blocker { code, details, hints, .. } = group.first;
        self.wrapped("  ! ", "", &format!("{}  ({})", group.sentence(), code.word()));
        self.lines.extend(details.iter().map(|detail| format!("        {detail}")));
        self.lines.extend(hints.iter().map(|hint| format!("    {hint}")));
        if group.hints_differ {
            self.lines.push("    and likewise for the others".to_owned());
        }
    }

    fn unknown(&mut self, cluster: &ClusterPlan) {
        for (nodes, why) in self.plan.unknown(cluster) {
            let is = if nodes.len() == 1 { "is" } else { "are" };
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            self.wrapped("  ? ", "", &format!("{} {is} unknown{why}", collapse(nodes)));
        }
    }

    fn left_out(&mut self, cluster: &ClusterPlan) {
        let lists = &cluster.nodes;
        let said = self.about(cluster) == NOT_SELECTED;
        for (nodes, why) in [(&lists.out, "marked out in the inventory"), (&lists.left_out, NOT_SELECTED)] {
            let is_said = said && why == NOT_SELECTED;
            if !nodes.is_empty() && !is_said {
                self.wrapped("  . ", "", &format!("{}: {why}", brief(nodes, COLUMNS / 2)));
            }
        }
    }

    /// What belongs to no cluster.
    fn rest(&mut self) {
        let all: BTreeSet<&NodeName> = self.plan.clusters.iter().flat_map(members).collect();
        let homeless = |blocker: &Blocker| matches!(&blocker.scope, Scope::Node { node } if !all.contains(node));
        let blockers = self.blockers(homeless);
        let notes: Vec<&Note> = self.plan.notes.iter().filter(|note| note.nodes.is_empty()).collect();
        if !blockers.is_empty() || !notes.is_empty() {
            self.lines.push(String::new());
        }
        for group in blockers {
            self.blocker(&group);
        }
        for note in notes {
            self.wrapped("  ", &format!("{}: ", note.topic), &note.text);
        }
    }

    fn summary(&mut self) {
        let plan = self.plan;
        let sum = |of: fn(&ClusterPlan) -> usize| plan.clusters.iter().map(of).sum::<usize>();
        let changing = sum(|cluster| cluster.nodes.changing.len());
        self.lines.push(String::new());
        let first = match changing {
            0 if !plan.is_empty() => "No node to change.".to_owned(),
            0 => "Nothing to change.".to_owned(),
            some => format!("{} to change, {}.", count(some, "node"), count(plan.reloads(), "reload")),
        };
        let rest = tally(
            sum(|cluster| cluster.nodes.blocked.len()),
            sum(|cluster| cluster.nodes.unknown.len()),
            sum(|cluster| cluster.nodes.in_line.len()),
            plan.clusters.iter().map(|cluster| plan.not_chosen(cluster)).sum(),
        );
        self.lines.push(if rest.is_empty() { first } else { format!("{first} {rest}.") });
        let left = plan.left_alone().len();
        if left > 0 {
            self.lines.push(format!("{} left alone, see above.", count(left, "plugin")));
        }
        let held = plan.held().len();
        if held > 0 {
            self.lines.push(format!("{} held, see above.", count(held, "removal")));
        }
        if let Some(command) = self.command.filter(|_| !plan.is_empty()) {
            // Not wrapped: it is to be copied.
            self.lines.push(format!("Carry it out:  {command}"));
        }
    }

    /// A paragraph whose second and further lines stand below the first one's text.
    fn wrapped(&mut self, indent: &str, begin: &str, text: &str) {
        let hang = " ".repeat(width(indent) + if begin.is_empty() { 0 } else { 2 });
        for (number, line) in wrap(&format!("{begin}{text}"), COLUMNS - width(&hang)).iter().enumerate() {
            self.lines.push(format!("{}{line}", if number == 0 { indent } else { &hang }));
        }
    }
}

fn place(at: At<'_>) -> String {
    match at {
        At::Nowhere => "none".to_owned(),
        At::Once => "once".to_owned(),
        At::Nodes(nodes) => brief(nodes, NODES),
    }
}

/// Whether a removal is the one that a change speaks of.
fn is_of(removal: &Removal, change: &Change) -> bool {
    change.kind == ChangeKind::Remove && removal.name == change.name
}

/// What becomes of the nodes that do not change.
fn tally(blocked: usize, unknown: usize, in_line: usize, not_chosen: usize) -> String {
    let in_line = in_line - not_chosen;
    parts(&[
        (blocked, "blocked"),
        (unknown, "unknown"),
        (in_line, "in line"),
        (not_chosen, "in line for the chosen plugins"),
    ])
}

/// `request-tag 1.4.0`, `acme-auth 2.0.3 > 2.1.0`.
fn named(change: &Change) -> String {
    let name = &change.name;
    match (&change.from, &change.to) {
        (Some(from), Some(to)) if from != to => format!("{name} {from} > {to}"),
        (_, Some(to)) => format!("{name} {to}"),
        (Some(from), None) => format!("{name} {from}"),
        (None, None) => name.clone(),
    }
}

/// All nodes of a cluster that the plan speaks of.
fn members(cluster: &ClusterPlan) -> BTreeSet<&NodeName> {
    let lists = &cluster.nodes;
    [&lists.changing, &lists.in_line, &lists.blocked, &lists.unknown, &lists.out, &lists.left_out]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
