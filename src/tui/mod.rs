//! The terminal UI: draws the same facts that text and JSON show.
