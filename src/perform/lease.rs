//! The lease of a node: only the run that holds it may change anything there (protocols.md A, "Lease").

use std::time::Duration;

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::NodeName;
use crate::remote::{Call, Remote, Script};
use crate::run::Cause;
use crate::wire::{ArgError, Args, Status};

use super::call::{self, Told};
use super::cause::{advised, cause};
use super::{LeaseRefusal, RunIdentity, Site};

/// What the lease script is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Take it, or find that it is ours already.
    Take,
    /// Give it back.
    Release(u64),
}

fn arguments(site: &Site, run: &RunIdentity, errand: Errand) -> Result<Args, ArgError> {
    let args = Args::new()
        .with("home", site.home.as_str())?
        .with("run", run.run.as_str())?
        .with("ttl", run.ttl.as_secs().to_string())?;
    match errand {
        Errand::Take => args.with("op", "take")?.with("holder", &run.holder),
        Errand::Release(generation) => args.with("op", "release")?.with("generation", generation.to_string()),
    }
}

/// Runs the script; the generation that is ours afterwards.
pub(crate) async fn run(
    remote: &dyn Remote,
    site: &Site,
    run: &RunIdentity,
    errand: Errand,
) -> Result<u64, LeaseRefusal> {
    let args = arguments(site, run, errand).map_err(|e| LeaseRefusal::Failed(cause("not-sent", e.to_string())))?;
    let call = Call { script: Script::Lease, args, payload: None, deadline: Duration::from_secs(70) };
    let told = call::to_the_end(remote, call).await.map_err(LeaseRefusal::Failed)?;
    match told.status {
        Status::Changed | Status::Unchanged => match (told.find("lease").and_then(|r| r.number(0)), errand) {
            (Some(generation), _) | (None, Errand::Release(generation)) => Ok(generation),
            (None, Errand::Take) => {
                Err(LeaseRefusal::Failed(cause("garbled", "the lease was taken, and its generation was not told")))
            }
        },
        Status::Locked => Err(LeaseRefusal::Held(held(&site.address.node, &told))),
        _ => Err(LeaseRefusal::Failed(told.cause("the lease", &site.address.node))),
    }
}

/// Who holds a node, for how long, and what to do.
pub(crate) fn held(node: &NodeName, told: &Told) -> Cause {
    let Some(locked) = told.find("locked") else { return cause("locked", format!("{node} is held")) };
    let text = |index| locked.text(index).map(|text| printable(&text, 200)).unwrap_or_default();
    let left: u64 = locked.number(2).unwrap_or_default();
    match text(0).as_str() {
        "guard" => advised(
            "locked",
            format!("{node} is guarded by step {} of an unfinished run, for {left} s more", text(1)),
            Hint::do_("wait: the guard puts the node back by itself"),
        ),
        "script" => advised("locked", format!("another script of muster runs on {node}"), Hint::do_("try again")),
        holder => advised(
            "locked",
            format!("{node} is held by {holder}, run {}, for {left} s more", text(1)),
            Hint::do_("wait for that run, or ask its operator; if it has died, its lease ends by itself"),
        ),
    }
}
