//! The operator's own settings: `fleet: { look-again: [f5, ctrl-r] }`.

use std::collections::BTreeMap;

use super::{Changed, Of};
use crate::inventory::yaml::{self, Entry, Kind, Yaml};
use crate::inventory::{Mistake, nearest::nearest};
use crate::tui::key::Key;
use crate::tui::keymap::{Binding, KEYMAP, Place};

/// The name of the part that is for every screen.
pub(super) const EVERYWHERE: &str = "everywhere";

/// Reads a settings file; what is wrong is added to `mistakes`.
pub(super) fn read(text: &str, mistakes: &mut Vec<Mistake>) -> BTreeMap<Of, Changed> {
    let mut changed = BTreeMap::new();
    let Some(root) = yaml::read(text, mistakes) else { return changed };
    if !is_map(&root) {
        let mistake = Mistake::new(root.at, "this is no map of screens");
        mistakes.push(mistake.instead("write, for example:  fleet: { look-again: [F5, Ctrl-R] }"));
        return changed;
    }
    for entry in root.entries() {
        let place = match place(entry) {
            Ok(place) => place,
            Err(mistake) => {
                mistakes.push(*mistake);
                continue;
            }
        };
        if !is_map(&entry.value) {
            let mistake = Mistake::new(entry.value.at, format!("`{}` is no map of actions", entry.key));
            mistakes.push(mistake.instead(format!("write, for example:  {}: {{ quit: [q] }}", entry.key)));
        }
        for action in entry.value.entries() {
            if let Some(name) = action_name(place, action, mistakes) {
                changed.insert((place, name), Changed { keys: keys(action, mistakes), at: action.at });
            }
        }
    }
    changed
}

fn is_map(yaml: &Yaml) -> bool {
    matches!(yaml.kind, Kind::Map(_)) || yaml.is_null()
}

/// The screen that an entry is for; `None` is everywhere.
fn place(entry: &Entry) -> Result<Option<Place>, Box<Mistake>> {
    if &*entry.key == EVERYWHERE {
        return Ok(None);
    }
    let found = Place::ALL.iter().find(|place| place.name() == &*entry.key);
    found.map(|place| Some(*place)).ok_or_else(|| {
        let names: Vec<&str> = std::iter::once(EVERYWHERE).chain(Place::ALL.iter().map(|place| place.name())).collect();
        let mistake = Mistake::new(entry.at, format!("there is no screen `{}`", entry.key));
        Box::new(mistake.instead(one_of(&entry.key, &names)))
    })
}

/// The name of an action that does something there.
fn action_name(place: Option<Place>, entry: &Entry, mistakes: &mut Vec<Mistake>) -> Option<&'static str> {
    let is_there = |binding: &&Binding| place.is_none_or(|place| binding.is_on(place));
    let mut there: Vec<&'static str> = KEYMAP.iter().filter(is_there).map(|binding| binding.name).collect();
    there.sort_unstable();
    there.dedup();
    if let Some(name) = there.iter().find(|name| **name == &*entry.key) {
        return Some(name);
    }
    let elsewhere: Vec<&Binding> = KEYMAP.iter().filter(|binding| binding.name == &*entry.key).collect();
    let mistake = match (elsewhere.is_empty(), place) {
        (false, Some(place)) => {
            let places = elsewhere.iter().flat_map(|binding| binding.places).map(|place| place.name());
            let what = format!("`{}` does nothing on the screen `{}`", entry.key, place.name());
            Mistake::new(entry.at, what)
                .instead(format!("give it a key on one of: {}", places.collect::<Vec<_>>().join(", ")))
        }
        _ => Mistake::new(entry.at, format!("there is no action `{}`", entry.key)).instead(one_of(&entry.key, &there)),
    };
    mistakes.push(mistake);
    None
}

fn one_of(word: &str, names: &[&str]) -> String {
    match nearest(word, names.iter().copied()) {
        Some(near) => format!("write `{near}`"),
        None => format!("write one of: {}", names.join(", ")),
    }
}

/// The keys of an action: a list, or one word; nothing takes all keys away.
fn keys(entry: &Entry, mistakes: &mut Vec<Mistake>) -> Vec<(Key, crate::inventory::Place)> {
    let one = |yaml: &Yaml, mistakes: &mut Vec<Mistake>| match &yaml.kind {
        Kind::Scalar(word, _) => match Key::parse(word) {
            Ok(key) => Some((key, yaml.at)),
            Err(wrong) => {
                mistakes.push(Mistake::new(yaml.at, wrong.what).instead(wrong.instead));
                None
            }
        },
        Kind::List(_) | Kind::Map(_) => {
            let mistake = Mistake::new(yaml.at, "a key is a word, this is a map or a list");
            mistakes.push(mistake.instead(format!("write, for example:  {}: [F5, Ctrl-R]", entry.key)));
            None
        }
    };
    match &entry.value.kind {
        Kind::List(items) => items.iter().filter_map(|item| one(item, mistakes)).collect(),
        _ if entry.value.is_null() && !is_tilde(&entry.value) => Vec::new(),
        _ => one(&entry.value, mistakes).into_iter().collect(),
    }
}

/// `~` is nothing in YAML, and a key on a keyboard.
fn is_tilde(yaml: &Yaml) -> bool {
    matches!(&yaml.kind, Kind::Scalar(text, _) if &**text == "~")
}
