//! What was found on a machine of which only the way to it is known: its Kongs, and where their plugins may be. Read from the
//! answer of `scripts/discover.sh`, whose top has the table of records; untrusted and bounded, as a survey is.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::{Outcome, clean};
use super::{Kind, SurveyError};
use crate::hint::Sealed;
use crate::kong::{Conf, EnvFile};
use crate::name::{Digest, NodePath};
use crate::wire::{ArgError, Args, Record};

/// The most of anything that is told of one machine.
const MOST: usize = 5_000;

/// What is looked for; see the top of `scripts/discover.sh`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoverRequest {
    /// Prefixes to look at instead of those that are found.
    pub prefixes: Vec<NodePath>,
    /// Where kong.conf may be, before the usual places.
    pub confs: Vec<NodePath>,
    /// Where plugin files may be, before the search path.
    pub lua_roots: Vec<NodePath>,
}

impl DiscoverRequest {
    /// The arguments of the script.
    pub fn args(&self) -> Result<Args, ArgError> {
        Args::new()
            .with_list("prefix", self.prefixes.iter().map(NodePath::as_str))?
            .with_list("conf", self.confs.iter().map(NodePath::as_str))?
            .with_list("root", self.lua_roots.iter().map(NodePath::as_str))
    }
}

/// A machine, and the Kongs on it.
#[derive(Default)]
pub struct Discovery {
    /// `/etc/machine-id`, or empty.
    pub machine: String,
    /// The boot id.
    pub boot: String,
    /// The user that the script ran as, and its uid.
    pub user: (String, u32),
    /// Other users' processes can be seen, so that no master was missed.
    pub proc_visible: bool,
    /// The kong command, where there is one.
    pub cli: Option<NodePath>,
    /// The Kongs, in the order of their masters.
    pub kongs: Vec<FoundKong>,
    /// Masters of nginx whose title names no prefix.
    pub others: usize,
    /// Each kong.conf that may be meant, likeliest first; `None` where it could not be read.
    pub confs: Vec<(NodePath, Option<Sealed<Conf>>)>,
}

/// A Kong that was found.
#[derive(Default)]
pub struct FoundKong {
    /// Its master; `None`: there is `.kong_env`, and nothing runs.
    pub master: Option<u32>,
    /// Its prefix.
    pub prefix: Option<NodePath>,
    /// Device and inode of the prefix.
    pub id: Option<(u64, u64)>,
    /// `.kong_env`, if it could be read.
    pub env: Option<Sealed<EnvFile>>,
    /// The directories that it looks for modules in, in their order.
    pub lua_roots: Vec<FoundRoot>,
    /// Its declarative configuration, and the digest of that.
    pub declared: Option<(NodePath, Digest)>,
}

/// A directory that a Kong looks for modules in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRoot {
    /// The directory.
    pub path: NodePath,
    /// What it is.
    pub kind: Kind,
    /// The directories below its `kong/plugins`, and whether each has a handler.
    pub directories: BTreeMap<String, bool>,
    /// How many there have names that are none of a plugin.
    pub odd: usize,
    /// There are more than were told of.
    pub cut: bool,
}

/// Takes the records and blobs of one discovery as they come.
#[derive(Default)]
pub struct DiscoveryDecoder {
    found: Discovery,
    host: bool,
    kinds: Vec<bool>,
    seen: BTreeSet<String>,
    records: usize,
}

fn bad(tag: &'static str, field: &'static str) -> SurveyError {
    SurveyError::Field { tag, field }
}

fn path(record: &Record, index: usize, tag: &'static str) -> Result<NodePath, SurveyError> {
    record.exact(index).and_then(|path| NodePath::parse(path).ok()).ok_or_else(|| bad(tag, "path"))
}

fn number<N: std::str::FromStr>(record: &Record, index: usize, tag: &'static str) -> Result<N, SurveyError> {
    record.number(index).ok_or_else(|| bad(tag, "number"))
}

fn flag(record: &Record, index: usize, tag: &'static str) -> Result<bool, SurveyError> {
    match record.exact(index) {
        Some("0") => Ok(false),
        Some("1") => Ok(true),
        _ => Err(bad(tag, "flag")),
    }
}

impl DiscoveryDecoder {
    /// Takes a record.
    pub fn record(&mut self, record: &Record) -> Outcome {
        self.records += 1;
        if self.records > MOST {
            return Err(SurveyError::Flood("discovery"));
        }
        match record.tag.as_str() {
            "host" => self.host(record),
            // What is no path that can be written down is none that is meant.
            "cli" => {
                self.found.cli = record.exact(0).and_then(|path| NodePath::parse(path).ok());
                Ok(())
            }
            "other" => {
                self.found.others += 1;
                Ok(())
            }
            "kong" => self.kong(record),
            "conf" => self.conf(record),
            "root" => self.root(record),
            "dir" => self.directory(record),
            "odd" => {
                let odd = number(record, 2, "odd")?;
                self.root_of(record, "odd")?.odd = odd;
                Ok(())
            }
            "many" => {
                self.root_of(record, "many")?.cut = true;
                Ok(())
            }
            "declared" => self.declared(record),
            "no-blob" => Ok(()),
            other => Err(SurveyError::Unknown(other.chars().take(40).collect())),
        }
    }

    /// Takes a blob.
    pub fn blob(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        if !self.seen.insert(name.to_owned()) {
            return Err(SurveyError::Twice(clean(name)));
        }
        let unasked = || SurveyError::Unasked { what: "a block", found: clean(name) };
        let (what, number) = name.split_once('.').ok_or_else(unasked)?;
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or_else(unasked)?;
        match what {
            "env" => {
                let kong = self.found.kongs.get_mut(index).ok_or_else(unasked)?;
                kong.env = Some(Sealed::new(EnvFile::parse(bytes)));
            }
            "conf" => {
                let conf = self.found.confs.get_mut(index).ok_or_else(unasked)?;
                conf.1 = Some(Sealed::new(Conf::parse(bytes)));
            }
            _ => return Err(unasked()),
        }
        Ok(())
    }

    /// What was found, once the trailer was seen.
    pub fn finish(mut self) -> Result<Discovery, SurveyError> {
        if !self.host {
            return Err(SurveyError::Missing("the machine".to_owned()));
        }
        let mut files = self.kinds.into_iter();
        self.found.confs.retain(|_| files.next().unwrap_or_default());
        Ok(self.found)
    }

    fn host(&mut self, record: &Record) -> Outcome {
        let text = |index| record.text(index).ok_or_else(|| bad("host", "text"));
        self.found.machine = text(0)?;
        self.found.boot = text(1)?;
        self.found.user = (text(2)?, number(record, 3, "host")?);
        self.found.proc_visible = flag(record, 4, "host")?;
        if std::mem::replace(&mut self.host, true) { Err(SurveyError::Twice("host".to_owned())) } else { Ok(()) }
    }

    /// `kong N PID DEV INODE PREFIX`. A prefix that could not be written into an inventory is told of without its path.
    fn kong(&mut self, record: &Record) -> Outcome {
        let at: usize = number(record, 0, "kong")?;
        if at != self.found.kongs.len() + 1 {
            return Err(bad("kong", "number"));
        }
        let pid: u32 = number(record, 1, "kong")?;
        let id = (number(record, 2, "kong")?, number(record, 3, "kong")?);
        let prefix = record.exact(4).and_then(|path| NodePath::parse(path).ok());
        let master = (pid != 0).then_some(pid);
        self.found.kongs.push(FoundKong {
            master,
            prefix,
            id: Some(id).filter(|id| id.1 != 0),
            ..FoundKong::default()
        });
        Ok(())
    }

    fn conf(&mut self, record: &Record) -> Outcome {
        let at: usize = number(record, 0, "conf")?;
        if at != self.found.confs.len() + 1 {
            return Err(bad("conf", "number"));
        }
        self.kinds.push(record.exact(1) == Some("file"));
        self.found.confs.push((path(record, 2, "conf")?, None));
        Ok(())
    }

    fn kong_of(&mut self, record: &Record, tag: &'static str) -> Result<&mut FoundKong, SurveyError> {
        let at: usize = number(record, 0, tag)?;
        let kong = at.checked_sub(1).and_then(|index| self.found.kongs.get_mut(index));
        kong.ok_or_else(|| bad(tag, "kong before it"))
    }

    fn root_of(&mut self, record: &Record, tag: &'static str) -> Result<&mut FoundRoot, SurveyError> {
        let at: usize = number(record, 1, tag)?;
        let kong = self.kong_of(record, tag)?;
        let root = at.checked_sub(1).and_then(|index| kong.lua_roots.get_mut(index));
        root.ok_or_else(|| bad(tag, "root before it"))
    }

    fn root(&mut self, record: &Record) -> Outcome {
        let at: usize = number(record, 1, "root")?;
        let kind = match record.exact(2) {
            Some("directory") => Kind::Directory,
            Some("absent") => Kind::Absent,
            Some("denied") => Kind::Denied,
            _ => return Err(bad("root", "kind")),
        };
        let root = FoundRoot { path: path(record, 3, "root")?, kind, directories: BTreeMap::new(), odd: 0, cut: false };
        let kong = self.kong_of(record, "root")?;
        if at != kong.lua_roots.len() + 1 {
            return Err(bad("root", "number"));
        }
        kong.lua_roots.push(root);
        Ok(())
    }

    fn directory(&mut self, record: &Record) -> Outcome {
        let name = record.exact(2).filter(|name| plain(name)).ok_or_else(|| bad("dir", "name"))?.to_owned();
        let plugin = flag(record, 3, "dir")?;
        match self.root_of(record, "dir")?.directories.insert(name, plugin) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("dir".to_owned())),
        }
    }

    fn declared(&mut self, record: &Record) -> Outcome {
        let digest =
            record.exact(1).and_then(|text| Digest::parse(text).ok()).ok_or_else(|| bad("declared", "digest"))?;
        let path = path(record, 2, "declared")?;
        self.kong_of(record, "declared")?.declared = Some((path, digest));
        Ok(())
    }
}

/// Whether this is the name of one directory, safe to write down.
fn plain(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= 100
        && name.starts_with(first)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
