//! Everything that the program takes from the world, as one value, so that tests run the whole program in-process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::run::CancelLevel;

/// A place that text is written to, shared between the program and its reporters.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl Output {
    /// Writes to this.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.lock() {
            // A reader that has seen enough (`| head`) went away on purpose: what is left is written to nobody.
            Ok(mut writer) => writer.write(bytes).or_else(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => Ok(bytes.len()),
                _ => Err(error),
            }),
            Err(_) => Err(std::io::Error::other("a writer panicked")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.0.lock() {
            Ok(mut writer) => writer.flush().or_else(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error),
            }),
            Err(_) => Err(std::io::Error::other("a writer panicked")),
        }
    }
}

/// Tells the time. Waiting is tokio's; this is only the time that is written down.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where requests to stop come from.
pub enum Signals {
    /// The process's own: SIGINT, SIGTERM, SIGHUP.
    Process,
    /// A test's.
    Channel(tokio::sync::mpsc::UnboundedReceiver<CancelLevel>),
}

/// The world as the program sees it.
pub struct Env {
    /// The arguments behind the program's name.
    pub args: Vec<OsString>,
    /// The environment; children get theirs from it.
    pub vars: BTreeMap<String, String>,
    /// The working directory.
    pub dir: PathBuf,
    /// Standard output.
    pub out: Output,
    /// Standard error.
    pub err: Output,
    /// Both standard input and output are a terminal.
    pub terminal: bool,
    /// The time.
    pub clock: Clock,
    /// Requests to stop.
    pub signals: Signals,
    /// Taken in place of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    pub ssh_config: Option<PathBuf>,
    /// Where temporary directories are made.
    pub temp: PathBuf,
    /// The path of this program, for what starts it again (the demo).
    pub program: PathBuf,
}

impl Env {
    /// The world of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the process's world comes in")]
    pub fn of_process() -> Self {
        use std::io::IsTerminal as _;
        let vars =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self {
            args: std::env::args_os().skip(1).collect(),
            vars: vars.collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            out: Output::to(std::io::stdout()),
            err: Output::to(std::io::stderr()),
            terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            clock: Arc::new(Timestamp::now),
            signals: Signals::Process,
            ssh_config: None,
            temp: std::env::temp_dir(),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("muster")),
        }
    }

    /// Who runs this, as `user@host`, for leases and journals.
    pub fn operator(&self) -> String {
        let named = self.vars.get("USER").or_else(|| self.vars.get("LOGNAME")).cloned();
        // cron and containers set neither.
        let known = || Some(nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??.name);
        let user = named.or_else(known).unwrap_or_else(|| "unknown".to_owned());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = format!("{user}@{host}");
        name.chars().filter(|c| !c.is_control() && !c.is_whitespace()).take(80).collect()
    }

    /// The directory of muster's own state: journals. `$XDG_STATE_HOME/muster`, else `~/.local/state/muster`.
    pub fn state_dir(&self) -> PathBuf {
        let xdg = self.vars.get("XDG_STATE_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
        let home = self.vars.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        xdg.or(home).unwrap_or_else(|| self.temp.clone()).join("muster")
    }
}
