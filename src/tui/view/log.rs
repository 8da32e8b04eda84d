//! The log of a node or cluster in a run. Only the rows that are seen are composed.

use ratatui::layout::Rect;

use super::canvas::{Canvas, cells};
use crate::tui::layout::Areas;
use crate::tui::logs::{Log, LogLine, Subject, Voice};
use crate::tui::look::{Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::reading::{GUTTER, extent};
use crate::tui::screen::{LogScreen, Row, mark};
use crate::tui::shown::{clip, count, time_of_day, width};
use crate::tui::text::TextLine;

/// More matches in one row than anybody looks at.
const MOST_MARKED: usize = 50;

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &LogScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    let empty = Log::default();
    let log = model.watched().and_then(|run| run.logs.of(&screen.subject)).unwrap_or(&empty);
    canvas.ends(areas.head, 0, &title(model, screen), &state(screen, log));
    if log.end() == 0 {
        return canvas.line(areas.body, 0, &TextLine::new(Tone::Faint, "  nothing was heard of it yet"));
    }
    let rows = screen.rows(log, extent(model));
    hidden(canvas, areas.body, &rows, log);
    for (y, row) in (0..).zip(&rows) {
        if let Some(line) = log.line(row.line) {
            draw_row(canvas, areas.body, y, screen, row, line);
        }
    }
}

fn title(model: &Model, screen: &LogScreen) -> TextLine {
    let name = match &screen.subject {
        Subject::Node(node) => node.as_str(),
        Subject::Cluster(cluster) => cluster.as_str(),
    };
    let title = TextLine::new(Tone::Head, &format!(" log of {name}"));
    let (Subject::Node(node), Some(run)) = (&screen.subject, model.watched()) else { return title };
    match run.state.nodes.get(node) {
        Some(state) => title.with(tone_of(mark(state)), &format!("  {}", clip(&state.now, 60, model.look.more()))),
        None => title,
    }
}

/// What is searched, how much was dropped, and how it is shown.
fn state(screen: &LogScreen, log: &Log) -> TextLine {
    let mut line = TextLine::new(Tone::Plain, " ");
    if !screen.search.text.is_empty() {
        let words = format!("/{} {}   ", clip(&screen.search.text, 20, ""), screen.search.words());
        line = line.with(Tone::Change, &words);
    }
    if log.first() > 0 {
        line = line.with(Tone::Unknown, &format!("{} dropped   ", count(to_usize(log.first()), "line")));
    }
    let follows = if screen.follows { "following" } else { "not following" };
    let wraps = if screen.wraps { "wrapped" } else { "cut" };
    let from = if screen.left > 0 { format!(" from column {}", screen.left + 1) } else { String::new() };
    line.with(Tone::Faint, &format!("{follows}, {wraps}{from} "))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How many lines are above and below what is seen.
fn hidden(canvas: &mut Canvas<'_>, body: Rect, rows: &[Row], log: &Log) {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
    let above = to_usize(first.line - log.first()) + usize::from(!first.is_first);
    let seen = above..to_usize(last.line + 1 - log.first());
    canvas.hidden(body, &seen, to_usize(log.end() - log.first()));
}

fn draw_row(canvas: &mut Canvas<'_>, body: Rect, y: u16, screen: &LogScreen, row: &Row, line: &LogLine) {
    let (tone, voice) = match line.voice {
        Voice::Run => (Tone::Plain, "  "),
        Voice::Good => (Tone::Good, "= "),
        Voice::Bad => (Tone::Bad, "x "),
        Voice::Printed => (Tone::Faint, "| "),
    };
    let here = if screen.search.at == Some(row.line) && row.is_first { canvas.look.cursor() } else { " " };
    let time = if row.is_first { time_of_day(line.at) } else { " ".repeat(8) };
    let voice = if row.is_first || line.voice == Voice::Printed { voice } else { "  " };
    let text = line.text.get(row.text.clone()).unwrap_or_default();
    let composed = TextLine::new(Tone::Plain, here)
        .with(Tone::Faint, &format!("{time}  "))
        .with(tone, voice)
        .with(if line.voice == Voice::Printed { Tone::Plain } else { tone }, text);
    canvas.line(body, y, &composed);
    for place in screen.search.places(text, MOST_MARKED) {
        // A place is made of bytes of the text and, as the text that was searched for is whole, lies between characters.
        let (Some(before), Some(found)) = (text.get(..place.start), text.get(place)) else { continue };
        canvas.mark(body, cells(GUTTER + width(before)), y, cells(width(found)));
    }
}
