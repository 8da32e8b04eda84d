//! Connections over real sshd.

mod commands;
mod contract;
mod faults;
mod jumps;
mod masters;
mod operator;
