//! Planning with trial loads: of the nodes that would load the same, one tries it with its own Kong, and then it is planned
//! again without what does not load. It runs the Lua of the bundles on gateways, so that it is made only where it is asked for.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::closer::secrets;
use super::{Fleet, Picture};
use crate::action::Rehearse;
use crate::bundle::Bundle;
use crate::name::{BundlePath, Digest, NodeName};
use crate::perform::{Parcel, Reach as _, Trial, on_trial};
use crate::plan::{Allow, Found, Goal, Note, OnTrial, Plan, Selection, Tried, to_try};
use crate::remote::{Fault, RemoteError};

/// How often it is planned anew at the most: each time without one more thing that does not load.
const ROUNDS: usize = 20;

impl Fleet {
    /// Plans like [`Fleet::plan_closely`], and has what would be loaded anew loaded on trial before. Nothing that lasts is
    /// changed on a node.
    pub async fn plan_on_trial(&self, picture: &mut Picture, selection: Selection, allow: Vec<Allow>) -> Plan {
        let mut trials: Vec<Tried> = Vec::new();
        for _ in 0..ROUNDS {
            let mut plan = self.closely(picture, selection.clone(), allow.clone(), Goal::InLine, &trials).await;
            let kong = |node: &NodeName| picture.diff.node(node)?.kong.clone();
            let next = to_try(&plan.steps, kong, &trials);
            if next.is_empty() {
                if trials.is_empty() {
                    let text = "none was made, as nothing would be loaded anew where one can be made".to_owned();
                    plan.notes.push(Note { topic: "trial load".to_owned(), text, nodes: Vec::new() });
                }
                return plan;
            }
            let tries: Vec<_> = next.into_iter().map(|on| self.try_one(picture, on)).collect();
            let found: Vec<Tried> = stream::iter(tries).buffered(self.settings.at_once.max(1)).collect().await;
            tracing::info!(nodes = found.len(), "loaded on trial");
            trials.extend(found);
        }
        self.closely(picture, selection, allow, Goal::InLine, &trials).await
    }

    async fn try_one(&self, picture: &Picture, on: OnTrial) -> Tried {
        let found = match self.on_trial(picture, &on).await {
            Ok(Trial::Loads) => Found::Loads,
            Ok(Trial::NotMade(why)) => Found::NotMade(why),
            Ok(Trial::Fails { cause, of }) => {
                Found::Fails { of, what: cause.text, details: cause.details, hints: cause.hints }
            }
            Err(error) => Found::NotMade(error.to_string()),
        };
        Tried { on, found }
    }

    /// Twice, if the connection that was kept turns out to be dead, as nothing is changed.
    async fn on_trial(&self, picture: &Picture, on: &OnTrial) -> Result<Trial, RemoteError> {
        let (Some(site), Some(facts)) = (self.sites.get(&on.node), picture.survey.seen(&on.node)) else {
            return Ok(Trial::NotMade("it was not seen".to_owned()));
        };
        let Some(parcel) = self.parcel(&on.rehearse) else {
            return Ok(Trial::NotMade("the content is not at hand".to_owned()));
        };
        let secrets = secrets(facts);
        let mut last = false;
        loop {
            let remote = self.pool.reach(&site.address).await?;
            match on_trial(&*remote, site, &on.rehearse, &parcel, &secrets).await {
                Err(error) if !last && error.fault == Fault::Lost => self.pool.forget(&on.node).await,
                found => return found,
            }
            last = true;
        }
    }

    /// All content that is tried in one, the files of each bundle below its name.
    fn parcel(&self, rehearse: &Rehearse) -> Option<Parcel> {
        let of = |digest: &Digest| self.desired.bundles.values().find(|bundle| bundle.digest == *digest);
        let bundles: Option<Vec<&Bundle>> =
            rehearse.staged.iter().map(|candidate| of(&candidate.digest).map(AsRef::as_ref)).collect();
        let bundles = bundles?;
        let below = |bundle: &Bundle| -> Option<BTreeMap<BundlePath, Digest>> {
            let file = |(path, content): (&BundlePath, &crate::bundle::Content)| {
                Some((BundlePath::parse(&format!("{}/{path}", bundle.name)).ok()?, content.sha256().clone()))
            };
            bundle.files.iter().map(file).collect()
        };
        let files: Option<Vec<_>> = bundles.iter().map(|bundle| below(bundle)).collect();
        let files = files?.into_iter().flatten().collect();
        Some(Parcel { bytes: Bundle::pack_together(bundles), files })
    }
}
