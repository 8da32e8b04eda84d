//! What happens to a terminal: job control of a real shell, panics, storms, pastes, other kinds of terminals.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use portable_pty::CommandBuilder;

use super::pty::{CHILD, Terminal};

fn is_fleet(screen: &vt100::Screen) -> bool {
    screen.alternate_screen() && screen.contents().contains("eu-prod") && screen.contents().contains("? help")
}

fn shows(words: &str) -> impl Fn(&vt100::Screen) -> bool {
    move |screen| screen.contents().contains(words)
}

/// A shell on a terminal of its own, with job control.
fn shell() -> Terminal {
    let mut command = CommandBuilder::new("/bin/sh");
    command.arg("-i");
    command.env("PS1", "shell> ");
    command.env("ENV", "");
    command.env("HISTFILE", "");
    command.env("CHILD", std::env::current_exe().unwrap());
    let mut terminal = Terminal::run(command);
    terminal.until("the prompt", shows("shell> "));
    terminal
}

#[test]
fn in_a_shell_it_is_suspended_and_comes_back_by_fg_as_often_as_one_likes() {
    let mut terminal = shell();
    terminal.send(&format!("\"$CHILD\" {}\n", CHILD.join(" ")));
    terminal.until("the fleet", is_fleet);
    for round in 0..3 {
        terminal.send("\x1a");
        terminal.until("the shell", |screen| !screen.alternate_screen() && screen.contents().ends_with("shell> "));
        // Echoed, and a line at a time: the terminal is as the shell wants it.
        terminal.send(&format!("echo round $(({round} + 40))\n"));
        terminal.until("the echo", shows(&format!("echo round $(({round} + 40))")));
        terminal.until("the answer", shows(&format!("\nround {}", round + 40)));
        terminal.look(|screen| assert!(!screen.bracketed_paste() && !screen.hide_cursor()));
        terminal.send("fg\n");
        terminal.until("the fleet again", is_fleet);
        terminal.look(|screen| assert!(screen.bracketed_paste(), "pastes are told from keys again"));
    }
    terminal.send("j");
    terminal.until("keys are heard again", |screen| cursor_line(screen).contains("eu-1"));
    terminal.send("q");
    terminal.until("the end", |screen| !screen.alternate_screen() && screen.contents().contains("ended Ok"));
    terminal.send("exit\n");
    terminal.closed();
}

#[test]
fn a_stop_from_outside_gives_the_terminal_back_first() {
    let mut terminal = Terminal::start();
    kill(terminal.pid(), Signal::SIGTSTP).unwrap();
    terminal.until("the shell's screen", |screen| !screen.alternate_screen() && !screen.bracketed_paste());
    let stopped = waitpid(terminal.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    kill(terminal.pid(), Signal::SIGCONT).unwrap();
    terminal.until("the fleet again", is_fleet);
    terminal.send("q");
    terminal.end("ended Ok");
}

fn cursor_line(screen: &vt100::Screen) -> String {
    screen.contents().lines().find(|line| line.starts_with('›')).unwrap_or_default().to_owned()
}

#[test]
fn a_panic_in_the_loop_itself_can_be_read_on_a_restored_terminal() {
    let mut terminal = Terminal::start();
    terminal.send("j");
    terminal.until("a node", |screen| cursor_line(screen).contains("eu-1"));
    terminal.send("P");
    terminal.until("the text", |screen| !screen.alternate_screen() && screen.contents().contains("the loop broke"));
    let left = terminal.end("test result: FAILED");
    assert!(left.contains("the loop broke") && left.contains("pty.rs"), "what and where can be read\n{left}");
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn size(&mut self) -> (u16, u16) {
        let within = |number: u64, least: u16| u16::try_from(number).unwrap_or_default() + least;
        (within(self.below(291), 10), within(self.below(78), 3))
    }
}

#[test]
fn two_hundred_sizes_while_keys_are_pressed_end_in_the_right_frame() {
    let mut terminal = Terminal::start();
    terminal.until("the whole screen", is_fleet);
    let first = terminal.look(text);
    let mut chance = Chance(4);
    let keys = ["j", "k", "\x1b[6~", "G", "?", "?", "\r", "\x0c", "n", "\x1b[C"];
    for at in 0..200 {
        let (cols, rows) = chance.size();
        terminal.resize(cols, rows);
        terminal.send(keys[at % keys.len()]);
    }
    terminal.resize(80, 24);
    // Whatever the keys have opened, escape is back; home is the first row; left the first column.
    let deadline = Instant::now() + Duration::from_mins(1);
    while terminal.look(text) != first {
        assert!(Instant::now() < deadline, "\n{}\nis not\n{first}", terminal.look(text));
        // An escape and a key right behind it would be one key.
        terminal.send("\x1b");
        std::thread::sleep(Duration::from_millis(60));
        let folded = terminal.look(text).contains('▸');
        terminal.send(if folded { "\r" } else { "\x1b[H\x1b[D\x1b[D\x1b[D" });
        std::thread::sleep(Duration::from_millis(60));
    }
    terminal.send("q");
    terminal.end("ended Ok");
}

/// What is seen, without the blanks at the ends of lines.
fn text(screen: &vt100::Screen) -> String {
    let contents = screen.contents();
    contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn paste(terminal: &mut Terminal, text: &str) {
    terminal.send(&format!("\x1b[200~{text}\x1b[201~"));
}

/// The line that is typed ends with this.
fn typed_is(screen: &vt100::Screen, end: &str) -> bool {
    screen.contents().lines().any(|line| line.trim_end().trim_end_matches('│').trim_end().ends_with(end))
}

#[test]
fn a_paste_of_several_lines_into_a_question_enters_nothing() {
    let mut terminal = Terminal::start();
    terminal.send("/");
    terminal.until("the filter", shows("filter: "));
    paste(&mut terminal, "us-*\rq\rq");
    terminal.until("the pasted filter", shows("filter: us-*   enter"));
    terminal.send("\x1b");
    terminal.until("no filter", |screen| !screen.contents().contains("filter: "));
    terminal.send(":");
    terminal.until("the palette", shows("Do what"));
    paste(&mut terminal, "quit\rquit\r");
    terminal.until("the pasted words", shows(": quit  "));
    terminal.send("\x1b");
    terminal.until("no palette", |screen| !screen.contents().contains("Do what"));
    terminal.send("p");
    terminal.until("the plan", shows("a apply"));
    terminal.send("a");
    terminal.until("the question", shows("Apply to eu-prod"));
    paste(&mut terminal, "eu-prod\r\n");
    terminal.until("the pasted name", |screen| typed_is(screen, "go on:  eu-prod"));
    terminal.send("\r");
    terminal.until("the run", shows("x stop"));
    terminal.send("q");
    terminal.until("another question", shows("type leave to go"));
    paste(&mut terminal, "leave\rleave\r");
    terminal.until("the pasted word", |screen| typed_is(screen, "go:  leave"));
    terminal.send("\r");
    terminal.end("ended Ok");
}

#[test]
fn it_works_in_the_terminals_of_tmux_and_screen() {
    for kind in ["screen", "tmux-256color", "screen-256color", "vt100"] {
        let mut terminal = Terminal::start_as(kind);
        terminal.send("j");
        terminal.until("the cursor", |screen| cursor_line(screen).contains("eu-1"));
        terminal.send("q");
        terminal.end("ended Ok");
    }
}

#[test]
fn a_signal_while_a_run_is_on_restores_the_terminal_too() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = Terminal::start();
        terminal.send("p");
        terminal.until("the plan", shows("a apply"));
        terminal.send("a");
        terminal.until("the question", shows("Apply to eu-prod"));
        terminal.send("eu-prod\r");
        terminal.until("the run", shows("x stop"));
        kill(terminal.pid(), signal).unwrap();
        terminal.end("verdict: Some(Interrupted)");
    }
}
