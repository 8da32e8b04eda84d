//! Reads recorded runs for the screen, beside it: a list of what each came to, and one of them whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedSender;

use crate::journal::{self, Entry, Follower, JournalError, Line};
use crate::name::RunId;
use crate::run::{Came, Event, EventKind, Recorded};
use crate::tui::{Doing, Message, Notice, Reel, Rest, RunsHeard};

/// So many runs are told of at once.
const RUNS: usize = 50;
/// So many events are handed over at once: what the screen takes in between two frames.
const EVENTS: usize = 2_000;
/// How often the journal of a run that is at work is looked at.
const POLL: Duration = Duration::from_secs(1);

/// Reads recorded runs. Every reading ends when another of its kind is asked for.
pub(super) struct Recordings {
    places: Vec<PathBuf>,
    sender: UnboundedSender<Message>,
    /// What was told of before, so that only what has changed is read again.
    known: Mutex<BTreeMap<RunId, Known>>,
    listing: AtomicU64,
    opening: AtomicU64,
}

/// What was told of a run, and by which state of its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    stamp: Option<(u64, SystemTime)>,
    /// Its writer was there: that it went away does not show in the file.
    at_work: bool,
    /// All of it was read.
    whole: bool,
}

impl Recordings {
    /// Of the runs in these places; what is read goes there.
    pub(super) fn new(places: Vec<PathBuf>, sender: UnboundedSender<Message>) -> Self {
        let known = Mutex::default();
        Self { places, sender, known, listing: AtomicU64::new(0), opening: AtomicU64::new(0) }
    }

    /// Nothing more is read.
    pub(super) fn stop(&self) {
        self.listing.fetch_add(1, Ordering::Relaxed);
        self.close();
    }

    /// The recording that was opened is not read any more.
    pub(super) fn close(&self) {
        self.opening.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells of all runs, at first glance and then of all that is in them. It reads files: not for a thread that others wait
    /// on.
    pub(super) fn list(&self) {
        let turn = self.listing.fetch_add(1, Ordering::Relaxed) + 1;
        let is_due = || self.listing.load(Ordering::Relaxed) == turn;
        let (entries, wrong) = journal::list_all(&self.places);
        let runs: Vec<RunId> = entries.iter().map(|entry| entry.run.clone()).collect();
        let wrong = wrong.iter().map(ToString::to_string).collect();
        self.forget_all_but(&runs);
        self.send(Message::Runs(RunsHeard::Listed { runs, wrong }));
        for entries in entries.chunks(RUNS).take_while(|_| is_due()) {
            self.tell(entries.iter().filter_map(|entry| self.glance(entry)).collect());
        }
        for entry in entries.iter().take_while(|_| is_due()) {
            self.tell(self.whole(entry).into_iter().collect());
        }
    }

    fn forget_all_but(&self, runs: &[RunId]) {
        // The newest first, as they are listed.
        self.known().retain(|run, _| runs.binary_search_by(|known| run.cmp(known)).is_ok());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has changed, at first glance.
    fn glance(&self, entry: &Entry) -> Option<Recorded> {
        let stamp = stamp(&entry.path);
        let before = self.known().get(&entry.run).copied();
        if before.is_some_and(|known| known.stamp == stamp && !known.at_work) {
            return None;
        }
        let recorded = journal::glance(entry);
        let known = Known { stamp, at_work: recorded.came == Came::AtWork, whole: false };
        self.known().insert(entry.run.clone(), known);
        Some(recorded)
    }

    /// All of a run that is over and was only glanced at.
    fn whole(&self, entry: &Entry) -> Option<Recorded> {
        let before = self.known().get(&entry.run).copied()?;
        if before.whole || before.at_work {
            return None;
        }
        let recorded = journal::told(entry);
        self.known().insert(entry.run.clone(), Known { whole: true, ..before });
        Some(recorded)
    }

    fn tell(&self, told: Vec<Recorded>) {
        if !told.is_empty() {
            self.send(Message::Runs(RunsHeard::Told(told)));
        }
    }

    fn send(&self, message: Message) {
        // Nobody listens any more once the screen was left.
        drop(self.sender.send(message));
    }

    /// Reads a recording whole, and goes on while its run is at work.
    pub(super) async fn open(self: Arc<Self>, run: RunId, journal: PathBuf) {
        let turn = self.opening.fetch_add(1, Ordering::Relaxed) + 1;
        let (this, of) = (self.clone(), run.clone());
        let begun = tokio::task::spawn_blocking(move || this.begin(&of, &journal)).await;
        // A panic is told by the hook of the screen.
        let Ok(Some(mut follower)) = begun else { return };
        loop {
            let (this, of) = (self.clone(), run.clone());
            let went = tokio::task::spawn_blocking(move || {
                let goes_on = this.read_on(&of, &mut follower, turn);
                goes_on.then_some(follower)
            });
            match went.await {
                Ok(Some(same)) => follower = same,
                Ok(None) | Err(_) => return,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Opens it, and hands its plan over.
    fn begin(&self, run: &RunId, journal: &Path) -> Option<Follower> {
        match Follower::open(journal) {
            Ok(mut follower) => {
                let plan = follower.take_plan().map(Arc::new).map_err(|error| error.to_string());
                self.send(Message::Replay(run.clone(), Reel::Plan(plan)));
                Some(follower)
            }
            Err(error) => {
                let notice = Notice { text: error.to_string(), details: Vec::new(), hints: error.hints() };
                self.send(Message::Failed { doing: Doing::Replay, notice });
                None
            }
        }
    }

    /// Hands over what is there. False if nothing more will come, or nobody wants it.
    fn read_on(&self, run: &RunId, follower: &mut Follower, turn: u64) -> bool {
        // Before reading on: what is not there then will not come.
        let ended = follower.has_ended();
        let mut has_verdict = false;
        loop {
            if self.opening.load(Ordering::Relaxed) != turn {
                return false;
            }
            let (events, unknown, end) = some(follower);
            has_verdict |= events.iter().any(|event| matches!(event.kind, EventKind::RunEnded { .. }));
            if !events.is_empty() || unknown > 0 {
                self.send(Message::Replay(run.clone(), Reel::Events { events, unknown }));
            }
            let rest = match end {
                None => continue,
                Some(Err(error)) => Rest::Damaged(error.to_string()),
                Some(Ok(())) if ended || has_verdict => Rest::Over { torn: follower.is_torn() },
                Some(Ok(())) => Rest::On,
            };
            let goes_on = rest == Rest::On;
            self.send(Message::Replay(run.clone(), Reel::Rest(rest)));
            return goes_on;
        }
    }
}

/// Some of the events that are there, how many of unknown kinds were among them, and whether that was all.
fn some(follower: &mut Follower) -> (Vec<Event>, usize, Option<Result<(), JournalError>>) {
    let (mut events, mut unknown) = (Vec::new(), 0);
    while events.len() < EVENTS {
        match follower.next_line() {
            Ok(Some(Line::Event(event))) => events.push(event),
            Ok(Some(Line::Unknown(_))) => unknown += 1,
            Ok(None) => return (events, unknown, Some(Ok(()))),
            Err(error) => return (events, unknown, Some(Err(error))),
        }
    }
    (events, unknown, None)
}

/// By which a changed file is told from the same.
fn stamp(journal: &Path) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(journal).ok()?;
    Some((found.len(), found.modified().ok()?))
}

#[cfg(test)]
#[path = "recordings_tests.rs"]
mod tests;
