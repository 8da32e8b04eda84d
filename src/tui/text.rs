//! A line of text in pieces that each have a tone; what the screens are composed of before anything is drawn.

use super::look::Tone;
use super::shown::{shown, width, wrap};

/// A line in pieces. Every piece is clean: it went through [`shown`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextLine {
    /// The pieces, from left to right.
    pub parts: Vec<(Tone, String)>,
}

impl TextLine {
    /// A line of one piece.
    pub fn new(tone: Tone, text: &str) -> Self {
        Self::default().with(tone, text)
    }

    /// The line with another piece at its end.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: &str) -> Self {
        self.parts.push((tone, shown(text)));
        self
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.parts.iter().map(|(_, text)| width(text)).sum()
    }

    /// All of its text.
    pub fn text(&self) -> String {
        self.parts.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// A text in as many lines as it needs: the first behind `first`, the others behind as many spaces.
pub(super) fn hanging(first: &TextLine, tone: Tone, text: &str, columns: usize) -> Vec<TextLine> {
    let indent = first.width();
    let lines = wrap(text, columns.saturating_sub(indent).max(8));
    let mut lines = lines.into_iter();
    let head = first.clone().with(tone, &lines.next().unwrap_or_default());
    let rest = lines.map(|line| TextLine::new(tone, &format!("{}{line}", " ".repeat(indent))));
    std::iter::once(head).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_line_hangs_under_the_first_word() {
        let lines = hanging(&TextLine::new(Tone::Plain, "cause  "), Tone::Bad, "one two three four", 16);
        let texts: Vec<String> = lines.iter().map(TextLine::text).collect();
        assert_eq!(texts, ["cause  one two", "       three", "       four"]);
    }
}
