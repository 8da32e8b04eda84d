//! What holds at every moment of a removal, whichever step comes next and wherever it ends: tried on random fleets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use muster::action::Action;
use muster::name::{NodeName, PluginName};
use muster::plan::{Phase, Plan, Step, StepId};
use proptest::prelude::*;
use proptest::sample::Index;

use super::file::{Scenario, Seen, World};
use super::fleet::NodeModel;
use super::{ordered, sound};

const PLUGINS: [&str; 3] = ["legacy-hmac", "acme-auth", "request-tag"];

/// One node: where the plugin stands, and what else is the matter.
fn node() -> impl Strategy<Value = String> {
    let stands = prop_oneof![
        5 => Just("ours: [legacy-hmac, acme-auth@1.4.2], plugins: \"bundled,legacy-hmac,acme-auth\""),
        2 => Just("ours: [legacy-hmac], plugins: \"bundled,legacy-hmac\""),
        2 => Just("ours: [legacy-hmac, acme-auth@2.0.0], plugins: \"bundled,acme-auth\""),
        1 => Just("ours: [legacy-hmac], plugins: bundled, conf: \"bundled,legacy-hmac\""),
        1 => Just("ours: [legacy-hmac], plugins: \"bundled,legacy-hmac\", conf: bundled"),
        1 => Just("foreign: [legacy-hmac], plugins: \"bundled,legacy-hmac\""),
        1 => Just("foreign: [legacy-hmac], plugins: bundled"),
        1 => Just("elsewhere: { legacy-hmac: \"0.1\" }, plugins: \"bundled,legacy-hmac\""),
        1 => Just("plugins: bundled"),
    ];
    let trouble = prop_oneof![
        12 => Just(""),
        2 => Just("stopped: true, "),
        1 => Just("unreachable: \"no route\", "),
        1 => Just("admin: silent, "),
        1 => Just("log-level: debug, "),
        1 => Just("conf-is: read-only, "),
        1 => Just("rows-trouble: \"500\", "),
        1 => Just("guard: armed, "),
    ];
    (stands, trouble).prop_map(|(stands, trouble)| format!("{{ {trouble}{stands}"))
}

/// What the inventory says of it.
fn wanted() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("legacy-hmac: { state: absent, unapply: delete }, "),
        2 => Just("legacy-hmac: absent, "),
        2 => Just("legacy-hmac: { state: absent, unapply: { disable: 24h } }, "),
        1 => Just("legacy-hmac: { state: absent, unapply: disable }, "),
        1 => Just("legacy-hmac: { state: absent, unapply: delete, adopt: true }, "),
        1 => Just("legacy-hmac: { state: absent, unapply: delete, files: external }, "),
        1 => Just("legacy-hmac: { state: absent, unapply: delete, directive: external }, "),
        1 => Just("legacy-hmac: { state: absent, unapply: delete, on: n-1 }, "),
        // It left the inventory, which is pruned.
        3 => Just(""),
    ]
}

fn scenario() -> impl Strategy<Value = String> {
    let rows = prop_oneof![
        3 => Just(""),
        3 => Just(", rows: { legacy-hmac: 2 }"),
        1 => Just(", rows: { legacy-hmac: [{ disabled: true }] }"),
        1 => Just(", rows: { legacy-hmac: [{ disabled: true, age: \"60\" }] }"),
        1 => Just(", rows: { acme-auth: 1 }"),
    ];
    let others = prop_oneof![Just("acme-auth: \"2.0.0\", request-tag: present"), Just("request-tag: present")];
    let select = prop_oneof![6 => Just("{}"), 1 => Just("{ node: n-1 }"), 1 => Just("{ plugin: legacy-hmac }")];
    let topology = prop_oneof![6 => Just("traditional"), 1 => Just("dbless")];
    let nodes = prop::collection::vec(node(), 1..5);
    (wanted(), others, rows, select, topology, nodes).prop_map(|(wanted, others, rows, select, topology, nodes)| {
        let names: Vec<String> = (1..=nodes.len()).map(|number| format!("n-{number}")).collect();
        let mut text = format!(
            "about: random\ninventory: |\n  version: 1\n  owner: edge-team\n  prune: true\n  bundles:\n    acme-auth:\n      \
             \"1.4.2\": {{ dir: a }}\n      \"2.0.0\": {{ dir: b }}\n    request-tag: {{ dir: t }}\n  clusters:\n    eu:\n      \
             topology: {topology}\n      rollout: {{ waves: [1, 100%], max_unreachable: 100% }}\n      nodes: [{}]\n      \
             plugins: {{ {wanted}{others} }}\nbundles:\n  acme-auth@1.4.2: {{}}\n  acme-auth@2.0.0: {{ extra: [lib/x.lua] }}\n  \
             request-tag: {{}}\n  legacy-hmac: {{}}\nselect: {select}\nfleet:\n",
            names.join(", ")
        );
        for (name, node) in names.iter().zip(&nodes) {
            let _ = writeln!(text, "  {name}: {node}{rows} }}");
        }
        text
    })
}

fn world(text: &str) -> World {
    let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    scenario.world().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn models(world: &World) -> impl Iterator<Item = (&NodeName, &NodeModel)> {
    world.nodes.iter().filter_map(|(name, seen)| match seen {
        Seen::Model(model) => Some((name, &**model)),
        Seen::Unreachable(_) | Seen::Refused(_) => None,
    })
}

/// Everything that would take a node down at its next reload or start.
fn dangers(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (node, model) in models(world) {
        let [conf, env, loaded] = model.lists();
        for plugin in PLUGINS.map(|name| PluginName::parse(name).expect("a plugin")) {
            let running = model.running.is_some();
            let listed = conf.contains(&plugin) && (!running || (env.contains(&plugin) && loaded.contains(&plugin)));
            if model.used(&BTreeSet::from([plugin.clone()])) > 0 && !listed {
                found.insert(format!("{node}: rows use {plugin}, and it is not listed"));
            }
            if (conf.contains(&plugin) || env.contains(&plugin)) && !model.has_files(&plugin) {
                found.insert(format!("{node}: {plugin} is listed, and has no files"));
            }
        }
    }
    found
}

/// Files go only where no node of the cluster lists the plugin, and none is left that nobody has seen.
fn may_delete(world: &World, step: &Step) -> Result<(), String> {
    let Action::Delete(delete) = &step.action else { return Ok(()) };
    if models(world).count() < world.nodes.len() {
        return Err(format!("step {} deletes files while a node could not be seen", step.id));
    }
    for (node, model) in models(world) {
        for listed in model.lists() {
            if let Some(plugin) = listed.intersection(&delete.plugins).next() {
                return Err(format!("step {} deletes files of {plugin}, which {node} has", step.id));
            }
        }
    }
    Ok(())
}

const fn rank(phase: Phase) -> u32 {
    match phase {
        Phase::Prepare => 0,
        Phase::Unapply => 1,
        Phase::Wave(wave) => 2 + wave.0,
        Phase::Fence => u32::MAX - 1,
        Phase::Clean => u32::MAX,
    }
}

/// The steps in an order that their phases and needs allow; `keys` chooses which.
fn order<'a>(plan: &'a Plan, keys: &[u32]) -> Vec<&'a Step> {
    let mut steps: Vec<&Step> = plan.steps.iter().collect();
    let tries = |step: &Step| matches!(step.action, Action::Rehearse(_));
    steps.sort_by_key(|step| (rank(step.phase), tries(step), keys[step.id.index() % keys.len()], step.id));
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 320, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_no_moment_of_a_removal_is_a_node_worse_off(
        text in scenario(),
        keys in prop::collection::vec(any::<u32>(), 32),
        fails in prop::option::of(any::<Index>()),
    ) {
        let mut world = world(&text);
        let first = world.planned();
        prop_assert!(ordered(&first.plan).is_ok(), "{:?}\n{}", ordered(&first.plan), text);
        if world.selection.plugins.is_none() {
            prop_assert!(sound(&world.inventory, &first).is_ok(), "{:?}\n{}", sound(&world.inventory, &first), text);
        }
        let before = dangers(&world);
        let steps = order(&first.plan, &keys);
        let failed = fails.filter(|_| !steps.is_empty()).map(|index| steps[index.index(steps.len())].id);
        let mut undone: BTreeSet<StepId> = failed.into_iter().collect();
        for step in steps {
            if undone.contains(&step.id) || step.needs.iter().any(|need| undone.contains(need)) {
                undone.insert(step.id);
                continue;
            }
            prop_assert!(may_delete(&world, step).is_ok(), "{:?}\n{}", may_delete(&world, step), text);
            let carried = catch_unwind(AssertUnwindSafe(|| world.carry_out(step)));
            prop_assert!(carried.is_ok(), "step {} fails\n{}", step.id, text);
            let now = dangers(&world);
            let new: Vec<&String> = now.difference(&before).collect();
            prop_assert!(new.is_empty(), "after step {}: {:?}\n{}", step.id, new, text);
        }
        if failed.is_none() {
            let second = world.planned();
            let again: BTreeSet<&NodeName> = second.plan.steps.iter().filter_map(|step| step.target.node()).collect();
            let stays = first.plan.steps.iter().find(|step| step.target.node().is_some_and(|node| again.contains(node)));
            prop_assert!(stays.is_none(), "more to do on {:?}\n{}", stays.map(|step| step.target.node()), text);
            let withdrawn = |plan: &Plan| plan.steps.iter().any(|step| step.phase == Phase::Unapply);
            prop_assert!(!(withdrawn(&first.plan) && withdrawn(&second.plan)), "rows twice\n{}", text);
        }
    }
}
