//! What Kong says of a row that its schema does not take: `POST /schemas/plugins/validate` answers 400, code 2, with the
//! fields and a message for each (measured on 3.9.1: transcript 16).
//!
//! A row may hold secrets and a message may quote them (a check of a plugin's own, a pattern that did not match), so that
//! only Kong's own messages about the schema are told, and even those only where they do not repeat the row.

use std::fmt;

use serde_json::Value;

use super::printable;

/// The most violations that are kept of one row.
const MOST: usize = 20;
/// The longest name of a field that is shown, in characters.
const LONGEST: usize = 80;
/// The longest message that is shown, in characters.
const LONGEST_MESSAGE: usize = 200;
/// Below this many bytes a text elsewhere in the row is too common to be told from a word of Kong's.
const TELLING: usize = 4;

/// Kong's own messages that say nothing of the row.
const PLAIN: [&str; 14] = [
    "required field missing",
    "field required for entity check",
    "unknown field",
    "expected an array",
    "expected a set",
    "expected a map",
    "expected a record",
    "expected a string",
    "expected a number",
    "expected a boolean",
    "expected an integer",
    "expected a function",
    "expected a valid UUID",
    "value must not be null",
];

/// Beginnings of Kong's own messages that go on with what the schema says.
const OF_THE_SCHEMA: [&str; 12] = [
    "expected one of: ",
    "expected to contain: ",
    "should start with: ",
    "value must be ",
    "value should be between ",
    "length must be ",
    "at least one of these fields must be non-empty: ",
    "only one of these fields must be non-empty: ",
    "only one or none of these fields must be set: ",
    "all or none of these fields must be set: ",
    "values of these fields must be distinct: ",
    "failed conditional validation given value of field ",
];

/// One thing of a row that its schema does not take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The field, its parts joined by dots (`config.realm`); empty for the row as a whole.
    pub field: String,
    /// Kong's message, where it cannot hold anything of the row.
    pub says: Option<String>,
}

impl Violation {
    /// Whether the field is none that a row of `plugins` has at all, so that it is not of the plugin's schema.
    pub fn is_foreign(&self) -> bool {
        self.says.as_deref() == Some("unknown field") && !self.field.contains('.') && self.field != "config"
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = self.says.as_deref().unwrap_or("refused (Kong's words are not shown, as they may quote the row)");
        if self.field.is_empty() { f.write_str(says) } else { write!(f, "{}: {says}", self.field) }
    }
}

/// The violations in an answer of status 400 about this row; `None` if it is about something else than the schema.
pub fn violations(answer: &[u8], row: &Value) -> Option<Vec<Violation>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    if answer["code"] != 2 {
        return None;
    }
    let mut texts = Vec::new();
    collect(&row["config"], &mut texts);
    let mut found = Vec::new();
    walk(&answer["fields"], Some(row), &mut Vec::new(), &texts, &mut found);
    if found.is_empty() {
        found.push(Violation { field: String::new(), says: None });
    }
    found.sort();
    found.dedup();
    Some(found)
}

/// Every text and number in a value.
fn collect<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(entries) => entries.values().for_each(|item| collect(item, into)),
        Value::String(_) | Value::Number(_) => into.push(value),
        Value::Null | Value::Bool(_) => {}
    }
}

fn walk(fields: &Value, row: Option<&Value>, path: &mut Vec<String>, texts: &[&Value], found: &mut Vec<Violation>) {
    let step = |value: &'_ Value, name: &str| -> Option<Value> {
        name.parse::<usize>().ok().and_then(|at| value.get(at.checked_sub(1)?)).or_else(|| value.get(name)).cloned()
    };
    match fields {
        _ if found.len() >= MOST => {}
        Value::String(message) => {
            let says = safe(message, row, texts).then(|| printable(message, LONGEST_MESSAGE));
            found.push(Violation { field: path.join("."), says });
        }
        // Checks of the whole entity: a list of messages, without a field.
        Value::Object(entries) => {
            for (name, below) in entries {
                if name == "@entity" {
                    walk(below, None, path, texts, found);
                    continue;
                }
                path.push(printable(name, LONGEST));
                let value = row.and_then(|row| step(row, name));
                walk(below, value.as_ref(), path, texts, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (at, below) in items.iter().enumerate().filter(|(_, below)| !below.is_null()) {
                let value = row.and_then(|row| row.get(at));
                walk(below, value, path, texts, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a message is one of Kong's own and repeats nothing of the row.
fn safe(message: &str, value: Option<&Value>, texts: &[&Value]) -> bool {
    if PLAIN.contains(&message) {
        return true;
    }
    let Some(said) = OF_THE_SCHEMA.iter().find_map(|begin| message.strip_prefix(begin)) else { return false };
    let mut own = Vec::new();
    if let Some(value) = value {
        collect(value, &mut own);
    }
    let telling = |text: &&&Value| text.as_str().is_some_and(|text| text.len() >= TELLING);
    !own.iter().chain(texts.iter().filter(telling)).any(|value| repeats(said, value))
}

fn repeats(said: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && said.to_lowercase().contains(&text.to_lowercase()),
        other => {
            let text = other.to_string();
            said.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).any(|word| word == text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(fields: &Value, config: &Value) -> Vec<String> {
        let answer = json!({ "code": 2, "name": "schema violation", "fields": fields, "message": "x" });
        let row = json!({ "config": config });
        let found = violations(answer.to_string().as_bytes(), &row).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    /// Transcript 16, as it was recorded.
    #[test]
    fn a_recorded_answer_is_read() {
        let body = br#"{"code":2,"name":"schema violation","fields":{"config":{"nope":"unknown field"}},"message":"schema violation (config.nope: unknown field)"}"#;
        let found = violations(body, &json!({ "config": { "nope": "x" } })).unwrap();
        assert_eq!(found, [Violation { field: "config.nope".to_owned(), says: Some("unknown field".to_owned()) }]);
        assert!(!found[0].is_foreign());
        let other = br#"{"code":9,"name":"invalid size","message":"x"}"#;
        assert_eq!(violations(other, &Value::Null), None);
        assert_eq!(violations(b"<html>", &Value::Null), None);
    }

    #[test]
    fn what_kong_says_of_the_schema_is_told_with_its_field() {
        let config = json!({ "realm": null, "mode": "open", "ttl": 99, "upstreams": [{ "port": "x" }] });
        for (fields, expected) in [
            (json!({ "config": { "realm": "required field missing" } }), "config.realm: required field missing"),
            (json!({ "config": { "mode": "expected one of: a, b" } }), "config.mode: expected one of: a, b"),
            (
                json!({ "config": { "ttl": "value should be between 0 and 60" } }),
                "config.ttl: value should be between 0 and 60",
            ),
            (
                json!({ "config": { "upstreams": [{ "port": "expected an integer" }] } }),
                "config.upstreams.port: expected an integer",
            ),
            (
                json!({ "@entity": ["at least one of these fields must be non-empty: 'config.realm', 'config.mode'"] }),
                "at least one of these fields must be non-empty: 'config.realm', 'config.mode'",
            ),
            (json!({ "consumer": "value must be null" }), "consumer: value must be null"),
        ] {
            assert_eq!(told(&fields, &config), [expected]);
        }
    }

    #[test]
    fn no_message_brings_anything_of_a_row_out() {
        let config = json!({ "key": "hunter2", "path": "/a%2Fb", "port": 4711, "list": ["hunter2"] });
        for message in [
            "invalid value: hunter2",
            "the key hunter2 is too short",
            "expected one of: a, b; got HUNTER2",
            "value must be other than 4711",
            "not a valid regex: a",
            "expected one of: x, HUNTER2",
        ] {
            for field in ["key", "port", "list"] {
                let lines = told(&json!({ "config": { field: message } }), &config);
                assert!(!lines[0].to_lowercase().contains("hunter2"), "{lines:?}");
                assert!(lines[0].starts_with(&format!("config.{field}: ")));
            }
        }
        assert!(
            told(&json!({ "config": { "port": "value must be other than 4711" } }), &config)[0].contains("not shown")
        );
        assert!(told(&json!({}), &config)[0].starts_with("refused"), "a violation without fields is one");
        assert!(
            told(&json!({ "config": { "a\u{1b}[2J": "unknown field" } }), &config)[0].starts_with("config.a\u{fffd}")
        );
    }

    #[test]
    fn a_field_that_no_row_has_is_told_apart() {
        let found = violations(
            br#"{"code":2,"fields":{"ordering":"unknown field","config":{"a":"unknown field"}}}"#,
            &json!({ "ordering": null, "config": { "a": 1 } }),
        );
        let foreign: Vec<bool> = found.unwrap().iter().map(Violation::is_foreign).collect();
        assert_eq!(foreign, [false, true]);
    }
}
