//! The plugins of one cluster as they are written, into assignments.

use std::collections::BTreeMap;

use super::decode::typed;
use super::document::PluginKeys;
use super::mistake::Mistake;
use super::nearest::{GUESSES, nearest};
use super::parse::{Outline, Reading, unquoted};
use super::yaml::{Entry, Kind, Quotes, Yaml, looks_like_a_number};
use super::{Assignment, Management, Place, State, Subject, VersionLabel};
use crate::name::BundleName;

/// Reads `plugins:` of a cluster.
pub(super) fn read(reading: &mut Reading, cluster: &Yaml) -> BTreeMap<Subject, Assignment> {
    let mut plugins = BTreeMap::new();
    for entry in reading.map(cluster.entry("plugins"), "bundle or plugin") {
        if let Some(assignment) = assignment(reading, entry) {
            plugins.insert(assignment.subject.clone(), assignment);
        }
    }
    plugins
}

fn assignment(reading: &mut Reading, entry: &Entry) -> Option<Assignment> {
    let keys = match &entry.value.kind {
        Kind::Scalar(text, quotes) => short(text, *quotes, entry),
        _ => full(reading, entry),
    };
    let keys = match keys {
        Ok(keys) => keys?,
        Err(mistake) => {
            reading.mistakes.push(*mistake);
            return None;
        }
    };
    let subject = subject(reading, entry)?;
    if let Some(mistake) = of_bundle(reading, &subject, &keys, entry).or_else(|| at_odds(&keys, entry)) {
        reading.mistakes.push(mistake);
        return None;
    }
    Some(Assignment {
        version: keys.version.or_else(|| last_version(reading, &subject, keys.state)),
        subject,
        state: keys.state,
        files: keys.files,
        directive: keys.directive,
        adopt: keys.adopt,
        unapply: keys.unapply,
        on: keys.on,
        place: entry.at,
    })
}

/// Which version tells what a bundle holds that is to be absent: the last one, as nothing of it is installed.
fn last_version(reading: &Reading, subject: &Subject, state: State) -> Option<VersionLabel> {
    let outline = reading.outlines.get(subject.bundle()?)?;
    outline.versions.last().filter(|_| state == State::Absent).cloned()
}

type Read = Result<Option<PluginKeys>, Box<Mistake>>;

/// `acme-auth: "1.4.2"`, `request-tag: present`.
fn short(text: &str, quotes: Quotes, entry: &Entry) -> Read {
    let at = entry.value.at;
    if quotes == Quotes::Bare && looks_like_a_number(text) {
        return Err(Box::new(unquoted(text, at)));
    }
    let state = match text {
        "present" => State::Present,
        "staged" => State::Staged,
        "absent" => State::Absent,
        _ if entry.value.is_null() || (quotes == Quotes::Bare && matches!(text, "true" | "false")) => {
            let mistake = Mistake::new(at, format!("`{}` is neither a version nor a state", entry.key));
            return Err(Box::new(mistake.instead("write a version in quotes, or present, staged or absent")));
        }
        _ => match VersionLabel::parse(text) {
            Ok(version) => return Ok(Some(PluginKeys { version: Some(version), ..PluginKeys::default() })),
            Err(error) => return Err(Box::new(Mistake::new(at, error.to_string()))),
        },
    };
    Ok(Some(PluginKeys { state, ..PluginKeys::default() }))
}

fn full(reading: &mut Reading, entry: &Entry) -> Read {
    if let Some(version) = entry.value.entry("version")
        && let Kind::Scalar(text, Quotes::Bare) = &version.value.kind
        && looks_like_a_number(text)
    {
        return Err(Box::new(unquoted(text, version.value.at)));
    }
    Ok(typed(&entry.value, entry.at, &[], &mut reading.mistakes))
}

fn subject(reading: &mut Reading, entry: &Entry) -> Option<Subject> {
    if let Some((name, _)) = outline(reading, &entry.key) {
        return Some(Subject::Bundle(name.clone()));
    }
    reading.name(&entry.key, entry.at).map(Subject::Plugin)
}

fn outline<'a>(reading: &'a Reading, key: &str) -> Option<(&'a BundleName, &'a Outline)> {
    let name = BundleName::parse(key).ok()?;
    reading.outlines.get_key_value(&name)
}

/// Where a key of the entry has its value, else the entry itself (in the short form, its value).
fn at(entry: &Entry, key: &str) -> Place {
    match entry.value.entry(key) {
        Some(key) => key.value.at,
        None if entry.value.entries().is_empty() => entry.value.at,
        None => entry.at,
    }
}

/// What does not fit together with the bundles.
fn of_bundle(reading: &Reading, subject: &Subject, keys: &PluginKeys, entry: &Entry) -> Option<Mistake> {
    match subject {
        // Another cluster may keep it.
        Subject::Bundle(_) if keys.state == State::Absent => None,
        Subject::Bundle(name) => version(reading.outlines.get(name)?, subject, keys, entry),
        Subject::Plugin(_) => without_bundle(reading, subject, keys, entry),
    }
}

fn version(outline: &Outline, subject: &Subject, keys: &PluginKeys, entry: &Entry) -> Option<Mistake> {
    let known = || outline.versions.iter().map(VersionLabel::as_str);
    let list = || known().map(|version| format!("\"{version}\"")).collect::<Vec<_>>().join(", ");
    let place = at(entry, "version");
    match &keys.version {
        _ if outline.broken => None,
        None if outline.single => None,
        None => {
            let mistake =
                Mistake::new(at(entry, "state"), format!("bundle {subject} has versions, and none is chosen"));
            Some(mistake.instead(format!("choose one of {}", list())))
        }
        Some(version) if outline.single => {
            let states = nearest(version.as_str(), ["present", "staged"].into_iter());
            let mistake = Mistake::new(place, format!("bundle {subject} has no versions, {version} was asked for"));
            Some(mistake.instead(format!("write {}", states.unwrap_or("present"))))
        }
        Some(version) if outline.versions.contains(version) => None,
        Some(version) => {
            let mistake = Mistake::new(place, format!("bundle {subject} has no version {version}"));
            Some(match nearest(version.as_str(), known()) {
                Some(meant) => mistake.instead(format!("did you mean \"{meant}\"? known are {}", list())),
                None => mistake.instead(format!("choose one of {}", list())),
            })
        }
    }
}

fn without_bundle(reading: &Reading, subject: &Subject, keys: &PluginKeys, entry: &Entry) -> Option<Mistake> {
    let needless = keys.state == State::Absent || (keys.files == Management::External && keys.version.is_none());
    if needless && keys.state != State::Staged {
        return None;
    }
    if keys.state == State::Staged && keys.files == Management::External {
        let mistake =
            Mistake::new(at(entry, "state"), format!("{subject} has no bundle, so that nothing can be staged"));
        return Some(mistake.instead("write state: present, or take the entry out"));
    }
    let known = reading.outlines.keys().map(BundleName::as_str);
    let guess = (reading.mistakes.len() < GUESSES).then(|| nearest(subject.as_str(), known)).flatten();
    let mistake = Mistake::new(entry.at, format!("there is no bundle {subject}"));
    Some(match guess {
        Some(meant) => mistake.instead(format!("did you mean `{meant}`?")),
        None => mistake.instead(
            "add it under `bundles:`, or write { state: present, files: external } if something else puts the files there",
        ),
    })
}

/// Keys that contradict each other.
fn at_odds(keys: &PluginKeys, entry: &Entry) -> Option<Mistake> {
    let absent = keys.state == State::Absent;
    let (key, what, instead) = if absent && keys.version.is_some() {
        ("version", "an absent plugin has no version", "take `version` out")
    } else if !absent && keys.unapply.is_some() {
        ("unapply", "`unapply` goes with state: absent only", "take it out, or write state: absent")
    } else if keys.files == Management::External && keys.adopt {
        ("adopt", "external files are never written, so that none are adopted", "take `adopt` or `files` out")
    } else {
        return None;
    };
    Some(Mistake::new(at(entry, key), what).instead(instead))
}
