//! What is refused before a node is contacted, and wrong command lines.

use crate::harness::gateways::{handler, schema};
use crate::harness::{Gateways, Wanted};

/// Refused with exit 1 and these words, by `check`, `--plan` and `--apply` alike; no node has seen a connection.
async fn assert_refused(gateways: &Gateways, words: &[&str]) {
    for args in [&["check"][..], &["--plan"], &["--apply", "--all"]] {
        let said = gateways.muster(args).await;
        said.assert(1, words);
        assert_eq!(said.out, "", "nothing is written where a result is expected");
    }
    for node in gateways.ssh.nodes() {
        assert_eq!(node.wire.accepted(), 0, "{} was contacted", node.name);
    }
}

#[tokio::test]
async fn what_can_be_known_without_a_node_is_refused_without_one() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let syntax = "return {\n  PRIORITY = 1,\n  VERSION = \"1.0.0\"\n  oops\n}\n";
    gateways.want_handler(syntax, "a slip");
    assert_refused(&gateways, &["inventory.yaml:5:", "plugins/acme-auth/handler.lua:4", "'}' expected"]).await;

    gateways.want_handler("return { PRIORITY = 1 }\n", "no version");
    assert_refused(&gateways, &["inventory.yaml:5:", "handler.lua", "VERSION"]).await;

    gateways.want_handler(&handler("1.0.0", "local x = require \"kong.plugins.acme-auth.claims\"\n"), "a module");
    assert_refused(&gateways, &["inventory.yaml:5:", "handler.lua:1", "kong.plugins.acme-auth.claims"]).await;

    gateways.want("1.0.0");
    std::fs::remove_file(gateways.work_tree().join("plugins/acme-auth/schema.lua")).unwrap();
    std::fs::write(gateways.work_tree().join("plugins/acme-auth/readme.txt"), "x").unwrap();
    gateways.remove("plugins/acme-auth/schema.lua", "without a schema");
    assert_refused(&gateways, &["inventory.yaml:5:", "schema.lua"]).await;

    gateways.commit(&[("inventory.yaml", "version: 1\nowner: edge\nclustres: {}\n")], "a slip");
    assert_refused(&gateways, &["inventory.yaml:3:1", "clustres", "clusters"]).await;
}

#[tokio::test]
async fn a_wrong_command_line_is_64_and_says_what_to_type() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    for (args, words) in [
        (&["--apply"][..], &["--cluster NAME", "--all"][..]),
        (&["--plan", "--apply"], &["--plan", "--apply", "cannot be used with"]),
        (&["--plan", "--cluster", "ue"], &["ue", "eu"]),
        (&["--plan", "--plugin", "acme"], &["acme", "there are: acme-auth\n"]),
        (&["--plan", "--node", "eu-7"], &["eu-7", "there are: eu-1"]),
        (&["--plan", "--node", "eu-[1-"], &["eu-[1-"]),
        (&["--demo", "--plan", "--repo", "."], &["--demo", "--repo"]),
        (&["--apply", "--all", "--cluster", "eu"], &["--all", "--cluster"]),
        (&["--plan", "--no-such"], &["--no-such"]),
        (&["status", "--apply"], &["--apply"]),
        (&["check", "--node", "eu-1"], &["--node", "muster check"]),
        (&["--plan", "--allow", "no-such-code"], &["no-such-code"]),
        (&[], &["terminal", "muster --plan"]),
        (&["--format", "json"], &["--format json", "terminal UI"]),
    ] {
        let said = gateways.muster(args).await;
        said.assert(64, words);
        assert_eq!(said.out, "", "{args:?}");
    }
    assert_eq!(gateways.ssh.node("eu-1").wire.accepted(), 0);
}

#[tokio::test]
async fn a_wrong_command_line_that_asks_for_json_is_told_in_json() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    for args in [
        &["--plan", "--no-such", "--format", "json"][..],
        &["--format=json", "--plan", "--no-such"],
        &["--format", "json", "--plan", "--apply", "--no-such"],
        &["--format", "json", "--apply"],
    ] {
        let said = gateways.muster(args).await;
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (64, "", 1), "{args:?} {}", said.err);
        let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!((&error["muster"], &error["kind"]), (&"error".into(), &"usage".into()), "{error}");
        assert!(error["text"].as_str().is_some_and(|text| text.contains("--")), "{error}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_bundle_is_told_by_the_path_in_the_repository_with_what_to_do_below_it() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let first = "local x = require \"kong.plugins.acme-auth.claims\"\n";
    gateways.commit(
        &[
            ("plugins/acme-auth/handler.lua", &format!("{first}return {{ PRIORITY = 1 }}\n")),
            ("plugins/acme-auth/api.lua", "return {\n"),
        ],
        "three slips",
    );
    let said = gateways.muster(&["check"]).await;
    let lines: Vec<&str> = said.err.lines().collect();
    let below = |begin: &str| {
        let at =
            lines.iter().position(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}\n{}", said.err));
        lines.get(at + 1).copied().unwrap_or_default()
    };
    assert_eq!(said.code, 1);
    assert!(below("  plugins/acme-auth/handler.lua: the handler").starts_with("    write VERSION = "), "{}", said.err);
    assert!(below("  plugins/acme-auth/handler.lua:1: module").starts_with("    add the file"), "{}", said.err);
    assert!(lines.iter().any(|line| line.starts_with("  plugins/acme-auth/api.lua:")), "{}", said.err);
    assert_eq!(said.err.matches("write VERSION").count(), 1, "{}", said.err);
    let said = gateways.muster(&["check", "--format", "json"]).await;
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(error["hints"].as_array().map(Vec::len), Some(2), "{error}");
}

#[tokio::test]
async fn a_handler_that_is_a_function_is_refused_and_a_schema_of_another_name_is_said() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want_handler("-- old style\nreturn function(conf)\n  return true\nend\n", "a function");
    let words = ["plugins/acme-auth/handler.lua:2: the handler of plugin acme-auth returns a function"];
    assert_refused(&gateways, &words).await;
    gateways.want("1.0.0");
    gateways.commit(&[("plugins/acme-auth/schema.lua", &schema("other"))], "renamed by half");
    gateways.muster(&["check"]).await.assert(0, &["the schema of plugin acme-auth says name = \"other\""]);
}

#[tokio::test]
async fn check_and_schema_need_no_node() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let said = gateways.muster(&["check"]).await;
    said.assert(
        0,
        &["bundle acme-auth", "acme-auth 1.0.0", "2 files", "cluster eu", " 1 node ", "no node was contacted"],
    );
    let said = gateways.muster(&["check", "--format", "json"]).await;
    assert_eq!((said.code, said.lines()[0]["bundles"][0]["bundle"].as_str()), (0, Some("acme-auth")));
    let said = gateways.muster(&["schema"]).await;
    let schema: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert!(schema["properties"]["clusters"].is_object());
    assert_eq!(gateways.ssh.node("eu-1").wire.accepted(), 0);
}

#[tokio::test]
async fn check_says_what_no_plan_would_do_and_what_nobody_is_assigned() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let bundles: &[&str] = &["acme-auth: { dir: plugins/acme-auth }", "spare: { dir: plugins/gone }"];
    let wanted = Wanted { bundles, plugins: &["acme-auth: present", "key-auth: absent"], ..Wanted::default() };
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&wanted))], "a spare one");
    let said = gateways.muster(&["check"]).await;
    let words =
        ["key-auth comes with Kong: nothing of it", "bundle spare is assigned by no cluster", "nothing else was"];
    said.assert(0, &words);
    let said = gateways.muster(&["check", "--format", "json"]).await;
    let doubts = said.lines()[0]["doubts"].as_array().map(Vec::len);
    assert_eq!(doubts, Some(2), "{said}");
}

#[tokio::test]
async fn help_and_version_are_no_errors() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.muster(&["--help"]).await.assert(0, &["--apply", "--plan", "--demo", "status", "130"]);
    gateways.muster(&["--version"]).await.assert(0, &["muster "]);
}

#[tokio::test]
async fn a_safety_rule_refuses_with_6_and_changes_nothing() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    let strict = Wanted { rollout: "{ waves: [100%], at_once: 4, max_unreachable: 1, soak: 0s }", ..Wanted::default() };
    gateways.want("1.0.0");
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&strict))], "strict");
    for name in ["eu-2", "eu-3"] {
        gateways.ssh.node(name).wire.refuse().await;
    }
    let said = gateways.muster(&["--apply", "--all", "--rev", "main"]).await;
    said.assert(
        6,
        &[
            "2 unknown",
            "eu-2",
            "eu-3",
            " unknown: connecting to it",
            "type: muster --plan --allow too-many-unreachable --rev main",
            "verdict: refused, exit 6",
        ],
    );
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}
