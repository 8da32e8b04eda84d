//! An upgrade against rows in use: tried on the first node with the new schema, and what does not fit stops the cluster.

use serde_json::json;

use crate::harness::gateways::handler;
use crate::harness::{Api, Gateways, Said, Wanted};

const SECRET: &str = "hunter2";
/// One node after the other, and two of them may fail: rows that do not fit stop it all the same.
const IN_TURN: &str = "{ waves: [1, 100%], at_once: 1, max_out: 3, max_failed: 2, soak: 0s }";

/// Commits acme-auth in this version, with this schema of `realm`.
fn want(gateways: &Gateways, version: &str, realm: &str) {
    let schema = format!(
        "return {{ name = \"acme-auth\", fields = {{ {{ config = {{ type = \"record\", fields = {{\n  \
         {{ key = {{ type = \"string\" }} }},\n  {{ realm = {{ {realm} }} }},\n}} }} }} }} }}\n"
    );
    let inventory = gateways.inventory(&Wanted { rollout: IN_TURN, ..Wanted::default() });
    let files = [
        ("plugins/acme-auth/handler.lua", handler(version, "")),
        ("plugins/acme-auth/schema.lua", schema),
        ("inventory.yaml", inventory),
    ];
    let files: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
    gateways.commit(&files, version);
}

/// A row that sets the realm, and two that do not; one of them is disabled, which is in use all the same.
fn use_it(api: Api) {
    let id = |name: &str| {
        let made = api.make("/services", &json!({ "name": name, "url": "http://127.0.0.1:9" }));
        made["id"].as_str().unwrap().to_owned()
    };
    let (billing, carts) = (id("billing"), id("carts"));
    let row = |more: serde_json::Value| {
        let mut row = json!({ "name": "acme-auth", "config": { "key": SECRET } });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    api.make("/plugins", &json!({ "name": "acme-auth", "config": { "key": SECRET, "realm": "all" } }));
    api.make(&format!("/services/{billing}/plugins"), &row(json!({})));
    api.make(&format!("/services/{carts}/plugins"), &row(json!({ "enabled": false })));
}

async fn apply(gateways: &Gateways) -> Said {
    gateways.muster(&["--apply", "--all"]).await
}

#[tokio::test]
async fn rows_that_lack_what_the_new_schema_requires_stop_the_upgrade_and_are_named() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    want(&gateways, "1.0.0", "type = \"string\"");
    apply(&gateways).await.assert(0, &["converged"]);
    use_it(gateways.api("eu-1"));
    let rows = gateways.api("eu-1").rows();

    want(&gateways, "2.0.0", "type = \"string\", required = true");
    let plan = gateways.muster(&["--plan"]).await;
    plan.assert(0, &["rows: 3 rows of acme-auth: checked against the new schema there", "anything is kept (eu-1)"]);
    let said = apply(&gateways).await;
    said.assert(3, &["eu-1", "rolled back", "(rows-invalid)", "2 rows of 3 in use do not fit the new schema"]);
    said.assert(
        3,
        &[
            "acme-auth on service billing",
            "acme-auth on service carts, disabled",
            "config.realm: required field missing",
        ],
    );
    said.assert(3, &["0 of 3 nodes proven, 1 rolled back, 2 not tried", "verdict: not reached, exit 3"]);
    assert!(!said.out.contains("global"), "the row that fits is not named: {said}");
    assert_no_secret(&gateways, &said);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
    assert_eq!(gateways.api("eu-1").rows(), rows, "no row was touched");
    // The same again is no better, and the node of the first try is where it was.
    apply(&gateways).await.assert(3, &["rows-invalid", "0 of 3 nodes proven"]);

    want(&gateways, "2.0.1", "type = \"string\", required = true, default = \"all\"");
    let said = apply(&gateways).await;
    said.assert(0, &["3 rows fit the new schema", "converged"]);
    assert_eq!(said.out.matches("rows fit").count(), 1, "once for the cluster: {said}");
    gateways.assert_serving(Some("2.0.1")).await;
    gateways.assert_in_line().await;
}

/// Neither what was said nor any file of the run has the key of a row.
fn assert_no_secret(gateways: &Gateways, said: &Said) {
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{said}");
    let state = gateways.dir().join("state");
    let found = std::process::Command::new("grep").args(["-rl", SECRET]).arg(&state).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "a secret was written");
}

/// The naive way: Kong reloads into the new schema without a word about the rows, and serves without what they lost.
#[tokio::test]
async fn a_gateway_itself_takes_the_upgrade_and_loses_what_does_not_fit() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    want(&gateways, "1.0.0", "type = \"string\"");
    apply(&gateways).await.assert(0, &["converged"]);
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth", "config": { "key": SECRET, "realm": "all" } }));
    let schema = "return { name = \"acme-auth\", fields = { { config = { type = \"record\", fields = {\n  \
                  { secret = { type = \"string\", required = true } } } } } } }\n";
    let home = gateways.home("eu-1").join("current/acme-auth/kong/plugins/acme-auth/schema.lua");
    std::fs::write(home.canonicalize().unwrap(), schema).unwrap();
    let node = gateways.node("eu-1");
    let out = std::process::Command::new(&node.kong)
        .args(["reload", "-c"])
        .args([&node.conf, std::path::Path::new("-p"), &node.prefix])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    crate::harness::poll_until(std::time::Duration::from_secs(20), "the new schema", || {
        let config = api.rows_of("acme-auth").remove(0)["config"].clone();
        (config == json!({ "secret": null })).then_some(())
    })
    .await;
    assert_eq!(api.send("GET", "/", None).0, 200, "it serves on");
}

#[tokio::test]
async fn a_changed_priority_and_a_version_that_stays_are_in_the_plan() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    apply(&gateways).await.assert(0, &["converged"]);
    let moved = handler("1.0.0", "").replace("900", "1300");
    gateways.want_handler(&moved, "runs earlier");
    let said = gateways.muster(&["--plan"]).await;
    let one_line = Said { out: said.out.split_whitespace().collect::<Vec<_>>().join(" "), ..said };
    one_line.assert(0, &["acme-auth: PRIORITY 900 -> 1300: it now runs before acl (950), basic-auth (1100)"]);
    one_line.assert(0, &["its content changes and its VERSION stays 1.0.0", "the proof goes by the search path"]);
    let json = gateways.muster(&["--plan", "--format", "json"]).await;
    let plan = &json.lines()[0];
    let notes = plan["notes"].as_array().or_else(|| plan["plan"]["notes"].as_array()).cloned().unwrap_or_default();
    let topics: Vec<&str> = notes.iter().filter_map(|note| note["topic"].as_str()).collect();
    assert!(topics.contains(&"priority") && topics.contains(&"version"), "{topics:?}");
    apply(&gateways).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn check_says_which_of_two_runs_first_and_what_a_version_is_for_kong() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let bundles: &[&str] = &["acme-auth: { dir: plugins/acme-auth }", "cors: { dir: plugins/cors }"];
    let wanted = Wanted { bundles, plugins: &["acme-auth: present", "cors: present"], ..Wanted::default() };
    gateways.want("1.0.0-7");
    let files = [
        ("plugins/cors/handler.lua", handler("1.0.0", "")),
        ("plugins/cors/schema.lua", crate::harness::gateways::schema("cors")),
        ("inventory.yaml", gateways.inventory(&wanted)),
    ];
    let files: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
    gateways.commit(&files, "two of one priority");
    let said = gateways.muster(&["check"]).await;
    said.assert(
        0,
        &["PRIORITY 900 is that of 2 plugins; among equals Kong goes by name, backwards: cors, acme-auth (on eu-1)"],
    );
    said.assert(0, &["cors is the name of a plugin that comes with Kong", "VERSION 1.0.0-7 is 1.0.0 for Kong"]);
    let json = gateways.muster(&["check", "--format", "json"]).await;
    assert_eq!(json.lines()[0]["doubts"].as_array().map(Vec::len), Some(3), "{json}");
}
