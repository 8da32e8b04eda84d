//! What can be done now, and why the rest cannot: one table, which the keys, the bottom line and the palette share.

use super::editing;
use super::keymap::{Command, KEYMAP, Place};
use super::model::Model;
use super::recordings;
use super::screen::Screen;
use super::steer;

/// Whether a command would do something now; else why not, for the person.
pub(super) fn possible(model: &Model, command: Command) -> Result<(), String> {
    on_this_screen(model.place(), command)?;
    if model.read_only && changes(command) {
        return Err(READ_ONLY.to_owned());
    }
    if let Some(answer) = recordings::possible(model, command) {
        return answer;
    }
    let no = |why: &str| Err(why.to_owned());
    let (running, looked) = (model.is_running(), model.picture.is_some());
    match command {
        Command::Plan | Command::PlanHere if running => no("a run is on: a plan can be made when it has ended"),
        Command::Look | Command::LookHere if running => no("a run is on: it looks again by itself at its end"),
        Command::Look | Command::LookHere if model.busy.looking.is_some() => no("a look is under way"),
        Command::Plan
        | Command::PlanHere
        | Command::LookHere
        | Command::Filter
        | Command::NextTrouble
        | Command::Open
            if !looked && model.place() == Place::Fleet =>
        {
            no("the fleet has not been looked at yet")
        }
        Command::Apply => apply(model),
        Command::Pause | Command::Skip | Command::Retry | Command::Ticket => {
            steer::why_not(model, command).map_or(Ok(()), Err)
        }
        Command::LeaveOut | Command::Lift | Command::Save => editing::hindrance(model).map_or(Ok(()), no),
        Command::Diff => diff(model),
        Command::Watch if model.run.is_none() => no("no run was begun here"),
        Command::Stop if !running => no("no run is on"),
        // Stopped, nothing of ours would confirm: the guards on the nodes would put good changes back.
        Command::Suspend if running => no("not while a run is on: the guards of the nodes would put them back"),
        _ => Ok(()),
    }
}

/// Why nothing is changed under `--read-only`.
pub const READ_ONLY: &str = "this muster was started read-only: it looks and plans, and changes nothing";

/// Whether a command begins a change of the fleet. What stops or slows one is none.
const fn changes(command: Command) -> bool {
    matches!(command, Command::Apply)
}

/// A command belongs to some screens; on others it has no meaning.
fn on_this_screen(place: Place, command: Command) -> Result<(), String> {
    let of_it = || KEYMAP.iter().filter(|binding| binding.command == command);
    if of_it().any(|binding| binding.is_on(place)) {
        return Ok(());
    }
    let mut places: Vec<&str> = of_it().flat_map(|binding| binding.places).map(|place| place.words()).collect();
    places.dedup();
    Err(format!("only on {}", places.join(", ")))
}

fn apply(model: &Model) -> Result<(), String> {
    let no = |why: String| Err(why);
    match &model.plan {
        _ if model.is_running() => no("a run is on: it has to end before another begins".to_owned()),
        _ if model.busy.planning => no("a new plan is being made".to_owned()),
        None => no(format!("there is no plan: {} makes one", model.key_words(Command::Plan))),
        Some(plan) if plan.is_empty() => no("there is nothing to apply".to_owned()),
        Some(_) => Ok(()),
    }
}

fn diff(model: &Model) -> Result<(), String> {
    match model.screen() {
        Screen::Plan(screen) if screen.row().is_none_or(|row| row.change.is_none()) => {
            Err("no change is under the cursor".to_owned())
        }
        _ => Ok(()),
    }
}
