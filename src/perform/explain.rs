//! What the error log adds to a failure. It explains; whether something failed was decided without it (protocols.md A).

use crate::hint::Hint;
use crate::kong::diagnosis::{Diagnosis, diagnose, unexplained};
use crate::run::Cause;
use crate::wire::Record;

/// The most reasons that are shown of one failure.
const REASONS: usize = 5;

/// What a reload wrote into the error log, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Log {
    /// Its bytes.
    Read(Vec<u8>),
    /// There is none to read, in words.
    None(String),
}

impl Log {
    /// As the script told it: the blob, else the record that stands for it.
    pub(crate) fn of(blob: Option<Vec<u8>>, told: Option<&Record>) -> Self {
        let text = |index| told.and_then(|record| record.text(index)).unwrap_or_default();
        let none = match (blob, text(1).as_str()) {
            (Some(log), _) => return Self::Read(log),
            (None, "syslog") => format!("there is no error log to read on the node: Kong logs to {}", text(2)),
            (None, "stderr") => {
                format!(
                    "there is no error log to read on the node: Kong logs to {}, and no journal of its unit was found",
                    text(2)
                )
            }
            (None, "journal") => format!("the journal of {} has nothing of the reload, or may not be read", text(2)),
            (None, "absent") => format!("there is no error log to read: {} is no file", text(2)),
            (None, _) => "the error log could not be read".to_owned(),
        };
        Self::None(none)
    }
}

/// The cause with what the log slice says of it: file, line, the log's words, what it means, what to do, and its page. What the
/// log says and nobody knows is told as it stands.
pub(crate) fn explain(mut cause: Cause, log: &Log) -> Cause {
    let log = match log {
        Log::Read(log) => log,
        Log::None(why) => {
            cause.details.push(why.clone());
            return cause;
        }
    };
    let found = diagnose(log);
    match found.first() {
        Some(first) => {
            cause.details.push(std::mem::replace(&mut cause.text, format!("reload failed: {first}")));
        }
        None => cause.details.extend(unknown(log)),
    }
    for reason in found.iter().take(REASONS) {
        cause.details.push(reason.cause.meaning().to_owned());
        cause.details.push(format!("in the log: {}", reason.raw));
    }
    for hint in found.iter().take(REASONS).flat_map(advice) {
        if !cause.hints.contains(&hint) {
            cause.hints.push(hint);
        }
    }
    cause
}

/// What a log says where it gives no reason that is known here.
fn unknown(log: &[u8]) -> Vec<String> {
    let lines = unexplained(log);
    if lines.is_empty() {
        return vec!["the error log says nothing of it; at log_level crit or alert it never does".to_owned()];
    }
    lines.iter().take(REASONS).map(|line| format!("in the log, and not known to muster: {line}")).collect()
}

/// What to do about a reason, and where there is more: the page of the repository is in the program, too.
pub(super) fn advice(reason: &Diagnosis) -> [Hint; 3] {
    let cause = reason.cause;
    [Hint::do_(cause.advice()), Hint::look(cause.place()), Hint::type_(format!("muster errors {}", cause.code()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::cause::cause;

    const LOG: &str = "2026/11/20 07:00:00 [error] 5806#0: init_by_lua error: /usr/share/lua/5.1/kong/init.lua:553: \
        error loading plugin schemas: on plugin 'acme-auth': error loading module 'kong.plugins.acme-auth.handler':\n\
        /rel/acme-auth/kong/plugins/acme-auth/handler.lua:12: module 'resty.jwt' not found:No LuaRocks module found\n";

    fn read(log: &[u8]) -> Log {
        Log::Read(log.to_vec())
    }

    #[test]
    fn why_there_is_no_log_is_told() {
        let told = |line: &str| {
            let crate::remote::Reply::Record(record) = crate::perform::scripted::record(line) else { panic!("{line}") };
            explain(cause("reload-failed", "no new worker"), &Log::of(None, Some(&record))).details.remove(0)
        };
        assert!(told("no-blob log syslog syslog:server=10.0.0.1").ends_with("Kong logs to syslog:server=10.0.0.1"));
        assert!(told("no-blob log stderr /dev/stderr").contains("no journal of its unit"));
        assert!(told("no-blob log journal kong.service").starts_with("the journal of kong.service"));
        assert!(told("no-blob log absent /p/logs/error.log").contains("/p/logs/error.log is no file"));
        assert_eq!(told("no-blob log torn"), "the error log could not be read");
        assert_eq!(Log::of(None, None), Log::None("the error log could not be read".to_owned()));
    }

    #[test]
    fn the_log_names_the_file_the_line_and_what_to_do() {
        let explained = explain(cause("reload-failed", "no new worker"), &read(LOG.as_bytes()));
        assert_eq!(explained.code, "reload-failed");
        assert!(
            explained.text.contains("handler.lua:12") && explained.text.contains("resty.jwt"),
            "{}",
            explained.text
        );
        assert_eq!(explained.details[0], "no new worker");
        let hints: Vec<String> = explained.hints.iter().map(ToString::to_string).collect();
        assert_eq!(hints[1..], ["see: docs/errors/missing-module.md", "type: muster errors missing-module"]);
        assert!(explained.details.iter().any(|line| line.starts_with("in the log: 2026/11/20")), "{explained:?}");
    }

    #[test]
    fn a_line_that_nobody_knows_is_told_as_it_stands() {
        let log = b"2026/11/20 07:00:00 [error] 5806#0: *7 [lua] something new broke\n";
        let explained = explain(cause("reload-failed", "no new worker"), &read(log));
        assert_eq!(explained.text, "no new worker");
        assert!(explained.details[0].ends_with("[lua] something new broke"), "{explained:?}");
    }

    #[test]
    fn a_silent_log_changes_nothing_of_the_verdict() {
        let explained = explain(cause("reload-failed", "no new worker"), &read(b""));
        assert_eq!((explained.code.as_str(), explained.text.as_str()), ("reload-failed", "no new worker"));
        assert!(explained.details[0].contains("log_level crit"));
    }
}
