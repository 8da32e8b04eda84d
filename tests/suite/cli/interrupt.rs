//! Stopping a run: exit 130, every node serves, the next run converges.

use std::time::Duration;

use muster::run::CancelLevel;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};

use crate::harness::{Gateways, Wanted, poll_until, within};

const SOON: Duration = Duration::from_mins(1);

/// One node after the other, and the first one slow to load.
fn prepare(gateways: &Gateways) {
    let rollout = "{ waves: [1, 100%], at_once: 1, soak: 0s }";
    gateways.want("1.0.0");
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&Wanted { rollout, ..Wanted::default() }))], "in turn");
    gateways.node("eu-1").change(|settings| settings.faults.slow_load = 1.0).unwrap();
}

#[tokio::test]
async fn a_request_to_stop_ends_after_the_wave() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    prepare(&gateways);
    let call = gateways.begin(&["--apply", "--all"]);
    poll_until(SOON, "the first node", || call.out().contains("activating").then_some(())).await;
    call.cancel(CancelLevel::AfterWave);
    let said = call.said().await;
    said.assert(130, &["cancelling", "1 of 2 nodes proven, 1 not tried", "verdict: interrupted, exit 130"]);
    assert_eq!(gateways.proxied("eu-1").await, Some((200, Some("1.0.0".to_owned()))));
    assert_eq!(gateways.proxied("eu-2").await, Some((200, None)));
    gateways.assert_nothing_left().await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn leaving_steps_in_the_middle_leaves_a_node_that_serves_and_the_next_run_finishes() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    prepare(&gateways);
    let call = gateways.begin(&["--apply", "--all"]);
    poll_until(SOON, "the first node", || call.out().contains("activating").then_some(())).await;
    call.cancel(CancelLevel::LeaveSteps);
    call.said().await.assert(130, &["verdict: interrupted, exit 130"]);
    assert_eq!(gateways.proxied("eu-1").await.map(|(status, _)| status), Some(200));
    gateways.node("eu-1").change(|settings| settings.faults.slow_load = 0.0).unwrap();
    // Its journal says that it is over, so nobody has to wait for its lease.
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    // A script that was left in the middle ends by its own deadline on the node, within a minute.
    let minute = Duration::from_secs(90);
    poll_until(minute, "the guard is done", || gateways.left().is_empty().then_some(())).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn ctrl_c_reaches_the_program() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    prepare(&gateways);
    let mut command = gateways.command(&["--apply", "--all"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    within(SOON, "the first node", async {
        while !text.contains("activating") {
            assert!(lines.read_line(&mut text).await.unwrap() > 0, "{text}");
        }
    })
    .await;
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
    lines.read_to_string(&mut text).await.unwrap();
    let status = within(SOON, "its end", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(130), "{text}");
    let ladder =
        ["no new steps; running ones end", "once more (Ctrl-C, SIGTERM): running steps are left to the guards"];
    for words in ladder.into_iter().chain(["verdict: interrupted, exit 130"]) {
        assert!(text.contains(words), "{words}: {text}");
    }
    gateways.assert_nothing_left().await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn while_it_looks_it_stops_at_once_and_nothing_was_changed() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.ssh.node("eu-1").wire.freeze();
    let call = gateways.begin(&["--apply", "--all"]);
    poll_until(SOON, "it connects", || (gateways.ssh.node("eu-1").wire.accepted() > 0).then_some(())).await;
    call.cancel(CancelLevel::AfterWave);
    let said = within(Duration::from_secs(20), "its end", call.said()).await;
    said.assert(130, &[]);
    gateways.ssh.node("eu-1").wire.thaw();
    gateways.assert_nothing_left().await;
    gateways.assert_serving(None).await;
}
