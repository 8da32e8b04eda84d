//! Digests of content and revisions of a repository.

use std::fmt::Write as _;

use sha2::Digest as _;

use super::text_id;

fn hexadecimal(text: &str, lengths: &[usize]) -> Result<(), String> {
    if !lengths.contains(&text.len()) {
        return Err(format!("it has {} characters, not {}", text.len(), lengths[0]));
    }
    match text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        Some(c) => Err(format!("{c:?} is not a lower-case hexadecimal digit")),
        None => Ok(()),
    }
}

text_id!(
    /// A SHA-256 digest, 64 lower-case hexadecimal digits.
    Digest, "sha256 digest", "^[0-9a-f]{64}$", |text| hexadecimal(text, &[64])
);
text_id!(
    /// A Git commit by its full object id, 40 lower-case hexadecimal digits.
    Revision, "revision", "^[0-9a-f]{40}$", |text| hexadecimal(text, &[40])
);

/// Computes a [`Digest`] from pieces.
#[derive(Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Digest(super::intern::text(&text))
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl Revision {
    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}
