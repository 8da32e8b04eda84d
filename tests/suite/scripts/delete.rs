//! `delete`: what is ours goes, whole and once, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use muster::kong::Conf;
use muster::name::Digest;
use muster::remote::Script;
use muster::wire::{Args, Status};

use super::gateway::{Node, RUN, deadly_tools};
use super::speak::{Answer, Shell, call, call_with, is_there, until};

/// The digest of a bundle with these files, as muster has it.
fn digest_of(files: &[(&str, &str)]) -> String {
    let mut sorted = files.to_vec();
    sorted.sort_unstable();
    let mut text = String::new();
    for (path, content) in sorted {
        let _ = write!(text, "{path}\0{}\0", Digest::of(content.as_bytes()));
    }
    Digest::of(text.as_bytes()).to_string()
}

/// A release directory whose name says what is in it.
pub(super) fn real_release(node: &Node, bundle: &str, files: &[(&str, &str)]) -> String {
    let name = digest_of(files);
    for (path, content) in files {
        let file = node.home.join("releases").join(bundle).join(&name).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    name
}

/// Names that sort otherwise by words than by bytes, and odd ones.
const FILES: [(&str, &str); 6] = [
    ("kong/plugins/hello/handler.lua", "hello 1\n"),
    ("kong/plugins/hello/a b 'c'.txt", "blanks\n"),
    ("resty/acme/hello.lua", "return {}\n"),
    ("resty/acme/hello/x.lua", "return 1\n"),
    ("resty/acme/hello-z.lua", ""),
    ("kong/plugins/hello/\u{fc}ber.lua", "-- not ASCII\n"),
];
const ROOTS: [&str; 4] = ["kong/plugins/hello", "resty/acme/hello.lua", "resty/acme/hello", "resty/acme/hello-z.lua"];
const MANIFEST: &str = "muster-manifest 1\ngeneration 4\n";

/// A node that has `hello` of ours on disk, in two releases, and does not list it.
fn installed() -> (Node, String) {
    let node = Node::new();
    real_release(&node, "hello", &[("kong/plugins/hello/handler.lua", "hello 0\n")]);
    let current = real_release(&node, "hello", &FILES);
    symlink(format!("../releases/hello/{current}"), node.home.join("current/hello")).unwrap();
    for root in ROOTS {
        let link = node.root.join(root);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(node.home.join("current/hello").join(root), link).unwrap();
    }
    fs::write(node.home.join("state/manifest"), "muster-manifest 1\ngeneration 3\nowns x hello y\n").unwrap();
    (node, current)
}

fn args_with(node: &Node, adopts: &[&str]) -> Args {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut args = Args::new();
    for (key, value) in [
        ("home", text(&node.home)),
        ("conf", text(&node.conf)),
        ("prefix", text(&node.prefix)),
        ("lua_root", text(&node.root)),
        ("run", RUN.to_owned()),
        ("commit", "3f2a91c4b5".repeat(4)),
        ("step", "1".to_owned()),
        ("generation", node.generation.to_string()),
        ("manifest_generation", "3".to_owned()),
    ] {
        args = args.with(key, value).unwrap();
    }
    let args = args.with_list("plugin", ["hello"]).unwrap().with_list("bundle", ["hello"]).unwrap();
    let args = args.with_list("root", ROOTS.map(|root| format!("hello {root}"))).unwrap();
    args.with_list("adopt", adopts).unwrap().with_list("manifest", MANIFEST.lines()).unwrap()
}

fn delete(shell: Shell, node: &Node) -> Answer {
    call(shell, Script::Delete, &args_with(node, &[]), None)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn is_gone(node: &Node, when: &str) {
    assert_eq!(names(&node.root.join("kong/plugins")), ["old"], "{when}");
    assert_eq!(names(&node.root), ["kong"], "{when}: what we left empty goes, too");
    assert_eq!(names(&node.home.join("current")), Vec::<String>::new(), "{when}");
    assert_eq!(names(&node.home.join("releases")), Vec::<String>::new(), "{when}");
    assert_eq!(fs::read_to_string(node.home.join("state/manifest")).unwrap(), MANIFEST, "{when}");
}

#[test]
fn all_of_ours_goes_and_again_is_unchanged() {
    for shell in Shell::all() {
        let (node, _) = installed();
        let answer = delete(shell, &node).ends(Status::Changed);
        is_gone(&node, &format!("{shell:?}"));
        assert!(answer.all("edited").is_empty() && names(&node.home.join("attic")).is_empty(), "{shell:?} {answer:?}");
        let receipt = node.receipt(1);
        assert_eq!(receipt.result.as_deref(), Some("changed"));
        assert_eq!(receipt.commit.map(|commit| commit.to_string()), Some("3f2a91c4b5".repeat(4)));
        assert!(receipt.workers.is_empty(), "it says nothing of what workers run");
        delete(shell, &node).ends(Status::Unchanged);
    }
}

#[test]
fn what_is_not_ours_or_was_edited_is_kept_in_the_attic() {
    for shell in Shell::all() {
        let (node, current) = installed();
        let release = node.home.join("releases/hello").join(&current);
        fs::write(release.join("kong/plugins/hello/handler.lua"), "edited by hand\n").unwrap();
        fs::write(node.home.join("releases/hello/notes"), "mine").unwrap();
        fs::create_dir_all(node.root.join("kong/plugins/foreign")).unwrap();
        fs::write(node.root.join("kong/plugins/foreign/handler.lua"), "foreign\n").unwrap();
        fs::write(node.root.join("resty/theirs.lua"), "theirs").unwrap();
        let adopts = ["kong/plugins/foreign", "kong/plugins/never-there"];
        let answer = call(shell, Script::Delete, &args_with(&node, &adopts), None).ends(Status::Changed);
        let attic = node.home.join("attic");
        let kept = |name: &str| fs::read_to_string(attic.join(format!("{RUN}.1-{name}"))).unwrap();
        assert_eq!(kept(&format!("hello-{current}/kong/plugins/hello/handler.lua")), "edited by hand\n", "{shell:?}");
        assert_eq!(
            (kept("hello-notes").as_str(), kept("kong+plugins+foreign/handler.lua").as_str()),
            ("mine", "foreign\n")
        );
        assert_eq!((answer.all("edited").len(), answer.all("adopted").len(), names(&attic).len()), (2, 1, 3));
        assert_eq!(names(&node.root.join("kong/plugins")), ["old"]);
        assert_eq!(names(&node.root.join("resty")), ["theirs.lua"], "a directory that is not empty stays");
    }
}

/// What Kong reads of a file is told by muster's own reader, which is held against Kong elsewhere.
#[test]
fn a_plugin_that_kong_would_load_holds_it() {
    let texts = [
        "plugins = bundled,old,hello\n",
        "plugins=hello\n",
        "  plugins =  old , hello  # why\n",
        "plugins = old # ,hello\n",
        "# plugins = hello\nplugins = old\n",
        "plugins = hello\nplugins = old\n",
        "plugins = old\nplugins = hello\n",
        "plugins = old,\\\n  hello\n",
        "plugins = old,\\\n; plugins = x\n  hello\n",
        "plugins = old,\\\n",
        "PLUGINS = hello\nplugins = old\n",
        "plugins = hello-2,hello_x\n",
        "plugins = old\n[section]\nplugins = hello\n",
        "plugins = a\\#b,hello\n",
        "my_plugins = hello\nplugins\n",
        "plugins = old,hello\r\n",
        "plugins = hello",
        "",
    ];
    for (at, text) in texts.into_iter().enumerate() {
        let wanted = Conf::parse(text).text("plugins").unwrap_or_default();
        let listed = wanted.split(',').any(|name| name.trim() == "hello");
        for shell in Shell::all() {
            let (node, _) = installed();
            let (file, tag) = if at % 2 == 0 {
                fs::write(&node.conf, text).unwrap();
                (&node.conf, "conf")
            } else {
                assert!(node.start());
                fs::write(node.prefix.join(".kong_env"), text).unwrap();
                (&node.prefix.join(".kong_env"), "env")
            };
            let before = node.picture();
            let answer = delete(shell, &node);
            if listed {
                let answer = answer.ends(Status::Refused);
                assert_eq!(answer.one("held"), [tag, file.to_str().unwrap(), "hello"], "{shell:?} {text:?}");
                assert_eq!(node.picture(), before);
            } else {
                answer.ends(Status::Changed);
            }
        }
    }
}

#[test]
fn what_the_last_start_read_does_not_count_where_kong_is_stopped() {
    for shell in Shell::all() {
        let (node, _) = installed();
        fs::write(node.prefix.join(".kong_env"), "plugins = bundled,hello\n").unwrap();
        delete(shell, &node).ends(Status::Changed);
    }
}

#[test]
fn old_workers_hold_it() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let (node, _) = installed();
        assert!(node.start());
        fs::write(node.prefix.join("fault"), "linger").unwrap();
        let master = node.master().unwrap().0;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(master).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        let titles = || {
            let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
            let title = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            children.split_whitespace().filter(|pid| title(pid).contains("is shutting down")).count()
        };
        until("two old workers", || titles() == 2);
        let answer = delete(shell, &node).ends(Status::Refused);
        assert_eq!(answer.one("held"), ["workers", "2"], "{shell:?}");
        fs::remove_file(node.prefix.join("fault")).unwrap();
        until("their end", || titles() == 0);
        delete(shell, &node).ends(Status::Changed);
        is_gone(&node, &format!("{shell:?}"));
    }
}

#[test]
fn a_node_that_is_not_as_the_plan_saw_it_is_not_touched() {
    for shell in Shell::all() {
        let (node, _) = installed();
        fs::write(node.home.join("state/manifest"), "muster-manifest 1\ngeneration 9\n").unwrap();
        let before = node.picture();
        assert_eq!(delete(shell, &node).ends(Status::Moved).one("moved"), ["manifest", "9"]);
        assert_eq!(node.picture(), before, "{shell:?}");

        let (node, _) = installed();
        fs::remove_file(node.root.join(ROOTS[0])).unwrap();
        fs::create_dir(node.root.join(ROOTS[0])).unwrap();
        let before = node.picture();
        assert_eq!(delete(shell, &node).ends(Status::Moved).one("moved"), ["root", ROOTS[0]]);
        assert_eq!(node.picture(), before, "{shell:?}");

        let (mut node, _) = installed();
        node.generation += 1;
        let before = node.picture();
        delete(shell, &node).ends(Status::Locked);
        assert_eq!(node.picture(), before, "{shell:?}");
    }
}

/// One death, then the same step again by the next run.
fn one(shell: Shell, at: usize, late: bool) -> bool {
    let (mut node, current) = installed();
    let edited = node.home.join("releases/hello").join(&current).join("kong/plugins/hello/handler.lua");
    fs::write(&edited, "edited by hand\n").unwrap();
    fs::create_dir_all(node.root.join("kong/plugins/foreign")).unwrap();
    fs::write(node.root.join("kong/plugins/foreign/handler.lua"), "foreign\n").unwrap();
    let tools = node.path().join("tools");
    deadly_tools(&tools, at, late);
    let args = args_with(&node, &["kong/plugins/foreign"]);
    let answer = call_with(shell, Script::Delete, &args, None, Some(&tools));
    fs::remove_dir_all(&tools).unwrap();
    let when = format!("{shell:?} died at call {at} (late: {late})");
    let second = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
    node.lease(second);
    let again = args_with(&node, &["kong/plugins/foreign"])
        .iter()
        .fold(Args::new(), |args, (key, value)| args.with(key, if key == "run" { second } else { value }).unwrap());
    let after = call(shell, Script::Delete, &again, None);
    assert!(matches!(after.status, Some(Status::Changed | Status::Unchanged)), "{when}: {after:?}");
    is_gone(&node, &when);
    let attic = node.home.join("attic");
    let kept: Vec<String> = names(&attic).into_iter().map(|name| name[RUN.len() + 3..].to_owned()).collect();
    let mut kept = kept;
    kept.sort();
    assert_eq!(kept, [format!("hello-{current}"), "kong+plugins+foreign".to_owned()], "{when}");
    for receipt in names(&node.home.join("state/receipts")) {
        let text = fs::read_to_string(node.home.join("state/receipts").join(&receipt)).unwrap();
        assert!(text.is_empty() || text.lines().any(|line| line.starts_with("result ")), "{when}: {text}");
    }
    answer.status.is_none()
}

#[test]
fn a_death_at_any_boundary_is_made_good_by_the_next_run() {
    let shells = Shell::all();
    let mut deaths = 0;
    for (turn, late) in [false, true].into_iter().enumerate() {
        let mut at = 1;
        while one(shells[(at + turn) % shells.len()], at, late) {
            (deaths, at) = (deaths + 1, at + 1);
        }
    }
    assert!(deaths > 30, "{deaths} deaths");
}
