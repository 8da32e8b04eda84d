//! Looking at every node: by a muster that has no connection yet, by plain ssh, and again over the connections held.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use muster::fleet::Picture;
use muster::survey::NodeSurvey;

use crate::Options;
use crate::fleet::{AT_ONCE, Gateways, clock};
use crate::plain::Plain;
use crate::table::{Table, ratio};

const ROUNDS: usize = 7;
/// Further looks over the connections of each round.
const REFRESHES: usize = 3;

/// Measures, with everything installed, so that there are files to hash.
pub(crate) async fn measure(options: &Options, fleet: &Gateways, table: &mut Table) {
    fleet.reset();
    let muster = fleet.muster();
    let picture = muster.look(clock()(), &|_, _| {}).await;
    fleet.apply(&muster, picture).await;
    muster.close().await;
    let (mut scripts, mut floors, mut looks, mut refreshes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds(ROUNDS) {
        let dir = fleet.dir().join(format!("s{round}"));
        let plain: Vec<Plain<'_>> = fleet.nodes.iter().map(|node| Plain::new(fleet, node, &dir)).collect();
        scripts.push(all(&plain, Plain::script_here).await);
        floors.push(all(&plain, Plain::survey_alone).await);
        let (look, refresh) = by_muster(fleet).await;
        looks.push(look);
        refreshes.push(refresh);
    }
    let count = fleet.nodes.len();
    table.times(format!("the survey's script {count} times, without ssh"), &scripts);
    table.times(format!("survey of {count} nodes, plain ssh"), &floors);
    table.times(format!("survey of {count} nodes, muster"), &looks);
    table.below("survey, muster over plain ssh", ratio(&looks, &floors), 1.2, "");
    table.times(format!("refresh of {count} nodes over held connections"), &refreshes);
    table.below("refresh over survey", ratio(&refreshes, &looks), 0.15, "");
}

/// Does it on every node, so many at once.
async fn all<'a>(plain: &'a [Plain<'a>], each: impl AsyncFn(&'a Plain<'a>)) -> Duration {
    let begun = Instant::now();
    stream::iter(plain).for_each_concurrent(AT_ONCE, async |plain| each(plain).await).await;
    begun.elapsed()
}

/// The first look, and the median of those after it.
async fn by_muster(fleet: &Gateways) -> (Duration, Duration) {
    let muster = fleet.muster();
    let begun = Instant::now();
    let picture = muster.look(clock()(), &|_, _| {}).await;
    let look = begun.elapsed();
    in_line(&picture);
    let mut again = Vec::new();
    for _ in 0..REFRESHES {
        let begun = Instant::now();
        let picture = muster.look(clock()(), &|_, _| {}).await;
        again.push(begun.elapsed());
        in_line(&picture);
    }
    muster.close().await;
    (look, crate::table::median(&again))
}

/// Every node was seen, with nothing left to do.
fn in_line(picture: &Picture) {
    for (name, node) in &picture.survey.nodes {
        let trouble = match node {
            NodeSurvey::Seen(facts) => facts.admin.as_ref().err(),
            NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble) => Some(trouble),
        };
        assert!(trouble.is_none(), "{name}: {trouble:?}");
    }
    let (in_line, drift, unknown) = picture.diff.counts();
    assert_eq!((drift, unknown), (0, 0), "{in_line} nodes are in line");
}
