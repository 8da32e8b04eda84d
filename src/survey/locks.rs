//! Who holds which nodes, as it was seen: leases in force, and guards that are still there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{GuardFacts, NodeFacts, NodeSurvey, Survey};
use crate::name::{NodeName, RunId};
use crate::wire::Lease;

/// One run that holds nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Who, `user@host`.
    pub who: String,
    /// The run.
    pub run: RunId,
    /// The nodes, with the seconds until each lease ends unless it is renewed.
    pub nodes: BTreeMap<NodeName, u64>,
}

/// A guard that will put a node back, or has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guarded {
    /// `armed`, `confirmed` or `fired`.
    pub state: String,
    /// The run and step.
    pub step: String,
    /// Seconds until it fires; negative when it should have.
    pub left: i64,
    /// Its process lives.
    pub alive: bool,
}

/// The leases of some nodes, mostly those of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Locks {
    /// Who holds nodes of it.
    pub holders: Vec<Holder>,
    /// Guards on its nodes.
    pub guards: BTreeMap<NodeName, Guarded>,
    /// Nodes that nobody holds.
    pub free: BTreeSet<NodeName>,
    /// Nodes of which it is not known, and why.
    pub unknown: BTreeMap<NodeName, String>,
}

/// The lease of a node, if it is in force, and for how many seconds more.
pub fn in_force(facts: &NodeFacts) -> Option<(&Lease, u64)> {
    let lease = facts.lease.as_ref()?.as_ref().ok()?;
    let left = lease.expires.checked_sub(facts.host.uptime).filter(|left| *left > 0)?;
    (lease.boot == facts.host.boot).then_some((lease, left))
}

impl Locks {
    /// Of these nodes.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a NodeName>, survey: &Survey) -> Self {
        let mut locks = Self::default();
        for node in nodes {
            match survey.nodes.get(node) {
                Some(NodeSurvey::Seen(facts)) => locks.add(node, facts),
                Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) => {
                    locks.unknown.insert(node.clone(), trouble.text.clone());
                }
                None => {}
            }
        }
        locks
    }

    fn add(&mut self, node: &NodeName, facts: &NodeFacts) {
        if let Some(GuardFacts { state, step, left, alive }) = facts.guard.clone() {
            self.guards.insert(node.clone(), Guarded { state, step, left, alive });
        }
        match (in_force(facts), &facts.lease) {
            (Some((lease, left)), _) => self.held(node, lease, left),
            (None, Some(Err(why))) => {
                self.unknown.insert(node.clone(), format!("its lease cannot be read: {why}"));
            }
            (None, _) => drop(self.free.insert(node.clone())),
        }
    }

    fn held(&mut self, node: &NodeName, lease: &Lease, left: u64) {
        let known = self.holders.iter_mut().find(|holder| holder.run == lease.run);
        if let Some(holder) = known {
            holder.nodes.insert(node.clone(), left);
            return;
        }
        let nodes = BTreeMap::from([(node.clone(), left)]);
        self.holders.push(Holder { who: lease.holder.clone(), run: lease.run.clone(), nodes });
    }
}
