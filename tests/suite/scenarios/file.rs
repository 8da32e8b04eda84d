//! A scenario as people write it (tests/data/scenarios/README.md), read into an inventory, bundles and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster::bundle::{Bundle, SourceEntry};
use muster::hint::Hint;
use muster::inventory::{self, Inventory, Selector, VersionLabel};
use muster::name::{BundleName, BundlePath, Digest, NodeName, Owner, PluginName, RunId};
use muster::plan::{Allow, Goal, Selection};
use muster::survey::{Double, GuardFacts, Kind, PluginRow, Rock, Trouble};
use muster::wire::{Intent, Receipt};
use serde::Deserialize;

use super::fleet::{CLOCK, DEFAULT_PATH, NodeModel, Root, Standing, Tree};

/// When files were put there, unless something else is said: before Kong was started.
const FILES: i64 = CLOCK - 5000;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) about: String,
    inventory: String,
    #[serde(default)]
    bundles: BTreeMap<String, BundleSpec>,
    #[serde(default)]
    fleet: BTreeMap<String, NodeSpec>,
    #[serde(default)]
    select: BTreeMap<String, String>,
    #[serde(default)]
    allow: Vec<String>,
    /// What `declared_in` of the inventory names.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Plugins that were being removed and are used again: what is planned in the middle of a run.
    #[serde(default, rename = "put-back")]
    put_back: Vec<String>,
    #[serde(default)]
    pub(crate) expect: String,
}

/// Content, given short.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct BundleSpec {
    /// VERSION of the handler; else the label behind `@`, else 1.0.0.
    version: Option<String>,
    /// More plugins in it, with their versions.
    plugins: BTreeMap<String, String>,
    /// More files below the plugin's directory.
    extra: Vec<String>,
    /// Files elsewhere below the Lua root.
    beside: Vec<String>,
    /// A comment in the handler: other content of the same version.
    salt: Option<String>,
}

/// A node as it stands; all is optional.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file, and any of them go together")]
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct NodeSpec {
    unreachable: Option<String>,
    refused: Option<String>,
    kong: Option<String>,
    stopped: bool,
    workers: Option<u32>,
    plugins: Option<String>,
    conf: Option<String>,
    env: Option<String>,
    live: Option<String>,
    conf_text: Option<String>,
    conf_is: Option<String>,
    conf_real: Option<String>,
    managed: Option<String>,
    path: Option<String>,
    log_level: Option<String>,
    ours: Vec<String>,
    owner: Option<String>,
    foreign: Vec<String>,
    mount: bool,
    denied: Vec<String>,
    elsewhere: BTreeMap<String, String>,
    edited: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    unlinked: Vec<String>,
    manifest: Option<String>,
    runs: Vec<String>,
    since: Option<String>,
    rows: BTreeMap<String, RowsSpec>,
    rows_trouble: Option<String>,
    admin: Option<String>,
    admin_master: Option<u32>,
    master_gone: bool,
    prefix_is: Option<String>,
    ready: Option<u16>,
    guard: Option<String>,
    /// `NAME VERSION`, or `NAME VERSION TREE`, with its files.
    rocks: BTreeMap<String, Vec<String>>,
    /// `PLACE ROOT PATH`: the same module in another directory of the search path.
    doubles: Vec<String>,
    lacks: Vec<String>,
    hidepid: bool,
    shares: Option<String>,
    clone_of: Option<String>,
    changed: Option<i64>,
    /// The files of its unit: `kong.service` below /lib/systemd/system, drop-ins, environment files.
    unit: BTreeMap<String, String>,
    unit_unreadable: Vec<String>,
    container: bool,
    vault: bool,
    secret: Option<String>,
}

/// The rows of a plugin: so many global ones, or one by one.
#[derive(Deserialize)]
#[serde(untagged)]
enum RowsSpec {
    Count(usize),
    Each(Vec<RowSpec>),
}

/// A row of the plugins entity.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RowSpec {
    /// What it applies to; else it is global.
    on: Option<String>,
    workspace: Option<String>,
    disabled: bool,
    tags: Vec<String>,
    /// How many seconds ago it was changed; `none`: it does not say.
    age: Option<String>,
}

impl RowsSpec {
    fn rows(&self, plugin: &str) -> Vec<PluginRow> {
        let row = |(number, spec): (usize, &RowSpec)| {
            let age = spec.age.as_deref().unwrap_or("100000");
            let age = (age != "none").then(|| age.parse::<i64>().expect("age: seconds, or none"));
            PluginRow {
                id: format!("{plugin}-{number}"),
                enabled: !spec.disabled,
                scope: spec.on.clone().unwrap_or_else(|| "global".to_owned()),
                workspace: spec.workspace.clone(),
                tags: spec.tags.clone(),
                updated_at: age.map(|age| CLOCK - age),
            }
        };
        match self {
            Self::Count(count) => (0..*count).map(|number| row((number, &RowSpec::default()))).collect(),
            Self::Each(rows) => rows.iter().enumerate().map(row).collect(),
        }
    }
}

/// A node in the fleet.
#[derive(Clone)]
pub(crate) enum Seen {
    Unreachable(Trouble),
    Refused(Trouble),
    Model(Box<NodeModel>),
}

/// Everything a plan is made from.
pub(crate) struct World {
    pub(crate) inventory: Inventory,
    /// By `name@label`, as the scenario has them.
    pub(crate) bundles: BTreeMap<String, Arc<Bundle>>,
    pub(crate) nodes: BTreeMap<NodeName, Seen>,
    pub(crate) selection: Selection,
    pub(crate) allow: Vec<Allow>,
    pub(crate) goal: Goal,
}

impl Scenario {
    /// Reads the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    /// Builds all of it; a mistake in the file is told.
    pub(crate) fn world(&self) -> Result<World, String> {
        let mut inventory = inventory::parse("inventory.yaml", self.inventory.as_bytes()).map_err(|e| e.to_string())?;
        for named in inventory.clusters.values_mut().flat_map(|cluster| &mut cluster.declared_in) {
            let text = self.files.get(named.file.as_str()).ok_or("files: declared_in names another one")?;
            named.declares = inventory::declares(named.file.as_str(), text.as_bytes()).map_err(|e| e.to_string())?;
        }
        let mut bundles = BTreeMap::new();
        for (key, spec) in &self.bundles {
            let bundle = spec.bundle(key).map_err(|error| format!("bundle {key}: {error}"))?;
            bundles.insert(key.clone(), Arc::new(bundle));
        }
        let mut nodes = BTreeMap::new();
        for (number, node) in inventory.nodes().enumerate() {
            let spec = self.spec(node.name.as_str())?;
            let mut seen = spec.seen(number as u64 + 1, node, &inventory, &bundles);
            if let (Seen::Model(model), Some(other)) = (&mut seen, &spec.shares) {
                let other =
                    inventory.nodes().position(|node| node.name.as_str() == other).ok_or("shares: no such node")?;
                let other = other as u64 + 1;
                (model.boot, model.machine) = (format!("boot-{other}"), format!("machine-{other}"));
                model.lua_root_id = (other, 20);
            }
            nodes.insert(node.name.clone(), seen);
        }
        let goal = self.goal(&inventory)?;
        Ok(World { inventory, bundles, nodes, selection: self.selection()?, allow: self.allow()?, goal })
    }

    /// The node's own entry, or that of a pattern that has it.
    fn spec(&self, node: &str) -> Result<&NodeSpec, String> {
        if let Some(spec) = self.fleet.get(node) {
            return Ok(spec);
        }
        let name = NodeName::parse(node).map_err(|e| e.to_string())?;
        for (pattern, spec) in &self.fleet {
            if Selector::parse(pattern).map_err(|e| e.to_string())?.matches_name(name.as_str()) {
                return Ok(spec);
            }
        }
        Err(format!("the fleet has no {node}"))
    }

    fn selection(&self) -> Result<Selection, String> {
        let of =
            |key: &str| self.select.get(key).map(|text| Selector::parse(text)).transpose().map_err(|e| e.to_string());
        Ok(Selection {
            clusters: of("cluster")?,
            nodes: of("node")?,
            plugins: of("plugin")?,
            unproven: self.select.contains_key("unproven"),
        })
    }

    fn goal(&self, inventory: &Inventory) -> Result<Goal, String> {
        if self.put_back.is_empty() {
            return Ok(Goal::InLine);
        }
        let cluster = inventory.clusters.keys().next().ok_or("put-back: no cluster")?.clone();
        let plugins: Result<_, _> = self.put_back.iter().map(|name| PluginName::parse(name)).collect();
        Ok(Goal::PutBack { cluster, plugins: plugins.map_err(|error| error.to_string())? })
    }

    fn allow(&self) -> Result<Vec<Allow>, String> {
        self.allow.iter().map(|text| Allow::parse(text)).collect()
    }
}

/// The name before `@`, and the label behind it.
pub(crate) fn key(text: &str) -> (BundleName, Option<VersionLabel>) {
    let (name, label) = text.split_once('@').map_or((text, None), |(name, label)| (name, Some(label)));
    let label = label.map(|label| VersionLabel::parse(label).expect("a label behind @"));
    (BundleName::parse(name).expect("a bundle's name before @"), label)
}

impl BundleSpec {
    fn bundle(&self, key_text: &str) -> Result<Bundle, String> {
        let (name, label) = key(key_text);
        let own = self.version.clone().or_else(|| label.map(|label| label.as_str().to_owned()));
        let own = own.unwrap_or_else(|| "1.0.0".to_owned());
        let mut plugins = self.plugins.clone();
        if plugins.is_empty() {
            plugins.insert(name.to_string(), own.clone());
        }
        let salt = self.salt.as_ref().map(|salt| format!("-- {salt}\n")).unwrap_or_default();
        let mut files = Vec::new();
        for (plugin, version) in &plugins {
            let handler = format!(
                "{salt}local H = {{ VERSION = \"{version}\", PRIORITY = 1000 }}\nfunction H:access() end\nreturn H\n"
            );
            files.push((format!("kong/plugins/{plugin}/handler.lua"), handler));
            let schema = format!("return {{ name = \"{plugin}\", fields = {{}} }}\n");
            files.push((format!("kong/plugins/{plugin}/schema.lua"), schema));
        }
        let module = format!("return \"{own}\"\n");
        files.extend(self.extra.iter().map(|path| (format!("kong/plugins/{name}/{path}"), module.clone())));
        files.extend(self.beside.iter().map(|path| (path.clone(), module.clone())));
        let entries = files.into_iter().map(|(path, text)| SourceEntry::file(path, text));
        Bundle::from_files(name, entries).map_err(|error| error.to_string())
    }
}

fn trouble(code: &str, text: &str) -> Trouble {
    Trouble { code: code.to_owned(), text: text.to_owned(), hints: vec![Hint::do_("look at the network")] }
}

impl NodeSpec {
    fn seen(
        &self,
        number: u64,
        node: &inventory::Node,
        inventory: &Inventory,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> Seen {
        if let Some(text) = &self.unreachable {
            return Seen::Unreachable(trouble("timed-out", text));
        }
        if let Some(text) = &self.refused {
            return Seen::Refused(trouble("no-sudo", text));
        }
        let mut model = NodeModel::new(node.kong.clone(), number);
        let owner = self.owner.as_ref().map_or(inventory.owner.clone(), |owner| Owner::parse(owner).expect("an owner"));
        self.disk(&mut model, &owner, bundles);
        self.settings(&mut model);
        self.running(&mut model, bundles);
        self.tamper(&mut model);
        self.rest(&mut model);
        Seen::Model(Box::new(model))
    }

    /// What was on disk when Kong last loaded.
    fn disk(&self, model: &mut NodeModel, owner: &Owner, bundles: &BTreeMap<String, Arc<Bundle>>) {
        for name in &self.ours {
            model.install(&bundles[name], owner, FILES);
        }
        for name in &self.foreign {
            model.copy(&bundles[name], FILES);
        }
        for (plugin, version) in &self.elsewhere {
            model.elsewhere.insert(PluginName::parse(plugin).expect("a plugin"), Some(version.clone()));
        }
    }

    fn settings(&self, model: &mut NodeModel) {
        let all = self.plugins.as_deref().unwrap_or("bundled");
        let env = self.env.as_deref().unwrap_or(all);
        let path = self.path.as_deref().unwrap_or(DEFAULT_PATH);
        // First what the workers loaded.
        model.write_env(self.live.as_deref().unwrap_or(env), path);
        model.running = None;
        model.write_conf(self.conf.as_deref().unwrap_or(all));
        model.unit = self.unit.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
        model.unit_unreadable = self.unit_unreadable.iter().cloned().collect();
        if let Some(text) = &self.conf_text {
            model.conf = Some(text.clone().into_bytes());
        }
    }

    /// Kong loads; then what was written into `.kong_env` since.
    fn running(&self, model: &mut NodeModel, bundles: &BTreeMap<String, Arc<Bundle>>) {
        if !self.stopped {
            let workers = self.workers.unwrap_or(2);
            self.load(model, workers, bundles);
        }
        if let (true, Some(running)) = (self.container, &mut model.running) {
            running.master.0 = 1;
        }
        let all = self.plugins.as_deref().unwrap_or("bundled");
        model.write_env(self.env.as_deref().unwrap_or(all), self.path.as_deref().unwrap_or(DEFAULT_PATH));
        if self.vault {
            model.env.as_mut().expect("it was written").extend_from_slice(b"pg_password = {vault://env/pg-password}\n");
        }
        if let (Some(secret), Some(env)) = (&self.secret, &mut model.env) {
            env.extend_from_slice(format!("pg_password = {secret}\n# {secret}\n").as_bytes());
        }
        if self.env.as_deref() == Some("none") {
            model.env = None;
        }
    }

    fn load(&self, model: &mut NodeModel, workers: u32, bundles: &BTreeMap<String, Arc<Bundle>>) {
        let then = (model.roots.clone(), model.releases.clone(), model.current.clone());
        for name in &self.runs {
            // What they loaded is not what is there now.
            let tree = Arc::new(Tree::of(&bundles[name]));
            for root in &bundles[name].roots {
                let standing = Standing::Foreign { content: tree.clone(), mount: false };
                model.roots.insert(root.clone(), Root { standing, newest: FILES });
            }
        }
        let since = self.since.as_deref().unwrap_or("start");
        let started = if since == "start" { CLOCK - 1000 } else { CLOCK - 9000 };
        model.start(started, workers);
        (model.roots, model.releases, model.current) = then;
        let fresh =
            |from: u32, at: i64| (0..workers).map(|n| NodeModel::process(from + n, at)).collect::<BTreeSet<_>>();
        match since {
            "start" | "old" => {}
            // muster's own reload: the releases are in the path of the workers, and a receipt has them.
            "staged" | "staged-respawn" | "receipt" | "hup" | "respawn-after-receipt" => {
                let proven = fresh(2001, CLOCK - 5001);
                model.receipts.push(self.receipt(model, bundles, &proven));
                let path = self.staged_path(model, bundles);
                let running = model.running.as_mut().expect("it was started");
                running.workers = proven;
                match since {
                    "staged" => running.path = path,
                    "staged-respawn" => {
                        running.path = path;
                        running.workers.pop_first();
                        running.workers.insert(NodeModel::process(3001, CLOCK - 10));
                    }
                    "hup" => running.workers = fresh(3001, CLOCK - 500),
                    "respawn-after-receipt" => {
                        running.workers = fresh(3001, CLOCK - 500);
                        model.receipts.last_mut().expect("one").intents.clear();
                    }
                    _ => {}
                }
            }
            "respawn" => {
                let running = model.running.as_mut().expect("it was started");
                running.workers.pop_first();
                running.workers.insert(NodeModel::process(3001, CLOCK - 10));
            }
            "respawn-all" => model.running.as_mut().expect("it was started").workers = fresh(3001, CLOCK - 10),
            other => panic!("since: {other} is not known"),
        }
    }

    fn content(&self, bundles: &BTreeMap<String, Arc<Bundle>>) -> BTreeMap<BundleName, Digest> {
        let names = if self.runs.is_empty() {
            self.ours.iter().chain(&self.foreign).collect()
        } else {
            self.runs.iter().collect::<Vec<_>>()
        };
        names.into_iter().map(|name| (bundles[name].name.clone(), bundles[name].digest.clone())).collect()
    }

    fn staged_path(&self, model: &NodeModel, bundles: &BTreeMap<String, Arc<Bundle>>) -> String {
        let content = self.content(bundles);
        let releases = content.iter().map(|(name, digest)| model.paths.home.join(&format!("releases/{name}/{digest}")));
        let releases: Vec<_> = releases.map(|path| path.expect("a path")).collect();
        let path = muster::kong::SearchPath::new(self.path.as_deref().unwrap_or(DEFAULT_PATH));
        path.staged(&model.paths.home, &releases).expect("it fits").as_str().to_owned()
    }

    fn receipt(
        &self,
        model: &NodeModel,
        bundles: &BTreeMap<String, Arc<Bundle>>,
        proven: &BTreeSet<(u32, u64)>,
    ) -> Receipt {
        let content = self.content(bundles);
        let did = |(name, digest): (&BundleName, &Digest)| Intent {
            done: true,
            what: vec!["switch".to_owned(), name.to_string(), digest.to_string()],
        };
        Receipt {
            commit: None,
            run: run_at(CLOCK - 5000),
            step: 1,
            intents: content.iter().map(did).collect(),
            master: model.running.as_ref().map(|running| running.master),
            workers: proven.clone(),
            content,
            boot: Some(model.boot.clone()),
            result: Some("changed".to_owned()),
        }
    }

    /// What happened on the node after Kong loaded.
    fn tamper(&self, model: &mut NodeModel) {
        let now = CLOCK - 100;
        for path in &self.edited {
            touch(model, path, now, |tree, path| drop(tree.files.insert(path, Digest::of(b"edited by hand"))));
        }
        for path in &self.added {
            touch(model, path, now, |tree, path| drop(tree.files.insert(path, Digest::of(b"added by hand"))));
        }
        for path in &self.removed {
            touch(model, path, now, |tree, path| drop(tree.files.remove(&path)));
        }
        for path in &self.unlinked {
            model.roots.remove(&BundlePath::parse(path).expect("a path below the Lua root"));
        }
        for path in &self.denied {
            let root = Root { standing: Standing::Denied, newest: now };
            model.roots.insert(BundlePath::parse(path).expect("a path below the Lua root"), root);
        }
        for root in model.roots.values_mut().filter(|_| self.mount) {
            if let Standing::Foreign { mount, .. } = &mut root.standing {
                *mount = true;
            }
        }
    }

    fn rest(&self, model: &mut NodeModel) {
        if let Some(version) = &self.kong {
            model.version.clone_from(version);
        }
        if let Some(is) = &self.conf_is {
            match is.as_str() {
                "absent" => model.conf = None,
                "unreadable" => model.conf_place.kind = Kind::Denied,
                "hard-linked" => model.conf_place.links = 3,
                "read-only" => model.conf_place.writable = false,
                other => panic!("conf-is: {other} is not known"),
            }
        }
        if let Some(real) = &self.conf_real {
            model.conf_place.real = muster::name::NodePath::parse(real).expect("a path");
        }
        model.conf_place.managed.clone_from(&self.managed);
        if let Some(text) = &self.manifest {
            model.manifest = if text == "none" { None } else { Some(Err(text.clone())) };
        }
        if let (Some(level), Some(running)) = (&self.log_level, &mut model.running) {
            running.log_level.clone_from(level);
        }
        model.rows = self.rows.iter().map(|(plugin, rows)| (plugin.clone(), rows.rows(plugin))).collect();
        model.rows_trouble = self.rows_trouble.as_ref().map(|text| trouble("rows", text));
        model.admin_trouble = self.admin.as_ref().map(|text| trouble("admin", text));
        model.admin_master = self.admin_master;
        model.master_gone = self.master_gone;
        model.prefix_kind = match self.prefix_is.as_deref() {
            None => Kind::Directory,
            Some("absent") => Kind::Absent,
            Some("unreadable") => Kind::Denied,
            Some(other) => panic!("prefix-is: {other} is not known"),
        };
        model.ready = self.ready.or(model.ready).filter(|_| model.running.is_some());
        model.guard = self.guard.as_ref().map(|state| GuardFacts {
            state: state.trim_end_matches(" dead").to_owned(),
            step: "01ARZ3NDEKTSV4RRFFQ69G5FAV.3".to_owned(),
            left: 42,
            alive: !state.ends_with(" dead"),
        });
        model.rocks = self.rocks.iter().map(|(name, files)| rock(name, files)).collect();
        model.doubles = self.doubles.iter().map(|text| double(text)).collect();
        model.tools.retain(|tool| !self.lacks.contains(tool));
        model.proc_visible = !self.hidepid;
        if self.clone_of.is_some() {
            // A machine made from the same image: all alike but the boot id.
            (model.machine, model.prefix_id, model.lua_root_id) = ("cloned".to_owned(), (9, 9), (9, 8));
        }
        if let Some(seconds) = self.changed {
            let result = Some("changed".to_owned());
            let (run, boot) = (run_at(CLOCK - seconds), Some(model.boot.clone()));
            let empty = BTreeMap::new();
            model.receipts.push(Receipt {
                commit: None,
                run,
                boot,
                result,
                content: empty,
                step: 1,
                intents: Vec::new(),
                master: None,
                workers: BTreeSet::new(),
            });
        }
    }
}

fn run_at(seconds: i64) -> RunId {
    RunId::from_parts(u64::try_from(seconds).unwrap_or(0) * 1000, 7)
}

fn rock(name: &str, files: &[String]) -> Rock {
    let words: Vec<&str> = name.split(' ').collect();
    let tree = words.get(2).copied().unwrap_or_default().to_owned();
    Rock { name: words[0].to_owned(), version: words[1].to_owned(), files: files.iter().cloned().collect(), tree }
}

fn double(text: &str) -> Double {
    let words: Vec<&str> = text.split(' ').collect();
    let root = BundlePath::parse(words[1]).expect("a root");
    Double { place: words[0].parse().expect("a place"), root, path: words[2].to_owned() }
}

/// Changes the content behind one path, whoever put it there.
fn touch(model: &mut NodeModel, path: &str, at: i64, change: impl Fn(&mut Tree, BundlePath)) {
    let path = BundlePath::parse(path).expect("a path below the Lua root");
    let covers = |root: &BundlePath| path.as_str() == root.as_str() || path.as_str().starts_with(&format!("{root}/"));
    let root =
        model.roots.keys().find(|root| covers(root)).unwrap_or_else(|| panic!("nothing stands at {path}")).clone();
    let root = model.roots.get_mut(&root).expect("it was found");
    root.newest = at;
    match &mut root.standing {
        Standing::Linked(bundle) => {
            let digest = &model.current[bundle];
            let tree = model.releases.get_mut(bundle).and_then(|trees| trees.get_mut(digest)).expect("it is installed");
            change(Arc::make_mut(tree), path);
        }
        Standing::Foreign { content, .. } => change(Arc::make_mut(content), path),
        Standing::Denied => {}
    }
}
