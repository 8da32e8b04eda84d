//! What the error log adds to a failure. It explains; whether something failed was decided without it (protocols.md A).

use crate::hint::Hint;
use crate::kong::diagnosis::diagnose;
use crate::run::Cause;

/// The most reasons that are shown of one failure.
const REASONS: usize = 5;

/// The cause with what the log slice says of it: file, line, the log's words, what it means, what to do.
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
        None => {
            cause.details.push("the error log says nothing of it; at log_level crit or alert it never does".to_owned());
        }
    }
    for reason in found.iter().take(REASONS) {
        cause.details.push(reason.cause.meaning().to_owned());
        cause.details.push(format!("in the log: {}", reason.raw));
        let advice = Hint::do_(reason.cause.advice());
        if !cause.hints.contains(&advice) {
            cause.hints.push(advice);
        }
    }
    cause
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
        assert!(!explained.hints.is_empty());
    }

    #[test]
    fn a_silent_log_changes_nothing_of_the_verdict() {
        let explained = explain(cause("reload-failed", "no new worker"), Some(b""));
        assert_eq!((explained.code.as_str(), explained.text.as_str()), ("reload-failed", "no new worker"));
        assert!(explained.details[0].contains("log_level crit"));
    }
}
