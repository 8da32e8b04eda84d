//! The commands for what is seen, drawn without borders so that they can be selected and copied.

use ratatui::layout::Rect;

use super::canvas::{Canvas, cells};
use crate::tui::equal::{Equal, broken};
use crate::tui::look::Tone;
use crate::tui::text::TextLine;

/// Draws them at the bottom of the screen, over its whole width.
pub(super) fn draw(commands: &[Equal], canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(commands, usize::from(area.width));
    let height = cells(lines.len() + 2).min(area.height);
    let panel = Rect { y: area.bottom() - height, height, ..area };
    canvas.clear(panel);
    canvas.rule(panel, 0);
    canvas.line_at(panel, 2, 0, &TextLine::new(Tone::Head, " the same on the command line "));
    for (y, line) in (1..height.saturating_sub(1)).zip(&lines) {
        canvas.line(panel, y, line);
    }
    canvas.line(panel, height.saturating_sub(1), &TextLine::new(Tone::Faint, " esc: close"));
}

/// What a command does stands as a comment before it: copied together, the shell passes over it.
fn lines(commands: &[Equal], columns: usize) -> Vec<TextLine> {
    let one = |equal: &Equal| {
        let what = TextLine::new(Tone::Faint, &format!("# {}", equal.what));
        let command = broken(&equal.command, columns);
        std::iter::once(what)
            .chain(command.into_iter().map(|line| TextLine::new(Tone::Plain, &line)))
            .collect::<Vec<_>>()
    };
    commands.iter().flat_map(one).collect()
}
