//! A plugin in use is removed: rows, then its name on every node, then its files; and what somebody does in between.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::gateways::{handler, schema};
use crate::harness::{Api, Gateways, Prober, Said, Wanted};

/// One node after the other.
pub(super) const IN_TURN: &str = "{ waves: [1, 100%], at_once: 1, max_out: 1, max_unreachable: 100%, soak: 0s }";
/// The word of the inventory for a removal with its rows.
pub(super) const DELETE: &str = "acme-auth: { state: absent, unapply: delete }";

/// Gateways with acme-auth 1.0.0, in line.
pub(super) async fn installed(names: &[&str]) -> Option<Gateways> {
    let gateways = Gateways::of(names).await?;
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    Some(gateways)
}

/// Commits that these plugins are wanted, one node after the other. The bundle tag 0.3.0 is there for who wants it.
pub(super) fn want(gateways: &Gateways, plugins: &[&str]) {
    // A bundle of the inventory cannot be absent.
    let absent = plugins.iter().any(|line| line.starts_with("acme-auth") && line.contains("absent"));
    let bundles = &["tag: { dir: plugins/tag }", "acme-auth: { dir: plugins/acme-auth }"][..2 - usize::from(absent)];
    let inventory = gateways.inventory(&Wanted { bundles, plugins, rollout: IN_TURN });
    let files = [
        ("plugins/tag/handler.lua", handler("0.3.0", "")),
        ("plugins/tag/schema.lua", schema("tag")),
        ("inventory.yaml", inventory),
    ];
    let files: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
    gateways.commit(&files, "another inventory");
}

/// Rows of acme-auth in every scope, one of them disabled, and one row of cors.
pub(super) fn use_everywhere(api: Api) {
    let id = |made: Value| made["id"].as_str().unwrap().to_owned();
    let service = id(api.make("/services", &json!({ "name": "billing", "url": "http://127.0.0.1:9" })));
    let route = id(api.make("/routes", &json!({ "name": "pay", "paths": ["/pay"] })));
    let consumer = id(api.make("/consumers", &json!({ "username": "ann" })));
    api.make(
        "/plugins",
        &json!({ "name": "acme-auth", "config": { "key": "s3cret", "list": [1, 2.5], "none": null } }),
    );
    api.make(&format!("/services/{service}/plugins"), &json!({ "name": "acme-auth", "tags": ["a: b"] }));
    api.make(&format!("/routes/{route}/plugins"), &json!({ "name": "acme-auth", "enabled": false }));
    api.make(&format!("/consumers/{consumer}/plugins"), &json!({ "name": "acme-auth", "instance_name": "anns" }));
    api.make("/plugins", &json!({ "name": "cors" }));
}

/// Begin and end of every step in the order told: `eu-1 activate`, `eu-1 activate: done changed`.
pub(super) fn steps(said: &Said) -> Vec<String> {
    said.lines().iter().filter_map(step).collect()
}

/// The same of one event; `None` for what is neither.
pub(super) fn step(event: &Value) -> Option<String> {
    let word = |key: &str| event[key].as_str();
    let who = word("node").or_else(|| word("cluster")).unwrap_or_default();
    let action = word("action").unwrap_or_default();
    match word("event")?.strip_prefix("cluster-").or_else(|| word("event"))? {
        "step-started" => Some(format!("{who} {action}")),
        "step-ended" => {
            let more =
                word("outcome").or_else(|| event["cause"]["code"].as_str()).or_else(|| event["why"]["reason"].as_str());
            Some(format!("{who} {action}: {} {}", word("end")?, more.unwrap_or_default()))
        }
        _ => None,
    }
}

/// The id of the run that was told.
pub(super) fn run_of(said: &Said) -> String {
    said.lines()[0]["run"].as_str().unwrap().to_owned()
}

/// Nothing of acme-auth is on the disk of this node: no root, no link, no release.
pub(super) fn assert_no_files(gateways: &Gateways, name: &str) {
    let root = gateways.node(name).lua_root.join("kong/plugins/acme-auth");
    assert!(root.symlink_metadata().is_err(), "{} is there", root.display());
    for dir in ["releases/acme-auth", "current/acme-auth"] {
        assert!(gateways.home(name).join(dir).symlink_metadata().is_err(), "{dir} is there on {name}");
    }
}

pub(super) fn has_files(gateways: &Gateways, name: &str) -> bool {
    gateways.node(name).lua_root.join("kong/plugins/acme-auth/handler.lua").is_file()
}

/// Every request was answered, and some were made.
pub(super) fn assert_served(probers: Vec<Prober>) {
    for prober in probers {
        let (missed, asked) = prober.missed();
        assert!(missed.is_empty() && asked > 5, "{missed:?} of {asked}");
    }
}

/// Every gateway stops and starts again: what it needs is there. What a master that was started anew has loaded is told by its
/// age against that of the files, in whole seconds: nobody restarts a gateway in the second of a commit.
pub(super) fn restart(gateways: &Gateways, names: &[&str]) {
    let asked = std::time::Instant::now();
    while asked.elapsed() <= std::time::Duration::from_secs(3) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for name in names {
        gateways.node(name).stop().unwrap();
        gateways.node(name).start().unwrap_or_else(|error| panic!("{name} does not start again: {error}"));
    }
}

#[tokio::test]
async fn rows_of_every_scope_are_kept_and_deleted_and_come_back_equal() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows();
    want(&gateways, &[DELETE]);
    let plan = gateways.muster(&["--plan"]).await;
    assert!(plan.out.starts_with("DELETES 4 rows; deletes files on 2 nodes; reloads 2 gateways\n"), "{plan}");
    plan.assert(0, &["global", "service billing", "route pay, disabled", "consumer ann", "1 un-apply", "3 files"]);
    assert_eq!(api.rows(), before, "a plan deletes nothing");

    let probers = gateways.probers();
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said}");
    let expected = [
        "eu un-apply",
        "eu un-apply: done changed",
        "eu-1 activate",
        "eu-1 activate: done changed",
        "eu-2 activate",
        "eu-2 activate: done changed",
        "eu fence",
        "eu fence: done unchanged",
        "eu-1 delete",
        "eu-1 delete: done changed",
        "eu-2 delete",
        "eu-2 delete: done changed",
    ];
    assert_eq!(steps(&said), expected);
    let left: Vec<Value> = api.rows();
    assert_eq!(left.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), ["cors"]);
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
    }
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    assert_served(probers);
    restart(&gateways, &["eu-1", "eu-2"]);

    // The undo bundle has all of them, for the operator alone.
    let run = run_of(&said);
    let path = gateways.dir().join("state/muster/runs").join(&run).join("acme-auth.yaml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&path).unwrap();
    for row in before.iter().filter(|row| row["name"] == "acme-auth") {
        assert!(kept.contains(row["id"].as_str().unwrap()), "{kept}");
    }
    assert!(kept.contains("s3cret") && !said.out.contains("s3cret"), "{said}");
    let shown = gateways.muster(&["restore-rows", &run]).await;
    shown.assert(0, &["4 rows", "nothing was changed", &format!("muster restore-rows {run} --yes"), "disabled"]);
    let refused = gateways.muster(&["restore-rows", &run, "--yes"]).await;
    refused.assert(3, &["eu-[1,2] was not seen with acme-auth listed and loaded", "`present`", "muster --plan"]);
    assert_eq!(api.rows(), left, "rows came back to nodes that cannot bear them");

    want(&gateways, &["acme-auth: present"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    let again = gateways.muster(&["restore-rows", &run, "--yes"]).await;
    assert_eq!((again.code, api.rows()), (0, before), "{again}");
    gateways.assert_in_line().await;
}

/// No node lists it and none has files of it: in this state no gateway starts again (measured.md 5).
#[tokio::test]
async fn rows_of_a_plugin_that_is_nowhere_but_in_the_database_go_without_a_reload() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "cors" }));
    let file = gateways.dir().join("eu.json");
    let rows = fs::read_to_string(&file).unwrap().replace("cors", "ghost");
    fs::write(&file, rows).unwrap();
    want(&gateways, &["acme-auth: present", "ghost: { state: absent, unapply: delete }"]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        0,
        &["DELETES 1 row\n", "un-applied ghost: 1 row, none left", "2 in line", "verdict: converged, exit 0"],
    );
    assert_eq!(api.rows().len(), 0);
    restart(&gateways, &["eu-1", "eu-2"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn more_rows_than_a_page_holds_are_all_kept_and_deleted() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    let file = gateways.dir().join("eu.json");
    let mut all: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let rows = all["plugins"].as_array_mut().unwrap();
    let first = rows[0].clone();
    for number in 0..1_040 {
        let mut row = first.clone();
        row["id"] = format!("00000000-0000-4000-8000-{number:012}").into();
        row["instance_name"] = format!("n{number}").into();
        row["name"] = if number % 20 == 0 { "acme-auth".into() } else { "cors".into() };
        rows.push(row);
    }
    fs::write(&file, all.to_string()).unwrap();
    want(&gateways, &[DELETE]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        0,
        &[
            "DELETES 53 rows; deletes files on 1 node; reloads 1 gateway",
            "un-applied acme-auth: 53 rows, none left",
            "converged",
        ],
    );
    assert_eq!((api.rows_of("acme-auth").len(), api.rows().len()), (0, 988));
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_row_that_the_plan_did_not_show_stops_everything_before_anything_is_deleted() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-2");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let probers = gateways.probers();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
        if event["event"] == "run-started" {
            let service = api.make("/services", &json!({ "name": "late", "url": "http://127.0.0.1:9" }));
            let id = service["id"].as_str().unwrap();
            api.make(&format!("/services/{id}/plugins"), &json!({ "name": "acme-auth" }));
        }
    });
    let said = call.said().await;
    said.assert(3, &["1 row is not in the plan", "service late", "nothing was changed", "muster --plan", "\"moved\""]);
    assert_eq!(steps(&said)[..2], ["eu un-apply", "eu un-apply: failed moved"], "{said}");
    assert!(!said.out.contains("eu-1 activate"), "{said}");
    assert_eq!(api.rows_of("acme-auth").len(), 2);
    gateways.assert_serving(Some("1.0.0")).await;
    restart(&gateways, &["eu-1"]);
    assert_served(probers.into_iter().skip(1).collect());
    // The next plan shows it, and goes all the way.
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 2 rows", "service late", "converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_row_that_comes_back_before_the_first_node_is_reloaded_leaves_it_untouched() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-2");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let conf = fs::read(&gateways.node("eu-1").conf).unwrap();
    let probers = gateways.probers();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
        if step(event).as_deref() == Some("eu-1 activate") {
            api.make("/plugins", &json!({ "name": "acme-auth" }));
        }
    });
    let said = call.said().await;
    let words = ["1 row uses again what is being removed", "nothing was touched on eu-1", "either take these rows out"];
    said.assert(3, &words);
    said.assert(3, &["or put the plugin back into the inventory", "\"verdict\":\"not-reached\""]);
    let expected = ["eu un-apply", "eu un-apply: done changed", "eu-1 activate", "eu-1 activate: failed re-applied"];
    assert_eq!(steps(&said)[..4], expected, "{said}");
    assert!(!steps(&said).contains(&"eu-2 activate".to_owned()), "{said}");
    assert_eq!(fs::read(&gateways.node("eu-1").conf).unwrap(), conf);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_served(probers);
    restart(&gateways, &["eu-1", "eu-2"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 1 row", "converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_row_that_comes_back_through_a_node_that_still_lists_it_puts_the_name_back_on_the_others() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let (first, second) = (gateways.api("eu-1"), gateways.api("eu-2"));
    first.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let probers = gateways.probers();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
        if step(event).as_deref() == Some("eu-1 activate: done changed") && first.rows().is_empty() {
            // Through the node that had step 2 already it is refused.
            assert_eq!(first.send("POST", "/plugins", Some(&json!({ "name": "acme-auth" }))).0, 400);
            second.make("/plugins", &json!({ "name": "acme-auth" }));
        }
    });
    let said = call.said().await;
    let words = ["nothing was touched on eu-2", "eu-1 would not start again now", "it is listed again"];
    said.assert(3, &words);
    said.assert(3, &["either take these rows out", "or put the plugin back into the inventory"]);
    let expected = [
        "eu un-apply",
        "eu un-apply: done changed",
        "eu-1 activate",
        "eu-1 activate: done changed",
        "eu-2 activate",
        "eu-2 activate: failed re-applied",
    ];
    let told = steps(&said);
    assert_eq!(told[..6], expected, "{said}");
    let back: Vec<&String> = told[6..].iter().filter(|step| step.contains("activate")).collect();
    assert_eq!(back, ["eu-1 activate", "eu-1 activate: done changed"], "{said}");
    assert!(!told.iter().any(|step| step.ends_with("delete")), "{told:?}");
    gateways.assert_serving(Some("1.0.0")).await;
    assert_served(probers);
    restart(&gateways, &["eu-1", "eu-2"]);
    gateways.assert_nothing_left().await;
    // For people.
    let run = run_of(&said);
    let told = gateways.muster(&["runs", &run]).await;
    told.assert(0, &["listed again", "put the plugin back into the inventory", "verdict: not reached, exit 3"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 1 row", "converged"]);
    gateways.assert_in_line().await;
}
