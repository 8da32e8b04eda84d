//! Power cuts at every boundary: whatever was half done, the gateway starts, with the old content or the new, and the next
//! run gets there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muster::action::{Action, ReloadWay};
use muster::perform::Perform as _;
use muster::run::StepEnd;

use super::nodes::{AllDead, Bench, Made, Notes, bundle, handler, name, plugin, step};
use super::removal::{deletion, removal};
use crate::harness::within;

const LONG: Duration = Duration::from_mins(2);
/// What every process of the node's scripts has in its environment, with the directory of the tools as its value: of all
/// variables the local transport passes on a home.
const MARK: &str = "HOME";
/// The tools that make a change or make it durable.
const TOOLS: [&str; 4] = ["mv", "sync", "ln", "rm"];

/// Tools that count their calls together, and cut the power of the node before the Nth.
struct Switch {
    dir: PathBuf,
}

impl Switch {
    fn create(dir: &Path) -> Self {
        let dir = dir.join("tools");
        fs::create_dir(&dir).unwrap();
        for tool in TOOLS {
            let real =
                ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(tool)).into_iter().find(|path| path.is_file());
            let real = real.unwrap();
            let (real, here) = (real.display(), dir.display());
            // Everything of the node dies: the scripts and the guard by their mark, then the master, then its workers.
            let text = format!(
                r#"#!/bin/sh
at= count=0
{{ read -r at <'{here}/at'; }} 2>/dev/null
[ -n "$at" ] || exec {real} "$@"
for last; do :; done
case $last in /proc/*) exec {real} "$@" ;; esac
[ {tool} != rm ] || [ -e "$last" ] || [ -h "$last" ] || exec {real} "$@"
[ ! -e '{here}/cut' ] || kill -9 $$
echo {tool} "$@" >>'{here}/calls'
while read -r _; do count=$((count + 1)); done <'{here}/calls'
[ "$count" -ge "$at" ] || exec {real} "$@"
echo {tool} "$@" >'{here}/cut'
read -r master <'{here}/../node/prefix/pids/nginx.pid'
[ -z "$master" ] || kill -STOP "$master"
workers=$(cat "/proc/$master/task/$master/children" 2>/dev/null)
for each in $(grep -lsz '^{MARK}={here}$' /proc/[0-9]*/environ | tr -dc '0-9\n'); do
	[ "$each" = $$ ] || kill -9 "$each" 2>/dev/null
done
kill -9 "$master" $workers
kill -9 $$
"#
            );
            let file = dir.join(tool);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir }
    }

    fn arm(&self, at: usize) {
        fs::write(self.dir.join("at"), format!("{at}\n")).unwrap();
    }

    /// Before which call it happened; `None` if it did not.
    fn cut(&self) -> Option<String> {
        let _ = fs::remove_file(self.dir.join("at"));
        let _ = fs::remove_file(self.dir.join("calls"));
        let text = fs::read_to_string(self.dir.join("cut")).ok()?;
        fs::remove_file(self.dir.join("cut")).unwrap();
        Some(text.trim().to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Install,
    Upgrade,
    Failing,
}

fn good(version: &str) -> Made {
    bundle(&handler(version, ""))
}

/// What lies on the disk was written in another boot.
fn another_boot(bench: &Bench) {
    let state = Path::new(bench.site.home.as_str()).join("state");
    for file in ["lease", "guard/facts"] {
        let Ok(text) = fs::read_to_string(state.join(file)) else { continue };
        let lines = text.lines().map(|line| if line.starts_with("boot ") { "boot another" } else { line });
        fs::write(state.join(file), lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }
}

async fn bring(bench: &Bench, made: &Made) -> StepEnd {
    within(LONG, "the step", bench.bring(made, ReloadWay::Candidate, &Notes::default())).await
}

/// A node whose power can be cut.
struct Plant {
    switch: Switch,
    bench: Bench,
    /// The version that it has.
    has: Option<String>,
    _dir: tempfile::TempDir,
}

impl Plant {
    async fn create(kind: Kind) -> Self {
        let dir = tempfile::Builder::new().prefix("mp").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let switch = Switch::create(dir.path());
        let mark = (MARK.to_owned(), switch.dir.display().to_string());
        let bench = Bench::started_in(dir.path(), &switch.dir, &mark);
        let mut plant = Self { switch, bench, has: None, _dir: dir };
        if kind != Kind::Install {
            assert!(matches!(bring(&plant.bench, &good("1.0.0")).await, StepEnd::Done { .. }));
            plant.has = Some("1.0.0".to_owned());
        }
        plant
    }

    /// One cut: a row for the table; `None` if the step was over before.
    async fn cut(&mut self, kind: Kind, at: usize) -> Option<String> {
        let version = format!("2.0.{at}");
        let wanted = if kind == Kind::Failing { bundle(&handler(&version, "error(\"no\")")) } else { good(&version) };
        let facts = self.bench.look().await;
        let performer = self.bench.performer(&facts, &wanted, Duration::from_mins(1));
        performer.acquire(&name()).await.unwrap();
        self.bench.deliver(&performer, &wanted).await;
        self.switch.arm(at);
        let notes = Notes::default();
        let end = self.bench.activated(&performer, &facts, &wanted, &notes);
        let end = within(LONG, "the step", end).await;
        let call = self.switch.cut()?;
        let when = format!("{kind:?}, cut before call {at} ({call})");
        assert!(!matches!(end, StepEnd::Done { .. }) || kind != Kind::Failing, "{when}: false success");
        if at % 2 == 1 {
            another_boot(&self.bench);
        }
        self.bench.starts(&when);
        let serves = self.bench.loaded().await;
        let new = Some(&version).filter(|_| kind != Kind::Failing);
        assert!(serves == self.has || serves.as_ref() == new, "{when}: it serves {serves:?} instead of {:?}", self.has);
        self.settle(kind, &wanted, version, &when).await;
        let word = if serves == self.has && kind != Kind::Failing { "new" } else { "old" };
        Some(format!("{kind:?} {at:3}: serves the {word}, {call:.60}"))
    }

    /// The next run: the good one gets there, the bad one is put back.
    async fn settle(&mut self, kind: Kind, wanted: &Made, version: String, when: &str) {
        let end = bring(&self.bench, wanted).await;
        let facts = self.bench.look().await;
        let loaded = facts.admin.as_ref().unwrap().loaded.get(&plugin()).cloned().flatten();
        assert!(facts.guard.is_none(), "{when}: {:?}", facts.guard);
        match (kind, &end) {
            (Kind::Failing, StepEnd::RolledBack { .. }) => {}
            (Kind::Install | Kind::Upgrade, StepEnd::Done { .. }) => self.has = Some(version),
            _ => panic!("{when}: the next run ends with {end:?}"),
        }
        assert_eq!(loaded, self.has, "{when}");
        assert!(self.bench.conf().contains("plugins = bundled,acme-auth"), "{when}");
    }
}

/// Every cut of one kind, until the step is over before it comes.
async fn every_cut(kind: Kind, next: &AtomicUsize, over: &AtomicUsize) -> Vec<String> {
    let (mut rows, mut plant) = (Vec::new(), Plant::create(kind).await);
    loop {
        let at = next.fetch_add(1, Ordering::SeqCst);
        if at >= over.load(Ordering::SeqCst) {
            return rows;
        }
        match plant.cut(kind, at).await {
            Some(row) => rows.push(row),
            None => drop(over.fetch_min(at, Ordering::SeqCst)),
        }
        if kind == Kind::Install {
            plant = Plant::create(kind).await;
        }
    }
}

#[test]
fn after_a_power_cut_at_any_boundary_the_gateway_starts_with_the_old_content_or_the_new() {
    let table = Mutex::new(Vec::new());
    let kinds = [Kind::Install, Kind::Upgrade, Kind::Failing];
    let next = kinds.map(|_| AtomicUsize::new(1));
    let over = kinds.map(|_| AtomicUsize::new(usize::MAX));
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (table, kind, next, over) = (&table, kinds[thread % 3], &next[thread % 3], &over[thread % 3]);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let rows = runtime.block_on(every_cut(kind, next, over));
                table.lock().unwrap().extend(rows);
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.sort();
    super::show(&table.join("\n"));
    for kind in kinds {
        let cuts = table.iter().filter(|row| row.starts_with(&format!("{kind:?}"))).count();
        assert!(cuts > 10, "{kind:?}: only {cuts} cuts");
    }
}

/// The second step of a removal, then the third with a cut in its middle, the start, and the next run: a row for the table;
/// `None` if the third step was over before.
async fn cut_deletion(plant: &mut Plant, at: usize) -> Option<String> {
    let bench = &plant.bench;
    let made = good(&format!("1.1.{at}"));
    assert!(matches!(bring(bench, &made).await, StepEnd::Done { .. }));
    let facts = bench.look().await;
    let performer = bench.performer(&facts, &made, Duration::from_mins(1)).beside(Arc::new(AllDead));
    performer.acquire(&name()).await.unwrap();
    let end = performer.perform(&step(3, removal(bench, &facts, &made)), &Notes::default()).await;
    assert!(matches!(end, StepEnd::Done { .. }), "{end:?}");
    let delete = Action::Delete(Box::new(deletion(&*bench.look().await).unwrap()));
    plant.switch.arm(at);
    let end = within(LONG, "the step", performer.perform(&step(4, delete), &Notes::default())).await;
    let call = plant.switch.cut();
    let when = format!("deletion, cut before call {at} ({call:?})");
    assert_eq!(matches!(end, StepEnd::Done { .. }), call.is_none(), "{when}: {end:?}");
    let call = call?;
    if at % 2 == 1 {
        another_boot(bench);
    }
    bench.starts(&when);
    assert!(bench.loaded().await.is_none() && bench.proxied(), "{when}");
    // The next run does what is left, and nothing of it is left open.
    let facts = bench.look().await;
    let next = bench.performer(&facts, &made, Duration::from_mins(1)).beside(Arc::new(AllDead));
    next.acquire(&name()).await.unwrap();
    if let Some(delete) = deletion(&facts) {
        let end = next.perform(&step(4, Action::Delete(Box::new(delete))), &Notes::default()).await;
        assert!(matches!(end, StepEnd::Done { .. }), "{when}: {end:?}");
    }
    next.release(&name()).await;
    let (facts, home) = (bench.look().await, Path::new(bench.site.home.as_str()));
    assert!(deletion(&facts).is_none(), "{when}: {:?}", facts.manifest);
    assert!(facts.receipts.iter().all(|receipt| receipt.result.is_some()), "{when}: {:?}", facts.receipts);
    assert!(!bench.node.lua_root.join("kong/plugins/acme-auth").is_symlink(), "{when}");
    for dir in ["releases", "current"] {
        assert_eq!(fs::read_dir(home.join(dir)).unwrap().count(), 0, "{when}: {dir}");
    }
    Some(format!("deletion {at:3}: {call:.60}"))
}

#[test]
fn after_a_power_cut_in_the_middle_of_a_deletion_the_gateway_starts_and_the_next_run_ends_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let (mut rows, mut plant) = (Vec::new(), Plant::create(Kind::Install).await);
        while let Some(row) = cut_deletion(&mut plant, rows.len() + 1).await {
            rows.push(row);
        }
        rows
    });
    super::show(&rows.join("\n"));
    assert!(rows.len() > 5, "only {} cuts", rows.len());
}
