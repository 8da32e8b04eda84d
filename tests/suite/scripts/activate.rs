//! `activate`: one reload, proven; then committed, or put back by the guard.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use muster::remote::Script;
use muster::wire::{Args, Status};

use super::gateway::{Node, Plan, RUN, digest, proven};
use super::speak::{Answer, Shell, Talk, call, is_there, until};

const OLD: &str = "old=old 1";
const NEW: &str = "old=old 1 hello=hello 1";
const WAYS: [&str; 2] = ["candidate", "hup"];

fn nodes() -> Vec<(Shell, Node)> {
    if !is_there("perl") {
        return Vec::new();
    }
    let nodes = Shell::all().into_iter().map(|shell| (shell, Node::new()));
    nodes.inspect(|(_, node)| assert!(node.start())).collect()
}

fn confirmed(mut talk: Talk) -> Answer {
    assert!(proven(&mut talk), "{:?}", talk.seen);
    talk.say(b"confirm\n");
    talk.end().ends(Status::Changed)
}

/// Nothing of a change is left: not in files, not in the workers, and no secret copies.
fn is_as_it_was(node: &Node) {
    node.serves(OLD);
    assert_eq!(node.env_value("plugins").unwrap(), "bundled,old");
    assert_eq!(node.env_value("lua_package_path").unwrap(), "./?.lua;./?/init.lua;");
    assert!(!fs::read_to_string(node.prefix.join("nginx-kong.conf")).unwrap().contains("releases"));
    assert!(!node.conf_text().contains("hello"));
    assert!(!node.root.join("kong/plugins/hello").exists());
    assert!(!node.home.join("state/guard").exists());
    assert!(!node.prefix.join(".muster-candidate").exists());
}

#[test]
fn a_proven_reload_is_committed_and_survives_a_power_cut() {
    for way in WAYS {
        for (shell, node) in nodes() {
            let release = node.hello("hello 1");
            let answer = confirmed(Plan::hello(&node, way, &release).talk(&node, shell, None));
            node.serves(NEW);
            assert!(node.conf_text().contains("plugins = bundled,old,hello\n"), "{shell:?} {way}");
            assert_eq!(fs::metadata(&node.conf).unwrap().permissions().mode() & 0o777, 0o644);
            let root = node.root.join("kong/plugins/hello");
            assert_eq!(fs::read_link(&root).unwrap(), node.home.join("current/hello/kong/plugins/hello"));
            let current = fs::read_link(node.home.join("current/hello")).unwrap();
            assert_eq!(current.to_str().unwrap(), format!("../releases/hello/{release}"));
            // Back on the normal search path, without a signal.
            assert_eq!(node.env_value("lua_package_path").unwrap(), "./?.lua;./?/init.lua;");
            assert_eq!(node.env_value("plugins").unwrap(), "bundled,old,hello");
            assert_eq!(node.env_value("pg_password").unwrap(), "s3cret");
            let mode = fs::metadata(node.prefix.join(".kong_env")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640, "{shell:?} {way}");
            assert!(!fs::read_to_string(node.prefix.join("nginx-kong.conf")).unwrap().contains("releases"));
            let receipt = node.receipt(1);
            assert_eq!(receipt.result.as_deref(), Some("changed"));
            assert_eq!(receipt.master, node.master());
            let mut workers: Vec<_> = receipt.workers.iter().map(|(pid, _)| *pid).collect();
            let mut live = node.workers();
            workers.sort_unstable();
            live.sort_unstable();
            assert_eq!(workers, live);
            assert_eq!(receipt.content.values().next().unwrap().as_str(), release);
            assert!(!node.home.join("state/guard").exists());
            assert_eq!(answer.all("did").len(), 3);
            assert!(fs::read_to_string(node.home.join("state/manifest")).unwrap().ends_with("generation 1\n"));
            node.power_cut();
            assert!(node.start());
            node.serves(NEW);
        }
    }
}

#[test]
fn undo_and_a_lost_link_put_back_and_prove_it() {
    for (way, lost) in [("candidate", false), ("hup", true)] {
        for (shell, node) in nodes() {
            let release = node.hello("hello 1");
            let mut talk = Plan::hello(&node, way, &release).talk(&node, shell, None);
            assert!(proven(&mut talk));
            if lost {
                talk.hang_up();
            } else {
                talk.say(b"undo\n");
            }
            let answer = talk.end().ends(Status::Undone);
            assert_eq!(answer.one("undone"), ["proved"], "{shell:?}");
            is_as_it_was(&node);
            assert_eq!(node.receipt(1).result.as_deref(), Some("undone proved"));
        }
    }
}

#[test]
fn without_a_word_the_guard_puts_back_when_its_time_is_up() {
    std::thread::scope(|scope| {
        for (shell, node) in nodes() {
            scope.spawn(move || {
                let release = node.hello("hello 1");
                let plan = Plan { patience: 4, ..Plan::hello(&node, "candidate", &release) };
                let mut talk = plan.talk(&node, shell, None);
                assert!(proven(&mut talk), "{:?}", talk.seen);
                let answer = talk.end().ends(Status::Undone);
                assert_eq!(answer.one("undone"), ["proved"]);
                is_as_it_was(&node);
            });
        }
    });
}

#[test]
fn a_reload_that_fails_is_seen_and_put_back() {
    for way in WAYS {
        for (shell, node) in nodes() {
            let release = node.hello("BROKEN");
            let mut talk = Plan::hello(&node, way, &release).talk(&node, shell, None);
            assert!(!proven(&mut talk), "{:?}", talk.seen);
            talk.say(b"undo\n");
            assert_eq!(talk.end().ends(Status::Undone).one("undone"), ["proved"], "{shell:?} {way}");
            is_as_it_was(&node);
        }
    }
}

#[test]
fn an_undo_in_the_middle_of_a_slow_load_is_not_fooled_by_the_bad_generation() {
    std::thread::scope(|scope| {
        for (shell, node) in nodes() {
            scope.spawn(move || {
                let release = node.hello("SLOW");
                let mut talk = Plan::hello(&node, "candidate", &release).talk(&node, shell, None);
                let proof = talk.wait_for("proof").unwrap();
                assert_eq!(proof.exact(1), Some("0"), "it is still loading");
                talk.say(b"undo\n");
                assert_eq!(talk.end().ends(Status::Undone).one("undone"), ["proved"]);
                is_as_it_was(&node);
            });
        }
    });
}

#[test]
fn what_the_cli_refuses_was_never_signalled() {
    for (shell, node) in nodes() {
        fs::write(node.prefix.join("fault"), "database\n").unwrap();
        let release = node.hello("hello 1");
        let workers = node.workers();
        let answer = Plan::hello(&node, "candidate", &release).talk(&node, shell, None).end().ends(Status::Failed);
        assert!(answer.one("cli")[1].contains("could not reach the database"));
        assert_eq!(answer.one("undone"), ["restored"]);
        is_as_it_was(&node);
        assert_eq!(node.workers(), workers, "{shell:?}: it was signalled");
    }
}

#[test]
fn a_cli_that_never_ends_is_ended_and_put_back() {
    std::thread::scope(|scope| {
        for (shell, node) in nodes() {
            scope.spawn(move || {
                fs::write(node.prefix.join("fault"), "hang\n").unwrap();
                let release = node.hello("hello 1");
                let more = vec![("cli_seconds", "1".to_owned())];
                let plan = Plan { more, ..Plan::hello(&node, "candidate", &release) };
                let answer = plan.talk(&node, shell, None).end().ends(Status::Undone);
                assert_eq!(answer.one("cli")[0], "124");
                assert_eq!(answer.one("undone"), ["proved"]);
                is_as_it_was(&node);
            });
        }
    });
}

#[test]
fn a_node_that_is_not_as_planned_is_not_touched() {
    for (shell, node) in nodes() {
        let release = node.hello("hello 1");
        let plan = Plan::hello(&node, "candidate", &release);
        let expect = |what: &str, args: &Args| {
            let before = node.picture();
            let answer = call(shell, Script::Activate, args, None).ends(Status::Moved);
            assert_eq!(answer.one("moved")[0], what, "{shell:?}");
            assert_eq!(node.picture(), before, "{shell:?} {what}");
        };
        for (key, value, what) in [
            ("conf_sha", digest("x"), "conf"),
            ("conf_sha", "-".to_owned(), "conf"),
            ("env_sha", digest("x"), "env"),
            ("master_pid", "-".to_owned(), "master"),
            ("master_start", "1".to_owned(), "master"),
            ("manifest_generation", "7".to_owned(), "manifest"),
            ("way", "none".to_owned(), "master"),
        ] {
            let more = vec![(key, value)];
            expect(what, &Plan { more, ..plan.clone() }.args(&node));
        }
        let missing = vec![("hello".to_owned(), digest("no such release"))];
        expect("release", &Plan { switch: missing, ..plan.clone() }.args(&node));
        let args = plan.args(&node);
        fs::create_dir(node.root.join("kong/plugins/hello")).unwrap();
        expect("root", &args);
        fs::remove_dir(node.root.join("kong/plugins/hello")).unwrap();
        symlink("../releases/hello/other", node.home.join("current/hello")).unwrap();
        expect("link", &args);
        fs::remove_file(node.home.join("current/hello")).unwrap();
        let more = vec![("generation", (node.generation + 1).to_string())];
        let answer = call(shell, Script::Activate, &Plan { more, ..plan }.args(&node), None).ends(Status::Locked);
        assert_eq!(answer.one("locked")[1], RUN);
        is_as_it_was(&node);
    }
}

#[test]
fn one_directory_after_the_other_is_adopted_without_an_instant_without_it() {
    for (shell, node) in nodes() {
        let root = node.root.join("kong/plugins/hello");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("handler.lua"), "by hand\n").unwrap();
        let release = node.hello("hello 1");
        let adopts = vec!["hello kong/plugins/hello".to_owned()];
        let over = AtomicBool::new(false);
        let answer = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut looks = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    assert!(root.join("handler.lua").is_file(), "{shell:?}: an instant without the plugin");
                    looks += 1;
                }
                looks
            });
            let plan = Plan { adopts, ..Plan::hello(&node, "candidate", &release) };
            let answer = confirmed(plan.talk(&node, shell, None));
            over.store(true, Ordering::Relaxed);
            assert!(watcher.join().unwrap() > 1000);
            answer
        });
        node.serves(NEW);
        let adopted = answer.one("adopted");
        assert_eq!((adopted[0].as_str(), adopted[2].as_str()), (root.to_str().unwrap(), "exchange"));
        let kept = fs::read_to_string(format!("{}/handler.lua", adopted[1])).unwrap();
        assert_eq!(kept, "by hand\n");
        assert!(root.is_symlink());
    }
}

#[test]
fn an_upgrade_switches_all_roots_at_once_and_drops_what_is_gone() {
    for (shell, node) in nodes() {
        let files = [("kong/plugins/hello/handler.lua", "hello 1\n"), ("kong/plugins/bye/handler.lua", "bye 1\n")];
        let first = node.release("hello", &files, "first");
        let conf = node.conf_text().replace("bundled,old", "bundled,old,hello,bye");
        let plan = Plan {
            plugins: "bundled,old,hello,bye".to_owned(),
            roots: vec!["hello kong/plugins/hello".to_owned(), "hello kong/plugins/bye".to_owned()],
            conf: Some(conf),
            ..Plan::hello(&node, "candidate", &first)
        };
        confirmed(plan.talk(&node, shell, None));
        node.serves("old=old 1 hello=hello 1 bye=bye 1");
        let second = node.hello("hello 2");
        let plan = Plan {
            drops: vec!["hello kong/plugins/bye".to_owned()],
            conf: Some(node.conf_text().replace(",bye", "")),
            ..Plan::hello(&node, "candidate", &second)
        };
        confirmed(plan.talk(&node, shell, None));
        node.serves("old=old 1 hello=hello 2");
        assert!(!node.root.join("kong/plugins/bye").is_symlink(), "{shell:?}");
        // And all of it away again.
        let plan = Plan {
            plugins: "bundled,old".to_owned(),
            switch: vec![("hello".to_owned(), "-".to_owned())],
            roots: Vec::new(),
            drops: vec!["hello kong/plugins/hello".to_owned()],
            conf: Some(node.conf_text().replace(",hello", "")),
            ..Plan::hello(&node, "hup", &second)
        };
        confirmed(plan.talk(&node, shell, None));
        node.serves(OLD);
        assert!(!node.root.join("kong/plugins/hello").is_symlink());
        assert!(!node.home.join("current/hello").is_symlink());
    }
}

#[test]
fn a_kong_that_does_not_run_gets_files_and_directive_and_no_signal() {
    for shell in Shell::all().into_iter().filter(|_| is_there("perl")) {
        let node = Node::new();
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "none", &release).talk(&node, shell, None);
        assert_eq!(talk.wait_for("proof").unwrap().number::<u32>(3), Some(0));
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        assert!(node.master().is_none());
        assert!(node.start(), "{shell:?}");
        node.serves(NEW);
        // Undone before the commit, nothing was there to undo.
        let node = Node::new();
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "none", &release).talk(&node, shell, None);
        talk.wait_for("proof").unwrap();
        talk.say(b"undo\n");
        assert_eq!(talk.end().ends(Status::Undone).one("undone"), ["restored"]);
        assert!(!node.root.join("kong/plugins/hello").is_symlink() && !node.conf_text().contains("hello"));
    }
}

/// A node that serves `hello` of ours, and the plan that takes its name out of the directive and nothing else.
fn removal(node: &Node, shell: Shell) -> Plan {
    let release = node.hello("hello 1");
    confirmed(Plan::hello(node, "candidate", &release).talk(node, shell, None));
    Plan {
        plugins: "bundled,old".to_owned(),
        switch: Vec::new(),
        roots: Vec::new(),
        conf: Some(node.conf_text().replace("old,hello", "old")),
        more: vec![("step", "2".to_owned()), ("commit", "3f2a91c4b5".repeat(4))],
        ..Plan::hello(node, "candidate", &release)
    }
}

#[test]
fn a_name_that_goes_leaves_its_links_and_files_where_they_are() {
    for (shell, node) in nodes() {
        let plan = removal(&node, shell);
        node.serves(NEW);
        confirmed(plan.talk(&node, shell, None));
        node.serves(OLD);
        assert!(node.conf_text().contains("plugins = bundled,old\n"));
        assert_eq!(node.env_value("plugins").unwrap(), "bundled,old");
        assert!(node.root.join("kong/plugins/hello/handler.lua").exists(), "{shell:?}");
        let receipt = node.receipt(2);
        assert_eq!(receipt.commit.map(|commit| commit.to_string()), Some("3f2a91c4b5".repeat(4)));
        assert!(receipt.intents.iter().all(|intent| intent.what[0] != "drop"), "{:?}", receipt.intents);
        node.power_cut();
        assert!(node.start());
        node.serves(OLD);
    }
}

fn releases(node: &Node) -> Vec<String> {
    let dir = fs::read_dir(node.home.join("releases/hello")).unwrap();
    let mut names: Vec<_> = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn older_releases_are_collected_but_never_the_current_one_or_an_edited_one() {
    for (shell, node) in nodes() {
        let [one, two, three, four] = ["hello 1", "hello 2", "hello 3", "hello 4"].map(|says| {
            super::delete::real_release(&node, "hello", &[("kong/plugins/hello/handler.lua", &format!("{says}\n"))])
        });
        for (nth, release) in [&three, &one, &two, &four].into_iter().enumerate() {
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + nth as u64);
            fs::File::open(node.home.join("releases/hello").join(release)).unwrap().set_modified(at).unwrap();
        }
        // The oldest by its time becomes the current one; without `keep` nothing goes.
        confirmed(Plan::hello(&node, "candidate", &three).talk(&node, shell, None));
        assert_eq!(releases(&node).len(), 4, "{shell:?}");
        fs::write(node.home.join("releases/hello").join(&one).join("edited"), "by hand").unwrap();
        let keep =
            |number: &str| Plan { more: vec![("keep", number.to_owned())], ..Plan::hello(&node, "candidate", &three) };
        // Old workers may read files of theirs yet.
        fs::write(node.prefix.join("fault"), "linger").unwrap();
        confirmed(keep("2").talk(&node, shell, None));
        assert_eq!(releases(&node).len(), 4, "{shell:?}");
        fs::remove_file(node.prefix.join("fault")).unwrap();
        let master = node.master().unwrap().0;
        let children = || fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        until("the old workers' end", || children().split_whitespace().count() == 2);
        let answer = confirmed(keep("2").talk(&node, shell, None));
        assert_eq!(answer.all("collected"), [["hello".to_owned(), two]], "{shell:?}");
        let mut left = [one, three, four];
        left.sort();
        assert_eq!(releases(&node), left);
        node.serves("old=old 1 hello=hello 3");
    }
}

#[test]
fn a_linked_kong_conf_stays_a_link_and_one_with_two_names_is_refused() {
    for (shell, node) in nodes() {
        let real = node.path().join("real.conf");
        fs::rename(&node.conf, &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("real.conf", &node.conf).unwrap();
        let release = node.hello("hello 1");
        let plan = Plan::hello(&node, "candidate", &release);
        fs::hard_link(&real, node.path().join("second name")).unwrap();
        let answer = plan.talk(&node, shell, None).end().ends(Status::Refused);
        assert_eq!(answer.one("problem")[0], "conf-hard-links");
        fs::remove_file(node.path().join("second name")).unwrap();
        let owner = fs::metadata(&real).unwrap().uid();
        confirmed(plan.talk(&node, shell, None));
        assert!(node.conf.is_symlink(), "{shell:?}");
        assert!(fs::read_to_string(&real).unwrap().contains("hello"));
        let facts = fs::metadata(&real).unwrap();
        assert_eq!((facts.permissions().mode() & 0o777, facts.uid()), (0o600, owner));
    }
}

#[test]
fn any_byte_can_be_put_into_kong_conf() {
    let shells = Shell::all();
    for shell in shells.into_iter().filter(|_| is_there("perl")) {
        let node = Node::new();
        let release = node.hello("hello 1");
        let odd: String = (1..=255_u8).map(char::from).collect();
        let conf = node.conf_text().replace("# the node", &format!("# 'x' %s \\n $(id) `id`\r\n#{odd}"));
        let plan = Plan { conf: Some(conf.clone()), ..Plan::hello(&node, "none", &release) };
        let mut talk = plan.talk(&node, shell, None);
        talk.wait_for("proof").unwrap();
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        assert_eq!(node.conf_text(), conf, "{shell:?}");
    }
}

#[test]
fn the_guard_holds_no_lock_and_no_pipe_and_its_copies_are_private() {
    for (shell, node) in nodes() {
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "candidate", &release).talk(&node, shell, None);
        assert!(proven(&mut talk));
        let guard = node.home.join("state/guard");
        let saved = fs::metadata(guard.join("save/.kong_env")).unwrap().permissions().mode();
        assert_eq!((saved & 0o007, fs::metadata(&guard).unwrap().permissions().mode() & 0o777), (0, 0o700));
        talk.kill();
        // The session is gone; the guard is not, and nobody waits for it.
        until("the lock", || fs::File::open(node.home.join("state/lock")).unwrap().try_lock().is_ok());
        let other = Plan { run: "01BX5ZZKBKACTAV9WEVGEMMVRZ".to_owned(), ..Plan::hello(&node, "candidate", &release) };
        let answer = other.talk(&node, shell, None).end();
        assert_eq!(answer.status, Some(Status::Locked), "{shell:?}");
        fs::write(guard.join("fire"), "").unwrap();
        until("the guard's word", || guard.join("done").exists());
        node.serves(OLD);
        assert!(!guard.join("save").exists(), "{shell:?}: copies with passwords are left");
        // The next run clears what is left.
        let settle = Plan { way: "settle", ..Plan::hello(&node, "candidate", &release) };
        let answer = settle.talk(&node, shell, None).end().ends(Status::Changed);
        assert_eq!(answer.one("settled")[0], "undone proved");
        assert!(!guard.exists());
        settle.talk(&node, shell, None).end().ends(Status::Unchanged);
    }
}

/// Now, in the unit of start times.
fn ticks() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn a_reload_waits_until_the_last_one_is_long_enough_ago() {
    let node = Node::new();
    assert!(node.start());
    let started = node.master().unwrap().1;
    until("the master is no new one", || ticks() > started + 450);
    let first = node.hello("hello 1");
    let mut talk = Plan::hello(&node, "candidate", &first).talk(&node, Shell::Dash, None);
    assert!(proven(&mut talk));
    talk.say(b"confirm\n");
    talk.end().ends(Status::Changed);
    // Workers that came with their master are of no reload: a fresh start is not waited for.
    for (shell, says) in Shell::all().into_iter().zip(["hello 2", "hello 3", "hello 4"]) {
        let mut plan = Plan::hello(&node, "candidate", &node.hello(says));
        plan.more.push(("gap", "6".to_owned()));
        let mut talk = plan.talk(&node, shell, None);
        let waits = talk.wait_for("waiting").unwrap();
        assert_eq!((waits.exact(0), waits.exact(1)), (Some("gap"), Some("6")));
        assert!(!node.guard_lives(), "it waits with a guard");
        assert!(proven(&mut talk));
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        node.serves(&format!("old=old 1 hello={says}"));
    }
}

#[test]
fn a_fresh_start_is_no_reload_and_a_long_gap_does_not_hold_it() {
    let node = Node::new();
    assert!(node.start());
    let mut plan = Plan::hello(&node, "hup", &node.hello("hello 1"));
    plan.more.push(("gap", "3000".to_owned()));
    let mut talk = plan.talk(&node, Shell::Dash, None);
    assert!(proven(&mut talk));
    talk.say(b"confirm\n");
    assert!(talk.end().ends(Status::Changed).all("waiting").is_empty());
}

#[test]
fn too_many_old_workers_are_waited_for_and_then_the_node_is_left_as_it_is() {
    let node = Node::new();
    assert!(node.start());
    fs::write(node.prefix.join("fault"), "linger").unwrap();
    let mut talk = Plan::hello(&node, "candidate", &node.hello("hello 1")).talk(&node, Shell::Dash, None);
    assert!(proven(&mut talk));
    talk.say(b"confirm\n");
    talk.end().ends(Status::Changed);
    for shell in Shell::all() {
        let mut plan = Plan::hello(&node, "candidate", &node.hello("hello 2"));
        plan.more.extend([("draining", "0".to_owned()), ("pace_seconds", "1".to_owned())]);
        let before = node.picture();
        let answer = plan.talk(&node, shell, None).end().ends(Status::Refused);
        assert_eq!(answer.one("waiting"), ["draining", "2"]);
        assert_eq!(answer.one("problem"), ["pace-draining", "2"]);
        assert_eq!(node.picture(), before, "something was touched");
    }
    // One old generation may be leaving where that is allowed.
    let mut plan = Plan::hello(&node, "candidate", &node.hello("hello 2"));
    plan.more.push(("draining", "1".to_owned()));
    let mut talk = plan.talk(&node, Shell::Dash, None);
    assert!(proven(&mut talk));
    talk.say(b"confirm\n");
    talk.end().ends(Status::Changed);
    fs::remove_file(node.prefix.join("fault")).unwrap();
}
