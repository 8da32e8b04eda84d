//! Carrying out the steps of a plan on real nodes: [`Perform`] over the connections that the fleet keeps.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::sync::OwnedMutexGuard;

use crate::action::Action;
use crate::name::NodeName;
use crate::plan::{Step, Target};
use crate::remote::{Fault, Remote, RemoteError};
use crate::run::{Cause, StepEnd};

use super::activate::Activation;
use super::admin::Face;
use super::cause::{cause, of_remote, of_trouble};
use super::lease::{self, Errand};
use super::recount::Elsewhere;
use super::unapply::Unapplying;
use super::{
    Cargo, Doors, Lease, LeaseRefusal, Peers, Perform, Reach, RunIdentity, Settings, Site, Standing, UndoKeeper, Watch,
    delete, deliver, rehearse,
};

/// A node with its faces.
#[derive(Clone)]
pub struct Place {
    /// The node.
    pub site: Site,
    /// Where its Admin API, status API and proxy are: from the inventory, or from the survey that the plan stands on.
    pub doors: Doors,
}

/// What is kept of one node during a run.
#[derive(Default, Clone)]
struct Held {
    generation: Option<u64>,
    standing: Option<Standing>,
    /// Whoever speaks to the node has it: where one session is allowed, a lease renewed in between would refuse a step.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Carries out steps over a pool of connections.
pub struct NodePerformer {
    reach: Arc<dyn Reach>,
    places: Mutex<BTreeMap<NodeName, Arc<Place>>>,
    cargo: Arc<dyn Cargo>,
    identity: RunIdentity,
    settings: Settings,
    peers: Option<Arc<dyn Peers>>,
    undo: Option<Arc<dyn UndoKeeper>>,
    held: Mutex<HashMap<NodeName, Held>>,
}

/// How many leases are renewed at once.
const RENEWALS: usize = 8;

impl NodePerformer {
    /// For one run. Every node of the plan has to be among the places; those of a plan that is added later,
    /// [`NodePerformer::at`] adds.
    pub fn new(
        reach: Arc<dyn Reach>,
        places: BTreeMap<NodeName, Place>,
        cargo: Arc<dyn Cargo>,
        identity: RunIdentity,
        settings: Settings,
    ) -> Self {
        let places = Mutex::new(places.into_iter().map(|(node, place)| (node, Arc::new(place))).collect());
        Self { reach, places, cargo, identity, settings, peers: None, undo: None, held: Mutex::default() }
    }

    /// These nodes are at these places from here on: a node may be seen for the first time in the middle of a run, and one
    /// that was seen again may have moved its faces.
    pub fn at(&self, places: BTreeMap<NodeName, Place>) {
        let places = places.into_iter().map(|(node, place)| (node, Arc::new(place)));
        self.places.lock().unwrap_or_else(PoisonError::into_inner).extend(places);
    }

    /// The same, taking leases over from runs that these know to have died.
    #[must_use]
    pub fn beside(mut self, peers: Arc<dyn Peers>) -> Self {
        self.peers = Some(peers);
        self
    }

    /// The same, keeping undo bundles here. Without it no row is deleted.
    #[must_use]
    pub fn keeping(mut self, undo: Arc<dyn UndoKeeper>) -> Self {
        self.undo = Some(undo);
        self
    }

    pub(super) fn undo(&self) -> Option<&dyn UndoKeeper> {
        self.undo.as_deref()
    }

    pub(super) const fn identity(&self) -> &RunIdentity {
        &self.identity
    }

    /// What is known of the connection to this node is no longer believed.
    pub(super) async fn forget(&self, node: &NodeName) {
        self.reach.forget(node).await;
    }

    /// Sees to it that the node's lease is this run's, as the node itself says.
    pub(super) async fn secure(&self, node: &NodeName) -> Result<(), LeaseRefusal> {
        let _turn = self.turn(node).await;
        let Some(generation) = self.held(node, |held| held.generation) else { return self.take(node).await.map(drop) };
        let place = self.place(node).map_err(LeaseRefusal::Failed)?;
        let remote = self.remote(&place).await.map_err(|error| LeaseRefusal::Failed(of_remote(&error)))?;
        lease::run(&*remote, &place.site, &self.identity, Errand::Renew(generation)).await.map(drop)
    }

    /// Renews what is held, each time after so long, until it is dropped: so a lease may be short, and a run that died is
    /// out of the way soon. A node that is being spoken to is left out, as its step's scripts renew by themselves; a lease
    /// that cannot be renewed is found out by the next step, which the node refuses.
    pub async fn keep(&self, every: Duration) -> Infallible {
        loop {
            tokio::time::sleep(every).await;
            let nodes: Vec<NodeName> = {
                let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.iter().filter(|(_, held)| held.generation.is_some()).map(|(node, _)| node.clone()).collect()
            };
            futures_util::stream::iter(nodes).for_each_concurrent(RENEWALS, |node| self.renew(node)).await;
        }
    }

    async fn renew(&self, node: NodeName) {
        let (generation, turn) = self.held(&node, |held| (held.generation, Arc::clone(&held.turn)));
        let (Some(generation), Ok(_turn), Ok(place)) = (generation, turn.try_lock(), self.place(&node)) else { return };
        let Ok(remote) = self.remote(&place).await else { return };
        if let Err(refusal) = lease::run(&*remote, &place.site, &self.identity, Errand::Renew(generation)).await {
            tracing::debug!(%node, ?refusal, "the lease was not renewed");
        }
    }

    async fn turn(&self, node: &NodeName) -> OwnedMutexGuard<()> {
        let turn = self.held(node, |held| Arc::clone(&held.turn));
        turn.lock_owned().await
    }

    fn held<T>(&self, node: &NodeName, act: impl FnOnce(&mut Held) -> T) -> T {
        // Each change is one assignment, so a panic elsewhere leaves the map whole.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        act(held.entry(node.clone()).or_default())
    }

    fn place(&self, node: &NodeName) -> Result<Arc<Place>, Cause> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(node).cloned();
        place.ok_or_else(|| cause("unknown-node", format!("{node} was not seen by this run")))
    }

    async fn remote(&self, place: &Place) -> Result<Arc<dyn Remote>, RemoteError> {
        self.reach.reach(&place.site.address).await
    }

    async fn take(&self, node: &NodeName) -> Result<u64, LeaseRefusal> {
        let place = self.place(node).map_err(LeaseRefusal::Failed)?;
        let remote = self.remote(&place).await.map_err(|error| LeaseRefusal::Failed(of_remote(&error)))?;
        let generation = lease::take(&*remote, &place.site, &self.identity, self.peers.as_deref()).await?;
        self.held(node, |held| held.generation = Some(generation));
        Ok(generation)
    }

    async fn generation(&self, node: &NodeName) -> Result<u64, Cause> {
        match self.held(node, |held| held.generation) {
            Some(generation) => Ok(generation),
            None => self.take(node).await.map_err(|refusal| match refusal {
                LeaseRefusal::Held(cause) | LeaseRefusal::Failed(cause) => cause,
            }),
        }
    }

    async fn on_node(&self, node: &NodeName, step: &Step, watch: &dyn Watch) -> StepEnd {
        let _turn = self.turn(node).await;
        let end = match self.place(node) {
            // Nothing was begun on the node.
            Err(cause) => StepEnd::Failed { cause },
            Ok(place) => {
                self.carry_out(node, &place, step, watch).await.unwrap_or_else(|cause| StepEnd::Failed { cause })
            }
        };
        if matches!(end, StepEnd::Unknown { .. }) {
            // Whatever made it so, the next one who asks gets a connection of its own.
            self.reach.forget(node).await;
            // Nothing more is done there by this run, so its lease ends by its time.
            self.held(node, |held| held.generation = None);
        }
        end
    }

    async fn on_cluster(&self, step: &Step, watch: &dyn Watch) -> StepEnd {
        let Action::Unapply(unapply) = &step.action else {
            return StepEnd::Failed { cause: cause("internal", "no step of a cluster") };
        };
        let ours = |node: &NodeName| self.held(node, |held| held.generation).is_some();
        let foreign: Vec<&NodeName> = unapply.through.iter().filter(|node| !ours(node)).collect();
        let end = Unapplying { performer: self, cluster: &step.cluster, unapply, watch }.perform().await;
        // Leases that were taken for this alone are nobody else's to give back.
        for node in foreign {
            self.release(node).await;
        }
        end
    }

    async fn carry_out(
        &self,
        node: &NodeName,
        place: &Place,
        step: &Step,
        watch: &dyn Watch,
    ) -> Result<StepEnd, Cause> {
        let lease = Lease { identity: &self.identity, generation: self.generation(node).await? };
        let remote = self.remote(place).await.map_err(|error| of_remote(&error))?;
        match &step.action {
            Action::Deliver(action) => {
                let number = step.id.number();
                Ok(deliver::perform(&*remote, &place.site, &lease, number, action, &*self.cargo, watch).await)
            }
            Action::Rehearse(action) => Ok(rehearse::perform(&*remote, &place.site, action, watch).await),
            Action::Activate(action) => {
                let activation = Activation {
                    remote: &*remote,
                    site: &place.site,
                    doors: &place.doors,
                    lease: &lease,
                    step: step.id.number(),
                    activate: action,
                    settings: &self.settings,
                    watch,
                    elsewhere: self,
                };
                let (end, standing) = activation.perform().await;
                let done = matches!(end, StepEnd::Done { .. });
                self.held(node, |held| held.standing = standing.filter(|_| done));
                Ok(end)
            }
            Action::Delete(action) => {
                let number = step.id.number();
                Ok(delete::perform(&*remote, &place.site, &lease, number, action, watch).await)
            }
            Action::Unapply(_) | Action::Fence(_) => Err(cause("internal", "no step of a node")),
        }
    }
}

#[async_trait]
impl Elsewhere for NodePerformer {
    async fn admin(&self, node: &NodeName) -> Result<(Arc<dyn Remote>, Face), Cause> {
        let place = self.place(node)?;
        let face = place.doors.admin.clone().map_err(of_trouble)?;
        let remote = self.remote(&place).await.map_err(|error| of_remote(&error))?;
        Ok((remote, face))
    }
}

#[async_trait]
impl Perform for NodePerformer {
    async fn acquire(&self, node: &NodeName) -> Result<(), LeaseRefusal> {
        let _turn = self.turn(node).await;
        self.take(node).await.map(drop)
    }

    async fn perform(&self, step: &Step, watch: &dyn Watch) -> StepEnd {
        match &step.target {
            Target::Node(node) => self.on_node(node, step, watch).await,
            Target::Cluster => self.on_cluster(step, watch).await,
        }
    }

    async fn healthy(&self, node: &NodeName) -> Result<(), Cause> {
        let Some(mut standing) = self.held(node, |held| held.standing.clone()) else { return Ok(()) };
        let place = self.place(node)?;
        let _turn = self.turn(node).await;
        let remote = match self.remote(&place).await {
            Err(error) if error.fault == Fault::Lost => self.remote(&place).await,
            other => other,
        };
        let remote = remote.map_err(|error| of_remote(&error))?;
        let found = standing.check(&*remote, &place.site).await;
        if found.as_ref().is_err_and(|cause| cause.code == "lost") {
            self.reach.forget(node).await;
        }
        self.held(node, |held| held.standing = Some(standing));
        found
    }

    async fn release(&self, node: &NodeName) {
        let Some(generation) = self.held(node, |held| held.generation.take()) else { return };
        let Ok(place) = self.place(node) else { return };
        let _turn = self.turn(node).await;
        let released = match self.remote(&place).await {
            Ok(remote) => {
                lease::run(&*remote, &place.site, &self.identity, Errand::Release(generation)).await.map(drop)
            }
            Err(error) => Err(LeaseRefusal::Failed(of_remote(&error))),
        };
        if let Err(LeaseRefusal::Held(cause) | LeaseRefusal::Failed(cause)) = released {
            tracing::warn!(%node, code = cause.code, "the lease was not given back; it ends by its time: {}", cause.text);
        }
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
