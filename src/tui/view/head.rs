//! The first line, the remark in the rule below it, and the keys at the bottom.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::tui::keymap::{Binding, Command, KEYMAP, Place};
use crate::tui::layout::Areas;
use crate::tui::look::Tone;
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::shown::{clip, time_of_day, width};
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
            let mut line = TextLine::new(Tone::Faint, &format!("looked {} UTC  ", time_of_day(picture.looked)));
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
        format!(" a run is on: {} of {} nodes proven (w) ", run.proven(), counts.total)
    });
    let row = Rect { y: areas.head.bottom(), height: 1, ..areas.head };
    if let Some(words) = put_back(model) {
        return canvas.line_at(row, 2, 0, &TextLine::new(Tone::Bad, &words));
    }
    let remark = model.title.remark.as_ref().map(|remark| format!(" {remark} "));
    if let Some(words) = running.or_else(|| filtered(model)).or(remark) {
        canvas.line_at(row, 2, 0, &TextLine::new(Tone::Change, &words));
    }
}

/// The screens of a run itself: `w` does not lead to it there.
const fn is_of_run(place: Place) -> bool {
    matches!(place, Place::Run | Place::Log | Place::Ticket)
}

/// That not all nodes are shown.
fn filtered(model: &Model) -> Option<String> {
    let (Screen::Fleet(screen), Some(picture)) = (model.screen(), model.picture.as_deref()) else { return None };
    let text = clip(&screen.filter.text, model.width() / 3, model.look.more());
    let shown = screen.shown(picture);
    screen.filter.is_on().then(|| format!(" filter {text}: {shown} of {} nodes shown (/) ", picture.nodes))
}

/// That somebody undid a removal while it ran, on the screen of the run.
fn put_back(model: &Model) -> Option<String> {
    let run = model.run.as_ref().filter(|_| model.place() == Place::Run)?;
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
    let always = |binding: &Binding| matches!(binding.command, Command::Help | Command::Quit);
    let here: Vec<&Binding> = KEYMAP.iter().filter(|b| is_useful(model, b)).collect();
    let needed: usize = here.iter().filter(|b| always(b)).map(|b| piece_width(b)).sum();
    let mut room = columns.saturating_sub(needed + 1);
    let mut line = TextLine::new(Tone::Plain, " ");
    for binding in here {
        let wide = piece_width(binding);
        if !always(binding) && wide > room {
            continue;
        }
        if !always(binding) {
            room -= wide;
        }
        let short = steer::short(model, binding.command).unwrap_or(binding.short);
        line = line.with(Tone::Head, &key_words(binding)).with(Tone::Plain, &format!(" {short}  "));
    }
    line
}

/// Whether a key is worth its place: it belongs to this screen, and would do something now.
fn is_useful(model: &Model, binding: &Binding) -> bool {
    let now = match binding.command {
        Command::Watch => model.run.is_some(),
        Command::Stop | Command::Pause => model.is_running(),
        Command::Skip => model.is_running() && steer::why_not(model, binding.command).is_none(),
        Command::Retry => steer::why_not(model, binding.command).is_none(),
        Command::Ticket => model.place() == Place::Run && model.run.is_some() && !model.is_running(),
        Command::NextMatch => matches!(model.screen(), Screen::Log(screen) if !screen.search.found.is_empty()),
        Command::Plan | Command::PlanHere | Command::Look => !model.is_running(),
        Command::Open if model.place() == Place::Plan => {
            model.plan.iter().flat_map(|plan| &plan.clusters).any(|cluster| !cluster.removals.is_empty())
        }
        Command::Apply => model.plan.as_ref().is_some_and(|plan| !plan.is_empty()),
        _ => true,
    };
    now && binding.is_on(model.place()) && !binding.short.is_empty()
}

fn key_words(binding: &Binding) -> String {
    binding.keys.first().map(|key| key.words()).unwrap_or_default()
}

fn piece_width(binding: &Binding) -> usize {
    width(&key_words(binding)) + 1 + width(binding.short) + 2
}
