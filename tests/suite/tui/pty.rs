//! The real terminal: on a pseudo-terminal, in a process of its own, as it is started, stopped, killed and resized.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use muster::name::{NodeName, RunId};
use muster::plan::Plan;
use muster::run::CancelLevel;
use muster::tui::{AsItIs, Driver, Edits, Look, Message, Opening, Part, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::fixture::{Recording, looked, planned};
use super::script::{Act, title};

/// Answers at once. Asked to plan for one cluster, a task of its own breaks; for one node, it breaks itself.
struct Made(UnboundedSender<Message>);

impl Driver for Made {
    fn look(&self, _: Part) {
        let _ = self.0.send(looked());
    }

    fn plan(&self, part: Part) {
        match part {
            Part::All => drop(self.0.send(planned())),
            Part::Node(_) | Part::Nodes(_) => panic!("the loop broke"),
            Part::Cluster(_) => drop(std::thread::spawn(|| panic!("a task broke"))),
        }
    }

    fn plan_with(&self, part: Part, _: Edits) {
        self.plan(part);
    }

    fn save(&self, _: Arc<Plan>, _: String, _: bool) {}

    fn apply(&self, _: Arc<Plan>) {
        for act in Recording::begin().acts {
            if let Act::Say(message) = act {
                let _ = self.0.send(message);
            }
        }
    }

    fn cancel(&self, _: CancelLevel) {}

    fn pause(&self, _: bool) {}

    fn skip(&self, _: NodeName) {}

    fn inspect(&self, _: NodeName) {}

    fn ask(&self, _: NodeName) {}

    fn compare(&self, _: muster::tui::DiffAbout) {}

    fn list_runs(&self) {}

    fn open_run(&self, _: RunId, _: PathBuf) {}

    fn close_run(&self) {}
}

fn opening() -> Opening {
    Opening { title: title(), look: Look::FULL, keys: Arc::default(), read_only: false, carry: Arc::new(AsItIs) }
}

/// The process that the tests below start: the interface on the terminal that it was given.
#[test]
#[ignore = "the other end of the tests in this file"]
#[expect(clippy::disallowed_methods, reason = "this process is a program of its own, whose clock is the system's")]
#[expect(clippy::print_stdout, reason = "what is printed after the end is what the tests look at")]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let (sender, messages) = unbounded_channel();
        let driver = Made(sender.clone());
        run(opening(), (sender, messages), &driver, &Timestamp::now).await
    });
    println!("ended {ended:?}");
}

/// The arguments that make the test binary that process.
pub(super) const CHILD: [&str; 4] = ["--ignored", "--exact", "tui::pty::child", "--nocapture"];

fn some(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has lines and columns")
}

/// A program on a terminal of its own.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    gone: Receiver<()>,
}

const SIZE: PtySize = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };

impl Terminal {
    pub(super) fn start() -> Self {
        Self::start_as("xterm-256color")
    }

    pub(super) fn start_as(kind: &str) -> Self {
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(CHILD);
        let mut terminal = Self::run_as(kind, command);
        terminal.until("the fleet", |screen| screen.alternate_screen() && screen.contents().contains("eu-prod"));
        terminal
    }

    /// Starts a program.
    pub(crate) fn run(command: CommandBuilder) -> Self {
        Self::run_as("xterm-256color", command)
    }

    /// Starts a program on a terminal that calls itself so.
    fn run_as(kind: &str, mut command: CommandBuilder) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        command.env("TERM", kind);
        command.env("RUST_BACKTRACE", "0");
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(some(24), some(80), 0)));
        let (gone, is_gone) = channel();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                shared.lock().unwrap().process(&bytes[..count]);
            }
            let _ = gone.send(());
        });
        let writer = pair.master.take_writer().unwrap();
        Self { child, master: pair.master, writer, screen, gone: is_gone }
    }

    /// Another size, as if the window was drawn larger or smaller.
    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        // What is on its way was made for the size before; the emulator has to know the new one first.
        self.screen.lock().unwrap().screen_mut().set_size(some(rows), some(cols));
        self.master.resize(PtySize { rows, cols, ..SIZE }).unwrap();
    }

    /// Types these keys.
    pub(crate) fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until the screen is so; the deadline is only for a failing test.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        self.within(Duration::from_secs(20), what, is_so);
    }

    /// Waits so long at most.
    pub(crate) fn within(&mut self, limit: Duration, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + limit;
        loop {
            let parser = self.screen.lock().unwrap();
            if is_so(parser.screen()) {
                return;
            }
            assert!(Instant::now() < deadline, "waited for {what} in vain:\n{}", parser.screen().contents());
            drop(parser);
            std::thread::yield_now();
            // Not to wait for a time, but to leave the processor to the other side.
            let _ = self.gone.recv_timeout(Duration::from_millis(5));
        }
    }

    /// Something of the screen as it is.
    pub(crate) fn look<T>(&self, see: impl Fn(&vt100::Screen) -> T) -> T {
        see(self.screen.lock().unwrap().screen())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap())
    }

    /// The state letter of the process, as in `ps`.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?')
    }

    /// Waits for a program that says nothing more, as a shell that was left.
    pub(super) fn closed(mut self) {
        self.child.wait().unwrap();
    }

    /// Waits for the end, and says what was left on the terminal.
    pub(crate) fn end(mut self, says: &str) -> String {
        self.within(Duration::from_mins(1), says, |screen| {
            !screen.alternate_screen() && screen.contents().contains(says)
        });
        self.child.wait().unwrap();
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().bracketed_paste() && !parser.screen().hide_cursor(), "the terminal is as it was");
        parser.screen().contents()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn it_starts_and_leaves_the_terminal_as_it_was() {
    let mut terminal = Terminal::start();
    terminal.send("q");
    let left = terminal.end("ended Ok");
    assert!(!left.contains("eu-prod"), "{left}");
}

#[test]
fn a_terminating_signal_restores_the_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let terminal = Terminal::start();
        kill(terminal.pid(), signal).unwrap();
        let word = if signal == Signal::SIGTERM { "signal: Some(Terminate)" } else { "signal: Some(Hangup)" };
        terminal.end(word);
    }
}

#[test]
fn a_panic_in_another_task_restores_the_terminal_and_ends_it() {
    let mut terminal = Terminal::start();
    terminal.send("P");
    let left = terminal.end("ended Ok");
    assert!(left.contains("a task broke"), "the panic can be read\n{left}");
}

#[test]
fn it_is_suspended_and_comes_back() {
    let mut terminal = Terminal::start();
    terminal.send("\x1a");
    terminal.until("the shell's screen", |screen| !screen.alternate_screen());
    let deadline = Instant::now() + Duration::from_secs(20);
    while terminal.state() != 'T' {
        assert!(Instant::now() < deadline, "it is not stopped but {}", terminal.state());
        std::thread::yield_now();
    }
    kill(terminal.pid(), Signal::SIGCONT).unwrap();
    terminal.until("the fleet again", |screen| screen.alternate_screen() && screen.contents().contains("eu-prod"));
    terminal.send("q");
    terminal.end("ended Ok");
}

#[test]
fn a_storm_of_sizes_ends_in_the_last_one() {
    let mut terminal = Terminal::start();
    for cols in (61..120).chain([100]) {
        terminal.master.resize(PtySize { rows: 20, cols, ..SIZE }).unwrap();
        terminal.screen.lock().unwrap().screen_mut().set_size(some(20), some(cols));
    }
    terminal.until("the keys in line 20", |screen| {
        screen.rows(0, 100).nth(19).is_some_and(|line| line.contains("? help"))
            && screen.rows(0, 100).next().is_some_and(|line| line.trim_end().ends_with("5 of 6 nodes seen"))
    });
    terminal.send("q");
    terminal.end("ended Ok");
}

#[test]
fn a_paste_is_text_and_not_keys() {
    let mut terminal = Terminal::start();
    terminal.send("p");
    terminal.until("the plan", |screen| {
        screen.contents().contains("a applies exactly this") || screen.contents().contains("a apply")
    });
    terminal.send("a");
    terminal.until("the question", |screen| screen.contents().contains("Apply to eu-prod"));
    terminal.send("\x1b[200~eu-prod\rq\x1b[201~");
    terminal.until("the pasted word", |screen| screen.contents().contains("go on:  eu-prod"));
    terminal.send("\x1b");
    terminal.until("no question", |screen| !screen.contents().contains("Apply to eu-prod"));
    terminal.send("q");
    terminal.end("ended Ok");
}
