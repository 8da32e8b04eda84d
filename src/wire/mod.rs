//! What muster and its scripts on a node say to each other.
