//! Causes: what a script, a transport or a proof found, in the words that a run reports.

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::NodeName;
use crate::remote::{Fault, RemoteError};
use crate::run::Cause;
use crate::wire::Record;

/// A cause without details or hints.
pub(crate) fn cause(code: &str, text: impl Into<String>) -> Cause {
    Cause { code: code.to_owned(), text: printable(&text.into(), 1000), details: Vec::new(), hints: Vec::new() }
}

/// A cause with one piece of advice.
pub(crate) fn advised(code: &str, text: impl Into<String>, hint: Hint) -> Cause {
    Cause { hints: vec![hint], ..cause(code, text) }
}

/// The stable word of a fault.
pub fn fault_word(fault: Fault) -> String {
    serde_json::to_value(fault).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_else(|| "other".to_owned())
}

/// What a transport found.
pub(crate) fn of_remote(error: &RemoteError) -> Cause {
    Cause { hints: error.hints.clone(), ..cause(&fault_word(error.fault), error.to_string()) }
}

/// What a script complained of: its `problem` record, in words and with what to do.
pub(crate) fn of_problem(doing: &str, node: &NodeName, problem: &Record) -> Cause {
    let field = |index| problem.text(index).map(|text| printable(&text, 400)).unwrap_or_default();
    let (code, about) = (field(0), field(1));
    let (found, hint) = match code.as_str() {
        "unpack" => (
            format!("the archive could not be unpacked; {about} KiB are free"),
            Hint::do_("free space below muster's home on the node"),
        ),
        "content" => (
            format!("{about} arrived otherwise than it was sent"),
            Hint::do_("run it again; if it stays so, look at the disk of the node"),
        ),
        "unreadable" => (
            format!("the processes of Kong may not enter {about}"),
            Hint::do_("let them: chmod o+x on that directory, or another `home` in the inventory"),
        ),
        "write" => (format!("{about} cannot be written"), Hint::do_("check rights and space there")),
        "home-unusable" => (
            format!("{about} cannot be made or used"),
            Hint::do_("check its rights, or set `become: sudo` in the inventory"),
        ),
        "missing-tool" => (format!("it has no `{about}`"), Hint::do_("install it there")),
        "no-lock" => (
            "it has neither flock nor perl, so that two runs could not be kept apart".to_owned(),
            Hint::do_("install util-linux there"),
        ),
        "unknown-format" => (
            format!("{about} has a format that this muster does not know"),
            Hint::do_("use the newer muster that wrote it"),
        ),
        _ => (
            [code.as_str(), &about, &field(2)].join(" ").trim_end().to_owned(),
            Hint::do_("look at the node, then plan again"),
        ),
    };
    advised(known(&code), format!("{doing} on {node}: {found}"), hint)
}

/// A problem's word as the cause's: it is the script's own, so it is kept unless it is odd.
fn known(code: &str) -> &str {
    match code {
        "unpack" => "no-space",
        "" => "script-failed",
        code if code.chars().all(|c| c.is_ascii_lowercase() || c == '-') => code,
        _ => "script-failed",
    }
}
