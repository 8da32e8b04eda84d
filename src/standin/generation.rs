//! A generation: everything that the master loaded at one start or reload, as the workers inherit it.
//!
//! A real worker is a fork of the master and so holds the loaded code in memory. Here it is handed over as values: a
//! worker that is respawned after the files changed, or after a failed reload, still runs what was loaded then.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::Release;

/// One loaded plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plugin {
    pub(super) name: String,
    /// As `GET /` reports it: cleaned (facts.md B4).
    pub(super) version: String,
    pub(super) priority: i64,
    /// Its code was loaded from the search path; the others are bundled names without code.
    pub(super) custom: bool,
    /// It has database migrations of its own.
    pub(super) migrations: bool,
}

/// The source of a Lua module as it was when the master loaded it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Module {
    pub(super) path: String,
    /// One character per byte, as a source need not be UTF-8.
    pub(super) source: String,
}

impl Module {
    pub(super) fn new(path: String, source: &[u8]) -> Self {
        Self { path, source: source.iter().map(|byte| char::from(*byte)).collect() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.source.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect()
    }
}

/// What a successful load yields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// The release whose code was loaded: that on the disk at the time, whatever lies there by now.
    pub(super) version: String,
    /// `configuration` of `GET /`.
    pub(super) configuration: Value,
    pub(super) plugins: Vec<Plugin>,
    pub(super) modules: BTreeMap<String, Module>,
    /// `package.path`, with `;;` spelled out.
    pub(super) package_path: String,
    /// Why the workers come up without a router: rows from an earlier file use a plugin that is not loaded any more
    /// (measured.md 7).
    pub(super) broken: Option<String>,
    pub(super) database: String,
    pub(super) level: String,
    pub(super) workers: usize,
    /// How many files a worker may open, as nginx's own file says.
    pub(super) files: Option<u64>,
    /// Servers of somebody's own template, by name, with what they answer.
    pub(super) returns: BTreeMap<String, (u16, String)>,
}

impl Generation {
    pub(super) fn has(&self, name: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.name == name)
    }

    pub(super) fn is_dbless(&self) -> bool {
        self.database == "off"
    }

    /// Which release is imitated.
    pub(super) fn release(&self) -> Release {
        Release::of(&self.version)
    }
}

/// The number of the process that is no worker and holds a data plane's connection.
pub(super) const AGENT: usize = usize::MAX;

/// What one worker is told beside its generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Handover {
    pub(super) generation: Generation,
    /// `standin.json`.
    pub(super) file: PathBuf,
    pub(super) node_id: String,
    pub(super) master: i32,
    /// The worker's number, from 0, or [`AGENT`].
    pub(super) slot: usize,
    /// Replaces a worker that died, instead of being one of a new generation.
    pub(super) respawned: bool,
    /// Milliseconds before the first connection is taken: a new worker is busy while the old ones still answer.
    pub(super) busy: u64,
    /// What each listener is for (`kong`, `kong_admin`, `kong_status`), in the order of the descriptors.
    pub(super) listeners: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_utf8_survives_the_handover() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = serde_json::to_string(&Module::new("x".into(), &bytes)).unwrap();
        let back: Module = serde_json::from_str(&text).unwrap();
        assert_eq!(back.bytes(), bytes);
    }
}
