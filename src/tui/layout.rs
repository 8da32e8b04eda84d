//! Where things are on each screen; used for drawing, and to know how many rows a page has.

use ratatui::layout::{Rect, Size};

use super::keymap::Place;

/// The smallest terminal on which the screens can be read.
pub(super) const LEAST: Size = Size { width: 60, height: 15 };

/// Whether a terminal is too small to show the screens: nothing is done then that its operator could not see.
pub(super) const fn is_too_small(size: Size) -> bool {
    size.width < LEAST.width || size.height < LEAST.height
}

/// The parts of a screen, from top to bottom. A rule lies under `head` and above `pane` and `foot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Areas {
    /// What it is about: one line, two on the run screen, three in a replay.
    pub head: Rect,
    /// The names of the columns, where there are columns.
    pub columns: Rect,
    /// The list.
    pub body: Rect,
    /// More about what is under the cursor; empty on screens without.
    pub pane: Rect,
    /// The keys.
    pub foot: Rect,
}

impl Areas {
    /// Where the rules lie.
    pub(super) fn rules(&self) -> impl Iterator<Item = u16> + use<> {
        let pane = (self.pane.height > 0).then(|| self.pane.y.saturating_sub(1));
        [Some(self.head.bottom()), pane, Some(self.foot.y.saturating_sub(1))].into_iter().flatten()
    }
}

/// The parts of a screen of this size.
pub(super) fn areas(size: Size, place: Place) -> Areas {
    let (head, columns, pane) = match place {
        Place::Fleet | Place::Runs => (1, 1, pane_height(size)),
        Place::Run => (2, 1, pane_height(size)),
        Place::Replay => (3, 1, pane_height(size)),
        Place::Plan
        | Place::PastPlan
        | Place::Node
        | Place::Diff
        | Place::ErrorLog
        | Place::Help
        | Place::Log
        | Place::Ticket => (1, 0, 0),
    };
    let row = |y: u16, height: u16| Rect::new(0, y, size.width, height);
    let foot = row(size.height.saturating_sub(1), 1.min(size.height));
    let pane_top = foot.y.saturating_sub(1).saturating_sub(pane);
    let body_top = head + 1 + columns;
    let body_end = if pane > 0 { pane_top.saturating_sub(1) } else { pane_top };
    Areas {
        head: row(0, head),
        columns: row(head + 1, columns),
        body: row(body_top, body_end.saturating_sub(body_top)),
        pane: row(pane_top, pane),
        foot,
    }
}

fn pane_height(size: Size) -> u16 {
    (size.height / 4).clamp(3, 12)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_screen_of_24_lines_has_room_for_rows_and_for_details() {
        let areas = areas(Size::new(80, 24), Place::Fleet);
        assert_eq!((areas.body.y, areas.body.height, areas.pane.height), (3, 12, 6));
        assert_eq!(areas.rules().collect::<Vec<_>>(), [1, 15, 22]);
    }

    proptest! {
        #[test]
        fn no_part_lies_on_another_or_outside(width in 60u16..300, height in 15u16..100, place in 0usize..Place::ALL.len()) {
            let areas = areas(Size::new(width, height), Place::ALL[place]);
            let mut taken = vec![0u8; usize::from(height)];
            let parts = [areas.head, areas.columns, areas.body, areas.pane, areas.foot];
            for y in parts.iter().flat_map(|part| part.y..part.bottom()).chain(areas.rules()) {
                taken[usize::from(y)] += 1;
            }
            prop_assert!(taken.iter().all(|lines| *lines == 1), "{areas:?} {taken:?}");
            prop_assert!(areas.body.height >= 4);
        }
    }
}
