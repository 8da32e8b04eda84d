//! After a wave: its nodes have to stay healthy before the next one begins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::dispatcher::{Dispatcher, Turn};
use super::errand::{Answer, Errand, cause};
use super::lane::Budget;
use crate::name::NodeName;
use crate::plan::{ClusterPlan, Wave};
use crate::run::{CancelLevel, Cause, EventKind, NodeRun};

/// How long one answer about a node's health may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The nodes under watch.
struct Watched {
    healthy: BTreeSet<NodeName>,
    /// Seen unhealthy once. Twice in a row is needed, as one lost packet must not stop a rollout.
    suspect: BTreeSet<NodeName>,
}

impl Dispatcher {
    /// Watches the proven nodes of a wave for the cluster's soak. A node that is unhealthy counts against the budget; once
    /// that is spent, or the run is cancelled harder than "no next wave", the rest of the soak is not waited for.
    pub(super) async fn soak(&mut self, cluster: &ClusterPlan, wave: &Wave, budget: &mut Budget) {
        if cluster.soak > 0 && !self.proven(wave).is_empty() {
            self.wait_for(Some((&format!("wave {} to stay healthy", wave.number), Some(cluster.soak))));
            let whole = self.watch(cluster, wave, budget).await;
            self.wait_for(None);
            if !whole {
                return;
            }
        }
        if self.proven(wave).is_empty() {
            return;
        }
        let (cluster, soak) = (cluster.cluster.clone(), cluster.soak);
        self.record(EventKind::WaveProven { cluster, wave: wave.number, soak });
    }

    /// The nodes of a wave on which everything held until now.
    fn proven(&self, wave: &Wave) -> BTreeSet<NodeName> {
        let proven = |node: &&NodeName| self.state.nodes.get(*node).is_some_and(NodeRun::proven);
        wave.nodes.iter().filter(proven).cloned().collect()
    }

    async fn watch(&mut self, cluster: &ClusterPlan, wave: &Wave, budget: &mut Budget) -> bool {
        let mut watched = Watched { healthy: self.proven(wave), suspect: BTreeSet::new() };
        let pace = Duration::from_secs((cluster.soak / 10).clamp(1, 5));
        let end = Instant::now() + Duration::from_secs(cluster.soak);
        loop {
            let last = Instant::now() >= end;
            self.poll(cluster, &mut watched, budget).await;
            if budget.spent.is_some() || self.cancel() >= Some(CancelLevel::AfterSteps) {
                return false;
            }
            if last {
                // Whoever was healthy at the end has stood the soak; only those in doubt are asked once more.
                watched.healthy.clear();
                if watched.suspect.is_empty() {
                    return true;
                }
            }
            let next = Instant::now() + pace;
            if !self.rest(if last { next } else { next.min(end) }).await {
                return false;
            }
        }
    }

    /// Waits until then; false when the run is cancelled meanwhile.
    async fn rest(&mut self, until: Instant) -> bool {
        while self.cancel() < Some(CancelLevel::AfterSteps) {
            if let Turn::Time = self.next(Some(until)).await {
                return true;
            }
        }
        false
    }

    /// Asks every watched node once.
    async fn poll(&mut self, cluster: &ClusterPlan, watched: &mut Watched, budget: &mut Budget) {
        let mut nodes = watched.healthy.union(&watched.suspect).cloned().collect::<Vec<_>>().into_iter();
        loop {
            while self.out() < cluster.at_once.max(1) && self.cancel() < Some(CancelLevel::AfterSteps) {
                let Some(node) = nodes.next() else { break };
                let (perform, asked) = (Arc::clone(&self.perform), node.clone());
                self.send(Errand::Health(node), async move {
                    let late = || Err(cause("timed-out", format!("no answer in {} s", ANSWER.as_secs())));
                    Answer::Health(timeout(ANSWER, perform.healthy(&asked)).await.unwrap_or_else(|_| late()))
                });
            }
            if self.out() == 0 {
                return;
            }
            if let Turn::Health(node, result) = self.next(None).await {
                self.judge(cluster, watched, budget, node, result);
            }
        }
    }

    fn judge(
        &mut self,
        cluster: &ClusterPlan,
        watched: &mut Watched,
        budget: &mut Budget,
        node: NodeName,
        result: Result<(), Cause>,
    ) {
        match result {
            Ok(()) => {
                watched.suspect.remove(&node);
                watched.healthy.insert(node);
            }
            Err(_) if self.cancel() >= Some(CancelLevel::LeaveSteps) => {}
            Err(_) if watched.healthy.remove(&node) => {
                watched.suspect.insert(node);
            }
            Err(cause) => {
                watched.suspect.remove(&node);
                self.record(EventKind::NodeUnhealthy { node, cause });
                budget.count(cluster, true);
            }
        }
    }
}
