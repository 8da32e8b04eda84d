//! Writing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{FORMAT, JournalError, io, path};
use crate::name::RunId;
use crate::plan::Plan;
use crate::run::{Event, Recorder};

/// The first line. Its first field is what tells a journal from any other file of JSON lines.
#[derive(Serialize)]
struct Head<'a> {
    muster: &'static str,
    format: u32,
    run: &'a RunId,
    plan: &'a Plan,
}

/// A journal in the making. It is for the operator alone: directory 0700, file 0600.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    /// A write failed: what is in the file ends in a torn line, and nothing may come behind that.
    torn: bool,
}

impl Writer {
    /// Creates the journal of a run under the directory of all runs, and makes its head durable. An error if the run has
    /// one already.
    pub fn create(runs: &Path, run: &RunId, plan: &Plan) -> Result<Self, JournalError> {
        let path = path(runs, run);
        let dir = &runs.join(run.as_str());
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("creating", dir))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(io("creating", &path))?;
        // Held as long as the run lives, so that others see that it does ([`super::has_ended`]). Where a filesystem has no
        // locks, nobody will be sure, and leases end by their time.
        let _ = file.lock();
        let file = BufWriter::new(file);
        let mut writer = Self { path, file, torn: false };
        let head = Head { muster: "journal", format: FORMAT, run, plan };
        let written = writer.line(&head).and_then(|()| writer.flush());
        written.map_err(io("writing", &writer.path))?;
        // The names have to survive a power cut as well as the content.
        for dir in [dir.as_path(), runs] {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("syncing", dir))?;
        }
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file one that cannot be written, as on a full disk.
    #[cfg(test)]
    pub(super) fn fail_next(&mut self) {
        let full = OpenOptions::new().write(true).open("/dev/full");
        self.file = BufWriter::with_capacity(1, full.unwrap_or_else(|error| panic!("/dev/full: {error}")));
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        let written = write_line(&mut self.file, value);
        self.torn = written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        self.torn |= flushed.is_err();
        flushed
    }
}

/// One value on one line: JSON has no newline in it.
fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

impl Recorder for Writer {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.line(event)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()
    }
}
