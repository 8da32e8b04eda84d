//! `muster inspect NODE`: everything about one node, over real sshd, with nothing changed and no secret shown.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Gateways, Said};

const SECRET: &str = "s3cret-of-postgres";

/// Everything that muster could write on a node: path, mode, size, times.
fn state(dirs: &[&Path]) -> String {
    let out = Command::new("find")
        .args(dirs)
        .args(["-not", "-path", "*/logs/*", "-printf", "%p %y %m %s %C@ %T@\n"])
        .output();
    let mut lines: Vec<String> = String::from_utf8(out.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

/// eu-1 with acme-auth 1.0.0, its handler edited by hand, and a secret in kong.conf, in the log and in a file.
async fn edited() -> Option<Gateways> {
    let gateways = Gateways::of(&["eu-1", "eu-2"]).await?;
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    let node = gateways.node("eu-1");
    let handler = node.lua_root.join("kong/plugins/acme-auth/handler.lua");
    let text = fs::read_to_string(&handler).unwrap();
    fs::write(&handler, format!("-- edited by hand\n{text}-- {SECRET}\n")).unwrap();
    fs::write(handler.with_file_name("debug.lua"), "print(1)\n").unwrap();
    std::os::unix::fs::symlink(&node.conf, handler.with_file_name("sly.lua")).unwrap();
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("# password was {SECRET}\npg_password = {SECRET}\n{conf}")).unwrap();
    let log = node.prefix.join("logs/error.log");
    let old = fs::read_to_string(&log).unwrap_or_default();
    fs::write(&log, format!("{old}2026/11/20 15:00:00 [error] 1#0: no login with {SECRET} \u{1b}[2J\n")).unwrap();
    Some(gateways)
}

#[track_caller]
fn without_secret(said: &Said) {
    let all = format!("{}{}", said.out, said.err);
    assert!(!all.contains(SECRET) && !all.contains('\u{1b}'), "{all}");
}

#[tokio::test]
async fn a_node_is_told_closely_and_nothing_is_changed() {
    let Some(gateways) = edited().await else { return };
    let node = gateways.node("eu-1");
    let home = gateways.home("eu-1");
    let places = [node.conf.as_path(), node.prefix.as_path(), node.lua_root.as_path(), home.as_path()];
    let before = state(&places);
    let said = gateways.muster(&["inspect", "eu-1", "--diff"]).await;
    without_secret(&said);
    said.assert(
        0,
        &["eu-1  ~ drift  in eu", "~  kong/plugins/acme-auth/handler.lua", "+  kong/plugins/acme-auth/debug.lua"],
    );
    // Facts with their sources, where several places have one and the same.
    said.assert(0, &["(Admin API)", "kong.conf, line ", "survey: processes"]);
    // Receipts, and the end of the log without what is secret.
    said.assert(0, &["changed, and proven", "no login with (not shown)"]);
    // What was edited, line by line; what leads elsewhere is not followed.
    said.assert(0, &["- -- edited by hand", "- print(1)", "leads out of the Lua root"]);
    assert_eq!(state(&places), before, "something was changed, or a lock was taken");
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn a_script_gets_the_same_facts() {
    let Some(gateways) = edited().await else { return };
    let said = gateways.muster(&["inspect", "eu-1", "--diff", "--format", "json"]).await;
    without_secret(&said);
    said.assert(0, &[]);
    let value = &said.lines()[0];
    assert_eq!((value["muster"].as_str(), value["node"].as_str()), (Some("inspect"), Some("eu-1")));
    let files = value["plugins"][0]["files"].as_array().unwrap();
    let state = |path: &str| {
        let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(path)).unwrap();
        file["state"].as_str().unwrap().to_owned()
    };
    assert_eq!([state("handler.lua"), state("debug.lua"), state("schema.lua")], ["differs", "extra", "as-wanted"]);
    assert!(value["facts"].as_array().unwrap().iter().all(|fact| fact["source"].is_string()));
    assert!(
        value["closer"]["log"]["lines"].as_array().unwrap().iter().any(|l| l.as_str().unwrap().contains("no login"))
    );
    let diff =
        value["diffs"].as_array().unwrap().iter().find(|diff| diff["path"].as_str().unwrap().ends_with("handler.lua"));
    let lines = diff.unwrap()["lines"].as_array().unwrap();
    assert_eq!((lines[0]["kind"].as_str(), lines[0]["text"].as_str()), (Some("removed"), Some("-- edited by hand")));
}

#[tokio::test]
async fn what_a_plan_would_edit_in_kong_conf_is_shown_without_other_lines() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let node = gateways.node("eu-1");
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("pg_password = {SECRET}\n{conf}")).unwrap();
    let said = gateways.muster(&["inspect", "eu-1"]).await;
    without_secret(&said);
    said.assert(
        0,
        &["+ install acme-auth 1.0.0", "- plugins = bundled", "+ plugins = bundled,acme-auth", "(not shown)"],
    );
    let at: Vec<&str> = said.out.lines().filter(|line| line.contains("- plugins = bundled")).collect();
    assert!(
        at.iter().any(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())),
        "a line has its number: {at:?}"
    );
}

#[tokio::test]
async fn a_node_that_does_not_answer_says_so_and_what_to_do() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.ssh.node("eu-2").wire.refuse().await;
    let said = gateways.muster(&["inspect", "eu-2"]).await;
    said.assert(4, &["eu-2  ? unknown", "not known: "]);
    gateways.muster(&["inspect", "eu-3"]).await.assert(64, &["no node \"eu-3\"", "type: muster status"]);
}
