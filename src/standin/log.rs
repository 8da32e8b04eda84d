//! `logs/error.log`: lines in nginx's form, filtered by level as nginx does.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// How bad a line is, from worst to least, as nginx orders its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Emerg,
    Alert,
    Crit,
    Error,
    Warn,
    Notice,
    Info,
    Debug,
}

const NAMES: [(&str, Level); 8] = [
    ("emerg", Level::Emerg),
    ("alert", Level::Alert),
    ("crit", Level::Crit),
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("notice", Level::Notice),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

impl Level {
    /// The level of that name; `notice` for anything else, Kong's default.
    pub(super) fn named(name: &str) -> Self {
        NAMES.iter().find(|(text, _)| *text == name).map_or(Self::Notice, |(_, level)| *level)
    }

    /// The level of that name, if there is one.
    pub(super) fn known(name: &str) -> Option<Self> {
        NAMES.iter().find(|(text, _)| *text == name).map(|(_, level)| *level)
    }

    /// From 1, the worst.
    pub(super) fn number(self) -> u32 {
        self as u32 + 1
    }

    /// The level of that number.
    pub(super) fn numbered(number: u32) -> Option<Self> {
        NAMES.iter().map(|(_, level)| *level).find(|level| level.number() == number)
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, level)| *level == self).map_or("notice", |(text, _)| text)
    }
}

/// An open error log with its threshold: a failed reload writes nothing at `crit` (protocols.md B3).
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    level: Level,
}

impl Log {
    /// Opens the log for appending.
    pub(super) fn open(path: &Path, level: Level) -> std::io::Result<Self> {
        Ok(Self { file: File::options().create(true).append(true).open(path)?, level })
    }

    /// The log behind a descriptor that the master handed over.
    pub(super) fn from_file(file: File, level: Level) -> Self {
        Self { file, level }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes one line (several, where the message has several) in one write. A full disk loses it, as with nginx.
    pub(super) fn write(&self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let pid = std::process::id();
        let line = format!("{} [{}] {pid}#{pid}: {message}\n", super::clock::stamp(), level.name());
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_below_the_level_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("error.log");
        let log = Log::open(&path, Level::named("crit")).unwrap();
        log.write(Level::Error, "init_by_lua error");
        log.write(Level::Crit, "worker initialization error");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("init_by_lua"), "{text}");
        assert!(text.contains("[crit]") && text.ends_with("worker initialization error\n"), "{text}");
    }
}
