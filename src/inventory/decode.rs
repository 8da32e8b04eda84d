//! One entry of the tree into its type, by the typed decoder; its complaint in words, at its place (seams.md 5, step 2).

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::Place;
use super::mistake::Mistake;
use super::nearest::nearest;
use super::yaml::{Entry, Kind, Quotes, Yaml};

/// The only keys whose value is a list.
const LISTS: [&str; 2] = ["waves", "declared_in"];

/// Decodes an entry. `at` is where the entry begins (its key); the keys in `except` are entries of their own.
pub(super) fn typed<T: DeserializeOwned>(
    yaml: &Yaml,
    at: Place,
    except: &[&str],
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let decoded = serde_path_to_error::deserialize(yaml.value(except));
    let wrong = match &decoded {
        Ok(_) => shape(yaml, except),
        Err(error) => Some(explain(yaml, at, error.path(), &error.inner().to_string())),
    };
    match wrong {
        None => decoded.ok(),
        Some(mistake) => {
            mistakes.push(mistake);
            None
        }
    }
}

/// What the decoder lets pass: keys without a value, which it takes for absent, and lists, which it takes for the keys
/// of a map in their order.
fn shape(yaml: &Yaml, except: &[&str]) -> Option<Mistake> {
    if let Kind::List(_) = yaml.kind {
        return Some(
            Mistake::new(yaml.at, "a list, where keys with values are expected").instead("write `key: value`"),
        );
    }
    let own = yaml.entries().iter().filter(|entry| !except.contains(&&*entry.key));
    own.filter(|entry| !LISTS.contains(&&*entry.key)).find_map(|entry| match &entry.value {
        value if value.is_null() => Some(without_value(entry)),
        value => shape(value, &[]),
    })
}

fn without_value(entry: &Entry) -> Mistake {
    let mistake = Mistake::new(entry.at, format!("`{}` has no value", entry.key));
    mistake.instead("give it one, or take the key out")
}

fn explain(yaml: &Yaml, at: Place, path: &Path, message: &str) -> Mistake {
    let found = locate(yaml, at, path);
    let (value, at) = (found.value, found.key);
    if path.iter().any(|segment| matches!(segment, Segment::Map { key } if key == "token")) {
        return if unknown(message, "unknown field `").is_some_and(|(word, _)| word == "command") {
            command(value.at)
        } else {
            token(value.at)
        };
    }
    if let Some((word, known)) = unknown(message, "unknown field `") {
        let place = entry_in(value, found.parent, word).map_or(at, |entry| entry.at);
        return known_words(Mistake::new(place, format!("`{word}` is not a key here")), word, &known);
    }
    if let Some((word, known)) = unknown(message, "unknown variant `") {
        return known_words(Mistake::new(value.at, format!("`{word}` has no meaning here")), word, &known);
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Mistake::new(at, format!("`{key}` is missing")).instead(format!("add `{key}:`"));
    }
    if value.is_null() {
        return Mistake::new(at, "there is no value").instead("give it one, or take the key out");
    }
    match message.split_once(", expected ") {
        Some((what, expected)) if what.starts_with("invalid ") => of_another_kind(value, what, expected),
        _ => Mistake::new(value.at, message),
    }
}

/// What a repository says is never run: `--plan` is called on the branches of strangers.
fn command(at: Place) -> Mistake {
    let mistake = Mistake::new(at, "a command that gives a token is not taken from a repository").secret();
    mistake.instead(
        "take it out, and write into ~/.config/muster/admin.yaml:  clusters: { CLUSTER: { token: { command: [WORD, WORD] } } }",
    )
}

/// Neither the value nor its line is shown: it may be the token itself.
fn token(at: Place) -> Mistake {
    let mistake = Mistake::new(at, "a token is given by the name of an environment variable, not like this").secret();
    mistake
        .instead("write token: { env: NAME }, and put the token into that variable; replace a token that was committed")
}

struct Found<'a> {
    key: Place,
    value: &'a Yaml,
    parent: Option<&'a Yaml>,
}

fn locate<'a>(yaml: &'a Yaml, at: Place, path: &Path) -> Found<'a> {
    let mut found = Found { key: at, value: yaml, parent: None };
    for segment in path {
        let next = match (segment, &found.value.kind) {
            (Segment::Map { key }, _) => found.value.entry(key).map(|entry| (entry.at, &entry.value)),
            (Segment::Seq { index }, Kind::List(items)) => items.get(*index).map(|item| (item.at, item)),
            _ => None,
        };
        let Some((key, value)) = next else { break };
        found = Found { key, value, parent: Some(found.value) };
    }
    found
}

fn entry_in<'a>(value: &'a Yaml, parent: Option<&'a Yaml>, key: &str) -> Option<&'a Entry> {
    value.entry(key).or_else(|| parent.and_then(|parent| parent.entry(key)))
}

/// The unknown word of such a message, and the words that are known.
fn unknown<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let (word, rest) = message.strip_prefix(prefix)?.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((word, known))
}

fn known_words(mistake: Mistake, word: &str, known: &[&str]) -> Mistake {
    match nearest(word, known.iter().copied()) {
        Some(meant) => mistake.instead(format!("did you mean `{meant}`?")),
        None => mistake.instead(format!("known here: {}", known.join(", "))),
    }
}

fn of_another_kind(value: &Yaml, what: &str, expected: &str) -> Mistake {
    let expected = match expected {
        "a string" => "text",
        "a map" => "keys with values",
        "a sequence" => "a list such as [1, 25%, 100%]",
        "a boolean" => "true or false",
        "u16" | "a nonzero u16" => "a whole number from 1 to 65535",
        "u32" => "a whole number",
        "a nonzero u32" => "a whole number from 1",
        other if other.starts_with("struct ") => "keys with values",
        other => other,
    };
    let mistake = match &value.kind {
        Kind::Scalar(text, Quotes::Bare) if expected == "text" => {
            let mistake = Mistake::new(value.at, format!("{text} without quotes is not text"));
            return mistake.instead(format!("quote it: \"{text}\""));
        }
        Kind::Scalar(text, _) => Mistake::new(value.at, format!("found {text:?}")),
        Kind::List(_) => Mistake::new(value.at, "found a list"),
        Kind::Map(_) => Mistake::new(value.at, "found keys with values"),
    };
    // `invalid length` and the like carry no kind; what was found is in the message only.
    if what.starts_with("invalid type") || what.starts_with("invalid value") {
        return mistake.instead(format!("write {expected}"));
    }
    Mistake::new(value.at, what).instead(format!("write {expected}"))
}
