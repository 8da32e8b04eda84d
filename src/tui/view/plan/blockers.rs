//! What stands in the way of a plan: what is true of many nodes is said once, with what to do, and how it is lifted.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Composer;
use crate::hint::Hint;
use crate::name::NodeName;
use crate::plan::{Alike, Blocker, Scope};
use crate::tui::edits::LeftOut;
use crate::tui::look::Tone;
use crate::tui::screen::{Liftable, PlanRow, RowKey};
use crate::tui::shown::count;
use crate::tui::text::TextLine;

impl<'a> Composer<'a> {
    /// Some blockers.
    pub(super) fn blockers(&mut self, blockers: &[&'a Blocker]) {
        let changing: BTreeSet<&NodeName> = self.plan.clusters.iter().flat_map(|c| &c.nodes.changing).collect();
        for group in Alike::group(blockers.iter().copied(), &changing) {
            self.blocker(&group);
        }
    }

    fn blocker(&mut self, group: &Alike<'_>) {
        let blocker = group.first;
        let mut row = PlanRow::of(RowKey::Blocker(blocker.code, blocker.scope.clone()));
        row.folds = true;
        row.out = match &blocker.scope {
            Scope::Run => None,
            Scope::Cluster { cluster } => Some(LeftOut::Cluster(cluster.clone())),
            Scope::Plugin { name, .. } => Some(LeftOut::Plugin(name.clone())),
            Scope::Node { .. } => Some(LeftOut::Nodes(group.nodes.clone())),
        };
        let liftable = Liftable { code: blocker.code, nodes: group.nodes.clone(), scope: blocker.scope.clone() };
        row.blocker = Some(liftable.clone());
        let about = match &blocker.scope {
            Scope::Run => "the run is blocked: ".to_owned(),
            Scope::Cluster { cluster } => format!("{cluster} is left alone: "),
            Scope::Plugin { .. } | Scope::Node { .. } => String::new(),
        };
        let lead = TextLine::new(Tone::Faint, &format!("  {} ", self.marker(&row))).with(Tone::Bad, "! ");
        let mut lines = self.hanging(&lead, Tone::Bad, &format!("{about}{}", group.sentence()));
        let key = row.key.clone();
        let open = self.is_open(&key);
        if open {
            lines.extend(self.fixes(group));
        }
        self.sheet.row(row, lines);
        if open && group.nodes.len() > 1 {
            self.blocked_nodes(&key.into(), group, &liftable);
        }
    }

    /// What was found, and what to do.
    fn fixes(&self, group: &Alike<'_>) -> Vec<TextLine> {
        let blocker = group.first;
        let indent = TextLine::new(Tone::Plain, "        ");
        let mut lines: Vec<TextLine> =
            blocker.details.iter().flat_map(|line| self.hanging(&indent, Tone::Plain, line)).collect();
        lines.extend(blocker.hints.iter().flat_map(|hint| self.hint(hint)));
        if group.hints_differ {
            lines.push(TextLine::new(Tone::Plain, "        and likewise for the others"));
        }
        let word = blocker.code.word();
        if !blocker.code.can_be_allowed() {
            lines.push(TextLine::new(Tone::Faint, &format!("        ({word})")));
            return lines;
        }
        let node = match &blocker.scope {
            Scope::Node { node } => format!("={node}"),
            Scope::Run | Scope::Cluster { .. } | Scope::Plugin { .. } => String::new(),
        };
        let allow = format!("--allow {word}{node}");
        let is_said = |hint: &Hint| matches!(hint, Hint::Type(command) if command.contains(&allow));
        if !blocker.hints.iter().any(is_said) {
            lines.extend(self.hint(&Hint::type_(format!("muster --plan {allow}"))));
        }
        let lead = TextLine::new(Tone::Faint, &format!("        ({word})  "));
        lines.extend(self.hanging(&lead, Tone::Head, "l lifts it; asks first"));
        lines
    }

    fn hint(&self, hint: &Hint) -> Vec<TextLine> {
        self.hanging(&TextLine::new(Tone::Head, "        what to do  "), Tone::Plain, &hint.to_string())
    }

    /// The nodes of a blocker that stands on several, to lift it or to leave them out one by one.
    fn blocked_nodes(&mut self, under: &Arc<RowKey>, group: &Alike<'_>, liftable: &Liftable) {
        let Some(first) = group.nodes.first() else { return };
        let mut row = PlanRow::of(RowKey::Alike(Arc::clone(under), first.clone()));
        (row.folds, row.out) = (true, Some(LeftOut::Nodes(group.nodes.clone())));
        let words = format!("      {} {}, one by one", self.marker(&row), count(group.nodes.len(), "node"));
        let open = self.is_open(&row.key);
        self.sheet.row(row, vec![TextLine::new(Tone::Faint, &words)]);
        if !open {
            return;
        }
        for node in &group.nodes {
            let mut row = PlanRow::of(RowKey::Node(Arc::clone(under), node.clone()));
            row.out = Some(LeftOut::Nodes(vec![node.clone()]));
            let (nodes, scope) = (vec![node.clone()], Scope::Node { node: node.clone() });
            row.blocker = Some(Liftable { code: liftable.code, nodes, scope });
            self.sheet.row(row, vec![TextLine::new(Tone::Plain, &format!("          {node}"))]);
        }
    }
}
