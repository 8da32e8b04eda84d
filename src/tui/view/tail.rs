//! The end of a node's error log, the last line last.

use super::canvas::Canvas;
use crate::tui::layout::Areas;
use crate::tui::look::Tone;
use crate::tui::model::Model;
use crate::tui::screen::{NodeScreen, Screen, TailScreen};
use crate::tui::shown::{clip, count, wrap};
use crate::tui::text::{TextLine, hanging};

/// How many rows one line of a log takes at most: a stack trace in one line must not hide what is below it.
const ROWS: usize = 8;

/// Draws it.
pub(super) fn draw(model: &Model, screen: &TailScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    let of = node_of(model, screen);
    let asking = of.is_some_and(|node| node.closer.asking);
    let right = if asking { TextLine::new(Tone::Plain, "asking ") } else { TextLine::default() };
    canvas.ends(areas.head, 0, &title(screen, of), &right);
    let window = screen.scroll.window(screen.lines.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, screen.lines.len());
    for (y, line) in (0..).zip(&screen.lines[window]) {
        canvas.line(areas.body, y, line);
    }
}

fn node_of<'a>(model: &'a Model, tail: &TailScreen) -> Option<&'a NodeScreen> {
    model.screens().find_map(|screen| match screen {
        Screen::Node(screen) if screen.node == tail.node => Some(&**screen),
        _ => None,
    })
}

fn title(screen: &TailScreen, of: Option<&NodeScreen>) -> TextLine {
    let head = TextLine::new(Tone::Head, &format!(" error log of {}", screen.node));
    let tail = of.and_then(|node| node.closer.got.as_ref()?.log.as_ref().ok());
    match tail {
        Some(tail) => {
            let cut = if tail.cut { "the last " } else { "" };
            let words = format!("  {cut}{} of {}", count(tail.lines.len(), "line"), tail.path);
            head.with(Tone::Faint, &words)
        }
        None => head,
    }
}

/// The lines of the log that is open, for the present width.
pub(crate) fn lines(model: &Model) -> Vec<TextLine> {
    let open = model.screens().find_map(|screen| match screen {
        Screen::Tail(screen) => node_of(model, screen),
        _ => None,
    });
    let Some(node) = open else { return Vec::new() };
    let columns = model.width();
    let mut lines = Vec::new();
    match node.closer.got.as_ref().map(|closer| &closer.log) {
        Some(Ok(tail)) if tail.lines.is_empty() => lines.push(TextLine::new(Tone::Faint, "  it is empty")),
        Some(Ok(tail)) => lines.extend(tail.lines.iter().flat_map(|line| wrapped(line, columns, model.look.more()))),
        Some(Err(why)) => lines.extend(hanging(&TextLine::new(Tone::Plain, "  "), Tone::Unknown, why, columns)),
        None if node.closer.asking => lines.push(TextLine::new(Tone::Faint, "  asking the node")),
        None => lines.push(TextLine::new(Tone::Faint, "  it was not asked; r asks")),
    }
    if let Some(trouble) = &node.closer.trouble {
        lines.extend(hanging(&TextLine::new(Tone::Plain, "  "), Tone::Unknown, &trouble.text, columns));
        let lead = TextLine::new(Tone::Head, "  what to do  ");
        lines.extend(trouble.hints.iter().flat_map(|hint| hanging(&lead, Tone::Plain, &hint.to_string(), columns)));
    }
    lines
}

/// One line in a few rows.
fn wrapped(line: &str, columns: usize, more: &str) -> Vec<TextLine> {
    let tone = log_tone(line);
    let room = columns.saturating_sub(2).max(8);
    let line = clip(line, room * ROWS, more);
    let rows = wrap(&line, room);
    rows.iter()
        .enumerate()
        .map(|(at, row)| TextLine::new(tone, &format!("{}{row}", if at == 0 { " " } else { "  " })))
        .collect()
}

/// By the word for its level, as nginx writes it: `[error]`.
pub(super) fn log_tone(line: &str) -> Tone {
    let head: String = line.chars().take(60).collect();
    let is = |words: &[&str]| words.iter().any(|word| head.contains(word));
    match () {
        () if is(&["[error]", "[crit]", "[alert]", "[emerg]"]) => Tone::Bad,
        () if is(&["[warn]"]) => Tone::Change,
        () => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_toned_by_the_word_for_its_level() {
        assert_eq!(log_tone("2026/11/20 15:12:06 [error] 12#0: x"), Tone::Bad);
        assert_eq!(log_tone("2026/11/20 15:12:06 [warn] 12#0: x"), Tone::Change);
        assert_eq!(log_tone(&format!("{} [error]", "x".repeat(80))), Tone::Plain, "a word in the text is no level");
    }

    #[test]
    fn a_huge_line_takes_a_few_rows_and_says_that_it_was_cut() {
        let rows = wrapped(&"x".repeat(1_000_000), 80, "…");
        assert!(rows.len() <= ROWS + 1 && rows.last().unwrap().text().ends_with('…'), "{}", rows.len());
        assert_eq!(wrapped("short", 80, "…").len(), 1);
    }
}
