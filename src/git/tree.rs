//! The files of one commit.

use git2::{ErrorCode, ObjectType};

use super::repository::harmless;
use super::{GitError, Repository};
use crate::inventory::{FILE_NAME, TreePath};
use crate::name::Revision;

/// The largest file, and the most that a directory may hold in all: far more than any plugin has.
const MAX_BYTES: u64 = 256 << 20;
/// The most entries of a source directory.
const MAX_ENTRIES: usize = 50_000;
/// Directories inside each other.
const MAX_DEPTH: usize = 64;
/// A Git LFS pointer is a small text file that begins so (crates.md 3).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// The tree of one commit.
pub struct Tree<'r> {
    repository: &'r Repository,
    root: git2::Tree<'r>,
    revision: Revision,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A file whose content is in Git LFS; the bytes are the pointer.
    LfsPointer,
    /// A symbolic link; the bytes are its target.
    Symlink,
    /// A submodule; there are no bytes.
    Submodule,
}

/// An entry below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the directory that was listed, with `/` between the parts. Whoever made the commit chose the bytes.
    pub path: Vec<u8>,
    /// The mode that Git has for it: `0o100644`, `0o100755`, `0o120000`, `0o160000`.
    pub mode: u32,
    /// The id of its content.
    pub oid: String,
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl<'r> Tree<'r> {
    pub(super) fn of(repository: &'r Repository, revision: &Revision) -> Result<Self, GitError> {
        let doing = || format!("read the tree of {revision}");
        let oid = git2::Oid::from_str(revision.as_str()).map_err(|error| GitError::other(doing(), &error))?;
        let tree = repository.0.find_commit(oid).and_then(|commit| commit.tree());
        let tree = tree.map_err(|error| match error.code() {
            ErrorCode::NotFound => GitError::Missing {
                path: "the tree".to_owned(),
                revision: revision.short().to_owned(),
                partial: repository.is_partial(),
            },
            _ => GitError::other(doing(), &error),
        })?;
        Ok(Self { repository, root: tree, revision: revision.clone() })
    }

    /// The commit that the files are of.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The inventory: at this path, or `inventory.yaml` at the top. With its path, for messages.
    pub fn inventory(&self, path: Option<&TreePath>) -> Result<(String, Vec<u8>), GitError> {
        let name = path.map_or(FILE_NAME, TreePath::as_str);
        match self.read_text(name) {
            Err(GitError::NotInTree { path, revision }) => {
                Err(GitError::NoInventory { path, revision, candidates: self.candidates() })
            }
            read => read.map(|bytes| (name.to_owned(), bytes)),
        }
    }

    /// The bytes of a file.
    pub fn read(&self, path: &TreePath) -> Result<Vec<u8>, GitError> {
        self.read_text(path.as_str())
    }

    /// Everything below a directory, by path: what a source is made of. Links, submodules and LFS pointers are listed as
    /// what they are; [`Tree::source`] refuses them.
    pub fn list(&self, dir: &TreePath) -> Result<Vec<Entry>, GitError> {
        let mut listing = Listing { entries: Vec::new(), bytes: 0 };
        match dir.as_str() {
            "." => self.below(&self.root, dir, (&mut Vec::new(), 0), &mut listing)?,
            text => {
                let entry = self.entry(text)?;
                if entry.kind() != Some(ObjectType::Tree) {
                    return Err(self.wrong_kind(text, &entry, "a directory"));
                }
                let tree = self.repository.0.find_tree(entry.id()).map_err(|error| self.missing(text, &error))?;
                self.below(&tree, dir, (&mut Vec::new(), 0), &mut listing)?;
            }
        }
        listing.entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listing.entries)
    }

    /// Everything below a directory, all of it files with their content in this repository.
    pub fn source(&self, dir: &TreePath) -> Result<Vec<Entry>, GitError> {
        let entries = self.list(dir)?;
        for entry in &entries {
            let path = format!("{dir}/{}", harmless(&String::from_utf8_lossy(&entry.path)));
            let revision = self.short();
            match entry.kind {
                Kind::File | Kind::Executable => {}
                Kind::LfsPointer => return Err(GitError::LfsPointer { path, revision }),
                Kind::Symlink => return Err(GitError::Symlink { path, revision }),
                Kind::Submodule => return Err(GitError::Submodule { path, revision }),
            }
        }
        Ok(entries)
    }

    fn short(&self) -> String {
        self.revision.short().to_owned()
    }

    fn read_text(&self, path: &str) -> Result<Vec<u8>, GitError> {
        if path == "." {
            let revision = self.short();
            return Err(GitError::WrongKind {
                path: path.to_owned(),
                revision,
                wanted: "a file",
                found: "a directory",
            });
        }
        let entry = self.entry(path)?;
        if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == 0o120_000 {
            return Err(self.wrong_kind(path, &entry, "a file"));
        }
        let bytes = self.blob(path, entry.id(), 0)?;
        if is_lfs(&bytes) {
            return Err(GitError::LfsPointer { path: path.to_owned(), revision: self.short() });
        }
        Ok(bytes)
    }

    /// The entry of a path, part by part, so that a link or a submodule on the way is named.
    fn entry(&self, path: &str) -> Result<git2::TreeEntry<'static>, GitError> {
        let none = || GitError::NotInTree { path: path.to_owned(), revision: self.short() };
        let mut tree = self.root.clone();
        let mut walked = String::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            walked.push_str(part);
            let entry = tree.get_name(part).ok_or_else(none)?.to_owned();
            if parts.peek().is_none() {
                return Ok(entry);
            }
            if entry.kind() != Some(ObjectType::Tree) {
                return Err(self.wrong_kind(&walked, &entry, "a directory"));
            }
            tree = self.repository.0.find_tree(entry.id()).map_err(|error| self.missing(&walked, &error))?;
            walked.push('/');
        }
        Err(none())
    }

    fn wrong_kind(&self, path: &str, entry: &git2::TreeEntry<'_>, wanted: &'static str) -> GitError {
        let (path, revision) = (path.to_owned(), self.short());
        match (entry.kind(), entry.filemode()) {
            (_, 0o120_000) => GitError::Symlink { path, revision },
            (Some(ObjectType::Commit), _) => GitError::Submodule { path, revision },
            (Some(ObjectType::Tree), _) => GitError::WrongKind { path, revision, wanted, found: "a directory" },
            _ => GitError::WrongKind { path, revision, wanted, found: "a file" },
        }
    }

    fn missing(&self, path: &str, error: &git2::Error) -> GitError {
        match error.code() {
            ErrorCode::NotFound => GitError::Missing {
                path: path.to_owned(),
                revision: self.short(),
                partial: self.repository.is_partial(),
            },
            _ => GitError::other(format!("read {path:?}"), error),
        }
    }

    /// The bytes of a file; `before` of the allowed ones are used up already. Its size is looked at before it is loaded.
    fn blob(&self, path: &str, oid: git2::Oid, before: u64) -> Result<Vec<u8>, GitError> {
        let missing = |error: git2::Error| self.missing(path, &error);
        let (size, _) = self.repository.0.odb().and_then(|odb| odb.read_header(oid)).map_err(missing)?;
        let bytes = before + size as u64;
        if bytes > MAX_BYTES {
            return Err(GitError::TooLarge { path: path.to_owned(), revision: self.short(), bytes, limit: MAX_BYTES });
        }
        Ok(self.repository.0.find_blob(oid).map_err(missing)?.content().to_vec())
    }

    fn below(
        &self,
        tree: &git2::Tree<'_>,
        dir: &TreePath,
        (prefix, depth): (&mut Vec<u8>, usize),
        listing: &mut Listing,
    ) -> Result<(), GitError> {
        for entry in tree {
            let length = prefix.len();
            prefix.extend_from_slice(entry.name_bytes());
            let shown = format!("{dir}/{}", harmless(&String::from_utf8_lossy(prefix)));
            if depth >= MAX_DEPTH || listing.entries.len() >= MAX_ENTRIES {
                let why = format!("{shown:?} is entry {} at depth {depth}", listing.entries.len());
                return Err(GitError::Other { doing: format!("list {dir}"), why: format!("too much: {why}") });
            }
            if entry.kind() == Some(ObjectType::Tree) {
                let below = self.repository.0.find_tree(entry.id()).map_err(|error| self.missing(&shown, &error))?;
                prefix.push(b'/');
                self.below(&below, dir, (prefix, depth + 1), listing)?;
            } else {
                listing.add(self.leaf(&entry, prefix, &shown, listing.bytes)?);
            }
            prefix.truncate(length);
        }
        Ok(())
    }

    fn leaf(&self, entry: &git2::TreeEntry<'_>, path: &[u8], shown: &str, before: u64) -> Result<Entry, GitError> {
        let mode = u32::try_from(entry.filemode()).unwrap_or_default();
        let submodule = entry.kind() == Some(ObjectType::Commit);
        let bytes = if submodule { Vec::new() } else { self.blob(shown, entry.id(), before)? };
        let kind = match mode {
            _ if submodule => Kind::Submodule,
            0o120_000 => Kind::Symlink,
            _ if is_lfs(&bytes) => Kind::LfsPointer,
            0o100_755 => Kind::Executable,
            _ => Kind::File,
        };
        Ok(Entry { path: path.to_vec(), mode, oid: entry.id().to_string(), kind, bytes })
    }

    /// Files that could be the inventory that was not found: YAML named so within two directories, or at the top with clusters
    /// in it.
    fn candidates(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.yaml(&self.root, "", 0, &mut found);
        found.sort_by_key(|path: &String| (!path.contains("inventory"), path.len(), path.clone()));
        found.truncate(5);
        found
    }

    fn names_clusters(&self, entry: &git2::TreeEntry<'_>) -> bool {
        self.repository.0.find_blob(entry.id()).is_ok_and(|blob| has_clusters(blob.content()))
    }

    fn yaml(&self, tree: &git2::Tree<'_>, prefix: &str, depth: usize, found: &mut Vec<String>) {
        for entry in tree {
            let Ok(name) = entry.name() else { continue };
            let path = format!("{prefix}{name}");
            let yaml = std::path::Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml");
            match entry.kind() {
                Some(ObjectType::Blob) if yaml && (depth == 0 || name.contains("inventory")) => {
                    let likely = path.contains("inventory") || self.names_clusters(&entry);
                    found.extend(likely.then(|| harmless(&path)));
                }
                Some(ObjectType::Tree) if depth < 2 && found.len() < 100 => {
                    if let Ok(below) = self.repository.0.find_tree(entry.id()) {
                        self.yaml(&below, &format!("{path}/"), depth + 1, found);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether a text has the key that every inventory has: other YAML at the top of a repository is no guess worth making.
fn has_clusters(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"clusters:"))
}

/// What was listed so far.
struct Listing {
    entries: Vec<Entry>,
    bytes: u64,
}

impl Listing {
    fn add(&mut self, entry: Entry) {
        self.bytes += entry.bytes.len() as u64;
        self.entries.push(entry);
    }
}

fn is_lfs(bytes: &[u8]) -> bool {
    bytes.len() < 1024 && bytes.starts_with(LFS)
}
