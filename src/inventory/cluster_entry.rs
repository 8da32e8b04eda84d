//! One cluster as it is written, into what it means: its machines with everything resolved, and its policy.

use std::collections::BTreeMap;

use super::decode::typed;
use super::document::{ClusterKeys, Defaults, KongKeys, NodeKeys, RolloutKeys, SshKeys, TokenKeys};
use super::mistake::{Mistake, shown};
use super::parse::Reading;
use super::pattern::Pattern;
use super::yaml::{Entry, Kind, Yaml};
use super::{
    Admin, Amount, Become, Cluster, DeclaredIn, Host, KongPaths, Listen, Node, NodeAdmin, Place, Rollout, TokenSource,
    Transport, TreePath, Via, check, plugin_entry,
};
use crate::name::{ClusterName, NodeName, NodePath};

/// More nodes than any fleet of Kong has; a bound for what ranges make of a small file.
const MOST_NODES: usize = 100_000;

/// Reads a cluster, its nodes and its plugins. `None` only where its own keys cannot be read.
pub(super) fn read(reading: &mut Reading, name: ClusterName, entry: &Entry) -> Option<Cluster> {
    let yaml = &entry.value;
    let keys: Option<ClusterKeys> = typed(yaml, entry.at, &["nodes", "plugins"], &mut reading.mistakes);
    let token = keys.as_ref().and_then(|keys| keys.admin.as_ref()?.token.as_ref());
    token_source(yaml.entry("admin"), token, &mut reading.mistakes);
    let before = reading.mistakes.len();
    let shared = keys.as_ref().map(|keys| Shared::of(keys, &reading.defaults)).unwrap_or_default();
    let nodes = nodes(reading, &name, &shared, entry);
    let whole = reading.mistakes.len() == before;
    let plugins = plugin_entry::read(reading, yaml);
    let keys = keys?;
    if nodes.is_empty() && whole {
        let warning = Mistake::warning(entry.at, format!("cluster {name} has no nodes"));
        reading.mistakes.push(warning.instead("add `nodes:`"));
    }
    let cluster = Cluster {
        topology: keys.topology,
        admin: admin(&keys),
        rollout: rollout(keys.rollout.unwrap_or_default(), value(yaml, "rollout"), &mut reading.mistakes),
        nodes,
        plugins,
        declared_in: declared_in(&keys.declared_in, value(yaml, "declared_in")),
        place: entry.at,
        name,
    };
    if whole {
        check::inside(&cluster, yaml, &mut reading.mistakes);
    }
    Some(cluster)
}

fn declared_in(files: &[TreePath], yaml: Option<&Yaml>) -> Vec<DeclaredIn> {
    let Some(Yaml { kind: Kind::List(items), .. }) = yaml else { return Vec::new() };
    let of = |(file, item): (&TreePath, &Yaml)| DeclaredIn::new(file.clone(), item.at);
    files.iter().zip(items.iter()).map(of).collect()
}

fn value<'a>(yaml: &'a Yaml, key: &str) -> Option<&'a Yaml> {
    yaml.entry(key).map(|entry| &entry.value)
}

fn admin(keys: &ClusterKeys) -> Admin {
    let Some(admin) = keys.admin.clone() else { return Admin::default() };
    let via = admin.via.filter(|via| via.as_str() != "any").map_or(Via::Any, Via::Node);
    Admin { listen: admin.listen, via, token: admin.token.and_then(source) }
}

fn source(keys: TokenKeys) -> Option<TokenSource> {
    keys.env.map(TokenSource::Env).or(keys.file.map(TokenSource::File))
}

/// A token is in one place.
fn token_source(admin: Option<&Entry>, keys: Option<&TokenKeys>, mistakes: &mut Vec<Mistake>) {
    let (Some(entry), Some(keys)) = (admin.and_then(|admin| admin.value.entry("token")), keys) else { return };
    if keys.env.is_some() == keys.file.is_some() {
        let mistake = Mistake::new(entry.at, "a token is in one place");
        mistakes.push(mistake.instead("write either token: { env: NAME } or token: { file: NAME }"));
    }
}

/// What the nodes of a cluster have in common: its own keys over the defaults.
#[derive(Default)]
struct Shared {
    ssh: SshKeys,
    transport: Transport,
    becomes: Become,
    kong: KongKeys,
    listen: Option<Listen>,
    token: Option<TokenSource>,
}

impl Shared {
    fn of(keys: &ClusterKeys, defaults: &Defaults) -> Self {
        let admin = keys.admin.clone();
        Self {
            ssh: over(keys.ssh.clone(), defaults.ssh.clone().unwrap_or_default()),
            transport: keys.transport.or(defaults.transport).unwrap_or_default(),
            becomes: keys.becomes.or(defaults.becomes).unwrap_or_default(),
            kong: kong_over(keys.kong.clone(), defaults.kong.clone().unwrap_or_default()),
            listen: admin.as_ref().and_then(|admin| admin.listen.clone()),
            token: admin.and_then(|admin| admin.token).and_then(source),
        }
    }

    fn node(&self, name: NodeName, cluster: &ClusterName, keys: NodeKeys, place: Place) -> Node {
        let ssh = over(keys.ssh, self.ssh.clone());
        let kong = kong_over(keys.kong, self.kong.clone());
        let (listen, token) = keys.admin.map_or((None, None), |admin| (admin.listen, admin.token));
        Node {
            host: keys.host.unwrap_or_else(|| Host::of(&name)),
            name,
            cluster: cluster.clone(),
            user: ssh.user,
            port: ssh.port.map(std::num::NonZero::get),
            transport: keys.transport.unwrap_or(self.transport),
            becomes: keys.becomes.unwrap_or(self.becomes),
            labels: keys.labels,
            out: keys.out,
            reload: kong.reload.clone().unwrap_or_default(),
            kong: paths(kong),
            admin: NodeAdmin {
                listen: listen.or_else(|| self.listen.clone()),
                token: token.and_then(source).or_else(|| self.token.clone()),
            },
            status: keys.status,
            proxy: keys.proxy,
            place,
        }
    }
}

fn over(upper: Option<SshKeys>, lower: SshKeys) -> SshKeys {
    let upper = upper.unwrap_or_default();
    SshKeys { user: upper.user.or(lower.user), port: upper.port.or(lower.port) }
}

fn kong_over(upper: Option<KongKeys>, lower: KongKeys) -> KongKeys {
    let upper = upper.unwrap_or_default();
    KongKeys {
        conf: upper.conf.or(lower.conf),
        prefix: upper.prefix.or(lower.prefix),
        lua_root: upper.lua_root.or(lower.lua_root),
        home: upper.home.or(lower.home),
        cli: upper.cli.or(lower.cli),
        reload: upper.reload.or(lower.reload),
    }
}

/// Kong's own defaults (facts.md: the packages of Kong install so), and muster's home.
fn paths(keys: KongKeys) -> KongPaths {
    KongPaths {
        conf: keys.conf.unwrap_or_else(|| constant("/etc/kong/kong.conf")),
        prefix: keys.prefix.unwrap_or_else(|| constant("/usr/local/kong")),
        lua_root: keys.lua_root.unwrap_or_else(|| constant("/usr/local/share/lua/5.1")),
        home: keys.home.unwrap_or_else(|| constant("/var/lib/muster")),
        cli: keys.cli.unwrap_or_else(|| constant("/usr/local/bin/kong")),
    }
}

/// A path that is written in this program, and so is known to be one: every call is run by the tests.
fn constant(path: &'static str) -> NodePath {
    NodePath::parse(path).expect("a constant of this program is a path")
}

/// The nodes of one cluster while they are read.
struct Nodes<'a> {
    reading: &'a mut Reading,
    cluster: &'a ClusterName,
    shared: &'a Shared,
    read: BTreeMap<NodeName, Node>,
}

fn nodes(reading: &mut Reading, cluster: &ClusterName, shared: &Shared, entry: &Entry) -> BTreeMap<NodeName, Node> {
    let Some(list) = entry.value.entry("nodes") else {
        return BTreeMap::new();
    };
    let mut nodes = Nodes { reading, cluster, shared, read: BTreeMap::new() };
    match &list.value.kind {
        Kind::List(items) => items.iter().for_each(|item| nodes.listed(item)),
        Kind::Map(entries) => entries.iter().for_each(|entry| nodes.keyed(entry)),
        Kind::Scalar(..) => {
            let mistake = Mistake::new(list.value.at, "`nodes` is neither a list of names nor a map");
            nodes.reading.mistakes.push(mistake.instead("write nodes: [eu-1, eu-2], or one key per node"));
        }
    }
    nodes.read
}

impl Nodes<'_> {
    fn wrong(&mut self, at: Place, what: impl AsRef<str>, instead: &str) {
        self.reading.mistakes.push(Mistake::new(at, what).instead(instead));
    }

    /// An item of a list of names.
    fn listed(&mut self, item: &Yaml) {
        let Kind::Scalar(text, _) = &item.kind else {
            let instead = "in a list write names only, in quotes where they have brackets; to give keys, write a map";
            return self.wrong(item.at, "this is not the name of a node", instead);
        };
        let names = self.names(text, item.at);
        self.add(names, &NodeKeys::default(), item.at);
    }

    /// An entry of a map: a name or a range, with keys or with nothing.
    fn keyed(&mut self, entry: &Entry) {
        let names = self.names(&entry.key, entry.at);
        let keys = if entry.value.is_null() {
            Some(NodeKeys::default())
        } else {
            typed(&entry.value, entry.at, &[], &mut self.reading.mistakes)
        };
        let Some(keys) = keys else { return };
        self.own_keys(entry, &keys, names.len());
        self.add(names, &keys, entry.at);
    }

    /// What no type says about the keys of a node.
    fn own_keys(&mut self, entry: &Entry, keys: &NodeKeys, names: usize) {
        let token = keys.admin.as_ref().and_then(|admin| admin.token.as_ref());
        token_source(entry.value.entry("admin"), token, &mut self.reading.mistakes);
        let at = |key: &str| entry.value.entry(key).map_or(entry.at, |entry| entry.value.at);
        if keys.host.is_some() && names > 1 {
            let what = format!("the {names} nodes of this range would have one host");
            self.wrong(
                at("host"),
                what,
                "take `host` out, and give the addresses in ~/.ssh/config; or write the nodes singly",
            );
        }
        if keys.out.as_ref().is_some_and(|out| shown(out) != *out || out.trim().is_empty()) {
            let what = "`out` is no reason that can be shown in one line";
            self.wrong(at("out"), what, "say why the node is out: out: \"disk, OPS-812\"");
        }
        if keys.transport == Some(Transport::Local) && (keys.host.is_some() || keys.ssh.is_some()) {
            let what = "a node with transport local is this machine; it has neither `host` nor `ssh`";
            self.wrong(at("transport"), what, "take `host` and `ssh` out, or write transport: ssh");
        }
    }

    /// The names that a text stands for.
    fn names(&mut self, text: &str, at: Place) -> Vec<NodeName> {
        if self.reading.named > MOST_NODES {
            return Vec::new();
        }
        let texts = match Pattern::parse(text).and_then(|pattern| pattern.expand()) {
            Ok(texts) => texts,
            Err(why) => {
                self.wrong(
                    at,
                    format!("{text:?} does not name nodes: {why}"),
                    "write a name, or a range such as eu-[1-40]",
                );
                return Vec::new();
            }
        };
        self.reading.named += texts.len();
        if self.reading.named > MOST_NODES {
            self.wrong(at, format!("more than {MOST_NODES} nodes up to here"), "split the inventory");
            return Vec::new();
        }
        // The names of a range differ in digits only: all are right or all are wrong.
        let names: Result<Vec<NodeName>, _> = texts.iter().map(|text| NodeName::parse(text)).collect();
        names.unwrap_or_else(|error| {
            self.reading.mistakes.push(Mistake::new(at, error.to_string()));
            Vec::new()
        })
    }

    /// Adds nodes that are written as one. Of those that are already there, only the first is told.
    fn add(&mut self, names: Vec<NodeName>, keys: &NodeKeys, at: Place) {
        for name in names {
            if let Some((cluster, first)) = self.reading.nodes.get(&name) {
                let mistake = Mistake::new(at, format!("node {name} is already in cluster {cluster}"));
                let mistake = mistake.also(*first, "first given here");
                return self
                    .reading
                    .mistakes
                    .push(mistake.instead("keep it in one place; a node is in one cluster, once"));
            }
            self.reading.nodes.insert(name.clone(), (self.cluster.clone(), at));
            let node = self.shared.node(name.clone(), self.cluster, keys.clone(), at);
            home(&node.kong, at, &mut self.reading.mistakes);
            self.read.insert(name, node);
        }
    }
}

/// muster's home inside the Lua root would be searched for plugins, the Lua root inside home would be ours alone.
fn home(paths: &KongPaths, at: Place, mistakes: &mut Vec<Mistake>) {
    let inside = |inner: &NodePath, outer: &NodePath| {
        inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || outer.as_str() == "/"
    };
    if inside(&paths.home, &paths.lua_root) || inside(&paths.lua_root, &paths.home) {
        let what = format!("home {} and lua_root {} lie inside each other", paths.home, paths.lua_root);
        mistakes.push(Mistake::new(at, what).instead("give muster a directory of its own, such as /var/lib/muster"));
    }
}

fn rollout(keys: RolloutKeys, yaml: Option<&Yaml>, mistakes: &mut Vec<Mistake>) -> Rollout {
    let usual = Rollout::default();
    if let (Some(waves), Some(at)) = (&keys.waves, yaml.and_then(|yaml| yaml.entry("waves"))) {
        let none = waves.is_empty() || waves.contains(&Amount::Count(0));
        let falls = waves.windows(2).any(|pair| match (pair[0], pair[1]) {
            (Amount::Count(a), Amount::Count(b)) => a > b,
            (Amount::Percent(a), Amount::Percent(b)) => a > b,
            _ => false,
        });
        if none || falls {
            let what = if none { "a wave of no nodes" } else { "the waves do not rise" };
            let mistake = Mistake::new(at.at, format!("{what}; each says how many nodes are done at its end"));
            mistakes.push(mistake.instead("write waves: [1, 25%, 100%]"));
        }
    }
    Rollout {
        after: keys.after,
        waves: keys.waves.unwrap_or(usual.waves),
        at_once: keys.at_once.map_or(usual.at_once, |at_once| usize::try_from(at_once.get()).unwrap_or(usize::MAX)),
        max_out: keys.max_out.unwrap_or(usual.max_out),
        max_failed: keys.max_failed.unwrap_or(usual.max_failed),
        max_unreachable: keys.max_unreachable.unwrap_or(usual.max_unreachable),
        soak: keys.soak.unwrap_or(usual.soak),
        reload_gap: keys.reload_gap,
        max_draining: keys.max_draining.unwrap_or(usual.max_draining),
    }
}
