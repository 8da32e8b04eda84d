//! Nodes made of values: what stands on each, and the facts that a survey would bring home of it.
//!
//! It knows muster's public types and nothing of its decisions. The bench shares this file by `#[path]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use muster::bundle::Bundle;
use muster::hint::Sealed;
use muster::inventory::KongPaths;
use muster::kong::service::{Content, Unit, UnitFile};
use muster::kong::{Conf, Directive, EnvFile, SearchPath};
use muster::name::{BundleName, BundlePath, Digest, NodePath, PluginName};
use muster::survey::{
    AdminFacts, Double, FileFacts, GuardFacts, HostFacts, Kind, LogFacts, MasterFacts, NodeFacts, PlaceFacts,
    PluginRow, Process, Rock, RootFacts, ServiceFacts, Trouble,
};
use muster::wire::{Manifest, Receipt};

/// Ticks of a second in a process's start time.
pub(crate) const TICKS: u64 = 100;
/// Seconds since boot at which every node is looked at first.
pub(crate) const UPTIME: u64 = 1_000_000;
/// The clock of every node then.
pub(crate) const CLOCK: i64 = 1_790_000_000;

/// Content under a Lua root: what the files are, and which version each plugin in it says it has.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<BundlePath, Digest>,
    pub(crate) versions: BTreeMap<PluginName, Option<String>>,
}

impl Tree {
    /// The content of a bundle.
    pub(crate) fn of(bundle: &Bundle) -> Self {
        Self {
            files: bundle.files.iter().map(|(path, content)| (path.clone(), content.sha256().clone())).collect(),
            versions: bundle.plugins.iter().map(|(name, info)| (name.clone(), info.version.clone())).collect(),
        }
    }

    fn holds(&self, plugin: &PluginName) -> bool {
        let handler = format!("kong/plugins/{plugin}/handler.lua");
        self.files.keys().any(|path| path.as_str() == handler)
    }
}

/// A plugin that was found, with its version where it says one.
struct Found(Option<String>);

/// What stands at a root.
#[derive(Clone)]
pub(crate) enum Standing {
    /// A link of ours into the current release of a bundle.
    Linked(BundleName),
    /// Something that muster did not put there.
    Foreign { content: Arc<Tree>, mount: bool },
    /// We may not look.
    Denied,
}

/// A root below the Lua root.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) standing: Standing,
    /// Its newest change, seconds since 1970.
    pub(crate) newest: i64,
}

/// A Kong that runs.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) master: Process,
    pub(crate) workers: BTreeSet<Process>,
    /// `configuration.plugins`.
    pub(crate) directive: String,
    /// `configuration.lua_package_path`.
    pub(crate) path: String,
    /// What the workers have loaded.
    pub(crate) loaded: BTreeMap<PluginName, Option<String>>,
    pub(crate) log_level: String,
}

/// Where kong.conf really is, and whether it can be written.
#[derive(Clone)]
pub(crate) struct ConfPlace {
    pub(crate) kind: Kind,
    pub(crate) real: NodePath,
    pub(crate) links: u32,
    pub(crate) writable: bool,
    pub(crate) managed: Option<String>,
}

/// One node.
#[derive(Clone)]
pub(crate) struct NodeModel {
    pub(crate) paths: KongPaths,
    pub(crate) version: String,
    pub(crate) running: Option<Running>,
    pub(crate) conf: Option<Vec<u8>>,
    pub(crate) conf_place: ConfPlace,
    pub(crate) env: Option<Vec<u8>>,
    /// The files of its unit, by path; none: no systemd.
    pub(crate) unit: BTreeMap<String, Vec<u8>>,
    /// Those of them that the login may not read.
    pub(crate) unit_unreadable: BTreeSet<String>,
    pub(crate) roots: BTreeMap<BundlePath, Root>,
    pub(crate) releases: BTreeMap<BundleName, BTreeMap<Digest, Arc<Tree>>>,
    pub(crate) current: BTreeMap<BundleName, Digest>,
    pub(crate) manifest: Option<Result<Manifest, String>>,
    pub(crate) receipts: Vec<Receipt>,
    /// Plugins on the search path elsewhere than under the Lua root.
    pub(crate) elsewhere: BTreeMap<PluginName, Option<String>>,
    pub(crate) rows: BTreeMap<String, Vec<PluginRow>>,
    pub(crate) rows_trouble: Option<Trouble>,
    pub(crate) admin_trouble: Option<Trouble>,
    /// The master is not found, while its workers go on.
    pub(crate) master_gone: bool,
    /// What the prefix is.
    pub(crate) prefix_kind: Kind,
    /// The Admin API says that this is its master.
    pub(crate) admin_master: Option<u32>,
    pub(crate) guard: Option<GuardFacts>,
    pub(crate) rocks: Vec<Rock>,
    /// Modules in other directories of the search path.
    pub(crate) doubles: Vec<Double>,
    pub(crate) tools: BTreeSet<String>,
    pub(crate) proc_visible: bool,
    pub(crate) boot: String,
    pub(crate) machine: String,
    pub(crate) prefix_id: (u64, u64),
    pub(crate) lua_root_id: (u64, u64),
    pub(crate) ready: Option<u16>,
    pub(crate) clock: i64,
}

impl NodeModel {
    /// A healthy node with nothing custom on it; `number` tells its machine from others.
    pub(crate) fn new(paths: KongPaths, number: u64) -> Self {
        let tools = ["flock", "setsid", "perl", "sha256sum"];
        let conf_place =
            ConfPlace { kind: Kind::File, real: paths.conf.clone(), links: 1, writable: true, managed: None };
        let mut model = Self {
            paths,
            version: "3.9.1".to_owned(),
            running: None,
            conf: None,
            conf_place,
            env: None,
            unit: BTreeMap::new(),
            unit_unreadable: BTreeSet::new(),
            roots: BTreeMap::new(),
            releases: BTreeMap::new(),
            current: BTreeMap::new(),
            manifest: None,
            receipts: Vec::new(),
            elsewhere: BTreeMap::new(),
            rows: BTreeMap::new(),
            rows_trouble: None,
            admin_trouble: None,
            master_gone: false,
            prefix_kind: Kind::Directory,
            admin_master: None,
            guard: None,
            rocks: Vec::new(),
            doubles: Vec::new(),
            tools: tools.map(str::to_owned).into(),
            proc_visible: true,
            boot: format!("boot-{number}"),
            machine: format!("machine-{number}"),
            prefix_id: (number, 10),
            lua_root_id: (number, 20),
            ready: Some(200),
            clock: CLOCK,
        };
        model.write_conf("bundled");
        model.write_env("bundled", DEFAULT_PATH);
        model.start(CLOCK - 1000, 2);
        model
    }

    /// A process that was started then.
    pub(crate) fn process(pid: u32, at: i64) -> Process {
        let boot = CLOCK - i64::try_from(UPTIME).unwrap_or(0);
        (pid, u64::try_from(at - boot).unwrap_or(0) * TICKS)
    }

    /// Writes kong.conf with this directive; `-` for none.
    pub(crate) fn write_conf(&mut self, plugins: &str) {
        let line = if plugins == "-" { String::new() } else { format!("plugins = {plugins}\n") };
        self.conf = Some(format!("# Kong\ndatabase = postgres\n{line}log_level = notice\n").into_bytes());
    }

    /// Writes `.kong_env` with this directive and search path.
    pub(crate) fn write_env(&mut self, plugins: &str, path: &str) {
        let plugins = if plugins == "-" { "bundled" } else { plugins };
        let text = format!("database = postgres\nlog_level = notice\nlua_package_path = {path}\nplugins = {plugins}\n");
        self.env = Some(text.into_bytes());
    }

    fn env_file(&self) -> Option<EnvFile> {
        self.env.clone().map(EnvFile::parse)
    }

    /// Starts Kong from `.kong_env` with so many workers; panics where a real one would stay down.
    pub(crate) fn start(&mut self, at: i64, workers: u32) {
        let master = Self::process(1000, at);
        self.load(master, (0..workers).map(|n| Self::process(1001 + n, at)).collect());
    }

    /// The plugins that kong.conf names, that `.kong_env` names, and that the workers have loaded.
    pub(crate) fn lists(&self) -> [BTreeSet<PluginName>; 3] {
        let conf = Directive::effective(Conf::parse(self.conf.clone().unwrap_or_default()).text("plugins").as_deref());
        let env = self.env_file().filter(|_| self.running.is_some()).map(|env| env.directive());
        let named = |directive: &Directive| directive.plugins().into_iter().cloned().collect();
        let loaded = self.running.iter().flat_map(|running| running.loaded.keys().cloned()).collect();
        [named(&conf), env.as_ref().map(named).unwrap_or_default(), loaded]
    }

    /// Whether the files of a plugin are where Kong looks for them.
    pub(crate) fn has_files(&self, plugin: &PluginName) -> bool {
        let env = self.env_file().map_or_else(|| SearchPath::new(DEFAULT_PATH), |env| env.search_path());
        self.resolve(&env, plugin).is_some()
    }

    /// Whether a start from kong.conf would come up.
    pub(crate) fn would_start(&self) -> bool {
        let conf = Conf::parse(self.conf.clone().unwrap_or_default());
        let directive = Directive::effective(conf.text("plugins").as_deref());
        let path = SearchPath::new(conf.text("lua_package_path").unwrap_or_else(|| DEFAULT_PATH.to_owned()));
        directive.plugins().into_iter().all(|plugin| self.resolve(&path, plugin).is_some())
    }

    /// New workers load what `.kong_env` names.
    pub(crate) fn load(&mut self, master: Process, workers: BTreeSet<Process>) {
        let env = self.env_file().expect("a Kong that runs has .kong_env");
        let path = env.search_path();
        let directive = env.directive();
        let loaded = directive.plugins().into_iter().map(|plugin| {
            let version = self.resolve(&path, plugin);
            let Found(version) =
                version.unwrap_or_else(|| panic!("{plugin} is enabled and not on disk: Kong goes down"));
            (plugin.clone(), version)
        });
        let loaded = loaded.collect();
        self.running = Some(Running {
            master,
            workers,
            directive: directive.to_string(),
            path: path.as_str().to_owned(),
            loaded,
            log_level: env.get("log_level").unwrap_or_else(|| "notice".to_owned()),
        });
        self.ready = Some(200);
    }

    /// The content that a plugin is loaded from, with the version that it says; `None` if it is not found.
    fn resolve(&self, path: &SearchPath, plugin: &PluginName) -> Option<Found> {
        let staged = path.releases(&self.paths.home).into_iter().filter_map(|release| {
            let (_, trees) = self.releases.iter().find(|(name, _)| name.as_str() == release.name)?;
            trees.get(&release.digest).cloned()
        });
        let root = BundlePath::parse(&format!("kong/plugins/{plugin}")).ok()?;
        let standing = self.roots.get(&root).and_then(|root| self.tree(&root.standing));
        let found = staged.chain(standing).find(|tree| tree.holds(plugin));
        match found {
            Some(tree) => Some(Found(tree.versions.get(plugin).cloned().flatten())),
            None if muster::kong::directive::is_bundled(plugin) => Some(Found(Some(self.version.clone()))),
            None => self.elsewhere.get(plugin).cloned().map(Found),
        }
    }

    /// The content behind what stands at a root.
    pub(crate) fn tree(&self, standing: &Standing) -> Option<Arc<Tree>> {
        match standing {
            Standing::Linked(bundle) => self.releases.get(bundle)?.get(self.current.get(bundle)?).cloned(),
            Standing::Foreign { content, .. } => Some(content.clone()),
            Standing::Denied => None,
        }
    }

    /// Puts content at its roots as muster leaves it: release, link, links at the roots, manifest.
    pub(crate) fn install(&mut self, bundle: &Bundle, owner: &muster::name::Owner, at: i64) {
        self.releases.entry(bundle.name.clone()).or_default().insert(bundle.digest.clone(), Arc::new(Tree::of(bundle)));
        self.current.insert(bundle.name.clone(), bundle.digest.clone());
        for root in &bundle.roots {
            let standing = Standing::Linked(bundle.name.clone());
            self.roots.insert(root.clone(), Root { standing, newest: at });
        }
        let mut manifest = self.manifest.take().and_then(Result::ok).unwrap_or_default();
        manifest.generation += 1;
        let entry = muster::wire::Owned {
            owner: owner.clone(),
            digest: bundle.digest.clone(),
            links: bundle.roots.clone(),
            plugins: bundle.plugins.keys().cloned().collect(),
        };
        manifest.bundles.insert(bundle.name.clone(), entry);
        self.manifest = Some(Ok(manifest));
    }

    /// Puts content at its roots as somebody else would: plain files.
    pub(crate) fn copy(&mut self, bundle: &Bundle, at: i64) {
        let content = Arc::new(Tree::of(bundle));
        for root in &bundle.roots {
            let standing = Standing::Foreign { content: content.clone(), mount: false };
            self.roots.insert(root.clone(), Root { standing, newest: at });
        }
    }

    /// The facts that a survey asking for these roots brings home.
    pub(crate) fn facts(&self, roots: &BTreeSet<BundlePath>) -> NodeFacts {
        let place = |path: &NodePath, id: (u64, u64)| PlaceFacts {
            path: path.clone(),
            kind: Kind::Directory,
            real: Some(path.clone()),
            id: Some(id),
            mode: 0o755,
            owner: (0, 0),
            links: 2,
            mount: false,
            writable: true,
            free_kib: Some(1 << 20),
        };
        let readable = self.conf_place.kind == Kind::File;
        NodeFacts {
            host: self.host(),
            conf: PlaceFacts {
                kind: if self.conf.is_some() { self.conf_place.kind } else { Kind::Absent },
                real: self.conf.is_some().then(|| self.conf_place.real.clone()),
                links: self.conf_place.links,
                writable: self.conf_place.writable,
                ..place(&self.paths.conf, (self.prefix_id.0, 5))
            },
            prefix: PlaceFacts { kind: self.prefix_kind, ..place(&self.paths.prefix, self.prefix_id) },
            lua_root: place(&self.paths.lua_root, self.lua_root_id),
            home: place(&self.paths.home, (self.prefix_id.0, 30)),
            conf_file: self.conf.clone().filter(|_| readable).map(|bytes| Sealed::new(Conf::parse(bytes).into())),
            env_file: self.env_file().map(|env| Sealed::new(env.into())),
            env_rights: None,
            service: self.service(),
            conf_managed: self.conf_place.managed.clone(),
            master: self.master(),
            installed_version: self.running.is_none().then(|| self.version.clone()),
            roots: roots.iter().map(|root| (root.clone(), self.root(root))).collect(),
            releases: self
                .releases
                .iter()
                .map(|(name, trees)| (name.clone(), trees.keys().cloned().collect()))
                .collect(),
            current: self.current.clone().into(),
            manifest: self.manifest.clone().map(|manifest| manifest.map(Into::into)),
            lease: None,
            receipts: self.receipts.clone(),
            guard: self.guard.clone(),
            undoes: false,
            orphans: BTreeMap::new(),
            rocks: self.rocks.clone(),
            doubles: self.doubles.clone(),
            log: LogFacts::default(),
            admin: self.admin(),
            ready: self.ready,
        }
    }

    fn is_drop_in(path: &str) -> bool {
        path.contains(".service.d/")
    }

    /// What systemd gives the service: of unit and drop-ins by the names of these files, a later line for an earlier one.
    pub(crate) fn environment(&self) -> Vec<String> {
        let of = |drop_in: bool| {
            let files = self.unit.iter().filter(move |(path, _)| Self::is_drop_in(path) == drop_in);
            files.filter(|(path, _)| path.contains("/systemd/system/")).map(|(_, bytes)| bytes)
        };
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for bytes in of(false).chain(of(true)) {
            let text = String::from_utf8_lossy(bytes);
            let words = text.lines().filter_map(|line| line.strip_prefix("Environment="));
            let pairs = words.filter_map(|word| word.trim_matches('"').split_once('='));
            all.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn service(&self) -> ServiceFacts {
        let Some(unit) = self.unit.keys().find(|path| path.ends_with(".service")) else { return ServiceFacts::None };
        let mut drop_ins: Vec<&str> =
            self.unit.keys().map(String::as_str).filter(|path| Self::is_drop_in(path)).collect();
        drop_ins.sort_by_key(|path| path.rsplit('/').next());
        let environment: Vec<String> = self.environment().iter().map(|word| format!("\"{word}\"")).collect();
        let mut shown = format!(
            "Id=kong.service\nLoadState=loaded\nMainPID={}\nNeedDaemonReload=no\nFragmentPath={unit}\nDropInPaths={}\n\
             Environment={}\n",
            self.running.as_ref().map_or(0, |running| running.master.0),
            drop_ins.join(" "),
            environment.join(" "),
        );
        let named = String::from_utf8_lossy(&self.unit[unit]).into_owned();
        for line in named.lines().filter_map(|line| line.strip_prefix("EnvironmentFile=")) {
            let _ = writeln!(shown, "EnvironmentFiles={} (ignore_errors=no)", line.trim_start_matches('-'));
        }
        let named =
            named.lines().filter_map(|line| Some(line.strip_prefix("EnvironmentFile=")?.trim_start_matches('-')));
        let absent = named
            .filter(|path| !self.unit.contains_key(*path))
            .map(|path| (path.to_owned(), UnitFile { real: None, writable: true, content: Content::Absent }));
        let files = self.unit.iter().map(|(path, bytes)| {
            let denied = self.unit_unreadable.contains(path);
            let content = if denied { Content::Unreadable } else { Content::Read(bytes.clone()) };
            (path.clone(), UnitFile { real: NodePath::parse(path).ok(), writable: !denied, content })
        });
        let unit = Unit::read("kong.service", &shown, "", &files.chain(absent).collect(), true).expect("it is shown");
        ServiceFacts::Unit(Sealed::new(unit.into()))
    }

    fn host(&self) -> HostFacts {
        HostFacts {
            machine: self.machine.clone(),
            boot: self.boot.clone(),
            clock: self.clock,
            uptime: UPTIME + u64::try_from(self.clock - CLOCK).unwrap_or(0),
            user: ("root".to_owned(), 0),
            tools: self.tools.clone(),
            proc_visible: self.proc_visible,
            kills: None,
        }
    }

    fn master(&self) -> Option<MasterFacts> {
        self.running.as_ref().filter(|_| !self.master_gone).map(|running| MasterFacts {
            process: running.master,
            owner: (0, 0),
            nofile: 65_536,
            idle: true,
            cwd: None,
            workers: running.workers.clone(),
            leaving: BTreeSet::new(),
        })
    }

    fn root(&self, path: &BundlePath) -> RootFacts {
        let Some(found) = self.roots.get(path) else { return RootFacts::default() };
        let (kind, target, mount) = match &found.standing {
            Standing::Linked(bundle) => {
                (Kind::Link, Some(format!("{}/current/{bundle}/{path}", self.paths.home).into()), false)
            }
            Standing::Foreign { content, mount } => {
                (if content.files.contains_key(path) { Kind::File } else { Kind::Directory }, None, *mount)
            }
            Standing::Denied => (Kind::Denied, None, false),
        };
        let mut files = BTreeMap::new();
        for (file, digest) in self.tree(&found.standing).iter().flat_map(|tree| &tree.files) {
            let below = file.as_str().strip_prefix(path.as_str());
            let Some(rest) = below.filter(|rest| rest.is_empty() || rest.starts_with('/')) else { continue };
            let facts = FileFacts { kind: Kind::File, digest: Some(digest.clone()), mode: 0o644 };
            files.insert(rest.trim_start_matches('/').to_owned(), facts);
        }
        RootFacts { kind, target, files: files.into(), newest: found.newest, cut: false, mount }
    }

    fn admin(&self) -> Result<AdminFacts, Trouble> {
        let silent =
            Trouble { code: Trouble::NOT_RUNNING.to_owned(), text: "connection refused".to_owned(), hints: Vec::new() };
        let running = self.running.as_ref().ok_or(silent)?;
        if let Some(trouble) = &self.admin_trouble {
            return Err(trouble.clone());
        }
        let env = self.env_file();
        Ok(AdminFacts {
            version: self.version.clone(),
            loaded: running.loaded.clone().into(),
            plugins: Directive::parse(&running.directive).words().iter().map(ToString::to_string).collect(),
            lua_package_path: Some(running.path.clone()),
            database: env.and_then(|env| env.get("database")),
            role: None,
            log_level: Some(running.log_level.clone()),
            workers: Some(running.workers.iter().map(|worker| worker.0).collect()),
            master: self.admin_master.or(Some(running.master.0)),
            rows: self.rows.clone().into(),
            rows_trouble: self.rows_trouble.clone(),
            ..AdminFacts::default()
        })
    }
}

/// A fleet of any size, for the bench: `plugins` bundles on `nodes` nodes in clusters of 500, of which every third node has
/// nothing, every third the old content, and every third is in line.
pub(crate) struct Large {
    pub(crate) inventory: muster::inventory::Inventory,
    pub(crate) bundles: muster::diff::Bundles,
    pub(crate) known: BTreeMap<Digest, Arc<Bundle>>,
    pub(crate) survey: muster::survey::Survey,
}

fn large_bundle(number: usize, version: &str) -> Arc<Bundle> {
    let name = BundleName::parse(&format!("plugin-{number}")).expect("a name");
    let handler = format!("local H = {{ VERSION = \"{version}\", PRIORITY = {number} }}\nreturn H\n");
    let schema = format!("return {{ name = \"plugin-{number}\", fields = {{}} }}\n");
    let files = [("handler.lua", handler), ("schema.lua", schema)];
    let files = files.map(|(path, text)| muster::bundle::SourceEntry::file(path, text));
    Arc::new(Bundle::from_files(name, files).expect("a bundle"))
}

fn large_inventory(nodes: usize, plugins: usize) -> muster::inventory::Inventory {
    use std::fmt::Write as _;
    let mut text = "version: 1\nowner: edge-team\nbundles:\n".to_owned();
    for number in 0..plugins {
        let _ = writeln!(text, "  plugin-{number}: {{ dir: p{number} }}");
    }
    text.push_str("clusters:\n");
    for (cluster, begin) in (0..nodes).step_by(500).enumerate() {
        let end = (begin + 499).min(nodes - 1);
        let _ = write!(
            text,
            "  c{cluster}:\n    topology: traditional\n    nodes: [\"n-[{begin}-{end}]\"]\n    plugins:\n"
        );
        for number in 0..plugins {
            let _ = writeln!(text, "      plugin-{number}: present");
        }
    }
    muster::inventory::parse("inventory.yaml", text.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

impl Large {
    /// Makes it; nothing of it is kept twice.
    pub(crate) fn new(nodes: usize, plugins: usize) -> Self {
        let inventory = large_inventory(nodes, plugins);
        let new: Vec<_> = (0..plugins).map(|number| large_bundle(number, "2.0.0")).collect();
        let old: Vec<_> = (0..plugins).map(|number| large_bundle(number, "1.0.0")).collect();
        let roots: BTreeSet<BundlePath> = new.iter().flat_map(|bundle| bundle.roots.iter().cloned()).collect();
        let names: String = new.iter().map(|bundle| bundle.name.as_str()).collect::<Vec<_>>().join(",");
        let mut survey =
            muster::survey::Survey { at: jiff::Timestamp::from_second(CLOCK).expect("a time"), ..Default::default() };
        for (number, node) in inventory.nodes().enumerate() {
            let mut model = NodeModel::new(node.kong.clone(), number as u64 + 1);
            let there: &[Arc<Bundle>] = match number % 3 {
                0 => &[],
                1 => &old,
                _ => &new,
            };
            for bundle in there {
                model.install(bundle, &inventory.owner, CLOCK - 5000);
            }
            if !there.is_empty() {
                let directive = format!("bundled,{names}");
                model.write_conf(&directive);
                model.write_env(&directive, DEFAULT_PATH);
                model.start(CLOCK - 1000, 2);
            }
            let facts = Arc::new(model.facts(&roots));
            survey.nodes.insert(node.name.clone(), muster::survey::NodeSurvey::Seen(facts));
        }
        let bundles = new.iter().map(|bundle| ((bundle.name.clone(), None), bundle.clone())).collect();
        let known = new.iter().chain(&old).map(|bundle| (bundle.digest.clone(), bundle.clone())).collect();
        Self { inventory, bundles, known, survey }
    }
}

/// Kong's own search path.
pub(crate) const DEFAULT_PATH: &str = "./?.lua;./?/init.lua;";
