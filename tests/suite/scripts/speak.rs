//! Talking to a script: the wire's one line, the head, the payload or the words, and the answer decoded.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use muster::remote::Script;
use muster::wire::{Args, Decoder, Item, Limits, Record, Status, head};

/// What the remote command is; a script comes behind its length.
pub(super) const LINE: &str = r#"IFS= read -r n && s= && while [ "$n" -gt 0 ]; do p=$(dd bs="$n" count=1 2>/dev/null; echo x); p=${p%x}; [ -n "$p" ] || exit 90; s=$s$p; n=$((n - ${#p})); done && eval "$s""#;
const NONCE: &str = "n0";
/// How long anything may take here before it is a failure.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The shells that a node may have as /bin/sh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shell {
    Dash,
    Busybox,
    Bash,
}

impl Shell {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Dash => &["dash"],
            Self::Busybox => &["busybox", "sh"],
            Self::Bash => &["bash", "--posix"],
        }
    }

    pub(super) fn command(self) -> Command {
        let words = self.words();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    /// Those that are here. One that is not is a printed skip, and a failure where `MUSTER_CI` is set.
    pub(super) fn all() -> Vec<Self> {
        [Self::Dash, Self::Busybox, Self::Bash].into_iter().filter(|shell| is_there(shell.words()[0])).collect()
    }
}

/// Whether a tool is here.
pub(super) fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    assert!(found || std::env::var_os("MUSTER_CI").is_none(), "{tool} is not here, and this is a CI run");
    if !found {
        skip(&format!("there is no {tool} here"));
    }
    found
}

/// The search path with this directory before all others.
pub(super) fn before_path(dir: &Path) -> std::ffi::OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(dir.to_owned()).chain(std::env::split_paths(&old))).unwrap()
}

/// Says that a test was not made, and why.
#[expect(clippy::print_stdout, reason = "a skip that nobody sees is a lie")]
pub(super) fn skip(why: &str) {
    println!("skipped: {why}");
}

/// Polls until it is so.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A script that runs.
pub(super) struct Talk {
    pub(super) child: Child,
    stdin: Option<ChildStdin>,
    items: Receiver<Item>,
    pub(super) seen: Vec<Item>,
}

/// What a script answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) items: Vec<Item>,
    /// By the trailer.
    pub(super) status: Option<Status>,
    /// By the exit status.
    pub(super) code: Option<i32>,
}

impl Talk {
    /// Starts a script of ours.
    pub(super) fn start(shell: Shell, script: Script, args: &Args, path: Option<&Path>) -> Self {
        Self::start_text(shell, script.text(), args, path)
    }

    /// Starts any text. With `path`, that directory stands before all others.
    pub(super) fn start_text(shell: Shell, text: &str, args: &Args, path: Option<&Path>) -> Self {
        let mut command = shell.command();
        if let Some(path) = path {
            command.env("PATH", before_path(path));
        }
        command.arg("-c").arg(LINE).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let args = args.clone().with("nonce", NONCE).unwrap();
        // A script may end before it has read everything.
        let _ = stdin.write_all(&head(text, &args));
        let mut stdout = child.stdout.take().unwrap();
        let (to, items) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::new(NONCE, Limits::default());
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                for item in decoder.feed(&buffer[..n]).unwrap() {
                    let _ = to.send(item);
                }
            }
        });
        Self { child, stdin: Some(stdin), items, seen: Vec::new() }
    }

    /// Sends bytes.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes);
            let _ = stdin.flush();
        }
    }

    /// Closes our side.
    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The next record with this tag; `None` at the end.
    pub(super) fn wait_for(&mut self, tag: &str) -> Option<Record> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.items.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(item) => {
                    self.seen.push(item.clone());
                    match item {
                        Item::Record(record) if record.tag == tag => return Some(record),
                        _ => {}
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no record {tag} within {PATIENCE:?}; seen: {:?}", self.seen),
            }
        }
    }

    /// Waits for the end of the answer.
    pub(super) fn end(mut self) -> Answer {
        assert!(self.wait_for("no such tag").is_none());
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the script does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let status = match self.seen.last() {
            Some(Item::End(status)) => Some(*status),
            _ => None,
        };
        Answer { items: std::mem::take(&mut self.seen), status, code }
    }

    /// kill -9, and the end.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// Every record with this tag, its fields as text.
    pub(super) fn all(&self, tag: &str) -> Vec<Vec<String>> {
        let records = self.items.iter().filter_map(|item| match item {
            Item::Record(record) if record.tag == tag => Some(record),
            _ => None,
        });
        records.map(|record| (0..record.fields.len()).map(|i| record.text(i).unwrap()).collect()).collect()
    }

    /// The only record with this tag, or the first.
    pub(super) fn one(&self, tag: &str) -> Vec<String> {
        self.all(tag).into_iter().next().unwrap_or_else(|| panic!("no record {tag} in {self:?}"))
    }

    /// Asserts the end, by the trailer and by the exit status.
    #[track_caller]
    pub(super) fn ends(self, status: Status) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(self.code.and_then(|code| Status::of(u8::try_from(code).ok()?)) == Some(status), "{self:?}");
        self
    }
}

/// Runs a script to its end. Looking scripts need their input open; those with a payload need its end.
pub(super) fn call(shell: Shell, script: Script, args: &Args, payload: Option<&[u8]>) -> Answer {
    call_with(shell, script, args, payload, None)
}

/// The same with a directory of stand-in tools before all others.
pub(super) fn call_with(
    shell: Shell,
    script: Script,
    args: &Args,
    payload: Option<&[u8]>,
    path: Option<&Path>,
) -> Answer {
    let mut talk = Talk::start(shell, script, args, path);
    if let Some(payload) = payload {
        talk.say(payload);
        talk.hang_up();
    }
    talk.end()
}
