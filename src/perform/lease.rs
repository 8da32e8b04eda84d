//! The lease of a node: only the run that holds it may change anything there (protocols.md A, "Lease").

use std::time::Duration;

use tokio::time::Instant;

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::{NodeName, RunId};
use crate::remote::{Call, Remote, Script};
use crate::run::Cause;
use crate::wire::{ArgError, Args, Lease, Status};

use super::call::{self, Told};
use super::cause::{advised, cause};
use super::{LeaseRefusal, Peers, RunIdentity, Site};

/// How long the script may take; it has a deadline of its own before this one.
const DEADLINE: Duration = Duration::from_secs(70);

/// For how long a run that began later is given to give a node back: of two that each took some of the same nodes the later one
/// ends at once, and without this the earlier one would end as well, at the nodes that the later one has for a moment more.
const YIELDS: Duration = Duration::from_secs(5);
/// How often it is asked again meanwhile.
const PACE: Duration = Duration::from_millis(200);

/// What the lease script is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Take it, or find that it is ours already; from this run, if it has it, as that is dead.
    Take { dead: Option<RunId> },
    /// Hold it for longer.
    Renew(u64),
    /// Give it back.
    Release(u64),
}

fn arguments(site: &Site, run: &RunIdentity, errand: &Errand) -> Result<Args, ArgError> {
    let args = Args::new()
        .with("home", site.home.as_str())?
        .with("run", run.run.as_str())?
        .with("ttl", run.ttl.as_secs().to_string())?;
    match errand {
        Errand::Take { dead } => {
            let args = args.with("op", "take")?.with("holder", &run.holder)?;
            args.with("dead", dead.as_ref().map_or("", RunId::as_str))
        }
        Errand::Renew(generation) => args.with("op", "renew")?.with("generation", generation.to_string()),
        Errand::Release(generation) => args.with("op", "release")?.with("generation", generation.to_string()),
    }
}

/// Takes the lease; the generation that is ours afterwards. A lease whose run is known to have died is taken from it: that
/// run's scripts are kept away by the kernel lock and the generation, and an armed guard keeps us away (protocols.md A). One of a
/// run that began later than this one may be given back at once, and is asked for again for a moment.
pub(crate) async fn take(
    remote: &dyn Remote,
    site: &Site,
    identity: &RunIdentity,
    peers: Option<&dyn Peers>,
) -> Result<u64, LeaseRefusal> {
    let until = Instant::now() + YIELDS;
    loop {
        let told = ask(remote, site, identity, &Errand::Take { dead: None }).await?;
        match holder(&told) {
            Some((run, who)) if peers.is_some_and(|peers| peers.has_ended(&run, &who)) => {
                return self::run(remote, site, identity, Errand::Take { dead: Some(run) }).await;
            }
            Some((run, _)) if run > identity.run && Instant::now() < until => tokio::time::sleep(PACE).await,
            _ => return generation(site, &told, &Errand::Take { dead: None }),
        }
    }
}

/// Takes it away from whoever has it, as a person says so: that run's scripts find another generation.
pub(crate) async fn take_away(remote: &dyn Remote, site: &Site, lease: &Lease) -> Result<(), LeaseRefusal> {
    let args = || {
        let args = Args::new().with("home", site.home.as_str())?.with("op", "break")?;
        args.with("run", lease.run.as_str())?.with("generation", lease.generation.to_string())
    };
    let args = args().map_err(|e| LeaseRefusal::Failed(cause("not-sent", e.to_string())))?;
    let call = Call { script: Script::Lease, args, payload: None, deadline: DEADLINE };
    let told = call::to_the_end(remote, call).await.map_err(LeaseRefusal::Failed)?;
    generation(site, &told, &Errand::Release(lease.generation)).map(drop)
}

/// Whose lease it is, if a run has it.
fn holder(told: &Told) -> Option<(RunId, String)> {
    let locked = told.find("locked").filter(|_| told.status == Status::Locked)?;
    let text = |index| locked.text(index);
    Some((RunId::parse(&text(1)?).ok()?, text(0)?))
}

/// Runs the script; the generation that is ours afterwards.
pub(crate) async fn run(
    remote: &dyn Remote,
    site: &Site,
    identity: &RunIdentity,
    errand: Errand,
) -> Result<u64, LeaseRefusal> {
    let told = ask(remote, site, identity, &errand).await?;
    generation(site, &told, &errand)
}

async fn ask(remote: &dyn Remote, site: &Site, run: &RunIdentity, errand: &Errand) -> Result<Told, LeaseRefusal> {
    let args = arguments(site, run, errand).map_err(|e| LeaseRefusal::Failed(cause("not-sent", e.to_string())))?;
    let call = Call { script: Script::Lease, args, payload: None, deadline: DEADLINE };
    call::to_the_end(remote, call).await.map_err(LeaseRefusal::Failed)
}

fn generation(site: &Site, told: &Told, errand: &Errand) -> Result<u64, LeaseRefusal> {
    match told.status {
        Status::Changed | Status::Unchanged => match (told.find("lease").and_then(|r| r.number(0)), errand) {
            (Some(generation), _) => Ok(generation),
            (None, Errand::Release(generation) | Errand::Renew(generation)) => Ok(*generation),
            (None, Errand::Take { .. }) => {
                Err(LeaseRefusal::Failed(cause("garbled", "the lease was taken, and its generation was not told")))
            }
        },
        Status::Locked => Err(LeaseRefusal::Held(held(&site.address.node, told))),
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
            Hint::do_(format!(
                "wait for that run, or ask its operator; should it have died, this node is free in {left} s"
            )),
        ),
    }
}
