//! The scripts that run on nodes, under dash and busybox.
