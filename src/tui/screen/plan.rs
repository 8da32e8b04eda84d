//! The plan screen: its lines, made once for a plan and a width, and the cursor among them.

use std::collections::BTreeSet;

use super::Source;
use crate::plan::{Change, Plan};
use crate::tui::cursor::Cursor;
use crate::tui::text::TextLine;

/// A line of the plan screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLine {
    /// What it says.
    pub text: TextLine,
    /// The change that it belongs to: its cluster and its place there.
    pub change: Option<(usize, usize)>,
}

/// What the plan screen knows.
#[derive(Debug, Clone, Default)]
pub struct PlanScreen {
    /// Which plan it shows: the one that can be applied, or that of the recording.
    pub source: Source,
    /// The lines.
    pub lines: Vec<PlanLine>,
    /// Where the cursor is among them.
    pub cursor: Cursor,
    /// The removals of which only the first line is shown: their cluster and their place there.
    pub folded: BTreeSet<(usize, usize)>,
}

impl PlanScreen {
    /// Takes new lines in, after a new plan or a new width.
    pub fn set_lines(&mut self, lines: Vec<PlanLine>, height: usize) {
        self.lines = lines;
        self.cursor.settle(self.lines.len(), height);
    }

    /// The cursor on the first line that belongs to a change.
    pub fn go_to_first_change(&mut self, height: usize) {
        if let Some(at) = self.lines.iter().position(|line| line.change.is_some()) {
            self.cursor = Cursor::default();
            self.cursor.at = at;
            self.cursor.settle(self.lines.len(), height);
        }
    }

    /// Folds or unfolds a removal; the cursor goes to its first line. The lines have to be made anew.
    pub fn fold(&mut self, change: (usize, usize)) {
        if !self.folded.remove(&change) {
            self.folded.insert(change);
        }
        self.cursor.at = self.lines.iter().position(|line| line.change == Some(change)).unwrap_or(self.cursor.at);
    }

    /// The change under the cursor.
    pub fn change<'a>(&self, plan: &'a Plan) -> Option<&'a Change> {
        let (cluster, change) = self.lines.get(self.cursor.at)?.change?;
        plan.clusters.get(cluster)?.changes.get(change)
    }
}
