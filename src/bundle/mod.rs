//! Content made ready to ship: bytes in, a [`Bundle`] with one digest out.
//!
//! Owns: which files of a source ship and where they go under the Lua root, what is refused (hostile archives, Lua that
//! cannot load), the digest, and the bytes that travel to a node. Must not know: where the bytes came from (Git, a file,
//! a registry), which node wants them, or how they are switched on.

mod archive;
mod content;
mod error;
mod layout;
mod lint;
mod pack;
mod plugin;
mod source_text;

use std::collections::{BTreeMap, BTreeSet};

pub use archive::{MAX_COMPRESSED, MAX_ENTRIES, MAX_UNPACKED};
pub use content::Content;
pub use error::{BundleError, Fault, FaultKind};
pub use layout::{NEVER_SHIPPED, Scope};
pub use plugin::PluginInfo;

use crate::name::{BundleName, BundlePath, Digest, PluginName};

/// What an entry of a source tree is; only [`SourceKind::File`] can ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A regular file; whether it is executable does not matter, as everything ships as 0644.
    File,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A Git submodule: a commit of another repository, without bytes here.
    Submodule,
}

/// One entry of a source tree, as a reader of Git or of an archive delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// The path relative to the directory that is the source, with `/` between the parts; not yet trusted.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: SourceKind,
    /// The bytes of a file; empty for anything else.
    pub bytes: Vec<u8>,
}

impl SourceEntry {
    /// A regular file.
    pub fn file(path: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), kind: SourceKind::File, bytes: bytes.into() }
    }
}

/// Content made ready to ship: files, the paths it owns under the Lua root, its plugins, one digest.
///
/// A bundle that exists is fit to be sent: every Lua file compiles, every plugin has what Kong demands as far as that
/// can be known without running it, every path is harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The name in the inventory.
    pub name: BundleName,
    /// What identifies the content: see [`Bundle::manifest`]. Independent of times, owners, modes and packing.
    pub digest: Digest,
    /// Every file that ships, by its path under the Lua root.
    pub files: BTreeMap<BundlePath, Content>,
    /// The paths that the bundle owns under the Lua root: `kong/plugins/NAME` for all below it, else single files, as
    /// other directories are shared with other owners (protocols.md B1).
    pub roots: BTreeSet<BundlePath>,
    /// The plugins, by the name that goes into the `plugins` directive.
    pub plugins: BTreeMap<PluginName, PluginInfo>,
    /// What a person may want to know; nothing that stops.
    pub notes: Vec<Note>,
    /// What stands before the path of a file, and what stands there in its source instead: `kong/plugins/acme-auth/` and
    /// nothing for a directory that is the plugin.
    pub lead: (String, String),
}

/// Something about a bundle that a person may want to know and that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// These paths of the source do not ship, because of [`NEVER_SHIPPED`] or because nothing could load them.
    NotShipped {
        /// The paths in the source, a directory standing for all below it; at most 20.
        paths: Vec<String>,
        /// How many there are in all.
        total: usize,
    },
    /// This muster was built without LuaJIT, so that no Lua file was compiled; the node's trial load will.
    NotCompiled,
    /// VERSION or PRIORITY of the plugin is computed, so that it is known only after loading.
    Computed {
        /// The plugin.
        plugin: PluginName,
        /// `VERSION` or `PRIORITY`.
        field: String,
    },
    /// The schema of the plugin calls itself otherwise than the plugin's directory, which is the plugin's name.
    OtherName {
        /// The plugin.
        plugin: PluginName,
        /// The `name` that stands in the schema.
        name: String,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotShipped { paths, total } => {
                write!(f, "not shipped: {}", paths.join(", "))?;
                match total.saturating_sub(paths.len()) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::NotCompiled => f.write_str("not compiled: this muster was built without LuaJIT"),
            Self::Computed { plugin, field } => {
                write!(f, "{field} of plugin {plugin} is computed; known after loading")
            }
            Self::OtherName { plugin, name } => {
                write!(f, "the schema of plugin {plugin} says name = {name:?}; its directory is its name")
            }
        }
    }
}

impl Bundle {
    /// Makes a bundle of a directory: the entries below it, paths relative to it. See [`BundleError`] for what is refused.
    pub fn from_files(name: BundleName, entries: impl IntoIterator<Item = SourceEntry>) -> Result<Self, BundleError> {
        let laid = layout::lay_out(&name, entries)?;
        lint::finish(name, laid)
    }

    /// Makes a bundle of a `.tar.gz` whose sha256 the inventory has written down.
    pub fn from_archive(name: BundleName, bytes: &[u8], expected: &Digest) -> Result<Self, BundleError> {
        let entries = archive::unpack(&name, bytes, expected)?;
        Self::from_files(name, entries)
    }

    /// The paths that both bundles claim: the same file, or a file of one below a root of the other. Not empty means
    /// that they cannot be on one node together.
    pub fn overlaps(&self, other: &Self) -> Vec<BundlePath> {
        let claims = |roots: &BTreeSet<BundlePath>, path: &BundlePath| roots.iter().any(|root| below(root, path));
        let ours = self.files.keys().filter(|path| claims(&other.roots, path));
        let theirs = other.files.keys().filter(|path| claims(&self.roots, path));
        ours.chain(theirs).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// One line per file, sorted by path, in the format that `sha256sum -c` reads: the digest, two blanks, the path.
    pub fn manifest(&self) -> String {
        pack::manifest(&self.files)
    }

    /// The payload for a node: a `.tar.gz` whose bytes depend on the content alone (times 0, owner 0, directories 0755,
    /// files 0644, sorted), so that it can be compared and cached.
    pub fn pack(&self) -> Vec<u8> {
        pack::pack(&self.files)
    }

    /// The same of several bundles, the files of each below its name.
    pub fn pack_together<'a>(bundles: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        pack::pack_together(bundles)
    }

    /// The sum of the sizes of the files, in bytes.
    pub fn size(&self) -> u64 {
        self.files.values().map(Content::size).sum()
    }
}

/// The modules that a Lua source requires by a literal name.
pub fn required(source: &[u8]) -> BTreeSet<String> {
    source_text::requires(source).into_iter().map(|require| require.module).collect()
}

/// Whether `path` is `root` or lies below it.
fn below(root: &BundlePath, path: &BundlePath) -> bool {
    path.as_str().strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
