//! What `activate` tells of Kong's error log: a file, the journal of a unit, or that there is none. Of `journalctl` there is a
//! stand-in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use muster::remote::Script;
use muster::wire::{Item, Status};

use super::gateway::{Node, Plan, proven};
use super::speak::{Answer, Shell, Talk, is_there};

/// A node whose kong.conf has these lines, too, started.
fn node(lines: &str) -> Node {
    let node = Node::new();
    fs::write(&node.conf, format!("{}{lines}", node.conf_text())).unwrap();
    assert!(node.start());
    node
}

/// A reload that fails, and its end.
fn broken(node: &Node, shell: Shell, bin: Option<&PathBuf>) -> Answer {
    let release = node.hello("BROKEN");
    let mut plan = Plan::hello(node, "hup", &release);
    fs::write(node.path().join("cgroup"), "12:memory:/x\n0::/system.slice/kong.service\n").unwrap();
    plan.more.push(("cgroup", node.path().join("cgroup").to_str().unwrap().to_owned()));
    let mut talk = Talk::start(shell, Script::Activate, &plan.args(node), bin.map(PathBuf::as_path));
    assert!(!proven(&mut talk), "{:?}", talk.seen);
    talk.say(b"undo\n");
    talk.end().ends(Status::Undone)
}

fn log(answer: &Answer) -> Option<String> {
    answer.items.iter().find_map(|item| match item {
        Item::Blob { name, bytes } if name == "log" => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

/// A `journalctl` of one unit, which has these lines behind its cursor.
fn journal(node: &Node, line: &str) -> PathBuf {
    let bin = node.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' -u kong.service '*) ;; *) exit 1 ;; esac\ncase \" $* \" in\n\
         *' --show-cursor '*) echo '-- cursor: s=1;i=2' ;;\n*' --after-cursor=s=1;i=2 '*) printf '%s' '{line}' ;;\n*) exit 1 ;;\nesac\n"
    );
    fs::write(bin.join("journalctl"), text).unwrap();
    fs::set_permissions(bin.join("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn the_log_is_a_file_also_where_it_is_the_masters_own_stream() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        for lines in ["", "proxy_error_log = /dev/stderr\n"] {
            let node = node(lines);
            let answer = broken(&node, shell, None);
            let log = log(&answer).unwrap_or_else(|| panic!("{shell:?} {lines}: {answer:?}"));
            assert!(log.contains("init_by_lua error"), "{shell:?} {lines}: {log}");
        }
    }
}

#[test]
fn without_a_file_the_journal_of_the_unit_is_read_from_where_it_ended() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let node = node("proxy_error_log = syslog:server=unix:/dev/log\n");
        let bin = journal(&node, "2026/11/20 07:00:00 [error] 1#0: init_by_lua error: x\n");
        let answer = broken(&node, shell, Some(&bin));
        assert_eq!(
            log(&answer).as_deref(),
            Some("2026/11/20 07:00:00 [error] 1#0: init_by_lua error: x\n"),
            "{shell:?}"
        );
        let bin = journal(&node, "");
        let answer = broken(&node, shell, Some(&bin));
        assert_eq!((log(&answer), answer.one("no-blob")), (None, words("log journal kong.service")), "{shell:?}");
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_log_that_is_nowhere_on_the_node_is_said() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let node = node("proxy_error_log = syslog:server=10.0.0.1\n");
        let bin = journal(&node, "");
        // A journal without a unit: the master runs in none.
        fs::write(bin.join("journalctl"), "#!/bin/sh\nexit 1\n").unwrap();
        let answer = broken(&node, shell, Some(&bin));
        assert_eq!(answer.one("no-blob")[..2], ["log", "journal"], "{shell:?}");
        let other = self::node("proxy_error_log = logs/other.log\n");
        let answer = broken(&other, shell, None);
        assert_eq!(answer.one("no-blob")[..2], ["log", "absent"], "{shell:?}");
    }
}

#[test]
fn at_log_level_debug_the_plugins_that_the_log_names_are_told_once() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        for (level, told) in [("debug", true), ("notice", false)] {
            let node = node(&format!("log_level = {level}\n"));
            let release = node.hello("hello 1");
            let plan = Plan::hello(&node, "hup", &release);
            let log = node.prefix.join("logs/error.log");
            let mut lines = fs::read_to_string(&log).unwrap_or_default();
            lines.push_str(
                "2026/11/20 06:00:00 [debug] 1#1: [lua] plugins.lua:300: load_plugin(): Loading plugin: before\n",
            );
            fs::write(&log, &lines).unwrap();
            let mut talk = Talk::start(shell, Script::Activate, &plan.args(&node), None);
            assert!(talk.wait_for("reloading").is_some(), "{:?}", talk.seen);
            let since =
                "2026/11/20 07:00:00 [debug] 1#1: [lua] plugins.lua:300: load_plugin(): Loading plugin: hello\n";
            fs::write(&log, lines + since).unwrap();
            assert!(proven(&mut talk), "{:?}", talk.seen);
            talk.say(b"look\nlook\n");
            talk.say(b"confirm\n");
            let answer = talk.end().ends(Status::Changed);
            let expected: Vec<Vec<String>> = if told { vec![words("hello")] } else { Vec::new() };
            assert_eq!(answer.all("loading"), expected, "{shell:?} {level}");
        }
    }
}
