//! How an error reaches the person: what was being done, what was found, what to do next.
//!
//! Owns: [`Failure`] and its one printer. Must not know: any particular error; each brings its hints.

use std::io::Write;

use crate::hint::Hint;
use crate::run::FailureKind;

/// An error at the top, ready to be printed. Nothing was changed on any node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind, and so the exit code.
    pub kind: FailureKind,
    /// What went wrong; further lines belong to it as they are (excerpts with places).
    pub text: String,
    /// Why, from the nearest cause to the farthest.
    pub because: Vec<String>,
    /// What to do next.
    pub hints: Vec<Hint>,
}

impl Failure {
    /// A wrong command line.
    pub fn usage(text: impl Into<String>) -> Self {
        let hints = vec![Hint::type_("muster --help")];
        Self { kind: FailureKind::Usage, text: text.into(), because: Vec::new(), hints }
    }

    /// Something wrong with what was read: repository, inventory, bundle.
    pub fn input(text: impl Into<String>, hints: Vec<Hint>) -> Self {
        Self { kind: FailureKind::Input, text: text.into(), because: Vec::new(), hints }
    }

    /// Something of this machine: a file that cannot be written, a terminal that is gone.
    pub fn internal(doing: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut because = Vec::new();
        let mut source = Some(error);
        while let Some(error) = source {
            because.push(error.to_string());
            source = error.source();
        }
        Self { kind: FailureKind::Internal, text: doing.to_owned(), because, hints: Vec::new() }
    }

    /// An error with its causes, as input.
    pub fn of(error: &(dyn std::error::Error + 'static), hints: Vec<Hint>) -> Self {
        let mut failure = Self::internal(&error.to_string(), error);
        failure.because.remove(0);
        Self { kind: FailureKind::Input, hints, ..failure }
    }

    /// Writes it for a person.
    pub fn print(&self, to: &mut dyn Write) -> std::io::Result<()> {
        writeln!(to, "error: {}", self.text.trim_end())?;
        for cause in &self.because {
            writeln!(to, "  because: {cause}")?;
        }
        for hint in self.hints.iter().map(ToString::to_string) {
            // What stands in the text, below what it is about, is not said again.
            if !self.text.contains(&hint) {
                writeln!(to, "  {hint}")?;
            }
        }
        Ok(())
    }

    /// Writes it as one line of JSON.
    pub fn print_json(&self, to: &mut dyn Write) -> std::io::Result<()> {
        let value = serde_json::json!({
            "muster": "error",
            "format": 1,
            "kind": self.kind,
            "text": self.text,
            "because": self.because,
            "hints": self.hints,
        });
        writeln!(to, "{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading the inventory")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_hint_that_stands_below_what_it_is_about_is_said_once_and_to_programs_too() {
        let hints = vec![Hint::do_("ship the Lua source"), Hint::type_("muster check")];
        let failure = Failure::input("two files:\n  x.lua: compiled\n    ship the Lua source", hints);
        let (mut text, mut json) = (Vec::new(), Vec::new());
        failure.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "error: two files:\n  x.lua: compiled\n    ship the Lua source\n  type: muster check\n");
        failure.print_json(&mut json).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["hints"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let error = Outer(std::io::Error::other("no such file"));
        let failure = Failure::of(&error, vec![Hint::type_("muster check")]);
        let mut text = Vec::new();
        failure.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "error: reading the inventory\n  because: no such file\n  type: muster check\n");
        let mut json = Vec::new();
        failure.print_json(&mut json).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["because"][0], "no such file");
        assert_eq!(value["kind"], "input");
    }
}
