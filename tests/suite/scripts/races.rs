//! Two at the same moment: the guard and a confirmation; muster and another writer of kong.conf.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use muster::name::Digest;
use muster::remote::Script;

use super::speak::{Shell, before_path, is_there, until};

const PRELUDE: &str = include_str!("../../../src/remote/scripts/prelude.sh");
const COMMIT: &str = include_str!("../../../src/remote/scripts/commit.sh");

/// A guard that has been posted, with nothing to put back.
fn post(dir: &Path, shell: Shell, deadline: u64) -> std::process::Child {
    let guard = dir.join("guard");
    fs::create_dir_all(guard.join("save")).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let facts = format!(
        "step X.1\nboot {}\ndeadline {deadline}\nmaster -\nstart -\nprefix {}\nreceipt {}\n",
        boot.trim(),
        dir.display(),
        dir.join("receipt").display()
    );
    fs::write(guard.join("facts"), facts).unwrap();
    fs::write(guard.join("armed"), "").unwrap();
    let script = dir.join("script");
    fs::write(&script, Script::Activate.text()).unwrap();
    let mut command = shell.command();
    command.arg(&script).arg("guard").arg(&guard).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().unwrap();
    until("the guard", || guard.join("ready").exists());
    child
}

fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split('.').next().unwrap().parse().unwrap()
}

/// One race: the guard is asked, or its time comes, while somebody confirms. True if the confirmation won.
fn race(turn: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let shells = Shell::all();
    let shell = shells[usize::try_from(turn).unwrap() % shells.len()];
    let by_time = turn.is_multiple_of(3);
    let mut child = post(dir.path(), shell, if by_time { uptime() + 1 } else { uptime() + 600 });
    let guard = dir.path().join("guard");
    if !by_time {
        fs::write(guard.join("fire"), "").unwrap();
    }
    // The guard looks every tenth of a second; by the clock it moves when the whole second turns.
    let wait = Duration::from_millis(if by_time { turn * 53 % 2000 } else { turn * 7 % 140 });
    std::thread::sleep(wait);
    let confirmed = fs::rename(guard.join("armed"), guard.join("confirmed")).is_ok();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the guard does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    let exists = |name: &str| guard.join(name).exists();
    assert_eq!((exists("confirmed"), exists("fired")), (confirmed, !confirmed), "turn {turn}");
    assert!(!exists("armed"));
    // Who won has acted, who lost has not.
    assert_eq!(exists("done"), !confirmed);
    assert_eq!(dir.path().join("receipt").exists(), !confirmed);
    confirmed
}

#[test]
fn in_sixty_races_exactly_one_side_has_the_token() {
    let won: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..6).map(|t| scope.spawn(move || (0..10).map(|i| race(t * 10 + i)).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let confirmed = won.iter().filter(|won| **won).count();
    assert_eq!(won.len(), 60);
    assert!(confirmed > 0 && confirmed < 60, "one side always won: this was no race");
}

/// What the commit does with kong.conf, again and again in one shell: each try waits for a line, and says how it ended.
const SWAPS: &str = r#"
a_home=$1 conf_real=$2 run=X step=1
settle() { :; }
arg() { arg=$inserted; [ "$1" != conf_offset ] || arg=0; [ "$1" != conf_remove ] || arg=0; }
while read -r try; do
	inserted="muster $try\\012"
	sum "$conf_real"
	conf_before=$sum
	{ printf "$inserted"; cat "$conf_real"; } >"$conf_real.want"
	sum "$conf_real.want"
	conf_after=$sum
	edited=$conf_real.none
	echo begun
	if edit_conf && swap_conf && check_conf; then echo "did"; else rm -f "$edited"; echo "lost"; fi
done
"#;

/// How a writer writes: as an editor or a configuration manager does, by rename, or as `echo line >>` does.
fn write_line(conf: &Path, line: &str, append: bool) {
    if append {
        let mut file = fs::OpenOptions::new().append(true).open(conf).unwrap();
        writeln!(file, "{line}").unwrap();
    } else {
        let text = fs::read_to_string(conf).unwrap();
        let beside = conf.with_extension("other");
        fs::write(&beside, format!("{text}{line}\n")).unwrap();
        fs::rename(&beside, conf).unwrap();
    }
}

/// Nobody can stop the other writer from replacing our text by one that it made of what it read before; but nothing of what
/// it wrote may get lost by our doing.
#[test]
fn in_a_thousand_tries_a_writer_at_the_same_moment_loses_nothing() {
    if !is_there("perl") {
        return;
    }
    let shells = Shell::all();
    let tries = 1000 / shells.len() + 1;
    let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = shells.iter().map(|shell| scope.spawn(move || contend(*shell, tries))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let done: usize = counts.iter().map(|(done, _)| done).sum();
    let lost: usize = counts.iter().map(|(_, lost)| lost).sum();
    assert!(done > 0 && lost > 0, "it was always too early or always too late: {counts:?}");
}

fn contend(shell: Shell, tries: usize) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("kong.conf");
    let script = dir.path().join("script");
    fs::write(&script, format!("{PRELUDE}\n{COMMIT}\n{SWAPS}")).unwrap();
    let mut command = shell.command();
    command.arg(&script).arg(dir.path()).arg(&conf).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut done, mut lost) = (0, 0);
    for turn in 0..tries {
        fs::write(&conf, "plugins = bundled\n").unwrap();
        writeln!(to, "{turn}").unwrap();
        assert_eq!(from.next().unwrap().unwrap(), "begun");
        // Somewhere in the time that the swap takes, which is a few starts of programs.
        std::thread::sleep(Duration::from_micros(u64::try_from(turn).unwrap() * 137 % 90_000));
        write_line(&conf, "other", turn.is_multiple_of(2));
        match from.next().unwrap().unwrap().as_str() {
            "did" => done += 1,
            "lost" => lost += 1,
            other => panic!("{other}"),
        }
        let text = fs::read_to_string(&conf).unwrap();
        assert!(text.contains("plugins = bundled\n") && text.contains("other\n"), "{shell:?}, try {turn}: {text:?}");
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    (done, lost)
}

#[test]
fn who_writes_into_the_old_file_after_the_exchange_is_heard() {
    let checks = r#"
a_home=$1 conf_real=$2 edited=$2.edited swapped=
sum "$conf_real"; conf_before=$sum
sum "$edited"; conf_after=$sum
exec 4>>"$conf_real"
swap_conf || exit 3
echo late >&4
check_conf && exit 4
exit 0
"#;
    for shell in Shell::all().into_iter().filter(|_| is_there("perl")) {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("kong.conf");
        fs::write(&conf, "before\n").unwrap();
        fs::write(dir.path().join("kong.conf.edited"), "after\n").unwrap();
        let script = dir.path().join("script");
        fs::write(&script, format!("{PRELUDE}\n{COMMIT}\n{checks}")).unwrap();
        let status = shell.command().arg(&script).arg(dir.path()).arg(&conf).status().unwrap();
        assert_eq!(status.code(), Some(0), "{shell:?}");
        assert_eq!(fs::read_to_string(&conf).unwrap(), "before\nlate\n", "{shell:?}");
    }
}

#[test]
fn where_names_cannot_be_exchanged_the_file_is_checked_and_replaced() {
    // A perl that cannot: the fallback is a check and a rename, and in place on a mount point.
    let shell = Shell::Dash;
    let dir = tempfile::tempdir().unwrap();
    let tools = dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("perl"), "#!/bin/sh\nexit 1\n").unwrap();
    Command::new("chmod").arg("+x").arg(tools.join("perl")).status().unwrap();
    let conf = dir.path().join("kong.conf");
    let script = dir.path().join("script");
    let body = r"
a_home=$1 conf_real=$2 edited=$2.edited swapped=
conf_before=$3 conf_after=$4
swap_conf && check_conf
";
    fs::write(&script, format!("{PRELUDE}\n{COMMIT}\n{body}")).unwrap();
    let run = |before: &str| {
        fs::write(&conf, "before\n").unwrap();
        fs::write(dir.path().join("kong.conf.edited"), "after\n").unwrap();
        let mut command = shell.command();
        command.env("PATH", before_path(&tools)).arg(&script).arg(dir.path()).arg(&conf);
        command.arg(Digest::of(before.as_bytes()).as_str()).arg(Digest::of(b"after\n").as_str());
        let ok = command.status().unwrap().success();
        (ok, fs::read_to_string(&conf).unwrap())
    };
    assert_eq!(run("before\n"), (true, "after\n".to_owned()));
    assert_eq!(run("something else\n"), (false, "before\n".to_owned()));
}
