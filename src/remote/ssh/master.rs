//! Starting and ending masters: one ssh in the background per connection, everything else goes through its socket.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use super::config::{Destination, Resolved, render};
use super::control::{Control, sockets, stale};
use super::log::{Log, Target, waiting_key};
use super::{Notice, SshSettings};
use crate::remote::dialogue::random;
use crate::remote::fault::{classify, one_line};
use crate::remote::login::{BY_JUMP, Login};
use crate::remote::{Fault, RemoteError};

const CONNECTING: &str = "connecting to";
/// How long a master lives without a channel. It is what ends those of a muster that was killed.
const IDLE: &str = "ControlPersist=120s";
/// How often a connection that the server dropped before the login is tried again.
const RETRIES: u32 = 3;
/// How long a person gets to touch a key.
const TOUCH: Duration = Duration::from_mins(1);
/// How often the log is read while a connection is made.
const LOOK: Duration = Duration::from_millis(300);
/// How long ending one master may take.
const ENDING: Duration = Duration::from_secs(3);

/// A master in the background: a directory with its socket, its log, and what else it said.
#[derive(Debug, Clone)]
pub(super) struct Master {
    dir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Master {
    fn new(dir: PathBuf) -> Self {
        Self { socket: dir.join("m"), log: dir.join("log"), dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Everything that was said: by this ssh, and by the one that its proxy command runs.
    fn said(&self) -> String {
        let errors = Log::whole(&self.dir.join("err")).text();
        format!("{}\n{errors}", Log::whole(&self.log).text())
    }
}

/// Starts and ends masters.
pub(super) struct Launcher {
    settings: SshSettings,
    control: OnceCell<Control>,
    resolved: Mutex<HashMap<Destination, Resolved>>,
}

impl Launcher {
    pub(super) fn new(settings: SshSettings) -> Self {
        Self { settings, control: OnceCell::new(), resolved: Mutex::default() }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout.max(Duration::from_secs(1))
    }

    /// What is read in place of the operator's own configuration.
    pub(super) fn config(&self) -> Option<&Path> {
        self.settings.config.as_deref()
    }

    /// An ssh with the environment that came in, in English, in a process group of its own so that Ctrl-C at muster
    /// does not reach it.
    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        let vars = self.settings.vars.iter().filter(|(key, _)| !key.starts_with("LC_") && *key != "LANGUAGE");
        command.env_clear().envs(vars).env("LC_ALL", "C").process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// The directory of sockets, made when it is first needed; what dead musters left is removed then.
    async fn control(&self) -> io::Result<&Control> {
        self.control
            .get_or_try_init(|| async {
                let control = Control::create(&self.settings.runtime_dir)?;
                let config = render(self.settings.config.as_deref(), self.settings.alive_interval);
                fs::write(control.config(), config)?;
                for stale in stale(control.dir()) {
                    self.end_all(&stale.dir).await;
                }
                Ok(control)
            })
            .await
    }

    async fn prepared(&self, login: &Login) -> Result<&Control, RemoteError> {
        let control = self.control().await;
        control.map_err(|e| login.error(Fault::Client, CONNECTING, format!("no directory for its socket: {e}")))
    }

    /// What the configuration makes of a destination; asked once (3 ms, crates.md 1).
    pub(super) async fn resolve(&self, to: &Destination, login: &Login) -> Result<Resolved, RemoteError> {
        if let Some(known) = self.resolved.lock().ok().and_then(|map| map.get(to).cloned()) {
            return Ok(known);
        }
        let control = self.prepared(login).await?;
        let output = self.ssh().arg("-G").arg("-F").arg(control.config()).args(to.args()).output();
        let output = match timeout(self.connect_timeout(), output).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(login.error(Fault::Client, CONNECTING, format!("ssh cannot be run: {error}")));
            }
            Err(_) => return Err(login.error(Fault::Client, CONNECTING, "ssh -G does not end")),
        };
        if !output.status.success() {
            return Err(login.error(Fault::Client, CONNECTING, one_line(&output.stderr)));
        }
        let resolved = Resolved::parse(&String::from_utf8_lossy(&output.stdout));
        if let Ok(mut map) = self.resolved.lock() {
            map.insert(to.clone(), resolved.clone());
        }
        Ok(resolved)
    }

    /// Connects, and tries again where the server dropped us before the login: nothing was executed. `way` gives the
    /// socket of the last jump host, anew for each attempt.
    pub(super) async fn connect<W, F>(&self, to: &Destination, login: &Login, way: W) -> Result<Master, RemoteError>
    where
        W: Fn() -> F,
        F: Future<Output = Result<Option<PathBuf>, RemoteError>>,
    {
        let mut attempt = 0;
        loop {
            let through = way().await?;
            let log = through.as_deref().map(log_beside);
            match self.launch(to, through.as_deref(), login).await {
                // Behind a jump host the end of the channel looks like a dropped connection: the jump host knows better.
                Err(error)
                    if error.fault == Fault::Dropped
                        && let Some(better) = self.refused_by(log, to, login).await =>
                {
                    return Err(better);
                }
                Err(error) if error.fault == Fault::Dropped && attempt < RETRIES => {
                    attempt += 1;
                    let jitter = random() % 200;
                    sleep(Duration::from_millis((100 << attempt) + jitter)).await;
                }
                result => return result,
            }
        }
    }

    /// Why the last jump host did not open the way, if it says so in its log.
    async fn refused_by(&self, log: Option<Log>, to: &Destination, login: &Login) -> Option<RemoteError> {
        let resolved = self.resolve(to, login).await.ok()?;
        let why = log?.refusal(&Target::tcp(&resolved.hostname, resolved.port))?;
        let fault = if why.contains("prohibited") { Fault::ForwardRefused } else { classify(&why).0 };
        Some(login.error(fault, CONNECTING, format!("{BY_JUMP}{why}")))
    }

    async fn launch(&self, to: &Destination, through: Option<&Path>, login: &Login) -> Result<Master, RemoteError> {
        let control = self.prepared(login).await?;
        let failed = |error: io::Error| login.error(Fault::Client, CONNECTING, format!("ssh cannot be run: {error}"));
        let master = Master::new(control.slot().map_err(failed)?);
        let child = self.spawn(control, &master, to, through).map_err(failed)?;
        let result = match self.watch(child, &master, login).await {
            Ok(status) if status.success() => return Ok(master),
            Ok(status) => Err(explain(&master, status, login)),
            Err(error) => Err(error),
        };
        let _ = fs::remove_dir_all(master.dir());
        result
    }

    fn spawn(&self, control: &Control, master: &Master, to: &Destination, through: Option<&Path>) -> io::Result<Child> {
        let mut command = self.ssh();
        command.arg("-F").arg(control.config()).arg("-E").arg(master.log()).arg("-S").arg(master.socket());
        command.args(["-M", "-N", "-f", "-o", IDLE, "-o"]);
        command.arg(format!("ConnectTimeout={}", self.connect_timeout().as_secs()));
        if let Some(socket) = through {
            // The operator may have proxy commands that hand over a connection; ours carries bytes.
            command.arg("-o").arg(format!("ProxyCommand={}", through_master(socket))).args(["-o", "ProxyUseFdpass=no"]);
        }
        command.args(to.args()).stdout(Stdio::null()).stderr(fs::File::create(master.dir().join("err"))?);
        command.spawn()
    }

    /// Waits until the master went to the background or gave up, and tells of a security key that waits meanwhile.
    async fn watch(&self, mut child: Child, master: &Master, login: &Login) -> Result<ExitStatus, RemoteError> {
        let started = Instant::now();
        let mut until = started + 2 * self.connect_timeout();
        let mut told = false;
        loop {
            if let Ok(status) = timeout(LOOK, child.wait()).await {
                return status.map_err(|e| login.error(Fault::Client, CONNECTING, e.to_string()));
            }
            if !told && let Some(key) = waiting_key(&Log::whole(master.log()).text()) {
                told = true;
                until = Instant::now() + TOUCH;
                self.tell(Notice::Touch { who: login.title.clone(), key });
            }
            if Instant::now() >= until {
                let what = if told { "the security key was not touched" } else { "no login" };
                let found = format!("{what} within {} s", started.elapsed().as_secs());
                return Err(login.error(Fault::TimedOut, CONNECTING, found));
            }
        }
    }

    fn tell(&self, notice: Notice) {
        if let Some(tell) = &self.settings.notice {
            tell(notice);
        }
    }

    /// Ends a master and removes its directory.
    pub(super) async fn end(&self, master: &Master) {
        self.exit(master.socket()).await;
        let _ = fs::remove_dir_all(master.dir());
    }

    /// Asks the master at this socket to end, with all that runs through it.
    async fn exit(&self, socket: &Path) {
        let mut command = self.ssh();
        command.args(["-F", "none", "-O", "exit", "-S"]).arg(socket).arg("none");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let _ = timeout(ENDING, command.status()).await;
    }

    async fn end_all(&self, dir: &Path) {
        let ends = sockets(dir).into_iter().map(|socket| async move { self.exit(&socket).await });
        futures_util::stream::iter(ends).buffer_unordered(16).collect::<()>().await;
        let _ = fs::remove_dir_all(dir);
    }

    /// Ends every master and removes the directory.
    pub(super) async fn shutdown(&self) {
        if let Some(control) = self.control.get() {
            self.end_all(control.dir()).await;
        }
    }
}

/// The log of the master with this socket, from now on.
fn log_beside(socket: &Path) -> Log {
    Log::from_here(&socket.with_file_name("log"))
}

/// Why there is no master, from what was said.
fn explain(master: &Master, status: ExitStatus, login: &Login) -> RemoteError {
    let said = master.said();
    if said.trim().is_empty() {
        return login.error(Fault::Client, CONNECTING, format!("ssh ended without a word ({status})"));
    }
    let (fault, found) = classify(&said);
    login.error(fault, CONNECTING, found)
}

/// The command that carries bytes through another master. It never connects by itself: if that master is gone, the
/// proxy command fails, and so does whatever wanted to go through it. The operator's shell runs it: brackets are quoted,
/// the path needs no quotes (see `control`).
fn through_master(socket: &Path) -> String {
    format!("ssh -F none -o ProxyCommand=false -o ControlMaster=no -S {} -W '[%h]:%p' none", socket.display())
}

#[cfg(test)]
mod tests;
