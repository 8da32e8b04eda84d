//! Kong's own rules, pure.
