//! Comparisons laid out in rows, once: below each other, or beside each other. A row is made into text only where it is seen,
//! so that a file of 20,000 lines costs a frame no more than one of twenty.

use std::sync::Arc;

use super::code::{self, Within};
use super::look::{Look, Tone};
use super::shown::{shown, width};
use super::text::TextLine;
use crate::diff::{ComparedLine, Comparison, Excerpt, LineKind};

/// From how many columns on the two sides stand beside each other.
const BESIDE: usize = 140;
/// How many lines stand around a change.
const AROUND: usize = 3;

/// A row: what it shows, by file and line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Between two files.
    Blank,
    /// The name of a file.
    File(usize),
    /// So many lines that are the same on both sides are left out.
    Alike(usize),
    /// A line over the whole width.
    Line(usize, usize),
    /// What is left and what is right.
    Pair(usize, Option<usize>, Option<usize>),
}

/// Comparisons in rows.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    files: Vec<Arc<Comparison>>,
    /// What each line begins in, on its left and on its right side.
    within: Vec<Vec<[Within; 2]>>,
    below: Vec<Row>,
    beside: Vec<Row>,
    /// The columns that the longest number of a line takes.
    digits: usize,
}

impl Sheet {
    /// Lays them out.
    pub fn of(files: Vec<Arc<Comparison>>) -> Self {
        let within = files.iter().map(|file| within(file)).collect();
        let most = files.iter().map(|file| file.lines.len()).max().unwrap_or_default();
        let mut sheet = Self { within, digits: most.to_string().len().max(3), ..Self::default() };
        for (at, file) in files.iter().enumerate() {
            if files.len() > 1 {
                let head = [Row::Blank, Row::File(at)];
                sheet.push(&head[usize::from(at == 0)..]);
            }
            for excerpt in file.excerpts(AROUND) {
                match excerpt {
                    Excerpt::Alike(number) => sheet.push(&[Row::Alike(number)]),
                    Excerpt::Lines(lines) => {
                        sheet.below.extend(lines.clone().map(|line| Row::Line(at, line)));
                        pair(&mut sheet.beside, at, &file.lines, lines);
                    }
                }
            }
        }
        sheet.files = files;
        sheet
    }

    fn push(&mut self, rows: &[Row]) {
        self.below.extend(rows);
        self.beside.extend(rows);
    }

    fn rows(&self, columns: usize) -> &[Row] {
        if columns >= BESIDE { &self.beside } else { &self.below }
    }

    /// How many rows there are at this width.
    pub fn len(&self, columns: usize) -> usize {
        self.rows(columns).len()
    }

    /// Lines that are only left, and only right, over all files.
    pub fn counts(&self) -> (usize, usize) {
        self.files.iter().fold((0, 0), |(less, more), file| (less + file.removed, more + file.added))
    }

    /// What is compared.
    pub fn files(&self) -> &[Arc<Comparison>] {
        &self.files
    }

    /// The first row of the next change behind this row, or, going back, of the one before it.
    pub fn change(&self, from: usize, columns: usize, forward: bool) -> Option<usize> {
        let rows = self.rows(columns);
        let begins = |at: &usize| self.is_change(rows[*at]) && (*at == 0 || !self.is_change(rows[*at - 1]));
        if forward { (from + 1..rows.len()).find(begins) } else { (0..from.min(rows.len())).rev().find(begins) }
    }

    fn is_change(&self, row: Row) -> bool {
        let changed =
            |file: usize, line: usize| matches!(self.files[file].lines[line].kind, LineKind::Removed | LineKind::Added);
        match row {
            Row::Line(file, line) => changed(file, line),
            Row::Pair(file, left, right) => [left, right].into_iter().flatten().any(|line| changed(file, line)),
            Row::Blank | Row::File(_) | Row::Alike(_) => false,
        }
    }

    /// A row as text, `skip` columns of its code to the left left out.
    pub fn row(&self, at: usize, look: Look, columns: usize, skip: usize) -> TextLine {
        match self.rows(columns).get(at).copied() {
            None | Some(Row::Blank) => TextLine::default(),
            Some(Row::File(file)) => {
                let file = &self.files[file];
                TextLine::new(Tone::Head, &format!(" {}", file.path))
                    .with(Tone::Faint, &format!("  -{} +{}", file.removed, file.added))
            }
            Some(Row::Alike(number)) => gap(&format!("{number} lines alike"), look),
            Some(Row::Line(file, line)) => self.whole(file, line, look, columns, skip),
            Some(Row::Pair(file, left, right)) => {
                let half = columns.saturating_sub(3) / 2;
                let mut text = self.half(file, left, 0, (look, half, skip));
                text.parts.push((Tone::Faint, format!(" {} ", look.between())));
                text.parts.extend(self.half(file, right, 1, (look, half, skip)).parts);
                text
            }
        }
    }

    /// A line over the whole width: both numbers, its sign, its code.
    fn whole(&self, file: usize, at: usize, look: Look, columns: usize, skip: usize) -> TextLine {
        let line = &self.files[file].lines[at];
        let (sign, tone) = sign(line.kind);
        match line.kind {
            LineKind::Gap => return gap(&line.text, look),
            LineKind::Note => return note(&line.text, look, columns),
            LineKind::Same | LineKind::Removed | LineKind::Added => {}
        }
        let numbers = format!(" {} {} ", self.number(line.before), self.number(line.after));
        let room = columns.saturating_sub(width(&numbers) + 2);
        let mut text = TextLine::new(if tone == Tone::Plain { Tone::Faint } else { tone }, &numbers)
            .with(tone, &format!("{sign} "));
        let side = usize::from(line.kind != LineKind::Removed);
        text.parts.extend(self.code(file, at, side, (look, room, skip)));
        text
    }

    /// One of the two sides, filled to its width.
    fn half(
        &self,
        file: usize,
        line: Option<usize>,
        side: usize,
        (look, columns, skip): (Look, usize, usize),
    ) -> TextLine {
        let Some(at) = line else { return TextLine::new(Tone::Plain, &" ".repeat(columns)) };
        let line = &self.files[file].lines[at];
        let (sign, tone) = sign(line.kind);
        let number = self.number(if side == 0 { line.before } else { line.after });
        let lead = format!(" {number} {sign} ");
        let room = columns.saturating_sub(width(&lead));
        let mut text = TextLine::new(if tone == Tone::Plain { Tone::Faint } else { tone }, &lead);
        text.parts.extend(self.code(file, at, side, (look, room, skip)));
        let missing = columns.saturating_sub(text.width());
        text.parts.push((Tone::Plain, " ".repeat(missing)));
        text
    }

    fn number(&self, number: Option<u32>) -> String {
        let text = number.map(|number| number.to_string()).unwrap_or_default();
        format!("{text:>width$}", width = self.digits)
    }

    fn code(
        &self,
        file: usize,
        at: usize,
        side: usize,
        (look, room, skip): (Look, usize, usize),
    ) -> Vec<(Tone, String)> {
        let compared = &self.files[file];
        let line = &compared.lines[at];
        let (_, plain) = sign(line.kind);
        let (pieces, _) = code::pieces(compared.language, self.within[file][at][side], &line.text, plain);
        slice(&pieces, skip, room, look.more())
    }
}

/// What each line begins in: the two sides are followed apart, as a comment may be opened on one alone.
fn within(file: &Comparison) -> Vec<[Within; 2]> {
    let mut sides = [Within::Code; 2];
    let mut all = Vec::with_capacity(file.lines.len());
    for line in &file.lines {
        if line.kind == LineKind::Gap {
            sides = [Within::Code; 2];
        }
        all.push(sides);
        let of = match line.kind {
            LineKind::Same => [true, true],
            LineKind::Removed => [true, false],
            LineKind::Added => [false, true],
            LineKind::Gap | LineKind::Note => [false, false],
        };
        for side in [0, 1].into_iter().filter(|side| of[*side]) {
            sides[side] = code::after(file.language, sides[side], &line.text);
        }
    }
    all
}

/// Lines in pairs: what was removed beside what came in its place.
fn pair(rows: &mut Vec<Row>, file: usize, all: &[ComparedLine], lines: std::ops::Range<usize>) {
    let (mut left, mut right): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let flush = |left: &mut Vec<usize>, right: &mut Vec<usize>, rows: &mut Vec<Row>| {
        let (mut l, mut r) = (0, 0);
        for (i, j) in alike(all, left, right).into_iter().chain([(left.len(), right.len())]) {
            // What has no like stands beside what is in its place.
            for at in 0..(i - l).max(j - r) {
                let of = |list: &[usize], from: usize, to: usize| (from + at < to).then(|| list[from + at]);
                rows.push(Row::Pair(file, of(left, l, i), of(right, r, j)));
            }
            if i < left.len() {
                rows.push(Row::Pair(file, Some(left[i]), Some(right[j])));
            }
            (l, r) = (i + 1, j + 1);
        }
        left.clear();
        right.clear();
    };
    for at in lines {
        match all[at].kind {
            LineKind::Removed => left.push(at),
            LineKind::Added => right.push(at),
            kind => {
                flush(&mut left, &mut right, rows);
                rows.push(if kind == LineKind::Same {
                    Row::Pair(file, Some(at), Some(at))
                } else {
                    Row::Line(file, at)
                });
            }
        }
    }
    flush(&mut left, &mut right, rows);
}

/// Blocks of more pairs than this are not searched for lines that are alike.
const MOST_PAIRS: usize = 2_500;

/// Which removed line became which added one: those that begin and end alike, in the order of both, as many as can be.
fn alike(all: &[ComparedLine], left: &[usize], right: &[usize]) -> Vec<(usize, usize)> {
    if left.is_empty() || right.is_empty() || left.len() * right.len() > MOST_PAIRS {
        return Vec::new();
    }
    // The best sum of what is alike from here on.
    let mut best = vec![vec![0; right.len() + 1]; left.len() + 1];
    let score = |i: usize, j: usize| likeness(&all[left[i]].text, &all[right[j]].text);
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            let with = score(i, j).map_or(0, |score| score + best[i + 1][j + 1]);
            best[i][j] = with.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < left.len() && j < right.len() {
        if best[i][j] == best[i + 1][j] {
            i += 1;
        } else if best[i][j] == best[i][j + 1] {
            j += 1;
        } else {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        }
    }
    pairs
}

/// How much of two lines is the same at their beginning and end, in hundredths; none if it is less than half.
fn likeness(one: &str, other: &str) -> Option<usize> {
    let [one, other] = [one, other].map(|text| text.trim().as_bytes());
    let longest = one.len().max(other.len());
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let tail = one[head..].iter().rev().zip(other[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let hundredths = (head + tail) * 100 / longest.max(1);
    (hundredths >= 50).then_some(hundredths)
}

const fn sign(kind: LineKind) -> (char, Tone) {
    match kind {
        LineKind::Removed => ('-', Tone::Bad),
        LineKind::Added => ('+', Tone::Good),
        LineKind::Same => (' ', Tone::Plain),
        LineKind::Gap | LineKind::Note => ('@', Tone::Faint),
    }
}

fn gap(text: &str, look: Look) -> TextLine {
    TextLine::new(Tone::Faint, &format!("   {} {text}", look.rule().repeat(3)))
}

fn note(text: &str, look: Look, columns: usize) -> TextLine {
    TextLine::new(Tone::Plain, &super::shown::clip(&format!("   {text}"), columns, look.more()))
}

/// The part of a line in pieces that is seen: `skip` columns to the left are left out, and at most `room` are given; where
/// something is cut on a side, `more` stands there.
fn slice(pieces: &[(Tone, &str)], skip: usize, room: usize, more: &str) -> Vec<(Tone, String)> {
    use unicode_width::UnicodeWidthChar as _;
    let mut seen: Vec<(Tone, String)> = Vec::new();
    let (mut at, mut taken, mut cut) = (0, 0, false);
    'pieces: for (tone, text) in pieces {
        let mut part = String::new();
        // No more of a huge line is looked at than can be seen.
        for c in shown(&text.chars().take(skip + room + 1).collect::<String>()).chars() {
            let wide = c.width().unwrap_or(0);
            if at >= skip {
                if taken + wide > room {
                    cut = true;
                    seen.push((*tone, part));
                    break 'pieces;
                }
                part.push(c);
                taken += wide;
            }
            at += wide;
        }
        seen.push((*tone, part));
    }
    if cut {
        mark_cut(&mut seen, room, more);
    }
    seen.retain(|(_, text)| !text.is_empty());
    seen
}

/// Makes room for the mark that something was cut at the end.
fn mark_cut(seen: &mut Vec<(Tone, String)>, room: usize, more: &str) {
    let all = |seen: &[(Tone, String)]| seen.iter().map(|(_, text)| width(text)).sum::<usize>();
    while all(seen) + width(more) > room {
        let Some((_, text)) = seen.last_mut() else { return };
        if text.pop().is_none() {
            seen.pop();
        }
    }
    seen.push((Tone::Faint, more.to_owned()));
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
