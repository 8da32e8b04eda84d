//! Causes: what a script, a transport or a proof found, in the words that a run reports.

use crate::hint::Hint;
use crate::remote::{Fault, RemoteError};
use crate::run::Cause;

use super::admin::clean;

/// A cause without details or hints.
pub(crate) fn cause(code: &str, text: impl Into<String>) -> Cause {
    Cause { code: code.to_owned(), text: clean(&text.into()), details: Vec::new(), hints: Vec::new() }
}

/// A cause with one piece of advice.
pub(crate) fn advised(code: &str, text: impl Into<String>, hint: Hint) -> Cause {
    Cause { hints: vec![hint], ..cause(code, text) }
}

/// The stable word of a fault.
pub fn word(fault: Fault) -> String {
    serde_json::to_value(fault).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_else(|| "other".to_owned())
}

/// What a transport found.
pub(crate) fn of_remote(error: &RemoteError) -> Cause {
    Cause { hints: error.hints.clone(), ..cause(&word(error.fault), error.to_string()) }
}
