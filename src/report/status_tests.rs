//! A fleet's status as text and JSON.

use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::diff::{Directives, FilesDiff, Item};
use crate::hint::Hint;
use crate::inventory::State;

fn truths(signs: &str) -> Truths {
    let all = [Mark::AsWanted, Mark::Missing, Mark::Differs, Mark::Extra, Mark::Absent, Mark::Unknown];
    let marks: Vec<Mark> = signs.chars().map(|c| *all.iter().find(|mark| mark.sign() == c).unwrap()).collect();
    Truths { files: marks[0], directive: marks[1], loaded: marks[2], used: marks[3] }
}

fn item(signs: &str) -> Item {
    Item {
        truths: truths(signs),
        wanted: State::Present,
        version: Some("2.1.0".to_owned()),
        digest: None,
        installed: None,
        loaded_version: None,
        priority: None,
        plugins: Vec::new(),
        files: FilesDiff::default(),
        rows: None,
        remarks: Vec::new(),
    }
}

fn node(condition: Condition, items: &[(&str, &str)], remarks: &[&str]) -> NodeDiff {
    NodeDiff {
        condition,
        kong: Some("3.9.1".to_owned()),
        running: true,
        items: items.iter().map(|(name, signs)| ((*name).to_owned(), item(signs).into())).collect(),
        orphans: BTreeMap::new(),
        directives: Directives::UNKNOWN,
        settings: crate::name::Shared::default(),
        waiting: crate::name::Shared::default(),
        remarks: remarks.iter().map(|remark| (*remark).to_owned()).collect(),
        standing: crate::survey::Standing::default(),
    }
}

fn cluster(columns: &[&str], nodes: Vec<(String, NodeDiff)>) -> ClusterDiff {
    ClusterDiff {
        topology: "traditional".to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        nodes: nodes.into_iter().map(|(name, diff)| (NodeName::parse(&name).unwrap(), diff)).collect(),
    }
}

fn fleet() -> FleetDiff {
    let drift = |n: u32| {
        let signs = if n == 6 { "~=~=" } else { "==~=" };
        let remarks: &[&str] = if n == 6 { &["acme-auth: handler.lua was edited on the node"] } else { &[] };
        (format!("eu-{n}"), node(Condition::Drift, &[("request-tag", "----"), ("acme-auth", signs)], remarks))
    };
    let mut eu: Vec<_> = (1..=28).filter(|n| *n != 7).map(drift).collect();
    let owed =
        node(Condition::ReloadOwed, &[("request-tag", "===="), ("acme-auth", "==~.")], &["reload owed since 13:41"]);
    eu.push(("eu-7".to_owned(), owed));
    let well =
        |n: u32| (format!("us-{n}"), node(Condition::InLine, &[("request-tag", "===="), ("acme-auth", "====")], &[]));
    let mut us: Vec<_> = (1..=3).map(well).collect();
    let why = "connection timed out after 10 s".to_owned();
    let unknown = Condition::Unknown { why, hints: vec![Hint::type_("ssh us-4")] };
    let mut away = node(unknown, &[("request-tag", "????"), ("acme-auth", "????")], &[]);
    away.kong = None;
    us.push(("us-4".to_owned(), away));
    us.push(("us-5".to_owned(), node(Condition::Out { why: "disk, OPS-812".to_owned() }, &[], &[])));
    let columns = ["request-tag", "acme-auth"];
    let name = |name| ClusterName::parse(name).unwrap();
    FleetDiff {
        clusters: BTreeMap::from([(name("eu-prod"), cluster(&columns, eu)), (name("us-prod"), cluster(&columns, us))]),
    }
}

fn head() -> Head {
    Head {
        origin: Origin {
            repository: "gateway-fleet".to_owned(),
            revision: Revision::parse("3f2a91c4b5d6e7f8091a2b3c4d5e6f708192a3b4").unwrap(),
            summary: "tag: raise limit".to_owned(),
            branch: Some("main".to_owned()),
        },
        at: "2026-03-02T14:02:11Z".parse().unwrap(),
        took: Duration::from_millis(3140),
        counts: (31, 1, 0),
    }
}

fn shown(diff: &FleetDiff) -> String {
    let mut out = Vec::new();
    text(&head(), diff, Verdict::Incomplete, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn nodes_that_are_alike_share_a_line() {
    assert_snapshot!(shown(&fleet()), @r#"
    gateway-fleet @ 3f2a91c  main  "tag: raise limit"
    looked 14:02:11 UTC, 32 nodes in 3.1 s: 31 seen, 1 unreachable

    eu-prod  traditional · Kong 3.9.1 · 28 nodes
      NODE           request-tag  acme-auth  STATE
      eu-[1-5,8-28]  ----         ==~=       ~ drift        acme-auth: other content loaded
          request-tag: not installed
          the same on 26 nodes
      eu-6           ----         ~=~=       ~ drift        acme-auth: handler.lua was edited on the node
          request-tag: not installed
      eu-7           ====         ==~.       * reload owed  reload owed since 13:41
          acme-auth: other content loaded

    us-prod  traditional · Kong 3.9.1 · 5 nodes
      NODE      request-tag  acme-auth  STATE
      us-[1-3]  ====         ====       = in line
      us-4      ????         ????       ? unknown      connection timed out after 10 s
          type: ssh us-4
      us-5                              . out          disk, OPS-812

    four marks for each plugin: files, directive, loaded, used
    = as wanted  - missing  ~ different  + not wanted  . rightly absent  ? unknown
    33 nodes: 28 drift, 1 unknown, 3 in line. incomplete, exit 4
    "#);
}

#[test]
fn many_plugins_leave_room_for_those_with_something_to_say() {
    let names: Vec<String> = (1..=20).map(|n| format!("plugin-{n}")).collect();
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let items: Vec<(&str, &str)> =
        columns.iter().map(|name| (*name, if *name == "plugin-9" { "~=~=" } else { "====" })).collect();
    let remarks = ["one", "two", "three", "four", "five", "six"];
    let long = node(Condition::Drift, &items, &remarks);
    let nodes = ["a", "c", "gateway", "z"].iter().map(|name| ((*name).to_owned().repeat(5), long.clone()));
    let clusters = BTreeMap::from([(ClusterName::parse("eu").unwrap(), cluster(&columns, nodes.collect()))]);
    assert_snapshot!(shown(&FleetDiff { clusters }), @r#"
    gateway-fleet @ 3f2a91c  main  "tag: raise limit"
    looked 14:02:11 UTC, 32 nodes in 3.1 s: 31 seen, 1 unreachable

    eu  traditional · Kong 3.9.1 · 4 nodes
      NODE  plugin-9  STATE
      aaaaa, ccccc, gatewaygatewaygatewaygatewaygateway, zzzzz
            ~=~=      ~ drift        one
                                     two
                                     three
                                     four
                                     and 3 more
                                     the same on 4 nodes
      and 19 plugins, as wanted on all of these nodes

    four marks for each plugin: files, directive, loaded, used
    = as wanted  - missing  ~ different  + not wanted  . rightly absent  ? unknown
    4 nodes: 4 drift. incomplete, exit 4
    "#);
}

#[test]
fn json_has_the_head_and_the_diff() {
    let mut out = Vec::new();
    json(&head(), &fleet(), &mut out).unwrap();
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&value["muster"], &value["format"], &value["took_ms"]), (&"status".into(), &1.into(), &3140.into()));
    assert_eq!((&value["in_line"], &value["drift"], &value["unknown"]), (&3.into(), &28.into(), &1.into()));
    assert_eq!(value["clusters"]["us-prod"]["nodes"]["us-4"]["condition"]["state"], "unknown");
    assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "one line");
}

#[test]
fn what_a_node_said_never_reaches_the_terminal_raw() {
    let mut diff = fleet();
    let nodes = &mut diff.clusters.values_mut().next().unwrap().nodes;
    nodes.values_mut().next().unwrap().remarks = vec!["\u{1b}[31m\r".to_owned()].into();
    nodes.values_mut().last().unwrap().kong = Some("3\u{7}".to_owned());
    let text = shown(&diff);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn what_the_marks_alone_tell_is_said_in_words() {
    for (signs, words) in [
        ("---.", "not installed"),
        ("=--.", "not in the directive, not loaded"),
        ("~=~=", "files differ, other content loaded"),
        ("+++.", "files there, not wanted, in the directive, not wanted, loaded, not wanted"),
        ("?-?.", "not in the directive"),
    ] {
        assert_eq!(drift_words(truths(signs)), words, "{signs}");
    }
}

#[test]
fn the_legend_keeps_to_the_width() {
    assert!(LEGEND.iter().all(|line| width(line) <= COLUMNS));
}

#[test]
fn roles_holders_and_the_last_run_stand_below_the_cluster_and_in_the_json() {
    use crate::name::RunId;
    use crate::survey::{Asked, LastRun, Lock, Role, RunEnd, Sight, Standing};
    let at: Timestamp = "2026-03-02T13:40:00Z".parse().unwrap();
    let id = |second: i64| RunId::from_parts(u64::try_from(at.as_millisecond() + second * 1000).unwrap(), 7);
    let run = |second, end| LastRun { run: id(second), at, by: Some("eva@ops-1".to_owned()), commit: None, end };
    let mut diff = fleet();
    let nodes = &mut diff.clusters.values_mut().last().unwrap().nodes;
    for (number, node) in (1..).zip(nodes.values_mut().take(3)) {
        let end = if number == 2 { RunEnd::PutBack } else { RunEnd::Done };
        node.standing = Standing {
            looked: Some(head().at),
            sight: Some(Sight::Seen),
            last_seen: Some(head().at),
            role: Some(if number == 1 { Role::ControlPlane } else { Role::DataPlane }),
            lock: Some(if number == 3 {
                Lock::Held { who: "cron@ops-2".to_owned(), run: id(60), left: 240 }
            } else {
                Lock::Free
            }),
            last_run: Some(run(0, end).into()),
            asked: (number == 2).then(|| Asked::Command { tool: "curl".to_owned() }),
        };
    }
    diff.clusters.pop_first();
    assert_snapshot!(shown(&diff), @r#"
    gateway-fleet @ 3f2a91c  main  "tag: raise limit"
    looked 14:02:11 UTC, 32 nodes in 3.1 s: 31 seen, 1 unreachable

    us-prod  traditional · Kong 3.9.1 · 5 nodes: 1 control plane, 2 data planes
      held by cron@ops-2, run 01KJQCFQF00000000000000007: us-3
      Admin API asked by curl on the node (forwarding is forbidden): us-2
      last run 2026-03-02 13:40 UTC by eva@ops-1: put back on 1 node, done on 2 nodes (01KJQCDWW0)
      NODE      request-tag  acme-auth  STATE
      us-[1-3]  ====         ====       = in line
      us-4      ????         ????       ? unknown      connection timed out after 10 s
          type: ssh us-4
      us-5                              . out          disk, OPS-812

    four marks for each plugin: files, directive, loaded, used
    = as wanted  - missing  ~ different  + not wanted  . rightly absent  ? unknown
    5 nodes: 1 unknown, 3 in line. incomplete, exit 4
    "#);
    let mut out = Vec::new();
    json(&head(), &diff, &mut out).unwrap();
    let value: Value = serde_json::from_slice(&out).unwrap();
    let node = &value["clusters"]["us-prod"]["nodes"]["us-3"];
    assert_eq!((&node["sight"], &node["role"]), (&"seen".into(), &"data-plane".into()));
    assert_eq!((&node["looked"], &node["last_seen"]), (&"2026-03-02T14:02:11Z".into(), &"2026-03-02T14:02:11Z".into()));
    assert_eq!((&node["lock"]["state"], &node["lock"]["who"]), (&"held".into(), &"cron@ops-2".into()));
    assert_eq!((&node["last_run"]["end"], &node["last_run"]["by"]), (&"done".into(), &"eva@ops-1".into()));
    assert_eq!(value["clusters"]["us-prod"]["nodes"]["us-4"]["role"], Value::Null, "what is not known is null");
}
