//! What goes wrong in the middle.

mod adoption;
mod fleet;
mod guards;
mod hosts;
mod killed;
mod nodes;
mod power;
mod reloads;
