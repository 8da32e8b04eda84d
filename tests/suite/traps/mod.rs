//! What breaks gateways at night: for each trap of measured.md 2 to 4 and protocols.md B2, B3 the naive way, which breaks a node or
//! is told a lie by it, and muster's on an equal node, which does not. docs/traps.md lists them all.
//!
//! The naive half runs on a stand-in of its own: what it shows there is a test of the contract too, or comes from one.

#![cfg(feature = "lua")]

mod failures;
mod precedence;
mod releases;
mod reloads;
mod shells;
mod table;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use muster::standin::site;

use crate::contract::gateway::{self, Gateway};
use crate::harness::{Gateways, NodeSpec};

/// A DB-less node of the naive way with the plugin `good` in use, started.
fn naive() -> gateway::Node {
    let node = Gateway::stand_in().node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node.started()
}

/// One gateway behind sshd, for muster's way.
async fn fleet() -> Option<Gateways> {
    Gateways::of(&["eu-1"]).await
}

/// The same, where every session is begun by this line of shell.
async fn fleet_behind(line: &str) -> Option<Gateways> {
    let forced = format!("ForceCommand {line}");
    Gateways::start(&[("eu", &["eu-1"])], |spec: NodeSpec| spec.server(&forced)).await
}

/// Brings acme-auth in this version: proven, served, and nothing is left to do.
async fn applies(gateways: &Gateways, version: &str) {
    gateways.want(version);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["verdict: converged, exit 0. 1 of 1 node proven"]);
    holds(gateways, version).await;
}

/// It is served, ready, and nothing is left to do.
async fn holds(gateways: &Gateways, version: &str) {
    gateways.assert_serving(Some(version)).await;
    assert_eq!(ready(gateways.node("eu-1")), 200);
    gateways.assert_in_line().await;
}

fn ready(node: &site::Node) -> u16 {
    let answer = crate::contract::probe::request(node.address, site::STATUS, "GET", "/status/ready", "");
    answer.expect("the status API answers").status
}

/// The settings that the next hang-up takes, in order, without comments.
fn kept(node: &site::Node) -> Vec<String> {
    let text = fs::read_to_string(node.prefix.join(".kong_env")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Starts a node that was stopped; the port of what goes may be taken for a moment longer.
fn starts(mut command: impl FnMut() -> Command) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let out = command().output().unwrap();
        if out.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let dying = said.contains("already running") || said.contains("in use");
        assert!(dying && Instant::now() < until, "the node does not start: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Appends a line to kong.conf.
fn append(node: &site::Node, line: &str) {
    let text = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("{text}{line}\n")).unwrap();
}
