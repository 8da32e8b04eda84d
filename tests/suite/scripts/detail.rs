//! `detail`: contents of files, receipts and the end of the error log of one node; and nothing else of it, ever.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use muster::name::{BundlePath, NodePath};
use muster::remote::Script;
use muster::survey::{Detail, DetailDecoder, DetailRequest, Withheld};
use muster::wire::{Item, Status};

use super::gateway::{Node, RUN};
use super::speak::{Answer, Shell, call};

fn path(path: &Path) -> NodePath {
    NodePath::parse(path.to_str().unwrap()).unwrap()
}

fn request(node: &Node, files: &[&str], log: Option<&Path>) -> DetailRequest {
    DetailRequest {
        conf: path(&node.conf),
        prefix: path(&node.prefix),
        lua_root: path(&node.root),
        home: path(&node.home),
        files: files.iter().map(|file| BundlePath::parse(file).unwrap()).collect(),
        receipts: 3,
        log: log.map(path),
    }
}

fn asked(shell: Shell, request: &DetailRequest) -> Answer {
    call(shell, Script::Detail, &request.args().unwrap(), None).ends(Status::Unchanged)
}

fn read(answer: &Answer, request: &DetailRequest) -> Detail {
    let mut decoder = DetailDecoder::new(request.clone());
    for item in &answer.items {
        match item {
            Item::Record(record) => decoder.record(record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(name, bytes.clone()).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn look(shell: Shell, node: &Node, files: &[&str], log: Option<&Path>) -> Detail {
    let request = request(node, files, log);
    read(&asked(shell, &request), &request)
}

fn file<'a>(detail: &'a Detail, path: &str) -> &'a Result<Vec<u8>, Withheld> {
    &detail.files[&BundlePath::parse(path).unwrap()]
}

/// Everything below a directory: path, type and mode, size, time of the last change; what a script that only looks leaves as it is.
fn state(dir: &Path) -> String {
    let out = Command::new("find").arg(dir).args(["-printf", "%P %y %m %s %C@ %T@\n"]).output().unwrap();
    let mut lines: Vec<_> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn contents_come_whole_whatever_the_names_of_the_files() {
    for shell in Shell::all() {
        let node = Node::new();
        let dir = node.root.join("kong/plugins/odd");
        fs::create_dir_all(dir.join("-rf dir")).unwrap();
        let names =
            ["plain.lua", "-rf", "a b", "$(touch owned) `id` \"q\" 'q' ; & |", "über.lua", "per%41cent", "-rf dir/x"];
        let content = |name: &str| format!("\u{1b}[2J {name}\r\n\tno end of line");
        for name in names {
            fs::write(dir.join(name), content(name)).unwrap();
        }
        fs::write(dir.join("empty"), "").unwrap();
        let paths: Vec<String> =
            names.iter().chain(&["empty"]).map(|name| format!("kong/plugins/odd/{name}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let detail = look(shell, &node, &paths, None);
        for name in names {
            let found = file(&detail, &format!("kong/plugins/odd/{name}"));
            assert_eq!(found.as_deref(), Ok(content(name).as_bytes()), "{shell:?} {name}");
        }
        assert_eq!(file(&detail, "kong/plugins/odd/empty").as_deref(), Ok(&b""[..]), "{shell:?}");
        assert!(!node.root.join("owned").exists() && !Path::new("owned").exists());
    }
}

#[test]
fn a_link_shows_nothing_from_elsewhere() {
    for shell in Shell::all() {
        let node = Node::new();
        let release = node.hello("hello 1");
        symlink(format!("../releases/hello/{release}"), node.home.join("current/hello")).unwrap();
        symlink(node.home.join("current/hello/kong/plugins/hello"), node.root.join("kong/plugins/hello")).unwrap();
        let old = node.root.join("kong/plugins/old");
        fs::write(node.path().join("outside"), "s3cret\n").unwrap();
        fs::write(node.prefix.join(".kong_env"), "pg_password = s3cret\n").unwrap();
        fs::create_dir_all(node.home.join("state")).unwrap();
        fs::write(node.home.join("state/lease"), "s3cret\n").unwrap();
        symlink(&node.conf, old.join("conf.lua")).unwrap();
        symlink(node.prefix.join(".kong_env"), old.join("env.lua")).unwrap();
        symlink(node.path().join("outside"), old.join("out.lua")).unwrap();
        symlink(node.path(), old.join("dir")).unwrap();
        symlink(node.home.join("state/lease"), old.join("lease.lua")).unwrap();
        symlink("handler.lua", old.join("inside.lua")).unwrap();
        symlink("nowhere", old.join("broken.lua")).unwrap();
        let names = ["conf.lua", "env.lua", "out.lua", "dir/outside", "lease.lua", "inside.lua", "broken.lua"];
        let paths: Vec<String> = names.iter().map(|name| format!("kong/plugins/old/{name}")).collect();
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        paths.push("kong/plugins/hello/handler.lua");
        let request = request(&node, &paths, None);
        let answer = asked(shell, &request);
        assert!(!format!("{answer:?}").contains("s3cret"), "{shell:?}");
        let detail = read(&answer, &request);
        for path in &paths[..5] {
            assert_eq!(*file(&detail, path), Err(Withheld::Outside), "{shell:?} {path}");
        }
        assert_eq!(file(&detail, paths[5]).as_deref(), Ok(&b"old 1\n"[..]), "{shell:?}");
        assert_eq!(*file(&detail, paths[6]), Err(Withheld::Unreadable), "{shell:?}");
        assert_eq!(file(&detail, paths[7]).as_deref(), Ok(&b"hello 1\n"[..]), "{shell:?}: a release of ours");
    }
}

#[test]
fn what_is_no_file_of_text_or_too_long_says_so() {
    for shell in Shell::all() {
        let node = Node::new();
        let old = node.root.join("kong/plugins/old");
        assert!(Command::new("mkfifo").arg(old.join("fifo")).status().unwrap().success());
        fs::write(old.join("nul"), b"a\0b").unwrap();
        fs::write(old.join("long"), vec![b'x'; 262_145]).unwrap();
        fs::write(old.join("fits"), vec![b'x'; 262_144]).unwrap();
        let paths = ["fifo", "nul", "long", "fits", "none", "sub/none", ""]
            .map(|name| format!("kong/plugins/old/{name}").trim_end_matches('/').to_owned());
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let detail = look(shell, &node, &paths, None);
        let why: Vec<Option<Withheld>> = paths.iter().map(|path| file(&detail, path).as_ref().err().copied()).collect();
        let [other, torn, long, absent] = [Withheld::Other, Withheld::Torn, Withheld::Long, Withheld::Absent].map(Some);
        assert_eq!(why, [other, torn, long, None, absent, absent, other], "{shell:?}");
    }
}

#[test]
fn two_mebibytes_are_sent_at_once_and_no_more() {
    for shell in Shell::all() {
        let node = Node::new();
        let names: Vec<String> = (10..20).map(|n| format!("kong/plugins/old/{n}")).collect();
        for name in &names {
            fs::write(node.root.join(name), vec![b'x'; 262_000]).unwrap();
        }
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let detail = look(shell, &node, &paths, None);
        let sent = paths.iter().filter(|path| file(&detail, path).is_ok()).count();
        let full = paths.iter().filter(|path| *file(&detail, path) == Err(Withheld::Full)).count();
        assert_eq!((sent, full), (8, 2), "{shell:?}");
    }
}

#[test]
fn a_lua_root_that_is_not_there_has_no_files() {
    for shell in Shell::all() {
        let node = Node::new();
        fs::remove_dir_all(&node.root).unwrap();
        let detail = look(shell, &node, &["kong/plugins/old/handler.lua"], None);
        assert_eq!(*file(&detail, "kong/plugins/old/handler.lua"), Err(Withheld::Absent), "{shell:?}");
    }
}

#[test]
fn the_end_of_a_log_is_sent_and_a_log_that_leads_to_secrets_is_not() {
    for shell in Shell::all() {
        let node = Node::new();
        let log = node.prefix.join("error.log");
        let text = (0..5_000).map(|n| format!("2026/11/20 15:00:00 [error] line {n}\n")).collect::<Vec<_>>().concat();
        fs::write(&log, format!("{text}odd \0 \u{1b}[31m byte\nlast without end")).unwrap();
        let tail = look(shell, &node, &[], Some(&log)).log.unwrap().unwrap();
        let n = tail.lines.len();
        assert_eq!((n, tail.cut, tail.length > 100_000), (500, true, true), "{shell:?}");
        assert_eq!(tail.lines[n - 1], "last without end");
        assert!(tail.lines[n - 2].starts_with("odd ? ") && !tail.lines[n - 2].chars().any(char::is_control));
        assert_eq!(tail.lines[n - 3], "2026/11/20 15:00:00 [error] line 4999");
        let real = log.canonicalize().unwrap();
        symlink(&log, node.path().join("link.log")).unwrap();
        let linked = look(shell, &node, &[], Some(&node.path().join("link.log"))).log.unwrap().unwrap();
        assert_eq!(Path::new(&linked.path), real, "{shell:?}: it says which file was read");
        symlink(&node.conf, node.path().join("conf.log")).unwrap();
        fs::write(&log, "").unwrap();
        for (name, found) in [("conf.log", Withheld::Outside), ("none.log", Withheld::Absent), ("", Withheld::Other)] {
            let path = node.path().join(name);
            let path = if name.is_empty() { node.path() } else { &path };
            assert_eq!(look(shell, &node, &[], Some(path)).log, Some(Err(found)), "{shell:?} {name}");
        }
        assert!(look(shell, &node, &[], Some(&log)).log.unwrap().unwrap().lines.is_empty(), "{shell:?}");
    }
}

#[test]
fn the_newest_receipts_come_and_how_many_there_are() {
    for shell in Shell::all() {
        let node = Node::new();
        assert_eq!(look(shell, &node, &[], None).receipts_all, Some(0), "{shell:?}");
        let dir = node.home.join("state/receipts");
        fs::create_dir_all(&dir).unwrap();
        for step in 1..6 {
            let text = format!("muster-receipt 1\nrun {RUN}\nstep {step}\ndid link hello\nresult changed\n");
            fs::write(dir.join(format!("{RUN}.{step}")), text).unwrap();
        }
        symlink(&node.conf, dir.join("ZZZZ")).unwrap();
        let request = request(&node, &[], None);
        let answer = asked(shell, &request);
        assert!(!format!("{answer:?}").contains("s3cret"));
        let detail = read(&answer, &request);
        let steps: Vec<u32> = detail.receipts.iter().map(|receipt| receipt.step).collect();
        assert_eq!((steps.as_slice(), detail.receipts_all), (&[3, 4, 5][..], Some(5)), "{shell:?}");
    }
}

#[test]
fn nothing_is_changed_no_lock_is_taken_and_a_second_look_says_the_same() {
    for shell in Shell::all() {
        let node = Node::new();
        fs::write(node.prefix.join("error.log"), "one\n").unwrap();
        let before = state(node.path());
        let log = node.prefix.join("error.log");
        let [one, two] = [0, 1].map(|_| look(shell, &node, &["kong/plugins/old/handler.lua"], Some(&log)));
        assert_eq!(state(node.path()), before, "{shell:?}");
        assert_eq!(Detail { clock: 0, ..one }, Detail { clock: 0, ..two }, "{shell:?}");
    }
}

#[test]
fn what_the_login_may_not_read_is_said() {
    if nix::unistd::geteuid().is_root() {
        return super::speak::skip("root reads everything");
    }
    for shell in Shell::all() {
        let node = Node::new();
        let handler = node.root.join("kong/plugins/old/handler.lua");
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o000)).unwrap();
        let detail = look(shell, &node, &["kong/plugins/old/handler.lua"], None);
        assert_eq!(*file(&detail, "kong/plugins/old/handler.lua"), Err(Withheld::Unreadable), "{shell:?}");
    }
}
