//! The terminal UI, whole: keys and messages in, screens out, on a terminal that is not there.

mod filter;
mod fixture;
mod hostile;
mod keys;
pub(crate) mod pty;
mod removal;
mod run;
mod screens;
mod script;
mod sizes;
