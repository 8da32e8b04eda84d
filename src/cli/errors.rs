//! `muster errors`: what Kong says when it fails, from the program itself: nobody has the repository at hand at night.

use super::{Command, CommandLine, Env, Format};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::report::errors;

/// Lists them, or prints the page of one.
pub(super) fn run(line: &CommandLine, env: &mut Env) -> Result<u8, Failure> {
    let Some(Command::Errors { code }) = &line.command else { return Ok(exit::IN_LINE) };
    let page = code.as_deref().map(|code| errors::find(code).ok_or_else(|| unknown(code))).transpose()?;
    let written = match (line.options.format, page) {
        (Format::Text, Some(page)) => errors::page(page, &mut env.out),
        (Format::Text, None) => errors::list(&mut env.out),
        (Format::Json, page) => errors::json(page, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the page", &error))?;
    Ok(exit::IN_LINE)
}

fn unknown(code: &str) -> Failure {
    let mut failure = Failure::usage(format!("there is no page {code:?}"));
    failure.hints = vec![
        Hint::type_("muster errors"),
        Hint::do_("a run names the page of what it found in the log below the step, as `see: docs/errors/CODE.md`"),
    ];
    failure
}
