//! What is wrong with an inventory, for people: all of it at once, each with its place and what to write instead.

use std::fmt;
use std::sync::Arc;

use super::Place;
use crate::hint::Hint;

/// More are counted, not kept: whoever has two hundred mistakes has one cause.
const MOST: usize = 200;

/// Texts from the file are shown up to this many characters.
const LONGEST: usize = 600;

/// Whether something must be put right or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The inventory cannot be used.
    Error,
    /// It can be used, but is probably not what is meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Whether it must be put right.
    pub weight: Weight,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// What was found, without control characters whatever was in the file.
    pub what: String,
    /// What to write instead.
    pub instead: Option<Hint>,
    /// Another place that belongs to it, with its role ("first given here").
    pub also: Option<(Place, String)>,
    /// The line may hold a secret, so that it is not shown.
    #[serde(skip)]
    pub(super) secret: bool,
}

impl Mistake {
    pub(crate) fn new(place: Place, what: impl AsRef<str>) -> Self {
        Self { weight: Weight::Error, place, what: shown(what.as_ref()), instead: None, also: None, secret: false }
    }

    pub(super) fn warning(place: Place, what: impl AsRef<str>) -> Self {
        Self { weight: Weight::Warning, ..Self::new(place, what) }
    }

    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    pub(crate) fn instead(mut self, advice: impl AsRef<str>) -> Self {
        self.instead = Some(Hint::do_(shown(advice.as_ref())));
        self
    }

    pub(crate) fn also(mut self, place: Place, role: impl Into<String>) -> Self {
        self.also = Some((place, role.into()));
        self
    }
}

/// A text that may come from the file, made safe to show on a terminal: control characters escaped, not endless.
pub(super) fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.chars().enumerate() {
        match c {
            _ if count == LONGEST => {
                safe.push('…');
                break;
            }
            c if c.is_control() || is_direction(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that turn the direction of text around them, and can make a line read as another one.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

/// All that is wrong with one file, by place, with the text that excerpts are taken from.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    pub(super) file: String,
    pub(super) text: Arc<str>,
    list: Vec<Mistake>,
    omitted: usize,
}

impl Mistakes {
    pub(crate) fn new(file: &str, text: Arc<str>, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| (mistake.place, mistake.weight));
        list.dedup();
        let omitted = list.len().saturating_sub(MOST);
        list.truncate(MOST);
        Self { file: shown(file), text, list, omitted }
    }

    /// The name of the file, as it was given to [`super::parse`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every mistake, in the order of the file; warnings among them.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.list.iter()
    }

    /// How many there are, those included that are too many to be kept.
    pub fn len(&self) -> usize {
        self.list.len() + self.omitted
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are beyond those that [`Self::iter`] gives.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Places to look at, one per mistake, the first ten.
    pub fn hints(&self) -> Vec<Hint> {
        self.list.iter().take(10).map(|mistake| Hint::look(format!("{}:{}", self.file, mistake.place))).collect()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// One line per mistake: `inventory.yaml:3:7: what; instead`.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {}", self.file, mistake.place, mistake.what)?;
            if let Some((place, role)) = &mistake.also {
                write!(f, " ({role}: {place})")?;
            }
            if let Some(instead) = &mistake.instead {
                write!(f, "; {instead}")?;
            }
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\n{}: {more} more", self.file),
        }
    }
}

impl std::error::Error for Mistakes {}
