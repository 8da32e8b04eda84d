//! `muster errors`: the failures that Kong has a text for, and their pages.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::words::{pad, wrap};
use crate::kong::Cause;

/// How wide the column of the codes is: the longest, and two blanks.
const CODES: usize = 27;
/// How wide a line may be.
const COLUMNS: usize = 80;

/// The cause that is meant: by its code, or by a path to its page.
pub fn find(code: &str) -> Option<Cause> {
    let name = code.rsplit('/').next().unwrap_or(code);
    Cause::of_code(name.strip_suffix(".md").unwrap_or(name))
}

/// All of them, one on each line.
pub fn list(out: &mut dyn Write) -> io::Result<()> {
    for cause in sorted() {
        for (number, line) in wrap(cause.title(), COLUMNS - CODES).iter().enumerate() {
            let code = if number == 0 { cause.code() } else { "" };
            writeln!(out, "{}{line}", pad(code, CODES))?;
        }
    }
    writeln!(out, "\nthe page of one:  muster errors CODE")?;
    out.flush()
}

/// As they are looked up.
fn sorted() -> Vec<Cause> {
    let mut causes: Vec<Cause> = Cause::all().collect();
    causes.sort_by_key(|cause| cause.code());
    causes
}

/// The page of one.
pub fn page(cause: Cause, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(cause.page().as_bytes())?;
    out.flush()
}

/// One of them with its page, or all without, as one line of JSON.
pub fn json(one: Option<Cause>, out: &mut dyn Write) -> io::Result<()> {
    let errors: Vec<Value> = match one {
        Some(cause) => vec![entry(cause, Some(cause.page()))],
        None => sorted().into_iter().map(|cause| entry(cause, None)).collect(),
    };
    super::json::line(&json!({ "muster": "errors", "format": 1, "errors": errors }), out)
}

fn entry(cause: Cause, text: Option<&str>) -> Value {
    json!({
        "code": cause.code(), "title": cause.title(), "meaning": cause.meaning(), "fix": cause.advice(),
        "page": cause.place(), "text": text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_list_fits_a_terminal_and_names_every_code() {
        let text = written(|out| list(out));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        for cause in Cause::all() {
            assert!(text.lines().any(|line| line.starts_with(&format!("{}  ", cause.code()))), "{}", cause.code());
        }
    }

    #[test]
    fn a_page_is_found_by_what_a_run_prints() {
        for word in ["missing-module", "missing-module.md", "docs/errors/missing-module.md"] {
            assert_eq!(find(word), Some(Cause::MissingModule));
        }
        assert_eq!(find("reload-failed"), None);
        let value: Value = serde_json::from_str(&written(|out| json(Some(Cause::EnvUnreadable), out))).unwrap();
        assert_eq!(
            (&value["muster"], &value["errors"][0]["page"]),
            (&"errors".into(), &"docs/errors/env-unreadable.md".into())
        );
        assert!(value["errors"][0]["text"].as_str().unwrap().contains("## What to do"));
    }
}
