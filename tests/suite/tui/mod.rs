//! The terminal UI, whole.
