//! `--demo`: from nothing to converged without a question, and nothing is left however it ends.

use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::{poll_until, process, variable, within};

/// Longer than a demo takes on a busy machine; only a failing test waits for it.
const LONG: Duration = Duration::from_mins(3);

/// A demo in a temporary directory of its own.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    text: String,
    temp: TempDir,
}

pub(crate) fn temp() -> TempDir {
    tempfile::Builder::new().prefix("md-").tempdir_in("/tmp").unwrap()
}

impl Demo {
    fn start(args: &[&str]) -> Self {
        Self::start_with(args, |_| {})
    }

    fn start_with(args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let temp = temp();
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("--demo").args(args).env_clear().env("TMPDIR", temp.path());
        for name in ["PATH", "HOME", "USER"] {
            command.envs(variable(name).map(|value| (name, value)));
        }
        change(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, text: String::new(), temp }
    }

    /// Reads until a line with this text.
    async fn until(&mut self, what: &str) {
        within(LONG, what, async {
            while !self.text.contains(what) {
                assert!(self.out.read_line(&mut self.text).await.unwrap() > 0, "{what} never came:\n{}", self.text);
            }
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end: how it ended, and all that it wrote.
    async fn end(&mut self) -> (ExitStatus, String, String) {
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        let all = async { tokio::join!(self.out.read_to_string(&mut self.text), stderr.read_to_string(&mut err)) };
        let (out, read) = within(LONG, "the demo ends", all).await;
        out.and(read).unwrap();
        let status = self.child.wait().await.unwrap();
        (status, std::mem::take(&mut self.text), err)
    }

    async fn assert_nothing_left(&self) {
        assert_nothing_left(self.temp.path()).await;
    }
}

/// Waits until no process has to do with the directory, and until the directory is empty.
pub(crate) async fn assert_nothing_left(temp: &Path) {
    let mut left = Vec::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    poll_until(Duration::from_secs(40), "nothing is left", || {
        left = process::with_text(temp.to_str().unwrap());
        left.extend(fs::read_dir(temp).unwrap().flatten().map(|entry| entry.path().display().to_string()));
        assert!(left.is_empty() || tokio::time::Instant::now() < until, "still there: {left:#?}");
        left.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_ends_converged_and_says_how_the_gateways_are_reached() {
    let mut demo = Demo::start(&["--apply", "--all", "--format", "json"]);
    let (status, out, err) = demo.end().await;
    assert_eq!(status.code(), Some(0), "{out}{err}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["verdict"], &last["exit"]),
        (&"run-ended".into(), &"converged".into(), &0.into())
    );
    // The plugin in use goes in the one right order.
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_prod = |step: &String| !step.contains("deliver") && !step.contains("rehearse") && !step.starts_with("eu-c");
    let told: Vec<String> = events.iter().filter_map(super::removal::step).filter(of_prod).collect();
    assert_eq!(told[..2], ["eu-prod un-apply", "eu-prod un-apply: done changed"], "{told:?}");
    let last =
        |what: &str| told.iter().rposition(|step| step.ends_with(what)).unwrap_or_else(|| panic!("{what}: {told:?}"));
    let fence = told.iter().position(|step| step == "eu-prod fence").unwrap();
    assert!(last("activate: done changed") < fence && last("fence: done unchanged") == fence + 1, "{told:?}");
    assert_eq!(told[fence + 2..].iter().filter(|step| step.ends_with("delete: done changed")).count(), 4, "{told:?}");
    assert!(out.contains("un-applied legacy-hmac: "), "{out}");
    let said: Vec<&str> = err.lines().collect();
    assert_eq!(said[..2], ["demo: starting 6 stand-in gateways", "demo: bringing them to yesterday's inventory"]);
    assert!(said[2].starts_with("demo: 6 stand-in gateways "), "{err}");
    assert!(err.contains("over real sshd") || err.contains("without ssh, as "), "{err}");
    demo.assert_nothing_left().await;
}

#[tokio::test]
async fn a_plan_of_it_shows_everything_that_is_to_be_seen() {
    let mut demo = Demo::start(&["--plan", "--detailed-exitcode"]);
    let (status, out, _) = demo.end().await;
    assert_eq!(status.code(), Some(2), "{out}");
    for words in [
        "+ install  request-tag",
        "~ upgrade  acme-auth 1.4.2 > 2.0.0",
        "~ repair   header-guard",
        "- remove   legacy-hmac",
        "DELETES 2 rows; deletes files on 4 nodes; reloads 5 gateways",
        "6 nodes to change",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    demo.assert_nothing_left().await;
}

#[tokio::test]
async fn killed_at_any_time_it_leaves_nothing() {
    for begun in ["eu-canary  delivered", "activating", "committed"] {
        let mut demo = Demo::start(&["--apply", "--all"]);
        demo.until(begun).await;
        demo.signal(Signal::SIGKILL);
        demo.child.wait().await.unwrap();
        demo.assert_nothing_left().await;
    }
    // While it is being set up, too.
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Demo::start(&["--plan"]);
        let made =
            |name: &str| fs::read_dir(demo.temp.path()).unwrap().flatten().any(|dir| dir.path().join(name).exists());
        poll_until(LONG, "a gateway", || made("eu-1/prefix/pids/nginx.pid").then_some(())).await;
        demo.signal(signal);
        demo.child.wait().await.unwrap();
        demo.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn stopped_in_the_middle_it_ends_in_order_and_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Demo::start(&["--apply", "--all"]);
        demo.until("activating").await;
        demo.signal(signal);
        let (status, out, _) = demo.end().await;
        assert_eq!(status.code(), Some(130), "{out}");
        assert!(out.contains("verdict: interrupted, exit 130"), "{out}");
        demo.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn where_no_sshd_can_be_used_it_says_why_and_goes_on_without() {
    use std::os::unix::fs::PermissionsExt as _;
    let programs = tempfile::tempdir().unwrap();
    let keygen = programs.path().join("ssh-keygen");
    fs::write(&keygen, "#!/bin/sh\necho 'no keys today' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&keygen, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), variable("PATH").unwrap());
    let mut demo = Demo::start_with(&["--plan"], |command| {
        command.env("PATH", path);
    });
    let (status, out, err) = demo.end().await;
    assert_eq!(status.code(), Some(0), "{out}{err}");
    let last = "demo: 6 stand-in gateways without ssh, as sshd cannot be used: no keys today";
    assert_eq!(err.lines().last(), Some(last), "{err}");
    assert!(out.contains("6 nodes to change"), "{out}");
    demo.assert_nothing_left().await;
}
