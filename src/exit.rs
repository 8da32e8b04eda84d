//! The exit codes of the program, one table; `run::Verdict::exit` gives the number of a verdict.

/// In line, or converged.
pub const IN_LINE: u8 = 0;
/// An error; nothing was changed.
pub const ERROR: u8 = 1;
/// Changes are pending (only with `--detailed-exitcode`).
pub const PENDING: u8 = 2;
/// Not all nodes reached the goal.
pub const NOT_REACHED: u8 = 3;
/// Some nodes are unknown; the rest is in line.
pub const INCOMPLETE: u8 = 4;
/// Another run holds the nodes.
pub const LOCKED: u8 = 5;
/// A safety rule forbids it.
pub const REFUSED: u8 = 6;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;
