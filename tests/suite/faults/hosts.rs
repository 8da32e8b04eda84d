//! What hosts are like: full, read-only, busy, strict with rights, and full of odd names.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use muster::action::ReloadWay;
use muster::perform::Perform as _;
use muster::run::{Outcome, StepEnd, StepPhase};
use muster::standin::site;

use super::fleet::{Operated, SCHEMA, ask};
use super::nodes::{Bench, Notes, bundle, handler, name};
use crate::harness::{poll_until, within};

const LONG: Duration = Duration::from_mins(2);

/// A small filesystem of its own, with what was there; `None` where nothing may be mounted.
struct Mounted(PathBuf);

impl Mounted {
    fn over(dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let copy = dir.with_extension("copy");
        assert!(Command::new("cp").arg("-a").arg(dir).arg(&copy).status().unwrap().success());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs"]).arg(dir).stderr(Stdio::null());
        if !mount.status().is_ok_and(|status| status.success()) {
            super::show("skipped: nothing can be mounted here");
            return None;
        }
        let mounted = Self(dir.to_owned());
        assert!(Command::new("cp").arg("-a").arg(copy.join(".")).arg(dir).status().unwrap().success());
        Some(mounted)
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[b'x'; 512]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn read_only(&self, on: bool) {
        let how = if on { "remount,ro" } else { "remount,rw" };
        assert!(Command::new("mount").args(["-o", how]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Full,
    ReadOnly,
}

/// A fault in one directory of a node, from after the delivery on; how the step ends, and what its cause says.
async fn faulty(place: impl Fn(&Bench) -> PathBuf, fault: Fault) -> Option<(Bench, Mounted, String, StepEnd)> {
    let bench = Bench::create(&[]);
    let mounted = Mounted::over(&place(&bench))?;
    bench.node.start().unwrap();
    let (facts, made) = (bench.look().await, bundle(&handler("1.0.0", "")));
    let performer = bench.performer(&facts, &made, LONG);
    performer.acquire(&name()).await.unwrap();
    bench.deliver(&performer, &made).await;
    match fault {
        Fault::Full => mounted.fill(),
        Fault::ReadOnly => mounted.read_only(true),
    }
    let end = within(LONG, "the step", bench.activated(&performer, &facts, &made, &Notes::default())).await;
    let said = match &end {
        StepEnd::Failed { cause } | StepEnd::RolledBack { cause } => {
            format!("{} {} {}", cause.code, cause.text, cause.details.join(" "))
        }
        other => panic!("{fault:?}: {other:?}"),
    };
    Some((bench, mounted, said, end))
}

/// Nothing of it is loaded, the node starts with what it had, and once the fault is gone the next run gets there.
async fn gets_there(bench: &Bench, mounted: &Mounted, fault: Fault) {
    assert!(bench.proxied());
    match fault {
        Fault::Full => mounted.empty(),
        Fault::ReadOnly => mounted.read_only(false),
    }
    bench.restart();
    let made = bundle(&handler("1.0.0", ""));
    let mut ends = Vec::new();
    for _ in 0..3 {
        let end = within(LONG, "the step", bench.bring(&made, ReloadWay::Candidate, &Notes::default())).await;
        let done = matches!(end, StepEnd::Done { .. });
        ends.push(end);
        if done {
            break;
        }
    }
    assert!(matches!(ends.last(), Some(StepEnd::Done { .. })), "{ends:?}");
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn a_full_or_read_only_home_is_said_and_nothing_is_touched() {
    for fault in [Fault::Full, Fault::ReadOnly] {
        let home = |bench: &Bench| PathBuf::from(bench.site.home.as_str());
        let Some((bench, mounted, said, end)) = faulty(home, fault).await else { return };
        assert!(matches!(end, StepEnd::Failed { .. }), "{end:?}");
        assert!(said.contains(bench.site.home.as_str()), "{said}");
        assert_eq!(bench.loaded().await, None);
        assert!(!bench.conf().contains("acme-auth"));
        gets_there(&bench, &mounted, fault).await;
    }
}

#[tokio::test]
async fn a_full_prefix_is_said_and_the_node_serves_as_before() {
    let Some((bench, mounted, said, _)) = faulty(|bench| bench.node.prefix.clone(), Fault::Full).await else { return };
    assert!(said.starts_with("write") && said.contains(bench.site.prefix.as_str()), "{said}");
    assert!(said.contains("Kong was not told") && !said.contains("error log"), "{said}");
    assert_eq!(bench.loaded().await, None);
    assert!(!bench.conf().contains("acme-auth"));
    gets_there(&bench, &mounted, Fault::Full).await;
}

#[tokio::test]
async fn a_kong_conf_that_cannot_be_written_is_said_and_kept_whole() {
    for fault in [Fault::Full, Fault::ReadOnly] {
        let etc = |bench: &Bench| bench.node.conf.parent().unwrap().to_owned();
        let Some((bench, mounted, said, end)) = faulty(etc, fault).await else { return };
        assert!(said.contains("kong.conf") && said.contains("written"), "{said} {end:?}");
        assert!(!said.contains("somebody else"), "{said}");
        assert!(bench.conf().contains("plugins = bundled\n"), "{}", bench.conf());
        let left: Vec<_> =
            fs::read_dir(bench.node.conf.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(left.iter().all(|name| name == "kong.conf" || name == "filler"), "{left:?}");
        gets_there(&bench, &mounted, fault).await;
    }
}

#[tokio::test]
async fn a_delivery_that_does_not_fit_is_said_and_leaves_nothing() {
    let fleet = Operated::started(&["a"]);
    let home = fleet.nodes[0].1.dir.join("muster");
    let Some(_mounted) = Mounted::over(&home) else { return };
    // What does not compress: the packed bundle alone is larger than the disk.
    let number = |n: u64| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).to_string();
    let noise: String = (0..60_000).map(number).collect();
    fleet.write("plugins/acme-auth/data.txt", &noise);
    fleet.commit_with("present");
    let (code, said) = fleet.run(&["--apply", "--all"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no space") || said.contains("space"), "{said}");
    let releases: Vec<_> = fs::read_dir(home.join("releases")).unwrap().flatten().collect();
    let files = Command::new("find").arg(home.join("releases")).args(["-type", "f"]).output().unwrap();
    assert!(files.stdout.is_empty(), "{releases:?} {}", String::from_utf8_lossy(&files.stdout));
    assert!(ask(SocketAddr::from((fleet.nodes[0].1.address, site::PROXY))).is_ok());
}

/// Loops that take what is left of the processors, until they are dropped or a minute is over.
struct Busy(Vec<Child>);

impl Busy {
    fn loops(count: usize) -> Self {
        let one = || {
            let mut command = Command::new("nice");
            command.args(["-n", "3", "timeout", "60", "sh", "-c", "while :; do :; done"]).spawn().unwrap()
        };
        Self((0..count).map(|_| one()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // timeout passes it on to its child.
            let _ = super::nodes::kill(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn on_a_busy_host_a_good_upgrade_is_proven_and_a_bad_one_put_back() {
    let bench = Bench::started(&[]);
    let _busy = Busy::loops(6);
    for round in 1..=2 {
        let version = format!("{round}.0.0");
        let good = bundle(&handler(&version, ""));
        let end = within(LONG, "the good one", bench.bring(&good, ReloadWay::Candidate, &Notes::default())).await;
        assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
        let bad = bundle(&handler(&format!("{round}.1.0"), "error(\"no\")"));
        let end = within(LONG, "the bad one", bench.bring(&bad, ReloadWay::Candidate, &Notes::default())).await;
        assert!(matches!(&end, StepEnd::RolledBack { cause } if cause.code == "reload-failed"), "{end:?}");
        assert_eq!(bench.loaded().await, Some(version));
    }
}

#[tokio::test]
async fn a_load_that_is_longer_than_any_patience_is_put_back_and_never_called_done() {
    let bench = Arc::new(Bench::started(&[]));
    let (facts, made) = (bench.look().await, bundle(&handler("1.0.0", "")));
    // The proof is given up twenty seconds before the guard's time is over.
    let performer = bench.performer(&facts, &made, Duration::from_secs(24));
    bench.node.change(|settings| settings.faults.endless_load = true).unwrap();
    let (node, once) = (bench.node.clone(), AtomicBool::new(true));
    let notes = Notes::at(move |phase, _| {
        if phase == StepPhase::PutBack && once.swap(false, Ordering::SeqCst) {
            node.change(|settings| settings.faults.endless_load = false).unwrap();
        }
    });
    let end = bench.bring_with(&performer, &facts, &made, ReloadWay::Candidate, &notes);
    let end = within(LONG, "the step", end).await;
    assert!(matches!(end, StepEnd::RolledBack { .. }), "{end:?}");
    assert_eq!(bench.loaded().await, None);
    assert!(bench.proxied() && !bench.conf().contains("acme-auth"));
    performer.release(&name()).await;
}

#[test]
fn file_names_of_any_bytes_reach_no_output() {
    let fleet = Operated::started(&["a"]);
    let root = fleet.nodes[0].1.plugin("acme-auth", "-- other\n", SCHEMA).unwrap();
    for odd in ["new\nline.lua", "back\\slash.lua", "esc\u{1b}[31m.lua", "\u{9b}31m.lua", "cr\rhidden.lua", "% x.lua"] {
        fs::write(root.join(odd), "x").unwrap();
    }
    let odd_bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"not utf8 \xff.lua");
    fs::write(root.join(odd_bytes), "x").unwrap();
    for args in [
        &["--plan"][..],
        &["--plan", "--format", "json"],
        &["status"],
        &["status", "--format", "json"],
        &["--apply", "--all"],
        &["--apply", "--all", "--format", "json"],
    ] {
        let (_, said) = fleet.run(args);
        assert!(said.contains("acme-auth"), "{args:?}: {said}");
        let raw: Vec<char> = said.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(raw.is_empty(), "{args:?}: {raw:?} in {said}");
        assert!(!said.lines().any(|line| line.trim_start().starts_with("line.lua")), "{args:?}: {said}");
        if args.contains(&"json") {
            for line in said.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
    }
    let (_, said) = fleet.run(&["--plan"]);
    assert!(said.contains("foreign-files"), "{said}");
}

#[tokio::test]
async fn under_umask_077_a_lazily_required_module_works_in_the_workers() {
    let fleet = Operated::started(&["a"]);
    let node = &fleet.nodes[0].1;
    if nix::unistd::geteuid().is_root() {
        node.change(|settings| settings.worker_user = Some("nobody".to_owned())).unwrap();
        node.stop().unwrap();
        node.start().unwrap();
    }
    let lazy = "local H = { PRIORITY = 900, VERSION = '1.0.0' }\nfunction H:header_filter()\n  \
        local ok, late = pcall(require, 'kong.plugins.acme-auth.deep.late')\n  \
        kong.response.set_header('X-Acme-Lazy', ok and late.text or 'ERR')\nend\nreturn H\n";
    fleet.write("plugins/acme-auth/handler.lua", lazy);
    fleet.write("plugins/acme-auth/deep/late.lua", "return { text = 'here' }\n");
    fleet.commit_with("present");
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_muster"), "--apply", "--all"]);
    let typed = fleet.muster(&[]);
    command.env_clear().envs(typed.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let out = command.current_dir(typed.get_current_dir().unwrap()).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stdout));
    // Workers are somebody else, and the cluster's database is a file.
    let open =
        |path: &Path, mode| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    open(fleet.dir(), 0o777);
    for entry in
        fs::read_dir(fleet.dir()).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with("cluster"))
    {
        open(&entry.path(), 0o666);
    }
    put_in_use(SocketAddr::from((node.address, site::ADMIN)));
    let proxy = SocketAddr::from((node.address, site::PROXY));
    let head = poll_until(LONG, "the plugin in use", || {
        ask(proxy).ok().filter(|head| head.contains("X-Acme-Lazy") || head.contains("x-acme-lazy"))
    });
    let head = head.await.to_lowercase();
    assert!(head.contains("x-acme-lazy: here"), "{head}");
}

fn put_in_use(admin: SocketAddr) {
    use std::io::Read as _;
    let mut stream = TcpStream::connect(admin).unwrap();
    let body = "{\"name\":\"acme-auth\"}";
    write!(
        stream,
        "POST /plugins HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
