//! Ordered steps in waves, with needs and reasons; what was not planned and why; and the basis it all stands on.
//!
//! Owns: the [`Plan`] as a value and the function that makes it. Must not know: clocks, files, nodes, terminals. The
//! same request gives the same bytes.

mod activation;
mod asked;
mod basis;
mod blocker;
mod change;
mod cluster;
mod fence;
mod files;
mod in_use;
mod leaving;
mod lookup;
mod node;
mod notes;
mod obstacle;
mod on_node;
mod reach;
mod removal;
mod request;
mod service;
mod shadow;
mod step;
mod swap;
mod trial;
mod tried;
mod usage;
mod way;

use serde::{Deserialize, Serialize};

pub use basis::{Basis, Selected};
pub use blocker::{Alike, Blocker, BlockerCode, Scope};
pub use change::{Change, ChangeKind, Note, Removal};
pub use fence::{Judgement, judge};
pub use notes::{bundled_name, cleaned_version, equal_priorities, same_priority};
pub use reach::{At, RemovalStep};
pub use request::{Allow, Goal, Origin, Request, Selection};
pub use step::{Phase, Step, StepId, Target, Wave, WaveId};
pub use tried::{Found, OnTrial, Tried, to_try};
pub use way::{evidence_from, recipe};

use crate::name::{ClusterName, NodeName, Shared};

/// The format of a saved plan.
pub const FORMAT: u32 = 1;

/// Makes the plan. The same request gives the same plan.
pub fn plan(request: &Request<'_>) -> Plan {
    let mut builder = PlanBuilder::default();
    let lookup = lookup::Lookup::new(request);
    let mut clusters = Vec::new();
    for cluster in request.clusters() {
        clusters.push(cluster::plan(request, &lookup, cluster, &mut builder));
    }
    builder.finish(request, clusters)
}

/// Collects a plan. It alone issues step ids, and a step can need only ids that were issued: no cycle can be written.
#[derive(Default)]
pub(crate) struct PlanBuilder {
    steps: Vec<Step>,
    waves: Vec<Wave>,
    blockers: Vec<Blocker>,
    notes: Vec<Note>,
    nodes: std::collections::BTreeMap<NodeName, crate::action::NodeBasis>,
}

impl PlanBuilder {
    fn step(
        &mut self,
        cluster: &ClusterName,
        target: Target,
        phase: Phase,
        what: (crate::action::Action, Shared<String>),
        needs: Vec<StepId>,
    ) -> StepId {
        let id = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        let (action, why) = what;
        self.steps.push(Step { id, cluster: cluster.clone(), target, phase, action, why, needs });
        id
    }

    fn wave(&mut self, cluster: &ClusterName, number: usize, nodes: Vec<NodeName>) -> WaveId {
        let id = WaveId(u32::try_from(self.waves.len()).unwrap_or(u32::MAX));
        self.waves.push(Wave {
            id,
            cluster: cluster.clone(),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            nodes,
        });
        id
    }

    fn note(&mut self, topic: &str, text: impl Into<String>, nodes: Vec<NodeName>) {
        let text = text.into();
        match self.notes.iter_mut().find(|note| note.topic == topic && note.text == text) {
            Some(note) => note.nodes.extend(nodes),
            None => self.notes.push(Note { topic: topic.to_owned(), text, nodes }),
        }
    }

    fn finish(self, request: &Request<'_>, clusters: Vec<ClusterPlan>) -> Plan {
        let (seen, unreachable, refused) = request.survey.counts();
        let Origin { repository, revision, summary, branch } = request.origin.clone();
        let basis = Basis {
            repository,
            revision,
            summary,
            branch,
            owner: request.inventory.owner.clone(),
            selected: request.selection.written(),
            surveyed: request.survey.at,
            looked: [seen + unreachable + refused, seen, unreachable, refused],
            nodes: self.nodes,
        };
        let mut blockers = self.blockers;
        blockers.sort_by(|a, b| (&a.scope, a.code).cmp(&(&b.scope, b.code)));
        Plan { format: FORMAT, basis, clusters, steps: self.steps, waves: self.waves, blockers, notes: self.notes }
    }
}

/// What will be done, in which order, and what will not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// What it stands on.
    pub basis: Basis,
    /// The clusters, in the order in which they are worked on.
    pub clusters: Vec<ClusterPlan>,
    /// The steps; a step needs only steps before it.
    pub steps: Vec<Step>,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// What was not planned, and why.
    pub blockers: Vec<Blocker>,
    /// What a person should know and nothing depends on.
    pub notes: Vec<Note>,
}

/// One cluster's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// The cluster.
    pub cluster: ClusterName,
    /// `traditional`, `dbless`, `hybrid`.
    pub topology: String,
    /// What changes, grouped: one entry for each change, with the nodes that have it.
    pub changes: Vec<Change>,
    /// What is removed, or held: the three steps of each.
    #[serde(default)]
    pub removals: Vec<Removal>,
    /// The nodes, each in one list only.
    pub nodes: NodeLists,
    /// How many nodes may fail before the cluster stops.
    pub max_failed: usize,
    /// How many nodes are worked on at once.
    pub at_once: usize,
    /// How many nodes may be out of service at once because of us.
    pub max_out: usize,
    /// How long, in seconds, a wave has to stay healthy before the next.
    pub soak: u64,
}

/// The nodes of a cluster by what the plan makes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLists {
    /// Has steps.
    pub changing: Vec<NodeName>,
    /// Nothing to do.
    pub in_line: Vec<NodeName>,
    /// Has drift, and a blocker on it.
    pub blocked: Vec<NodeName>,
    /// Could not be seen: will be planned when it can be.
    pub unknown: Vec<NodeName>,
    /// Marked `out` in the inventory.
    pub out: Vec<NodeName>,
    /// Not selected.
    pub left_out: Vec<NodeName>,
}

impl Plan {
    /// True when it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The rows that a step un-applies, one line for each; none if it is no un-apply of this name.
    pub fn rows_of(&self, step: StepId, name: &str) -> Vec<String> {
        let action = self.steps.iter().find(|planned| planned.id == step).map(|planned| &planned.action);
        let Some(crate::action::Action::Unapply(unapply)) = action else { return Vec::new() };
        let rows = unapply.rows.iter().filter(|_| unapply.name == name);
        rows.flat_map(|(plugin, rows)| rows.iter().map(move |row| format!("{plugin} on {}", row.words()))).collect()
    }

    /// This plan, and behind its steps and waves those of another one, with numbers of their own. The steps of this one keep
    /// theirs.
    #[must_use]
    pub fn followed_by(&self, other: Self) -> Self {
        let mut whole = self.clone();
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (steps, waves) = (count(self.steps.len()), count(self.waves.len()));
        for mut step in other.steps {
            step.id.0 += steps;
            step.needs.iter_mut().for_each(|need| need.0 += steps);
            if let Phase::Wave(wave) = &mut step.phase {
                wave.0 += waves;
            }
            whole.steps.push(step);
        }
        for mut wave in other.waves {
            wave.id.0 += waves;
            wave.number += count(self.waves.iter().filter(|own| own.cluster == wave.cluster).count());
            whole.waves.push(wave);
        }
        whole.basis.nodes.extend(other.basis.nodes);
        whole
    }

    /// The step of this id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(id.index())
    }

    /// How many nodes have a step that reloads Kong.
    pub fn reloads(&self) -> usize {
        self.steps.iter().filter(|step| step.reloads()).count()
    }
}
