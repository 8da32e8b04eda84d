//! Which value wins, and which file each command reads and writes (measured.md 4, transcript 04).

use std::path::Path;

use serde_json::json;

use super::gateway::{Gateway, Node, each};
use super::probe::wait_until;

const VARIABLES: [(&str, &str); 2] = [("KONG_PLUGINS", "bundled,env"), ("KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", "77")];

/// A node whose file says `bundled,file` and which has the files of every plugin named here.
fn node(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,file", &[]);
    for name in ["file", "env", "other"] {
        node.write_plugin(name, "1.0.0");
    }
    node
}

fn with_variables(node: &Node, command: &str) {
    let ran = node.kong_with(&[command, "-c", node.conf.to_str().unwrap()], &VARIABLES, Path::new("/"));
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Runs a command that reloads, and waits for the workers that it brings.
fn reload(node: &Node, command: impl FnOnce()) {
    let before = node.live();
    command();
    node.wait_replaced(&before);
}

#[track_caller]
fn assert_in_force(node: &Node, plugins: &str, pool: i64) {
    assert_eq!(node.kept("plugins").as_deref(), Some(plugins));
    assert_eq!(node.configured("plugins"), json!(plugins.split(',').collect::<Vec<_>>()));
    assert_eq!(node.configured("upstream_keepalive_pool_size"), json!(pool));
}

#[test]
fn at_start_the_environment_beats_the_file() {
    each(|gateway| {
        let node = node(gateway);
        with_variables(&node, "start");
        node.wait_ready();
        assert_in_force(&node, "bundled,env", 77);
    });
}

#[test]
fn a_later_reload_with_the_file_brings_its_keys_back_and_keeps_the_others() {
    each(|gateway| {
        let node = node(gateway);
        with_variables(&node, "start");
        node.wait_ready();
        reload(&node, || node.with_conf("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,file", 77);
    });
}

#[test]
fn a_reload_by_the_prefix_alone_keeps_everything() {
    each(|gateway| {
        let node = node(gateway);
        with_variables(&node, "start");
        node.wait_ready();
        // Readiness does not come back: this drops the declarative file, which the stand-in and Kong keep a copy of.
        reload(&node, || node.with_prefix("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,env", 77);
    });
}

#[test]
fn prepare_without_the_environment_loses_what_it_gave() {
    each(|gateway| {
        let node = node(gateway);
        with_variables(&node, "start");
        node.wait_ready();
        node.with_conf("prepare").says("");
        assert_eq!(node.configured("plugins"), json!(["bundled", "env"]), "a prepare alone changes nothing that runs");
        reload(&node, || node.with_conf("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,file", 512);
    });
}

#[test]
fn one_reload_with_a_variable_sticks_until_a_reload_with_the_file() {
    each(|gateway| {
        let node = node(gateway).started();
        reload(&node, || with_variables(&node, "reload"));
        assert_in_force(&node, "bundled,env", 77);
        reload(&node, || node.with_prefix("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,env", 77);
        reload(&node, || node.with_conf("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,file", 77);
    });
}

#[test]
fn a_removed_line_stays_in_force_over_a_reload_and_goes_with_a_prepare() {
    each(|gateway| {
        let node = node(gateway).started();
        node.set("plugins", "");
        reload(&node, || node.with_conf("reload").says("Kong reloaded\n"));
        assert_in_force(&node, "bundled,file", 512);
        node.with_conf("prepare").says("");
        assert_eq!(node.kept("plugins").as_deref(), Some("bundled"));
    });
}

#[test]
fn a_hangup_reads_kong_env_and_neither_file_nor_environment() {
    each(|gateway| {
        let node = node(gateway).started();
        node.set("plugins", "bundled,other");
        reload(&node, || node.hup());
        assert_in_force(&node, "bundled,file", 512);
    });
}

#[test]
fn a_reload_by_the_prefix_alone_drops_the_declarative_file_and_keeps_its_rows() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        assert!(node.kept("declarative_config").is_some());
        reload(&node, || node.with_prefix("reload").says("Kong reloaded\n"));
        assert_eq!(node.kept("declarative_config"), None);
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn an_empty_variable_drops_the_key_so_that_the_default_applies() {
    each(|gateway| {
        let node = node(gateway);
        let ran =
            node.kong_with(&["prepare", "-c", node.conf.to_str().unwrap()], &[("KONG_PLUGINS", "")], Path::new("/"));
        assert_eq!((ran.code, node.kept("plugins")), (0, None));
    });
}

#[test]
fn the_file_is_read_as_kong_reads_it() {
    let table: [(&str, &str); 10] = [
        ("plugins = bundled,a\nplugins = bundled,b", "bundled,b"),
        ("PLUGINS = bundled,a", "bundled"),
        ("   plugins\t= bundled , a  ", "bundled,a"),
        ("plugins = bundled,a#b", "bundled,a"),
        ("plugins = bundled,a # why", "bundled,a"),
        ("; plugins = a\n# plugins = b", "bundled"),
        ("plugins = bundled,\\\n  a", "bundled,a"),
        ("plugins = \"bundled,a\"", "\"bundled,a\""),
        ("[section]\nplugins = a", "bundled"),
        ("plugins: bundled,a", "bundled"),
    ];
    each(|gateway| {
        let node = gateway.bare(&[("database", "off")], "bundled");
        let head = format!("prefix = {}\ndatabase = off\n", node.prefix.display());
        for (text, expected) in table {
            std::fs::write(&node.conf, format!("{head}{text}\n")).unwrap();
            let ran = node.with_conf("prepare");
            assert_eq!(ran.code, 0, "{text:?}: {ran:?}");
            assert_eq!(node.kept("plugins").as_deref(), Some(expected), "{text:?}");
        }
    });
}

#[test]
fn a_restart_without_the_file_ends_on_defaults() {
    each(|gateway| {
        if gateway.is_real() && Path::new("/etc/kong/kong.conf").exists() {
            super::gateway::skip("this host has a kong.conf at the default path");
            return;
        }
        let node = node(gateway).started();
        if !gateway.is_real() {
            // Like a host on which no PostgreSQL listens.
            node.change(|settings| settings.faults.database_gone = true);
        }
        let ran = node.with_prefix("restart");
        assert!(ran.code == 1 && ran.out.starts_with("Kong stopped\n"), "{ran:?}");
        assert!(ran.err.contains("[PostgreSQL error] failed to retrieve PostgreSQL server_version_num"), "{ran:?}");
        wait_until("the node is down", || node.proxy("/").is_none());
        assert_eq!(node.kept("database").as_deref(), Some("postgres"));
    });
}
