//! Reading back.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

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
    let file = File::open(path).map_err(io("reading", path))?;
    let mut lines = Lines { path, input: BufReader::new(file), number: 0, torn: false };
    let mut journal = head(path, lines.next_line()?)?;
    while let Some(text) = lines.next_line()? {
        let damaged = |found| JournalError::Damaged { path: path.to_owned(), line: lines.number, found };
        journal.lines.push(line(&text).map_err(damaged)?);
    }
    journal.torn = lines.torn;
    Ok(journal)
}

struct Lines<'a> {
    path: &'a Path,
    input: BufReader<File>,
    number: usize,
    torn: bool,
}

impl Lines<'_> {
    /// The next whole line, without its newline; one that has none was not written to its end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).map_err(io("reading", self.path))?;
        self.number += 1;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) => {
                self.torn = true;
                Ok(None)
            }
        }
    }
}

fn head(path: &Path, line: Option<Vec<u8>>) -> Result<Journal, JournalError> {
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
    Ok(Journal { format, run, plan: head["plan"].take(), lines: Vec::new(), torn: false })
}

fn line(text: &[u8]) -> Result<Line, String> {
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
