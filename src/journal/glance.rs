//! What a list says of a recorded run: at first glance from the two ends of its journal, then from all of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::reader::line;
use super::{Entry, FORMAT, Follower, JournalError, Line, io};
use crate::run::{About, Came, Event, EventKind, Recorded, RunState};

/// The last event of a run that ended is far shorter than this; of one that did not, its time may stay unknown.
const TAIL: u64 = 64 * 1024;

/// The run by the two ends of its journal: quick whatever its length. What is damaged in the middle, [`told`] finds.
pub fn glance(entry: &Entry) -> Recorded {
    let mut recorded = Recorded { undo: entry.undo_bundles(), ..Recorded::new(entry.run.clone(), entry.path.clone()) };
    match ends(entry) {
        Ok((first, last, ended)) => {
            if let Some(Event { at, kind: EventKind::RunStarted { head }, .. }) = &first {
                (recorded.about, recorded.began) = (Some(About::of(head)), *at);
            }
            let last = last.or(first);
            recorded.last = last.as_ref().map(|event| event.at);
            recorded.came = match last.map(|event| event.kind) {
                Some(EventKind::RunEnded { verdict, .. }) => Came::To(verdict),
                _ => Came::of(None, ended),
            };
        }
        Err(error) => recorded.trouble = Some(error.to_string()),
    }
    recorded
}

/// The run by all of its journal, folded as it is read: the memory that it takes does not grow with the journal.
pub fn told(entry: &Entry) -> Recorded {
    let recorded = Recorded { undo: entry.undo_bundles(), ..Recorded::new(entry.run.clone(), entry.path.clone()) };
    let mut state = RunState::default();
    match fold(&entry.path, &mut state) {
        Ok(ended) => recorded.told(&state, ended),
        Err(error) => {
            let came = if state.head.is_some() { Came::Damaged } else { Came::NotReadable };
            Recorded { came, trouble: Some(error.to_string()), ..recorded.told(&state, true) }
        }
    }
}

/// Whether its writer is gone.
fn fold(path: &Path, state: &mut RunState) -> Result<bool, JournalError> {
    let mut follower = Follower::open(path)?;
    // Before the end is read: what is not there then will not come.
    let ended = follower.has_ended();
    while let Some(line) = follower.next_line()? {
        if let Line::Event(event) = line {
            state.apply(&event);
        }
    }
    Ok(ended)
}

/// The first line of a journal without its plan, which may be large.
#[derive(Deserialize)]
struct Beginning {
    muster: String,
    format: u64,
    #[serde(rename = "plan")]
    _plan: IgnoredAny,
}

/// The first event, the last one where it is short, and whether the writer is gone.
fn ends(entry: &Entry) -> Result<(Option<Event>, Option<Event>, bool), JournalError> {
    let path = &entry.path;
    let file = File::open(path).map_err(io("reading", path))?;
    let ended = file.try_lock_shared().is_ok();
    if ended {
        // Others ask in the same way; the next to ask must not find us.
        let _ = file.unlock();
    }
    let mut input = BufReader::new(file);
    let mut text = Vec::new();
    input.read_until(b'\n', &mut text).map_err(io("reading", path))?;
    check(path, &text)?;
    text.clear();
    input.read_until(b'\n', &mut text).map_err(io("reading", path))?;
    let first = whole(&text).map(|text| event(path, 2, text)).transpose()?.flatten();
    let start = input.stream_position().map_err(io("reading", path))?;
    let mut file = input.into_inner();
    let length = file.metadata().map_err(io("reading", path))?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL)))).map_err(io("reading", path))?;
    text.clear();
    file.take(TAIL).read_to_end(&mut text).map_err(io("reading", path))?;
    Ok((first, last(&text), ended))
}

fn check(path: &Path, text: &[u8]) -> Result<(), JournalError> {
    let not_one = |found: &str| JournalError::NotOne { path: path.to_owned(), found: found.to_owned() };
    let text = whole(text).ok_or_else(|| not_one("it has no whole line"))?;
    let head: Beginning = serde_json::from_slice(text).map_err(|_| not_one("its first line is no head"))?;
    match (head.muster.as_str(), head.format) {
        ("journal", 1..) if head.format <= u64::from(FORMAT) => Ok(()),
        ("journal", found) => Err(JournalError::Newer { path: path.to_owned(), found }),
        _ => Err(not_one("its first line does not say so")),
    }
}

/// A line without its newline; `None` for one that was not written to its end.
fn whole(text: &[u8]) -> Option<&[u8]> {
    text.strip_suffix(b"\n")
}

/// An event that this version knows.
fn event(path: &Path, number: usize, text: &[u8]) -> Result<Option<Event>, JournalError> {
    let damaged = |found| JournalError::Damaged { path: path.to_owned(), line: number, found };
    Ok(match line(text).map_err(damaged)? {
        Line::Event(event) => Some(event),
        Line::Unknown(_) => None,
    })
}

/// The last whole event of a text that may begin and end in the middle of a line.
fn last(text: &[u8]) -> Option<Event> {
    let end = text.iter().rposition(|byte| *byte == b'\n')?;
    let lines = text[..end].rsplit(|byte| *byte == b'\n');
    lines.filter_map(|text| line(text).ok()).find_map(|line| match line {
        Line::Event(event) => Some(event),
        Line::Unknown(_) => None,
    })
}
