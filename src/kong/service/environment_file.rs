//! The file that `EnvironmentFile=` of a unit names, read as systemd reads it (systemd.exec(5); its `env-file.c`).
//!
//! It looks like a shell's, and is not: nothing is expanded, `export` makes another name, a value may go on over lines
//! inside quotes. (Before systemd 254 a comment that ends in `\` goes on over the next line; here it does not.)

use std::ops::Range;

/// One assignment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// The name, without blanks around it.
    pub(super) name: Vec<u8>,
    /// The value, quotes and escapes gone.
    pub(super) value: Vec<u8>,
    /// The line that it begins on, from 1.
    pub(super) line: usize,
    /// The bytes behind `=`, to the end of the value.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Blank,
    Name,
    BeforeValue,
    Value,
    Escape,
    Single,
    Double,
    DoubleEscape,
    Comment,
    CommentEscape,
}

struct Reader {
    state: State,
    found: Vec<Variable>,
    name: Vec<u8>,
    value: Vec<u8>,
    /// How much of the value is there to stay, whatever blanks end it.
    firm: usize,
    line: usize,
    begun: (usize, usize),
}

const BREAKS: [u8; 2] = [b'\n', b'\r'];

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// All assignments, in order. A later one of the same name wins.
pub(super) fn variables(bytes: &[u8]) -> Vec<Variable> {
    let mut reader = Reader {
        state: State::Blank,
        found: Vec::new(),
        name: Vec::new(),
        value: Vec::new(),
        firm: 0,
        line: 1,
        begun: (1, 0),
    };
    for (at, byte) in bytes.iter().enumerate() {
        reader.take(at, *byte);
        reader.line += usize::from(*byte == b'\n');
    }
    if !matches!(reader.state, State::Blank | State::Name | State::Comment | State::CommentEscape) {
        reader.end(bytes.len());
    }
    reader.found
}

impl Reader {
    fn take(&mut self, at: usize, byte: u8) {
        let ends = BREAKS.contains(&byte);
        match self.state {
            State::Blank if matches!(byte, b'#' | b';') => self.state = State::Comment,
            State::Blank if is_blank(byte) => {}
            State::Blank => {
                self.state = State::Name;
                self.name = vec![byte];
                self.begun.0 = self.line;
            }
            State::Name if ends => self.state = State::Blank,
            State::Name if byte == b'=' => {
                self.state = State::BeforeValue;
                self.begun.1 = at + 1;
            }
            State::Name => self.name.push(byte),
            State::BeforeValue | State::Value if ends => self.end(at),
            State::BeforeValue => self.first(byte),
            State::Value if byte == b'\\' => (self.state, self.firm) = (State::Escape, self.value.len()),
            State::Value => {
                self.value.push(byte);
                self.firm = if is_blank(byte) { self.firm } else { self.value.len() };
            }
            State::Escape => {
                self.state = State::Value;
                self.push(byte, !ends);
            }
            State::Single | State::Double => self.quoted(byte),
            State::DoubleEscape => {
                self.state = State::Double;
                let special = matches!(byte, b'"' | b'\\' | b'`' | b'$');
                self.push(b'\\', !special && byte != b'\n');
                self.push(byte, byte != b'\n');
            }
            State::Comment if byte == b'\\' => self.state = State::CommentEscape,
            State::Comment | State::CommentEscape if ends => self.state = State::Blank,
            State::Comment => {}
            State::CommentEscape => self.state = State::Comment,
        }
    }

    fn first(&mut self, byte: u8) {
        match byte {
            b'\'' => self.state = State::Single,
            b'"' => self.state = State::Double,
            b'\\' => self.state = State::Escape,
            byte if is_blank(byte) => {}
            byte => {
                self.state = State::Value;
                self.push(byte, true);
            }
        }
    }

    fn quoted(&mut self, byte: u8) {
        match (self.state, byte) {
            (State::Single, b'\'') | (State::Double, b'"') => self.state = State::BeforeValue,
            (State::Double, b'\\') => self.state = State::DoubleEscape,
            _ => self.push(byte, true),
        }
    }

    /// What was escaped or quoted stays, a blank too.
    fn push(&mut self, byte: u8, stays: bool) {
        if stays {
            self.value.push(byte);
            self.firm = self.value.len();
        }
    }

    fn end(&mut self, at: usize) {
        self.value.truncate(self.firm);
        let trimmed = self.name.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
        self.name.truncate(trimmed);
        self.found.push(Variable {
            name: std::mem::take(&mut self.name),
            value: std::mem::take(&mut self.value),
            line: self.begun.0,
            span: self.begun.1..at,
        });
        (self.state, self.firm) = (State::Blank, 0);
    }
}

/// This file with the last assignment of `name` set to `value`, every other byte as it was; `None` if there is none, or if it
/// would not be read back.
pub(super) fn with(bytes: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let last = variables(bytes).into_iter().rfind(|variable| variable.name == name.as_bytes())?;
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_,./:;?@%+".contains(&byte));
    let written = if plain { value.to_owned() } else { quoted(value)? };
    let edited = [&bytes[..last.span.start], written.as_bytes(), &bytes[last.span.end..]].concat();
    let (before, after) = (variables(bytes), variables(&edited));
    let kept = |all: &[Variable]| {
        let others = all.iter().filter(|variable| variable.name != name.as_bytes());
        others.map(|variable| (variable.name.clone(), variable.value.clone())).collect::<Vec<_>>()
    };
    let wanted = after.iter().rfind(|variable| variable.name == name.as_bytes())?.value == value.as_bytes();
    (wanted && kept(&before) == kept(&after)).then_some(edited)
}

/// The value in double quotes; `None` if it holds what a line cannot.
fn quoted(value: &str) -> Option<String> {
    if value.chars().any(char::is_control) {
        return None;
    }
    let escaped: String =
        value.chars().flat_map(|c| "\"\\`$".contains(c).then_some('\\').into_iter().chain([c])).collect();
    Some(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        variables(text.as_bytes()).iter().map(|v| (said(&v.name), said(&v.value), v.line)).collect()
    }

    fn one(text: &str) -> String {
        let all = read(text);
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        all[0].1.clone()
    }

    #[test]
    fn values_lose_quotes_and_blanks_as_systemd_takes_them_off() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b c \t\n", "b c"),
            ("A=\"b c \" \n", "b c "),
            ("A='b\\c'\n", "b\\c"),
            ("A=\"b\\\"c\\d\"\n", "b\"c\\d"),
            ("A=b\"c\"\n", "b\"c\""),
            ("A=\"b\"c\n", "bc"),
            ("A=b\\\nc\n", "bc"),
            ("A=\"b\nc\"\n", "b\nc"),
            ("A=b # c\n", "b # c"),
            ("A=\n", ""),
            ("A=b\r\n", "b"),
            ("A=$B\n", "$B"),
            ("A=b\\ \n", "b "),
        ] {
            assert_eq!(one(text), value, "{text:?}");
        }
    }

    #[test]
    fn names_and_lines_are_told_apart() {
        let text = "# KONG_PLUGINS=no\n; nor\\\nB=1\n\nexport KONG_PLUGINS=x\nKONG_PLUGINS\nKONG_PLUGINS = \"bundled,\\\na\"\nC=2";
        let names: Vec<_> = read(text).into_iter().map(|(name, _, line)| (name, line)).collect();
        let said = |name: &str, line| (name.to_owned(), line);
        assert_eq!(names, [said("B", 3), said("export KONG_PLUGINS", 5), said("KONG_PLUGINS", 7), said("C", 9)]);
        assert_eq!(read(text)[2].1, "bundled,a");
    }

    #[test]
    fn an_edit_changes_the_last_assignment_and_no_other_byte() {
        let text = "A=1\r\nKONG_PLUGINS=old\nB=\"x\ny\"\nKONG_PLUGINS=\"bundled, \\\n a\"  \n# end";
        let edited = with(text.as_bytes(), "KONG_PLUGINS", "bundled,a,b").unwrap();
        let wanted = "A=1\r\nKONG_PLUGINS=old\nB=\"x\ny\"\nKONG_PLUGINS=bundled,a,b\n# end";
        assert_eq!(String::from_utf8(edited).unwrap(), wanted);
        assert_eq!(with(text.as_bytes(), "NONE", "x"), None);
        assert_eq!(with(text.as_bytes(), "KONG_PLUGINS", "a\nb"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_an_edit_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..200),
            value in "[ -~]{0,30}") {
            let text = [&bytes[..], b"\nKONG_PLUGINS=x\n"].concat();
            for variable in variables(&text) {
                prop_assert!(variable.span.end <= text.len() && variable.span.start <= variable.span.end);
            }
            if let Some(edited) = with(&text, "KONG_PLUGINS", &value) {
                let last = variables(&edited).into_iter().rfind(|v| v.name == b"KONG_PLUGINS").unwrap();
                prop_assert_eq!(last.value, value.as_bytes());
            }
        }

        #[test]
        fn the_last_of_several_wins(values in proptest::collection::vec("[a-z,]{1,9}", 1..6)) {
            let text = values.iter().map(|value| format!("P={value}\n")).collect::<Vec<_>>().concat();
            let last = variables(text.as_bytes()).pop().unwrap();
            prop_assert_eq!(&last.value, values.last().unwrap().as_bytes());
            prop_assert_eq!(last.line, values.len());
        }
    }
}
