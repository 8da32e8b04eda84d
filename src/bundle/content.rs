//! The bytes of one file, with their digest.

use std::fmt;
use std::sync::Arc;

use crate::name::Digest;

/// The bytes of one file and their sha256. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    sha256: Digest,
    bytes: Arc<[u8]>,
}

impl Content {
    /// Takes the bytes and computes their digest.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { sha256: Digest::of(&bytes), bytes: bytes.into() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the bytes, as `sha256sum` on a node gives it.
    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes, {})", self.bytes.len(), self.sha256.short())
    }
}
