//! A fleet of thousands of nodes, made of values: reading the inventory, comparing, planning, and the memory all of it
//! takes. Each case runs in a process of its own, so that the peak is that case's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use muster::bundle::{Bundle, SourceEntry};
use muster::diff::{self, Bundles};
use muster::inventory::{self, Inventory, Node};
use muster::name::{BundleName, BundlePath, Revision};
use muster::plan::{self, Origin, Request, Selection};
use muster::survey::{NodeSurvey, Sharer, Survey};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::Options;
use crate::model::{CLOCK, DEFAULT_PATH, NodeModel};
use crate::table::{Table, median};

/// The hidden first argument of the process that measures one case.
pub(crate) const CHILD: &str = "--large-fleet";

const NODES: usize = 5000;
const PLUGINS: usize = 50;
const CLUSTER: usize = 500;
/// Name, and how many of the plugins differ on every node.
const CASES: [(&str, usize); 4] =
    [("all in line", 0), ("1 upgraded on all", 1), ("5 upgraded on all", 5), ("50 upgraded on all", 50)];

/// Measures every case.
pub(crate) fn measure(options: &Options, table: &mut Table) {
    let nodes = if options.quick { NODES / 10 } else { NODES };
    for (name, upgraded) in CASES {
        let args = [CHILD.to_owned(), nodes.to_string(), upgraded.to_string()];
        let program = std::env::current_exe().expect("the path of this program");
        let output = Command::new(program).args(args).output().expect("the bench starts itself");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("figures are text");
        let figure = |key: &str| -> f64 {
            let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: no {key} in {said}"))
        };
        let what = format!("{nodes} nodes x {PLUGINS}, {name}");
        if upgraded == 0 {
            table.note(format!("{what}: reading the inventory"), format!("{:.0} ms", figure("parse")));
        }
        table.note(format!("{what}: diff"), format!("{:.0} ms, {:.0} MB", figure("diff"), figure("diff_mb")));
        table.below(format!("{what}: plan"), figure("plan") / 1000.0, 0.5, " s");
        table.note(format!("{what}: inventory, bundles and survey"), format!("{:.0} MB", figure("survey_mb")));
        table.below(format!("{what}: peak memory"), figure("peak_mb"), 150.0, " MB");
    }
}

/// Measures one case and says the figures.
pub(crate) fn child(args: &[String]) -> String {
    let number = |index: usize| args.get(index).and_then(|arg| arg.parse().ok()).expect("a number");
    let (nodes, upgraded): (usize, usize) = (number(0), number(1));
    let mut out = String::new();
    let text = inventory_text(nodes, upgraded);
    let (parse, inventory) = timed(|| inventory::parse("inventory.yaml", text.as_bytes()));
    let inventory = inventory.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    drop(text);
    let (bundles, before) = bundles(upgraded);
    let survey = survey(&inventory, &before);
    let _ = writeln!(out, "parse {}\nsurvey_mb {}", parse.as_millis(), resident());
    let world = World { inventory, bundles, before, survey };
    let (mut diffs, mut plans) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let (time, diff) = timed(|| diff::diff(&world.inventory, &world.bundles, &world.survey));
        diffs.push(time);
        if round == 0 {
            let _ = writeln!(out, "diff_mb {}", resident());
        }
        let (time, plan) = timed(|| world.plan(&diff));
        plans.push(time);
        if round == 0 {
            let changing: usize = plan.clusters.iter().map(|cluster| cluster.nodes.changing.len()).sum();
            assert_eq!(changing, if upgraded == 0 { 0 } else { nodes }, "{:?}", plan.blockers.first());
            let _ = writeln!(out, "peak_mb {}", peak());
        }
    }
    let _ = writeln!(out, "diff {}\nplan {}", median(&diffs).as_millis(), median(&plans).as_secs_f64() * 1000.0);
    out
}

/// How long it takes a core. All of it runs in one thread, so on a machine that does nothing else that is the time that
/// passes; on a busy one it is still what muster costs.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = spent();
    let value = work();
    (spent().saturating_sub(begun), value)
}

fn spent() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the usage of this process");
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
}

/// Everything that a plan is made of.
struct World {
    inventory: Inventory,
    bundles: Bundles,
    before: Vec<Arc<Bundle>>,
    survey: Survey,
}

impl World {
    fn plan(&self, diff: &diff::FleetDiff) -> plan::Plan {
        let known = self.before.iter().chain(self.bundles.values()).map(|b| (b.digest.clone(), b.clone())).collect();
        plan::plan(&Request {
            inventory: &self.inventory,
            bundles: &self.bundles,
            known: &known,
            survey: &self.survey,
            diff,
            origin: Origin {
                repository: "gateway-fleet".to_owned(),
                revision: Revision::parse(&"0".repeat(40)).expect("a revision"),
                summary: "bench".to_owned(),
                branch: None,
            },
            selection: Selection::default(),
            allow: Vec::new(),
            goal: plan::Goal::InLine,
            trials: &[],
        })
    }
}

/// The inventory as people write it: one line a node, clusters of 500.
fn inventory_text(nodes: usize, upgraded: usize) -> String {
    let mut text = String::from("version: 1\nowner: bench\nbundles:\n");
    for plugin in 0..PLUGINS {
        let _ = writeln!(text, "  acme-{plugin:02}:\n    \"1.0.0\": {{ dir: old/acme-{plugin:02} }}");
        let _ = writeln!(text, "    \"2.0.0\": {{ dir: new/acme-{plugin:02} }}");
    }
    text.push_str("clusters:\n");
    for first in (0..nodes).step_by(CLUSTER) {
        let _ = writeln!(text, "  eu-{:02}:\n    topology: traditional\n    nodes:", first / CLUSTER);
        for node in first..nodes.min(first + CLUSTER) {
            let (high, low) = (node / 250, node % 250);
            let zone = if node % 2 == 0 { "a" } else { "b" };
            let _ = writeln!(text, "      gw-{node:04}: {{ host: 10.0.{high}.{low}, labels: {{ zone: {zone} }} }}");
        }
        text.push_str("    plugins:\n");
        for plugin in 0..PLUGINS {
            let version = if plugin < upgraded { "2.0.0" } else { "1.0.0" };
            let _ = writeln!(text, "      acme-{plugin:02}: \"{version}\"");
        }
    }
    text
}

/// What is wanted, and what stands on the nodes.
fn bundles(upgraded: usize) -> (Bundles, Vec<Arc<Bundle>>) {
    let (mut wanted, mut before) = (Bundles::new(), Vec::new());
    for plugin in 0..PLUGINS {
        let old = Arc::new(bundle(plugin, "1.0.0"));
        let (new, version) =
            if plugin < upgraded { (Arc::new(bundle(plugin, "2.0.0")), "2.0.0") } else { (old.clone(), "1.0.0") };
        let label = version.parse().expect("a version");
        wanted.insert((new.name.clone(), Some(label)), new);
        before.push(old);
    }
    (wanted, before)
}

/// A plugin of four files, some 12 kB.
pub(crate) fn bundle(plugin: usize, version: &str) -> Bundle {
    let name = format!("acme-{plugin:02}");
    let mut handler = String::new();
    for line in 0..200 {
        let _ = writeln!(handler, "-- {name} {version} line {line} of a handler that does something");
    }
    let _ = writeln!(handler, "return {{ PRIORITY = {}, VERSION = \"{version}\" }}", 1000 + plugin);
    let schema = format!(
        "return {{ name = \"{name}\", fields = {{ {{ config = {{ type = \"record\", fields = {{}} }} }} }} }}\n"
    );
    let files = [
        ("handler.lua", handler),
        ("schema.lua", schema),
        ("access.lua", format!("-- {version}\nreturn {{}}\n")),
        ("lib/cache.lua", "return {}\n".to_owned()),
    ];
    let entries = files.map(|(file, text)| SourceEntry::file(format!("kong/plugins/{name}/{file}"), text));
    Bundle::from_files(BundleName::parse(&name).expect("a name"), entries).expect("a bundle")
}

fn survey(inventory: &Inventory, before: &[Arc<Bundle>]) -> Survey {
    let roots: BTreeSet<BundlePath> = before.iter().flat_map(|bundle| bundle.roots.iter().cloned()).collect();
    let mut sharer = Sharer::default();
    let seen = |(number, node): (usize, &Node)| {
        let mut facts = model(inventory, node, number, before).facts(&roots);
        sharer.share(&mut facts);
        (node.name.clone(), NodeSurvey::Seen(Arc::new(facts)))
    };
    let at = jiff::Timestamp::from_second(CLOCK).expect("a time");
    Survey { at, nodes: inventory.nodes().enumerate().map(seen).collect(), ..Survey::default() }
}

/// A node on which everything of `before` is installed, listed and loaded.
fn model(inventory: &Inventory, node: &Node, number: usize, before: &[Arc<Bundle>]) -> NodeModel {
    let mut model = NodeModel::new(node.kong.clone(), number as u64);
    let mut directive = "bundled".to_owned();
    for bundle in before {
        model.install(bundle, &inventory.owner, CLOCK - 50_000);
        let _ = write!(directive, ",{}", bundle.name);
    }
    model.write_conf(&directive);
    if let Some(conf) = &mut model.conf {
        // As it comes with Kong: the file is mostly its own manual.
        for line in 0..1200 {
            let comment = format!("# line {line} of what kong.conf says about its keys, and there is much\n");
            conf.extend_from_slice(comment.as_bytes());
        }
    }
    model.write_env(&directive, DEFAULT_PATH);
    model.start(CLOCK - 1000, 2);
    model
}

/// Memory in MB from `/proc/self/status`.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a /proc");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of memory");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib / 1024
}

pub(crate) fn resident() -> u64 {
    status("VmRSS")
}

fn peak() -> u64 {
    status("VmHWM")
}
