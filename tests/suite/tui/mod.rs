//! The terminal UI, whole: keys and messages in, screens out, on a terminal that is not there.

pub(crate) mod docs;
mod filter;
mod fixture;
mod fleet;
mod hostile;
mod keys;
mod node;
mod plan;
pub(crate) mod pty;
mod removal;
mod run;
mod runs;
mod screens;
mod script;
mod sizes;
mod terminals;
mod ways;
