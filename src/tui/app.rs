//! The loop that joins keys, messages and time with the model and the screen.

use std::io;
use std::time::Duration;

use crossterm::event::Event as Input;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::effect::{Driver, Effect};
use super::message::{Message, Signal};
use super::model::Model;
use super::update::update;
use super::view::draw;
use crate::run::Verdict;

/// The time between two frames at least: what happens in between is drawn together.
const FRAME: Duration = Duration::from_millis(33);
/// The same after a key: what somebody waits for comes sooner, and a storm of sizes or pasted keys is still drawn together.
const QUICK: Duration = Duration::from_millis(6);
/// How many messages are taken in before a key is listened to again, so that a storm of them cannot hold the screen: each
/// takes some microseconds at most.
const MOST_AT_ONCE: usize = 1_000;

/// Tells the wall time.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Send + Sync);

/// What the loop needs of the terminal apart from drawing.
pub trait Host {
    /// Gives the terminal back to the shell and stops, until the operator returns. Comes back with the terminal taken again.
    fn suspend(&mut self) -> io::Result<()>;
    /// Takes the terminal again after somebody else had it.
    fn resume(&mut self) -> io::Result<()>;
    /// Gives a text to the clipboard, where the terminal allows it; whether it did, nobody says.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// False once the terminal was given back for good, because a panic had to be shown: nothing may be drawn any more.
    fn is_up(&self) -> bool;
}

/// How the interface was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The verdict of the last run, if one was begun; `Interrupted` if it was still on.
    pub verdict: Option<Verdict>,
    /// A signal ended it.
    pub signal: Option<Signal>,
    /// A task of ours panicked: the text of it. Whatever runs has to be left to the guards.
    pub died: Option<String>,
}

/// What the loop waits on.
struct Sources<'a, K, S> {
    keys: K,
    signals: S,
    messages: UnboundedReceiver<Message>,
    clock: Clock<'a>,
}

/// Why the loop goes on.
enum Woken {
    /// Something happened.
    By(Message),
    /// A frame is due.
    Frame,
    /// The keyboard is gone, or all who could tell us anything are.
    Gone(String),
}

/// When a frame is drawn: after something has happened, and not too soon after the one before.
struct Frames {
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Frames {
    /// Something has happened.
    fn want(&mut self, message: &Message) {
        let gap = if matches!(message, Message::Input(_)) { QUICK } else { FRAME };
        let due = self.last.map_or_else(Instant::now, |last| last + gap);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }
}

/// Runs the interface until it is left: a key, a signal, a lost terminal, a task that died.
///
/// An error is one of the terminal: it could not be drawn on.
pub async fn run_on<B, K, S>(
    terminal: &mut Terminal<B>,
    host: &mut dyn Host,
    model: &mut Model,
    (keys, signals, messages): (K, S, UnboundedReceiver<Message>),
    (driver, clock): (&dyn Driver, Clock<'_>),
) -> io::Result<Ended>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    K: Stream<Item = io::Result<Input>> + Unpin,
    S: Stream<Item = Signal> + Unpin,
{
    let mut sources = Sources { keys, signals, messages, clock };
    let mut frames = Frames { last: None, due: Some(Instant::now()) };
    let mut end = Ended { verdict: None, signal: None, died: None };
    loop {
        let first = match sources.wait(frames.due, model.tick()).await {
            Woken::By(message) => message,
            Woken::Frame => {
                // A terminal that a panic text was written on is no longer ours.
                if host.is_up() {
                    update(model, Message::Frame);
                    terminal.draw(|frame| draw(model, frame)).map_err(io::Error::other)?;
                }
                frames = Frames { last: Some(Instant::now()), due: None };
                continue;
            }
            Woken::Gone(what) => {
                end.died = Some(what);
                break;
            }
        };
        frames.want(&first);
        for message in sources.batch(first) {
            note_end(&message, &mut end);
            for effect in update(model, message) {
                match effect {
                    Effect::Quit => return Ok(finish(model, end)),
                    Effect::Redraw => {
                        host.resume()?;
                        repaint(terminal, model)?;
                    }
                    Effect::Suspend => {
                        host.suspend()?;
                        repaint(terminal, model)?;
                    }
                    Effect::Look(part) => driver.look(part),
                    Effect::Plan(part) => driver.plan(part),
                    Effect::PlanWith(part, edits) => driver.plan_with(part, edits),
                    Effect::Save { plan, file, replace } => driver.save(plan, file, replace),
                    Effect::Apply(plan) => driver.apply(plan),
                    Effect::Cancel(level) => driver.cancel(level),
                    Effect::Inspect(node) => driver.inspect(node),
                    Effect::Ask(node) => driver.ask(node),
                    Effect::Compare(about) => driver.compare(about),
                    Effect::ListRuns => driver.list_runs(),
                    Effect::OpenRun(run, journal) => driver.open_run(run, journal),
                    Effect::CloseRun => driver.close_run(),
                    Effect::Pause(paused) => driver.pause(paused),
                    Effect::Skip(node) => driver.skip(node),
                    Effect::Copy(text) => host.copy(&text)?,
                }
            }
        }
    }
    Ok(finish(model, end))
}

fn note_end(message: &Message, end: &mut Ended) {
    match message {
        Message::Signal(signal @ (Signal::Terminate | Signal::Hangup)) => end.signal = Some(*signal),
        Message::Died(what) => end.died = Some(what.clone()),
        _ => {}
    }
}

fn finish(model: &Model, end: Ended) -> Ended {
    let verdict = model.run.as_ref().map(|run| run.verdict().unwrap_or(Verdict::Interrupted));
    Ended { verdict, ..end }
}

/// Draws everything anew at the next frame. Never `Terminal::clear`: it asks the terminal for its cursor and waits for an
/// answer that the stream of keys takes away (crates.md 4).
fn repaint<B: Backend>(terminal: &mut Terminal<B>, model: &mut Model) -> io::Result<()>
where
    B::Error: Send + Sync + 'static,
{
    let size = terminal.size().map_err(io::Error::other)?;
    terminal.resize(size.into()).map_err(io::Error::other)?;
    // The size may have changed while somebody else had the terminal.
    update(model, Message::Input(Input::Resize(size.width, size.height)));
    Ok(())
}

impl<K, S> Sources<'_, K, S>
where
    K: Stream<Item = io::Result<Input>> + Unpin,
    S: Stream<Item = Signal> + Unpin,
{
    /// Waits for the next thing. All arms may share one `select!`: each takes from a queue or is a timer, so that the
    /// arms that lose have taken nothing. In order, as a storm of messages must never keep a key from being heard.
    async fn wait(&mut self, due: Option<Instant>, tick: Option<Duration>) -> Woken {
        let next_frame = due.unwrap_or_else(Instant::now);
        let next = Instant::now() + tick.unwrap_or_default();
        tokio::select! {
            biased;
            () = sleep_until(next_frame), if due.is_some() => Woken::Frame,
            Some(signal) = self.signals.next() => Woken::By(Message::Signal(signal)),
            key = self.keys.next() => match key {
                Some(Ok(input)) => Woken::By(Message::Input(input)),
                Some(Err(error)) => Woken::Gone(format!("the keyboard cannot be read: {error}")),
                None => Woken::Gone("the keyboard is gone".to_owned()),
            },
            message = self.messages.recv() => match message {
                Some(message) => Woken::By(message),
                None => Woken::Gone("the part of muster that does the work has ended".to_owned()),
            },
            () = sleep_until(next), if tick.is_some() => Woken::By(Message::Clock((self.clock)())),
        }
    }

    /// What happened first, and what is waiting already; before it, the time.
    fn batch(&mut self, first: Message) -> Vec<Message> {
        let mut batch = vec![Message::Clock((self.clock)()), first];
        while batch.len() < MOST_AT_ONCE
            && let Ok(message) = self.messages.try_recv()
        {
            batch.push(message);
        }
        batch
    }
}
