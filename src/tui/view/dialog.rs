//! The questions, drawn in the middle of the screen.

use ratatui::layout::{Position, Rect};

use super::canvas::{Canvas, cells};
use super::run::{asked_words, under_way};
use super::runs;
use crate::run::CancelLevel;
use crate::tui::dialog::{Confirm, Dialog, Force, LADDER, Lift, SaveAs, Typed, changed_clusters};
use crate::tui::keymap::{Command, Key, Place};
use crate::tui::look::{Look, Tone};
use crate::tui::message::Notice;
use crate::tui::model::Model;
use crate::tui::screen::{Screen, UnderWay, Watched, note_during};
use crate::tui::shown::{clip, width};
use crate::tui::steer::Skipping;
use crate::tui::text::{TextLine, hanging};

/// The widest that a question becomes: longer lines are hard to read.
const WIDEST: u16 = 90;

/// Draws a question; where something is typed, the place of the cursor comes back.
pub(super) fn draw(model: &Model, dialog: &Dialog, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let columns = usize::from(area.width.saturating_sub(4).min(WIDEST)).saturating_sub(4);
    let body = match dialog {
        Dialog::Filter => return filter(model, canvas, area),
        Dialog::Palette(palette) => return Some(super::palette::draw(model, palette, canvas, area)),
        Dialog::Equal(commands) => {
            super::equal::draw(commands, canvas, area);
            return None;
        }
        Dialog::Search => return search(model, canvas, area),
        Dialog::Skip(skipping) => skip(skipping, canvas.look, columns),
        Dialog::Apply(confirm) => apply(confirm, canvas.look, columns),
        Dialog::Stop(level) => stop(model, *level, canvas.look, columns),
        Dialog::Force(force) => force_body(model, force, canvas.look, columns),
        Dialog::Leave(typed) => leave(model, typed, canvas.look, columns),
        Dialog::Lift(lift) => lift_body(lift, canvas.look, columns),
        Dialog::Save(asked) => save_body(asked, canvas.look, columns),
        Dialog::Notice(notice) => notice_body(notice, columns),
    };
    body.draw(canvas, area)
}

/// The filter is typed in the last line: what it shows must be seen.
fn filter(model: &Model, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    if let Screen::Runs(screen) = model.screen() {
        return Some(runs::draw_filter(screen, canvas, area));
    }
    let Screen::Fleet(screen) = model.screen() else { return None };
    let row = Rect::new(0, area.height.saturating_sub(1), area.width, 1);
    let columns = usize::from(area.width);
    let text = clip(&screen.filter.text, columns / 2, canvas.look.more());
    let lead = TextLine::new(Tone::Head, " filter: ").with(Tone::Plain, &text);
    let cursor = lead.width();
    let (tone, help) = match &screen.filter.wrong {
        Some(wrong) => (Tone::Unknown, format!("   {wrong}")),
        None if text.is_empty() => (Tone::Faint, "   eu-[1-9],us-*,zone=a,cluster=eu   esc: all nodes".to_owned()),
        None => (Tone::Faint, "   enter: keep it   esc: all nodes".to_owned()),
    };
    canvas.line(row, 0, &TextLine::new(Tone::Plain, &" ".repeat(columns)));
    canvas.line(row, 0, &lead.with(tone, &help));
    Some(Position::new(cells(cursor).min(area.width.saturating_sub(1)), row.y))
}

/// What is searched for is typed in the last line, too.
fn search(model: &Model, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let Screen::Log(screen) = model.screen() else { return None };
    let row = Rect::new(0, area.height.saturating_sub(1), area.width, 1);
    let columns = usize::from(area.width);
    let text = clip(&screen.search.text, columns / 2, canvas.look.more());
    let lead = TextLine::new(Tone::Head, " search: ").with(Tone::Plain, &text);
    let cursor = lead.width();
    let found = if text.is_empty() { String::new() } else { format!("   {}", screen.search.words()) };
    canvas.line(row, 0, &TextLine::new(Tone::Plain, &" ".repeat(columns)));
    canvas.line(row, 0, &lead.with(Tone::Faint, &format!("{found}   enter: keep it   esc: none")));
    Some(Position::new(cells(cursor).min(area.width.saturating_sub(1)), row.y))
}

fn skip(skipping: &Skipping, look: Look, columns: usize) -> Body {
    let bullet = TextLine::new(Tone::Plain, &format!("{} ", look.dot()));
    let lines = skipping.consequences.iter().flat_map(|(tone, text)| hanging(&bullet, *tone, text, columns)).collect();
    let title = format!("Skip {}", skipping.node);
    typed_body(title, lines, "type the node's name to go on", &skipping.typed, (look, columns))
}

/// A question, ready to be drawn.
struct Body {
    title: String,
    tone: Tone,
    /// May be cut where the terminal is too low.
    lines: Vec<TextLine>,
    /// Is always whole.
    end: Vec<TextLine>,
    /// The column of the cursor in the first line of `end`.
    cursor: Option<usize>,
}

impl Body {
    fn draw(self, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
        let room = usize::from(area.height.saturating_sub(4));
        let fit = room.saturating_sub(self.end.len() + 1);
        let mut lines = self.lines;
        if lines.len() > fit {
            let cut = lines.len() - fit.saturating_sub(1);
            lines.truncate(fit.saturating_sub(1));
            lines.push(TextLine::new(Tone::Bad, &format!("and {cut} lines more: the plan has them all")));
        }
        let height = cells(lines.len() + self.end.len() + 3).min(area.height);
        let width = area.width.saturating_sub(4).min(WIDEST);
        let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
        let inner = canvas.dialog(place, &self.title, self.tone);
        for (y, line) in (0..).zip(&lines) {
            canvas.line(inner, y, line);
        }
        let end = cells(lines.len() + 1);
        for (y, line) in (end..).zip(&self.end) {
            canvas.line(inner, y, line);
        }
        let column = cells(self.cursor?).min(inner.width.saturating_sub(1));
        Some(Position::new(inner.x + column, inner.y + end))
    }
}

fn apply(confirm: &Confirm, look: Look, columns: usize) -> Body {
    let bullet = TextLine::new(Tone::Plain, &format!("{} ", look.dot()));
    let mut lines: Vec<TextLine> =
        confirm.consequences.iter().flat_map(|(tone, text)| hanging(&bullet, *tone, text, columns)).collect();
    if lines.is_empty() {
        lines.push(TextLine::new(Tone::Plain, "nothing that a reload would show"));
    }
    let clusters: Vec<&str> = changed_clusters(&confirm.plan).map(|cluster| cluster.cluster.as_str()).collect();
    let what = if confirm.typed.word == "all" { "type all to go on" } else { "type the cluster's name to go on" };
    typed_body(format!("Apply to {}", clusters.join(", ")), lines, what, &confirm.typed, (look, columns))
}

fn typed_body(title: String, lines: Vec<TextLine>, what: &str, typed: &Typed, (look, columns): (Look, usize)) -> Body {
    let lead = format!("{what}:  ");
    let room = columns.saturating_sub(width(&lead) + 1);
    let text = clip(&typed.text, room, look.more());
    let cursor = Some(width(&lead) + width(&text));
    let wrong = format!("the word to type is \"{}\"; nothing was done", typed.word);
    let said = if typed.wrong { TextLine::new(Tone::Bad, &wrong) } else { TextLine::default() };
    let keys = TextLine::new(Tone::Faint, "enter: yes, once the word is there   esc: no");
    Body {
        title,
        tone: Tone::Bad,
        lines,
        end: vec![TextLine::new(Tone::Head, &lead).with(Tone::Plain, &text), said, keys],
        cursor,
    }
}

fn stop(model: &Model, chosen: CancelLevel, look: Look, columns: usize) -> Body {
    let asked = model.run.as_ref().and_then(asked_words);
    let now = model.run.as_ref().map_or(UnderWay::Nodes, Watched::under_way);
    let mut lines = Vec::new();
    for level in LADDER {
        let (name, what) = note_during(level, now);
        let past = asked.as_ref().is_some_and(|(asked, _)| *asked >= level);
        let is_chosen = !past && level == chosen;
        let cursor = if is_chosen { look.cursor() } else { " " };
        let tone = if is_chosen { Tone::Head } else { Tone::Plain };
        let state = if past { "asked for: " } else { "" };
        let lead = TextLine::new(if past { Tone::Faint } else { tone }, &format!("{cursor} {name:<19}"));
        lines.extend(hanging(&lead, if past { Tone::Faint } else { Tone::Plain }, &format!("{state}{what}"), columns));
    }
    let done = asked.as_ref().is_some_and(|(asked, _)| *asked == CancelLevel::Close);
    let first = match asked {
        Some((_, words)) => words,
        None => "nothing has been asked for yet; it can only become harder".to_owned(),
    };
    let keys = if done {
        "it cannot be stopped any harder   esc: back to the run"
    } else {
        "enter: stop like that   up, down: choose another   esc: no"
    };
    let end = vec![TextLine::new(Tone::Plain, &first), TextLine::new(Tone::Faint, keys)];
    Body { title: "Stop the run".to_owned(), tone: Tone::Change, lines, end, cursor: None }
}

fn force_body(model: &Model, force: &Force, look: Look, columns: usize) -> Body {
    let (what, _) = model.run.as_ref().map(under_way).unwrap_or_default();
    let now = model.run.as_ref().map_or(UnderWay::Nodes, Watched::under_way);
    let (name, does) = note_during(force.level, now);
    let words = [
        (Tone::Bad, what),
        (Tone::Bad, does.to_owned()),
        (Tone::Plain, "a softer step lets what is under way end and be proven: esc, then choose it".to_owned()),
    ];
    let bullet = TextLine::new(Tone::Plain, &format!("{} ", look.dot()));
    let lines = words.iter().flat_map(|(tone, text)| hanging(&bullet, *tone, text, columns)).collect();
    let typed = format!("type {} to go on", force.typed.word);
    typed_body(format!("Stop the run: {name}"), lines, &typed, &force.typed, (look, columns))
}

fn leave(model: &Model, typed: &Typed, look: Look, columns: usize) -> Body {
    let (what, then) = model.run.as_ref().map(under_way).unwrap_or_default();
    let is_paused = model.run.as_ref().is_some_and(|run| run.under_way() == UnderWay::Paused);
    let unknown = "how they end is unknown until the fleet is looked at again".to_owned();
    let mut words = vec![(Tone::Bad, format!("a run is on, {what}")), (Tone::Plain, then.to_owned())];
    words.extend((!is_paused).then_some((Tone::Plain, unknown)));
    words.push((Tone::Plain, format!("to stop in good order: esc, then {}", stop_key(model))));
    let bullet = TextLine::new(Tone::Plain, &format!("{} ", look.dot()));
    let lines = words.iter().flat_map(|(tone, text)| hanging(&bullet, *tone, text, columns)).collect();
    typed_body("Leave while a run is on".to_owned(), lines, "type leave to go", typed, (look, columns))
}

/// The key that stops a run, and where it does so.
fn stop_key(model: &Model) -> String {
    let key = |place| model.keys.shown(place, Command::Stop).map(Key::words);
    match (key(model.place()), key(Place::Run)) {
        (Some(key), _) => key,
        (None, Some(key)) => format!("{key} on the screen of the run"),
        (None, None) => "stop in the palette".to_owned(),
    }
}

fn lift_body(lift: &Lift, look: Look, columns: usize) -> Body {
    let bullet = TextLine::new(Tone::Plain, &format!("{} ", look.dot()));
    let deeper = TextLine::new(Tone::Plain, "    ");
    let line = |(tone, text): &(Tone, String)| match text.strip_prefix("  ") {
        Some(below) => hanging(&deeper, *tone, below, columns),
        None => hanging(&bullet, *tone, text, columns),
    };
    let lines = lift.then.iter().flat_map(line).collect();
    let what = match lift.what.nodes.len() {
        1 => "type the node's name to lift it",
        _ => "type the cluster's name to lift it",
    };
    typed_body(format!("Lift {}", lift.what.code.word()), lines, what, &lift.typed, (look, columns))
}

fn save_body(asked: &SaveAs, look: Look, columns: usize) -> Body {
    let indent = TextLine::default();
    let mut lines = match &asked.said {
        Some(said) => hanging(&indent, Tone::Bad, said, columns),
        None => {
            hanging(&indent, Tone::Plain, "as muster --plan --format json prints it, for you alone to read", columns)
        }
    };
    if let Some(replace) = &asked.replace {
        lines.push(TextLine::new(Tone::Plain, "it is lost if this one takes its place"));
        return typed_body("Save the plan".to_owned(), lines, "type replace to go on", replace, (look, columns));
    }
    let lead = "file:  ";
    let room = columns.saturating_sub(width(lead) + 1);
    let text = clip(&asked.name.text, room, look.more());
    let state = if asked.saving { "saving" } else { "" };
    let keys = "enter: save   Ctrl-U: another name   esc: no";
    let cursor = Some(width(lead) + width(&text));
    let end = vec![
        TextLine::new(Tone::Head, lead).with(Tone::Plain, &text),
        TextLine::new(Tone::Plain, state),
        TextLine::new(Tone::Faint, keys),
    ];
    Body { title: "Save the plan".to_owned(), tone: Tone::Change, lines, end, cursor }
}

fn notice_body(notice: &Notice, columns: usize) -> Body {
    let mut lines = hanging(&TextLine::default(), Tone::Bad, &notice.text, columns);
    let indent = TextLine::new(Tone::Plain, "  ");
    lines.extend(notice.details.iter().flat_map(|line| hanging(&indent, Tone::Plain, line, columns)));
    let lead = TextLine::new(Tone::Head, "what to do  ");
    let hints = notice.hints.iter().flat_map(|hint| hanging(&lead, Tone::Plain, &hint.to_string(), columns));
    // What to do must not be cut off by what was found.
    let end = hints.chain([TextLine::new(Tone::Faint, "enter or esc: close")]).collect();
    Body { title: "It could not be done".to_owned(), tone: Tone::Bad, lines, end, cursor: None }
}
