//! Carrying out a plan: dispatcher, workers, gates, cancelling.

pub mod look;
pub mod pool;
