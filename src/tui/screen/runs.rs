//! The screen of the recorded runs: which of them are shown, and which the cursor is on.

use crate::name::RunId;
use crate::run::Recorded;
use crate::tui::cursor::{Cursor, Step};

/// What the screen of the recorded runs knows.
#[derive(Debug, Clone, Default)]
pub struct RunsScreen {
    /// Where the cursor is among `rows`.
    pub cursor: Cursor,
    /// The runs that are shown, by their place among all.
    pub rows: Vec<usize>,
    /// What was typed to show only some.
    pub filter: String,
}

impl RunsScreen {
    /// Takes in the runs that there are; the cursor goes to this one, if it is still shown.
    pub fn lay_out(&mut self, runs: &[Recorded], at: Option<&RunId>, height: usize) {
        let wanted = self.filter.trim().to_lowercase();
        self.rows = (0..runs.len()).filter(|run| wanted.is_empty() || words(&runs[*run]).contains(&wanted)).collect();
        if let Some(place) = at.and_then(|at| self.rows.iter().position(|row| runs[*row].run == *at)) {
            self.cursor.at = place;
        }
        self.cursor.settle(self.rows.len(), height);
    }

    /// The run under the cursor.
    pub fn row<'a>(&self, runs: &'a [Recorded]) -> Option<&'a Recorded> {
        runs.get(*self.rows.get(self.cursor.at)?)
    }

    /// To the next run that did not end well, round the end.
    pub fn next_trouble(&mut self, runs: &[Recorded], height: usize) -> bool {
        let rows = self.rows.len();
        let is_trouble = |at: &usize| runs.get(self.rows[*at]).is_some_and(|run| run.came.is_trouble());
        let next = (1..=rows).map(|by| (self.cursor.at + by) % rows.max(1)).find(is_trouble);
        if let Some(at) = next {
            self.cursor.at = at;
            self.cursor.step(Step::By(0), rows, height);
        }
        next.is_some()
    }
}

/// All that stands in the columns of a run, for the filter.
fn words(run: &Recorded) -> String {
    let mut words =
        vec![run.run.to_string(), run.began.strftime("%Y-%m-%d %H:%M").to_string(), run.came.word().to_owned()];
    if let Some(about) = &run.about {
        words.extend([
            about.operator.clone(),
            about.repository.clone(),
            about.revision.to_string(),
            about.summary.clone(),
        ]);
        words.extend(about.clusters.iter().map(ToString::to_string));
    }
    words.join("\n").to_lowercase()
}
