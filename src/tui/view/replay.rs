//! What a recorded run shows beyond a run that is on: where in it one is, and that nothing can be steered.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::run;
use crate::hint::Hint;
use crate::run::Verdict;
use crate::tui::keymap::Place;
use crate::tui::layout::Areas;
use crate::tui::look::Tone;
use crate::tui::message::Rest;
use crate::tui::model::Model;
use crate::tui::replay::Replay;
use crate::tui::screen::{RunScreen, Source};
use crate::tui::shown::time_of_day;
use crate::tui::text::TextLine;

/// From so many columns on the first line says everything.
const WIDE: u16 = 120;

/// Draws the screen: one line of its own, and below it that of a run.
pub(super) fn draw(model: &Model, screen: &RunScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    let Some(replay) = &model.replay else { return };
    let (left, right) = if replay.is_watching() {
        (watching(replay), TextLine::new(Tone::Change, "at work "))
    } else {
        (place(replay, areas.head.width >= WIDE), state(replay))
    };
    canvas.ends(areas.head, 0, &left, &right);
    let head = Rect { y: areas.head.y + 1, height: areas.head.height.saturating_sub(1), ..areas.head };
    if replay.position().1 == 0 {
        let words = match replay.rest {
            Rest::Reading => "  the recording is being read",
            Rest::On => "  the run is being prepared",
            Rest::Over { .. } | Rest::Damaged(_) => "  nothing was begun: the recording has no event",
        };
        return canvas.line(areas.body, 0, &TextLine::new(Tone::Plain, words));
    }
    run::draw(model, screen, canvas, &Areas { head, ..*areas });
}

/// A run of another muster that is at work.
fn watching(replay: &Replay) -> TextLine {
    let operator = replay.watched().state.head.as_ref().map(|head| head.operator.clone()).unwrap_or_default();
    let since = replay.span().map(|(start, _)| format!(", since {} UTC", time_of_day(start))).unwrap_or_default();
    TextLine::new(Tone::Change, " watching").with(Tone::Plain, &format!(" run of {operator}{since}"))
}

/// Where in the recording one is.
fn place(replay: &Replay, is_wide: bool) -> TextLine {
    let (at, of) = replay.position();
    let span = replay.span();
    let date = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let began = span.map(|(start, _)| start);
    let clock = replay.clock();
    let end = span.map(|(_, end)| time_of_day(end)).unwrap_or_default();
    let lead = match (began, is_wide, &replay.watched().state.head) {
        (Some(began), true, Some(head)) => {
            let (date, time) = (date(began), time_of_day(began));
            format!(" of run {}, recorded {date} {time} UTC by {}", replay.run.short(), head.operator)
        }
        (Some(began), ..) => format!(" of {}", date(began)),
        (None, ..) => String::new(),
    };
    TextLine::new(Tone::Change, " replay")
        .with(Tone::Plain, &lead)
        .with(Tone::Head, &format!(", {} of {end}", time_of_day(clock)))
        .with(Tone::Plain, if is_wide { "" } else { " UTC" })
        .with(Tone::Plain, &format!(", event {at} of {of}"))
}

fn state(replay: &Replay) -> TextLine {
    let (at, of) = replay.position();
    match (&replay.rest, replay.is_playing()) {
        (Rest::Reading, _) => TextLine::new(Tone::Faint, "reading "),
        (_, true) => TextLine::new(Tone::Change, &format!("playing {}x ", replay.pace())),
        (Rest::On, false) => TextLine::new(Tone::Plain, "at work "),
        (Rest::Damaged(_), false) if at == of => TextLine::new(Tone::Bad, "damaged "),
        (Rest::Over { .. }, false) if at == of => TextLine::new(Tone::Plain, "its end "),
        _ => TextLine::new(Tone::Plain, "paused "),
    }
}

/// At which time of a recording something is shown.
pub(super) fn when(model: &Model) -> String {
    match &model.replay {
        Some(replay) if model.source() == Source::Replay => {
            format!("  at {} UTC of the recording", time_of_day(replay.clock()))
        }
        _ => String::new(),
    }
}

/// What to do about a recorded run; `None` for a run of this muster.
pub(super) fn next_words(model: &Model, verdict: Verdict) -> Option<String> {
    let replay = model.replay.as_ref().filter(|_| model.place() == Place::Replay)?;
    let resume = Hint::type_(format!("muster resume {}", replay.run));
    Some(match (&replay.rest, has_verdict(replay), verdict) {
        (Rest::Damaged(why), ..) => format!("{why}; what stands before that can be trusted"),
        (_, false, _) => format!("{resume}  (looks, and plans what is left anew)"),
        (.., Verdict::InLine | Verdict::Converged) => "nothing: every node was in line when it ended".to_owned(),
        _ => format!("{resume}  (plans what is left anew)"),
    })
}

fn has_verdict(replay: &Replay) -> bool {
    replay.watched().state.verdict.is_some()
}

/// What stands in place of the verdict where none was recorded.
pub(super) fn no_verdict(model: &Model) -> Option<TextLine> {
    let replay = model.replay.as_ref().filter(|replay| model.place() == Place::Replay && replay.watched().lost)?;
    let why = match replay.rest {
        Rest::Damaged(_) => "what comes behind this is damaged",
        _ => "muster was killed, or its machine went down",
    };
    Some(TextLine::new(Tone::Bad, " no verdict was recorded").with(Tone::Plain, &format!(": {why}")))
}

/// The first line over the plan of a recorded run.
pub(super) fn plan_title(model: &Model) -> (TextLine, TextLine) {
    let Some(plan) = model.plan_seen() else { return Default::default() };
    let basis = &plan.basis;
    let left = TextLine::new(Tone::Head, " recorded plan")
        .with(Tone::Plain, &format!("  {} @ {}", basis.repository, basis.revision.short()))
        .with(Tone::Faint, &format!("  \"{}\"", basis.summary));
    let surveyed = basis.surveyed.strftime("%Y-%m-%d %H:%M").to_string();
    (left, TextLine::new(Tone::Faint, &format!("surveyed {surveyed} UTC ")))
}
