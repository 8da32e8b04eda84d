//! The whole program, headless: over real sshd, on stand-in gateways, from a Git repository.

mod adoption;
mod converge;
mod demo;
mod demo_keys;
mod demo_tui;
mod doctor;
mod failing;
mod import;
mod in_use;
mod inspect;
mod interrupt;
mod keys;
mod left;
mod locks;
mod narrowing;
mod origins;
mod owners;
mod refused;
mod removal;
mod removal_api;
mod removal_held;
mod repository;
mod runs;
mod trial;
mod started;
mod watch;
