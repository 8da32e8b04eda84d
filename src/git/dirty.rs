//! Whether the work tree says something else than the commit that is read.

use super::repository::harmless;
use super::{GitError, Repository};
use crate::inventory::TreePath;
use crate::name::Revision;

impl Repository {
    /// The files at or below these paths that the work tree has otherwise than this commit: changed, staged, removed, or
    /// not committed at all (ignored ones excepted). They are said, and not used. Meant for the commit that HEAD is;
    /// of a bare repository there are none. Writes nothing, not even the index.
    pub fn dirty(&self, revision: &Revision, paths: &[TreePath]) -> Result<Vec<String>, GitError> {
        if self.0.is_bare() || paths.is_empty() {
            return Ok(Vec::new());
        }
        let other = |error: git2::Error| GitError::other("compare the work tree with the commit", &error);
        let oid = git2::Oid::from_str(revision.as_str()).map_err(other)?;
        let tree = self.0.find_commit(oid).and_then(|commit| commit.tree()).map_err(other)?;
        let diff = self.0.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options(paths))).map_err(other)?;
        let mut files: Vec<String> = diff
            .deltas()
            .filter_map(|delta| delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()))
            .map(|path| harmless(&String::from_utf8_lossy(path)))
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

fn options(paths: &[TreePath]) -> git2::DiffOptions {
    let mut options = git2::DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).disable_pathspec_match(true);
    options.skip_binary_check(true).update_index(false);
    if paths.iter().all(|path| path.as_str() != ".") {
        for path in paths {
            options.pathspec(path.as_str());
        }
    }
    options
}
