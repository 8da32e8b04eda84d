//! Two contents line by line, with the numbers of their lines: what a screen lays out beside each other or below each other.

use std::ops::Range;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::text::{DEADLINE, text};
use crate::kong::{Conf, printable};
use crate::survey::HIDDEN;

/// The longest line that is kept, in characters.
const LINE: usize = 2_000;

/// What a line of a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// The same on both sides.
    Same,
    /// Only as it is.
    Removed,
    /// Only as it will be.
    Added,
    /// Lines that are left out here, with what there is to say of them.
    Gap,
    /// A sentence about the contents.
    Note,
}

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedLine {
    /// What it is.
    pub kind: LineKind,
    /// Its number on the left, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// Its number on the right, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// The line, free of control characters.
    pub text: String,
}

/// What a content is written in, for its colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Lua.
    Lua,
    /// kong.conf: `key = value`, comments behind `#`.
    Conf,
    /// Anything else.
    #[default]
    Text,
}

impl Language {
    /// By the end of a file's name.
    pub fn of(path: &str) -> Self {
        match path.rsplit_once('.') {
            Some((_, "lua")) => Self::Lua,
            Some((_, "conf")) => Self::Conf,
            _ => Self::Text,
        }
    }
}

/// A content as it is and as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Comparison {
    /// What is compared: a path.
    pub path: String,
    /// What the left side is.
    pub before: String,
    /// What the right side is.
    pub after: String,
    /// What both are written in.
    pub language: Language,
    /// How many lines are only on the left.
    pub removed: usize,
    /// How many lines are only on the right.
    pub added: usize,
    /// All lines.
    pub lines: Vec<ComparedLine>,
}

/// A part of a comparison as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excerpt {
    /// These lines.
    Lines(Range<usize>),
    /// So many lines that are the same on both sides are left out.
    Alike(usize),
}

fn line(kind: LineKind, before: Option<usize>, after: Option<usize>, text: &str) -> ComparedLine {
    let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number + 1).ok());
    let text = printable(&text.replace('\t', "    "), LINE);
    ComparedLine { kind, before: number(before), after: number(after), text }
}

fn note(text: &str) -> ComparedLine {
    line(LineKind::Note, None, None, text)
}

impl Comparison {
    /// Compares two contents of a file. What is not text is said and not compared.
    pub fn of(path: &str, before: &[u8], after: &[u8]) -> Self {
        let mut made = Self { path: path.to_owned(), language: Language::of(path), ..Self::default() };
        let (Some(old), Some(new)) = (text(before), text(after)) else {
            made.lines.push(note(if before == after {
                "the same on both sides, and not text, or too long to show by lines"
            } else {
                "they differ, and are not text, or too long to compare by lines"
            }));
            return made;
        };
        for change in TextDiff::configure().timeout(DEADLINE).diff_lines(old, new).iter_all_changes() {
            let kind = match change.tag() {
                ChangeTag::Equal => LineKind::Same,
                ChangeTag::Delete => LineKind::Removed,
                ChangeTag::Insert => LineKind::Added,
            };
            let value = change.value();
            let value = value.strip_suffix('\n').unwrap_or(value);
            made.push(line(kind, change.old_index(), change.new_index(), value));
            if change.missing_newline() && kind != LineKind::Same {
                made.lines.push(note("the line above has no end of line"));
            }
        }
        if made.lines.is_empty() {
            made.lines.push(note("both are empty"));
        }
        made
    }

    /// Compares a kong.conf with what an edit makes of it. Only lines whose key is readable are shown; of every other one it
    /// stands there that it is, and the same on both sides.
    pub fn of_conf(path: &str, before: &Conf, after: &Conf) -> Self {
        let mut made = Self { path: path.to_owned(), language: Language::Conf, ..Self::default() };
        let [old, new] = [before, after].map(|conf| conf.raw_lines().collect::<Vec<_>>());
        let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let rest = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (shown, becomes) = (before.shown(), after.shown());
        let words = |line: &Option<String>| line.clone().unwrap_or_else(|| HIDDEN.to_owned());
        for (at, text) in shown[..same].iter().enumerate() {
            made.push(line(LineKind::Same, Some(at), Some(at), &words(text)));
        }
        for (at, text) in shown[..old.len() - rest].iter().enumerate().skip(same) {
            made.push(line(LineKind::Removed, Some(at), None, &words(text)));
        }
        for (at, text) in becomes[..new.len() - rest].iter().enumerate().skip(same) {
            made.push(line(LineKind::Added, None, Some(at), &words(text)));
        }
        for (number, text) in shown[old.len() - rest..].iter().enumerate() {
            let (at, becomes) = (old.len() - rest + number, new.len() - rest + number);
            made.push(line(LineKind::Same, Some(at), Some(becomes), &words(text)));
        }
        made
    }

    /// Reads what [`super::unified`] wrote: one comparison for each file. Lines that belong to no difference are notes.
    pub fn of_unified(lines: &[String]) -> Vec<Self> {
        let mut reader = Reader::default();
        for line in lines {
            reader.line(line);
        }
        reader.all
    }

    /// The same with names for its two sides.
    #[must_use]
    pub fn between(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        (self.before, self.after) = (before.into(), after.into());
        self
    }

    /// The same without these words: what a node keeps secret may have been written into a file by somebody.
    #[must_use]
    pub fn without(mut self, secrets: &[String]) -> Self {
        for line in &mut self.lines {
            for secret in secrets {
                if line.text.contains(secret.as_str()) {
                    line.text = line.text.replace(secret.as_str(), HIDDEN);
                }
            }
        }
        self
    }

    /// Whether both sides are the same.
    pub const fn is_same(&self) -> bool {
        self.added == 0 && self.removed == 0
    }

    /// The lines that changed, each with so many around it. Where nothing changed, all of them.
    pub fn excerpts(&self, around: usize) -> Vec<Excerpt> {
        let all = self.lines.len();
        if self.is_same() {
            return if all == 0 { Vec::new() } else { vec![Excerpt::Lines(0..all)] };
        }
        let mut shown: Vec<Range<usize>> = Vec::new();
        for at in (0..all).filter(|at| self.lines[*at].kind != LineKind::Same) {
            let (start, end) = (at.saturating_sub(around), (at + around + 1).min(all));
            match shown.last_mut() {
                // A gap of one line would take the place of that line.
                Some(last) if start <= last.end + 1 => last.end = end.max(last.end),
                _ => shown.push(if start <= 1 { 0..end } else { start..end }),
            }
        }
        let mut excerpts = Vec::new();
        let mut at = 0;
        for mut range in shown {
            if range.end + 1 == all {
                range.end = all;
            }
            if range.start > at {
                excerpts.push(Excerpt::Alike(range.start - at));
            }
            at = range.end;
            excerpts.push(Excerpt::Lines(range));
        }
        if at < all {
            excerpts.push(Excerpt::Alike(all - at));
        }
        excerpts
    }

    fn push(&mut self, line: ComparedLine) {
        match line.kind {
            LineKind::Removed => self.removed += 1,
            LineKind::Added => self.added += 1,
            LineKind::Same | LineKind::Gap | LineKind::Note => {}
        }
        self.lines.push(line);
    }
}

/// Reads unified differences.
#[derive(Default)]
struct Reader {
    all: Vec<Comparison>,
    /// The number of the next line on either side, from 0, and how many more the hunk has there.
    next: [usize; 2],
    left: [usize; 2],
}

impl Reader {
    fn line(&mut self, text: &str) {
        if self.left != [0, 0] {
            return self.within(text);
        }
        if let Some(path) = text.strip_prefix("--- ") {
            let path = path.strip_prefix("a/").unwrap_or(path);
            self.all.push(Comparison { path: path.to_owned(), language: Language::of(path), ..Comparison::default() });
        } else if let Some((left, right)) = text.strip_prefix("@@ ").and_then(hunk) {
            (self.next, self.left) = ([left.0, right.0], [left.1, right.1]);
            let before = (left.0 > 0).then(|| format!("from line {}", left.0 + 1));
            self.file().lines.push(line(LineKind::Gap, None, None, &before.unwrap_or_default()));
        } else if !text.starts_with("+++ ") {
            self.file().lines.push(note(text));
        }
    }

    /// A line of a hunk.
    fn within(&mut self, text: &str) {
        let (kind, sides) = match text.as_bytes().first() {
            Some(b'-') => (LineKind::Removed, [true, false]),
            Some(b'+') => (LineKind::Added, [false, true]),
            // What says that a line has no end counts on neither side.
            Some(b'\\') => return self.file().lines.push(note("the line above has no end of line")),
            _ => (LineKind::Same, [true, true]),
        };
        let numbers = [0, 1].map(|side| sides[side].then_some(self.next[side]));
        for side in [0, 1].into_iter().filter(|side| sides[*side]) {
            self.next[side] += 1;
            self.left[side] = self.left[side].saturating_sub(1);
        }
        let rest: String = text.chars().skip(1).collect();
        self.file().push(line(kind, numbers[0], numbers[1], &rest));
    }

    fn file(&mut self) -> &mut Comparison {
        if self.all.is_empty() {
            self.all.push(Comparison::default());
        }
        let last = self.all.len() - 1;
        &mut self.all[last]
    }
}

/// `-10,3 +10,4 @@`: where each side begins, from 0, and how many lines it has.
fn hunk(text: &str) -> Option<((usize, usize), (usize, usize))> {
    let mut words = text.split(' ');
    let mut side = |sign| {
        let numbers = words.next()?.strip_prefix(sign)?;
        let (start, count) = numbers.split_once(',').unwrap_or((numbers, "1"));
        let (start, count): (usize, usize) = (start.parse().ok()?, count.parse().ok()?);
        // An empty side names the line before it.
        Some((if count == 0 { start } else { start.saturating_sub(1) }, count))
    };
    Some((side('-')?, side('+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(comparison: &Comparison) -> Vec<String> {
        let sign = |line: &ComparedLine| match line.kind {
            LineKind::Same => ' ',
            LineKind::Removed => '-',
            LineKind::Added => '+',
            LineKind::Gap => '@',
            LineKind::Note => '#',
        };
        comparison.lines.iter().map(|line| format!("{}{}", sign(line), line.text)).collect()
    }

    #[test]
    fn lines_have_their_numbers_on_both_sides() {
        let made = Comparison::of("x/handler.lua", b"a\nb\nc\n", b"a\nB\nc\nd\n");
        assert_eq!(signs(&made), [" a", "-b", "+B", " c", "+d"]);
        let numbers: Vec<_> = made.lines.iter().map(|line| (line.before, line.after)).collect();
        assert_eq!(
            numbers,
            [(Some(1), Some(1)), (Some(2), None), (None, Some(2)), (Some(3), Some(3)), (None, Some(4))]
        );
        assert_eq!((made.removed, made.added, made.language), (1, 2, Language::Lua));
    }

    #[test]
    fn what_is_no_text_is_said_and_nothing_of_it_is_shown() {
        for (before, words) in [(&b"a\0b"[..], "they differ"), (b"\xff", "the same on both sides")] {
            let made = Comparison::of("x.bin", before, b"\xff");
            assert!(made.lines.len() == 1 && made.lines[0].text.starts_with(words), "{made:?}");
        }
        let made = Comparison::of("x.lua", b"", b"\x1b[2J\tx\r\n");
        assert_eq!(made.lines[0].text, "\u{fffd}[2J    x\u{fffd}");
    }

    #[test]
    fn a_missing_end_of_line_is_said() {
        let made = Comparison::of("x.lua", b"a\n", b"a");
        assert_eq!(signs(&made), ["-a", "+a", "#the line above has no end of line"]);
    }

    #[test]
    fn of_kong_conf_only_readable_lines_are_shown() {
        let before = Conf::parse("pg_password = s3cret\n# s3cret too\nplugins = bundled # s3cret\npg_user = me\n");
        let after = Conf::parse(before.set("plugins", "bundled,acme").unwrap());
        let made = Comparison::of_conf("/etc/kong/kong.conf", &before, &after);
        assert_eq!(
            signs(&made),
            [" (not shown)", " (not shown)", "-plugins = bundled", "+plugins = bundled,acme", " (not shown)"]
        );
        let numbers: Vec<_> = made.lines.iter().map(|line| (line.before, line.after)).collect();
        assert_eq!(numbers[4], (Some(4), Some(4)));
        assert!(!format!("{made:?}").contains("s3cret"));
        let added = Conf::parse(Conf::parse("database = off\n").set("plugins", "acme").unwrap());
        let made = Comparison::of_conf("kong.conf", &Conf::parse("database = off\n"), &added);
        assert_eq!((made.removed, made.added), (0, 1), "{made:?}");
    }

    #[test]
    fn a_unified_difference_is_read_back() {
        let old = (1..30).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        let new = old.replace("line 10\n", "line ten\n").replace("line 25\n", "");
        let lines = super::super::unified("a/x.lua", old.as_bytes(), new.as_bytes());
        let read = Comparison::of_unified(&[lines.clone(), lines].concat());
        assert_eq!(read.len(), 2);
        let first = &read[0];
        assert_eq!((first.path.as_str(), first.removed, first.added), ("a/x.lua", 2, 1));
        let changed: Vec<_> = first.lines.iter().filter(|line| line.kind == LineKind::Removed).collect();
        assert_eq!((changed[0].before, changed[0].text.as_str()), (Some(10), "line 10"));
        assert_eq!(changed[1].before, Some(25));
        assert_eq!(first.lines[0].text, "from line 7");
    }

    #[test]
    fn a_line_that_looks_like_a_head_is_a_line_where_it_stands_in_a_hunk() {
        let lines = super::super::unified("x.lua", b"-- a\n+++ b\n", b"++ c\n");
        let read = Comparison::of_unified(&lines);
        assert_eq!(signs(&read[0])[1..], ["--- a", "-+++ b", "+++ c"]);
    }

    #[test]
    fn lines_of_no_difference_are_notes() {
        let lines = ["kong/plugins/a/handler.lua: new file, 3 lines", "b: not text"].map(str::to_owned);
        let read = Comparison::of_unified(&lines);
        assert_eq!(signs(&read[0]), ["#kong/plugins/a/handler.lua: new file, 3 lines", "#b: not text"]);
    }

    #[test]
    fn excerpts_leave_out_what_is_far_from_every_change() {
        let old = (0..100).map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
        let new = old.replace("\n50\n", "\nx\n").replace("\n52\n", "\ny\n");
        let made = Comparison::of("x", old.as_bytes(), new.as_bytes());
        assert_eq!(
            made.excerpts(3),
            [Excerpt::Alike(47), Excerpt::Lines(47..58), Excerpt::Alike(made.lines.len() - 58)]
        );
        let same = Comparison::of("x", b"a\nb\n", b"a\nb\n");
        assert_eq!(same.excerpts(3), [Excerpt::Lines(0..2)]);
        let near = Comparison::of("x", b"0\n1\n2\n3\n4\n5\n", b"0\n1\n2\n3\nx\n5\n");
        assert_eq!(near.excerpts(3), [Excerpt::Lines(0..7)], "a gap of one line saves nothing");
    }

    #[test]
    fn a_secret_that_stands_in_a_file_is_not_shown() {
        let made = Comparison::of("x", b"k = 's3cret'\n", b"").without(&["s3cret".to_owned()]);
        assert_eq!(signs(&made), ["-k = '(not shown)'"]);
    }
}
