//! `muster runs`: what was recorded on this machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::{Command, CommandLine, Env, Format, Options, Output};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::journal::{self, Entry, Follower, Journal, JournalError, Line};
use crate::name::RunId;
use crate::report;
use crate::run::{self, Came, Extent, Reporter, RunState};

/// How often a journal that is still written is read on.
const POLL: Duration = Duration::from_millis(500);

/// Lists them, or tells one again.
pub(super) fn show(line: &CommandLine, env: &mut Env) -> Result<u8, Failure> {
    match &line.command {
        Some(Command::Runs { run: Some(run), ticket: true, .. }) => ticket(run, &line.options, env),
        Some(Command::Runs { run: Some(run), follow, .. }) => again(run, *follow, &line.options, env),
        Some(Command::Runs { last, .. }) => list(*last, &line.options, env),
        _ => Ok(exit::IN_LINE),
    }
}

/// Where recorded runs are looked for: this user's own, and the places that were named.
pub(super) fn places(options: &Options, env: &Env) -> Vec<PathBuf> {
    let named = options.runs.iter().map(|dir| env.dir.join(dir));
    std::iter::once(env.state_dir().join("runs")).chain(named).collect()
}

/// All of them; a place that cannot be listed is told, and hides no other.
fn entries(options: &Options, env: &mut Env) -> Vec<Entry> {
    let (entries, wrong) = journal::list_all(&places(options, env));
    for error in wrong {
        // A standard error that is gone leaves what could be listed.
        drop(writeln!(env.err, "{error}"));
    }
    entries
}

fn list(last: usize, options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let entries = entries(options, env);
    let told: Vec<_> = entries.iter().take(last).map(journal::told).collect();
    let written = match options.format {
        Format::Text => report::runs::text(&told, entries.len(), &env.state_dir().join("runs"), &mut env.out),
        Format::Json => report::runs::json(&told, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the runs", &error))?;
    Ok(exit::IN_LINE)
}

/// The same lines as the run had, from its journal; of one that is on, those to come as well, if that is asked for.
fn again(run: &str, follow: bool, options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let entry = one_of(entries(options, env), run)?.ok_or_else(|| unknown(run, env))?;
    let mut follower = Follower::open(&entry.path).map_err(|error| failure(&error))?;
    let mut teller = Teller::new(options.format, env.out.clone());
    let came = loop {
        // Before reading on: what is not there then will not come.
        let ended = follower.has_ended();
        while let Some(line) = follower.next_line().map_err(|error| failure(&error))? {
            teller.tell(&line)?;
        }
        let came = Came::of(teller.state.verdict, ended);
        if came != Came::AtWork || !follow {
            break came;
        }
        std::thread::sleep(POLL);
    };
    let more = match came {
        Came::AtWork => format!("it is at work; to go on with it:  {}", followed(&entry.run)),
        Came::CutShort => {
            "it was cut short: nobody writes its journal any more, and how it ended is not in it".to_owned()
        }
        Came::To(_) | Came::Damaged | Came::NotReadable => return Ok(exit::IN_LINE),
    };
    // For the eye; standard output has the lines of the run and nothing else.
    drop(writeln!(env.err, "{more}"));
    Ok(exit::IN_LINE)
}

fn followed(run: &RunId) -> Hint {
    Hint::type_(format!("muster runs {run} --follow"))
}

/// Tells a journal line by line.
struct Teller {
    state: RunState,
    reporter: Box<dyn Reporter>,
    /// Where lines go that this version does not understand and a program may.
    raw: Option<Output>,
}

impl Teller {
    fn new(format: Format, out: Output) -> Self {
        let (reporter, raw): (Box<dyn Reporter>, _) = match format {
            Format::Json => (Box::new(report::json::JsonReporter::new(out.clone())), Some(out)),
            Format::Text => (Box::new(report::text::TextReporter::new(out)), None),
        };
        Self { state: RunState::default(), reporter, raw }
    }

    fn tell(&mut self, line: &Line) -> Result<(), Failure> {
        match (line, &mut self.raw) {
            (Line::Event(event), _) => {
                self.state.apply(event);
                self.reporter.event(event, &self.state);
            }
            (Line::Unknown(unknown), Some(out)) => {
                let written = writeln!(out, "{}", unknown.json);
                written.map_err(|error| Failure::internal("writing the run", &error))?;
            }
            (Line::Unknown(_), None) => {}
        }
        Ok(())
    }
}

/// What became of it, as a block of text to paste.
fn ticket(run: &str, options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let (entry, _) = find(run, env)?;
    // Before it is read: what is not there then will not come.
    let ended = Follower::open(&entry.path).map_err(|error| failure(&error))?.has_ended();
    let journal = entry.read().map_err(|error| failure(&error))?;
    let extent = if ended { Extent::Whole } else { Extent::AtWork };
    let plan = journal.plan().ok();
    let lines = run::ticket(&journal.state(), extent, plan.as_ref(), |line| super::equal::placed(line, options));
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

/// The same; `None` if no run of this user is meant.
pub(super) fn recorded(run: &str, env: &Env) -> Result<Option<(Entry, Journal)>, Failure> {
    let entries = journal::list(&env.state_dir().join("runs")).map_err(|error| failure(&error))?;
    let Some(entry) = one_of(entries, run)? else { return Ok(None) };
    let journal = entry.read().map_err(|error| failure(&error))?;
    Ok(Some((entry, journal)))
}

/// The one that is meant by an id or by a beginning of it that only one run has.
fn one_of(entries: Vec<Entry>, run: &str) -> Result<Option<Entry>, Failure> {
    let mut found = entries.into_iter().filter(|entry| entry.run.as_str().starts_with(run) && !run.is_empty());
    match (found.next(), found.next()) {
        (one, None) => Ok(one),
        (Some(one), Some(other)) => {
            let text = format!("{run} could be several runs: {}, {}", one.run, other.run);
            Err(Failure::input(text, vec![Hint::do_("give more letters of it")]))
        }
        (None, Some(_)) => Ok(None),
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
