//! What was observed, per node, at one time.
