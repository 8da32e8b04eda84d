//! What a node without a database stores (measured.md 7, transcripts 07 and 07b), and the trial on a copy of it
//! (protocols.md A and B4).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::gateway::{Gateway, Node, each};
use super::hybrid::{assert_dead, local_hash, replaced, runs, with_site};
use super::probe::{Answer, wait_for, wait_until};

/// A node with the plugin `good`, without a declarative file, that was sent a configuration with (or without) a row of it.
fn stored(gateway: &Gateway, used: &[&str]) -> Node {
    let node = gateway.bare(&[("database", "off")], "bundled,good");
    node.write_plugin("good", "1.0.0");
    node.declare(used);
    assert_eq!(node.with_conf("start").code, 0);
    wait_until("the status API answers", || node.ready().is_some());
    assert_eq!(node.ready(), Some(503), "there is no configuration yet");
    assert_eq!(send(&node, "").status, 201);
    node.wait_ready();
    node
}

/// Sends what was declared last.
fn send(node: &Node, query: &str) -> Answer {
    send_text(node, query, &fs::read_to_string(node.declared()).unwrap())
}

fn send_text(node: &Node, query: &str, text: &str) -> Answer {
    let form = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    node.ask("POST", &format!("/config{query}"), &format!("config={form}")).unwrap()
}

#[test]
fn what_is_posted_survives_reload_prepare_and_restart_where_there_is_no_file() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        wait_until("it runs", || runs(&node, "good"));
        let hash = local_hash(&node);
        node.reloaded();
        assert_eq!((local_hash(&node), runs(&node, "good")), (hash.clone(), true));
        assert_eq!(node.with_conf("prepare").code, 0);
        node.reloaded();
        assert!(runs(&node, "good"));
        assert_eq!(node.with_conf("restart").code, 0);
        node.wait_ready();
        assert_eq!((local_hash(&node), runs(&node, "good")), (hash, true));
    });
}

#[test]
fn the_same_text_again_is_304_and_a_bad_one_changes_nothing() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        let hash = local_hash(&node);
        assert_eq!(send(&node, "?check_hash=1").status, 304);
        let answer = send_text(&node, "", "_format_version: \"3.0\"\nplugins:\n- name: nosuch\n");
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_i64()), (400, Some(14)));
        let problem = "plugin 'nosuch' not enabled; add it to the 'plugins' configuration property";
        assert_eq!(body["fields"]["plugins"][0]["name"], problem);
        assert_eq!((local_hash(&node), runs(&node, "good")), (hash, true));
    });
}

#[test]
fn what_is_exported_edited_and_posted_again_lacks_what_was_cut_out() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        let text = node.admin("/config").json()["config"].as_str().unwrap().to_owned();
        assert!(text.contains("_format_version: '3.0'") && text.contains("name: good"), "{text}");
        let mut whole: Value = serde_yaml::from_str(&text).unwrap();
        let ids = |node: &Node| node.admin("/plugins").json()["data"].as_array().unwrap().clone();
        let kept: Vec<Value> = ids(&node).into_iter().filter(|row| row["name"] != "good").collect();
        whole["plugins"].as_array_mut().unwrap().retain(|row| row["name"] != "good");
        assert_eq!(send_text(&node, "?check_hash=1", &serde_yaml::to_string(&whole).unwrap()).status, 201);
        wait_until("it is gone", || !runs(&node, "good"));
        let left: Vec<Value> = ids(&node).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(left, kept.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), "rows keep their ids");
        assert_eq!(node.proxy("/").unwrap().status, 200);
    });
}

/// Transcripts 07, 1 to 1e and 07b.
#[test]
fn a_declarative_file_wins_over_what_was_posted() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &[]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let file = fs::read_to_string(node.declared()).unwrap();
        let post = || {
            node.declare(&["good"]);
            let sent = send(&node, "").status;
            fs::write(node.declared(), &file).unwrap();
            assert_eq!(sent, 201);
            wait_until("what was posted runs", || runs(&node, "good"));
        };
        post();
        node.kill_worker();
        assert!(runs(&node, "good"), "a worker's death keeps it");
        node.reloaded();
        assert!(!runs(&node, "good"), "a reload reads the file");
        post();
        let before = node.live();
        node.hup();
        node.wait_replaced(&before);
        assert!(!runs(&node, "good"), "so does a signal");
        post();
        assert_eq!(node.with_conf("restart").code, 0);
        node.wait_ready();
        assert!(!runs(&node, "good"), "and a restart");
        post();
        let before = node.live();
        node.with_prefix("reload").says("Kong reloaded\n");
        node.wait_replaced(&before);
        assert!(runs(&node, "good"), "but this one drops the file from the configuration");
        assert_eq!(node.kept("declarative_config"), None);
    });
}

/// Transcript 07b: the trap of a node that keeps its configuration itself.
#[test]
fn a_directive_that_goes_before_the_stored_rows_leaves_a_node_that_serves_nothing() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        node.set("plugins", "bundled");
        replaced(&node);
        wait_until("the API shows the new workers", || node.announced().is_some());
        assert_dead(&node);
        assert_eq!((node.admin("/").status, node.with_prefix("health").code), (200, 0));
        assert!(node.log().contains("good plugin is in use but not enabled; this node must be restarted"));
        assert_eq!(node.with_conf("restart").code, 0, "and a restart says that all is well");
        assert_dead(&node);
        node.declare(&[]);
        assert_eq!(send(&node, "").status, 201);
        assert!(node.proxy("/").is_none(), "what is posted now helps only with another reload");
        node.reloaded();
        assert_eq!(node.proxy("/").unwrap().status, 200);
    });
}

/// measured.md 2: a load balancer that asks would drain the node for a moment, while it serves.
#[test]
fn readiness_goes_away_for_a_moment_at_every_good_reload() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        if !gateway.is_real() {
            node.change(|settings| settings.faults.slow_load = 0.2);
        }
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if node.ready() == Some(503) {
                        seen.store(true, Ordering::Relaxed);
                    }
                    assert!(runs(&node, "good"), "it is served all the time");
                }
            });
            node.reloaded();
            over.store(true, Ordering::Relaxed);
        });
        assert!(seen.load(Ordering::Relaxed), "503 was never seen");
    });
}

/// protocols.md B4: pages that are freed are not cleared.
#[test]
fn the_name_of_a_plugin_stays_in_the_file_after_its_row_is_gone() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        node.declare(&[]);
        assert_eq!(send(&node, "").status, 201);
        wait_until("it is gone", || !runs(&node, "good"));
        let bytes = fs::read(node.prefix.join("dbless.lmdb/data.mdb")).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("good"));
    });
}

/// Starts a scratch node on a copy of what a node stores, with these plugins; what it answers at its proxy, `None` where it is
/// never ready.
fn trial(gateway: &Gateway, node: &Node, plugins: &str) -> Option<u16> {
    let scratch = gateway.bare(&[("role", "traditional"), ("database", "off")], plugins);
    scratch.set("admin_listen", "off");
    scratch.set("lua_package_path", &node.kept("lua_package_path").unwrap());
    let own = fs::read_to_string(&scratch.conf).unwrap();
    fs::write(&scratch.conf, format!("{}\n{own}", node.kong_env())).unwrap();
    fs::create_dir_all(scratch.prefix.join("dbless.lmdb")).unwrap();
    for name in ["data.mdb", "lock.mdb"] {
        let file = format!("dbless.lmdb/{name}");
        fs::copy(node.prefix.join(&file), scratch.prefix.join(&file)).unwrap();
    }
    let started = scratch.with_conf("start");
    assert_eq!(started.code, 0, "{started:?}");
    let outcome = wait_for("the trial has an outcome", || {
        let is_broken = scratch.log().contains("this node must be restarted");
        match scratch.ready() {
            Some(200) => Some(scratch.proxy("/").map(|answer| answer.status)),
            _ if is_broken => Some(None),
            _ => None,
        }
    });
    if outcome.is_none() {
        assert_dead(&scratch);
    }
    assert_eq!(scratch.with_prefix("stop").code, 0);
    outcome
}

/// Both outcomes, and the node that was copied is as it was.
fn tried(gateway: &Gateway, node: &Node, plugins: &str, expected: Option<u16>) {
    let state = || {
        let bytes = fs::read(node.prefix.join("dbless.lmdb/data.mdb")).unwrap();
        (node.kong_env(), bytes.len(), node.live(), node.ready())
    };
    let before = state();
    assert_eq!(trial(gateway, node, plugins), expected, "{plugins}");
    assert_eq!(state(), before);
}

#[test]
fn a_trial_on_a_copy_tells_whether_stored_rows_use_a_plugin() {
    each(|gateway| {
        let node = stored(gateway, &["good"]);
        tried(gateway, &node, "bundled", None);
        tried(gateway, &node, "bundled,good", Some(200));
        node.declare(&[]);
        assert_eq!(send(&node, "").status, 201);
        tried(gateway, &node, "bundled", Some(200));
    });
}

#[test]
fn a_trial_on_a_copy_of_a_data_planes_store_tells_the_same() {
    with_site(|gateway, site| {
        let row = super::database::make(&site.control, "plugins", "name=good");
        wait_until("it runs", || runs(&site.data, "good"));
        tried(gateway, &site.data, "bundled", None);
        site.control.ask("DELETE", &format!("/plugins/{row}"), "");
        wait_until("it is gone", || !runs(&site.data, "good"));
        tried(gateway, &site.data, "bundled", Some(200));
    });
}
