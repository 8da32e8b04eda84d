//! One node: which of its plugins an inventory can have, and how, so that a plan from it changes nothing there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Options, Place, Said, Subject};
use crate::kong::directive::is_bundled;
use crate::kong::origin::{self, ConfFile, Environment, Origin};
use crate::kong::{Directive, printable};
use crate::name::{BundlePath, Digest, PluginName};
use crate::survey::{Kind, NodeFacts};

/// How a plugin is on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stance {
    /// In the directive and loaded; else its files are there and nothing lists it.
    pub(super) present: bool,
    /// Its own files; why there are none that can be had, otherwise.
    pub(super) files: Result<BTreeMap<BundlePath, Digest>, String>,
    /// Why somebody else writes its files.
    pub(super) files_external: Option<String>,
    /// Why somebody else writes its name into the directive.
    pub(super) directive_external: Option<String>,
}

pub(super) type Stances = BTreeMap<PluginName, Stance>;

/// Whether a directory below `kong/plugins` comes with Kong.
pub(super) fn comes_with_kong(name: &str) -> bool {
    PluginName::parse(name).is_ok_and(|name| is_bundled(&name))
}

/// The directories below `kong/plugins` that Kong did not bring: no bundled plugin, and none that the rock of Kong owns.
pub(super) fn own_roots(place: &Place, facts: &NodeFacts) -> Vec<BundlePath> {
    let names = place.directories.keys().filter(|name| !comes_with_kong(name));
    let roots = names.filter_map(|name| BundlePath::parse(&format!("kong/plugins/{name}")).ok());
    roots
        .filter(|root| facts.roots.contains_key(root) && rock(root, facts).is_none_or(|(name, _)| name != "kong"))
        .collect()
}

/// The rock that owns files below a root.
fn rock<'a>(root: &BundlePath, facts: &'a NodeFacts) -> Option<(&'a str, &'a str)> {
    let below =
        |file: &String| file.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let rock = facts.rocks.iter().find(|rock| rock.files.iter().any(below))?;
    Some((rock.name.as_str(), rock.version.as_str()))
}

/// The files below a root with their digests, or why not all of them are known.
pub(super) fn files(root: &BundlePath, facts: &NodeFacts) -> Result<BTreeMap<BundlePath, Digest>, String> {
    let found = facts.roots.get(root).ok_or_else(|| format!("{root} was not looked at"))?;
    match found.kind {
        Kind::Absent => return Err(format!("{root} is not there")),
        Kind::Denied => return Err(format!("{root} may not be looked into by the login")),
        Kind::File | Kind::Other => return Err(format!("{root} is no directory")),
        Kind::Directory | Kind::Link => {}
    }
    if found.cut {
        return Err(format!("{root} holds more, or odder, files than are read"));
    }
    let mut files = BTreeMap::new();
    for (name, file) in &*found.files {
        let shown = printable(&format!("{root}/{name}"), 120);
        let digest = match (file.kind, &file.digest) {
            (Kind::File, Some(digest)) => digest.clone(),
            (Kind::File | Kind::Denied, _) => return Err(format!("{shown} could not be read")),
            _ => return Err(format!("{shown} is no regular file")),
        };
        let path = root.join(name).map_err(|_| format!("{shown} has a name that cannot be kept"))?;
        files.insert(path, digest);
    }
    if files.is_empty() { Err(format!("{root} is empty")) } else { Ok(files) }
}

/// The `plugins` directive in the places that count.
struct Directives {
    /// What the next start reads; `None` where it cannot be told.
    start: Option<Directive>,
    origin: Origin,
    /// What the next reload reads; `None` where Kong does not run.
    reload: Option<Directive>,
    /// What the workers run with; `None` where they could not be asked.
    running: Option<Directive>,
}

impl Directives {
    fn of(facts: &NodeFacts) -> Self {
        let conf = match &facts.conf_file {
            Some(conf) => ConfFile::Read(conf.open()),
            None if facts.conf.kind == Kind::Absent => ConfFile::Absent,
            None => ConfFile::Unreadable,
        };
        let origin::Start { value, origin } = origin::start("plugins", conf, facts.environment());
        let known = !matches!(origin, Origin::Unknown { .. });
        let admin = facts.admin.as_ref().ok().filter(|_| facts.master.is_some());
        Self {
            start: known.then(|| Directive::effective(value.as_deref())),
            origin,
            reload: facts.env_file.as_ref().filter(|_| facts.master.is_some()).map(|env| env.open().directive()),
            running: admin.map(|admin| Directive::effective(Some(&admin.plugins.join(",")))),
        }
    }

    fn names(directive: Option<&Directive>, plugin: &PluginName) -> bool {
        directive.is_some_and(|directive| directive.names(plugin) && !directive.switched_off())
    }

    /// Every custom plugin that any of the places names.
    fn listed(&self) -> BTreeSet<PluginName> {
        let all = [&self.start, &self.reload, &self.running].into_iter().flatten();
        all.flat_map(Directive::plugins).filter(|name| !is_bundled(name)).cloned().collect()
    }
}

/// The custom plugins that a node names anywhere.
pub(super) fn listed(facts: &NodeFacts) -> BTreeSet<PluginName> {
    Directives::of(facts).listed()
}

/// How each custom plugin is on a node. What cannot be written down without a change is left out, and said.
pub(super) fn stances(subject: &Subject<'_>, options: &Options<'_>, draft: &mut Draft) -> Stances {
    let Subject { name: node, place, facts, .. } = subject;
    let directives = Directives::of(facts);
    let mut stances = Stances::new();
    for plugin in listed(facts) {
        let made = match options.leave.get(&(node.clone(), plugin.clone())) {
            Some(why) => Err(why.clone()),
            None => present(&plugin, subject, &directives),
        };
        match made {
            Ok(stance) => drop(stances.insert(plugin, stance)),
            Err(why) => draft.say(node, Said::open(format!("{plugin} is left out here: {why}"))),
        }
    }
    let loaded = facts.admin.as_ref().ok().map(|admin| &admin.loaded);
    for home in homes(subject) {
        let text =
            format!("plugins there are links of a muster whose home is {home}: name it by --home, to go on with it");
        draft.say(node, Said::open(text));
    }
    for root in own_roots(place, facts) {
        let Some(directory) =
            root.as_str().rsplit('/').next().filter(|name| place.directories.get(*name) == Some(&true))
        else {
            continue;
        };
        let Ok(plugin) = PluginName::parse(directory) else {
            draft
                .say(node, Said::open(format!("{root} has a handler, and a name that no plugin can have: left alone")));
            continue;
        };
        // Kong Enterprise brings plugins that are loaded by `bundled` and have other names than those of the open source.
        if stances.contains_key(&plugin)
            || loaded.is_some_and(|loaded| loaded.contains_key(&plugin))
            || listed(facts).contains(&plugin)
        {
            continue;
        }
        let left = options.leave.get(&(node.clone(), plugin.clone())).cloned();
        match (left, own(&root, facts)) {
            (None, Ok((files, files_external))) => {
                draft.say(node, Said::found(format!("{plugin}: its files are there, and nothing lists it: staged")));
                let stance = Stance { present: false, files: Ok(files), files_external, directive_external: None };
                stances.insert(plugin, stance);
            }
            (Some(why), _) | (None, Err(why)) => {
                draft.say(node, Said::open(format!("{plugin} is not listed, and is left out here: {why}")));
            }
        }
    }
    stances
}

/// Homes of muster, other than the one that is written, that roots are linked into.
fn homes(subject: &Subject<'_>) -> BTreeSet<String> {
    let home = |root: &BundlePath| {
        let target = subject.facts.roots.get(root)?.target.as_deref()?;
        let (home, rest) = target.split_once("/current/")?;
        let ours = home.starts_with('/') && rest.ends_with(root.as_str()) && home != subject.place.paths.home.as_str();
        ours.then(|| home.to_owned())
    };
    own_roots(subject.place, subject.facts).iter().filter_map(home).collect()
}

/// A plugin that is named somewhere: whether all places agree that it is there, and whose its files are.
fn present(plugin: &PluginName, subject: &Subject<'_>, directives: &Directives) -> Result<Stance, String> {
    let (facts, place) = (subject.facts, subject.place);
    let directive_external = listing(plugin, facts, directives)?;
    if let Ok(admin) = facts.admin.as_ref()
        && facts.master.is_some()
        && !admin.loaded.contains_key(plugin)
    {
        return Err("it is listed, and the workers have not loaded it".to_owned());
    }
    let root = BundlePath::parse(&format!("kong/plugins/{plugin}")).map_err(|error| error.to_string())?;
    if let Some(elsewhere) = place.elsewhere.get(plugin.as_str()) {
        let why = format!("Kong finds it in {elsewhere}, not in {}", place.paths.lua_root);
        let files = Err(why.clone());
        return external(facts, Stance { present: true, files, files_external: Some(why), directive_external });
    }
    match own(&root, facts) {
        Ok((files, files_external)) => {
            Ok(Stance { present: true, files: Ok(files), files_external, directive_external })
        }
        Err(why) => {
            let files = Err(why.clone());
            external(facts, Stance { present: true, files, files_external: Some(why), directive_external })
        }
    }
}

/// Files that cannot be had are somebody else's, if it is known that they are there: the workers have loaded them.
fn external(facts: &NodeFacts, stance: Stance) -> Result<Stance, String> {
    match (&facts.admin, &facts.master, &stance.files) {
        (Ok(_), Some(_), _) | (_, _, Ok(_)) => Ok(stance),
        (_, _, Err(why)) => Err(format!("{why}, and no running Kong shows that it is there all the same")),
    }
}

/// Whether every place that counts names a plugin; `Some`: somebody else has to keep its name where the next start reads it.
fn listing(plugin: &PluginName, facts: &NodeFacts, directives: &Directives) -> Result<Option<String>, String> {
    let start = Directives::names(directives.start.as_ref(), plugin);
    if facts.master.is_none() {
        return if start {
            Ok(None)
        } else {
            Err("Kong does not run, and its next start would not load it".to_owned())
        };
    }
    let (reload, running) =
        (Directives::names(directives.reload.as_ref(), plugin), Directives::names(directives.running.as_ref(), plugin));
    if !reload {
        let at = directives.origin.words();
        return Err(match (start, running) {
            (true, false) => format!("{at} names it, and nobody has loaded it"),
            (_, true) => "the workers run it, and the next reload would not".to_owned(),
            (false, false) => "it is named nowhere that counts".to_owned(),
        });
    }
    if directives.running.is_some() && !running {
        return Err("the next reload would load it, and the workers do not run it".to_owned());
    }
    match (start, facts.environment()) {
        (true, _) => Ok(None),
        (false, Environment::Unit(_)) if directives.start.is_some() => Err(format!(
            "it runs, and {} does not name it: the next start would be without it",
            directives.origin.words()
        )),
        (false, _) => Ok(Some(match &directives.origin {
            Origin::Unknown { why } => format!("what the next start reads cannot be told: {why}"),
            _ => {
                format!("it runs, and {} does not name it: the environment of what starts Kong has to", facts.conf.path)
            }
        })),
    }
}

type Own = (BTreeMap<BundlePath, Digest>, Option<String>);

/// The files of a root, and why they are somebody else's, if they are.
fn own(root: &BundlePath, facts: &NodeFacts) -> Result<Own, String> {
    let files = files(root, facts)?;
    let found = facts.roots.get(root);
    let external = match rock(root, facts) {
        Some((name, version)) => Some(format!(
            "the rock {name} {version} owns its files: `luarocks remove {name}` first, to have muster write them"
        )),
        None if found.is_some_and(|found| found.mount) => {
            Some(format!("{root} is a mount point, or on another filesystem: an image or a volume brings it"))
        }
        None => None,
    };
    Ok((files, external))
}
