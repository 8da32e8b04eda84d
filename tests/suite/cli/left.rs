//! The terminal UI on a fleet of one's own: what it does when it is left, and what it does not plan.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use portable_pty::CommandBuilder;

use super::demo_tui::{key, press};
use crate::harness::{Gateways, Wanted};
use crate::tui::pty::Terminal;

/// Only a failing test waits so long.
const SOON: Duration = Duration::from_mins(1);

fn start(gateways: &Gateways, args: &[&str]) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_muster"));
    command.args(args);
    command.arg("--ssh-config");
    command.arg(gateways.ssh.ssh_config());
    command.cwd(gateways.work_tree());
    command.env_clear();
    for (name, value) in gateways.vars() {
        command.env(name, value);
    }
    Terminal::run(command)
}

/// The last line of the only journal.
fn last_fact(gateways: &Gateways) -> serde_json::Value {
    let runs: Vec<_> = std::fs::read_dir(gateways.dir().join("state/muster/runs")).unwrap().flatten().collect();
    assert_eq!(runs.len(), 1);
    let text = std::fs::read_to_string(runs[0].path().join("journal.jsonl")).unwrap();
    assert!(text.ends_with('\n'), "the last line is torn");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

// The terminal is waited for on this thread; the bytes of sshd are carried by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ended_in_the_middle_of_a_run_its_journal_has_the_end() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    let rollout = "{ waves: [1, 100%], at_once: 1, soak: 0s }";
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&Wanted { rollout, ..Wanted::default() }))], "in turn");
    gateways.node("eu-1").change(|settings| settings.faults.slow_load = 2.0).unwrap();
    let mut terminal = start(&gateways, &[]);
    terminal.within(SOON, "the fleet", |screen| screen.contents().contains("drift"));
    press(&mut terminal, "plan");
    press(&mut terminal, "apply");
    terminal.until("a question", |screen| screen.contents().contains("type the cluster's name"));
    terminal.send("eu\r");
    let loading = |line: &str| line.contains("eu-1") && line.contains("load");
    terminal.within(SOON, "a reload", |screen| screen.contents().lines().any(loading));
    // Giving back the lease of the node that is not begun takes a while: muster has to be there for as long.
    gateways.ssh.node("eu-2").wire.delay(Duration::from_millis(400));
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    terminal.end("verdict: interrupted, exit 130");
    let last = last_fact(&gateways);
    assert_eq!((&last["event"], &last["exit"]), (&"run-ended".into(), &130.into()));
    for name in ["eu-1", "eu-2"] {
        assert_eq!(gateways.proxied(name).await.map(|(status, _)| status), Some(200), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn outside_of_what_was_chosen_at_the_start_nothing_is_planned() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    let mut terminal = start(&gateways, &["--node", "eu-1"]);
    terminal.within(SOON, "the fleet", |screen| screen.contents().contains("eu-2"));
    // The last line of the fleet is eu-2.
    terminal.send("G");
    terminal.send("P");
    terminal.until("a refusal", |screen| {
        let text = screen.contents();
        text.contains("It could not be done") && text.contains("eu-2 is outside of what was chosen")
    });
    terminal.send("\r");
    // All nodes of the group, by its heading; what is outside is named, and nothing else is planned instead.
    terminal.send("\x1b[H");
    terminal.send(" ");
    terminal.until("both selected", |screen| screen.contents().contains("2 selected (esc)"));
    terminal.send("P");
    terminal.until("another refusal", |screen| screen.contents().contains("eu-2 is outside of what was chosen"));
    terminal.send("\r");
    terminal.send(" j");
    terminal.until("none selected", |screen| !screen.contents().contains("selected (esc)"));
    terminal.send("P");
    terminal.until("a plan", |screen| key(screen, "apply").is_some());
    press(&mut terminal, "quit");
    terminal.end("no run was begun; nothing was changed");
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}
