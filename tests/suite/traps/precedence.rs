//! measured.md 4 and protocols.md B2: which value wins, and what a command forgets.

use std::path::Path;

use serde_json::json;

use super::{append, applies, fleet, holds, kept, naive, starts};
use crate::contract::gateway::Gateway;
use crate::contract::probe::{request, wait_until};

#[tokio::test]
async fn a_reload_with_the_file_moves_the_admin_port_that_the_environment_had_set() {
    let node = Gateway::stand_in().node("bundled", &[]);
    let (conf, other) = (node.conf.display().to_string(), format!("{}:8101", node.address));
    let variables = [("KONG_ADMIN_LISTEN", other.as_str())];
    assert_eq!(node.kong_with(&["start", "-c", &conf], &variables, Path::new("/")).code, 0);
    node.wait_ready();
    let asks = |port| request(node.address, port, "GET", "/", "").map(|answer| answer.status);
    assert_eq!((asks(8101), asks(8001)), (Some(200), None));
    node.with_conf("reload").says("Kong reloaded\n");
    wait_until("the naive way moved it", || (asks(8101), asks(8001)) == (None, Some(200)));

    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    let other = format!("{}:8101", node.address);
    node.stop().unwrap();
    starts(|| {
        let mut command = node.kong(&["start", "-c"]);
        command.arg(&node.conf).env("KONG_ADMIN_LISTEN", &other);
        command
    });
    applies(&gateways, "1.0.0").await;
    let asks = |port| request(node.address, port, "GET", "/", "").map(|answer| answer.status);
    assert_eq!((asks(8101), asks(8001)), (Some(200), None));
}

#[tokio::test]
async fn a_reload_without_a_file_does_not_read_kong_conf() {
    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    // The naive way on the node itself, whose kong.conf is at the default path.
    let conf = std::fs::read_to_string(&node.conf).unwrap();
    node.plugin(
        "acme-auth",
        &crate::harness::gateways::handler("0.1.0", ""),
        &crate::harness::gateways::schema("acme-auth"),
    )
    .unwrap();
    std::fs::write(&node.conf, conf.replace("plugins = bundled", "plugins = bundled,acme-auth")).unwrap();
    let out = node.kong(&["reload"]).output().unwrap();
    assert!(out.status.success() && out.stdout == b"Kong reloaded\n", "{out:?}");
    wait_until("it is ready again", || super::ready(node) == 200);
    gateways.assert_serving(None).await;
    std::fs::write(&node.conf, conf).unwrap();
    std::fs::remove_dir_all(node.lua_root.join("kong/plugins/acme-auth")).unwrap();
    applies(&gateways, "1.0.0").await;
}

#[tokio::test]
async fn a_prepare_without_the_file_writes_defaults_over_a_live_node() {
    let node = naive();
    node.with_prefix("prepare").says("");
    let value = |key: &str| node.kept(key).unwrap_or_default();
    assert_eq!(
        (value("database"), value("plugins")),
        ("postgres".into(), "bundled".into()),
        "the naive pair's first half"
    );
    node.change(|settings| settings.faults.database_gone = true);
    assert_eq!(node.with_prefix("reload").code, 1);
    let Some(gateways) = fleet().await else { return };
    let before = kept(gateways.node("eu-1"));
    applies(&gateways, "1.0.0").await;
    let after = kept(gateways.node("eu-1"));
    let changed: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(changed, ["plugins = bundled,acme-auth"]);
}

#[tokio::test]
async fn a_restart_by_the_prefix_leaves_the_node_down_and_is_not_what_muster_does() {
    let node = naive();
    node.change(|settings| settings.faults.database_gone = true);
    assert_eq!(node.with_prefix("restart").code, 1);
    wait_until("the naive way took it down", || node.proxy("/").is_none());
    let Some(gateways) = fleet().await else { return };
    let (node, prober) = (gateways.node("eu-1"), gateways.probers());
    let master = node.master();
    applies(&gateways, "1.0.0").await;
    assert_eq!(node.master(), master, "it was restarted");
    for (missed, asked) in prober.into_iter().map(crate::harness::Prober::missed) {
        assert!(missed.is_empty() && asked > 0, "{missed:?} of {asked}");
    }
}

/// The chain of protocols.md B2, to its end.
#[tokio::test]
async fn a_harmless_reload_of_a_node_with_a_declarative_file_in_its_environment_ends_in_an_outage() {
    let node = Gateway::stand_in().node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node.set("declarative_config", "");
    let (conf, file) = (node.conf.display().to_string(), node.declared().display().to_string());
    let variables = [("KONG_DECLARATIVE_CONFIG", file.as_str())];
    assert_eq!(node.kong_with(&["start", "-c", &conf], &variables, Path::new("/")).code, 0);
    node.wait_ready();
    node.reloaded();
    node.declare(&[]);
    node.reloaded();
    assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"), "the rows that were taken out run on");
    node.set("plugins", "bundled");
    node.with_conf("reload").says("Kong reloaded\n");
    wait_until("the naive removal is an outage", || node.proxy("/").is_none() && node.ready() == Some(503));

    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    let declared = node.dir.join("kong.yml");
    std::fs::write(&declared, "_format_version: \"3.0\"\nplugins: [{ name: acme-auth }]\n").unwrap();
    let text = std::fs::read_to_string(&node.conf).unwrap();
    std::fs::write(&node.conf, text.replace("database = postgres", "database = off")).unwrap();
    node.stop().unwrap();
    let empty = node.dir.join("empty.yml");
    std::fs::write(&empty, "_format_version: \"3.0\"\n").unwrap();
    starts(|| {
        let mut command = node.kong(&["start", "-c"]);
        command.arg(&node.conf).env("KONG_DECLARATIVE_CONFIG", &empty);
        command
    });
    gateways.want("1.0.0");
    let dbless =
        gateways.inventory(&crate::harness::Wanted::default()).replace("topology: traditional", "topology: dbless");
    gateways.commit(&[("inventory.yaml", &dbless)], "db-less");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0"]);
    assert!(kept(node).contains(&format!("declarative_config = {}", empty.display())), "it is kept");
    // The file goes on being what counts: what is put into it is there after a reload of anybody.
    std::fs::copy(&declared, &empty).unwrap();
    let pid = nix::unistd::Pid::from_raw(node.master().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    wait_until("its rows run", || {
        let rows = request(node.address, 8001, "GET", "/plugins", "").map(|answer| answer.json());
        rows.is_some_and(|rows| rows["data"].as_array().is_some_and(|rows| rows.len() == 1))
    });
    gateways.assert_serving(Some("1.0.0")).await;
}

#[tokio::test]
async fn of_two_lines_the_last_one_counts_however_it_is_broken() {
    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    append(node, "# the second counts\nplugins = bundled,\\\n  cors # what the documents say");
    let conf = std::fs::read_to_string(&node.conf).unwrap();
    // The naive edit: the first line that looks right.
    std::fs::write(&node.conf, conf.replacen("plugins = bundled", "plugins = bundled,acme-auth", 1)).unwrap();
    let out = node.kong(&["prepare", "-c"]).arg(&node.conf).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    assert!(kept(node).contains(&"plugins = bundled,cors".to_owned()), "{:?}", kept(node));
    std::fs::write(&node.conf, &conf).unwrap();
    node.stop().unwrap();
    starts(|| {
        let mut command = node.kong(&["start", "-c"]);
        command.arg(&node.conf);
        command
    });
    applies(&gateways, "1.0.0").await;
    assert!(kept(node).contains(&"plugins = bundled,cors,acme-auth".to_owned()), "{:?}", kept(node));
    node.stop().unwrap();
    crate::harness::gateways::next_second().await;
    starts(|| {
        let mut command = node.kong(&["start", "-c"]);
        command.arg(&node.conf);
        command
    });
    holds(&gateways, "1.0.0").await;
    assert_eq!(json!(kept(node).iter().filter(|line| line.starts_with("plugins = ")).count()), json!(1));
}

#[tokio::test]
async fn what_waits_in_kong_conf_is_applied_by_a_reload_with_the_file_and_not_by_muster() {
    let node = naive();
    node.set("log_level", "warn");
    node.set("plugins", "bundled,good");
    node.reloaded();
    assert_eq!(node.configured("log_level"), json!("warn"), "the naive way applied somebody else's edit");
    let Some(gateways) = fleet().await else { return };
    append(gateways.node("eu-1"), "log_level = warn");
    gateways.want("1.0.0");
    gateways.muster(&["--plan"]).await.assert(0, &["in kong.conf, not applied by this", "log_level"]);
    applies(&gateways, "1.0.0").await;
    let (_, root) = gateways.api("eu-1").send("GET", "/", None);
    assert_eq!(root["configuration"]["log_level"], "notice");
}
