//! `muster runs`: what was recorded on this machine.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::words::{clean, count, pad, width};
use crate::hint::Hint;
use crate::name::{ClusterName, RunId};
use crate::run::{Counts, Recorded, Verdict};

/// For people: a line each.
pub fn text(runs: &[Recorded], all: usize, dir: &Path, out: &mut dyn Write) -> io::Result<()> {
    if runs.is_empty() {
        writeln!(out, "no run was recorded on this machine (in {})", dir.display())?;
        return out.flush();
    }
    let rows: Vec<[String; 6]> = runs.iter().map(row).collect();
    let head = ["RUN", "BEGAN (UTC)", "TOOK", "BY", "WHAT", "CAME TO"].map(str::to_owned);
    let mut widths = [0; 6];
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
    if let Some(open) = runs.iter().find(|run| run.came.is_open()) {
        writeln!(out, "to finish one:  {}", Hint::type_(format!("muster resume {}", open.run)))?;
    }
    writeln!(out, "to see one again:  {}", Hint::type_(format!("muster runs {}", runs[0].run)))?;
    out.flush()
}

fn row(run: &Recorded) -> [String; 6] {
    let (by, what) = match (&run.about, &run.trouble) {
        (Some(about), _) => (
            about.operator.clone(),
            format!("{} @ {}, {}", about.repository, about.revision.short(), count(about.nodes, "node")),
        ),
        (None, Some(_)) => (String::new(), String::new()),
        (None, None) => (String::new(), "nothing was begun".to_owned()),
    };
    let undo = match run.undo.len() {
        0 => String::new(),
        number => format!(", {} kept", count(number, "undo bundle")),
    };
    let trouble = run.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    let began = run.began.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let took = run.seconds().map(took).unwrap_or_default();
    [run.run.to_string(), began, took, by, what, format!("{}{undo}{trouble}", run.came.word())]
}

/// Seconds as `01:12` or `1:02:03`.
fn took(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// A run as JSON.
#[derive(Serialize)]
struct Line<'a> {
    muster: &'static str,
    format: u32,
    run: &'a RunId,
    journal: &'a Path,
    began: Timestamp,
    /// The time of the last event: the end of a run that has ended.
    last: Option<Timestamp>,
    seconds: Option<i64>,
    operator: Option<&'a str>,
    repository: Option<&'a str>,
    revision: Option<String>,
    summary: Option<&'a str>,
    clusters: &'a [ClusterName],
    nodes: Option<usize>,
    counts: Option<Counts>,
    end: &'static str,
    verdict: Option<Verdict>,
    exit: Option<u8>,
    resumable: bool,
    undo: &'a [std::path::PathBuf],
    trouble: Option<&'a str>,
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
pub fn json(runs: &[Recorded], out: &mut dyn Write) -> io::Result<()> {
    for run in runs {
        let about = run.about.as_ref();
        let line = Line {
            muster: "run",
            format: 1,
            run: &run.run,
            journal: &run.journal,
            began: run.began,
            last: run.last,
            seconds: run.seconds(),
            operator: about.map(|about| about.operator.as_str()),
            repository: about.map(|about| about.repository.as_str()),
            revision: about.map(|about| about.revision.to_string()),
            summary: about.map(|about| about.summary.as_str()),
            clusters: about.map(|about| about.clusters.as_slice()).unwrap_or_default(),
            nodes: about.map(|about| about.nodes),
            counts: run.counts,
            end: run.came.word(),
            verdict: run.came.verdict(),
            exit: run.came.verdict().map(Verdict::exit),
            resumable: run.came.is_open(),
            undo: &run.undo,
            trouble: run.trouble.as_deref(),
        };
        super::json::line(&line, out)?;
    }
    Ok(())
}
