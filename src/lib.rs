//! `muster` brings every Kong Gateway node of a fleet into line with an inventory held in Git.
//!
//! It looks at the nodes over SSH, compares, shows an ordered plan, carries it out node by node, proves each step,
//! and says "converged" only after looking again. The map of the modules, and who may use whom, is in
//! `docs/architecture.md`; a test holds it.

pub mod action;
pub mod bundle;
pub mod cli;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod execute;
pub mod exit;
pub mod failure;
pub mod fleet;
pub mod git;
pub mod hint;
pub mod import;
pub mod inventory;
pub mod journal;
pub mod kong;
pub mod name;
pub mod perform;
pub mod plan;
pub mod remote;
pub mod report;
pub mod run;
#[cfg(feature = "lua")]
pub mod standin;
pub mod survey;
pub mod tui;
pub mod wire;
