//! The palette, drawn over the screen.

use ratatui::layout::{Position, Rect};

use super::canvas::{Canvas, cells};
use crate::tui::keymap::Key;
use crate::tui::look::{Look, Tone};
use crate::tui::model::Model;
use crate::tui::palette::{Found, Palette, found};
use crate::tui::shown::{clip, fit, width};
use crate::tui::text::TextLine;

/// The widest that it becomes.
const WIDEST: u16 = 130;
/// The columns of a key, and of a name.
const KEY: usize = 10;
const NAME: usize = 15;
/// From this width on, what an action does and why it is not possible stand beside each other.
const BOTH: usize = 110;

/// Draws it; the place of the cursor comes back.
pub(super) fn draw(model: &Model, palette: &Palette, canvas: &mut Canvas<'_>, area: Rect) -> Position {
    let found = found(model, &palette.text);
    let place = Rect {
        x: area.width.saturating_sub(area.width.saturating_sub(4).min(WIDEST)) / 2,
        y: 1,
        width: area.width.saturating_sub(4).min(WIDEST),
        height: area.height.saturating_sub(3),
    };
    let inner = canvas.dialog(place, "Do what", Tone::Head);
    let columns = usize::from(inner.width);
    let text = clip(&palette.text, columns.saturating_sub(4), canvas.look.more());
    canvas.line(inner, 0, &TextLine::new(Tone::Head, ": ").with(Tone::Plain, &text));
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(3), ..inner };
    rows(&found, palette.at, canvas, list);
    let end = inner.height.saturating_sub(2);
    if let Some(one) = found.get(palette.at.min(found.len().saturating_sub(1))) {
        canvas.line(inner, end, &full(one, canvas.look, columns));
    }
    let keys = "enter: do it   up, down: choose   esc: close   words in any order";
    canvas.line(inner, end + 1, &TextLine::new(Tone::Faint, keys));
    let column = cells(2 + width(&text)).min(inner.width.saturating_sub(1));
    Position::new(inner.x + column, inner.y)
}

fn rows(found: &[Found], at: usize, canvas: &mut Canvas<'_>, list: Rect) {
    let height = usize::from(list.height);
    let at = at.min(found.len().saturating_sub(1));
    let start = at.saturating_sub(height / 2).min(found.len().saturating_sub(height));
    for (y, (number, one)) in (0..).zip(found.iter().enumerate().skip(start).take(height)) {
        canvas.line(list, y, &row(one, number == at, canvas.look, usize::from(list.width)));
        if number == at {
            canvas.highlight(list, y);
        }
    }
    if found.is_empty() {
        canvas.line(list, 0, &TextLine::new(Tone::Plain, "  no action has these words"));
    }
}

fn row(one: &Found, is_here: bool, look: Look, columns: usize) -> TextLine {
    let key = one.key.map(Key::words).unwrap_or_default();
    let tone = if one.not_now.is_some() { Tone::Faint } else { Tone::Plain };
    let line = TextLine::new(Tone::Plain, if is_here { look.cursor() } else { " " })
        .with(Tone::Head, &format!(" {}", fit(&key, KEY, look.more())))
        .with(tone, &fit(one.binding.name, NAME, look.more()));
    let room = columns.saturating_sub(line.width());
    match &one.not_now {
        None => line.with(Tone::Plain, &clip(one.binding.words, room, look.more())),
        Some(why) if columns < BOTH => line.with(Tone::Faint, &clip(&not_now(why), room, look.more())),
        Some(why) => {
            let half = room / 2;
            line.with(Tone::Faint, &fit(&format!("{} ", one.binding.words), half, look.more()))
                .with(Tone::Faint, &clip(&not_now(why), room - half, look.more()))
        }
    }
}

fn not_now(why: &str) -> String {
    format!("not now: {why}")
}

/// All of the chosen one that its row has no room for.
fn full(one: &Found, look: Look, columns: usize) -> TextLine {
    let (tone, text) = match &one.not_now {
        Some(why) => (Tone::Unknown, not_now(why)),
        None => (Tone::Plain, one.binding.words.to_owned()),
    };
    TextLine::new(tone, &clip(&text, columns, look.more()))
}
