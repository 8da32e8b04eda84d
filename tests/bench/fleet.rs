//! The nodes that are entered by ssh: stand-in gateways, each behind an sshd of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use muster::bundle::Bundle;
use muster::diff::Bundles;
use muster::execute::look::LookSettings;
use muster::execute::{Clock, Control};
use muster::fleet::{Apply, Desired, Fleet, Picture};
use muster::inventory;
use muster::name::Revision;
use muster::perform::Site;
use muster::plan::{Origin, Plan, Selection};
use muster::remote::{Connect, SshConnect};
use muster::run::Verdict;
use muster::standin::site::{self, Node, NodeSpec as GatewaySpec};
use muster::standin::{Leash, Settings};

use crate::harness::{self, NodeSpec};
use crate::{Options, large};

/// Nodes worked on at once, on either side: what muster takes on two cores.
pub(crate) const AT_ONCE: usize = 16;
/// Plugins that are installed, a bundle each.
const PLUGINS: usize = 5;

/// One node.
pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) site: Site,
    conf: Vec<u8>,
}

/// The nodes, and the operator's way to them.
pub(crate) struct Gateways {
    ssh: harness::Fleet,
    pub(crate) nodes: Vec<Gateway>,
    inventory: String,
    bundles: Vec<Arc<Bundle>>,
    _leash: Leash,
}

impl Gateways {
    /// Starts them, with nothing installed; `None` where this machine has no sshd.
    pub(crate) async fn start(options: &Options) -> Option<Self> {
        let names: Vec<String> = (1..=options.nodes).map(|number| format!("gw-{number:02}")).collect();
        // The first value counts: the harness's own line asks for the fast one.
        let spec = |name: &String| {
            if options.fast {
                NodeSpec::new(name)
            } else {
                NodeSpec::new(name).client("KexAlgorithms +curve25519-sha256")
            }
        };
        let ssh = harness::Fleet::start(names.iter().map(spec).collect()).await?;
        // Workers run as another user than the one who starts them.
        fs::set_permissions(ssh.dir(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let leash = Leash::hold(&ssh.dir().join("leash")).expect("a socket");
        let made: Vec<Node> =
            names.iter().enumerate().map(|(number, name)| gateway(&ssh, &leash, name, number)).collect();
        let inventory = inventory_text(&names, &made);
        let parsed =
            inventory::parse("inventory.yaml", inventory.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let nodes = names.into_iter().zip(made).zip(parsed.nodes()).map(|((name, node), entry)| Gateway {
            conf: fs::read(&node.conf).expect("kong.conf"),
            site: muster::fleet::site(entry, &muster::fleet::Access::default()).expect("a site"),
            name,
            node,
        });
        let nodes = nodes.collect();
        let bundles = (0..PLUGINS).map(|plugin| Arc::new(large::bundle(plugin, "1.0.0"))).collect();
        Some(Self { nodes, inventory, bundles, _leash: leash, ssh })
    }

    /// The environment of the operator.
    pub(crate) fn vars(&self) -> BTreeMap<String, std::ffi::OsString> {
        self.ssh.vars()
    }

    /// What stands for `~/.ssh/config`.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.ssh.ssh_config()
    }

    /// A directory that goes with the fleet.
    pub(crate) fn dir(&self) -> &Path {
        self.ssh.dir()
    }

    /// The bundles that are to be installed.
    pub(crate) fn bundles(&self) -> &[Arc<Bundle>] {
        &self.bundles
    }

    fn desired(&self) -> Desired {
        let inventory = inventory::parse("inventory.yaml", self.inventory.as_bytes()).expect("it was parsed before");
        let bundles: Bundles =
            self.bundles.iter().map(|bundle| ((bundle.name.clone(), None), bundle.clone())).collect();
        let origin = Origin {
            repository: "gateway-fleet".to_owned(),
            revision: Revision::parse(&"0".repeat(40)).expect("a revision"),
            summary: "bench".to_owned(),
            branch: None,
        };
        let known = self.bundles.iter().map(|bundle| (bundle.digest.clone(), bundle.clone())).collect();
        Desired { origin, inventory, bundles, known, dirty: Vec::new() }
    }

    /// A muster that has no connection yet.
    pub(crate) fn muster(&self) -> Arc<Fleet> {
        let settings = muster::remote::SshSettings {
            connect_timeout: Duration::from_secs(30),
            alive_interval: Duration::from_secs(15),
            ..self.ssh.settings()
        };
        self.muster_over(Arc::new(SshConnect::new(settings)))
    }

    /// A muster over this way to connect.
    pub(crate) fn muster_over(&self, connect: Arc<dyn Connect>) -> Arc<Fleet> {
        let settings = LookSettings { at_once: AT_ONCE, ..LookSettings::for_cores(2) };
        Arc::new(Fleet::new(self.desired(), connect, settings, &muster::fleet::Access::default()).expect("sites"))
    }

    /// Puts every node back to where nothing is installed, and Kong runs.
    pub(crate) fn reset(&self) {
        for gateway in &self.nodes {
            let Node { dir, conf, lua_root, .. } = &gateway.node;
            if gateway.node.master().is_some() {
                gateway.node.stop().expect("a node that stops");
            }
            for gone in [dir.join("muster"), lua_root.join("kong/plugins")] {
                let _ = fs::remove_dir_all(gone);
            }
            fs::create_dir(lua_root.join("kong/plugins")).expect("our own directory");
            fs::write(conf, &gateway.conf).expect("kong.conf");
            gateway.node.start().expect("a node that starts");
        }
    }

    /// Applies by muster; panics if that does not converge.
    pub(crate) async fn apply(&self, fleet: &Arc<Fleet>, picture: Picture) -> Arc<Plan> {
        let plan = Arc::new(fleet.plan(&picture, Selection::default(), Vec::new()));
        assert!(plan.blockers.is_empty(), "{:?}", plan.blockers.first());
        assert_eq!(plan.reloads(), self.nodes.len(), "not every node has something to do");
        let apply = Apply {
            plan: plan.clone(),
            picture,
            selection: Selection::default(),
            allow: Vec::new(),
            operator: "bench@localhost".to_owned(),
            runs: self.dir().join("runs"),
            reporters: Vec::new(),
            control: Control::new(),
            clock: clock(),
        };
        let applied = fleet.apply(apply).await.expect("a journal");
        let verdict = Verdict::of(&applied.state);
        let causes: Vec<_> = applied.state.nodes.values().filter_map(|node| node.cause.as_ref()).collect();
        assert_eq!(verdict, Verdict::Converged, "{:?}", causes.first());
        plan
    }
}

/// Wall time, which goes into journals that nobody reads.
#[expect(clippy::disallowed_methods, reason = "a bench has no Env whose clock it could take")]
pub(crate) fn clock() -> Clock {
    Arc::new(Timestamp::now)
}

fn gateway(ssh: &harness::Fleet, leash: &Leash, name: &str, number: usize) -> Node {
    let last = u8::try_from(number + 1).expect("at most 200 nodes");
    let mut spec = GatewaySpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(last).expect("an address"));
    spec.workers = 2;
    spec.settings = Settings {
        leash: Some(leash.path().to_owned()),
        database: Some(ssh.dir().join("cluster.json")),
        ..Settings::default()
    };
    let dir = ssh.node(name).dir().join("kong");
    let lua = dir.join("lua");
    spec.lines.push(("lua_package_path".to_owned(), format!("{0}/?.lua;{0}/?/init.lua;;", lua.display())));
    let node = Node::create(&dir, &spec).expect("a stand-in");
    fs::set_permissions(ssh.node(name).dir(), fs::Permissions::from_mode(0o755)).expect("our own directory");
    node.start().expect("a stand-in that starts");
    node
}

fn inventory_text(names: &[String], nodes: &[Node]) -> String {
    let mut text = String::from("version: 1\nowner: bench\ndefaults: { become: none }\nbundles:\n");
    for plugin in 0..PLUGINS {
        let _ = writeln!(text, "  acme-{plugin:02}: {{ dir: plugins/acme-{plugin:02} }}");
    }
    let _ = writeln!(
        text,
        "clusters:\n  eu:\n    topology: traditional\n    rollout: {{ waves: [100%], at_once: {AT_ONCE}, max_out: {AT_ONCE}, soak: 0s }}\n    nodes:"
    );
    for (name, node) in names.iter().zip(nodes) {
        let dir = node.dir.display();
        let _ = writeln!(
            text,
            "      {name}: {{ kong: {{ conf: {dir}/etc/kong.conf, prefix: {dir}/prefix, lua_root: {dir}/lua, home: {dir}/muster, cli: {dir}/bin/kong }} }}"
        );
    }
    text.push_str("    plugins:\n");
    for plugin in 0..PLUGINS {
        let _ = writeln!(text, "      acme-{plugin:02}: present");
    }
    text
}
