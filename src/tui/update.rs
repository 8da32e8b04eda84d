//! What each message changes. Pure: what has to be done outside comes back as effects.

use std::sync::Arc;

use crossterm::event::{Event as Input, KeyEvent, KeyEventKind};
use ratatui::layout::Size;

use super::closely;
use super::command;
use super::dialog::{Answer, Dialog, Force, next_rung};
use super::editing;
use super::effect::Effect;
use super::keymap::{Command, Place};
use super::layout;
use super::line::{self, Pressed};
use super::message::{Doing, Message, Notice, Signal};
use super::model::Model;
use super::palette::{self, Chosen, Palette};
use super::picture::Picture;
use super::recordings;
use super::screen::{About, Pager, RunScreen, Screen, Source, Watched};
use super::shown::first_line;
use super::{reading, steer, view};
use crate::plan::Plan;
use crate::run::{CancelLevel, Event, EventKind, StepEnd};

/// Takes a message in.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = take(model, message);
    effects.extend(recordings::close(model));
    effects
}

fn take(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Input(input) => on_input(model, input),
        Message::Clock(at) => {
            model.clock = model.clock.max(at);
            recordings::tick(model)
        }
        Message::Runs(heard) => {
            recordings::heard(model, heard);
            Vec::new()
        }
        Message::Replay(run, reel) => {
            recordings::took(model, &run, reel);
            Vec::new()
        }
        Message::Signal(signal) => on_signal(model, signal),
        Message::Looking { done, of } => {
            model.busy.looking = Some((done, of));
            Vec::new()
        }
        Message::Looked(picture) => {
            looked(model, &picture);
            closely::looked(model)
        }
        Message::Planned(made) => {
            editing::planned(model, made);
            Vec::new()
        }
        Message::Saved(saved) => {
            editing::saved(model, saved);
            Vec::new()
        }
        Message::Run(event) | Message::Chatter(event, _) => run_event(model, &event),
        Message::Frame => {
            catch_up(model);
            Vec::new()
        }
        Message::Failed { doing, notice } => {
            failed(model, doing, notice);
            Vec::new()
        }
        Message::Inspected(inspection) => {
            closely::inspected(model, inspection);
            Vec::new()
        }
        Message::Answered(node, answer) => {
            closely::answered(model, &node, answer);
            Vec::new()
        }
        Message::Compared(about, answer) => {
            closely::compared(model, &about, &answer);
            Vec::new()
        }
        Message::Died(_) => vec![Effect::Quit],
    }
}

fn on_input(model: &mut Model, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => {
            model.said = None;
            on_key(model, &key)
        }
        // What a key would do cannot be seen.
        Input::Paste(_) if layout::is_too_small(model.size) => Vec::new(),
        Input::Paste(text) => {
            paste(model, &text);
            Vec::new()
        }
        Input::Resize(width, height) => {
            model.size = Size::new(width, height);
            refresh(model);
            Vec::new()
        }
        Input::Key(_) | Input::Mouse(_) | Input::FocusGained | Input::FocusLost => Vec::new(),
    }
}

/// A key on a terminal that is too small to show what it does: it leaves where nothing is lost by that, else it does nothing.
fn on_blind_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    match model.command(key) {
        Some(command @ (Command::Redraw | Command::Suspend)) => command::perform(model, command),
        Some(Command::Quit | Command::Interrupt) if !model.is_running() => vec![Effect::Quit],
        _ => Vec::new(),
    }
}

fn on_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    if layout::is_too_small(model.size) {
        return on_blind_key(model, key);
    }
    if let Some(dialog) = model.dialog.take() {
        return on_dialog_key(model, dialog, key);
    }
    match model.command(key) {
        Some(command) => command::perform(model, command),
        None => Vec::new(),
    }
}

fn paste(model: &mut Model, text: &str) {
    match &mut model.dialog {
        Some(Dialog::Apply(confirm)) => confirm.typed.add(text),
        Some(Dialog::Leave(typed)) => typed.add(text),
        Some(Dialog::Force(force)) => force.typed.add(text),
        Some(Dialog::Lift(lift)) => lift.typed.add(text),
        Some(Dialog::Save(asked)) => asked.replace.as_mut().unwrap_or(&mut asked.name).add(text),
        Some(Dialog::Skip(skipping)) => skipping.typed.add(text),
        Some(Dialog::Search) => reading::paste(model, text),
        Some(Dialog::Filter) => {
            let line: String = first_line(text).chars().take(MOST_FILTER).collect();
            let typed = filter_text(model) + &line;
            filter(model, typed);
        }
        Some(Dialog::Palette(palette)) => palette.add(text),
        Some(Dialog::Stop(_) | Dialog::Notice(_) | Dialog::Equal(_)) | None => {}
    }
}

/// A dialog takes all keys; whether it stays open is decided by putting it back.
fn on_dialog_key(model: &mut Model, mut dialog: Dialog, key: &KeyEvent) -> Vec<Effect> {
    // The terminal's own keys work everywhere.
    if let Some(command @ (Command::Redraw | Command::Suspend)) = model.command(key) {
        model.dialog = Some(dialog);
        return command::perform(model, command);
    }
    if let Dialog::Save(asked) = dialog {
        return editing::save_key(model, asked, key);
    }
    let answer = match &mut dialog {
        Dialog::Lift(lift) => lift.typed.key(key),
        Dialog::Filter => return on_filter_key(model, key),
        Dialog::Search => return reading::on_search_key(model, key),
        Dialog::Skip(skipping) => skipping.typed.key(key),
        Dialog::Apply(confirm) => confirm.typed.key(key),
        Dialog::Leave(typed) => typed.key(key),
        Dialog::Stop(level) => return on_ladder_key(model, *level, key),
        Dialog::Force(force) => force.typed.key(key),
        Dialog::Palette(palette) => return on_palette_key(model, palette.clone(), key),
        Dialog::Notice(_) if command::choice(key).is_some() => Answer::No,
        Dialog::Equal(_) if command::choice(key).is_some() || closes(model, key) => Answer::No,
        Dialog::Notice(_) | Dialog::Equal(_) | Dialog::Save(_) => Answer::Open,
    };
    match (answer, dialog) {
        (Answer::Open, dialog) => model.dialog = Some(dialog),
        (Answer::Yes, Dialog::Apply(confirm)) => return begin(model, confirm.plan),
        (Answer::Yes, Dialog::Lift(lift)) => return editing::lifted(model, &lift.what),
        (Answer::Yes, Dialog::Skip(skipping)) => return steer::skip(skipping.node),
        (Answer::Yes, Dialog::Force(force)) => return cancel(model, force.level),
        (Answer::Yes, Dialog::Leave(_)) => return vec![Effect::Cancel(CancelLevel::Close), Effect::Quit],
        (Answer::Yes | Answer::No, _) => {}
    }
    Vec::new()
}

/// The key that opened the commands closes them, too.
fn closes(model: &Model, key: &KeyEvent) -> bool {
    matches!(model.command(key), Some(Command::Equal | Command::Back | Command::Quit))
}

/// A key while an action is looked for. What is chosen is done as if its key were pressed; what is not possible says why.
fn on_palette_key(model: &mut Model, mut palette: Palette, key: &KeyEvent) -> Vec<Effect> {
    let found = palette::found(model, &palette.text);
    match palette.key(key, found.len()) {
        Chosen::Closed => {}
        Chosen::Open => model.dialog = Some(Dialog::Palette(palette)),
        Chosen::Action(at) => {
            if let Some(found) = found.get(at).filter(|found| found.not_now.is_none()) {
                return command::perform(model, found.binding.command);
            }
            model.said = found.get(at).and_then(|found| found.not_now.clone());
            model.dialog = Some(Dialog::Palette(palette));
        }
    }
    Vec::new()
}

/// More than any filter that a person types.
const MOST_FILTER: usize = 300;

fn filter_text(model: &Model) -> String {
    match model.screen() {
        Screen::Fleet(fleet) => fleet.filter.text.clone(),
        Screen::Runs(runs) => runs.filter.clone(),
        _ => String::new(),
    }
}

/// Whether what is typed as the fleet's filter cannot be used.
fn is_wrong(model: &Model) -> bool {
    matches!(model.screen(), Screen::Fleet(fleet) if fleet.filter.wrong.is_some())
}

/// Shows the nodes that this text chooses.
fn filter(model: &mut Model, text: String) {
    let height = model.height(Place::Fleet);
    if matches!(model.screen(), Screen::Runs(_)) {
        return recordings::filter(model, text);
    }
    let Some(picture) = model.picture.clone() else { return };
    if let Screen::Fleet(fleet) = model.screen_mut() {
        fleet.show(text, &picture, height);
    }
}

/// A key while a filter is typed; each letter shows at once what it does.
fn on_filter_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let mut text = filter_text(model);
    let pressed = line::press(&mut text, key, MOST_FILTER);
    if pressed == Pressed::Entered {
        // What is wrong is not what chooses the nodes that are shown: to keep it would hide that. Why stands beside it.
        model.dialog = is_wrong(model).then_some(Dialog::Filter);
        return Vec::new();
    }
    model.dialog = (pressed == Pressed::Open).then_some(Dialog::Filter);
    filter(model, text);
    Vec::new()
}

fn on_ladder_key(model: &mut Model, level: CancelLevel, key: &KeyEvent) -> Vec<Effect> {
    match command::choice(key) {
        Some(command::Choice::Interrupt) => return interrupt(model),
        // These leave nodes in the middle of a change to their guards.
        Some(command::Choice::Enter) if level >= CancelLevel::LeaveSteps => {
            model.dialog = Some(Dialog::Force(Box::new(Force::new(level))));
        }
        Some(command::Choice::Enter) => return cancel(model, level),
        Some(command::Choice::No) => {}
        Some(command::Choice::Move(by)) => {
            model.dialog = Some(Dialog::Stop(command::other_rung(model, level, by)));
        }
        None => model.dialog = Some(Dialog::Stop(level)),
    }
    Vec::new()
}

/// Begins to carry a plan out.
fn begin(model: &mut Model, plan: Arc<Plan>) -> Vec<Effect> {
    if model.is_running() {
        model.said = Some("a run is on: it has to end before another begins".to_owned());
        return Vec::new();
    }
    model.run = Some(Watched::of(&plan));
    model.push(Screen::Run(RunScreen::default()));
    vec![Effect::Apply(plan)]
}

/// Asks the run to stop, this hard.
pub(super) fn cancel(model: &mut Model, level: CancelLevel) -> Vec<Effect> {
    let clock = model.clock;
    let Some(run) = model.run.as_mut().filter(|run| run.is_on()) else {
        model.said = Some("no run is on".to_owned());
        return Vec::new();
    };
    if run.cancelling().is_some_and(|asked| asked >= level) {
        return Vec::new();
    }
    run.asked = Some((level, clock));
    vec![Effect::Cancel(level)]
}

/// Ctrl-C: leaves, or goes one rung up the ladder of stopping and shows it. A key that is held down is not a wish: one
/// rung in a second.
pub(super) fn interrupt(model: &mut Model) -> Vec<Effect> {
    let Some(run) = model.run.as_ref().filter(|run| run.is_on()) else {
        return leave_after(model);
    };
    let held = run.asked.is_some_and(|(_, at)| model.clock.duration_since(at).as_secs() < 1);
    let next = next_rung(run.cancelling()).filter(|_| !held);
    let effects = next.map_or_else(Vec::new, |level| cancel(model, level));
    command::open_ladder(model);
    if held {
        model.said = Some("Ctrl-C goes one step further once in a second".to_owned());
    }
    effects
}

/// How long after a Ctrl-C that stopped a run another one may still have been meant for that run.
const STILL_MEANT: i64 = 5;

/// Ctrl-C while no run is on leaves; not where it was pressed again to stop a run that has just ended: its verdict stays.
fn leave_after(model: &mut Model) -> Vec<Effect> {
    let asked = model.run.as_ref().and_then(|run| run.asked);
    let meant = |(_, at): (CancelLevel, jiff::Timestamp)| model.clock.duration_since(at).as_secs() < STILL_MEANT;
    if asked.is_some_and(meant) {
        model.said = Some(format!("the run has ended; {} leaves", model.key_words(Command::Quit)));
        return Vec::new();
    }
    vec![Effect::Quit]
}

fn on_signal(model: &mut Model, signal: Signal) -> Vec<Effect> {
    match signal {
        Signal::Interrupt => interrupt(model),
        // Nobody may be there to read a question, or to answer it: guards on the nodes put back what is in the middle.
        Signal::Terminate | Signal::Hangup if model.is_running() => {
            let mut effects = cancel(model, CancelLevel::LeaveSteps);
            effects.push(Effect::Quit);
            effects
        }
        Signal::Terminate | Signal::Hangup => vec![Effect::Quit],
        Signal::Stop => command::perform(model, Command::Suspend),
        Signal::Continued => vec![Effect::Redraw],
    }
}

fn looked(model: &mut Model, picture: &Arc<Picture>) {
    let height = model.height(Place::Fleet);
    let old = model.picture.replace(Arc::clone(picture));
    for screen in model.screens_mut() {
        if let Screen::Fleet(fleet) = screen {
            fleet.picture_changed(old.as_deref(), picture, height);
        }
    }
    // A look that nobody asked for is the one at the end of a run.
    if model.busy.looking.take().is_some()
        && let Some(said) = super::arrange::looked_again(old.as_deref(), picture)
    {
        model.said = Some(said);
    }
    refresh(model);
}

fn run_event(model: &mut Model, event: &Event) -> Vec<Effect> {
    let Some(run) = model.run.as_mut() else { return Vec::new() };
    run.apply(event);
    model.clock = model.clock.max(event.at);
    if matches!(event.kind, EventKind::RunStarted { .. }) {
        // It is spent: what is left to do has to be planned anew.
        editing::forget(model);
    }
    let follows = match &event.kind {
        // A step that ended well is no trouble to go to, and there may be thousands of them in a second.
        EventKind::StepEnded { end, .. } => !matches!(end, StepEnd::Done { .. }),
        EventKind::ClusterStepEnded { .. } | EventKind::RunStarted { .. } => true,
        _ => false,
    };
    if follows {
        follow(model);
    }
    reading::grown(model, event);
    // Texts about the run are laid out once for a frame, not for each of thousands of events.
    model.put_off = true;
    if matches!(event.kind, EventKind::RunEnded { .. }) {
        return ended(model);
    }
    Vec::new()
}

/// Does what was put off until a frame is drawn.
fn catch_up(model: &mut Model) {
    if std::mem::take(&mut model.put_off) {
        refresh_pagers(model, |about| matches!(about, About::RunNode(_) | About::RunStep(..)));
    }
}

/// After the verdict nothing is left to stop or to leave. The picture of the fleet is of before the run; where the run has
/// looked again itself, what it saw is on its way.
fn ended(model: &mut Model) -> Vec<Effect> {
    if matches!(model.dialog, Some(Dialog::Stop(_) | Dialog::Force(_) | Dialog::Leave(_) | Dialog::Skip(_))) {
        model.dialog = None;
    }
    if model.run.as_ref().is_some_and(|run| run.state.looked.is_some()) {
        return Vec::new();
    }
    model.busy.looking = Some((0, 0));
    vec![Effect::Look(super::effect::Part::All)]
}

fn follow(model: &mut Model) {
    let height = model.height(Place::Run);
    let Some(run) = model.run.take() else { return };
    for screen in model.screens_mut() {
        if let Screen::Run(screen @ RunScreen { source: Source::Live, .. }) = screen {
            screen.cursor.settle(run.rows.len(), height);
            screen.follow(&run, height);
        }
    }
    model.run = Some(run);
}

fn failed(model: &mut Model, doing: Doing, notice: Notice) {
    match doing {
        Doing::Look => model.busy.looking = None,
        Doing::Plan => {
            model.busy.planning = false;
            // What is shown is still the plan before.
            model.edits = model.made_from.edits.clone();
        }
        Doing::Replay => {
            model.drop_screens(Place::PastPlan);
            model.drop_screens(Place::Replay);
        }
        Doing::Apply => match model.run.as_mut() {
            Some(run) if run.state.head.is_some() => run.lost = true,
            _ => {
                model.run = None;
                for place in [Place::Run, Place::Log, Place::Ticket] {
                    model.drop_screens(place);
                }
            }
        },
    }
    // What is being typed is not torn away; the notice waits in the last line.
    match model.dialog {
        None | Some(Dialog::Notice(_)) => model.dialog = Some(Dialog::Notice(notice)),
        Some(_) => model.said = Some(notice.text),
    }
}

/// Makes all derived lines anew, and brings every cursor back onto its list.
pub(super) fn refresh(model: &mut Model) {
    refresh_plan(model);
    closely::refresh(model);
    refresh_pagers(model, |_| true);
    let (fleet, runs) = (model.height(Place::Fleet), model.height(Place::Runs));
    let run = model.height(if model.source() == Source::Live { Place::Run } else { Place::Replay });
    let rows = model.watched().map_or(0, |run| run.rows.len());
    for screen in model.screens_mut() {
        match screen {
            Screen::Fleet(screen) => screen.cursor.settle(screen.rows.len(), fleet),
            Screen::Run(screen) => screen.cursor.settle(rows, run),
            Screen::Runs(screen) => screen.cursor.settle(screen.rows.len(), runs),
            _ => {}
        }
    }
}

fn refresh_plan(model: &mut Model) {
    let height = model.height(Place::Plan);
    // There is one plan screen at most.
    let turned = model.screens_mut().find_map(|screen| match screen {
        Screen::Plan(screen) => Some(screen.turned.clone()),
        _ => None,
    });
    let Some(turned) = turned else { return };
    let text = view::plan_text(model, &turned);
    let plans = model.screens_mut().filter_map(|screen| match screen {
        Screen::Plan(screen) => Some(screen),
        _ => None,
    });
    plans.take(1).for_each(|screen| screen.set_text(text.clone(), height));
}

pub(super) fn refresh_pagers(model: &mut Model, which: fn(&About) -> bool) {
    let wanted: Vec<About> = model
        .screens_mut()
        .filter_map(|screen| match screen {
            Screen::Pager(pager) if which(&pager.about) => Some(pager.about.clone()),
            _ => None,
        })
        .collect();
    for about in wanted {
        let lines = view::pager_lines(model, &about);
        for screen in model.screens_mut() {
            if let Screen::Pager(pager) = screen
                && pager.about == about
            {
                pager.lines.clone_from(&lines);
            }
        }
    }
}

/// Lays a text to read over the screen.
pub(super) fn read(model: &mut Model, about: About) {
    let mut pager = Pager::new(about);
    pager.lines = view::pager_lines(model, &pager.about);
    model.push(Screen::Pager(pager));
}
