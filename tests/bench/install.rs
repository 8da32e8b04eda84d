//! Installing five plugins on every node, from nothing to proven: by muster, and by plain ssh with the same scripts.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use muster::plan::Selection;
use muster::remote::Script;

use crate::Options;
use crate::fleet::{AT_ONCE, Gateways, clock};
use crate::plain::Plain;
use crate::recorder::{self, Calls};
use crate::table::{Table, ratio};

const ROUNDS: usize = 5;

/// Measures both in turn, each from nodes on which nothing is installed.
pub(crate) async fn measure(options: &Options, fleet: &Gateways, table: &mut Table) {
    let (mut floors, mut totals, mut looks, mut applies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds(ROUNDS) {
        fleet.reset();
        let dir = fleet.dir().join(format!("i{round}"));
        floors.push(floor(fleet, &dir, round as u64).await);
        fleet.reset();
        let (look, apply) = by_muster(fleet).await;
        totals.push(look + apply);
        looks.push(look);
        applies.push(apply);
    }
    let count = fleet.nodes.len();
    let plugins = fleet.bundles().len();
    table.times(format!("install of {plugins} plugins on {count} nodes, plain ssh"), &floors);
    table.times(format!("install of {plugins} plugins on {count} nodes, muster"), &totals);
    table.times("  of which connecting and looking", &looks);
    table.times("  of which changing, proving and looking again", &applies);
    table.below("install, muster over plain ssh", ratio(&totals, &floors), 1.5, "");
}

/// Connect, look, plan, carry out, look again: what `muster --apply` does.
async fn by_muster(fleet: &Gateways) -> (Duration, Duration) {
    let muster = fleet.muster();
    let begun = Instant::now();
    let picture = muster.look(clock()(), &|_, _| {}).await;
    let look = begun.elapsed();
    fleet.apply(&muster, picture).await;
    let all = begun.elapsed();
    muster.close().await;
    (look, all.saturating_sub(look))
}

async fn floor(fleet: &Gateways, dir: &Path, round: u64) -> Duration {
    // What is to be sent depends on what stands on the nodes, so it is found out beforehand.
    let muster = fleet.muster();
    let picture = muster.look(clock()(), &|_, _| {}).await;
    let plan = muster.plan(&picture, Selection::default(), Vec::new());
    let mut calls = recorder::calls(fleet, &picture, &plan, round).await;
    muster.close().await;
    let work: Vec<(Plain<'_>, Calls)> = fleet
        .nodes
        .iter()
        .map(|gateway| {
            let calls = calls.remove(&gateway.site.address.node).expect("every node has something to do");
            (Plain::new(fleet, gateway, dir), calls)
        })
        .collect();
    let begun = Instant::now();
    stream::iter(&work).for_each_concurrent(AT_ONCE, |(plain, calls)| install(plain, calls)).await;
    let taken = begun.elapsed();
    for (plain, _) in &work {
        plain.disconnect().await;
    }
    taken
}

/// One connection; survey, lease, deliveries, activation, lease given back, survey.
async fn install(plain: &Plain<'_>, calls: &Calls) {
    plain.connect().await;
    plain.survey_through().await;
    for (script, args, payload) in calls {
        match script {
            Script::Activate => plain.activate(args.clone()).await,
            _ => plain.run(*script, args.clone(), payload).await,
        }
    }
    plain.survey_through().await;
}
