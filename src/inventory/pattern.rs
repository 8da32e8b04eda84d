//! Names with numbers and wildcards in them: `eu-[1-9,11]`, `eu-[01-12]`, `eu-*`.
//!
//! The same text serves for two things: a node key of the inventory is *expanded* (numbers only), a selector is
//! *matched* (numbers and wildcards).

/// One key never makes more nodes than this; the whole inventory is capped elsewhere.
pub(super) const MOST: usize = 10_000;

/// Nine digits fit into every machine's numbers and into every name.
const DIGITS: usize = 9;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbers {
    first: u32,
    last: u32,
    /// How many digits a number has at least; more than one only where the range is written with leading zeros.
    width: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(char),
    Numbers(Vec<Numbers>),
    /// `*`: any characters, none too.
    Any,
    /// `?`: one character.
    One,
}

/// A name with numbers and wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                ']' => return Err("`]` without `[`".to_owned()),
                '[' => {
                    let (inner, tail) = rest.split_once(']').ok_or("`[` without `]`")?;
                    rest = tail;
                    Part::Numbers(inner.split(',').map(Numbers::parse).collect::<Result<_, _>>()?)
                }
                c => Part::Text(c),
            });
        }
        Ok(Self(parts))
    }

    /// Whether it has a wildcard, and so stands for names that cannot be told from it.
    pub(super) fn is_open(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Any | Part::One))
    }

    /// Whether it stands for exactly one name.
    pub(super) fn is_literal(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Every name that it stands for, in order; an error where that is unknown or more than [`MOST`].
    pub(super) fn expand(&self) -> Result<Vec<String>, String> {
        if self.is_open() {
            return Err("`*` and `?` stand for names that are already known; write a range such as [1-40]".to_owned());
        }
        let mut names = vec![String::new()];
        for part in &self.0 {
            match part {
                Part::Text(c) => names.iter_mut().for_each(|name| name.push(*c)),
                Part::Numbers(ranges) => names = multiply(&names, ranges)?,
                Part::Any | Part::One => {}
            }
        }
        Ok(names)
    }

    /// Whether the name is one that it stands for. Linear in the name times the pattern, whatever the pattern.
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            reached = step(part, name, &reached);
        }
        reached[name.len()]
    }
}

/// From the places in the name that were reached before this part, those that are reached behind it.
fn step(part: &Part, name: &str, before: &[bool]) -> Vec<bool> {
    let mut after = vec![false; before.len()];
    let starts = (0..before.len()).filter(|at| before[*at] && name.is_char_boundary(*at));
    for at in starts {
        match part {
            Part::Any => {
                after[at..].fill(true);
                return after;
            }
            Part::Text(c) if name[at..].starts_with(*c) => after[at + c.len_utf8()] = true,
            Part::Text(_) => {}
            Part::One => {
                if let Some(c) = name[at..].chars().next() {
                    after[at + c.len_utf8()] = true;
                }
            }
            Part::Numbers(ranges) => {
                let digits = name[at..].bytes().take(DIGITS).take_while(u8::is_ascii_digit).count();
                for end in at + 1..=at + digits {
                    after[end] |= ranges.iter().any(|range| range.holds(&name[at..end]));
                }
            }
        }
    }
    after
}

fn multiply(names: &[String], ranges: &[Numbers]) -> Result<Vec<String>, String> {
    let numbers: usize = ranges.iter().map(|range| (range.last - range.first) as usize + 1).sum();
    if numbers.saturating_mul(names.len()) > MOST {
        return Err(format!("it stands for more than {MOST} names"));
    }
    let with = |name: &String| {
        let name = name.clone();
        let texts = ranges.iter().flat_map(Numbers::texts);
        texts.map(move |number| format!("{name}{number}")).collect::<Vec<_>>()
    };
    Ok(names.iter().flat_map(with).collect())
}

impl Numbers {
    fn parse(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| match text.parse() {
            Ok(number) if text.len() <= DIGITS && text.bytes().all(|c| c.is_ascii_digit()) => Ok(number),
            _ => {
                Err(format!("{text:?} is not a number of up to {DIGITS} digits; a range is written [1-40] or [1-9,11]"))
            }
        };
        let padded = |text: &str| text.len() > 1 && text.starts_with('0');
        let width = if padded(first) || padded(last) { first.len() } else { 1 };
        if width > 1 && first.len() != last.len() {
            return Err(format!("{text:?} has leading zeros, but {first} and {last} differ in length"));
        }
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{text:?} runs backwards; write {last}-{first}"));
        }
        Ok(Self { first, last, width })
    }

    fn holds(&self, text: &str) -> bool {
        let canonical = text.len() >= self.width && (text.len() == self.width || !text.starts_with('0'));
        canonical && text.parse().is_ok_and(|number: u32| (self.first..=self.last).contains(&number))
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        let width = self.width;
        (self.first..=self.last).map(move |number| format!("{number:0width$}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(text: &str) -> Result<Vec<String>, String> {
        Pattern::parse(text)?.expand()
    }

    #[test]
    fn ranges_are_expanded_in_order() {
        assert_eq!(expand("eu-[1-3]").unwrap(), ["eu-1", "eu-2", "eu-3"]);
        assert_eq!(expand("eu-[08-11]x").unwrap(), ["eu-08x", "eu-09x", "eu-10x", "eu-11x"]);
        assert_eq!(expand("eu-[1-2,11]").unwrap(), ["eu-1", "eu-2", "eu-11"]);
        assert_eq!(expand("r[1-2]n[1-2]").unwrap(), ["r1n1", "r1n2", "r2n1", "r2n2"]);
        assert_eq!(expand("plain").unwrap(), ["plain"]);
    }

    #[test]
    fn bad_ranges_say_what_would_be_right() {
        for (bad, says) in [
            ("eu-[40-1]", "write 1-40"),
            ("eu-[1-", "without `]`"),
            ("eu-1]", "without `[`"),
            ("eu-[]", "[1-40]"),
            ("eu-[a-f]", "not a number"),
            ("eu-[1-1000000]", "more than 10000"),
            ("n[1-200]m[1-200]", "more than 10000"),
            ("eu-[1-99999999999]", "9 digits"),
            ("eu-[01-100]", "differ in length"),
            ("eu-*", "write a range"),
            ("eu-[+1-3]", "not a number"),
        ] {
            let error = expand(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn wildcards_match_any_and_one() {
        let matches = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(name);
        assert!(matches("eu-*", "eu-"));
        assert!(matches("*-1?", "eu-prod-12"));
        assert!(!matches("*-1?", "eu-prod-1"));
        assert!(matches("eu-[1-9,11]", "eu-11"));
        assert!(!matches("eu-[1-9,11]", "eu-10"));
        assert!(!matches("eu-[1-9]", "eu-01"));
        assert!(matches("eu-[01-12]*", "eu-01x"));
        assert!(!matches("eu-[01-12]", "eu-1"));
        assert!(!matches("eu", "eu-1"));
        assert!(!matches("*a", "é") && matches("*", "é") && matches("?", "é"));
    }

    #[test]
    fn a_pattern_of_stars_is_quick_on_a_long_name() {
        assert!(!Pattern::parse(&"*a".repeat(120)).unwrap().matches(&"a".repeat(110)));
    }

    proptest! {
        #[test]
        fn what_is_expanded_is_matched_and_its_neighbours_are_not(first in 0_u32..2000, more in 0_u32..50, width in 1_usize..6) {
            let last = first + more;
            let padded = format!("{last}").len() <= width;
            let width = if padded { width } else { 1 };
            let pattern = Pattern::parse(&format!("n[{first:0width$}-{last:0width$}]")).unwrap();
            let names = pattern.expand().unwrap();
            prop_assert_eq!(names.len(), more as usize + 1);
            for name in &names {
                prop_assert!(pattern.matches(name), "{}", name);
            }
            let next = format!("n{:0width$}", last + 1);
            let padded_more = format!("n0{last:0width$}");
            prop_assert!(!pattern.matches(&next));
            prop_assert!(!pattern.matches(&padded_more));
        }

        #[test]
        fn no_text_makes_a_pattern_panic(text in "[a-z0-9*?\\[\\],é-]{0,20}", name in "[a-z0-9é-]{0,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&name);
                if let Ok(names) = pattern.expand() {
                    prop_assert!(names.iter().all(|name| pattern.matches(name)));
                }
            }
        }
    }
}
