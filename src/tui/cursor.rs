//! A place in a list, and the part of the list that is seen.

use std::ops::Range;

/// A place in a list that scrolls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The row that it is on.
    pub at: usize,
    top: usize,
}

/// A movement of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// By so many rows; negative is up.
    By(isize),
    /// By so many pages.
    Pages(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

impl Cursor {
    /// Moves in a list of `rows`, of which `height` are seen.
    pub fn step(&mut self, step: Step, rows: usize, height: usize) {
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        self.at = match step {
            Step::By(by) => self.at.saturating_add_signed(by),
            Step::Pages(pages) => self.at.saturating_add_signed(pages.saturating_mul(page)),
            Step::First => 0,
            Step::Last => rows,
        };
        self.settle(rows, height);
    }

    /// Brings it back into a list whose length or whose height on the screen changed.
    pub fn settle(&mut self, rows: usize, height: usize) {
        self.at = self.at.min(rows.saturating_sub(1));
        self.top = self.window(rows, height).start;
    }

    /// The rows that are seen: `height` of them at most, always with the cursor among them.
    pub fn window(&self, rows: usize, height: usize) -> Range<usize> {
        let at = self.at.min(rows.saturating_sub(1));
        let lowest = (at + 1).saturating_sub(height);
        let top = self.top.clamp(lowest, at.max(lowest)).min(rows.saturating_sub(height));
        top..rows.min(top + height)
    }

    /// Moves in a text that has no rows to choose from: what is seen moves, and the cursor is its first line.
    pub fn scroll(&mut self, step: Step, rows: usize, height: usize) {
        let last = rows.saturating_sub(height);
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        self.top = match step {
            Step::By(by) => self.top.saturating_add_signed(by),
            Step::Pages(pages) => self.top.saturating_add_signed(pages.saturating_mul(page)),
            Step::First => 0,
            Step::Last => last,
        }
        .min(last);
        self.at = self.top;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_follows_the_cursor_and_not_before_it_must() {
        let mut cursor = Cursor::default();
        cursor.step(Step::By(4), 100, 5);
        assert_eq!((cursor.at, cursor.window(100, 5)), (4, 0..5));
        cursor.step(Step::By(1), 100, 5);
        assert_eq!((cursor.at, cursor.window(100, 5)), (5, 1..6));
        cursor.step(Step::By(-3), 100, 5);
        assert_eq!((cursor.at, cursor.window(100, 5)), (2, 1..6));
        cursor.step(Step::Last, 100, 5);
        assert_eq!((cursor.at, cursor.window(100, 5)), (99, 95..100));
    }

    #[test]
    fn a_text_scrolls_to_its_last_page_and_no_further() {
        let mut cursor = Cursor::default();
        cursor.scroll(Step::By(99), 12, 10);
        assert_eq!(cursor.window(12, 10), 2..12);
        cursor.scroll(Step::First, 12, 10);
        assert_eq!(cursor.window(12, 10), 0..10);
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            (-7isize..7).prop_map(Step::By),
            (-2isize..3).prop_map(Step::Pages),
            Just(Step::First),
            Just(Step::Last)
        ]
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_seen(moves in prop::collection::vec((steps(), 0usize..40, 0usize..12), 0..30)) {
            let mut cursor = Cursor::default();
            for (step, rows, height) in moves {
                cursor.step(step, rows, height);
                let window = cursor.window(rows, height);
                prop_assert!(window.end <= rows && window.len() <= height);
                prop_assert!(rows == 0 || height == 0 || window.contains(&cursor.at), "{cursor:?} {window:?}");
                prop_assert!(window.len() == height.min(rows), "no empty rows while there is more to see");
            }
        }
    }
}
