//! Changes to a file that leave every other byte alone, each proven by reading the result again.

use super::Conf;
use super::statement::{Kind, Statement};

/// Why a file cannot be edited as asked. It holds no values: they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The key is not one that Kong could read back.
    #[error("{key:?} is not a key of kong.conf: letters, digits and _ only")]
    Key {
        /// The key.
        key: String,
    },
    /// The value cannot be written so that Kong reads it back: a line break, blanks at its ends, a `\` at its end, a number
    /// that Kong would rewrite, the text `_blank_`.
    #[error("the value for {key} cannot be written to kong.conf so that Kong reads it back")]
    Value {
        /// The key.
        key: String,
    },
    /// The edit would change what Kong reads elsewhere, or would not be seen: a `[section]` of the same name, for one.
    #[error("setting {key} would not take effect in this file, or would change another key")]
    Effect {
        /// The key.
        key: String,
    },
}

pub(super) fn set(conf: &Conf, key: &str, value: &str) -> Result<Vec<u8>, EditError> {
    check(key)?;
    let active = conf.active(key);
    if active.last().is_some_and(|last| last.value() == value.as_bytes()) {
        return Ok(conf.bytes.clone());
    }
    let written = value.replace('#', "\\#");
    let probe = Conf::parse(format!("{key} = {written}\n"));
    if probe.get(key).is_none_or(|reading| reading.value != value) || probe.statements.len() != 1 {
        return Err(EditError::Value { key: key.to_owned() });
    }
    let edited = match active.last() {
        Some(last) => replace(conf, last, written.as_bytes()),
        None => insert(conf, format!("{key} = {written}").as_bytes()),
    };
    proven(conf, edited, key, Some(value.as_bytes()))
}

pub(super) fn unset(conf: &Conf, key: &str) -> Result<Vec<u8>, EditError> {
    check(key)?;
    let gone: Vec<usize> = conf.active(key).iter().flat_map(|statement| statement.lines.iter().copied()).collect();
    let lines = conf.lines.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    let edited = lines.flat_map(|(_, line)| &conf.bytes[line.start..line.next]).copied().collect();
    proven(conf, edited, key, None)
}

fn check(key: &str) -> Result<(), EditError> {
    let clean = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if clean { Ok(()) } else { Err(EditError::Key { key: super::super::printable(key, 80) }) }
}

/// The edited file, if Kong reads the wanted value from it and every other key as before.
fn proven(before: &Conf, edited: Vec<u8>, key: &str, wanted: Option<&[u8]>) -> Result<Vec<u8>, EditError> {
    let after = Conf::parse(edited);
    let (mut old, mut new) = (before.effective(), after.effective());
    old.remove(key);
    if new.remove(key).as_deref() == wanted && old == new {
        return Ok(after.bytes);
    }
    Err(EditError::Effect { key: key.to_owned() })
}

/// Puts a value in the place of another. Lines that continued the old value go; comments between them stay.
fn replace(conf: &Conf, statement: &Statement, value: &[u8]) -> Vec<u8> {
    let (from, to) = statement.span();
    let (head, mut tail) = (&statement.joined[..from], &statement.joined[to..]);
    // The `\r` of a `\r\n` belongs to the line ending, which is written below.
    let crlf = statement.lines.last().is_some_and(|last| conf.bytes[conf.lines[*last].end..].starts_with(b"\r\n"));
    if crlf {
        tail = tail.strip_suffix(b"\r").unwrap_or(tail);
    }
    let empty = from == to;
    let mut line = head.to_vec();
    if empty && !head.ends_with(b" ") && !head.ends_with(b"\t") {
        line.push(b' ');
    }
    line.extend_from_slice(value);
    if tail.starts_with(b"#") {
        line.push(b' ');
    }
    line.extend_from_slice(tail);

    let mut edited = Vec::with_capacity(conf.bytes.len() + value.len());
    for (at, place) in conf.lines.iter().enumerate() {
        if at == statement.lines[0] {
            edited.extend_from_slice(&line);
            edited.extend_from_slice(&conf.bytes[place.end..place.next]);
        } else if !statement.lines.contains(&at) {
            edited.extend_from_slice(&conf.bytes[place.start..place.next]);
        }
    }
    edited
}

/// Adds a line where Kong will see it: at the end, but before a section, and before a last line that ends in `\` and would
/// swallow it.
fn insert(conf: &Conf, line: &[u8]) -> Vec<u8> {
    let section =
        conf.statements.iter().find(|s| matches!(s.kind, Kind::Section { .. } | Kind::Broken)).map(|s| s.lines[0]);
    let before = [section, conf.dangling].into_iter().flatten().min();
    let at = before.map_or(conf.bytes.len(), |line| conf.lines[line].start);
    let crlf = conf.lines.first().is_some_and(|line| conf.bytes[line.end..line.next] == *b"\r\n");
    let ending: &[u8] = if crlf { b"\r\n" } else { b"\n" };

    let mut edited = conf.bytes[..at].to_vec();
    if !edited.is_empty() && !edited.ends_with(b"\n") {
        edited.extend_from_slice(ending);
    }
    edited.extend_from_slice(line);
    edited.extend_from_slice(ending);
    edited.extend_from_slice(&conf.bytes[at..]);
    edited
}
