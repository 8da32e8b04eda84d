//! The recorded runs, and the one that is open: what messages and keys change of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::command::say;
use super::dialog::Dialog;
use super::effect::Effect;
use super::keymap::{Command, Place};
use super::message::{Reel, Rest, RunsHeard};
use super::model::Model;
use super::replay::Replay;
use super::screen::{About, PlanScreen, RunScreen, RunsScreen, Screen, Source};
use super::update::{refresh, refresh_pagers};
use super::view;
use crate::name::RunId;
use crate::run::Recorded;

/// How often, in seconds, the list is read again while it is seen.
const AGAIN: i64 = 5;
/// Why a recorded run cannot be steered.
const NOT_HERE: &str = "a recording: nothing can be stopped, skipped or retried from here";
const NOT_OURS: &str = "another muster carries this run out: it can be steered only where it was begun";

/// The runs that were recorded, in a few words each; never their events.
#[derive(Debug, Clone, Default)]
pub struct Recordings {
    /// The newest first.
    pub rows: Vec<Recorded>,
    /// How many there are; `None` before it was told.
    pub of: Option<usize>,
    /// The places that cannot be listed, with why.
    pub wrong: Vec<String>,
    asked: Option<Timestamp>,
}

impl Recordings {
    fn hear(&mut self, heard: RunsHeard) {
        match heard {
            RunsHeard::Listed { runs, wrong } => {
                (self.of, self.wrong) = (Some(runs.len()), wrong);
                let there: BTreeSet<RunId> = runs.into_iter().collect();
                self.rows.retain(|row| there.contains(&row.run));
            }
            RunsHeard::Told(told) => told.into_iter().for_each(|row| self.put(row)),
        }
    }

    fn put(&mut self, mut row: Recorded) {
        match self.rows.binary_search_by(|known| row.run.cmp(&known.run)) {
            Ok(at) => {
                // A glance does not count the nodes again.
                row.counts = row.counts.or(self.rows[at].counts);
                self.rows[at] = row;
            }
            Err(at) => self.rows.insert(at, row),
        }
    }
}

/// What a key does that means something else here than on other screens; `None` for all others.
pub(super) fn perform(model: &mut Model, command: Command) -> Option<Vec<Effect>> {
    let of_recording = model.source() == Source::Replay;
    match (model.place(), command) {
        (Place::Runs, Command::Open) => return Some(open(model)),
        (Place::Runs, Command::Look) => return Some(list(model)),
        (Place::Runs, Command::Filter) => model.dialog = Some(Dialog::Filter),
        (Place::Runs, Command::NextTrouble) => next_trouble(model),
        (Place::Replay, Command::Left) => moved(model, |replay| replay.step(-1)),
        (Place::Replay, Command::Right) => moved(model, |replay| replay.step(1)),
        (Place::Replay, Command::First) => moved(model, |replay| replay.go(0)),
        (Place::Replay, Command::Last) => moved(model, Replay::go_to_end),
        (Place::Replay, Command::Plan) => plan(model),
        (Place::Node, Command::Plan) if of_recording => plan(model),
        _ => return None,
    }
    Some(Vec::new())
}

/// Whether a command that is about a recording, or about the list of them, would do something now; nothing if it is about neither.
pub(super) fn possible(model: &Model, command: Command) -> Option<Result<(), String>> {
    let no = |why: &str| Some(Err(why.to_owned()));
    match (model.place(), command) {
        (Place::Replay, Command::Stop | Command::Pause | Command::Skip | Command::Retry) => no(cannot_steer(model)),
        (Place::PastPlan, Command::Apply) => no("a recorded plan can only be read; p in the fleet makes one"),
        (Place::Node, Command::PlanHere | Command::LookHere | Command::Look) if model.source() == Source::Replay => {
            no("a recording: the fleet as it is now is on the first screen")
        }
        (Place::Runs | Place::Replay | Place::PastPlan, Command::Watch) | (_, Command::Apply) => None,
        (Place::Runs | Place::Replay, _) => Some(Ok(())),
        (Place::Node, Command::Plan) if model.source() == Source::Replay => Some(Ok(())),
        _ => None,
    }
}

fn cannot_steer(model: &Model) -> &'static str {
    let watching = model.replay.as_ref().is_some_and(|replay| replay.rest == Rest::On);
    if watching { NOT_OURS } else { NOT_HERE }
}

/// To the list of the recorded runs; what was seen before is there again when it is left.
pub(super) fn show(model: &mut Model) -> Vec<Effect> {
    let mut screen = RunsScreen::default();
    screen.lay_out(&model.recordings.rows, None, model.height(Place::Runs));
    model.jump(Screen::Runs(screen));
    list(model)
}

fn list(model: &mut Model) -> Vec<Effect> {
    model.recordings.asked = Some(model.clock);
    vec![Effect::ListRuns]
}

/// Opens what is under the cursor. The run that is on here is no recording.
fn open(model: &mut Model) -> Vec<Effect> {
    let Screen::Runs(screen) = model.screen() else { return Vec::new() };
    let Some(row) = screen.row(&model.recordings.rows) else {
        say(model, "no run is under the cursor");
        return Vec::new();
    };
    let (run, journal) = (row.run.clone(), row.journal.clone());
    let own = model.run.as_ref().filter(|own| own.is_on()).and_then(|own| own.state.head.as_ref());
    if own.is_some_and(|head| head.run == run) {
        model.jump(Screen::Run(RunScreen::default()));
        say(model, "this is the run that is on here");
        return Vec::new();
    }
    model.replay = Some(Replay::new(run.clone()));
    model.push(Screen::Run(RunScreen { source: Source::Replay, ..RunScreen::default() }));
    vec![Effect::OpenRun(run, journal)]
}

fn next_trouble(model: &mut Model) {
    let height = model.height(Place::Runs);
    let rows = std::mem::take(&mut model.recordings.rows);
    let found = match model.screen_mut() {
        Screen::Runs(screen) => screen.next_trouble(&rows, height),
        _ => false,
    };
    model.recordings.rows = rows;
    if !found {
        say(model, "every run that is shown ended well");
    }
}

/// Shows only the runs with this text.
pub(super) fn filter(model: &mut Model, text: String) {
    changed(model, |_, screen| {
        if let Some(screen) = screen {
            screen.filter = text;
        }
    });
}

/// Takes in what is told of the recorded runs.
pub(super) fn heard(model: &mut Model, heard: RunsHeard) {
    changed(model, |recordings, _| recordings.hear(heard));
}

/// Changes the runs, or which are shown: the cursor stays on the run that it was on. On the first row it stays there, as that
/// is where the newest comes.
fn changed(model: &mut Model, change: impl FnOnce(&mut Recordings, Option<&mut RunsScreen>)) {
    let height = model.height(Place::Runs);
    let mut recordings = std::mem::take(&mut model.recordings);
    let mut screens = model.screens_mut();
    let mut screen = screens.find_map(|screen| match screen {
        Screen::Runs(screen) => Some(screen),
        _ => None,
    });
    let at = screen.as_ref().filter(|screen| screen.cursor.at > 0).and_then(|screen| screen.row(&recordings.rows));
    let at = at.map(|row| row.run.clone());
    change(&mut recordings, screen.as_deref_mut());
    if let Some(screen) = screen {
        screen.lay_out(&recordings.rows, at.as_ref(), height);
    }
    drop(screens);
    model.recordings = recordings;
}

/// Takes in what was read of a recording, if it is still the one that is open.
pub(super) fn took(model: &mut Model, run: &RunId, reel: Reel) {
    let Some(replay) = model.replay.as_mut().filter(|replay| replay.run == *run) else { return };
    let before = replay.position().0;
    replay.take(reel);
    if replay.position().0 != before || replay.rest != Rest::Reading {
        follow(model);
    }
}

/// Moves in the recording.
fn moved(model: &mut Model, by: impl FnOnce(&mut Replay)) {
    if let Some(replay) = model.replay.as_mut() {
        by(replay);
        follow(model);
    }
}

/// Plays the recording, or stops playing it.
pub(super) fn play(model: &mut Model) {
    let clock = model.clock;
    if model.replay.as_ref().is_some_and(Replay::is_watching) {
        return say(model, "the run is at work, and is seen as it is now; left goes back");
    }
    moved(model, |replay| replay.play(clock));
}

/// Plays faster or slower.
pub(super) fn change_pace(model: &mut Model, by: isize) {
    let Some(replay) = model.replay.as_mut() else { return };
    replay.change_pace(by);
    let pace = replay.pace();
    say(model, format!("{pace} s of the run in a second"));
}

/// To the next wave or trouble, or to the one before.
pub(super) fn to_mark(model: &mut Model, forward: bool) {
    let mut found = None;
    moved(model, |replay| found = replay.go_to_mark(forward));
    let words = found.unwrap_or_else(|| {
        if forward { "no wave and no trouble comes after this" } else { "no wave and no trouble was before this" }
            .to_owned()
    });
    say(model, words);
}

/// The plan of the recorded run, to be read.
fn plan(model: &mut Model) {
    match model.replay.as_ref().and_then(|replay| replay.plan.as_ref()) {
        None => say(model, "its plan has not been read yet"),
        Some(Err(why)) => {
            let words = format!("its plan cannot be read: {why}");
            say(model, words);
        }
        Some(Ok(_)) => {
            let height = model.height(Place::PastPlan);
            model.push(Screen::Plan(PlanScreen { source: Source::Replay, ..PlanScreen::default() }));
            let text = view::plan_text(model, &BTreeSet::new());
            if let Screen::Plan(screen) = model.screen_mut() {
                screen.set_text(text, height);
                screen.go_to_first_change(height);
            }
        }
    }
}

/// After the recording came to another event: the cursor goes with what it shows, as in a run that is on.
fn follow(model: &mut Model) {
    let height = model.height(Place::Replay);
    if let Some(replay) = model.replay.take() {
        for screen in model.screens_mut() {
            if let Screen::Run(screen @ RunScreen { source: Source::Replay, .. }) = screen {
                screen.cursor.settle(replay.watched().rows.len(), height);
                screen.follow(replay.watched(), height);
            }
        }
        model.replay = Some(replay);
    }
    if model.source() == Source::Replay {
        refresh_pagers(model, |about| matches!(about, About::RunNode(_) | About::RunStep(..)));
    }
}

/// Time has passed: the recording is played on, the list is read again.
pub(super) fn tick(model: &mut Model) -> Vec<Effect> {
    let clock = model.clock;
    if model.replay.as_mut().is_some_and(|replay| replay.tick(clock)) {
        follow(model);
    }
    let asked = model.recordings.asked.filter(|_| model.place() == Place::Runs);
    if asked.is_some_and(|asked| clock.as_second() - asked.as_second() >= AGAIN) {
        return list(model);
    }
    Vec::new()
}

/// After everything else: a recording that no screen shows any more is closed, and where the list of runs was left, what was
/// seen before it is there again.
pub(super) fn close(model: &mut Model) -> Option<Effect> {
    if model.bring_back() {
        refresh(model);
    }
    if model.replay.is_none() || model.shows_replay() {
        return None;
    }
    model.replay = None;
    Some(Effect::CloseRun)
}
