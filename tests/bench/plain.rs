//! The floor: the same scripts and the same requests by plain `ssh` processes, in as straight a line as can be written.
//! It checks that every script ends well, and knows nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use muster::name::BundlePath;
use muster::remote::{self, Privilege, Script};
use muster::standin::site::{ADMIN, STATUS};
use muster::survey::SurveyRequest;
use muster::wire::{Args, Decoder, Item, Limits, Record, Status, head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::fleet::{Gateway, Gateways};

/// What muster asks of a node's faces when it looks.
const LOOKED_AT: [(&str, Face); 3] =
    [("/", Face::Admin), ("/plugins?size=1000", Face::Admin), ("/status/ready", Face::Status)];

/// One of Kong's faces, reached through a forward.
#[derive(Clone, Copy)]
enum Face {
    Admin,
    Status,
}

/// Plain ssh to one node.
pub(crate) struct Plain<'a> {
    fleet: &'a Gateways,
    gateway: &'a Gateway,
    dir: PathBuf,
}

impl<'a> Plain<'a> {
    /// The way to a node. `dir` is a short path of its own for this round.
    pub(crate) fn new(fleet: &'a Gateways, gateway: &'a Gateway, round: &Path) -> Self {
        let dir = round.join(&gateway.name);
        std::fs::create_dir_all(&dir).expect("our own directory");
        Self { fleet, gateway, dir }
    }

    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command.env_clear().envs(self.fleet.vars()).arg("-F").arg(self.fleet.ssh_config()).kill_on_drop(true);
        command
    }

    fn socket(&self, face: Face) -> PathBuf {
        self.dir.join(match face {
            Face::Admin => "a",
            Face::Status => "s",
        })
    }

    fn forwards(&self, command: &mut Command) {
        for (face, port) in [(Face::Admin, ADMIN), (Face::Status, STATUS)] {
            command.arg("-L").arg(format!("{}:{}:{port}", self.socket(face).display(), self.gateway.node.address));
        }
    }

    /// A survey over a connection of its own: one ssh, which also carries the requests.
    pub(crate) async fn survey_alone(&self) {
        let mut command = self.ssh();
        self.forwards(&mut command);
        // The script is over before the requests are, and with it ssh would be: it waits for the end of its input.
        let line = format!("{}; cat >/dev/null", remote::command(Privilege::None).trim_start_matches("exec "));
        command.arg(&self.gateway.name).arg(line);
        self.survey(Self::speak(command, Script::Survey, self.survey_args(), &[]).await).await;
    }

    /// The survey's script alone, on this machine, without ssh and without the requests: what no transport can save.
    pub(crate) async fn script_here(&self) {
        let mut command = Command::new("/bin/sh");
        command.env_clear().envs(self.fleet.vars()).kill_on_drop(true).arg("-c").arg(remote::command(Privilege::None));
        let status = Self::speak(command, Script::Survey, self.survey_args(), &[]).await.end().await;
        assert_eq!(status, Status::Unchanged, "the survey of {}", self.gateway.name);
    }

    /// A connection for everything that follows.
    pub(crate) async fn connect(&self) {
        let mut command = self.ssh();
        self.forwards(&mut command);
        command.args(["-M", "-N", "-f", "-S"]).arg(self.dir.join("m"));
        let status = command.arg(&self.gateway.name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(status.status().await.expect("ssh").success(), "no connection to {}", self.gateway.name);
    }

    /// Ends it.
    pub(crate) async fn disconnect(&self) {
        let mut command = self.ssh();
        command.args(["-O", "exit", "-S"]).arg(self.dir.join("m")).arg(&self.gateway.name);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    }

    fn through(&self) -> Command {
        let mut command = self.ssh();
        command.arg("-S").arg(self.dir.join("m"));
        command
    }

    /// A survey over the connection.
    pub(crate) async fn survey_through(&self) {
        self.survey(self.talk(self.through(), Script::Survey, self.survey_args(), &[]).await).await;
    }

    async fn survey(&self, mut talk: Talk) {
        // The forwards are there once the script speaks.
        let asked = async {
            for (path, face) in LOOKED_AT {
                self.get(face, path).await;
            }
        };
        while talk.next().await.is_some_and(|item| !matches!(item, Item::End(_) | Item::Record(_))) {}
        let read = async {
            loop {
                match talk.next().await {
                    Some(Item::End(status)) => return status,
                    Some(_) => {}
                    None => panic!("the survey of {} broke off", self.gateway.name),
                }
            }
        };
        let ((), status) = tokio::join!(asked, read);
        talk.close().await;
        assert_eq!(status, Status::Unchanged, "the survey of {}", self.gateway.name);
    }

    fn survey_args(&self) -> Args {
        let site = &self.gateway.site;
        let roots: BTreeSet<BundlePath> =
            self.fleet.bundles().iter().flat_map(|bundle| bundle.roots.iter().cloned()).collect();
        let request = SurveyRequest {
            conf: site.conf.clone(),
            prefix: site.prefix.clone(),
            lua_root: site.lua_root.clone(),
            home: site.home.clone(),
            cli: Some(site.cli.to_string()),
            roots,
        };
        request.args().and_then(|args| args.with("seconds", "58")).expect("arguments")
    }

    /// A script with its payload over the connection; it has to end well.
    pub(crate) async fn run(&self, script: Script, args: Args, payload: &[u8]) {
        let status = self.talk(self.through(), script, args, payload).await.end().await;
        assert!(
            matches!(status, Status::Changed | Status::Unchanged),
            "{} on {}: {status:?}",
            script.name(),
            self.gateway.name
        );
    }

    /// The activation: looks until the master is idle with new workers alone, asks once what is loaded, confirms.
    pub(crate) async fn activate(&self, args: Args) {
        let mut talk = self.talk(self.through(), Script::Activate, args, &[]).await;
        let (mut before, mut live, mut workers, mut idle) = (BTreeSet::new(), BTreeSet::new(), 0_usize, false);
        let mut proven = false;
        loop {
            let Some(item) = talk.next().await else { panic!("activate on {} broke off", self.gateway.name) };
            let record = match item {
                Item::End(status) => {
                    assert_eq!(status, Status::Changed, "activate on {}", self.gateway.name);
                    break;
                }
                Item::Record(record) => record,
                Item::Blob { .. } => continue,
            };
            let mut looked = false;
            match record.tag.as_str() {
                "before" => drop(before.insert(process(&record))),
                "proof" => {
                    idle = record.exact(1) == Some("1");
                    workers = record.number(3).unwrap_or(0);
                    live.clear();
                    looked = workers == 0;
                }
                "worker" => {
                    workers -= 1;
                    if record.exact(2) == Some("live") {
                        live.insert(process(&record));
                    }
                    looked = workers == 0;
                }
                _ => {}
            }
            if looked && !proven {
                if idle && !live.is_empty() && live.is_disjoint(&before) {
                    proven = self.loaded(&self.get(Face::Admin, "/").await);
                }
                if proven {
                    talk.say("confirm\n").await;
                } else {
                    sleep(Duration::from_millis(20)).await;
                    talk.say("look\n").await;
                }
            }
        }
        talk.close().await;
    }

    fn loaded(&self, answer: &str) -> bool {
        self.fleet.bundles().iter().all(|bundle| answer.contains(&format!("\"{}\"", bundle.name)))
    }

    /// One request on a fresh connection.
    async fn get(&self, face: Face, path: &str) -> String {
        let mut stream = UnixStream::connect(self.socket(face)).await.expect("the forward");
        let request = format!("GET {path} HTTP/1.1\r\nHost: kong\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the forward takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the forward gives an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} on {}: {answer:.200}", self.gateway.name);
        answer
    }

    async fn talk(&self, mut command: Command, script: Script, args: Args, payload: &[u8]) -> Talk {
        command.arg(&self.gateway.name).arg(remote::command(Privilege::None));
        Self::speak(command, script, args, payload).await
    }

    async fn speak(mut command: Command, script: Script, args: Args, payload: &[u8]) -> Talk {
        let nonce = "0123456789abcdef0123456789abcdef";
        let mut bytes = head(script.text(), &args.with("nonce", nonce).expect("arguments"));
        bytes.extend_from_slice(payload);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut talk = Talk {
            child: child.expect("a process"),
            decoder: Decoder::new(nonce, Limits::default()),
            items: Vec::new().into_iter(),
        };
        talk.say_bytes(&bytes).await;
        if !payload.is_empty() {
            talk.child.stdin = None;
        }
        talk
    }
}

fn process(record: &Record) -> (u32, u64) {
    (record.number(0).expect("a pid"), record.number(1).expect("a start"))
}

/// A script that runs.
struct Talk {
    child: Child,
    decoder: Decoder,
    items: std::vec::IntoIter<Item>,
}

impl Talk {
    async fn say(&mut self, word: &str) {
        self.say_bytes(word.as_bytes()).await;
    }

    async fn say_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("its input");
        stdin.write_all(bytes).await.expect("it takes its input");
        stdin.flush().await.expect("it takes its input");
    }

    async fn next(&mut self) -> Option<Item> {
        let mut piece = vec![0; 16 << 10];
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            let stdout = self.child.stdout.as_mut().expect("its output");
            match stdout.read(&mut piece).await.expect("its output") {
                0 => return None,
                n => self.items = self.decoder.feed(&piece[..n]).expect("an answer").into_iter(),
            }
        }
    }

    /// Reads to the end of the answer, and waits for the process.
    async fn end(&mut self) -> Status {
        loop {
            match self.next().await.expect("the answer has an end") {
                Item::End(status) => {
                    self.close().await;
                    return status;
                }
                Item::Record(record) if record.tag == "problem" => panic!("{record:?}"),
                Item::Record(_) | Item::Blob { .. } => {}
            }
        }
    }

    async fn close(&mut self) {
        self.child.stdin = None;
        let _ = self.child.wait().await;
    }
}
