//! Nodes that were started with more than a file: a template of their own, vault references, variables, in the foreground
//! (protocols.md B2, measured.md 4, transcript 13 G).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::gateway::{Gateway, Node, each, told};
use super::probe::{self, wait_until};

/// Kong's own template, with one server more.
const TEMPLATE: &str = "pid pids/nginx.pid;\nerror_log logs/error.log ${{LOG_LEVEL}};\n> for _, el in ipairs(nginx_main_directives) do\n\
                        $(el.name) $(el.value);\n> end\nevents {\n> for _, el in ipairs(nginx_events_directives) do\n    $(el.name) $(el.value);\n\
                        > end\n}\nhttp {\n    include 'nginx-kong.conf';\n    server {\n        server_name own;\n        listen ADDRESS:8010;\n        \
                        location / { return 200 'own'; }\n    }\n}\n";

fn template(node: &Node) -> PathBuf {
    let path = node.dir.path().join("own.template");
    fs::write(&path, TEMPLATE.replace("ADDRESS", &node.address.to_string())).unwrap();
    path
}

fn own_server(node: &Node) -> Option<String> {
    probe::request(node.address, 8010, "GET", "/", "").map(|answer| answer.body)
}

fn with_plugin(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node
}

#[test]
fn a_template_of_ones_own_survives_a_hangup_and_is_replaced_by_a_reload() {
    each(|gateway| {
        let node = with_plugin(gateway);
        let (conf, own) = (node.conf.display().to_string(), template(&node).display().to_string());
        let ran = node.kong(&["start", "-c", &conf, "--nginx-conf", &own]);
        assert_eq!(ran.code, 0, "{ran:?}");
        node.wait_ready();
        assert_eq!(own_server(&node).as_deref(), Some("own"));
        let before = node.live();
        node.hup();
        node.wait_replaced(&before);
        assert_eq!(own_server(&node).as_deref(), Some("own"));
        let before = node.live();
        node.kong(&["reload", "-c", &conf, "--nginx-conf", &own]).says("Kong reloaded\n");
        node.wait_replaced(&before);
        assert_eq!(own_server(&node).as_deref(), Some("own"));
        let before = node.live();
        node.kong(&["reload", "-c", &conf]).says("Kong reloaded\n");
        node.wait_replaced(&before);
        wait_until("the old workers have let the port go", || own_server(&node).is_none());
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn a_declarative_file_from_the_environment_is_dropped_by_a_reload_with_a_file() {
    each(|gateway| {
        let node = with_plugin(gateway);
        node.set("declarative_config", "");
        let (conf, file) = (node.conf.display().to_string(), node.declared().display().to_string());
        let ran = node.kong_with(&["start", "-c", &conf], &[("KONG_DECLARATIVE_CONFIG", &file)], Path::new("/"));
        assert_eq!(ran.code, 0, "{ran:?}");
        node.wait_ready();
        assert_eq!(node.kept("declarative_config").as_deref(), Some(file.as_str()));
        node.reloaded();
        assert_eq!(node.kept("declarative_config"), None);
        // From here on the file may say what it will: the rows of before are served.
        node.declare(&[]);
        node.reloaded();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn a_vault_reference_makes_a_reload_without_its_variable_fail_and_a_hangup_work() {
    each(|gateway| {
        let Some(lines) = super::database::lines(gateway) else { return };
        let user = lines.iter().find(|(key, _)| *key == "pg_user").map_or("kong", |(_, value)| value).to_owned();
        let node =
            gateway.bare(&lines.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>(), "bundled");
        node.set("pg_user", "{vault://env/contract-user}");
        let conf = node.conf.display().to_string();
        let with_user = |args: &[&str]| node.kong_with(args, &[("CONTRACT_USER", &user)], Path::new("/"));
        if gateway.is_real() {
            // Nothing to do on a database that is up to date.
            let _ = with_user(&["migrations", "bootstrap", "-c", &conf]);
        }
        let ran = with_user(&["start", "-c", &conf]);
        assert_eq!(ran.code, 0, "{ran:?}");
        node.wait_ready();
        assert_eq!(node.kept("pg_user").as_deref(), Some("{vault://env/contract-user}"));
        let before = node.live();
        let ran = node.with_conf("reload");
        assert!(ran.code == 1 && ran.err.contains("user name"), "{ran:?}");
        assert_eq!(node.live(), before);
        let left = fs::read_dir(&node.prefix).unwrap().flatten();
        let is_secret = |name: &str| name.starts_with(".kong_process_secrets");
        assert!(
            left.into_iter().any(|entry| is_secret(&entry.file_name().to_string_lossy())),
            "nothing is left behind"
        );
        node.hup();
        node.wait_replaced(&before);
    });
}

/// A node that somebody else's process tree holds: `nginx` in the foreground, as in a unit or a container.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The variables of a container that has no kong.conf.
fn variables(node: &Node) -> Vec<(&'static str, String)> {
    let listen = |port: u16| format!("{}:{port}", node.address);
    vec![
        ("KONG_PREFIX", node.prefix.display().to_string()),
        ("KONG_DATABASE", "off".into()),
        ("KONG_PLUGINS", "bundled,good".into()),
        ("KONG_LUA_PACKAGE_PATH", format!("{l}/?.lua;{l}/?/init.lua;;", l = node.lua.display())),
        ("KONG_PROXY_LISTEN", listen(8000)),
        ("KONG_ADMIN_LISTEN", listen(8001)),
        ("KONG_STATUS_LISTEN", listen(8007)),
        ("KONG_ADMIN_GUI_LISTEN", "off".into()),
        ("KONG_ANONYMOUS_REPORTS", "off".into()),
        ("KONG_NGINX_MAIN_WORKER_PROCESSES", "1".into()),
        ("KONG_NGINX_DAEMON", "off".into()),
    ]
}

/// `None` where there is no `nginx` beside `kong` or on the path.
fn in_the_foreground(node: &Node) -> Option<Foreground> {
    let variables = variables(node);
    let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ran = node.kong_with(&["prepare"], &pairs, Path::new("/"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let path = format!("{}:{}", node.cli().parent().unwrap().display(), told("PATH").unwrap_or_default());
    let nginx = path.split(':').map(|dir| Path::new(dir).join("nginx")).find(|path| path.is_file())?;
    let mut command = Command::new(nginx);
    command.args(["-p", node.prefix.to_str().unwrap(), "-c", "nginx.conf"]).env_clear().env("PATH", path).envs(pairs);
    let child = command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = Foreground(child.unwrap());
    wait_until("the Admin API answers", || node.ask("GET", "/", "").is_some());
    Some(child)
}

/// Transcript 13, G: the pair of the documents, and a restart, where the settings are in the environment alone.
#[test]
fn in_a_container_a_reload_by_the_prefix_is_safe_and_what_prepares_first_takes_it_down() {
    each(|gateway| {
        let elsewhere = Path::new("/etc/kong/kong.conf").exists() || told("MUSTER_PG").is_some();
        if gateway.is_real() && elsewhere {
            super::gateway::skip("this host has a kong.conf at the default path, or a database at the default one");
            return;
        }
        let node = gateway.bare(&[], "bundled");
        node.write_plugin("good", "1.0.0");
        let Some(_child) = in_the_foreground(&node) else {
            super::gateway::skip("there is no nginx on the path");
            return;
        };
        let before = node.live();
        node.with_prefix("reload").says("Kong reloaded\n");
        wait_until("the workers are new", || {
            let live = node.live();
            node.is_idle() && !live.is_empty() && live.iter().all(|process| !before.contains(process))
        });
        assert_eq!(node.configured("plugins"), json!(["bundled", "good"]));
        if !gateway.is_real() {
            // Like a host on which no PostgreSQL listens.
            node.change(|settings| settings.faults.database_gone = true);
        }
        assert_eq!(node.with_prefix("prepare").code, 0);
        assert_eq!(node.with_prefix("reload").code, 1);
        let kept = |key: &str| node.kept(key).unwrap_or_default();
        assert_eq!(
            (kept("plugins"), kept("database"), kept("nginx_daemon")),
            ("bundled".into(), "postgres".into(), "on".into())
        );
        assert!(node.proxy("/").is_some(), "what runs goes on");
        let ran = node.with_prefix("restart");
        assert!(ran.code == 1 && ran.out.starts_with("Kong stopped"), "{ran:?}");
        wait_until("the node is down", || node.proxy("/").is_none());
    });
}

#[test]
fn the_units_own_reload_takes_kong_conf_with_the_units_environment() {
    each(|gateway| {
        let node = with_plugin(gateway).started();
        let path = format!("{}:{}", node.cli().parent().unwrap().display(), told("PATH").unwrap_or_default());
        if !path.split(':').any(|dir| Path::new(dir).join("nginx").is_file()) {
            super::gateway::skip("there is no nginx on the path");
            return;
        }
        node.set("log_level", "warn");
        node.with_conf("prepare").says("");
        let before = node.live();
        let mut command = Command::new("nginx");
        command.args(["-p", node.prefix.to_str().unwrap(), "-c", "nginx.conf", "-s", "reload"]).env_clear();
        assert!(command.env("PATH", path).current_dir("/").status().unwrap().success());
        node.wait_replaced(&before);
        assert_eq!(node.configured("log_level"), json!("warn"));
    });
}
