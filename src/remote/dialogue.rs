//! One call over three pipes: what is sent, what is answered, how it ended. The same for every transport.
//!
//! Nothing is spawned: whoever waits for a reply moves all three pipes, so that a long payload and a long answer cannot
//! block each other, and a dropped dialogue leaves nothing running on our side.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::fault::{is_sudo, one_line};
use super::login::Login;
use super::{Call, Ended, Fault, Privilege, RemoteError, Reply, Running, Word};
use crate::wire::{Decoder, Item, Limits, Status, head};

/// The shell that reads the length of the script and the script from its input: each `dd` is one read of at most what is
/// missing, so that nothing behind it is read ahead (docs/decisions/0007).
macro_rules! reading {
    ($before:literal) => {
        concat!(
            "exec ",
            $before,
            "/bin/sh -c 'IFS= read -r n && s= && while [ \"$n\" -gt 0 ]; do ",
            "p=$(dd bs=\"$n\" count=1 2>/dev/null; echo x); p=${p%x}; ",
            "[ -n \"$p\" ] || exit 90; s=$s$p; n=$((n - ${#p})); done && eval \"$s\"'"
        )
    };
}

/// The command that every node is given, in all shells the same and without a newline in it (seams.md 1.3).
pub(super) const PLAIN: &str = reading!("");
/// The same as root, never asking.
pub(super) const SUDO: &str = reading!("sudo -n ");

/// How much of the error output is kept, in bytes.
const COMPLAINTS: usize = 64 << 10;
/// How much of the beginning of the answer is kept for an error, in bytes.
const BEGINNING: usize = 1 << 10;
/// How long the pipes and the exit status are waited for once the answer has ended.
const GRACE: Duration = Duration::from_secs(2);

/// The command for a privilege.
pub(super) const fn command(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::None => PLAIN,
        Privilege::Sudo => SUDO,
    }
}

/// How the process on the node ended.
#[derive(Debug)]
pub(super) enum Exit {
    /// With this status.
    Status(i32),
    /// Not known: by a signal, or with the connection.
    Unknown(String),
}

/// A started command.
pub(super) struct Pipes {
    pub(super) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) stderr: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) exit: BoxFuture<'static, Exit>,
}

/// A call with the text of its script: what is left of [`Call`] once it is known what is sent.
pub(super) struct Sent {
    nonce: String,
    bytes: Vec<u8>,
    has_payload: bool,
    deadline: Duration,
}

impl Sent {
    /// Frames a call. Fails only if the caller has used the key `nonce` with a value that cannot be sent.
    pub(super) fn new(text: &str, call: Call, login: &Login) -> Result<Self, RemoteError> {
        let nonce = nonce();
        let args = call.args.with("nonce", &nonce);
        let args = args.map_err(|e| login.error(Fault::Other, "preparing a script for", e.to_string()))?;
        let mut bytes = head(text, &args);
        let has_payload = call.payload.is_some();
        bytes.extend(call.payload.unwrap_or_default());
        Ok(Self { nonce, bytes, has_payload, deadline: call.deadline })
    }

    /// After how long the call counts as lost.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// 128 bits that a login shell does not print by chance. Not a secret: the node is told.
pub(super) fn nonce() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// 64 random bits: std's hash maps are seeded from the system's source.
pub(super) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// What one wait brought.
enum Moved {
    Answer(io::Result<usize>),
    Complaint(io::Result<usize>),
    Input(io::Result<usize>),
    Deadline,
}

/// A running call.
pub(super) struct Dialogue {
    login: Login,
    decoder: Decoder,
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    exit: Option<BoxFuture<'static, Exit>>,
    outbox: Vec<u8>,
    sent: usize,
    closing: bool,
    listens: bool,
    answer: Vec<u8>,
    complaint: Vec<u8>,
    replies: VecDeque<Reply>,
    beginning: Vec<u8>,
    complaints: Vec<u8>,
    status: Option<Status>,
    broken: Option<RemoteError>,
    started: Instant,
    until: Instant,
    /// What must live as long as the call, such as a permit.
    _held: Box<dyn Send>,
}

impl Dialogue {
    /// Begins: sends script, arguments and payload as they are taken up.
    pub(super) fn new(pipes: Pipes, sent: Sent, login: Login, held: Box<dyn Send>) -> Self {
        let started = Instant::now();
        Self {
            login,
            decoder: Decoder::new(sent.nonce, Limits::default()),
            stdin: Some(pipes.stdin),
            stdout: Some(pipes.stdout),
            stderr: Some(pipes.stderr),
            exit: Some(pipes.exit),
            outbox: sent.bytes,
            sent: 0,
            closing: sent.has_payload,
            listens: !sent.has_payload,
            answer: vec![0; 16 << 10],
            complaint: vec![0; 4 << 10],
            replies: VecDeque::new(),
            beginning: Vec::new(),
            complaints: Vec::new(),
            status: None,
            broken: None,
            started,
            until: started + sent.deadline,
            _held: held,
        }
    }

    /// Sends what fits without waiting for the script to read it all, so that it runs before the first `next`.
    pub(super) async fn begin(&mut self) {
        while self.has_input() && self.sent < (64 << 10) && !self.over() {
            self.step().await;
        }
    }

    fn has_input(&self) -> bool {
        self.stdin.is_some() && self.sent < self.outbox.len()
    }

    /// Whether nothing more will be answered.
    fn over(&self) -> bool {
        self.status.is_some() || self.broken.is_some() || self.stdout.is_none()
    }

    /// Moves one piece in any direction. Cancel-safe: nothing is taken before all is kept.
    async fn step(&mut self) {
        let Self { stdin, stdout, stderr, outbox, sent, answer, complaint, until, .. } = self;
        let wants_input = stdin.is_some() && *sent < outbox.len();
        let moved = tokio::select! {
            n = read(stdout, answer), if stdout.is_some() => Moved::Answer(n),
            n = read(stderr, complaint), if stderr.is_some() => Moved::Complaint(n),
            n = write(stdin, &outbox[*sent..]), if wants_input => Moved::Input(n),
            () = tokio::time::sleep_until(*until) => Moved::Deadline,
        };
        match moved {
            Moved::Answer(Ok(n)) if n > 0 => self.take_answer(n),
            Moved::Answer(_) => self.stdout = None,
            Moved::Complaint(Ok(n)) if n > 0 => {
                let room = COMPLAINTS.saturating_sub(self.complaints.len());
                self.complaints.extend_from_slice(&self.complaint[..n.min(room)]);
            }
            Moved::Complaint(_) => self.stderr = None,
            Moved::Input(Ok(n)) if n > 0 => self.took_input(n),
            // Whoever does not listen any more usually says why: the answer is still read to its end.
            Moved::Input(_) => self.stdin = None,
            Moved::Deadline => self.miss_deadline(),
        }
    }

    fn take_answer(&mut self, n: usize) {
        let bytes = &self.answer[..n];
        let room = BEGINNING.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&bytes[..n.min(room)]);
        match self.decoder.feed(bytes) {
            Ok(items) => {
                for item in items {
                    match item {
                        Item::Record(record) => self.replies.push_back(Reply::Record(record)),
                        Item::Blob { name, bytes } => self.replies.push_back(Reply::Blob { name, bytes }),
                        Item::End(status) => self.status = Some(status),
                    }
                }
            }
            Err(error) => self.give_up(Fault::Garbled, error.to_string()),
        }
    }

    fn took_input(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.outbox.len() {
            self.outbox = Vec::new();
            self.sent = 0;
            if self.closing {
                self.stdin = None;
            }
        }
    }

    fn miss_deadline(&mut self) {
        if self.status.is_some() {
            self.stdout = None;
            return;
        }
        let waited = self.started.elapsed().as_secs_f32();
        self.give_up(Fault::TimedOut, format!("no end of the answer after {waited:.1} s"));
    }

    /// Stops listening; what was already answered stays.
    fn give_up(&mut self, fault: Fault, found: String) {
        self.broken.get_or_insert_with(|| self.login.error(fault, "running a script on", found));
        self.stdin = None;
        self.stdout = None;
    }

    /// Reads what is left on the error output and waits for the exit status, until then at most.
    async fn wait(&mut self, until: Instant) -> Exit {
        self.until = until;
        let Some(mut exit) = self.exit.take() else { return Exit::Unknown("it was waited for twice".to_owned()) };
        let exit = async {
            match tokio::time::timeout_at(until, &mut exit).await {
                Ok(exit) => exit,
                Err(_) => Exit::Unknown("its end was not reported".to_owned()),
            }
        };
        let drain = async {
            while self.stderr.is_some() && Instant::now() < until {
                self.step().await;
            }
        };
        tokio::join!(exit, drain).0
    }

    /// Why the answer has no trailer.
    async fn explain(&mut self) -> RemoteError {
        let exit = self.wait(Instant::now() + GRACE).await;
        let begun = self.decoder.begun();
        let complaints = String::from_utf8_lossy(&self.complaints);
        let doing = "running a script on";
        if !begun && self.login.privilege == Privilege::Sudo && is_sudo(&complaints) {
            return self.login.error(Fault::SudoRefused, doing, one_line(&self.complaints));
        }
        let said = if self.complaints.is_empty() && !begun { &self.beginning } else { &self.complaints };
        let said = match one_line(said) {
            said if said.is_empty() => "it said nothing".to_owned(),
            said => format!("it said: {said}"),
        };
        match exit {
            Exit::Unknown(why) => self.login.error(Fault::Lost, doing, format!("the answer broke off ({why}); {said}")),
            Exit::Status(status) if begun => {
                let found = format!("the script ended in the middle, with status {status}; {said}");
                self.login.error(Fault::Lost, doing, found)
            }
            Exit::Status(status) => {
                let found = format!("the script did not begin, status {status}; {said}");
                self.login.error(Fault::Garbled, doing, found)
            }
        }
    }
}

async fn read(from: &mut Option<Box<dyn AsyncRead + Send + Unpin>>, into: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(into).await,
        None => Ok(0),
    }
}

async fn write(to: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>, bytes: &[u8]) -> io::Result<usize> {
    match to {
        Some(to) => to.write(bytes).await,
        None => Ok(0),
    }
}

#[async_trait]
impl Running for Dialogue {
    async fn next(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Some(reply);
            }
            if self.over() {
                return None;
            }
            self.step().await;
        }
    }

    async fn say(&mut self, word: Word) -> Result<(), RemoteError> {
        let doing = "telling a script on";
        if !self.listens {
            return Err(self.login.error(Fault::Other, doing, "a script with a payload does not listen"));
        }
        self.outbox.extend_from_slice(word.line().as_bytes());
        while self.has_input() && !self.over() {
            self.step().await;
        }
        match (self.over(), &self.stdin) {
            (false, Some(_)) => Ok(()),
            _ => Err(self.login.error(Fault::Lost, doing, "it does not listen any more")),
        }
    }

    async fn finish(mut self: Box<Self>) -> Ended {
        self.closing = true;
        if !self.has_input() {
            self.stdin = None;
        }
        while !self.over() {
            self.step().await;
        }
        // The trailer is the result; a process that lives on there may hold the pipe, and is not waited for long.
        self.until = self.until.min(Instant::now() + GRACE);
        while self.broken.is_none() && self.stdout.is_some() {
            self.step().await;
        }
        match (self.broken.take(), self.status) {
            (Some(error), _) => Ended::Lost(error),
            (None, Some(status)) => {
                self.wait(self.until).await;
                Ended::Done(status)
            }
            (None, None) => Ended::Lost(self.explain().await),
        }
    }
}

#[cfg(test)]
mod tests;
