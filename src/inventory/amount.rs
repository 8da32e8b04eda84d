//! How many of a cluster's nodes: a count or a percentage.

use std::fmt;

use serde::de;

/// A number of nodes, given as such (`3`) or as a share of a cluster (`25%`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Amount {
    /// That many nodes.
    Count(u32),
    /// That share of the cluster's nodes, 1 to 100.
    Percent(u8),
}

/// The size of a wave is an amount of nodes.
pub type WaveSize = Amount;

impl Amount {
    /// How many nodes of `total` this is: a percentage rounds up and is at least 1; nothing is more than `total`.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX).min(total),
            Self::Percent(percent) => total.saturating_mul(usize::from(percent)).div_ceil(100).max(1).min(total),
        }
    }

    /// Reads `3` or `25%`, or says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Count).map_err(|_| format!("{text:?} is neither a count nor a percentage"));
        };
        match percent.parse::<u8>() {
            Ok(0) => Err("0% has no meaning, as percentages are at least one node; write 0".to_owned()),
            Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
            _ => Err(format!("{text:?} is not a whole percentage from 1% to 100%")),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count such as 3 or a percentage such as 25%")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Amount, E> {
                u32::try_from(count).map(Amount::Count).map_err(|_| E::custom(format!("{count} nodes are too many")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of nodes (3) or a share of the cluster (25%); a share rounds up and is at least 1.",
            "oneOf": [
                { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                { "type": "string", "pattern": "^([1-9][0-9]?|100)%$" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up_and_are_at_least_one() {
        assert_eq!(Amount::Percent(5).of(41), 3);
        assert_eq!(Amount::Percent(25).of(41), 11);
        assert_eq!(Amount::Percent(1).of(3), 1);
        assert_eq!(Amount::Percent(100).of(41), 41);
    }

    #[test]
    fn nothing_is_more_than_there_is() {
        assert_eq!(Amount::Count(10).of(3), 3);
        assert_eq!(Amount::Percent(1).of(0), 0);
        assert_eq!(Amount::Count(0).of(3), 0);
    }

    #[test]
    fn amounts_are_read_as_written() {
        for text in ["0", "7", "1%", "100%"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "%", "0%", "101%", "-1", "1.5%", "half"] {
            assert!(Amount::parse(bad).is_err(), "{bad}");
        }
    }
}
