//! Lengths of time as people write them: `30s`, `2m`, `1h30m`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::de;

/// Longer is a slip of the pen: nobody lets a rollout rest for more than a month.
const LONGEST: u64 = 31 * 24 * 3600;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// A length of time in whole seconds, written with its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Length(u64);

impl Length {
    /// That many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// Reads one or more numbers with a unit each (`d`, `h`, `m`, `s`), or says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a length of time such as 30s, 2m, 1h30m or 1d");
        let mut rest = text;
        let mut seconds = 0_u64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let unit = UNITS.iter().find(|(letter, _)| tail.starts_with(*letter)).ok_or_else(bad)?;
            let number: u64 = number.parse().map_err(|_| bad())?;
            seconds = number.checked_mul(unit.1).and_then(|more| seconds.checked_add(more)).ok_or_else(bad)?;
            rest = &tail[1..];
        }
        match seconds {
            _ if text.is_empty() => Err(bad()),
            ..=LONGEST => Ok(Self(seconds)),
            _ => Err(format!("{text:?} is longer than 31 days")),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.0;
        for (letter, size) in UNITS {
            if rest >= size {
                let _ = write!(text, "{}{letter}", rest / size);
                rest %= size;
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

impl serde::Serialize for Length {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Length {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as 30s, 2m, 1h30m or 1d")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Length, E> {
                Err(E::custom(format!(
                    "a length of time needs its unit; write {number}s for seconds, {number}m for minutes"
                )))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
                Length::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Length {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time with its units: 30s, 2m, 1h30m, 1d.",
            "type": "string", "pattern": "^([0-9]+[dhms])+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_with_their_units() {
        for (text, seconds) in [("30s", 30), ("2m", 120), ("2h", 7200), ("1h30m", 5400), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(Length::parse(text).unwrap().duration().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_or_is_absurd_is_refused() {
        for bad in ["", "30", "2 m", "m", "-1s", "2x", "32d", "99999999999999999999s", "18446744073709551615d", "1é"] {
            assert!(Length::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_are_shown_in_the_largest_units() {
        for text in ["30s", "2m", "1h30m", "1d1s", "0s"] {
            assert_eq!(Length::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Length::seconds(90).to_string(), "1m30s");
    }
}
