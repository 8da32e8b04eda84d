//! The demo in the terminal UI, from start to converged, by the keys that its bottom line names.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use portable_pty::CommandBuilder;
use tempfile::TempDir;

use super::demo::{assert_nothing_left, temp};
use crate::harness::variable;
use crate::tui::pty::Terminal;

/// Longer than a demo takes on a busy machine; only a failing test waits for it.
pub(super) const LONG: Duration = Duration::from_mins(3);

/// Starts it, and waits for the fleet.
pub(super) fn start() -> (Terminal, TempDir) {
    let temp = temp();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_muster"));
    command.arg("--demo");
    command.env_clear();
    // As most people have it; without it only ASCII is drawn.
    command.env("LANG", "C.UTF-8");
    command.env("TMPDIR", temp.path());
    for (name, value) in ["PATH", "HOME", "USER"].into_iter().filter_map(|name| Some((name, variable(name)?))) {
        command.env(name, value);
    }
    let mut terminal = Terminal::run(command);
    terminal.within(LONG, "the fleet", |screen| {
        let text = screen.contents();
        screen.alternate_screen() && text.contains("eu-4") && text.contains("drift")
    });
    (terminal, temp)
}

/// The key that stands before these words in the bottom line.
pub(super) fn key(screen: &vt100::Screen, words: &str) -> Option<String> {
    let contents = screen.contents();
    let line = contents.lines().rfind(|line| !line.trim().is_empty())?;
    line.split("  ").find_map(|part| Some(part.trim().strip_suffix(words)?.strip_suffix(' ')?.to_owned()))
}

/// Types what the bottom line says for these words, once it says so.
pub(super) fn press(terminal: &mut Terminal, words: &str) {
    terminal.until(words, |screen| key(screen, words).is_some());
    let found = terminal.look(|screen| key(screen, words));
    match found.expect("nothing but a key changes the bottom line").as_str() {
        "enter" => terminal.send("\r"),
        "esc" => terminal.send("\x1b"),
        "space" => terminal.send(" "),
        key => terminal.send(key),
    }
}

/// A line of the screen, from 0.
fn line_of(screen: &vt100::Screen, at: usize) -> String {
    screen.contents().lines().nth(at).unwrap_or_default().to_owned()
}

/// The line of the screen with these words.
fn line_with(screen: &vt100::Screen, words: &str) -> String {
    screen.contents().lines().find(|line| line.contains(words)).unwrap_or_default().to_owned()
}

/// From the fleet to a run that is on.
fn run(terminal: &mut Terminal) {
    press(terminal, "plan");
    terminal.until("a plan", |screen| screen.contents().contains("request-tag") && key(screen, "apply").is_some());
    terminal.until("the danger", |screen| line_of(screen, 2).contains("DELETES 2 rows; deletes files on 4 nodes"));
    press(terminal, "apply");
    terminal.until("a question", |screen| screen.contents().contains("type all to go on"));
    terminal.until("what will be lost", |screen| screen.contents().contains("un-applies legacy-hmac from 2 places"));
    terminal.send("all\r");
    terminal.within(LONG, "the run", |screen| key(screen, "stop").is_some());
}

#[tokio::test]
async fn by_the_keys_that_it_names_it_goes_from_the_fleet_to_converged() {
    let (mut terminal, temp) = start();
    terminal.until("a plugin that should be gone", |screen| line_with(screen, "eu-1 ").contains("++++"));
    // Two nodes of the canary come before it.
    terminal.send("nnn");
    terminal.until("the cursor on eu-1", |screen| line_with(screen, " eu-1 ").starts_with('›'));
    press(&mut terminal, "open");
    terminal.until("what uses it", |screen| {
        let text = screen.contents();
        text.contains("used by 2 rows") && text.contains("service billing") && text.contains("global, disabled")
    });
    press(&mut terminal, "back");
    // Escape and a letter behind it at once would be one key.
    terminal.until("the fleet", |screen| key(screen, "filter").is_some());
    run(&mut terminal);
    terminal.within(LONG, "the verdict", |screen| screen.contents().contains("converged"));
    let removed = terminal.look(|screen| {
        let words = ["un-apply legacy-hmac", "before files go: legacy-hmac", "eu-1 "];
        words.map(|words| line_with(screen, words))
    });
    assert!(removed[0].contains("=      2 rows, none left"), "{removed:?}");
    assert!(removed[1].contains("=      no row, not listed, not loaded"), "{removed:?}");
    assert!(removed[2].contains("files deleted"), "{removed:?}");
    press(&mut terminal, "back");
    terminal.until("a plugin that is gone", |screen| line_with(screen, "eu-1 ").contains("...."));
    press(&mut terminal, "quit");
    let left = terminal.end("verdict: converged, exit 0. 5 of 6 nodes proven, 1 edited while stopped");
    assert!(!left.contains("eu-prod"), "the screen is given back\n{left}");
    assert_nothing_left(temp.path()).await;
}

#[tokio::test]
async fn a_run_is_paused_looked_into_and_goes_on() {
    let (mut terminal, temp) = start();
    run(&mut terminal);
    // Asked for before that, it would begin before anything was delivered.
    let brought = ["delivered", "loads on trial"];
    terminal.until("a delivery", |screen| brought.iter().any(|words| screen.contents().contains(words)));
    press(&mut terminal, "pause");
    terminal.within(LONG, "a pause", |screen| line_of(screen, 1).contains("paused ") && key(screen, "go on").is_some());
    let paused = terminal.look(|screen| line_of(screen, 1));
    assert!(paused.contains(" by "), "who asked\n{paused}");
    // What is paused is not left to the guards: they are not armed.
    terminal.send("\u{1b}[B\r");
    terminal.until("a log", |screen| line_of(screen, 0).contains("log of eu-c1") && key(screen, "search").is_some());
    terminal.until("what was delivered", |screen| screen.contents().contains("deliver done"));
    press(&mut terminal, "back");
    press(&mut terminal, "go on");
    terminal.within(LONG, "the verdict", |screen| screen.contents().contains("verdict: converged"));
    press(&mut terminal, "ticket");
    terminal.until("a ticket", |screen| line_of(screen, 2).starts_with("muster run 01"));
    press(&mut terminal, "back");
    terminal.until("the run", |screen| key(screen, "ticket").is_some());
    press(&mut terminal, "quit");
    terminal.end("verdict: converged, exit 0. 5 of 6 nodes proven");
    assert_nothing_left(temp.path()).await;
}

#[tokio::test]
async fn left_in_the_middle_of_a_run_it_waits_for_its_end() {
    let (mut terminal, temp) = start();
    run(&mut terminal);
    press(&mut terminal, "quit");
    terminal.until("a question", |screen| screen.contents().contains("type leave to go"));
    terminal.send("leave\r");
    terminal.end("verdict: interrupted, exit 130");
    assert_nothing_left(temp.path()).await;
}

#[tokio::test]
async fn a_signal_in_the_middle_of_a_run_does_the_same() {
    let (mut terminal, temp) = start();
    run(&mut terminal);
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    terminal.end("verdict: interrupted, exit 130");
    assert_nothing_left(temp.path()).await;
}

#[tokio::test]
async fn what_is_selected_is_looked_at_and_planned_alone() {
    let (mut terminal, temp) = start();
    // A node of either cluster.
    terminal.send("j jjj ");
    terminal.until("two selected", |screen| screen.contents().contains("2 selected (esc)"));
    terminal.send("R");
    terminal.within(LONG, "the look at two", |screen| screen.contents().contains("2 nodes were looked at again"));
    terminal.send("P");
    terminal.until("a plan", |screen| key(screen, "apply").is_some());
    let plan = terminal.look(vt100::Screen::contents);
    assert!(
        plan.contains("1 of 2 nodes") && plan.contains("1 of 4 nodes") && plan.contains("eu-c2: not selected"),
        "{plan}"
    );
    press(&mut terminal, "back");
    terminal.until("the fleet", |screen| screen.contents().contains("2 selected (esc)"));
    press(&mut terminal, "quit");
    terminal.end("no run was begun");
    assert_nothing_left(temp.path()).await;
}
