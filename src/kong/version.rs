//! Versions: Kong's own, and how Kong reads the VERSION of a plugin.

use std::cmp::Ordering;
use std::fmt;

/// What muster does with a node of some version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// 3.4 and newer: looked at and changed.
    Full,
    /// 2.8 to 3.3: looked at; nothing is changed.
    LookOnly,
    /// Older: not understood.
    None,
}

/// A version of Kong: `3.9.1`, `3.4.2`, `2.8.5`, or with four numbers and a suffix as the Enterprise edition has
/// (`3.9.1.0-enterprise-edition`). Ordered by the numbers, missing ones being 0; the suffix does not count.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KongVersion {
    text: String,
    numbers: [u64; 4],
}

impl KongVersion {
    /// Reads a version; `None` if it does not begin with two to four numbers joined by dots.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let run = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
        let parts: Vec<&str> = run.split('.').collect();
        if !(2..=4).contains(&parts.len()) || text.len() > 64 || text.chars().any(char::is_control) {
            return None;
        }
        let mut numbers = [0; 4];
        for (number, part) in numbers.iter_mut().zip(&parts) {
            *number = part.parse().ok()?;
        }
        Some(Self { text: text.to_owned(), numbers })
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.numbers[0]
    }

    /// The second number.
    pub fn minor(&self) -> u64 {
        self.numbers[1]
    }

    /// What muster does with a node of this version.
    pub fn support(&self) -> Support {
        match (self.major(), self.minor()) {
            (3, 4..) | (4.., _) => Support::Full,
            (2, 8..) | (3, _) => Support::LookOnly,
            _ => Support::None,
        }
    }

    /// Whether modules in a manifest of LuaRocks win over `lua_package_path`: `luarocks.loader` stood first until 3.8
    /// (facts.md B2).
    pub fn prefers_rocks(&self) -> bool {
        (self.major(), self.minor()) < (3, 9)
    }

    /// Whether a data plane of this version may stay connected to a control plane of version `control`: same major, minor
    /// not newer (facts.md D3).
    pub fn follows(&self, control: &Self) -> bool {
        self.major() == control.major() && self.minor() <= control.minor()
    }
}

impl PartialEq for KongVersion {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for KongVersion {}

impl PartialOrd for KongVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KongVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

impl fmt::Display for KongVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for KongVersion {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a version of Kong"))
    }
}

impl From<KongVersion> for String {
    fn from(version: KongVersion) -> Self {
        version.text
    }
}

/// The VERSION of a plugin as Kong shows it after loading: the first run of digits and dots, its numbers without leading
/// zeros (`v1.2.3` -> `1.2.3`, `1.0.0-1` -> `1.0.0`). `None` where Kong refuses to load it: no number, or more than
/// three (facts.md B4; measured.md 3). Compare two versions only after both went through this.
pub fn clean_plugin_version(text: &str) -> Option<String> {
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let run = &text[text.find(numeric)?..];
    let run = &run[..run.find(|c| !numeric(c)).unwrap_or(run.len())];
    // One dot at either end yields no element there; two do, and an empty element is refused.
    let run = run.strip_prefix('.').unwrap_or(run);
    let run = run.strip_suffix('.').unwrap_or(run);
    let mut cleaned = String::with_capacity(run.len());
    for (at, part) in run.split('.').enumerate() {
        let _: u64 = part.parse().ok().filter(|_| at < 3)?;
        let number = part.trim_start_matches('0');
        cleaned.push_str(if at == 0 { "" } else { "." });
        cleaned.push_str(if number.is_empty() { "0" } else { number });
    }
    Some(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> KongVersion {
        KongVersion::parse(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        let sorted = ["2.8.5", "3.4.2", "3.9.1", "3.9.1.1-enterprise-edition", "3.10.0", "4.0"];
        assert!(sorted.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
        assert_eq!(version("3.9.1"), version("3.9.1.0-enterprise-edition"));
        for bad in ["", "3", "x.y", "3.9.1.0.0", "3..1", "3.9\u{1b}"] {
            assert!(KongVersion::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn support_begins_where_it_was_tried() {
        for (text, support) in [
            ("3.9.1", Support::Full),
            ("3.4.2", Support::Full),
            ("3.3.0", Support::LookOnly),
            ("2.8.5", Support::LookOnly),
            ("2.7.0", Support::None),
            ("1.5.0", Support::None),
        ] {
            assert_eq!(version(text).support(), support, "{text}");
        }
    }

    #[test]
    fn data_planes_may_not_be_newer_than_their_control_plane() {
        assert!(version("3.4.2").follows(&version("3.9.1")));
        assert!(version("3.9.3").follows(&version("3.9.1")));
        assert!(!version("3.10.0").follows(&version("3.9.1")));
        assert!(!version("2.8.5").follows(&version("3.9.1")));
    }

    #[test]
    fn plugin_versions_are_cleaned_as_kong_does() {
        for (text, clean) in [
            ("1.0.0", Some("1.0.0")),
            ("1.0.0-1", Some("1.0.0")),
            ("v1.2.3", Some("1.2.3")),
            ("1.2.3-rc.1", Some("1.2.3")),
            ("0.1", Some("0.1")),
            ("1", Some("1")),
            ("01.2", Some("1.2")),
            ("1.2.", Some("1.2")),
            ("1.2.3.4", None),
            ("latest", None),
            ("1..2", None),
            ("", None),
        ] {
            assert_eq!(clean_plugin_version(text).as_deref(), clean, "{text}");
        }
    }
}
