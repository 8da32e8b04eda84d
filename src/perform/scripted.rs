//! The third implementation of the transport, for tests: it replays what a test says, and keeps what was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{RunIdentity, Site};
use crate::name::{NodeName, NodePath, Owner, Revision, RunId};
use crate::remote::{
    Call, Connect, Ended, Fault, HttpAnswer, HttpRequest, NodeAddress, Privilege, Remote, RemoteError, Reply, Running,
    Script, Transport, Word,
};
use crate::wire::{Args, Record, Status, unescape};

/// What a script on the node hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was started.
    Start,
    /// A word.
    Word(Word),
}

/// What it answers: replies, and its end if it ends now.
pub(crate) type Said = (Vec<Reply>, Option<Ended>);
type Actor = Box<dyn FnMut(Heard) -> Said + Send>;
type Stage = Box<dyn FnMut(&Call) -> Result<Actor, RemoteError> + Send>;
type Http = Box<dyn FnMut(&HttpRequest) -> Result<HttpAnswer, RemoteError> + Send>;

/// A call as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) script: Script,
    pub(crate) args: Args,
    pub(crate) payload: Option<Vec<u8>>,
}

#[derive(Default)]
struct Inner {
    stages: HashMap<Script, Stage>,
    http: Option<Http>,
    refuse: Option<RemoteError>,
    calls: Vec<Made>,
    asked: Vec<String>,
    tried: Vec<String>,
    connects: usize,
    closed: usize,
    life: usize,
}

/// A node, or many that behave alike.
#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Inner>>);

impl Scripted {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// A script that says all it has to say at once.
    pub(crate) fn plays(&self, script: Script, lines: &str, status: Status) -> &Self {
        let replies = lines.lines().map(record).collect::<Vec<_>>();
        self.stages(script, move |_| {
            let replies = replies.clone();
            Ok(Box::new(move |_| (replies.clone(), Some(Ended::Done(status)))))
        })
    }

    /// A script that is lost after it said this.
    pub(crate) fn loses(&self, script: Script, lines: &str) -> &Self {
        let replies = lines.lines().map(record).collect::<Vec<_>>();
        self.stages(script, move |_| {
            let replies = replies.clone();
            Ok(Box::new(move |_| (replies.clone(), Some(Ended::Lost(error(Fault::Lost))))))
        })
    }

    /// A script that is acted by the test.
    pub(crate) fn stages(
        &self,
        script: Script,
        stage: impl FnMut(&Call) -> Result<Actor, RemoteError> + Send + 'static,
    ) -> &Self {
        self.with(|inner| inner.stages.insert(script, Box::new(stage)));
        self
    }

    /// HTTP, as seen from the node.
    pub(crate) fn http(
        &self,
        answer: impl FnMut(&HttpRequest) -> Result<HttpAnswer, RemoteError> + Send + 'static,
    ) -> &Self {
        self.with(|inner| inner.http = Some(Box::new(answer)));
        self
    }

    /// From now on connecting fails like this.
    pub(crate) fn refuses(&self, fault: Fault) {
        self.with(|inner| inner.refuse = Some(error(fault)));
    }

    /// Connections that are held now are dead.
    pub(crate) fn die(&self) {
        self.with(|inner| inner.life += 1);
    }

    pub(crate) fn connects(&self) -> usize {
        self.with(|inner| inner.connects)
    }

    pub(crate) fn closed(&self) -> usize {
        self.with(|inner| inner.closed)
    }

    /// The nodes that a connection was tried to, in order.
    pub(crate) fn tried(&self) -> Vec<String> {
        self.with(|inner| inner.tried.clone())
    }

    pub(crate) fn calls(&self) -> Vec<Made> {
        self.with(|inner| inner.calls.clone())
    }

    /// The paths asked over HTTP, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.with(|inner| inner.asked.clone())
    }
}

/// A record from a line as a script writes it.
pub(crate) fn record(line: &str) -> Reply {
    let mut words = line.split(' ');
    let tag = words.next().unwrap().to_owned();
    Reply::Record(Record { tag, fields: words.map(|word| unescape(word).unwrap()).collect() })
}

pub(crate) fn error(fault: Fault) -> RemoteError {
    RemoteError::new(fault, "trying", "scripted")
}

/// A 200 with this body.
#[expect(clippy::unnecessary_wraps, reason = "it is what a test's HTTP answers with")]
pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Result<HttpAnswer, RemoteError> {
    Ok(HttpAnswer { status: 200, body: body.into() })
}

pub(crate) fn address(node: &str) -> NodeAddress {
    NodeAddress {
        node: NodeName::parse(node).unwrap(),
        host: node.to_owned(),
        user: Some("deploy".to_owned()),
        port: None,
        privilege: Privilege::None,
        transport: Transport::Local,
    }
}

/// A run of nobody in particular.
pub(crate) fn identity() -> RunIdentity {
    RunIdentity {
        run: RunId::from_parts(1, 2),
        owner: Owner::parse("edge-team").unwrap(),
        commit: Revision::parse(&"3f2a91c4b5".repeat(4)).unwrap(),
        holder: "ops@here".to_owned(),
        ttl: Duration::from_mins(10),
    }
}

pub(crate) fn site(node: &str) -> Site {
    let path = |text| NodePath::parse(text).unwrap();
    Site {
        address: address(node),
        conf: path("/etc/kong/kong.conf"),
        prefix: path("/usr/local/kong"),
        lua_root: path("/usr/local/share/lua/5.1"),
        home: path("/var/lib/muster"),
        cli: path("/usr/local/bin/kong"),
        admin: None,
        status: None,
        proxy: None,
        token: None,
    }
}

#[async_trait]
impl Connect for Scripted {
    async fn connect(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        // Others may come in between, as with a real network.
        tokio::task::yield_now().await;
        self.with(|inner| {
            inner.tried.push(address.node.to_string());
            if let Some(error) = &inner.refuse {
                return Err(error.clone());
            }
            inner.connects += 1;
            let remote: Arc<dyn Remote> = Arc::new(Line { node: self.clone(), life: inner.life });
            Ok(remote)
        })
    }

    async fn shutdown(&self) {}
}

struct Line {
    node: Scripted,
    life: usize,
}

#[async_trait]
impl Remote for Line {
    async fn start(&self, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        let actor = self.node.with(|inner| {
            let made = Made { script: call.script, args: call.args.clone(), payload: call.payload.clone() };
            inner.calls.push(made);
            let stage = inner.stages.get_mut(&call.script);
            stage.map_or_else(|| Err(error(Fault::SessionRefused)), |stage| stage(&call))
        })?;
        let mut play = Play { actor, replies: VecDeque::new(), end: None };
        play.hear(Heard::Start);
        Ok(Box::new(play))
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpAnswer, RemoteError> {
        tokio::task::yield_now().await;
        self.node.with(|inner| {
            inner.asked.push(request.path.clone());
            inner.http.as_mut().map_or_else(|| Err(error(Fault::ForwardRefused)), |http| http(&request))
        })
    }

    async fn alive(&self) -> bool {
        self.node.with(|inner| inner.life == self.life)
    }

    async fn close(&self) {
        self.node.with(|inner| inner.closed += 1);
    }
}

struct Play {
    actor: Actor,
    replies: VecDeque<Reply>,
    end: Option<Ended>,
}

impl Play {
    fn hear(&mut self, heard: Heard) {
        if self.end.is_none() {
            let (replies, end) = (self.actor)(heard);
            self.replies.extend(replies);
            self.end = end;
        }
    }
}

#[async_trait]
impl Running for Play {
    async fn next(&mut self) -> Option<Reply> {
        match self.replies.pop_front() {
            Some(reply) => Some(reply),
            None if self.end.is_some() => None,
            // It waits for a word, and whoever waits for it waits for ever.
            None => std::future::pending().await,
        }
    }

    async fn say(&mut self, word: Word) -> Result<(), RemoteError> {
        if let Some(Ended::Lost(error)) = &self.end {
            return Err(error.clone());
        }
        self.hear(Heard::Word(word));
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Ended {
        self.end.unwrap_or_else(|| Ended::Lost(error(Fault::Lost)))
    }
}
