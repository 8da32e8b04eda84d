//! The keys in effect: those of the table, with the changes of the operator's own settings.

mod check;
#[cfg(test)]
mod mod_tests;
mod settings;

use std::collections::BTreeMap;

use crossterm::event::KeyEvent;

use super::key::Key;
use super::keymap::{Binding, Command, KEYMAP, Place};
use crate::inventory::{Mistakes, Place as At};

/// The keys in effect.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// What the settings say of an action, on one screen or everywhere.
    changed: BTreeMap<Of, Changed>,
    file: Option<String>,
    is_read: bool,
}

/// An action on a screen; without a screen, wherever it does something.
type Of = (Option<Place>, &'static str);

/// The keys that the settings give, with their places in the file.
#[derive(Debug, Clone)]
struct Changed {
    keys: Vec<(Key, At)>,
    at: At,
}

impl Keys {
    /// Those of the table.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// Those of the table, as there is no settings file; it would be this one.
    pub fn not_there(file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..Self::default() }
    }

    /// The settings file: that they were read from, or that they would be.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether the settings file was there.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// The keys of a line of the table as a settings file gives them: for a screen, or (`None`) for everywhere.
    pub fn listed(&self, place: Option<Place>, binding: &Binding) -> Vec<Key> {
        match place {
            Some(place) => self.given(place, binding),
            None => match self.changed.get(&(None, binding.name)) {
                Some(changed) => changed.keys.iter().map(|(key, _)| *key).collect(),
                None => binding.keys.to_vec(),
            },
        }
    }

    /// Those of the table, with the changes of a settings file: an action's name with its keys, for one screen or everywhere.
    /// `file` is the name under which mistakes are told: all of them at once.
    pub fn read(file: &str, text: &str) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let changed = settings::read(text, &mut mistakes);
        let keys = Self { changed, file: Some(file.to_owned()), is_read: true };
        check::check(&keys, &mut mistakes);
        if mistakes.is_empty() { Ok(keys) } else { Err(Mistakes::new(file, text.into(), mistakes)) }
    }

    /// The keys of a line of the table on a screen, the one that is shown first. Without those that mean something of the
    /// screen's own.
    pub fn of(&self, place: Place, binding: &Binding) -> Vec<Key> {
        let mut keys = self.given(place, binding);
        if binding.places.is_empty() {
            keys.retain(|key| self.own(place, *key).is_none());
        }
        keys
    }

    /// The line of the table that a key has on a screen.
    pub fn binding(&self, place: Place, key: Key) -> Option<&'static Binding> {
        let mut everywhere = KEYMAP.iter().filter(|binding| binding.places.is_empty());
        self.own(place, key).or_else(|| everywhere.find(|binding| self.has(place, binding, key)))
    }

    /// What a key does on a screen.
    pub fn command(&self, place: Place, event: &KeyEvent) -> Option<Command> {
        Some(self.binding(place, Key::pressed(event))?.command)
    }

    /// The key of a command on a screen, the one that is shown; `None` if it has none there.
    pub fn shown(&self, place: Place, command: Command) -> Option<Key> {
        let mut bindings = KEYMAP.iter().filter(|binding| binding.command == command && binding.is_on(place));
        bindings.find_map(|binding| self.of(place, binding).first().copied())
    }

    /// The line of the screen's own that a key has.
    fn own(&self, place: Place, key: Key) -> Option<&'static Binding> {
        let mut own = KEYMAP.iter().filter(|binding| binding.places.contains(&place));
        own.find(|binding| self.has(place, binding, key))
    }

    fn has(&self, place: Place, binding: &Binding, key: Key) -> bool {
        match self.change(place, binding) {
            Some(changed) => changed.keys.iter().any(|(given, _)| *given == key),
            None => binding.keys.contains(&key),
        }
    }

    fn given(&self, place: Place, binding: &Binding) -> Vec<Key> {
        match self.change(place, binding) {
            Some(changed) => changed.keys.iter().map(|(key, _)| *key).collect(),
            None => binding.keys.to_vec(),
        }
    }

    /// What the settings say: those of the screen come before those for everywhere.
    fn change(&self, place: Place, binding: &Binding) -> Option<&Changed> {
        // Without settings, nothing is looked for.
        if self.changed.is_empty() {
            return None;
        }
        self.changed.get(&(Some(place), binding.name)).or_else(|| self.changed.get(&(None, binding.name)))
    }
}
