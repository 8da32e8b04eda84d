//! How Kong is made to load what is on a node, where an inventory asks for another way than muster's own.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most characters of a command.
const LONGEST: usize = 2_000;

/// How a running Kong is made to load what was brought there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Reload {
    /// As muster finds right for the node, on evidence: nothing but its own lines is applied.
    #[default]
    Auto,
    /// `kong prepare -c CONF`, then `kong reload -c CONF`.
    Prepare,
    /// `kong restart -c CONF`.
    Restart,
    /// The reload of the unit that runs Kong.
    Unit,
    /// This command, given to `/bin/sh -c` on the node, in a run and never before.
    Command(String),
}

/// The words that stand alone.
const WORDS: [&str; 4] = ["auto", "prepare", "restart", "unit"];

impl<'de> Deserialize<'de> for Reload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Reload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("auto, prepare, restart, unit, or { command: \"systemctl reload kong\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Reload, E> {
        match text {
            "auto" => Ok(Reload::Auto),
            "prepare" => Ok(Reload::Prepare),
            "restart" => Ok(Reload::Restart),
            "unit" => Ok(Reload::Unit),
            other => Err(E::unknown_variant(other, &WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reload, A::Error> {
        let mut command = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "command" {
                return Err(de::Error::unknown_field(&key, &["command"]));
            }
            command = Some(map.next_value::<String>()?);
        }
        let command = command.ok_or_else(|| de::Error::missing_field("command"))?;
        if command.trim().is_empty() || command.chars().any(char::is_control) || command.chars().count() > LONGEST {
            let why = format!("a command is one line of 1 to {LONGEST} characters; put more into a script on the node");
            return Err(de::Error::custom(why));
        }
        Ok(Reload::Command(command))
    }
}

impl JsonSchema for Reload {
    fn schema_name() -> Cow<'static, str> {
        "Reload".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": WORDS },
                {
                    "type": "object",
                    "properties": { "command": {
                        "description": "What /bin/sh on the node is given; it runs in a run only, never while planning.",
                        "type": "string",
                    } },
                    "required": ["command"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Reload, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_is_a_word_but_the_operators_command() {
        for (text, way) in [
            ("auto", Reload::Auto),
            ("prepare", Reload::Prepare),
            ("restart", Reload::Restart),
            ("unit", Reload::Unit),
            (
                "{ command: \"systemctl reload kong; echo 'ok $?'\" }",
                Reload::Command("systemctl reload kong; echo 'ok $?'".to_owned()),
            ),
        ] {
            assert_eq!(read(text), Ok(way), "{text}");
        }
    }

    #[test]
    fn what_is_no_way_is_said() {
        let long = format!("{{ command: {} }}", "x".repeat(LONGEST + 1));
        for (text, says) in [
            ("hup", "unknown variant"),
            ("{ run: x }", "unknown field"),
            ("{}", "missing field"),
            ("{ command: \" \" }", "one line of 1 to"),
            ("{ command: \"a\\nb\" }", "one line of 1 to"),
            (long.as_str(), "one line of 1 to"),
            ("7", "auto, prepare, restart, unit, or"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
