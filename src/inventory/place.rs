//! Where in the file something stands.

use std::fmt;

/// A place in the inventory file, for people: `12:7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    /// The line, the first being 1.
    pub line: usize,
    /// The column in characters, the first being 1.
    pub column: usize,
    /// How many characters are meant, at least 1, all on this line; what an excerpt underlines.
    #[serde(skip)]
    pub width: usize,
}

impl Place {
    /// The first character of the file: for what is said about the file as a whole.
    pub const START: Self = Self { line: 1, column: 1, width: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
