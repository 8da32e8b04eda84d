//! Rows of `plugins` against the schemas that a worker has loaded.
//!
//! A row is read as the loaded schema has it: fields that it does not know are left out, without a complaint (measured.md 7,
//! for rows in LMDB; the DAO of a database does it in the same place of the source), fields that the row lacks get their
//! default or null. Only what is written, or asked about, is judged.

use serde_json::{Map, Value, json};

use super::proxy::Plugins;
use super::sandbox;

/// The fields of a row beside those of its plugin's config, in the open-source edition.
const FIELDS: [&str; 12] = [
    "id",
    "name",
    "instance_name",
    "enabled",
    "config",
    "service",
    "route",
    "consumer",
    "tags",
    "created_at",
    "updated_at",
    "protocols",
];

/// Shows a row as the loaded schema of its plugin has it; one of a plugin without a schema here stays as it is.
pub(super) fn read(plugins: &Plugins, row: &mut Value) {
    let name = row["name"].as_str().unwrap_or_default().to_owned();
    let Some(required) = names(plugins, &name) else { return };
    let defaults = plugins.config_defaults(&name);
    let Some(config) = row["config"].as_object_mut() else { return };
    config.retain(|key, _| required.contains_key(key));
    for (key, required) in &required {
        let given = config.get(key.as_str());
        if given.is_none() || (given == Some(&Value::Null) && required == &Value::Bool(true)) {
            let default = defaults.get(key.as_str()).cloned().unwrap_or_default();
            config.insert(key.clone(), default);
        }
    }
}

fn names(plugins: &Plugins, name: &str) -> Option<Map<String, Value>> {
    let (sandbox, schema) = plugins.schema_of(name)?;
    let names = sandbox.function("config_names").ok()?.call::<mlua::Value>(schema).ok()?;
    if names.is_nil() {
        return None;
    }
    Some(sandbox::to_json(&names).as_object().cloned().unwrap_or_default())
}

/// What of a row is not taken, as Kong's `fields`.
pub(super) fn violations(plugins: &Plugins, row: &Value) -> Option<Value> {
    let mut fields = Map::new();
    for key in row.as_object().into_iter().flat_map(Map::keys).filter(|key| !FIELDS.contains(&key.as_str())) {
        fields.insert(key.clone(), "unknown field".into());
    }
    if let Some(config) = config(plugins, row).filter(|found| !found.is_null()) {
        fields.insert("config".to_owned(), config);
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn config(plugins: &Plugins, row: &Value) -> Option<Value> {
    let (sandbox, schema) = plugins.schema_of(row["name"].as_str()?)?;
    let empty = json!({});
    let config = row.get("config").filter(|config| config.is_object()).unwrap_or(&empty);
    let config = sandbox::from_body(sandbox.lua(), config).ok()?;
    let call = sandbox.function("violations").ok()?.call::<mlua::Value>((schema, config, mlua::Value::NULL));
    match call {
        Ok(found) => Some(sandbox::to_json(&found)),
        // A check of the plugin's own that breaks.
        Err(error) => Some(error.to_string().into()),
    }
}

/// Kong's message about these fields: each with its path, two levels deep; what is below is written out.
pub(super) fn message(fields: &Value) -> String {
    let mut lines = Vec::new();
    for (name, found) in fields.as_object().into_iter().flatten() {
        match found {
            Value::Object(below) => {
                lines.extend(below.iter().map(|(key, found)| format!("{name}.{key}: {}", text(found))));
            }
            other => lines.push(format!("{name}: {}", text(other))),
        }
    }
    match lines.as_slice() {
        [one] => format!("schema violation ({one})"),
        many => format!("{} schema violations ({})", many.len(), many.join("; ")),
    }
}

fn text(found: &Value) -> String {
    found.as_str().map_or_else(|| found.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_put_together_as_kong_does() {
        // Transcript 16.
        let one = json!({ "config": { "nope": "unknown field" } });
        assert_eq!(message(&one), "schema violation (config.nope: unknown field)");
        let two = json!({ "config": { "a": "expected a string" }, "x": "unknown field" });
        assert_eq!(message(&two), "2 schema violations (config.a: expected a string; x: unknown field)");
    }
}
