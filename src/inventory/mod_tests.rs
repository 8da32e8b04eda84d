//! The whole door: texts in, inventories or mistakes out.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;
use crate::name::NodePath;

const EXAMPLE: &str = include_str!("../../inventory.example.yaml");

/// The inventory of docs/architecture.md, as it stands there but for the shortened sha256.
const OF_THE_ARCHITECTURE: &str = include_str!("../../tests/data/inventories/architecture.yaml");

fn read(text: &str) -> Inventory {
    parse("inventory.yaml", text.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mistakes(text: &str) -> Mistakes {
    parse("inventory.yaml", text.as_bytes()).expect_err("this inventory is wrong")
}

/// The mistakes of a small inventory: bundles, then what stands under the cluster `c`.
fn in_cluster(text: &str) -> Vec<String> {
    let head = "version: 1\nowner: me\nbundles:\n  v: {\"1.0\": {dir: v}, \"2.0\": {dir: v, at: t}}\n  s: {dir: s}\n";
    let text = format!("{head}clusters:\n  c:\n    topology: traditional\n{text}");
    match parse("f", text.as_bytes()) {
        Ok(inventory) => inventory.warned().to_string().lines().map(str::to_owned).collect(),
        Err(mistakes) => mistakes.to_string().lines().map(str::to_owned).collect(),
    }
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn cluster<'a>(inventory: &'a Inventory, name: &str) -> &'a Cluster {
    &inventory.clusters[&ClusterName::parse(name).unwrap()]
}

#[test]
fn the_inventory_of_the_architecture_is_read() {
    let inventory = read(OF_THE_ARCHITECTURE);
    assert!(inventory.warnings.is_empty(), "{}", inventory.warned());
    let prod = cluster(&inventory, "eu-prod");
    assert_eq!(prod.nodes.len(), 41);
    assert_eq!(prod.rollout.wave_ends(41), [1, 3, 11, 41]);
    assert_eq!(prod.rollout.after.values().next().unwrap().duration(), Duration::from_hours(2));
    assert_eq!(prod.admin.token.as_ref().unwrap().as_str(), "EU_PROD_TOKEN");
    let out = &prod.nodes[&node("eu-41")];
    assert_eq!((out.host.as_str(), out.out.as_deref()), ("10.0.0.41", Some("disk, OPS-812")));
    assert_eq!(prod.active().count(), 40);
    let wanted: Vec<_> = prod.plugins.values().map(|a| (a.subject.as_str(), a.state, a.files)).collect();
    assert_eq!(
        wanted,
        [
            ("acme-auth", State::Present, Management::Managed),
            ("request-tag", State::Present, Management::Managed),
            ("geo-ip", State::Present, Management::External),
            ("legacy-hmac", State::Absent, Management::Managed),
        ]
    );
    let acme = prod.plugins.values().next().unwrap();
    assert!(matches!(inventory.source(acme), Some(BundleSource::Archive { .. })));
}

#[test]
fn the_example_is_read_without_a_warning() {
    let inventory = read(EXAMPLE);
    assert!(inventory.warnings.is_empty(), "{}", inventory.warned());
    assert_eq!(inventory.nodes().count(), 1 + 42 + 12);
    assert_eq!(inventory.locate(cluster(&inventory, "eu-canary").place), "inventory.yaml:26:3");
}

#[test]
fn a_node_takes_from_itself_then_its_cluster_then_the_defaults() {
    let inventory = read(EXAMPLE);
    let own = inventory.node(&node("eu-42")).unwrap();
    assert_eq!((own.user.as_ref().unwrap().as_str(), own.port), ("kong-admin", Some(2222)));
    assert_eq!(own.admin.listen, Some(Listen::Unix(NodePath::parse("/run/kong/admin.sock").unwrap())));
    assert_eq!(own.admin.token.as_ref().unwrap().as_str(), "eu-42.token");
    let edge = inventory.node(&node("edge-07")).unwrap();
    assert_eq!((edge.user.as_ref().unwrap().as_str(), edge.port, edge.becomes), ("edge", Some(22), Become::None));
    assert_eq!((edge.kong.prefix.as_str(), edge.kong.home.as_str()), ("/opt/kong", "/var/lib/muster"));
    let ranged = inventory.node(&node("eu-7")).unwrap();
    assert_eq!((ranged.host.as_str(), ranged.becomes, ranged.transport), ("eu-7", Become::Sudo, Transport::Ssh));
    assert_eq!(ranged.admin.listen.as_ref().unwrap().to_string(), "http://127.0.0.1:8001");
}

#[test]
fn every_layer_may_say_how_a_node_is_reached() {
    let text = "version: 1\nowner: me\ndefaults: {transport: local, become: sudo}\nclusters:\n  c:\n    topology: dbless\n    \
                become: none\n    nodes: {a: , b: {transport: ssh, become: sudo, proxy: \"http://127.1.2.3:8000\"}}\n";
    let inventory = read(text);
    let reached = |name: &str| inventory.node(&node(name)).map(|node| (node.transport, node.becomes)).unwrap();
    assert_eq!(reached("a"), (Transport::Local, Become::None));
    assert_eq!(reached("b"), (Transport::Ssh, Become::Sudo));
    let proxy = |name: &str| inventory.node(&node(name)).unwrap().proxy.as_ref().map(Listen::to_string);
    assert_eq!((proxy("a"), proxy("b").as_deref()), (None, Some("http://127.1.2.3:8000")));
}

#[test]
fn without_defaults_kong_is_where_its_packages_put_it() {
    let inventory = read("version: 1\nowner: me\nclusters: {c: {topology: hybrid, nodes: [a]}}\n");
    let paths = &inventory.node(&node("a")).unwrap().kong;
    let texts = [&paths.conf, &paths.prefix, &paths.lua_root, &paths.home, &paths.cli].map(NodePath::as_str);
    let lua = "/usr/local/share/lua/5.1";
    assert_eq!(texts, ["/etc/kong/kong.conf", "/usr/local/kong", lua, "/var/lib/muster", "/usr/local/bin/kong"]);
    assert_eq!(cluster(&inventory, "c").rollout, Rollout::default());
}

#[test]
fn who_else_configures_a_cluster_and_how_much_is_kept_is_said() {
    let inventory = read("version: 1\nowner: me\nclusters: {c: {topology: dbless, declared_in: [a.yaml, b/c.yaml]}}\n");
    let named = &cluster(&inventory, "c").declared_in;
    let named: Vec<String> =
        named.iter().map(|named| format!("{} {}", named.file.as_str(), inventory.locate(named.place))).collect();
    assert_eq!(named, ["a.yaml inventory.yaml:3:48", "b/c.yaml inventory.yaml:3:56"]);
    assert_eq!((inventory.keep, read("version: 1\nowner: me\nkeep: 5\n").keep), (2, 5));
    for (wrong, says) in [
        ("keep: 0\n", "f:3:7: found \"0\"; write a whole number from 1"),
        ("clusters: {c: {topology: dbless, declared_in: a.yaml}}\n", "f:3:47: found \"a.yaml\""),
        ("clusters: {c: {topology: dbless, declared_in: [../a.yaml]}}\n", "f:3:48: "),
    ] {
        let text = format!("version: 1\nowner: me\n{wrong}");
        let error = parse("f", text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{wrong}: {error}");
    }
}

#[test]
fn assignments_hold_where_on_says() {
    let inventory = read(EXAMPLE);
    let edge = cluster(&inventory, "eu-edge");
    let on = |name: &str| edge.assignments(&edge.nodes[&node(name)]).map(|a| a.subject.to_string()).collect::<Vec<_>>();
    assert_eq!(on("edge-03"), ["acme-auth", "request-tag"]);
    assert_eq!(on("edge-04"), ["request-tag"]);
}

#[test]
fn all_mistakes_are_told_at_once_each_at_its_place() {
    let text = "\
version: 1
owner: me
prnue: true
clusters:
  a:
    topology: traditionel
    nodes:
      n1: { hots: x }
      n1: {}
      n2: { labels: { zone: 1 } }
      -bad: {}
    plugins:
      v: 2.0
      v: \"1\"
  b:
    topology: dbless
    nodes: { n2: { ssh: { port: many } }, n3: { out: x, out: y } }
    plugins: { w: present }
    rollout: { after: { c: 1h } }
";
    let wrong = mistakes(text);
    let found: Vec<String> = wrong.iter().map(|m| format!("{} {}", m.place, m.what)).collect();
    assert_eq!(
        found,
        [
            "3:1 `prnue` is not a key here",
            "6:15 `traditionel` has no meaning here",
            "8:13 `hots` is not a key here",
            "9:7 `n1` is given twice",
            "10:29 1 without quotes is not text",
            "11:7 \"-bad\" is not a valid node name: it may not begin with '-'; allowed are letters, digits and \
             _ . : % -, beginning with a letter or digit",
            "13:10 the version 2.0 is a number to YAML",
            "14:7 `v` is given twice",
            "17:33 found \"many\"",
            "17:57 `out` is given twice",
            "18:16 there is no bundle w",
            "19:25 there is no cluster c",
        ]
    );
    assert!(wrong.iter().filter(|m| m.place.line != 11).all(|m| m.instead.is_some()), "{wrong}");
    assert_eq!(wrong.hints().len(), 10);
}

#[test]
fn what_is_meant_is_guessed() {
    for (text, says) in [
        ("    nodez: [a]\n", "did you mean `nodes`?"),
        ("    nodes: [a]\n    plugins: {s: presnt}\n", "write present"),
        ("    nodes: [a]\n    plugins: {v: \"1.0.\"}\n", "did you mean \"1.0\"?"),
        ("    nodes: [a]\n    plugins: {ss: present}\n", "did you mean `s`?"),
        ("    nodes: [edge-1]\n    admin: {via: egde-1}\n", "did you mean `edge-1`?"),
        ("    nodes: [edge-1]\n    plugins: {s: {on: edge-2}}\n", "did you mean `edge-1`?"),
        ("    nodes: [a]\n    rollout: {after: {d: 1h}}\n", "did you mean `c`?"),
        ("    nodes: [a]\n    plugins: {s: {state: absnt}}\n", "did you mean `absent`?"),
    ] {
        let found = in_cluster(text);
        assert!(found[0].contains(says), "{text}: {found:?}");
    }
}

#[test]
fn versions_and_states_must_fit_the_bundle() {
    for (plugins, says) in [
        ("v: present", "f:10:18: bundle v has versions, and none is chosen; choose one of \"1.0\", \"2.0\""),
        ("v: 1.0", "f:10:18: the version 1.0 is a number to YAML; quote it: \"1.0\""),
        ("v: {version: 2}", "f:10:28: the version 2 is a number to YAML; quote it: \"2\""),
        ("v: \"3.0\"", "f:10:18: bundle v has no version 3.0"),
        ("s: \"1.0\"", "f:10:18: bundle s has no versions, 1.0 was asked for; write present"),
        ("s: {state: absent, version: \"1\"}", "f:10:43: an absent plugin has no version"),
        ("s: true", "f:10:18: `s` is neither a version nor a state; write a version in quotes, or present"),
        ("s:", "f:10:16: `s` is neither a version nor a state"),
        ("x: present", "f:10:15: there is no bundle x"),
        ("x: staged", "f:10:15: there is no bundle x"),
        ("x: {state: staged, files: external}", "f:10:26: x has no bundle, so that nothing can be staged"),
        ("x: {state: absent, version: \"1\"}", "f:10:43: an absent plugin has no version"),
        ("s: {unapply: delete}", "f:10:28: `unapply` goes with state: absent only"),
        ("x: {state: absent, unapply: remove}", "f:10:43: `remove` has no meaning here; known here: delete, disable"),
        ("x: {state: absent, unapply: {disable: soon}}", "f:10:53: \"soon\" is not a length of time"),
        ("x: {state: absent, unapply: {delete: 1d}}", "f:10:44: `delete` is not a key here"),
        ("x: {state: absent, unapply: {disable: }}", "f:10:44: there is no value"),
        ("s: {adopt: true, files: external}", "f:10:26: external files are never written"),
        ("x.y: {state: absent}", "f:10:15: \"x.y\" is not a valid plugin name"),
        ("s: [present]", "f:10:18: found a list; write keys with values"),
        ("s: {state: [present]}", "f:10:26: "),
        ("s: {on: }", "f:10:19: `on` has no value"),
        ("s: {on: \"a;b\"}", "f:10:23: \"a;b\" cannot be used to choose"),
    ] {
        let found = in_cluster(&format!("    nodes: [a]\n    plugins: {{{plugins}}}\n"));
        assert_eq!(found.len(), 1, "{plugins}: {found:?}");
        assert!(found[0].starts_with(says), "{plugins}: {found:?}");
    }
}

#[test]
fn what_is_right_in_a_cluster_says_nothing() {
    for plugins in [
        "v: \"1.0\"",
        "s: present",
        "s: staged",
        "v: {version: \"2.0\", state: staged}",
        "x: absent",
        "x: {state: absent, unapply: disable}",
        "x: {state: absent, unapply: {disable: 24h}}",
        "x: {state: absent, adopt: true}",
        "x: {files: external}",
        "_x: {files: external, directive: external}",
        "s: {on: \"a,zone=*,cluster=c\", adopt: true}",
    ] {
        let nodes = "    nodes: {a: {labels: {zone: z}}}\n";
        assert_eq!(in_cluster(&format!("{nodes}    plugins: {{{plugins}}}\n")), [""; 0], "{plugins}");
    }
}

#[test]
fn nodes_are_checked_as_they_are_written() {
    for (nodes, says) in [
        ("[a, a]", "node a is already in cluster c (first given here: 9:13)"),
        ("{\"a-[1-3]\": {}, a-2: {}}", "node a-2 is already in cluster c"),
        ("{\"a-[1-3]\": {host: h}}", "the 3 nodes of this range would have one host"),
        ("{a: {out: true}}", "true without quotes is not text; quote it"),
        ("{a: {out: \"\"}}", "`out` is no reason"),
        ("{a: {out: \"x\\ty\"}}", "`out` is no reason"),
        ("{a: {host: -oProxyCommand=x}}", "is not a valid host name"),
        ("{a: {ssh: {user: -x}}}", "is not a valid ssh user"),
        ("{a: {ssh: {port: 0}}}", "write a whole number from 1 to 65535"),
        ("{a: {ssh: {port: 70000}}}", "write a whole number from 1 to 65535"),
        ("{a: {ssh: [deploy, 22]}}", "found a list; write keys with values"),
        ("{a: {kong: {conf: etc}}}", "it is not absolute"),
        ("{a: {kong: {home: /l/x, lua_root: /l}}}", "lie inside each other"),
        ("{a: {transport: local, host: b}}", "is this machine"),
        ("{a: {admin: {via: any}}}", "`via` is not a key here"),
        ("{a: {admin: {listen: \"https://127.0.0.1:8444\"}}}", "give the plain one"),
        ("{a: {admin: {token: {env: \"A B\"}}}}", "name of an environment variable, not like this"),
        ("{a: {admin: {token: s3cr3t}}}", "write token: { env: NAME }"),
        ("{a: {admin: {token: {}}}}", "a token is in one place"),
        ("{a: {admin: {token: {env: A, file: b}}}}", "write either token: { env: NAME } or token: { file: NAME }"),
        ("{a: {admin: {token: {file: /etc/shadow}}}}", "a token is given by the name of"),
        ("{a: {admin: {token: {file: ../id_rsa}}}}", "a token is given by the name of"),
        ("{a: {admin: {token: {command: [cat, x]}}}}", "is not taken from a repository"),
        ("{\"a-[3-1]\": {}}", "write 1-3"),
        ("[[a]]", "this is not the name of a node"),
        ("a", "neither a list of names nor a map"),
        ("{a: {labels: {cluster: x}}}", "selectors call the cluster itself"),
        ("{a: {labels: {zone: \"a b\"}}}", "value of a label"),
    ] {
        let found = in_cluster(&format!("    nodes: {nodes}\n"));
        assert_eq!(found.len(), 1, "{nodes}: {found:?}");
        assert!(found[0].contains(says), "{nodes}: {found:?}");
    }
}

#[test]
fn rollouts_are_checked() {
    for (rollout, says) in [
        ("soak: 30", "a length of time needs its unit; write 30s for seconds, 30m for minutes"),
        ("soak: soon", "not a length of time"),
        ("waves: []", "a wave of no nodes"),
        ("waves: [0]", "a wave of no nodes"),
        ("waves: [50%, 25%]", "the waves do not rise"),
        ("waves: [1, 2.5%]", "whole percentage"),
        ("waves: 100%", "write a list"),
        ("at_once: 0", "write a whole number from 1"),
        ("max_failed: 0%", "write 0"),
        ("max_out: -1", "write a count such as 3 or a percentage such as 25%"),
        ("after: {c: 1h}", "these clusters wait for each other: c after c"),
    ] {
        let found = in_cluster(&format!("    nodes: [a]\n    rollout: {{{rollout}}}\n"));
        assert_eq!(found.len(), 1, "{rollout}: {found:?}");
        assert!(found[0].contains(says), "{rollout}: {found:?}");
    }
}

#[test]
fn sources_are_a_directory_or_an_archive() {
    let sha = "a".repeat(64);
    for (source, says) in [
        ("{}".to_owned(), "has no source"),
        ("{at: t}".to_owned(), "neither `dir` nor `archive`"),
        ("{dir: d, archive: a.tar.gz}".to_owned(), "not both"),
        ("{archive: a.tar.gz}".to_owned(), "an archive needs its `sha256`; add the first word of: sha256sum a.tar.gz"),
        (format!("{{archive: a.tar.gz, sha256: {sha}, at: t}}"), "`at` goes with `dir` only"),
        (format!("{{dir: d, sha256: {sha}}}"), "`sha256` goes with `archive` only"),
        (format!("{{archive: a.zip, sha256: {sha}}}"), "is not a .tar.gz by its name"),
        ("{archive: a.tar.gz, sha256: abc}".to_owned(), "it has 3 characters, not 64"),
        ("{dri: d}".to_owned(), "did you mean `dir`?"),
        ("{dir: ../d}".to_owned(), "it has a part `..`"),
        ("{dir: /d}".to_owned(), "it is absolute"),
        ("{dir: d, at: \"main..x\"}".to_owned(), "it is a range"),
        ("{dir: d, at: -x}".to_owned(), "it begins with `-`"),
        ("{1.0: {dir: d}}".to_owned(), "quote it: \"1.0\""),
        ("{\"1.0\": {}}".to_owned(), "neither `dir` nor `archive`"),
        ("{present: {dir: d}}".to_owned(), "is a state of a plugin"),
        ("plugins/b".to_owned(), "has no source"),
    ] {
        let wrong = mistakes(&format!("version: 1\nowner: me\nbundles:\n  b: {source}\n"));
        assert_eq!(wrong.len(), 1, "{source}: {wrong}");
        assert!(wrong.to_string().contains(says), "{source}: {wrong}");
    }
}

#[test]
fn words_and_numbers_without_quotes_are_what_they_look_like() {
    let nodes = "    nodes: {a: {labels: {rack: 007, zone: no, v: 1.10}}}\n";
    assert_eq!(in_cluster(nodes), [""; 0], "text, as neither YAML 1.2 nor this reader takes them for anything else");
    for (label, says) in [("7", "quote it: \"7\""), ("true", "quote it: \"true\""), ("-0", "quote it: \"-0\"")] {
        let found = in_cluster(&format!("    nodes: {{a: {{labels: {{zone: {label}}}}}}}\n"));
        assert!(found[0].contains(says), "{label}: {found:?}");
    }
    let wrong = mistakes("version: 1\nowner: me\nprune: yes\n");
    assert_eq!(wrong.to_string(), "inventory.yaml:3:8: found \"yes\"; write true or false");
}

#[test]
fn a_bundle_that_cannot_be_read_makes_no_further_mistakes() {
    let text = "version: 1\nowner: me\nbundles: {b: {1.0: {dir: d}}}\n\
                clusters: {c: {topology: dbless, nodes: [a], plugins: {b: \"1.0\"}}}\n";
    assert_eq!(mistakes(text).len(), 1);
}

#[test]
fn a_circle_of_clusters_is_told_once_and_those_behind_it_are_not() {
    let after = |name: &str, after: &str| {
        format!("  {name}: {{topology: dbless, nodes: [{name}], rollout: {{after: {{{after}: 1h}}}}}}\n")
    };
    let clusters =
        [after("a", "b"), after("b", "c: 1h, d"), after("c", "b"), after("d", "e"), after("f", "e, d")].concat();
    let clusters = clusters.replace("{e, ", "{e: 1h, ");
    let text = format!("version: 1\nowner: me\nclusters:\n{clusters}  e: {{topology: dbless, nodes: [e]}}\n");
    let wrong = mistakes(&text);
    assert_eq!(wrong.len(), 1, "{wrong}");
    assert!(wrong.to_string().contains("b after c after b"), "{wrong}");
}

#[test]
fn versions_of_the_format_are_told_apart() {
    assert!(mistakes("version: 2\nowner: me\n").to_string().contains("format 2 is not known"));
    assert!(mistakes("owner: me\n").to_string().contains("`version` is missing; add `version:`"));
    assert!(mistakes("").to_string().contains("the inventory is empty"));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let inventory = read("version: 1\nowner: me\nclusters: {c: {topology: dbless}}\n");
    assert!(inventory.warned().to_string().contains("cluster c has no nodes"));
    let inventory = read("version: 1\nowner: me\n");
    assert!(inventory.warned().to_string().contains("no clusters"));
    let found = in_cluster("    nodes: [a]\n    plugins: {s: {on: \"b-*\"}}\n");
    assert_eq!(found, ["f:10:23: `b-*` chooses no node of cluster c"]);
}

#[test]
fn mistakes_are_shown_with_their_line_and_what_to_write() {
    let wrong = mistakes("version: 1\nowner: me\nclusters:\n  a:\n    topolgy: dbless\n    nodes: [n]\n  a: {}\n");
    insta::assert_snapshot!(wrong.render(Look::Plain), @r#"
    error: `topolgy` is not a key here
     --> inventory.yaml:5:5
      |
    5 |     topolgy: dbless
      |     ^^^^^^^
      |
      = help: did you mean `topology`?

    error: `a` is given twice
     --> inventory.yaml:7:3
      |
    7 |   a: {}
      |   ^
      |
     ::: inventory.yaml:4:3
      |
    4 |   a:
      |   - first given here
      |
      = help: keep one of the two
    "#);
    assert!(!wrong.render(Look::Plain).contains('\u{1b}'));
    assert!(wrong.render(Look::Coloured).contains('\u{1b}'));
}

#[test]
fn a_long_line_is_shown_around_the_place_and_an_endless_one_not_at_all() {
    let line =
        |spaces: usize| format!("version: 1\nowner: me\nclusters: {{{} x: {{topolgy: dbless}}}}\n", " ".repeat(spaces));
    let shown = mistakes(&line(500)).render(Look::Plain);
    assert!(shown.contains("inventory.yaml:3:517") && shown.contains("topolgy: dbless"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 160), "{shown}");
    let shown = mistakes(&line(5000)).render(Look::Plain);
    assert!(shown.contains("inventory.yaml:3:5017") && !shown.contains("topolgy: dbless"), "{shown}");
}

#[test]
fn what_turns_out_wrong_later_is_told_in_the_same_form() {
    let inventory = read(EXAMPLE);
    let source = &inventory.bundles.values().nth(1).unwrap().sources()[0].1.place();
    let told = inventory.mistaken(*source, "plugins/request-tag is not in commit 1234567", "commit it");
    assert!(told.render(Look::Plain).contains("inventory.yaml:23:3"), "{}", told.render(Look::Plain));
}

#[test]
fn five_thousand_nodes_are_read_quickly_and_twice_as_many_in_twice_the_time() {
    let fleet = |nodes: usize| {
        let mut text = "version: 1\nowner: me\nclusters:\n  c:\n    topology: dbless\n    nodes:\n".to_owned();
        for i in 0..nodes {
            let _ = writeln!(
                text,
                "      n-{i}:\n        host: 10.0.0.1\n        labels: {{ zone: a, rack: r{} }}",
                i % 40
            );
        }
        let before = Instant::now();
        assert_eq!(read(&text).nodes().count(), nodes);
        before.elapsed()
    };
    fleet(500);
    let (small, large) = (fleet(5_000), fleet(20_000));
    // A quadratic step would make it 16 times; the machine may be busy, so that there is room.
    assert!(large < small * 10 + Duration::from_millis(500), "{small:?} {large:?}");
    assert!(small < Duration::from_secs(10), "{small:?}");
}
