//! What goes wrong in the middle.
