//! Bytes in: the tree of one commit, never the work tree.
//!
//! Owns: finding the repository, a revision's tree, the bytes of an inventory, of archives and of source directories in
//! it, and whether the work tree differs from it. Nothing is fetched, written or executed: no hook, no filter, no
//! credential helper runs, so that a stranger's branch is as safe to read as one's own (crates.md 3).
//! Must not know: what an inventory says, what a bundle is.

mod dirty;
mod error;
mod repository;
mod tree;

pub use error::GitError;
pub use repository::{Commit, Repository};
pub use tree::{Entry, Kind, Tree};

#[cfg(test)]
mod mod_tests;
