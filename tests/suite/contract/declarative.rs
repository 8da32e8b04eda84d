//! DB-less nodes (measured.md 7, transcript 07).

use super::gateway::each;
use super::probe::wait_until;

#[test]
fn every_write_to_plugins_is_refused() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let rows = node.admin("/plugins").json();
        let row = rows["data"].as_array().unwrap().iter().find(|row| row["name"] == "good").unwrap().clone();
        let path = format!("/plugins/{}", row["id"].as_str().unwrap());
        for (method, path, form, word) in [
            ("POST", "/plugins", "name=good", "create"),
            ("PATCH", &path, "enabled=false", "update"),
            ("DELETE", &path, "", "remove"),
        ] {
            let answer = node.ask(method, path, form).unwrap();
            let body = answer.json();
            assert_eq!(
                (answer.status, body["code"].as_i64(), body["name"].as_str()),
                (405, Some(12), Some("operation unsupported")),
                "{method}"
            );
            assert_eq!(body["message"], format!("cannot {word} 'plugins' entities when not using a database"));
        }
    });
}

#[test]
fn a_plugin_in_the_file_that_is_not_listed_makes_the_reload_fail_and_the_restart_down() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let (before, already) = (node.live(), node.log().len());
        node.set("plugins", "bundled");
        node.with_conf("reload").says("Kong reloaded\n");
        let expected = "plugin 'good' not enabled; add it to the 'plugins' configuration property";
        wait_until("the log says so", || node.log()[already..].contains(expected));
        node.wait_idle();
        assert!(node.log()[already..].contains("error parsing declarative config file"));
        assert_eq!((node.live(), node.proxied("X-good").as_deref()), (before, Some("1.0.0")));
        assert_eq!(node.with_conf("restart").code, 1);
        assert!(node.proxy("/").is_none());
    });
}

#[test]
fn a_reload_reads_the_file_again() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &[]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        assert_eq!(node.proxied("X-good"), None);
        node.declare(&["good"]);
        node.reloaded();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn a_plugin_in_kept_rows_that_is_not_listed_gives_new_workers_that_serve_nothing() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let before = node.live();
        node.with_prefix("reload").says("Kong reloaded\n");
        node.wait_replaced(&before);
        // The rows now live in LMDB alone; the directive goes first.
        let before = node.live();
        node.set("declarative_config", "");
        node.set("plugins", "bundled");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the workers are new", || {
            let live = node.live();
            node.is_idle() && !live.is_empty() && live.iter().all(|process| !before.contains(process))
        });
        wait_until("the API shows the new workers", || node.announced().is_some());
        assert!(node.proxy("/").is_none(), "an empty reply");
        assert_eq!((node.ready(), node.with_prefix("health").code), (Some(503), 0));
        // The directive back and a reload are enough.
        let before = node.live();
        node.set("plugins", "bundled,good");
        node.with_conf("reload").says("Kong reloaded\n");
        node.wait_replaced(&before);
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn the_verification_surfaces_agree() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let root = node.root();
        assert_eq!(root["version"], gateway.version.as_str());
        assert_eq!(
            root["plugins"]["available_on_server"]["good"],
            serde_json::json!({ "version": "1.0.0", "priority": 900 })
        );
        assert_eq!(root["configuration"]["loaded_plugins"]["good"], true);
        let count = if gateway.is_34() { 38 } else { 46 };
        assert_eq!(root["plugins"]["available_on_server"].as_object().unwrap().len(), count);
        let enabled = node.admin("/plugins/enabled").json();
        assert!(enabled["enabled_plugins"].as_array().unwrap().contains(&"good".into()));
        assert_eq!(
            (node.admin("/schemas/plugins/good").status, node.admin("/schemas/plugins/nonesuch").status),
            (200, 404)
        );
        assert_eq!(node.admin("/schemas/plugins/nonesuch").json()["message"], "No plugin named 'nonesuch'");
        assert!(root["plugins"]["enabled_in_cluster"].as_array().unwrap().contains(&"good".into()));
    });
}

#[test]
fn at_log_level_debug_the_master_names_each_plugin_that_it_loads() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &[]);
        node.write_plugin("good", "1.0.0");
        node.set("log_level", "debug");
        let node = node.started();
        let log = node.log();
        let named = log.lines().filter(|line| line.contains("[debug]") && line.contains("Loading plugin: ")).count();
        assert_eq!(named, if gateway.is_34() { 38 } else { 46 }, "{log}");
        assert!(log.contains("Loading plugin: good\n"));
    });
}
