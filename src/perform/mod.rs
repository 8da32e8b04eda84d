//! Carrying out one action on one node: check, change, verify, and the way back.
//!
//! Owns: what is done for an action, over a [`crate::remote::Remote`], one file per action. Must not know: the order of
//! steps, other nodes, budgets, or who watches. Every action is safe to run twice: the second run reports Unchanged.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::hint::Sealed;
use crate::name::{NodeName, NodePath, Owner, Revision, RunId};
use crate::plan::Step;
use crate::remote::{HttpAddress, NodeAddress, Remote, RemoteError};
use crate::run::{CancelLevel, Cause, StepEnd, StepPhase};
use crate::wire::{ArgError, Args};

mod activate;
pub mod admin;
mod call;
pub mod candidate;
mod cause;
mod delete;
mod deliver;
pub mod detail;
pub mod discover;
mod doors;
mod evidence;
mod explain;
#[cfg(test)]
mod gateway;
pub mod inspect;
mod lease;
mod node;
mod order;
pub mod proof;
mod recount;
mod rehearse;
pub mod restore;
mod rows;
#[cfg(test)]
pub(crate) mod scripted;
mod session;
mod standing;
mod unapply;
pub mod undo;
mod validate;

pub use cause::fault_word;
pub(crate) use cause::{cause, of_remote, of_trouble};
pub use deliver::{Cargo, Parcel};
pub use doors::Doors;
pub use node::{NodePerformer, Place};
pub use recount::reapplied;
pub use rehearse::{Trial, on_trial};

use standing::Standing;

/// Everything about one node that an action or a look needs, resolved from the inventory.
#[derive(Clone)]
pub struct Site {
    /// How it is entered.
    pub address: NodeAddress,
    /// kong.conf.
    pub conf: NodePath,
    /// Kong's prefix.
    pub prefix: NodePath,
    /// Where plugin files are installed.
    pub lua_root: NodePath,
    /// muster's own directory.
    pub home: NodePath,
    /// The `kong` command.
    pub cli: NodePath,
    /// The Admin API as the inventory has it; `None`: where `.kong_env` says.
    pub admin: Option<HttpAddress>,
    /// The status API, likewise.
    pub status: Option<HttpAddress>,
    /// The proxy, likewise.
    pub proxy: Option<HttpAddress>,
    /// The Admin API's token.
    pub token: Option<Arc<Sealed<String>>>,
}

/// How the lease of a node was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseRefusal {
    /// Another run holds it.
    Held(Cause),
    /// The node could not be asked.
    Failed(Cause),
}

/// What a running step reports, and what it is told.
pub trait Watch: Send + Sync {
    /// A phase passed, with what is seen.
    fn phase(&self, phase: StepPhase, text: String);
    /// A line was printed.
    fn printed(&self, line: String);
    /// The proof holds; called once, before the commit.
    fn proven(&self, text: String);
    /// How hard the run is being cancelled now.
    fn cancelled(&self) -> Option<CancelLevel>;
}

/// Carries out steps. `execute` speaks to nodes through this alone, so that its tests need none.
#[async_trait]
pub trait Perform: Send + Sync {
    /// Takes the node's lease for this run; again and again is harmless.
    async fn acquire(&self, node: &NodeName) -> Result<(), LeaseRefusal>;
    /// Carries out a step to its end, whatever that is.
    async fn perform(&self, step: &Step, watch: &dyn Watch) -> StepEnd;
    /// Whether the node is healthy during the soak: `Err` with what was seen.
    async fn healthy(&self, node: &NodeName) -> Result<(), Cause>;
    /// Gives the node's lease back; a failure is only logged, as leases expire.
    async fn release(&self, node: &NodeName);
}

/// The way to nodes: connections that somebody keeps.
#[async_trait]
pub trait Reach: Send + Sync {
    /// The connection to a node, made now if there is none that lives.
    async fn reach(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError>;
    /// Closes the connection to a node, if there is one; the next [`Reach::reach`] makes another.
    async fn forget(&self, node: &NodeName);
}

/// What is known here of the runs of others.
pub trait Peers: Send + Sync {
    /// Whether this run, which was this operator's (`user@host`), is known to have ended. `false` when in doubt.
    fn has_ended(&self, run: &RunId, holder: &str) -> bool;
}

/// Keeps undo bundles where they outlive the run, for the operator alone to read.
pub trait UndoKeeper: Send + Sync {
    /// The time, for the head of a bundle.
    fn now(&self) -> Timestamp;
    /// Keeps a bundle under a name that is free and begins like this one, and makes it durable before it returns. Where it is,
    /// as a person is told.
    fn keep(&self, name: &str, text: &Sealed<String>) -> std::io::Result<String>;
}

/// Who changes nodes, as their leases, receipts and undo bundles have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// The run.
    pub run: RunId,
    /// Whose inventory is applied.
    pub owner: Owner,
    /// The commit that was planned from.
    pub commit: Revision,
    /// Its operator, `user@host`.
    pub holder: String,
    /// For how long a lease is taken; every changing script renews it.
    pub ttl: Duration,
}

/// Takes a lease away from the run that has it, if it is still the one that was seen (`muster unlock`). An armed guard of that
/// run keeps it: it will put the node back first.
pub async fn break_lease(remote: &dyn Remote, site: &Site, lease: &crate::wire::Lease) -> Result<(), LeaseRefusal> {
    lease::take_away(remote, site, lease).await
}

/// How an activation is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After how long the guard on a node puts back by itself.
    pub guard: Duration,
    /// How long the new workers have to stay the same ones before the commit.
    pub settle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { guard: Duration::from_mins(5), settle: Duration::from_secs(1) }
    }
}

/// The lease of one node, as a changing script has to show it.
pub(crate) struct Lease<'a> {
    pub(crate) identity: &'a RunIdentity,
    pub(crate) generation: u64,
}

impl Lease<'_> {
    fn arguments(&self, args: Args, step: u32) -> Result<Args, ArgError> {
        args.with("run", self.identity.run.as_str())?
            .with("commit", self.identity.commit.as_str())?
            .with("step", step.to_string())?
            .with("generation", self.generation.to_string())?
            .with("ttl", self.identity.ttl.as_secs().to_string())
    }
}
