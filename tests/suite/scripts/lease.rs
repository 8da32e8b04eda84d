//! The lease: one run at a time, until its time is up or the machine was started again.

use std::fs;
use std::path::Path;

use muster::remote::Script;
use muster::wire::{Args, Lease, Status};

use super::speak::{Answer, Shell, call};

const FIRST: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const SECOND: &str = "01BX5ZZKBKACTAV9WEVGEMMVRZ";

fn args(home: &Path, pairs: &[(&str, &str)]) -> Args {
    let args = Args::new().with("home", home.to_str().unwrap()).unwrap();
    pairs.iter().fold(args, |args, (key, value)| args.with(key, value).unwrap())
}

fn take(shell: Shell, home: &Path, run: &str, ttl: &str) -> Answer {
    let args = args(home, &[("op", "take"), ("run", run), ("holder", "me @ ops"), ("ttl", ttl)]);
    call(shell, Script::Lease, &args, None)
}

fn other(shell: Shell, home: &Path, op: &str, run: &str, generation: &str) -> Answer {
    call(shell, Script::Lease, &args(home, &[("op", op), ("run", run), ("generation", generation)]), None)
}

fn lease(home: &Path) -> Lease {
    Lease::parse(&fs::read_to_string(home.join("state/lease")).unwrap()).unwrap()
}

#[test]
fn a_lease_is_for_one_run_until_it_is_given_back() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("ho me");
        let answer = take(shell, &home, FIRST, "600").ends(Status::Changed);
        assert_eq!(answer.one("lease")[..2], ["1", "600"], "{shell:?}");
        assert_eq!((lease(&home).generation, lease(&home).holder.as_str()), (1, "me @ ops"), "{shell:?}");
        // The same run again is no takeover.
        assert_eq!(take(shell, &home, FIRST, "600").ends(Status::Changed).one("lease")[0], "1");
        let answer = take(shell, &home, SECOND, "600").ends(Status::Locked);
        assert_eq!(answer.one("locked")[..2], ["me @ ops", FIRST]);
        assert!(answer.one("locked")[2].parse::<u64>().unwrap() > 500);
        other(shell, &home, "renew", SECOND, "1").ends(Status::Locked);
        other(shell, &home, "renew", FIRST, "2").ends(Status::Locked);
        other(shell, &home, "renew", FIRST, "1").ends(Status::Changed);
        other(shell, &home, "release", SECOND, "1").ends(Status::Unchanged);
        other(shell, &home, "release", FIRST, "1").ends(Status::Changed);
        assert_eq!(take(shell, &home, SECOND, "600").ends(Status::Changed).one("lease")[0], "2");
        other(shell, &home, "renew", FIRST, "1").ends(Status::Locked);
    }
}

#[test]
fn a_lease_ends_by_its_time_and_with_the_boot() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        take(shell, dir.path(), FIRST, "0").ends(Status::Changed);
        assert_eq!(take(shell, dir.path(), SECOND, "600").ends(Status::Changed).one("lease")[0], "2");
        let file = dir.path().join("state/lease");
        let boot = lease(dir.path()).boot;
        fs::write(&file, fs::read_to_string(&file).unwrap().replace(&boot, "another-boot")).unwrap();
        // After a reboot the holder is fenced off, too: what it knew of the node is void.
        other(shell, dir.path(), "renew", SECOND, "2").ends(Status::Locked);
        assert_eq!(take(shell, dir.path(), FIRST, "600").ends(Status::Changed).one("lease")[0], "3");
    }
}

#[test]
fn nobody_takes_over_while_a_guard_lives() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        take(shell, dir.path(), FIRST, "0").ends(Status::Changed);
        let guard = dir.path().join("state/guard");
        fs::create_dir(&guard).unwrap();
        fs::write(guard.join("armed"), "").unwrap();
        fs::write(guard.join("facts"), format!("step {FIRST}.7\ndeadline 99999999\n")).unwrap();
        let me = std::process::id();
        let stat = fs::read_to_string(format!("/proc/{me}/stat")).unwrap();
        let begun = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().to_owned();
        fs::write(guard.join("ready"), format!("{me} {begun}\n")).unwrap();
        let answer = take(shell, dir.path(), SECOND, "600").ends(Status::Locked);
        assert_eq!(answer.one("locked")[..2], ["guard", &format!("{FIRST}.7")]);
        // The number is somebody else's by now: the guard is dead.
        fs::write(guard.join("ready"), format!("{me} 1\n")).unwrap();
        take(shell, dir.path(), SECOND, "600").ends(Status::Changed);
    }
}

#[test]
fn a_lease_of_an_unknown_format_is_left_alone() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        take(shell, dir.path(), FIRST, "0").ends(Status::Changed);
        fs::write(dir.path().join("state/lease"), "muster-lease 9\n").unwrap();
        let answer = take(shell, dir.path(), SECOND, "600").ends(Status::Refused);
        assert_eq!(answer.one("problem")[0], "unknown-format");
        assert_eq!(fs::read_to_string(dir.path().join("state/lease")).unwrap(), "muster-lease 9\n");
    }
}

#[test]
fn the_kernel_lock_is_waited_for_and_then_said() {
    let dir = tempfile::tempdir().unwrap();
    take(Shell::Dash, dir.path(), FIRST, "600").ends(Status::Changed);
    let file = fs::File::open(dir.path().join("state/lock")).unwrap();
    file.lock().unwrap();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let home = dir.path();
        let talks: Vec<_> = Shell::all()
            .into_iter()
            .map(|shell| scope.spawn(move || other(shell, home, "renew", FIRST, "1")))
            .collect();
        talks.into_iter().map(|talk| talk.join().unwrap()).collect()
    });
    for answer in answers {
        assert_eq!(answer.ends(Status::Locked).one("locked")[0], "script");
    }
    drop(file);
    other(Shell::Dash, dir.path(), "renew", FIRST, "1").ends(Status::Changed);
}

#[test]
fn arguments_that_are_not_ours_end_it_before_anything_is_made() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let odd = args(&home, &[("op", "take"), ("run", "$(touch x)"), ("holder", "me")]);
        call(shell, Script::Lease, &odd, None).ends(Status::Protocol);
        let odd = args(&home, &[("op", "take"), ("run", FIRST), ("holder", "me"), ("ttl", "1+1")]);
        call(shell, Script::Lease, &odd, None).ends(Status::Protocol);
        assert!(!home.exists());
    }
}

#[test]
fn a_lease_is_taken_from_the_run_that_is_named_dead_and_not_while_its_guard_lives() {
    for shell in Shell::all() {
        let dir = tempfile::tempdir().unwrap();
        take(shell, dir.path(), FIRST, "600").ends(Status::Changed);
        let over = |dead: &str| {
            let args = args(dir.path(), &[("op", "take"), ("run", SECOND), ("holder", "me"), ("dead", dead)]);
            call(shell, Script::Lease, &args, None)
        };
        over(SECOND).ends(Status::Locked);
        let guard = dir.path().join("state/guard");
        fs::create_dir(&guard).unwrap();
        fs::write(guard.join("armed"), "").unwrap();
        let (pid, start) = (std::process::id(), super::gateway::start_of(std::process::id()).unwrap());
        fs::write(guard.join("ready"), format!("{pid} {start}\n")).unwrap();
        fs::write(guard.join("facts"), "step X.1\ndeadline 99999999\n").unwrap();
        assert_eq!(over(FIRST).ends(Status::Locked).one("locked")[0], "guard", "{shell:?}");
        fs::remove_dir_all(&guard).unwrap();
        assert_eq!(over(FIRST).ends(Status::Changed).one("lease")[0], "2", "{shell:?}");
        other(shell, dir.path(), "renew", FIRST, "1").ends(Status::Locked);
    }
}
