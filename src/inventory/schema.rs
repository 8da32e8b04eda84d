//! The JSON Schema of the inventory, from the types that read it: for editors, and for whoever generates inventories.

use super::document::Document;

/// The JSON Schema (draft 2020-12) of an inventory. It says less than [`super::parse`] checks: nothing of references,
/// ranges and what goes with what.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const EXAMPLE: &str = include_str!("../../inventory.example.yaml");
    const REFERENCE: &str = include_str!("../../docs/inventory.md");

    /// Whether a value is one that a schema allows, as far as the schema uses the words below; pattern is not looked at.
    fn allows(root: &Value, schema: &Value, value: &Value) -> bool {
        let Value::Object(words) = schema else { return schema != &Value::Bool(false) };
        words.iter().all(|(word, rule)| match (word.as_str(), value) {
            ("$ref", _) => root.pointer(&rule.as_str().unwrap()[1..]).is_some_and(|schema| allows(root, schema, value)),
            ("anyOf", _) => rule.as_array().unwrap().iter().any(|schema| allows(root, schema, value)),
            ("oneOf", _) => rule.as_array().unwrap().iter().filter(|schema| allows(root, schema, value)).count() == 1,
            ("type", _) => match rule {
                Value::Array(types) => types.iter().any(|name| is(name, value)),
                name => is(name, value),
            },
            ("const", _) => rule == value,
            ("enum", _) => rule.as_array().unwrap().contains(value),
            ("required", Value::Object(map)) => {
                rule.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))
            }
            ("properties", Value::Object(map)) => {
                map.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| allows(root, schema, value)))
            }
            ("additionalProperties", Value::Object(map)) => {
                let known = words.get("properties");
                let patterned = words.contains_key("patternProperties");
                map.iter()
                    .filter(|(key, _)| !patterned && known.is_none_or(|known| known.get(key).is_none()))
                    .all(|(_, value)| allows(root, rule, value))
            }
            ("patternProperties", Value::Object(map)) => {
                let schema = rule.as_object().unwrap().values().next().unwrap();
                map.values().all(|value| allows(root, schema, value))
            }
            ("items", Value::Array(items)) => items.iter().all(|value| allows(root, rule, value)),
            ("minimum", Value::Number(number)) => number.as_f64() >= rule.as_f64(),
            ("maximum", Value::Number(number)) => number.as_f64() <= rule.as_f64(),
            _ => true,
        })
    }

    fn is(name: &Value, value: &Value) -> bool {
        match name.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("type {other}"),
        }
    }

    /// Every key that the schema gives a meaning to.
    fn keys(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(words) => {
                if let Some(Value::Object(properties)) = words.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                words.values().for_each(|schema| keys(schema, found));
            }
            Value::Array(items) => items.iter().for_each(|schema| keys(schema, found)),
            _ => {}
        }
    }

    fn value(yaml: &str) -> Value {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn the_example_is_what_the_schema_allows() {
        let schema = schema();
        assert!(allows(&schema, &schema, &value(EXAMPLE)));
    }

    #[test]
    fn the_schema_refuses_what_the_reader_refuses() {
        let schema = schema();
        let cluster = |keys: &str| format!("version: 1\nowner: me\nclusters: {{c: {{topology: dbless, {keys}}}}}\n");
        for (wrong, right) in [
            (cluster("nodez: [a]"), cluster("nodes: [a]")),
            (cluster("nodes: {a: {hots: b}}"), cluster("nodes: {a: {host: b}}")),
            (cluster("become: root"), cluster("become: sudo")),
            (cluster("plugins: {a: {state: gone}}"), cluster("plugins: {a: {state: absent}}")),
            (cluster("rollout: {at_once: 0}"), cluster("rollout: {at_once: 1}")),
            (cluster("ssh: {port: 70000}"), cluster("ssh: {port: 7000}")),
            ("version: 2\nowner: me\n".to_owned(), "version: 1\nowner: me\n".to_owned()),
            ("version: 1\n".to_owned(), "version: 1\nowner: me\n".to_owned()),
        ] {
            assert!(!allows(&schema, &schema, &value(&wrong)), "{wrong}");
            assert!(crate::inventory::parse("f", wrong.as_bytes()).is_err(), "{wrong}");
            assert!(allows(&schema, &schema, &value(&right)), "{right}");
            assert!(crate::inventory::parse("f", right.as_bytes()).is_ok(), "{right}");
        }
    }

    #[test]
    fn every_key_is_in_the_example_and_in_the_reference() {
        let mut found = BTreeSet::new();
        keys(&schema(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        for key in &found {
            assert!(EXAMPLE.contains(&format!("{key}:")), "{key} is not in inventory.example.yaml");
            assert!(REFERENCE.contains(&format!("`{key}`")), "{key} is not in docs/inventory.md");
        }
    }

    #[test]
    fn every_key_has_a_description() {
        let schema = schema();
        let mut open = vec![&schema];
        while let Some(next) = open.pop() {
            if let Some(Value::Object(properties)) = next.get("properties") {
                for (key, property) in properties {
                    assert!(property.get("description").is_some(), "{key}");
                }
            }
            match next {
                Value::Object(words) => open.extend(words.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }

    #[test]
    fn no_name_of_the_program_is_in_the_schema() {
        let text = schema().to_string();
        assert!(!text.contains("Elsewhere") && !text.contains("_clusters"), "{text}");
    }
}
