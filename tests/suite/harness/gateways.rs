//! A whole fleet for the whole program: stand-in gateways behind real sshd, a Git repository, and an operator.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use muster::cli::{Clock, Env, Output, Signals, main_with};
use muster::run::CancelLevel;
use muster::standin::Leash;
use muster::standin::site::{self, Node};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::fleet::Fleet;
use super::sites::{self, Cluster, Shape};
use super::{NodeSpec, Prober, process, within};

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
const LONG: Duration = Duration::from_mins(2);

static LAST: AtomicU8 = AtomicU8::new(0);

/// Gateways of one or more clusters, the sshd in front of each, the repository, and where the operator works.
pub(crate) struct Gateways {
    /// The way in: one sshd for each node, under the node's name.
    pub(crate) ssh: Fleet,
    nodes: BTreeMap<String, Node>,
    clusters: Vec<(String, Vec<String>)>,
    shapes: BTreeMap<String, Shape>,
    repository: git2::Repository,
    leash: Option<Leash>,
    dir: TempDir,
}

impl Drop for Gateways {
    /// The gateways go before their directory does: one that still writes would leave a part of it.
    fn drop(&mut self) {
        drop(self.leash.take());
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while !process::with_text(self.dir.path().to_str().unwrap_or_default()).is_empty() {
            if std::time::Instant::now() > until {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A cluster of the inventory, for [`Gateways::inventory`].
pub(crate) struct Wanted<'a> {
    /// Lines below `bundles:`, each with its own break.
    pub(crate) bundles: &'a [&'a str],
    /// Lines below `plugins:` of every cluster.
    pub(crate) plugins: &'a [&'a str],
    /// The policy.
    pub(crate) rollout: &'a str,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            bundles: &["acme-auth: { dir: plugins/acme-auth }"],
            plugins: &["acme-auth: present"],
            rollout: "{ waves: [100%], at_once: 8, max_out: 8, max_unreachable: 100%, soak: 0s }",
        }
    }
}

impl Gateways {
    /// One cluster `eu` with these nodes, all started; `None` (and a printed line) where there is no sshd.
    pub(crate) async fn of(names: &[&str]) -> Option<Self> {
        Self::start(&[("eu", names)], |spec| spec).await
    }

    /// These clusters, with a say in what each sshd is.
    pub(crate) async fn start<'a>(
        clusters: &[(&'a str, &'a [&'a str])],
        door: impl Fn(NodeSpec) -> NodeSpec,
    ) -> Option<Self> {
        let traditional = |(name, nodes): &(&'a str, &'a [&'a str])| Cluster { name, shape: Shape::Traditional, nodes };
        Self::built(&clusters.iter().map(traditional).collect::<Vec<_>>(), door).await
    }

    /// These clusters, each of its shape.
    pub(super) async fn built(clusters: &[Cluster<'_>], door: impl Fn(NodeSpec) -> NodeSpec) -> Option<Self> {
        let names = clusters.iter().flat_map(|cluster| cluster.nodes.iter());
        let ssh = Fleet::start(names.map(|name| door(NodeSpec::new(name))).collect()).await?;
        let dir = tempfile::Builder::new()
            .prefix("mg-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let leash = Leash::hold(&dir.path().join("leash")).unwrap();
        let mut nodes = BTreeMap::<String, Node>::new();
        for cluster in clusters {
            for (at, name) in cluster.nodes.iter().enumerate() {
                let node = gateway(dir.path(), cluster, at, nodes.get(cluster.nodes[0]), leash.path());
                nodes.insert((*name).to_owned(), node);
            }
        }
        let shapes = clusters.iter().map(|cluster| (cluster.name.to_owned(), cluster.shape)).collect();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let repository = git2::Repository::init_opts(dir.path().join("fleet"), &options).unwrap();
        let clusters = clusters.iter().map(|Cluster { name, nodes, .. }| {
            ((*name).to_owned(), nodes.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        });
        Some(Self { ssh, nodes, clusters: clusters.collect(), shapes, repository, leash: Some(leash), dir })
    }

    /// The Admin API of a gateway.
    pub(crate) fn api(&self, name: &str) -> super::Api {
        super::Api::of(self.node(name))
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        &self.nodes[name]
    }

    /// A directory that goes with the fleet.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The work tree.
    pub(crate) fn work_tree(&self) -> PathBuf {
        self.dir.path().join("fleet")
    }

    /// Where muster keeps releases and state of a node.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.node(name).dir.join("muster")
    }

    /// Writes these files, commits everything, and gives the commit.
    pub(crate) fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        self.write(files);
        let mut index = self.repository.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = self.repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("Op", "op@example.org").unwrap();
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap().to_string()
    }

    /// Commits that a file is gone.
    pub(crate) fn remove(&self, file: &str, message: &str) -> String {
        let mut index = self.repository.index().unwrap();
        index.remove_path(Path::new(file)).unwrap();
        index.write().unwrap();
        let _ = fs::remove_file(self.work_tree().join(file));
        self.commit(&[], message)
    }

    /// Writes these files and commits nothing.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (file, text) in files {
            let path = self.work_tree().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// The inventory with this in it: every node of every cluster, reached by ssh.
    pub(crate) fn inventory(&self, wanted: &Wanted<'_>) -> String {
        let mut text = "version: 1\nowner: edge\ndefaults: { become: none }\nbundles:\n".to_owned();
        lines(&mut text, 2, wanted.bundles);
        text.push_str("clusters:\n");
        for (cluster, names) in &self.clusters {
            let (topology, keys) = (self.shapes[cluster].topology(), self.shapes[cluster].keys());
            let _ = writeln!(
                text,
                "  {cluster}:\n    topology: {topology}\n{keys}    rollout: {}\n    nodes:",
                wanted.rollout
            );
            for name in names {
                let Node { dir, conf, prefix, lua_root, kong, .. } = self.node(name);
                let _ = writeln!(
                    text,
                    "      {name}: {{ kong: {{ conf: {}, prefix: {}, lua_root: {}, home: {}, cli: {} }} }}",
                    conf.display(),
                    prefix.display(),
                    lua_root.display(),
                    dir.join("muster").display(),
                    kong.display(),
                );
            }
            text.push_str("    plugins:\n");
            lines(&mut text, 6, wanted.plugins);
        }
        text
    }

    /// Commits acme-auth in this version, and an inventory that wants it everywhere.
    pub(crate) fn want(&self, version: &str) -> String {
        self.want_handler(&handler(version, ""), version)
    }

    /// Commits acme-auth with this handler, and an inventory that wants it everywhere.
    pub(crate) fn want_handler(&self, handler: &str, message: &str) -> String {
        let files = [
            ("plugins/acme-auth/handler.lua", handler),
            ("plugins/acme-auth/schema.lua", &schema("acme-auth")),
            ("inventory.yaml", &self.inventory(&Wanted::default())),
        ];
        self.commit(&files, message)
    }

    /// Calls muster in this process, in the work tree.
    pub(crate) async fn muster(&self, args: &[&str]) -> Said {
        self.begin(args).said().await
    }

    /// Begins a call in this process.
    pub(crate) fn begin(&self, args: &[&str]) -> Call {
        self.begin_in(&self.work_tree(), args)
    }

    /// Begins a call in this process, in another directory.
    pub(crate) fn begin_in(&self, dir: &Path, args: &[&str]) -> Call {
        self.begin_as(dir, args, &[], Kept::default())
    }

    /// Begins a call in this process whose events are heard: muster goes on only when `hear` returns from a line.
    pub(crate) fn begin_heard(&self, args: &[&str], hear: impl FnMut(&Value) + Send + 'static) -> Call {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        self.begin_as(&self.work_tree(), &args, &[], Kept::heard(hear))
    }

    /// Begins a call in this process with more in its environment.
    pub(crate) fn begin_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Call {
        self.begin_as(&self.work_tree(), args, vars, Kept::default())
    }

    /// Calls muster in this process, on a machine whose clock is so many seconds ahead of the nodes'.
    pub(crate) async fn muster_ahead(&self, args: &[&str], seconds: i64) -> Said {
        let ahead = Arc::new(move || now() + jiff::SignedDuration::from_secs(seconds));
        self.begin_at(&self.work_tree(), args, &[], Kept::default(), ahead).said().await
    }

    fn begin_as(&self, dir: &Path, args: &[&str], vars: &[(&str, &str)], out: Kept) -> Call {
        self.begin_at(dir, args, vars, out, Arc::new(now))
    }

    fn begin_at(&self, dir: &Path, args: &[&str], vars: &[(&str, &str)], out: Kept, clock: Clock) -> Call {
        let err = Kept::default();
        let (signals, channel) = unbounded_channel();
        let mut env = Env { clock, ..self.env(dir, args, (&out, &err), channel) };
        env.vars.extend(vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let (done, code) = tokio::sync::oneshot::channel();
        // A thread of its own, as the program brings its own runtime; the test's carries the bytes of sshd meanwhile.
        std::thread::spawn(move || {
            let _ = done.send(main_with(env));
        });
        Call { out, err, signals, code }
    }

    fn env(&self, dir: &Path, args: &[&str], to: (&Kept, &Kept), signals: UnboundedReceiver<CancelLevel>) -> Env {
        let strings = self.vars().into_iter().map(|(key, value)| (key, value.into_string().unwrap()));
        Env {
            args: args.iter().map(OsString::from).collect(),
            vars: strings.collect(),
            dir: dir.to_owned(),
            out: Output::to(to.0.clone()),
            err: Output::to(to.1.clone()),
            terminal: false,
            clock: Arc::new(now),
            signals: Signals::Channel(signals),
            ssh_config: Some(self.ssh.ssh_config()),
            temp: self.dir.path().to_owned(),
            program: env!("CARGO_BIN_EXE_muster").into(),
        }
    }

    /// The environment of the operator.
    pub(crate) fn vars(&self) -> BTreeMap<String, OsString> {
        let mut vars = self.ssh.vars();
        vars.insert("XDG_STATE_HOME".to_owned(), self.dir.path().join("state").into());
        if self.shapes.values().any(|shape| *shape == Shape::Enterprise) {
            vars.insert(sites::TOKEN.0.to_owned(), sites::TOKEN.1.into());
        }
        vars
    }

    /// The real program, as an operator starts it in the work tree.
    pub(crate) fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args).arg("--ssh-config").arg(self.ssh.ssh_config());
        command.env_clear().envs(self.vars()).current_dir(self.work_tree()).stdin(std::process::Stdio::null());
        command.kill_on_drop(true);
        command
    }

    /// Nothing is left to do, and nothing of us is left running.
    pub(crate) async fn assert_in_line(&self) {
        let said = self.muster(&["--plan", "--detailed-exitcode"]).await;
        assert_eq!(said.code, 0, "a second plan is not empty:\n{said}");
        self.assert_nothing_left().await;
    }

    /// No connection, no guard, no script, no socket is left.
    pub(crate) async fn assert_nothing_left(&self) {
        self.ssh.assert_nothing_left().await;
        super::poll_until(Duration::from_secs(10), "nothing is left on the nodes", || {
            self.left().is_empty().then_some(())
        })
        .await;
    }

    /// What lives on the nodes besides the gateways: guards, scripts.
    pub(crate) fn left(&self) -> Vec<String> {
        let home = self.dir.path().to_str().unwrap();
        process::with_text(home).into_iter().filter(|line| !is_gateway(line)).collect()
    }

    /// The nodes that have a proxy: all but control planes.
    pub(crate) fn proxying(&self) -> impl Iterator<Item = &str> {
        self.clusters.iter().flat_map(|(cluster, names)| {
            let without = if let Shape::Hybrid { control } = self.shapes[cluster] { control } else { 0 };
            names.iter().skip(without).map(String::as_str)
        })
    }

    /// A prober for each gateway that has a proxy.
    pub(crate) fn probers(&self) -> Vec<Prober> {
        self.proxying().map(|name| Prober::of(self.node(name))).collect()
    }

    /// What a client gets from the gateway: the status, and the version of acme-auth that the workers have loaded.
    pub(crate) async fn proxied(&self, name: &str) -> Option<(u16, Option<String>)> {
        let address = (self.node(name).address, site::PROXY);
        let text = tokio::time::timeout(Duration::from_secs(5), get(address.into())).await.ok()?.ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let version =
            text.lines().find_map(|line| line.to_lowercase().strip_prefix("x-plugin-acme-auth: ").map(str::to_owned));
        Some((status, version))
    }

    /// Every gateway that has a proxy answers with this version of acme-auth; `None`: without the plugin.
    pub(crate) async fn assert_serving(&self, version: Option<&str>) {
        for name in self.proxying() {
            let served = self.proxied(name).await;
            assert_eq!(served, Some((200, version.map(str::to_owned))), "{name}");
        }
    }
}

/// Lua that is run only where Kong's master loads it: a trial load, which has its settings by the environment, does not see it.
pub(crate) fn in_the_master(lua: &str) -> String {
    format!("if not os.getenv(\"KONG_DATABASE\") then {lua} end\n")
}

/// Master, workers and the wrapper of a gateway are there on purpose.
fn is_gateway(line: &str) -> bool {
    line.contains("nginx:")
}

fn gateway(dir: &Path, cluster: &Cluster<'_>, at: usize, control: Option<&Node>, leash: &Path) -> Node {
    let name = cluster.nodes[at];
    let last = LAST.fetch_add(1, Ordering::Relaxed) % 250 + 1;
    let mut spec = site::NodeSpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(last).unwrap());
    spec.settings.leash = Some(leash.to_owned());
    spec.settings.database = Some(dir.join(format!("{}.json", cluster.name)));
    let lua = dir.join(name).join("lua");
    spec.lines.push(("lua_package_path".to_owned(), format!("{0}/?.lua;{0}/?/init.lua;;", lua.display())));
    sites::shaped(&mut spec, dir, cluster, at, control);
    let node = Node::create(&dir.join(name), &spec).unwrap();
    node.start().unwrap();
    node
}

fn lines(text: &mut String, indent: usize, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}

async fn get(address: std::net::SocketAddr) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[expect(clippy::disallowed_methods, reason = "the program under test is to be told the real time")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Waits until processes are surely younger than the files that are there. The start of a process is known to the second, so
/// that one of the same second could be older, and muster then says that a reload is owed.
pub(crate) async fn next_second() {
    let written = now().as_second();
    let later = || (now().as_second() > written + 1).then_some(());
    super::poll_until(Duration::from_secs(10), "the second after the next", later).await;
}

/// A handler of this version, behind these lines.
pub(crate) fn handler(version: &str, first: &str) -> String {
    format!("{first}local Handler = {{\n  PRIORITY = 900,\n  VERSION = \"{version}\",\n}}\nreturn Handler\n")
}

/// A schema with fields of several types, none of which a row has to set.
pub(crate) fn schema(name: &str) -> String {
    let fields = "{ key = { type = \"string\" } }, { none = { type = \"string\" } }, \
                  { list = { type = \"array\", elements = { type = \"number\" } } }";
    format!(
        "return {{ name = \"{name}\", fields = {{ {{ config = {{ type = \"record\", fields = {{ {fields} }} }} }} }} }}\n"
    )
}

/// A call that is under way.
pub(crate) struct Call {
    out: Kept,
    err: Kept,
    signals: UnboundedSender<CancelLevel>,
    code: tokio::sync::oneshot::Receiver<u8>,
}

impl Call {
    /// What was written to standard output until now.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// Asks it to stop, this hard.
    pub(crate) fn cancel(&self, level: CancelLevel) {
        self.signals.send(level).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn said(self) -> Said {
        let code = within(LONG, "muster ends", self.code).await;
        let (out, err) = (self.out.text(), self.err.text());
        let code = code.unwrap_or_else(|_| panic!("muster panicked\n{out}\n{err}"));
        Said { code, out, err }
    }
}

/// How a call ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }
}

impl Said {
    /// It ended so, and every one of these is in what it wrote.
    #[track_caller]
    pub(crate) fn assert(&self, code: u8, words: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        let all = format!("{}{}", self.out, self.err);
        for word in words {
            assert!(all.contains(word), "{word:?} is not in what was said\n{self}");
        }
    }

    /// The lines of standard output, each a JSON value.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// What is done at a line of JSON while it is being written.
type Ear = Box<dyn FnMut(&Value) + Send>;

/// What is written is kept.
#[derive(Clone, Default)]
struct Kept {
    text: Arc<Mutex<Vec<u8>>>,
    /// Who hears each line, and how much was heard.
    ear: Option<Arc<Mutex<(Ear, usize)>>>,
}

impl Kept {
    fn heard(hear: impl FnMut(&Value) + Send + 'static) -> Self {
        Self { ear: Some(Arc::new(Mutex::new((Box::new(hear), 0)))), ..Self::default() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        if let Some(ear) = &self.ear {
            let (hear, heard) = &mut *ear.lock().unwrap();
            let text = self.text();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            let lines = text[*heard..whole].lines().map(|line| serde_json::from_str(line).unwrap());
            *heard = whole;
            lines.for_each(|line: Value| hear(&line));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
