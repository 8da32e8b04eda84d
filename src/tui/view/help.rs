//! The help, made from the keymap.

use crate::tui::keymap::{Binding, KEYMAP, Place};
use crate::tui::look::{Tone, tone_of};
use crate::tui::shown::fit;
use crate::tui::text::{TextLine, hanging};

const MARKS: &[(char, &str)] = &[
    ('=', "as the inventory wants; in a run: proven"),
    ('~', "there, but different"),
    ('-', "wanted, not there"),
    ('+', "there, and should not be"),
    ('.', "rightly absent; Kong stopped; out; not begun"),
    ('?', "unknown: never shown as anything else"),
    ('*', "reload owed: the workers run something else than is on disk"),
    ('!', "blocked"),
    ('x', "failed"),
    ('<', "rolled back: put back, and proven to serve as before"),
];

/// The keys of a screen, then the marks, then the keys that work everywhere.
pub(super) fn lines(place: Place, columns: usize) -> Vec<TextLine> {
    let mut lines = vec![TextLine::new(Tone::Head, &format!(" {}", place_words(place)))];
    let of = |everywhere: bool| KEYMAP.iter().filter(move |b| b.places.is_empty() == everywhere && b.is_on(place));
    lines.extend(of(false).flat_map(|binding| binding_lines(binding, columns)));
    lines.extend([TextLine::default(), TextLine::new(Tone::Head, " marks: files, directive, loaded, used")]);
    lines.extend(MARKS.iter().map(|(mark, words)| {
        TextLine::new(tone_of(*mark), &format!("   {}", fit(&mark.to_string(), KEYS, ""))).with(Tone::Plain, words)
    }));
    lines.extend([TextLine::default(), TextLine::new(Tone::Head, " everywhere")]);
    lines.extend(of(true).flat_map(|binding| binding_lines(binding, columns)));
    lines
}

const KEYS: usize = 26;

fn binding_lines(binding: &Binding, columns: usize) -> Vec<TextLine> {
    let keys = binding.keys.iter().map(|key| key.words()).collect::<Vec<_>>().join(", ");
    hanging(&TextLine::new(Tone::Head, &format!("   {}", fit(&keys, KEYS, ""))), Tone::Plain, binding.words, columns)
}

const fn place_words(place: Place) -> &'static str {
    match place {
        Place::Fleet => "the fleet",
        Place::Node => "a node",
        Place::Plan => "the plan",
        Place::Diff => "a difference",
        Place::Run => "the run",
        Place::Log => "a log",
        Place::Ticket => "the ticket",
        Place::Help => "the help",
    }
}
