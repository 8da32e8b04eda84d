//! What to do next, and what must not be shown.
//!
//! Owns: [`Hint`] (a next step for a person) and [`Sealed`] (a value that cannot leave by accident).
//! Must not know: any particular error or secret.

use std::fmt;

/// A next step: something to type, or a place to look. Never followed by a full stop, so that it can be double-clicked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", content = "text", rename_all = "kebab-case")]
pub enum Hint {
    /// A command to type, as it stands.
    Type(String),
    /// A file, line or page to look at.
    Look(String),
    /// What to do, in words, where no command does it.
    Do(String),
}

impl Hint {
    /// A command to type.
    pub fn type_(command: impl Into<String>) -> Self {
        Self::Type(command.into())
    }

    /// A place to look.
    pub fn look(place: impl Into<String>) -> Self {
        Self::Look(place.into())
    }

    /// Advice in words.
    pub fn do_(advice: impl Into<String>) -> Self {
        Self::Do(advice.into())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(command) => write!(f, "type: {command}"),
            Self::Look(place) => write!(f, "see: {place}"),
            Self::Do(advice) => f.write_str(advice),
        }
    }
}

/// A word as a POSIX shell has to be given it: in single quotes where any character of it could mean something.
pub fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A secret, or something that may hold one. It has no `Debug`, `Display`, `Clone` or `Serialize`, on purpose:
/// whoever wants the content says so with [`Sealed::open`], and that word can be searched for (architecture.md 10, promise 5).
pub struct Sealed<T>(T);

impl<T> Sealed<T> {
    /// Seals a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The content. Only for computing with it, never for showing it.
    pub fn open(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_can_be_copied_from_the_screen() {
        assert_eq!(Hint::type_("muster --plan").to_string(), "type: muster --plan");
        assert_eq!(Hint::look("fleet.yaml:3:7").to_string(), "see: fleet.yaml:3:7");
        assert_eq!(Hint::do_("quote it").to_string(), "quote it");
    }

    #[test]
    fn a_word_means_itself_to_a_shell() {
        for (word, shown) in
            [("a-b/c.d:1", "a-b/c.d:1"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("[h]:22", "'[h]:22'")]
        {
            assert_eq!(quoted(word), shown);
        }
    }

    /// `$ty` must not implement `$trait`: if it did, the two `probe` candidates would be ambiguous.
    macro_rules! assert_not {
        ($ty:ty: $trait:path) => {{
            trait Ambiguous<A> {
                fn probe() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $trait> Ambiguous<Has> for T {}
            <$ty as Ambiguous<_>>::probe();
        }};
    }

    #[test]
    fn sealed_values_cannot_be_shown_or_copied() {
        assert_not!(Sealed<String>: fmt::Debug);
        assert_not!(Sealed<String>: fmt::Display);
        assert_not!(Sealed<String>: Clone);
        assert_not!(Sealed<String>: serde::Serialize);
        assert_eq!(Sealed::new(3).open(), &3);
    }
}
