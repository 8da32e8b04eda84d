//! The repository and its commits.

use std::path::Path;

use git2::ErrorCode;

use super::{GitError, Tree};
use crate::inventory::GitRev;
use crate::inventory::nearest::nearest;
use crate::name::Revision;

/// A repository, found and allowed to be read.
pub struct Repository(pub(super) git2::Repository);

/// A commit, for people and for the plan's basis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full id.
    pub revision: Revision,
    /// The first line of its message, without control characters.
    pub summary: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
    /// The branch that HEAD is, where HEAD was asked for and is one.
    pub branch: Option<String>,
}

impl Repository {
    /// Opens the repository that holds this directory: bare, linked, shallow, or an ordinary one, here or further up.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        git2::Repository::discover(path).map(Self).map_err(|error| match error.code() {
            ErrorCode::NotFound => GitError::NoRepository { path: path.to_owned() },
            ErrorCode::Owner => GitError::NotOwned { path: foreign(path, error.message()) },
            _ if error.message().contains("object format") || error.message().contains("extension") => {
                GitError::Unsupported { path: path.to_owned(), why: error.message().to_owned() }
            }
            _ => GitError::other(format!("open {}", path.display()), &error),
        })
    }

    /// The top of the work tree; a bare repository has none.
    pub fn top(&self) -> Option<&Path> {
        self.0.workdir()
    }

    /// The commit that a revision is, as `git rev-parse` understands it: `HEAD`, a branch, a tag, an id, `main~2`.
    pub fn resolve(&self, rev: &str) -> Result<Commit, GitError> {
        let head = (rev == "HEAD").then(|| self.head()).transpose()?;
        let object = self.0.revparse_single(rev).map_err(|error| self.no_revision(rev, &error))?;
        let mut commit = commit(rev, &object)?;
        commit.branch = head.flatten();
        Ok(commit)
    }

    /// The commit that an `at:` is: a tag, or a commit by (the beginning of) its id. A branch is refused, as it moves.
    pub fn resolve_at(&self, at: &GitRev) -> Result<Commit, GitError> {
        let rev = at.as_str();
        let tag = rev.strip_prefix("refs/tags/").or_else(|| rev.strip_prefix("tags/")).unwrap_or(rev);
        if let Ok(reference) = self.0.find_reference(&format!("refs/tags/{tag}")) {
            let object = reference.peel(git2::ObjectType::Any).map_err(|error| self.no_revision(rev, &error))?;
            return commit(rev, &object);
        }
        if (7..=40).contains(&rev.len()) && rev.bytes().all(|c| c.is_ascii_hexdigit()) {
            let found = self.0.find_object_by_prefix(rev, None).map_err(|error| self.no_revision(rev, &error));
            return commit(rev, &found?);
        }
        let branches = [format!("refs/heads/{rev}"), format!("refs/remotes/{rev}"), rev.to_owned()];
        let branch = branches.iter().find_map(|name| self.0.find_reference(name).ok()?.peel_to_commit().ok());
        match branch {
            Some(branch) => Err(GitError::Moving { rev: rev.to_owned(), now: branch.id().to_string() }),
            None => Err(self.unknown(rev)),
        }
    }

    /// The files of a commit.
    pub fn tree(&self, revision: &Revision) -> Result<Tree<'_>, GitError> {
        Tree::of(self, revision)
    }

    /// Whether the clone was made with a filter, so that objects may be missing.
    pub(super) fn is_partial(&self) -> bool {
        let Ok(config) = self.0.config().and_then(|mut config| config.snapshot()) else { return false };
        let promisor = |name: &str| config.get_bool(&format!("remote.{name}.promisor")).unwrap_or(false);
        let remotes = self.0.remotes();
        let promised = remotes.is_ok_and(|remotes| remotes.iter().flatten().flatten().any(promisor));
        promised || config.get_str("extensions.partialclone").is_ok()
    }

    /// The branch that HEAD is, if it is one; an error where that branch has no commit.
    fn head(&self) -> Result<Option<String>, GitError> {
        match self.0.head() {
            Ok(head) => Ok(head.is_branch().then(|| head.shorthand().ok().map(harmless)).flatten()),
            Err(error) if error.code() == ErrorCode::UnbornBranch => Err(GitError::Unborn { branch: self.unborn() }),
            Err(error) => Err(self.no_revision("HEAD", &error)),
        }
    }

    fn unborn(&self) -> String {
        let head = self.0.find_reference("HEAD").ok();
        let target = head.and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
        let target = target.unwrap_or_else(|| "HEAD".to_owned());
        harmless(target.strip_prefix("refs/heads/").unwrap_or(&target))
    }

    fn no_revision(&self, rev: &str, error: &git2::Error) -> GitError {
        match error.code() {
            ErrorCode::Ambiguous => GitError::Ambiguous { rev: rev.to_owned() },
            ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Peel => self.unknown(rev),
            _ => GitError::other(format!("find {rev:?}"), error),
        }
    }

    fn unknown(&self, rev: &str) -> GitError {
        let names: Vec<String> = self
            .0
            .references()
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|reference| Some(harmless(reference.shorthand().ok()?)))
            .collect();
        let near = nearest(rev, names.iter().map(String::as_str)).map(str::to_owned);
        GitError::UnknownRevision { rev: rev.to_owned(), near, shallow: self.0.is_shallow() }
    }
}

/// The directory that libgit2 names in `repository path '…' is not owned by current user`.
fn foreign(path: &Path, message: &str) -> std::path::PathBuf {
    let named = message.split('\'').nth(1).map(|path| path.trim_end_matches('/'));
    named.map_or_else(|| path.to_owned(), std::path::PathBuf::from)
}

fn commit(rev: &str, object: &git2::Object<'_>) -> Result<Commit, GitError> {
    let commit = object.peel_to_commit().map_err(|_| GitError::NotACommit { rev: rev.to_owned() })?;
    let other = |why: String| GitError::Other { doing: format!("read commit {rev:?}"), why };
    let seconds = commit.time().seconds();
    Ok(Commit {
        revision: Revision::parse(&commit.id().to_string()).map_err(|error| other(error.to_string()))?,
        summary: harmless(&String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default())),
        time: jiff::Timestamp::from_second(seconds).map_err(|error| other(error.to_string()))?,
        branch: None,
    })
}

/// A text of the repository for a terminal: whoever wrote it may be a stranger.
pub(super) fn harmless(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
