//! Nodes that the operator's ssh can enter: real sshd, one loopback address per node, one ssh configuration for all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster::name::NodeName;
use muster::remote::{NodeAddress, Privilege, SshConnect, SshSettings, Transport};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::keys::{Keys, keys};
use super::wire::Wire;
use super::{poll_until, process, program};

/// Whether the operator knows a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Known {
    /// The right one.
    #[default]
    Right,
    /// None.
    Unknown,
    /// Another one.
    Changed,
}

/// A node to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeSpec {
    pub(crate) name: String,
    /// Lines of `sshd_config`, before ours: the first value counts.
    pub(crate) server: Vec<String>,
    /// Lines of the operator's `ssh_config` for this host, before ours.
    pub(crate) client: Vec<String>,
    pub(crate) known: Known,
    /// Variables of every session, as `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// Whether the operator's key is refused.
    pub(crate) locked: bool,
}

impl NodeSpec {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds a line of `sshd_config`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        self.server.push(line.to_owned());
        self
    }

    /// Adds a line of the operator's configuration.
    pub(crate) fn client(mut self, line: &str) -> Self {
        self.client.push(line.to_owned());
        self
    }

    /// Adds a variable to every session.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    pub(crate) fn known(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    pub(crate) fn locked(mut self) -> Self {
        self.locked = true;
        self
    }
}

/// A node that runs.
pub(crate) struct SshNode {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    dir: PathBuf,
}

impl SshNode {
    /// A directory of this node, for whatever else it needs; it goes with the fleet.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.wire.address()
    }

    /// How many logins this node has accepted.
    pub(crate) fn logins(&self) -> usize {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("Accepted publickey")).count()
    }
}

/// Nodes, and the operator's configuration that leads to them.
pub(crate) struct Fleet {
    nodes: BTreeMap<String, SshNode>,
    dir: TempDir,
}

impl Fleet {
    /// Nodes with these names and nothing special about them; `None` (and a printed line) where there is no sshd.
    pub(crate) async fn of(names: &[&str]) -> Option<Self> {
        Self::start(names.iter().map(|name| NodeSpec::new(name)).collect()).await
    }

    /// These nodes; `None` (and a printed line) where there is no sshd.
    pub(crate) async fn start(specs: Vec<NodeSpec>) -> Option<Self> {
        let sshd = program("sshd")?;
        separate();
        let dir = tempfile::Builder::new().prefix("mf-").tempdir_in("/tmp").unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let (mut nodes, mut hosts, mut known) = (BTreeMap::new(), String::new(), String::new());
        for spec in specs {
            let node = make(&spec, dir.path(), &sshd).await;
            hosts.push_str(&host(&spec, &node, dir.path()));
            match spec.known {
                Known::Right => known.push_str(&keys().host.known_as(node.address())),
                Known::Changed => known.push_str(&keys().other.known_as(node.address())),
                Known::Unknown => {}
            }
            nodes.insert(spec.name, node);
        }
        keys().user.write(dir.path(), "id");
        fs::write(dir.path().join("known_hosts"), known).unwrap();
        fs::write(dir.path().join("ssh_config"), hosts).unwrap();
        Some(Self { nodes, dir })
    }

    pub(crate) fn node(&self, name: &str) -> &SshNode {
        &self.nodes[name]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &SshNode> {
        self.nodes.values()
    }

    /// A directory that goes with the fleet.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What stands for `~/.ssh/config`.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    /// The environment of the operator: enough for ssh, and nothing of who runs the test. Every process started from it
    /// is found by [`Fleet::left`].
    pub(crate) fn vars(&self) -> BTreeMap<String, OsString> {
        let mut vars = BTreeMap::new();
        for name in ["PATH", "HOME", "USER"] {
            vars.extend(super::variable(name).map(|value| (name.to_owned(), OsString::from(value))));
        }
        vars.insert("XDG_RUNTIME_DIR".to_owned(), self.dir.path().join("run").into());
        vars.insert("MUSTER_FLEET".to_owned(), self.dir.path().into());
        vars
    }

    /// Settings that lead to this fleet and do not wait long.
    pub(crate) fn settings(&self) -> SshSettings {
        SshSettings {
            config: Some(self.ssh_config()),
            connect_timeout: Duration::from_secs(5),
            alive_interval: Duration::from_secs(1),
            ..SshSettings::new(self.vars())
        }
    }

    pub(crate) fn connect(&self) -> Arc<SshConnect> {
        Arc::new(SshConnect::new(self.settings()))
    }

    /// The address of a node as an inventory would have it: its name is an alias in the operator's configuration.
    pub(crate) fn address(&self, name: &str) -> NodeAddress {
        assert!(self.nodes.contains_key(name), "there is no node {name}");
        NodeAddress {
            node: NodeName::parse(name).unwrap(),
            host: name.to_owned(),
            user: None,
            port: None,
            privilege: Privilege::None,
            transport: Transport::Ssh,
        }
    }

    /// The processes of this fleet that live: masters, sshd, what runs in sessions.
    pub(crate) fn left(&self) -> Vec<String> {
        let text = self.dir.path().to_str().unwrap();
        let mut left = process::with_text(text);
        for node in self.nodes.values().filter(|node| node.wire.serving() > 0) {
            left.push(format!("{} sshd of {}", node.wire.serving(), node.name));
        }
        left
    }

    /// Waits until nothing of this fleet is left: no master, no sshd, no session, no socket.
    pub(crate) async fn assert_nothing_left(&self) {
        let mut last = Vec::new();
        // The `sleep` of a script's deadline may outlive it by a second.
        let limit = Duration::from_secs(10);
        let until = tokio::time::Instant::now() + limit;
        poll_until(limit + Duration::from_secs(1), "nothing is left", || {
            last = self.left();
            assert!(last.is_empty() || tokio::time::Instant::now() < until, "still there: {last:#?}");
            last.is_empty().then_some(())
        })
        .await;
        let run: Vec<_> = fs::read_dir(self.dir.path().join("run")).unwrap().flatten().collect();
        assert!(run.is_empty(), "left in the runtime directory: {run:?}");
    }
}

/// As root, sshd wants its empty directory to be there; distributions make it when the service starts.
fn separate() {
    if rustix::process::geteuid().is_root() {
        let _ = fs::create_dir_all("/run/sshd");
    }
}

async fn make(spec: &NodeSpec, fleet: &Path, sshd: &Path) -> SshNode {
    let dir = fleet.join(&spec.name);
    fs::create_dir(&dir).unwrap();
    let Keys { host, user, other } = keys();
    let key = host.write(&dir, "host_key");
    let authorized = if spec.locked { &other.public } else { &user.public };
    fs::write(dir.join("authorized_keys"), authorized).unwrap();
    let mut config = spec.server.join("\n");
    let _ = write!(
        config,
        "\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nLogLevel VERBOSE\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         SetEnv SHLVL=9 MUSTER_FLEET={} {}\n",
        key.display(),
        dir.join("authorized_keys").display(),
        fleet.display(),
        spec.env.join(" "),
    );
    fs::write(dir.join("sshd_config"), config).unwrap();
    let wire = Wire::new(bind().await, sshd.to_owned(), dir.join("sshd_config"), dir.join("log"));
    SshNode { name: spec.name.clone(), wire, dir }
}

/// A loopback address of its own, so that a node's other ports can be Kong's usual ones.
async fn bind() -> TcpListener {
    for _ in 0..64 {
        let bytes = nonce();
        let ip = [127, 1 + bytes[0] % 250, bytes[1], 1 + bytes[2] % 250];
        if let Ok(listener) = TcpListener::bind(SocketAddr::from((ip, 0))).await {
            return listener;
        }
    }
    panic!("no loopback address can be bound");
}

fn nonce() -> [u8; 8] {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish().to_ne_bytes()
}

fn host(spec: &NodeSpec, node: &SshNode, fleet: &Path) -> String {
    let address = node.address();
    format!(
        "Host {}\n{}\nHostName {}\nPort {}\nUser {}\nIdentityFile {fleet}/id\nIdentitiesOnly yes\n\
         UserKnownHostsFile {fleet}/known_hosts\nGlobalKnownHostsFile /dev/null\nKexAlgorithms curve25519-sha256\n\n",
        spec.name,
        spec.client.join("\n"),
        address.ip(),
        address.port(),
        user(),
        fleet = fleet.display(),
    )
}

/// Who runs the test.
pub(crate) fn user() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}
