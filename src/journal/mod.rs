//! The recording of a run: written while it happens, read for as long as the file exists.
//!
//! Owns: the file's format (docs/events.md), its durability, and reading it back whatever its writer came to. Must not
//! know: what an event means. One run is one directory, `RUNS/RUN/`, with `journal.jsonl` in it: a head, then one event
//! on each line; and with the undo bundles of the run beside it, if it took rows out of use.

mod glance;
mod list;
mod reader;
mod undo;
mod writer;

use std::path::{Path, PathBuf};

pub use glance::{glance, told};
pub use list::{Entry, list, list_all};
pub use reader::{Follower, Head, Journal, Line, Unknown, read};
pub use undo::{keep_undo, undo_bundles};
pub use writer::Writer;

use crate::hint::Hint;
use crate::name::RunId;

/// The format that is written. Every format from 1 on is read.
pub const FORMAT: u32 = 1;

/// Where the journal of a run is, under the directory of all runs.
pub fn path(runs: &Path, run: &RunId) -> PathBuf {
    runs.join(run.as_str()).join("journal.jsonl")
}

/// Whether the run whose journal is here has ended: nobody holds the lock that its writer had. `false` without a journal.
pub fn has_ended(runs: &Path, run: &RunId) -> bool {
    std::fs::File::open(path(runs, run)).is_ok_and(|file| file.try_lock_shared().is_ok())
}

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system said no.
    #[error("{doing} {path}: {error}", path = path.display())]
    Io {
        /// What was being done ("creating").
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What was found.
        error: std::io::Error,
    },
    /// The file does not begin as a journal does.
    #[error("reading {path}: it is no journal of muster ({found})", path = path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// What its first line is.
        found: String,
    },
    /// A newer muster wrote it.
    #[error("reading {path}: its format is {found}, this muster reads up to {FORMAT}", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A line is damaged.
    #[error("reading {path}, line {line}: {found}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        found: String,
    },
}

impl JournalError {
    /// What to do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Io { path, .. } => vec![Hint::look(path.display().to_string())],
            Self::NotOne { .. } => vec![Hint::do_("name the journal.jsonl of a run")],
            Self::Newer { .. } => vec![Hint::do_("read it with the muster that wrote it, or a newer one")],
            Self::Damaged { path, line, .. } => vec![
                Hint::look(format!("{}:{line}", path.display())),
                Hint::do_("what stands before that line can be trusted; copy it to a file of its own to read it"),
            ],
        }
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |error| JournalError::Io { doing, path, error }
}

#[cfg(test)]
mod tests;
