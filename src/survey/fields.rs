//! The fields of one record of a survey, each read as its kind or not at all; and why a survey is none.

use super::{Kind, Process};
use crate::name::NodePath;
use crate::wire::Record;

/// How many entries of one kind are kept; a node that says more is not believed.
pub(super) const MOST: usize = 50_000;

/// Why the answer of a survey is no survey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// A tag that is not in the table.
    #[error("the survey answered with a record that is not known here: {0}")]
    Unknown(String),
    /// A field that is missing or not of its kind.
    #[error("the survey's record `{tag}` has no sensible {field}")]
    Field {
        /// The record.
        tag: &'static str,
        /// What the field is.
        field: &'static str,
    },
    /// What may come once came twice.
    #[error("the survey said `{0}` twice")]
    Twice(String),
    /// It tells of something that was not asked for.
    #[error("the survey tells of {what} that was not asked for: {found}")]
    Unasked {
        /// What kind of thing.
        what: &'static str,
        /// Which one, cleaned.
        found: String,
    },
    /// Something that every survey tells is missing.
    #[error("the survey said nothing of {0}")]
    Missing(String),
    /// More of something than a node can have.
    #[error("the survey lists more than {MOST} of `{0}`")]
    Flood(&'static str),
    /// Files that were read as one do not add up: one changed meanwhile, or the node says what is not so.
    #[error("the survey's files do not add up at `{0}`; one may have changed while it was read")]
    Torn(String),
    /// The script ended with a complaint.
    #[error("the survey could not be made: {0}")]
    Problem(String),
}

/// One record with its tag, for errors.
pub(super) struct Fields<'a> {
    pub(super) tag: &'static str,
    pub(super) record: &'a Record,
}

impl Fields<'_> {
    pub(super) fn bad(&self, field: &'static str) -> SurveyError {
        SurveyError::Field { tag: self.tag, field }
    }

    pub(super) fn text(&self, index: usize, field: &'static str) -> Result<String, SurveyError> {
        self.record.text(index).ok_or_else(|| self.bad(field))
    }

    pub(super) fn number<N: std::str::FromStr>(&self, index: usize, field: &'static str) -> Result<N, SurveyError> {
        self.record.number(index).ok_or_else(|| self.bad(field))
    }

    pub(super) fn flag(&self, index: usize, field: &'static str) -> Result<bool, SurveyError> {
        match self.record.exact(index) {
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            _ => Err(self.bad(field)),
        }
    }

    pub(super) fn kind(&self, index: usize) -> Result<Kind, SurveyError> {
        match self.record.exact(index) {
            Some("file") => Ok(Kind::File),
            Some("directory") => Ok(Kind::Directory),
            Some("link") => Ok(Kind::Link),
            Some("other") => Ok(Kind::Other),
            Some("absent") => Ok(Kind::Absent),
            Some("denied") => Ok(Kind::Denied),
            _ => Err(self.bad("kind")),
        }
    }

    /// The mode as `stat` has it: hexadecimal, with the type in its upper bits.
    pub(super) fn mode(&self, index: usize) -> Result<u32, SurveyError> {
        let text = self.record.exact(index).ok_or_else(|| self.bad("mode"))?;
        u32::from_str_radix(text, 16).map_err(|_| self.bad("mode"))
    }

    pub(super) fn process(&self) -> Result<Process, SurveyError> {
        Ok((self.number(0, "pid")?, self.number(1, "start")?))
    }

    pub(super) fn path(&self, index: usize) -> Option<NodePath> {
        NodePath::parse(self.record.exact(index)?).ok()
    }
}
