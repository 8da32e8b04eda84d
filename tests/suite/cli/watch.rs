//! A second watcher: a headless run, as cron begins one, followed from another muster, in lines and on the screen; and seen
//! again afterwards.

use std::sync::mpsc::channel;
use std::time::Duration;

use portable_pty::CommandBuilder;

use super::demo_tui::press;
use crate::harness::{Gateways, poll_until};
use crate::tui::pty::Terminal;

/// Longer than anything takes on a busy machine; only a failing test waits for it.
const LONG: Duration = Duration::from_mins(2);

/// The real program on a terminal, beside the test's own calls.
fn screen(gateways: &Gateways) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_muster"));
    command.arg("--ssh-config");
    command.arg(gateways.ssh.ssh_config());
    command.cwd(gateways.work_tree());
    command.env_clear();
    for (name, value) in gateways.vars() {
        command.env(name, value);
    }
    let mut terminal = Terminal::run(command);
    terminal
        .within(LONG, "the fleet", |screen| screen.contents().contains("eu-1") && screen.contents().contains("drift"));
    terminal
}

fn has(words: &'static str) -> impl Fn(&vt100::Screen) -> bool {
    move |screen| screen.contents().contains(words)
}

// The test waits for a screen while others carry the bytes of sshd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_headless_run_is_watched_from_another_muster_and_seen_again_afterwards() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    let mut terminal = screen(&gateways);
    let (go, may_go) = channel::<()>();
    let mut is_held = false;
    let call = gateways.begin_heard(&["--apply", "--all"], move |line| {
        if line["event"] == "wave-started" && !is_held {
            is_held = true;
            // The other end went away: the test failed, and the run ends by itself.
            let _ = may_go.recv_timeout(LONG);
        }
    });
    let list = poll_until(LONG, "a run at work", || {
        let entries = std::fs::read_dir(gateways.dir().join("state/muster/runs")).ok()?;
        entries.flatten().map(|entry| entry.file_name().into_string().unwrap()).next()
    });
    let run = list.await;

    terminal.send("W");
    terminal.within(LONG, "a run at work", has("~ at work"));
    press(&mut terminal, "open");
    terminal.within(LONG, "the run of another muster", |screen| has("watching run of")(screen) && has("eu-2")(screen));
    terminal.send("x");
    terminal.until("why it cannot be stopped from here", has("it can be steered only where it was begun"));
    let following = gateways.begin(&["runs", &run, "--follow"]);
    poll_until(LONG, "its first line", || following.out().contains(&format!("run {run}")).then_some(())).await;
    let told = gateways.muster(&["runs", &run]).await;
    told.assert(0, &["it is at work; to go on with it:", "--follow"]);
    assert_eq!(gateways.muster(&["runs", "--format", "json"]).await.lines()[0]["end"], "at work");

    go.send(()).unwrap();
    let said = call.said().await;
    assert_eq!(said.code, 0, "{said}");
    following.said().await.assert(0, &["verdict: converged, exit 0"]);
    terminal.within(LONG, "its verdict", |screen| {
        has("verdict: converged, exit 0")(screen) && has("replay of")(screen) && has("its end")(screen)
    });
    terminal.send("\x1b[H");
    terminal.until("its start", has("event 1 of"));
    terminal.send("p");
    terminal.until("its plan", |screen| {
        has("recorded plan")(screen) && has("request-tag")(screen) || has("acme-auth")(screen)
    });
    terminal.send("q");
    let left = terminal.end("no run was begun; nothing was changed");
    assert!(!left.contains("recorded plan"), "{left}");

    let line = gateways.muster(&["runs", "--format", "json"]).await.lines()[0].clone();
    assert_eq!(line["run"], run.as_str());
    assert_eq!(
        (line["end"].as_str(), line["exit"].as_u64(), line["nodes"].as_u64()),
        (Some("converged"), Some(0), Some(2))
    );
    assert!(line["seconds"].is_u64() && line["counts"]["proven"] == 2 && line["trouble"].is_null(), "{line}");
    assert_eq!(line["clusters"].as_array().map(Vec::len), Some(1), "{line}");
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn runs_of_another_place_are_listed_and_a_damaged_one_is_told_up_to_its_damage() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let place = gateways.dir().join("cron/runs");
    let journal = include_str!("../../data/journals/FORMAT-1-rolled-back.jsonl");
    let runs = ["01KJQDVNQ00000000000000007", "01KJQDVNQ00000000000000008"];
    for (run, damage) in runs.into_iter().zip([false, true]) {
        std::fs::create_dir_all(place.join(run)).unwrap();
        let damaged = |(at, line): (usize, &str)| if damage && at == 20 { "{".to_owned() } else { line.to_owned() };
        let text = journal.lines().enumerate().map(damaged).collect::<Vec<_>>().join("\n") + "\n";
        std::fs::write(place.join(run).join("journal.jsonl"), text).unwrap();
    }
    gateways.muster(&["runs"]).await.assert(0, &["no run was recorded"]);
    let place = place.to_str().unwrap();
    let gone = gateways.dir().join("cron/runs").join(runs[0]).join("journal.jsonl");
    let all = gateways.muster(&["runs", "--runs", place, "--runs", gone.to_str().unwrap()]).await;
    all.assert(0, &["not reached", "damaged", "line 21: it is not JSON", "listing "]);
    let lines = gateways.muster(&["runs", "--runs", place, "--format", "json"]).await.lines();
    assert_eq!((lines[0]["end"].as_str(), lines[1]["end"].as_str()), (Some("damaged"), Some("not reached")));
    assert!(lines[0]["trouble"].as_str().is_some_and(|why| why.contains("line 21")), "{}", lines[0]);
    let told = gateways.muster(&["runs", runs[1], "--runs", place]).await;
    told.assert(1, &["run 01KJQDVNQ0", "line 21", "what stands before that line can be trusted"]);
    gateways.muster(&["runs", runs[0], "--runs", place]).await.assert(0, &["verdict: not reached, exit 3"]);
    gateways.muster(&["runs", runs[0], "--runs", place, "--follow"]).await.assert(0, &["verdict: not reached"]);
    gateways.muster(&["runs", "--follow"]).await.assert(64, &["RUN"]);
    gateways.muster(&["--plan", "--runs", place]).await.assert(64, &["--runs", "--plan"]);
}
