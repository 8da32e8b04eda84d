//! How an error reaches the person: what, where, what was found, what to do.
