//! Physical lines to statements, as `pl.config` does it (facts.md A1).

use super::value::{comment_start, is_space, normal};

/// What Kong takes for one line: one or several physical lines joined by `\`.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// The physical lines that it is made of, from 0; comments between them are not part of it.
    pub(super) lines: Vec<usize>,
    /// Their contents, joined without the `\`.
    pub(super) joined: Vec<u8>,
    pub(super) kind: Kind,
    /// Before the first `[section]`: what comes later Kong does not see.
    pub(super) active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `key = value`; the key as Kong spells it, and where in `joined` the value begins.
    Pair { key: String, value: usize },
    /// `[section]`.
    Section { key: String },
    /// A `[` in the first column without a name and `]` behind it: Penlight raises an error.
    Broken,
    /// Anything else, which Kong puts into an unnamed list that it never reads.
    Item,
}

impl Statement {
    pub(super) fn key(&self) -> Option<&str> {
        match &self.kind {
            Kind::Pair { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The value as Kong sees it.
    pub(super) fn value(&self) -> Vec<u8> {
        match self.kind {
            Kind::Pair { value, .. } => normal(&self.joined[value..]),
            _ => Vec::new(),
        }
    }

    /// Where the value stands in `joined`: behind `=` and blanks, before trailing blanks or the inline comment.
    pub(super) fn span(&self) -> (usize, usize) {
        let Kind::Pair { value, .. } = self.kind else { return (self.joined.len(), self.joined.len()) };
        let rest = &self.joined[value..];
        let end = comment_start(rest).unwrap_or(rest.len());
        let kept = rest[..end].iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
        (value, value + kept)
    }
}

/// Reads all lines. The second part is where a continuation begins that the file ends in.
pub(super) fn read(contents: &[&[u8]]) -> (Vec<Statement>, Option<usize>) {
    let mut statements = Vec::new();
    let mut pending: Option<(Vec<usize>, Vec<u8>)> = None;
    let mut active = true;
    for (at, content) in contents.iter().enumerate() {
        if is_skipped(content) {
            continue;
        }
        let (mut lines, mut joined) = pending.take().unwrap_or_default();
        lines.push(at);
        if let Some(cut) = continuation(content) {
            joined.extend_from_slice(&content[..cut]);
            pending = Some((lines, joined));
            continue;
        }
        joined.extend_from_slice(content);
        let kind = classify(&joined);
        active &= !matches!(kind, Kind::Section { .. } | Kind::Broken);
        statements.push(Statement { lines, joined, kind, active });
    }
    (statements, pending.map(|(lines, _)| lines[0]))
}

/// Blank lines and comments, also between the lines of a continuation.
fn is_skipped(content: &[u8]) -> bool {
    content.iter().find(|byte| !is_space(**byte)).is_none_or(|byte| matches!(byte, b'#' | b';'))
}

/// Where a `\` with nothing but blanks behind it stands.
fn continuation(content: &[u8]) -> Option<usize> {
    let last = content.iter().rposition(|byte| !is_space(*byte))?;
    (content[last] == b'\\').then_some(last)
}

fn classify(joined: &[u8]) -> Kind {
    // Only a `[` in the first column opens a section.
    if joined.first() == Some(&b'[') {
        return section(joined).map_or(Kind::Broken, |name| Kind::Section { key: spell(name) });
    }
    let start = joined.iter().position(|byte| !is_space(*byte)).unwrap_or(joined.len());
    let Some(equals) = joined.iter().position(|byte| *byte == b'=') else { return Kind::Item };
    let key = &joined[start..equals.max(start)];
    let key = &key[..key.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1)];
    let value =
        joined[equals + 1..].iter().position(|byte| !is_space(*byte)).map_or(joined.len(), |at| equals + 1 + at);
    Kind::Pair { key: spell(key), value }
}

/// The first text between `[` and `]` that is not empty.
fn section(joined: &[u8]) -> Option<&[u8]> {
    joined.iter().enumerate().filter(|(_, byte)| **byte == b'[').find_map(|(at, _)| {
        let name = joined[at + 1..].split(|byte| *byte == b']').next()?;
        (!name.is_empty() && at + 1 + name.len() < joined.len()).then_some(name)
    })
}

/// A key as Kong spells it: every byte that is not a letter or digit becomes `_`.
fn spell(key: &[u8]) -> String {
    key.iter().map(|byte| if byte.is_ascii_alphanumeric() { char::from(*byte) } else { '_' }).collect()
}
