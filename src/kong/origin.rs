//! Where a setting comes from: every place that has it, and which of them counts for what (facts.md A1-A4; measured.md 4).
//!
//! Kong reads defaults, then kong.conf, then the environment, whenever its unit starts it or prepares; the master reads
//! `.kong_env` alone, at every HUP; and the workers run with what was there when they were made.

use serde::Serialize;

use super::service::{Assigned, Role, Told, Unit};
use super::{Conf, printable, setting};

/// kong.conf, as far as it could be read.
#[derive(Clone, Copy)]
pub enum ConfFile<'a> {
    /// It was read.
    Read(&'a Conf),
    /// There is none, which is no error to Kong.
    Absent,
    /// It is there, and could not be read.
    Unreadable,
}

/// The environment that Kong is started with.
#[derive(Clone, Copy)]
pub enum Environment<'a> {
    /// That of its unit.
    Unit(&'a Unit),
    /// Nobody is known to set one: it is started by hand, or by what cannot be seen.
    None,
    /// The master is the first process of a container: its environment is lost, as nginx writes its title over it.
    Container,
}

/// What decides what the next start has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
pub enum Origin {
    /// Nothing sets it: Kong's default.
    Default,
    /// kong.conf.
    Conf,
    /// A file that the unit names in `EnvironmentFile=`.
    EnvironmentFile {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// `Environment=` of the unit or of a drop-in, or the environment of systemd itself.
    Service {
        /// The file, or who has it.
        place: String,
        /// The line, from 1.
        line: Option<usize>,
    },
    /// It cannot be told.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Origin {
    /// Whether the environment of the service decides, so that an edit of kong.conf would do nothing.
    pub const fn is_environment(&self) -> bool {
        matches!(self, Self::EnvironmentFile { .. } | Self::Service { .. })
    }

    /// The place in words: `kong.conf`, `/etc/default/kong:3`.
    pub fn words(&self) -> String {
        match self {
            Self::Default => "Kong's default".to_owned(),
            Self::Conf => "kong.conf".to_owned(),
            Self::EnvironmentFile { path, line } => format!("{path}:{line}"),
            Self::Service { place, line: Some(line) } => format!("{place}:{line}"),
            Self::Service { place, line: None } => format!("the environment of {place}"),
            Self::Unknown { why } => why.clone(),
        }
    }
}

/// What the next start of the service reads for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The value; `None` where the default applies or it cannot be told.
    pub value: Option<String>,
    /// What decides it.
    pub origin: Origin,
}

/// The name of the variable that sets a key.
pub fn variable(key: &str) -> String {
    format!("KONG_{}", key.to_uppercase())
}

/// What the next start has. An environment that sets a key to nothing beats kong.conf all the same, and then the default
/// applies (measured.md 4).
pub fn start(key: &str, conf: ConfFile<'_>, environment: Environment<'_>) -> Start {
    let told = match environment {
        Environment::Unit(unit) => unit.told(&variable(key)),
        Environment::None | Environment::Container => Told::Unset,
    };
    match (told, conf) {
        (Told::Set(assigned), _) => {
            let value = Some(assigned.value.clone()).filter(|value| !value.trim().is_empty());
            Start { value, origin: of(assigned) }
        }
        (Told::Unknown(why), _) => Start { value: None, origin: Origin::Unknown { why } },
        (Told::Unset, ConfFile::Read(conf)) => match conf.get(key) {
            Some(reading) if !reading.value.is_empty() => Start { value: Some(reading.value), origin: Origin::Conf },
            Some(_) => Start { value: None, origin: Origin::Conf },
            None => Start { value: None, origin: Origin::Default },
        },
        (Told::Unset, ConfFile::Absent) => Start { value: None, origin: Origin::Default },
        (Told::Unset, ConfFile::Unreadable) => {
            Start { value: None, origin: Origin::Unknown { why: "kong.conf could not be read".to_owned() } }
        }
    }
}

fn of(assigned: Assigned) -> Origin {
    match (assigned.role, assigned.line) {
        (Some(Role::EnvironmentFile), Some(line)) => Origin::EnvironmentFile { path: assigned.place, line },
        (_, line) => Origin::Service { place: assigned.place, line },
    }
}

/// Of settings that wait in kong.conf (lines that begin with the key) those that the environment of the service does not beat.
pub fn not_beaten(waiting: &mut Vec<String>, unit: &Unit) {
    let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    waiting.retain(|line| unit.told(&variable(&key(line))) == Told::Unset);
}

/// What kind of place a link of the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// What Kong has by itself.
    Default,
    /// kong.conf.
    Conf,
    /// The environment of the service.
    Environment,
    /// `.kong_env`.
    KongEnv,
    /// What the workers say.
    Workers,
}

/// One place that has the setting, or could have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it is.
    pub place: Place,
    /// The file, or who says it.
    pub at: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The value, fit for a screen; `None` if it has none.
    pub value: Option<String>,
    /// Whether it counts: for the next start, the next reload, or now, by its place.
    pub counts: bool,
    /// For what it counts, or why it does not.
    pub why: String,
}

/// Every place of one setting, the weakest first, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// The key.
    pub key: &'static str,
    /// The places.
    pub links: Vec<Link>,
    /// What decides the next start of the service, and every prepare of its unit.
    pub origin: Origin,
    /// What the next start has; `None` if it cannot be told.
    pub start: Option<String>,
    /// What a `kong prepare` typed into a shell would have, where that is something else: the environment is not there.
    pub by_hand: Option<String>,
    /// What the next reload has; `None` if there is none, or it could not be read.
    pub reload: Option<String>,
    /// What the workers run with; `None` if there are none, or they could not be asked.
    pub running: Option<String>,
}

/// What a place was seen to have for a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The place is not there, could not be read, or does not count.
    Nothing,
    /// It does not set the key, so that the default applies.
    Unset,
    /// This value.
    Set(&'a str),
}

impl<'a> Seen<'a> {
    fn or(self, default: &'a str) -> Option<&'a str> {
        match self {
            Self::Nothing => None,
            Self::Unset => Some(default),
            Self::Set(value) => Some(value),
        }
    }
}

/// The places of a setting, as they were seen.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// kong.conf and its path.
    pub conf: (ConfFile<'a>, &'a str),
    /// The environment that Kong is started with.
    pub environment: Environment<'a>,
    /// Why a unit that is there does not count.
    pub beside: Option<&'a str>,
    /// `.kong_env` and its path.
    pub env: (Seen<'a>, &'a str),
    /// What the workers say.
    pub running: Seen<'a>,
}

impl Chain {
    /// Puts the places of a setting in their order.
    pub fn of(key: &'static str, places: Places<'_>) -> Self {
        let default = setting::default_value(key).unwrap_or_default();
        let then = start(key, places.conf.0, places.environment);
        let hand = start(key, places.conf.0, Environment::None);
        let known = |start: &Start| match start.origin {
            Origin::Unknown { .. } => None,
            _ => Some(start.value.clone().unwrap_or_else(|| default.to_owned())),
        };
        let (start, by_hand) = (known(&then), known(&hand));
        let by_default = then.value.is_none() && start.is_some();
        let mut links = vec![link(Place::Default, "Kong's default", None, Some(default), by_default, by_default, "")];
        links.extend(conf_links(key, places.conf, &then.origin));
        links.extend(environment_links(key, &places, &then.origin));
        let (reload, running) = (places.env.0.or(default), places.running.or(default));
        let why = |read: bool, does: &str| if read { does.to_owned() } else { "not there, or not read".to_owned() };
        let env_why = why(reload.is_some(), "what every HUP reads, and what our reload starts from");
        links.push(Link {
            why: env_why,
            ..link(Place::KongEnv, places.env.1, None, reload, true, reload.is_some(), "")
        });
        let running_why = why(running.is_some(), "what runs now");
        let workers = link(Place::Workers, "the workers (Admin API)", None, running, true, running.is_some(), "");
        links.push(Link { why: running_why, ..workers });
        let shown = |value: Option<&str>| value.map(|value| printable(value, LONG));
        Self {
            key,
            links,
            origin: then.origin,
            by_hand: by_hand.filter(|hand| Some(hand) != start.as_ref()).map(|hand| printable(&hand, LONG)),
            start: shown(start.as_deref()),
            reload: shown(reload),
            running: shown(running),
        }
    }
}

/// How much of a value is shown.
const LONG: usize = 2000;

fn link(place: Place, at: &str, line: Option<usize>, value: Option<&str>, wins: bool, counts: bool, why: &str) -> Link {
    let why = match (why, wins) {
        ("", true) => "nothing else sets it: the next start has this",
        ("", false) => "beaten by what follows",
        (why, _) => why,
    };
    let value = value.map(|value| printable(value, LONG));
    Link { place, at: printable(at, 300), line, value, counts, why: why.to_owned() }
}

fn conf_links(key: &str, (conf, path): (ConfFile<'_>, &str), origin: &Origin) -> Vec<Link> {
    let none = |why: &str| vec![link(Place::Conf, path, None, None, false, false, why)];
    let conf = match conf {
        ConfFile::Read(conf) => conf,
        ConfFile::Absent => return none("it is not there"),
        ConfFile::Unreadable => return none("it could not be read"),
    };
    let all = conf.occurrences(key);
    let last = all.iter().rposition(|one| one.seen);
    let links = all.iter().enumerate().map(|(at, one)| {
        let many = match one.lines.as_slice() {
            [_, .., last] => format!(", and goes on to line {last}"),
            _ => String::new(),
        };
        let wins = Some(at) == last && *origin == Origin::Conf;
        let why = match () {
            () if one.other_case => format!("ignored: Kong knows {key} in lower case only"),
            () if !one.seen => "ignored: it stands behind a [section]".to_owned(),
            () if Some(at) != last => "a later line sets it again, and the last one counts".to_owned(),
            () if wins && one.value.is_empty() => format!("counts, and sets nothing: the default applies{many}"),
            () if wins => format!("counts for the next start{many}"),
            () => "beaten by the environment of the service".to_owned(),
        };
        link(Place::Conf, path, one.lines.first().copied(), Some(&one.value), wins, wins, &why)
    });
    let links: Vec<Link> = links.collect();
    if links.is_empty() { none("does not set it") } else { links }
}

fn environment_links(key: &str, places: &Places<'_>, origin: &Origin) -> Vec<Link> {
    let none = |at: &str, why: &str| vec![link(Place::Environment, at, None, None, false, false, why)];
    let variable = variable(key);
    let unit = match places.environment {
        Environment::Unit(unit) => unit,
        Environment::Container => {
            let why = "cannot be read: if the container sets it, that beats kong.conf at the next start";
            return none(&format!("{variable} of the container"), why);
        }
        Environment::None => {
            return none(&variable, places.beside.unwrap_or("no unit of Kong is known to systemd here"));
        }
    };
    let won = match unit.told(&variable) {
        Told::Set(assigned) => Some(assigned),
        Told::Unset | Told::Unknown(_) => None,
    };
    let mut links: Vec<Link> = Vec::new();
    for found in unit.occurrences(&variable) {
        let wins = won.as_ref() == Some(&found);
        let why = match () {
            () if wins && found.value.trim().is_empty() => "counts, and sets nothing: the default applies",
            () if wins => "counts for the next start of the unit: the environment beats kong.conf",
            () if unit.takes_away(&variable) => "taken away by UnsetEnvironment= of the unit",
            () if matches!(origin, Origin::Unknown { .. }) => "whether it counts cannot be told",
            () => "beaten by what the unit reads later",
        };
        links.push(link(Place::Environment, &found.place, found.line, Some(&found.value), wins, wins, why));
    }
    if let Some(won) = won.as_ref().filter(|_| links.iter().all(|link| !link.counts)) {
        let why = "counts for the next start of the unit, as systemd says; no file of it says so as it stands";
        let at = format!("the environment of {}", unit.name);
        links.push(link(Place::Environment, &at, won.line, Some(&won.value), true, true, why));
    }
    if let Origin::Unknown { why } = origin {
        links.push(link(Place::Environment, &unit.name, None, None, false, false, why));
    } else if links.is_empty() {
        links = none(&unit.name, &format!("does not set {variable}"));
    }
    links
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
