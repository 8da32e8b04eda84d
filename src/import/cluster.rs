//! Which nodes are one cluster: those that share a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Options, Said, Subject};
use crate::inventory::Topology;
use crate::kong::topology::Topology as Role;
use crate::name::{ClusterName, Digest, Hasher, NodeName};
use crate::survey::NodeFacts;

/// What nodes of one cluster have in common. Where a database is, is nobody's business: only whether it is the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A database.
    Database(Digest),
    /// A control plane.
    Control(Digest),
    /// The content of a declarative configuration.
    Declared(Digest),
    /// Nothing that another one could have.
    Alone(NodeName),
}

/// A cluster.
pub(super) struct Group<'a> {
    pub(super) name: ClusterName,
    pub(super) topology: Topology,
    /// How it is known that these nodes belong together.
    pub(super) why: String,
    /// In natural order.
    pub(super) nodes: Vec<&'a Subject<'a>>,
}

/// A setting as it counts on a node.
fn setting(facts: &NodeFacts, key: &str) -> Option<String> {
    match (&facts.env_file, &facts.conf_file) {
        (Some(env), _) => env.open().get(key),
        (None, Some(conf)) => conf.open().text(key),
        (None, None) => None,
    }
}

fn role(facts: &NodeFacts) -> Option<Role> {
    Role::of(setting(facts, "role").as_deref(), setting(facts, "database").as_deref())
}

/// The digest of settings that say where something is. An address that means this very machine means it on this one alone.
fn digest(facts: &NodeFacts, keys: &[(&str, &str)]) -> Digest {
    let mut hasher = Hasher::default();
    for (key, default) in keys {
        let value = setting(facts, key).unwrap_or_else(|| (*default).to_owned());
        let host = value.split(':').next().unwrap_or_default();
        hasher.update(value.as_bytes());
        hasher.update(b"\n");
        if matches!(host, "127.0.0.1" | "localhost" | "") || value.starts_with('/') || value.contains("::1") {
            hasher.update(facts.host.machine.as_bytes());
            hasher.update(facts.host.boot.as_bytes());
        }
    }
    hasher.finish()
}

const DATABASE: &[(&str, &str)] =
    &[("pg_host", "127.0.0.1"), ("pg_port", "5432"), ("pg_database", "kong"), ("pg_schema", "public")];

fn identity(subject: &Subject<'_>) -> Identity {
    match role(subject.facts) {
        Some(Role::Traditional | Role::ControlPlane) => Identity::Database(digest(subject.facts, DATABASE)),
        Some(Role::DataPlane) => {
            Identity::Control(digest(subject.facts, &[("cluster_control_plane", "127.0.0.1:8005")]))
        }
        Some(Role::Dbless) => match &subject.place.declared {
            Some(declared) => Identity::Declared(declared.clone()),
            None => Identity::Alone(subject.name.clone()),
        },
        None => Identity::Alone(subject.name.clone()),
    }
}

/// The clusters of these nodes, in the order of their first nodes.
pub(super) fn groups<'a>(nodes: &'a [Subject<'a>], options: &Options<'_>, draft: &mut Draft) -> Vec<Group<'a>> {
    let mut by: BTreeMap<Identity, Vec<&'a Subject<'a>>> = BTreeMap::new();
    for subject in nodes {
        if role(subject.facts).is_none() {
            let text = "its role and database could not be read: written as a cluster of its own, traditional";
            draft.say(&subject.name, Said::open(text));
        }
        by.entry(identity(subject)).or_default().push(subject);
    }
    join_planes(&mut by, draft);
    let mut all: Vec<(Identity, Vec<&Subject<'_>>)> = by.into_iter().collect();
    for (_, nodes) in &mut all {
        nodes.sort_by(|a, b| crate::name::natural(a.name.as_str(), b.name.as_str()));
    }
    all.sort_by(|(_, a), (_, b)| crate::name::natural(a[0].name.as_str(), b[0].name.as_str()));
    let names = names(&all.iter().map(|(_, nodes)| nodes.as_slice()).collect::<Vec<_>>(), options.cluster.as_ref());
    all.into_iter()
        .zip(names)
        .map(|((identity, nodes), name)| {
            let topology = topology(&nodes);
            Group { why: why(&identity, &nodes), name, topology, nodes }
        })
        .collect()
}

/// Data planes belong to the control planes they speak to, which are known by another name there than by their database: to
/// the only ones that there are.
fn join_planes(by: &mut BTreeMap<Identity, Vec<&Subject<'_>>>, draft: &mut Draft) {
    let control = |nodes: &[&Subject<'_>]| nodes.iter().any(|node| role(node.facts) == Some(Role::ControlPlane));
    let controls: Vec<Identity> = by.iter().filter(|(_, nodes)| control(nodes)).map(|(key, _)| key.clone()).collect();
    let planes: Vec<Identity> = by.keys().filter(|key| matches!(key, Identity::Control(_))).cloned().collect();
    match (controls.as_slice(), planes.as_slice()) {
        (_, []) => {}
        ([one], [data]) => {
            let nodes = by.remove(data).unwrap_or_default();
            for node in &nodes {
                let text = "it belongs to the only control plane that was looked at";
                draft.say(&node.name, Said::assumed(text));
            }
            by.entry(one.clone()).or_default().extend(nodes);
        }
        _ => {
            for node in planes.iter().filter_map(|plane| by.get(plane)).flatten() {
                let text = "it is a data plane, and which control plane is its own could not be told";
                draft.say(&node.name, Said::open(text));
            }
        }
    }
}

fn topology(nodes: &[&Subject<'_>]) -> Topology {
    let roles: BTreeSet<Option<Role>> = nodes.iter().map(|node| role(node.facts)).collect();
    match () {
        () if roles.contains(&Some(Role::ControlPlane)) || roles.contains(&Some(Role::DataPlane)) => Topology::Hybrid,
        () if roles.contains(&Some(Role::Dbless)) => Topology::Dbless,
        () => Topology::Traditional,
    }
}

fn why(identity: &Identity, nodes: &[&Subject<'_>]) -> String {
    let several = nodes.len() > 1;
    match identity {
        Identity::Database(_) if several => {
            "these nodes name the same database (pg_host, pg_port, pg_database)".to_owned()
        }
        Identity::Database(_) => "no other node names its database".to_owned(),
        Identity::Control(_) => "data planes of one control plane".to_owned(),
        Identity::Declared(_) if several => "without a database, and the same declarative configuration".to_owned(),
        Identity::Declared(_) => "without a database; no other node has its declarative configuration".to_owned(),
        Identity::Alone(_) => "nothing that another node has, too, tells a cluster".to_owned(),
    }
}

/// A name for each cluster: what was typed, or what the names of its nodes begin with.
fn names(all: &[&[&Subject<'_>]], typed: Option<&ClusterName>) -> Vec<ClusterName> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for (index, nodes) in all.iter().enumerate() {
        let wanted = match typed {
            Some(name) if all.len() == 1 => name.to_string(),
            Some(name) => format!("{name}-{}", index + 1),
            None => stem(nodes).unwrap_or_else(|| format!("cluster-{}", index + 1)),
        };
        let mut wanted = Some(wanted);
        for number in 1.. {
            let text = wanted.take().unwrap_or_else(|| format!("cluster-{number}"));
            let Ok(name) = ClusterName::parse(&text) else { continue };
            if taken.insert(name.clone()) {
                names.push(name);
                break;
            }
        }
    }
    names
}

/// What the names of nodes have in common at their beginning, without numbers and what joins them.
fn stem(nodes: &[&Subject<'_>]) -> Option<String> {
    let first = nodes.first()?.name.as_str();
    let shared = |length: &usize| nodes.iter().all(|node| node.name.as_str().get(..*length) == first.get(..*length));
    let length = (0..=first.len()).rev().find(shared)?;
    let host = first[..length].split('.').next().unwrap_or_default();
    let stem = host.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | '%'));
    (stem.len() > 1 && stem.starts_with(|c: char| c.is_ascii_alphabetic())).then(|| stem.to_owned())
}
