//! The only door to an inventory: bytes in, a checked value or every mistake out.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::decode::typed;
use super::document::{Defaults, Document, SourceKeys};
use super::mistake::{Mistake, Mistakes, Weight};
use super::yaml::{self, Entry, Kind, Quotes, Yaml};
use super::{BundleEntry, BundleSource, Cluster, FORMAT, Inventory, Place, VersionLabel, check, cluster_entry};
use crate::name::{BundleName, ClusterName, NameError, NodeName, Owner};

/// The releases of a bundle that are kept on a node where the inventory does not say: the current one and the one before.
const KEPT: u32 = 2;

/// Reads an inventory. Nothing is executed and nothing is opened. `file_name` is only shown.
///
/// On mistakes all of them are returned at once, each with its place and what to write instead. An *entry* (the file's
/// own keys, the defaults, one source, a cluster's own keys, one node, one plugin) tells its first mistake of structure
/// only; the next one of the same entry shows once that is put right.
pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Inventory, Mistakes> {
    let mut reading = Reading::default();
    let text: Arc<str> = match text(bytes) {
        Ok(text) => text.into(),
        Err(mistake) => {
            return Err(Mistakes::new(file_name, String::from_utf8_lossy(lines(bytes)).into(), vec![*mistake]));
        }
    };
    let inventory = yaml::read(&text, &mut reading.mistakes).and_then(|root| reading.inventory(&root));
    let (warnings, wrong): (Vec<_>, Vec<_>) =
        reading.mistakes.iter().cloned().partition(|mistake| mistake.weight == Weight::Warning);
    match inventory {
        Some(inventory) if wrong.is_empty() => Ok(Inventory { warnings, file: file_name.into(), text, ..inventory }),
        _ => {
            if wrong.is_empty() {
                let mistake = Mistake::new(Place::START, "the inventory is empty");
                reading.mistakes.push(mistake.instead("begin with `version: 1` and `owner: YOUR-TEAM`"));
            }
            Err(Mistakes::new(file_name, text, reading.mistakes))
        }
    }
}

/// Reads only where the machines of a fleet are, as far as it can be told: what has to work with a broken inventory (looking
/// at leases, taking one away) needs no more. Bundles, plugins and rollouts are not read, and a cluster that cannot be read
/// is left out. The second value is what was wrong with the rest.
pub fn machines(file_name: &str, bytes: &[u8]) -> Result<(Inventory, Option<Mistakes>), Mistakes> {
    let whole = match parse(file_name, bytes) {
        Ok(inventory) => return Ok((inventory, None)),
        Err(mistakes) => mistakes,
    };
    let Ok(text) = text(bytes) else { return Err(whole) };
    let mut reading = Reading::default();
    let root = yaml::read(text, &mut reading.mistakes).map(|root| root.without(&["bundles"]));
    let clusters = root.as_ref().and_then(|root| root.entry("clusters"));
    let Some(clusters) = clusters else { return Err(whole) };
    let reduced = clusters.value.map_values(|cluster| cluster.without(&["plugins", "rollout", "declared_in"]));
    if let Some(defaults) = root.as_ref().and_then(|root| root.entry("defaults")) {
        reading.defaults = typed(&defaults.value, defaults.at, &[], &mut reading.mistakes).unwrap_or_default();
    }
    let root = Yaml { at: Place::START, kind: Kind::Map([Entry { value: reduced, ..clusters.clone() }].into()) };
    let clusters = reading.clusters(&root);
    if clusters.is_empty() {
        return Err(whole);
    }
    // Nothing is written under this name: who only looks at machines needs none.
    let Ok(owner) = Owner::parse("unknown") else { return Err(whole) };
    let inventory = Inventory {
        version: FORMAT,
        owner,
        prune: false,
        keep: KEPT,
        bundles: BTreeMap::new(),
        clusters,
        warnings: Vec::new(),
        file: file_name.into(),
        text: text.into(),
    };
    Ok((inventory, Some(whole)))
}

/// The beginning of a file that cannot be read, for an excerpt.
fn lines(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(64 << 10)]
}

fn text(bytes: &[u8]) -> Result<&str, Box<Mistake>> {
    if bytes.len() > yaml::MAX_BYTES {
        let what = format!("the file has {} bytes, more than {}", bytes.len(), yaml::MAX_BYTES);
        return Err(Box::new(Mistake::new(Place::START, what).instead("write nodes as ranges: eu-[1-40]")));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let mistake = Mistake::new(Place { line, column, width: 1 }, "this byte is not UTF-8");
        Box::new(mistake.instead("save the file as UTF-8"))
    })
}

/// What is known of a bundle while assignments are read, whether or not its sources could be read.
#[derive(Default)]
pub(super) struct Outline {
    pub(super) single: bool,
    pub(super) versions: BTreeSet<VersionLabel>,
    /// Something in it could not be read, so that nothing is concluded from what is not in it.
    pub(super) broken: bool,
}

/// The state of one reading.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) defaults: Defaults,
    pub(super) outlines: BTreeMap<BundleName, Outline>,
    pub(super) clusters: BTreeSet<ClusterName>,
    /// Every node so far, to find a name that is used twice.
    pub(super) nodes: BTreeMap<NodeName, (ClusterName, Place)>,
    /// How many names were made of ranges and lists, so that a small file cannot cost much.
    pub(super) named: usize,
}

impl Reading {
    fn inventory(&mut self, root: &Yaml) -> Option<Inventory> {
        if root.is_null() {
            return None;
        }
        let own: Option<Document> = typed(root, Place::START, &["defaults", "bundles", "clusters"], &mut self.mistakes);
        self.format(root, own.as_ref());
        if let Some(entry) = root.entry("defaults") {
            self.defaults = typed(&entry.value, entry.at, &[], &mut self.mistakes).unwrap_or_default();
        }
        let bundles = self.bundles(root);
        let clusters = self.clusters(root);
        check::across(&clusters, self, root);
        let own = own?;
        Some(Inventory {
            version: own.version,
            owner: own.owner,
            prune: own.prune,
            keep: own.keep.map_or(KEPT, NonZeroU32::get),
            bundles,
            clusters,
            warnings: Vec::new(),
            file: "".into(),
            text: "".into(),
        })
    }

    fn format(&mut self, root: &Yaml, own: Option<&Document>) {
        if let (Some(own), Some(entry)) = (own, root.entry("version"))
            && own.version != FORMAT
        {
            let mistake = Mistake::new(entry.value.at, format!("format {} is not known to this muster", own.version));
            self.mistakes.push(mistake.instead(format!("write {FORMAT}, or use the muster that the file is for")));
        }
    }

    /// The entries of a map; a mistake where there is something else. Nothing at all is an empty map.
    pub(super) fn map<'a>(&mut self, entry: Option<&'a Entry>, of: &str) -> &'a [Entry] {
        let Some(entry) = entry else { return &[] };
        match &entry.value.kind {
            Kind::Map(entries) => entries,
            _ if entry.value.is_null() => &[],
            _ => {
                let mistake = Mistake::new(entry.value.at, format!("`{}` is not a map", entry.key));
                self.mistakes.push(mistake.instead(format!("write one key per {of}")));
                &[]
            }
        }
    }

    /// The key of an entry as a name.
    pub(super) fn name<T: std::str::FromStr<Err = NameError>>(&mut self, text: &str, at: Place) -> Option<T> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.mistakes.push(Mistake::new(at, error.to_string()));
                None
            }
        }
    }

    fn bundles(&mut self, root: &Yaml) -> BTreeMap<BundleName, BundleEntry> {
        let mut bundles = BTreeMap::new();
        for entry in self.map(root.entry("bundles"), "bundle") {
            let Some(name) = self.name::<BundleName>(&entry.key, entry.at) else { continue };
            let mut outline = Outline::default();
            if let Some(bundle) = self.bundle(entry, &mut outline) {
                bundles.insert(name.clone(), bundle);
            }
            self.outlines.insert(name, outline);
        }
        bundles
    }

    fn bundle(&mut self, entry: &Entry, outline: &mut Outline) -> Option<BundleEntry> {
        let entries = entry.value.entries();
        if entries.is_empty() {
            outline.broken = true;
            let mistake = Mistake::new(entry.at, format!("bundle {} has no source", entry.key));
            self.mistakes.push(mistake.instead("write { dir: plugins/NAME }, or one such map per version"));
            return None;
        }
        let is_key = |key: &str| matches!(key, "dir" | "at" | "archive" | "sha256");
        let versions = entries.iter().all(|entry| matches!(entry.value.kind, Kind::Map(_)) && !is_key(&entry.key));
        if !versions {
            outline.single = true;
            let source = self.source(&entry.value, entry.at);
            outline.broken = source.is_none();
            return source.map(BundleEntry::Single);
        }
        let mut sources = BTreeMap::new();
        for entry in entries {
            let Some(version) = self.version_key(entry) else {
                outline.broken = true;
                continue;
            };
            outline.versions.insert(version.clone());
            sources.extend(self.source(&entry.value, entry.at).map(|source| (version, source)));
        }
        Some(BundleEntry::Versions(sources))
    }

    fn version_key(&mut self, entry: &Entry) -> Option<VersionLabel> {
        if entry.quotes == Quotes::Bare && yaml::looks_like_a_number(&entry.key) {
            self.mistakes.push(unquoted(&entry.key, entry.at));
            return None;
        }
        self.name(&entry.key, entry.at)
    }

    fn source(&mut self, yaml: &Yaml, at: Place) -> Option<BundleSource> {
        let keys: SourceKeys = typed(yaml, at, &[], &mut self.mistakes)?;
        let key = |key: &str| yaml.entry(key).map_or(at, |entry| entry.at);
        let wrong = match keys {
            SourceKeys { dir: Some(dir), at: rev, archive: None, sha256: None } => {
                return Some(BundleSource::Directory { dir, at: rev, place: at });
            }
            SourceKeys { dir: None, at: None, archive: Some(archive), sha256: Some(sha256) } => {
                return self.archive_name(
                    &archive,
                    key("archive"),
                    BundleSource::Archive { archive: archive.clone(), sha256, place: at },
                );
            }
            SourceKeys { dir: Some(_), archive: Some(_), .. } => {
                Mistake::new(key("archive"), "a source is a `dir` or an `archive`, not both")
                    .instead("keep one of the two")
            }
            SourceKeys { archive: Some(_), at: Some(_), .. } => {
                let mistake =
                    Mistake::new(key("at"), "`at` goes with `dir` only, as the sha256 already says which archive");
                mistake.instead("take `at` out")
            }
            SourceKeys { archive: Some(archive), .. } => {
                let mistake = Mistake::new(key("archive"), "an archive needs its `sha256`");
                mistake.instead(format!("add the first word of: sha256sum {archive}"))
            }
            SourceKeys { dir: Some(_), .. } => {
                let mistake = Mistake::new(key("sha256"), "`sha256` goes with `archive` only");
                mistake.instead("take it out; a directory is taken from a commit, which says what is in it")
            }
            SourceKeys { .. } => {
                Mistake::new(at, "neither `dir` nor `archive` is given").instead("add `dir: plugins/NAME`")
            }
        };
        self.mistakes.push(wrong);
        None
    }

    fn archive_name(&mut self, archive: &super::TreePath, at: Place, source: BundleSource) -> Option<BundleSource> {
        let name = archive.as_str().to_ascii_lowercase();
        if [".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending)) {
            return Some(source);
        }
        let mistake = Mistake::new(at, format!("{archive} is not a .tar.gz by its name"));
        self.mistakes.push(mistake.instead("pack the directory: tar -czf NAME.tar.gz DIRECTORY"));
        None
    }

    fn clusters(&mut self, root: &Yaml) -> BTreeMap<ClusterName, Cluster> {
        let mut named = Vec::new();
        for entry in self.map(root.entry("clusters"), "cluster") {
            if let Some(name) = self.name::<ClusterName>(&entry.key, entry.at) {
                self.clusters.insert(name.clone());
                named.push((name, entry));
            }
        }
        if named.is_empty() && self.mistakes.is_empty() {
            self.mistakes
                .push(Mistake::warning(Place::START, "the inventory has no clusters, so that nothing is wanted"));
        }
        named
            .into_iter()
            .filter_map(|(name, entry)| Some((name.clone(), cluster_entry::read(self, name, entry)?)))
            .collect()
    }
}

/// An unquoted version that other readers of YAML take for a number.
pub(super) fn unquoted(text: &str, at: Place) -> Mistake {
    let mistake = Mistake::new(at, format!("the version {text} is a number to YAML"));
    mistake.instead(format!("quote it: \"{text}\""))
}
