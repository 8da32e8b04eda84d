//! What was recorded, and going on with it: `muster runs`, `muster resume`.

use std::time::Duration;

use muster::run::CancelLevel;

use crate::harness::{Gateways, Wanted, poll_until};

#[tokio::test]
async fn a_run_that_was_stopped_is_listed_told_again_and_finished() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.muster(&["runs"]).await.assert(0, &["no run was recorded"]);
    gateways.want("1.0.0");
    let rollout = "{ waves: [1, 100%], at_once: 1, soak: 0s }";
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&Wanted { rollout, ..Wanted::default() }))], "in turn");
    let call = gateways.begin(&["--apply", "--all"]);
    poll_until(Duration::from_mins(1), "the first node", || call.out().contains("activating").then_some(())).await;
    call.cancel(CancelLevel::AfterWave);
    let first = call.said().await;
    assert_eq!(first.code, 130, "{}", first.out);

    let json = gateways.muster(&["runs", "--format", "json"]).await;
    let line = &json.lines()[0];
    let run = line["run"].as_str().unwrap().to_owned();
    assert_eq!((line["end"].as_str(), line["resumable"].as_bool()), (Some("interrupted"), Some(true)));
    gateways.muster(&["runs"]).await.assert(0, &[&run, "interrupted", "2 nodes", &format!("muster resume {run}")]);
    // What it said then it says again.
    let again = gateways.muster(&["runs", &run]).await;
    assert_eq!(again.code, 0);
    let lines = |text: &str| text.lines().filter(|line| line.contains(':')).map(str::to_owned).collect::<Vec<_>>();
    let told = lines(&again.out);
    let said = lines(&first.out);
    assert!(said.ends_with(&told), "{}\n---\n{}", first.out, again.out);

    let ticket = gateways.muster(&["runs", &run, "--ticket"]).await;
    ticket.assert(0, &[&format!("muster run {run}"), "verdict   interrupted, exit 130", "eu-2: the run was cancelled"]);
    assert!(ticket.out.contains(&format!("to go on:  muster resume {run}\n")), "{}", ticket.out);
    let placed = gateways.muster(&["runs", &run, "--ticket", "--repo", "/srv/fleet"]).await;
    placed.assert(0, &[&format!("to go on:  muster resume {run} --repo /srv/fleet")]);
    let json = gateways.muster(&["runs", &run, "--ticket", "--format", "json"]).await;
    let value = json.lines().remove(0);
    let said = value["lines"].as_array().unwrap().iter().filter_map(|line| line.as_str());
    assert_eq!(said.collect::<Vec<_>>().join("\n"), ticket.out.trim_end());
    gateways.muster(&["runs", "--ticket"]).await.assert(64, &["--ticket"]);

    // The inventory moves on; the run has a commit of its own.
    gateways.want("2.0.0");
    let said = gateways.muster(&["resume", &run[..12]]).await;
    said.assert(0, &["install", "acme-auth 1.0.0", "nothing has been", &format!("muster resume {run} --yes")]);
    assert_eq!(gateways.proxied("eu-2").await, Some((200, None)), "it was only shown");
    gateways.muster(&["resume", &run, "--yes"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;

    let runs = gateways.muster(&["runs", "--format", "json"]).await;
    let newest = runs.lines()[0]["run"].as_str().unwrap().to_owned();
    assert_ne!(newest, run);
    gateways.muster(&["resume", &newest]).await.assert(0, &["reached its goal"]);
    gateways
        .muster(&["resume", "01JD3MVSTER00000000000000A"])
        .await
        .assert(1, &["not recorded on this machine", "muster runs"]);
    gateways.muster(&["resume", "0"]).await.assert(1, &["could be several runs"]);
    gateways.muster(&["resume", &run, "--rev", "HEAD"]).await;
    gateways.muster(&["resume", &run, "--node", "eu-1"]).await.assert(64, &["--node", "muster resume"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}
