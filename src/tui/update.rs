//! What each message changes. Pure: what has to be done outside comes back as effects.

use std::sync::Arc;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Size;

use super::command;
use super::dialog::{Answer, Dialog, next_rung};
use super::effect::Effect;
use super::keymap::{Command, Place};
use super::message::{Doing, Message, Notice, Signal};
use super::model::Model;
use super::picture::Picture;
use super::screen::{About, Pager, PlanScreen, RunScreen, Screen, Watched};
use super::{reading, steer, view};
use crate::plan::Plan;
use crate::run::{CancelLevel, Event, EventKind};

/// Takes a message in.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Input(input) => on_input(model, input),
        Message::Clock(at) => {
            model.clock = model.clock.max(at);
            Vec::new()
        }
        Message::Signal(signal) => on_signal(model, signal),
        Message::Looking { done, of } => {
            model.busy.looking = Some((done, of));
            Vec::new()
        }
        Message::Looked(picture) => {
            looked(model, &picture);
            Vec::new()
        }
        Message::Planned(plan) => {
            planned(model, plan);
            Vec::new()
        }
        Message::Run(event) => run_event(model, &event),
        Message::Failed { doing, notice } => {
            failed(model, doing, notice);
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

fn on_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
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
        Some(Dialog::Skip(skipping)) => skipping.typed.add(text),
        Some(Dialog::Search) => reading::paste(model, text),
        Some(Dialog::Filter) => {
            let line: String = text.lines().next().unwrap_or_default().chars().take(MOST_FILTER).collect();
            let typed = filter_text(model) + &line;
            filter(model, typed);
        }
        Some(Dialog::Stop(_) | Dialog::Notice(_)) | None => {}
    }
}

/// A dialog takes all keys; whether it stays open is decided by putting it back.
fn on_dialog_key(model: &mut Model, mut dialog: Dialog, key: &KeyEvent) -> Vec<Effect> {
    // The terminal's own keys work everywhere.
    if let Some(command @ (Command::Redraw | Command::Suspend)) = model.command(key) {
        model.dialog = Some(dialog);
        return command::perform(model, command);
    }
    let answer = match &mut dialog {
        Dialog::Filter => return on_filter_key(model, key),
        Dialog::Search => return reading::on_search_key(model, key),
        Dialog::Skip(skipping) => skipping.typed.key(key),
        Dialog::Apply(confirm) => confirm.typed.key(key),
        Dialog::Leave(typed) => typed.key(key),
        Dialog::Stop(level) => return on_ladder_key(model, *level, key),
        Dialog::Notice(_) if command::choice(key).is_some() => Answer::No,
        Dialog::Notice(_) => Answer::Open,
    };
    match (answer, dialog) {
        (Answer::Open, dialog) => model.dialog = Some(dialog),
        (Answer::Yes, Dialog::Apply(confirm)) => return begin(model, confirm.plan),
        (Answer::Yes, Dialog::Skip(skipping)) => return steer::skip(skipping.node),
        (Answer::Yes, Dialog::Leave(_)) => return vec![Effect::Cancel(CancelLevel::Close), Effect::Quit],
        (Answer::Yes | Answer::No, _) => {}
    }
    Vec::new()
}

/// More than any filter that a person types.
const MOST_FILTER: usize = 300;

fn filter_text(model: &Model) -> String {
    match model.screen() {
        Screen::Fleet(fleet) => fleet.filter.text.clone(),
        Screen::Plan(_) | Screen::Run(_) | Screen::Log(_) | Screen::Pager(_) => String::new(),
    }
}

/// Shows the nodes that this text chooses.
fn filter(model: &mut Model, text: String) {
    let height = model.height(Place::Fleet);
    let Some(picture) = model.picture.clone() else { return };
    if let Screen::Fleet(fleet) = model.screen_mut() {
        fleet.show(text, &picture, height);
    }
}

/// A key while a filter is typed; each letter shows at once what it does.
fn on_filter_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let mut text = filter_text(model);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let open = match key.code {
        KeyCode::Enter => return Vec::new(),
        KeyCode::Esc => false,
        KeyCode::Char('c') if control => false,
        _ => true,
    };
    match key.code {
        _ if !open => text.clear(),
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char(c) if !control && text.chars().count() < MOST_FILTER => text.push(c),
        _ => {}
    }
    model.dialog = open.then_some(Dialog::Filter);
    filter(model, text);
    Vec::new()
}

fn on_ladder_key(model: &mut Model, level: CancelLevel, key: &KeyEvent) -> Vec<Effect> {
    match command::choice(key) {
        Some(command::Choice::Interrupt) => return interrupt(model),
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
        return vec![Effect::Quit];
    };
    let held = run.asked.is_some_and(|(_, at)| model.clock.duration_since(at).as_secs() < 1);
    let next = next_rung(run.cancelling()).filter(|_| !held);
    let effects = next.map_or_else(Vec::new, |level| cancel(model, level));
    command::open_ladder(model);
    effects
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
    model.busy.looking = None;
    refresh(model);
}

fn planned(model: &mut Model, plan: Arc<Plan>) {
    model.busy.planning = false;
    model.said = None;
    model.plan = Some(plan);
    // The difference that is read belongs to the plan before.
    model.drop_screens(Place::Diff);
    let asked_from = matches!(model.place(), Place::Fleet | Place::Node | Place::Plan);
    // What was typed so far is the filter.
    if matches!(model.dialog, Some(Dialog::Filter)) {
        model.dialog = None;
    }
    // A question about the plan before must not be answered for this one.
    if matches!(model.dialog, Some(Dialog::Apply(_))) {
        model.dialog = None;
        model.said = Some("the plan has changed: read it, then a".to_owned());
    }
    if asked_from || model.place() == Place::Run && !model.is_running() {
        let mut screen = PlanScreen::default();
        let height = model.height(Place::Plan);
        screen.set_lines(view::plan_lines(model, &screen.folded), height);
        screen.go_to_first_change(height);
        model.push(Screen::Plan(screen));
    }
    refresh(model);
}

fn run_event(model: &mut Model, event: &Event) -> Vec<Effect> {
    let Some(run) = model.run.as_mut() else { return Vec::new() };
    run.apply(event);
    model.clock = model.clock.max(event.at);
    if matches!(event.kind, EventKind::RunStarted { .. }) {
        // It is spent: what is left to do has to be planned anew.
        model.plan = None;
        model.drop_screens(Place::Diff);
        model.drop_screens(Place::Plan);
    }
    let follows = matches!(
        event.kind,
        EventKind::StepEnded { .. } | EventKind::ClusterStepEnded { .. } | EventKind::RunStarted { .. }
    );
    if follows {
        follow(model);
    }
    reading::grown(model, event);
    if !matches!(event.kind, EventKind::StepPrinted { .. } | EventKind::StepProgressed { .. }) {
        refresh_pagers(model, |about| matches!(about, About::RunNode(_) | About::RunStep(..) | About::Ticket));
    }
    if matches!(event.kind, EventKind::RunEnded { .. }) {
        return ended(model);
    }
    Vec::new()
}

/// After the verdict nothing is left to stop or to leave. The picture of the fleet is of before the run; where the run has
/// looked again itself, what it saw is on its way.
fn ended(model: &mut Model) -> Vec<Effect> {
    if matches!(model.dialog, Some(Dialog::Stop(_) | Dialog::Leave(_) | Dialog::Skip(_))) {
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
        if let Screen::Run(screen) = screen {
            screen.cursor.settle(run.rows.len(), height);
            screen.follow(&run, height);
        }
    }
    model.run = Some(run);
}

fn failed(model: &mut Model, doing: Doing, notice: Notice) {
    match doing {
        Doing::Look => model.busy.looking = None,
        Doing::Plan => model.busy.planning = false,
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
        Some(
            Dialog::Apply(_) | Dialog::Stop(_) | Dialog::Leave(_) | Dialog::Filter | Dialog::Skip(_) | Dialog::Search,
        ) => model.said = Some(notice.text),
    }
}

/// Makes all derived lines anew, and brings every cursor back onto its list.
pub(super) fn refresh(model: &mut Model) {
    refresh_plan(model);
    refresh_pagers(model, |_| true);
    let (fleet, run) = (model.height(Place::Fleet), model.height(Place::Run));
    let rows = model.run.as_ref().map_or(0, |run| run.rows.len());
    for screen in model.screens_mut() {
        match screen {
            Screen::Fleet(screen) => screen.cursor.settle(screen.rows.len(), fleet),
            Screen::Run(screen) => screen.cursor.settle(rows, run),
            Screen::Plan(_) | Screen::Log(_) | Screen::Pager(_) => {}
        }
    }
}

fn refresh_plan(model: &mut Model) {
    let height = model.height(Place::Plan);
    // There is one plan at most, and one screen of it.
    let folded = model.screens_mut().find_map(|screen| match screen {
        Screen::Plan(screen) => Some(screen.folded.clone()),
        Screen::Fleet(_) | Screen::Run(_) | Screen::Log(_) | Screen::Pager(_) => None,
    });
    let Some(folded) = folded else { return };
    let lines = view::plan_lines(model, &folded);
    for screen in model.screens_mut() {
        if let Screen::Plan(screen) = screen {
            screen.set_lines(lines.clone(), height);
        }
    }
}

fn refresh_pagers(model: &mut Model, which: fn(&About) -> bool) {
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
