//! A stand-in node on this machine, and steps carried out on it by the real scripts over the local transport.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use muster::action::{Action, Activate, ConfEdit, Deliver, Keeping, NodeBasis, ReloadWay, Switch};
use muster::bundle::{Bundle, SourceEntry};
use muster::execute::look::{LookRequest, LookSettings, look};
use muster::execute::pool::Pool;
use muster::kong::Conf;
use muster::name::{BundleName, ClusterName, Digest, NodeName, NodePath, Owner, PluginName, RunId};
use muster::perform::{
    Doors, NodePerformer, Parcel, Peers, Perform, Place, RunIdentity, Settings as ActivateSettings, Site, Watch,
};
use muster::plan::{Phase, Step, Target};
use muster::remote::{LocalConnect, NodeAddress, Privilege, Transport};
use muster::run::{CancelLevel, StepEnd, StepPhase};
use muster::standin::site::{self, Node, NodeSpec};
use muster::standin::{Leash, Settings};
use muster::survey::{NodeFacts, NodeSurvey};
use muster::wire::{Manifest, Owned};

use crate::harness;

static LAST: AtomicU8 = AtomicU8::new(1);
static RUNS: AtomicU32 = AtomicU32::new(1);

/// A node, and everything that is needed to carry out steps on it.
pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) site: Site,
    pub(super) pool: Arc<Pool>,
    _leash: Leash,
    dir: Option<tempfile::TempDir>,
}

/// What a bundle of one plugin is made of.
pub(super) struct Made {
    bundle: Bundle,
    parcel: Arc<Parcel>,
}

fn path(path: &Path) -> NodePath {
    NodePath::parse(path.to_str().unwrap()).unwrap()
}

pub(super) fn name() -> NodeName {
    NodeName::parse("here").unwrap()
}

/// A handler that says its version, behind these lines.
pub(super) fn handler(version: &str, first: &str) -> String {
    format!("{first}\nreturn {{ PRIORITY = 900, VERSION = \"{version}\" }}\n")
}

/// The bundle `acme-auth` with this handler.
pub(super) fn bundle(handler: &str) -> Made {
    let schema = harness::gateways::schema("acme-auth");
    let entries = [("handler.lua", handler), ("schema.lua", &*schema)]
        .map(|(file, text)| SourceEntry::file(format!("kong/plugins/acme-auth/{file}"), text));
    let bundle = Bundle::from_files(BundleName::parse("acme-auth").unwrap(), entries).unwrap();
    let files = bundle.files.iter().map(|(path, content)| (path.clone(), content.sha256().clone())).collect();
    let parcel = Arc::new(Parcel { bytes: bundle.pack(), files });
    Made { bundle, parcel }
}

impl Bench {
    /// A traditional node with two workers, started.
    pub(super) fn started(lines: &[(&str, &str)]) -> Self {
        let bench = Self::create(lines);
        bench.node.start().unwrap();
        bench
    }

    /// The same, not started.
    pub(super) fn create(lines: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mf")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        let mut bench = Self::made(dir.path(), lines, &[]);
        bench.dir = Some(dir);
        bench
    }

    /// A node in this directory, started, whose scripts find their tools here first and have this in their environment.
    pub(super) fn started_in(dir: &Path, tools: &Path, mark: &(String, String)) -> Self {
        let path = format!("{}:{}", tools.display(), harness::variable("PATH").unwrap_or_default());
        let bench = Self::made(dir, &[], &[("PATH".to_owned(), path), mark.clone()]);
        bench.node.start().unwrap();
        bench
    }

    fn made(dir: &Path, lines: &[(&str, &str)], vars: &[(String, String)]) -> Self {
        let leash = Leash::hold(&dir.join("leash")).unwrap();
        let last = LAST.fetch_add(1, Ordering::Relaxed) % 250 + 1;
        let mut spec = NodeSpec::new(Path::new(env!("CARGO_BIN_EXE_muster")), site::draw(last).unwrap());
        spec.settings = Settings {
            leash: Some(leash.path().to_owned()),
            database: Some(dir.join("cluster.json")),
            ..Settings::default()
        };
        spec.workers = 2;
        spec.lines = lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let node = Node::create(&dir.join("node"), &spec).unwrap();
        let site = Site {
            address: NodeAddress {
                node: name(),
                host: "localhost".to_owned(),
                user: None,
                port: None,
                privilege: Privilege::None,
                transport: Transport::Local,
            },
            conf: path(&node.conf),
            prefix: path(&node.prefix),
            lua_root: path(&node.lua_root),
            home: path(&dir.join("home")),
            cli: path(&node.kong),
            admin: None,
            status: None,
            proxy: None,
            token: None,
        };
        let own =
            ["PATH", "HOME", "USER"].into_iter().filter_map(|key| Some((key.to_owned(), harness::variable(key)?)));
        let all: BTreeMap<String, std::ffi::OsString> =
            own.chain(vars.iter().cloned()).map(|(key, value)| (key, value.into())).collect();
        let pool = Arc::new(Pool::new(Arc::new(LocalConnect::new(all))));
        Self { node, site, pool, _leash: leash, dir: None }
    }

    /// What the node is seen to be.
    pub(super) async fn look(&self) -> Arc<NodeFacts> {
        let roots = vec!["kong/plugins/acme-auth".parse().unwrap()];
        let request = LookRequest { site: self.site.clone(), roots };
        let survey =
            look(&[(name(), request)], &*self.pool, &LookSettings::for_cores(2), Timestamp::UNIX_EPOCH, &|_, _| {})
                .await;
        match survey.nodes.into_values().next().unwrap() {
            NodeSurvey::Seen(facts) => facts,
            NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble) => panic!("{trouble:?}"),
        }
    }

    /// A performer of a run of its own.
    pub(super) fn performer(&self, facts: &NodeFacts, made: &Made, guard: Duration) -> NodePerformer {
        let env = facts.env_file.as_ref().map(|env| env.open().bytes());
        let place = Place { site: self.site.clone(), doors: Doors::of(&self.site, env, Duration::from_secs(5)) };
        let identity = RunIdentity {
            run: RunId::from_parts(u64::from(std::process::id()), RUNS.fetch_add(1, Ordering::Relaxed).into()),
            owner: "edge".parse().unwrap(),
            commit: "3f2a91c4b5".repeat(4).parse().unwrap(),
            holder: "test@here".to_owned(),
            ttl: Duration::from_mins(10),
        };
        let cargo = BTreeMap::from([(made.bundle.digest.clone(), made.parcel.clone())]);
        let settings = ActivateSettings { guard, settle: Duration::from_millis(300) };
        NodePerformer::new(self.pool.clone(), [(name(), place)].into(), Arc::new(cargo), identity, settings)
    }

    /// Looks, delivers and activates; the watcher may interfere.
    pub(super) async fn bring(&self, made: &Made, way: ReloadWay, watch: &Notes) -> StepEnd {
        let facts = self.look().await;
        let performer = self.performer(&facts, made, Duration::from_mins(1)).beside(Arc::new(AllDead));
        let end = self.bring_with(&performer, &facts, made, way, watch).await;
        performer.release(&name()).await;
        end
    }

    pub(super) async fn bring_with(
        &self,
        performer: &NodePerformer,
        facts: &NodeFacts,
        made: &Made,
        way: ReloadWay,
        watch: &Notes,
    ) -> StepEnd {
        performer.acquire(&name()).await.unwrap();
        self.deliver(performer, made).await;
        let activate = self.activate(facts, made, way);
        performer.perform(&step(1, Action::Activate(Box::new(activate))), watch).await
    }

    /// Delivers; the lease is held.
    pub(super) async fn deliver(&self, performer: &NodePerformer, made: &Made) {
        let deliver = Deliver { bundle: made.bundle.name.clone(), digest: made.bundle.digest.clone(), repair: false };
        let delivered = performer.perform(&step(0, Action::Deliver(deliver)), &Notes::default()).await;
        assert!(matches!(delivered, StepEnd::Done { .. }), "{delivered:?}");
    }

    /// Activates what was delivered; the lease is held.
    pub(super) async fn activated(
        &self,
        performer: &NodePerformer,
        facts: &NodeFacts,
        made: &Made,
        watch: &Notes,
    ) -> StepEnd {
        let activate = self.activate(facts, made, ReloadWay::Candidate);
        performer.perform(&step(1, Action::Activate(Box::new(activate))), watch).await
    }

    /// What a planner would make of these facts: acme-auth in this content, in the directive, loaded.
    pub(super) fn activate(&self, facts: &NodeFacts, made: &Made, way: ReloadWay) -> Activate {
        let Made { bundle, .. } = made;
        let from = facts.current.get(&bundle.name).cloned();
        let conf_bytes = facts.conf_file.as_ref().unwrap().open().bytes();
        let links: BTreeSet<_> = bundle.roots.iter().cloned().collect();
        let manifest = Self::manifest(facts, bundle, &links);
        Activate {
            basis: NodeBasis {
                conf: Some(Digest::of(conf_bytes)),
                sources: Vec::new(),
                env: facts.env_file.as_ref().map(|env| env.open().digest()),
                links: BTreeMap::new().into(),
                generation: manifest.generation - 1,
                master: facts.master.as_ref().map(|master| master.process),
                nginx: None,
            },
            switches: vec![Switch {
                bundle: bundle.name.clone(),
                owner: Owner::parse("edge").unwrap(),
                from,
                to: bundle.digest.clone(),
                links,
                unlinks: BTreeSet::new(),
                adopts: BTreeSet::new(),
                plugins: [plugin()].into(),
            }]
            .into(),
            directive: ("bundled".to_owned(), "bundled,acme-auth".to_owned()).into(),
            way,
            evidence: muster::name::Shared::default(),
            pace: muster::action::Pace::default(),
            again: muster::action::Again::default(),
            staged: vec![(bundle.name.clone(), bundle.digest.clone())].into(),
            search_path: None,
            conf: edit(&self.site.conf, conf_bytes),
            loaded: [(plugin(), bundle.plugins[&plugin()].version.clone())].into(),
            gone: BTreeSet::new(),
            count_through: Vec::new(),
            keep: Activate::keep(),
            validate: BTreeSet::default(),
            manifest: manifest.lines().into(),
            content: [(bundle.name.clone(), bundle.digest.clone())].into(),
        }
    }

    fn manifest(facts: &NodeFacts, bundle: &Bundle, links: &BTreeSet<muster::name::BundlePath>) -> Manifest {
        let found = facts.manifest.as_ref().map(|manifest| manifest.as_deref().unwrap().clone());
        let mut manifest = found.unwrap_or_default();
        manifest.generation += 1;
        let owned = Owned {
            owner: Owner::parse("edge").unwrap(),
            digest: bundle.digest.clone(),
            links: links.clone(),
            plugins: [plugin()].into(),
        };
        manifest.bundles.insert(bundle.name.clone(), owned);
        manifest
    }

    pub(super) fn conf(&self) -> String {
        std::fs::read_to_string(&self.node.conf).unwrap()
    }

    /// The version that the node has loaded.
    pub(super) async fn loaded(&self) -> Option<String> {
        self.look().await.admin.as_ref().ok()?.loaded.get(&plugin())?.clone()
    }

    /// The status that the proxy answers with.
    pub(super) fn proxied(&self) -> bool {
        let to = SocketAddr::from((self.node.address, site::PROXY));
        std::net::TcpStream::connect(to).is_ok()
    }

    /// A power cut, and the service's start from kong.conf.
    pub(super) fn restart(&self) {
        let master = self.node.master().unwrap();
        let workers = children(master);
        // The master first, as it would make new workers.
        for pid in [master].into_iter().chain(workers) {
            let _ = kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        self.starts("after a power cut");
    }

    /// The service starts Kong from kong.conf; the dead of before may need a moment to be gone.
    pub(super) fn starts(&self, when: &str) {
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while let Err(error) = self.node.start() {
            let dying = error.to_string().contains("already running") || error.to_string().contains("in use");
            assert!(dying && std::time::Instant::now() < until, "{when}: the node does not start again: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Every other run is dead, which it is in a test that begins another.
pub(super) struct AllDead;

impl Peers for AllDead {
    fn has_ended(&self, _: &RunId, _: &str) -> bool {
        true
    }
}

pub(super) fn plugin() -> PluginName {
    PluginName::parse("acme-auth").unwrap()
}

pub(super) fn kill(pid: i32, signal: nix::sys::signal::Signal) -> nix::Result<()> {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal)
}

/// The children of a process.
pub(super) fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn edit(path: &NodePath, before: &[u8]) -> Option<ConfEdit> {
    let after = Conf::parse(before).set("plugins", "bundled,acme-auth").unwrap();
    (after != before).then(|| ConfEdit {
        keeping: Keeping::Conf,
        path: path.clone(),
        before: Some(Digest::of(before)),
        offset: 0,
        remove: before.len() as u64,
        after: Digest::of(&after),
        insert: String::from_utf8(after).unwrap(),
    })
}

pub(super) fn step(number: u32, action: Action) -> Step {
    Step {
        id: serde_json::from_value(number.into()).unwrap(),
        cluster: ClusterName::parse("eu").unwrap(),
        target: Target::Node(name()),
        phase: Phase::Prepare,
        action,
        why: String::new().into(),
        needs: Vec::new(),
    }
}

type Interfere = Box<dyn FnMut(StepPhase, &str) + Send>;

/// Keeps what is told, and lets a test interfere at a phase.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) told: Mutex<Vec<(StepPhase, String)>>,
    pub(super) printed: Mutex<Vec<String>>,
    pub(super) proven: Mutex<Vec<String>>,
    interfere: Mutex<Option<Interfere>>,
}

impl Notes {
    /// Calls this at every phase.
    pub(super) fn at(interfere: impl FnMut(StepPhase, &str) + Send + 'static) -> Self {
        Self { interfere: Mutex::new(Some(Box::new(interfere))), ..Self::default() }
    }
}

impl Watch for Notes {
    fn phase(&self, phase: StepPhase, text: String) {
        if let Some(interfere) = &mut *self.interfere.lock().unwrap() {
            interfere(phase, &text);
        }
        self.told.lock().unwrap().push((phase, text));
    }
    fn printed(&self, line: String) {
        self.printed.lock().unwrap().push(line);
    }
    fn proven(&self, text: String) {
        self.proven.lock().unwrap().push(text);
    }
    fn cancelled(&self) -> Option<CancelLevel> {
        None
    }
}
