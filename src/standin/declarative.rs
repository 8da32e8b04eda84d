//! Declarative configuration as a text: read into tables, and written out again (facts.md C8 and D2).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::lmdb::{self, Stored, Tables};
use super::rows;

/// Tables whose rows others hang on, with the word for one row, in the order in which they are written out.
pub(super) const OWNERS: [(&str, &str); 4] =
    [("services", "service"), ("routes", "route"), ("consumers", "consumer"), ("consumer_groups", "consumer_group")];

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no configuration.
    Unreadable(String),
    /// A field at its top is wrong.
    Field(&'static str, String),
    /// The entry (from 1) of `plugins` names one that is not loaded.
    NotEnabled { entry: usize, name: String },
}

fn not_enabled(name: &str) -> String {
    format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property")
}

impl Refused {
    /// As the CLI and the log say it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unreadable(problem) => problem.clone(),
            Self::Field(name, problem) => format!("in '{name}': {problem}"),
            Self::NotEnabled { entry, name } => {
                format!("in 'plugins':\n  - in entry {entry} of 'plugins':\n    in 'name': {}", not_enabled(name))
            }
        }
    }

    /// As `POST /config` answers it, with status 400 (transcript 07, 5).
    pub(super) fn answer(&self) -> Value {
        let (fields, shown) = match self {
            Self::Unreadable(problem) => (json!({ "error": problem }), format!("{{error={problem:?}}}")),
            Self::Field(name, problem) => (json!({ (*name): problem }), format!("{{[{name:?}]={problem:?}}}")),
            Self::NotEnabled { entry, name } => {
                let mut list = vec![Value::Null; entry - 1];
                list.push(json!({ "name": not_enabled(name) }));
                let at = if *entry == 1 { String::new() } else { format!("[{entry}]=") };
                (json!({ "plugins": list }), format!("{{plugins={{{at}{{name={:?}}}}}}}", not_enabled(name)))
            }
        };
        json!({
            "code": 14,
            "name": "invalid declarative configuration",
            "message": format!("declarative config is invalid: {shown}"),
            "fields": fields,
        })
    }
}

/// Reads a text of YAML or JSON. `enabled` says which plugins are loaded.
pub(super) fn parse(text: &str, enabled: impl Fn(&str) -> bool) -> Result<Stored, Refused> {
    let whole: Value = serde_yaml::from_str(text)
        .map_err(|error| Refused::Unreadable(format!("failed parsing declarative configuration: {error}")))?;
    if !whole.is_object() {
        return Err(Refused::Unreadable("expected an object".into()));
    }
    if whole.get("_format_version").is_none() {
        return Err(Refused::Field("_format_version", "required field missing".into()));
    }
    let tables = flat(&whole);
    let names = list(&tables, "plugins").map(|row| row["name"].as_str().unwrap_or_default().to_owned());
    if let Some((at, name)) = names.enumerate().find(|(_, name)| !enabled(name)) {
        return Err(Refused::NotEnabled { entry: at + 1, name });
    }
    Ok(Stored { hash: Some(lmdb::hash(text.as_bytes())), tables })
}

/// The configuration of a file. The error is Kong's sentence.
pub(super) fn file(path: &Path, enabled: impl Fn(&str) -> bool) -> Result<Stored, String> {
    let head = format!("error parsing declarative config file {}:\n", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{head}{}: {}", path.display(), super::prefix::plain(&error)))?;
    parse(&text, enabled).map_err(|refused| format!("{head}{}", refused.text()))
}

fn list<'a>(tables: &'a Tables, name: &str) -> impl Iterator<Item = &'a Value> {
    tables.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Rows of every table, those that stand below their owner too, each with an id and with its owner by id.
fn flat(whole: &Value) -> Tables {
    let mut found: Vec<(String, Map<String, Value>)> = Vec::new();
    collect(whole, None, &mut found);
    let mut named = BTreeMap::new();
    for (table, row) in &found {
        for key in ["id", "name", "username"] {
            if let (Some(text), true) = (row.get(key).and_then(Value::as_str), table != "plugins") {
                named.insert((table.clone(), text.to_owned()), row["id"].clone());
            }
        }
    }
    let mut tables = Tables::new();
    for (table, mut row) in found {
        for (owners, kind) in OWNERS {
            let Some(text) = row.get(kind).and_then(|owner| owner.as_str().or_else(|| owner["id"].as_str())) else {
                continue;
            };
            let id = named.get(&(owners.to_owned(), text.to_owned())).cloned().unwrap_or_else(|| text.into());
            row.insert(kind.to_owned(), json!({ "id": id }));
        }
        let rows = tables.entry(table).or_insert_with(|| json!([]));
        if let Some(rows) = rows.as_array_mut() {
            rows.push(Value::Object(row));
        }
    }
    tables
}

fn collect(entity: &Value, owner: Option<(&str, &Value)>, found: &mut Vec<(String, Map<String, Value>)>) {
    for (table, entries) in entity.as_object().into_iter().flatten() {
        let kind = OWNERS.iter().find(|(name, _)| name == table).map(|(_, kind)| *kind);
        // Only what can hold rows below an entity is a table there; the rest are fields of it.
        if owner.is_some() && kind.is_none() && table != "plugins" {
            continue;
        }
        for (at, entry) in entries.as_array().into_iter().flatten().enumerate() {
            let Some(fields) = entry.as_object() else { continue };
            let mut row = if table == "plugins" { rows::fresh("") } else { json!({}) };
            for (key, value) in fields.iter().filter(|(key, _)| !holds_rows(key)) {
                row[key.as_str()] = value.clone();
            }
            if let Some((kind, id)) = owner {
                row[kind] = json!({ "id": id });
            }
            if !fields.contains_key("id") {
                row["id"] = id_of(table, &row, at).into();
            }
            let id = row["id"].clone();
            if let Value::Object(row) = row {
                found.push((table.clone(), row));
            }
            if let Some(kind) = kind {
                collect(entry, Some((kind, &id)), found);
            }
        }
    }
}

fn holds_rows(key: &str) -> bool {
    key == "plugins" || OWNERS.iter().any(|(name, _)| *name == key)
}

/// The same for the same row at each load, as Kong makes it of what is unique about the row (transcript 07: ids are stable).
fn id_of(table: &str, row: &Value, at: usize) -> String {
    let mut text = format!("{table}\0");
    for name in ["name", "username", "instance_name"].iter().filter_map(|key| row[*key].as_str()) {
        let _ = write!(text, "{name}\0");
    }
    for (_, kind) in OWNERS {
        let owner = &row[kind];
        let id = owner["id"].as_str().or_else(|| owner.as_str()).unwrap_or_default();
        let _ = write!(text, "{id}\0");
    }
    if row["name"].is_null() && row["username"].is_null() {
        let _ = write!(text, "{at}");
    }
    let hex = lmdb::hash(text.as_bytes());
    format!("{}-{}-5{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// `GET /config`: every table in YAML, what rows hang on by id alone.
pub(super) fn export(stored: &Stored) -> String {
    let mut text = "_format_version: '3.0'\n_transform: false\n".to_owned();
    let known = OWNERS.iter().map(|(name, _)| *name).chain(["plugins"]);
    let others = stored.tables.keys().map(String::as_str).filter(|key| !holds_rows(key));
    for table in known.chain(others) {
        let rows: Vec<Value> = stored.table(table).iter().cloned().map(by_id).collect();
        if !rows.is_empty() {
            text.push_str(&serde_yaml::to_string(&json!({ table: rows })).unwrap_or_default());
        }
    }
    // What is not set is written as Kong's writer does; a text of these letters would stand in quotes.
    let lines = text.lines().map(|line| match line.strip_suffix(": null") {
        Some(key) => format!("{key}: ~\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

fn by_id(mut row: Value) -> Value {
    for (_, kind) in OWNERS {
        if let Some(id) = row.get(kind).and_then(|owner| owner.get("id")).cloned() {
            row[kind] = id;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "_format_version: '3.0'\nplugins:\n- name: a\n- { name: c, service: s }\nservices:\n- name: s\n  routes:\n  \
                        - name: r\n    paths: [/]\n    plugins: [{ name: b, enabled: false, config: { x: 1 } }]\n";

    #[test]
    fn rows_are_found_wherever_they_stand_with_their_owners() {
        let stored = parse(TEXT, |_| true).unwrap();
        assert_eq!(rows::names(stored.table("plugins")), ["a", "b", "c"]);
        let find =
            |table: &str, name: &str| stored.table(table).iter().find(|row| row["name"] == name).unwrap().clone();
        let (service, route) = (find("services", "s"), find("routes", "r"));
        assert_eq!((&route["service"]["id"], &find("plugins", "c")["service"]["id"]), (&service["id"], &service["id"]));
        let nested = find("plugins", "b");
        assert_eq!(
            (&nested["route"]["id"], &nested["enabled"], &nested["config"]["x"]),
            (&route["id"], &json!(false), &json!(1))
        );
        assert!(service.get("routes").is_none(), "{service}");
    }

    #[test]
    fn ids_are_the_same_at_each_load() {
        let ids = |stored: &Stored| stored.table("plugins").iter().map(|row| row["id"].to_string()).collect::<Vec<_>>();
        let first = parse(TEXT, |_| true).unwrap();
        assert_eq!(ids(&first), ids(&parse(TEXT, |_| true).unwrap()));
        let id = first.table("plugins")[0]["id"].as_str().unwrap();
        assert!(id.len() == 36 && id.chars().filter(|c| *c == '-').count() == 4, "{id}");
    }

    #[test]
    fn what_is_written_out_reads_back_as_the_same_rows() {
        let stored = parse(TEXT, |_| true).unwrap();
        let text = export(&stored);
        assert!(text.starts_with("_format_version: '3.0'\n_transform: false\nservices:\n- "), "{text}");
        assert!(text.contains("route: ~\n") && !text.contains("null"), "{text}");
        let back = parse(&text, |_| true).unwrap();
        for table in ["services", "routes", "plugins"] {
            let sorted = |stored: &Stored| {
                let mut rows: Vec<String> =
                    stored.table(table).iter().map(|row| row["id"].to_string() + &row["service"].to_string()).collect();
                rows.sort();
                rows
            };
            assert_eq!(sorted(&back), sorted(&stored), "{table}");
        }
    }

    #[test]
    fn a_plugin_that_is_not_loaded_is_refused_in_kongs_words() {
        let refused = parse(TEXT, |name| name == "a").unwrap_err();
        let Refused::NotEnabled { entry, name } = &refused else { panic!("{refused:?}") };
        assert!(*entry > 1 && name != "a", "{refused:?}");
        let first = Refused::NotEnabled { entry: 1, name: "nosuch".into() };
        assert!(
            first.text().ends_with(
                "    in 'name': plugin 'nosuch' not enabled; add it to the 'plugins' configuration property"
            )
        );
        assert_eq!(
            first.answer()["message"],
            "declarative config is invalid: {plugins={{name=\"plugin 'nosuch' not enabled; add it to the 'plugins' configuration property\"}}}"
        );
        assert_eq!(refused.answer()["fields"]["plugins"].as_array().unwrap().len(), *entry);
    }

    #[test]
    fn what_is_no_configuration_is_said_so() {
        assert!(matches!(parse("a: [", |_| true), Err(Refused::Unreadable(_))));
        assert!(matches!(parse("- 1", |_| true), Err(Refused::Unreadable(_))));
        let missing = parse("plugins: []", |_| true).unwrap_err();
        assert_eq!(missing.text(), "in '_format_version': required field missing");
    }
}
