//! Desired against observed.
