//! The living picture: what is wanted, what was seen, and the connections that are kept between the two.
//!
//! Owns: [`Fleet`], which the command line and the terminal UI both use, so that they cannot differ. Must not know:
//! terminals, arguments, formats.

mod access;
mod apply;
mod closer;
mod desired;
mod doctor;
mod doubts;
pub mod import;
mod inspect;
mod locks;
mod operator;
mod plugin_doubts;
mod restore;
mod site;
mod trial;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use access::{Access, Token};
pub use apply::{Applied, Apply, ApplyError};
pub use desired::{BundleTrouble, Desired, DesiredError, Source};
pub use doctor::examined;
pub use doubts::{Doubt, doubts};
pub use locks::{Unlocked, locks, unlock};
pub use operator::{Operator, OperatorError};
pub use restore::{may_restore, restore_rows};
pub use site::{SiteError, site};

use crate::diff::{self, FleetDiff};
use crate::execute::look::{self, LookRequest, LookSettings};
use crate::execute::pool::Pool;
use crate::inventory::{Cluster, Inventory, Node};
use crate::name::{BundlePath, NodeName};
use crate::perform::Site;
use crate::plan::{self, Allow, Goal, Plan, Request, Selection, Tried};
use crate::remote::Connect;
use crate::survey::{NodeSurvey, Survey};

/// A fleet: what is wanted of it, and the way to its nodes.
pub struct Fleet {
    /// What is wanted.
    pub desired: Desired,
    sites: BTreeMap<NodeName, Site>,
    pool: Arc<Pool>,
    settings: LookSettings,
    /// When each node was last seen since this was made.
    last_seen: Mutex<BTreeMap<NodeName, Timestamp>>,
}

/// What was seen, compared with what is wanted.
#[derive(Clone)]
pub struct Picture {
    /// What was seen.
    pub survey: Survey,
    /// The comparison.
    pub diff: FleetDiff,
}

impl Fleet {
    /// A fleet over this way to connect, with what its Admin APIs are entered with.
    pub fn new(
        desired: Desired,
        connect: Arc<dyn Connect>,
        settings: LookSettings,
        access: &Access,
    ) -> Result<Self, SiteError> {
        let nodes = desired.inventory.nodes().filter(|node| node.out.is_none());
        let sites: Result<_, _> = nodes.map(|node| Ok((node.name.clone(), site(node, access)?))).collect();
        Ok(Self { sites: sites?, desired, pool: Arc::new(Pool::new(connect)), settings, last_seen: Mutex::default() })
    }

    /// How many nodes there are to look at.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// Looks at every node. A selection narrows what is changed, never what is looked at (architecture.md 5).
    pub async fn look(&self, at: Timestamp, progress: look::Progress<'_>) -> Picture {
        let all = self.sites.keys().collect();
        let survey = self.survey(&all, at, progress).await;
        self.picture(survey)
    }

    /// Looks again at these nodes and keeps what was seen of the others.
    pub async fn look_again(
        &self,
        before: Survey,
        nodes: &BTreeSet<NodeName>,
        at: Timestamp,
        progress: look::Progress<'_>,
    ) -> Picture {
        let known = nodes.iter().filter(|node| self.sites.contains_key(*node)).collect();
        let mut survey = self.survey(&known, at, progress).await;
        survey.keep(before);
        self.picture(survey)
    }

    /// Notes which nodes were seen, and of the others when that last was.
    fn remember(&self, survey: &mut Survey) {
        let mut last = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, found) in &survey.nodes {
            if matches!(found, NodeSurvey::Seen(_)) {
                last.insert(name.clone(), survey.at);
            } else if let Some(at) = last.get(name) {
                survey.last_seen.insert(name.clone(), *at);
            }
        }
    }

    async fn survey(&self, nodes: &BTreeSet<&NodeName>, at: Timestamp, progress: look::Progress<'_>) -> Survey {
        let inventory = &self.desired.inventory;
        let requests: Vec<(NodeName, LookRequest)> = inventory
            .clusters
            .values()
            .flat_map(|cluster| cluster.nodes.values().map(move |node| (cluster, node)))
            .filter(|(_, node)| nodes.contains(&node.name))
            .filter_map(|(cluster, node)| {
                let site = self.sites.get(&node.name)?.clone();
                Some((node.name.clone(), LookRequest { site, roots: self.roots(cluster, node) }))
            })
            .collect();
        let mut survey = look::look(&requests, &*self.pool, &self.settings, at, progress).await;
        self.remember(&mut survey);
        let (seen, unreachable, refused) = survey.counts();
        tracing::info!(seen, unreachable, refused, "looked");
        for (node, found) in &survey.nodes {
            if let NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble) = found {
                tracing::warn!(%node, code = trouble.code, text = trouble.text, "not seen");
            }
        }
        survey
    }

    /// The roots below the Lua root that matter on a node: of its bundles, and of its plugins without one.
    fn roots(&self, cluster: &Cluster, node: &Node) -> Vec<BundlePath> {
        let mut roots = BTreeSet::new();
        for assignment in cluster.assignments(node) {
            if let Some(plugin) = assignment.subject.plugin() {
                roots.extend(BundlePath::parse(&format!("kong/plugins/{plugin}")));
            }
            let key = assignment.subject.bundle().map(|name| (name.clone(), assignment.version.clone()));
            if let Some(bundle) = key.and_then(|key| self.desired.bundles.get(&key)) {
                roots.extend(bundle.roots.iter().cloned());
            }
        }
        roots.into_iter().collect()
    }

    fn picture(&self, survey: Survey) -> Picture {
        let diff = diff::diff(&self.desired.inventory, &self.desired.bundles, &survey);
        Picture { survey, diff }
    }

    /// Plans what would bring the selection into line, without a closer look at the nodes that it would reload: to be shown, and
    /// not to be carried out.
    pub fn plan(&self, picture: &Picture, selection: Selection, allow: Vec<Allow>) -> Plan {
        self.plan_for(picture, selection, allow, Goal::InLine, &[])
    }

    fn plan_for(
        &self,
        picture: &Picture,
        selection: Selection,
        allow: Vec<Allow>,
        goal: Goal,
        trials: &[Tried],
    ) -> Plan {
        plan::plan(&Request {
            inventory: &self.desired.inventory,
            bundles: &self.desired.bundles,
            known: &self.desired.known,
            survey: &picture.survey,
            diff: &picture.diff,
            origin: self.desired.origin.clone(),
            selection,
            allow,
            goal,
            trials,
        })
    }

    /// The inventory.
    pub fn inventory(&self) -> &Inventory {
        &self.desired.inventory
    }

    /// Closes every connection, and what the transport keeps beside them.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The nodes of a survey that were not seen.
pub fn unseen(survey: &Survey) -> impl Iterator<Item = &NodeName> {
    survey.nodes.iter().filter(|(_, seen)| !matches!(seen, NodeSurvey::Seen(_))).map(|(name, _)| name)
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
