//! This machine as a node: the same command, the same pipes, no network. For the demo, for tests, and for a gateway
//! beside muster.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

use super::dialogue::{Dialogue, Exit, Pipes, Sent, command};
use super::http::{Asking, exchange};
use super::login::Login;
use super::{Call, Connect, Fault, HttpAddress, HttpAnswer, HttpRequest, NodeAddress, Remote, RemoteError, Running};

/// What a script sees of our environment, as with ssh: who it is and where it lives, nothing else.
const PASSED: [&str; 5] = ["HOME", "USER", "LOGNAME", "PATH", "SHELL"];
/// The path where ours is not known.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Connects to this machine.
#[derive(Debug, Clone)]
pub struct LocalConnect {
    vars: Arc<BTreeMap<String, OsString>>,
}

impl LocalConnect {
    /// With the environment of muster, of which scripts get the user, home, shell and path.
    pub fn new(vars: impl IntoIterator<Item = (String, OsString)>) -> Self {
        let mut vars: BTreeMap<_, _> = vars.into_iter().filter(|(key, _)| PASSED.contains(&key.as_str())).collect();
        vars.entry("PATH".to_owned()).or_insert_with(|| PATH.into());
        Self { vars: Arc::new(vars) }
    }

    /// The connection itself.
    pub fn open(&self, address: &NodeAddress) -> Arc<Local> {
        let login = Login::new(address, &self.user());
        Arc::new(Local { login, vars: self.vars.clone(), closed: AtomicBool::new(false) })
    }

    fn user(&self) -> String {
        self.vars.get("USER").map_or_else(|| "root".to_owned(), |user| user.to_string_lossy().into_owned())
    }
}

#[async_trait]
impl Connect for LocalConnect {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        Ok(self.open(address))
    }

    async fn shutdown(&self) {}
}

/// A connection to this machine.
pub struct Local {
    login: Login,
    vars: Arc<BTreeMap<String, OsString>>,
    closed: AtomicBool,
}

impl Local {
    /// Starts the constant command in a process group of its own, so that Ctrl-C at muster does not reach the script.
    fn spawn(&self) -> io::Result<Child> {
        Command::new("/bin/sh")
            .arg("-c")
            .arg(command(self.login.privilege))
            .env_clear()
            .envs(self.vars.iter())
            .current_dir(self.home())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    fn home(&self) -> &Path {
        self.vars.get("HOME").map(Path::new).filter(|home| home.is_dir()).unwrap_or(Path::new("/"))
    }

    /// Starts a script by its text. Only the contract tests use it; everything else names a [`super::Script`].
    #[doc(hidden)]
    pub async fn start_text(&self, text: &str, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        let doing = "starting a script on";
        if self.closed.load(Ordering::Relaxed) {
            return Err(self.login.error(Fault::Lost, doing, "the connection was closed"));
        }
        let sent = Sent::new(text, call, &self.login)?;
        let child = self.spawn().map_err(|e| self.login.error(Fault::Client, doing, format!("/bin/sh: {e}")))?;
        let pipes = pipes(child).ok_or_else(|| self.login.error(Fault::Client, doing, "no pipes"))?;
        let mut dialogue = Dialogue::new(pipes, sent, self.login.clone(), Box::new(()));
        dialogue.begin().await;
        Ok(Box::new(dialogue))
    }
}

fn pipes(mut child: Child) -> Option<Pipes> {
    Some(Pipes {
        stdin: Box::new(child.stdin.take()?),
        stdout: Box::new(child.stdout.take()?),
        stderr: Box::new(child.stderr.take()?),
        exit: wait(child).boxed(),
    })
}

async fn wait(mut child: Child) -> Exit {
    match child.wait().await {
        Ok(status) => status.code().map_or_else(|| Exit::Unknown(status.to_string()), Exit::Status),
        Err(error) => Exit::Unknown(error.to_string()),
    }
}

#[async_trait]
impl Remote for Local {
    async fn start(&self, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        self.start_text(call.script.text(), call).await
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpAnswer, RemoteError> {
        let asking = Asking::new(&self.login, &request);
        let until = request.deadline;
        let to = request.to.clone();
        let answer = match &to {
            HttpAddress::Tcp(address) => match open(until, TcpStream::connect(address)).await {
                Ok(stream) => exchange(stream, request).await,
                Err(error) => return Err(asking.unopened(&error)),
            },
            HttpAddress::Web(web) => return web.ask(request).await,
            HttpAddress::Unix(path) => match open(until, UnixStream::connect(path.as_str())).await {
                Ok(stream) => exchange(stream, request).await,
                Err(error) => return Err(asking.unopened(&error)),
            },
        };
        answer.map_err(|fault| asking.failed(fault))
    }

    async fn alive(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

async fn open<S>(within: std::time::Duration, stream: impl Future<Output = io::Result<S>>) -> io::Result<S> {
    tokio::time::timeout(within, stream).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
