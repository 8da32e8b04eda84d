//! A recorded run, played back: what was known after any number of its events, and which of them is next at what time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::message::{Reel, Rest};
use super::screen::Watched;
use crate::name::RunId;
use crate::plan::Plan;
use crate::run::{Event, EventKind, StepEnd};

/// More events than this are not kept with their chatter: facts alone never are that many.
const MOST: usize = 300_000;
/// How many states of nodes all checkpoints together may hold.
const STATES: usize = 100_000;
/// A checkpoint after so many events, at first; further apart where there would be too many.
const GAP: usize = 256;
/// How fast it can be played: so many seconds in one.
const PACES: [i32; 4] = [1, 4, 16, 64];

/// A recorded run that is played back, or, while it is still at work elsewhere, watched.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The run.
    pub run: RunId,
    /// Its plan; `None` until it was read, an error says why it cannot be.
    pub plan: Option<Result<Arc<Plan>, String>>,
    /// Events that were read of kinds that this version does not know.
    pub unknown: usize,
    /// What the journal has to come yet.
    pub rest: Rest,
    events: Vec<Event>,
    /// How many of them were taken in.
    at: usize,
    watched: Watched,
    /// What was known after so many events, so that going back does not begin at the first.
    kept: Vec<(usize, Watched)>,
    gap: usize,
    /// The numbers of the events at which something stands out.
    marks: Vec<usize>,
    /// Which of [`PACES`].
    pace: usize,
    /// It is being played, and was up to this time of the clock on the wall.
    played: Option<Timestamp>,
    /// The time that it shows.
    clock: Timestamp,
    /// It stays at the end when more comes.
    follows: bool,
}

impl Replay {
    /// A recording of which nothing was read yet; what is read is followed to its end.
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            plan: None,
            unknown: 0,
            rest: Rest::Reading,
            events: Vec::new(),
            at: 0,
            watched: Watched::default(),
            kept: vec![(0, Watched::default())],
            gap: GAP,
            marks: Vec::new(),
            pace: 0,
            played: None,
            clock: Timestamp::UNIX_EPOCH,
            follows: true,
        }
    }

    /// Takes in what was read of the journal.
    pub fn take(&mut self, reel: Reel) {
        match reel {
            Reel::Plan(plan) => self.take_plan(plan),
            Reel::Events { events, unknown } => {
                self.unknown += unknown;
                for event in events {
                    self.push(event);
                }
            }
            Reel::Rest(rest) => self.rest = rest,
        }
        if self.follows {
            self.seek(self.events.len());
        }
        self.settle();
    }

    fn take_plan(&mut self, plan: Result<Arc<Plan>, String>) {
        if let (Ok(plan), 0) = (&plan, self.events.len()) {
            // The rows of whole clusters stand there from the start.
            self.watched = Watched::of(plan);
            self.kept = vec![(0, self.watched.clone())];
        }
        self.plan = Some(plan);
    }

    fn push(&mut self, event: Event) {
        if self.events.len() >= MOST && event.kind.is_chatter() {
            return;
        }
        if mark_words(&event.kind).is_some() {
            self.marks.push(self.events.len());
        }
        self.events.push(event);
    }

    /// What was known then.
    pub const fn watched(&self) -> &Watched {
        &self.watched
    }

    /// The time that it shows.
    pub const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// How many events were taken in, of how many.
    pub const fn position(&self) -> (usize, usize) {
        (self.at, self.events.len())
    }

    /// The times of its first and its last event.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.events.first()?.at, self.events.last()?.at))
    }

    /// The run is at work, and is seen as it is now.
    pub fn is_watching(&self) -> bool {
        self.follows && self.rest == Rest::On
    }

    /// It is being played.
    pub const fn is_playing(&self) -> bool {
        self.played.is_some()
    }

    /// How many seconds pass in one.
    pub const fn pace(&self) -> i32 {
        PACES[self.pace]
    }

    /// One event on or back, or several.
    pub fn step(&mut self, by: isize) {
        self.go(self.at.saturating_add_signed(by));
    }

    /// To the state after so many events; there is always one at least, as nothing is known before the first.
    pub fn go(&mut self, at: usize) {
        self.played = None;
        self.seek(at);
        self.settle();
        // At the end of what is still written one waits for more.
        self.follows = self.at == self.events.len();
    }

    /// To the end.
    pub fn go_to_end(&mut self) {
        self.go(self.events.len());
    }

    /// To the next or the last event before at which something stands out, and what that is.
    pub fn go_to_mark(&mut self, forward: bool) -> Option<String> {
        let here = self.at;
        let mark = if forward {
            self.marks.iter().find(|mark| **mark + 1 > here)
        } else {
            self.marks.iter().rfind(|mark| **mark + 1 < here)
        };
        let mark = *mark?;
        self.go(mark + 1);
        mark_words(&self.events[mark].kind)
    }

    /// Begins to play, or stops. At the end of a run that is over it begins again at its start.
    pub fn play(&mut self, now: Timestamp) {
        if self.played.take().is_some() {
            return;
        }
        if self.at == self.events.len() {
            self.go(1);
        }
        self.follows = false;
        self.played = Some(now);
    }

    /// Plays faster or slower.
    pub fn change_pace(&mut self, by: isize) {
        self.pace = self.pace.saturating_add_signed(by).min(PACES.len() - 1);
    }

    /// Time has passed: takes in what happened until then. False if nothing did.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        let Some(before) = self.played else { return false };
        let passed = now.duration_since(before).max(SignedDuration::ZERO);
        let clock = self.clock.checked_add(passed.saturating_mul(self.pace())).unwrap_or(self.clock);
        let due = self.events[self.at..].iter().take_while(|event| event.at <= clock).count();
        self.seek(self.at + due);
        if self.at == self.events.len() {
            // Its time ends with its last event.
            self.played = None;
            self.follows = true;
        } else {
            (self.clock, self.played) = (clock.max(self.clock), Some(now));
        }
        self.settle();
        due > 0 || self.played.is_none()
    }

    /// Brings the fold to so many events.
    fn seek(&mut self, to: usize) {
        let to = to.clamp(self.events.len().min(1), self.events.len());
        let nearest = self.kept.partition_point(|(at, _)| *at <= to).saturating_sub(1);
        if let Some((at, watched)) = self.kept.get(nearest)
            && (to < self.at || *at > self.at)
        {
            (self.at, self.watched) = (*at, watched.clone());
        }
        while self.at < to {
            self.watched.apply(&self.events[self.at]);
            self.at += 1;
            if self.kept.last().is_some_and(|(last, _)| self.at >= last + self.gap) {
                self.keep();
            }
        }
        if let Some(event) = self.at.checked_sub(1).and_then(|last| self.events.get(last)) {
            self.clock = event.at;
        }
    }

    /// Keeps what is known now. Where there are too many, every other one goes.
    fn keep(&mut self) {
        self.kept.push((self.at, self.watched.clone()));
        let most = (STATES / self.watched.state.nodes.len().max(1)).clamp(8, 64);
        if self.kept.len() > most {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.gap *= 2;
        }
    }

    /// At the end of a journal that has no verdict nothing more is to be expected.
    fn settle(&mut self) {
        let is_over = matches!(self.rest, Rest::Over { .. } | Rest::Damaged(_));
        self.watched.lost = is_over && self.at == self.events.len() && self.watched.state.verdict.is_none();
    }
}

/// What stands out at an event, in a few words; `None` where nothing does.
fn mark_words(kind: &EventKind) -> Option<String> {
    let bad = |end: &StepEnd| match end {
        StepEnd::RolledBack { .. } => Some("rolled back"),
        StepEnd::Failed { .. } => Some("failed"),
        StepEnd::Unknown { .. } => Some("unknown"),
        StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
    };
    Some(match kind {
        EventKind::WaveStarted { cluster, wave, of, .. } => format!("{cluster}: wave {wave} of {of} begins"),
        EventKind::StepEnded { node, action, end, .. } => format!("{node}: {action} {}", bad(end)?),
        EventKind::ClusterStepStarted { cluster, action, about, .. } if action == "fence" => {
            format!("{cluster}: waits before the files of {about} go")
        }
        EventKind::ClusterStepStarted { cluster, action, about, .. } => format!("{cluster}: {action} {about} begins"),
        EventKind::ClusterStepEnded { cluster, action, end, .. } => format!("{cluster}: {action} {}", bad(end)?),
        EventKind::NodeUnhealthy { node, .. } => format!("{node}: not healthy"),
        EventKind::LeaseRefused { node, .. } => format!("{node}: another run holds it"),
        EventKind::LeaseFailed { node, .. } => format!("{node}: could not be asked for its lease"),
        EventKind::RunRefused { .. } => "refused by a safety rule".to_owned(),
        EventKind::StepsAdded { cluster, .. } => format!("{cluster}: is put back"),
        EventKind::ClusterStopped { cluster, .. } => format!("{cluster}: stopped"),
        EventKind::CancelRequested { level, .. } => format!("stopping was asked for: {}", level.words()),
        EventKind::PauseRequested { paused: true, .. } => "a pause was asked for".to_owned(),
        EventKind::PauseRequested { paused: false, .. } => "the pause was taken back".to_owned(),
        EventKind::RunPaused { cluster, wave: 0, .. } => format!("{cluster}: paused before its first wave"),
        EventKind::RunPaused { cluster, wave, .. } => format!("{cluster}: paused after wave {wave}"),
        EventKind::RunResumed { .. } => "the run went on".to_owned(),
        EventKind::NodeSkipped { node, .. } => format!("{node}: skipped"),
        EventKind::LookedAgain { .. } => "looked again".to_owned(),
        EventKind::RunEnded { verdict, .. } => format!("verdict: {}", verdict.word()),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
