//! kong.conf, read as Kong reads it and edited without touching any other byte.
//!
//! Kong reads it with Penlight's `pl.config` and strips inline comments itself (facts.md A1; measured.md 4). Every rule
//! here is one of theirs, odd ones included: a value that muster reads otherwise than Kong is a wrong plan.

mod edit;
mod statement;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

pub use edit::EditError;
use statement::{Kind, Statement, read};

use super::setting;
use crate::name::Digest;

/// A kong.conf or `.kong_env`: every byte of it, and what Kong makes of them. It may hold secrets: it has no
/// serialization, its `Debug` shows a count, and only [`Conf::readable`] hands out values in bulk.
#[derive(Clone)]
pub struct Conf {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    statements: Vec<Statement>,
    /// Where a continuation begins that the file ends in: Kong loses those lines.
    dangling: Option<usize>,
    digest: OnceLock<Digest>,
}

/// The longest line that is shown, in characters.
const SHOWN: usize = 2_000;
/// What is in the name of a key whose value is a secret.
const SECRET: [&str; 4] = ["password", "secret", "token", "passphrase"];

/// The bytes say everything.
impl PartialEq for Conf {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Conf {}

/// One physical line: where it is, with and without its line ending.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: usize,
    /// The end of what an edit may touch, before `\n` or `\r\n`.
    end: usize,
    /// The start of the next line.
    next: usize,
}

/// What Kong reads for a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Reading {
    /// The value, comments and outer blanks gone; bytes that are not UTF-8 stand as U+FFFD. Empty where the key stands
    /// without a value, which Kong takes as not set.
    pub value: String,
    /// The lines (from 1) that it stands on; more than one where it is continued by `\`.
    pub lines: Vec<usize>,
    /// How often the key stands in the file; the last one counts.
    pub times: usize,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading(lines {:?}, {} times)", self.lines, self.times)
    }
}

/// One place that assigns a key, whether or not Kong goes by it.
#[derive(Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The value, as [`Reading::value`].
    pub value: String,
    /// The lines (from 1) that it stands on.
    pub lines: Vec<usize>,
    /// Kong sees it: it stands in no section, and the key is spelled as Kong knows it.
    pub seen: bool,
    /// It is spelled in other letters than Kong knows.
    pub other_case: bool,
}

/// Something in the file that Kong reads otherwise than a person might think.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "oddity", rename_all = "kebab-case")]
pub enum Oddity {
    /// A line without `=`: Kong ignores it without a word.
    NoAssignment {
        /// The line, from 1.
        line: usize,
    },
    /// A `[section]`: what follows is ignored.
    Section {
        /// The line, from 1.
        line: usize,
    },
    /// A line that begins with `[` and names no section: Kong cannot read the file at all.
    Unreadable {
        /// The line, from 1.
        line: usize,
    },
    /// The file ends in a line that ends in `\`: Kong loses it.
    LostLine {
        /// The line, from 1.
        line: usize,
    },
    /// A key in upper case that Kong knows in lower case only, so that it is ignored.
    LetterCase {
        /// The line, from 1.
        line: usize,
        /// The key as Kong knows it.
        key: String,
    },
    /// A key that stands there more than once; the last one counts.
    Repeated {
        /// The line of the last, from 1.
        line: usize,
        /// The key.
        key: String,
    },
}

impl Conf {
    /// Takes the bytes of the file. Never fails: what Kong cannot read is in [`Conf::oddities`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let lines = split(&bytes);
        // Kong splits at `\n` alone, so that it sees the `\r` of a line that ends in `\r\n`.
        let seen =
            |line: &Line| bytes[line.start..line.next].strip_suffix(b"\n").unwrap_or(&bytes[line.start..line.next]);
        let contents: Vec<&[u8]> = lines.iter().map(seen).collect();
        let (statements, dangling) = read(&contents);
        Self { bytes, lines, statements, dangling, digest: OnceLock::new() }
    }

    /// The file, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sha256 of the bytes, as `sha256sum` on a node gives it; worked out once.
    pub fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| Digest::of(&self.bytes))
    }

    /// What Kong reads for a key (in its own spelling: lower case, `_`).
    pub fn get(&self, key: &str) -> Option<Reading> {
        let all = self.active(key);
        let last = all.last()?;
        Some(Reading {
            value: String::from_utf8_lossy(&last.value()).into_owned(),
            lines: last.lines.iter().map(|line| line + 1).collect(),
            times: all.len(),
        })
    }

    /// Every place that assigns a key, in order, those too that Kong does not see: behind a `[section]`, or in other letters.
    pub fn occurrences(&self, key: &str) -> Vec<Occurrence> {
        let hidden = self.active(key).is_empty();
        let found = self.statements.iter().filter_map(|statement| {
            let name = statement.key().filter(|name| name.eq_ignore_ascii_case(key))?;
            Some(Occurrence {
                value: String::from_utf8_lossy(&statement.value()).into_owned(),
                lines: statement.lines.iter().map(|line| line + 1).collect(),
                seen: statement.active && name == key && !hidden,
                other_case: name != key,
            })
        });
        found.collect()
    }

    /// The value of a key as text, if it is set to something.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(|reading| reading.value).filter(|value| !value.is_empty())
    }

    /// The values of the keys that may be shown: [`setting::READABLE`].
    pub fn readable(&self) -> BTreeMap<&'static str, String> {
        setting::READABLE.iter().filter_map(|key| self.text(key).map(|value| (*key, value))).collect()
    }

    /// The keys that the two files do not set alike. Names only.
    pub fn differs(&self, other: &Self) -> BTreeSet<String> {
        let (ours, theirs) = (self.effective(), other.effective());
        let keys = ours.keys().chain(theirs.keys());
        keys.filter(|key| ours.get(*key) != theirs.get(*key)).cloned().collect()
    }

    /// This file with `key` set to `value`, every other byte as it was; unchanged bytes if Kong reads that already.
    ///
    /// The last active occurrence is edited, its inline comment kept; a continued value becomes one line. Where the key
    /// is absent it is added at the end, but before a `[section]`. The result is read again: an error if Kong would not
    /// read exactly `value`, or would read any other key differently.
    pub fn set(&self, key: &str, value: &str) -> Result<Vec<u8>, EditError> {
        edit::set(self, key, value)
    }

    /// This file without `key`: every active occurrence is gone, with the lines that continue it.
    pub fn unset(&self, key: &str) -> Result<Vec<u8>, EditError> {
        edit::unset(self, key)
    }

    /// The file line by line as far as it may be shown: `key = value` where a statement with a readable key begins, `\` where
    /// one goes on, an empty text for an empty line. `None` for every other line: a comment may hold an old password.
    pub fn shown(&self) -> Vec<Option<String>> {
        let blank = |line: &Line| self.bytes[line.start..line.end].trim_ascii().is_empty();
        let mut shown: Vec<Option<String>> = self.lines.iter().map(|line| blank(line).then(String::new)).collect();
        for statement in &self.statements {
            let Some(key) = statement.key().filter(|key| setting::is_readable(key)) else { continue };
            for (at, line) in statement.lines.iter().enumerate() {
                let value = String::from_utf8_lossy(&statement.value()).into_owned();
                let text = if at == 0 { format!("{key} = {value}") } else { "\\".to_owned() };
                shown[*line] = Some(super::printable(&text, SHOWN));
            }
        }
        shown
    }

    /// The bytes of each line, without its end, for comparing.
    pub fn raw_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| &self.bytes[line.start..line.end])
    }

    /// The values that are secrets by the name of their key, and long enough not to be a word of every log: to be looked for
    /// in what is about to be shown, and for nothing else.
    pub fn secrets(&self) -> Vec<String> {
        let is_secret = |key: &str| SECRET.iter().any(|word| key.contains(word));
        let values = self.effective().into_iter().filter(|(key, value)| is_secret(key) && value.len() >= 4);
        values.filter_map(|(_, value)| String::from_utf8(value).ok()).collect()
    }

    /// What Kong reads otherwise than a person might think, in the order of the lines.
    pub fn oddities(&self) -> Vec<Oddity> {
        let mut found = Vec::new();
        for (at, statement) in self.statements.iter().enumerate() {
            let line = statement.lines[0] + 1;
            match &statement.kind {
                Kind::Section { .. } => found.push(Oddity::Section { line }),
                Kind::Broken => found.push(Oddity::Unreadable { line }),
                Kind::Item => found.push(Oddity::NoAssignment { line }),
                Kind::Pair { key, .. } if statement.active => {
                    let lower = key.to_lowercase();
                    if *key != lower && setting::is_readable(&lower) {
                        found.push(Oddity::LetterCase { line, key: lower });
                    }
                    let is = |other: &Statement| other.active && other.key() == Some(key.as_str());
                    if self.statements[..at].iter().any(is) && !self.statements[at + 1..].iter().any(is) {
                        found.push(Oddity::Repeated { line, key: key.clone() });
                    }
                }
                Kind::Pair { .. } => {}
            }
        }
        found.extend(self.dangling.map(|line| Oddity::LostLine { line: line + 1 }));
        found
    }

    /// The statements that assign a key where Kong sees it, in order. A section of the same name hides all of them.
    fn active(&self, key: &str) -> Vec<&Statement> {
        if self.statements.iter().any(|statement| matches!(&statement.kind, Kind::Section { key: name } if name == key))
        {
            return Vec::new();
        }
        self.statements.iter().filter(|statement| statement.active && statement.key() == Some(key)).collect()
    }

    /// The bytes that Kong reads for a key; empty where the key stands without a value. It is asked of thousands of nodes for
    /// dozens of keys each, so that nothing is collected.
    pub(super) fn value(&self, key: &str) -> Option<Vec<u8>> {
        let hides = |statement: &Statement| matches!(&statement.kind, Kind::Section { key: name } if name == key);
        let last = self.statements.iter().rfind(|statement| statement.active && statement.key() == Some(key))?;
        (!self.statements.iter().any(hides)).then(|| last.value())
    }

    /// Everything that Kong reads.
    pub(super) fn effective(&self) -> BTreeMap<String, Vec<u8>> {
        let keys: BTreeSet<&str> = self.statements.iter().filter(|s| s.active).filter_map(Statement::key).collect();
        keys.into_iter().filter_map(|key| self.active(key).last().map(|last| (key.to_owned(), last.value()))).collect()
    }
}

impl fmt::Debug for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conf({} lines, {} statements)", self.lines.len(), self.statements.len())
    }
}

fn split(bytes: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let newline = bytes[start..].iter().position(|byte| *byte == b'\n').map(|at| start + at);
        let next = newline.map_or(bytes.len(), |at| at + 1);
        let end = newline.unwrap_or(bytes.len());
        let end = if newline.is_some() && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        lines.push(Line { start, end, next });
        start = next;
    }
    lines
}

#[cfg(test)]
mod tests;
