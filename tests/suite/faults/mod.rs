//! What goes wrong in the middle.

mod fleet;
mod killed;
mod nodes;
mod reloads;
