//! Lines and rows of the plan screen, as they are laid out one below the other.

use crate::tui::screen::{PlanLine, PlanRow, PlanText};
use crate::tui::text::TextLine;

/// A screen that is being laid out.
#[derive(Default)]
pub(super) struct Sheet(PlanText);

impl Sheet {
    /// Lines that belong to nothing.
    pub(super) fn plain(&mut self, lines: impl IntoIterator<Item = TextLine>) {
        self.0.lines.extend(lines.into_iter().map(|text| PlanLine { text, row: None }));
    }

    /// An empty line; never two.
    pub(super) fn blank(&mut self) {
        if self.0.lines.last().is_some_and(|line| line.text.parts.is_empty()) {
            return;
        }
        self.plain([TextLine::default()]);
    }

    /// A row with its lines.
    pub(super) fn row(&mut self, row: PlanRow, lines: Vec<TextLine>) {
        let at = self.0.rows.len();
        self.0.rows.push(row);
        self.0.lines.extend(lines.into_iter().map(|text| PlanLine { text, row: Some(at) }));
    }

    pub(super) fn done(self) -> PlanText {
        self.0
    }
}
