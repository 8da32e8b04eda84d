//! `muster doctor`: what stands in the way, here and on the nodes. Changes nothing, here neither.

use std::path::Path;
use std::sync::Arc;

use super::check::counted;
use super::{Env, Format, Options};
use crate::doctor::{Check, Examined, Standing};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{self, Desired, Fleet};
use crate::hint::Hint;
use crate::inventory::Transport;
use crate::report;
use crate::report::doctor::{Here, Report};

/// Looks here, then at the nodes.
pub(super) async fn run(min_free: u64, options: Options, demo: bool, env: &mut Env) -> Result<u8, Failure> {
    let mut here = vec![("journals", journals(&env.state_dir())), ("locale", locale(env))];
    let source = super::session::source(&options, env)?;
    let (desired, mistakes) = match Desired::machines(&source) {
        Ok(read) => read,
        Err(error) => {
            tell_here(&here, options.format, env)?;
            return Err(super::locks::unreadable(error));
        }
    };
    here.insert(
        0,
        ("repository", Check::well(format!("{} @ {}", desired.origin.repository, desired.origin.revision.short()))),
    );
    here.insert(1, ("inventory", inventory(&desired, mistakes.as_ref().map(|mistakes| mistakes.iter().count()))));
    here.insert(2, ("ssh", ssh(&desired, env).await));
    let selection = super::session::selection(&options, &desired)?;
    let fleet = Arc::new(super::session::fleet(desired, &options, env).await?);
    let looked = look(&fleet, &selection, min_free, env).await;
    fleet.close().await;
    let Some(mut nodes) = looked else { return Ok(exit::INTERRUPTED) };
    for (_, check) in nodes.iter_mut().flat_map(|node| &mut node.checks) {
        super::equal::carry(check.fixes.iter_mut(), &options, demo);
    }
    let code = code(&here, &nodes);
    let report = Report { at: (env.clock)(), here, nodes, exit: code };
    let written = match options.format {
        Format::Text => report::doctor::text(&report, &mut env.out),
        Format::Json => report::doctor::json(&report, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing what was found", &error))?;
    Ok(code)
}

/// What is wrong outweighs what is not known.
fn code(here: &[Here], nodes: &[Examined]) -> u8 {
    let here = here.iter().map(|(_, check)| check.standing);
    match here.chain(nodes.iter().map(Examined::standing)).max() {
        Some(Standing::Wrong) => exit::NOT_REACHED,
        Some(Standing::Unknown) => exit::INCOMPLETE,
        Some(Standing::Well) | None => exit::IN_LINE,
    }
}

/// Without an inventory there are no nodes; what is known here is told all the same.
fn tell_here(here: &[Here], format: Format, env: &mut Env) -> Result<(), Failure> {
    if format == Format::Json {
        return Ok(());
    }
    report::doctor::here(here, &mut env.out).map_err(|error| Failure::internal("writing what was found", &error))
}

async fn look(
    fleet: &Fleet,
    selection: &crate::plan::Selection,
    min_free: u64,
    env: &mut Env,
) -> Option<Vec<Examined>> {
    let control = Control::new();
    let signals = std::mem::replace(&mut env.signals, super::Signals::Process);
    let listener = tokio::task::spawn(super::session::listen(signals, control.clone()));
    let chosen = |node: &crate::inventory::Node| selection.node(node);
    let of = fleet.inventory().nodes().filter(|node| node.out.is_none() && chosen(node)).count();
    let progress = super::plan::Progress::new(env, of);
    let one = |_: &crate::name::NodeName, _: &crate::survey::NodeSurvey| progress.one();
    let clock = env.clock.clone();
    let looking = fleet::examined(fleet, &chosen, min_free.saturating_mul(1024), &*clock, &one);
    let looked = tokio::select! {
        looked = looking => Some(looked),
        () = control.interrupted() => None,
    };
    progress.end();
    listener.abort();
    looked
}

fn inventory(desired: &Desired, mistakes: Option<usize>) -> Check {
    let clusters = desired.inventory.clusters.len();
    match mistakes {
        None => {
            let nodes = counted(desired.inventory.nodes().count(), "node");
            Check::well(format!("{nodes} of {}", counted(clusters, "cluster")))
        }
        Some(number) => {
            let number = counted(number, "mistake");
            let text = format!("{number}; the machines of {} can be read", counted(clusters, "cluster"));
            Check::wrong(text, vec![Hint::type_("muster check")])
        }
    }
}

/// The operator's own ssh, which every connection uses.
async fn ssh(desired: &Desired, env: &Env) -> Check {
    if desired.inventory.nodes().all(|node| node.transport == Transport::Local) {
        return Check::well("no node needs it");
    }
    match crate::remote::ssh_version(&env.vars).await {
        Ok(version) => Check::well(version),
        Err(why) => Check::wrong(
            format!("ssh cannot be run: {why}"),
            vec![Hint::do_("install the OpenSSH client, and have it in PATH")],
        ),
    }
}

/// Whether a run could be recorded. Nothing is made: the nearest directory that is there is asked.
fn journals(dir: &Path) -> Check {
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let shown = dir.display();
    if there.is_dir() && nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_ok() {
        return Check::well(format!("runs are recorded in {shown}"));
    }
    let fix = Hint::do_("let it be written, or set XDG_STATE_HOME to a directory that can be");
    Check::wrong(
        format!("no run can be recorded in {shown}: {} is no directory that can be written", there.display()),
        vec![fix],
    )
}

/// Only the terminal UI draws with it, so that nothing stands in the way.
fn locale(env: &Env) -> Check {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        let value = env.vars.get(name).filter(|value| !value.is_empty())?;
        Some(format!("{name}={value}"))
    });
    let set = set.unwrap_or_else(|| "no LANG".to_owned());
    let wide = set.to_lowercase().replace('-', "").contains("utf8");
    Check::well(if wide { set } else { format!("{set}; for the terminal UI rather LANG=C.UTF-8") })
}
