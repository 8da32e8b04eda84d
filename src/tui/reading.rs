//! What the keys do in the log of a node or cluster.

use crossterm::event::KeyEvent;

use super::cursor::Step;
use super::dialog::Dialog;
use super::effect::Effect;
use super::keymap::Place;
use super::line::{self, Pressed};
use super::logs::{Log, Subject};
use super::model::Model;
use super::screen::{Extent, LogScreen, RunRow, Screen};
use super::shown::first_line;
use crate::run::Event;

/// The columns before the text of a row: a mark, the time, who speaks.
pub(super) const GUTTER: usize = 13;
/// More than anybody searches for.
const MOST_SEARCHED: usize = 200;

/// How much of a log is seen.
pub(super) fn extent(model: &Model) -> Extent {
    Extent { columns: model.width().saturating_sub(GUTTER).max(8), rows: model.height(Place::Log) }
}

/// Opens the log of what is under the cursor of the run.
pub(super) fn open(model: &mut Model) {
    let (Screen::Run(screen), Some(run)) = (model.screen(), model.watched()) else { return };
    let subject = match run.rows.get(screen.cursor.at) {
        Some(RunRow::Node(node)) => Subject::Node(node.clone()),
        Some(RunRow::Step(cluster, _) | RunRow::Cluster(cluster)) => Subject::Cluster(cluster.clone()),
        None => return,
    };
    model.push(Screen::Log(LogScreen::new(subject)));
}

/// Does something with the log that is seen; `None` if none is.
fn with<T>(model: &mut Model, act: impl FnOnce(&mut LogScreen, &Log, Extent) -> T) -> Option<T> {
    let extent = extent(model);
    let empty = Log::default();
    match model.screen_and_run() {
        (Screen::Log(screen), run) => {
            let log = run.and_then(|run| run.logs.of(&screen.subject)).unwrap_or(&empty);
            Some(act(screen, log, extent))
        }
        _ => None,
    }
}

/// Scrolls.
pub(super) fn go(model: &mut Model, step: Step) {
    with(model, |screen, log, extent| screen.step(step, log, extent));
}

/// Left or right.
pub(super) fn sideways(model: &mut Model, right: bool) {
    if with(model, |screen, _, _| screen.sideways(right)) == Some(false) {
        model.said = Some("long lines are wrapped: w cuts them".to_owned());
    }
}

/// Follows the end, or stays where it is.
pub(super) fn follow(model: &mut Model) {
    with(model, LogScreen::follow);
}

/// Wraps long lines, or cuts them.
pub(super) fn wrap(model: &mut Model) {
    with(model, LogScreen::wrap);
}

/// To the next match, or the one before.
pub(super) fn next_match(model: &mut Model, forward: bool) {
    let found = with(model, |screen, log, extent| {
        (!screen.search.text.is_empty()).then(|| screen.next_match(forward, log, extent))
    });
    match found.flatten() {
        Some(true) => {}
        Some(false) => model.said = Some("it is not in this log".to_owned()),
        None => model.said = Some("nothing is searched for: / begins".to_owned()),
    }
}

/// Begins to search; what was searched for last stands there.
pub(super) fn search(model: &mut Model) {
    model.dialog = Some(Dialog::Search);
}

/// A key while the text to search for is typed; each letter shows at once where it is.
pub(super) fn on_search_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let mut text = searched(model);
    let pressed = line::press(&mut text, key, MOST_SEARCHED);
    if pressed == Pressed::Entered {
        return Vec::new();
    }
    model.dialog = (pressed == Pressed::Open).then_some(Dialog::Search);
    with(model, |screen, log, extent| screen.search(text, log, extent));
    Vec::new()
}

/// A paste while the text is typed: its first line.
pub(super) fn paste(model: &mut Model, text: &str) {
    let line: String = first_line(text).chars().take(MOST_SEARCHED).collect();
    let typed = searched(model) + &line;
    with(model, |screen, log, extent| screen.search(typed, log, extent));
}

fn searched(model: &Model) -> String {
    match model.screen() {
        Screen::Log(screen) => screen.search.text.clone(),
        _ => String::new(),
    }
}

/// An event was taken in: matches in new lines are found.
pub(super) fn grown(model: &mut Model, _: &Event) {
    with(model, |screen, log, _| screen.grown(log));
}
