//! The real terminal: taken, given back after whatever happens, and the signals. The only place that touches them.

use std::io::{self, Write as _, stdout};
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, EventStream};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use futures_util::Stream;
use futures_util::stream::{select_all, unfold};
use nix::libc;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::app::{Clock, Ended, Host, run_on};
use super::effect::{Driver, Part};
use super::equal::Carry;
use super::keys::Keys;
use super::look::Look;
use super::message::{Message, Signal};
use super::model::Model;
use super::picture::Title;

/// What the interface is opened with.
#[derive(Debug)]
pub struct Opening {
    /// Which commit of which repository.
    pub title: Title,
    /// What the terminal can show.
    pub look: Look,
    /// The keys in effect.
    pub keys: Arc<Keys>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Adds the options that were given at the start to a command.
    pub carry: Arc<dyn Carry>,
}

/// Opens the interface on the terminal of this process, and looks at the fleet at once. Comes back when it was left; the
/// terminal is then as it was, also after a panic, SIGTERM or SIGHUP.
///
/// `sender` is the other end of `messages`: a panic anywhere is told through it.
///
/// An error is one of the terminal.
pub async fn run(
    opening: Opening,
    (sender, messages): (UnboundedSender<Message>, UnboundedReceiver<Message>),
    driver: &dyn Driver,
    clock: Clock<'_>,
) -> io::Result<Ended> {
    let signals = signals()?;
    let mut screen = Taken::take(sender)?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    let mut model = Model::new(opening.title, opening.look, terminal.size()?, clock());
    (model.keys, model.read_only, model.carry) = (opening.keys, opening.read_only, opening.carry);
    model.busy.looking = Some((0, 0));
    driver.look(Part::All);
    let sources = (EventStream::new(), signals, messages);
    run_on(&mut terminal, &mut screen, &mut model, sources, (driver, clock)).await
}

/// The terminal while it is ours; given back when this goes.
struct Taken {
    up: Arc<AtomicBool>,
    previous: Arc<PanicHook>,
}

type PanicHook = dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync;

impl Taken {
    fn take(sender: UnboundedSender<Message>) -> io::Result<Self> {
        let up = Arc::new(AtomicBool::new(true));
        let previous: Arc<PanicHook> = Arc::from(panic::take_hook());
        let (is_up, before) = (Arc::clone(&up), Arc::clone(&previous));
        // A panic in a task does not end the program by itself: its text has to be readable, nothing may be drawn over it,
        // and the loop has to end (crates.md 4).
        panic::set_hook(Box::new(move |info| {
            if is_up.swap(false, Ordering::SeqCst) {
                let _ = give_back();
            }
            before(info);
            let _ = sender.send(Message::Died(info.to_string()));
        }));
        let taken = Self { up, previous };
        take_over()?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.up.swap(false, Ordering::SeqCst) {
            let _ = give_back();
        }
        // The hook may not be changed while a panic is under way; it then does no more than the one before.
        if !std::thread::panicking() {
            let previous = Arc::clone(&self.previous);
            panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

impl Host for Taken {
    fn suspend(&mut self) -> io::Result<()> {
        give_back()?;
        // Raw mode keeps the terminal from sending the signal; SIGSTOP stops this process here, and `fg` goes on here.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
        take_over()
    }

    fn resume(&mut self) -> io::Result<()> {
        take_over()
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        // OSC 52: terminals that do not know it, or must not, ignore it; tmux passes it on where its user wants that.
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Each step is tried, whatever became of the one before.
fn give_back() -> io::Result<()> {
    let shown = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    disable_raw_mode().and(shown)
}

fn signals() -> io::Result<impl Stream<Item = Signal> + Unpin> {
    let kinds = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Hangup),
        (SignalKind::from_raw(libc::SIGTSTP), Signal::Stop),
        (SignalKind::from_raw(libc::SIGCONT), Signal::Continued),
    ];
    let streams: io::Result<Vec<Pin<Box<dyn Stream<Item = Signal> + Send>>>> = kinds
        .into_iter()
        .map(|(kind, word)| {
            let stream = unfold(signal(kind)?, move |mut signal| async move {
                signal.recv().await?;
                Some((word, signal))
            });
            Ok(Box::pin(stream) as Pin<Box<dyn Stream<Item = Signal> + Send>>)
        })
        .collect();
    Ok(select_all(streams?))
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
