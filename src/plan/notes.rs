//! What an operator should know of plugins whose content or place changes on a node: where they run among the others, whose
//! name they have, and what their VERSION does not tell. Nothing depends on it.

use std::collections::{BTreeMap, BTreeSet};

use super::change::is_before;
use super::node::Draft;
use crate::bundle::{Bundle, PluginInfo};
use crate::diff::own_admin;
use crate::inventory::State;
use crate::kong::clean_plugin_version;
use crate::kong::directive::is_bundled;
use crate::name::PluginName;

/// So many notes of a kind are said of one node.
const MOST: usize = 8;
/// So many plugins are named in one note.
const NAMED: usize = 5;

/// A plugin whose code is new on the node, or that is new in its directive.
struct Changing<'a> {
    name: &'a PluginName,
    info: &'a PluginInfo,
    /// Other content of it is linked there now.
    replaces: bool,
    /// Nothing of its bundle was linked there.
    new: bool,
}

/// Adds the notes about one node. Nothing is said of a plugin that stays as it is.
pub(super) fn of(draft: &mut Draft<'_>) {
    let changing = changing(draft);
    let loaded = own_admin(draft.facts);
    let none = BTreeMap::new();
    let before = loaded.map_or(&none, |admin| &*admin.priorities);
    let mut notes = priorities(&changing, before, &draft.drop);
    for plugin in &changing {
        let runs = loaded.and_then(|admin| admin.loaded.get(plugin.name)?.as_deref());
        let known = loaded.is_some_and(|admin| admin.loaded.contains_key(plugin.name));
        notes.extend(reused_name(plugin, known || !draft.diff.running));
        notes.extend(versions(plugin, runs));
    }
    let mut said: BTreeMap<&str, usize> = BTreeMap::new();
    for (topic, text) in notes {
        let number = said.entry(topic).or_default();
        *number += 1;
        if *number <= MOST {
            draft.plan.notes.push((topic.to_owned(), text));
        }
    }
    for (topic, more) in said.into_iter().filter(|(_, number)| *number > MOST) {
        let text = format!("and {} more of the kind", more - MOST);
        draft.plan.notes.push((topic.to_owned(), text));
    }
}

fn changing<'a>(draft: &Draft<'a>) -> Vec<Changing<'a>> {
    let mut found = Vec::new();
    for assignment in draft.cluster.assignments(draft.node).filter(|assignment| assignment.state == State::Present) {
        let Some(bundle) = draft.bundle(assignment) else { continue };
        let switch = draft.loads().find(|switch| switch.bundle == bundle.name);
        for (name, info) in &bundle.plugins {
            if switch.is_some() || draft.add.contains(name) {
                let replaces = switch.is_some_and(|switch| switch.from.as_ref().is_some_and(|from| *from != switch.to));
                let new = switch.is_some_and(|switch| switch.from.is_none());
                found.push(Changing { name, info, replaces, new });
            }
        }
    }
    found
}

type Told = (&'static str, String);

/// Whether one plugin runs before another: the higher PRIORITY first, equal ones by name, backwards (facts.md B6).
fn runs_before(one: (&PluginName, i64), other: (&PluginName, i64)) -> bool {
    one.1 > other.1 || (one.1 == other.1 && one.1 != 0 && one.0 > other.0)
}

/// Changed priorities, and those that are new and not the only ones of their height.
fn priorities(
    changing: &[Changing<'_>],
    before: &BTreeMap<PluginName, i64>,
    dropped: &BTreeSet<PluginName>,
) -> Vec<Told> {
    let moved: BTreeSet<&PluginName> = changing
        .iter()
        .filter(|it| it.info.priority.is_some() && before.get(it.name) != it.info.priority.as_ref())
        .map(|it| it.name)
        .collect();
    if moved.is_empty() {
        return Vec::new();
    }
    let mut after: BTreeMap<&PluginName, i64> =
        before.iter().filter(|(name, _)| !dropped.contains(*name)).map(|(name, priority)| (name, *priority)).collect();
    for it in changing {
        match it.info.priority {
            Some(priority) => after.insert(it.name, priority),
            None => after.remove(it.name),
        };
    }
    let mut notes: Vec<Told> = Vec::new();
    for name in &moved {
        if let (Some(old), Some(new)) = (before.get(*name), after.get(*name)) {
            notes.push(("priority", changed(name, *old, *new, &after)));
        }
    }
    let heights: BTreeSet<i64> = moved.iter().filter_map(|name| after.get(*name)).copied().collect();
    for height in heights {
        let equal: Vec<&PluginName> = after.iter().filter(|(_, it)| **it == height).map(|(name, _)| *name).collect();
        if equal.len() > 1 {
            notes.push(("priority", same_priority(height, &equal)));
        }
    }
    notes
}

/// A changed PRIORITY, and what the plugin passes by it.
fn changed(name: &PluginName, old: i64, new: i64, after: &BTreeMap<&PluginName, i64>) -> String {
    let down = new < old;
    let passed = after.iter().filter(|(other, priority)| {
        let other = (**other, **priority);
        other.0 != name && runs_before((name, old), other) != runs_before((name, new), other)
    });
    let passed: Vec<String> = passed.map(|(other, priority)| format!("{other} ({priority})")).collect();
    let what = match passed.len() {
        0 => "no plugin that is loaded lies between".to_owned(),
        _ => format!("it now runs {} {}", if down { "after" } else { "before" }, brief(&passed)),
    };
    format!("{name}: PRIORITY {old} -> {new}: {what}")
}

/// In which order plugins of one PRIORITY run.
pub fn same_priority(priority: i64, names: &[&PluginName]) -> String {
    let mut order: Vec<String> = names.iter().map(ToString::to_string).collect();
    order.sort_by(|a, b| b.cmp(a));
    let all = brief(&order);
    if priority == 0 {
        // Kong orders only equal ones that are not 0 by name (facts.md B6).
        return format!("{all} all have PRIORITY 0: Kong does not lay down which of them runs first");
    }
    format!("PRIORITY {priority} is that of {} plugins; among equals Kong goes by name, backwards: {all}", order.len())
}

fn brief(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// A custom plugin with the name of one that comes with Kong is the same module path (facts.md A2).
fn reused_name(plugin: &Changing<'_>, there: bool) -> Option<Told> {
    (plugin.new && there && is_bundled(plugin.name)).then(|| ("name", bundled_name(plugin.name)))
}

/// What it means that a plugin has the name of one that comes with Kong.
pub fn bundled_name(name: &PluginName) -> String {
    format!(
        "{name} is the name of a plugin that comes with Kong: this one takes its place in every row that uses it, and a module \
         that it does not bring is still Kong's own"
    )
}

/// What VERSION does not tell, and a way back.
fn versions(plugin: &Changing<'_>, runs: Option<&str>) -> Vec<Told> {
    let mut notes = Vec::new();
    let Some(written) = &plugin.info.version else { return notes };
    notes.extend(cleaned_version(plugin.name, plugin.info).map(|text| ("version", text)));
    let (Some(runs), Some(wanted)) = (runs, clean_plugin_version(written)) else { return notes };
    let name = plugin.name;
    if plugin.replaces && runs == wanted {
        let text = format!(
            "{name}: its content changes and its VERSION stays {wanted}, so that `GET /` cannot tell the two apart; the proof \
             goes by the search path, which names the content"
        );
        notes.push(("version", text));
    } else if is_before(&wanted, runs) {
        let schema =
            if plugin.info.has_migrations { "; what its migrations did to the database is not taken back" } else { "" };
        notes.push(("version", format!("{name}: {runs} runs and {wanted} is wanted, a way back{schema}")));
    }
    notes
}

/// What Kong makes of a VERSION that is more than its numbers (facts.md B4).
pub fn cleaned_version(name: &PluginName, info: &PluginInfo) -> Option<String> {
    let written = info.version.as_ref()?;
    let cleaned = clean_plugin_version(written).filter(|cleaned| cleaned != written)?;
    Some(format!(
        "{name}: VERSION {written} is {cleaned} for Kong, which keeps the numbers alone: builds that differ in the rest look alike"
    ))
}

/// Plugins of these bundles with the same PRIORITY, as far as their files say it, by height.
pub fn equal_priorities<'a>(bundles: impl IntoIterator<Item = &'a Bundle>) -> Vec<(i64, BTreeSet<&'a PluginName>)> {
    let mut heights: BTreeMap<i64, BTreeSet<&PluginName>> = BTreeMap::new();
    for (name, info) in bundles.into_iter().flat_map(|bundle| &bundle.plugins) {
        if let Some(priority) = info.priority {
            heights.entry(priority).or_default().insert(name);
        }
    }
    heights.into_iter().filter(|(_, names)| names.len() > 1).collect()
}

#[cfg(test)]
#[path = "notes_tests.rs"]
mod tests;
