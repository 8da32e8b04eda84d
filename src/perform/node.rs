//! Carrying out the steps of a plan on real nodes: [`Perform`] over the connections that the fleet keeps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::action::Action;
use crate::name::NodeName;
use crate::plan::Step;
use crate::remote::{Fault, Remote, RemoteError};
use crate::run::{Cause, StepEnd};

use super::activate::Activation;
use super::cause::{cause, of_remote};
use super::lease::{self, Errand};
use super::{Cargo, Doors, Lease, LeaseRefusal, Perform, Reach, RunIdentity, Settings, Site, Standing, Watch, deliver};

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
}

/// Carries out steps over a pool of connections.
pub struct NodePerformer {
    reach: Arc<dyn Reach>,
    places: BTreeMap<NodeName, Place>,
    cargo: Arc<dyn Cargo>,
    identity: RunIdentity,
    settings: Settings,
    held: Mutex<HashMap<NodeName, Held>>,
}

impl NodePerformer {
    /// For one run. Every node of the plan has to be among the places.
    pub fn new(
        reach: Arc<dyn Reach>,
        places: BTreeMap<NodeName, Place>,
        cargo: Arc<dyn Cargo>,
        identity: RunIdentity,
        settings: Settings,
    ) -> Self {
        Self { reach, places, cargo, identity, settings, held: Mutex::default() }
    }

    fn held<T>(&self, node: &NodeName, act: impl FnOnce(&mut Held) -> T) -> T {
        // Each change is one assignment, so a panic elsewhere leaves the map whole.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        act(held.entry(node.clone()).or_default())
    }

    fn place(&self, node: &NodeName) -> Result<&Place, Cause> {
        self.places.get(node).ok_or_else(|| cause("unknown-node", format!("{node} is not in this run's inventory")))
    }

    async fn remote(&self, place: &Place) -> Result<Arc<dyn Remote>, RemoteError> {
        self.reach.reach(&place.site.address).await
    }

    async fn take(&self, node: &NodeName) -> Result<u64, LeaseRefusal> {
        let place = self.place(node).map_err(LeaseRefusal::Failed)?;
        let remote = self.remote(place).await.map_err(|error| LeaseRefusal::Failed(of_remote(&error)))?;
        let generation = lease::run(&*remote, &place.site, &self.identity, Errand::Take).await?;
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

    async fn carry_out(&self, place: &Place, step: &Step, watch: &dyn Watch) -> Result<StepEnd, Cause> {
        let node = step.target.node();
        let lease = Lease { identity: &self.identity, generation: self.generation(node).await? };
        let remote = self.remote(place).await.map_err(|error| of_remote(&error))?;
        match &step.action {
            Action::Deliver(action) => {
                let number = step.id.number();
                Ok(deliver::perform(&*remote, &place.site, &lease, number, action, &*self.cargo, watch).await)
            }
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
                };
                let (end, standing) = activation.perform().await;
                let done = matches!(end, StepEnd::Done { .. });
                self.held(node, |held| held.standing = standing.filter(|_| done));
                Ok(end)
            }
        }
    }
}

#[async_trait]
impl Perform for NodePerformer {
    async fn acquire(&self, node: &NodeName) -> Result<(), LeaseRefusal> {
        self.take(node).await.map(drop)
    }

    async fn perform(&self, step: &Step, watch: &dyn Watch) -> StepEnd {
        let node = step.target.node();
        let end = match self.place(node) {
            // Nothing was begun on the node.
            Err(cause) => StepEnd::Failed { cause },
            Ok(place) => self.carry_out(place, step, watch).await.unwrap_or_else(|cause| StepEnd::Failed { cause }),
        };
        if matches!(end, StepEnd::Unknown { .. }) {
            // Whatever made it so, the next one who asks gets a connection of its own.
            self.reach.forget(node).await;
        }
        end
    }

    async fn healthy(&self, node: &NodeName) -> Result<(), Cause> {
        let Some(mut standing) = self.held(node, |held| held.standing.clone()) else { return Ok(()) };
        let place = self.place(node)?;
        let remote = match self.remote(place).await {
            Err(error) if error.fault == Fault::Lost => self.remote(place).await,
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
        let released = match self.remote(place).await {
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
