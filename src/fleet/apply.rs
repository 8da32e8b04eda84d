//! Carrying out a plan on the fleet, with a journal, and looking again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Fleet, Picture};
use crate::action::{Action, Fence};
use crate::execute::{self, Clock, Control, Job, Looked, Readers, Relook};
use crate::hint::Sealed;
use crate::journal::{self, JournalError, Writer};
use crate::name::{BundlePath, ClusterName, Digest, NodeName, PluginName, RunId};
use crate::perform::{Doors, NodePerformer, Parcel, Peers, Place, RunIdentity, Settings, UndoKeeper, Watch, reapplied};
use crate::plan::{self, Allow, Judgement, Plan, Scope, Selection};
use crate::run::{Event, Outcome, Reporter, RunState, SkipReason, StepEnd, StepPhase, SurveyCounts};

/// How often the leases of a run are renewed, at the least: at most ten nodes a second, so that renewing 5,000 of them is
/// no work to speak of.
fn renewal(nodes: usize) -> Duration {
    Duration::from_secs(u64::try_from(nodes / 10).unwrap_or(u64::MAX).clamp(20, 600))
}

/// For how many renewals a lease is taken: a run that died somewhere else is out of the way after this.
const RENEWALS: u32 = 3;

/// The runs whose journals are in this operator's directory.
struct Recorded {
    runs: PathBuf,
    operator: String,
}

impl Peers for Recorded {
    /// The name must be ours, too: another machine may have a journal of that run as a copy, without its lock.
    fn has_ended(&self, run: &RunId, holder: &str) -> bool {
        holder == self.operator && journal::has_ended(&self.runs, run)
    }
}

/// Undo bundles lie beside the journal of their run.
struct BesideJournal {
    runs: PathBuf,
    run: RunId,
    clock: Clock,
}

impl UndoKeeper for BesideJournal {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// It blocks for the length of an fsync, on purpose: nothing may be deleted before.
    fn keep(&self, name: &str, text: &Sealed<String>) -> std::io::Result<String> {
        journal::keep_undo(&self.runs, &self.run, name, text.open()).map(|path| path.display().to_string())
    }
}

/// What is to be carried out, and who hears of it.
pub struct Apply {
    /// The plan, as it was shown.
    pub plan: Arc<Plan>,
    /// What it was made from.
    pub picture: Picture,
    /// What may be changed, to see afterwards what is left of it.
    pub selection: Selection,
    /// What the operator lifts.
    pub allow: Vec<Allow>,
    /// Who runs it, `user@host`.
    pub operator: String,
    /// Where runs are recorded.
    pub runs: PathBuf,
    /// Who watches.
    pub reporters: Vec<Box<dyn Reporter>>,
    /// How it is cancelled.
    pub control: Control,
    /// The time.
    pub clock: Clock,
}

/// What came of it.
pub struct Applied {
    /// What is known of the run; the verdict is in it.
    pub state: RunState,
    /// The fleet as it was seen afterwards; `None` if nobody looked again.
    pub picture: Option<Picture>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Without a journal nothing is changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Fleet {
    /// Carries out a plan to its end, whatever that is, and looks again.
    pub async fn apply(self: &Arc<Self>, apply: Apply) -> Result<Applied, ApplyError> {
        let Apply { plan, picture, selection, allow, operator, runs, mut reporters, control, clock } = apply;
        reporters.push(Box::new(Logged));
        let run = run_id(&clock);
        let journal = Writer::create(&runs, &run, &plan)?;
        let cargo = self.cargo(&plan);
        let sizes = cargo.iter().map(|(digest, parcel)| (digest.clone(), parcel.bytes.len() as u64)).collect();
        let places = self.places(&picture);
        let settings = Settings { settle: self.settle(&plan), ..Settings::default() };
        let renewal = renewal(places.len());
        let identity = RunIdentity {
            run: run.clone(),
            owner: plan.basis.owner.clone(),
            commit: plan.basis.revision.clone(),
            holder: operator.clone(),
            ttl: renewal * RENEWALS,
        };
        let undo = BesideJournal { runs: runs.clone(), run: run.clone(), clock: clock.clone() };
        let performer = NodePerformer::new(self.pool.clone(), places, Arc::new(cargo), identity, settings);
        let performer = performer.beside(Arc::new(Recorded { runs, operator: operator.clone() }));
        let performer = Arc::new(performer.keeping(Arc::new(undo)));
        let again = Arc::new(Again {
            fleet: self.clone(),
            performer: performer.clone(),
            latest: Mutex::new(picture),
            after: Mutex::new(None),
            selection,
            allow,
            clock: clock.clone(),
        });
        let job = Job { plan, run, operator, sizes };
        let readers = Readers { recorder: Box::new(journal), reporters };
        let state = tokio::select! {
            state = execute::run(job, performer.clone(), again.clone(), control, clock, readers) => state,
            never = performer.keep(renewal) => match never {},
        };
        let picture = again.after.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Applied { state, picture })
    }

    /// How long new workers are watched before the commit: a second, or less where every cluster of the plan asks for a
    /// shorter soak.
    fn settle(&self, plan: &Plan) -> Duration {
        let clusters = plan.clusters.iter().filter_map(|planned| self.desired.inventory.clusters.get(&planned.cluster));
        let soak = clusters.map(|cluster| cluster.rollout.soak.duration()).max();
        Settings::default().settle.min(soak.unwrap_or(Duration::MAX))
    }

    /// The nodes that were seen, with their faces as they were found then.
    fn places(&self, picture: &Picture) -> BTreeMap<NodeName, Place> {
        let place = |(name, site): (&NodeName, &crate::perform::Site)| {
            let facts = picture.survey.seen(name)?;
            let env = facts.env_file.as_ref().map(|env| env.open().bytes());
            Some((name.clone(), Place { doors: Doors::of(site, env, self.settings.request), site: site.clone() }))
        };
        self.sites.iter().filter_map(place).collect()
    }

    /// Everything that the plan delivers, packed.
    fn cargo(&self, plan: &Plan) -> BTreeMap<Digest, Arc<Parcel>> {
        let wanted: BTreeSet<&Digest> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Deliver(deliver) => Some(&deliver.digest),
                Action::Rehearse(_)
                | Action::Activate(_)
                | Action::Unapply(_)
                | Action::Fence(_)
                | Action::Delete(_) => None,
            })
            .collect();
        let bundles = self.desired.bundles.values().filter(|bundle| wanted.contains(&bundle.digest));
        let parcel = |bundle: &crate::bundle::Bundle| {
            let files: BTreeMap<BundlePath, Digest> =
                bundle.files.iter().map(|(path, content)| (path.clone(), content.sha256().clone())).collect();
            Arc::new(Parcel { bytes: bundle.pack(), files })
        };
        bundles.map(|bundle| (bundle.digest.clone(), parcel(bundle))).collect()
    }
}

/// An id that sorts by time and is new.
fn run_id(clock: &Clock) -> RunId {
    let milliseconds = u64::try_from(clock().as_millisecond()).unwrap_or(0);
    // The standard library's hasher keys are random; no more is asked of an id.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    RunId::from_parts(milliseconds, (random() << 64) | random())
}

/// Writes every event to the log, if there is one.
struct Logged;

impl Reporter for Logged {
    fn event(&mut self, event: &Event, _: &RunState) {
        match serde_json::to_string(event) {
            Ok(event) => tracing::info!(event, "run"),
            Err(error) => tracing::error!(%error, "an event that cannot be written"),
        }
    }
}

/// How often the old workers of a node are looked for.
const PACE: Duration = Duration::from_secs(2);

fn proven(fence: &Fence, watch: &dyn Watch) -> StepEnd {
    let on = match fence.nodes.as_slice() {
        [node] => format!("on {node}; its"),
        nodes => format!("on any of {} nodes; their", nodes.len()),
    };
    watch.proven(format!("no row, not listed, not loaded {on} old workers have ended"));
    StepEnd::Done { outcome: Outcome::Unchanged }
}

fn held(why: String) -> StepEnd {
    StepEnd::Skipped { why: SkipReason::Held { why } }
}

/// Looks again once the steps are over, and plans again: what is left is what that plan would do.
struct Again {
    fleet: Arc<Fleet>,
    performer: Arc<NodePerformer>,
    latest: Mutex<Picture>,
    after: Mutex<Option<Picture>>,
    selection: Selection,
    allow: Vec<Allow>,
    clock: Clock,
}

impl Again {
    /// Looks at these nodes again, and keeps what was seen of the others.
    async fn look_at(&self, nodes: &BTreeSet<NodeName>) -> Picture {
        let before = self.latest.lock().unwrap_or_else(PoisonError::into_inner).survey.clone();
        let picture = self.fleet.look_again(before, nodes, (self.clock)(), &|_, _| {}).await;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = picture.clone();
        picture
    }
}

#[async_trait]
impl Relook for Again {
    async fn look(&self, touched: &BTreeSet<NodeName>) -> Looked {
        let picture = self.look_at(touched).await;
        let plan = self.fleet.plan(&picture, self.selection.clone(), self.allow.clone());
        let looked = looked(&plan, &picture);
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(picture);
        looked
    }

    async fn fence(&self, fence: &Fence, watch: &dyn Watch) -> StepEnd {
        let until = Instant::now() + Duration::from_secs(fence.limit);
        let mut nodes: BTreeSet<NodeName> = fence.nodes.iter().cloned().collect();
        watch.phase(StepPhase::Prove, format!("looking at {} nodes", nodes.len()));
        loop {
            let picture = self.look_at(&nodes).await;
            match plan::judge(fence, &picture.survey, &picture.diff) {
                Judgement::Holds => return proven(fence, watch),
                Judgement::Broken { rows } => return StepEnd::Failed { cause: reapplied(&rows, None) },
                Judgement::Held { why } => return held(why.join("; ")),
                Judgement::Waits { why, .. } if Instant::now() >= until => return held(why),
                Judgement::Waits { .. } if watch.cancelled().is_some() => {
                    return StepEnd::Skipped { why: SkipReason::Cancelled };
                }
                Judgement::Waits { why, nodes: waiting } => {
                    watch.phase(StepPhase::Prove, why);
                    nodes = waiting;
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }

    async fn put_back(&self, cluster: &ClusterName, plugins: &BTreeSet<PluginName>) -> Option<Plan> {
        let cluster = self.fleet.desired.inventory.clusters.get(cluster)?;
        let nodes = cluster.active().map(|node| node.name.clone()).collect();
        let mut picture = self.look_at(&nodes).await;
        // A node that could not be seen before may be the one that has to list it again.
        self.performer.at(self.fleet.places(&picture));
        Some(self.fleet.plan_back(&mut picture, &cluster.name, plugins.clone()).await)
    }
}

fn looked(plan: &Plan, picture: &Picture) -> Looked {
    let mut counts = SurveyCounts::default();
    let (mut left, mut in_line) = (held_removals(plan).collect::<Vec<_>>(), BTreeSet::new());
    for cluster in &plan.clusters {
        let lists = &cluster.nodes;
        counts.in_line += lists.in_line.len();
        counts.drift += lists.changing.len();
        counts.blocked += lists.blocked.len();
        counts.unknown += lists.unknown.len();
        let stopped = |node: &&NodeName| picture.diff.node(node).is_some_and(|seen| !seen.running);
        counts.stopped += lists.in_line.iter().filter(stopped).count();
        in_line.extend(lists.in_line.iter().cloned());
        for node in lists.changing.iter().chain(&lists.blocked).chain(&lists.unknown) {
            let seen = picture.diff.node(node);
            let word = seen.map_or("unknown", |seen| seen.state().1);
            let why = seen
                .and_then(|seen| seen.remarks.iter().find(|remark| !seen.is_waiting(remark)))
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            left.push(format!("{node} {word}{why}"));
        }
    }
    Looked { counts, left, in_line }
}

/// What is to go and waits: why its nodes are not in line.
fn held_removals(plan: &Plan) -> impl Iterator<Item = String> {
    plan.blockers.iter().filter(|blocker| blocker.code.holds()).filter_map(|blocker| {
        let (Scope::Plugin { cluster, .. }, (name, why)) = (&blocker.scope, blocker.subject()?) else { return None };
        Some(format!("{name} is held on {cluster}: {why}"))
    })
}
