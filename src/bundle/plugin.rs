//! What can be known of a plugin by reading its files, without running them.

use std::collections::BTreeMap;

use super::Content;
use super::source_text::{Field, field};
use crate::name::{BundlePath, PluginName};

/// What the files of a plugin say about it (facts.md B1).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PluginInfo {
    /// The literal that `handler.lua` gives as VERSION; `None` where it is computed. Kong shows it cleaned
    /// (facts.md B4): compare only after the same cleaning.
    pub version: Option<String>,
    /// The literal that `handler.lua` gives as PRIORITY; `None` where it is computed.
    pub priority: Option<i64>,
    /// Whether it brings database migrations, which must run before any node enables it (facts.md B7).
    pub has_migrations: bool,
    /// Whether it adds routes to the Admin API.
    pub has_api: bool,
    /// Whether it brings entities of its own.
    pub has_daos: bool,
}

/// The file of a module below a plugin's directory, as `?.lua` and `?/init.lua` find it.
pub(super) fn module_file<'a>(
    files: &'a BTreeMap<BundlePath, Content>,
    plugin: &str,
    module: &str,
) -> Option<(&'a BundlePath, &'a Content)> {
    [format!("kong/plugins/{plugin}/{module}.lua"), format!("kong/plugins/{plugin}/{module}/init.lua")]
        .iter()
        .find_map(|path| BundlePath::parse(path).ok().and_then(|path| files.get_key_value(&path)))
}

/// Reads what the files say about a plugin.
pub(super) fn describe(files: &BTreeMap<BundlePath, Content>, plugin: &PluginName) -> PluginInfo {
    let has = |module: &str| module_file(files, plugin.as_str(), module).is_some();
    let handler = module_file(files, plugin.as_str(), "handler").map_or(&[][..], |(_, content)| content.bytes());
    PluginInfo {
        version: match field(handler, "VERSION") {
            Field::Text { value, .. } => Some(value),
            _ => None,
        },
        priority: match field(handler, "PRIORITY") {
            Field::Number { value, .. } => integer(&value),
            _ => None,
        },
        has_migrations: has("migrations"),
        has_api: has("api"),
        has_daos: has("daos"),
    }
}

/// A Lua number that is an integer (`1000`, `0x10`, `1e3`, `-5`).
pub(super) fn integer(literal: &str) -> Option<i64> {
    let (sign, digits) = literal.strip_prefix('-').map_or((1, literal), |rest| (-1, rest));
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(|value| sign * value);
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Some(sign * value);
    }
    let value: f64 = digits.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53, checked right here")]
    (value.fract() == 0.0 && value.abs() < 9e15).then(|| sign * value as i64)
}
