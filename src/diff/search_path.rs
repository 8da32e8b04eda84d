//! Whether the plugins under a node's Lua root are found: by the next reload, and by the next start, which may read another
//! `lua_package_path` (measured.md 4).

use serde::Serialize;

use super::directive::conf_file;
use crate::inventory::KongPaths;
use crate::kong::SearchPath;
use crate::kong::origin::{self, Environment, Origin};
use crate::kong::search_path::Reach;
use crate::kong::service::Unit;
use crate::kong::setting::default_value;
use crate::survey::NodeFacts;

const KEY: &str = "lua_package_path";

/// Who would not find what is under the Lua root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The next reload, as `.kong_env` has it.
    Reload,
    /// The next start.
    Start,
}

/// A search path on which the plugins under the Lua root are not found, or not all of their modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Whose search path it is.
    pub who: Who,
    /// How far it reaches: a name, not a directory; or not at all.
    pub reach: Reach,
    /// What is wrong, in words.
    pub what: String,
    /// What to do about it, with the line to write.
    pub fix: String,
}

/// What the search paths of a node lack, that of the next reload first. What cannot be read is not judged.
pub fn lacks(kong: &KongPaths, facts: &NodeFacts) -> Vec<Lack> {
    let (root, running) = (&kong.lua_root, !super::stopped(kong, facts));
    let reach = |path: &str| SearchPath::new(path).unstaged(&kong.home).reaches(root);
    let read = |environment| origin::start(KEY, conf_file(facts), environment);
    let start = read(facts.environment());
    let value = |start: &origin::Start| {
        let default = default_value(KEY).unwrap_or_default();
        start.value.clone().unwrap_or_else(|| default.to_owned())
    };
    let known = !matches!(start.origin, Origin::Unknown { .. });
    let starts = known.then(|| reach(&value(&start)));
    let mut lacks = Vec::new();
    let reload = facts.env_file.as_ref().filter(|_| running).map(|env| env.open().search_path());
    if let Some(path) = reload.filter(|path| reach(path.as_str()) != Reach::Full) {
        let fix = if starts == Some(Reach::Full) {
            let place = place(&start.origin, kong);
            format!(
                "let Kong read its settings anew (prepare and reload): {place} has it right; or correct lua_root in the inventory"
            )
        } else {
            fix(kong, &start, path.as_str(), facts.unit())
        };
        let reach = reach(path.as_str());
        lacks.push(Lack { who: Who::Reload, reach, what: words(kong, reach), fix });
    }
    if let Some(reach @ (Reach::No | Reach::NoInit)) = starts {
        let shadowed =
            start.origin.is_environment() && starts != Some(self::reach(kong, &value(&read(Environment::None))));
        let beaten = if shadowed {
            format!("; the line of {} that does is beaten by {}", kong.conf, start.origin.words())
        } else {
            String::new()
        };
        let what = if running {
            format!("at the next start {}{beaten}", words(kong, reach))
        } else {
            words(kong, reach) + &beaten
        };
        lacks.push(Lack { who: Who::Start, reach, what, fix: fix(kong, &start, &value(&start), facts.unit()) });
    }
    lacks
}

/// `lua_package_path` as the next load has it: of the running settings, or of the next start where Kong does not run.
pub fn next_path(kong: &KongPaths, facts: &NodeFacts) -> Option<String> {
    if super::stopped(kong, facts) {
        return origin::start(KEY, conf_file(facts), facts.environment()).value;
    }
    facts.env_file.as_ref().and_then(|env| env.open().get(KEY))
}

/// What to write so that the Lua root comes before every other directory, and where.
pub fn first_of_all(kong: &KongPaths, facts: &NodeFacts) -> String {
    let start = origin::start(KEY, conf_file(facts), facts.environment());
    let now = next_path(kong, facts).unwrap_or_default();
    fix(kong, &start, &now, facts.unit())
}

fn reach(kong: &KongPaths, path: &str) -> Reach {
    SearchPath::new(path).reaches(&kong.lua_root)
}

fn words(kong: &KongPaths, reach: Reach) -> String {
    let root = &kong.lua_root;
    match reach {
        Reach::NoInit => format!("lua_package_path finds {root}/?.lua and not {root}/?/init.lua"),
        Reach::No | Reach::Full => format!("lua_package_path does not reach the Lua root {root}"),
    }
}

fn place(origin: &Origin, kong: &KongPaths) -> String {
    if origin.is_environment() { origin.words() } else { kong.conf.to_string() }
}

/// The line to write, and where. What stands in the value stays, but for the default, which `;;` brings as well as it needs.
fn fix(kong: &KongPaths, start: &origin::Start, now: &str, unit: Option<&Unit>) -> String {
    let root = &kong.lua_root;
    let own = SearchPath::new(now).unstaged(&kong.home);
    let own: Vec<&str> = own.as_str().split(';').map(str::trim).collect();
    let ours = [format!("{root}/?.lua"), format!("{root}/?/init.lua")];
    let stays = |template: &&&str| {
        !template.is_empty() && !template.starts_with("./") && !ours.iter().any(|our| our == *template)
    };
    let rest: String = own.iter().filter(stays).flat_map(|template| [*template, ";"]).collect();
    let value = format!("{};{};{rest};", ours[0], ours[1]);
    let write = match unit.filter(|_| start.origin.is_environment()) {
        Some(unit) => unit.line(&origin::variable(KEY), &value),
        None => format!("write  {KEY} = {value}  into {}", kong.conf),
    };
    format!("{write} and reload, or correct lua_root in the inventory")
}
