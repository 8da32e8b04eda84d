//! The facts of one node as a person reads them, each with where it comes from.

use serde::Serialize;

use super::{Doubt, own_admin};
use crate::inventory::KongPaths;
use crate::kong::{printable, setting};
use crate::survey::{Kind, NodeFacts, PlaceFacts, in_force};

/// The longest value that is shown, in characters.
const VALUE: usize = 400;

/// A fact about a node, with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it belongs to: `kong`, `settings`, `paths`, `machine`, `muster`.
    pub group: &'static str,
    /// Its name.
    pub name: String,
    /// What it is, one line.
    pub value: String,
    /// Where it comes from: `survey: processes`, `kong.conf, line 3`, `.kong_env`, `Admin API`.
    pub source: String,
    /// It is one to look at: two places disagree, or something could not be read.
    pub odd: bool,
}

/// Collects facts of one group.
struct Group<'a> {
    group: &'static str,
    all: &'a mut Vec<Fact>,
}

impl Group<'_> {
    fn add(&mut self, name: &str, value: impl AsRef<str>, source: &str) {
        self.push(name, value.as_ref(), source, false);
    }

    fn odd(&mut self, name: &str, value: impl AsRef<str>, source: &str) {
        self.push(name, value.as_ref(), source, true);
    }

    fn push(&mut self, name: &str, value: &str, source: &str, odd: bool) {
        let (name, value) = (name.to_owned(), printable(value, VALUE));
        self.all.push(Fact { group: self.group, name, value, source: source.to_owned(), odd });
    }
}

/// Seconds since 1970 as people write them.
pub(super) fn moment(seconds: i64) -> String {
    let at = jiff::Timestamp::from_second(seconds);
    at.map_or_else(|_| "unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// All that the survey knows of a node. `looked` is when the look began, seconds since 1970.
pub(super) fn of(kong: &KongPaths, facts: &NodeFacts, looked: i64) -> Vec<Fact> {
    let mut all = Vec::new();
    running(kong, facts, &mut Group { group: "kong", all: &mut all });
    settings(kong, facts, &mut Group { group: "settings", all: &mut all });
    paths(facts, &mut Group { group: "paths", all: &mut all });
    machine(facts, looked, &mut Group { group: "machine", all: &mut all });
    ours(facts, &mut Group { group: "muster", all: &mut all });
    all
}

fn running(kong: &KongPaths, facts: &NodeFacts, group: &mut Group<'_>) {
    const PROCESSES: &str = "survey: processes";
    match (own_admin(facts), &facts.installed_version) {
        (Some(admin), _) => {
            let edition = admin.edition.as_ref().map(|edition| format!(", {edition}")).unwrap_or_default();
            group.add("version", format!("{}{edition}", admin.version), "Admin API");
        }
        (None, Some(version)) => group.add("version", version, "kong version"),
        (None, None) => group.odd("version", "unknown", "neither the Admin API nor `kong version` told it"),
    }
    match &facts.master {
        Some(master) => {
            let (pid, uid) = (master.process.0, master.owner.0);
            let state = if master.idle { "" } else { ", working on a reload" };
            let since = moment(super::loaded::started(master.process, facts));
            group.push("master", &format!("pid {pid}, uid {uid}, since {since}{state}"), PROCESSES, !master.idle);
            workers(facts, group);
        }
        None => match Doubt::of(kong, facts) {
            None => group.odd("master", "Kong is not running", PROCESSES),
            Some(doubt) => group.odd("master", format!("none is found: {}", doubt.what), PROCESSES),
        },
    }
    for (process, tied) in &facts.orphans {
        let tie = if *tied { "holds files of this prefix" } else { "of an unknown prefix" };
        group.odd("worker without master", format!("pid {}, {tie}", process.0), PROCESSES);
    }
    reach(facts, group);
}

fn workers(facts: &NodeFacts, group: &mut Group<'_>) {
    let Some(master) = &facts.master else { return };
    let newest = master.workers.iter().map(|process| super::loaded::started(*process, facts)).max();
    let since = newest.map(|at| format!(", the newest since {}", moment(at))).unwrap_or_default();
    let leaving = match master.leaving.len() {
        0 => String::new(),
        leaving => format!(", {leaving} leaving (old ones, with old code, until their last request ends)"),
    };
    let words = format!("{} serving{leaving}{since}", master.workers.len());
    group.push("workers", &words, "survey: processes", !master.leaving.is_empty() || master.workers.is_empty());
}

fn reach(facts: &NodeFacts, group: &mut Group<'_>) {
    match &facts.admin {
        Ok(admin) if own_admin(facts).is_none() => {
            let other = admin.master.map(|pid| format!(" (master {pid})")).unwrap_or_default();
            group.odd("Admin API", format!("answers for another Kong{other}"), "Admin API");
        }
        Ok(admin) => {
            let rows: usize = admin.rows.values().map(Vec::len).sum();
            let asked = admin.asked.words().map(|words| format!(", {words}")).unwrap_or_default();
            let words = format!("answers: {} plugins loaded, {rows} rows{asked}", admin.loaded.len());
            group.add("Admin API", words, "asked at the look");
            if let Some(trouble) = &admin.rows_trouble {
                group.odd("rows", &trouble.text, "Admin API");
            }
        }
        Err(trouble) => group.odd("Admin API", &trouble.text, "asked at the look"),
    }
    match facts.ready {
        Some(200) => group.add("readiness", "/status/ready answers 200", "status API"),
        Some(_) => group.odd("readiness", super::readiness::not_ready(facts).unwrap_or_default(), "status API"),
        None => group.add("readiness", "no status API is known", ".kong_env"),
    }
}

/// The places that a setting can stand in, each with its value, the first that is read at the next start.
fn places(key: &str, facts: &NodeFacts) -> Vec<(String, String)> {
    let mut places = Vec::new();
    if let Some(conf) = &facts.conf_file
        && let Some(found) = conf.open().get(key).filter(|found| !found.value.is_empty())
    {
        let line = found.lines.first().copied().unwrap_or_default();
        let times = if found.times > 1 { format!(", the last of {}", found.times) } else { String::new() };
        places.push((found.value, format!("kong.conf, line {line}{times}")));
    }
    if let Some(value) = facts.env_file.as_ref().and_then(|env| env.open().get(key)) {
        places.push((value, ".kong_env".to_owned()));
    }
    let admin = own_admin(facts);
    let told = admin.and_then(|admin| match key {
        "plugins" => Some(admin.plugins.join(",")),
        "lua_package_path" => admin.lua_package_path.clone(),
        "database" => admin.database.clone(),
        "role" => admin.role.clone(),
        "log_level" => admin.log_level.clone(),
        _ => None,
    });
    places.extend(told.map(|value| (value, "workers, by the Admin API".to_owned())));
    places
}

/// Those that decide what is loaded and served come first, and are told even where no place sets them.
const FIRST: [&str; 5] = ["plugins", "lua_package_path", "database", "role", "log_level"];

/// Every setting that may be read out loud and that some place has. What all places have alike is one fact.
fn settings(kong: &KongPaths, facts: &NodeFacts, group: &mut Group<'_>) {
    if facts.conf_file.is_none() {
        let why = match facts.conf.kind {
            Kind::Absent => "is not there: Kong's defaults count, and its environment",
            _ => "could not be read",
        };
        group.odd("kong.conf", format!("{} {why}", kong.conf), "survey: files");
    }
    let rest = setting::READABLE.iter().copied().filter(|key| !FIRST.contains(key));
    for key in FIRST.into_iter().chain(rest) {
        let mut values: Vec<(String, Vec<String>)> = Vec::new();
        for (value, source) in places(key, facts) {
            match values.iter_mut().find(|(known, _)| alike(known, &value)) {
                Some((_, sources)) => sources.push(source),
                None => values.push((value, vec![source])),
            }
        }
        if values.is_empty()
            && FIRST.contains(&key)
            && let Some(value) = setting::default_value(key)
        {
            values.push((value.to_owned(), vec!["Kong's default, as no place sets it".to_owned()]));
        }
        if key == "lua_package_path" {
            staged(&mut values);
        }
        let odd = values.len() > 1 && !values.iter().any(|(_, sources)| sources.iter().any(|source| source == STAGED));
        for (value, sources) in values {
            group.push(key, &value, &sources.join("; "), odd);
        }
    }
}

/// What is said of a search path that begins with releases of ours.
const STAGED: &str = "the releases of the last run stand before the rest";

/// After a run the workers have the path of `.kong_env` with our releases before it: no disagreement.
pub(super) fn staged(values: &mut [(String, Vec<String>)]) {
    if let [rest @ .., (last, sources)] = values
        && rest.iter().any(|(path, _)| last.len() > path.len() && last.ends_with(path.as_str()))
        && rest.len() == 1
    {
        sources.push(STAGED.to_owned());
    }
}

/// Lists differ by blanks alone where one place writes them otherwise.
fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
    plain(one) == plain(other)
}

fn paths(facts: &NodeFacts, group: &mut Group<'_>) {
    let places = [
        ("kong.conf", &facts.conf),
        ("prefix", &facts.prefix),
        ("Lua root", &facts.lua_root),
        ("muster's home", &facts.home),
    ];
    for (name, place) in places {
        let (words, odd) = place_words(place);
        // Nothing is there before the first run.
        group.push(name, &words, "inventory; survey: files", odd && name != "muster's home");
    }
    if let Some(managed) = &facts.conf_managed {
        group.odd("kong.conf says", managed, "kong.conf, a comment");
    }
    for rock in &facts.rocks {
        let files = rock.files.len();
        let tree = if rock.tree.is_empty() { String::new() } else { format!(", in {}", rock.tree) };
        group.add(
            "rock",
            format!("{} {}, {files} files of ours{tree}", rock.name, rock.version),
            "LuaRocks' manifests",
        );
    }
    for double in &facts.doubles {
        let text = format!("{} is in {}, too", double.root, double.path);
        group.odd("same module", text, "survey: lua_package_path");
    }
    match &facts.log.path {
        Some(path) => group.add("error log", format!("{path}, {} bytes", facts.log.length), "survey: files; .kong_env"),
        None => group.odd("error log", "not a file: syslog, a pipe, or not there", "survey: files; .kong_env"),
    }
}

fn place_words(place: &PlaceFacts) -> (String, bool) {
    let path = match &place.real {
        Some(real) if *real != place.path => format!("{}, really {real}", place.path),
        _ => place.path.to_string(),
    };
    let kind = match place.kind {
        Kind::Absent => return (format!("{path}, not there"), true),
        Kind::Denied => return (format!("{path}, may not be looked at"), true),
        Kind::Link => return (format!("{path}, a link that leads nowhere"), true),
        Kind::Other => ", neither file nor directory",
        Kind::File | Kind::Directory => "",
    };
    let (uid, gid) = place.owner;
    let mount = if place.mount { ", a mount point" } else { "" };
    let rights = if place.writable { "" } else { ", not writable for the login" };
    let free = place.free_kib.map(|kib| format!(", {} MiB free", kib / 1024)).unwrap_or_default();
    (format!("{path}{kind}, mode {:o}, owner {uid}:{gid}{mount}{rights}{free}", place.mode), !place.writable)
}

fn machine(facts: &NodeFacts, looked: i64, group: &mut Group<'_>) {
    const HOST: &str = "survey: machine";
    let host = &facts.host;
    let unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    group.add("machine id", unknown(&host.machine), "/etc/machine-id");
    let up = i64::try_from(host.uptime).unwrap_or(0);
    group.add("boot", format!("{}, since {}", unknown(&host.boot), moment(host.clock - up)), "/proc");
    let ahead = host.clock - looked;
    // A look takes its time: only what no look takes is the clock's.
    let odd = !(-2..=90).contains(&ahead);
    let words = match ahead {
        0.. => format!("{}, {ahead} s after the look began", moment(host.clock)),
        _ => format!("{}, {} s before the look began", moment(host.clock), -ahead),
    };
    group.push("clock", &words, HOST, odd);
    let (user, uid) = &host.user;
    group.add("login", format!("{user}, scripts run as uid {uid}"), HOST);
    let tools: Vec<&str> = host.tools.iter().map(String::as_str).collect();
    group.add("tools", tools.join(" "), HOST);
    if !host.proc_visible {
        group.odd("processes", "those of other users cannot be seen (hidepid)", "/proc");
    }
}

fn ours(facts: &NodeFacts, group: &mut Group<'_>) {
    match &facts.manifest {
        None => group.add("manifest", "none: muster has changed nothing here", "survey: files"),
        Some(Ok(manifest)) => {
            let names: Vec<String> =
                manifest.bundles.iter().map(|(name, owned)| format!("{name} {}", owned.digest.short())).collect();
            group.add("manifest", format!("generation {}: {}", manifest.generation, names.join(", ")), "manifest");
        }
        Some(Err(why)) => group.odd("manifest", why, "manifest"),
    }
    match (&facts.lease, in_force(facts)) {
        (_, Some((lease, left))) => {
            group.odd("held by", format!("{}, run {}, {left} s more", lease.holder, lease.run), "lease");
        }
        (Some(Err(why)), None) => group.odd("lease", why, "lease"),
        (_, None) => group.add("held by", "nobody", "lease"),
    }
    if let Some(guard) = &facts.guard {
        let life = if guard.alive { "its process lives" } else { "its process is gone" };
        let words = format!("{} for {}, {} s left, {life}", guard.state, guard.step, guard.left);
        group.odd("guard", words, "survey: guard");
    }
}
