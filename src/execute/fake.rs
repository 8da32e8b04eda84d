//! Plans and nodes for tests: what each step comes to is scripted, and time is tokio's paused clock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::errand::cause;
use super::{Clock, Control, Job, Looked, Readers, Relook};
use crate::action::{Action, Activate, Delete, Deliver, Fence, NodeBasis, ReloadWay, Unapply, Withdrawal};
use crate::name::{ClusterName, Digest, NodeName, Owner, PluginName, Revision, RunId};
use crate::perform::{LeaseRefusal, Perform, Watch};
use crate::plan::{Basis, ClusterPlan, NodeLists, Phase, Plan, Step, StepId, Target, Wave, WaveId};
use crate::run::{
    CancelLevel, Event, EventKind, Outcome, Recorder, Reporter, RunState, SkipReason, StepEnd, StepPhase, SurveyCounts,
};

pub(super) fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

pub(super) fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).unwrap()
}

/// Only the planner issues ids; a test gets them as a saved plan does.
pub(super) fn step_id(number: u32) -> StepId {
    serde_json::from_value(serde_json::json!(number)).unwrap()
}

pub(super) fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

/// A plan in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    plan: Plan,
}

/// The rollout of a cluster in a [`Draft`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Rollout {
    pub(super) at_once: usize,
    pub(super) max_out: usize,
    pub(super) max_failed: usize,
    pub(super) soak: u64,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { at_once: 10, max_out: 10, max_failed: 0, soak: 0 }
    }
}

impl Draft {
    pub(super) fn new() -> Self {
        let basis = Basis {
            repository: "gateway-fleet".to_owned(),
            revision: Revision::parse("3f2a91c4b5d6e7f8091a2b3c4d5e6f708192a3b4").unwrap(),
            summary: "tag: raise limit".to_owned(),
            branch: Some("main".to_owned()),
            owner: Owner::parse("edge-team").unwrap(),
            selected: crate::plan::Selected::default(),
            surveyed: start(),
            looked: [0; 4],
            nodes: BTreeMap::new(),
        };
        let plan = Plan {
            format: crate::plan::FORMAT,
            basis,
            clusters: Vec::new(),
            steps: Vec::new(),
            waves: Vec::new(),
            blockers: Vec::new(),
            notes: Vec::new(),
        };
        Self { plan }
    }

    /// A cluster whose nodes, in these waves, each get `delivers` bundles and are activated.
    pub(super) fn cluster(mut self, name: &str, rollout: Rollout, delivers: usize, waves: &[&[&str]]) -> Self {
        let nodes: Vec<Vec<NodeName>> = waves.iter().map(|wave| wave.iter().map(|n| node(n)).collect()).collect();
        self.plan.clusters.push(ClusterPlan {
            cluster: cluster(name),
            topology: "traditional".to_owned(),
            changes: Vec::new(),
            removals: Vec::new(),
            nodes: NodeLists { changing: nodes.iter().flatten().cloned().collect(), ..NodeLists::default() },
            max_failed: rollout.max_failed,
            at_once: rollout.at_once,
            max_out: rollout.max_out,
            soak: rollout.soak,
        });
        let mut needs: BTreeMap<NodeName, Vec<StepId>> = BTreeMap::new();
        for node in nodes.iter().flatten() {
            for bundle in ["request-tag", "acme-auth", "geo-ip"].iter().take(delivers) {
                let id = self.step(name, node, Phase::Prepare, deliver(bundle), Vec::new());
                needs.entry(node.clone()).or_default().push(id);
            }
        }
        for (number, nodes) in (1u32..).zip(nodes) {
            let id = WaveId(u32::try_from(self.plan.waves.len()).unwrap());
            for node in &nodes {
                let needs = needs.get(node).cloned().unwrap_or_default();
                self.step(name, node, Phase::Wave(id), activate(), needs);
            }
            self.plan.waves.push(Wave { id, cluster: cluster(name), number, nodes });
        }
        self
    }

    /// A cluster from which a plugin goes: un-apply, a wave after the other, the fence, the files. Steps have ids in this order.
    pub(super) fn removal(mut self, name: &str, rollout: Rollout, waves: &[&[&str]]) -> Self {
        let first = self.plan.steps.len();
        let unapply = Unapply {
            name: "legacy".to_owned(),
            how: Withdrawal::Delete,
            rows: BTreeMap::from([(legacy(), Vec::new())]),
            through: vec![node(waves[0][0])],
        };
        let unapply = self.any(name, Target::Cluster, Phase::Unapply, Action::Unapply(Box::new(unapply)), Vec::new());
        self = self.cluster(name, rollout, 0, waves);
        let mut needs = Vec::new();
        for step in &mut self.plan.steps[first + 1..] {
            step.needs.push(unapply);
            needs.push(step.id);
            if let Action::Activate(activate) = &mut step.action {
                activate.gone.insert(legacy());
            }
        }
        let nodes: Vec<NodeName> = waves.iter().flat_map(|wave| wave.iter().map(|n| node(n))).collect();
        let fence = Fence { plugins: [legacy()].into(), nodes: nodes.clone(), limit: 60 };
        let fence = self.any(name, Target::Cluster, Phase::Fence, Action::Fence(fence), needs);
        for node in &nodes {
            self.step(name, node, Phase::Clean, delete(), vec![fence]);
        }
        self
    }

    fn step(&mut self, name: &str, node: &NodeName, phase: Phase, action: Action, needs: Vec<StepId>) -> StepId {
        self.any(name, Target::Node(node.clone()), phase, action, needs)
    }

    fn any(&mut self, name: &str, target: Target, phase: Phase, action: Action, needs: Vec<StepId>) -> StepId {
        let id = step_id(u32::try_from(self.plan.steps.len()).unwrap());
        let why = "content differs".to_owned().into();
        self.plan.steps.push(Step { id, cluster: cluster(name), target, phase, action, why, needs });
        id
    }

    pub(super) fn plan(self) -> Plan {
        self.plan
    }
}

pub(super) fn legacy() -> PluginName {
    PluginName::parse("legacy").unwrap()
}

fn delete() -> Action {
    Action::Delete(Box::new(Delete {
        bundles: BTreeMap::new(),
        adopts: BTreeSet::new(),
        plugins: [legacy()].into(),
        generation: 1,
        manifest: Vec::new().into(),
    }))
}

fn deliver(bundle: &str) -> Action {
    Action::Deliver(Deliver {
        bundle: crate::name::BundleName::parse(bundle).unwrap(),
        digest: digest(bundle),
        repair: false,
    })
}

fn activate() -> Action {
    Action::Activate(Box::new(Activate {
        basis: NodeBasis::default(),
        switches: Vec::new().into(),
        directive: ("bundled".to_owned(), "bundled,request-tag,acme-auth".to_owned()).into(),
        way: ReloadWay::Candidate,
        evidence: crate::name::Shared::default(),
        pace: crate::action::Pace::default(),
        again: crate::action::Again::default(),
        staged: Vec::new().into(),
        search_path: None,
        conf: None,
        loaded: BTreeMap::new().into(),
        gone: BTreeSet::new(),
        count_through: Vec::new(),
        keep: Activate::keep(),
        validate: BTreeSet::default(),
        manifest: Vec::new().into(),
        content: BTreeMap::new().into(),
    }))
}

/// What a step comes to.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It ends so after so many milliseconds; proven before, if it ends well and is an activate.
    End(u64, StepEnd),
    /// The worker panics.
    Panic,
    /// It never ends.
    Hang,
    /// It is proven at once, and then takes a minute to commit.
    Slow,
}

pub(super) fn done() -> StepEnd {
    StepEnd::Done { outcome: Outcome::Changed }
}

pub(super) fn rolled_back() -> StepEnd {
    StepEnd::RolledBack { cause: cause("reload-failed", "handler.lua:12: module 'resty.jwt' not found") }
}

pub(super) fn failed() -> StepEnd {
    StepEnd::Failed { cause: cause("no-space", "4 KiB are free, 31 KiB are needed") }
}

pub(super) fn unknown() -> StepEnd {
    StepEnd::Unknown { cause: cause("lost", "the connection broke") }
}

pub(super) fn reapplied() -> StepEnd {
    StepEnd::Failed { cause: crate::perform::reapplied(&["legacy: service billing".to_owned()], None) }
}

pub(super) fn held() -> StepEnd {
    StepEnd::Skipped { why: SkipReason::Held { why: "eu-9: could not be seen".to_owned() } }
}

pub(super) fn moved() -> StepEnd {
    StepEnd::Skipped { why: SkipReason::NodeMoved { what: String::new() } }
}

/// Nodes that do as scripted. What is not scripted goes well in a second.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) steps: BTreeMap<StepId, Act>,
    pub(super) leases: BTreeMap<NodeName, LeaseRefusal>,
    /// Nodes of which another run has the lease after it was given so many times.
    pub(super) taken_after: BTreeMap<NodeName, usize>,
    /// Answers about health, one after the other; then healthy.
    pub(super) health: BTreeMap<NodeName, Vec<bool>>,
    /// What looking again finds; `None`: every touched node in line.
    pub(super) looked: Option<Looked>,
    /// How the fence ends; `None`: it holds.
    pub(super) fence: Option<StepEnd>,
    /// What puts the removal back.
    pub(super) back: Option<Plan>,
    /// The journal fails from this event on.
    pub(super) disk_full_at: Option<u64>,
    /// The journal takes every event, and from this one on cannot make them durable.
    pub(super) sync_fails_at: Option<u64>,
    /// What is asked of the run, and after how many milliseconds.
    pub(super) orders: Vec<(u64, Order)>,
}

#[derive(Debug, Clone)]
pub(super) enum Order {
    Cancel(CancelLevel),
    Pause,
    Resume,
    Skip(NodeName),
}

/// What happened outside the events.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) events: Vec<Event>,
    pub(super) durable: u64,
    pub(super) released: BTreeSet<NodeName>,
    /// How often each node was asked for its lease.
    pub(super) asked: BTreeMap<NodeName, usize>,
    pub(super) looked: usize,
    /// How often a fence was looked at.
    pub(super) fences: usize,
    /// Steps that were carried out although their start was not durable.
    pub(super) unannounced: Vec<StepId>,
}

/// A run that is over.
pub(super) struct Over {
    pub(super) state: RunState,
    pub(super) seen: Seen,
}

struct Stage {
    script: Script,
    polls: Mutex<BTreeMap<NodeName, usize>>,
    seen: Arc<Mutex<Seen>>,
}

#[async_trait]
impl Perform for Stage {
    async fn acquire(&self, node: &NodeName) -> Result<(), LeaseRefusal> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = {
            let mut seen = self.seen.lock().unwrap();
            let asked = seen.asked.entry(node.clone()).or_default();
            *asked += 1;
            *asked
        };
        if self.script.taken_after.get(node).is_some_and(|times| asked > *times) {
            return Err(LeaseRefusal::Held(cause("locked", "01JD3 by ann@laptop")));
        }
        self.script.leases.get(node).cloned().map_or(Ok(()), Err)
    }

    async fn perform(&self, step: &Step, watch: &dyn Watch) -> StepEnd {
        self.check_announced(step.id);
        let act = self.script.steps.get(&step.id).cloned().unwrap_or_else(|| Act::End(1000, done()));
        let activates = matches!(step.action, Action::Activate(_));
        watch.phase(if activates { StepPhase::Guard } else { StepPhase::Deliver }, "under way".to_owned());
        watch.printed("a line".to_owned());
        match act {
            Act::Panic => panic!("scripted"),
            Act::Hang => std::future::pending().await,
            Act::Slow => {
                watch.proven("2 new workers".to_owned());
                tokio::time::sleep(Duration::from_mins(1)).await;
                done()
            }
            Act::End(after, end) => {
                tokio::time::sleep(Duration::from_millis(after)).await;
                if matches!((&step.action, &end), (Action::Unapply(_), StepEnd::Done { .. })) {
                    watch.proven("un-applied legacy: 2 rows, none left; undo bundle runs/01/legacy.yaml".to_owned());
                }
                if activates && matches!(end, StepEnd::Done { .. }) {
                    watch.proven("2 new workers, request-tag 1.4.0, acme-auth 2.1.0".to_owned());
                }
                end
            }
        }
    }

    async fn healthy(&self, node: &NodeName) -> Result<(), crate::run::Cause> {
        let poll = {
            let mut polls = self.polls.lock().unwrap();
            let poll = polls.entry(node.clone()).or_default();
            *poll += 1;
            *poll - 1
        };
        let healthy = self.script.health.get(node).and_then(|polls| polls.get(poll)).copied().unwrap_or(true);
        if healthy { Ok(()) } else { Err(cause("not-ready", "the status API answered 503")) }
    }

    async fn release(&self, node: &NodeName) {
        self.seen.lock().unwrap().released.insert(node.clone());
    }
}

impl Stage {
    fn check_announced(&self, id: StepId) {
        let mut seen = self.seen.lock().unwrap();
        let durable = seen.durable;
        let mut kept = seen.events.iter().filter(|event| event.seq <= durable);
        if !kept.any(|event| matches!(event.kind, EventKind::StepStarted { step, .. } | EventKind::ClusterStepStarted { step, .. } if step == id)) {
            seen.unannounced.push(id);
        }
    }
}

#[async_trait]
impl Relook for Stage {
    async fn look(&self, touched: &BTreeSet<NodeName>) -> Looked {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.seen.lock().unwrap().looked += 1;
        self.script.looked.clone().unwrap_or_else(|| Looked {
            counts: SurveyCounts { in_line: touched.len(), ..SurveyCounts::default() },
            left: Vec::new(),
            in_line: touched.clone(),
        })
    }

    async fn fence(&self, _: &Fence, watch: &dyn Watch) -> StepEnd {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.seen.lock().unwrap().fences += 1;
        let end = self.script.fence.clone().unwrap_or_else(done);
        if matches!(end, StepEnd::Done { .. }) {
            watch.proven("no row, not listed, not loaded".to_owned());
        }
        end
    }

    async fn put_back(&self, _: &ClusterName, _: &BTreeSet<PluginName>) -> Option<Plan> {
        self.script.back.clone()
    }
}

struct Tape {
    seen: Arc<Mutex<Seen>>,
    written: u64,
    full_at: Option<u64>,
    sync_fails_at: Option<u64>,
}

impl Recorder for Tape {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.written = event.seq;
        match self.full_at {
            Some(full) if event.seq >= full => Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.sync_fails_at.is_some_and(|at| self.written >= at) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.seen.lock().unwrap().durable = self.written;
        Ok(())
    }
}

/// Keeps every event, and holds that the state it is shown is the fold over them.
struct Collect {
    seen: Arc<Mutex<Seen>>,
}

impl Reporter for Collect {
    fn event(&mut self, event: &Event, state: &RunState) {
        assert!(state.seq >= event.seq && state.now == Some(event.at));
        self.seen.lock().unwrap().events.push(event.clone());
    }
}

pub(super) fn start() -> Timestamp {
    "2026-03-02T14:05:00Z".parse().unwrap()
}

/// Carries out a plan on scripted nodes, on a clock that jumps to the next thing that happens.
pub(super) fn play(plan: &Plan, script: Script) -> Over {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play_async(plan, script))
}

async fn play_async(plan: &Plan, mut script: Script) -> Over {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let began = tokio::time::Instant::now();
    let clock: Clock = Arc::new(move || start() + SignedDuration::try_from(began.elapsed()).unwrap());
    let control = Control::new();
    tokio::spawn(order(control.clone(), std::mem::take(&mut script.orders)));
    let readers = Readers {
        recorder: Box::new(Tape {
            seen: Arc::clone(&seen),
            written: 0,
            full_at: script.disk_full_at,
            sync_fails_at: script.sync_fails_at,
        }),
        reporters: vec![Box::new(Collect { seen: Arc::clone(&seen) })],
    };
    let job = Job {
        plan: Arc::new(plan.clone()),
        run: RunId::from_parts(1_772_460_300_000, 7),
        operator: "cron@ops-1".to_owned(),
        sizes: BTreeMap::from([(digest("request-tag"), 31 << 10), (digest("acme-auth"), 12 << 10)]),
    };
    let stage = Arc::new(Stage { script, polls: Mutex::default(), seen: Arc::clone(&seen) });
    let folded = super::run(job, stage.clone(), stage, control, clock, readers).await;
    let seen = seen.lock().unwrap().clone();
    Over { state: folded, seen }
}

async fn order(control: Control, orders: Vec<(u64, Order)>) {
    let began = tokio::time::Instant::now();
    for (at, order) in orders {
        tokio::time::sleep_until(began + Duration::from_millis(at)).await;
        match order {
            Order::Cancel(level) => control.cancel(level),
            Order::Pause => control.pause(),
            Order::Resume => control.resume(),
            Order::Skip(node) => control.skip(&node),
        }
    }
}
