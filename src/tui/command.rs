//! What each command of the keymap does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::arrange;
use super::closely;
use super::cursor::Step;
use super::dialog::{Confirm, Dialog, LADDER, Typed, next_rung};
use super::editing;
use super::effect::{Effect, Part};
use super::equal;
use super::keymap::{Command, Place};
use super::logs::Subject;
use super::model::Model;
use super::palette::Palette;
use super::possible::possible;
use super::recordings;
use super::screen::{About, FleetRow, LogScreen, RunRow, RunScreen, Screen, Source, node_at};
use super::update::{interrupt, read, refresh};
use super::{reading, steer};
use crate::run::CancelLevel;

/// Does what a key asks for.
pub(super) fn perform(model: &mut Model, command: Command) -> Vec<Effect> {
    if let Err(why) = possible(model, command) {
        say(model, why);
        return Vec::new();
    }
    if let Some(effects) = recordings::perform(model, command) {
        return effects;
    }
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
        Command::Open if matches!(model.place(), Place::Run | Place::Replay) => reading::open(model),
        Command::Open => return open(model),
        Command::Back => arrange::back(model),
        Command::Select => arrange::select(model),
        Command::Group => arrange::regroup(model),
        Command::Sort => arrange::resort(model),
        Command::Apply => apply(model),
        Command::LeaveOut => return editing::leave_out(model),
        Command::Lift => return editing::lift(model),
        Command::Save => editing::save(model),
        Command::Diff => return diff(model),
        Command::NextSection => closely::next_section(model),
        Command::ErrorLog => return closely::log(model),
        Command::Origin => return closely::origin(model),
        Command::Watch => watch(model),
        Command::Filter => model.dialog = Some(Dialog::Filter),
        Command::Stop => open_ladder(model),
        Command::Runs => return recordings::show(model),
        Command::Play => recordings::play(model),
        Command::Faster => recordings::change_pace(model, 1),
        Command::Slower => recordings::change_pace(model, -1),
        Command::MarkBack => recordings::to_mark(model, false),
        Command::MarkOn => recordings::to_mark(model, true),
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
        Command::Palette => model.dialog = Some(Dialog::Palette(Palette::default())),
        Command::Equal => model.dialog = Some(Dialog::Equal(equal::commands(model))),
        Command::Plan if model.place() == Place::Plan => return editing::anew(model),
        Command::Plan => return plan(model, Part::All),
        Command::PlanHere => return here(model).map_or_else(Vec::new, |part| plan(model, part)),
        Command::Look => return look(model, Part::All),
        Command::LookHere => return here(model).map_or_else(Vec::new, |part| look(model, part)),
        Command::Quit => return quit(model),
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => return vec![Effect::Suspend],
        Command::Interrupt => return interrupt(model),
    }
    Vec::new()
}

pub(super) fn say(model: &mut Model, words: impl Into<String>) {
    model.said = Some(words.into());
}

fn go(model: &mut Model, step: Step) {
    let height = model.height(model.place());
    let run_rows = model.watched().map_or(0, |run| run.rows.len());
    let columns = model.width();
    match model.screen_mut() {
        Screen::Fleet(fleet) => fleet.cursor.step(step, fleet.rows.len(), height),
        Screen::Plan(plan) => plan.cursor.step(step, plan.text.lines.len(), height),
        Screen::Pager(pager) => pager.scroll.scroll(step, pager.lines.len(), height),
        Screen::Node(node) => node.cursor.step(step, node.lines.len(), height),
        Screen::Diff(diff) => diff.scroll.scroll(step, diff.sheet.len(columns), height),
        Screen::Tail(tail) => tail.scroll.scroll(step, tail.lines.len(), height),
        Screen::Runs(runs) => runs.cursor.step(step, runs.rows.len(), height),
        Screen::Run(run) => {
            run.cursor.step(step, run_rows, height);
            run.moved = true;
        }
        Screen::Log(_) => reading::go(model, step),
    }
}

fn columns(model: &mut Model, by: isize) {
    closely::sideways(model, by);
    let columns = model.picture.as_ref().map_or(0, |picture| picture.columns.len());
    if let Screen::Fleet(fleet) = model.screen_mut() {
        fleet.column = fleet.column.saturating_add_signed(by).min(columns.saturating_sub(1));
    }
}

fn next_trouble(model: &mut Model) {
    if matches!(model.screen(), Screen::Diff(_)) {
        if !closely::next_change(model) {
            say(model, "nothing differs");
        }
        return;
    }
    let height = model.height(model.place());
    let picture = model.picture.clone();
    let found = match (model.screen_and_run(), picture.as_deref()) {
        ((Screen::Fleet(fleet), _), Some(picture)) => fleet.next_trouble(picture, height),
        ((Screen::Run(screen), Some(run)), _) => screen.next_trouble(run, height),
        ((Screen::Plan(screen), _), _) => screen.next_blocker(height),
        _ => false,
    };
    if !found {
        let words = match model.screen() {
            Screen::Plan(_) => "nothing stands in the way",
            Screen::Fleet(fleet) if fleet.shown == 0 => "no node is shown",
            _ => "every node that is shown is well",
        };
        say(model, words);
    }
}

/// What is under the cursor, or says that there is nothing.
fn here(model: &mut Model) -> Option<Part> {
    let part = model.here();
    if part.is_none() {
        say(model, "nothing is under the cursor");
    }
    part
}

impl Model {
    /// What is under the cursor.
    pub(super) fn here(&self) -> Option<Part> {
        match (self.screen(), self.picture.as_deref()) {
            (Screen::Fleet(fleet), Some(picture)) => fleet.part(picture),
            (Screen::Pager(pager), _) => match &pager.about {
                // What is recorded may be long gone.
                About::RunNode(_) | About::RunStep(..) if self.source() == Source::Replay => None,
                About::RunNode(node) => Some(Part::Node(node.clone())),
                About::RunStep(cluster, _) => Some(Part::Cluster(cluster.clone())),
                About::Ticket | About::Help(_) => None,
            },
            (Screen::Node(screen), _) => Some(Part::Node(screen.node.clone())),
            _ => None,
        }
    }
}

fn open(model: &mut Model) -> Vec<Effect> {
    match model.screen() {
        Screen::Plan(_) => {
            open_change(model);
            return Vec::new();
        }
        Screen::Node(_) => return closely::enter(model),
        _ => {}
    }
    let height = model.height(Place::Fleet);
    let picture = model.picture.clone();
    let about = match (model.screen_mut(), picture) {
        (Screen::Fleet(fleet), Some(picture)) => match fleet.row() {
            Some(row @ FleetRow::Node(..)) => {
                let node = node_at(&picture, row).map(|node| node.name.clone());
                return node.map_or_else(Vec::new, |node| closely::open(model, &node));
            }
            Some(FleetRow::Group(_)) | None => {
                fleet.fold(height);
                None
            }
        },
        _ => None,
    };
    if let Some(about) = about {
        read(model, about);
    }
    Vec::new()
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

/// Folds or unfolds what is under the cursor.
fn open_change(model: &mut Model) {
    let Screen::Plan(screen) = model.screen_mut() else { return };
    if screen.fold() {
        refresh(model);
    } else {
        say(model, "nothing is folded away here");
    }
}

fn run_row(model: &Model) -> Option<About> {
    let (Screen::Run(screen), Some(run)) = (model.screen(), model.watched()) else { return None };
    match run.rows.get(screen.cursor.at)? {
        RunRow::Node(node) => Some(About::RunNode(node.clone())),
        RunRow::Step(cluster, step) => Some(About::RunStep(cluster.clone(), *step)),
        RunRow::Cluster(_) => None,
    }
}

fn plan(model: &mut Model, part: Part) -> Vec<Effect> {
    editing::drop_edits(model);
    if part == Part::All
        && let Some(narrowed) = narrowed(model)
    {
        let here = model.key_words(Command::PlanHere);
        say(model, format!("a plan for the whole fleet, not only for what is {narrowed}; {here} is for that"));
    }
    model.busy.planning = true;
    vec![Effect::Plan(part)]
}

/// How the fleet screen is narrowed, which a plan for everything does not follow.
fn narrowed(model: &Model) -> Option<&'static str> {
    match model.screen() {
        Screen::Fleet(fleet) if !fleet.selected.is_empty() => Some("selected"),
        Screen::Fleet(fleet) if fleet.filter.is_on() => Some("shown"),
        _ => None,
    }
}

fn look(model: &mut Model, part: Part) -> Vec<Effect> {
    model.busy.looking = Some((0, 0));
    vec![Effect::Look(part)]
}

fn apply(model: &mut Model) {
    if let Some(plan) = model.plan.clone() {
        model.dialog = Some(Dialog::Apply(Box::new(Confirm::new(plan, &model.made_from.edits))));
    }
}

fn diff(model: &mut Model) -> Vec<Effect> {
    let change = match model.screen() {
        Screen::Plan(screen) => screen.row().and_then(|row| row.change),
        Screen::Node(_) => return closely::diff(model),
        _ => None,
    };
    match change {
        Some((cluster, change)) => closely::plan_change(model, cluster, change),
        None => say(model, "no change is under the cursor"),
    }
    Vec::new()
}

fn watch(model: &mut Model) {
    if model.source() == Source::Replay || matches!(model.screen(), Screen::Runs(_)) {
        model.jump(Screen::Run(RunScreen::default()));
    } else {
        model.push(Screen::Run(RunScreen::default()));
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
