//! What keys must not be: one key with two meanings on a screen, or a screen that nobody finds out of.

use super::Keys;
use super::settings::EVERYWHERE;
use crate::inventory::{Mistake, Place as At};
use crate::tui::key::Key;
use crate::tui::keymap::{Binding, Command, KEYMAP, Place};

/// A key of a line of the table on a screen.
struct Held {
    key: Key,
    binding: &'static Binding,
    /// Where the settings give it; `None` for a key of the table.
    at: Option<At>,
    /// It gives way where the screen has a meaning of its own for it.
    yields: bool,
}

/// Adds what is wrong with the keys in effect.
pub(super) fn check(keys: &Keys, mistakes: &mut Vec<Mistake>) {
    for place in Place::ALL {
        let held = held(keys, *place);
        let mut told: Vec<Key> = Vec::new();
        for (at, one) in held.iter().enumerate() {
            let other = held[..at].iter().find(|other| clash(one, other));
            if let Some(other) = other.filter(|_| !told.contains(&one.key)) {
                told.push(one.key);
                add(mistakes, two_meanings(*place, one, other));
            }
        }
        if let Some(mistake) = lost(keys, *place) {
            add(mistakes, mistake);
        }
    }
}

/// The same mistake on several screens is told once.
fn add(mistakes: &mut Vec<Mistake>, mistake: Mistake) {
    if !mistakes.iter().any(|known| known.place == mistake.place && known.instead == mistake.instead) {
        mistakes.push(mistake);
    }
}

fn held(keys: &Keys, place: Place) -> Vec<Held> {
    let on = KEYMAP.iter().filter(|binding| binding.is_on(place));
    on.flat_map(|binding| {
        let everywhere = binding.places.is_empty();
        let given: Vec<(Key, Option<At>)> = match keys.change(place, binding) {
            Some(changed) => changed.keys.iter().map(|(key, at)| (*key, Some(*at))).collect(),
            None => binding.keys.iter().map(|key| (*key, None)).collect(),
        };
        given.into_iter().enumerate().map(move |(number, (key, at))| Held {
            key,
            binding,
            at,
            yields: everywhere && number > 0,
        })
    })
    .collect()
}

fn clash(one: &Held, other: &Held) -> bool {
    let own = |held: &Held| !held.binding.places.is_empty();
    one.key == other.key && !(one.yields && own(other) || other.yields && own(one))
}

fn two_meanings(place: Place, one: &Held, other: &Held) -> Mistake {
    // The one that the settings gave is at fault; of two of them, the later.
    let (fault, other) = match (one.at, other.at) {
        (Some(a), Some(b)) if b > a => (other, one),
        (None, Some(_)) => (other, one),
        _ => (one, other),
    };
    let (name, key) = (fault.binding.name, fault.key);
    let at = fault.at.unwrap_or(At::START);
    let mistake = if std::ptr::eq(fault.binding, other.binding) {
        Mistake::new(at, format!("{key} is given to `{name}` twice")).instead("keep one of the two")
    } else {
        let there = other.binding;
        let part = if there.places.is_empty() { EVERYWHERE } else { place.name() };
        let what = format!("{key} has two meanings on the screen `{}`: `{name}` and `{}`", place.name(), there.name);
        let instead = format!("take another key, or give `{part}: {}` other keys", there.name);
        Mistake::new(at, what).instead(instead)
    };
    match other.at {
        Some(also) => mistake.also(also, "the other is given here"),
        None => mistake,
    }
}

/// On every screen there has to be a way on and a way out; the palette finds both.
fn lost(keys: &Keys, place: Place) -> Option<Mistake> {
    let missing = missing(keys, place)?;
    let binding = KEYMAP.iter().find(|binding| binding.command == missing && binding.is_on(place))?;
    let changed = keys.change(place, binding);
    let what = format!("nothing leads to `{}` on the screen `{}` any more", binding.name, place.name());
    let mistake = Mistake::new(changed.map_or(At::START, |changed| changed.at), what);
    Some(mistake.instead(format!("keep a key for `{}`", binding.name)))
}

/// What has to have a key there, and has none.
fn missing(keys: &Keys, place: Place) -> Option<Command> {
    if keys.shown(place, Command::Palette).is_some() {
        return None;
    }
    let there = |command: Command| KEYMAP.iter().find(move |b| b.command == command && b.is_on(place));
    let lacks = |command: &Command| there(*command).is_some_and(|binding| keys.given(place, binding).is_empty());
    [Command::Quit, Command::Help, Command::Back].into_iter().find(lacks)
}
