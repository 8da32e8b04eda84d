//! The operator's own keys: which file they are in, and `muster keys`, which prints those in effect as such a file.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use super::{Env, Format};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::tui::Keys;
use crate::tui::keymap::{Binding, KEYMAP, Key, Place};

/// A settings file is some hundred lines.
const MOST_BYTES: u64 = 1 << 20;

/// Names the file.
const VARIABLE: &str = "MUSTER_KEYS";

/// The settings file, and whether it was named: one that was named has to be there. `None` without a home.
fn file(env: &Env) -> Option<(PathBuf, bool)> {
    let set = |name: &str| env.vars.get(name).filter(|value| !value.is_empty());
    if let Some(named) = set(VARIABLE) {
        return Some((env.dir.join(named), true));
    }
    let xdg = set("XDG_CONFIG_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let home = set("HOME").map(|home| PathBuf::from(home).join(".config"));
    Some((xdg.or(home)?.join("muster/keys.yaml"), false))
}

/// The keys in effect. Everything that is wrong with the file is told at once, and nothing is opened.
pub(super) fn read(env: &Env) -> Result<Keys, Failure> {
    let Some((path, named)) = file(env) else { return Ok(Keys::built_in()) };
    let shown = path.display().to_string();
    let text = match text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Keys::not_there(&shown)),
        Err(error) => {
            let mut failure = Failure::usage(format!("reading the keys in {shown}: {error}"));
            let hint = if named {
                format!("name another file, or none: {VARIABLE}")
            } else {
                "put it right, or delete it".into()
            };
            failure.hints = vec![Hint::do_(hint)];
            return Err(failure);
        }
    };
    Keys::read(&shown, &text).map_err(|mistakes| {
        let number = mistakes.len();
        let counted = if number == 1 { "a mistake".to_owned() } else { format!("{number} mistakes") };
        let mut failure = Failure::usage(format!("the file of keys has {counted}\n{mistakes}"));
        failure.hints = vec![Hint::do_(
            "to see all names and the keys as they are built in, type:  MUSTER_KEYS=/dev/null muster keys",
        )];
        failure
    })
}

fn text(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {MOST_BYTES} bytes")));
    }
    Ok(text)
}

/// `muster keys`: the keys in effect, as a file that can be edited.
pub(super) fn run(format: Format, env: &mut Env) -> Result<u8, Failure> {
    let keys = read(env)?;
    let text = match format {
        Format::Text => yaml(&keys),
        Format::Json => format!("{}\n", json(&keys)),
    };
    env.out.write_all(text.as_bytes()).map_err(|error| Failure::internal("writing the keys", &error))?;
    Ok(exit::IN_LINE)
}

/// The parts of the file: everywhere, then each screen that has actions of its own.
fn parts() -> impl Iterator<Item = (&'static str, Option<Place>)> {
    std::iter::once(("everywhere", None)).chain(Place::ALL.iter().map(|place| (place.name(), Some(*place))))
}

fn rows(part: Option<Place>) -> impl Iterator<Item = &'static Binding> {
    let is_in = move |binding: &&Binding| match part {
        None => binding.places.is_empty(),
        Some(place) => binding.places.contains(&place),
    };
    KEYMAP.iter().filter(is_in)
}

fn yaml(keys: &Keys) -> String {
    let mut text = String::from(
        "# The keys of muster's terminal UI, by the names of actions. An empty list: no key; `:` finds it still.\n",
    );
    let _ = match (keys.file(), keys.is_read()) {
        (Some(file), true) => writeln!(text, "# Read from {file}"),
        (Some(file), false) => writeln!(text, "# As they are built in. To change some, keep those lines in {file}"),
        (None, _) => writeln!(text, "# As they are built in."),
    };
    for (name, part) in parts() {
        let rows: Vec<_> = rows(part).map(|binding| (list(&keys.listed(part, binding)), binding)).collect();
        let widest = rows.iter().map(|(list, binding)| list.len() + binding.name.len()).max().unwrap_or(0) + 2;
        if !rows.is_empty() {
            let _ = writeln!(text, "{name}:");
        }
        for (list, binding) in rows {
            let gap = widest - list.len() - binding.name.len();
            let _ = writeln!(text, "  {}: {list}{}# {}", binding.name, " ".repeat(gap), binding.words);
        }
    }
    text
}

fn list(keys: &[Key]) -> String {
    let word = |key: &Key| {
        let word = key.words();
        let harmless = word.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '-')) && word != "-";
        if harmless { word } else { format!("{word:?}") }
    };
    format!("[{}]", keys.iter().map(word).collect::<Vec<_>>().join(", "))
}

fn json(keys: &Keys) -> serde_json::Value {
    let part = |part: Option<Place>| -> serde_json::Map<String, serde_json::Value> {
        let row = |binding: &Binding| {
            let words: Vec<String> = keys.listed(part, binding).iter().map(|key| key.words()).collect();
            (binding.name.to_owned(), serde_json::json!({"keys": words, "does": binding.words}))
        };
        rows(part).map(row).collect()
    };
    let screens: serde_json::Map<_, _> = parts()
        .map(|(name, place)| (name.to_owned(), part(place)))
        .filter(|(_, actions)| !actions.is_empty())
        .map(|(name, actions)| (name, actions.into()))
        .collect();
    let file = keys.file().filter(|_| keys.is_read());
    serde_json::json!({"muster": "keys", "format": 1, "file": file, "screens": screens})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_as_the_same_keys() {
        let settings = "fleet: { look-again: [f5, ctrl-r, \"#\"] }\neverywhere: { up: [up, \"'\", \"\\\\\"] }\n";
        for keys in [Keys::built_in(), Keys::read("keys.yaml", settings).unwrap()] {
            let printed = yaml(&keys);
            let again = Keys::read("keys.yaml", &printed).unwrap_or_else(|mistakes| panic!("{mistakes}\n{printed}"));
            for place in Place::ALL {
                for binding in KEYMAP.iter().filter(|binding| binding.is_on(*place)) {
                    assert_eq!(again.of(*place, binding), keys.of(*place, binding), "{place:?} {}", binding.name);
                }
            }
        }
    }

    #[test]
    fn every_action_is_in_the_json() {
        let json = json(&Keys::built_in());
        for binding in KEYMAP {
            let part = binding.places.first().map_or("everywhere", |place| place.name());
            assert_eq!(json["screens"][part][binding.name]["does"], binding.words);
        }
    }
}
