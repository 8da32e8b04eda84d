//! The runs that were recorded on this machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::undo::undo_in;
use super::{Journal, JournalError, io, path, read};
use crate::name::RunId;

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Its journal.
    pub path: PathBuf,
}

impl Entry {
    /// Reads its journal.
    pub fn read(&self) -> Result<Journal, JournalError> {
        read(&self.path)
    }

    /// Its undo bundles, by name.
    pub fn undo_bundles(&self) -> Vec<PathBuf> {
        self.path.parent().and_then(|dir| undo_in(dir).ok()).unwrap_or_default()
    }
}

/// The recorded runs, the newest first. No directory means none; what is not named as a run is not one of ours.
pub fn list(runs: &Path) -> Result<Vec<Entry>, JournalError> {
    let dir = match fs::read_dir(runs) {
        Ok(dir) => dir,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("listing", runs)(error)),
    };
    let mut entries = Vec::new();
    for item in dir {
        let name = item.map_err(io("listing", runs))?.file_name();
        let Some(run) = name.to_str().and_then(|name| RunId::parse(name).ok()) else { continue };
        let path = path(runs, &run);
        // One that may not be read was recorded all the same.
        let is_there = match fs::metadata(&path) {
            Ok(found) => found.is_file(),
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        };
        if is_there {
            entries.push(Entry { run, path });
        }
    }
    // Run ids begin with their time.
    entries.sort_by(|a, b| b.run.cmp(&a.run));
    Ok(entries)
}

/// The recorded runs of several places, the newest first, and the places that cannot be listed.
pub fn list_all(places: &[PathBuf]) -> (Vec<Entry>, Vec<JournalError>) {
    let (mut entries, mut wrong): (Vec<Entry>, Vec<JournalError>) = (Vec::new(), Vec::new());
    for place in places {
        match list(place) {
            Ok(found) => entries.extend(found),
            Err(error) => wrong.push(error),
        }
    }
    entries.sort_by(|a, b| (&b.run, &a.path).cmp(&(&a.run, &b.path)));
    // The same place may have been named twice, or a run copied.
    entries.dedup_by(|a, b| a.run == b.run);
    (entries, wrong)
}
