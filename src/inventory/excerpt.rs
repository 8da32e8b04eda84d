//! Mistakes with the lines that they are about.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::Place;
use super::mistake::{Mistake, Mistakes, Weight, shown};

/// How mistakes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Without escape sequences.
    Plain,
    /// In the terminal's own colours.
    Coloured,
}

/// Of a line that is longer than this many bytes no excerpt is shown: nobody finds a place in it anyway.
const LONGEST: usize = 4_000;

impl Mistakes {
    /// Every mistake with its line, the place underlined, and what to write instead.
    pub fn render(&self, look: Look) -> String {
        let renderer = match look {
            Look::Plain => Renderer::plain(),
            Look::Coloured => Renderer::styled(),
        };
        let lines = Lines::of(&self.text);
        let mut out = String::new();
        for mistake in self {
            out.push_str(&self.one(mistake, &lines, &renderer));
            out.push_str("\n\n");
        }
        if self.omitted() > 0 {
            let _ = writeln!(out, "{} more in {}", self.omitted(), self.file());
        }
        out
    }

    fn one(&self, mistake: &Mistake, lines: &Lines<'_>, renderer: &Renderer) -> String {
        let level = match mistake.weight {
            Weight::Error => Level::ERROR,
            Weight::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(mistake.what.as_str()));
        group = self.excerpt(group, lines, mistake.place, None);
        if let Some((place, role)) = &mistake.also {
            group = self.excerpt(group, lines, *place, Some(role));
        }
        if let Some(instead) = &mistake.instead {
            group = group.element(Level::HELP.message(instead.to_string()));
        }
        renderer.render(&[group])
    }

    /// The line of a place, underlined there, with a label for a place that is not the mistake itself.
    fn excerpt<'a>(&'a self, group: Group<'a>, lines: &Lines<'_>, place: Place, label: Option<&str>) -> Group<'a> {
        let line = lines.get(place.line);
        if line.len() > LONGEST {
            return group.element(Origin::path(self.file()).line(place.line).char_column(place.column));
        }
        let line: String = line.chars().map(visible).collect();
        let byte = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
        let span = byte(place.column - 1)..byte(place.column - 1 + place.width);
        let annotation = match label {
            None => AnnotationKind::Primary.span(span),
            Some(label) => AnnotationKind::Context.span(span).label(label.to_owned()),
        };
        group.element(Snippet::source(line).line_start(place.line).path(self.file()).annotation(annotation))
    }
}

/// One character for one, so that the columns stay.
fn visible(c: char) -> char {
    if shown(c.encode_utf8(&mut [0; 4])).chars().eq([c]) { c } else { '\u{fffd}' }
}

/// The lines of a text, found once.
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect())
    }

    fn get(&self, line: usize) -> &'a str {
        self.0.get(line - 1).copied().unwrap_or_default()
    }
}
