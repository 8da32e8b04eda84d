//! `deliver`: a bundle in its release directory, whole, readable, and nothing else; or nothing.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use muster::name::Digest;
use muster::remote::Script;
use muster::wire::{Args, Status};

use super::gateway::{Node, RUN, digest};
use super::speak::{Answer, LINE, Shell, Talk, call, call_with, is_there, skip};

type Files = Vec<(&'static str, String)>;

fn files() -> Files {
    vec![
        ("kong/plugins/x/handler.lua", "return {}\n".to_owned()),
        ("kong/plugins/x/a b 'c'.txt", "blanks\n".to_owned()),
        ("kong/plugins/x/über.lua", "-- not ASCII\n".to_owned()),
        ("resty/x.lua", "x".repeat(100_000)),
    ]
}

/// A tar.gz with careless modes, as they come from anywhere.
fn pack(files: &Files, more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o6700);
        header.set_uid(12345);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    more(&mut tar);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

fn args(node: &Node, files: &Files) -> Args {
    let list = files.iter().map(|(path, text)| format!("{} {path}", Digest::of(text.as_bytes())));
    let args = Args::new().with("home", node.home.to_str().unwrap()).unwrap();
    let args = args.with("prefix", node.prefix.to_str().unwrap()).unwrap();
    let args = args.with("bundle", "x").unwrap().with("digest", digest("x")).unwrap();
    let args = args.with("run", RUN).unwrap().with("step", "3").unwrap();
    args.with("generation", node.generation.to_string()).unwrap().with_list("file", list).unwrap()
}

fn release(node: &Node) -> PathBuf {
    node.home.join("releases/x").join(digest("x"))
}

fn deliver(shell: Shell, node: &Node, payload: &[u8]) -> Answer {
    call(shell, Script::Deliver, &args(node, &files()), Some(payload))
}

#[track_caller]
fn holds(node: &Node, files: &Files) {
    for (path, text) in files {
        let file = release(node).join(path);
        assert_eq!(&fs::read_to_string(&file).unwrap(), text, "{path}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644, "{path}");
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o755, "{path}");
    }
    no_leftovers(node);
}

#[track_caller]
fn no_leftovers(node: &Node) {
    let names = fs::read_dir(node.home.join("releases")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_str().unwrap().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_bundle_arrives_whole_and_readable_and_again_is_unchanged() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let node = Node::new();
        let answer = deliver(shell, &node, &payload).ends(Status::Changed);
        assert_eq!(answer.one("release")[0], release(&node).to_str().unwrap());
        holds(&node, &files());
        // The second run needs no payload, and takes one.
        deliver(shell, &node, &payload).ends(Status::Unchanged);
        deliver(shell, &node, b"").ends(Status::Unchanged);
        // Modes that somebody changed are set right, without a word.
        fs::set_permissions(release(&node).join("resty"), fs::Permissions::from_mode(0o700)).unwrap();
        deliver(shell, &node, b"").ends(Status::Unchanged);
        holds(&node, &files());
    }
}

#[test]
fn a_umask_of_077_on_the_node_changes_nothing() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let node = Node::new();
        let text = format!("umask 077\n{}", Script::Deliver.text());
        let mut talk = Talk::start_text(shell, &text, &args(&node, &files()), None);
        talk.say(&payload);
        talk.hang_up();
        talk.end().ends(Status::Changed);
        holds(&node, &files());
        assert_eq!(fs::metadata(node.home.join("releases/x")).unwrap().permissions().mode() & 0o777, 0o755);
    }
}

#[test]
fn what_was_edited_by_hand_goes_to_the_attic() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let node = Node::new();
        deliver(shell, &node, &payload).ends(Status::Changed);
        fs::write(release(&node).join("resty/x.lua"), "edited\n").unwrap();
        let answer = deliver(shell, &node, &payload).ends(Status::Changed);
        let replaced = answer.one("replaced");
        assert_eq!(fs::read_to_string(Path::new(&replaced[0]).join("resty/x.lua")).unwrap(), "edited\n");
        assert_eq!(replaced[1], "exchange", "{shell:?}");
        holds(&node, &files());
        // One file too many, a link, a missing file: not it, either.
        fs::write(release(&node).join("resty/new\nline"), "").unwrap();
        deliver(shell, &node, &payload).ends(Status::Changed);
        symlink("/etc/passwd", release(&node).join("link")).unwrap();
        deliver(shell, &node, &payload).ends(Status::Changed);
        fs::remove_file(release(&node).join("resty/x.lua")).unwrap();
        deliver(shell, &node, &payload).ends(Status::Changed);
        holds(&node, &files());
    }
}

#[test]
fn a_payload_that_is_not_what_was_announced_leaves_nothing() {
    let good = pack(&files(), |_| {});
    let mut changed = files();
    changed[0].1 = "evil\n".to_owned();
    let mut more = files();
    more.push(("kong/plugins/x/more.lua", String::new()));
    let mut less = files();
    less.pop();
    let with_link = pack(&files(), |tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "kong/link", "/etc/passwd").unwrap();
    });
    let payloads = [
        ("cut short", good[..good.len() / 2].to_vec()),
        ("nothing", Vec::new()),
        ("no archive", b"echo this is executed by sh -s\n".repeat(1000)),
        ("other content", pack(&changed, |_| {})),
        ("more", pack(&more, |_| {})),
        ("less", pack(&less, |_| {})),
        ("a link", with_link),
    ];
    for shell in Shell::all() {
        let node = Node::new();
        for (what, payload) in &payloads {
            let answer = deliver(shell, &node, payload).ends(Status::Failed);
            let problem = answer.one("problem");
            assert!(["content", "unpack"].contains(&problem[0].as_str()), "{shell:?} {what}: {problem:?}");
            assert!(!node.home.join("releases/x").exists(), "{shell:?} {what}");
            no_leftovers(&node);
        }
        // A damaged one that is there stays until a good one comes.
        deliver(shell, &node, &good).ends(Status::Changed);
        fs::write(release(&node).join("resty/x.lua"), "edited\n").unwrap();
        deliver(shell, &node, &good[..100]).ends(Status::Failed);
        assert_eq!(fs::read_to_string(release(&node).join("resty/x.lua")).unwrap(), "edited\n");
    }
}

#[test]
fn a_full_disk_is_a_failure_that_leaves_nothing() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let node = Node::new();
        // A tar that writes the beginning and then finds no space.
        let tools = node.path().join("tools");
        fs::create_dir(&tools).unwrap();
        fs::write(tools.join("tar"), "#!/bin/sh\nmkdir -p kong && echo half >kong/half\nexit 2\n").unwrap();
        fs::set_permissions(tools.join("tar"), fs::Permissions::from_mode(0o755)).unwrap();
        let list = args(&node, &files());
        let answer = call_with(shell, Script::Deliver, &list, Some(&payload), Some(&tools)).ends(Status::Failed);
        let problem = answer.one("problem");
        assert_eq!(problem[0], "unpack");
        assert!(problem[1].parse::<u64>().is_ok(), "the space that is left");
        assert!(!node.home.join("releases/x").exists());
        no_leftovers(&node);
    }
}

#[test]
fn a_tiny_filesystem_really_runs_full() {
    // Only root may mount, and only where mounting is allowed at all.
    let node = Node::new();
    let home = node.path().join("home");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=96k,mode=0755", "tmpfs"]).arg(&home).output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        skip("no tmpfs can be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let mut node = Node::at(&node);
        node.lease(RUN);
        let mut big = files();
        let noise = (0..40_000_u32).map(|i| Digest::of(&i.to_le_bytes()).to_string()).collect::<String>();
        big.push(("resty/big.lua", noise[..300_000].to_owned()));
        let payload = pack(&big, |_| {});
        for shell in Shell::all() {
            let answer = call(shell, Script::Deliver, &args(&node, &big), Some(&payload)).ends(Status::Failed);
            assert_eq!(answer.one("problem")[0], "unpack");
            assert!(!home.join("releases/x").exists());
            no_leftovers(&node);
        }
    });
    let _ = Command::new("umount").arg(&home).status();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn directories_that_kong_may_not_enter_are_refused() {
    let payload = pack(&files(), |_| {});
    if nix::unistd::geteuid().is_root() {
        for shell in Shell::all() {
            let node = Node::new();
            fs::set_permissions(node.path(), fs::Permissions::from_mode(0o700)).unwrap();
            let answer = deliver(shell, &node, &payload).ends(Status::Refused);
            let at = node.path().canonicalize().unwrap();
            assert_eq!(answer.one("problem"), ["unreadable", at.to_str().unwrap()]);
            no_leftovers(&node);
            // Where Kong runs, it is its own processes that count, and here they are root's.
            if is_there("perl") && node.start() {
                deliver(shell, &node, &payload).ends(Status::Changed);
            }
        }
    }
}

#[test]
fn a_run_that_died_is_cleared_away_by_the_next() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let node = Node::new();
        let mut talk = Talk::start(shell, Script::Deliver, &args(&node, &files()), None);
        talk.say(&payload[..payload.len() / 2]);
        let dirs = || fs::read_dir(node.home.join("releases")).unwrap().count();
        super::speak::until("the unpacking", || dirs() == 2);
        talk.kill();
        let mut left = fs::read_dir(node.home.join("releases")).unwrap().map(|entry| entry.unwrap().path());
        assert!(left.any(|path| path.to_str().unwrap().contains(".incoming-")));
        deliver(shell, &node, &payload).ends(Status::Changed);
        holds(&node, &files());
    }
}

#[test]
fn without_the_lease_nothing_is_delivered() {
    let payload = pack(&files(), |_| {});
    for shell in Shell::all() {
        let mut node = Node::new();
        node.lease("01BX5ZZKBKACTAV9WEVGEMMVRZ");
        deliver(shell, &node, &payload).ends(Status::Locked);
        assert!(!node.home.join("releases/x").exists());
        assert!(!LINE.contains('\n'));
    }
}
