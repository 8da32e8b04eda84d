//! Reading back.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::{FORMAT, JournalError, io};
use crate::name::RunId;
use crate::plan::Plan;
use crate::run::{Event, EventKind, RunState};

/// An event of a kind that this version does not know. It is kept and shown, never interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its number.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The word of its kind.
    pub word: String,
    /// All of it, as JSON on one line.
    pub json: String,
}

/// A line behind the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An event.
    Event(Event),
    /// One of a kind that a newer muster knows.
    Unknown(Unknown),
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Its format.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// The plan as it was written; [`Journal::plan`] decodes it.
    pub plan: Value,
    /// What happened, in order.
    pub lines: Vec<Line>,
    /// The last line was cut off in the middle, and left out: the writer was killed, or its disk was full.
    pub torn: bool,
}

impl Journal {
    /// The events that this version knows.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.lines.iter().filter_map(|line| match line {
            Line::Event(event) => Some(event),
            Line::Unknown(_) => None,
        })
    }

    /// What is known after all of it. A run without a `run-ended` was cut short: [`RunState::verdict`] then tells what it
    /// comes to.
    pub fn state(&self) -> RunState {
        RunState::of(self.events())
    }

    /// The plan, if it is one that this version can read.
    pub fn plan(&self) -> Result<Plan, serde_json::Error> {
        serde_json::from_value(self.plan.clone())
    }
}

/// Reads a journal. A torn last line is left out; anything else that is not as it should be is an error that names the
/// line.
pub fn read(path: &Path) -> Result<Journal, JournalError> {
    let mut follower = Follower::open(path)?;
    let mut lines = Vec::new();
    while let Some(line) = follower.next_line()? {
        lines.push(line);
    }
    let torn = follower.is_torn();
    let Head { format, run, plan } = follower.head;
    Ok(Journal { format, run, plan, lines, torn })
}

/// What the first line of a journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The format.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// The plan as it was written.
    pub plan: Value,
}

/// A journal that is read while it may still be written: line by line, as far as whole lines are there.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    input: BufReader<File>,
    /// The number of the line that comes next, from 1.
    number: usize,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
    head: Head,
}

impl Follower {
    /// Opens a journal and reads its head.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(io("reading", path))?;
        let head = Head { format: 0, run: RunId::from_parts(0, 0), plan: Value::Null };
        let (input, partial) = (BufReader::new(file), Vec::new());
        let mut follower = Self { path: path.to_owned(), input, number: 0, partial, head };
        let line = follower.next_text()?;
        follower.head = head_of(path, line)?;
        Ok(follower)
    }

    /// What its first line says.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The plan, if it is one that this version can read. It can be large, and is given away once.
    pub fn take_plan(&mut self) -> Result<Plan, serde_json::Error> {
        serde_json::from_value(self.head.plan.take())
    }

    /// The next line behind the head, once all of it is there. An error names the line; nothing behind it is to be trusted.
    pub fn next_line(&mut self) -> Result<Option<Line>, JournalError> {
        let Some(text) = self.next_text()? else { return Ok(None) };
        let damaged = |found| JournalError::Damaged { path: self.path.clone(), line: self.number, found };
        line(&text).map(Some).map_err(damaged)
    }

    /// Whether nobody writes it any more. To be asked before reading on: what was written until then is there.
    pub fn has_ended(&self) -> bool {
        let file = self.input.get_ref();
        let free = file.try_lock_shared().is_ok();
        if free {
            // Others ask in the same way; the next to ask must not find us.
            let _ = file.unlock();
        }
        free
    }

    /// Whether it ends, for now, in the middle of a line.
    pub const fn is_torn(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The next whole line, without its newline; one that has none was not written to its end.
    fn next_text(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        self.input.read_until(b'\n', &mut self.partial).map_err(io("reading", &self.path))?;
        if self.partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.number += 1;
        let mut text = std::mem::take(&mut self.partial);
        text.pop();
        Ok(Some(text))
    }
}

fn head_of(path: &Path, line: Option<Vec<u8>>) -> Result<Head, JournalError> {
    let not_one = |found: &str| JournalError::NotOne { path: path.to_owned(), found: found.to_owned() };
    let line = line.ok_or_else(|| not_one("it has no whole line"))?;
    let mut head: Value = serde_json::from_slice(&line).map_err(|_| not_one("its first line is not JSON"))?;
    if head["muster"] != "journal" {
        return Err(not_one("its first line does not say so"));
    }
    let format = head["format"].as_u64().ok_or_else(|| not_one("its first line names no format"))?;
    let Ok(format @ 1..=FORMAT) = u32::try_from(format) else {
        return Err(JournalError::Newer { path: path.to_owned(), found: format });
    };
    let run = head["run"].as_str().and_then(|run| RunId::parse(run).ok());
    let run = run.ok_or_else(|| not_one("its first line names no run"))?;
    Ok(Head { format, run, plan: head["plan"].take() })
}

pub(super) fn line(text: &[u8]) -> Result<Line, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let word = value["event"].as_str().ok_or("it has no field `event`")?;
    if EventKind::WORDS.contains(&word) {
        let word = word.to_owned();
        let event = serde_json::from_value(value).map_err(|error| format!("a damaged {word}: {error}"))?;
        return Ok(Line::Event(event));
    }
    let seq = value["seq"].as_u64().ok_or("it has no number in `seq`")?;
    let at = value["at"].as_str().and_then(|at| at.parse().ok()).ok_or("it has no time in `at`")?;
    Ok(Line::Unknown(Unknown { seq, at, word: word.to_owned(), json: value.to_string() }))
}
