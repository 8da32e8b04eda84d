//! What holds of every plan, tried on random inventories and fleets.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use muster::diff::Condition;
use muster::name::NodeName;
use muster::plan::{Plan, Scope};
use proptest::prelude::*;

use super::file::{Scenario, Seen, World};
use super::{Planned, sound};

/// Planted in kong.conf and `.kong_env`; nothing of it may ever be in a diff or a plan.
const SECRET: &str = "hunter2-very-secret";

/// One node of a random fleet, as a line of a scenario.
fn node() -> impl Strategy<Value = String> {
    let auth = prop_oneof![
        Just(""),
        Just("ours: [acme-auth@1.4.2]"),
        Just("ours: [acme-auth@2.0.0]"),
        Just("foreign: [acme-auth@1.4.2]"),
        Just("foreign: [acme-auth@2.0.0]"),
        Just("ours: [acme-auth@1.4.2], owner: platform-team"),
        Just("ours: [acme-auth@2.0.0], edited: [kong/plugins/acme-auth/handler.lua]"),
        Just("ours: [acme-auth@2.0.0], unlinked: [kong/plugins/acme-auth]"),
        Just("ours: [acme-auth@2.0.0], runs: [acme-auth@1.4.2]"),
        Just("ours: [acme-auth@1.4.2], manifest: none"),
        Just("ours: [acme-auth@1.4.2, request-tag]"),
        Just("foreign: [legacy-hmac]"),
    ];
    let since = prop_oneof![
        4 => Just("start"),
        1 => Just("old"),
        2 => Just("staged"),
        1 => Just("staged-respawn"),
        1 => Just("hup"),
        1 => Just("receipt"),
        1 => Just("respawn"),
        1 => Just("respawn-all"),
    ];
    let trouble = prop_oneof![
        10 => Just(""),
        1 => Just("stopped: true, "),
        1 => Just("unreachable: \"no route\", "),
        1 => Just("admin: silent, "),
        1 => Just("managed: \"# managed by Puppet\", "),
        1 => Just("log-level: debug, "),
        1 => Just("guard: armed, "),
        1 => Just("kong: 2.8.5, "),
        1 => Just("conf-is: read-only, "),
        1 => Just("hidepid: true, "),
        1 => Just("vault: true, "),
        1 => Just("rows: { acme-auth: 2 }, "),
    ];
    let places = prop_oneof![
        6 => Just((true, true, true)),
        2 => Just((false, false, false)),
        1 => Just((false, true, true)),
        1 => Just((true, false, false)),
        1 => Just((true, true, false)),
    ];
    (auth, since, trouble, places).prop_map(|(auth, since, trouble, places)| {
        let mut line = format!("{{ {trouble}since: {since}");
        if !auth.is_empty() {
            let _ = write!(line, ", {auth}");
        }
        let there: Vec<&str> = ["acme-auth", "request-tag", "legacy-hmac"]
            .into_iter()
            .filter(|name| auth.split(['[', ']', ',', '@', ' ']).any(|word| word == *name))
            .collect();
        // A Kong that runs has loaded what it lists, so that only what is there can be listed.
        let all = [&["bundled"], there.as_slice()].concat().join(",");
        let list = |listed: bool| if listed { all.as_str() } else { "bundled" };
        let (conf, env, runs) = (list(places.0), list(places.1), list(places.2));
        let _ = write!(line, ", conf-text: \"pg_password = {SECRET}\\n# {SECRET}\\nplugins = {conf} # {SECRET}\\n\"");
        let _ = write!(line, ", env: \"{env}\", live: \"{runs}\", secret: \"{SECRET}\" }}");
        line
    })
}

fn inventory() -> impl Strategy<Value = String> {
    let plugins = prop_oneof![
        4 => Just("acme-auth: \"2.0.0\", request-tag: present"),
        2 => Just("acme-auth: { version: \"2.0.0\", adopt: true }, request-tag: present"),
        1 => Just("acme-auth: \"1.4.2\""),
        1 => Just("acme-auth: { version: \"2.0.0\", state: staged }, request-tag: present"),
        1 => Just("acme-auth: { version: \"2.0.0\", directive: external }"),
        1 => Just("acme-auth: { version: \"2.0.0\", files: external }"),
        1 => Just("acme-auth: \"1.4.2\", request-tag: { on: \"n-1\" }, legacy-hmac: absent"),
        1 => Just("acme-auth: \"2.0.0\", legacy-hmac: { files: external }"),
    ];
    let rollout = prop_oneof![Just(""), Just("    rollout: { waves: [1, 50%], max_unreachable: 100% }\n")];
    let topology = prop_oneof![6 => Just("traditional"), 1 => Just("dbless"), 1 => Just("hybrid")];
    (plugins, rollout, topology).prop_map(|(plugins, rollout, topology)| {
        format!(
            "version: 1\nowner: edge-team\nbundles:\n  acme-auth:\n    \"1.4.2\": {{ dir: a }}\n    \"2.0.0\": {{ dir: b }}\n  \
             request-tag: {{ dir: t }}\nclusters:\n  eu:\n    topology: {topology}\n{rollout}    nodes: [NODES]\n    \
             plugins: {{ {plugins} }}\n"
        )
    })
}

/// A whole scenario.
fn scenario() -> impl Strategy<Value = String> {
    let allow = prop_oneof![3 => Just("[]"), 1 => Just("[pending-settings, managed-conf]")];
    let select = prop_oneof![4 => Just("{}"), 1 => Just("{ plugin: request-tag }"), 1 => Just("{ node: n-1 }")];
    (inventory(), prop::collection::vec(node(), 1..6), allow, select).prop_map(|(inventory, nodes, allow, select)| {
        let names: Vec<String> = (1..=nodes.len()).map(|number| format!("n-{number}")).collect();
        let inventory = inventory.replace("NODES", &names.join(", ")).replace('\n', "\n  ");
        let fleet: Vec<String> = names.iter().zip(&nodes).map(|(name, node)| format!("  {name}: {node}\n")).collect();
        let fleet = fleet.concat();
        format!(
            "about: random\ninventory: |\n  {}\nbundles:\n  acme-auth@1.4.2: {{}}\n  acme-auth@2.0.0: {{ extra: [lib/x.lua] }}\n  \
             request-tag: {{}}\n  legacy-hmac: {{}}\nfleet:\n{fleet}select: {select}\nallow: {allow}\n",
            inventory.trim_end()
        )
    })
}

fn world(text: &str) -> World {
    let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    scenario.world().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// No step for a node that is held back in any way, and no blocker on a node that says nothing.
fn held_back(planned: &Planned) -> Result<(), String> {
    let Planned { plan, diff, .. } = planned;
    let stepped: BTreeSet<&NodeName> = plan.steps.iter().filter_map(|step| step.target.node()).collect();
    for cluster in &plan.clusters {
        let lists = &cluster.nodes;
        for node in lists.blocked.iter().chain(&lists.unknown).chain(&lists.out).chain(&lists.left_out) {
            if stepped.contains(node) {
                return Err(format!("{node} is held back and has a step"));
            }
        }
        for node in &lists.blocked {
            let about = |scope: &Scope| match scope {
                Scope::Run => true,
                Scope::Cluster { cluster: name } | Scope::Plugin { cluster: name, .. } => *name == cluster.cluster,
                Scope::Node { node: name } => name == node,
            };
            if !plan.blockers.iter().any(|blocker| about(&blocker.scope)) {
                return Err(format!("{node} is blocked, and no blocker says why"));
            }
        }
        for node in &lists.unknown {
            let unknown = diff.node(node).is_some_and(|node| matches!(node.condition, Condition::Unknown { .. }));
            if !unknown {
                return Err(format!("{node} is listed as unknown, and is known"));
            }
        }
    }
    Ok(())
}

fn bytes(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("a plan is JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_sound_and_leaves_nothing_to_do(text in scenario()) {
        let mut world = world(&text);
        let first = world.planned();
        prop_assert_eq!(bytes(&first.plan), bytes(&world.planned().plan));
        if world.selection.plugins.is_none() {
            prop_assert!(sound(&world.inventory, &first).is_ok(), "{:?}\n{}", sound(&world.inventory, &first), text);
        }
        prop_assert!(held_back(&first).is_ok(), "{:?}\n{}", held_back(&first), text);
        let read: Plan = serde_json::from_str(&bytes(&first.plan)).expect("a saved plan is read");
        prop_assert_eq!(&read, &first.plan);
        world.apply(&read);
        let second = world.planned();
        let again: BTreeSet<&NodeName> = second.plan.steps.iter().filter_map(|step| step.target.node()).collect();
        let stays = first.plan.steps.iter().find(|step| step.target.node().is_some_and(|node| again.contains(node)));
        prop_assert!(stays.is_none(), "more to do on {:?}\n{}", stays.map(|step| step.target.node()), text);
    }

    #[test]
    fn no_secret_of_a_node_is_in_a_plan_or_a_diff(text in scenario()) {
        let world = world(&text);
        let planned = world.planned();
        let diff = serde_json::to_string(&planned.diff).expect("a diff is JSON");
        prop_assert!(!bytes(&planned.plan).contains(SECRET), "the plan\n{}", text);
        prop_assert!(!diff.contains(SECRET), "the diff\n{}", text);
    }

    #[test]
    fn no_plan_takes_a_gateway_down(text in scenario()) {
        // The simulator loads what each `.kong_env` names and panics where Kong would not come up; here the next start, from
        // kong.conf, is tried as well.
        let mut world = world(&text);
        let starts = |world: &World| -> BTreeSet<NodeName> {
            let starts = world.nodes.iter().filter(|(_, seen)| matches!(seen, Seen::Model(model) if model.would_start()));
            starts.map(|(name, _)| name.clone()).collect()
        };
        let before = starts(&world);
        let plan = world.planned().plan;
        world.apply(&plan);
        let after = starts(&world);
        prop_assert!(before.is_subset(&after), "{:?} started before, {:?} after\n{}", before, after, text);
    }
}
