//! Causes: what a script, a transport or a proof found, in the words that a run reports.

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::NodeName;
use crate::remote::{Fault, RemoteError};
use crate::run::Cause;
use crate::survey::Trouble;
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

/// What an Admin API was found to do.
pub(crate) fn of_trouble(trouble: Trouble) -> Cause {
    Cause { hints: trouble.hints, ..cause(&trouble.code, trouble.text) }
}

/// What a script complained of: its `problem` record, in words and with what to do.
pub(crate) fn of_problem(doing: &str, node: &NodeName, problem: &Record) -> Cause {
    let field = |index| problem.text(index).map(|text| printable(&text, 400)).unwrap_or_default();
    let (code, about) = (field(0), field(1));
    let (found, advice) = of_place(&code, &about)
        .or_else(|| of_kong(&code, &about))
        .or_else(|| (code == "delete").then(|| of_deletion(&about, &field(2))))
        .or_else(|| (code == "commit").then(|| of_commit(&about, &field(2))))
        .unwrap_or_else(|| {
            let words = [code.as_str(), &about, &field(2)].join(" ");
            (words.trim_end().to_owned(), "look at the node, then plan again")
        });
    advised(known(&code), format!("{doing} on {node}: {found}"), Hint::do_(advice))
}

type Words = (String, &'static str);

/// Trouble with files and tools.
fn of_place(code: &str, about: &str) -> Option<Words> {
    Some(match code {
        "unpack" => (
            format!("the archive could not be unpacked; {about} KiB are free"),
            "free space below muster's home on the node",
        ),
        "content" => (
            format!("{about} arrived otherwise than it was sent"),
            "run it again; if it stays so, look at the disk of the node",
        ),
        "unreadable" => (
            format!("the processes of Kong may not enter {about}"),
            "let them: chmod o+x on that directory, or another `home` in the inventory",
        ),
        "write" => (format!("{about} cannot be written"), "check rights and space there"),
        "home-unusable" => {
            (format!("{about} cannot be made or used"), "check its rights, or set `become: sudo` in the inventory")
        }
        "missing-tool" => (format!("it has no `{about}`"), "install it there"),
        "no-lock" => (
            "it has neither flock nor perl, so that two runs could not be kept apart".to_owned(),
            "install util-linux there",
        ),
        "unknown-format" => {
            (format!("{about} has a format that this muster does not know"), "use the newer muster that wrote it")
        }
        "conf-hard-links" => (
            format!("{about} has several hard links, which a replacement would part"),
            "make it a file with one link, or set `directive: external` in the inventory",
        ),
        "conf-not-writable" => (
            format!("{about} or its directory cannot be written"),
            "check whether it is read-only or immutable; `become: sudo` may be missing in the inventory",
        ),
        _ => return None,
    })
}

/// Trouble with the running Kong.
fn of_kong(code: &str, about: &str) -> Option<Words> {
    Some(match code {
        "not-the-owner" => (
            format!("Kong's master belongs to uid {about}, and scripts run as somebody else"),
            "set `become: sudo` in the inventory, or log in as that user",
        ),
        "cannot-become" => {
            (format!("neither setpriv nor perl can act as uid {about}, whose Kong it is"), "install util-linux there")
        }
        "open-files" => (
            format!("the master's limit of {about} open files cannot be had, and Kong would take a smaller one over"),
            "set `become: sudo` in the inventory, or raise the login user's limit",
        ),
        "no-search-path" => (
            "the running nginx configuration has no lua_package_path to stage a release in".to_owned(),
            "look at the node's own nginx template",
        ),
        "pace-draining" => (
            format!(
                "{about} old workers of earlier reloads still serve what they began, after five minutes; nothing was touched"
            ),
            "wait until they have ended, set nginx_main_worker_shutdown_timeout there, or raise `rollout: { max_draining: … }`",
        ),
        "pace-gap" => (
            format!("its workers were replaced again and again within {about} s; nothing was touched"),
            "look at the error log of Kong there for `exited on signal`, and at who reloads it",
        ),
        "hup" => (format!("the master {about} could not be told to reload"), "look at the node, then plan again"),
        "started" => (
            format!("Kong was started meanwhile (master {about}), and the plan was for one that does not run"),
            "plan again",
        ),
        _ => return None,
    })
}

/// A commit that cannot go on.
fn of_commit(what: &str, detail: &str) -> Words {
    match what {
        "conf" => (
            "somebody else wrote kong.conf since the plan saw it; that text stands, ours was not written".to_owned(),
            "plan again: the new text is read then",
        ),
        "conf-unwritten" => (
            format!("the new text of {detail} could not be written beside it; the old one stands, whole"),
            "make space and rights there, then apply again: only kong.conf is left to do",
        ),
        "unit" => (
            format!("systemd did not take {detail} over as it was written; it is as it was before"),
            "type `systemctl daemon-reload` and read what systemd says of Kong's unit, then apply again",
        ),
        _ => (
            format!("the commit stopped at {what} {detail}").trim_end().to_owned(),
            "correct it, then apply again: the commit goes on where it stopped",
        ),
    }
}

/// A deletion that cannot go on.
fn of_deletion(what: &str, detail: &str) -> Words {
    (
        format!("the deletion stopped at {what} {detail}").trim_end().to_owned(),
        "correct it, then apply again: the manifest still has what is left",
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::scripted::record;
    use crate::remote::Reply;

    fn of(line: &str) -> Cause {
        let Reply::Record(record) = record(line) else { panic!("{line}") };
        of_problem("activating", &NodeName::parse("eu-1").unwrap(), &record)
    }

    #[test]
    fn every_complaint_of_the_scripts_is_told_in_words_with_what_to_do() {
        for (line, code, words) in [
            ("problem unpack 12", "no-space", "12 KiB are free"),
            ("problem unreadable /srv", "unreadable", "may not enter /srv"),
            ("problem pace-draining 6", "pace-draining", "6 old workers"),
            ("problem pace-gap 30", "pace-gap", "within 30 s"),
            ("problem not-the-owner 1001", "not-the-owner", "uid 1001"),
            ("problem open-files 65536", "open-files", "65536 open files"),
            ("problem started 77", "started", "master 77"),
            ("problem commit conf abc", "commit", "somebody else wrote kong.conf"),
            ("problem commit conf-unwritten /etc/kong/kong.conf", "commit", "/etc/kong/kong.conf could not be written"),
            ("problem commit unit /etc/x.conf", "commit", "systemd did not take /etc/x.conf over"),
            ("problem delete attic /lua/x", "delete", "stopped at attic /lua/x"),
            ("problem commit link acme", "commit", "stopped at link acme"),
            ("problem brand-new a b", "brand-new", "brand-new a b"),
            ("problem ../x%0A", "script-failed", "eu-1"),
        ] {
            let cause = of(line);
            assert_eq!(cause.code, code, "{line}");
            assert!(cause.text.contains(words) && cause.text.contains("eu-1"), "{line}: {}", cause.text);
            assert!(!cause.hints.is_empty() && !cause.text.chars().any(char::is_control), "{line}");
        }
    }
}
