//! What each command of the keymap does.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::cursor::Step;
use super::dialog::{Confirm, Dialog, LADDER, Typed, next_rung};
use super::effect::{Effect, Part};
use super::keymap::{Command, Place};
use super::logs::Subject;
use super::model::Model;
use super::screen::{About, FleetRow, LogScreen, RunRow, RunScreen, Screen};
use super::update::{interrupt, read, refresh};
use super::view::removal_of;
use super::{reading, steer};
use crate::run::CancelLevel;

/// Does what a key asks for.
pub(super) fn perform(model: &mut Model, command: Command) -> Vec<Effect> {
    match command {
        Command::Up => go(model, Step::By(-1)),
        Command::Down => go(model, Step::By(1)),
        Command::PageUp => go(model, Step::Pages(-1)),
        Command::PageDown => go(model, Step::Pages(1)),
        Command::First => go(model, Step::First),
        Command::Last => go(model, Step::Last),
        Command::Left | Command::Right if model.place() == Place::Log => {
            reading::sideways(model, command == Command::Right);
        }
        Command::Left => columns(model, -1),
        Command::Right => columns(model, 1),
        Command::NextTrouble => next_trouble(model),
        Command::Open if model.place() == Place::Run => reading::open(model),
        Command::Open => open(model),
        Command::Back => {
            model.back();
        }
        Command::Apply => apply(model),
        Command::Diff => diff(model),
        Command::Watch => watch(model),
        Command::Filter => filter(model),
        Command::Stop => stop(model),
        Command::Skip => steer::ask_to_skip(model),
        Command::Detail => detail(model),
        Command::Search => reading::search(model),
        Command::NextMatch => reading::next_match(model, true),
        Command::PreviousMatch => reading::next_match(model, false),
        Command::Follow => reading::follow(model),
        Command::Wrap => reading::wrap(model),
        Command::Pause => return steer::pause(model),
        Command::Retry => return steer::retry(model),
        Command::Ticket => return steer::show_ticket(model),
        Command::Help => help(model),
        Command::Plan => return plan(model, Part::All),
        Command::PlanHere => return here(model).map_or_else(Vec::new, |part| plan(model, part)),
        Command::Look => return look(model, Part::All),
        Command::LookHere => return here(model).map_or_else(Vec::new, |part| look(model, part)),
        Command::Quit => return quit(model),
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => return suspend(model),
        Command::Interrupt => return interrupt(model),
    }
    Vec::new()
}

fn say(model: &mut Model, words: impl Into<String>) {
    model.said = Some(words.into());
}

fn go(model: &mut Model, step: Step) {
    let height = model.height(model.place());
    let run_rows = model.run.as_ref().map_or(0, |run| run.rows.len());
    match model.screen_mut() {
        Screen::Fleet(fleet) => fleet.cursor.step(step, fleet.rows.len(), height),
        Screen::Plan(plan) => plan.cursor.step(step, plan.lines.len(), height),
        Screen::Pager(pager) => pager.scroll.scroll(step, pager.lines.len(), height),
        Screen::Run(run) => {
            run.cursor.step(step, run_rows, height);
            run.moved = true;
        }
        Screen::Log(_) => reading::go(model, step),
    }
}

fn columns(model: &mut Model, by: isize) {
    let columns = model.picture.as_ref().map_or(0, |picture| picture.columns.len());
    if let Screen::Fleet(fleet) = model.screen_mut() {
        fleet.column = fleet.column.saturating_add_signed(by).min(columns.saturating_sub(1));
    }
}

fn next_trouble(model: &mut Model) {
    let height = model.height(model.place());
    let (picture, run) = (model.picture.clone(), model.run.take());
    let found = match (model.screen_mut(), picture.as_deref(), run.as_ref()) {
        (Screen::Fleet(fleet), Some(picture), _) => fleet.next_trouble(picture, height),
        (Screen::Run(screen), _, Some(run)) => screen.next_trouble(run, height),
        _ => false,
    };
    model.run = run;
    if !found {
        say(model, "every node that is shown is well");
    }
}

/// What is under the cursor, or says that there is nothing.
fn here(model: &mut Model) -> Option<Part> {
    let part = match (model.screen(), model.picture.as_deref()) {
        (Screen::Fleet(fleet), Some(picture)) => fleet.part(picture),
        (Screen::Pager(pager), _) => match &pager.about {
            About::Node(node) | About::RunNode(node) => Some(Part::Node(node.clone())),
            About::RunStep(cluster, _) => Some(Part::Cluster(cluster.clone())),
            About::Diff(..) | About::Ticket | About::Help(_) => None,
        },
        _ => None,
    };
    if part.is_none() {
        say(model, "nothing is under the cursor");
    }
    part
}

fn open(model: &mut Model) {
    if matches!(model.screen(), Screen::Plan(_)) {
        return open_change(model);
    }
    let height = model.height(Place::Fleet);
    let picture = model.picture.clone();
    let about = match (model.screen_mut(), picture) {
        (Screen::Fleet(fleet), Some(picture)) => match (fleet.row(), fleet.part(&picture)) {
            (Some(FleetRow::Cluster(_)), Some(Part::Cluster(cluster))) => {
                fleet.fold(&picture, &cluster, height);
                None
            }
            (Some(FleetRow::Node(..)), Some(Part::Node(node))) => Some(About::Node(node)),
            _ => None,
        },
        _ => None,
    };
    if let Some(about) = about {
        read(model, about);
    }
}

/// All that is known of what is under the cursor, or of whose log is read.
fn detail(model: &mut Model) {
    let about = match model.screen() {
        Screen::Log(LogScreen { subject: Subject::Node(node), .. }) => Some(About::RunNode(node.clone())),
        _ => run_row(model),
    };
    match about {
        Some(about) => read(model, about),
        None => say(model, "more is known of nodes and steps only"),
    }
}

/// Folds or unfolds a removal; of another change, shows more.
fn open_change(model: &mut Model) {
    let plan = model.plan.clone();
    let Screen::Plan(screen) = model.screen_mut() else { return };
    let place = screen.lines.get(screen.cursor.at).and_then(|line| line.change);
    let removal = place.zip(plan.as_deref()).and_then(|((cluster, change), plan)| {
        let cluster = plan.clusters.get(cluster)?;
        removal_of(cluster, cluster.changes.get(change)?)
    });
    match (place, removal) {
        (Some(place), Some(_)) => {
            screen.fold(place);
            refresh(model);
        }
        _ => diff(model),
    }
}

fn run_row(model: &Model) -> Option<About> {
    let (Screen::Run(screen), Some(run)) = (model.screen(), &model.run) else { return None };
    match run.rows.get(screen.cursor.at)? {
        RunRow::Node(node) => Some(About::RunNode(node.clone())),
        RunRow::Step(cluster, step) => Some(About::RunStep(cluster.clone(), *step)),
        RunRow::Cluster(_) => None,
    }
}

fn plan(model: &mut Model, part: Part) -> Vec<Effect> {
    if model.is_running() {
        say(model, "a run is on: a plan can be made when it has ended");
        return Vec::new();
    }
    if model.picture.is_none() {
        say(model, "the fleet has not been looked at yet");
        return Vec::new();
    }
    model.busy.planning = true;
    vec![Effect::Plan(part)]
}

fn look(model: &mut Model, part: Part) -> Vec<Effect> {
    if model.is_running() {
        say(model, "a run is on: it looks again by itself at its end");
        return Vec::new();
    }
    if model.busy.looking.is_some() {
        say(model, "a look is under way");
        return Vec::new();
    }
    model.busy.looking = Some((0, 0));
    vec![Effect::Look(part)]
}

fn apply(model: &mut Model) {
    match model.plan.clone() {
        _ if model.is_running() => say(model, "a run is on: it has to end before another begins"),
        _ if model.busy.planning => say(model, "a new plan is being made"),
        None => say(model, "there is no plan: p makes one"),
        Some(plan) if plan.is_empty() => say(model, "there is nothing to apply"),
        Some(plan) => model.dialog = Some(Dialog::Apply(Box::new(Confirm::new(Arc::clone(&plan))))),
    }
}

fn diff(model: &mut Model) {
    let change = match model.screen() {
        Screen::Plan(screen) => screen.lines.get(screen.cursor.at).and_then(|line| line.change),
        Screen::Fleet(_) | Screen::Run(_) | Screen::Log(_) | Screen::Pager(_) => None,
    };
    match change {
        Some((cluster, change)) => read(model, About::Diff(cluster, change)),
        None => say(model, "no change is under the cursor"),
    }
}

fn watch(model: &mut Model) {
    if model.run.is_some() {
        model.push(Screen::Run(RunScreen::default()));
    } else {
        say(model, "no run was begun here");
    }
}

fn filter(model: &mut Model) {
    if model.picture.is_some() {
        model.dialog = Some(Dialog::Filter);
    } else {
        say(model, "the fleet has not been looked at yet");
    }
}

fn stop(model: &mut Model) {
    if model.is_running() {
        open_ladder(model);
    } else {
        say(model, "no run is on");
    }
}

/// Shows the ladder of stopping, with the next rung chosen but not taken.
pub(super) fn open_ladder(model: &mut Model) {
    let asked = model.run.as_ref().and_then(super::screen::Watched::cancelling);
    model.dialog = Some(Dialog::Stop(next_rung(asked).unwrap_or(CancelLevel::Close)));
}

/// The rung that is so many above or below, among those that are still above what was asked for.
pub(super) fn other_rung(model: &Model, level: CancelLevel, by: isize) -> CancelLevel {
    let asked = model.run.as_ref().and_then(super::screen::Watched::cancelling);
    let open: Vec<CancelLevel> = LADDER.into_iter().filter(|rung| asked.is_none_or(|asked| *rung > asked)).collect();
    let at = open.iter().position(|rung| *rung == level).unwrap_or(0).saturating_add_signed(by);
    open.get(at.min(open.len().saturating_sub(1))).copied().unwrap_or(level)
}

fn help(model: &mut Model) {
    match model.place() {
        Place::Help => drop(model.back()),
        place => read(model, About::Help(place)),
    }
}

fn quit(model: &mut Model) -> Vec<Effect> {
    if model.is_running() {
        model.dialog = Some(Dialog::Leave(Typed::new("leave")));
        return Vec::new();
    }
    vec![Effect::Quit]
}

fn suspend(model: &mut Model) -> Vec<Effect> {
    if model.is_running() {
        // Stopped, nothing of ours would confirm: the guards on the nodes would put good changes back.
        say(model, "not while a run is on: the guards of the nodes would put them back");
        return Vec::new();
    }
    vec![Effect::Suspend]
}

/// A key in a question that is answered by choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Up or down.
    Move(isize),
    /// What is chosen.
    Enter,
    /// Nothing.
    No,
    /// Ctrl-C.
    Interrupt,
}

/// What a key means where something is chosen.
pub(super) fn choice(key: &KeyEvent) -> Option<Choice> {
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => Some(Choice::Move(-1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Choice::Move(1)),
        KeyCode::Enter => Some(Choice::Enter),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Choice::Interrupt),
        KeyCode::Esc | KeyCode::Char('q' | 'n') => Some(Choice::No),
        _ => None,
    }
}
