//! What is there already and is not ours: taken as it is, adopted without an instant without it, or left alone with a reason.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fleet::{Operated, SCHEMA};
use super::nodes::handler;
use crate::harness::gateways::in_the_master;

const LIMIT: Duration = Duration::from_mins(1);

/// One node with `acme-auth` installed by hand, listed and loaded; the inventory has 1.0.0.
fn by_hand(version: &str) -> Operated {
    let fleet = Operated::started(&["a"]);
    let node = &fleet.nodes[0].1;
    node.plugin("acme-auth", &handler(version, ""), SCHEMA).unwrap();
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, conf.replace("plugins = bundled", "plugins = bundled,acme-auth")).unwrap();
    node.stop().unwrap();
    // Workers that start in the second of a change may be older than it, and muster then says that a reload is owed.
    let changed = fs::metadata(&node.conf).unwrap().ctime();
    while std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() <= changed.unsigned_abs() + 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    node.start().unwrap();
    fleet
}

/// Everything below a directory: name, inode, mode, size, time, content.
fn picture(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, facts) = (entry.path(), entry.metadata().unwrap());
        let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let facts = (facts.ino(), facts.mode(), facts.size(), facts.mtime_nsec());
        lines.push(format!("{} {facts:?} {content:?}", path.display()));
        if entry.path().is_dir() && !entry.path().is_symlink() {
            lines.extend(picture(&entry.path()));
        }
    }
    lines.sort();
    lines
}

/// A plan is empty, or it has this blocker and nothing is changed by an apply.
fn blocked_by(fleet: &Operated, code: Option<&str>) {
    let node = &fleet.nodes[0].1;
    let before = (picture(&node.lua_root), picture(node.conf.parent().unwrap()));
    let (exit, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
    match code {
        None => assert_eq!(exit, Some(0), "{said}"),
        Some(code) => {
            assert!(said.contains(code), "{said}");
            let (exit, said) = fleet.run(&["--apply", "--all"]);
            assert!(matches!(exit, Some(3 | 6)), "{exit:?} {said}");
        }
    }
    assert_eq!((picture(&node.lua_root), picture(node.conf.parent().unwrap())), before, "{code:?}");
}

#[test]
fn a_directory_of_equal_content_gives_an_empty_plan_and_another_a_blocker() {
    blocked_by(&by_hand("1.0.0"), None);
    blocked_by(&by_hand("0.9.0"), Some("foreign-files"));
}

#[test]
fn a_tree_that_a_rock_owns_is_taken_if_equal_and_left_alone_if_not() {
    for (version, code) in [("1.0.0", None), ("0.9.0", Some("owned-by-rock"))] {
        let fleet = by_hand(version);
        let rocks = fleet.nodes[0].1.lua_root.join("lib/luarocks/rocks-5.1/kong-plugin-acme/1.0-1");
        fs::create_dir_all(&rocks).unwrap();
        let manifest = "rock_manifest = {\n   lua = {\n      kong = {\n         plugins = {\n            [\"acme-auth\"] = {\n               \
            [\"handler.lua\"] = \"00\",\n               [\"schema.lua\"] = \"00\"\n            }\n         }\n      }\n   }\n}\n";
        fs::write(rocks.join("rock_manifest"), manifest).unwrap();
        blocked_by(&fleet, code);
        if code.is_some() {
            // Not even `adopt: true` takes what LuaRocks would put back.
            fleet.commit("1.0.0", "{ state: present, adopt: true }");
            blocked_by(&fleet, code);
        }
    }
}

#[test]
fn a_kong_conf_that_is_managed_by_others_is_left_alone() {
    for (listed, code) in [(true, None), (false, Some("managed-conf"))] {
        let fleet = if listed { by_hand("1.0.0") } else { Operated::started(&["a"]) };
        let conf = &fleet.nodes[0].1.conf;
        let text = fs::read_to_string(conf).unwrap();
        fs::write(conf, format!("# This file is managed by Puppet. Do not edit.\n{text}")).unwrap();
        blocked_by(&fleet, code);
    }
}

#[test]
fn a_kong_conf_that_is_a_link_stays_one() {
    let fleet = Operated::started(&["a"]);
    let conf = &fleet.nodes[0].1.conf;
    let real = fleet.dir().join("kong-of-a.conf");
    fs::rename(conf, &real).unwrap();
    symlink(&real, conf).unwrap();
    let (code, said) = fleet.apply(LIMIT);
    assert_eq!(code, Some(0), "{said}");
    assert!(conf.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("plugins = bundled,acme-auth"));
    assert_eq!(fleet.run(&["--plan", "--detailed-exitcode"]).0, Some(0));
}

#[test]
fn an_adopted_directory_goes_to_the_attic_without_an_instant_without_the_plugin() {
    let fleet = by_hand("0.9.0");
    let node = &fleet.nodes[0].1;
    let (root, over) = (node.lua_root.join("kong/plugins/acme-auth"), AtomicBool::new(false));
    let before = picture(&root).into_iter().map(|line| line.replace(root.to_str().unwrap(), "")).collect::<Vec<_>>();
    fleet.commit("1.0.0", "{ state: present, adopt: true }");
    let looks = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut looks = 0_u64;
            while !over.load(Ordering::Relaxed) {
                for file in ["handler.lua", "schema.lua"] {
                    assert!(
                        fs::read(root.join(file)).is_ok_and(|text| !text.is_empty()),
                        "without {file}, look {looks}"
                    );
                }
                looks += 1;
            }
            looks
        });
        let (code, said) = fleet.apply(LIMIT);
        over.store(true, Ordering::Relaxed);
        assert_eq!(code, Some(0), "{said}");
        watcher.join().unwrap()
    });
    assert!(looks > 1000, "{looks}");
    assert!(root.is_symlink());
    let attic: Vec<_> = fs::read_dir(node.dir.join("muster/attic")).unwrap().flatten().collect();
    assert_eq!(attic.len(), 1);
    let kept = attic[0].path();
    let after = picture(&kept).into_iter().map(|line| line.replace(kept.to_str().unwrap(), "")).collect::<Vec<_>>();
    assert_eq!(after, before, "it is kept as it was");
}

#[test]
fn a_failed_proof_leaves_the_directory_that_was_to_be_adopted_exactly_as_it_was() {
    let fleet = by_hand("0.9.0");
    let node = &fleet.nodes[0].1;
    let before = (picture(&node.lua_root), picture(node.conf.parent().unwrap()));
    fleet.write("plugins/acme-auth/handler.lua", &handler("1.0.0", &in_the_master("error(\"not on this node\")")));
    fleet.commit_with("{ state: present, adopt: true }");
    let (code, said) = fleet.apply(LIMIT);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("not on this node"), "{said}");
    assert_eq!((picture(&node.lua_root), picture(node.conf.parent().unwrap())), before);
    node.cut_power().unwrap();
    fleet.starts(0);
}
