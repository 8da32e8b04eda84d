//! The command line: arguments in, an exit code out.
//!
//! Owns: what was typed, what it means, and which use of the program that is. Must not know: how anything is done; each
//! use is one thin file over [`crate::fleet`].

mod apply;
mod args;
mod check;
mod doctor;
mod env;
mod equal;
mod errors;
mod explain;
mod import;
mod inspect;
mod keys;
mod locks;
mod log;
mod plan;
mod recordings;
mod restore;
mod resume;
mod runs;
mod save;
mod session;
mod status;
mod terminal;

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser as _;

pub use args::{Command, CommandLine, Format, Mode, Options};
pub use env::{Clock, Env, Output, Signals};

use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::run::Verdict;

/// Runs the program in this world and gives its exit code. Nothing else in the process ends it.
pub fn main_with(mut env: Env) -> u8 {
    let words = std::iter::once(OsString::from("muster")).chain(env.args.iter().cloned());
    let mut line = match CommandLine::try_parse_from(words) {
        Ok(line) => line,
        Err(error) => return said_by_clap(&mut env, &error),
    };
    line.options.read_only |= read_only(&env);
    let json = line.options.format == Format::Json;
    let code = match line.misuse() {
        Some(misuse) => Err(Failure::usage(misuse)),
        None => run(line, &mut env),
    };
    code.unwrap_or_else(|failure| {
        let printed = if json { failure.print_json(&mut env.err) } else { failure.print(&mut env.err) };
        // A standard error that is gone leaves only the exit code to tell.
        drop(printed);
        Verdict::NotStarted(failure.kind).exit()
    })
}

/// Whether the environment forbids all changes. What is set and not understood forbids them, too.
fn read_only(env: &Env) -> bool {
    env.vars.get("MUSTER_READ_ONLY").is_some_and(|value| !matches!(value.trim(), "" | "0" | "false" | "no"))
}

/// Help and version go to standard output and end well; a wrong command line is 64 here, not clap's 2.
fn said_by_clap(env: &mut Env, error: &clap::Error) -> u8 {
    if error.use_stderr() && asks_for_json(&env.args) {
        let written = misread(error).print_json(&mut env.err);
        drop(written);
        return exit::USAGE;
    }
    let text = if env.terminal { error.render().ansi().to_string() } else { error.render().to_string() };
    let wrong = error.use_stderr();
    let to = if wrong { &mut env.err } else { &mut env.out };
    let written = to.write_all(text.as_bytes());
    if wrong || written.is_err() { exit::USAGE } else { exit::IN_LINE }
}

/// Whether these arguments ask for JSON anywhere, though as a whole they could not be read.
fn asks_for_json(args: &[OsString]) -> bool {
    let pair = |pair: &[OsString]| pair[0] == "--format" && pair[1] == "json";
    args.windows(2).any(pair) || args.iter().any(|arg| arg == "--format=json")
}

/// What clap says of a wrong command line, as the error that everything else has.
fn misread(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("the command line cannot be read");
    let mut failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(first));
    let tips = lines.filter_map(|line| line.strip_prefix("tip: ")).map(Hint::do_);
    failure.hints = tips.chain(std::mem::take(&mut failure.hints)).collect();
    failure
}

fn run(line: CommandLine, env: &mut Env) -> Result<u8, Failure> {
    let _log = log::start(&line.options, env)?;
    match line.mode() {
        Mode::Schema => schema(env),
        Mode::Keys => keys::run(line.options.format, env),
        Mode::Check => check::run(&line.options, env),
        Mode::Runs => runs::show(&line, env),
        Mode::Errors => errors::run(&line, env),
        mode => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failure::internal("starting the runtime", &error))?;
            runtime.block_on(session::run(mode, line, env))
        }
    }
}

fn schema(env: &mut Env) -> Result<u8, Failure> {
    let text = serde_json::to_string_pretty(&crate::inventory::schema());
    let text = text.map_err(|error| Failure::internal("writing the schema", &error))?;
    writeln!(env.out, "{text}").map_err(|error| Failure::internal("writing the schema", &error))?;
    Ok(exit::IN_LINE)
}
