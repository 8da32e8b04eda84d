//! measured.md 4: what a command takes from the shell that calls it: its user, its limits, its directory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use super::{applies, fleet, fleet_behind, kept, naive, starts};
use crate::contract::probe::{children, wait_until};

/// `sh -c LINE` on the gateway's side, with the node's command first on the path.
fn shell(dir: &std::path::Path, line: &str) -> std::process::Output {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", dir.display());
    Command::new("/bin/sh").args(["-c", line]).env_clear().env("PATH", path).current_dir("/").output().unwrap()
}

#[tokio::test]
async fn a_session_with_a_low_limit_of_open_files_does_not_shrink_the_node() {
    let node = naive();
    let before = node.live();
    let line = format!("ulimit -S -n 1024; kong reload -c {}", node.conf.display());
    assert!(shell(node.cli().parent().unwrap(), &line).status.success());
    node.wait_replaced(&before);
    let written = fs::read_to_string(node.prefix.join("nginx.conf")).unwrap();
    assert!(written.contains("worker_connections 1024;"), "the naive way: {written}");

    let Some(gateways) = fleet_behind("ulimit -S -n 1024; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"").await else {
        return;
    };
    let node = gateways.node("eu-1");
    let written = || fs::read_to_string(node.prefix.join("nginx.conf")).unwrap();
    let before = written();
    assert!(!before.contains("worker_connections 1024;"), "this machine allows no more: {before}");
    applies(&gateways, "1.0.0").await;
    assert_eq!(written(), before);
    let worker = children(node.master().unwrap())[0].pid;
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_ne!(line.split_whitespace().nth(3), Some("1024"), "{line}");
}

#[tokio::test]
async fn root_over_a_node_of_an_ordinary_user_does_not_take_its_settings_away() {
    if !nix::unistd::geteuid().is_root() {
        return crate::contract::gateway::skip("only root can be somebody else");
    }
    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    node.stop().unwrap();
    wait_until("its ports are free", || std::net::TcpListener::bind((node.address, 8000)).is_ok());
    let own = |path: &std::path::Path| {
        assert!(Command::new("chown").args(["-R", "nobody"]).arg(path).status().unwrap().success());
    };
    fs::remove_dir_all(&node.prefix).unwrap();
    fs::create_dir(&node.prefix).unwrap();
    own(&node.prefix);
    fs::set_permissions(gateways.dir().join("eu.json"), fs::Permissions::from_mode(0o666)).unwrap_or_default();
    fs::set_permissions(gateways.dir(), fs::Permissions::from_mode(0o777)).unwrap();
    starts(|| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&node.kong).args(["start", "-c"]);
        command.arg(&node.conf).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        command
    });
    let owner = || fs::metadata(node.prefix.join(".kong_env")).unwrap().uid();
    assert_eq!(owner(), 65534);
    applies(&gateways, "1.0.0").await;
    assert_eq!(owner(), 65534, "muster's way: who runs it may still read it");

    // The naive way on the same node: root prepares, and nothing that follows is applied.
    let master = node.master().unwrap();
    let before = children(master);
    for command in ["prepare", "reload"] {
        assert!(node.kong(&[command, "-c"]).arg(&node.conf).status().unwrap().success(), "{command}");
    }
    let log = || fs::read_to_string(node.prefix.join("logs/error.log")).unwrap();
    wait_until("the master may not read it", || log().contains("/.kong_env: Permission denied"));
    wait_until("the master is idle", || crate::contract::probe::is_idle(master));
    assert_eq!((children(master), owner()), (before, 0));
    assert!(!kept(node).is_empty());
}

#[tokio::test]
async fn a_login_directory_with_a_kong_tree_in_it_is_not_where_the_command_is_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("kong/cmd")).unwrap();
    let module =
        "return { lapp = '', execute = function() io.stdout:write('Kong reloaded\\n') io.stdout:flush() end }\n";
    fs::write(dir.path().join("kong/cmd/reload.lua"), module).unwrap();
    let node = naive();
    node.write_plugin("good", "2.0.0");
    let before = node.live();
    let ran = node.kong_with(&["reload", "-c", node.conf.to_str().unwrap()], &[], dir.path());
    assert_eq!(ran.out, "Kong reloaded\n");
    node.wait_idle();
    assert_eq!(node.live(), before, "the naive way ran somebody's checkout, which says what it likes");
    let line = format!("cd {}; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"", dir.path().display());
    let Some(gateways) = fleet_behind(&line).await else { return };
    applies(&gateways, "1.0.0").await;
}
