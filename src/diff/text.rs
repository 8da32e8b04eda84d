//! Differences of text, for reading: bounded, and free of control characters.

use similar::{ChangeTag, TextDiff};

use crate::bundle::Bundle;

/// Longer texts are not compared line by line: a diff of that size is read by nobody, and could be made to take minutes.
const MAX_BYTES: usize = 512 << 10;

/// How long one comparison may take before it gets coarser.
pub(super) const DEADLINE: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > MAX_BYTES || bytes.contains(&0) { None } else { std::str::from_utf8(bytes).ok() }
}

/// Lines added and removed between two files; `None` if they are not text.
pub fn line_counts(before: &[u8], after: &[u8]) -> Option<(usize, usize)> {
    Some(counted(&compared(before, after)?))
}

/// The two line by line; `None` if they are not text.
fn compared<'a>(before: &'a [u8], after: &'a [u8]) -> Option<TextDiff<'a, 'a, str>> {
    Some(TextDiff::configure().timeout(DEADLINE).diff_lines(text(before)?, text(after)?))
}

fn counted(diff: &TextDiff<'_, '_, str>) -> (usize, usize) {
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    (count(ChangeTag::Insert), count(ChangeTag::Delete))
}

/// A unified diff of two files with three lines of context; one line says so where they are not text.
pub fn unified(path: &str, before: &[u8], after: &[u8]) -> Vec<String> {
    written(path, compared(before, after).as_ref())
}

fn written(path: &str, diff: Option<&TextDiff<'_, '_, str>>) -> Vec<String> {
    let Some(diff) = diff else { return vec![format!("{path}: not text, or too long to compare by lines")] };
    let unified = diff.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    unified.lines().map(|line| crate::kong::printable(&line.replace('\t', "    "), 500)).collect()
}

/// All of what differs between two contents of a bundle: the unified diffs, lines added, lines removed, files touched.
pub fn content_diff(before: &Bundle, after: &Bundle) -> (Vec<String>, usize, usize, usize) {
    let (mut lines, mut added, mut removed, mut files) = (Vec::new(), 0, 0, 0);
    let paths: std::collections::BTreeSet<_> = before.files.keys().chain(after.files.keys()).collect();
    for path in paths {
        let [old, new] = [before, after].map(|bundle| bundle.files.get(path).map(crate::bundle::Content::bytes));
        if old == new {
            continue;
        }
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        files += 1;
        let diff = compared(old, new);
        let (more, less) = diff.as_ref().map(counted).unwrap_or_default();
        added += more;
        removed += less;
        lines.extend(written(path.as_str(), diff.as_ref()));
    }
    (lines, added, removed, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_counted_by_lines() {
        assert_eq!(line_counts(b"a\nb\n", b"a\nc\nd\n"), Some((2, 1)));
        assert_eq!(line_counts(b"", b"a\n"), Some((1, 0)));
        assert_eq!(line_counts(b"a\n", b"a\n"), Some((0, 0)));
    }

    #[test]
    fn what_is_not_text_or_too_long_is_said_and_not_compared() {
        for bytes in [&b"a\0b"[..], b"\xff\xfe", &vec![b'a'; MAX_BYTES + 1]] {
            assert_eq!(line_counts(bytes, b"a"), None);
            assert_eq!(unified("x.lua", b"a", bytes), ["x.lua: not text, or too long to compare by lines"]);
        }
    }

    #[test]
    fn nothing_of_a_file_reaches_the_terminal_raw() {
        let lines = unified("x.lua", b"a\n", b"a\x1b[2J\n\tb\r\n");
        assert!(lines.iter().all(|line| !line.chars().any(char::is_control)), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("+    b")), "{lines:?}");
    }
}
