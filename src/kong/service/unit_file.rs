//! A unit file or drop-in, read as systemd reads it (systemd.syntax(7), systemd.exec(5)), as far as the environment of a
//! service goes. Checked against `systemd-analyze verify` of systemd 252, which prints what it has read.

/// One assignment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The key, of the section `[Service]`.
    pub(super) key: String,
    /// The value, continued lines joined by a blank.
    pub(super) value: String,
    /// The lines that it stands on, from 1: first and last.
    pub(super) lines: (usize, usize),
}

/// The assignments in `[Service]`, in order.
pub(super) fn settings(bytes: &[u8]) -> Vec<Setting> {
    let text = String::from_utf8_lossy(bytes);
    let (mut found, mut service) = (Vec::new(), false);
    let mut pending: Option<(String, usize)> = None;
    for (at, line) in text.split('\n').enumerate() {
        let start = line.trim_start_matches([' ', '\t', '\r']);
        // A comment between continued lines is not part of them.
        if start.starts_with(['#', ';']) {
            continue;
        }
        let (mut whole, from) = pending.take().unwrap_or_else(|| (String::new(), at + 1));
        let line = line.trim_end_matches('\r');
        if let Some(begun) = line.strip_suffix('\\') {
            whole.push_str(begun);
            whole.push(' ');
            pending = Some((whole, from));
            continue;
        }
        whole.push_str(line);
        statement(whole.trim(), (from, at + 1), &mut service, &mut found);
    }
    if let Some((whole, from)) = pending {
        statement(whole.trim(), (from, from), &mut service, &mut found);
    }
    found
}

fn statement(text: &str, lines: (usize, usize), service: &mut bool, found: &mut Vec<Setting>) {
    if text.starts_with('[') {
        *service = text == "[Service]";
    } else if let Some((key, value)) = text.split_once('=').filter(|_| *service) {
        found.push(Setting { key: key.trim_end().to_owned(), value: value.trim().to_owned(), lines });
    }
}

/// The words of a value, quotes and escapes gone; `None` if systemd would not take it, or if it holds an escape or a
/// specifier that only systemd can tell.
pub(super) fn words(value: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().push(unescaped(&mut chars)?),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (' ' | '\t' | '\n' | '\r', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() {
        return None;
    }
    words.into_iter().map(|word| specified(&word)).collect()
}

fn unescaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        's' => ' ',
        c @ ('\\' | '"' | '\'') => c,
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).ok().filter(u8::is_ascii).map(char::from)?
        }
        _ => return None,
    })
}

/// `%%` is one `%`; what else begins with one only systemd knows.
fn specified(word: &str) -> Option<String> {
    let plain = word.replace("%%", "\0");
    (!plain.contains('%')).then(|| plain.replace('\0', "%"))
}

/// A word as it has to stand in `Environment=`; `None` if it holds what a line cannot.
pub(super) fn word(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    Some(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_those_that_systemd_252_prints() {
        let said = |value: &str| words(value).map(|words| words.join("|"));
        for (value, read) in [
            ("KONG_NGINX_DAEMON=off", "KONG_NGINX_DAEMON=off"),
            ("\"KONG_PLUGINS=bundled, foo\" 'A=it''s' B=a\"b c\"d", "KONG_PLUGINS=bundled, foo|A=its|B=ab cd"),
            ("C=x\\x41y D=%%", "C=xAy|D=%"),
            ("  ", ""),
            ("A=\"\"", "A="),
        ] {
            assert_eq!(said(value).as_deref(), Some(read), "{value}");
        }
        for odd in ["A=%n", "A=\"b", "A=\\q", "A=\\"] {
            assert_eq!(said(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_the_section_service_counts_and_lines_go_on() {
        let text = "A=0\n[Unit]\nB=1\n[Service]\n# C=2\nEnvironment=X=1 \\\n # inside\n ; too\n  Y=2\nD = 3 \n[Install]\nE=4\n";
        let all: Vec<_> = settings(text.as_bytes()).into_iter().map(|s| (s.key, s.value, s.lines)).collect();
        let said = |key: &str, value: &str, lines| (key.to_owned(), value.to_owned(), lines);
        assert_eq!(all, [said("Environment", "X=1    Y=2", (6, 9)), said("D", "3", (10, 10))]);
        assert_eq!(words(&all[0].1).unwrap(), ["X=1", "Y=2"]);
    }

    proptest! {
        #[test]
        fn a_word_is_read_back(text in "[^\\x00-\\x1f\\x7f-\\x9f]{0,40}") {
            let written = word(&text).unwrap();
            prop_assert_eq!(words(&written), Some(vec![text]));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for setting in settings(&bytes) {
                words(&setting.value);
            }
        }
    }
}
