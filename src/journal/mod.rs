//! The recording of a run.
