//! The content of plugins: what is the same on which nodes, and whether it can be a bundle.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Stances;
use super::{Contents, Draft, Said, Subject, node};
use crate::bundle::{Bundle, SourceEntry, required};
use crate::inventory::VersionLabel;
use crate::name::{BundleName, BundlePath, Digest, Hasher, NodeName, PluginName};

/// A content of a plugin: its files, with those of the libraries that go with it.
pub(super) type Files = BTreeMap<BundlePath, Digest>;

/// One content of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) plugin: PluginName,
    pub(super) files: Files,
    /// What it is called; unique among those of the plugin.
    pub(super) label: VersionLabel,
    /// Why a node that has exactly this differs from what a bundle of it would ship.
    pub(super) differs: Option<String>,
}

/// All contents that can be bundles.
pub(super) struct Shelf<'a> {
    contents: &'a Contents,
    variants: BTreeMap<PluginName, Vec<Variant>>,
    /// Which of them each node has, or why none.
    on: BTreeMap<(NodeName, PluginName), Result<usize, String>>,
}

impl<'a> Shelf<'a> {
    pub(super) fn of(
        nodes: &[Subject<'_>],
        stances: &BTreeMap<&NodeName, Stances>,
        contents: &'a Contents,
        draft: &mut Draft,
    ) -> Self {
        let libraries = libraries(nodes, stances, contents, draft);
        let mut shelf = Self { contents, variants: BTreeMap::new(), on: BTreeMap::new() };
        for subject in nodes {
            for (plugin, stance) in &stances[&subject.name] {
                let Ok(own) = &stance.files else { continue };
                let mut files = own.clone();
                for library in libraries.iter().filter(|(_, with)| *with == plugin).map(|(library, _)| library) {
                    files.extend(node::files(library, subject.facts).unwrap_or_default());
                }
                let found = shelf.variant(plugin, files);
                shelf.on.insert((subject.name.clone(), plugin.clone()), found);
            }
        }
        shelf.label();
        shelf
    }

    /// The content of a plugin on a node, if there is one that can be a bundle.
    pub(super) fn on(&self, node: &NodeName, plugin: &PluginName) -> Result<&Variant, &str> {
        match self.on.get(&(node.clone(), plugin.clone())) {
            Some(Ok(index)) => Ok(&self.variants[plugin][*index]),
            Some(Err(why)) => Err(why),
            None => Err("its files were not found"),
        }
    }

    /// The files of a content with their bytes.
    pub(super) fn files(&self, variant: &Variant) -> Vec<(BundlePath, Vec<u8>)> {
        let bytes = |(path, digest): (&BundlePath, &Digest)| Some((path.clone(), self.contents.get(digest)?.clone()));
        variant.files.iter().filter_map(bytes).collect()
    }

    fn variant(&mut self, plugin: &PluginName, files: Files) -> Result<usize, String> {
        let known = self.variants.entry(plugin.clone()).or_default();
        if let Some(index) = known.iter().position(|variant| variant.files == files) {
            return Ok(index);
        }
        let (bundle, differs) = made(plugin, &files, self.contents)?;
        let label = label(&bundle, plugin, &files);
        known.push(Variant { plugin: plugin.clone(), files, label, differs });
        Ok(known.len() - 1)
    }

    /// Tells contents of one version apart.
    fn label(&mut self) {
        for variants in self.variants.values_mut() {
            let labels: Vec<VersionLabel> = variants.iter().map(|variant| variant.label.clone()).collect();
            for (index, variant) in variants.iter_mut().enumerate() {
                let first = labels.iter().position(|label| *label == variant.label);
                if first != Some(index) {
                    variant.label = told_apart(&variant.label, &variant.files);
                }
            }
        }
    }
}

/// Digest of a whole content, short.
fn short(files: &Files) -> String {
    let mut hasher = Hasher::default();
    for (path, digest) in files {
        hasher.update(format!("{digest}  {path}\n").as_bytes());
    }
    hasher.finish().short().to_owned()
}

fn told_apart(label: &VersionLabel, files: &Files) -> VersionLabel {
    VersionLabel::parse(&format!("{label}-{}", &short(files)[..8])).unwrap_or_else(|_| label.clone())
}

fn label(bundle: &Bundle, plugin: &PluginName, files: &Files) -> VersionLabel {
    let version = bundle.plugins.get(plugin).and_then(|info| info.version.as_deref());
    let parsed = version.filter(|version| version.len() <= 40).and_then(|version| VersionLabel::parse(version).ok());
    parsed
        .or_else(|| VersionLabel::parse(&format!("found-{}", short(files))).ok())
        .unwrap_or_else(|| unreachable!("letters and hexadecimal digits are a version"))
}

/// The bundle of these files, and what of them it would not ship. `Err`: they cannot be one.
fn made(plugin: &PluginName, files: &Files, contents: &Contents) -> Result<(Bundle, Option<String>), String> {
    let mut entries = Vec::new();
    for (path, digest) in files {
        let bytes = contents.get(digest).ok_or_else(|| format!("the content of {path} could not be fetched"))?;
        entries.push(SourceEntry::file(path.as_str(), bytes.clone()));
    }
    let name = BundleName::parse(plugin.as_str()).map_err(|error| error.to_string())?;
    let bundle = Bundle::from_files(name, entries).map_err(|error| format!("it cannot be a bundle: {error}"))?;
    let left: Vec<&str> =
        files.keys().filter(|path| !bundle.files.contains_key(*path)).map(BundlePath::as_str).collect();
    let differs = (!left.is_empty()).then(|| {
        let names = left.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let more = left.len().saturating_sub(3);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{names}{more}: never shipped, and there; remove it on the nodes to have muster write the files")
    });
    // Several plugins in one directory of sources are several bundles here.
    if bundle.plugins.contains_key(plugin) {
        Ok((bundle, differs))
    } else {
        Err("its directory holds no handler and schema of that name".to_owned())
    }
}

/// The directories without a plugin in them that plugins require, each with the plugin whose bundle it goes into: the first one,
/// as one path may be in one bundle only.
fn libraries(
    nodes: &[Subject<'_>],
    stances: &BTreeMap<&NodeName, Stances>,
    contents: &Contents,
    draft: &mut Draft,
) -> BTreeMap<BundlePath, PluginName> {
    let mut wanting: BTreeMap<BundlePath, BTreeSet<PluginName>> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for subject in nodes {
        let roots = node::own_roots(subject.place, subject.facts).into_iter();
        let library = |root: &BundlePath| {
            let name = root.as_str().rsplit('/').next().unwrap_or_default();
            subject.place.directories.get(name) == Some(&false)
        };
        let libraries: BTreeSet<BundlePath> = roots.filter(library).collect();
        for (plugin, stance) in &stances[&subject.name] {
            for library in wanted(stance.files.as_ref().ok(), &libraries, contents) {
                wanting.entry(library).or_default().insert(plugin.clone());
            }
        }
        all.extend(libraries.into_iter().map(|library| (library, subject.name.clone())));
    }
    for (library, node) in all.iter().filter(|(library, _)| !wanting.contains_key(library)) {
        draft.say(node, Said::open(format!("{library} has no handler, and no plugin here requires it: left alone")));
    }
    let mut chosen = BTreeMap::new();
    for (library, plugins) in wanting {
        let mut plugins = plugins.into_iter();
        let Some(first) = plugins.next() else { continue };
        let others: Vec<String> = plugins.map(|plugin| plugin.to_string()).collect();
        if !others.is_empty() {
            let text = format!(
                "{library} is shared by {first} and {}: it is in the bundle of {first}, which the others need beside them",
                others.join(", ")
            );
            draft.general.push(Said::assumed(text));
        }
        chosen.insert(library, first);
    }
    chosen
}

/// Which of these libraries the files of a plugin require.
fn wanted(files: Option<&Files>, libraries: &BTreeSet<BundlePath>, contents: &Contents) -> Vec<BundlePath> {
    let lua = files.into_iter().flatten().filter(|(path, _)| is_lua(path));
    let modules: BTreeSet<String> =
        lua.filter_map(|(_, digest)| contents.get(digest)).flat_map(|bytes| required(bytes)).collect();
    let needs = |library: &&BundlePath| {
        let module = library.as_str().replace('/', ".");
        modules.iter().any(|required| *required == module || required.starts_with(&format!("{module}.")))
    };
    libraries.iter().filter(needs).cloned().collect()
}

/// Whether Lua finds a file as a module: by `.lua` in just that spelling.
fn is_lua(path: &BundlePath) -> bool {
    path.as_str().rsplit_once('.').is_some_and(|(_, ending)| ending == "lua")
}
