//! What is left of our masters: after a close, a shutdown, a kill.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use muster::name::NodeName;
use muster::remote::{Connect as _, NodeAddress, Privilege, Remote as _, SshConnect, SshSettings, Transport};
use muster::wire::{Args, Status};

use super::contract::{BEGIN, call, done};
use crate::harness::{Fleet, poll_until, process, variable, within};

const SOON: Duration = Duration::from_secs(20);

fn directories(fleet: &Fleet) -> Vec<PathBuf> {
    fs::read_dir(fleet.dir().join("run")).unwrap().flatten().map(|entry| entry.path()).collect()
}

#[tokio::test]
async fn closing_one_connection_leaves_the_others() {
    let Some(fleet) = Fleet::of(&["n1", "n2"]).await else { return };
    let connect = fleet.connect();
    let one = connect.open(&fleet.address("n1")).await.unwrap();
    let two = connect.open(&fleet.address("n2")).await.unwrap();
    one.close().await;
    poll_until(SOON, "one sshd ends", || (fleet.node("n1").wire.serving() == 0).then_some(())).await;
    assert!(!one.alive().await);
    assert!(two.alive().await);
    one.close().await;
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_connection_can_be_made_again_after_it_was_closed() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    for _ in 0..2 {
        let remote = connect.open(&fleet.address("n1")).await.unwrap();
        let running = remote.start_text(&format!("{BEGIN}end 10\n"), call(Args::new())).await.unwrap();
        assert_eq!(done(&running.finish().await), Status::Unchanged);
        remote.close().await;
    }
    assert_eq!(fleet.node("n1").logins(), 2);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn shutdown_ends_masters_whose_scripts_still_run_and_attempts_that_are_given_up() {
    let Some(fleet) = Fleet::of(&["n1", "n2"]).await else { return };
    // So long that what is left of an attempt would be found.
    let connect = SshConnect::new(SshSettings { connect_timeout: Duration::from_mins(1), ..fleet.settings() });
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let mut running = remote.start_text(&format!("{BEGIN}echo x; read -r w\n"), call(Args::new())).await.unwrap();
    assert!(running.next().await.is_some());
    fleet.node("n2").wire.silence();
    let attempt = tokio::time::timeout(Duration::from_millis(400), connect.open(&fleet.address("n2"))).await;
    assert!(attempt.is_err(), "a silent node was entered");
    within(SOON, "shutdown", connect.shutdown()).await;
    let ended = within(SOON, "the end of the script", running.finish()).await;
    assert!(matches!(ended, muster::remote::Ended::Lost(_)), "{ended:?}");
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn what_a_killed_muster_leaves_is_ended_by_the_next_one() {
    let Some(fleet) = Fleet::of(&["n1", "n2"]).await else { return };
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ssh::masters::holder", "--ignored", "--nocapture", "--test-threads=1"])
        .env("MUSTER_HOLD", fleet.dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let held =
        tokio::task::spawn_blocking(move || output.lines().map_while(Result::ok).any(|line| line.ends_with("held")));
    assert!(within(SOON, "the holder connects", held).await.unwrap(), "the holder did not connect");
    holder.kill().unwrap();
    holder.wait().unwrap();

    let [left] = &directories(&fleet)[..] else { panic!("{:?}", directories(&fleet)) };
    let title = format!("-S {}", left.display());
    assert_eq!(process::titled(&title).len(), 1, "no master lives on: {:?}", fleet.left());

    let connect = fleet.connect();
    connect.open(&fleet.address("n2")).await.unwrap();
    poll_until(SOON, "the old master ends", || process::titled(&title).is_empty().then_some(())).await;
    poll_until(SOON, "its sshd ends", || (fleet.node("n1").wire.serving() == 0).then_some(())).await;
    assert!(!left.exists());
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

/// Not a test: the muster that is killed by the one above, in a process of its own.
#[tokio::test]
#[ignore = "started by what_a_killed_muster_leaves_is_ended_by_the_next_one"]
#[expect(clippy::print_stdout, reason = "it tells the test that it has connected")]
async fn holder() {
    let Some(fleet) = variable("MUSTER_HOLD").map(PathBuf::from) else { return };
    let vars = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name.to_owned(), variable(name)?.into())));
    let settings = SshSettings {
        config: Some(fleet.join("ssh_config")),
        runtime_dir: fleet.join("run"),
        ..SshSettings::new(vars)
    };
    let connect = SshConnect::new(settings);
    let address = NodeAddress {
        node: NodeName::parse("n1").unwrap(),
        host: "n1".to_owned(),
        user: None,
        port: None,
        privilege: Privilege::None,
        transport: Transport::Ssh,
    };
    let _remote = connect.connect(&address).await.unwrap();
    println!("\nheld");
    std::future::pending::<()>().await;
}
