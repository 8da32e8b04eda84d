//! What muster and its scripts on a node say to each other: the head of a call, the records of an answer, and the
//! files that the scripts keep on a node.
//!
//! Owns: bytes and their meaning, both ways. Must not know: how the bytes travel, or what a record is for.
//!
//! A call is one stream: the length of the script, the script, arguments as alternating key and value lines ended by an
//! empty line, then the payload. An answer is `muster 1 NONCE`, records, `end NONCE STATUS`; what comes before the first
//! line is a login shell's noise. No trailer means that the end was not seen, whatever the exit status says.

mod answer;
mod args;
mod escape;
mod file;

pub use answer::{Decoder, Item, Limits, Record, Status, WireError};
pub use args::{ArgError, Args};
pub use escape::{escape, unescape};
pub use file::{FileError, Intent, Lease, Manifest, Owned, Receipt};

/// The version of the protocol, in the first line of every answer.
pub const PROTOCOL: u32 = 1;

/// The bytes that a call begins with: the script's length and text, then the arguments and the empty line that ends
/// them. The payload, if any, follows.
pub fn head(script: &str, args: &Args) -> Vec<u8> {
    let mut bytes = format!("{}\n{script}", script.len()).into_bytes();
    for (key, value) in args.iter() {
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
