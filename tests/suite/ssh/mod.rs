//! Connections over real sshd.

mod contract;
mod faults;
mod jumps;
mod masters;
mod operator;
