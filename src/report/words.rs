//! Numbers with their unit, and text that is safe to print.

use std::borrow::Cow;

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

/// `1 node`, `27 nodes`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `512 bytes`, `31 KiB`, `1.2 MiB`.
pub(super) fn bytes(n: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match n {
        0..KIB => format!("{n} bytes"),
        KIB..MIB => format!("{} KiB", n.div_ceil(KIB)),
        // In tenths, rounded up.
        _ => {
            let tenths = (n * 10).div_ceil(MIB);
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}

/// The parts of a whole that are not zero, as `9 proven, 1 rolled back`.
pub(super) fn parts(parts: &[(usize, &str)]) -> String {
    let some: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    some.join(", ")
}

/// The time of day, in UTC: what is recorded and what is shown are the same.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A text without anything that a terminal would act on. What comes from nodes was cleaned at the door; this is the second
/// door, and also closes on characters that turn the direction of writing.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let bad = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(bad) {
        Cow::Owned(text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The words of a text in lines of at most this width; a word that is longer stands alone.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A text filled up with spaces to this width.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_carry_their_unit() {
        assert_eq!([count(1, "node"), count(0, "node"), count(27, "reload")], ["1 node", "0 nodes", "27 reloads"]);
        assert_eq!([bytes(512), bytes(31 << 10), bytes((31 << 10) + 1)], ["512 bytes", "31 KiB", "32 KiB"]);
        assert_eq!([bytes(1 << 20), bytes(1_258_292)], ["1.0 MiB", "1.3 MiB"]);
        assert_eq!(parts(&[(9, "proven"), (0, "failed"), (1, "unknown")]), "9 proven, 1 unknown");
    }

    #[test]
    fn nothing_reaches_a_terminal_raw() {
        assert_eq!(clean("a\u{1b}[31mb\r\n\u{9b}\u{202e}c"), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}\u{fffd}c");
        assert_eq!(clean("größer"), "größer");
    }

    #[test]
    fn lines_are_broken_at_spaces_only() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("kong/plugins/acme-auth/handler.lua is", 10), ["kong/plugins/acme-auth/handler.lua", "is"]);
    }
}
