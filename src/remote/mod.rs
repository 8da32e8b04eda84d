//! Reaching a node: connect, run a script, speak to its Admin API.
