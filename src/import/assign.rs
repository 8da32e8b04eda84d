//! What each cluster is assigned, so that each of its nodes has what it has.
//!
//! A cluster names a bundle once. Where its nodes have a plugin in several forms, the commonest is the plugin's own bundle, and
//! each other form is a bundle of its own, on those nodes alone: nothing is in the way of making them one afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Group;
use super::content::{Shelf, Variant};
use super::node::{Stance, Stances};
use super::{Draft, Said};
use crate::inventory::VersionLabel;
use crate::name::{BundleName, ClusterName, NodeName, PluginName, collapse};

/// How a plugin is on some nodes of a cluster, as far as an assignment tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    label: Option<VersionLabel>,
    present: bool,
    files_external: bool,
    directive_external: bool,
}

#[derive(Default)]
struct Nodes {
    nodes: Vec<NodeName>,
    why: BTreeSet<String>,
}

type Forms = BTreeMap<Form, Nodes>;

/// The sources of a bundle: its directories by version, and the nodes that have them.
pub(super) type Sources = BTreeMap<Option<VersionLabel>, (String, BTreeSet<NodeName>)>;

/// One entry under `plugins:`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) version: Option<VersionLabel>,
    pub(super) present: bool,
    pub(super) files_external: bool,
    pub(super) directive_external: bool,
    /// The nodes, where it is not all of the cluster.
    pub(super) on: Option<String>,
    /// What is to be said beside it.
    pub(super) why: BTreeSet<String>,
}

/// What an inventory says of plugins.
#[derive(Default)]
pub(super) struct Assigned<'a> {
    pub(super) bundles: BTreeMap<BundleName, Sources>,
    pub(super) directories: BTreeMap<String, &'a Variant>,
    pub(super) plugins: BTreeMap<ClusterName, BTreeMap<String, Entry>>,
}

/// Assigns to each cluster what its nodes have.
pub(super) fn assign<'a>(
    groups: &[Group<'_>],
    stances: &BTreeMap<&NodeName, Stances>,
    shelf: &'a Shelf<'_>,
    draft: &mut Draft,
) -> Assigned<'a> {
    let mut assigned = Assigned::default();
    let mut all: Vec<(&Group<'_>, BTreeMap<PluginName, Forms>)> =
        groups.iter().map(|group| (group, forms(group, stances, shelf, draft))).collect();
    let bundled: BTreeSet<PluginName> = all
        .iter()
        .flat_map(|(_, plugins)| plugins)
        .filter(|(_, forms)| has_content(forms))
        .map(|(name, _)| name.clone())
        .collect();
    let names: BTreeSet<PluginName> = all.iter().flat_map(|(_, plugins)| plugins.keys().cloned()).collect();
    for (_, plugins) in &mut all {
        for (plugin, forms) in plugins.iter_mut().filter(|(plugin, _)| bundled.contains(*plugin)) {
            without_content(plugin, forms, draft);
        }
    }
    let versions = versions(&all);
    for (group, plugins) in &all {
        for (plugin, forms) in plugins {
            let mut forms: Vec<(&Form, &Nodes)> = forms.iter().collect();
            forms.sort_by_key(|(form, nodes)| (form.label.is_none(), std::cmp::Reverse(nodes.nodes.len())));
            for (index, (form, nodes)) in forms.into_iter().enumerate() {
                let name = if index == 0 {
                    own(&mut assigned, plugin, form, nodes, shelf, &versions)
                } else {
                    other(&mut assigned, (plugin, &names), form, nodes, shelf)
                };
                let Some((key, version)) = name else { continue };
                let entry = entry(group, form, nodes, version);
                assigned.plugins.entry(group.name.clone()).or_default().insert(key, entry);
            }
        }
    }
    assigned
}

fn has_content(forms: &Forms) -> bool {
    forms.keys().any(|form| form.label.is_some())
}

fn forms(
    group: &Group<'_>,
    stances: &BTreeMap<&NodeName, Stances>,
    shelf: &Shelf<'_>,
    draft: &mut Draft,
) -> BTreeMap<PluginName, Forms> {
    let mut plugins: BTreeMap<PluginName, Forms> = BTreeMap::new();
    for subject in &group.nodes {
        let running = subject.facts.master.is_some() && subject.facts.admin.is_ok();
        for (plugin, stance) in &stances[&subject.name] {
            match form(&subject.name, plugin, stance, shelf, running) {
                Ok((form, why)) => {
                    let nodes = plugins.entry(plugin.clone()).or_default().entry(form).or_default();
                    nodes.nodes.push(subject.name.clone());
                    for text in &why {
                        draft.say(&subject.name, Said::found(format!("{plugin}: {text}")));
                    }
                    nodes.why.extend(why);
                }
                Err(why) => draft.say(&subject.name, Said::open(format!("{plugin} is left out here: {why}"))),
            }
        }
    }
    plugins
}

/// The form of a plugin on a node, and what is to be said of it.
fn form(
    node: &NodeName,
    plugin: &PluginName,
    stance: &Stance,
    shelf: &Shelf<'_>,
    running: bool,
) -> Result<(Form, BTreeSet<String>), String> {
    let found = match &stance.files {
        Ok(_) => shelf.on(node, plugin).map_err(str::to_owned),
        Err(why) => Err(why.clone()),
    };
    let mut why: BTreeSet<String> =
        stance.directive_external.iter().map(|why| format!("directive: external, as {why}")).collect();
    let files = match &found {
        Ok(variant) => stance.files_external.clone().or_else(|| variant.differs.clone()),
        Err(why) if stance.present && running => Some(why.clone()),
        Err(why) => return Err(why.clone()),
    };
    why.extend(files.iter().map(|why| format!("files: external, as {why}")));
    let form = Form {
        label: found.ok().map(|variant| variant.label.clone()),
        present: stance.present,
        files_external: files.is_some(),
        directive_external: stance.directive_external.is_some(),
    };
    Ok((form, why))
}

/// A plugin that has a bundle cannot be assigned without one.
fn without_content(plugin: &PluginName, forms: &mut Forms, draft: &mut Draft) {
    let left: Vec<Form> = forms.keys().filter(|form| form.label.is_none()).cloned().collect();
    for form in left {
        let Some(nodes) = forms.remove(&form) else { continue };
        let why: Vec<&str> = nodes.why.iter().map(String::as_str).collect();
        for node in &nodes.nodes {
            let text = format!("{plugin} is left out here: {}; other nodes have a bundle of this name", why.join("; "));
            draft.say(node, Said::open(text));
        }
    }
}

/// The versions that the own bundle of each plugin needs: one for each content that is the commonest of some cluster.
fn versions(all: &[(&Group<'_>, BTreeMap<PluginName, Forms>)]) -> BTreeMap<PluginName, BTreeSet<VersionLabel>> {
    let mut versions: BTreeMap<PluginName, BTreeSet<VersionLabel>> = BTreeMap::new();
    for (plugin, forms) in all.iter().flat_map(|(_, plugins)| plugins) {
        let first = forms
            .iter()
            .filter(|(form, _)| form.label.is_some())
            .max_by_key(|(form, nodes)| (nodes.nodes.len(), std::cmp::Reverse(*form)));
        if let Some(label) = first.and_then(|(form, _)| form.label.clone()) {
            versions.entry(plugin.clone()).or_default().insert(label);
        }
    }
    versions
}

type Key = Option<(String, Option<VersionLabel>)>;

fn own<'a>(
    assigned: &mut Assigned<'a>,
    plugin: &PluginName,
    form: &Form,
    nodes: &Nodes,
    shelf: &'a Shelf<'_>,
    versions: &BTreeMap<PluginName, BTreeSet<VersionLabel>>,
) -> Key {
    let Some(label) = &form.label else { return Some((plugin.to_string(), None)) };
    let name = BundleName::parse(plugin.as_str()).ok()?;
    let several = versions.get(plugin).is_some_and(|labels| labels.len() > 1);
    let version = several.then(|| label.clone());
    let directory = if several { format!("plugins/{plugin}/{label}") } else { format!("plugins/{plugin}") };
    put(assigned, &name, version.clone(), directory, (plugin, nodes), shelf)?;
    Some((plugin.to_string(), version))
}

/// A bundle of its own, whose name is nobody else's.
fn other<'a>(
    assigned: &mut Assigned<'a>,
    (plugin, names): (&PluginName, &BTreeSet<PluginName>),
    form: &Form,
    nodes: &Nodes,
    shelf: &'a Shelf<'_>,
) -> Key {
    let label = form.label.as_ref()?;
    let taken = |name: &BundleName| {
        assigned.bundles.contains_key(name) || names.iter().any(|other| other.as_str() == name.as_str())
    };
    let numbered =
        (1..1000).map(|n| if n == 1 { format!("{plugin}-{label}") } else { format!("{plugin}-{label}-{n}") });
    let name = numbered.filter_map(|text| BundleName::parse(&text.replace('+', "-")).ok()).find(|name| !taken(name))?;
    let directory = format!("plugins/{name}");
    put(assigned, &name, None, directory, (plugin, nodes), shelf)?;
    Some((name.to_string(), None))
}

fn put<'a>(
    assigned: &mut Assigned<'a>,
    name: &BundleName,
    version: Option<VersionLabel>,
    directory: String,
    (plugin, nodes): (&PluginName, &Nodes),
    shelf: &'a Shelf<'_>,
) -> Option<()> {
    let variant = shelf.on(nodes.nodes.first()?, plugin).ok()?;
    assigned.directories.insert(directory.clone(), variant);
    let source =
        assigned.bundles.entry(name.clone()).or_default().entry(version).or_insert((directory, BTreeSet::new()));
    source.1.extend(nodes.nodes.iter().cloned());
    Some(())
}

fn entry(group: &Group<'_>, form: &Form, nodes: &Nodes, version: Option<VersionLabel>) -> Entry {
    let all = nodes.nodes.len() == group.nodes.len();
    Entry {
        version,
        present: form.present,
        files_external: form.files_external,
        directive_external: form.directive_external,
        on: (!all).then(|| collapse(&nodes.nodes)),
        why: nodes.why.clone(),
    }
}
