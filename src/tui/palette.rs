//! The palette: every action, found by its words, with its key, and with the reason where it is not possible now.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::key::Key;
use super::keymap::{Binding, Command, KEYMAP, Place};
use super::model::Model;
use super::possible::possible;
use super::shown::{first_line, shown};

/// What was typed, and which of the actions found is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Palette {
    /// What was typed.
    pub text: String,
    /// The place of the chosen action among those found.
    pub at: usize,
}

/// An action that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its line of the table; that of this screen where there is one.
    pub binding: &'static Binding,
    /// Its key on this screen, if it has one.
    pub key: Option<Key>,
    /// Why it is not possible now, if it is not.
    pub not_now: Option<String>,
}

/// What a key in the palette comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chosen {
    /// Nothing yet.
    Open,
    /// It is closed.
    Closed,
    /// This action.
    Action(usize),
}

/// More than anybody types to find one of some dozen actions.
const MOST: usize = 100;
/// How many rows a page is.
const PAGE: usize = 10;

impl Palette {
    /// Takes a key; `found` is how many actions are found now.
    pub(super) fn key(&mut self, key: &KeyEvent, found: usize) -> Chosen {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let at = self.at.min(found.saturating_sub(1));
        match key.code {
            KeyCode::Esc => return Chosen::Closed,
            KeyCode::Char('c') if control => return Chosen::Closed,
            KeyCode::Enter if found > 0 => return Chosen::Action(at),
            KeyCode::Up => self.at = at.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => self.at = at + 1,
            KeyCode::Char('p') if control => self.at = at.saturating_sub(1),
            KeyCode::Char('n') if control => self.at = at + 1,
            KeyCode::PageUp => self.at = at.saturating_sub(PAGE),
            KeyCode::PageDown => self.at = at + PAGE,
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = found,
            KeyCode::Backspace => self.change(|text| {
                text.pop();
            }),
            KeyCode::Char('u') if control => self.change(String::clear),
            KeyCode::Char(c) if !control => self.add(&c.to_string()),
            _ => {}
        }
        self.at = self.at.min(found.saturating_sub(1));
        Chosen::Open
    }

    /// Takes text in, typed or pasted: its first line.
    pub(super) fn add(&mut self, text: &str) {
        let line: String = first_line(text).chars().take(MOST).collect();
        self.change(|text| text.extend(shown(&line).chars().take(MOST.saturating_sub(text.chars().count()))));
    }

    /// Another text finds others: the best of them is chosen.
    fn change(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.text);
        self.at = 0;
    }
}

/// The actions that have all the words, the best first; without words all, those that are possible first.
pub(super) fn found(model: &Model, text: &str) -> Vec<Found> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let scored = actions(model.place()).filter_map(|binding| Some((score(binding, &words)?, binding)));
    // Whoever looks through all of them does not look for the arrow keys.
    let scored =
        scored.map(|(score, binding)| (score + usize::from(words.is_empty() && moves(binding.command)), binding));
    let mut found: Vec<(usize, Found)> = scored
        .map(|(score, binding)| {
            let key = model.keys.of(model.place(), binding).first().copied().filter(|_| binding.is_on(model.place()));
            (score, Found { binding, key, not_now: possible(model, binding.command).err() })
        })
        .collect();
    found.sort_by_key(|(score, found)| (*score, found.not_now.is_some()));
    found.into_iter().map(|(_, found)| found).collect()
}

/// Each action once: those of this screen, then those of others. The palette does not offer itself.
fn actions(place: Place) -> impl Iterator<Item = &'static Binding> {
    let here = move |binding: &&Binding| binding.is_on(place);
    let first = |at: usize, binding: &Binding| KEYMAP[..at].iter().all(|before| before.command != binding.command);
    let elsewhere = move |binding: &Binding| !KEYMAP.iter().any(|b| b.command == binding.command && b.is_on(place));
    let others = KEYMAP.iter().enumerate().filter(move |(at, binding)| elsewhere(binding) && first(*at, binding));
    let all = KEYMAP.iter().filter(here).chain(others.map(|(_, binding)| binding));
    all.filter(|binding| binding.command != Command::Palette)
}

const fn moves(command: Command) -> bool {
    use Command::{Down, First, Last, Left, PageDown, PageUp, Right, Up};
    matches!(command, Up | Down | PageUp | PageDown | First | Last | Left | Right)
}

/// How far an action is from the words, 0 the nearest; `None` if one of them is nowhere in it.
fn score(binding: &Binding, words: &[String]) -> Option<usize> {
    words.iter().map(|word| distance(binding, word)).sum()
}

fn distance(binding: &Binding, word: &str) -> Option<usize> {
    let (name, short, words) = (binding.name, binding.short.to_lowercase(), binding.words.to_lowercase());
    let begins = |text: &str| text.split([' ', '-', ',', ';', ':']).any(|part| part.starts_with(word));
    let checks = [
        name == word,
        short == word,
        name.starts_with(word),
        begins(name) || begins(&short),
        begins(&words),
        name.contains(word) || words.contains(word),
        is_within(word, name),
    ];
    checks.iter().position(|fits| *fits)
}

/// Whether the letters of a word stand in a name in their order: `lkag` in `look-again`.
fn is_within(word: &str, name: &str) -> bool {
    let mut letters = name.chars();
    word.chars().all(|c| letters.any(|letter| letter == c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(name: &str) -> &'static Binding {
        KEYMAP.iter().find(|binding| binding.name == name).unwrap()
    }

    fn of(name: &str, text: &str) -> Option<usize> {
        score(binding(name), &text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_found_in_any_order_and_the_name_itself_is_the_nearest() {
        assert_eq!(of("look-again", "look-again"), Some(0));
        assert!(of("look-again", "again look").is_some());
        assert!(of("look-again", "nodes again").is_some());
        assert!(of("plan", "plan") < of("plan-here", "plan"));
        assert!(of("look-again", "lkag").is_some(), "some letters of the name are enough");
        assert_eq!(of("look-again", "look banana"), None);
    }

    #[test]
    fn every_action_is_there_once_on_every_screen() {
        for place in Place::ALL {
            let names: Vec<&str> = actions(*place).map(|binding| binding.name).collect();
            let mut once = names.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), names.len(), "{place:?}");
            for command in KEYMAP.iter().map(|binding| binding.command).filter(|c| *c != Command::Palette) {
                assert!(actions(*place).any(|binding| binding.command == command), "{command:?} on {place:?}");
            }
        }
    }

    #[test]
    fn what_is_typed_is_bounded_and_clean() {
        let mut palette = Palette::default();
        palette.add("a\u{1b}[2J\nquit");
        assert_eq!(palette.text, "a\u{fffd}[2J");
        palette.add(&"x".repeat(1_000_000));
        assert_eq!(palette.text.chars().count(), MOST);
    }
}
