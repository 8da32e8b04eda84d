//! `muster runs`: what was recorded on this machine.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::words::{clean, count, pad, width};
use crate::hint::Hint;
use crate::name::RunId;
use crate::run::{RunState, Verdict};

/// A run, as far as its journal can be read.
pub struct Told {
    /// Which.
    pub run: RunId,
    /// Its journal is written by nobody any more.
    pub ended: bool,
    /// Its undo bundles.
    pub undo: Vec<PathBuf>,
    /// What its journal comes to, or why it cannot be read.
    pub state: Result<RunState, String>,
}

impl Told {
    /// What it came to, in a word.
    fn end(&self, state: &RunState) -> &'static str {
        match state.verdict {
            Some(verdict) => verdict.word(),
            None if !self.ended => "at work",
            None => "cut short",
        }
    }

    /// Whether something is left that `muster resume` would do.
    fn open(&self, state: &RunState) -> bool {
        self.ended && !matches!(state.verdict, Some(Verdict::InLine | Verdict::Converged))
    }
}

/// For people: a line each.
pub fn text(runs: &[Told], all: usize, dir: &Path, out: &mut dyn Write) -> io::Result<()> {
    if runs.is_empty() {
        writeln!(out, "no run was recorded on this machine (in {})", dir.display())?;
        return out.flush();
    }
    let rows: Vec<[String; 5]> = runs.iter().map(row).collect();
    let head = ["RUN", "BEGAN (UTC)", "BY", "WHAT", "CAME TO"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&head]) {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = width(cell).max(*column);
        }
    }
    for row in std::iter::once(&head).chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, columns)| pad(cell, columns)).collect();
        writeln!(out, "{}", clean(cells.join("  ").trim_end()))?;
    }
    writeln!(out)?;
    if all > runs.len() {
        writeln!(
            out,
            "{} of {}; more:  {}",
            runs.len(),
            count(all, "run"),
            Hint::type_(format!("muster runs --last {all}"))
        )?;
    }
    let open = runs.iter().find(|told| told.state.as_ref().is_ok_and(|state| told.open(state)));
    if let Some(told) = open {
        writeln!(out, "to finish one:  {}", Hint::type_(format!("muster resume {}", told.run)))?;
    }
    writeln!(out, "to see one again:  {}", Hint::type_(format!("muster runs {}", runs[0].run)))?;
    out.flush()
}

fn row(told: &Told) -> [String; 5] {
    let state = match &told.state {
        Ok(state) => state,
        Err(why) => {
            return [told.run.to_string(), began(&told.run), String::new(), why.clone(), "not readable".to_owned()];
        }
    };
    let (by, what) = match &state.head {
        Some(head) => {
            let nodes = head.clusters.iter().map(|(_, nodes)| nodes.len()).sum();
            (
                head.operator.clone(),
                format!("{} @ {}, {}", head.repository, head.revision.short(), count(nodes, "node")),
            )
        }
        None => (String::new(), "nothing was begun".to_owned()),
    };
    let undo = match told.undo.len() {
        0 => String::new(),
        number => format!(", {} kept", count(number, "undo bundle")),
    };
    [told.run.to_string(), began(&told.run), by, what, format!("{}{undo}", told.end(state))]
}

/// When a run began, as its id says.
fn began(run: &RunId) -> String {
    let milliseconds = i64::try_from(run.milliseconds()).unwrap_or(0);
    let at = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What became of a run, to paste into a ticket ([`crate::run::ticket`]).
pub fn ticket(lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{}", clean(line))?;
    }
    out.flush()
}

/// The same as one value of JSON.
pub fn ticket_json(run: &RunId, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Ticket<'a> {
        muster: &'static str,
        format: u32,
        run: &'a RunId,
        lines: &'a [String],
    }
    super::json::line(&Ticket { muster: "ticket", format: 1, run, lines }, out)
}

/// As JSON, a line each.
pub fn json(runs: &[Told], out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        muster: &'static str,
        format: u32,
        run: &'a RunId,
        operator: Option<&'a str>,
        repository: Option<&'a str>,
        revision: Option<String>,
        end: &'static str,
        verdict: Option<Verdict>,
        resumable: bool,
        undo: &'a [PathBuf],
        trouble: Option<&'a str>,
    }
    for told in runs {
        let state = told.state.as_ref().ok();
        let head = state.and_then(|state| state.head.as_ref());
        let line = Line {
            muster: "run",
            format: 1,
            run: &told.run,
            operator: head.map(|head| head.operator.as_str()),
            repository: head.map(|head| head.repository.as_str()),
            revision: head.map(|head| head.revision.to_string()),
            end: state.map_or("not readable", |state| told.end(state)),
            verdict: state.and_then(|state| state.verdict),
            resumable: state.is_some_and(|state| told.open(state)),
            undo: &told.undo,
            trouble: told.state.as_ref().err().map(String::as_str),
        };
        super::json::line(&line, out)?;
    }
    Ok(())
}
