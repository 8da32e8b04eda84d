//! The log of a node or cluster in a run: what part of it is seen, and what is searched in it.
//!
//! A place in a log is the number of a line and a row in it, so that nothing has to be laid out but what is seen: a line that was
//! dropped or came since moves nothing.

use std::ops::Range;

use unicode_width::UnicodeWidthChar as _;

use crate::tui::cursor::Step;
use crate::tui::logs::{Log, Subject};

/// A row of a log as it is seen: a part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number of the line.
    pub line: u64,
    /// It is the first row of the line.
    pub is_first: bool,
    /// The bytes of the line's text.
    pub text: Range<usize>,
}

/// A place in a log: a line, and a row of it. In order from the beginning to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Spot {
    line: u64,
    row: usize,
}

/// How a log is laid out: the columns for its text, the rows that are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// What is searched for, and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The text; empty when nothing is searched.
    pub text: String,
    /// The lines with it, by number.
    pub found: Vec<u64>,
    /// The one that was gone to last.
    pub at: Option<u64>,
    scanned: u64,
}

/// A log that is read.
#[derive(Debug, Clone)]
pub struct LogScreen {
    /// Whose.
    pub subject: Subject,
    /// Long lines are wrapped; else they are cut, and left and right move in them.
    pub wraps: bool,
    /// The last lines are seen, whatever comes.
    pub follows: bool,
    /// How many columns to the left are not seen.
    pub left: usize,
    /// What is searched for.
    pub search: Search,
    top: Spot,
}

/// How far left and right move.
const COLUMNS: usize = 20;

impl LogScreen {
    /// The end of a log.
    pub fn new(subject: Subject) -> Self {
        Self { subject, wraps: true, follows: true, left: 0, search: Search::default(), top: Spot::default() }
    }

    /// The rows that are seen.
    pub fn rows(&self, log: &Log, extent: Extent) -> Vec<Row> {
        let mut spot = self.first_row(log, extent);
        let mut rows = Vec::new();
        while rows.len() < extent.rows && spot.line < log.end() {
            let parts = self.parts(log, spot.line, extent.columns);
            let seen = parts.into_iter().enumerate().skip(spot.row);
            rows.extend(seen.map(|(row, text)| Row { line: spot.line, is_first: row == 0, text }));
            spot = Spot { line: spot.line + 1, row: 0 };
        }
        rows.truncate(extent.rows);
        rows
    }

    /// Moves; at the end it follows again, away from the end it does not.
    pub fn step(&mut self, step: Step, log: &Log, extent: Extent) {
        let page = isize::try_from(extent.rows.saturating_sub(1).max(1)).unwrap_or(1);
        let top = self.first_row(log, extent);
        self.top = match step {
            Step::By(by) => self.moved(log, extent, top, by),
            Step::Pages(pages) => self.moved(log, extent, top, pages.saturating_mul(page)),
            Step::First => Spot { line: log.first(), row: 0 },
            Step::Last => self.last_top(log, extent),
        };
        self.follows = self.top >= self.last_top(log, extent);
    }

    /// To the end, and stays there; or stays where it is.
    pub fn follow(&mut self, log: &Log, extent: Extent) {
        self.top = self.first_row(log, extent);
        self.follows = !self.follows;
    }

    /// Wraps long lines, or cuts them. The first line that is seen stays.
    pub fn wrap(&mut self, log: &Log, extent: Extent) {
        self.top = Spot { row: 0, ..self.first_row(log, extent) };
        self.wraps = !self.wraps;
        self.left = 0;
    }

    /// Left or right in lines that are cut; false where they are wrapped.
    pub const fn sideways(&mut self, right: bool) -> bool {
        if !self.wraps {
            self.left = if right { self.left.saturating_add(COLUMNS) } else { self.left.saturating_sub(COLUMNS) };
        }
        !self.wraps
    }

    /// Searches for another text, from what is seen on; an empty one ends the search.
    pub fn search(&mut self, text: String, log: &Log, extent: Extent) {
        let top = self.first_row(log, extent).line;
        self.search = Search { text, ..Search::default() };
        self.search.look(log);
        let first = self.search.found.iter().find(|line| **line >= top).or_else(|| self.search.found.first()).copied();
        self.go_to(first, log, extent);
    }

    /// To the next match or the one before, round the end; false if there is none.
    pub fn next_match(&mut self, forward: bool, log: &Log, extent: Extent) -> bool {
        self.search.look(log);
        let from = self.search.at.unwrap_or_else(|| self.first_row(log, extent).line);
        let found = &self.search.found;
        let next = if forward {
            found.iter().find(|line| **line > from).or_else(|| found.first())
        } else {
            found.iter().rfind(|line| **line < from).or_else(|| found.last())
        };
        let next = next.copied();
        self.go_to(next, log, extent);
        next.is_some()
    }

    /// Takes in that lines came: those with a match are known by then.
    pub fn grown(&mut self, log: &Log) {
        self.search.look(log);
    }

    /// A line in the middle of what is seen; the log is followed no more.
    fn go_to(&mut self, line: Option<u64>, log: &Log, extent: Extent) {
        let Some(line) = line else { return };
        self.search.at = Some(line);
        let seen = self.rows(log, extent);
        if seen.iter().any(|row| row.line == line && row.is_first) {
            self.top = self.first_row(log, extent);
        } else {
            let third = isize::try_from(extent.rows / 3).unwrap_or(0);
            self.top = self.moved(log, extent, Spot { line, row: 0 }, -third);
        }
        self.follows = false;
    }

    /// The first row that is seen.
    fn first_row(&self, log: &Log, extent: Extent) -> Spot {
        let last = self.last_top(log, extent);
        if self.follows || self.top >= last {
            return last;
        }
        if self.top.line < log.first() {
            return Spot { line: log.first(), row: 0 };
        }
        self.top
    }

    /// The first row of the last page.
    fn last_top(&self, log: &Log, extent: Extent) -> Spot {
        self.moved_back(log, extent.columns, Spot { line: log.end(), row: 0 }, extent.rows)
    }

    fn moved(&self, log: &Log, extent: Extent, from: Spot, by: isize) -> Spot {
        if by < 0 {
            return self.moved_back(log, extent.columns, from, by.unsigned_abs());
        }
        let mut spot = from;
        let mut left = by.unsigned_abs();
        while left > 0 && spot.line < log.end() {
            let rows = self.parts(log, spot.line, extent.columns).len();
            let here = rows.saturating_sub(spot.row);
            if left < here {
                spot.row += left;
                break;
            }
            left -= here;
            spot = Spot { line: spot.line + 1, row: 0 };
        }
        spot.min(self.last_top(log, extent))
    }

    fn moved_back(&self, log: &Log, columns: usize, from: Spot, by: usize) -> Spot {
        let mut spot = from;
        let mut left = by;
        loop {
            if left <= spot.row {
                return Spot { row: spot.row - left, ..spot };
            }
            left -= spot.row;
            if spot.line <= log.first() {
                return Spot { line: log.first(), row: 0 };
            }
            let line = spot.line - 1;
            spot = Spot { line, row: self.parts(log, line, columns).len() };
        }
    }

    /// The rows of one line: at least one.
    fn parts(&self, log: &Log, line: u64, columns: usize) -> Vec<Range<usize>> {
        let text = log.line(line).map_or("", |line| &line.text);
        if self.wraps { wrapped(text, columns) } else { vec![cut(text, self.left, columns)] }
    }
}

impl Search {
    /// Looks through the lines that it has not looked through yet.
    fn look(&mut self, log: &Log) {
        if self.text.is_empty() {
            return;
        }
        self.found.retain(|line| *line >= log.first());
        let new = self.scanned.max(log.first())..log.end();
        let matching =
            new.filter(|number| log.line(*number).is_some_and(|line| !self.places(&line.text, 1).is_empty()));
        let matching: Vec<u64> = matching.collect();
        self.found.extend(matching);
        self.scanned = log.end();
    }

    /// Where the text is in a line, at most so often. Small letters match capitals, too.
    pub fn places(&self, line: &str, most: usize) -> Vec<Range<usize>> {
        let (needle, line) = (self.text.as_bytes(), line.as_bytes());
        let exact = self.text.chars().any(char::is_uppercase);
        let mut places = Vec::new();
        let mut at = 0;
        while !needle.is_empty() && at + needle.len() <= line.len() && places.len() < most {
            let here = &line[at..at + needle.len()];
            if here == needle || (!exact && here.eq_ignore_ascii_case(needle)) {
                places.push(at..at + needle.len());
                at += needle.len();
            } else {
                at += 1;
            }
        }
        places
    }

    /// Which match is gone to, of how many: `3 of 17`.
    pub fn words(&self) -> String {
        let place = self.at.and_then(|at| self.found.binary_search(&at).ok());
        match (place, self.found.len()) {
            (_, 0) => "not found".to_owned(),
            (Some(place), all) => format!("{} of {all}", place + 1),
            (None, all) => format!("{all} found"),
        }
    }
}

/// A text in rows of at most `columns` columns, broken behind spaces where there are any. In one pass.
fn wrapped(text: &str, columns: usize) -> Vec<Range<usize>> {
    let columns = columns.max(2);
    let (mut rows, mut start, mut taken) = (Vec::new(), 0, 0);
    // The byte behind the last space of the row, and the columns up to there.
    let mut space = None;
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        // Behind the last space there may be more than fits beside this one, too.
        while taken > 0 && taken + wide > columns {
            let (end, before) = space.take().unwrap_or((at, taken));
            rows.push(start..end);
            start = end;
            taken -= before;
        }
        taken += wide;
        if c == ' ' {
            space = Some((at + 1, taken));
        }
    }
    rows.push(start..text.len());
    rows
}

/// So many columns of a text, from a column on.
fn cut(text: &str, left: usize, columns: usize) -> Range<usize> {
    let (mut start, mut taken) = (text.len(), 0);
    for (at, c) in text.char_indices() {
        if start == text.len() && taken >= left {
            start = at;
        }
        taken += c.width().unwrap_or(0);
        if taken > left.saturating_add(columns) {
            return start.min(at)..at;
        }
    }
    start..text.len()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
