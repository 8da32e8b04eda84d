//! measured.md 2 and protocols.md B3: what a reload looks like while it happens, and what it looks like when it did not.

use std::time::Duration;

use super::{applies, fleet, holds, naive, ready};
use crate::contract::probe::{wait_for, wait_until};
use crate::harness::gateways::{handler, in_the_master};

#[tokio::test]
async fn the_command_says_reloaded_before_anything_is_loaded() {
    let node = naive();
    node.change(|settings| settings.faults.slow_load = 0.5);
    node.write_plugin("good", "2.0.0");
    node.with_conf("reload").says("Kong reloaded\n");
    assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"), "the naive check right after the command");
    // Nor does a fixed time help: this load may take any.
    let Some(gateways) = fleet().await else { return };
    gateways.node("eu-1").change(|settings| settings.faults.slow_load = 1.5).unwrap();
    applies(&gateways, "1.0.0").await;
}

#[tokio::test]
async fn for_a_moment_old_workers_answer_with_the_pids_of_the_new_ones() {
    let node = naive();
    let before = node.announced().unwrap();
    node.write_plugin("good", "2.0.0");
    node.with_conf("reload").says("Kong reloaded\n");
    let told = wait_for("an answer whose pids are all new", || {
        let root = node.root();
        let pids = root["pids"].get("workers")?.as_array()?.clone();
        let new = pids.iter().filter_map(serde_json::Value::as_i64).all(|pid| !before.contains(&pid));
        (new && !pids.is_empty()).then(|| root["plugins"]["available_on_server"]["good"]["version"].clone())
    });
    assert_eq!(told, "1.0.0", "the naive proof is satisfied, by a worker that runs the old code");
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    gateways.want("2.0.0");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["acme-auth 2.0.0", "converged, exit 0. 1 of 1 node proven"]);
    holds(&gateways, "2.0.0").await;
}

#[tokio::test]
async fn readiness_is_503_during_a_good_reload() {
    let node = naive();
    node.change(|settings| settings.faults.slow_load = 0.4);
    let before = node.live();
    node.with_conf("reload").says("Kong reloaded\n");
    wait_until("the naive check sees 503 and would put back", || node.ready() == Some(503));
    assert_eq!(node.proxy("/").unwrap().status, 200, "while traffic is served");
    node.wait_replaced(&before);
    let Some(gateways) = fleet().await else { return };
    gateways.node("eu-1").change(|settings| settings.faults.slow_load = 1.0).unwrap();
    applies(&gateways, "1.0.0").await;
}

#[tokio::test]
async fn a_good_reload_may_log_errors() {
    let node = naive();
    let already = node.log().len();
    node.reloaded();
    wait_until("the naive check finds an error in the log", || node.log()[already..].contains("[error]"));
    assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"), "of a reload that is good");
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    applies(&gateways, "2.0.0").await;
}

#[tokio::test]
async fn new_content_under_the_same_version_is_not_seen_by_its_version() {
    let node = naive();
    node.write("good/handler.lua", "return { PRIORITY = 900, VERSION = '1.0.0' } -- other content");
    let version = node.root()["plugins"]["available_on_server"]["good"]["version"].clone();
    assert_eq!(version, "1.0.0", "the naive check says that it runs already");
    assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"), "and it runs the old code");
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    gateways.want_handler(&handler("1.0.0", "-- other content\n"), "the same version");
    let before = gateways.node("eu-1").master();
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0. 1 of 1 node proven"]);
    assert_eq!(gateways.node("eu-1").master(), before);
    holds(&gateways, "1.0.0").await;
}

#[tokio::test]
async fn a_version_that_kong_cleans_is_not_told_as_it_was_written() {
    let node = naive();
    node.write_plugin("good", "1.0.0-7");
    node.reloaded();
    let version = node.root()["plugins"]["available_on_server"]["good"]["version"].clone();
    assert_eq!(version, "1.0.0", "the naive check waits for 1.0.0-7 for ever");
    let Some(gateways) = fleet().await else { return };
    gateways.want("1.0.0-7");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0. 1 of 1 node proven"]);
    holds(&gateways, "1.0.0").await;
}

#[tokio::test]
async fn putting_the_files_back_after_a_failed_load_brings_readiness_back_only_with_a_reload() {
    let node = naive();
    node.write("good/schema.lua", "return }");
    node.with_conf("reload").says("Kong reloaded\n");
    wait_until("the load failed", || node.announced().is_none());
    node.wait_idle();
    node.write_plugin("good", "1.0.0");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(
        node.ready(),
        Some(503),
        "the naive way back: the files are as they were, and a load balancer drains it"
    );
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    // A trial load does not see it.
    let broken = in_the_master("error(\"no \" .. \"licence\")");
    gateways.want_handler(&handler("2.0.0", &broken), "2.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(3, &["rolled back"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(ready(gateways.node("eu-1")), 200);
    applies(&gateways, "2.0.1").await;
}
