//! Bytes in: the tree of one commit, never the work tree.
