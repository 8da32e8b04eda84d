//! Events and values as text and JSON, for people and for scripts.
//!
//! Owns: the words of events, plans and status outside the TUI. Must not know: how what it shows came about; nothing here
//! decides. Everything goes to a `dyn Write`, needs no colour to be read, and is free of control characters whatever it
//! was given.

pub mod doctor;
pub mod errors;
pub mod explain;
pub mod import;
pub mod inspect;
pub mod json;
pub mod locks;
pub mod nodes;
pub mod plan;
pub mod rows;
pub mod runs;
mod standing;
pub mod status;
pub mod text;
mod words;
