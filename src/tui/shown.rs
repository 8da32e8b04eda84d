//! Text on its way to the screen: cleaned, fitted into columns, wrapped, and node names drawn together.
//!
//! What a node, a repository or a person wrote is never drawn raw: everything passes [`shown`] or [`fit`].

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for a character that may not reach a terminal.
const STAND_IN: char = '\u{fffd}';

/// True for characters that move the cursor, begin a sequence, turn the writing direction round or cannot be seen.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text as it may be drawn: a tab becomes four spaces, every hostile character a visible stand-in.
pub(super) fn shown(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => clean.push_str("    "),
            c if is_hostile(c) => clean.push(STAND_IN),
            c => clean.push(c),
        }
    }
    clean
}

/// What stands before the first end of a line. Terminals send the ends of lines that are pasted as carriage returns.
pub(super) fn first_line(text: &str) -> &str {
    text.split(['\r', '\n']).next().unwrap_or_default()
}

/// How many columns a clean text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in exactly `columns` columns: cleaned, cut with `more` at the end, or filled with spaces.
pub(super) fn fit(text: &str, columns: usize, more: &str) -> String {
    let mut text = clip(text, columns, more);
    let taken = width(&text);
    text.extend(std::iter::repeat_n(' ', columns.saturating_sub(taken)));
    text
}

/// The text in at most `columns` columns: cleaned, and cut with `more` at the end where it is too long.
pub(super) fn clip(text: &str, columns: usize, more: &str) -> String {
    // A line of a log may be a megabyte long: no more of it is cleaned than can be seen.
    let text = shown(&text.chars().take(columns.saturating_add(1)).collect::<String>());
    if width(&text) <= columns {
        return text;
    }
    let room = columns.saturating_sub(width(more));
    let mut cut = take_columns(&text, room).to_owned();
    if width(more) <= columns {
        cut.push_str(more);
    }
    cut
}

/// The longest beginning of a clean text that takes at most `columns` columns.
fn take_columns(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns {
            return &text[..at];
        }
    }
    text
}

/// The text in lines of at most `columns` columns, broken at spaces where there are any; never more than [`MOST`] lines.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    // As in `clip`: what can never be seen is not worth cleaning.
    let clean = shown(&text.chars().take(columns.saturating_mul(MOST)).collect::<String>());
    let mut rest = clean.as_str();
    let mut lines = Vec::new();
    while width(rest) > columns && lines.len() + 1 < MOST {
        let (line, after) = break_at(rest, columns);
        lines.push(line.to_owned());
        rest = after;
    }
    lines.push(take_columns(rest, columns).to_owned());
    lines
}

/// How many lines [`wrap`] makes of one text at most.
pub(super) const MOST: usize = 200;

fn break_at(text: &str, columns: usize) -> (&str, &str) {
    let head = take_columns(text, columns);
    // A character wider than the whole line has to go somewhere.
    let head = if head.is_empty() { &text[..text.chars().next().map_or(0, char::len_utf8)] } else { head };
    if text[head.len()..].starts_with(' ') {
        return (head, text[head.len()..].trim_start());
    }
    match head.rfind(' ').filter(|at| !head[..*at].trim().is_empty()) {
        Some(at) => (head[..at].trim_end(), text[at..].trim_start()),
        None => (head, &text[head.len()..]),
    }
}

/// `1 node`, `2 nodes`, `no nodes`.
pub(super) fn count(number: usize, one: &str) -> String {
    match number {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}

/// Seconds as `01:12` or `1:02:03`.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// The time of day, UTC, as on every screen.
pub(super) fn time_of_day(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// A time, UTC, with its date where that is not the one of `near`.
pub(super) fn moment(at: jiff::Timestamp, near: jiff::Timestamp) -> String {
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    if day(at) == day(near) { time_of_day(at) } else { at.strftime("%Y-%m-%d %H:%M:%S").to_string() }
}

/// A date and a time of day in eleven columns, UTC: the year only where it is not that of `near`, and then no time of day.
pub(super) fn when(at: jiff::Timestamp, near: jiff::Timestamp) -> String {
    let year = |at: jiff::Timestamp| at.strftime("%Y").to_string();
    let format = if year(at) == year(near) { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(
            shown("a\x1b[2Jb\u{9b}31m\u{202e}c\r\n\0"),
            "a\u{fffd}[2Jb\u{fffd}31m\u{fffd}c\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(shown("\tif x"), "    if x");
        assert_eq!(shown("plain – text"), "plain – text");
    }

    #[test]
    fn a_paste_ends_a_line_in_any_of_three_ways() {
        assert_eq!(["a b\rc", "a b\nc", "a b\r\nc", "a b"].map(first_line), ["a b"; 4]);
    }

    #[test]
    fn a_text_is_fitted_by_columns_and_not_by_characters() {
        assert_eq!(fit("ab", 4, "…"), "ab  ");
        assert_eq!(fit("abcdef", 4, "…"), "abc…");
        assert_eq!(fit("日本語", 4, "…"), "日… ");
        assert_eq!(fit("abcdef", 4, "..."), "a...");
        assert_eq!(fit("abcdef", 0, "…"), "");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap(&"x".repeat(10_000_000), 10).len(), MOST);
    }

    #[test]
    fn numbers_carry_their_unit() {
        assert_eq!(
            (count(0, "node"), count(1, "node"), count(9, "node")),
            ("no nodes".into(), "1 node".into(), "9 nodes".into())
        );
        assert_eq!((duration(72), duration(3723), duration(-4)), ("01:12".into(), "1:02:03".into(), "00:00".into()));
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_columns(text in any::<String>(), columns in 0usize..60) {
            prop_assert_eq!(width(&fit(&text, columns, "…")), columns);
            for line in wrap(&text, columns) {
                prop_assert!(!line.chars().any(is_hostile));
                prop_assert!(width(&line) <= columns.max(2));
            }
        }
    }
}
