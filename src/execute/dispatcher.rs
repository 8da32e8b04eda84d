//! The one task that owns the state of a run, numbers its events and hands them out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::control::Orders;
use super::errand::{Answer, Errand, Lookout, Subject, cause, lost};
use super::{Clock, Control, Job, Looked, Readers, Relook};
use crate::action::Action;
use crate::hint::Hint;
use crate::name::{ClusterName, NodeName};
use crate::perform::{LeaseRefusal, Perform};
use crate::plan::{Plan, Step, StepId, Target};
use crate::run::{CancelLevel, Cause, Event, EventKind, RunState, SkipReason, StepEnd};

/// How many chatter events may wait; what comes above that is dropped.
const CHATTER: usize = 256;

/// What the dispatcher was woken by.
#[derive(Debug)]
pub(super) enum Turn {
    Lease(NodeName, Result<(), LeaseRefusal>),
    Released,
    StepEnded(StepId),
    Health(NodeName, Result<(), Cause>),
    /// `None`: the look came to no answer.
    Looked(Option<Looked>),
    PlannedBack(Option<Box<Plan>>),
    /// An event was recorded, or an order came.
    Heard,
    /// The time that was asked for has come.
    Time,
}

/// A step's proof, with the event that says so.
pub(super) type Proof = (StepId, EventKind);

pub(super) struct Dispatcher {
    pub(super) job: Job,
    pub(super) perform: Arc<dyn Perform>,
    pub(super) relook: Arc<dyn Relook>,
    pub(super) state: RunState,
    clock: Clock,
    readers: Readers,
    /// Held so that `orders` never closes.
    _control: Control,
    orders: watch::Receiver<Orders>,
    facts: (mpsc::UnboundedSender<Proof>, mpsc::UnboundedReceiver<Proof>),
    chatter: (mpsc::Sender<EventKind>, mpsc::Receiver<EventKind>),
    errands: JoinSet<Answer>,
    away: HashMap<Id, (Errand, AbortHandle)>,
    /// Steps whose proof was seen: they commit, and are not left at [`CancelLevel::LeaveSteps`].
    committing: BTreeSet<StepId>,
    /// Steps that ended; true: well.
    pub(super) ends: BTreeMap<StepId, bool>,
    /// Facts were recorded that are not durable yet.
    dirty: bool,
    /// Why the journal can no longer be written.
    pub(super) unrecorded: Option<String>,
    /// Clusters where somebody uses again what is being removed.
    pub(super) broken: BTreeMap<ClusterName, Cause>,
    /// What is begun now puts back what was done, so that less stops it.
    pub(super) putting_back: bool,
    /// How many of the requests to skip a node were answered.
    pub(super) skips_heard: usize,
    /// Nodes that were skipped because somebody asked for it.
    pub(super) skipped: BTreeSet<NodeName>,
}

impl Dispatcher {
    pub(super) fn new(
        job: Job,
        perform: Arc<dyn Perform>,
        relook: Arc<dyn Relook>,
        control: Control,
        clock: Clock,
        readers: Readers,
    ) -> Self {
        Self {
            job,
            perform,
            relook,
            state: RunState::default(),
            clock,
            readers,
            orders: control.subscribe(),
            _control: control,
            facts: mpsc::unbounded_channel(),
            chatter: mpsc::channel(CHATTER),
            errands: JoinSet::new(),
            away: HashMap::new(),
            committing: BTreeSet::new(),
            ends: BTreeMap::new(),
            dirty: false,
            unrecorded: None,
            broken: BTreeMap::new(),
            putting_back: false,
            skips_heard: 0,
            skipped: BTreeSet::new(),
        }
    }

    /// Numbers an event and hands it to everyone: the journal first.
    pub(super) fn record(&mut self, kind: EventKind) {
        let fact = !kind.is_chatter();
        let event = Event { seq: self.state.seq + u64::from(fact), at: (self.clock)(), kind };
        self.dirty |= fact;
        let recorded = self.readers.recorder.record(&event);
        self.keep(recorded);
        self.state.apply(&event);
        for reporter in &mut self.readers.reporters {
            reporter.event(&event, &self.state);
        }
    }

    fn keep(&mut self, recorded: std::io::Result<()>) {
        if let Err(error) = recorded {
            self.unrecorded.get_or_insert_with(|| error.to_string());
        }
    }

    /// Makes durable what was recorded. It blocks for the length of an fsync, on purpose: nothing may overtake it.
    pub(super) fn sync(&mut self) {
        if self.dirty {
            let synced = self.readers.recorder.sync();
            self.keep(synced);
            self.dirty = false;
        }
    }

    /// Begins steps. Their starts are durable before any of them may do anything: the tasks do not exist before. False:
    /// the starts could not be kept, and none was begun.
    pub(super) fn begin(&mut self, ids: &[StepId]) -> bool {
        let plan = Arc::clone(&self.job.plan);
        let steps: Vec<&Step> = ids.iter().filter_map(|id| plan.step(*id)).collect();
        for step in &steps {
            let (action, about) = (step.action.verb().to_owned(), step.action.about());
            self.record(match Subject::of(step) {
                Subject::Node(node) => EventKind::StepStarted { step: step.id, node, action, about },
                Subject::Cluster(cluster) => EventKind::ClusterStepStarted { step: step.id, cluster, action, about },
            });
        }
        self.sync();
        for step in steps {
            if self.unrecorded.is_some() {
                self.end_step(step.id, StepEnd::Skipped { why: SkipReason::NotRecorded });
            } else {
                self.send_step(step);
            }
        }
        self.unrecorded.is_none()
    }

    fn send_step(&mut self, step: &Step) {
        let lookout = Lookout {
            step: step.id,
            subject: Subject::of(step),
            facts: self.facts.0.clone(),
            chatter: self.chatter.0.clone(),
            orders: self.orders.clone(),
            proven: AtomicBool::new(false),
        };
        if let Action::Fence(fence) = &step.action {
            let (relook, fence) = (Arc::clone(&self.relook), fence.clone());
            return self.send(Errand::Step(step.id), async move { Answer::Step(relook.fence(&fence, &lookout).await) });
        }
        let (perform, step) = (Arc::clone(&self.perform), step.clone());
        self.send(Errand::Step(step.id), async move { Answer::Step(perform.perform(&step, &lookout).await) });
    }

    /// Sends an errand out.
    pub(super) fn send(&mut self, errand: Errand, task: impl Future<Output = Answer> + Send + 'static) {
        let handle = self.errands.spawn(task);
        self.away.insert(handle.id(), (errand, handle));
    }

    /// Waits for the next thing to happen and takes it in. What is ready already is taken first, so that one sync serves
    /// a whole batch. All futures here are cancel-safe, and what has been received is handled before the next wait.
    ///
    /// With nothing sent out and no time given it waits for an order.
    pub(super) async fn next(&mut self, until: Option<Instant>) -> Turn {
        if let Some(turn) = self.ready() {
            return turn;
        }
        self.sync();
        let time = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(fact) = self.facts.1.recv() => self.hear_fact(fact),
            Ok(()) = self.orders.changed() => self.obey(),
            Some(joined) = self.errands.join_next_with_id() => return self.returned(joined),
            Some(kind) = self.chatter.1.recv() => self.record(kind),
            () = time => return Turn::Time,
        }
        Turn::Heard
    }

    fn ready(&mut self) -> Option<Turn> {
        self.hear();
        if self.heed() {
            return Some(Turn::Heard);
        }
        let joined = self.errands.try_join_next_with_id()?;
        Some(self.returned(joined))
    }

    fn hear(&mut self) {
        while let Ok(fact) = self.facts.1.try_recv() {
            self.hear_fact(fact);
        }
    }

    fn hear_fact(&mut self, (step, kind): Proof) {
        self.committing.insert(step);
        self.record(kind);
    }

    /// An errand came back. What its worker said before that is heard first, as it was sent before the task ended.
    fn returned(&mut self, joined: Result<(Id, Answer), JoinError>) -> Turn {
        self.hear();
        let (id, answer) = match joined {
            Ok((id, answer)) => (id, Ok(answer)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((errand, _)) = self.away.remove(&id) else { return Turn::Heard };
        match (errand, answer) {
            (Errand::Lease(node), Ok(Answer::Lease(result))) => Turn::Lease(node, result),
            (Errand::Lease(node), Err(error)) => Turn::Lease(node, Err(LeaseRefusal::Failed(lost(error)))),
            (Errand::Health(node), Ok(Answer::Health(result))) => Turn::Health(node, result),
            (Errand::Health(node), Err(error)) => Turn::Health(node, Err(lost(error))),
            (Errand::Step(step), Ok(Answer::Step(end))) => self.step_returned(step, end),
            (Errand::Step(step), Err(error)) => {
                let end = self.step_lost(step, error);
                self.step_returned(step, end)
            }
            (Errand::Step(step), Ok(_)) => {
                let cause = cause("internal", "the worker answered something else");
                self.step_returned(step, StepEnd::Unknown { cause })
            }
            (Errand::Look, Ok(Answer::Looked(looked))) => Turn::Looked(Some(looked)),
            (Errand::Look, _) => Turn::Looked(None),
            (Errand::PlanBack, Ok(Answer::PlanBack(plan))) => Turn::PlannedBack(plan),
            (Errand::PlanBack, _) => Turn::PlannedBack(None),
            (Errand::Lease(_) | Errand::Health(_), Ok(_)) => Turn::Heard,
            (Errand::Release(_), _) => Turn::Released,
        }
    }

    fn step_returned(&mut self, step: StepId, end: StepEnd) -> Turn {
        self.end_step(step, end);
        Turn::StepEnded(step)
    }

    /// What is known of a step whose task came to no answer.
    fn step_lost(&self, step: StepId, error: JoinError) -> StepEnd {
        match self.job.plan.step(step).map(|step| &step.action) {
            // It only looked.
            Some(Action::Fence(_)) if error.is_cancelled() => StepEnd::Skipped { why: SkipReason::Cancelled },
            Some(Action::Unapply(_)) if error.is_cancelled() => {
                let text =
                    "left while rows were being un-applied; those that are gone are in the undo bundle of this run";
                let hints =
                    vec![Hint::type_("muster --plan"), Hint::type_(format!("muster restore-rows {}", self.job.run))];
                StepEnd::Unknown { cause: Cause { hints, ..cause("left", text) } }
            }
            _ => StepEnd::Unknown { cause: lost(error) },
        }
    }

    /// Records the end of a step. When it did not end well, no other step of its node is begun; a step of the whole cluster
    /// that is held, or was not begun, keeps back only what needs it.
    pub(super) fn end_step(&mut self, id: StepId, end: StepEnd) {
        let plan = Arc::clone(&self.job.plan);
        let Some(step) = plan.step(id) else { return };
        let well = matches!(end, StepEnd::Done { .. });
        if let StepEnd::Failed { cause } = &end
            && cause.code == Cause::REAPPLIED
        {
            self.broken.entry(step.cluster.clone()).or_insert_with(|| cause.clone());
        }
        let why = match &end {
            StepEnd::Skipped { why } if !matches!(why, SkipReason::NodeMoved { .. }) => why.clone(),
            _ => SkipReason::Needs { step: id },
        };
        let held = step.target == Target::Cluster && matches!(end, StepEnd::Skipped { .. });
        self.ended(step, end);
        if !well && !held {
            self.skip(&why, |other| other.target == step.target && other.cluster == step.cluster);
        }
    }

    /// Ends every step that has not ended and that `which` picks, without its having begun.
    pub(super) fn skip(&mut self, why: &SkipReason, which: impl Fn(&Step) -> bool) {
        let plan = Arc::clone(&self.job.plan);
        for step in plan.steps.iter().filter(|step| which(step)) {
            if !self.ends.contains_key(&step.id) {
                self.ended(step, StepEnd::Skipped { why: why.clone() });
            }
        }
    }

    fn ended(&mut self, step: &Step, end: StepEnd) {
        self.ends.insert(step.id, matches!(end, StepEnd::Done { .. }));
        let (id, action) = (step.id, step.action.verb().to_owned());
        self.record(match Subject::of(step) {
            Subject::Node(node) => EventKind::StepEnded { step: id, node, action, end },
            Subject::Cluster(cluster) => EventKind::ClusterStepEnded { step: id, cluster, action, end },
        });
    }

    /// Takes orders in that came meanwhile; false: there were none.
    pub(super) fn heed(&mut self) -> bool {
        let changed = self.orders.has_changed().unwrap_or(false);
        if changed {
            self.obey();
        }
        changed
    }

    fn obey(&mut self) {
        let orders = self.orders.borrow_and_update().clone();
        if let Some(level) = orders.cancel.filter(|level| self.state.cancel < Some(*level)) {
            self.record(EventKind::CancelRequested { level, by: Some(self.job.operator.clone()) });
            self.leave(level);
        }
        self.obey_pause(orders.pause);
        self.obey_skips(&orders.skips);
    }

    /// Drops errands. This stops our side only: on the node the guard decides.
    fn leave(&mut self, level: CancelLevel) {
        if level < CancelLevel::LeaveSteps {
            return;
        }
        self.hear();
        for (errand, handle) in self.away.values() {
            let stays = match errand {
                Errand::Step(step) => self.committing.contains(step) || self.leaves_by_itself(*step),
                Errand::Release(_) => true,
                Errand::Lease(_) | Errand::Health(_) | Errand::Look | Errand::PlanBack => false,
            };
            if level == CancelLevel::Close || !stays {
                handle.abort();
            }
        }
    }

    /// An un-apply ends between two rows, and says how far it came.
    fn leaves_by_itself(&self, step: StepId) -> bool {
        self.job.plan.step(step).is_some_and(|step| matches!(step.action, Action::Unapply(_)))
    }

    /// Whether a step of this node is being carried out.
    pub(super) fn is_at_work_on(&self, node: &NodeName) -> bool {
        let steps = self.away.values().filter_map(|(errand, _)| match errand {
            Errand::Step(step) => self.job.plan.step(*step),
            _ => None,
        });
        steps.into_iter().any(|step| step.target.is(node))
    }

    /// How many errands are out.
    pub(super) fn out(&self) -> usize {
        self.away.len()
    }

    /// How hard the run is being cancelled, orders not yet taken in included.
    pub(super) fn cancel(&self) -> Option<CancelLevel> {
        self.orders.borrow().cancel
    }
}
