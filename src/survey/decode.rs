//! Reading the facts of a node from the answer of `scripts/survey.sh`, whose top has the table of records.
//!
//! What a node says is untrusted: a record that is not as the table has it, comes twice or names what was not asked for is
//! an error that says so in our words; what is kept is bounded and free of control characters.

use std::collections::BTreeMap;

use super::fields::{Fields, MOST, SurveyError};
use super::service::ServiceRecords;
use super::{
    Double, FileFacts, GuardFacts, HostFacts, Kind, LogFacts, MasterFacts, NodeFacts, PlaceFacts, Process, Rights,
    Rock, RootFacts, SurveyRequest, Trouble,
};
use crate::hint::Sealed;
use crate::kong::{Conf, EnvFile, managed_by};
use crate::name::{BundleName, BundlePath, Digest};
use crate::wire::{Lease, Manifest, Receipt, Record};

/// The most modules in other directories that are kept.
const DOUBLES: usize = 1_000;

pub(super) type Outcome = Result<(), SurveyError>;

/// A file of ours, as far as it could be read.
type Ours<T> = Option<Result<T, String>>;

/// Takes the records and blobs of one survey as they come, and gives the facts at the end.
pub struct SurveyDecoder {
    request: SurveyRequest,
    roots: Vec<BundlePath>,
    host: Option<HostFacts>,
    tools: Option<Vec<String>>,
    places: BTreeMap<&'static str, PlaceFacts>,
    master: Option<MasterFacts>,
    installed: Option<String>,
    log: LogFacts,
    found: BTreeMap<BundlePath, RootFacts>,
    links: BTreeMap<BundleName, (String, i64)>,
    releases: BTreeMap<BundleName, std::collections::BTreeSet<Digest>>,
    guard: Option<GuardFacts>,
    rocks: Vec<Rock>,
    doubles: Vec<Double>,
    conf: Option<Vec<u8>>,
    env: Option<Vec<u8>>,
    env_rights: Option<Rights>,
    kills: Option<bool>,
    manifest: Ours<Manifest>,
    lease: Ours<Lease>,
    receipts: BTreeMap<String, Receipt>,
    parts: Vec<(String, usize)>,
    saved: Option<Vec<u8>>,
    orphans: BTreeMap<Process, bool>,
    service: ServiceRecords,
    entries: usize,
}

fn kind_of(mode: u32) -> Kind {
    match mode >> 12 {
        0o10 => Kind::File,
        0o4 => Kind::Directory,
        0o12 => Kind::Link,
        _ => Kind::Other,
    }
}

fn once<T>(slot: &mut Option<T>, value: T, tag: &str) -> Outcome {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SurveyError::Twice(tag.to_owned())),
    }
}

impl SurveyDecoder {
    /// A decoder for the answer to this request.
    pub fn new(request: SurveyRequest) -> Self {
        Self {
            roots: request.roots.iter().cloned().collect(),
            request,
            host: None,
            tools: None,
            places: BTreeMap::new(),
            master: None,
            installed: None,
            log: LogFacts::default(),
            found: BTreeMap::new(),
            links: BTreeMap::new(),
            releases: BTreeMap::new(),
            guard: None,
            rocks: Vec::new(),
            doubles: Vec::new(),
            conf: None,
            env: None,
            env_rights: None,
            kills: None,
            manifest: None,
            lease: None,
            receipts: BTreeMap::new(),
            parts: Vec::new(),
            saved: None,
            orphans: BTreeMap::new(),
            service: ServiceRecords::default(),
            entries: 0,
        }
    }

    /// Takes a record.
    pub fn record(&mut self, record: &Record) -> Outcome {
        self.entries += 1;
        if self.entries > 4 * MOST {
            return Err(SurveyError::Flood("record"));
        }
        let fields = |tag| Fields { tag, record };
        match record.tag.as_str() {
            "host" => self.host(&fields("host")),
            "tools" => {
                once(&mut self.tools, (0..record.fields.len()).filter_map(|i| record.text(i)).collect(), "tools")
            }
            "place" => self.place(&fields("place")),
            "master" => self.master(&fields("master")),
            "worker" => self.worker(&fields("worker")),
            "installed" => once(&mut self.installed, fields("installed").text(0, "version")?, "installed"),
            "orphan" => self.orphan(&fields("orphan")),
            "log" => self.log(&fields("log")),
            "root" => self.root(&fields("root")),
            "file" => self.file(&fields("file"), 2),
            "odd" => self.file(&fields("odd"), 3),
            "sum" => self.sum(&fields("sum")),
            "cut" => self.cut(&fields("cut")),
            "current" => self.current(&fields("current")),
            "release" => {
                self.release(&fields("release"));
                Ok(())
            }
            "guard" => self.guard(&fields("guard")),
            "rock" => self.rock(&fields("rock")),
            "rock-file" => self.rock_file(&fields("rock-file")),
            "double" => self.double(&fields("double")),
            "unit-file" => self.service.file(record),
            "unit-place" => self.service.place(record),
            "no-blob" => self.no_blob(&fields("no-blob")),
            "env" => {
                let fields = fields("env");
                let owner = (fields.number(1, "uid")?, fields.number(2, "gid")?);
                once(&mut self.env_rights, Rights { mode: fields.mode(0)? & 0o7777, owner }, "env")
            }
            "logind" => once(&mut self.kills, fields("logind").flag(0, "answer")?, "logind"),
            "part" => {
                let fields = fields("part");
                self.parts.push((fields.text(0, "name")?, fields.number(1, "length")?));
                Ok(())
            }
            "problem" => {
                let words: Vec<_> = (0..record.fields.len()).filter_map(|i| record.text(i)).collect();
                Err(SurveyError::Problem(words.join(" ").chars().take(200).collect()))
            }
            other => Err(SurveyError::Unknown(other.chars().take(40).collect())),
        }
    }

    /// Takes a blob.
    pub fn blob(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match name {
            "conf" => once(&mut self.conf, bytes, name),
            "env" => once(&mut self.env, bytes, name),
            "saved" => once(&mut self.saved, bytes, name),
            "manifest" => once(&mut self.manifest, Manifest::parse(&text(&bytes)).map_err(|e| e.to_string()), name),
            "lease" => once(&mut self.lease, Lease::parse(&text(&bytes)).map_err(|e| e.to_string()), name),
            "parts" => self.split(&bytes),
            "unit" | "manager" => self.service.shown(name, &text(&bytes)),
            other => match (other.strip_prefix("receipt."), other.strip_prefix("unit.")) {
                (Some(id), _) => self.receipt(id, &text(&bytes)),
                (None, Some(number)) => self.service.content(number, bytes),
                (None, None) => Err(SurveyError::Unasked { what: "a block", found: clean(other) }),
            },
        }
    }

    /// Takes the files that were sent as one block: behind each stands the boot id, twice, as lines.
    fn split(&mut self, mut bytes: &[u8]) -> Outcome {
        let boot =
            self.host.as_ref().map(|host| &host.boot).ok_or_else(|| SurveyError::Missing("the host".to_owned()))?;
        let mark = format!("{boot}\n{boot}\n");
        for (name, length) in std::mem::take(&mut self.parts) {
            let part = bytes.split_at_checked(length).filter(|_| name != "parts");
            let part = part.and_then(|(part, rest)| Some((part, rest.strip_prefix(mark.as_bytes())?)));
            let (part, rest) = part.ok_or_else(|| SurveyError::Torn(clean(&name)))?;
            self.blob(&name, part.to_vec())?;
            bytes = rest;
        }
        if bytes.is_empty() { Ok(()) } else { Err(SurveyError::Torn("parts".to_owned())) }
    }

    /// The facts, once the trailer was seen. The Admin API was not asked yet, and the facts say so.
    pub fn finish(mut self) -> Result<NodeFacts, SurveyError> {
        let missing = |what: &str| SurveyError::Missing(what.to_owned());
        let mut host = self.host.take().ok_or_else(|| missing("the host"))?;
        host.tools = self.tools.take().ok_or_else(|| missing("its tools"))?.into_iter().collect();
        host.kills = self.kills;
        self.follow_links();
        let roots = std::mem::take(&mut self.found);
        if let Some(root) = self.roots.iter().find(|root| !roots.contains_key(*root)) {
            return Err(missing(&format!("the root {root}")));
        }
        // Only what a guard left that can no longer do it itself is put back by whoever comes next.
        let dead = self.guard.as_ref().is_some_and(|guard| !guard.alive && guard.state != "confirmed");
        self.saved = self.saved.filter(|_| dead);
        let undoes = self.saved.is_some();
        let mut place = |name: &'static str| self.places.remove(name).ok_or_else(|| missing(name));
        Ok(NodeFacts {
            host,
            conf: place("conf")?,
            prefix: place("prefix")?,
            lua_root: place("lua-root")?,
            home: place("home")?,
            service: self.service.finish(self.master.as_ref().map(|master| master.process.0)),
            conf_managed: self.conf.as_deref().and_then(managed_by),
            conf_file: self.conf.map(|bytes| Sealed::new(Conf::parse(bytes).into())),
            env_rights: self.env_rights,
            env_file: self.saved.or(self.env).map(|bytes| Sealed::new(EnvFile::parse(bytes).into())),
            master: self.master,
            installed_version: self.installed,
            roots,
            releases: self.releases.into(),
            current: self.links.into_iter().filter_map(|(name, (to, _))| Some((name, digest_of(&to)?))).collect(),
            manifest: self.manifest.map(|manifest| manifest.map(Into::into)),
            lease: self.lease,
            receipts: self.receipts.into_values().collect(),
            guard: self.guard,
            undoes,
            orphans: self.orphans,
            rocks: self.rocks,
            doubles: self.doubles,
            log: self.log,
            admin: Err(Trouble {
                code: "not-asked".to_owned(),
                text: "the Admin API was not asked".to_owned(),
                hints: Vec::new(),
            }),
            ready: None,
        })
    }

    fn host(&mut self, fields: &Fields<'_>) -> Outcome {
        let host = HostFacts {
            machine: fields.text(0, "machine id")?,
            boot: fields.text(1, "boot id")?,
            clock: fields.number(2, "clock")?,
            uptime: fields.number(3, "uptime")?,
            user: (fields.text(4, "user")?, fields.number(5, "uid")?),
            tools: std::collections::BTreeSet::new(),
            proc_visible: fields.flag(6, "view of processes")?,
            kills: None,
        };
        once(&mut self.host, host, "host")
    }

    fn place(&mut self, fields: &Fields<'_>) -> Outcome {
        let (name, path) = match fields.record.exact(0) {
            Some("conf") => ("conf", &self.request.conf),
            Some("prefix") => ("prefix", &self.request.prefix),
            Some("lua-root") => ("lua-root", &self.request.lua_root),
            Some("home") => ("home", &self.request.home),
            _ => return Err(fields.bad("name")),
        };
        let mut place = PlaceFacts {
            path: path.clone(),
            kind: fields.kind(1)?,
            real: None,
            id: None,
            mode: 0,
            owner: (0, 0),
            links: 0,
            mount: fields.flag(4, "mount")?,
            writable: fields.flag(2, "right to write")?,
            free_kib: fields.record.number(3),
        };
        if fields.record.fields.len() > 5 {
            place.id = Some((fields.number(5, "device")?, fields.number(6, "inode")?));
            place.mode = fields.mode(7)? & 0o7777;
            place.owner = (fields.number(8, "uid")?, fields.number(9, "gid")?);
            place.links = fields.number(10, "number of links")?;
            place.real = fields.path(11);
        }
        match self.places.insert(name, place) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice(format!("place {name}"))),
        }
    }

    fn master(&mut self, fields: &Fields<'_>) -> Outcome {
        let master = MasterFacts {
            process: fields.process()?,
            owner: (fields.number(2, "uid")?, fields.number(3, "gid")?),
            // `unlimited`, or a limit that we may not see.
            nofile: fields.record.number(4).unwrap_or(u64::MAX),
            idle: fields.flag(5, "state")?,
            cwd: fields.path(6),
            workers: std::collections::BTreeSet::new(),
            leaving: std::collections::BTreeSet::new(),
        };
        once(&mut self.master, master, "master")
    }

    fn worker(&mut self, fields: &Fields<'_>) -> Outcome {
        let master = self.master.as_mut().ok_or_else(|| fields.bad("master before it"))?;
        let set = match fields.record.exact(2) {
            Some("live") => &mut master.workers,
            Some("leaving") => &mut master.leaving,
            _ => return Err(fields.bad("state")),
        };
        set.insert(fields.process()?);
        Ok(())
    }

    fn orphan(&mut self, fields: &Fields<'_>) -> Outcome {
        self.orphans.insert(fields.process()?, fields.flag(2, "tie")?);
        Ok(())
    }

    fn log(&mut self, fields: &Fields<'_>) -> Outcome {
        if self.log.path.is_some() {
            return Err(SurveyError::Twice("log".to_owned()));
        }
        let (inode, length) = (fields.number(1, "inode")?, fields.number(2, "length")?);
        self.log = LogFacts { path: fields.path(0), inode, length };
        Ok(())
    }

    fn root(&mut self, fields: &Fields<'_>) -> Outcome {
        let number: usize = fields.number(0, "number")?;
        let name = number.checked_sub(1).and_then(|index| self.roots.get(index));
        let name = name.ok_or_else(|| SurveyError::Unasked { what: "a root", found: number.to_string() })?;
        let mut root = RootFacts { kind: fields.kind(1)?, ..RootFacts::default() };
        if fields.record.fields.len() > 2 {
            let device: u64 = fields.number(2, "device")?;
            root.newest = fields.number(3, "time of change")?;
            let elsewhere = self.places.get("lua-root").and_then(|place| place.id).is_some_and(|(at, _)| at != device);
            root.mount = fields.flag(4, "mount")? || (elsewhere && root.kind != Kind::Link);
            let target = fields.record.text(5).filter(|target| !target.is_empty());
            root.target = target.map(|target| crate::name::intern::text(&target));
        }
        match self.found.insert(name.clone(), root) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice(format!("root {name}"))),
        }
    }

    /// The roots that a path lies in, with the path inside each.
    fn inside(&mut self, path: &str) -> Result<Vec<(&mut RootFacts, String)>, SurveyError> {
        let unasked = || SurveyError::Unasked { what: "a file", found: clean(path) };
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(unasked());
        }
        let mut hits = Vec::new();
        for (root, facts) in &mut self.found {
            let Some(rest) = path.strip_prefix(root.as_str()) else { continue };
            match rest.strip_prefix('/') {
                Some(below) => hits.push((facts, below.to_owned())),
                None if rest.is_empty() => hits.push((facts, String::new())),
                None => {}
            }
        }
        if hits.is_empty() { Err(unasked()) } else { Ok(hits) }
    }

    fn file(&mut self, fields: &Fields<'_>, at: usize) -> Outcome {
        let mode = fields.mode(0)?;
        let changed: i64 = fields.number(1, "time of change")?;
        let digest = if at == 3 { fields.record.exact(2).and_then(|text| Digest::parse(text).ok()) } else { None };
        let path = fields.text(at, "path")?;
        for (root, below) in self.inside(&path)? {
            let facts = FileFacts { kind: kind_of(mode), digest: digest.clone(), mode: mode & 0o7777 };
            if root.files.len() >= MOST {
                return Err(SurveyError::Flood("file"));
            }
            root.newest = root.newest.max(changed);
            // Two names that are the same once they are cleaned: neither is known.
            if root.files.to_mut().insert(below, facts).is_some() {
                if at == 2 {
                    return Err(SurveyError::Twice(format!("file {}", clean(&path))));
                }
                root.cut = true;
            }
        }
        Ok(())
    }

    fn sum(&mut self, fields: &Fields<'_>) -> Outcome {
        let digest = fields.record.exact(0).and_then(|text| Digest::parse(text).ok());
        let digest = digest.ok_or_else(|| fields.bad("digest"))?;
        let path = fields.text(1, "path")?;
        for (root, below) in self.inside(&path)? {
            let file = root.files.to_mut().get_mut(&below).ok_or_else(|| fields.bad("file before it"))?;
            once(&mut file.digest, digest.clone(), "sum")?;
        }
        Ok(())
    }

    fn cut(&mut self, fields: &Fields<'_>) -> Outcome {
        let number: usize = fields.number(0, "number")?;
        for (index, root) in self.roots.iter().enumerate() {
            if (number == 0 || index + 1 == number)
                && let Some(facts) = self.found.get_mut(root)
            {
                facts.cut |= facts.kind != Kind::Absent;
            }
        }
        Ok(())
    }

    fn current(&mut self, fields: &Fields<'_>) -> Outcome {
        let bundle = fields.record.exact(0).and_then(|name| BundleName::parse(name).ok());
        // What else lies there is not ours to judge.
        let Some(bundle) = bundle else { return Ok(()) };
        let changed = fields.number(1, "time of change")?;
        let target = fields.text(2, "target")?;
        match self.links.insert(bundle, (target, changed)) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("current".to_owned())),
        }
    }

    /// What lies there under other names is not a release.
    fn release(&mut self, fields: &Fields<'_>) {
        let bundle = fields.record.exact(0).and_then(|name| BundleName::parse(name).ok());
        let digest = fields.record.exact(1).and_then(|text| Digest::parse(text).ok());
        if let (Some(bundle), Some(digest)) = (bundle, digest) {
            self.releases.entry(bundle).or_default().insert(digest);
        }
    }

    fn guard(&mut self, fields: &Fields<'_>) -> Outcome {
        let guard = GuardFacts {
            state: fields.text(0, "state")?,
            step: fields.text(1, "step")?,
            left: fields.number(2, "time left")?,
            alive: fields.flag(3, "life")?,
        };
        once(&mut self.guard, guard, "guard")
    }

    fn rock(&mut self, fields: &Fields<'_>) -> Outcome {
        let (name, version) = (fields.text(0, "name")?, fields.text(1, "version")?);
        let tree = fields.record.text(2).unwrap_or_default();
        self.rocks.push(Rock { name, version, files: [].into(), tree });
        Ok(())
    }

    /// A path on the node with characters that cannot be shown is one that nobody has a module in.
    fn double(&mut self, fields: &Fields<'_>) -> Outcome {
        let place = fields.number(0, "place")?;
        let root = fields.record.exact(1).and_then(|path| BundlePath::parse(path).ok());
        let path = fields.text(2, "path")?;
        if let Some(root) = root.filter(|_| self.doubles.len() < DOUBLES && !path.chars().any(char::is_control)) {
            self.doubles.push(Double { place, root, path });
        }
        Ok(())
    }

    fn rock_file(&mut self, fields: &Fields<'_>) -> Outcome {
        let path = fields.text(0, "path")?;
        let rock = self.rocks.last_mut().ok_or_else(|| fields.bad("rock before it"))?;
        rock.files.insert(path);
        Ok(())
    }

    fn no_blob(&mut self, fields: &Fields<'_>) -> Outcome {
        let why = match fields.record.exact(1) {
            Some("unreadable") => "it cannot be read",
            Some("long") => "it is far too long",
            Some("torn") => "it changed while it was read, or is not text",
            _ => return Err(fields.bad("reason")),
        };
        match fields.record.exact(0) {
            Some("manifest") => once(&mut self.manifest, Err(why.to_owned()), "manifest"),
            Some("lease") => once(&mut self.lease, Err(why.to_owned()), "lease"),
            Some("unit") => {
                self.service.unanswered();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn receipt(&mut self, id: &str, text: &str) -> Outcome {
        // One that cannot be read says nothing, which is what a missing one says, too.
        let Ok(receipt) = Receipt::parse(text) else { return Ok(()) };
        match self.receipts.insert(id.to_owned(), receipt) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("receipt".to_owned())),
        }
    }

    /// A root that is a link through `HOME/current/BUNDLE` changes when that link is switched.
    fn follow_links(&mut self) {
        let base = format!("{}/current/", self.request.home);
        for root in self.found.values_mut() {
            let through = root.target.as_deref().and_then(|target| target.strip_prefix(&base));
            let bundle = through.and_then(|rest| BundleName::parse(rest.split('/').next()?).ok());
            if let Some((_, changed)) = bundle.and_then(|bundle| self.links.get(&bundle)) {
                root.newest = root.newest.max(*changed);
            }
        }
    }
}

pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(120).collect()
}

/// The release that a switchable link points to: `../releases/BUNDLE/DIGEST`.
fn digest_of(target: &str) -> Option<Digest> {
    Digest::parse(target.rsplit('/').next()?).ok()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
