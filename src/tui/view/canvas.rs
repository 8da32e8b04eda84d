//! The few things that all screens draw with.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};

use crate::tui::look::{Look, Tone};
use crate::tui::shown::{clip, width};
use crate::tui::text::TextLine;

/// A buffer, and how things look on it.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    pub(super) look: Look,
}

/// A number of columns or rows as the terminal counts them.
pub(super) fn cells(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    /// A line at row `y` of an area, counted from its top.
    pub(super) fn line(&mut self, area: Rect, y: u16, line: &TextLine) {
        self.line_at(area, 0, y, line);
    }

    /// A line at a column and row of an area, cut at its right edge.
    pub(super) fn line_at(&mut self, area: Rect, x: u16, y: u16, line: &TextLine) {
        if y >= area.height || x >= area.width {
            return;
        }
        let columns = area.width - x;
        let spans = line.parts.iter().map(|(tone, text)| Span::styled(text.as_str(), self.look.style(*tone)));
        self.buffer.set_line(area.x + x, area.y + y, &spans.collect::<Line<'_>>(), columns);
        if line.width() > usize::from(columns) {
            let more = self.look.more();
            let style = self.look.style(Tone::Faint);
            self.buffer.set_string(area.right().saturating_sub(cells(width(more))), area.y + y, more, style);
        }
    }

    /// Two lines in one row: the right one is drawn whole, the left one cut where it begins.
    pub(super) fn ends(&mut self, area: Rect, y: u16, left: &TextLine, right: &TextLine) {
        let taken = cells(right.width()).min(area.width);
        let start = area.width - taken;
        let room = Rect { width: start.saturating_sub(1), ..area };
        self.line(room, y, left);
        self.line_at(area, start, y, right);
    }

    /// A rule over the whole width at row `y` of an area.
    pub(super) fn rule(&mut self, area: Rect, y: u16) {
        if y < area.height {
            let rule = self.look.rule().repeat(usize::from(area.width));
            self.buffer.set_string(area.x, area.y + y, rule, self.look.style(Tone::Faint));
        }
    }

    /// Says in the rule below a list how much of it is above and below what is seen.
    pub(super) fn hidden(&mut self, body: Rect, seen: &Range<usize>, all: usize) {
        let words = match (seen.start, all.saturating_sub(seen.end)) {
            (0, 0) => return,
            (above, 0) => format!(" {above} more above "),
            (0, below) => format!(" {below} more below "),
            (above, below) => format!(" {above} more above, {below} below "),
        };
        let row = Rect { y: body.bottom(), height: 1, ..body };
        let start = row.width.saturating_sub(cells(width(&words)) + 2);
        self.line_at(row, start, 0, &TextLine::new(Tone::Faint, &words));
    }

    /// Marks the row under the cursor; the mark before it says the same without any style.
    pub(super) fn highlight(&mut self, area: Rect, y: u16) {
        let row = Rect { y: area.y + y, height: 1, ..area };
        self.buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
    }

    /// Takes away what was drawn in an area.
    pub(super) fn clear(&mut self, area: Rect) {
        Clear.render(area.intersection(self.buffer.area), self.buffer);
    }

    /// Marks so many columns of a row: what was searched for.
    pub(super) fn mark(&mut self, area: Rect, x: u16, y: u16, columns: u16) {
        let row = Rect { x: area.x.saturating_add(x), y: area.y + y, width: columns, height: 1 };
        self.buffer.set_style(row.intersection(area), Style::new().add_modifier(Modifier::REVERSED));
    }

    /// An empty box with a title; what is inside it comes back.
    pub(super) fn dialog(&mut self, area: Rect, title: &str, tone: Tone) -> Rect {
        // A column of air on both sides, so that what lies below is not read on.
        let air = Rect { x: area.x.saturating_sub(1), width: area.width + 2, ..area };
        Clear.render(air.intersection(self.buffer.area), self.buffer);
        let title = clip(title, usize::from(area.width.saturating_sub(6)), self.look.more());
        let block = Block::bordered()
            .border_set(self.look.border())
            .border_style(self.look.style(tone))
            .title(Span::styled(format!(" {title} "), self.look.style(Tone::Head)));
        let inner = block.inner(area);
        block.render(area, self.buffer);
        inner.inner(ratatui::layout::Margin::new(1, 0))
    }

    /// The last gate to the terminal: whatever happened before, no cell holds a control character, and where the terminal
    /// shows ASCII only, none holds anything else.
    pub(super) fn purify(&mut self) {
        let unicode = self.look.unicode;
        for cell in &mut self.buffer.content {
            let symbol = cell.symbol();
            if symbol.chars().any(|c| c.is_control() || (!unicode && !c.is_ascii())) {
                cell.set_symbol("?");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_in_a_cell_does_not_pass_the_last_gate() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        buffer[(0, 0)].set_symbol("\x1b[2J");
        buffer[(1, 0)].set_symbol("é");
        Canvas::new(&mut buffer, Look::PLAIN).purify();
        assert_eq!(buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect::<String>(), "?? ");
    }

    #[test]
    fn the_right_end_is_whole_and_the_left_one_is_cut() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        let area = buffer.area;
        let text = |text| TextLine::new(Tone::Plain, text);
        Canvas::new(&mut buffer, Look::FULL).ends(area, 0, &text("abcdefghij"), &text("1/2"));
        assert_eq!(buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect::<String>(), "abcdefg… 1/2");
    }
}
