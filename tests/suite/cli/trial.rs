//! Content that the node's own Kong does not load: nothing of its cluster begins with it.

use std::path::Path;

use crate::harness::Gateways;
use crate::harness::gateways::{Wanted, handler, schema};

/// What of the nodes would be changed by an activation, and what a trial load could leave.
fn picture(gateways: &Gateways, name: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let node = gateways.node(name);
    let file = |path: &Path| (path.display().to_string(), std::fs::read(path).ok());
    let mut found = vec![file(&node.conf), file(&node.prefix.join(".kong_env"))];
    for dir in [gateways.home(name), gateways.home(name).join("current"), node.lua_root.join("kong/plugins")] {
        let mut names: Vec<String> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        names.sort();
        found.extend(names.into_iter().map(|name| (name, None)));
    }
    found.push((format!("{:?}", node.master()), None));
    found
}

#[tokio::test]
async fn a_missing_module_is_found_before_any_node_changes_and_its_line_is_that_of_the_repository() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["loads on trial: acme-auth", "converged"]);
    let before = [picture(&gateways, "eu-1"), picture(&gateways, "eu-2")];
    gateways.want_handler(&handler("2.0.0", "-- tokens\nlocal jwt = require \"resty.jwt\"\n"), "2.0.0");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        3,
        &[
            "does not load on eu-",
            ": plugins/acme-auth/handler.lua:2: module 'resty.jwt' not found",
            "stopped: not begun: acme-auth",
            "correct it, then plan again",
            "Kong's own words: Error: error loading module 'kong.plugins.acme-auth.handler':",
            "see: docs/errors/missing-module.md",
            "0 of 2 nodes proven",
            "verdict: not reached, exit 3",
        ],
    );
    assert!(!said.out.contains("activating") && !said.out.contains("rolled back"), "{said}");
    assert_eq!([picture(&gateways, "eu-1"), picture(&gateways, "eu-2")], before);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
    // Mended, it goes on from there.
    gateways.want("2.0.1");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("2.0.1")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_schema_that_kong_refuses_never_reaches_a_reload() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let schema = schema("acme-auth").replace("record", "no-such-type");
    gateways.commit(&[("plugins/acme-auth/schema.lua", &schema)], "a schema of the future");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["eu-1", "does not load on eu-1", "no-such-type", "(does-not-load)", "not begun"]);
    assert!(!said.out.contains("rolled back"), "{said}");
    assert!(!gateways.node("eu-1").lua_root.join("kong/plugins/acme-auth").exists(), "its files were switched");
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn another_plugin_of_the_list_without_files_is_named_and_not_blamed_on_ours() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let node = gateways.node("eu-1");
    // It runs, and its files went away since: the next reload of anybody would fail.
    let dir = node.plugin("geo-ip", &handler("1.0.0", ""), &schema("geo-ip")).unwrap();
    let conf = std::fs::read_to_string(&node.conf).unwrap();
    let listed = muster::kong::Conf::parse(conf.as_bytes()).set("plugins", "bundled,geo-ip").unwrap();
    std::fs::write(&node.conf, listed).unwrap();
    let (conf, prefix) = (node.conf.to_str().unwrap(), node.prefix.to_str().unwrap());
    assert!(node.kong(&["restart", "-c", conf, "-p", prefix]).status().unwrap().success());
    std::fs::remove_dir_all(dir).unwrap();
    let said = gateways.muster(&["--apply", "--all"]).await;
    let words = "geo-ip, which the node lists and this does not change, does not load on eu-1";
    said.assert(3, &[words, "(does-not-load-here)", "docs/errors/not-installed.md"]);
    assert!(!said.out.contains("activating"), "{said}");
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn where_no_trial_load_can_be_made_it_is_said_and_the_run_goes_on() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    // A command that cannot parse a configuration, for whatever reason: it is none of a plugin's.
    let kong = gateways.node("eu-1").kong.clone();
    let text = std::fs::read_to_string(&kong).unwrap();
    let odd = text.replacen('\n', "\n[ \"$1\" != config ] || { echo 'Error: no nginx here' >&2; exit 1; }\n", 1);
    std::fs::write(&kong, odd).unwrap();
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["no trial load here: Kong's command ended with 1: Error: no nginx here", "converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_removal_alone_is_not_rehearsed_and_a_stopped_node_is_with_its_conf() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.node("eu-1").stop().unwrap();
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["loads on trial: acme-auth", "1 edited while stopped"]);
    gateways.node("eu-1").start().unwrap();
    let absent = Wanted { plugins: &["acme-auth: absent"], ..Wanted::default() };
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&absent))], "away with it");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["converged"]);
    assert!(!said.out.contains("on trial"), "{said}");
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}
