//! `muster resume RUN`: a run that did not reach its goal, planned anew with its commit and its selection.
//!
//! What the nodes hold decides what is left to do, not what the journal says was done: receipts and intents there are settled
//! by the scripts, in the right order.

use std::collections::BTreeSet;
use std::io::Write as _;

use super::{Env, Format, Options};
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::inventory::Inventory;
use crate::journal::{self, Entry, Journal};
use crate::name::{ClusterName, NodeName, Revision, RunId, collapse};
use crate::run::Verdict;
use crate::survey::Survey;

/// How it goes on.
pub(super) enum Way {
    /// There is nothing to resume.
    Over(u8),
    /// As a plan or an apply with these options.
    On,
}

/// Makes the options those of the run.
pub(super) async fn prepare(run: &str, options: &mut Options, env: &mut Env) -> Result<Way, Failure> {
    match super::runs::recorded(run, env)? {
        Some((entry, journal)) => recorded(&entry, &journal, options, env),
        None => elsewhere(run, options, env).await,
    }
}

/// What the nodes know of a run whose journal is on another machine.
#[derive(Default)]
struct Known {
    commits: BTreeSet<Revision>,
    clusters: BTreeSet<ClusterName>,
    nodes: Vec<NodeName>,
    /// They have nodes that could not be asked.
    unseen: usize,
}

impl Known {
    fn of(run: &RunId, inventory: &Inventory, survey: &Survey) -> Self {
        let mut known = Self::default();
        let nodes = inventory.clusters.values().flat_map(|cluster| cluster.active().map(move |node| (cluster, node)));
        for (cluster, node) in nodes {
            let Some(facts) = survey.seen(&node.name) else {
                known.unseen += 1;
                continue;
            };
            let of_run = facts.receipts.iter().filter(|receipt| receipt.run == *run);
            let commits: Vec<&Revision> = of_run.filter_map(|receipt| receipt.commit.as_ref()).collect();
            if !commits.is_empty() {
                known.commits.extend(commits.into_iter().cloned());
                known.clusters.insert(cluster.name.clone());
                known.nodes.push(node.name.clone());
            }
        }
        known
    }
}

/// A run of another machine: its receipts on the nodes have its commit. What it was narrowed to only its journal knows, so
/// that the clusters it worked on are planned whole.
async fn elsewhere(run: &str, options: &mut Options, env: &mut Env) -> Result<Way, Failure> {
    let Ok(id) = RunId::parse(run) else { return Err(super::runs::unknown(run, env)) };
    let Some((fleet, picture)) = super::locks::look(options, env).await? else {
        return Ok(Way::Over(exit::INTERRUPTED));
    };
    let known = Known::of(&id, fleet.inventory(), &picture.survey);
    fleet.close().await;
    let Some(commit) = known.commits.last() else {
        let failure = super::runs::unknown(run, env);
        let unseen = if known.unseen == 0 { String::new() } else { format!("; {} could not be asked", known.unseen) };
        return Err(Failure { text: format!("{}, and no node has a receipt of it{unseen}", failure.text), ..failure });
    };
    let clusters = known.clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    // Only for the eye: the plan that follows says what is done.
    drop(writeln!(
        env.err,
        "run {run} was recorded on another machine; {} have its receipts, with commit {}. What it was narrowed to is not \
         known here: all of {clusters} is planned",
        collapse(&known.nodes),
        commit.short(),
    ));
    options.rev = commit.to_string();
    options.cluster = Some(clusters);
    options.resumes = Some(run.to_owned());
    Ok(Way::On)
}

fn recorded(entry: &Entry, journal: &Journal, options: &mut Options, env: &mut Env) -> Result<Way, Failure> {
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
