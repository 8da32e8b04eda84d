//! The gateways at hand, and nodes made of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use muster::standin::{Leash, Settings, site, write_wrapper};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::probe::{self, Answer, Process, wait_for, wait_until};

/// One gateway that the suite is run against.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// A real Kong, or the stand-in.
    real: Option<PathBuf>,
    pub(crate) version: String,
}

/// What a `kong` command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Exit 0 and this on standard output.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.code == 0 && self.out == text, "expected {text:?} and exit 0, got {self:?}");
    }

    /// Exit 1, and standard error is this sentence with Kong's hint behind it.
    #[track_caller]
    pub(crate) fn fails(&self, text: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        let found = self.err.find(&format!("Error: {text}\n"));
        assert!(found.is_some(), "expected {text:?} in {self:?}");
        assert!(self.err.ends_with("\n\n  Run with --v (verbose) or --vv (debug) for more details\n"), "{self:?}");
    }
}

/// A variable of the test run.
#[expect(clippy::disallowed_methods, reason = "the suite is told by its caller which real Kong to use")]
pub(crate) fn told(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says what is not run, and why.
pub(crate) fn skip(why: &str) {
    note(&format!("skipped: {why}"));
}

#[expect(clippy::print_stderr, reason = "what a test was run on, and what was skipped, belongs into its output")]
fn note(text: &str) {
    eprintln!("--- {text}");
}

/// Runs a test's body on every gateway at hand, and says which one it was that failed.
pub(crate) fn each(body: impl Fn(&Gateway)) {
    let mut gateways: Vec<Gateway> =
        ["3.9.1", "3.4.2"].map(|version| Gateway { real: None, version: version.into() }).into();
    if let Some(path) = told("MUSTER_KONG") {
        let out = Command::new(&path).arg("version").output().expect("MUSTER_KONG does not run");
        let version = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        gateways.push(Gateway { real: Some(path.into()), version });
    }
    for gateway in gateways {
        note(&format!("on {gateway:?}"));
        body(&gateway);
    }
}

/// A node of a gateway, in a directory of its own. Its processes end with it.
pub(crate) struct Node {
    gateway: Gateway,
    kong: PathBuf,
    pub(crate) conf: PathBuf,
    pub(crate) prefix: PathBuf,
    pub(crate) lua: PathBuf,
    pub(crate) address: Ipv4Addr,
    _leash: Option<Leash>,
    pub(crate) dir: tempfile::TempDir,
}

static LAST: AtomicU8 = AtomicU8::new(1);

impl Gateway {
    /// The stand-in, as 3.9.1: for a node on which something is done that would break a real one.
    pub(crate) fn stand_in() -> Self {
        Self { real: None, version: "3.9.1".into() }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.real.is_some()
    }

    pub(crate) fn is_34(&self) -> bool {
        self.version.starts_with("3.4")
    }

    /// A DB-less node with one worker whose `/` route answers 200, and on which `plugins` are listed and global
    /// plugins of the names in `used` apply. Not started.
    pub(crate) fn node(&self, plugins: &str, used: &[&str]) -> Node {
        let node = self.bare(&[("database", "off")], plugins);
        node.declare(used);
        let file = node.declared().display().to_string();
        node.set("declarative_config", &file);
        node
    }

    /// A node with these lines and nothing declared.
    pub(crate) fn bare(&self, lines: &[(&str, &str)], plugins: &str) -> Node {
        // Workers of a master that is root may run as somebody else: every directory is world-readable.
        let dir =
            tempfile::Builder::new().prefix("mk").permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let address = site::draw(LAST.fetch_add(1, Ordering::Relaxed) % 250 + 1).unwrap();
        fs::create_dir_all(at("lua/kong/plugins")).unwrap();
        let mut text = format!(
            "prefix = {p}\nplugins = {plugins}\nlua_package_path = {l}/?.lua;{l}/?/init.lua;;\nproxy_listen = {address}:8000\n\
             admin_listen = {address}:8001\nstatus_listen = {address}:8007\nadmin_gui_listen = off\nanonymous_reports = off\n\
             nginx_main_worker_processes = 1\nlog_level = notice\n",
            p = at("prefix").display(),
            l = at("lua").display()
        );
        for (key, value) in lines {
            let _ = writeln!(text, "{key} = {value}");
        }
        fs::write(at("kong.conf"), text).unwrap();
        let (kong, leash) = self.command(dir.path());
        let (conf, prefix, lua) = (at("kong.conf"), at("prefix"), at("lua"));
        Node { gateway: self.clone(), kong, conf, prefix, lua, address, _leash: leash, dir }
    }

    fn command(&self, dir: &Path) -> (PathBuf, Option<Leash>) {
        if let Some(path) = &self.real {
            return (path.clone(), None);
        }
        let leash = Leash::hold(&dir.join("leash")).unwrap();
        let settings = Settings {
            leash: Some(leash.path().to_owned()),
            version: self.version.clone(),
            default_conf: dir.join("no-default.conf"),
            default_prefix: dir.join("no-default-prefix"),
            lua_root: dir.join("no-lua-root"),
            database: Some(dir.join("database.json")),
            ..Settings::default()
        };
        settings.store(&dir.join("standin.json")).unwrap();
        let kong = dir.join("kong");
        write_wrapper(&kong, Path::new(env!("CARGO_BIN_EXE_muster")), &dir.join("standin.json")).unwrap();
        (kong, Some(leash))
    }
}

impl Node {
    /// The `kong` command.
    pub(crate) fn cli(&self) -> &Path {
        &self.kong
    }

    /// `kong ARGS`, from `/`, with a clean environment.
    pub(crate) fn kong(&self, args: &[&str]) -> Ran {
        self.kong_with(args, &[], Path::new("/"))
    }

    /// `kong ARGS` with these variables, from this directory.
    pub(crate) fn kong_with(&self, args: &[&str], variables: &[(&str, &str)], from: &Path) -> Ran {
        let path = format!("{}:{}", self.kong.parent().unwrap().display(), told("PATH").unwrap_or_default());
        let mut command = Command::new(&self.kong);
        command.args(args).env_clear().env("PATH", path).env("HOME", self.dir.path()).current_dir(from);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// `kong COMMAND -c KONG.CONF`.
    pub(crate) fn with_conf(&self, command: &str) -> Ran {
        self.kong(&[command, "-c", self.conf.to_str().unwrap()])
    }

    /// `kong WORDS -c KONG.CONF`.
    pub(super) fn with_conf_of(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split(' ').chain(["-c", self.conf.to_str().unwrap()]).collect();
        self.kong(&words)
    }

    /// `kong COMMAND -p PREFIX`.
    pub(crate) fn with_prefix(&self, command: &str) -> Ran {
        self.kong(&[command, "-p", self.prefix.to_str().unwrap()])
    }

    /// Starts the node, and waits until it is ready.
    pub(crate) fn started(self) -> Self {
        let ran = self.with_conf("start");
        assert_eq!(ran.code, 0, "{ran:?}");
        self.wait_ready();
        self
    }

    pub(crate) fn wait_ready(&self) {
        wait_until("the status API says ready", || self.ready() == Some(200));
    }

    /// Reloads and waits until no worker from before is left. Panics when the load fails.
    pub(crate) fn reloaded(&self) {
        let before = self.live();
        self.with_conf("reload").says("Kong reloaded\n");
        self.wait_replaced(&before);
    }

    pub(crate) fn wait_replaced(&self, before: &[Process]) {
        wait_until("new workers alone are left", || {
            let live = self.live();
            self.is_idle() && !live.is_empty() && live.iter().all(|process| !before.contains(process))
        });
        self.wait_ready();
    }

    /// Replaces, adds or (with an empty value) removes a line of kong.conf.
    pub(crate) fn set(&self, key: &str, value: &str) {
        put(&self.conf, key, value);
    }

    /// The declarative file.
    pub(crate) fn declared(&self) -> PathBuf {
        self.dir.path().join("kong.yml")
    }

    /// Writes the declarative file: a route that answers 200, and global plugins of these names.
    pub(crate) fn declare(&self, used: &[&str]) {
        let names: Vec<String> = used.iter().map(|name| format!("{{ name: {name} }}")).collect();
        let plugins = format!("plugins: [{}]\n", names.join(", "));
        let text = format!(
            "_format_version: \"3.0\"\nservices:\n- name: term\n  url: http://127.0.0.1:9\n  routes:\n  - name: term\n    paths: [\"/\"]\n  \
             plugins:\n  - name: request-termination\n    config: {{ status_code: 200, message: ok }}\n{plugins}"
        );
        fs::write(self.declared(), text).unwrap();
    }

    /// Writes a file below `kong/plugins/` of the node's own Lua directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.lua.join("kong/plugins").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a plugin that shows its VERSION at the proxy as `X-NAME`.
    pub(crate) fn write_plugin(&self, name: &str, version: &str) {
        self.write(&format!("{name}/handler.lua"), &handler(name, version));
        self.write(&format!("{name}/schema.lua"), &schema(name));
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        self.ask("GET", path, "").unwrap_or_else(|| panic!("no answer to GET {path}"))
    }

    pub(crate) fn ask(&self, method: &str, path: &str, form: &str) -> Option<Answer> {
        probe::request(self.address, 8001, method, path, form)
    }

    /// `GET /` of the Admin API.
    pub(crate) fn root(&self) -> Value {
        self.admin("/").json()
    }

    pub(crate) fn configured(&self, key: &str) -> Value {
        self.root()["configuration"][key].clone()
    }

    /// `pids.workers`, absent as `None`.
    pub(crate) fn announced(&self) -> Option<BTreeSet<i64>> {
        let root = self.root();
        let pids = root["pids"].get("workers")?.as_array()?;
        Some(pids.iter().filter_map(Value::as_i64).collect())
    }

    /// The status of `/status/ready`.
    pub(crate) fn ready(&self) -> Option<u16> {
        probe::request(self.address, 8007, "GET", "/status/ready", "").map(|answer| answer.status)
    }

    pub(crate) fn proxy(&self, path: &str) -> Option<Answer> {
        probe::request(self.address, 8000, "GET", path, "")
    }

    /// A header of a proxied answer.
    pub(crate) fn proxied(&self, header: &str) -> Option<String> {
        let answer = self.proxy("/").expect("the proxy answers");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header(header).map(str::to_owned)
    }

    pub(crate) fn master(&self) -> i32 {
        wait_for("pids/nginx.pid", || fs::read_to_string(self.prefix.join("pids/nginx.pid")).ok()?.trim().parse().ok())
    }

    pub(crate) fn children(&self) -> Vec<Process> {
        probe::children(self.master())
    }

    /// Workers that were not told to go.
    pub(crate) fn live(&self) -> Vec<Process> {
        self.children().into_iter().filter(|process| !process.is_leaving()).collect()
    }

    pub(crate) fn is_idle(&self) -> bool {
        probe::is_idle(self.master())
    }

    pub(crate) fn wait_idle(&self) {
        wait_until("the master is idle", || self.is_idle());
    }

    pub(crate) fn hup(&self) {
        kill(Pid::from_raw(self.master()), Signal::SIGHUP).unwrap();
    }

    /// Kills the only worker with -9 and waits for the one that replaces it.
    pub(crate) fn kill_worker(&self) {
        let before = self.live();
        for process in &before {
            kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
        }
        wait_until("a respawned worker answers", || {
            let live = self.live();
            !live.is_empty() && live.iter().all(|process| !before.contains(process)) && self.announced().is_some()
        });
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.prefix.join("logs/error.log")).unwrap()
    }

    pub(crate) fn kong_env(&self) -> String {
        fs::read_to_string(self.prefix.join(".kong_env")).unwrap()
    }

    /// The value of a key in `.kong_env`.
    pub(crate) fn kept(&self, key: &str) -> Option<String> {
        let text = self.kong_env();
        text.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).map(str::to_owned)
    }

    /// Tells a stand-in about a fault.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings)) {
        assert!(!self.gateway.is_real(), "only a stand-in can be told about faults");
        let file = self.dir.path().join("standin.json");
        let mut settings = Settings::load(&file).unwrap();
        change(&mut settings);
        settings.store(&file).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.prefix.join("pids/nginx.pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(master) = pid.filter(|pid| *pid > 1) {
            let workers = probe::children(master);
            for pid in std::iter::once(master).chain(workers.into_iter().map(|process| process.pid)) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// Replaces, adds or (with an empty value) removes `key = …` in a configuration file.
pub(crate) fn put(file: &Path, key: &str, value: &str) {
    let text = fs::read_to_string(file).unwrap();
    let others = text.lines().filter(|line| line.split('=').next().is_none_or(|name| name.trim() != key));
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    if !value.is_empty() {
        lines.push(format!("{key} = {value}"));
    }
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

/// A handler that shows its version at the proxy.
pub(crate) fn handler(name: &str, version: &str) -> String {
    format!(
        "local H = {{ PRIORITY = 900, VERSION = \"{version}\" }}\nfunction H:header_filter(conf)\n  \
         kong.response.set_header(\"X-{name}\", H.VERSION)\nend\nreturn H\n"
    )
}

/// A schema with nothing to configure.
pub(crate) fn schema(name: &str) -> String {
    format!(
        "local typedefs = require \"kong.db.schema.typedefs\"\nreturn {{ name = \"{name}\", fields = {{ {{ consumer = typedefs.no_consumer }},\n  \
         {{ config = {{ type = \"record\", fields = {{ {{ greeting = {{ type = \"string\", default = \"hi\" }} }} }} }} }} }} }}\n"
    )
}
