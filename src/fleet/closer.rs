//! Planning with evidence: the nodes that a first draft of the plan would reload are looked at closer, all at once, and then it
//! is planned again (protocols.md A, "Evidence before"). No other node pays for that with a round trip.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};

use super::{Fleet, Picture};
use crate::name::{ClusterName, NodeName, PluginName};
use crate::perform::{Reach as _, candidate};
use crate::plan::{self, Allow, Goal, Plan, Selection, Tried};
use crate::survey::{CandidateRequest, Closer, From, NodeFacts, Trouble};

impl Fleet {
    /// Plans what would bring the selection into line, with a closer look at the nodes that it reloads. What was found stays in
    /// the picture, until a node is looked at again.
    pub async fn plan_closely(&self, picture: &mut Picture, selection: Selection, allow: Vec<Allow>) -> Plan {
        self.closely(picture, selection, allow, Goal::InLine, &[]).await
    }

    /// Plans what lists plugins again that were being removed and are used again.
    pub async fn plan_back(&self, picture: &mut Picture, cluster: &ClusterName, plugins: BTreeSet<PluginName>) -> Plan {
        let goal = Goal::PutBack { cluster: cluster.clone(), plugins };
        self.closely(picture, Selection::default(), Vec::new(), goal, &[]).await
    }

    pub(super) async fn closely(
        &self,
        picture: &mut Picture,
        selection: Selection,
        allow: Vec<Allow>,
        goal: Goal,
        trials: &[Tried],
    ) -> Plan {
        let draft = self.plan_for(picture, selection.clone(), allow.clone(), goal.clone(), trials);
        let reloads = draft.steps.iter().filter(|step| step.reloads()).filter_map(|step| step.target.node());
        let nodes: BTreeSet<NodeName> =
            reloads.filter(|node| !picture.survey.closer.contains_key(*node)).cloned().collect();
        if nodes.is_empty() {
            return draft;
        }
        let looks: Vec<_> = nodes.iter().map(|node| self.look_closer(picture, node)).collect();
        let found: Vec<Closer> = stream::iter(looks).buffered(self.settings.at_once.max(1)).collect().await;
        tracing::info!(nodes = nodes.len(), failed = found.iter().filter(|one| one.is_err()).count(), "looked closer");
        picture.survey.closer.extend(nodes.into_iter().zip(found));
        self.plan_for(picture, selection, allow, goal, trials)
    }

    /// One node; twice, if the connection that was kept turns out to be dead, as nothing is changed.
    async fn look_closer(&self, picture: &Picture, node: &NodeName) -> Closer {
        let unseen =
            || Trouble { code: "not-seen".to_owned(), text: format!("{node} was not seen"), hints: Vec::new() };
        let site = self.sites.get(node).ok_or_else(unseen)?;
        let facts = picture.survey.seen(node).ok_or_else(unseen)?;
        let (request, secrets) = (self.request(facts, node), secrets(facts));
        let request = request.ok_or_else(unseen)?;
        let secrets = [secrets, given(&request.from)].concat();
        let deadline = self.settings.deadline;
        let mut last = false;
        loop {
            let attempt = async {
                let remote = self.pool.reach(&site.address).await.map_err(candidate::of_remote)?;
                candidate::candidate(&*remote, site, &request, &secrets, deadline).await
            };
            let slow = || {
                let text = format!("{node} did not answer within {} s", deadline.as_secs());
                Trouble { code: "timed-out".to_owned(), text, hints: Vec::new() }
            };
            match tokio::time::timeout(deadline, attempt).await.unwrap_or_else(|_| Err(slow())) {
                Err(trouble) if !last && trouble.code == "lost" => self.pool.forget(node).await,
                found => return found,
            }
            last = true;
        }
    }

    fn request(&self, facts: &NodeFacts, node: &NodeName) -> Option<CandidateRequest> {
        let site = self.sites.get(node)?;
        let from = plan::evidence_from(self.desired.inventory.node(node)?, facts);
        Some(CandidateRequest { prefix: site.prefix.clone(), cli: site.cli.clone(), from })
    }
}

/// The values that the CLI is given besides, but for those too short to be a secret, and to be told apart in a text.
fn given(from: &From) -> Vec<String> {
    let From::Started { variables, .. } = from else { return Vec::new() };
    let values = variables.iter().filter_map(|variable| Some(variable.split_once('=')?.1.to_owned()));
    values.filter(|value| value.len() >= 6).collect()
}

/// What must not be shown of what the CLI says.
pub(super) fn secrets(facts: &NodeFacts) -> Vec<String> {
    let conf = facts.conf_file.iter().flat_map(|conf| conf.open().secrets());
    facts.env_file.iter().flat_map(|env| env.open().secrets()).chain(conf).collect()
}
