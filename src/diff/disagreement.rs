//! The places of `plugins` and `lua_package_path` that do not say the same: kong.conf or the environment of the service,
//! `.kong_env`, the workers. Told whole, with what makes it right; and what of it is a time bomb: in use now, and gone at the next
//! reload or start (measured.md 4 and 5; protocols.md B7).

use std::collections::BTreeSet;

use serde::Serialize;

use super::directive::{Agreement, Directives, conf_file};
use super::{Lack, Who, own_admin};
use crate::inventory::KongPaths;
use crate::kong::origin::{self, Environment, Origin, Start};
use crate::kong::setting::default_value;
use crate::kong::{Directive, SearchPath, printable};
use crate::name::PluginName;
use crate::survey::NodeFacts;

/// What of the settings that decide which plugins are loaded is not the same everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// What works now and is gone at the next reload or start.
    pub time_bombs: Vec<TimeBomb>,
    /// The settings whose places do not say the same: `plugins`, then `lua_package_path`.
    pub disagreements: Vec<Disagreement>,
}

/// A setting whose places do not say the same: a state of its own, as each of them counts at another time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// The setting.
    pub key: &'static str,
    /// How the places stand to each other.
    pub agreement: Agreement,
    /// What decides the next start of the service: the file and line, or that nothing sets it.
    pub start_at: String,
    /// What the next start has; none where that cannot be told.
    pub start: Option<String>,
    /// What the next reload by anybody has, from `.kong_env`.
    pub reload: Option<String>,
    /// What the workers run with.
    pub running: Option<String>,
    /// All of that in one sentence.
    pub what: String,
    /// What makes it right.
    pub fix: String,
}

/// Something in use that the next reload or start is without: nothing shows it until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeBomb {
    /// When it goes off.
    pub at: Who,
    /// The plugins that are in use; empty where it is the search path.
    pub plugins: Vec<PluginName>,
    /// What will happen, and why.
    pub what: String,
    /// What disarms it.
    pub fix: String,
}

/// The longest value that stands in a sentence; of longer ones it is said what tells them from what runs.
const LONG: usize = 72;

/// The fix of what differs in nothing but plugins that the inventory rules.
const BY_PLAN: &str = "a plan puts it right, as the inventory rules these: type: muster --plan";

impl Settings {
    /// Whether every place says the same, as far as they can be read.
    pub const fn agree(&self) -> bool {
        self.disagreements.is_empty() && self.time_bombs.is_empty()
    }

    /// The time bombs in lines for people, each with what disarms it.
    pub fn alarms(&self) -> Vec<String> {
        let bombs = self.time_bombs.iter().flat_map(|bomb| [format!("time bomb: {}", bomb.what), bomb.fix.clone()]);
        once(bombs)
    }

    /// What the places say in lines for people, each with what makes it right, unless that is said already.
    pub fn words(&self) -> Vec<String> {
        let alarms = self.alarms();
        let places = self.disagreements.iter().flat_map(|one| [one.what.clone(), one.fix.clone()]);
        once(places.filter(|line| !alarms.contains(line)))
    }

    /// What a plan has to say of it, each with its topic: `time bomb` or `settings`. What the plan itself puts right has no fix.
    pub fn notes(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let told = |what: &str, fix: &str| if fix == BY_PLAN { what.to_owned() } else { format!("{what}; {fix}") };
        let bombs = self.time_bombs.iter().map(move |bomb| ("time bomb", told(&bomb.what, &bomb.fix)));
        bombs.chain(self.disagreements.iter().map(move |one| ("settings", told(&one.what, &one.fix))))
    }

    /// Of a node that was seen. `ruled` are the plugins that the inventory says something about: a plan puts those right.
    pub fn of(kong: &KongPaths, facts: &NodeFacts, directives: &Directives, ruled: &BTreeSet<&PluginName>) -> Self {
        if super::stopped(kong, facts) {
            return Self::default();
        }
        let of = Places { kong, facts, ruled };
        let mut disagreements: Vec<Disagreement> = of.plugins(directives).into_iter().collect();
        disagreements.extend(of.search_path());
        let time_bombs = of.in_use(directives).into_iter().chain(of.unreached()).collect();
        Self { time_bombs, disagreements }
    }
}

struct Places<'a> {
    kong: &'a KongPaths,
    facts: &'a NodeFacts,
    ruled: &'a BTreeSet<&'a PluginName>,
}

/// A value, and the same in few words.
type Told = (String, String);

impl Places<'_> {
    /// What starts Kong in a container has an environment that nobody can read, and there it is what sets `plugins`.
    fn start_is_told(&self, origin: &Origin) -> bool {
        !matches!(origin, Origin::Unknown { .. }) && !matches!(self.facts.environment(), Environment::Container)
    }

    fn plugins(&self, found: &Directives) -> Option<Disagreement> {
        let file = found.file.directive().filter(|_| self.start_is_told(&found.origin));
        let (env, running) = (found.env.directive(), found.running.directive());
        let base = running.or(env);
        let told = |directive: &Directive| (printable(&directive.to_string(), 2000), few(directive, base));
        let fix = self.plugins_fix(file, base, &found.origin);
        let sets = [file, env, running].map(|directive| directive.map(words));
        self.disagreement("plugins", [file, env, running].map(|one| one.map(told)), &found.origin, fix, &sets)
    }

    fn plugins_fix(&self, file: Option<&Directive>, base: Option<&Directive>, origin: &Origin) -> String {
        let (Some(file), Some(base)) = (file, base) else { return anew(self.facts) };
        let (now, then) = (words(base), words(file));
        let differ: BTreeSet<&String> = now.symmetric_difference(&then).collect();
        if !differ.is_empty() && differ.iter().all(|name| self.ruled.iter().any(|ruled| ruled.as_str() == **name)) {
            return BY_PLAN.to_owned();
        }
        let write = self.line("plugins", &base.to_string(), origin);
        match (now.is_subset(&then), differ.is_empty()) {
            (_, true) => anew(self.facts),
            (true, _) => {
                format!("to have them now, {}; else {write}", anew(self.facts))
            }
            (false, _) => format!("if what runs is right, {write}; else {}", anew(self.facts)),
        }
    }

    /// The line to write so that the next start has this.
    fn line(&self, key: &str, value: &str, origin: &Origin) -> String {
        match self.facts.unit().filter(|_| origin.is_environment()) {
            Some(unit) => unit.line(&origin::variable(key), value),
            None => format!("write  {key} = {value}  into {}", self.kong.conf),
        }
    }

    fn search_path(&self) -> Option<Disagreement> {
        const KEY: &str = "lua_package_path";
        let Start { value, origin } = origin::start(KEY, conf_file(self.facts), self.facts.environment());
        let default = default_value(KEY).unwrap_or_default().to_owned();
        let own = |path: String| SearchPath::new(path).unstaged(&self.kong.home).as_str().to_owned();
        let start = self.start_is_told(&origin).then(|| own(value.unwrap_or_else(|| default.clone())));
        let env = self.facts.env_file.as_ref().map(|env| own(env.open().get(KEY).unwrap_or(default)));
        let running = own_admin(self.facts).and_then(|admin| admin.lua_package_path.clone()).map(own);
        let templates = |path: &String| -> Vec<String> {
            path.split(';').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
        };
        let sets = [&start, &env, &running].map(|path| path.as_ref().map(templates));
        let write = running.as_ref().or(env.as_ref()).map(|now| self.line(KEY, now, &origin));
        let fix = match (&sets[0], sets[2].as_ref().or(sets[1].as_ref()), write) {
            (Some(start), Some(now), Some(write)) if start != now => {
                format!("if what runs is right, {write}; else {}", anew(self.facts))
            }
            _ => anew(self.facts),
        };
        let told = |path: String| (printable(&path, 2000), printable(&path, LONG * 2));
        self.disagreement(KEY, [start, env, running].map(|path| path.map(told)), &origin, fix, &sets)
    }

    fn disagreement<T: PartialEq>(
        &self,
        key: &'static str,
        told: [Option<Told>; 3],
        origin: &Origin,
        fix: String,
        sets: &[Option<T>; 3],
    ) -> Option<Disagreement> {
        let known: Vec<&T> = sets.iter().flatten().collect();
        if known.windows(2).all(|two| two[0] == two[1]) {
            return None;
        }
        let [start, reload, running] = told;
        let agreement = Agreement::of(sets[0].as_ref(), sets[1].as_ref(), sets[2].as_ref());
        let start_at = self.start_at(key, origin);
        let brief = |told: &Option<Told>| told.as_ref().map(|(_, brief)| brief.clone());
        let what = sentence(key, agreement, &start_at, [brief(&start), brief(&reload), brief(&running)]);
        let long = |told: Option<Told>| told.map(|(value, _)| value);
        let (start, reload, running) = (long(start), long(reload), long(running));
        Some(Disagreement { key, agreement, start_at, start, reload, running, what, fix })
    }

    /// What decides the next start, with the line.
    fn start_at(&self, key: &str, origin: &Origin) -> String {
        let read = self.facts.conf_file.as_ref().and_then(|conf| conf.open().get(key));
        match (origin, read.and_then(|read| read.lines.first().copied())) {
            (Origin::Conf, Some(line)) => format!("{}:{line}", self.kong.conf),
            (Origin::Conf, None) => self.kong.conf.to_string(),
            (Origin::Default, _) => format!("Kong's default (nothing sets {key})"),
            _ => origin.words(),
        }
    }

    /// Plugins with rows that run, and that the next reload or start is without: it is not applied, or does not come up
    /// (measured.md 5), and a data plane or a node without a database serves nothing (measured.md 7, 8).
    fn in_use(&self, found: &Directives) -> Vec<TimeBomb> {
        let Some((admin, now)) = own_admin(self.facts).zip(found.running.directive()) else { return Vec::new() };
        let used: Vec<PluginName> = admin
            .rows
            .iter()
            .filter(|(_, rows)| !rows.is_empty())
            .filter_map(|(name, _)| PluginName::parse(name).ok())
            .filter(|name| now.loads(name))
            .collect();
        let without = |next: Option<&Directive>| -> Vec<PluginName> {
            next.map_or_else(Vec::new, |next| used.iter().filter(|name| !next.loads(name)).cloned().collect())
        };
        let start = found.file.directive().filter(|_| self.start_is_told(&found.origin));
        let mut bombs = Vec::new();
        for (at, next) in [(Who::Reload, found.env.directive()), (Who::Start, start)] {
            let gone = without(next);
            if !gone.is_empty() {
                bombs.push(self.bomb(at, gone, found, now));
            }
        }
        bombs
    }

    fn bomb(&self, at: Who, plugins: Vec<PluginName>, found: &Directives, now: &Directive) -> TimeBomb {
        let names = plugins.iter().map(PluginName::as_str).collect::<Vec<_>>().join(", ");
        let verb = if plugins.len() == 1 { "is" } else { "are" };
        let what = match at {
            Who::Reload => format!(
                "{names} {verb} in use, and {}/.kong_env does not list {names}: the next reload, by whomever, fails",
                self.kong.prefix
            ),
            Who::Start => {
                let at = self.start_at("plugins", &found.origin);
                let unless = if self.facts.unit().is_some() { "" } else { ", unless what starts it sets KONG_PLUGINS" };
                let lacks = match found.origin {
                    Origin::Default => "nothing sets plugins, so that Kong's default counts".to_owned(),
                    _ => format!("{at} does not list {names}"),
                };
                format!("{names} {verb} in use, and {lacks}: the next start of Kong fails{unless}")
            }
        };
        let ruled = plugins.iter().all(|plugin| self.ruled.contains(plugin));
        let fix = match at {
            _ if ruled => BY_PLAN.to_owned(),
            Who::Start => self.line("plugins", &now.to_string(), &found.origin),
            Who::Reload => format!("before anybody reloads, {}", anew(self.facts)),
        };
        TimeBomb { at, plugins, what, fix }
    }

    /// A search path of the next reload or start that does not find what runs from the Lua root now.
    fn unreached(&self) -> Vec<TimeBomb> {
        let runs = own_admin(self.facts).and_then(|admin| admin.lua_package_path.clone());
        let reaches = |path: String| SearchPath::new(path).unstaged(&self.kong.home).reaches(&self.kong.lua_root);
        if runs.map(reaches) != Some(crate::kong::search_path::Reach::Full) {
            return Vec::new();
        }
        let told = self.start_is_told(&Origin::Conf);
        let lacks = super::lacks(self.kong, self.facts).into_iter().filter(|lack| told || lack.who == Who::Reload);
        let bomb = |Lack { who, what, fix, .. }: Lack| {
            let what = match who {
                Who::Reload => format!("at the next reload {what}, and what runs now does"),
                Who::Start => format!("{what}, and what runs now does"),
            };
            TimeBomb { at: who, plugins: Vec::new(), what, fix }
        };
        lacks.map(bomb).collect()
    }
}

/// Each line once, where it stands first.
fn once(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut said = BTreeSet::new();
    lines.filter(|line| said.insert(line.clone())).collect()
}

fn words(directive: &Directive) -> BTreeSet<String> {
    directive.words().iter().map(ToString::to_string).collect()
}

/// A directive in few words: itself where it is short, else what tells it from what runs.
fn few(directive: &Directive, base: Option<&Directive>) -> String {
    let text = printable(&directive.to_string(), 2000);
    let Some(base) = base.filter(|_| text.chars().count() > LONG) else { return text };
    let (next, now) = (words(directive), words(base));
    let list = |names: Vec<&String>| {
        let more = names.len().saturating_sub(5);
        let first: Vec<&str> = names.into_iter().take(5).map(String::as_str).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        printable(&first.join(","), LONG) + &more
    };
    let (gone, new) = (now.difference(&next).collect::<Vec<_>>(), next.difference(&now).collect::<Vec<_>>());
    match (gone.is_empty(), new.is_empty()) {
        (true, true) => format!("{} plugins", now.len()),
        (false, true) => format!("these without {}", list(gone)),
        (true, false) => format!("these with {}", list(new)),
        (false, false) => format!("these without {}, with {}", list(gone), list(new)),
    }
}

/// How Kong takes its settings anew.
fn anew(facts: &NodeFacts) -> String {
    match facts.unit() {
        Some(unit) => format!("let Kong read its settings anew (systemctl reload {})", unit.name),
        None => "let Kong read its settings anew (prepare and reload)".to_owned(),
    }
}

/// What each place has, those that say the same together.
fn sentence(key: &str, agreement: Agreement, at: &str, told: [Option<String>; 3]) -> String {
    let [start, reload, running] = told.map(|value| value.map_or_else(|| "?".to_owned(), |value| format!("{value:?}")));
    let what = if key == "plugins" { "plugins" } else { "a lua_package_path" };
    let other = if key == "plugins" { "other plugins" } else { "another lua_package_path" };
    match agreement {
        Agreement::StartDiffers => format!(
            "the next start has {other} than what runs: {at} has {start}; the next reload (.kong_env) and the workers have \
             {reload}"
        ),
        Agreement::ReloadDiffers => format!(
            "the next reload, by whomever, brings {other} than what runs: {at} and .kong_env have {start}; the workers run \
             {running}"
        ),
        Agreement::AllDiffer => format!(
            "what runs, the next reload and the next start each have {other}: {at} has {start}; the next reload (.kong_env) \
             has {reload}; the workers run {running}"
        ),
        Agreement::Agree | Agreement::Unknown => format!(
            "not every place has {what} alike: {at} has {start}; the next reload (.kong_env) has {reload}; the workers run \
             {running}"
        ),
    }
}

#[cfg(test)]
#[path = "disagreement_tests.rs"]
mod tests;
