//! Texts and exit codes of the CLI (measured.md 1, transcript 01).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::gateway::each;
use super::probe::wait_until;

#[test]
fn version_prints_the_release_and_with_a_four_lines() {
    each(|gateway| {
        let node = gateway.bare(&[], "bundled");
        node.kong(&["version"]).says(&format!("{}\n", gateway.version));
        let all = node.kong(&["version", "-a"]);
        assert!(
            all.code == 0
                && all.out.lines().count() == 4
                && all.out.starts_with(&format!("Kong: {}\n", gateway.version)),
            "{all:?}"
        );
    });
}

#[test]
fn check_judges_values_and_never_opens_plugin_files() {
    each(|gateway| {
        let node = gateway.node("bundled,no-such-plugin", &[]);
        let conf = node.conf.display().to_string();
        node.kong(&["check", &conf]).says(&format!("configuration at {conf} is valid\n"));
        fs::write(&node.conf, "no_such_key = 1\nplugins: x\ngarbage\n").unwrap();
        node.kong(&["check", &conf]).says(&format!("configuration at {conf} is valid\n"));
        fs::write(&node.conf, "log_level = loud\n").unwrap();
        let bad = node.kong(&["check", &conf]);
        assert_eq!(bad.code, 1);
        assert!(
            bad.err.contains(
                "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)"
            ),
            "{bad:?}"
        );
        let missing = node.kong(&["check", "/no/such/file"]);
        assert!(missing.code == 1 && missing.err.contains("no file at: /no/such/file"), "{missing:?}");
    });
}

#[test]
fn health_tells_an_absent_a_stopped_and_a_running_node_apart() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        let prefix = node.prefix.display().to_string();
        node.with_prefix("health").fails(&format!("no such prefix: {prefix}"));
        assert_eq!(node.with_conf("prepare").code, 0);
        let stopped = node.with_prefix("health");
        stopped.fails(&format!("Kong is not running at {prefix}"));
        assert_eq!(stopped.out, "nginx.......not running\n\n");
        let node = node.started();
        node.with_prefix("health").says(&format!("nginx.......running\n\nKong is healthy at {prefix}\n"));
    });
}

#[test]
fn prepare_is_silent_and_writes_a_private_kong_env() {
    each(|gateway| {
        let node = gateway.node("bundled, x", &[]);
        let first = node.with_conf("prepare");
        assert!(first.code == 0 && first.out.contains("not found, trying to create it"), "{first:?}");
        node.with_conf("prepare").says("");
        let text = node.kong_env();
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 7, "{text}");
        assert_eq!(node.kept("plugins").as_deref(), Some("bundled,x"));
        let mode = fs::metadata(node.prefix.join(".kong_env")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read(node.prefix.join("pids/nginx.pid")).unwrap(), b"");
        let nginx = fs::read_to_string(node.prefix.join("nginx-kong.conf")).unwrap();
        let written = format!("'{}", node.kept("lua_package_path").unwrap());
        assert!(
            nginx.lines().any(|line| line.trim_start().starts_with("lua_package_path") && line.contains(&written)),
            "{nginx}"
        );
    });
}

#[test]
fn kong_env_holds_the_same_lines_in_another_order_each_time() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        let mut texts = std::collections::BTreeSet::new();
        let mut sorted = std::collections::BTreeSet::new();
        for _ in 0..4 {
            assert_eq!(node.with_conf("prepare").code, 0);
            let text = node.kong_env();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            sorted.insert(lines);
            texts.insert(text);
        }
        assert!(texts.len() > 1 && sorted.len() == 1, "{} texts, {} sets of lines", texts.len(), sorted.len());
    });
}

#[test]
fn start_reload_restart_and_stop_say_what_they_did() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]).started();
        let prefix = node.prefix.display().to_string();
        node.with_conf("start").fails(&format!("Kong is already running in {prefix}"));
        node.with_conf("reload").says("Kong reloaded\n");
        node.with_conf("restart").says("Kong stopped\nKong started\n");
        node.with_prefix("stop").says("Kong stopped\n");
        wait_until("the master is gone", || node.with_prefix("health").code == 1);
        for command in ["stop", "quit"] {
            node.with_prefix(command).fails(&format!("nginx not running in prefix: {prefix}"));
        }
        node.with_conf("restart").says("Kong started\n");
        node.wait_ready();
        node.with_prefix("quit").says("Kong stopped (gracefully)\n");
    });
}

#[test]
fn a_reload_of_a_stopped_node_fails_after_it_has_rewritten_the_prefix() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        assert_eq!(node.with_conf("prepare").code, 0);
        node.set("plugins", "bundled,later");
        node.with_conf("reload").fails(&format!("nginx not running in prefix: {}", node.prefix.display()));
        assert_eq!(node.kept("plugins").as_deref(), Some("bundled,later"));
    });
}

#[test]
fn a_bad_value_stops_prepare_before_anything_is_written() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        assert_eq!(node.with_conf("prepare").code, 0);
        let before = node.kong_env();
        node.set("log_level", "loud");
        node.with_conf("prepare")
            .fails("log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)");
        assert_eq!(node.kong_env(), before);
    });
}

#[test]
fn the_master_shows_its_prefix_and_not_its_environment() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        let conf = node.conf.display().to_string();
        let ran = node.kong_with(&["start", "-c", &conf], &[("KONG_LOG_LEVEL", "warn")], std::path::Path::new("/"));
        assert_eq!(ran.code, 0, "{ran:?}");
        let master = node.master();
        let title = fs::read(format!("/proc/{master}/cmdline")).unwrap();
        let title = String::from_utf8_lossy(&title).replace('\0', " ");
        assert!(
            title.starts_with("nginx: master process ")
                && title.trim().ends_with(&format!("-p {} -c nginx.conf", node.prefix.display())),
            "{title}"
        );
        let environment = fs::read(format!("/proc/{master}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("KONG_LOG_LEVEL"));
        // A worker that has just begun shows another title for a moment, on a real node its master's.
        wait_until("every child is a worker", || {
            node.children().iter().all(|process| process.title == "nginx: worker process")
        });
    });
}
