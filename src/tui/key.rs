//! A key: as the terminal sends it, as people read it and as they write it.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers. For letters, shift is part of the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(KeyCode, KeyModifiers);

/// Why a word is no key, and what to write in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoKey {
    /// What is wrong with the word.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// A letter, digit or sign.
pub(super) const fn key(letter: char) -> Key {
    Key(KeyCode::Char(letter), KeyModifiers::NONE)
}

/// A letter with Ctrl.
pub(super) const fn ctrl(letter: char) -> Key {
    Key(KeyCode::Char(letter), KeyModifiers::CONTROL)
}

/// A key that has a name.
pub(super) const fn plain(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
}

/// The keys that have a name; the first name of a key is the one that is shown.
const NAMES: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("space", KeyCode::Char(' ')),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("del", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("ins", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("page up", KeyCode::PageUp),
    ("page-up", KeyCode::PageUp),
    ("pageup", KeyCode::PageUp),
    ("pgup", KeyCode::PageUp),
    ("page down", KeyCode::PageDown),
    ("page-down", KeyCode::PageDown),
    ("pagedown", KeyCode::PageDown),
    ("pgdn", KeyCode::PageDown),
];

/// The modifiers, in the order in which they are shown.
const MODIFIERS: &[(&str, KeyModifiers)] =
    &[("Ctrl-", KeyModifiers::CONTROL), ("Alt-", KeyModifiers::ALT), ("Shift-", KeyModifiers::SHIFT)];

/// What a terminal sends for these with Ctrl is another key already.
const SAME: &[(char, &str)] = &[('i', "tab"), ('m', "enter"), ('[', "esc"), ('j', "enter")];

impl Key {
    /// The key that was pressed.
    pub(super) fn pressed(event: &KeyEvent) -> Self {
        let (code, modifiers) = match event.code {
            // A terminal may or may not tell of the shift that made the letter.
            KeyCode::Char(letter) => {
                let modifiers = event.modifiers - KeyModifiers::SHIFT;
                let control = modifiers.contains(KeyModifiers::CONTROL);
                (KeyCode::Char(if control { letter.to_ascii_lowercase() } else { letter }), modifiers)
            }
            KeyCode::BackTab => (KeyCode::Tab, event.modifiers | KeyModifiers::SHIFT),
            code => (code, event.modifiers),
        };
        Self(code, modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT))
    }

    /// The press of this key, as a terminal would tell it.
    #[cfg(test)]
    pub(super) const fn event(self) -> KeyEvent {
        KeyEvent::new(self.0, self.1)
    }

    /// The key as the bottom line shows it; [`Self::parse`] reads it.
    pub fn words(self) -> String {
        let letter = |letter: char| {
            if self.1.contains(KeyModifiers::CONTROL) { letter.to_ascii_uppercase() } else { letter }.to_string()
        };
        let name = match self.0 {
            KeyCode::F(number) => format!("F{number}"),
            code => match (NAMES.iter().find(|(_, named)| *named == code), code) {
                (Some((name, _)), _) => (*name).to_owned(),
                (None, KeyCode::Char(c)) => letter(c),
                (None, other) => format!("{other:?}").to_lowercase(),
            },
        };
        let modifiers = MODIFIERS.iter().filter(|(_, modifier)| self.1.contains(*modifier)).map(|(name, _)| *name);
        modifiers.collect::<String>() + &name
    }

    /// The key that a word names: a single letter as it is, else without regard to capitals: `P`, `?`, `ctrl-r`, `F5`,
    /// `alt-x`, `page up`, `shift-tab`.
    pub fn parse(word: &str) -> Result<Self, NoKey> {
        if let Some(letter) = single(word) {
            return typed(word, letter);
        }
        let lower = word.to_lowercase();
        let (mut name, mut modifiers) = (lower.as_str(), KeyModifiers::NONE);
        while let Some((prefix, modifier)) =
            MODIFIERS.iter().find(|(prefix, _)| name.len() > prefix.len() && name.starts_with(&prefix.to_lowercase()))
        {
            modifiers |= *modifier;
            name = &name[prefix.len()..];
        }
        let code = code(name).ok_or_else(|| unknown(word, "it is no key that muster knows"))?;
        let code = match code {
            // Without Ctrl, what counts is the letter that appears.
            KeyCode::Char(_) if !modifiers.contains(KeyModifiers::CONTROL) => {
                single(&word[word.len() - name.len()..]).map_or(code, KeyCode::Char)
            }
            code => code,
        };
        same_as_another(word, code, modifiers)?;
        Ok(Self(code, modifiers))
    }
}

fn single(word: &str) -> Option<char> {
    let mut letters = word.chars();
    letters.next().filter(|_| letters.next().is_none())
}

fn typed(word: &str, letter: char) -> Result<Key, NoKey> {
    if letter.is_control() || letter.is_whitespace() || super::shown::shown(word) != word {
        return Err(unknown(word, "it cannot be seen"));
    }
    Ok(key(letter))
}

fn code(name: &str) -> Option<KeyCode> {
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
    let number = || name.strip_prefix('f')?.parse().ok().filter(|number| (1..=24).contains(number)).map(KeyCode::F);
    let letter = || single(name).filter(|c| !c.is_control() && !c.is_whitespace()).map(KeyCode::Char);
    named.or_else(number).or_else(letter)
}

/// Refuses what a terminal cannot tell from another key: such a key would do something else, or never anything.
fn same_as_another(word: &str, code: KeyCode, modifiers: KeyModifiers) -> Result<(), NoKey> {
    let wrong = |what: String, instead: String| Err(NoKey { what: format!("{word}: {what}"), instead });
    let KeyCode::Char(letter) = code else { return Ok(()) };
    if modifiers.contains(KeyModifiers::SHIFT) {
        let upper: String = letter.to_uppercase().collect();
        return wrong(
            "with Shift, another letter appears".to_owned(),
            format!("write the letter that appears: {upper}"),
        );
    }
    if !modifiers.contains(KeyModifiers::CONTROL) {
        return Ok(());
    }
    if let Some((_, other)) = SAME.iter().find(|(same, _)| *same == letter) {
        return wrong(
            format!("a terminal sends the same for it as for {other}"),
            format!("write {other}, or another key"),
        );
    }
    if letter.is_ascii_lowercase() || matches!(letter, ' ' | '4'..='7') {
        return Ok(());
    }
    wrong(
        "a terminal sends nothing of its own for it".to_owned(),
        "take a letter with Ctrl, or a key such as F5".to_owned(),
    )
}

fn unknown(word: &str, why: &str) -> NoKey {
    let shown: String = word.chars().take(40).collect();
    let examples = "a letter or sign as it appears, enter, space, tab, esc, up, page down, home, F5, Ctrl-R, Alt-X";
    NoKey {
        what: format!("`{shown}` is not the name of a key: {why}"),
        instead: format!("write one such as: {examples}"),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_named_as_people_name_them() {
        assert_eq!(ctrl('l').words(), "Ctrl-L");
        assert_eq!(plain(KeyCode::Enter).words(), "enter");
        assert_eq!(key('P').words(), "P");
        assert_eq!(key(' ').words(), "space");
        assert_eq!(plain(KeyCode::PageDown).words(), "page down");
    }

    #[test]
    fn people_write_keys_in_many_ways() {
        for (word, key) in [
            ("p", key('p')),
            ("P", key('P')),
            ("?", key('?')),
            ("-", key('-')),
            ("ctrl-r", ctrl('r')),
            ("CTRL-R", ctrl('r')),
            ("f5", plain(KeyCode::F(5))),
            ("PgDn", plain(KeyCode::PageDown)),
            ("page down", plain(KeyCode::PageDown)),
            ("Escape", plain(KeyCode::Esc)),
            ("alt-X", Key(KeyCode::Char('X'), KeyModifiers::ALT)),
            ("alt-x", Key(KeyCode::Char('x'), KeyModifiers::ALT)),
            ("shift-tab", Key(KeyCode::Tab, KeyModifiers::SHIFT)),
            ("ctrl--", ctrl('-')),
        ] {
            match Key::parse(word) {
                Ok(parsed) => assert_eq!(parsed, key, "{word}"),
                Err(wrong) => assert_eq!(word, "ctrl--", "{wrong:?}"),
            }
        }
    }

    #[test]
    fn what_a_terminal_cannot_send_is_refused_with_what_to_write() {
        for (word, says) in [
            ("ctrl-i", "write tab"),
            ("Ctrl-M", "write enter"),
            ("ctrl-?", "take a letter with Ctrl"),
            ("shift-p", "the letter that appears: P"),
            ("", "write one such as"),
            ("hyper-x", "write one such as"),
            ("f99", "write one such as"),
            ("\u{202e}", "write one such as"),
            ("\u{1b}", "write one such as"),
        ] {
            let wrong = Key::parse(word).unwrap_err();
            assert!(wrong.instead.contains(says), "{word:?}: {wrong:?}");
        }
    }

    #[test]
    fn back_tab_is_tab_with_shift() {
        let event = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(Key::pressed(&event), Key::parse("shift-tab").unwrap());
    }

    fn any_key() -> impl Strategy<Value = Key> {
        let names = (0..NAMES.len()).prop_map(|at| NAMES[at].1);
        let codes = prop_oneof![any::<char>().prop_map(KeyCode::Char), names, (1..=24u8).prop_map(KeyCode::F)];
        (codes, 0..8u8).prop_map(|(code, modifiers)| Key(code, KeyModifiers::from_bits_truncate(modifiers)))
    }

    proptest! {
        #[test]
        fn what_is_printed_of_a_key_is_read_as_that_key(key in any_key()) {
            // What cannot be pressed has no name of its own; what can be named is named in one way.
            if let Ok(read) = Key::parse(&key.words()) {
                prop_assert_eq!(Key::parse(&read.words()), Ok(read));
                prop_assert_eq!(Key::pressed(&read.event()), read);
                if key.1.is_empty() {
                    prop_assert_eq!(read, key);
                }
            }
        }

        #[test]
        fn no_text_breaks_the_reading_of_keys(text in any::<String>()) {
            if let Err(wrong) = Key::parse(&text) {
                prop_assert!(!wrong.instead.is_empty());
            }
        }
    }
}
