//! What the error log adds to a failure. It explains; whether something failed was decided without it (protocols.md A).

use crate::hint::Hint;
use crate::kong::diagnosis::{Diagnosis, diagnose, unexplained};
use crate::run::Cause;

/// The most reasons that are shown of one failure.
const REASONS: usize = 5;

/// The cause with what the log slice says of it: file, line, the log's words, what it means, what to do, and its page. What the
/// log says and nobody knows is told as it stands.
pub(crate) fn explain(mut cause: Cause, log: Option<&[u8]>) -> Cause {
    let Some(log) = log else {
        cause.details.push("the error log could not be read".to_owned());
        return cause;
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

    #[test]
    fn the_log_names_the_file_the_line_and_what_to_do() {
        let explained = explain(cause("reload-failed", "no new worker"), Some(LOG.as_bytes()));
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
        let explained = explain(cause("reload-failed", "no new worker"), Some(log));
        assert_eq!(explained.text, "no new worker");
        assert!(explained.details[0].ends_with("[lua] something new broke"), "{explained:?}");
    }

    #[test]
    fn a_silent_log_changes_nothing_of_the_verdict() {
        let explained = explain(cause("reload-failed", "no new worker"), Some(b""));
        assert_eq!((explained.code.as_str(), explained.text.as_str()), ("reload-failed", "no new worker"));
        assert!(explained.details[0].contains("log_level crit"));
    }
}
