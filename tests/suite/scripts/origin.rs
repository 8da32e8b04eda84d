//! Where `plugins` is kept elsewhere than in kong.conf: what the survey tells of Kong's unit, and the edit of its files. Of
//! `systemctl` there is a stand-in (tests/data/scripts/systemctl).

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use muster::kong::service::{Assigned, Told};
use muster::name::{Digest, NodePath};
use muster::remote::Script;
use muster::survey::{NodeFacts, ServiceFacts, SurveyDecoder, SurveyRequest};
use muster::wire::{Item, Status};

use super::gateway::{Node, Plan, proven};
use super::speak::{Shell, call_with, is_there};

const NAME: &str = "KONG_PLUGINS";

/// A unit of Kong beside a node: the directory of its `systemctl`.
fn unit(node: &Node, text: &str, drop_in: &str) -> PathBuf {
    let (bin, state) = (node.path().join("bin"), node.path().join("systemd"));
    let drop_ins = state.join("system/kong.service.d");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&drop_ins).unwrap();
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scripts/systemctl");
    let status = Command::new("cp").arg(tool).arg(bin.join("systemctl")).status().unwrap();
    assert!(status.success());
    fs::write(state.join("as"), format!("{}\n", state.join("system").display())).unwrap();
    fs::write(state.join("prefix"), format!("{}\n", node.prefix.display())).unwrap();
    fs::write(state.join("kong.service"), format!("[Service]\nEnvironment=KONG_NGINX_DAEMON=off\n{text}")).unwrap();
    fs::write(drop_ins.join("10.conf"), drop_in).unwrap();
    fs::write(node.path().join("kong.env"), "# ours\nKONG_PG_PASSWORD=s3cret\nKONG_PLUGINS=\"bundled,old\"\n").unwrap();
    systemctl(&bin, "daemon-reload");
    bin
}

fn systemctl(bin: &std::path::Path, verb: &str) -> String {
    let out = Command::new(bin.join("systemctl"))
        .args([verb, "-p", "Environment", "-p", "NeedDaemonReload", "kong.service"])
        .output()
        .unwrap();
    assert!(out.status.success());
    String::from_utf8(out.stdout).unwrap()
}

fn look(shell: Shell, node: &Node, bin: &std::path::Path, systemd: &str) -> NodeFacts {
    let path = |path: &std::path::Path| NodePath::parse(path.to_str().unwrap()).unwrap();
    let request = SurveyRequest {
        conf: path(&node.conf),
        prefix: path(&node.prefix),
        lua_root: path(&node.root),
        home: path(&node.home),
        cli: None,
        roots: [].into(),
    };
    let args = request.args().unwrap().with("systemd", systemd).unwrap();
    let answer = call_with(shell, Script::Survey, &args, None, Some(bin)).ends(Status::Unchanged);
    let mut decoder = SurveyDecoder::new(request);
    for item in &answer.items {
        match item {
            Item::Record(record) => decoder.record(record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(name, bytes.clone()).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn told(facts: &NodeFacts) -> Assigned {
    match facts.unit().expect("there is a unit").told(NAME) {
        Told::Set(assigned) => assigned,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_survey_tells_of_the_unit_its_drop_ins_and_environment_files() {
    for shell in Shell::all() {
        let node = Node::new();
        let file = node.path().join("kong.env").canonicalize().unwrap_or_else(|_| node.path().join("kong.env"));
        let bin = unit(&node, "", "[Service]\nEnvironment=\"KONG_PLUGINS=bundled, old\"\n");
        let found = told(&look(shell, &node, &bin, "/proc"));
        assert_eq!((found.value.as_str(), found.line), ("bundled, old", Some(2)), "{shell:?}");
        assert!(found.place.ends_with("/systemd/system/kong.service.d/10.conf"), "{shell:?}: {found:?}");
        let bin = unit(&node, &format!("EnvironmentFile=-{}\n", file.display()), "");
        let found = told(&look(shell, &node, &bin, "/proc"));
        assert_eq!((found.place.as_str(), found.line), (file.to_str().unwrap(), Some(3)), "{shell:?}");
        // A file that is not there, and a pattern that nobody expands.
        let bin = unit(&node, "EnvironmentFile=-/none/kong.env\n", "");
        assert_eq!(look(shell, &node, &bin, "/proc").unit().unwrap().told(NAME), Told::Unset);
        let bin = unit(&node, "EnvironmentFile=/etc/*.env\n", "");
        assert!(matches!(look(shell, &node, &bin, "/proc").unit().unwrap().told(NAME), Told::Unknown(_)));
    }
}

#[test]
fn without_systemd_nobody_asks_it_and_one_that_is_silent_is_told() {
    for shell in Shell::all() {
        let node = Node::new();
        let bin = unit(&node, "", "[Service]\nEnvironment=KONG_PLUGINS=bundled\n");
        assert!(matches!(look(shell, &node, &bin, "/none").service, ServiceFacts::None), "{shell:?}");
        let mut shell_tool = Command::new("/bin/sh");
        shell_tool.args(["-c", "printf '#!/bin/sh\\nexit 1\\n' >\"$0\""]).arg(bin.join("systemctl"));
        assert!(shell_tool.status().unwrap().success());
        assert!(matches!(look(shell, &node, &bin, "/proc").service, ServiceFacts::Beside(_)), "{shell:?}");
    }
}

#[test]
fn a_master_that_the_unit_does_not_run_is_not_the_units() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let node = Node::new();
        let bin = unit(&node, "", "[Service]\nEnvironment=KONG_PLUGINS=bundled\n");
        assert!(node.start());
        assert!(look(shell, &node, &bin, "/proc").unit().is_some(), "{shell:?}");
        fs::write(node.path().join("systemd/prefix"), "/none\n").unwrap();
        let ServiceFacts::Beside(why) = look(shell, &node, &bin, "/proc").service else { panic!("{shell:?}") };
        assert_eq!(why, "kong.service does not run this master");
    }
}

fn octal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "\\0{byte:03o}");
        all
    })
}

/// An activation that keeps the directive in this file, whose content becomes this.
fn plan(node: &Node, release: &str, file: &std::path::Path, after: &str) -> Plan {
    let before = fs::read(file);
    let sha = before.as_ref().map_or("-".to_owned(), |bytes| Digest::of(bytes).to_string());
    let length = before.map_or(0, |bytes| bytes.len());
    let more = vec![
        ("place", file.to_str().unwrap().to_owned()),
        ("place_sha", sha.clone()),
        ("source_1", format!("{sha} {}", file.display())),
        ("source_n", "1".to_owned()),
        ("conf_offset", "0".to_owned()),
        ("conf_remove", length.to_string()),
        ("conf_insert", octal(after)),
        ("conf_after", Digest::of(after.as_bytes()).to_string()),
    ];
    Plan { conf: None, more, ..Plan::hello(node, "candidate", release) }
}

fn started(text: &str, drop_in: &str) -> Vec<(Shell, Node, PathBuf)> {
    if !is_there("perl") {
        return Vec::new();
    }
    let nodes = Shell::all().into_iter().map(|shell| (shell, Node::new()));
    let nodes = nodes.inspect(|(_, node)| assert!(node.start()));
    nodes
        .map(|(shell, node)| {
            let bin = unit(&node, text, drop_in);
            (shell, node, bin)
        })
        .collect()
}

#[test]
fn an_environment_file_is_edited_in_the_place_of_kong_conf() {
    for (shell, node, bin) in started("", "") {
        let (release, file, conf) = (node.hello("hello 1"), node.path().join("kong.env"), node.conf_text());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let after = fs::read_to_string(&file).unwrap().replace("\"bundled,old\"", "bundled,old,hello");
        let mut talk = plan(&node, &release, &file, &after).talk(&node, shell, Some(&bin));
        assert!(proven(&mut talk), "{:?}", talk.seen);
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        assert_eq!(fs::read_to_string(&file).unwrap(), after, "{shell:?}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(node.conf_text(), conf);
        node.serves("old=old 1 hello=hello 1");
    }
}

#[test]
fn a_file_of_the_unit_that_somebody_wrote_since_is_a_node_that_moved() {
    for (shell, node, bin) in started("", "") {
        let (release, file) = (node.hello("hello 1"), node.path().join("kong.env"));
        for change in ["source_1", "place_sha"] {
            let mut plan = plan(&node, &release, &file, "KONG_PLUGINS=x\n");
            let other = Digest::of(b"other").to_string();
            let value = if change == "place_sha" { other } else { format!("{other} {}", file.display()) };
            plan.more.retain(|(key, _)| *key != change);
            plan.more.push((change, value));
            let before = node.picture();
            let answer = plan.talk(&node, shell, Some(&bin)).end().ends(Status::Moved);
            let word = if change == "place_sha" { "place" } else { "source" };
            assert_eq!(answer.one("moved")[0], word, "{shell:?}");
            assert_eq!(node.picture(), before, "{shell:?}");
        }
    }
}

/// A new drop-in; `broken`: systemd does not take it over.
fn drop_in(broken: bool) {
    for (shell, node, bin) in started("", "[Service]\nEnvironment=\"KONG_PLUGINS=bundled,old\"\n") {
        let release = node.hello("hello 1");
        let file = node.path().join("systemd/system/kong.service.d/zz-muster.conf");
        let text = "[Service]\nEnvironment=\"KONG_PLUGINS=bundled,old,hello\"\n";
        let mut plan = plan(&node, &release, &file, text);
        plan.more.push(("unit", "kong.service".to_owned()));
        plan.more.push(("unit_shows", "KONG_PLUGINS=bundled,old,hello".to_owned()));
        if broken {
            fs::write(node.path().join("systemd/broken"), "").unwrap();
        }
        let mut talk = plan.talk(&node, shell, Some(&bin));
        assert!(proven(&mut talk), "{:?}", talk.seen);
        talk.say(b"confirm\n");
        let answer = talk.end();
        let shown = systemctl(&bin, "show");
        if broken {
            assert_eq!(answer.ends(Status::Failed).one("problem")[..2], ["commit", "unit"]);
            assert!(!file.exists() && shown.contains("KONG_PLUGINS=bundled,old\n"), "{shell:?}: {shown}");
            assert_eq!(node.receipt(1).result.as_deref(), Some("unit-unread"));
        } else {
            answer.ends(Status::Changed);
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "{shell:?}");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
            assert!(
                shown.contains("KONG_PLUGINS=bundled,old,hello\n") && shown.contains("NeedDaemonReload=no"),
                "{shown}"
            );
            assert_eq!(node.receipt(1).result.as_deref(), Some("changed"));
        }
        let left: Vec<_> =
            fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), if broken { 1 } else { 2 }, "{shell:?}: {left:?}");
    }
}

#[test]
fn a_drop_in_is_written_and_systemd_told_and_nothing_restarted() {
    drop_in(false);
}

#[test]
fn a_drop_in_that_systemd_does_not_take_over_goes_again() {
    drop_in(true);
}
