//! Runs the whole application on a made-up terminal, with a script in place of the operator.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream::{pending, unfold};
use jiff::Timestamp;
use muster::name::{NodeName, RunId};
use muster::plan::Plan;
use muster::run::CancelLevel;
use muster::tui::{DiffAbout, Driver, Edits, Ended, Host, Look, Message, Model, Part, Title, run_on};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What the script does next.
#[derive(Clone)]
pub(super) enum Act {
    /// A key.
    Key(KeyCode, KeyModifiers),
    /// The terminal sends this.
    Input(Input),
    /// The rest of the program says this.
    Say(Message),
    /// The rest of the program says this so many times at once.
    Storm(Message, usize),
    /// So many seconds pass.
    Wait(u64),
}

/// The script of a key, a text that is typed, a message…
pub(super) fn key(code: KeyCode) -> Vec<Act> {
    vec![Act::Key(code, KeyModifiers::NONE)]
}

pub(super) fn ctrl(letter: char) -> Vec<Act> {
    vec![Act::Key(KeyCode::Char(letter), KeyModifiers::CONTROL)]
}

pub(super) fn typed(text: &str) -> Vec<Act> {
    text.chars().flat_map(|c| key(KeyCode::Char(c))).collect()
}

pub(super) fn enter() -> Vec<Act> {
    key(KeyCode::Enter)
}

pub(super) fn say(message: Message) -> Vec<Act> {
    vec![Act::Say(message)]
}

/// The same message so many times, with no time in between.
pub(super) fn at_once(act: &Act, times: usize) -> Vec<Act> {
    match act {
        Act::Say(message) => vec![Act::Storm(message.clone(), times)],
        Act::Storm(..) | Act::Key(..) | Act::Input(_) | Act::Wait(_) => Vec::new(),
    }
}

/// What came of a script.
pub(super) struct Played {
    /// The last screen.
    pub(super) screen: String,
    /// What the driver, and the terminal's host, were asked for, in order.
    pub(super) asked: Vec<String>,
    /// How it ended.
    pub(super) ended: Ended,
    /// How many frames were drawn.
    pub(super) frames: usize,
}

impl Played {
    /// Whether the operator left, or a signal: not the end of the script.
    pub(super) fn left(&self) -> bool {
        self.ended.died.is_none()
    }
}

#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no test panics while it holds this").push(what.into());
    }
}

impl Driver for Asked {
    fn look(&self, part: Part) {
        self.note(format!("look {part:?}"));
    }

    fn plan(&self, part: Part) {
        self.note(format!("plan {part:?}"));
    }

    fn plan_with(&self, part: Part, edits: Edits) {
        let Edits { clusters, nodes, plugins, allow } = edits;
        let names = |all: Vec<String>| all.join(" ");
        let out = clusters.iter().map(ToString::to_string).chain(nodes.iter().map(ToString::to_string));
        let out = names(out.chain(plugins).collect());
        let allow = names(allow.iter().map(ToString::to_string).collect());
        self.note(format!("plan {part:?} without [{out}] allowing [{allow}]"));
    }

    fn save(&self, plan: Arc<Plan>, file: String, replace: bool) {
        let over = if replace { " over another" } else { "" };
        self.note(format!("save {} steps as {file}{over}", plan.steps.len()));
    }

    fn apply(&self, plan: Arc<Plan>) {
        self.note(format!("apply {} steps", plan.steps.len()));
    }

    fn cancel(&self, level: CancelLevel) {
        self.note(format!("cancel {level:?}"));
    }

    fn inspect(&self, node: NodeName) {
        self.note(format!("inspect {node}"));
    }

    fn ask(&self, node: NodeName) {
        self.note(format!("ask {node}"));
    }

    fn compare(&self, about: DiffAbout) {
        self.note(format!("compare {about:?}"));
    }

    fn list_runs(&self) {
        self.note("list runs");
    }

    fn open_run(&self, run: RunId, journal: PathBuf) {
        self.note(format!("open {run} in {}", journal.display()));
    }

    fn close_run(&self) {
        self.note("close the recording");
    }

    fn pause(&self, paused: bool) {
        self.note(format!("pause {paused}"));
    }

    fn skip(&self, node: NodeName) {
        self.note(format!("skip {node}"));
    }
}

impl Host for Asked {
    fn suspend(&mut self) -> io::Result<()> {
        self.note("suspend");
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        self.note("resume");
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.note(format!("copy {}", text.lines().next().unwrap_or_default()));
        Ok(())
    }

    fn is_up(&self) -> bool {
        true
    }
}

/// 14:05:00 of the day that all fixtures are of.
pub(super) fn start() -> Timestamp {
    "2026-11-20T14:05:00Z".parse().expect("it is a time")
}

/// The title of all fixtures.
pub(super) fn title() -> Title {
    Title {
        repository: "gateway-fleet".to_owned(),
        branch: Some("main".to_owned()),
        revision: "3f2a91c".to_owned(),
        summary: "tag: raise limit".to_owned(),
        remark: None,
    }
}

/// Plays a script at a size, and shows what is then on the screen.
pub(super) fn play(size: (u16, u16), look: Look, script: Vec<Act>) -> Played {
    play_with(size, look, |_| {}, script)
}

/// The same with a model that was prepared.
pub(super) fn play_with(size: (u16, u16), look: Look, prepare: impl FnOnce(&mut Model), script: Vec<Act>) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(play_on(size, look, prepare, script))
}

async fn play_on(
    (width, height): (u16, u16),
    look: Look,
    prepare: impl FnOnce(&mut Model),
    script: Vec<Act>,
) -> Played {
    let (sender, messages) = unbounded_channel();
    let asked = Asked::default();
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    let mut model = Model::new(title(), look, Size::new(width, height), start());
    prepare(&mut model);
    let began = tokio::time::Instant::now();
    let clock = move || start() + began.elapsed();
    let keys = Box::pin(operator(script, sender));
    let sources = (keys, pending(), messages);
    let mut host = asked.clone();
    let played = run_on(&mut terminal, &mut host, &mut model, sources, (&asked, &clock));
    let ended = played.await.expect("memory can be drawn on");
    let frames = terminal.get_frame().count();
    let asked = asked.0.lock().expect("no test panics while it holds this").clone();
    Played { screen: screen(terminal.backend()), asked, ended, frames }
}

/// The operator: does the script, a tenth of a second between two acts, and then the keyboard breaks.
fn operator(script: Vec<Act>, sender: UnboundedSender<Message>) -> impl futures_util::Stream<Item = io::Result<Input>> {
    unfold((VecDeque::from(script), sender), |(mut script, sender)| async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let input = match script.pop_front() {
                None => Err(io::Error::other("end of script")),
                Some(Act::Key(code, modifiers)) => Ok(Input::Key(KeyEvent::new(code, modifiers))),
                Some(Act::Input(input)) => Ok(input),
                Some(Act::Say(message)) => {
                    let _ = sender.send(message);
                    continue;
                }
                Some(Act::Storm(message, times)) => {
                    for _ in 0..times {
                        let _ = sender.send(message.clone());
                    }
                    continue;
                }
                Some(Act::Wait(seconds)) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    continue;
                }
            };
            return Some((input, (script, sender)));
        }
    })
}

/// The text on a screen, without the blanks at the ends of its lines.
pub(super) fn screen(backend: &TestBackend) -> String {
    let buffer = backend.buffer();
    let row = |y: u16| {
        let mut row = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol)).unwrap_or(1).max(1);
        }
        row.trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}
