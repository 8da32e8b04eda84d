//! What the operator changed about the plan, at its top; and at its end what it comes to, with the same on the command line.

use std::sync::Arc;

use super::Composer;
use crate::name::NodeName;
use crate::plan::{ClusterPlan, Removal};
use crate::tui::edits::LeftOut;
use crate::tui::look::Tone;
use crate::tui::screen::{PlanRow, RowKey};
use crate::tui::shown::count;
use crate::tui::text::TextLine;

const TAKES_IN: &str = "left out by you (space takes it in)";

impl Composer<'_> {
    /// A plan that is not the whole of it says so before anything else but the danger.
    pub(super) fn edited(&mut self) {
        let edits = &self.from.edits;
        let Some(words) = edits.words() else { return };
        self.sheet.plain([TextLine::new(Tone::Change, &format!("edited by you: {words}"))]);
        for cluster in &edits.clusters {
            self.out(&LeftOut::Cluster(cluster.clone()), TAKES_IN);
        }
        for name in &edits.plugins {
            self.out(&LeftOut::Plugin(name.clone()), "left out of every cluster by you (space takes it in)");
        }
        if !edits.nodes.is_empty() {
            self.out(&LeftOut::Nodes(edits.nodes.iter().cloned().collect()), TAKES_IN);
        }
        for allow in &edits.allow {
            let mut row = PlanRow::of(RowKey::Lifted(allow.clone()));
            let place = allow.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            row.out = None;
            let lead = TextLine::new(Tone::Bad, "    ! ");
            let words = format!("{}{place}: lifted by you (l takes it back)", allow.code.word());
            let lines = self.hanging(&lead, Tone::Bad, &words);
            self.sheet.row(row, lines);
        }
        self.sheet.blank();
    }

    fn out(&mut self, what: &LeftOut, words: &str) {
        let nodes: Vec<NodeName> = match what {
            LeftOut::Nodes(nodes) => nodes.clone(),
            LeftOut::Cluster(_) | LeftOut::Plugin(_) => Vec::new(),
        };
        // By kind: which nodes are out changes with every key.
        let key = match what {
            LeftOut::Nodes(_) => RowKey::LeftOut(LeftOut::Nodes(Vec::new())),
            LeftOut::Cluster(_) | LeftOut::Plugin(_) => RowKey::LeftOut(what.clone()),
        };
        let mut row = PlanRow::of(key.clone());
        (row.folds, row.out) = (nodes.len() > 1, Some(what.clone()));
        let lead = TextLine::new(Tone::Faint, &format!("  {} ", self.marker(&row))).with(Tone::Unknown, ". ");
        let lines = self.hanging(&lead, Tone::Unknown, &format!("{}: {words}", what.words()));
        let open = row.folds && self.is_open(&key);
        self.sheet.row(row, lines);
        if open {
            self.each_node(&Arc::new(key), None, &nodes, (8, true));
        }
    }

    pub(super) fn totals(&mut self) {
        let words = self.sums();
        let lines = self.hanging(&TextLine::default(), Tone::Head, &words);
        self.sheet.plain(lines);
        let next = if self.is_past {
            "This is what was planned then; esc goes back to what came of it"
        } else if self.plan.is_empty() {
            "Nothing has been changed, and there is nothing to apply"
        } else if self.is_read_only {
            "Nothing has been changed; started read-only: it cannot be applied here"
        } else {
            "Nothing has been changed. a applies exactly this"
        };
        self.sheet.plain([TextLine::new(Tone::Plain, next)]);
        if !self.is_past {
            self.equal();
        }
    }

    fn sums(&self) -> String {
        let sum = |list: fn(&ClusterPlan) -> usize| self.plan.clusters.iter().map(list).sum::<usize>();
        let (changing, in_line) = (sum(|c| c.nodes.changing.len()), sum(|c| c.nodes.in_line.len()));
        let (blocked, unknown) = (sum(|c| c.nodes.blocked.len()), sum(|c| c.nodes.unknown.len()));
        let not_chosen = self.plan.clusters.iter().map(|cluster| self.plan.not_chosen(cluster)).sum::<usize>();
        let others = [
            (blocked, "blocked"),
            (unknown, "unknown"),
            (in_line - not_chosen, "in line"),
            (not_chosen, "in line for the chosen plugins"),
        ];
        let others = others.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
        let left = self.plan.left_alone().len();
        let others = others.chain((left > 0).then(|| format!("{} left alone", count(left, "plugin"))));
        let held = self.plan.held().len();
        let others = others.chain((held > 0).then(|| format!("{} held", count(held, "removal"))));
        let rows: usize = self.plan.clusters.iter().flat_map(|c| &c.removals).map(Removal::withdraws).sum();
        let rows = (rows > 0).then(|| format!("{} un-applied", count(rows, "row")));
        let first = [format!("{} to change", count(changing, "node")), count(self.plan.reloads(), "reload")];
        first.into_iter().chain(rows).chain(others).collect::<Vec<_>>().join(", ")
    }

    /// The same on the command line.
    fn equal(&mut self) {
        let equal = &self.from.equal;
        if equal.plan.is_empty() {
            return;
        }
        let lead = TextLine::new(Tone::Faint, "the same:      ");
        let mut lines = self.hanging(&lead, Tone::Plain, &equal.plan);
        if !self.plan.is_empty() {
            let lead = TextLine::new(Tone::Faint, "carry it out:  ");
            lines.extend(self.hanging(&lead, Tone::Plain, &equal.apply));
        }
        self.sheet.plain(lines);
    }
}
