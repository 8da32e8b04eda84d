//! Nodes over the operator's OpenSSH: one master per node and run, scripts and forwards through it.
//!
//! The master is started by us and not by the openssh crate, which then speaks to it: so the environment is the one that
//! came in, an attempt ends when it is given up, and its log can be read while it runs. How masters are started is in
//! `master`, where their sockets live in `control`, what the operator's configuration may not do in `config`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use openssh::{Child, ForwardType, Session, Socket, Stdio};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep};

use super::dialogue::{Dialogue, Exit, Pipes, Sent, command};
use super::fault::one_line;
use super::http::{Asking, HttpFault, exchange};
use super::login::Login;
use super::{Call, Connect, Fault, HttpAddress, HttpAnswer, HttpRequest, NodeAddress, Remote, RemoteError, Running};

mod ask;
mod config;
mod control;
mod jump;
mod log;
mod master;

use ask::{Commands, Forwarded};
use config::Destination;
use jump::Jumps;
use log::{Log, Target};
use master::{Launcher, Master};

/// How many scripts may run on one node at once; servers allow 10 sessions by default, hardened ones fewer (crates.md 1).
const SCRIPTS: usize = 4;
/// How long a question to a master on this machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the operator's ssh says of itself (`OpenSSH_9.2p1 …`), or why it cannot be run.
pub async fn version(vars: &BTreeMap<String, String>) -> Result<String, String> {
    let mut command = tokio::process::Command::new("ssh");
    command.arg("-V").env_clear().envs(vars).kill_on_drop(true).stdin(std::process::Stdio::null());
    let said = tokio::time::timeout(PATIENCE, command.output()).await;
    let said = said.map_err(|_| "it does not end".to_owned())?.map_err(|error| error.to_string())?;
    let text = one_line(&said.stderr);
    if said.status.success() { Ok(text) } else { Err(text) }
}

/// What a person has to know while a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A security key waits to be touched.
    Touch {
        /// The node, or the jump host, that asks.
        who: String,
        /// The key, as ssh names it.
        key: String,
    },
}

/// Who is told of notices.
pub type OnNotice = Arc<dyn Fn(Notice) + Send + Sync>;

/// How ssh is used.
#[derive(Clone)]
pub struct SshSettings {
    /// Read instead of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    pub config: Option<PathBuf>,
    /// Where the directory of sockets is made; `/tmp` if its name is too long or holds unusual characters.
    pub runtime_dir: PathBuf,
    /// The environment of every ssh (agent socket, home, path).
    pub vars: BTreeMap<String, OsString>,
    /// For the TCP connection and the greeting each; at least one second. The whole attempt may take twice as long, and
    /// a minute more while a security key waits to be touched.
    pub connect_timeout: Duration,
    /// After how long without a sign of life the server is asked for one; the second missing one ends the connection.
    pub alive_interval: Duration,
    /// How many connections are made at once.
    pub at_once: usize,
    /// Who is told of notices.
    pub notice: Option<OnNotice>,
}

impl SshSettings {
    /// The defaults, with the environment of muster.
    pub fn new(vars: impl IntoIterator<Item = (String, OsString)>) -> Self {
        let vars: BTreeMap<_, _> = vars.into_iter().collect();
        Self {
            config: None,
            runtime_dir: vars.get("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
            vars,
            connect_timeout: Duration::from_secs(10),
            alive_interval: Duration::from_secs(5),
            at_once: 32,
            notice: None,
        }
    }
}

/// Connects by ssh.
pub struct SshConnect {
    launcher: Arc<Launcher>,
    jumps: Jumps,
    connecting: Semaphore,
}

impl SshConnect {
    /// Nothing is started or written before the first connection.
    pub fn new(settings: SshSettings) -> Self {
        let connecting = Semaphore::new(settings.at_once.max(1));
        let launcher = Arc::new(Launcher::new(settings));
        Self { jumps: Jumps::new(launcher.clone()), launcher, connecting }
    }

    /// The connection itself.
    pub async fn open(&self, address: &NodeAddress) -> Result<Arc<SshRemote>, RemoteError> {
        let _turn = self.connecting.acquire().await;
        let destination = Destination::of(address);
        let unresolved = Login::new(address, address.user.as_deref().unwrap_or("the login user"));
        let unresolved = unresolved.configured(self.launcher.config());
        let resolved = self.launcher.resolve(&destination, &unresolved).await?;
        let login = Login::new(address, &resolved.user).configured(self.launcher.config()).keyed(resolved.key_name());
        let master = self.launcher.connect(&destination, &login, || self.jumps.way(&resolved.jumps, &login)).await?;
        Ok(Arc::new(SshRemote::new(master, login, self.launcher.clone())))
    }
}

#[async_trait]
impl Connect for SshConnect {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        let remote = self.open(address).await?;
        Ok(remote)
    }

    async fn shutdown(&self) {
        self.launcher.shutdown().await;
    }
}

/// Whether a master answers at this socket.
async fn answers(socket: &Path) -> bool {
    let session = Session::resume_mux(socket.into(), None);
    matches!(tokio::time::timeout(PATIENCE, session.check()).await, Ok(Ok(())))
}

/// A connection by ssh.
pub struct SshRemote {
    session: Arc<Session>,
    login: Login,
    master: Master,
    launcher: Arc<Launcher>,
    permits: Arc<Semaphore>,
    commands: Commands,
    forwards: Mutex<BTreeMap<HttpAddress, PathBuf>>,
    forwarded: AtomicUsize,
    closed: AtomicBool,
}

impl SshRemote {
    fn new(master: Master, login: Login, launcher: Arc<Launcher>) -> Self {
        Self {
            session: Arc::new(Session::resume_mux(master.socket().into(), None)),
            login,
            master,
            launcher,
            permits: Arc::new(Semaphore::new(SCRIPTS)),
            commands: Commands::default(),
            forwards: Mutex::default(),
            forwarded: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Starts a script by its text. Only the contract tests use it; everything else names a [`super::Script`].
    #[doc(hidden)]
    pub async fn start_text(&self, text: &str, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        self.start_in(self.spawn_patiently(), text, call).await
    }

    /// The same beside a script that runs: a session that was refused is asked for again, for a moment.
    async fn start_when_free(&self, text: &str, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        self.start_in(self.session_when_free(), text, call).await
    }

    async fn start_in(
        &self,
        session: impl Future<Output = Result<Child<Arc<Session>>, openssh::Error>> + Send,
        text: &str,
        call: Call,
    ) -> Result<Box<dyn Running>, RemoteError> {
        let doing = "starting a script on";
        let sent = Sent::new(text, call, &self.login)?;
        let late = |_| self.login.error(Fault::TimedOut, doing, "the connection gives no session");
        let (child, permit) = tokio::time::timeout(sent.deadline(), async {
            let permit = self.permits.clone().acquire_owned().await;
            (session.await, permit)
        })
        .await
        .map_err(late)?;
        let child = child.map_err(|e| self.sort(doing, &e))?;
        let pipes = pipes(child).ok_or_else(|| self.login.error(Fault::Client, doing, "no pipes"))?;
        let mut dialogue = Dialogue::new(pipes, sent, self.login.clone(), Box::new(permit));
        dialogue.begin().await;
        Ok(Box::new(dialogue))
    }

    /// Starts the command. Where one session is allowed, the last one may be still there when its script has ended:
    /// without another script of ours in the way, a refused one is asked for again, for a moment. Nothing was executed.
    async fn spawn_patiently(&self) -> Result<Child<Arc<Session>>, openssh::Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.spawn().await {
                Err(error) if is_refusal(&error) && self.may_clear() && Instant::now() < until => {
                    sleep(Duration::from_millis(20)).await;
                }
                result => return result,
            }
        }
    }

    /// Whether a session of ours may be about to end: no script runs but the one that is being started, or it is a command's.
    fn may_clear(&self) -> bool {
        self.permits.available_permits() + 1 == SCRIPTS || self.commands.tool().is_some()
    }

    async fn spawn(&self) -> Result<Child<Arc<Session>>, openssh::Error> {
        // Never `.arg()`: its quoting is for sh, and shows in `ps` (seams.md 6).
        Session::to_raw_command(self.session.clone(), command(self.login.privilege))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await
    }

    /// The class of an error of the master's.
    fn sort(&self, doing: &str, error: &openssh::Error) -> RemoteError {
        let found = chain(error);
        let fault = match error {
            error if is_refusal(error) => Fault::SessionRefused,
            openssh::Error::Disconnected | openssh::Error::SshMux(_) | openssh::Error::Master(_) => Fault::Lost,
            _ => Fault::Other,
        };
        self.login.error(fault, doing, found)
    }

    /// The local socket that leads to this address on the node; made once and kept as long as the connection.
    async fn forward(&self, to: &HttpAddress, asking: &Asking<'_>) -> Result<PathBuf, RemoteError> {
        let mut forwards = self.forwards.lock().await;
        if let Some(path) = forwards.get(to) {
            return Ok(path.clone());
        }
        let number = self.forwarded.fetch_add(1, Ordering::Relaxed);
        let path = self.master.dir().join(format!("f{number}"));
        let target = match to {
            // Without the brackets that `Socket::from` puts around IPv6: the server resolves the bare address.
            HttpAddress::Tcp(address) => Socket::new(address.ip().to_string(), address.port()),
            HttpAddress::Unix(path) => PathBuf::from(path.as_str()).into(),
            HttpAddress::Web(web) => Socket::new(web.host().to_owned(), web.port()),
        };
        let request = self.session.request_port_forward(ForwardType::Local, path.as_path(), target);
        match tokio::time::timeout(PATIENCE, request).await {
            Ok(Ok(())) => {
                forwards.insert(to.clone(), path.clone());
                Ok(path)
            }
            Ok(Err(openssh::Error::Disconnected)) => Err(asking.error(Fault::Lost, "the connection is gone")),
            Ok(Err(error)) => Err(asking.error(Fault::ForwardRefused, chain(&error))),
            Err(_) => Err(asking.error(Fault::Lost, "the connection does not answer")),
        }
    }
}

/// Whether the server refused a further session.
fn is_refusal(error: &openssh::Error) -> bool {
    matches!(error, openssh::Error::SshMux(_)) && chain(error).contains("refused by peer")
}

/// An error with what it is made of, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    one_line(text.as_bytes())
}

fn pipes(mut child: Child<Arc<Session>>) -> Option<Pipes> {
    Some(Pipes {
        stdin: Box::new(child.stdin().take()?),
        stdout: Box::new(child.stdout().take()?),
        stderr: Box::new(child.stderr().take()?),
        exit: wait(child).boxed(),
    })
}

async fn wait(child: Child<Arc<Session>>) -> Exit {
    match child.wait().await {
        Ok(status) => status.code().map_or_else(|| Exit::Unknown(status.to_string()), Exit::Status),
        // What the crate makes of the status 127; the pipes were ours, so nothing is lost.
        Err(openssh::Error::Remote(_)) => Exit::Status(127),
        Err(error) => Exit::Unknown(chain(&error)),
    }
}

#[async_trait]
impl Remote for SshRemote {
    async fn start(&self, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        self.start_text(call.script.text(), call).await
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpAnswer, RemoteError> {
        if let HttpAddress::Web(web) = &request.to {
            return web.clone().ask(request).await;
        }
        let asking = Asking::new(&self.login, &request);
        if self.commands.is_forbidden(&request.to) {
            return self.by_command(request, &asking).await;
        }
        let kept = request.clone();
        match self.by_forward(request, &asking).await? {
            Forwarded::Answered(answer) => Ok(answer),
            Forwarded::Forbidden => {
                self.commands.forbid(&kept.to);
                self.by_command(kept, &asking).await
            }
            // Of a socket sshd says the same whether it forbids it, the login has no rights to it, or nothing is there; a
            // command has the rights of the scripts, and says more.
            Forwarded::Closed(_) if matches!(kept.to, HttpAddress::Unix(_)) => {
                let to = kept.to.clone();
                let answer = self.by_command(kept, &asking).await?;
                self.commands.forbid(&to);
                Ok(answer)
            }
            Forwarded::Closed(why) => {
                Err(asking.error(Fault::ForwardRefused, format!("nothing answers there ({why})")))
            }
        }
    }

    fn asks_by(&self) -> Option<String> {
        self.commands.tool()
    }

    async fn alive(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && answers(self.master.socket()).await
    }

    async fn close(&self) {
        if !self.closed.swap(true, Ordering::Relaxed) {
            self.launcher.end(&self.master).await;
        }
    }
}
