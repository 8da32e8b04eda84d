//! The pieces of a line of code, for their colours: a few kinds, found without understanding the language.

use super::look::Tone;
use crate::diff::Language;

/// What a line begins in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Within {
    /// Code.
    #[default]
    Code,
    /// A string between long brackets with so many `=`.
    Text(u8),
    /// A comment between such brackets.
    Remark(u8),
}

/// The words that Lua keeps for itself.
const LUA: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// A line in pieces, and what the next one begins in. `plain` is the tone of what is nothing special.
pub(super) fn pieces(language: Language, within: Within, line: &str, plain: Tone) -> (Vec<(Tone, &str)>, Within) {
    match language {
        Language::Lua => lua(within, line, plain),
        Language::Conf => (conf(line, plain), Within::Code),
        Language::Text => (vec![(plain, line)], Within::Code),
    }
}

/// What the next line begins in.
pub(super) fn after(language: Language, within: Within, line: &str) -> Within {
    match language {
        // Most lines neither begin nor end anything that goes on.
        Language::Lua if within != Within::Code || line.contains('[') => lua(within, line, Tone::Plain).1,
        Language::Lua | Language::Conf | Language::Text => Within::Code,
    }
}

fn conf(line: &str, plain: Tone) -> Vec<(Tone, &str)> {
    match line.split_once('=') {
        _ if line.trim_start().starts_with('#') => vec![(Tone::Faint, line)],
        Some((key, _)) => vec![(Tone::Keyword, &line[..key.len()]), (plain, &line[key.len()..])],
        None => vec![(Tone::Faint, line)],
    }
}

fn lua(mut within: Within, line: &str, plain: Tone) -> (Vec<(Tone, &str)>, Within) {
    let mut pieces: Vec<(Tone, &str)> = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (tone, length, next) = match within {
            Within::Code => token(rest, plain),
            Within::Text(level) => closed(rest, level, Tone::Literal, within),
            Within::Remark(level) => closed(rest, level, Tone::Faint, within),
        };
        pieces.push((tone, &rest[..length]));
        (rest, within) = (&rest[length..], next);
    }
    (pieces, within)
}

/// The rest of something between long brackets: up to its end, if that is on this line.
fn closed(rest: &str, level: u8, tone: Tone, within: Within) -> (Tone, usize, Within) {
    let bracket = format!("]{}]", "=".repeat(usize::from(level)));
    match rest.find(&bracket) {
        Some(at) => (tone, at + bracket.len(), Within::Code),
        None => (tone, rest.len(), within),
    }
}

/// The next piece of code: its tone, its length, and what comes behind it.
fn token(rest: &str, plain: Tone) -> (Tone, usize, Within) {
    if let Some(remark) = rest.strip_prefix("--") {
        return match long(remark) {
            Some((level, opened)) => (Tone::Faint, 2 + opened, Within::Remark(level)),
            None => (Tone::Faint, rest.len(), Within::Code),
        };
    }
    if let Some((level, opened)) = long(rest) {
        return (Tone::Literal, opened, Within::Text(level));
    }
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '"' | '\'' => (Tone::Literal, quoted(rest, first), Within::Code),
        c if c.is_ascii_digit() => {
            let is_number = |c: char| c.is_ascii_alphanumeric() || c == '.';
            (Tone::Literal, run(rest, is_number), Within::Code)
        }
        c if is_word(c) => {
            let length = run(rest, is_word);
            let tone = if LUA.contains(&&rest[..length]) { Tone::Keyword } else { plain };
            (tone, length, Within::Code)
        }
        _ => {
            let is_other = |c: char| !is_word(c) && !matches!(c, '"' | '\'' | '-' | '[');
            (plain, run(rest, is_other).max(first.len_utf8()), Within::Code)
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// How many bytes at the beginning are of this kind.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

/// A long bracket that opens here: how many `=` it has, and its length.
fn long(text: &str) -> Option<(u8, usize)> {
    let level = run(text.strip_prefix('[')?, |c| c == '=');
    (text.as_bytes().get(level + 1) == Some(&b'[')).then(|| (u8::try_from(level).unwrap_or(u8::MAX), level + 2))
}

/// The length of a text in quotes; one that has no end on this line goes to the end of the line.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lua_of(line: &str) -> Vec<(Tone, &str)> {
        pieces(Language::Lua, Within::Code, line, Tone::Plain).0
    }

    #[test]
    fn words_strings_numbers_and_comments_are_told_apart() {
        let found = lua_of(r#"local x = "a \" b" .. 0x1F -- end"#);
        assert_eq!(
            found,
            [
                (Tone::Keyword, "local"),
                (Tone::Plain, " "),
                (Tone::Plain, "x"),
                (Tone::Plain, " = "),
                (Tone::Literal, r#""a \" b""#),
                (Tone::Plain, " .. "),
                (Tone::Literal, "0x1F"),
                (Tone::Plain, " "),
                (Tone::Faint, "-- end"),
            ]
        );
        assert_eq!(lua_of("ending = a[b] - 1")[0], (Tone::Plain, "ending"), "no word of Lua");
    }

    #[test]
    fn what_goes_on_over_several_lines_is_followed() {
        let after = |within, line| after(Language::Lua, within, line);
        let text = after(Within::Code, "local s = [==[ one");
        assert_eq!(text, Within::Text(2));
        assert_eq!(after(text, "end ]] not yet"), text);
        assert_eq!(pieces(Language::Lua, text, "end", Tone::Plain).0, [(Tone::Literal, "end")]);
        assert_eq!(after(text, "two ]==] .. x"), Within::Code);
        assert_eq!(after(Within::Code, "--[[ a"), Within::Remark(0));
        assert_eq!(after(Within::Code, "-- [[ a"), Within::Code);
        assert_eq!(after(Within::Code, "t[a[1]] = 2"), Within::Code);
    }

    #[test]
    fn of_kong_conf_the_key_stands_out() {
        let found = |line| pieces(Language::Conf, Within::Code, line, Tone::Plain).0;
        assert_eq!(found("plugins = bundled"), [(Tone::Keyword, "plugins "), (Tone::Plain, "= bundled")]);
        assert_eq!(found("# a = b"), [(Tone::Faint, "# a = b")]);
    }

    proptest! {
        #[test]
        fn no_line_loses_a_character(line in r#"[a-z0-9 "'\\\[\]=\-é]{0,40}"#, level in 0u8..3, kind in 0u8..3) {
            let within = [Within::Code, Within::Text(level), Within::Remark(level)][usize::from(kind)];
            let (pieces, next) = pieces(Language::Lua, within, &line, Tone::Plain);
            prop_assert_eq!(pieces.iter().map(|(_, text)| *text).collect::<String>(), line.as_str());
            prop_assert_eq!(next, after(Language::Lua, within, &line));
        }
    }
}
