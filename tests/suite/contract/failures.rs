//! Loads that come to nothing (measured.md 3, transcripts 03 and 03b).

use super::gateway::{Gateway, Node, each, schema};
use super::probe::wait_until;

/// Everything that a failed load leaves as it was, and the three things that it does not.
#[track_caller]
fn assert_not_applied(node: &Node, listed: &str, before: &[super::probe::Process]) {
    node.wait_idle();
    assert_eq!(node.live(), before, "the old workers stay");
    let root = node.root();
    let names: Vec<&str> =
        root["configuration"]["plugins"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(names.join(","), listed, "the old list is served");
    assert!(root["pids"]["master"].is_i64() && root["pids"].get("workers").is_none(), "{}", root["pids"]);
    assert_eq!(node.ready(), Some(503));
    assert_eq!(node.proxy("/").unwrap().status, 200);
    assert_eq!(node.with_prefix("health").code, 0);
}

fn good(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node.started()
}

/// Name, handler, schema ("-" for no file), and what the log says.
const KINDS: [(&str, &str, &str, &str); 12] = [
    (
        "nofiles",
        "-",
        "-",
        "error loading plugin schemas: on plugin 'nofiles': nofiles plugin is enabled but not installed;",
    ),
    ("nohandler", "-", "", "nohandler plugin is enabled but not installed;"),
    (
        "noschema",
        "return { PRIORITY = 1, VERSION = '1.0.0' }",
        "-",
        "on plugin 'noschema': no configuration schema found for plugin: noschema",
    ),
    ("hsyntax", "return {\n}\nfunction x", "", "error loading module 'kong.plugins.hsyntax.handler':"),
    (
        "ssyntax",
        "return { PRIORITY = 1, VERSION = '1.0.0' }",
        "return }",
        "error loading module 'kong.plugins.ssyntax.schema':",
    ),
    (
        "sbad",
        "return { PRIORITY = 1, VERSION = '1.0.0' }",
        "return { name = 'sbad', fields = { { config = { type = 'record', fields = { { a = { type = 'strng' } } } } } } }",
        "on plugin 'sbad': [off] schema violation (",
    ),
    (
        "nover",
        "return { PRIORITY = 1 }",
        "",
        "Plugin \"nover\" cannot be loaded because its VERSION field does not follow the \"x.y.z\" format, got: \"nil\".",
    ),
    (
        "noprio",
        "return { VERSION = '1.0.0' }",
        "",
        "Plugin \"noprio\" cannot be loaded because its PRIORITY field is not a valid integer number, got: \"nil\".",
    ),
    ("boom", "error('boom at load')", "", "boom at load"),
    (
        "dep",
        "local x = require 'no.such.module'\nreturn { PRIORITY = 1, VERSION = '1.0.0' }",
        "",
        "module 'no.such.module' not found:",
    ),
    ("noret", "local x = 1", "", "attempt to index local 'handler' (a boolean value)"),
    ("empty", "", "", "attempt to index local 'handler' (a boolean value)"),
];

#[test]
fn every_kind_of_failure_exits_zero_and_shows_only_in_the_log_and_in_what_is_missing() {
    each(|gateway| {
        let node = good(gateway);
        for (name, handler, its_schema, expected) in KINDS {
            if handler != "-" {
                node.write(&format!("{name}/handler.lua"), handler);
            }
            if its_schema != "-" {
                let text = if its_schema.is_empty() { schema(name) } else { its_schema.to_owned() };
                node.write(&format!("{name}/schema.lua"), &text);
            }
            let (before, already) = (node.live(), node.log().len());
            node.set("plugins", &format!("bundled,good,{name}"));
            assert_eq!(node.kong(&["check", node.conf.to_str().unwrap()]).code, 0, "{name}");
            node.with_conf("reload").says("Kong reloaded\n");
            wait_until(&format!("the log says {expected}"), || node.log()[already..].contains(expected));
            let log = node.log()[already..].to_owned();
            assert!(
                log.contains("[error]")
                    && log.contains("init_by_lua error:")
                    && !log.contains("start worker processes"),
                "{name}: {log}"
            );
            assert_not_applied(&node, "bundled,good", &before);
            assert_eq!(node.kept("plugins"), Some(format!("bundled,good,{name}")), "the bad list stays in .kong_env");
            node.set("plugins", "bundled,good");
            node.reloaded();
        }
    });
}

#[test]
fn an_empty_name_in_the_list_breaks_the_load() {
    each(|gateway| {
        let node = good(gateway);
        let (before, already) = (node.live(), node.log().len());
        node.set("plugins", "bundled,good,");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the log names the empty plugin", || {
            node.log()[already..].contains("on plugin '':  plugin is enabled but not installed")
        });
        assert_not_applied(&node, "bundled,good", &before);
    });
}

#[test]
fn a_restart_on_a_broken_plugin_takes_the_node_down() {
    each(|gateway| {
        let node = good(gateway);
        node.set("plugins", "bundled,good,nofiles");
        let ran = node.with_conf("restart");
        assert!(ran.code == 1 && ran.out == "Kong stopped\n", "{ran:?}");
        assert!(ran.err.contains("nofiles plugin is enabled but not installed;"), "{ran:?}");
        assert!(node.proxy("/").is_none());
        assert_eq!(node.with_prefix("health").code, 1);
    });
}

#[test]
fn at_log_level_crit_a_failed_reload_writes_nothing() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        node.set("log_level", "crit");
        let node = node.started();
        let before = node.live();
        node.set("plugins", "bundled,good,nofiles");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the announced pids vanish", || node.announced().is_none());
        assert_not_applied(&node, "bundled,good", &before);
        assert!(!node.log().contains("init_by_lua") && !node.log().contains("reconfiguring"), "{}", node.log());
    });
}

#[test]
fn a_worker_killed_after_a_failed_reload_comes_back_with_the_old_code_and_looks_new() {
    each(|gateway| {
        let node = good(gateway);
        let before = node.announced().unwrap();
        // A content upgrade whose load fails: handler replaced on disk, schema broken.
        node.write_plugin("good", "2.0.0");
        node.write("good/schema.lua", "return }");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the announced pids vanish", || node.announced().is_none());
        node.wait_idle();
        node.kill_worker();
        let after = node.announced().unwrap();
        assert!(before.is_disjoint(&after), "every pid is new");
        wait_until("readiness comes back", || node.ready() == Some(200));
        let version = node.root()["plugins"]["available_on_server"]["good"]["version"].clone();
        assert_eq!(
            (version.as_str(), node.proxied("X-good").as_deref()),
            (Some("1.0.0"), Some("1.0.0")),
            "and yet the old code runs"
        );
    });
}

#[test]
fn a_load_that_fails_before_it_begins_leaves_the_announced_pids() {
    each(|gateway| {
        let node = good(gateway);
        let (before, announced, already) = (node.live(), node.announced(), node.log().len());
        std::fs::remove_file(node.prefix.join(".kong_env")).unwrap();
        node.hup();
        wait_until("the log says why", || node.log()[already..].contains("init_by_lua error:"));
        node.wait_idle();
        assert_eq!((node.live(), node.announced()), (before, announced));
        assert_eq!(node.ready(), Some(200));
    });
}

#[test]
fn what_looks_wrong_but_loads() {
    each(|gateway| {
        let node = gateway.node("bundled,good,sname,good", &["good"]);
        node.write_plugin("good", "1.0.0-1");
        node.write_plugin("sname", "0.1");
        node.write("sname/schema.lua", &schema("another-name"));
        let node = node.started();
        let available = node.root()["plugins"]["available_on_server"].clone();
        assert_eq!(
            (available["good"]["version"].as_str(), available["sname"]["version"].as_str()),
            (Some("1.0.0"), Some("0.1"))
        );
        assert_eq!(available.get("another-name"), None, "listed under the directory's name");
    });
}

#[test]
fn off_in_front_loads_nothing_at_all() {
    each(|gateway| {
        let node = gateway.bare(&[("database", "off")], "off,good");
        assert_eq!(node.with_conf("start").code, 0);
        let loaded = node.admin("/plugins/enabled").json();
        // An empty Lua table may be written as an object.
        assert!(loaded["enabled_plugins"].as_array().is_none_or(Vec::is_empty), "{loaded}");
    });
}
