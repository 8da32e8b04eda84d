//! The ways to reload that an inventory asks for: each applies a plugin with proof, puts a broken one back, and is held where it
//! would do more than was asked (measured.md 4; protocols.md B2).

use std::fs;

use muster::standin::site::Node;

use super::origins::Site;
use super::reload_ways::{assert_plan, said, start_anew};
use crate::harness::Gateways;
use crate::harness::gateways::{Wanted, handler, next_second, schema};

/// Commits acme-auth with this handler, and nodes that are reloaded so.
fn want(gateways: &Gateways, reload: &str, handler: &str) {
    let inventory = gateways.inventory(&Wanted::default()).replace("kong: {", &format!("kong: {{ reload: {reload},"));
    let files = [
        ("plugins/acme-auth/handler.lua", handler),
        ("plugins/acme-auth/schema.lua", &schema("acme-auth")),
        ("inventory.yaml", &inventory),
    ];
    gateways.commit(&files, "next");
}

/// Applies 1.0.0, a broken one, and 2.0.0; `words` are in the plan.
async fn goes_there_and_back(gateways: &Gateways, reload: &str, words: &[&str]) {
    want(gateways, reload, &handler("1.0.0", ""));
    assert_plan(gateways, words).await;
    gateways.assert_serving(None).await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
    want(gateways, reload, &handler("1.5.0", "error('no')"));
    let failed = gateways.muster(&["--apply", "--all"]).await;
    assert_ne!(failed.code, 0, "{failed}");
    gateways.assert_serving(Some("1.0.0")).await;
    next_second().await;
    want(gateways, reload, &handler("2.0.0", ""));
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("2.0.0")).await;
    gateways.assert_in_line().await;
}

/// It is held, by this code, with these words; and nothing changed.
async fn is_held(gateways: &Gateways, reload: &str, code: &str, words: &[&str]) {
    want(gateways, reload, &handler("1.0.0", ""));
    assert_plan(gateways, &[words, &[code]].concat()).await;
    assert_ne!(gateways.muster(&["--apply", "--all"]).await.code, 0);
    gateways.assert_serving(None).await;
}

#[tokio::test]
async fn prepare_and_reload_as_the_documents_have_it() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let words = ["`kong prepare` and `kong reload`, each with -c, as asked for", "a power cut in between leaves it"];
    goes_there_and_back(&gateways, "prepare", &words).await;
}

#[tokio::test]
async fn a_restart_is_proven_by_the_master_that_follows_and_a_node_that_is_down_is_started_again() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let before = gateways.node("eu-1").master();
    goes_there_and_back(&gateways, "restart", &["`kong restart -c`, as asked for", "RESTARTS 1 node"]).await;
    assert_ne!(gateways.node("eu-1").master(), before);
}

#[tokio::test]
async fn a_command_of_the_operators_is_shown_whole_and_runs_in_a_run_only() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    let ran = node.dir.join("ran");
    let command = format!(
        "touch {ran}; {kong} prepare -c {conf} -p {prefix} && kill -HUP $(cat {prefix}/pids/nginx.pid) # it's 'whole' \\\"$0\\\"",
        ran = ran.display(),
        kong = node.kong.display(),
        conf = node.conf.display(),
        prefix = node.prefix.display()
    );
    let reload = format!("{{ command: \"{command}\" }}");
    want(&gateways, &reload, &handler("1.0.0", ""));
    assert_plan(&gateways, &["the command of the inventory, on each node: touch ", "# it's 'whole' \"$0\""]).await;
    gateways.muster(&["status"]).await;
    assert!(!ran.exists(), "planning ran it");
    goes_there_and_back(&gateways, &reload, &["the command of the inventory"]).await;
    assert!(ran.exists());
}

#[tokio::test]
async fn the_reload_of_a_unit_is_used_where_it_has_one() {
    let unit = "ExecReload=DIR/bin/kong prepare -p DIR/prefix\nExecReload=kill -HUP `cat DIR/prefix/pids/nginx.pid`\n";
    let drop_in = "[Service]\nEnvironment=\nEnvironment=KONG_LOG_LEVEL=info\n";
    let Some(site) = Site::start(unit, Some(drop_in)).await else { return };
    goes_there_and_back(&site.gateways, "unit", &["systemctl reload kong.service, as asked for"]).await;
}

#[tokio::test]
async fn a_unit_without_a_reload_is_a_blocker_and_so_is_none() {
    let drop_in = "[Service]\nEnvironment=\nEnvironment=KONG_LOG_LEVEL=info\n";
    let Some(site) = Site::start("", Some(drop_in)).await else { return };
    is_held(&site.gateways, "unit", "reload-way", &["kong.service has no ExecReload="]).await;
    let restart = "its master is the main process of kong.service, which a restart by the CLI ends";
    is_held(&site.gateways, "restart", "reload-way", &[restart]).await;
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    is_held(&gateways, "unit", "reload-way", &["no unit of Kong's is known there"]).await;
}

fn kept(node: &Node, key: &str) -> Option<String> {
    let env = fs::read_to_string(node.prefix.join(".kong_env")).unwrap();
    env.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(" = ")?.to_owned()))
}

#[tokio::test]
async fn prepare_without_the_environment_loses_what_it_gave_and_is_held() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    start_anew(&node, &[], &[("KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", "77")]);
    for reload in ["prepare", "restart"] {
        let what = "it would lose settings that only what runs has: upstream_keepalive_pool_size";
        is_held(&gateways, reload, "reload-way", &[what]).await;
    }
    // muster's own way keeps it.
    want(&gateways, "auto", &handler("1.0.0", ""));
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    assert_eq!(kept(&node, "upstream_keepalive_pool_size").as_deref(), Some("77"));
    // The naive way.
    let (conf, prefix) = (node.conf.to_str().unwrap(), node.prefix.to_str().unwrap());
    let out = node.kong(&["prepare", "-c", conf, "-p", prefix]).output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(kept(&node, "upstream_keepalive_pool_size").as_deref(), Some("512"));
}

#[tokio::test]
async fn what_waits_in_kong_conf_is_told_and_applied_only_where_that_is_allowed() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, conf.replace("log_level = notice", "log_level = info")).unwrap();
    is_held(&gateways, "prepare", "reload-applies", &["it would also apply what waits in", "log_level"]).await;
    let allowed = ["--allow", "reload-applies=eu-1"];
    gateways.muster(&[&["--apply", "--all"], &allowed[..]].concat()).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(kept(&node, "log_level").as_deref(), Some("info"));
}

#[tokio::test]
async fn an_own_template_vault_references_and_the_foreground_hold_the_ways_of_the_documents() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    let template = node.dir.join("etc/template");
    fs::write(&template, "pid pids/nginx.pid;\nerror_log ${{PREFIX}}/logs/error.log notice;\nhttp {\n    include 'nginx-kong.conf';\n}\n").unwrap();
    start_anew(&node, &["--nginx-conf", template.to_str().unwrap()], &[]);
    is_held(&gateways, "prepare", "reload-way", &["its nginx files are not those that its CLI makes (nginx.conf)"])
        .await;
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("{conf}pg_password = {{vault://env/pg-secret}}\n")).unwrap();
    start_anew(&node, &[], &[("PG_SECRET", "hunter2")]);
    is_held(&gateways, "prepare", "reload-way", &["its settings hold vault references"]).await;
    fs::write(&node.conf, conf).unwrap();
    start_anew(&node, &[], &[]);
    let env = node.prefix.join(".kong_env");
    fs::write(&env, fs::read_to_string(&env).unwrap().replace("nginx_daemon = on", "nginx_daemon = off")).unwrap();
    is_held(&gateways, "restart", "reload-way", &["it runs in the foreground (nginx_daemon = off)"]).await;
}

#[tokio::test]
async fn a_reload_too_soon_after_the_last_waits_and_says_so() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    // Workers as old as their master came with a start, and a start is waited for by nobody.
    for _ in 0..3 {
        next_second().await;
    }
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    let rollout = "{ waves: [100%], at_once: 8, max_out: 8, max_unreachable: 100%, soak: 0s, reload_gap: 20s }";
    let inventory = gateways.inventory(&Wanted { rollout, ..Wanted::default() });
    let files = [("plugins/acme-auth/handler.lua", handler("2.0.0", "")), ("inventory.yaml", inventory)];
    gateways.commit(&files.each_ref().map(|(path, text)| (*path, text.as_str())), "2.0.0");
    let applied = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    applied.assert(0, &["waiting until its last reload is 20 s ago"]);
    gateways.assert_serving(Some("2.0.0")).await;
    gateways.assert_in_line().await;
}
