//! What a run leaves held, and what releases it.

use super::{CancelLevel, ClusterStep, Fate, RunState, SkipReason, StepEnd};
use crate::name::{ClusterName, NodeName, collapse};

/// Something that waits for something outside of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What is held ("files of legacy-hmac on eu-prod").
    pub what: String,
    /// What holds it.
    pub why: String,
    /// What releases it.
    pub release: String,
}

/// What a look afterwards says of a removal that it finds held (`fleet` writes it).
const LEFT: &str = " is held on ";

impl RunState {
    /// What a look afterwards found to differ, without what [`RunState::held`] names.
    pub fn still_differs(&self) -> impl Iterator<Item = &str> {
        self.looked.iter().flat_map(|(_, left)| left).map(String::as_str).filter(|line| !line.contains(LEFT))
    }

    /// What is held, and what releases it: files that wait for other nodes, removals that wait for rows, leases that are kept.
    pub fn held(&self) -> Vec<Held> {
        let clusters = self.cluster_steps.iter();
        let files = clusters.flat_map(|(cluster, steps)| steps.iter().filter_map(|step| files(cluster, step)));
        files.chain(self.removals()).chain(self.leases()).collect()
    }

    fn removals(&self) -> impl Iterator<Item = Held> {
        let left = self.looked.iter().flat_map(|(_, left)| left);
        left.filter_map(|line| {
            let (what, why) = line.split_once(": ").filter(|(what, _)| what.contains(LEFT))?;
            let what = what.replacen(LEFT, " on ", 1);
            let release = "a plan names the way out of it".to_owned();
            Some(Held { what: format!("the removal of {what}"), why: why.to_owned(), release })
        })
    }

    /// The leases that were not given back: of nodes whose state is unknown, and of all where connections were closed.
    fn leases(&self) -> impl Iterator<Item = Held> {
        let closed = self.cancel == Some(CancelLevel::Close);
        let over = self.verdict.is_some();
        let clusters = self.head.iter().flat_map(|head| &head.clusters).filter(move |_| over);
        clusters.filter_map(move |(cluster, _)| {
            let kept =
                self.nodes_of(cluster).filter(|(_, node)| node.touched && (closed || node.fate == Fate::Unknown));
            let kept: Vec<NodeName> = kept.map(|(name, _)| name.clone()).collect();
            let why = if closed { "the connections were closed" } else { "what became of it is not known" };
            (!kept.is_empty()).then(|| Held {
                what: format!("the lease of {}", collapse(&kept)),
                why: why.to_owned(),
                release: format!("it ends by its time; at once: muster unlock {cluster}"),
            })
        })
    }
}

/// The files that a step of a whole cluster keeps where they are.
fn files(cluster: &ClusterName, step: &ClusterStep) -> Option<Held> {
    let Some(StepEnd::Skipped { why }) = &step.end else { return None };
    let of = if step.about.is_empty() { String::new() } else { format!(" of {}", step.about) };
    let (why, release) = match why {
        SkipReason::Held { why } => (why.clone(), "once that is gone, a new plan deletes them"),
        SkipReason::Needs { .. } if step.action == "fence" => {
            ("not every node is without the plugin".to_owned(), "once every node is, a new plan deletes them")
        }
        _ => return None,
    };
    Some(Held { what: format!("files{of} on {cluster}"), why, release: release.to_owned() })
}
