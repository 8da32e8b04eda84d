//! `muster resume RUN`: a run that did not reach its goal, planned anew with its commit and its selection.
//!
//! What the nodes hold decides what is left to do, not what the journal says was done: receipts and intents there are settled
//! by the scripts, in the right order.

use std::io::Write as _;

use super::{Env, Format, Options};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::journal;
use crate::run::Verdict;

/// How it goes on.
pub(super) enum Way {
    /// There is nothing to resume.
    Over(u8),
    /// As a plan or an apply with these options.
    On,
}

/// Makes the options those of the run.
pub(super) fn prepare(run: &str, options: &mut Options, env: &mut Env) -> Result<Way, Failure> {
    let (entry, journal) = super::runs::find(run, env)?;
    let state = journal.state();
    let format = options.format;
    let say = |env: &mut Env, text: String| {
        let line = match format {
            Format::Text => text,
            Format::Json => {
                serde_json::json!({"muster": "resume", "format": 1, "run": entry.run, "text": text}).to_string()
            }
        };
        writeln!(env.out, "{line}").map_err(|error| Failure::internal("writing", &error))
    };
    if !journal::has_ended(&env.state_dir().join("runs"), &entry.run) {
        say(env, format!("run {} is still at work on this machine; nothing was done", entry.run))?;
        return Ok(Way::Over(exit::LOCKED));
    }
    if let Some(Verdict::InLine | Verdict::Converged) = state.verdict {
        say(env, format!("run {} reached its goal; there is nothing to resume", entry.run))?;
        return Ok(Way::Over(exit::IN_LINE));
    }
    let plan = journal.plan().map_err(|error| {
        let failure = Failure::internal("reading the plan of the run", &error);
        Failure {
            hints: vec![Hint::do_("plan anew at the commit that is wanted"), Hint::type_("muster --plan")],
            ..failure
        }
    })?;
    options.rev = plan.basis.revision.to_string();
    let selected = plan.basis.selected;
    let planned: Vec<String> = plan.clusters.iter().map(|cluster| cluster.cluster.to_string()).collect();
    options.cluster = selected.clusters.or_else(|| Some(planned.join(",")));
    options.node = selected.nodes;
    options.plugin = selected.plugins;
    options.reload_unproven |= selected.unproven;
    options.resumes = Some(entry.run.to_string());
    Ok(Way::On)
}
