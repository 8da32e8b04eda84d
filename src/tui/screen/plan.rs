//! The plan screen: its rows and lines, made once for a plan, a width and what is folded, and the cursor among them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Source;
use crate::name::{ClusterName, NodeName};
use crate::plan::{Allow, BlockerCode, Change, ChangeKind, Plan, Scope};
use crate::tui::cursor::Cursor;
use crate::tui::edits::LeftOut;
use crate::tui::text::TextLine;

/// What a row is about: the same in the plan that is made after an edit, so that folding and the cursor stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// A cluster.
    Cluster(ClusterName),
    /// A change: kind, name, the version that will be there, and what tells it from another of the same.
    Change(ClusterName, ChangeKind, String, Option<String>, String),
    /// The steps of a cluster, in order.
    Steps(ClusterName),
    /// One phase of them, by its name: a wave, the deliveries.
    Phase(ClusterName, String),
    /// Nodes that are alike, by the first of them, below another row.
    Alike(Arc<RowKey>, NodeName),
    /// One of these nodes.
    Node(Arc<RowKey>, NodeName),
    /// What stands in the way.
    Blocker(BlockerCode, Scope),
    /// What is to be known of a cluster.
    Notes(ClusterName),
    /// Something that the operator left out.
    LeftOut(LeftOut),
    /// A blocker that the operator lifted.
    Lifted(Allow),
}

impl RowKey {
    /// Whether what is below it is shown before anybody folds: what is lost and what stands in the way.
    pub const fn begins_open(&self) -> bool {
        matches!(self, Self::Cluster(_) | Self::Blocker(..) | Self::Notes(_) | Self::Change(_, ChangeKind::Remove, ..))
    }
}

impl RowKey {
    /// The row that some nodes stand below.
    fn under(&self) -> Option<&Self> {
        match self {
            Self::Alike(under, _) | Self::Node(under, _) => Some(under),
            _ => None,
        }
    }
}

/// What can be lifted: the code, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liftable {
    /// Which blocker.
    pub code: BlockerCode,
    /// On these nodes, each for itself; empty where it is not about nodes.
    pub nodes: Vec<NodeName>,
    /// What it stops.
    pub scope: Scope,
}

/// A row of the plan screen: a place for the cursor, with one line or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// What it is about.
    pub key: RowKey,
    /// It has something below it that can be folded away.
    pub folds: bool,
    /// The change that it is of: its cluster and its place there.
    pub change: Option<(usize, usize)>,
    /// What can be left out here, or taken in again.
    pub out: Option<LeftOut>,
    /// What stands in the way here.
    pub blocker: Option<Liftable>,
}

impl PlanRow {
    /// A row with nothing to do on it.
    pub const fn of(key: RowKey) -> Self {
        Self { key, folds: false, change: None, out: None, blocker: None }
    }
}

/// A line of the plan screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLine {
    /// What it says.
    pub text: TextLine,
    /// The row that it belongs to.
    pub row: Option<usize>,
}

/// All that the screen shows, laid out.
#[derive(Debug, Clone, Default)]
pub struct PlanText {
    /// The lines.
    pub lines: Vec<PlanLine>,
    /// The rows.
    pub rows: Vec<PlanRow>,
}

/// What the plan screen knows.
#[derive(Debug, Clone, Default)]
pub struct PlanScreen {
    /// Which plan it shows: the one that can be applied, or that of the recording.
    pub source: Source,
    /// What it shows.
    pub text: PlanText,
    /// Where the cursor is among the lines.
    pub cursor: Cursor,
    /// The rows that are not as they begin: folded away, or unfolded.
    pub turned: BTreeSet<RowKey>,
}

/// Whether what is below a row is shown.
pub(crate) fn is_open(turned: &BTreeSet<RowKey>, key: &RowKey) -> bool {
    key.begins_open() != turned.contains(key)
}

impl PlanScreen {
    /// Takes new lines in, after a new plan or a new width; the cursor stays on its row, where that row is still there, and on
    /// the same line of it.
    pub fn set_text(&mut self, text: PlanText, height: usize) {
        let before = self.row().map(|row| (row.key.clone(), self.cursor.at - self.first_line(self.cursor.at)));
        self.text = text;
        if let Some((key, below)) = before {
            if let Some(first) = self.line_of(&key) {
                let row = self.text.lines[first].row;
                let all = self.text.lines[first..].iter().take_while(|line| line.row == row).count();
                self.cursor.at = first + below.min(all.saturating_sub(1));
            } else if let Some(above) = key.under().and_then(|key| self.line_of(key)) {
                // A node that was left out is gone; the next one stands below the same row.
                self.cursor.at = above;
            }
        }
        self.cursor.settle(self.text.lines.len(), height);
    }

    /// The first line of the row that a line is of.
    fn first_line(&self, at: usize) -> usize {
        let row = self.text.lines.get(at).and_then(|line| line.row);
        self.text.lines[..at].iter().rposition(|line| line.row != row).map_or(0, |before| before + 1)
    }

    /// The first line of a row.
    fn line_of(&self, key: &RowKey) -> Option<usize> {
        let row = self.text.rows.iter().position(|row| row.key == *key)?;
        self.text.lines.iter().position(|line| line.row == Some(row))
    }

    /// The cursor on the first line that something can be done with.
    pub fn go_to_first_change(&mut self, height: usize) {
        let is_change = |line: &PlanLine| line.row.is_some_and(|row| self.text.rows[row].change.is_some());
        let first = self.text.lines.iter().position(is_change);
        let first = first.or_else(|| self.text.lines.iter().position(|line| line.row.is_some()));
        if let Some(at) = first {
            self.cursor = Cursor::default();
            self.cursor.at = at;
            self.cursor.settle(self.text.lines.len(), height);
        }
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<&PlanRow> {
        self.text.rows.get(self.text.lines.get(self.cursor.at)?.row?)
    }

    /// Folds or unfolds the row under the cursor, which goes to its first line; false if there is nothing to fold. The lines
    /// have to be made anew.
    pub fn fold(&mut self) -> bool {
        let Some(key) = self.row().filter(|row| row.folds).map(|row| row.key.clone()) else { return false };
        if !self.turned.remove(&key) {
            self.turned.insert(key);
        }
        self.cursor.at = self.first_line(self.cursor.at);
        true
    }

    /// To the next thing that stands in the way, round the end.
    pub fn next_blocker(&mut self, height: usize) -> bool {
        let lines = &self.text.lines;
        let here = lines.get(self.cursor.at).and_then(|line| line.row);
        let is_one = |at: &usize| {
            let row = lines[*at].row;
            let first = *at == 0 || lines[*at - 1].row != row;
            first && row != here && row.is_some_and(|row| self.text.rows[row].blocker.is_some())
        };
        let found = (1..=lines.len()).map(|by| (self.cursor.at + by) % lines.len().max(1)).find(is_one);
        if let Some(at) = found {
            self.cursor.at = at;
            self.cursor.settle(self.text.lines.len(), height);
        }
        found.is_some() || self.row().is_some_and(|row| row.blocker.is_some())
    }

    /// The change under the cursor.
    pub fn change<'a>(&self, plan: &'a Plan) -> Option<&'a Change> {
        let (cluster, change) = self.row()?.change?;
        plan.clusters.get(cluster)?.changes.get(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::look::Tone;

    fn cluster(name: &str) -> RowKey {
        RowKey::Cluster(ClusterName::parse(name).unwrap())
    }

    /// Rows with so many lines each, a blank line behind each.
    fn text(rows: &[(&str, usize)]) -> PlanText {
        let mut text = PlanText::default();
        for (at, (name, lines)) in rows.iter().enumerate() {
            let mut row = PlanRow::of(cluster(name));
            row.folds = true;
            if name.starts_with('b') {
                let scope = Scope::Run;
                row.blocker = Some(Liftable { code: BlockerCode::AfterCluster, nodes: Vec::new(), scope });
            }
            text.rows.push(row);
            let line = |row| PlanLine { text: TextLine::new(Tone::Plain, name), row };
            text.lines.extend(std::iter::repeat_n(line(Some(at)), *lines));
            text.lines.push(line(None));
        }
        text
    }

    fn screen(rows: &[(&str, usize)], at: usize) -> PlanScreen {
        let mut screen = PlanScreen { text: text(rows), ..PlanScreen::default() };
        screen.cursor.at = at;
        screen
    }

    #[test]
    fn the_cursor_stays_on_its_row_when_the_plan_is_made_anew() {
        let mut screen = screen(&[("a", 2), ("c", 3), ("d", 1)], 4);
        assert_eq!(screen.row().unwrap().key, cluster("c"));
        screen.set_text(text(&[("x", 1), ("a", 2), ("c", 3)]), 20);
        assert_eq!((screen.row().unwrap().key.clone(), screen.cursor.at), (cluster("c"), 6));
        screen.set_text(text(&[("c", 1)]), 20);
        assert_eq!(screen.cursor.at, 0, "the row has fewer lines now");
        screen.set_text(text(&[("e", 1), ("f", 1)]), 20);
        assert!(screen.cursor.at < 4);
    }

    #[test]
    fn the_cursor_of_a_node_that_is_gone_goes_to_what_it_stood_below() {
        let mut screen = screen(&[("a", 1), ("c", 2), ("d", 1)], 5);
        let gone = RowKey::Node(Arc::new(cluster("c")), NodeName::parse("eu-1").unwrap());
        screen.text.rows[2].key = gone;
        screen.set_text(text(&[("x", 3), ("c", 2), ("d", 1)]), 20);
        assert_eq!((screen.row().unwrap().key.clone(), screen.cursor.at), (cluster("c"), 4));
    }

    #[test]
    fn folding_goes_to_the_first_line_of_the_row_and_is_kept_by_what_it_is_about() {
        let mut screen = screen(&[("a", 1), ("c", 3)], 4);
        assert!(screen.fold());
        assert_eq!(screen.cursor.at, 2);
        assert!(!is_open(&screen.turned, &cluster("c")) && is_open(&screen.turned, &cluster("a")));
        assert!(screen.fold());
        assert!(is_open(&screen.turned, &cluster("c")));
        screen.cursor.at = 1;
        assert!(!screen.fold(), "no row is there");
    }

    #[test]
    fn the_next_blocker_is_found_round_the_end() {
        let mut screen = screen(&[("a", 1), ("b1", 3), ("c", 1), ("b2", 1)], 0);
        for line in [2, 8, 2] {
            assert!(screen.next_blocker(20));
            assert_eq!(screen.cursor.at, line);
        }
        let mut only = PlanScreen { text: text(&[("a", 2)]), ..PlanScreen::default() };
        assert!(!only.next_blocker(20));
        let mut here = PlanScreen { text: text(&[("b", 2)]), ..PlanScreen::default() };
        assert!(here.next_blocker(20), "the only one is under the cursor");
    }
}
