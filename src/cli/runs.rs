//! `muster runs`: what was recorded on this machine.

use super::{Command, CommandLine, Env, Format, Options};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::journal::{self, Entry, Journal, JournalError};
use crate::name::RunId;
use crate::report;
use crate::run::{self, Reporter, RunState};

/// Lists them, or tells one again.
pub(super) fn show(line: &CommandLine, env: &mut Env) -> Result<u8, Failure> {
    match &line.command {
        Some(Command::Runs { run: Some(run), ticket: true, .. }) => ticket(run, &line.options, env),
        Some(Command::Runs { run: Some(run), .. }) => again(run, &line.options, env),
        Some(Command::Runs { last, .. }) => list(*last, line.options.format, env),
        _ => Ok(exit::IN_LINE),
    }
}

fn list(last: usize, format: Format, env: &mut Env) -> Result<u8, Failure> {
    let runs = env.state_dir().join("runs");
    let entries = journal::list(&runs).map_err(|error| failure(&error))?;
    let told = entries.iter().take(last).map(|entry| report::runs::Told {
        run: entry.run.clone(),
        ended: journal::has_ended(&runs, &entry.run),
        undo: journal::undo_bundles(&runs, &entry.run).unwrap_or_default(),
        state: entry.read().map(|journal| journal.state()).map_err(|error| error.to_string()),
    });
    let told: Vec<_> = told.collect();
    let written = match format {
        Format::Text => report::runs::text(&told, entries.len(), &runs, &mut env.out),
        Format::Json => report::runs::json(&told, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the runs", &error))?;
    Ok(exit::IN_LINE)
}

/// The same lines as the run had, from its journal.
fn again(run: &str, options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let (_, journal) = find(run, env)?;
    let mut state = RunState::default();
    let mut reporter: Box<dyn Reporter> = match options.format {
        Format::Json => Box::new(report::json::JsonReporter::new(env.out.clone())),
        Format::Text => Box::new(report::text::TextReporter::new(env.out.clone())),
    };
    for event in journal.events() {
        state.apply(event);
        reporter.event(event, &state);
    }
    Ok(exit::IN_LINE)
}

/// What became of it, as a block of text to paste.
fn ticket(run: &str, options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let (entry, journal) = find(run, env)?;
    let resume = super::equal::placed(&format!("muster resume {}", entry.run), options);
    let lines = run::ticket(&journal.state(), &resume);
    let written = match options.format {
        Format::Text => report::runs::ticket(&lines, &mut env.out),
        Format::Json => report::runs::ticket_json(&entry.run, &lines, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the ticket", &error))?;
    Ok(exit::IN_LINE)
}

/// The journal of a run, by its id or by a beginning of it that only one run has.
pub(super) fn find(run: &str, env: &Env) -> Result<(Entry, Journal), Failure> {
    recorded(run, env)?.ok_or_else(|| unknown(run, env))
}

/// The same; `None` if no run of this machine is meant.
pub(super) fn recorded(run: &str, env: &Env) -> Result<Option<(Entry, Journal)>, Failure> {
    let runs = env.state_dir().join("runs");
    let entries = journal::list(&runs).map_err(|error| failure(&error))?;
    let mut found = entries.into_iter().filter(|entry| entry.run.as_str().starts_with(run) && !run.is_empty());
    let (first, more) = (found.next(), found.next());
    match (first, more) {
        (Some(entry), None) => {
            let journal = entry.read().map_err(|error| failure(&error))?;
            Ok(Some((entry, journal)))
        }
        (Some(one), Some(other)) => {
            let text = format!("{run} could be several runs: {}, {}", one.run, other.run);
            Err(Failure::input(text, vec![Hint::do_("give more letters of it")]))
        }
        (None, _) => Ok(None),
    }
}

/// Why nothing can be done about a run that is not here.
pub(super) fn unknown(run: &str, env: &Env) -> Failure {
    let runs = env.state_dir().join("runs");
    let valid = RunId::parse(run).is_ok();
    let text = if valid {
        format!("run {run} was not recorded on this machine (in {})", runs.display())
    } else {
        format!("{run} is no run that was recorded on this machine (in {})", runs.display())
    };
    let mut hints = vec![Hint::type_("muster runs")];
    if valid {
        hints.push(Hint::do_(
            "what a run left on the nodes, any other machine finishes too: plan there at the commit that is wanted",
        ));
        hints.push(Hint::type_("muster --plan"));
    }
    Failure::input(text, hints)
}

fn failure(error: &JournalError) -> Failure {
    Failure::of(error, error.hints())
}
