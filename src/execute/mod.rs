//! Carrying out a plan: dispatcher, workers, gates, cancelling.
