//! `muster doctor`: what stands in the way, on nodes and here, each with what mends it; and `muster errors`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use super::locks::hold;
use crate::harness::fleet::user;
use crate::harness::gateways::Said;
use crate::harness::{Gateways, Known, NodeSpec, Wanted};

/// Less than any machine has free; what is asked of a machine for tests is not what is asked of a gateway.
const LITTLE: &[&str] = &["doctor", "--min-free", "1"];

/// Gateways take their limit of open files from the test.
fn enough_open_files() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < 4096 {
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536), hard).unwrap();
    }
}

async fn doctor(gateways: &Gateways, more: &[&str]) -> Said {
    gateways.muster(&[LITTLE, more].concat()).await
}

/// The checks of a node.
fn checks<'a>(value: &'a Value, node: &str) -> &'a Value {
    let nodes = value["nodes"].as_array().unwrap();
    &nodes.iter().find(|found| found["node"] == node).unwrap_or_else(|| panic!("{node} is not in {value}"))["checks"]
}

#[tokio::test]
async fn a_fleet_in_order_is_all_well_and_nothing_is_left_there() {
    enough_open_files();
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    gateways.want("1.0.0");
    let said = doctor(&gateways, &[]).await;
    said.assert(
        0,
        &["3 nodes: 3 well", "eu-[1-3]", "= kong  Kong 3.", "traditional", "OpenSSH", "all is well: exit 0"],
    );
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{said}");
    let json = doctor(&gateways, &["--format", "json"]).await;
    let value = &json.lines()[0];
    assert_eq!((&value["muster"], &value["format"], &value["exit"]), (&"doctor".into(), &1.into(), &0.into()));
    for check in ["ssh", "sudo", "kong", "from", "load", "api", "clock", "space", "env", "files", "kill", "lock"] {
        assert_eq!(checks(value, "eu-2")[check]["standing"], "well", "{check}: {value}");
    }
    for name in ["eu-1", "eu-2", "eu-3"] {
        assert!(!gateways.home(name).exists(), "{name} was changed");
    }
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn each_node_says_what_is_wrong_with_it_and_what_mends_that() {
    enough_open_files();
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n").unwrap();
    fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let door = |spec: NodeSpec| match spec.name.as_str() {
        "eu-1" => spec.env("PATH", &path),
        "eu-2" => spec.server("AllowTcpForwarding no").server("MaxSessions 1"),
        "eu-5" => spec.known(Known::Unknown),
        "eu-6" => spec.locked(),
        _ => spec,
    };
    let names: &[&str] = &["eu-1", "eu-2", "eu-3", "eu-4", "eu-5", "eu-6"];
    let Some(gateways) = Gateways::start(&[("eu", names)], door).await else { return };
    gateways.want("1.0.0");
    let inventory = gateways.inventory(&Wanted::default()).replace("eu-1: { kong:", "eu-1: { become: sudo, kong:");
    gateways.commit(&[("inventory.yaml", &inventory)], "sudo");
    hold(&gateways, &["eu-3"], 500);
    let env = gateways.node("eu-4").prefix.join(".kong_env");
    fs::set_permissions(&env, fs::Permissions::from_mode(0o644)).unwrap();

    let said = doctor(&gateways, &[]).await;
    let line = format!("> in /etc/sudoers.d/muster on eu-1: {} ALL=(root) NOPASSWD: /bin/sh", user());
    said.assert(3, &["! sudo  ", "a password is required", &line]);
    said.assert(3, &["in sshd_config of ", "allow the login ", "`AllowTcpForwarding local`, or MaxSessions 2"]);
    said.assert(3, &["held by ann@ops-9", "> type: muster unlock eu"]);
    said.assert(3, &[&format!("> type: chmod 0640 {}    (on eu-4)", env.display())]);
    said.assert(3, &["host key not known", "compare the fingerprint", "ssh -v -o BatchMode=yes"]);
    said.assert(3, &["6 with something in the way", "something stands in the way; nothing was changed: exit 3"]);

    let json = doctor(&gateways, &["--format", "json"]).await;
    let value = &json.lines()[0];
    for (node, wrong) in
        [("eu-1", "sudo"), ("eu-2", "api"), ("eu-3", "lock"), ("eu-4", "env"), ("eu-5", "ssh"), ("eu-6", "ssh")]
    {
        let checks = checks(value, node).as_object().unwrap();
        let found: Vec<&String> =
            checks.iter().filter(|(_, check)| check["standing"] == "wrong").map(|(topic, _)| topic).collect();
        assert_eq!(found, [wrong], "{node}: {value}");
        assert!(!checks[wrong]["fixes"].as_array().unwrap().is_empty());
    }
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn a_selection_looks_at_nothing_else() {
    enough_open_files();
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.node("eu-2").stop().unwrap();
    let said = doctor(&gateways, &["--node", "eu-1"]).await;
    said.assert(0, &["1 node: 1 well"]);
    assert_eq!(gateways.ssh.node("eu-2").wire.accepted(), 0);
    doctor(&gateways, &["--cluster", "eu"])
        .await
        .assert(3, &["! kong  Kong does not run", "muster never starts a Kong"]);
    doctor(&gateways, &["--node", "eu-9"]).await.assert(64, &["eu-9", "there are: eu-[1,2]"]);
    gateways
        .muster(&["doctor", "--plugin", "acme-auth"])
        .await
        .assert(64, &["--plugin does not go with muster doctor"]);
}

#[tokio::test]
async fn a_clock_that_is_off_and_space_that_is_short_are_measured() {
    enough_open_files();
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let said = gateways.muster_ahead(LITTLE, 600).await;
    said.assert(3, &["! clock its clock is ", " s behind this machine's", "timedatectl"]);
    gateways.muster_ahead(LITTLE, 3).await.assert(0, &["all is well"]);
    let said = gateways.muster(&["doctor", "--min-free", "18446744073709551615"]).await;
    said.assert(3, &["! space ", " MiB are free", "df -h "]);
}

#[tokio::test]
async fn a_broken_inventory_is_one_more_finding_and_no_inventory_is_said() {
    enough_open_files();
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let good = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    gateways.commit(&[("inventory.yaml", &good.replace("acme-auth: present", "acme-auth: presnet"))], "a slip");
    let said = doctor(&gateways, &[]).await;
    said.assert(3, &["! inventory   1 mistake; ", "> type: muster check", "1 node: 1 well"]);
    let vars = [("XDG_STATE_HOME", "/dev/null")];
    let said = gateways.begin_with(LITTLE, &vars).said().await;
    said.assert(3, &["! journals    no run can be recorded in /dev/null/muster", "XDG_STATE_HOME"]);
    let said = gateways.begin_in(gateways.dir(), LITTLE).said().await;
    said.assert(1, &["= journals", "error: "]);
}

#[tokio::test]
async fn the_pages_are_in_the_program() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.muster(&["errors"]).await.assert(0, &["missing-module  ", "env-unreadable  ", "muster errors CODE"]);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors/env-unreadable.md")).unwrap();
    for code in ["env-unreadable", "docs/errors/env-unreadable.md"] {
        assert_eq!(gateways.muster(&["errors", code]).await.out, page);
    }
    let json = gateways.muster(&["errors", "--format", "json"]).await;
    assert!(json.lines()[0]["errors"].as_array().unwrap().len() > 30, "{json}");
    gateways.muster(&["errors", "reload-failed"]).await.assert(64, &["no page", "type: muster errors"]);
    assert_eq!(gateways.ssh.node("eu-1").wire.accepted(), 0);
}
