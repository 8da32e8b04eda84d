//! Why Git could not give what was asked for, and what to type next.

use std::path::PathBuf;

use crate::hint::{Hint, quoted};

/// What went wrong. Nothing was changed: this module only reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// Neither the directory nor any above it is a repository.
    #[error("{path:?} is not in a Git repository")]
    NoRepository {
        /// Where the search began.
        path: PathBuf,
    },
    /// The repository belongs to another user; Git refuses to read its configuration, and so do we.
    #[error("the repository at {path:?} belongs to another user")]
    NotOwned {
        /// The directory that Git wants to be told to be safe.
        path: PathBuf,
    },
    /// A repository of a format that cannot be read: sha256 object ids, a new extension.
    #[error("the repository at {path:?} cannot be read: {why}")]
    Unsupported {
        /// Where it is.
        path: PathBuf,
        /// What it uses, in libgit2's words.
        why: String,
    },
    /// HEAD is a branch without a commit.
    #[error("the repository has no commit on {branch} yet")]
    Unborn {
        /// The branch.
        branch: String,
    },
    /// No branch, tag or commit of this name.
    #[error("{rev:?} is not a revision of this repository")]
    UnknownRevision {
        /// What was asked for.
        rev: String,
        /// A name that may be meant.
        near: Option<String>,
        /// The clone does not hold the whole history.
        shallow: bool,
    },
    /// An abbreviated id that several objects have.
    #[error("{rev:?} is the beginning of more than one object id")]
    Ambiguous {
        /// What was asked for.
        rev: String,
    },
    /// The revision is a file or a directory.
    #[error("{rev:?} is not a commit")]
    NotACommit {
        /// What was asked for.
        rev: String,
    },
    /// `at:` names a branch, whose content changes without the inventory changing.
    #[error("{rev:?} is a branch, which moves; a source is taken from a tag or a commit")]
    Moving {
        /// What was asked for.
        rev: String,
        /// Where the branch is now.
        now: String,
    },
    /// Nothing of this path in the commit.
    #[error("{path:?} is not in commit {revision}")]
    NotInTree {
        /// What was asked for.
        path: String,
        /// The commit, short.
        revision: String,
    },
    /// No inventory at this path of the commit.
    #[error("no inventory: {path:?} is not in commit {revision}")]
    NoInventory {
        /// Where it was looked for.
        path: String,
        /// The commit, short.
        revision: String,
        /// Files that may be meant.
        candidates: Vec<String>,
    },
    /// Something else than was asked for.
    #[error("{path:?} in commit {revision} is {found}, not {wanted}")]
    WrongKind {
        /// What was asked for.
        path: String,
        /// The commit, short.
        revision: String,
        /// `a file`, `a directory`.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A symbolic link, which could lead anywhere.
    #[error("{path:?} in commit {revision} is a symbolic link; links are not followed")]
    Symlink {
        /// The link.
        path: String,
        /// The commit, short.
        revision: String,
    },
    /// A submodule: another repository's commit, whose files are not in this one.
    #[error("{path:?} in commit {revision} is a submodule; its files are not in this repository")]
    Submodule {
        /// The submodule.
        path: String,
        /// The commit, short.
        revision: String,
    },
    /// A Git LFS pointer instead of content.
    #[error("{path:?} in commit {revision} is a Git LFS pointer; its content is not in this repository")]
    LfsPointer {
        /// The file.
        path: String,
        /// The commit, short.
        revision: String,
    },
    /// The commit is here, but not all of its objects.
    #[error("{path:?} of commit {revision} is not in this clone{}", if *partial { ", which is a partial one" } else { "" })]
    Missing {
        /// What was asked for.
        path: String,
        /// The commit, short.
        revision: String,
        /// The clone was made with a filter.
        partial: bool,
    },
    /// More bytes than anything that is meant to be sent to a node.
    #[error("{path:?} in commit {revision} is too large: {bytes} bytes, more than {limit}")]
    TooLarge {
        /// The file or directory.
        path: String,
        /// The commit, short.
        revision: String,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Anything else that libgit2 says.
    #[error("git could not {doing}: {why}")]
    Other {
        /// What was tried.
        doing: String,
        /// libgit2's words.
        why: String,
    },
}

impl GitError {
    pub(super) fn other(doing: impl Into<String>, error: &git2::Error) -> Self {
        Self::Other { doing: doing.into(), why: error.message().to_owned() }
    }

    /// What to do next; never empty.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::NoRepository { .. } => vec![
                Hint::do_("name the repository with --repo PATH"),
                Hint::do_("or make one of a directory that holds an inventory: git init, git add, git commit"),
            ],
            Self::NotOwned { path } => {
                vec![Hint::type_(format!(
                    "git config --global --add safe.directory {}",
                    quoted(&path.to_string_lossy())
                ))]
            }
            Self::Unsupported { why, .. } if why.contains("object format") => {
                vec![Hint::do_("use a repository with sha1 object ids; libgit2 cannot read sha256 ones")]
            }
            Self::Unsupported { .. } => {
                vec![Hint::do_("clone it anew: git clone, without the extension that is named")]
            }
            Self::Unborn { .. } => vec![Hint::type_("git add inventory.yaml && git commit")],
            Self::UnknownRevision { near, shallow, .. } => unknown_revision(near.as_deref(), *shallow),
            Self::Ambiguous { rev } => vec![
                Hint::do_("give more digits"),
                Hint::type_(format!("git rev-parse --disambiguate={}", quoted(rev))),
            ],
            Self::NotACommit { .. } => vec![Hint::do_("name a branch, a tag or a commit")],
            Self::Moving { now, .. } => {
                vec![Hint::do_(format!(
                    "write at: {now} (where the branch is now), or tag that commit and name the tag"
                ))]
            }
            Self::NoInventory { candidates, .. } => no_inventory(candidates),
            Self::NotInTree { .. } => {
                vec![Hint::do_("commit it; files that are only in the work tree are not read")]
            }
            Self::WrongKind { wanted, .. } => vec![Hint::do_(format!("name {wanted}"))],
            Self::Symlink { .. } => vec![Hint::do_("commit the content itself in place of the link")],
            Self::Submodule { .. } => {
                vec![Hint::do_("commit the files themselves, or pack them into an archive with its sha256")]
            }
            Self::LfsPointer { path, .. } => vec![
                Hint::do_("keep the file out of LFS"),
                Hint::type_(format!("git lfs migrate export --include={}", quoted(path))),
            ],
            Self::Missing { partial: true, .. } => vec![Hint::type_("git fetch --refetch")],
            Self::Missing { .. } => vec![Hint::type_("git fsck"), Hint::type_("git fetch --refetch")],
            Self::TooLarge { .. } => vec![Hint::do_("take what is not part of a plugin out of the directory")],
            Self::Other { .. } => vec![Hint::type_("git fsck")],
        }
    }
}

fn unknown_revision(near: Option<&str>, shallow: bool) -> Vec<Hint> {
    let near = near.map(|name| Hint::do_(format!("did you mean {name}?")));
    let fetch = if shallow { "git fetch --unshallow --tags" } else { "git fetch --tags" };
    near.into_iter().chain([Hint::type_(fetch)]).collect()
}

fn no_inventory(candidates: &[String]) -> Vec<Hint> {
    let named = candidates.iter().map(|path| Hint::do_(format!("did you mean  --inventory {}", quoted(path))));
    let commit = Hint::do_("commit it; files that are only in the work tree are not read");
    if candidates.is_empty() { vec![commit] } else { named.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_can_be_pasted_whatever_is_in_the_path() {
        let hints = |path: &str| GitError::NotOwned { path: path.into() }.hints()[0].to_string();
        assert_eq!(hints("/srv/fleet"), "type: git config --global --add safe.directory /srv/fleet");
        assert_eq!(hints("/srv/a b'c"), r"type: git config --global --add safe.directory '/srv/a b'\''c'");
    }

    #[test]
    fn shallow_clones_are_told_to_deepen() {
        let hints =
            |shallow| GitError::UnknownRevision { rev: "v1".into(), near: None, shallow }.hints()[0].to_string();
        assert_eq!(hints(true), "type: git fetch --unshallow --tags");
        assert_eq!(hints(false), "type: git fetch --tags");
    }
}
