//! The whole program, headless.
