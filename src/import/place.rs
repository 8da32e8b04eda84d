//! From what was found on a machine to where a Kong is on it: which kong.conf, which Lua root. What is not written down
//! anywhere is chosen by what fits, and said.

use std::collections::BTreeMap;

use super::{Said, Weight};
use crate::inventory::KongPaths;
use crate::kong::directive::is_bundled;
use crate::kong::{Conf, Directive, setting};
use crate::name::{Digest, NodePath, PluginName};
use crate::survey::{Discovery, FoundKong, FoundRoot, Kind};

/// Where Kong looks for its configuration if nobody names one.
const CONF: &str = "/etc/kong/kong.conf";
const HOME: &str = "/var/lib/muster";
const CLI: &str = "/usr/local/bin/kong";

/// The paths that were typed for one machine.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Where kong.conf is.
    pub conf: Vec<NodePath>,
    /// Where plugin files are below.
    pub lua_root: Vec<NodePath>,
    /// Where muster is to keep its own.
    pub home: Vec<NodePath>,
    /// The kong command.
    pub cli: Vec<NodePath>,
}

/// Where a Kong is, and what lies below its Lua root.
#[derive(Debug, Clone)]
pub struct Place {
    /// The paths.
    pub paths: KongPaths,
    /// The directories below `kong/plugins`, and whether each has a handler.
    pub directories: BTreeMap<String, bool>,
    /// The custom plugins that are named.
    pub listed: Vec<PluginName>,
    /// Plugins that Kong finds in another directory before it looks in the Lua root.
    pub elsewhere: BTreeMap<String, NodePath>,
    /// The digest of its declarative configuration.
    pub declared: Option<Digest>,
    /// What is to be said of it.
    pub said: Vec<Said>,
}

/// Where a Kong that was found is; `Err` says what stands in the way.
pub fn place(found: &Discovery, kong: &FoundKong, typed: &Typed) -> Result<Place, String> {
    let prefix = kong.prefix.clone().ok_or("its prefix has a name that cannot be written down")?;
    let mut said = Vec::new();
    match kong.master {
        Some(pid) => said.push(Said::found(format!("prefix {prefix}: from the title of its master, pid {pid}"))),
        None => said.push(Said::found(format!("prefix {prefix}: no master runs there"))),
    }
    let conf = conf(found, kong, &prefix, typed, &mut said);
    let listed = listed(found, kong, &conf);
    let root = lua_root(kong, typed, &listed, &mut said);
    let (directories, elsewhere) = contents(kong, &root, &mut said);
    // Where muster is to keep its own is no fact about the node.
    let home = typed.home.first().cloned().unwrap_or_else(|| path(HOME));
    let cli = cli(found, typed, &mut said);
    let declared = kong.declared.as_ref().map(|(_, digest)| digest.clone());
    let paths = KongPaths { conf, prefix, lua_root: root, home, cli };
    Ok(Place { paths, directories, listed, elsewhere, declared, said })
}

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap_or_else(|_| unreachable!("a constant of ours"))
}

/// How well a kong.conf explains what runs: keys with the value of `.kong_env`, less those with another one.
fn fit(kong: &FoundKong, conf: &Conf) -> Option<(usize, usize)> {
    Some(kong.env.as_ref()?.open().explained_by(conf))
}

fn is_of(conf: &Conf, prefix: &NodePath) -> bool {
    let said = conf.text("prefix").filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| setting::default_value("prefix").unwrap_or_default().to_owned());
    said.trim_end_matches('/') == prefix.as_str()
}

/// Which kong.conf a Kong was started with is recorded nowhere (measured.md 4): the one whose settings run.
fn conf(found: &Discovery, kong: &FoundKong, prefix: &NodePath, typed: &Typed, said: &mut Vec<Said>) -> NodePath {
    let readable = found.confs.iter().filter_map(|(path, conf)| Some((path, conf.as_ref()?.open())));
    let mut fitting: Vec<(&NodePath, &Conf)> = readable.filter(|(_, conf)| is_of(conf, prefix)).collect();
    let score =
        |conf: &Conf| fit(kong, conf).map_or(0, |(same, other)| 2 * same.cast_signed() - 3 * other.cast_signed());
    fitting.sort_by_key(|(path, conf)| (!typed.conf.contains(path), std::cmp::Reverse(score(conf))));
    let Some((path, conf)) = fitting.first() else { return no_conf(found, typed, said) };
    let why = match fit(kong, conf) {
        Some((same, 0)) => format!("all of its {} run", count(same, "setting")),
        Some((same, other)) => format!("{} run, and {} not", count(same, "of its settings"), other),
        None => "its prefix is this one".to_owned(),
    };
    let weight = if typed.conf.contains(path) { Weight::Found } else { Weight::Assumed };
    said.push(Said { weight, text: format!("conf {path}: {why}; what Kong was started with is recorded nowhere") });
    if let Some((other, _)) = fitting
        .get(1)
        .filter(|(other, conf)| !typed.conf.contains(path) && *other != *path && score(conf) == score(fitting[0].1))
    {
        said.push(Said::open(format!("{other} explains what runs as well as {path}: name the right one by --conf")));
    }
    (*path).clone()
}

fn count(number: usize, what: &str) -> String {
    match (number, what) {
        (1, "setting") => "1 setting".to_owned(),
        (_, "setting") => format!("{number} settings"),
        _ => format!("{number} {what}"),
    }
}

fn no_conf(found: &Discovery, typed: &Typed, said: &mut Vec<Said>) -> NodePath {
    if let Some(path) = typed.conf.first() {
        said.push(Said::open(format!("conf {path}: as typed; it is not there, cannot be read, or has another prefix")));
        return path.clone();
    }
    let unread: Vec<&str> =
        found.confs.iter().filter(|(_, conf)| conf.is_none()).map(|(path, _)| path.as_str()).collect();
    let why = if unread.is_empty() {
        "no kong.conf with this prefix is where one is looked for".to_owned()
    } else {
        format!("{} could not be read", unread.join(", "))
    };
    said.push(Said::open(format!("conf {CONF}: only by default, as {why}; name it by --conf if there is one")));
    path(CONF)
}

/// The plugins that are named, and do not come with Kong.
fn listed(found: &Discovery, kong: &FoundKong, conf: &NodePath) -> Vec<PluginName> {
    let file = found.confs.iter().find(|(path, _)| path == conf).and_then(|(_, conf)| conf.as_ref());
    let directive = match (&kong.env, file) {
        (Some(env), _) => env.open().directive(),
        (None, Some(conf)) => Directive::effective(conf.open().text("plugins").as_deref()),
        (None, None) => Directive::default(),
    };
    directive.plugins().into_iter().filter(|name| !is_bundled(name)).cloned().collect()
}

/// Whether a directory is that of a plugin that does not come with Kong.
fn custom((name, plugin): (&String, &bool)) -> bool {
    *plugin && PluginName::parse(name).is_ok_and(|name| !is_bundled(&name))
}

/// The directory below which most of the listed plugins are.
fn lua_root(kong: &FoundKong, typed: &Typed, listed: &[PluginName], said: &mut Vec<Said>) -> NodePath {
    let has = |root: &FoundRoot| listed.iter().filter(|name| root.directories.contains_key(name.as_str())).count();
    let customs = |root: &FoundRoot| root.directories.iter().filter(|each| custom(*each)).count();
    let named = typed.lua_root.first();
    if let Some(path) = named {
        let there = kong.lua_roots.iter().any(|root| root.path == *path && root.kind == Kind::Directory);
        let weight = if there { Weight::Found } else { Weight::Open };
        let how = if there { "as typed" } else { "as typed; it is no directory that can be looked into" };
        said.push(Said { weight, text: format!("lua_root {path}: {how}") });
        return path.clone();
    }
    let roots = kong.lua_roots.iter().filter(|root| root.kind == Kind::Directory);
    // The first of those that are alike, as Kong takes that one.
    let best = roots.rev().max_by_key(|root| (has(root), customs(root) > 0));
    match best {
        Some(root) if has(root) > 0 => {
            let text =
                format!("lua_root {}: {} of {} listed custom plugins are there", root.path, has(root), listed.len());
            said.push(Said::found(text));
            root.path.clone()
        }
        Some(root) => {
            let path = if customs(root) > 0 { root.path.clone() } else { usual(kong, root) };
            said.push(Said::assumed(format!("lua_root {path}: no listed custom plugin was found on the search path")));
            path
        }
        None => {
            let path = path(setting_root());
            said.push(Said::open(format!(
                "lua_root {path}: only by default; no directory of the search path can be looked into"
            )));
            path
        }
    }
}

fn setting_root() -> &'static str {
    crate::kong::search_path::DEFAULT_LUA_ROOT
}

/// The usual Lua root if it is there, else this one.
fn usual(kong: &FoundKong, root: &FoundRoot) -> NodePath {
    let usual = |root: &&FoundRoot| root.path.as_str() == setting_root() && root.kind == Kind::Directory;
    kong.lua_roots.iter().find(usual).unwrap_or(root).path.clone()
}

type Directories = BTreeMap<String, bool>;

fn contents(kong: &FoundKong, root: &NodePath, said: &mut Vec<Said>) -> (Directories, BTreeMap<String, NodePath>) {
    let mut elsewhere = BTreeMap::new();
    let chosen = kong.lua_roots.iter().find(|found| found.path == *root);
    for found in kong.lua_roots.iter().take_while(|found| found.path != *root) {
        for each in found.directories.iter().filter(|each| custom(*each)) {
            elsewhere.entry(each.0.clone()).or_insert_with(|| found.path.clone());
        }
    }
    let Some(chosen) = chosen else { return (Directories::new(), elsewhere) };
    for found in kong.lua_roots.iter().skip_while(|found| found.path != *root).skip(1) {
        let missing = found.directories.iter().filter(|each| custom(*each) && !chosen.directories.contains_key(each.0));
        for (name, _) in missing {
            elsewhere.entry(name.clone()).or_insert_with(|| found.path.clone());
        }
    }
    if chosen.odd > 0 {
        let text = format!("{} below {root}/kong/plugins have names that no plugin has; left alone", chosen.odd);
        said.push(Said::open(text));
    }
    if chosen.cut {
        said.push(Said::open(format!("{root}/kong/plugins has more directories than are looked at")));
    }
    (chosen.directories.clone(), elsewhere)
}

fn cli(found: &Discovery, typed: &Typed, said: &mut Vec<Said>) -> NodePath {
    if let Some(cli) = typed.cli.first().or(found.cli.as_ref()) {
        return cli.clone();
    }
    said.push(Said::assumed(format!("cli {CLI}: the default, as `kong` is not in the search path of the login")));
    path(CLI)
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
