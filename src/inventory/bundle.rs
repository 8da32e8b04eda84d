//! Content: which bundles there are, in which versions, and where their bytes are.

use std::collections::BTreeMap;

use super::Place;
use crate::name::{Digest, text_id};

fn version(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    match text {
        "" => Err("it is empty".to_owned()),
        "present" | "staged" | "absent" => Err(format!("`{text}` is a state of a plugin")),
        _ if text.len() > 100 => Err("it is longer than 100 characters".to_owned()),
        _ if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            Err("it begins with no letter or digit".to_owned())
        }
        _ => match text.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(format!("it may not contain {c:?}; allowed are letters, digits and . _ + -")),
            None => Ok(()),
        },
    }
}

fn tree_path(text: &str) -> Result<(), String> {
    match text {
        "" => return Err("it is empty; `.` is the top of the repository".to_owned()),
        "." => return Ok(()),
        _ if text.starts_with('/') => return Err("it is absolute; write it from the top of the repository".to_owned()),
        _ if text.contains('\\') => return Err("it contains a backslash".to_owned()),
        _ if text.len() > 1000 => return Err("it is longer than 1000 bytes".to_owned()),
        _ if text.chars().any(char::is_control) => return Err("it contains a control character".to_owned()),
        _ => {}
    }
    match text.split('/').find(|part| matches!(*part, "" | "." | "..") || part.eq_ignore_ascii_case(".git")) {
        Some("") => Err("it has an empty part (`//`, or a `/` at the end)".to_owned()),
        Some(part) => Err(format!("it has a part `{part}`")),
        None => Ok(()),
    }
}

fn git_rev(text: &str) -> Result<(), String> {
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.len() > 250 => Err("it is longer than 250 characters".to_owned()),
        _ if text.starts_with('-') => Err("it begins with `-`".to_owned()),
        _ if text.contains("..") || text.contains("@{") => Err("it is a range or a reflog entry".to_owned()),
        _ => match text.chars().find(|c| c.is_control() || " ~^:?*[\\".contains(*c)) {
            Some(c) => Err(format!("it may not contain {c:?}; write the name of a tag or the id of a commit")),
            None => Ok(()),
        },
    }
}

text_id!(
    /// The name of one version of a bundle, as its authors call it; only compared for being equal, never ordered.
    VersionLabel, "version", "^[A-Za-z0-9][A-Za-z0-9._+-]*$", version
);
text_id!(
    /// A path in the repository, from its top whatever directory the inventory is in; `.` is the top itself.
    TreePath, "path in the repository", "^[^/]", tree_path
);
text_id!(
    /// A tag or commit of the repository that holds the inventory (`at:`).
    GitRev, "tag or commit", "^[^- ~^:?*\\[\\\\][^ ~^:?*\\[\\\\]*$", git_rev
);

/// Where the bytes of a bundle are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleSource {
    /// A directory of the repository.
    Directory {
        /// The directory.
        dir: TreePath,
        /// The tag or commit that it is taken from; none is the planned commit.
        at: Option<GitRev>,
        /// Where the entry stands.
        place: Place,
    },
    /// A `.tar.gz` file in the repository at the planned commit.
    Archive {
        /// The file.
        archive: TreePath,
        /// The digest that its bytes must have.
        sha256: Digest,
        /// Where the entry stands.
        place: Place,
    },
}

impl BundleSource {
    /// Where the entry stands in the inventory.
    pub fn place(&self) -> Place {
        match self {
            Self::Directory { place, .. } | Self::Archive { place, .. } => *place,
        }
    }

    /// The path of the directory or archive in the repository.
    pub fn path(&self) -> &TreePath {
        match self {
            Self::Directory { dir, .. } => dir,
            Self::Archive { archive, .. } => archive,
        }
    }
}

/// One bundle of the inventory: a single source, or one per version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleEntry {
    /// Without versions; assigned by `present`.
    Single(BundleSource),
    /// By version; assigned by the version.
    Versions(BTreeMap<VersionLabel, BundleSource>),
}

impl BundleEntry {
    /// The source of this version (`None`: of the bundle without versions), where there is one.
    pub fn source(&self, version: Option<&VersionLabel>) -> Option<&BundleSource> {
        match (self, version) {
            (Self::Single(source), None) => Some(source),
            (Self::Versions(versions), Some(version)) => versions.get(version),
            _ => None,
        }
    }

    /// Every source with its version.
    pub fn sources(&self) -> Vec<(Option<&VersionLabel>, &BundleSource)> {
        match self {
            Self::Single(source) => vec![(None, source)],
            Self::Versions(versions) => versions.iter().map(|(version, source)| (Some(version), source)).collect(),
        }
    }
}
