//! What commands leave in the prefix and take from whoever runs them (measured.md 3 and 4; transcripts 03b, 14, 14b, 17, 17b).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::gateway::{Gateway, Node, Ran, each, put, skip, told};
use super::probe::wait_until;

fn good(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node
}

/// A line of shell in which `kong` and `nginx` are the node's, from `/`, with a clean environment.
fn shell(node: &Node, line: &str, words: &[&str]) -> Ran {
    let path = format!("{}:{}", node.cli().parent().unwrap().display(), told("PATH").unwrap_or_default());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line, "sh"]).args(words).env_clear().env("PATH", path).env("HOME", node.dir.path());
    let output = command.current_dir("/").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

fn nginx_conf(node: &Node) -> String {
    fs::read_to_string(node.prefix.join("nginx.conf")).unwrap()
}

#[test]
fn a_prepare_that_nginx_refuses_leaves_its_files_and_the_old_kong_env() {
    each(|gateway| {
        let node = good(gateway).started();
        let (env, live) = (node.kong_env(), node.live());
        node.set("nginx_http_bogus_directive", "1");
        let ran = node.with_conf("prepare");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("nginx configuration is invalid (exit code 1)"), "{ran:?}");
        assert!(ran.err.contains("unknown directive \"bogus_directive\" in "), "{ran:?}");
        let left = fs::read_to_string(node.prefix.join("nginx-kong.conf")).unwrap();
        assert!(left.contains("bogus_directive"), "{left}");
        assert_eq!((node.kong_env(), node.live()), (env, live));
        // A hang-up of anybody meets them: nothing of Kong is touched, and the old workers stay.
        let before = (node.live(), node.announced());
        node.hup();
        wait_until("nginx says so", || node.log().contains("[emerg]") && node.log().contains("bogus_directive"));
        node.wait_idle();
        assert_eq!((node.live(), node.announced()), before);
        node.set("nginx_http_bogus_directive", "");
        node.reloaded();
    });
}

#[test]
fn nginx_finds_nothing_wrong_with_a_broken_plugin() {
    each(|gateway| {
        let node = gateway.node("bundled,nosuch", &[]);
        assert_eq!(node.with_conf("prepare").code, 0);
        let ran = shell(
            &node,
            "command -v nginx >/dev/null || exit 99; exec nginx -t -p \"$1\" -c nginx.conf",
            &[node.prefix.to_str().unwrap()],
        );
        if ran.code == 99 {
            return skip("there is no nginx on the path");
        }
        assert!(ran.code == 0 && ran.err.contains("test is successful"), "{ran:?}");
        assert_eq!(node.with_conf("start").code, 1);
    });
}

#[test]
fn with_every_listener_off_a_start_proves_nothing_and_with_one_it_does() {
    each(|gateway| {
        let node = gateway.node("bundled,nosuch", &[]);
        for key in ["proxy_listen", "admin_listen", "status_listen"] {
            node.set(key, "off");
        }
        node.with_conf("start");
        assert_eq!(node.with_prefix("health").code, 0, "a broken plugin, and it runs");
        node.with_prefix("stop").says("Kong stopped\n");
        wait_until("the master is gone", || node.with_prefix("health").code == 1);
        node.set("status_listen", &format!("{}:8007", node.address));
        let ran = node.with_conf("start");
        assert!(ran.code == 1 && ran.err.contains("nosuch plugin is enabled but not installed;"), "{ran:?}");
    });
}

#[test]
fn how_many_connections_a_node_takes_comes_from_the_shell_that_prepares_it() {
    each(|gateway| {
        let node = good(gateway).started();
        let conf = node.conf.display().to_string();
        for limit in ["1024", "2048"] {
            let before = node.live();
            let line = "ulimit -n \"$2\" && kong prepare -c \"$1\" && kong reload -c \"$1\"";
            let ran = shell(&node, line, &[&conf, limit]);
            assert!(ran.code == 0 && ran.out.ends_with("Kong reloaded\n"), "{ran:?}");
            assert!(ran.err.contains(&format!("ulimit is currently set to \"{limit}\"")), "{ran:?}");
            node.wait_replaced(&before);
            let written = nginx_conf(&node);
            for line in [format!("worker_rlimit_nofile {limit};"), format!("worker_connections {limit};")] {
                assert!(written.contains(&line), "{written}");
            }
            let limits = fs::read_to_string(format!("/proc/{}/limits", node.live()[0].pid)).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            assert_eq!(line.split_whitespace().nth(3), Some(limit), "{line}");
        }
    });
}

/// Whether another user may run the gateway's command, which only root can find out.
fn as_nobody(node: &Node, line: &str) -> Option<Ran> {
    if !nix::unistd::geteuid().is_root() {
        skip("only root can be somebody else");
        return None;
    }
    let (conf, prefix) = (node.conf.display().to_string(), node.prefix.display().to_string());
    let ran = shell(
        node,
        "command -v runuser >/dev/null || exit 99; exec runuser -u nobody -- sh -c \"$1\" sh \"$2\" \"$3\"",
        &[line, &conf, &prefix],
    );
    (ran.code != 99).then_some(ran)
}

#[test]
fn a_prepare_as_root_shuts_an_ordinary_master_and_its_user_out() {
    each(|gateway| {
        let node = good(gateway);
        fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let Some(ran) = as_nobody(&node, "kong start -c \"$1\"") else { return };
        if gateway.is_real() && ran.code == 126 {
            return skip("another user may not run this kong");
        }
        assert_eq!(ran.code, 0, "{ran:?}");
        node.wait_ready();
        let before = (node.live(), node.announced());
        assert_eq!(node.with_conf("prepare").code, 0);
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the master says that it may not read", || {
            node.log().contains("could not load config file: ") && node.log().contains("/.kong_env: Permission denied")
        });
        node.wait_idle();
        assert_eq!((node.live(), node.announced()), before, "the load failed before it began");
        for command in ["health -p \"$2\"", "reload -c \"$1\"", "prepare -c \"$1\"", "stop -p \"$2\""] {
            let ran = as_nobody(&node, &format!("kong {command}")).unwrap();
            assert!(ran.code == 1 && ran.err.contains("/.kong_env: Permission denied"), "{command}: {ran:?}");
        }
        node.with_prefix("stop").says("Kong stopped\n");
    });
}

#[test]
fn the_command_loads_its_modules_from_where_it_is_called_first() {
    each(|gateway| {
        let node = good(gateway);
        let evil = node.dir.path().join("evil/kong/cmd");
        fs::create_dir_all(&evil).unwrap();
        let module = "return { lapp = 'Usage: kong version', execute = function() io.stdout:write('not kong\\n') io.stdout:flush() end }\n";
        fs::write(evil.join("version.lua"), module).unwrap();
        let ran = node.kong_with(&["version"], &[], &node.dir.path().join("evil"));
        assert!(ran.out.contains("not kong"), "{ran:?}");
        node.kong_with(&["version"], &[], Path::new("/")).says(&format!("{}\n", gateway.version));
    });
}

#[test]
fn a_poisoned_kong_env_waits_for_whoever_reloads_next() {
    each(|gateway| {
        let node = good(gateway).started();
        let before = node.live();
        let other = node.dir.path().join("other.conf");
        fs::copy(&node.conf, &other).unwrap();
        put(&other, "plugins", "bundled,good,nosuch");
        node.kong(&["prepare", "-c", other.to_str().unwrap()]).says("");
        assert_eq!((node.live(), node.ready()), (before.clone(), Some(200)), "nothing is to be seen of it");
        node.hup();
        wait_until("the load failed", || node.announced().is_none());
        node.wait_idle();
        assert_eq!((node.live(), node.ready()), (before, Some(503)));
    });
}
