//! Reading kong.conf and `.kong_env` as Kong does (facts.md A1), written apart from `kong::conf` so that a misreading
//! there shows in a test instead of being shared.

use std::collections::BTreeMap;

/// The keys of a configuration text with their raw values; the last of several lines counts.
pub(super) fn read(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in logical_lines(text) {
        if line.trim_start().starts_with('[') {
            // Everything behind a section header goes into a table that Kong never looks at.
            break;
        }
        if let Some((key, value)) = line.split_once('=') {
            found.insert(key_name(key), number(&without_comment(value)));
        }
    }
    found
}

/// Comment lines dropped, continued lines joined. A backslash on the last line loses that line.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun: Option<String> = None;
    for raw in text.lines() {
        let trimmed = raw.trim();
        if trimmed.starts_with(['#', ';']) || (trimmed.is_empty() && begun.is_none()) {
            continue;
        }
        let mut whole = begun.take().unwrap_or_default();
        if let Some(start) = raw.trim_end().strip_suffix('\\') {
            whole.push_str(start);
            begun = Some(whole);
        } else {
            whole.push_str(raw);
            lines.push(whole);
        }
    }
    lines
}

/// Every byte that is no letter or digit becomes an underscore: a byte order mark in front becomes three.
fn key_name(text: &str) -> String {
    text.trim().bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' }).collect()
}

/// Cuts at the first `#` that no backslash precedes; no blank is needed before it.
fn without_comment(value: &str) -> String {
    let mut before = ' ';
    let mut end = value.len();
    for (at, char) in value.char_indices() {
        if char == '#' && before != '\\' {
            end = at;
            break;
        }
        before = char;
    }
    value[..end].replace("\\#", "#").trim().to_owned()
}

/// What reads as a number becomes one: `0123` is 123, `0x10` is 16, `1e3` is 1000.
fn number(value: &str) -> String {
    if !value.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-') {
        return value.to_owned();
    }
    let lower = value.to_ascii_lowercase();
    if let Some(Ok(hex)) = lower.strip_prefix("0x").map(|digits| i64::from_str_radix(digits, 16)) {
        return hex.to_string();
    }
    match value.parse::<f64>() {
        Ok(parsed) if parsed.is_finite() => parsed.to_string(),
        _ => value.to_owned(),
    }
}

/// One value as `.kong_env` holds it: only `#` is escaped.
pub(super) fn escaped(value: &str) -> String {
    value.replace('#', "\\#")
}

/// The elements of an array value, trimmed. An empty element stays: `bundled,` names a plugin called "" (facts.md A2).
pub(super) fn elements(value: &str) -> Vec<String> {
    if value.trim().is_empty() { vec![] } else { value.split(',').map(|part| part.trim().to_owned()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(text: &str) -> Option<String> {
        read(text).remove("plugins")
    }

    #[test]
    fn each_reading_of_facts_a1_is_the_one_that_was_measured() {
        let table: &[(&str, Option<&str>)] = &[
            ("plugins = bundled,foo#bar", Some("bundled,foo")),
            (r"plugins = a\#b # c", Some("a#b")),
            ("; plugins = a\n# plugins = b", None),
            ("  plugins\t=  bundled , x  ", Some("bundled , x")),
            ("plugins = a\nplugins = b", Some("b")),
            ("PLUGINS = a", None),
            ("plugins: a", None),
            ("plugins = \"bundled,foo\"", Some("\"bundled,foo\"")),
            ("plugins = bundled,\\\n# between\n  x", Some("bundled,  x")),
            ("plugins = a\nplugins = lost \\", Some("a")),
            ("[section]\nplugins = a", None),
            ("\u{feff}plugins = a", None),
            ("plugins = a\r\n", Some("a")),
            ("plugins =", Some("")),
        ];
        for (text, expected) in table {
            assert_eq!(plugins(text).as_deref(), *expected, "{text:?}");
        }
    }

    #[test]
    fn keys_are_made_of_letters_digits_and_underscores() {
        let found = read("lua-package-path = /a\nlua.package.cpath = /b");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["lua_package_cpath", "lua_package_path"]);
    }

    #[test]
    fn values_that_read_as_numbers_become_numbers() {
        for (text, expected) in [("0123", "123"), ("0x10", "16"), ("1e3", "1000"), ("127.0.0.1:80", "127.0.0.1:80")] {
            assert_eq!(number(text), expected);
        }
    }

    #[test]
    fn a_double_comma_is_an_empty_name() {
        assert_eq!(elements("bundled,,x,"), ["bundled", "", "x", ""]);
        assert!(elements(" ").is_empty());
    }
}
