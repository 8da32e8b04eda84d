//! Trial loads that were made for a plan, on one node for each that would load the same, before it is carried out: what they
//! stop, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Draft;
use super::{Blocker, BlockerCode, PlanBuilder, Request, Scope, Step};
use crate::action::{Action, Rehearse};
use crate::bundle::Bundle;
use crate::hint::Hint;
use crate::inventory::Cluster;
use crate::name::{BundleName, ClusterName, Digest, NodeName, PluginName};

/// The topic of the notes.
const TOPIC: &str = "trial load";
/// On so many nodes that are alike one is tried that comes to nothing, before the others are left untried.
const NODES: usize = 3;

/// A trial load that is to be made, or was.
#[derive(Debug, Clone)]
pub struct OnTrial {
    /// Of which cluster.
    pub cluster: ClusterName,
    /// Where.
    pub node: NodeName,
    /// The version of Kong there.
    pub kong: Option<String>,
    /// What is tried.
    pub rehearse: Rehearse,
}

/// A trial load that was made.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What was tried.
    pub on: OnTrial,
    /// What came of it.
    pub found: Found,
}

/// What came of a trial load.
#[derive(Debug, Clone)]
pub enum Found {
    /// All of it loads.
    Loads,
    /// None could be made there, and why.
    NotMade(String),
    /// It does not load.
    Fails {
        /// The bundles whose content it is; none: something of the node.
        of: BTreeSet<BundleName>,
        /// What was found, one line, with the place in the repository.
        what: String,
        /// More lines, with Kong's own.
        details: Vec<String>,
        /// What to do.
        hints: Vec<Hint>,
    },
}

impl Tried {
    fn loads(&self) -> bool {
        matches!(self.found, Found::Loads)
    }

    fn blocker(&self, scope: Scope) -> Option<Blocker> {
        let Found::Fails { what, details, hints, .. } = &self.found else { return None };
        let (what, details, hints) = (what.clone(), details.clone(), hints.clone());
        Some(Blocker { code: BlockerCode::TrialLoad, scope, what, details, hints })
    }

    fn loads_not(&self, bundle: &Bundle) -> bool {
        let Found::Fails { of, .. } = &self.found else { return false };
        let is_it = |digest: &Digest| *digest == bundle.digest;
        let tried = self.on.rehearse.staged.iter().any(|one| one.bundle == bundle.name && is_it(&one.digest));
        tried && of.contains(&bundle.name)
    }

    /// `acme-auth 2.0.0 loads on eu-p1 (Kong 3.9.1)`, or why that is not known.
    fn told(&self) -> Option<String> {
        let kong = self.on.kong.as_ref().map(|kong| format!(" (Kong {kong})")).unwrap_or_default();
        let (about, node) = (self.on.rehearse.about(), &self.on.node);
        match &self.found {
            Found::Loads => Some(format!("{about} loads on {node}{kong}")),
            Found::NotMade(why) => Some(format!("none could be made on {node}{kong}: {why}")),
            Found::Fails { .. } => None,
        }
    }
}

/// Whether a trial load has shown that this content does not load in this cluster; adds the blocker then.
pub(super) fn does_not_load(draft: &mut Draft<'_>, bundle: &Bundle) -> bool {
    let cluster = &draft.cluster.name;
    let failed = draft.request.trials.iter().find(|tried| tried.on.cluster == *cluster && tried.loads_not(bundle));
    let scope = Scope::Plugin { cluster: cluster.clone(), name: bundle.name.to_string() };
    let Some(blocker) = failed.and_then(|tried| tried.blocker(scope)) else { return false };
    draft.plan.blockers.push(blocker);
    true
}

/// A node on which what it would load anew does not load, through no fault of the content, is left as it is.
pub(super) fn not_here(draft: &mut Draft<'_>) {
    let node = &draft.node.name;
    let here =
        |tried: &&Tried| tried.on.node == *node && matches!(&tried.found, Found::Fails { of, .. } if of.is_empty());
    let failed = draft.request.trials.iter().find(here).filter(|_| draft.plan.rehearse.is_some());
    let Some(blocker) = failed.and_then(|tried| tried.blocker(Scope::Node { node: node.clone() })) else { return };
    draft.plan.blockers.push(blocker);
    (draft.plan.activate, draft.plan.rehearse, draft.plan.manifest) = (None, None, None);
}

/// Notes what loads, where none could be made, and what is not known therefore.
pub(super) fn tell(request: &Request<'_>, cluster: &Cluster, builder: &mut PlanBuilder) {
    let here = request.trials.iter().filter(|tried| tried.on.cluster == cluster.name);
    for text in here.clone().filter_map(Tried::told) {
        builder.note(TOPIC, text, Vec::new());
    }
    let mut made: BTreeMap<Alike<'_>, Vec<&Tried>> = BTreeMap::new();
    for tried in here {
        made.entry(tried.on.alike()).or_default().push(tried);
    }
    for all in made.values().filter(|all| all.len() >= NODES && !all.iter().any(|tried| tried.loads())) {
        let Some(first) = all.first() else { continue };
        let text = format!(
            "{}: none of the {} nodes of {} that it was tried on tells whether it loads; others were not tried",
            first.on.rehearse.about(),
            all.len(),
            cluster.name
        );
        builder.note(TOPIC, text, Vec::new());
    }
}

/// Nodes that load the same are alike: one cluster, one version of Kong, the same content and names.
type Alike<'a> = (&'a ClusterName, Option<&'a str>, Vec<(&'a BundleName, &'a Digest)>, &'a BTreeSet<PluginName>);

impl OnTrial {
    fn alike(&self) -> Alike<'_> {
        let staged = self.rehearse.staged.iter().map(|one| (&one.bundle, &one.digest)).collect();
        (&self.cluster, self.kong.as_deref(), staged, &self.rehearse.added)
    }
}

/// What is to be tried next for the steps of a plan: of nodes that are alike the one that comes first in its waves, unless that was settled
/// by one of them. None: the plan stands.
pub fn to_try(steps: &[Step], kong: impl Fn(&NodeName) -> Option<String>, trials: &[Tried]) -> Vec<OnTrial> {
    let mut next: Vec<OnTrial> = Vec::new();
    for step in steps {
        let (Action::Rehearse(rehearse), Some(node)) = (&step.action, step.target.node()) else { continue };
        let (cluster, rehearse) = (step.cluster.clone(), (**rehearse).clone());
        let on = OnTrial { cluster, node: node.clone(), kong: kong(node), rehearse };
        let before: Vec<&Tried> = trials.iter().filter(|tried| tried.on.alike() == on.alike()).collect();
        let settled = before.len() >= NODES || before.iter().any(|tried| tried.loads() || tried.on.node == on.node);
        if !settled && !next.iter().any(|other| other.alike() == on.alike()) {
            next.push(on);
        }
    }
    next
}

#[cfg(test)]
#[path = "tried_tests.rs"]
mod tests;
