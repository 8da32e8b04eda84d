//! Reaching a node: connect, run one of our scripts, speak to its Admin API.
//!
//! Owns: the two traits that everything above uses, and their two implementations: [`SshConnect`] (the operator's
//! OpenSSH) and [`LocalConnect`] (this machine). Must not know: what a script is for, or what ought to be true of a node.
//!
//! There are no file or command methods: shell that runs on a node exists in `scripts/` only, and dropping a value here
//! does not stop anything there (deadlines live on the node).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::hint::Hint;
use crate::wire::{Args, Record, Status};

mod by_command;
mod dialogue;
mod fault;
mod http;
mod local;
mod login;
mod script;
mod ssh;
mod web;

pub use local::{Local, LocalConnect};
pub use script::Script;
pub use ssh::version as ssh_version;
pub use ssh::{Notice, OnNotice, SshConnect, SshRemote, SshSettings};
pub use web::{Trust, Web};

/// Where a node is and how it is entered; from the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub node: crate::name::NodeName,
    /// What ssh is given: a host name, an address, or an alias of the operator's configuration. Validated.
    pub host: String,
    /// The login name, if the inventory names one.
    pub user: Option<String>,
    /// The port, if the inventory names one.
    pub port: Option<u16>,
    /// How scripts get their rights there.
    pub privilege: Privilege,
    /// Which implementation is used.
    pub transport: Transport,
}

/// How a node is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The operator's OpenSSH.
    Ssh,
    /// This machine, without a network.
    Local,
}

/// With which rights a script runs on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// As the login user.
    None,
    /// Through `sudo -n`, which never asks.
    Sudo,
}

/// The command that a node is given, with the script on its input (seams.md 1.3).
pub const fn command(privilege: Privilege) -> &'static str {
    dialogue::command(privilege)
}

/// One call of a script.
pub struct Call {
    /// Which script.
    pub script: Script,
    /// Its arguments; the nonce is added by the transport.
    pub args: Args,
    /// Bytes behind the arguments, to the end of input. A script with a payload does not listen to words.
    pub payload: Option<Vec<u8>>,
    /// After how long without an end the call counts as lost. The script keeps a deadline of its own on the node.
    pub deadline: Duration,
}

/// What a running script can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Look again: one more set of proof records.
    Look,
    /// The proof holds: commit, and end.
    Confirm,
    /// The proof does not hold: put it back, and end.
    Undo,
}

impl Word {
    /// The line that is sent.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Look => "look\n",
            Self::Confirm => "confirm\n",
            Self::Undo => "undo\n",
        }
    }
}

/// A piece of a running script's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A record.
    Record(Record),
    /// A named block of bytes.
    Blob {
        /// What it is.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// How a call ended.
#[derive(Debug)]
pub enum Ended {
    /// The trailer was seen.
    Done(Status),
    /// It was not: what happened on the node is unknown until it is looked at again.
    Lost(RemoteError),
}

/// A script that runs. Dropping it closes our side only.
#[async_trait]
pub trait Running: Send {
    /// The next piece of the answer; `None` once the answer has ended, for whatever reason. Cancel-safe.
    async fn next(&mut self) -> Option<Reply>;
    /// Says a word to the script.
    async fn say(&mut self, word: Word) -> Result<(), RemoteError>;
    /// Closes our side, drains what is left, and tells how it ended.
    async fn finish(self: Box<Self>) -> Ended;
}

/// Where an Admin API (or status API, or proxy) listens, as seen from the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HttpAddress {
    /// A TCP address on the node, such as `127.0.0.1:8001`.
    Tcp(std::net::SocketAddr),
    /// A unix socket on the node.
    Unix(crate::name::NodePath),
    /// An address that is asked from here, whatever the connection is.
    Web(Web),
}

/// One HTTP request to a node. Always on a fresh connection: a pooled one may still be held by an old worker
/// (measured.md 2). It has no `Debug`, as it may hold a token.
#[derive(Clone)]
pub struct HttpRequest {
    /// Where to.
    pub to: HttpAddress,
    /// `GET`, `POST`, `PATCH`, `DELETE`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// A JSON body.
    pub body: Option<Vec<u8>>,
    /// The value of `Kong-Admin-Token`. It is marked sensitive and never logged.
    pub token: Option<Arc<crate::hint::Sealed<String>>>,
    /// After how long the request is given up.
    pub deadline: Duration,
}

/// An HTTP answer, its body at most 8 MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body, untrusted.
    pub body: Vec<u8>,
}

/// A connection to one node.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Starts a script.
    async fn start(&self, call: Call) -> Result<Box<dyn Running>, RemoteError>;
    /// Makes one HTTP request from the node's point of view, on a fresh connection.
    async fn http(&self, request: HttpRequest) -> Result<HttpAnswer, RemoteError>;
    /// What asks on the node itself (`curl`, `perl`), if anything had to be asked like that over this connection, as its
    /// server forbids forwarding.
    fn asks_by(&self) -> Option<String> {
        None
    }
    /// Whether the connection still lives, as far as can be told without asking the node.
    async fn alive(&self) -> bool;
    /// Closes the connection.
    async fn close(&self);
}

/// Opens connections.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Connects to a node, or says why not, in one of the classes of [`Fault`].
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError>;
    /// Ends what connections leave behind (masters, sockets). Called once, at the end.
    async fn shutdown(&self);
}

/// Connects to each node by the transport that its address names.
#[derive(Clone)]
pub struct ByTransport {
    /// For [`Transport::Ssh`].
    pub ssh: Arc<dyn Connect>,
    /// For [`Transport::Local`].
    pub local: Arc<dyn Connect>,
}

#[async_trait]
impl Connect for ByTransport {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        match address.transport {
            Transport::Ssh => self.ssh.connect(address).await,
            Transport::Local => self.local.connect(address).await,
        }
    }

    async fn shutdown(&self) {
        self.ssh.shutdown().await;
        self.local.shutdown().await;
    }
}

/// The classes of what goes wrong on the way to a node, each with its next step (crates.md 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The host name has no address.
    NoSuchHost,
    /// Nothing listens there.
    ConnectionRefused,
    /// No answer in time.
    TimedOut,
    /// No route, network down.
    Unreachable,
    /// The host key is not known yet.
    HostKeyUnknown,
    /// The host key is not the one that is known.
    HostKeyChanged,
    /// The login was refused.
    LoginRefused,
    /// The server dropped the connection before the login (`MaxStartups`, `PerSourcePenalties`); nothing was executed.
    Dropped,
    /// `sudo -n` would have asked for a password, or is not allowed.
    SudoRefused,
    /// The server refuses a further session on the connection (`MaxSessions`).
    SessionRefused,
    /// Nothing listens behind a forward, or the server forbids it and nothing on the node can ask in its place.
    ForwardRefused,
    /// The connection broke in the middle.
    Lost,
    /// The answer was not one of ours: see the wire error.
    Garbled,
    /// ssh itself could not be run, or its configuration is wrong.
    Client,
    /// Something else; the text says what.
    Other,
}

/// What went wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{doing}: {found}")]
pub struct RemoteError {
    /// The class.
    pub fault: Fault,
    /// What was being done ("connecting to eu-1 (10.0.0.1)").
    pub doing: String,
    /// What was found, in ssh's or our words, cleaned of control characters, one line.
    pub found: String,
    /// What to type or do next: made where the host and the login name are known.
    #[serde(default)]
    pub hints: Vec<Hint>,
}

impl RemoteError {
    /// An error without hints.
    pub fn new(fault: Fault, doing: impl Into<String>, found: impl Into<String>) -> Self {
        Self { fault, doing: doing.into(), found: found.into(), hints: Vec::new() }
    }

    /// What to type or do next.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }
}

#[cfg(test)]
mod tests;
