//! The gateways of the demo, and the state that they are in when it begins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sshd::Doors;
use serde_json::json;

use super::{DemoError, DemoNode, content, repository, rows};
use crate::execute::Control;
use crate::execute::look::LookSettings;
use crate::fleet::{Access, Apply, Desired, Fleet, Source};
use crate::inventory::Selector;
use crate::plan::Selection;
use crate::remote::{ByTransport, LocalConnect};
use crate::run::Verdict;
use crate::standin::Leash;
use crate::standin::site::{self, Node, NodeSpec};

/// Cluster and number of each node.
pub(super) const NODES: [(&str, &str); 6] = [
    ("eu-canary", "eu-c1"),
    ("eu-canary", "eu-c2"),
    ("eu-prod", "eu-1"),
    ("eu-prod", "eu-2"),
    ("eu-prod", "eu-3"),
    ("eu-prod", "eu-4"),
];
/// Whose copy of a file is edited by hand.
const EDITED: &str = "eu-2";
/// Through whose Admin API the routes of its cluster are made.
const ADMIN: &str = "eu-1";
/// Whose Kong is stopped.
const STOPPED: &str = "eu-4";

/// The gateways and the doors to them; dropping it ends both.
pub(super) struct DemoFleet {
    doors: Result<Doors, String>,
    _leash: Leash,
}

impl DemoFleet {
    /// Starts the gateways and brings them to where the demo begins.
    pub(super) async fn set_up(
        dir: &Path,
        program: &Path,
        vars: &BTreeMap<String, String>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, DemoError> {
        tell(&format!("starting {} stand-in gateways", NODES.len()));
        let leash = Leash::hold(&dir.join("leash"))?;
        let nodes = start(dir, program, &leash)?;
        let addresses: Vec<_> = NODES.iter().map(|(_, name)| (*name, nodes[name].address)).collect();
        let path = vars.get("PATH").map_or("", String::as_str);
        let doors = Doors::open(dir, &addresses, path).await;
        let specs: Vec<DemoNode> = NODES
            .iter()
            .map(|(cluster, name)| DemoNode {
                name: (*name).to_owned(),
                cluster,
                dir: dir.join(name).display().to_string(),
                transport: if doors.is_ok() { "ssh" } else { "local" },
            })
            .collect();
        let repo = dir.join("gateway-fleet");
        let git = repository::create(&repo)?;
        yesterday(&git, &specs)?;
        tell("bringing them to yesterday's inventory");
        converge(dir, &repo, vars).await?;
        disturb(&nodes)?;
        today(&git, &specs)?;
        Ok(Self { doors, _leash: leash })
    }

    /// The ssh configuration that leads to the nodes.
    pub(super) fn ssh_config(&self) -> Option<PathBuf> {
        self.doors.as_ref().ok().map(|doors| doors.config().to_owned())
    }

    /// How the nodes are reached: nothing, or why not by ssh.
    pub(super) fn without_ssh(&self) -> Option<&str> {
        self.doors.as_ref().err().map(String::as_str)
    }
}

/// Makes the nodes and starts them, all at once.
fn start(dir: &Path, program: &Path, leash: &Leash) -> Result<BTreeMap<&'static str, Node>, DemoError> {
    let mut nodes = BTreeMap::new();
    for (number, (cluster, name)) in NODES.into_iter().enumerate() {
        let address = site::draw(u8::try_from(number + 1).unwrap_or(1))?;
        let mut spec = NodeSpec::new(program, address);
        spec.workers = 2;
        let lua = dir.join(name).join("lua");
        let path = format!("{0}/?.lua;{0}/?/init.lua;;", lua.display());
        spec.lines.push(("lua_package_path".to_owned(), path));
        spec.settings.leash = Some(leash.path().to_owned());
        spec.settings.database = Some(dir.join(format!("{cluster}.json")));
        nodes.insert(name, Node::create(&dir.join(name), &spec)?);
    }
    let panicked = || std::io::Error::other("a thread that starts a gateway panicked");
    std::thread::scope(|scope| {
        let starting: Vec<_> = nodes.values().map(|node| scope.spawn(|| node.start())).collect();
        starting.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(panicked())))
    })?;
    Ok(nodes)
}

fn yesterday(git: &git2::Repository, specs: &[DemoNode]) -> Result<(), DemoError> {
    let files = [
        ("plugins/acme-auth/handler.lua", content::handler("X-Acme-Auth", "checked", "1.4.2", 1050)),
        ("plugins/acme-auth/schema.lua", content::schema("acme-auth")),
        ("plugins/header-guard/handler.lua", content::handler("X-Header-Guard", "on", "1.0.0", 900)),
        ("plugins/header-guard/schema.lua", content::schema("header-guard")),
        ("plugins/legacy-hmac/handler.lua", content::handler("X-Legacy-Hmac", "signed", "0.9.3", 1000)),
        ("plugins/legacy-hmac/schema.lua", content::schema("legacy-hmac")),
    ];
    repository::commit(git, &files, &[], "auth: 1.4.2", Some("acme-auth-v1.4.2"))?;
    let inventory = [("inventory.yaml", content::inventory(specs, false))];
    repository::commit(git, &inventory, &[], "fleet: acme-auth 1.4.2 and header-guard everywhere", None)
}

fn today(git: &git2::Repository, specs: &[DemoNode]) -> Result<(), DemoError> {
    let auth = content::handler("X-Acme-Auth", "checked twice", "2.0.0", 1050);
    let files = [
        ("plugins/acme-auth/handler.lua", auth),
        ("plugins/request-tag/handler.lua", content::handler("X-Request-Tag", "demo", "1.0.0", 805)),
        ("plugins/request-tag/schema.lua", content::schema("request-tag")),
        ("inventory.yaml", content::inventory(specs, true)),
    ];
    let gone = ["plugins/legacy-hmac/handler.lua", "plugins/legacy-hmac/schema.lua"];
    repository::commit(git, &files, &gone, "auth 2.0.0, tag every request, no more hmac", None)
}

/// Brings the fleet to the inventory that is committed, as muster would, without a word: both clusters at once, and from
/// beside the nodes, as nobody watches.
async fn converge(dir: &Path, repo: &Path, vars: &BTreeMap<String, String>) -> Result<(), DemoError> {
    let desired = Desired::read(&Source { repo: repo.to_owned(), rev: "HEAD".to_owned(), inventory: None })?;
    let local = Arc::new(LocalConnect::new(vars.iter().map(|(key, value)| (key.clone(), value.into()))));
    let connect = ByTransport { ssh: local.clone(), local };
    let fleet = Arc::new(Fleet::new(desired, Arc::new(connect), LookSettings::for_cores(2), &Access::default())?);
    #[expect(clippy::disallowed_methods, reason = "the journal of the demo's own preparation is read by nobody")]
    let clock: crate::execute::Clock = Arc::new(jiff::Timestamp::now);
    let picture = fleet.look(clock(), &|_, _| {}).await;
    let clusters: Vec<_> = fleet.inventory().clusters.keys().cloned().collect();
    let runs = clusters.into_iter().map(|cluster| {
        let selection = Selection { clusters: Selector::parse_names(cluster.as_str()).ok(), ..Selection::default() };
        fleet.apply(Apply {
            plan: Arc::new(fleet.plan(&picture, selection.clone(), Vec::new())),
            picture: picture.clone(),
            selection,
            allow: Vec::new(),
            operator: "demo@localhost".to_owned(),
            runs: dir.join("before/runs"),
            reporters: Vec::new(),
            control: Control::new(),
            clock: clock.clone(),
        })
    });
    let applied = futures_util::future::join_all(runs).await;
    fleet.close().await;
    for applied in applied {
        let state = applied?.state;
        let verdict = Verdict::of(&state);
        if !matches!(verdict, Verdict::Converged | Verdict::InLine) {
            return Err(DemoError::Verdict(why(verdict, &state)));
        }
    }
    Ok(())
}

fn why(verdict: Verdict, state: &crate::run::RunState) -> String {
    let causes = state.nodes.iter().filter_map(|(node, run)| Some(format!("{node}: {}", run.cause.as_ref()?.text)));
    let causes: Vec<String> = causes.collect();
    format!("{}; {}", verdict.word(), causes.join("; "))
}

/// What happens to fleets between two runs: somebody uses a plugin, somebody edits a file, a gateway stops. From here on the
/// gateways take their time, as a Kong does.
fn disturb(nodes: &BTreeMap<&'static str, Node>) -> Result<(), DemoError> {
    if let Some(node) = nodes.get(ADMIN) {
        let service = rows::post(node, "/services", &json!({"name": "billing", "host": "127.0.0.1", "port": 9}))?;
        let scope = json!({"id": service["id"]});
        rows::post(
            node,
            "/plugins",
            &json!({"name": "legacy-hmac", "service": scope, "config": {"value": "billing"}}),
        )?;
        rows::post(node, "/plugins", &json!({"name": "legacy-hmac", "enabled": false}))?;
    }
    for node in nodes.values() {
        node.change(|settings| settings.time_scale = 0.5)?;
    }
    if let Some(node) = nodes.get(EDITED) {
        let file = node.lua_root.join("kong/plugins/header-guard/handler.lua");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("\"on\"", "\"on, since the incident\""))?;
    }
    if let Some(node) = nodes.get(STOPPED) {
        node.stop()?;
    }
    Ok(())
}
