//! What a node is asked to do, in a task of its own, and what it says meanwhile.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, watch};

use super::Looked;
use super::control::Orders;
use super::dispatcher::Proof;
use crate::name::{ClusterName, NodeName};
use crate::perform::{LeaseRefusal, Watch};
use crate::plan::{Plan, Step, StepId, Target};
use crate::run::{CancelLevel, Cause, EventKind, StepEnd, StepPhase};

/// An errand that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    Lease(NodeName),
    Release(NodeName),
    Step(StepId),
    Health(NodeName),
    Look,
    PlanBack,
}

/// What an errand came back with.
#[derive(Debug)]
pub(super) enum Answer {
    Lease(Result<(), LeaseRefusal>),
    Released,
    Step(StepEnd),
    Health(Result<(), Cause>),
    Looked(Looked),
    PlanBack(Option<Box<Plan>>),
}

/// What a step works on.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Node(NodeName),
    Cluster(ClusterName),
}

impl Subject {
    /// Of this step.
    pub(super) fn of(step: &Step) -> Self {
        match &step.target {
            Target::Node(node) => Self::Node(node.clone()),
            Target::Cluster => Self::Cluster(step.cluster.clone()),
        }
    }
}

/// What a worker is given: how it reports, and what it is told.
///
/// The proof is a fact, so its channel has no bound: there is at most one for each running step, which is the bound.
/// Chatter is dropped when its channel is full. Neither ever waits for the dispatcher.
pub(super) struct Lookout {
    pub(super) step: StepId,
    pub(super) subject: Subject,
    pub(super) facts: mpsc::UnboundedSender<Proof>,
    pub(super) chatter: mpsc::Sender<EventKind>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) proven: AtomicBool,
}

impl Watch for Lookout {
    fn phase(&self, phase: StepPhase, text: String) {
        let step = self.step;
        let _ = self.chatter.try_send(match self.subject.clone() {
            Subject::Node(node) => EventKind::StepProgressed { step, node, phase, text },
            Subject::Cluster(cluster) => EventKind::ClusterStepProgressed { step, cluster, text },
        });
    }

    fn printed(&self, line: String) {
        let step = self.step;
        let _ = self.chatter.try_send(match self.subject.clone() {
            Subject::Node(node) => EventKind::StepPrinted { step, node, line },
            Subject::Cluster(cluster) => EventKind::ClusterStepProgressed { step, cluster, text: line },
        });
    }

    fn proven(&self, text: String) {
        if !self.proven.swap(true, Ordering::Relaxed) {
            let step = self.step;
            let fact = match self.subject.clone() {
                Subject::Node(node) => EventKind::StepProven { step, node, text },
                Subject::Cluster(cluster) => EventKind::ClusterStepProven { step, cluster, text },
            };
            // The dispatcher is gone only when the whole run was dropped, and this task with it.
            let _ = self.facts.send((self.step, fact));
        }
    }

    fn cancelled(&self) -> Option<CancelLevel> {
        self.orders.borrow().cancel
    }
}

/// A cause without more to say.
pub(super) fn cause(code: &str, text: impl Into<String>) -> Cause {
    Cause { code: code.to_owned(), text: text.into(), details: Vec::new(), hints: Vec::new() }
}

/// What is known of a step whose task came to no answer.
pub(super) fn lost(error: tokio::task::JoinError) -> Cause {
    match error.try_into_panic() {
        Ok(panic) => {
            cause("internal", format!("muster's own worker stopped ({}); report this as a bug", panic_text(&*panic)))
        }
        Err(_) => cause("left", "left while it ran; the node settles it alone, and the next look will tell how"),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
