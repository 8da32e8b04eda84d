//! What goes wrong in the middle.

mod nodes;
mod reloads;
