//! Plans as text and JSON.

use insta::assert_snapshot;
use serde_json::Value;

use super::super::text::tests::recorded;
use super::*;
use crate::action::Withdrawal;
use crate::hint::Hint;
use crate::name::PluginName;
use crate::plan::{BlockerCode, ChangeKind, NodeLists, Step};
use crate::survey::PluginRow;

fn nodes(names: impl IntoIterator<Item = String>) -> Vec<NodeName> {
    names.into_iter().map(|name| NodeName::parse(&name).unwrap()).collect()
}

fn eu(numbers: impl IntoIterator<Item = u32>) -> Vec<NodeName> {
    nodes(numbers.into_iter().map(|n| format!("eu-{n}")))
}

fn change(kind: ChangeKind, name: &str, versions: [Option<&str>; 2], detail: &str, nodes: Vec<NodeName>) -> Change {
    let [from, to] = versions.map(|version| version.map(str::to_owned));
    let diff = vec!["--- handler.lua".to_owned(), "+  limit = 10".to_owned()];
    Change { kind, name: name.to_owned(), from, to, detail: detail.to_owned(), diff, nodes }
}

fn note(topic: &str, text: &str, nodes: Vec<NodeName>) -> Note {
    Note { topic: topic.to_owned(), text: text.to_owned(), nodes }
}

fn blocker(code: BlockerCode, scope: Scope, what: &str) -> Blocker {
    let hints = vec![Hint::do_("reload it yourself first"), Hint::type_("muster --plan --allow pending-settings=eu-7")];
    Blocker { code, scope, what: what.to_owned(), details: vec!["log_level     notice > info".to_owned()], hints }
}

/// A plan as in the design: 27 of 28 nodes in three waves, one blocked, a cluster in line but for an unknown node.
fn plan() -> Plan {
    let mut plan = recorded("converged").plan().unwrap();
    let changing = eu((1..=6).chain(8..=28));
    let (one, ten) = (eu([1]), eu((2..=6).chain(8..=11)));
    let rest = eu(12..=28);
    let wave = plan.waves[0].clone();
    plan.waves =
        [one, ten, rest].into_iter().zip(1..).map(|(nodes, number)| Wave { number, nodes, ..wave.clone() }).collect();
    let template = plan.steps.iter().find(|step| step.reloads()).unwrap().clone();
    let target = |node: &NodeName| crate::plan::Target::Node(node.clone());
    plan.steps = changing.iter().map(|node| Step { target: target(node), ..template.clone() }).collect();
    let cluster = &mut plan.clusters[0];
    cluster.nodes = NodeLists { changing: changing.clone(), blocked: eu([7]), out: eu([41]), ..NodeLists::default() };
    cluster.changes = vec![
        change(
            ChangeKind::Install,
            "request-tag",
            [None, Some("1.4.0")],
            "handler, schema, 2 more files",
            changing.clone(),
        ),
        change(
            ChangeKind::Upgrade,
            "acme-auth",
            [Some("2.0.3"), Some("2.1.0")],
            "+41 -12 lines in 3 files",
            eu((1..=5).chain(8..=28)),
        ),
        change(ChangeKind::Repair, "acme-auth", [None, Some("2.1.0")], "handler.lua was edited on the node", eu([6])),
    ];
    let mut us = cluster.clone();
    us.cluster = ClusterName::parse("us-prod").unwrap();
    us.changes = Vec::new();
    us.nodes = NodeLists {
        in_line: nodes((1..=13).map(|n| format!("us-{n}"))),
        unknown: nodes(["us-14".to_owned()]),
        ..NodeLists::default()
    };
    plan.clusters.push(us);
    plan.notes = vec![
        note("reload", "staged, with each node's own running settings", eu((1..=6).chain(8..=27))),
        note("reload", "`.kong_env` and HUP, as its settings hold vault references", eu([28])),
        note("kept in", "/etc/kong/kong.conf", changing),
        note(
            "safety",
            "request-tag on eu-prod: not yet safe to configure, as these nodes will not have it",
            eu([7, 41]),
        ),
        note("allowed", "managed-conf: 2 files are written by Puppet", Vec::new()),
    ];
    let node = eu([7]).remove(0);
    plan.blockers = vec![blocker(
        BlockerCode::PendingSettings,
        Scope::Node { node },
        "any reload of it would also apply 1 setting that was prepared and never loaded",
    )];
    plan
}

fn shown(plan: &Plan, diff: bool) -> String {
    let mut out = Vec::new();
    text(plan, diff, Some("muster --apply --cluster eu-prod"), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_plan_is_grouped_and_says_what_it_leaves() {
    assert_snapshot!(shown(&plan(), false), @"
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

    eu-prod   27 of 29 nodes · waves: 1, then 9, then 17 · stops at the first
      failure · one reload per node
      + install  request-tag 1.4.0        handler, schema, 2 more files       eu-[1-6,8-28]
      ~ upgrade  acme-auth 2.0.3 > 2.1.0  +41 -12 lines in 3 files            eu-[1-5,8-28]
      ~ repair   acme-auth 2.1.0          handler.lua was edited on the node  eu-6

      reload: staged, with each node's own running settings (eu-[1-6,8-27]);
        `.kong_env` and HUP, as its settings hold vault references (eu-28)
      kept in: /etc/kong/kong.conf (all 27)
      safety: request-tag on eu-prod: not yet safe to configure, as these nodes
        will not have it (eu-[7,41])

      ! eu-7 is left alone: any reload of it would also apply 1 setting that was
        prepared and never loaded  (pending-settings)
            log_level     notice > info
        reload it yourself first
        type: muster --plan --allow pending-settings=eu-7
      . eu-41: marked out in the inventory

    us-prod   nothing planned: 1 unknown, 13 in line
      ? us-14 is unknown

      allowed: managed-conf: 2 files are written by Puppet

    27 nodes to change, 27 reloads. 1 blocked, 1 unknown, 13 in line.
    Carry it out:  muster --apply --cluster eu-prod
    ");
}

fn row(scope: &str, workspace: Option<&str>, enabled: bool) -> PluginRow {
    let workspace = workspace.map(str::to_owned);
    PluginRow { id: "1".to_owned(), enabled, scope: scope.to_owned(), workspace, tags: Vec::new(), updated_at: None }
}

/// A removal on all 28 nodes, with rows that go.
fn removing(rows: Vec<PluginRow>) -> (Change, Removal) {
    let name = "legacy-hmac".to_owned();
    let plugin = PluginName::parse(&name).unwrap();
    let removal = Removal {
        name: name.clone(),
        how: Some(Withdrawal::Delete),
        rows: [(plugin, rows)].into(),
        directive: eu((1..=6).chain(8..=28)),
        files: eu(1..=28),
        proven_by: 28,
        held: Vec::new(),
    };
    let change = Change {
        kind: ChangeKind::Remove,
        name,
        from: None,
        to: None,
        detail: "2 rows deleted".to_owned(),
        diff: Vec::new(),
        nodes: eu(1..=28),
    };
    (change, removal)
}

#[test]
fn a_removal_is_three_numbered_steps_and_its_danger_is_the_first_line() {
    let mut plan = plan();
    plan.clusters.truncate(1);
    plan.notes.clear();
    plan.blockers.clear();
    let rows = vec![row("service billing", Some("default"), true), row("global", Some("team-x"), false)];
    let (change, removal) = removing(rows);
    plan.clusters[0].changes = vec![change];
    plan.clusters[0].removals = vec![removal];
    assert_snapshot!(shown(&plan, true), @"
    DELETES 2 rows; reloads 27 gateways
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

    eu-prod   27 of 29 nodes · waves: 1, then 9, then 17 · stops at the first
      failure · one reload per node
      - remove   legacy-hmac
          1 un-apply   once           DELETES 2 rows, kept in the undo bundle:
                                      traffic loses it in 1 service
                                      1 row is disabled already: no traffic loses it
                                      there
                                      on all 28 nodes of the cluster, as soon as the
                                      rows are gone and before any reload
                                      - service billing (workspace default)
                                      - global (workspace team-x), disabled
          2 directive  eu-[1-6,8-28]  in the one reload of each; rows are counted
                                      again right before each
          3 files      eu-[1-28]      once all 28 have proven step 2 and their old
                                      workers have ended
      . eu-41: marked out in the inventory

    27 nodes to change, 27 reloads. 1 blocked.
    Carry it out:  muster --apply --cluster eu-prod
    ");
}

#[test]
fn a_removal_that_is_held_says_so_at_the_step_that_is() {
    let mut plan = resting(vec![("eu-prod", NodeLists { blocked: eu(1..=28), ..NodeLists::default() })]);
    let (change, mut removal) = removing((0..10).map(|n| row(&format!("route r{n}"), None, n > 0)).collect());
    removal.how = Some(Withdrawal::Disable);
    (removal.directive, removal.files) = (Vec::new(), Vec::new());
    let held = "legacy-hmac: 10 rows use it, disabled by this plan: its name and its files stay meanwhile";
    removal.held = vec![held.to_owned()];
    plan.clusters[0].changes = vec![change];
    plan.clusters[0].removals = vec![removal];
    let scope = Scope::Plugin { cluster: plan.clusters[0].cluster.clone(), name: "legacy-hmac".to_owned() };
    plan.blockers = vec![Blocker { details: Vec::new(), ..blocker(BlockerCode::RowsInUse, scope, held) }];
    let text = shown(&plan, false);
    assert!(text.starts_with("DISABLES 9 rows\nPlan for "), "{text}");
    let from = text.find("eu-prod").unwrap();
    assert_snapshot!(&text[from..], @"
    eu-prod   9 rows un-applied, no node is changed
      - remove   legacy-hmac
          1 un-apply   once  DISABLES 9 of 10 rows:
                             traffic loses it in 9 routes
                             1 row is disabled already: no traffic loses it there
                             on all 28 nodes of the cluster, as soon as the rows are
                             gone and before any reload
                             - route r1
                             - route r2
                             - route r3
                             - route r4
                             - route r5
                             - route r6
                             - route r7
                             - route r8
                             - and 2 more; muster --plan --format json has them all
          2 directive  none  held, see below
          3 files      none  held, see below

      ! legacy-hmac is held on eu-prod: 10 rows use it, disabled by this plan: its
        name and its files stay meanwhile  (rows-in-use)
        reload it yourself first
        type: muster --plan --allow pending-settings=eu-7

    Nothing to change. 28 blocked.
    1 removal held, see above.
    ");
}

#[test]
fn a_plan_without_steps_says_so() {
    let mut plan = plan();
    plan.clusters.remove(0);
    plan.steps.clear();
    plan.notes.clear();
    plan.blockers.clear();
    assert_snapshot!(shown(&plan, false), @"
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

    us-prod   nothing planned: 1 unknown, 13 in line
      ? us-14 is unknown

    Nothing to change. 1 unknown, 13 in line.
    ");
}

#[test]
fn what_blocks_many_nodes_alike_is_said_once() {
    let mut plan = plan();
    plan.clusters.truncate(1);
    plan.clusters[0].changes.clear();
    plan.clusters[0].nodes = NodeLists { blocked: eu(1..=9), ..NodeLists::default() };
    plan.steps.clear();
    plan.notes.clear();
    let of = |node: NodeName| {
        let mut blocker = blocker(BlockerCode::NodeLacks, Scope::Node { node: node.clone() }, "it has no flock");
        blocker.hints = vec![Hint::do_(format!("install util-linux on {node}"))];
        blocker
    };
    plan.blockers = eu(1..=9).into_iter().map(of).collect();
    plan.blockers.push(blocker(BlockerCode::TooManyUnreachable, Scope::Run, "9 of 28 nodes are unreachable"));
    let (cluster, name) = (plan.clusters[0].cluster.clone(), "geo-ip".to_owned());
    plan.blockers.push(blocker(
        BlockerCode::ExternalMissing,
        Scope::Plugin { cluster, name },
        "its files are not there",
    ));
    assert_snapshot!(shown(&plan, false), @"
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

      ! 9 of 28 nodes are unreachable  (too-many-unreachable)
            log_level     notice > info
        reload it yourself first
        type: muster --plan --allow pending-settings=eu-7

    eu-prod   nothing planned: 9 blocked
      ! eu-[1-9] are left alone: it has no flock  (node-lacks)
            log_level     notice > info
        install util-linux on eu-1
        and likewise for the others
      ! geo-ip is left alone on eu-prod: its files are not there  (external-missing)
            log_level     notice > info
        reload it yourself first
        type: muster --plan --allow pending-settings=eu-7

    Nothing to change. 9 blocked.
    1 plugin left alone, see above.
    ");
}

#[test]
fn a_plan_that_is_carried_out_next_says_neither_how_nor_that_nothing_changed() {
    let mut out = Vec::new();
    text(&plan(), false, None, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("nothing has been changed") && !text.contains("Carry it out"), "{text}");
    assert!(text.ends_with("27 nodes to change, 27 reloads. 1 blocked, 1 unknown, 13 in line.\n"), "{text}");
}

/// A plan with nothing in it but clusters of these nodes.
fn resting(clusters: Vec<(&str, NodeLists)>) -> Plan {
    let mut plan = plan();
    let template = ClusterPlan { changes: Vec::new(), ..plan.clusters.remove(0) };
    let named = |(name, nodes)| ClusterPlan { cluster: ClusterName::parse(name).unwrap(), nodes, ..template.clone() };
    plan.clusters = clusters.into_iter().map(named).collect();
    plan.steps.clear();
    plan.waves.clear();
    plan.notes.clear();
    plan.blockers.clear();
    plan
}

#[test]
fn what_was_not_chosen_is_not_called_in_line() {
    let can = nodes(["can-1".to_owned(), "can-2".to_owned()]);
    let us = nodes(["us-1".to_owned(), "us-2".to_owned()]);
    let mut plan = resting(vec![
        ("can", NodeLists { in_line: can.clone(), ..NodeLists::default() }),
        ("eu", NodeLists { left_out: eu(1..=5), ..NodeLists::default() }),
        ("us", NodeLists { in_line: us[..1].to_vec(), left_out: us[1..].to_vec(), ..NodeLists::default() }),
    ]);
    plan.notes = vec![note("not chosen", "geo differs, and stays as it is", can[..1].to_vec())];
    assert_snapshot!(shown(&plan, false), @"
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

    can   nothing to do for the chosen plugins
      not chosen: geo differs, and stays as it is (can-1)

    eu   not selected

    us   nothing to do on the selected nodes
      . us-2: not selected

    Nothing to change. 2 in line, 1 in line for the chosen plugins.
    ");
}

#[test]
fn an_unknown_node_is_named_once_with_its_reason() {
    let mut plan = resting(vec![("eu", NodeLists { unknown: eu(1..=41), ..NodeLists::default() })]);
    plan.notes = vec![note("unknown", "connection refused", eu(1..=40))];
    assert_snapshot!(shown(&plan, false), @"
    Plan for gateway-fleet @ 3f2a91c · from the survey of 14:05:00 UTC · nothing
      has been changed

    eu   nothing planned: 41 unknown
      ? eu-[1-40] are unknown: connection refused
      ? eu-41 is unknown

    Nothing to change. 41 unknown.
    ");
}

#[test]
fn a_plugin_that_is_left_alone_is_not_its_node() {
    let mut plan = plan();
    plan.clusters.truncate(1);
    plan.notes.clear();
    let what = "geo: its files are external and are not there (kong/plugins/geo)";
    let of = |node: NodeName| Blocker {
        hints: Vec::new(),
        ..blocker(BlockerCode::ExternalMissing, Scope::Node { node }, what)
    };
    plan.blockers = eu([1, 2, 7]).into_iter().map(of).collect();
    let cluster = plan.clusters[0].cluster.clone();
    let orphan = "it is to be absent, and the bundle acme, which is wanted, holds it";
    let scope = Scope::Plugin { cluster, name: "acme-old".to_owned() };
    plan.blockers.push(Blocker { details: Vec::new(), ..blocker(BlockerCode::Removal, scope, orphan) });
    let text = shown(&plan, false);
    let from = text.find("  ! ").unwrap();
    assert_snapshot!(&text[from..], @"
      ! geo is left alone on eu-[1,2]: its files are external and are not there
        (kong/plugins/geo)  (external-missing)
            log_level     notice > info
      ! eu-7 is left alone: geo: its files are external and are not there
        (kong/plugins/geo)  (external-missing)
            log_level     notice > info
      ! acme-old is left alone on eu-prod: it is to be absent, and the bundle acme,
        which is wanted, holds it  (removal)
        reload it yourself first
        type: muster --plan --allow pending-settings=eu-7
      . eu-41: marked out in the inventory

    27 nodes to change, 27 reloads. 1 blocked.
    2 plugins left alone, see above.
    Carry it out:  muster --apply --cluster eu-prod
    ");
}

#[test]
fn with_diff_every_line_of_it_is_there() {
    let plain = shown(&plan(), false);
    let full = shown(&plan(), true);
    assert_eq!(full.matches("      +  limit = 10\n").count(), 3);
    assert_eq!(full.replace("      --- handler.lua\n      +  limit = 10\n", ""), plain);
}

#[test]
fn json_is_the_plan_itself() {
    let mut out = Vec::new();
    json(&plan(), &mut out).unwrap();
    let mut value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value.as_object_mut().unwrap().shift_remove("muster"), Some(Value::from("plan")));
    assert_eq!(serde_json::from_value::<Plan>(value).unwrap(), plan());
    assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "one line");
}

#[test]
fn nothing_of_a_plan_reaches_the_terminal_raw() {
    let mut plan = plan();
    plan.blockers[0].what = "\u{1b}[2Jx".to_owned();
    plan.notes[0].text = "a\rb".to_owned();
    plan.clusters[0].changes[0].detail = "\u{9b}1m".to_owned();
    plan.clusters[0].changes[0].diff = vec!["\u{7}".to_owned()];
    plan.basis.repository = "\u{1b}c".to_owned();
    let text = shown(&plan, true);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn lines_stay_readable() {
    for line in shown(&plan(), false).lines() {
        assert!(width(line) <= 110, "{line}");
    }
}
