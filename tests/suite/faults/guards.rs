//! What an earlier run left on a node: a guard that is armed, one whose process is dead, a commit that was begun.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster::action::ReloadWay;
use muster::perform::{LeaseRefusal, Perform as _};
use muster::run::{StepEnd, StepPhase};
use nix::sys::signal::Signal;

use super::nodes::{AllDead, Bench, Made, Notes, bundle, children, handler, kill, name};
use crate::harness::{poll_until, within};

const LONG: Duration = Duration::from_mins(2);

fn good(version: &str) -> Made {
    bundle(&handler(version, ""))
}

fn guard(bench: &Bench) -> PathBuf {
    Path::new(bench.site.home.as_str()).join("state/guard")
}

fn guards_pid(bench: &Bench) -> i32 {
    fs::read_to_string(guard(bench).join("ready")).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// The scripts of this bench: they have its tools' directory as their home.
fn scripts(dir: &Path) -> Vec<i32> {
    let mark = [b"HOME=", dir.as_os_str().as_encoded_bytes()].concat();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let marked = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|env| env.split(|byte| *byte == 0).any(|var| var == mark))
    };
    pids.filter(marked).collect()
}

/// What is killed of an upgrade, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    /// The script, in the proof; its guard lives.
    Script,
    /// The script and its guard.
    Both,
}

/// A node with 1.0.0 on which an upgrade to 2.0.0 has just died like this.
async fn died(death: Death) -> (tempfile::TempDir, Bench) {
    let dir = tempfile::Builder::new().prefix("mg").tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tools = dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let bench = Bench::started_in(dir.path(), &tools, &("HOME".to_owned(), tools.display().to_string()));
    let end = bench.bring(&good("1.0.0"), ReloadWay::Candidate, &Notes::default()).await;
    assert!(matches!(end, StepEnd::Done { .. }), "{end:?}");
    let (facts, made) = (bench.look().await, good("2.0.0"));
    bench.node.change(|settings| settings.faults.slow_load = 1.0).unwrap();
    let performer = bench.performer(&facts, &made, Duration::from_mins(10));
    let (ready, mut once) = (guard(&bench), true);
    let tools_of = tools.clone();
    let notes = Notes::at(move |phase, text| {
        if phase != StepPhase::Prove || !text.starts_with("still loading") || !std::mem::take(&mut once) {
            return;
        }
        let text = fs::read_to_string(ready.join("ready")).unwrap();
        let guard: i32 = text.split(' ').next().unwrap().parse().unwrap();
        let spared: Vec<i32> = if death == Death::Both { vec![] } else { [vec![guard], children(guard)].concat() };
        for pid in scripts(&tools_of).into_iter().filter(|pid| !spared.contains(pid)) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let end = within(LONG, "the step", bench.bring_with(&performer, &facts, &made, ReloadWay::Candidate, &notes)).await;
    assert!(matches!(end, StepEnd::Unknown { .. }), "{end:?}");
    bench.node.change(|settings| settings.faults.slow_load = 0.0).unwrap();
    (dir, bench)
}

#[tokio::test]
async fn while_another_musters_guard_is_armed_nobody_begins_and_then_it_has_put_back() {
    let (_dir, bench) = died(Death::Script).await;
    let (facts, made) = (bench.look().await, good("2.0.0"));
    let performer = bench.performer(&facts, &made, LONG).beside(std::sync::Arc::new(AllDead));
    let refusal = performer.acquire(&name()).await.unwrap_err();
    let LeaseRefusal::Held(cause) = refusal else { panic!("{refusal:?}") };
    assert!(cause.text.contains("guarded by step") && !cause.hints.is_empty(), "{cause:?}");
    // As its own muster asks it to, or its deadline does.
    fs::write(guard(&bench).join("fire"), "").unwrap();
    let until = tokio::time::Instant::now() + LONG;
    while performer.acquire(&name()).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "the guard never ends");
    }
    performer.release(&name()).await;
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
    let until = tokio::time::Instant::now() + LONG;
    while bench.look().await.ready != Some(200) {
        assert!(tokio::time::Instant::now() < until, "it is not ready any more");
    }
    comes_to(&bench, "2.0.0").await;
}

#[tokio::test]
async fn a_guard_whose_process_is_dead_is_settled_by_the_next_run() {
    let (_dir, bench) = died(Death::Both).await;
    assert!(guard(&bench).join("armed").exists(), "it fired");
    let stat = format!("/proc/{}/stat", guards_pid(&bench));
    poll_until(LONG, "the guard's end", || {
        fs::read_to_string(&stat).map_or(Some(()), |stat| stat.contains(") Z ").then_some(()))
    })
    .await;
    assert!(bench.proxied());
    comes_to(&bench, "2.0.0").await;
    let receipts = bench.look().await.receipts.clone();
    assert!(receipts.iter().any(|receipt| receipt.result.as_deref() == Some("undone proved")), "{receipts:?}");
    assert!(receipts.iter().all(|receipt| receipt.result.is_some()), "one is open: {receipts:?}");
}

/// The next run, and if that found the node other than it was seen because it first settled it, the one after.
async fn comes_to(bench: &Bench, version: &str) {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (made, notes) = (good(version), Notes::default());
        let end = within(LONG, "the next run", bench.bring(&made, ReloadWay::Candidate, &notes)).await;
        assert!(!matches!(end, StepEnd::Failed { .. } | StepEnd::Unknown { .. }), "{end:?}");
        let done = matches!(end, StepEnd::Done { .. });
        ends.push(end);
        if done {
            break;
        }
    }
    assert!(matches!(ends.last(), Some(StepEnd::Done { .. })), "{ends:?}");
    assert_eq!(bench.loaded().await.as_deref(), Some(version));
    assert!(!guard(bench).exists());
    bench.restart();
    assert_eq!(bench.loaded().await.as_deref(), Some(version));
}
