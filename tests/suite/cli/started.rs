//! Nodes that were started with more than a file: the plugin is applied, every other setting stays as it ran, and what waits in
//! kong.conf goes on waiting and is shown (issue 5; protocols.md A and B2).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use muster::standin::site::Node;
use serde_json::Value;

use crate::harness::gateways::next_second;
use crate::harness::{Gateways, Wanted};

/// Kong's own template with one server more.
const TEMPLATE: &str = "pid pids/nginx.pid;\nerror_log logs/error.log ${{LOG_LEVEL}};\n> for _, el in ipairs(nginx_main_directives) do\n\
                        $(el.name) $(el.value);\n> end\nevents {\n> for _, el in ipairs(nginx_events_directives) do\n    $(el.name) $(el.value);\n\
                        > end\n}\nhttp {\n    include 'nginx-kong.conf';\n    server {\n        server_name own;\n        listen ADDRESS:8010;\n        \
                        location / { return 200 'own'; }\n    }\n}\n";

/// What others wrote into kong.conf since the node was started.
const WAITING: [(&str, &str); 2] = [("log_level", "warn"), ("upstream_keepalive_pool_size", "99")];

/// One gateway, and how it is started.
struct Site {
    gateways: Gateways,
    variables: Vec<(&'static str, String)>,
    template: Option<PathBuf>,
    topology: &'static str,
}

impl Site {
    async fn new() -> Option<Self> {
        let gateways = Gateways::of(&["eu-1"]).await?;
        Some(Self { gateways, variables: vec![], template: None, topology: "traditional" })
    }

    fn node(&self) -> &Node {
        self.gateways.node("eu-1")
    }

    /// Starts it as it is started on this host: with these variables, with this template.
    fn start(&self) {
        let mut command = || {
            let mut command = self.node().kong(&["start", "-c"]);
            command.arg(&self.node().conf).envs(self.variables.iter().map(|(name, value)| (name, value)));
            if let Some(template) = &self.template {
                command.arg("--nginx-conf").arg(template);
            }
            command
        };
        started(&mut command);
    }

    /// Started anew in this way, with others' edits waiting in kong.conf.
    fn started(self) -> Self {
        self.node().stop().unwrap();
        self.start();
        let mut conf = fs::read_to_string(&self.node().conf).unwrap() + "# since Tuesday\n";
        for (key, value) in WAITING {
            conf.extend([key, " = ", value, "\n"]);
        }
        fs::write(&self.node().conf, conf).unwrap();
        self
    }

    fn wanted(&self, version: &str) {
        self.gateways.want(version);
        let text = self.gateways.inventory(&Wanted::default());
        let text = text.replace("topology: traditional", &format!("topology: {}", self.topology));
        self.gateways.commit(&[("inventory.yaml", &text)], "as it is set up");
    }

    /// What the workers say that they run with, without what a change is about: the list, and the path with the release.
    fn running(&self) -> Value {
        let port = self.variables.iter().find(|(name, _)| *name == "KONG_ADMIN_LISTEN");
        let port = port.and_then(|(_, value)| value.rsplit_once(':')?.1.parse().ok()).unwrap_or(8001);
        let answer = crate::contract::probe::request(self.node().address, port, "GET", "/", "").unwrap();
        let mut root = answer.json();
        let running = root["configuration"].as_object_mut().unwrap();
        for ours in ["plugins", "loaded_plugins", "lua_package_path"] {
            running.remove(ours);
        }
        root["configuration"].take()
    }

    /// The settings of the next hang-up, but for the list.
    fn kept(&self) -> Vec<String> {
        let text = fs::read_to_string(self.node().prefix.join(".kong_env")).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("plugins = ") && !line.starts_with('#'));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn nginx(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(&self.node().prefix).unwrap().flatten();
        let nginx = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("nginx"));
        nginx
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    }

    fn own_server(&self) -> Option<String> {
        crate::contract::probe::request(self.node().address, 8010, "GET", "/", "").map(|answer| answer.body)
    }

    /// Installs, then upgrades: each leaves everything else as it was. Then it is started anew in its own way.
    async fn applies(&self) {
        for version in ["1.0.0", "2.0.0"] {
            self.one(version).await;
        }
        self.node().stop().unwrap();
        next_second().await;
        self.start();
        self.gateways.assert_serving(Some("2.0.0")).await;
        assert_eq!(self.gateways.muster(&["--plan", "--detailed-exitcode"]).await.code, 0);
    }

    async fn one(&self, version: &str) {
        let gateways = &self.gateways;
        self.wanted(version);
        let before = (self.running(), self.kept(), self.nginx(), self.own_server(), self.node().master());
        let said = gateways.muster(&["--plan"]).await;
        said.assert(0, &["in kong.conf, not applied by this"]);
        let one_line = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for (key, _) in WAITING {
            assert!(one_line.contains(key), "{key}: {said}");
        }
        gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0. 1 of 1 node proven"]);
        gateways.assert_serving(Some(version)).await;
        let after = (self.running(), self.kept(), self.nginx(), self.own_server(), self.node().master());
        assert_eq!(after, before, "{version}");
        let conf = fs::read_to_string(&self.node().conf).unwrap();
        for (key, value) in WAITING {
            assert!(conf.contains(&format!("\n{key} = {value}\n")), "{conf}");
        }
        gateways.assert_in_line().await;
    }
}

/// Runs a start until what was there before has let its port go.
fn started(command: &mut dyn FnMut() -> Command) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let out = command().output().unwrap();
        if out.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!((said.contains("already running") || said.contains("in use")) && Instant::now() < until, "{said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn with_a_declarative_file_in_the_environment() {
    let Some(mut site) = Site::new().await else { return };
    let file = site.node().dir.join("kong.yml");
    fs::write(&file, "_format_version: \"3.0\"\nplugins: [{ name: cors }]\n").unwrap();
    site.variables = vec![("KONG_DECLARATIVE_CONFIG", file.display().to_string()), ("KONG_DATABASE", "off".into())];
    site.topology = "dbless";
    let site = site.started();
    assert!(site.kept().contains(&format!("declarative_config = {}", file.display())));
    site.applies().await;
    assert!(site.kept().contains(&format!("declarative_config = {}", file.display())));
}

#[tokio::test]
async fn with_variables_and_a_kong_conf_that_says_something_else() {
    let Some(mut site) = Site::new().await else { return };
    site.variables = vec![
        ("KONG_ADMIN_LISTEN", format!("{}:8101", site.node().address)),
        ("KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", "77".into()),
        ("KONG_LOG_LEVEL", "info".into()),
    ];
    let site = site.started();
    let running = site.running();
    assert_eq!(
        (running["log_level"].as_str(), running["upstream_keepalive_pool_size"].as_i64()),
        (Some("info"), Some(77))
    );
    site.applies().await;
    let running = site.running();
    assert_eq!(
        (running["log_level"].as_str(), running["upstream_keepalive_pool_size"].as_i64()),
        (Some("info"), Some(77))
    );
}

#[tokio::test]
async fn with_a_template_of_ones_own() {
    let Some(mut site) = Site::new().await else { return };
    let template = site.node().dir.join("own.template");
    fs::write(&template, TEMPLATE.replace("ADDRESS", &site.node().address.to_string())).unwrap();
    site.template = Some(template);
    let site = site.started();
    assert_eq!(site.own_server().as_deref(), Some("own"));
    site.applies().await;
    assert_eq!(site.own_server().as_deref(), Some("own"));
}

#[tokio::test]
async fn with_a_reference_to_a_vault() {
    let Some(mut site) = Site::new().await else { return };
    let conf = fs::read_to_string(&site.node().conf).unwrap();
    fs::write(&site.node().conf, format!("{conf}pg_user = {{vault://env/pg-login}}\n")).unwrap();
    site.variables = vec![("PG_LOGIN", "kong".into())];
    let site = site.started();
    assert!(site.kept().contains(&"pg_user = {vault://env/pg-login}".to_owned()));
    site.applies().await;
    assert!(site.kept().contains(&"pg_user = {vault://env/pg-login}".to_owned()));
}
