//! The log as entries, and places in them.

/// The most of a log that is read, in bytes, from its end: a node could have written without end.
const MAX_LOG: usize = 1 << 20;
/// The longest entry that is read: a stack trace.
const MAX_ENTRY: usize = 64 << 10;

/// A file and a line as Lua's messages name them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: u32,
    /// What stands behind it.
    pub(super) rest: &'a str,
}

/// The entries of a log: a line that begins with a time or with a word of the CLI begins one; the lines below belong to it.
pub(super) fn read_entries(log: &[u8]) -> Vec<String> {
    let log = &log[log.len().saturating_sub(MAX_LOG)..];
    let text = String::from_utf8_lossy(log);
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines() {
        match entries.last_mut() {
            Some(entry) if !begins_entry(line) => {
                if entry.len() + line.len() < MAX_ENTRY {
                    entry.push('\n');
                    entry.push_str(line);
                }
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

fn begins_entry(line: &str) -> bool {
    let bytes = line.as_bytes();
    let dated = bytes.len() > 20
        && bytes[..19].iter().zip(b"0000/00/00 00:00:00").all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == shape,
        });
    dated || line.starts_with("nginx: [") || line.starts_with("Error: ")
}

/// The first `FILE.lua:LINE: ` or `FILE:LINE: ` at the head of a line.
pub(super) fn first_place(text: &str) -> Option<Place<'_>> {
    text.lines().find_map(place)
}

fn place(line: &str) -> Option<Place<'_>> {
    let line = line.trim_start();
    for (at, _) in line.match_indices(':') {
        let rest = &line[at + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let behind = &rest[digits..];
        if digits > 0 && at > 0 && behind.starts_with(": ") {
            return rest[..digits].parse().ok().map(|number| Place {
                file: &line[..at],
                line: number,
                rest: &behind[2..],
            });
        }
        if line[..at].contains(' ') {
            return None;
        }
    }
    None
}

/// The text between this opening and the next quote.
pub(super) fn quoted_after<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    let start = text.find(opening)? + opening.len();
    text[start..].split_once('\'').map(|(quoted, _)| quoted)
}
