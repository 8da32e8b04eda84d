//! The one test binary: whole-program tests, script tests, the contract suite (docs/architecture.md, "Tests").
//!
//! One binary, as each further one is linked anew after every change in `src`.

mod cli;
mod contract;
mod faults;
mod harness;
mod hostile;
mod layering;
mod scenarios;
mod scripts;
mod ssh;
mod traps;
mod tui;
