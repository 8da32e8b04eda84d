//! What happens to the configuration rows of a plugin that is to be absent.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Length;

/// What happens to the configuration rows of a plugin that is to be absent. Without this word they hold the removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unapply {
    /// Every row is saved and deleted through the Admin API.
    Delete,
    /// Every row is disabled; disabled rows still hold the removal.
    Disable,
    /// Every row is disabled, and a later plan deletes them once they have been so for that long.
    DisableFor(Length),
}

/// The words that stand alone.
const WORDS: [&str; 2] = ["delete", "disable"];

impl<'de> Deserialize<'de> for Unapply {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Unapply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("delete, disable, or { disable: 24h }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Unapply, E> {
        match text {
            "delete" => Ok(Unapply::Delete),
            "disable" => Ok(Unapply::Disable),
            other => Err(E::unknown_variant(other, &WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unapply, A::Error> {
        let mut length = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "disable" {
                return Err(de::Error::unknown_field(&key, &WORDS[1..]));
            }
            length = Some(map.next_value()?);
        }
        length.map(Unapply::DisableFor).ok_or_else(|| de::Error::missing_field("disable"))
    }
}

impl JsonSchema for Unapply {
    fn schema_name() -> Cow<'static, str> {
        "Unapply".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let length = generator.subschema_for::<Length>();
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": WORDS },
                {
                    "type": "object",
                    "properties": { "disable": {
                        "description": "For how long the rows are disabled before a later plan deletes them.",
                        "allOf": [length],
                    } },
                    "required": ["disable"],
                    "additionalProperties": false,
                },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Unapply, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn there_are_three_ways() {
        assert_eq!(read("delete"), Ok(Unapply::Delete));
        assert_eq!(read("disable"), Ok(Unapply::Disable));
        assert_eq!(read("{ disable: 24h }"), Ok(Unapply::DisableFor(Length::seconds(86_400))));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_known() {
        for (yaml, why) in [
            ("remove", "unknown variant `remove`, expected `delete` or `disable`"),
            ("{ delete: 24h }", "unknown field `delete`, expected `disable`"),
            ("{}", "missing field `disable`"),
            ("{ disable: soon }", "not a length of time"),
            ("true", "expected delete, disable, or { disable: 24h }"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }
}
