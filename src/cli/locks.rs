//! `muster locks` and `muster unlock CLUSTER`: who holds which nodes, and taking that away. Both need only to know where the
//! machines are, so that a mistake elsewhere in the inventory is no obstacle.

use std::sync::Arc;

use super::{Env, Format, Options};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{self, Desired, DesiredError, Fleet, Picture};
use crate::hint::Hint;
use crate::inventory::{Look, Selector};
use crate::name::ClusterName;
use crate::report;
use crate::survey::Locks;

/// `muster locks`.
pub(super) async fn show(options: Options, env: &mut Env) -> Result<u8, Failure> {
    let wanted = options.cluster.as_deref().map(Selector::parse_names).transpose();
    let wanted = wanted.map_err(|error| Failure::usage(format!("--cluster: {error}")))?;
    let format = options.format;
    let placed = |command: &str| super::equal::placed(command, &options);
    let Some((fleet, picture)) = look(&options, env).await? else { return Ok(exit::INTERRUPTED) };
    let mut locks = fleet::locks(&fleet, &picture);
    locks.retain(|cluster, _| wanted.as_ref().is_none_or(|wanted| wanted.matches_name(cluster.as_str())));
    fleet.close().await;
    let written = match format {
        Format::Text => report::locks::text(&locks, picture.survey.at, &placed, &mut env.out),
        Format::Json => report::locks::json(&locks, picture.survey.at, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the locks", &error))?;
    let unknown = locks.values().any(|locks| !locks.unknown.is_empty());
    Ok(if unknown { exit::INCOMPLETE } else { exit::IN_LINE })
}

/// `muster unlock CLUSTER [--yes]`.
pub(super) async fn unlock(of: &str, yes: bool, options: Options, env: &mut Env) -> Result<u8, Failure> {
    let cluster = ClusterName::parse(of).map_err(|error| Failure::usage(error.to_string()))?;
    let format = options.format;
    let placed = |command: &str| super::equal::placed(command, &options);
    let Some((fleet, picture)) = look(&options, env).await? else { return Ok(exit::INTERRUPTED) };
    let mut locks = fleet::locks(&fleet, &picture);
    let Some(held) = locks.remove(&cluster) else {
        let known: Vec<&str> = locks.keys().map(ClusterName::as_str).collect();
        let hint = Hint::do_(format!("there are: {}", known.join(", ")));
        return Err(Failure { hints: vec![hint], ..Failure::usage(format!("the inventory has no cluster {cluster}")) });
    };
    let done = take_away(&fleet, &picture, &cluster, &held, yes, env).await;
    fleet.close().await;
    let (unlocked, code) = done?;
    let written = match format {
        Format::Text => report::locks::unlocked(&cluster, &held, unlocked.as_ref(), &placed, &mut env.out),
        Format::Json => report::locks::unlocked_json(&cluster, &held, unlocked.as_ref(), &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the locks", &error))?;
    Ok(code)
}

async fn take_away(
    fleet: &Fleet,
    picture: &Picture,
    cluster: &ClusterName,
    held: &Locks,
    yes: bool,
    env: &Env,
) -> Result<(Option<fleet::Unlocked>, u8), Failure> {
    let runs = env.state_dir().join("runs");
    let alive = held.holders.iter().find(|holder| {
        holder.who == env.operator()
            && crate::journal::path(&runs, &holder.run).exists()
            && !crate::journal::has_ended(&runs, &holder.run)
    });
    if let (Some(holder), true) = (alive, yes) {
        let text = format!("run {} is at work on this machine; its leases were not taken away", holder.run);
        return Err(Failure::input(text, vec![Hint::do_("stop it first: Ctrl-C there, or SIGTERM")]));
    }
    if !yes || held.holders.is_empty() {
        return Ok((None, exit::IN_LINE));
    }
    let unlocked = fleet::unlock(fleet, picture, cluster).await;
    let code = if unlocked.1.is_empty() { exit::IN_LINE } else { exit::NOT_REACHED };
    Ok((Some(unlocked), code))
}

/// Looks at every machine; `None` if it was interrupted.
pub(super) async fn look(options: &Options, env: &mut Env) -> Result<Option<(Arc<Fleet>, Picture)>, Failure> {
    use std::io::Write as _;
    let (desired, mistakes) = Desired::machines(&super::session::source(options, env)?).map_err(unreadable)?;
    if let Some(mistakes) = mistakes {
        let clusters = desired.inventory.clusters.len();
        let text = mistakes.render(Look::Plain);
        // Only for the eye: what is shown does not depend on it.
        drop(writeln!(
            env.err,
            "{text}\nthe inventory has mistakes; the machines of {clusters} of its clusters can be read"
        ));
    }
    let fleet = Arc::new(super::session::fleet(desired, options, env).await?);
    let control = Control::new();
    let signals = std::mem::replace(&mut env.signals, super::Signals::Process);
    let listener = tokio::task::spawn(super::session::listen(signals, control.clone()));
    let picture = super::plan::look(env, &fleet, &control).await;
    listener.abort();
    if picture.is_none() {
        fleet.close().await;
    }
    Ok(picture.map(|picture| (fleet, picture)))
}

pub(super) fn unreadable(error: DesiredError) -> Failure {
    let mut hints = error.hints();
    hints.push(Hint::do_("name a commit at which the inventory could be read: --rev HEAD~1"));
    let failure = Failure::of(&error, hints);
    match error {
        DesiredError::Inventory(mistakes) => Failure { text: mistakes.render(Look::Plain), ..failure },
        DesiredError::Git(_) | DesiredError::Bundles(_) => failure,
    }
}
