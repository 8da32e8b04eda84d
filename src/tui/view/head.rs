//! The first line, the remark in the rule below it, and the keys at the bottom.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::tui::keymap::{Binding, Command, KEYMAP, Place};
use crate::tui::layout::Areas;
use crate::tui::look::Tone;
use crate::tui::model::Model;
use crate::tui::possible::possible;
use crate::tui::screen::Screen;
use crate::tui::shown::{time_of_day, width};
use crate::tui::steer;
use crate::tui::text::TextLine;

/// Which commit of which repository.
pub(super) fn title(model: &Model) -> TextLine {
    let title = &model.title;
    let branch = title.branch.as_deref().map(|branch| format!("{branch} ")).unwrap_or_default();
    TextLine::new(Tone::Head, &format!(" {}", title.repository))
        .with(Tone::Plain, &format!("  {branch}@ {}", title.revision))
        .with(Tone::Faint, &format!("  \"{}\"", title.summary))
}

/// What is under way, or how old the picture is.
pub(super) fn age(model: &Model) -> TextLine {
    let plain = |text: String| TextLine::new(Tone::Plain, &text);
    match (&model.picture, model.busy.looking) {
        (_, Some((_, 0))) => plain("looking ".to_owned()),
        (_, Some((done, of))) => plain(format!("looking: {done} of {of} nodes ")),
        (None, None) => plain("not looked at yet ".to_owned()),
        (Some(_), None) if model.busy.planning => plain("planning ".to_owned()),
        (Some(picture), None) => {
            let seen = if picture.seen == picture.nodes {
                TextLine::new(Tone::Plain, &format!("{} nodes, all seen", picture.nodes))
            } else {
                TextLine::new(Tone::Unknown, &format!("{} of {} nodes seen", picture.seen, picture.nodes))
            };
            let since = if picture.oldest < picture.looked {
                format!("{} to ", time_of_day(picture.oldest))
            } else {
                String::new()
            };
            let mut line = TextLine::new(Tone::Faint, &format!("looked {since}{} UTC  ", time_of_day(picture.looked)));
            line.parts.extend(seen.parts);
            line.with(Tone::Plain, " ")
        }
    }
}

/// What has to be known all the time, in the rule below the head.
pub(super) fn remark(model: &Model, canvas: &mut Canvas<'_>, areas: &Areas) {
    let run = model.run.as_ref().filter(|run| run.is_on() && !is_of_run(model.place()));
    let running = run.map(|run| {
        let counts = run.state.counts();
        format!(
            " a run is on: {} of {} nodes proven ({}) ",
            run.proven(),
            counts.total,
            model.key_words(Command::Watch)
        )
    });
    let row = Rect { y: areas.head.bottom(), height: 1, ..areas.head };
    if model.read_only {
        let start = row.width.saturating_sub(13);
        canvas.line_at(row, start, 0, &TextLine::new(Tone::Head, " read-only "));
    }
    if let Some(words) = put_back(model) {
        return canvas.line_at(row, 2, 0, &TextLine::new(Tone::Bad, &words));
    }
    let remark = model.title.remark.as_ref().map(|remark| format!(" {remark} "));
    if let Some(words) = running.or_else(|| arranged(model)).or(remark) {
        canvas.line_at(row, 2, 0, &TextLine::new(Tone::Change, &words));
    }
}

/// How a list is arranged, where that is not plain to see.
fn arranged(model: &Model) -> Option<String> {
    match model.screen() {
        Screen::Runs(screen) => super::runs::filtered(model, screen),
        _ => super::fleet::remark(model),
    }
}

/// The screens of a run itself: `w` does not lead to it there.
const fn is_of_run(place: Place) -> bool {
    matches!(place, Place::Run | Place::Log | Place::Ticket)
}

/// That somebody undid a removal while it ran, on the screen of the run.
fn put_back(model: &Model) -> Option<String> {
    let run = model.watched().filter(|_| matches!(model.place(), Place::Run | Place::Replay))?;
    let cluster = run.state.added.keys().next()?;
    Some(format!(" {cluster}: {} ", super::steps::put_back_words(run)))
}

/// The last line: the answer to the last key, or the keys of this screen.
pub(super) fn foot(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    match &model.said {
        Some(said) => canvas.line(area, 0, &TextLine::new(Tone::Change, &format!(" {said}"))),
        None => canvas.line(area, 0, &keys(model, usize::from(area.width))),
    }
}

/// The keys of this screen, as many as there is room for; those for help and for leaving always.
fn keys(model: &Model, columns: usize) -> TextLine {
    let always = |binding: &Binding| matches!(binding.command, Command::Help | Command::Quit | Command::Back);
    let here: Vec<&Binding> = KEYMAP.iter().filter(|b| is_useful(model, b)).collect();
    let needed: usize = here.iter().filter(|b| always(b)).map(|b| piece_width(model, b)).sum();
    let mut room = columns.saturating_sub(needed + 1);
    let mut line = TextLine::new(Tone::Plain, " ");
    for binding in here {
        let wide = piece_width(model, binding);
        if !always(binding) && wide > room {
            continue;
        }
        if !always(binding) {
            room -= wide;
        }
        let short = steer::short(model, binding.command).unwrap_or(binding.short);
        line = line.with(Tone::Head, &key_words(model, binding)).with(Tone::Plain, &format!(" {short}  "));
    }
    line
}

/// Whether a key is worth its place: it belongs to this screen, and would do something now.
fn is_useful(model: &Model, binding: &Binding) -> bool {
    let now = match binding.command {
        Command::NextMatch => matches!(model.screen(), Screen::Log(screen) if !screen.search.found.is_empty()),
        Command::Ticket => model.watched().is_some_and(|run| !run.is_on()) && model.place() != Place::Ticket,
        Command::Open | Command::Diff | Command::NextSection | Command::ErrorLog if model.place() == Place::Node => {
            matches!(model.screen(), Screen::Node(_))
        }
        Command::Play => model.replay.as_ref().is_some_and(|replay| !replay.is_watching()),
        Command::Open if matches!(model.place(), Place::Plan | Place::PastPlan) => model.plan_seen().is_some(),
        Command::Lift => crate::tui::editing::can_lift(model) && possible(model, Command::Lift).is_ok(),
        command => possible(model, command).is_ok(),
    };
    now && binding.is_on(model.place()) && !binding.short.is_empty() && !key_words(model, binding).is_empty()
}

fn key_words(model: &Model, binding: &Binding) -> String {
    model.keys.of(model.place(), binding).first().map(|key| key.words()).unwrap_or_default()
}

fn piece_width(model: &Model, binding: &Binding) -> usize {
    width(&key_words(model, binding)) + 1 + width(binding.short) + 2
}
