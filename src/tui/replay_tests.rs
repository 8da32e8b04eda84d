//! The replay of a recorded run.
