//! The runs that were recorded on this machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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
        if path.is_file() {
            entries.push(Entry { run, path });
        }
    }
    // Run ids begin with their time.
    entries.sort_by(|a, b| b.run.cmp(&a.run));
    Ok(entries)
}
