//! Content made ready to ship: bytes in, a bundle with one digest out.
