//! A gateway in simulated time, for tests: what `activate` and Kong's faces say as the stages of a reload pass.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::Doors;
use super::admin::Face;
use super::scripted::{Heard, Said, Scripted, error, ok, record};
use crate::action::{Activate, NodeBasis, ReloadWay};
use crate::name::{BundleName, Digest, PluginName};
use crate::remote::{Ended, Fault, HttpAddress, HttpAnswer, HttpRequest, RemoteError, Reply, Script, Word};
use crate::run::{CancelLevel, StepPhase};
use crate::wire::Status;

/// What the answering workers say of themselves.
#[derive(Clone, Copy)]
pub(crate) struct Says {
    pub(crate) version: &'static str,
    pub(crate) staged: bool,
    pub(crate) pids: bool,
}

pub(crate) const NEW: Says = Says { version: "2.1.0", staged: true, pids: true };
pub(crate) const OLD: Says = Says { version: "2.0.3", staged: false, pids: true };
/// Old code that looks as wanted but for the path: an upgrade whose VERSION stayed the same.
pub(crate) const OLD_SAME: Says = Says { version: "2.1.0", staged: false, pids: true };

/// The node from some millisecond on.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) from: u64,
    pub(crate) idle: bool,
    pub(crate) live: Vec<u32>,
    pub(crate) leaving: Vec<u32>,
    pub(crate) says: Says,
}

pub(crate) fn stage(from: u64, idle: bool, live: &[u32], says: Says) -> Stage {
    Stage { from, idle, live: live.to_vec(), leaving: Vec::new(), says }
}

/// How the script answers a word.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// These lines, then this status.
    Ends(&'static str, Status),
    /// The link breaks.
    Breaks,
}

struct Inner {
    begun: Option<Instant>,
    stages: Vec<Stage>,
    before: Vec<u32>,
    opening: Option<Reaction>,
    confirm: Reaction,
    undo: Reaction,
    log: Option<&'static str>,
    put_back: bool,
    words: Vec<Word>,
    database: bool,
    reloads: bool,
    rows: Result<Vec<serde_json::Value>, u16>,
    master: u32,
    validates: Validates,
}

/// How a row is judged that is asked about: status and body.
pub(crate) type Validates = fn(&serde_json::Value) -> (u16, String);

/// The gateway.
#[derive(Clone)]
pub(crate) struct Gateway {
    inner: Arc<Mutex<Inner>>,
    pub(crate) node: Scripted,
}

impl Gateway {
    /// Two old workers, and then these stages.
    pub(crate) fn new(before: &[u32], stages: &[Stage]) -> Self {
        let inner = Inner {
            begun: None,
            stages: stages.to_vec(),
            before: before.to_vec(),
            opening: None,
            confirm: Reaction::Ends("did switch acme-auth x", Status::Changed),
            undo: Reaction::Ends("undone proved", Status::Undone),
            log: None,
            put_back: false,
            words: Vec::new(),
            database: true,
            reloads: true,
            rows: Ok(Vec::new()),
            master: 100,
            validates: |_| (200, r#"{"message":"schema validation successful"}"#.to_owned()),
        };
        let gateway = Self { inner: Arc::new(Mutex::new(inner)), node: Scripted::default() };
        gateway.wire();
        gateway
    }

    pub(crate) fn set(&self, act: impl FnOnce(&mut Setup<'_>)) -> &Self {
        act(&mut Setup(&mut self.inner.lock().unwrap()));
        self
    }

    pub(crate) fn words(&self) -> Vec<Word> {
        self.inner.lock().unwrap().words.clone()
    }

    fn wire(&self) {
        let this = self.clone();
        self.node.stages(Script::Activate, move |_| {
            let this = this.clone();
            Ok(Box::new(move |heard| this.inner.lock().unwrap().act(heard)))
        });
        let this = self.clone();
        self.node.http(move |request| this.inner.lock().unwrap().http(request));
    }
}

/// What a test may change.
pub(crate) struct Setup<'a>(&'a mut Inner);

impl Setup<'_> {
    pub(crate) fn opens(&mut self, reaction: Reaction) {
        self.0.opening = Some(reaction);
    }
    pub(crate) fn on_confirm(&mut self, reaction: Reaction) {
        self.0.confirm = reaction;
    }
    pub(crate) fn on_undo(&mut self, reaction: Reaction) {
        self.0.undo = reaction;
    }
    pub(crate) fn log(&mut self, log: &'static str) {
        self.0.log = Some(log);
    }
    pub(crate) fn database(&mut self, answers: bool) {
        self.0.database = answers;
    }
    /// The rows of `plugins`, or the status that their listing is answered with.
    pub(crate) fn rows(&mut self, rows: Result<Vec<serde_json::Value>, u16>) {
        self.0.rows = rows;
    }
    /// Who answers at the Admin API.
    pub(crate) fn master(&mut self, pid: u32) {
        self.0.master = pid;
    }
    /// What the schema says of a row.
    pub(crate) fn validates(&mut self, validates: Validates) {
        self.0.validates = validates;
    }
    pub(crate) fn reloads(&mut self, reloads: bool) {
        self.0.reloads = reloads;
    }
}

impl Inner {
    fn stage(&self) -> Stage {
        let at = self.begun.map_or(0, |begun| u64::try_from(begun.elapsed().as_millis()).unwrap());
        self.stages.iter().rfind(|stage| stage.from <= at).unwrap().clone()
    }

    fn look(&self) -> Vec<Reply> {
        let stage = self.stage();
        let head = format!("proof 0 {} 1 {}", u8::from(stage.idle), stage.live.len() + stage.leaving.len());
        let worker = |pid: &u32, how: &str| format!("worker {pid} {pid}0 {how}");
        let live = stage.live.iter().map(|pid| worker(pid, "live"));
        let leaving = stage.leaving.iter().map(|pid| worker(pid, "leaving"));
        std::iter::once(head).chain(live).chain(leaving).map(|line| record(&line)).collect()
    }

    fn react(&self, reaction: &Reaction) -> Said {
        match reaction {
            Reaction::Breaks => (Vec::new(), Some(Ended::Lost(error(Fault::Lost)))),
            Reaction::Ends(lines, status) => {
                let mut replies: Vec<Reply> = lines.lines().map(record).collect();
                if let Some(log) = self.log.filter(|_| *status != Status::Changed) {
                    replies.push(Reply::Blob { name: "log".to_owned(), bytes: log.as_bytes().to_vec() });
                }
                (replies, Some(Ended::Done(*status)))
            }
        }
    }

    fn act(&mut self, heard: Heard) -> Said {
        match heard {
            Heard::Start => self.open(),
            Heard::Word(word) => {
                self.words.push(word);
                match word {
                    Word::Look => (self.look(), None),
                    Word::Confirm => self.react(&self.confirm.clone()),
                    Word::Undo => {
                        self.put_back = true;
                        self.react(&self.undo.clone())
                    }
                }
            }
        }
    }

    fn open(&mut self) -> Said {
        self.begun = Some(Instant::now());
        if let Some(opening) = &self.opening {
            return self.react(opening);
        }
        if !self.reloads {
            return (vec![record("proof 0 0 0 0")], None);
        }
        let before = self.before.iter().map(|pid| record(&format!("before {pid} {pid}0")));
        let mut replies: Vec<Reply> = before.chain([record("reloading")]).collect();
        replies.extend(self.look());
        (replies, None)
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpAnswer, RemoteError> {
        let stage = self.stage();
        match request.path.as_str() {
            "/status" => ok(format!("{{\"database\":{{\"reachable\":{}}}}}", self.database)),
            "/status/ready" => ok("{\"message\":\"ready\"}"),
            "/" => ok(self.root(&stage)),
            "/plugins?size=1000" => match &self.rows {
                Ok(rows) => ok(serde_json::json!({ "data": rows }).to_string()),
                Err(status) => Ok(HttpAnswer { status: *status, body: b"<html>".to_vec() }),
            },
            path if path.ends_with("/schemas/plugins/validate") && request.method == "POST" => {
                let body = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).unwrap();
                let (status, body) = (self.validates)(&body);
                Ok(HttpAnswer { status, body: body.into() })
            }
            // No route: that is an HTTP answer all the same.
            _ => Ok(HttpAnswer { status: 404, body: b"{}".to_vec() }),
        }
    }

    fn root(&self, stage: &Stage) -> String {
        let says = if self.put_back { OLD } else { stage.says };
        let pids: Vec<String> = stage.live.iter().map(ToString::to_string).collect();
        let workers = if says.pids { format!(",\"workers\":[{}]", pids.join(",")) } else { String::new() };
        let path = if says.staged { format!("/rel/{}/?.lua;x", digest()) } else { "x".to_owned() };
        let loaded = format!("{{\"acme-auth\":{{\"version\":\"{}\"}}}}", says.version);
        format!(
            "{{\"version\":\"3.9.1\",\"plugins\":{{\"available_on_server\":{loaded}}},\
             \"configuration\":{{\"lua_package_path\":\"{path}\"}},\"pids\":{{\"master\":{}{workers}}}}}",
            self.master
        )
    }
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"acme-auth 2.1.0")
}

pub(crate) fn bundle() -> BundleName {
    BundleName::parse("acme-auth").unwrap()
}

/// An upgrade of acme-auth to 2.1.0.
pub(crate) fn activate(way: ReloadWay) -> Activate {
    let master = (way != ReloadWay::Stopped).then_some((100, 5));
    Activate {
        basis: NodeBasis { master, ..NodeBasis::default() },
        switches: Vec::new().into(),
        directive: ("bundled".to_owned(), "bundled,acme-auth".to_owned()).into(),
        way,
        evidence: crate::name::Shared::default(),
        pace: crate::action::Pace::default(),
        again: crate::action::Again::default(),
        staged: vec![(bundle(), digest())].into(),
        search_path: None,
        conf: None,
        loaded: [(PluginName::parse("acme-auth").unwrap(), Some("2.1.0".to_owned()))].into(),
        gone: std::collections::BTreeSet::default(),
        count_through: Vec::new(),
        keep: Activate::keep(),
        validate: std::collections::BTreeSet::default(),
        manifest: vec!["muster-manifest 1".to_owned()].into(),
        content: [(bundle(), digest())].into(),
    }
}

/// All faces, each on a port of its own.
pub(crate) fn doors() -> Doors {
    let face = |port| Face {
        to: HttpAddress::Tcp(([127, 0, 0, 1], port).into()),
        token: None,
        deadline: Duration::from_secs(5),
    };
    Doors { admin: Ok(face(8001)), status: Some(face(8007)), proxy: Some(face(8000)) }
}

/// What was watched.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) phases: Mutex<Vec<(StepPhase, String)>>,
    pub(crate) printed: Mutex<Vec<String>>,
    pub(crate) proven: Mutex<Vec<String>>,
    pub(crate) cancel: Mutex<Option<CancelLevel>>,
}

impl super::Watch for Notes {
    fn phase(&self, phase: StepPhase, text: String) {
        self.phases.lock().unwrap().push((phase, text));
    }
    fn printed(&self, line: String) {
        self.printed.lock().unwrap().push(line);
    }
    fn proven(&self, text: String) {
        self.proven.lock().unwrap().push(text);
    }
    fn cancelled(&self) -> Option<CancelLevel> {
        *self.cancel.lock().unwrap()
    }
}

impl Notes {
    /// The phases in order, each once in a row.
    pub(crate) fn course(&self) -> Vec<StepPhase> {
        let mut course: Vec<StepPhase> = self.phases.lock().unwrap().iter().map(|(phase, _)| *phase).collect();
        course.dedup();
        course
    }
}
