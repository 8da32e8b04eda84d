use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::name::Revision;
use crate::plan::Origin;
use crate::remote::{Fault, NodeAddress, Remote, RemoteError};
use crate::survey::Sight;

/// Nothing answers.
struct Silent;

#[async_trait]
impl Connect for Silent {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        Err(RemoteError::new(Fault::TimedOut, format!("connecting to {}", address.node), "no answer"))
    }

    async fn shutdown(&self) {}
}

fn fleet() -> Fleet {
    let text = "version: 1\nowner: edge\nclusters:\n  eu:\n    topology: traditional\n    nodes: [eu-1, eu-2, eu-3]\n";
    let inventory = crate::inventory::parse("inventory.yaml", text.as_bytes()).unwrap();
    let origin = Origin {
        repository: "fleet".to_owned(),
        revision: Revision::parse(&"0".repeat(40)).unwrap(),
        summary: String::new(),
        branch: None,
    };
    let desired = Desired { origin, inventory, bundles: BTreeMap::new(), known: BTreeMap::new(), dirty: Vec::new() };
    Fleet::new(desired, Arc::new(Silent), LookSettings::for_cores(1), &Access::default()).unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn a_node_that_is_not_seen_keeps_when_it_last_was_through_every_later_look() {
    let fleet = fleet();
    // As after a look in which it answered.
    fleet.last_seen.lock().unwrap().insert(node("eu-1"), time(10));
    let first = fleet.look(time(20), &|_, _| {}).await;
    let told = AtomicUsize::new(0);
    let count = |_: &NodeName, _: &NodeSurvey| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let second = fleet.look_again(first.survey, &[node("eu-2"), node("xx")].into(), time(30), &count).await;
    assert_eq!(told.into_inner(), 1, "who waits is told of each node that is looked at");
    let standing = |name| second.diff.node(&node(name)).unwrap().standing.clone();
    let times = |name| (standing(name).looked, standing(name).last_seen, standing(name).sight);
    assert_eq!(times("eu-1"), (Some(time(20)), Some(time(10)), Some(Sight::Unreachable)));
    assert_eq!(times("eu-2"), (Some(time(30)), None, Some(Sight::Unreachable)));
    assert_eq!(times("eu-3"), (Some(time(20)), None, Some(Sight::Unreachable)));
    assert_eq!(second.survey.at, time(30), "what a plan takes for now");
}
