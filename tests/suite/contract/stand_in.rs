//! What only the stand-in has: its leash, its faults, the nodes that the demo and the harness make of it.

use std::path::Path;

use muster::standin::site::{self, Node, NodeSpec};
use muster::standin::{Leash, Settings};

use super::gateway::{each, told};
use super::probe::{self, wait_until};

/// A started node on a leash, in this directory.
fn started(dir: &Path, leash: &Leash) -> Node {
    let mut spec = NodeSpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(250).unwrap());
    spec.settings = Settings {
        leash: Some(leash.path().to_owned()),
        database: Some(dir.join("cluster.json")),
        ..Settings::default()
    };
    spec.workers = 2;
    spec.plugins = "bundled,good".into();
    let node = Node::create(&dir.join("node"), &spec).unwrap();
    node.plugin("good", &super::gateway::handler("good", "1.0.0"), &super::gateway::schema("good")).unwrap();
    node.start().unwrap();
    node
}

/// Whether a process that is no zombie has this pid.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_node_of_the_site_starts_answers_and_stops_through_its_wrapper() {
    let dir = tempfile::tempdir().unwrap();
    let leash = Leash::hold(&dir.path().join("leash")).unwrap();
    let node = started(dir.path(), &leash);
    let master = node.master().unwrap();
    let root = probe::request(node.address, site::ADMIN, "GET", "/", "").unwrap().json();
    assert_eq!(
        (root["configuration"]["database"].as_str(), root["stand-in"].as_bool()),
        (Some("postgres"), Some(true))
    );
    assert_eq!(root["plugins"]["available_on_server"]["good"]["version"], "1.0.0");
    let proxied = probe::request(node.address, site::PROXY, "GET", "/", "").unwrap();
    assert_eq!(proxied.header("X-Plugin-good"), Some("1.0.0"), "loaded plugins show themselves, in use or not");
    let error = node.start().unwrap_err().to_string();
    assert!(error.contains("Kong is already running in"), "{error}");
    node.stop().unwrap();
    wait_until("the master is gone", || !lives(master));
}

#[test]
fn after_a_power_cut_the_node_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let leash = Leash::hold(&dir.path().join("leash")).unwrap();
    let node = started(dir.path(), &leash);
    let master = node.master().unwrap();
    let workers = probe::children(master);
    node.cut_power().unwrap();
    wait_until("nothing lives", || !lives(master) && workers.iter().all(|process| !lives(process.pid)));
    node.start().unwrap();
    assert_ne!(node.master(), Some(master));
    assert_eq!(probe::request(node.address, site::PROXY, "GET", "/", "").unwrap().status, 200);
}

#[test]
fn nothing_of_a_node_outlives_the_owner_of_its_leash() {
    let dir = tempfile::tempdir().unwrap();
    let leash = Leash::hold(&dir.path().join("leash")).unwrap();
    let node = started(dir.path(), &leash);
    // A master that is stuck in a load goes as well.
    node.change(|settings| settings.faults.endless_load = true).unwrap();
    let master = node.master().unwrap();
    assert!(node.kong(&["reload", "-c"]).arg(&node.conf).status().unwrap().success());
    wait_until("the master works", || !probe::is_idle(master));
    let mut pids: Vec<i32> = probe::children(master).into_iter().map(|process| process.pid).collect();
    assert_eq!(pids.len(), 2);
    pids.push(master);
    drop(leash);
    wait_until("every process is gone", || pids.iter().all(|pid| !lives(*pid)));
    assert!(node.start().is_err(), "and none starts without an owner");
}

/// Run by the test below as a process of its own, which is then killed.
#[test]
#[ignore = "a helper: does nothing unless a leash to hold is named"]
fn owner() {
    if let Some(path) = told("MUSTER_HELD_LEASH") {
        let _leash = Leash::hold(Path::new(&path)).unwrap();
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn an_owner_that_is_killed_takes_its_nodes_along() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("leash");
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "contract::stand_in::owner", "--ignored", "--quiet"])
        .env("MUSTER_HELD_LEASH", &socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the owner listens", || socket.exists());
    let mut spec = NodeSpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(249).unwrap());
    spec.settings.leash = Some(socket);
    let node = Node::create(&dir.path().join("node"), &spec).unwrap();
    wait_until("the node starts", || node.start().is_ok());
    let master = node.master().unwrap();
    let worker = probe::children(master)[0].pid;
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("both are gone", || !lives(master) && !lives(worker));
}

#[test]
fn a_vanished_admin_api_gives_no_answer_while_the_proxy_serves() {
    each(|gateway| {
        if gateway.is_real() {
            return;
        }
        let node = gateway.node("bundled", &[]).started();
        node.change(|settings| settings.faults.admin_gone = true);
        assert!(node.ask("GET", "/", "").is_none());
        assert_eq!(node.proxy("/").unwrap().status, 200);
        node.change(|settings| settings.faults.admin_gone = false);
        assert_eq!(node.admin("/").status, 200);
    });
}
