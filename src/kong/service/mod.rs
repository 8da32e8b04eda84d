//! The environment that systemd gives Kong's service: what the next start, and every `kong prepare` of the unit, reads before
//! kong.conf (facts.md A3, A6; systemd.exec(5)).
//!
//! What sets a variable, the stronger first: the files of `EnvironmentFile=`, the last one of them; `Environment=` of unit and
//! drop-ins, the last assignment; the manager's own environment. `UnsetEnvironment=` takes away what any of them gave.

mod environment_file;
mod shown;
mod unit_file;

use std::collections::BTreeMap;

use crate::name::{Digest, NodePath};
use environment_file::variables;
use shown::{Shown, list};
use unit_file::{settings, words};

/// The units that Kong's packages bring, open source and Enterprise (facts.md A6).
pub const UNITS: [&str; 2] = ["kong.service", "kong-enterprise-edition.service"];
/// The drop-in of ours, behind all that an operator is likely to have.
const DROP_IN: &str = "zz-muster.conf";
/// What `systemctl show` prints for an element of a list that has a blank in it; older ones print it in quotes.
const UNPRINTABLE: &str = "[unprintable]";
const BEGINNING: &str =
    "# Written by muster: the unit sets this in its environment, which beats kong.conf.\n[Service]\n";

/// What a file of a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The unit file itself.
    Unit,
    /// A drop-in.
    DropIn,
    /// A file that `EnvironmentFile=` names.
    EnvironmentFile,
}

/// What could be read of a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Read(Vec<u8>),
    /// Nothing is there.
    Absent,
    /// It is there, and may not be read, or its name is a pattern.
    Unreadable,
}

/// A file as it was found. It may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Its path with all links resolved.
    pub real: Option<NodePath>,
    /// We could write it.
    pub writable: bool,
    /// What is in it.
    pub content: Content,
}

/// A file of a unit.
#[derive(Clone, PartialEq, Eq)]
pub struct UnitSource {
    /// What it is.
    pub role: Role,
    /// Its path as systemd has it.
    pub path: String,
    /// What was found there.
    pub file: UnitFile,
}

impl UnitSource {
    /// A path that nobody has read, such as a pattern, is one that cannot be read.
    fn of(role: Role, path: &str, files: &BTreeMap<String, UnitFile>) -> Self {
        let unread = UnitFile { real: None, writable: false, content: Content::Unreadable };
        Self { role, path: path.to_owned(), file: files.get(path).cloned().unwrap_or(unread) }
    }

    fn bytes(&self) -> &[u8] {
        match &self.file.content {
            Content::Read(bytes) => bytes,
            Content::Absent | Content::Unreadable => &[],
        }
    }

    /// The sha256 of what is in it; `None` if it is not there or cannot be read.
    pub fn digest(&self) -> Option<Digest> {
        match &self.file.content {
            Content::Read(bytes) => Some(Digest::of(bytes)),
            Content::Absent | Content::Unreadable => None,
        }
    }
}

/// Kong's unit as systemd has it. It may hold secrets, and shows none: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Unit {
    /// `kong.service`, or the name that Enterprise gives it.
    pub name: String,
    /// The pid of its main process; `None` if it does not run.
    pub main_pid: Option<u32>,
    /// Its files were changed, and systemd has not read them since.
    pub stale: bool,
    /// Where the drop-in of ours would be could be written.
    pub writable: bool,
    /// Its files: unit, drop-ins and environment files, each kind in the order in which systemd reads it.
    pub sources: Vec<UnitSource>,
    /// A drop-in of ours is on disk, and systemd has not read it: a run died between the two.
    unread: bool,
    environment: Option<Vec<String>>,
    manager: Vec<String>,
    unset: Vec<String>,
}

/// Where a variable is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// What kind of file; `None` for the manager's own environment, or where no file has it as systemd does.
    pub role: Option<Role>,
    /// The file, or who has it.
    pub place: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The value.
    pub value: String,
}

/// What the environment of the service has for a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is not set.
    Unset,
    /// It is set there.
    Set(Assigned),
    /// It cannot be told, and why.
    Unknown(String),
}

/// An edit that sets a variable in the environment of the service.
#[derive(Clone, PartialEq, Eq)]
pub struct UnitEdit {
    /// The file to write.
    pub path: NodePath,
    /// Its content now; `None` if it is not there.
    pub before: Option<Vec<u8>>,
    /// Its content then.
    pub after: Vec<u8>,
    /// It is a drop-in of ours, which systemd has to read.
    pub drop_in: bool,
}

impl Unit {
    /// The names of the units in what `systemctl show` printed, with their main processes, those that systemd has loaded.
    pub fn loaded(shown: &str) -> Vec<(String, Option<u32>)> {
        let all = Shown::all(shown).into_iter().filter(|unit| unit.get("LoadState") == Some("loaded"));
        all.filter_map(|unit| Some((unit.get("Id")?.to_owned(), main_pid(&unit)))).collect()
    }

    /// Reads the unit of this name from what `systemctl show` printed of it, of the manager, and from its files.
    pub fn read(
        name: &str,
        shown: &str,
        manager: &str,
        files: &BTreeMap<String, UnitFile>,
        writable: bool,
    ) -> Option<Self> {
        let all = Shown::all(shown);
        let unit = all.iter().find(|unit| unit.get("Id") == Some(name))?;
        let fragment = unit.get("FragmentPath").filter(|path| !path.is_empty());
        let drop_ins = list(unit.get("DropInPaths").unwrap_or_default())?;
        let environment = unit.each("EnvironmentFiles").filter_map(|line| Some(line.rsplit_once(" (")?.0));
        let ours = drop_in_of(name);
        let unread = files.contains_key(&ours) && !drop_ins.contains(&ours);
        let ours = unread.then(|| UnitSource::of(Role::DropIn, &ours, files));
        let sources = fragment
            .map(|path| UnitSource::of(Role::Unit, path, files))
            .into_iter()
            .chain(drop_ins.iter().map(|path| UnitSource::of(Role::DropIn, path, files)))
            .chain(ours)
            .chain(environment.map(|path| UnitSource::of(Role::EnvironmentFile, path, files)))
            .collect();
        let of = |unit: &Shown<'_>, key: &str| unit.get(key).map_or_else(|| Some(Vec::new()), list);
        Some(Self {
            name: name.to_owned(),
            main_pid: main_pid(unit),
            stale: unit.get("NeedDaemonReload") == Some("yes"),
            writable,
            sources,
            unread,
            environment: of(unit, "Environment"),
            manager: Shown::all(manager).first().and_then(|shown| of(shown, "Environment")).unwrap_or_default(),
            unset: of(unit, "UnsetEnvironment").unwrap_or_default(),
        })
    }

    /// The files of one kind.
    fn of(&self, role: Role) -> impl DoubleEndedIterator<Item = &UnitSource> {
        self.sources.iter().filter(move |source| source.role == role)
    }

    /// Unit file and drop-ins, in the order in which systemd reads them.
    fn units(&self) -> impl DoubleEndedIterator<Item = &UnitSource> {
        self.of(Role::Unit).chain(self.of(Role::DropIn))
    }

    /// The line that sets a variable, and where it would go, for whoever has to write it: behind what sets it now.
    pub fn line(&self, name: &str, value: &str) -> String {
        match self.told(name) {
            Told::Set(Assigned { role: Some(Role::EnvironmentFile), place, .. }) => {
                format!("write  {name}={value}  into {place}")
            }
            Told::Set(Assigned { role: Some(Role::DropIn), place, .. }) if file_name(&place) > DROP_IN => {
                format!("write  Environment=\"{name}={value}\"  into {place}, then type: systemctl daemon-reload")
            }
            Told::Unknown(_) => {
                match self.of(Role::EnvironmentFile).rfind(|file| file.file.content == Content::Unreadable) {
                    Some(file) => format!("let the login read {}, or name it in full in {}", file.path, self.name),
                    None => format!("read what  systemctl show -p Environment {}  says", self.name),
                }
            }
            _ => format!(
                "write  Environment=\"{name}={value}\"  below [Service] in {}, then type: systemctl daemon-reload",
                drop_in_of(&self.name)
            ),
        }
    }

    /// What the service is given for a variable.
    pub fn told(&self, name: &str) -> Told {
        if self.takes_away(name) {
            return Told::Unset;
        }
        if let Some(told) = self.in_files(name) {
            return told;
        }
        let Some(environment) = &self.environment else {
            return Told::Unknown(format!("the environment of {} could not be read", self.name));
        };
        if let Some(value) = value_of(environment, name) {
            return Told::Set(self.in_units(name, value));
        }
        if environment.iter().any(|word| word == UNPRINTABLE) {
            return self.by_files(name);
        }
        match value_of(&self.manager, name) {
            Some(value) => {
                Told::Set(Assigned { role: None, place: "systemd's own environment".to_owned(), line: None, value })
            }
            None => Told::Unset,
        }
    }

    /// `UnsetEnvironment=` has the name, or the very assignment that it would be (which is as rare as it is odd).
    pub fn takes_away(&self, name: &str) -> bool {
        self.unset.iter().any(|word| word.split('=').next() == Some(name))
    }

    /// What the files of `EnvironmentFile=` say; `None` if none of them has it.
    fn in_files(&self, name: &str) -> Option<Told> {
        for file in self.of(Role::EnvironmentFile).rev() {
            if file.file.content == Content::Unreadable {
                return Some(Told::Unknown(format!("{} of {} could not be read", file.path, self.name)));
            }
            if let Some(found) = variables(file.bytes()).into_iter().rfind(|found| found.name == name.as_bytes()) {
                let value = String::from_utf8_lossy(&found.value).into_owned();
                let (role, place) = (Some(file.role), file.path.clone());
                return Some(Told::Set(Assigned { role, place, line: Some(found.line), value }));
            }
        }
        None
    }

    /// What unit and drop-ins say by themselves, where `systemctl` does not print a value because of its blanks.
    fn by_files(&self, name: &str) -> Told {
        let unread = self.units().find(|source| source.file.content == Content::Unreadable);
        match (unread, assigned(self.units(), name)) {
            (None, Some((source, line, Some(value)))) if !self.stale => Told::Set(place_of(source, line, value)),
            (None, None) if !self.stale => Told::Unset,
            _ => Told::Unknown(format!(
                "systemctl does not print the environment of {}, as a value has blanks",
                self.name
            )),
        }
    }

    /// The file of unit and drop-ins that has a variable as systemd says.
    fn in_units(&self, name: &str, value: String) -> Assigned {
        match assigned(self.units(), name) {
            Some((source, line, Some(found))) if found == value => {
                Assigned { role: Some(source.role), place: source.path.clone(), line: Some(line), value }
            }
            _ => Assigned { role: None, place: self.name.clone(), line: None, value },
        }
    }

    /// Every variable of Kong's that the service is given, `KONG_X=value`; an error says why that cannot be told.
    pub fn variables(&self) -> Result<Vec<String>, String> {
        let of = |words: &[String]| -> Vec<String> {
            words.iter().filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect()
        };
        let files = self.of(Role::EnvironmentFile).flat_map(|file| variables(file.bytes()));
        let mut names = of(self.environment.as_deref().unwrap_or_default());
        names.extend(of(&self.manager));
        names.extend(files.map(|found| String::from_utf8_lossy(&found.name).into_owned()));
        names.retain(|name| name.starts_with("KONG_"));
        names.sort();
        names.dedup();
        // What no name is known of may still be set where nothing can be read.
        if let Told::Unknown(why) = self.told("KONG_PREFIX") {
            return Err(why);
        }
        let mut all = Vec::new();
        for name in names {
            match self.told(&name) {
                Told::Unset => {}
                Told::Set(found) => all.push(format!("{name}={}", found.value)),
                Told::Unknown(why) => return Err(why),
            }
        }
        Ok(all)
    }

    /// What the unit does when it is told to reload: the lines of `ExecReload=`. None of them: it cannot be told.
    pub fn reloads_by(&self) -> Vec<String> {
        let mut all = Vec::new();
        for source in self.units() {
            for setting in settings(source.bytes()).into_iter().filter(|setting| setting.key == "ExecReload") {
                // An empty one forgets those before it (systemd.service(5)).
                if setting.value.trim().is_empty() {
                    all.clear();
                } else {
                    all.push(setting.value);
                }
            }
        }
        all
    }

    /// Every place that sets a variable, the weakest first, whether or not it counts.
    pub fn occurrences(&self, name: &str) -> Vec<Assigned> {
        let mut all = Vec::new();
        for source in self.units() {
            for setting in settings(source.bytes()).iter().filter(|setting| setting.key == "Environment") {
                let found = words(&setting.value).and_then(|words| value_of(&words, name));
                all.extend(found.map(|value| place_of(source, setting.lines.0, value)));
            }
        }
        for source in self.of(Role::EnvironmentFile) {
            let found = variables(source.bytes()).into_iter().filter(|found| found.name == name.as_bytes());
            all.extend(found.map(|v| place_of(source, v.line, String::from_utf8_lossy(&v.value).into_owned())));
        }
        all
    }

    /// The edit after which the service is given this value. An error says in words who has to do it instead.
    pub fn edit(&self, name: &str, value: &str) -> Result<UnitEdit, String> {
        match self.told(name) {
            Told::Set(Assigned { role: Some(Role::EnvironmentFile), place, .. }) => self.edit_file(&place, name, value),
            Told::Set(_) if self.stale && !self.unread => {
                Err(format!("the files of {} were changed and systemd has not read them", self.name))
            }
            Told::Set(_) => self.edit_units(name, value),
            Told::Unset => Err(format!("{} does not set {name}", self.name)),
            Told::Unknown(why) => Err(why),
        }
    }

    fn edit_file(&self, place: &str, name: &str, value: &str) -> Result<UnitEdit, String> {
        let file = self.of(Role::EnvironmentFile).rfind(|file| file.path == place);
        let file = file.ok_or_else(|| format!("{place} is not among its files"))?;
        let path = file
            .file
            .real
            .clone()
            .filter(|_| file.file.writable)
            .ok_or_else(|| format!("{place} cannot be written"))?;
        let after = environment_file::with(file.bytes(), name, value);
        let after = after.ok_or_else(|| format!("{name} in {place} cannot be edited so that systemd reads it back"))?;
        Ok(UnitEdit { path, before: Some(file.bytes().to_vec()), after, drop_in: false })
    }

    /// A drop-in of ours; the line in it, where there is one.
    fn edit_units(&self, name: &str, value: &str) -> Result<UnitEdit, String> {
        let text = drop_in_of(&self.name);
        let path = NodePath::parse(&text).map_err(|error| error.to_string())?;
        if !self.writable {
            return Err(format!("{text} cannot be written"));
        }
        let word = unit_file::word(&format!("{name}={value}"));
        let line = format!("Environment={}\n", word.ok_or_else(|| format!("{name} cannot have this value"))?);
        let ours = self.of(Role::DropIn).find(|source| source.path == text);
        let after = match ours.map(UnitSource::bytes) {
            Some(bytes) => with_line(bytes, name, &line),
            None => format!("{BEGINNING}{line}").into_bytes(),
        };
        let mut then: Vec<UnitSource> = self.units().filter(|source| source.path != text).cloned().collect();
        let drop_in = Role::DropIn;
        let new = UnitSource {
            role: drop_in,
            path: text.clone(),
            file: UnitFile { real: Some(path.clone()), writable: true, content: Content::Read(after.clone()) },
        };
        let behind = |source: &UnitSource| source.role == drop_in && file_name(&source.path) > DROP_IN;
        then.insert(then.iter().position(behind).unwrap_or(then.len()), new);
        match assigned(then.iter(), name) {
            Some((_, _, Some(found))) if found == value => {
                Ok(UnitEdit { path, before: ours.map(|ours| ours.bytes().to_vec()), after, drop_in: true })
            }
            Some((source, line, _)) => Err(format!("{}:{line} would beat a drop-in of ours", source.path)),
            None => Err(format!("{text} would not be read back")),
        }
    }
}

fn place_of(source: &UnitSource, line: usize, value: String) -> Assigned {
    Assigned { role: Some(source.role), place: source.path.clone(), line: Some(line), value }
}

/// Where the drop-in of ours for a unit is.
fn drop_in_of(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}.d/{DROP_IN}")
}

fn main_pid(unit: &Shown<'_>) -> Option<u32> {
    unit.get("MainPID")?.parse().ok().filter(|pid| *pid != 0)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn value_of(words: &[String], name: &str) -> Option<String> {
    words.iter().rev().find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// The assignment of `Environment=` that counts: source, line and value, which is `None` where only systemd can read it.
fn assigned<'a>(
    sources: impl Iterator<Item = &'a UnitSource>,
    name: &str,
) -> Option<(&'a UnitSource, usize, Option<String>)> {
    let mut last = None;
    for source in sources {
        for setting in settings(source.bytes()).iter().filter(|setting| setting.key == "Environment") {
            match words(&setting.value) {
                Some(words) if words.is_empty() => last = None,
                Some(words) => {
                    let found = value_of(&words, name);
                    last = found.map(|value| (source, setting.lines.0, Some(value))).or(last);
                }
                // It may hold the variable in a way that only systemd can read.
                None if setting.value.contains(name) => last = Some((source, setting.lines.0, None)),
                None => {}
            }
        }
    }
    last
}

/// A drop-in with the line that sets a variable in the place of those that did, or at the end of its `[Service]`.
fn with_line(bytes: &[u8], name: &str, line: &str) -> Vec<u8> {
    let sets = |value: &str| words(value).is_some_and(|words| value_of(&words, name).is_some());
    let found = settings(bytes).into_iter().rfind(|setting| setting.key == "Environment" && sets(&setting.value));
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    match found {
        Some(setting) => drop(lines.splice(setting.lines.0 - 1..setting.lines.1.min(lines.len()), [line])),
        None => lines.extend([if text.ends_with('\n') || text.is_empty() { "" } else { "\n" }, "[Service]\n", line]),
    }
    lines.concat().into_bytes()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
