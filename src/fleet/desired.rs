//! The desired state, read from one commit: inventory, bundles, and what is not used because it was not committed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bundle::{Bundle, BundleError, SourceEntry, SourceKind};
use crate::diff::Bundles;
use crate::git::{self, Commit, GitError, Repository, Tree};
use crate::hint::Hint;
use crate::inventory::{self, BundleSource, Inventory, Mistakes, Place, TreePath, VersionLabel};
use crate::name::{BundleName, Digest};
use crate::plan::Origin;

/// Where the desired state is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A directory in the repository.
    pub repo: PathBuf,
    /// A commit, branch or tag.
    pub rev: String,
    /// The inventory's path in the repository; none: `inventory.yaml` at its top.
    pub inventory: Option<TreePath>,
}

/// What is wanted, at one commit.
pub struct Desired {
    /// Where it comes from.
    pub origin: Origin,
    /// The inventory.
    pub inventory: Inventory,
    /// The content of every bundle that a cluster is assigned.
    pub bundles: Bundles,
    /// Every version of these bundles that could be read, by digest.
    pub known: BTreeMap<Digest, Arc<Bundle>>,
    /// Files that were changed and not committed, and so are not used.
    pub dirty: Vec<String>,
}

/// Why the desired state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The inventory.
    #[error(transparent)]
    Inventory(#[from] Mistakes),
    /// One or more bundles; each with the place of its entry in the inventory.
    #[error("{}", bundles_text(.0))]
    Bundles(Vec<(String, BundleTrouble)>),
}

/// Why a bundle could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleTrouble {
    /// Its bytes could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Its content is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl BundleTrouble {
    fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Git(error) => error.hints(),
            Self::Bundle(error) => error.hints(),
        }
    }
}

fn bundles_text(troubles: &[(String, BundleTrouble)]) -> String {
    let one = |(place, trouble): &(String, BundleTrouble)| {
        // What is wrong with single files has its hints below each of them.
        let apart = !matches!(trouble, BundleTrouble::Bundle(BundleError::Faulty { .. }));
        let hints = trouble.hints().into_iter().filter(|_| apart).map(|hint| format!("\n    {hint}"));
        format!("{place}: {trouble}{}", hints.collect::<String>())
    };
    troubles.iter().map(one).collect::<Vec<_>>().join("\n")
}

impl DesiredError {
    /// What to do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Git(error) => error.hints(),
            // Each mistake carries its own.
            Self::Inventory(_) => Vec::new(),
            Self::Bundles(troubles) => {
                let hints = troubles.iter().flat_map(|(_, trouble)| trouble.hints());
                let mut unique: Vec<Hint> = Vec::new();
                hints.for_each(|hint| {
                    if !unique.contains(&hint) {
                        unique.push(hint);
                    }
                });
                unique
            }
        }
    }
}

impl Desired {
    /// Reads inventory and bundles from the commit. Nothing in the repository is executed, and the work tree is not used.
    pub fn read(source: &Source) -> Result<Self, DesiredError> {
        let repository = Repository::open(&source.repo)?;
        let commit = repository.resolve(&source.rev)?;
        let tree = repository.tree(&commit.revision)?;
        let (file, bytes) = tree.inventory(source.inventory.as_ref())?;
        let mut inventory = inventory::parse(&file, &bytes)?;
        read_declared(&tree, &mut inventory)?;
        let mut shelf = Shelf { repository: &repository, tree: &tree, file: &file, made: BTreeMap::new() };
        let (bundles, known) = shelf.bundles(&inventory)?;
        let dirty = dirty(&repository, &commit, &inventory, &file)?;
        let origin = Origin {
            repository: name(&repository, source),
            revision: commit.revision.clone(),
            summary: commit.summary.clone(),
            branch: commit.branch.clone(),
        };
        Ok(Self { origin, inventory, bundles, known, dirty })
    }
}

impl Desired {
    /// Reads only where the machines are: what works with a broken inventory, too. The second value is what is wrong with it.
    pub fn machines(source: &Source) -> Result<(Self, Option<Mistakes>), DesiredError> {
        let repository = Repository::open(&source.repo)?;
        let commit = repository.resolve(&source.rev)?;
        let tree = repository.tree(&commit.revision)?;
        let (file, bytes) = tree.inventory(source.inventory.as_ref())?;
        let (inventory, mistakes) = inventory::machines(&file, &bytes)?;
        let origin = Origin {
            repository: name(&repository, source),
            revision: commit.revision.clone(),
            summary: commit.summary.clone(),
            branch: commit.branch.clone(),
        };
        let desired = Self { origin, inventory, bundles: Bundles::new(), known: BTreeMap::new(), dirty: Vec::new() };
        Ok((desired, mistakes))
    }
}

/// Reads the files that clusters name with `declared_in`, from the planned commit.
fn read_declared(tree: &Tree<'_>, inventory: &mut Inventory) -> Result<(), DesiredError> {
    let named = inventory.clusters.values().flat_map(|cluster| &cluster.declared_in);
    let files: BTreeMap<TreePath, Place> = named.map(|named| (named.file.clone(), named.place)).collect();
    let mut known = BTreeMap::new();
    for (file, place) in files {
        let bytes = tree.read(&file).map_err(|error| {
            let instead = "name a file that is committed, counted from the top of the repository";
            inventory.mistaken(place, &format!("declared_in: {error}"), instead)
        })?;
        let declares = inventory::declares(file.as_str(), &bytes)?;
        known.insert(file, declares);
    }
    for named in inventory.clusters.values_mut().flat_map(|cluster| &mut cluster.declared_in) {
        named.declares = known.get(&named.file).cloned().unwrap_or_default();
    }
    Ok(())
}

/// What people call the repository: the directory that it is in.
fn name(repository: &Repository, source: &Source) -> String {
    let dir = repository.top().map_or_else(|| source.repo.clone(), std::path::Path::to_path_buf);
    let name = dir.file_name().or_else(|| source.repo.file_name());
    let name = name.map_or_else(|| "repository".to_owned(), |name| name.to_string_lossy().into_owned());
    crate::kong::printable(&name, 80)
}

/// What is not committed of the inventory and of the sources that are taken from the planned commit.
fn dirty(repository: &Repository, commit: &Commit, inventory: &Inventory, file: &str) -> Result<Vec<String>, GitError> {
    if commit.branch.is_none() {
        // Another commit than the one checked out was asked for: what the work tree has is not meant.
        return Ok(Vec::new());
    }
    let mut paths: Vec<TreePath> = TreePath::parse(file).into_iter().collect();
    paths.extend(inventory.clusters.values().flat_map(|cluster| &cluster.declared_in).map(|named| named.file.clone()));
    for entry in inventory.bundles.values() {
        for (_, source) in entry.sources() {
            if !matches!(source, BundleSource::Directory { at: Some(_), .. }) {
                paths.push(source.path().clone());
            }
        }
    }
    repository.dirty(&commit.revision, &paths)
}

type Key = (BundleName, Option<VersionLabel>);

/// Makes bundles from the repository, each once.
struct Shelf<'a> {
    repository: &'a Repository,
    tree: &'a Tree<'a>,
    file: &'a str,
    made: BTreeMap<Key, Arc<Bundle>>,
}

impl Shelf<'_> {
    fn bundles(&mut self, inventory: &Inventory) -> Result<(Bundles, BTreeMap<Digest, Arc<Bundle>>), DesiredError> {
        let mut bundles = Bundles::new();
        let mut troubles = Vec::new();
        for assignment in inventory.clusters.values().flat_map(|cluster| cluster.plugins.values()) {
            let (Some(name), Some(source)) = (assignment.subject.bundle(), inventory.source(assignment)) else {
                continue;
            };
            let key = (name.clone(), assignment.version.clone());
            match self.make(&key, source) {
                Ok(bundle) => drop(bundles.insert(key, bundle)),
                Err(trouble) => {
                    let place = place(self.file, source, &key, &trouble);
                    if !troubles.iter().any(|(known, _)| *known == place) {
                        troubles.push((place, trouble));
                    }
                }
            }
        }
        if !troubles.is_empty() {
            return Err(DesiredError::Bundles(troubles));
        }
        let known = self.known(inventory, &bundles);
        Ok((bundles, known))
    }

    /// The other versions of the bundles that are assigned: what an upgrade comes from. One that cannot be made is left
    /// out, as nothing depends on it.
    fn known(&mut self, inventory: &Inventory, bundles: &Bundles) -> BTreeMap<Digest, Arc<Bundle>> {
        for (name, entry) in &inventory.bundles {
            if !bundles.keys().any(|(assigned, _)| assigned == name) {
                continue;
            }
            for (version, source) in entry.sources() {
                if let Err(trouble) = self.make(&(name.clone(), version.cloned()), source) {
                    tracing::debug!(bundle = %name, %trouble, "another version of an assigned bundle cannot be read");
                }
            }
        }
        self.made.values().map(|bundle| (bundle.digest.clone(), bundle.clone())).collect()
    }

    fn make(&mut self, key: &Key, source: &BundleSource) -> Result<Arc<Bundle>, BundleTrouble> {
        if let Some(bundle) = self.made.get(key) {
            return Ok(bundle.clone());
        }
        let bundle = Arc::new(match source {
            BundleSource::Directory { dir, at, .. } => {
                let entries = match at {
                    None => self.tree.source(dir)?,
                    Some(at) => self.repository.tree(&self.repository.resolve_at(at)?.revision)?.source(dir)?,
                };
                let before = if dir.as_str() == "." { String::new() } else { format!("{dir}/") };
                let made = Bundle::from_files(key.0.clone(), entries.into_iter().map(entry));
                made.map_err(|error| error.within(&before))?
            }
            BundleSource::Archive { archive, sha256, .. } => {
                let bytes = self.tree.read(archive)?;
                let made = Bundle::from_archive(key.0.clone(), &bytes, sha256);
                made.map_err(|error| error.within(&format!("{archive}: ")))?
            }
        });
        self.made.insert(key.clone(), bundle.clone());
        Ok(bundle)
    }
}

fn entry(entry: git::Entry) -> SourceEntry {
    let kind = match entry.kind {
        // `Tree::source` has refused pointers of Git LFS already.
        git::Kind::File | git::Kind::Executable | git::Kind::LfsPointer => SourceKind::File,
        git::Kind::Symlink => SourceKind::Symlink,
        git::Kind::Submodule => SourceKind::Submodule,
    };
    SourceEntry { path: entry.path, kind, bytes: entry.bytes }
}

/// Where the entry of a bundle stands, and which directory or archive it names. What is wrong with content names the
/// bundle itself.
fn place(file: &str, source: &BundleSource, (name, version): &Key, trouble: &BundleTrouble) -> String {
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let at = format!("{file}:{}", source.place());
    match trouble {
        BundleTrouble::Git(_) => format!("{at}: bundle {name}{version}"),
        BundleTrouble::Bundle(_) => format!("{at}: from {}{version}", source.path()),
    }
}
