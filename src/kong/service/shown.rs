//! What `systemctl show` prints.

/// The properties of one unit, or of the manager: `KEY=VALUE`, a line each. A key may come again, as `EnvironmentFiles` does.
pub(super) struct Shown<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Shown<'a> {
    /// The units in it; a blank line stands between two.
    pub(super) fn all(text: &'a str) -> Vec<Self> {
        let mut all = vec![Self(Vec::new())];
        for line in text.lines() {
            match (line.split_once('='), all.last_mut()) {
                (Some(pair), Some(last)) => last.0.push(pair),
                (None, _) if line.trim().is_empty() => all.push(Self(Vec::new())),
                _ => {}
            }
        }
        all.retain(|shown| !shown.0.is_empty());
        all
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.each(key).next()
    }

    pub(super) fn each(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }
}

/// A list as it is printed: words, those with blanks or other characters of a shell in double quotes or as `$'…'`. `None` if it
/// is not so.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some('"' | '$') | None) => word.get_or_insert_default().push(escaped(chars.next()?, quote)?),
            (c, Some(open)) if c == open || (open == '$' && c == '\'') => quote = None,
            ('$', None) if chars.peek() == Some(&'\'') => {
                chars.next();
                word.get_or_insert_default();
                quote = Some('$');
            }
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn escaped(c: char, quote: Option<char>) -> Option<char> {
    match (c, quote) {
        ('n', Some('$')) => Some('\n'),
        ('t', Some('$')) => Some('\t'),
        (c, _) if c.is_ascii_alphanumeric() => None,
        (c, _) => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_each_way_of_quoting() {
        for (text, words) in [
            ("A=1 B=2", vec!["A=1", "B=2"]),
            ("A=1 \"B=x, y\" C=3", vec!["A=1", "B=x, y", "C=3"]),
            ("$'B=it\\'s'", vec!["B=it's"]),
            ("\"A=\\\"q\\\" \\$x\"", vec!["A=\"q\" $x"]),
            ("", vec![]),
        ] {
            assert_eq!(list(text).unwrap(), words, "{text}");
        }
        assert_eq!(list("\"A=1"), None);
        assert_eq!(list("$'\\001'"), None);
    }

    #[test]
    fn units_are_told_apart() {
        let text = "Id=kong.service\nLoadState=loaded\nEnvironmentFiles=/a (ignore_errors=yes)\n\
            EnvironmentFiles=/b (ignore_errors=no)\n\nId=other.service\nLoadState=not-found\nnonsense\n";
        let all = Shown::all(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].each("EnvironmentFiles").count(), 2);
        assert_eq!((all[1].get("Id"), all[1].get("Nothing")), (Some("other.service"), None));
        assert!(Shown::all("\n\n").is_empty());
    }
}
