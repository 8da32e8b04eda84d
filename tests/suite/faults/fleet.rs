//! A fleet of stand-in nodes with an inventory in a Git repository, and the program run on it as an operator runs it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use muster::standin::site::{self, Node, NodeSpec};
use muster::standin::{Leash, Settings};
use serde_json::{Value, json};

use super::nodes::handler;
use crate::harness;
pub(super) use crate::harness::Prober;
pub(super) use crate::harness::prober::ask;

static LAST: AtomicU8 = AtomicU8::new(1);

pub(super) const SCHEMA: &str =
    "return { name = \"acme-auth\", fields = { { config = { type = \"record\", fields = {} } } } }\n";

/// The nodes, the repository, and muster's own state.
pub(super) struct Operated {
    pub(super) nodes: Vec<(String, Node)>,
    ssh: Option<PathBuf>,
    _leash: Leash,
    dir: tempfile::TempDir,
}

impl Operated {
    /// Nodes of one traditional cluster, started, without any plugin of ours. The inventory asks for `acme-auth` 1.0.0.
    pub(super) fn started(names: &[&str]) -> Self {
        Self::made(names, None)
    }

    /// The same, reached by ssh with this configuration.
    pub(super) fn over_ssh(names: &[&str], config: PathBuf) -> Self {
        Self::made(names, Some(config))
    }

    fn made(names: &[&str], ssh: Option<PathBuf>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mo")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        let leash = Leash::hold(&dir.path().join("leash")).unwrap();
        let nodes = names.iter().map(|name| ((*name).to_owned(), node(dir.path(), name, &leash)));
        let fleet = Self { nodes: nodes.collect(), ssh, _leash: leash, dir };
        fleet.repository();
        fleet.write("plugins/acme-auth/schema.lua", SCHEMA);
        fleet.commit("1.0.0", "present");
        fleet
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn repository(&self) {
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        git2::Repository::init_opts(self.repo(), &options).unwrap();
    }

    /// Writes a file of the repository, for the next commit.
    pub(super) fn write(&self, path: &str, text: &str) {
        let file = self.repo().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Commits an inventory that wants this version of `acme-auth`, as this entry of the cluster's plugins says.
    pub(super) fn commit(&self, version: &str, entry: &str) {
        self.write("plugins/acme-auth/handler.lua", &handler(version, ""));
        self.commit_with(entry);
    }

    /// Commits what was written, and an inventory with this entry.
    pub(super) fn commit_with(&self, entry: &str) {
        self.commit_plugins(&["acme-auth"], &[&format!("acme-auth: {entry}")]);
    }

    /// Commits what was written, and an inventory with these bundles of the repository and these entries.
    pub(super) fn commit_plugins(&self, bundles: &[&str], entries: &[&str]) {
        self.commit_text(bundles, entries, "");
    }

    /// The same, with more lines at the top of the inventory.
    pub(super) fn commit_text(&self, bundles: &[&str], entries: &[&str], top: &str) {
        self.write("inventory.yaml", &(top.to_owned() + &self.inventory(bundles, entries)));
        let git = git2::Repository::open(self.repo()).unwrap();
        let mut index = git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("test", "test@localhost").unwrap();
        let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
        git.commit(Some("HEAD"), &who, &who, "a change", &tree, &parent.iter().collect::<Vec<_>>()).unwrap();
    }

    fn inventory(&self, bundles: &[&str], entries: &[&str]) -> String {
        use std::fmt::Write as _;
        let transport = if self.ssh.is_some() { "ssh" } else { "local" };
        let mut text = format!("version: 1\nowner: edge\ndefaults: {{ become: none, transport: {transport} }}\n");
        if !bundles.is_empty() {
            text.push_str("bundles:\n");
        }
        for bundle in bundles {
            let _ = writeln!(text, "  {bundle}: {{ dir: plugins/{bundle} }}");
        }
        text.push_str(
            "clusters:\n  eu:\n    topology: traditional\n    \
             rollout: { waves: [100%], at_once: 4, max_out: 4, soak: 0s }\n    nodes:\n",
        );
        for (name, node) in &self.nodes {
            let dir = node.dir.display();
            let _ = writeln!(
                text,
                "      {name}: {{ kong: {{ conf: {dir}/etc/kong.conf, prefix: {dir}/prefix, lua_root: {dir}/lua, \
                 home: {dir}/muster, cli: {dir}/bin/kong }} }}"
            );
        }
        text.push_str("    plugins:\n");
        for entry in entries {
            let _ = writeln!(text, "      {entry}");
        }
        text
    }

    /// Writes a plugin of this version, for the next commit.
    pub(super) fn plugin(&self, name: &str, version: &str) {
        self.write(&format!("plugins/{name}/handler.lua"), &handler(version, ""));
        self.write(&format!("plugins/{name}/schema.lua"), &SCHEMA.replace("acme-auth", name));
    }

    /// One request to the Admin API of a node; the status must be this.
    pub(super) fn admin(&self, number: usize, (method, path): (&str, &str), body: &Value, status: u16) -> Value {
        let mut stream = std::net::TcpStream::connect((self.nodes[number].1.address, site::ADMIN)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &kind + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() }
    }

    /// The service of this name, made if it is not there.
    pub(super) fn service(&self, name: &str) -> String {
        let made = self.admin(0, ("PUT", &format!("/services/{name}")), &json!({ "url": "http://127.0.0.1:9" }), 200);
        made["id"].as_str().unwrap().to_owned()
    }

    /// The rows of a plugin, as the database has them.
    pub(super) fn rows(&self, plugin: &str) -> usize {
        let text = std::fs::read_to_string(self.dir().join("cluster.json")).unwrap_or_default();
        let database: Value = serde_json::from_str(&text).unwrap_or_default();
        let rows = database["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().filter(|row| row["name"] == plugin).count()
    }

    /// Where an operator works on another machine: a clone of the repository, a home and a name of his own.
    pub(super) fn elsewhere(&self, user: &str) -> Machine {
        let home = self.dir().join(user);
        let repo = home.join("clone");
        std::fs::create_dir(&home).unwrap();
        git2::Repository::clone(self.repo().to_str().unwrap(), &repo).unwrap();
        Machine { home, repo, user: user.to_owned() }
    }

    /// The program, as the operator types it.
    pub(super) fn muster(&self, args: &[&str]) -> Command {
        let (home, repo, user) = (self.dir().to_owned(), self.repo(), "ops".to_owned());
        self.muster_on(&Machine { home, repo, user }, args)
    }

    /// The program, as it is typed on this machine.
    pub(super) fn muster_on(&self, machine: &Machine, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args);
        if let Some(config) = &self.ssh {
            command.arg("--ssh-config").arg(config);
        }
        command.current_dir(&machine.repo).stdin(Stdio::null()).env_clear();
        command
            .env("XDG_RUNTIME_DIR", &machine.home)
            .env("HOME", &machine.home)
            .env("XDG_STATE_HOME", machine.home.join("state"))
            .env("USER", &machine.user);
        command.env("PATH", harness::variable("PATH").unwrap_or_default());
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        said(&self.muster(args).output().unwrap())
    }

    /// Runs it to its end on this machine.
    pub(super) fn run_on(&self, machine: &Machine, args: &[&str]) -> (Option<i32>, String) {
        said(&self.muster_on(machine, args).output().unwrap())
    }

    /// Applies, again while a node is still held by a guard or a script of an earlier run, until it ends otherwise.
    pub(super) fn apply(&self, limit: Duration) -> (Option<i32>, String) {
        let until = Instant::now() + limit;
        loop {
            let (code, said) = self.run(&["--apply", "--all"]);
            if code != Some(5) || Instant::now() > until {
                return (code, said);
            }
        }
    }

    /// The service starts the Kong of this node, after a power cut.
    pub(super) fn starts(&self, number: usize) {
        let until = Instant::now() + Duration::from_secs(10);
        while let Err(error) = self.nodes[number].1.start() {
            let dying = ["already running", "in use"].iter().any(|word| error.to_string().contains(word));
            assert!(dying && Instant::now() < until, "it does not start again: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// How a call ended, and what it wrote.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Where an operator works.
pub(super) struct Machine {
    pub(super) home: PathBuf,
    pub(super) repo: PathBuf,
    pub(super) user: String,
}

fn node(dir: &Path, name: &str, leash: &Leash) -> Node {
    let last = LAST.fetch_add(1, Ordering::Relaxed) % 250 + 1;
    let mut spec = NodeSpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(last).unwrap());
    spec.workers = 2;
    let lua = dir.join(name).join("lua");
    spec.lines.push(("lua_package_path".to_owned(), format!("{0}/?.lua;{0}/?/init.lua;;", lua.display())));
    spec.settings = Settings {
        leash: Some(leash.path().to_owned()),
        database: Some(dir.join("cluster.json")),
        ..Settings::default()
    };
    let node = Node::create(&dir.join(name), &spec).unwrap();
    node.start().unwrap();
    node
}
