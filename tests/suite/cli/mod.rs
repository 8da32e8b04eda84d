//! The whole program, headless: over real sshd, on stand-in gateways, from a Git repository.

mod adoption;
mod converge;
mod demo;
mod demo_keys;
mod demo_tui;
mod doctor;
mod failing;
mod inspect;
mod interrupt;
mod keys;
mod left;
mod locks;
mod narrowing;
mod origins;
mod owners;
mod refused;
mod reload_asked;
mod reload_ways;
mod removal;
mod removal_api;
mod removal_held;
mod repository;
mod runs;
mod watch;
