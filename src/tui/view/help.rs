//! The help, made from the keys in effect.

use crate::tui::keymap::{Binding, Command, KEYMAP, Key, Place};
use crate::tui::keys::Keys;
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::shown::{fit, width};
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

/// From this width on, the keys of the screen and those that work everywhere stand beside each other.
const WIDE: usize = 120;
/// The most columns that keys take.
const KEYS: usize = 26;

/// The keys of a screen and the marks, then the keys that work everywhere and where keys are set.
pub(super) fn lines(keys: &Keys, look: Look, place: Place, columns: usize) -> Vec<TextLine> {
    let half = columns / 2;
    let each = if columns >= WIDE { half } else { columns };
    let mut left = heading(place.words());
    left.extend(binding_lines(keys, place, false, each));
    let mut right = heading("everywhere");
    right.extend(binding_lines(keys, place, true, each));
    let below = [TextLine::default()].into_iter();
    if columns >= WIDE {
        right.extend(below.clone().chain(set_lines(keys, each)));
        left.extend(below.chain(mark_lines(look, each)));
        return beside(&left, &right, half);
    }
    let rest = below.clone().chain(mark_lines(look, each)).chain(below.clone()).chain(right);
    left.into_iter().chain(rest).chain(below).chain(set_lines(keys, each)).collect()
}

fn heading(words: &str) -> Vec<TextLine> {
    vec![TextLine::new(Tone::Head, &format!(" {words}"))]
}

/// Two columns of lines.
fn beside(left: &[TextLine], right: &[TextLine], half: usize) -> Vec<TextLine> {
    let empty = TextLine::default();
    let rows = 0..left.len().max(right.len());
    rows.map(|at| {
        let (left, right) = (left.get(at).unwrap_or(&empty), right.get(at).unwrap_or(&empty));
        let mut line = left.clone().with(Tone::Plain, &" ".repeat(half.saturating_sub(left.width())));
        line.parts.extend(right.parts.iter().cloned());
        line
    })
    .collect()
}

fn binding_lines(keys: &Keys, place: Place, everywhere: bool, columns: usize) -> Vec<TextLine> {
    let of = KEYMAP.iter().filter(|binding| binding.places.is_empty() == everywhere && binding.is_on(place));
    let rows: Vec<(String, &Binding)> = of.map(|binding| (key_words(keys, place, binding), binding)).collect();
    let widest = rows.iter().map(|(keys, _)| width(keys)).max().unwrap_or(0).min(KEYS) + 2;
    let lines = rows.iter().flat_map(|(keys, binding)| {
        let lead = TextLine::new(Tone::Head, &format!("   {}", fit(keys, widest, "")));
        hanging(&lead, Tone::Plain, binding.words, columns.saturating_sub(1))
    });
    lines.collect()
}

/// The keys of an action; one without a key is found by its name.
fn key_words(keys: &Keys, place: Place, binding: &Binding) -> String {
    let of = keys.of(place, binding);
    let palette = || keys.shown(place, Command::Palette).map(Key::words).unwrap_or_default();
    if of.is_empty() {
        return format!("{}{}", palette(), binding.name);
    }
    of.iter().map(|key| key.words()).collect::<Vec<_>>().join(", ")
}

fn mark_lines(look: Look, columns: usize) -> Vec<TextLine> {
    let mut lines = heading("marks, for each plugin: files, directive, loaded, used");
    lines.extend(MARKS.iter().flat_map(|(mark, words)| {
        let lead = TextLine::new(tone_of(*mark), &format!("   {}", fit(&mark.to_string(), 3, look.more())));
        hanging(&lead, Tone::Plain, words, columns.saturating_sub(1))
    }));
    lines
}

/// Where keys are set.
fn set_lines(keys: &Keys, columns: usize) -> Vec<TextLine> {
    let mut lines = heading("your own keys");
    let file = keys.file().unwrap_or("a file that MUSTER_KEYS names");
    let words = if keys.is_read() {
        format!("these are from {file}")
    } else {
        format!("these are built in; write others, by the names of actions, into {file}")
    };
    let indent = TextLine::new(Tone::Plain, "   ");
    for words in [words.as_str(), "muster keys prints all names and keys as such a file"] {
        lines.extend(hanging(&indent, Tone::Plain, words, columns.saturating_sub(1)));
    }
    lines
}
