//! What holds a removal, and what goes on meanwhile.

use std::fs;

use serde_json::json;

use super::removal::{
    DELETE, IN_TURN, assert_no_files, assert_served, has_files, installed, restart, step, steps, use_everywhere, want,
};
use crate::harness::gateways::{handler, next_second};
use crate::harness::{Gateways, Wanted, poll_until};

const ABSENT: &str = "acme-auth: absent";

/// The text on one line, without the breaks of a page.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn without_a_word_about_rows_it_is_held_and_installs_go_on() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows();
    want(&gateways, &["acme-auth: { state: absent }", "tag: present"]);
    let rows = ["global", "service billing", "route pay, disabled", "consumer ann"];
    let plan = gateways.muster(&["--plan"]).await;
    plan.assert(0, &rows);
    plan.assert(0, &["4 rows use it", "acme-auth: { state: absent, unapply: delete }", "+ install  tag 0.3.0"]);
    assert!(!plan.out.contains("DELETES"), "{plan}");
    let probers = gateways.probers();
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["tag 0.3.0", "2 of 2 nodes proven", "verdict: not reached, exit 3"]);
    gateways.muster(&["--plan", "--detailed-exitcode"]).await.assert(2, &rows);
    assert_eq!(api.rows(), before);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_served(probers);
    restart(&gateways, &["eu-1", "eu-2"]);
}

#[tokio::test]
async fn a_node_that_is_lost_in_the_second_step_holds_the_files_until_it_went_through_it() {
    let Some(gateways) = installed(&["eu-1", "eu-2", "eu-3"]).await else { return };
    gateways.api("eu-1").make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let probers = gateways.probers();
    gateways.ssh.node("eu-3").wire.refuse().await;
    let plan = gateways.muster(&["--plan"]).await;
    let words = "its files stay until all 3 nodes are without it: held by eu-3 (could not be seen)";
    assert!(one_line(&plan.out).contains(words), "{plan}");
    plan.assert(4, &["DELETES 1 row; reloads 2 gateways", "files-held", "out: \"why\""]);
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    let expected = [
        "eu un-apply",
        "eu un-apply: done changed",
        "eu-1 activate",
        "eu-1 activate: done changed",
        "eu-2 activate",
        "eu-2 activate: done changed",
    ];
    assert_eq!((said.code, steps(&said)), (3, expected.map(str::to_owned).to_vec()), "{said}");
    said.assert(
        3,
        &["acme-auth is held on eu: its files stay until all 3 nodes are without it: held by eu-3", "eu-3 unknown"],
    );
    assert!(["eu-1", "eu-2", "eu-3"].iter().all(|name| has_files(&gateways, name)));
    assert_eq!(gateways.proxied("eu-3").await.unwrap().1.as_deref(), Some("1.0.0"));
    // Weeks later it is back, after a start of its own.
    restart(&gateways, &["eu-3"]);
    gateways.ssh.node("eu-3").wire.listen().await;
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said}");
    let expected = ["eu-3 activate", "eu-3 activate: done changed", "eu fence", "eu fence: done unchanged"];
    assert_eq!(steps(&said)[..4], expected);
    assert_eq!(steps(&said)[4..].iter().filter(|step| step.ends_with("delete: done changed")).count(), 3);
    for name in ["eu-1", "eu-2", "eu-3"] {
        assert_no_files(&gateways, name);
    }
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    assert_served(probers.into_iter().take(2).collect());
    restart(&gateways, &["eu-1", "eu-2", "eu-3"]);
}

#[tokio::test]
async fn a_node_that_is_lost_while_the_run_is_under_way_holds_the_files_as_well() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    gateways.api("eu-1").make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let probers = gateways.probers();
    let (say, lost) = std::sync::mpsc::channel();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
        if step(event).as_deref() == Some("eu un-apply: done changed") {
            say.send(()).unwrap();
        }
    });
    poll_until(std::time::Duration::from_mins(1), "the rows are gone", || lost.try_recv().ok()).await;
    gateways.ssh.node("eu-2").wire.refuse().await;
    gateways.ssh.node("eu-2").wire.cut();
    let said = call.said().await;
    assert!([3, 4].contains(&said.code), "{said}");
    let told = steps(&said);
    assert!(told.contains(&"eu-1 activate: done changed".to_owned()), "{said}");
    assert!(!told.iter().any(|step| step.ends_with("delete")), "{said}");
    assert!(has_files(&gateways, "eu-1") && has_files(&gateways, "eu-2"));
    said.assert(said.code, &["eu-2"]);
    gateways.ssh.node("eu-2").wire.listen().await;
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(
        steps(&said)[..4],
        ["eu-2 activate", "eu-2 activate: done changed", "eu fence", "eu fence: done unchanged"]
    );
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    assert_served(probers);
}

#[tokio::test]
async fn a_stopped_kong_is_edited_and_not_started_and_starts_without_it() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    gateways.api("eu-1").make("/plugins", &json!({ "name": "acme-auth" }));
    gateways.node("eu-2").stop().unwrap();
    want(&gateways, &[DELETE]);
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said}");
    let told = steps(&said);
    let at = |what: &str| told.iter().position(|step| step == what).unwrap_or_else(|| panic!("{what}: {told:?}"));
    assert!(at("eu un-apply: done changed") < at("eu-1 activate"), "{told:?}");
    assert!(at("eu-2 activate: done edited").max(at("eu-1 activate: done changed")) < at("eu fence"), "{told:?}");
    assert!(at("eu fence: done unchanged") < at("eu-1 delete").min(at("eu-2 delete")), "{told:?}");
    assert_eq!(gateways.proxied("eu-2").await, None, "it was started");
    assert_no_files(&gateways, "eu-1");
    assert_no_files(&gateways, "eu-2");
    assert!(!fs::read_to_string(&gateways.node("eu-2").conf).unwrap().contains("acme-auth"));
    gateways.muster(&["--plan", "--detailed-exitcode"]).await.assert(0, &[]);
    next_second().await;
    gateways.node("eu-2").start().unwrap();
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn one_selected_node_loses_no_row_and_no_file() {
    let Some(gateways) = installed(&["eu-1", "eu-2", "eu-3"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let said = gateways.muster(&["--apply", "--cluster", "eu", "--node", "eu-3"]).await;
    said.assert(3, &["a selection leaves out eu-[1,2]", "muster --plan --cluster eu", "verdict: not reached, exit 3"]);
    assert!(!said.out.contains("DELETES"), "{said}");
    assert_eq!(api.rows().len(), 1);
    gateways.assert_serving(Some("1.0.0")).await;
    // Without rows its name may go, and no file.
    let id = api.rows()[0]["id"].as_str().unwrap().to_owned();
    api.send("DELETE", &format!("/plugins/{id}"), None);
    let said = gateways.muster(&["--apply", "--cluster", "eu", "--node", "eu-3", "--format", "json"]).await;
    assert_eq!(steps(&said), ["eu-3 activate", "eu-3 activate: done changed"], "{said}");
    said.assert(3, &[]);
    assert!(["eu-1", "eu-2", "eu-3"].iter().all(|name| has_files(&gateways, name)));
    let versions = [gateways.proxied("eu-1").await.unwrap().1, gateways.proxied("eu-3").await.unwrap().1];
    assert_eq!(versions, [Some("1.0.0".to_owned()), None]);
    gateways.muster(&["--apply", "--cluster", "eu"]).await.assert(0, &["converged"]);
    assert_no_files(&gateways, "eu-3");
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_hand_edit_of_what_is_removed_is_kept_and_said() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let file = gateways.node("eu-2").lua_root.join("kong/plugins/acme-auth/handler.lua");
    let edited = handler("1.0.0", "-- a fix of the night\n");
    fs::write(&file, &edited).unwrap();
    want(&gateways, &[ABSENT]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["eu-2  acme-auth was edited by hand; what was there is now ", "converged"]);
    assert_eq!(said.out.matches("edited by hand").count(), 1, "{said}");
    let kept = fs::read_dir(gateways.home("eu-2").join("attic")).unwrap().flatten().map(|entry| entry.path());
    let kept: Vec<_> = kept.collect();
    let found = std::process::Command::new("grep").arg("-rl").arg("a fix of the night").args(&kept).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout).lines().count(), 1, "{kept:?}");
    let told = kept.iter().any(|path| said.out.contains(&format!("is now {}\n", path.display())));
    assert!(told, "{kept:?}\n{said}");
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
    }
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn the_gentle_way_disables_first_and_deletes_in_a_later_run() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    // Kong counts in seconds.
    want(&gateways, &["acme-auth: { state: absent, unapply: { disable: 1s } }"]);
    let probers = gateways.probers();
    let plan = gateways.muster(&["--plan"]).await;
    assert!(plan.out.starts_with("DISABLES 3 rows"), "{plan}");
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!(steps(&said), ["eu un-apply", "eu un-apply: done changed"], "{said}");
    said.assert(3, &["all disabled"]);
    let rows = api.rows_of("acme-auth");
    assert_eq!((rows.len(), rows.iter().filter(|row| row["enabled"] == true).count()), (4, 0));
    gateways.assert_serving(Some("1.0.0")).await;
    next_second().await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 4 rows", "converged"]);
    assert_eq!(api.rows_of("acme-auth").len(), 0);
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    assert_served(probers);
}

#[tokio::test]
async fn rows_that_rest_for_a_day_are_not_deleted_today_and_those_that_are_only_disabled_never() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &["acme-auth: { state: absent, unapply: { disable: 24h } }"]);
    gateways.muster(&["--apply", "--all"]).await.assert(3, &["DISABLES 1 row", "not reached, exit 3"]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["its rows are disabled, and stay so for 1d", "plan again in"]);
    want(&gateways, &["acme-auth: { state: absent, unapply: disable }"]);
    for _ in 0..2 {
        let said = gateways.muster(&["--apply", "--all"]).await;
        said.assert(3, &["its rows are disabled", "unapply: delete", "exit 3"]);
    }
    assert_eq!(api.rows_of("acme-auth").len(), 1);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn what_a_file_of_the_repository_declares_holds_it_until_it_is_taken_out_there() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    want(&gateways, &[DELETE]);
    let inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let topology = "topology: traditional\n";
    let inventory = inventory.replace(topology, &format!("{topology}    declared_in: [deck/eu.yaml]\n"));
    let deck =
        "_format_version: \"3.0\"\nservices:\n- name: billing\n  plugins:\n  - name: acme-auth\n  - name: cors\n";
    gateways.commit(&[("inventory.yaml", &inventory), ("deck/eu.yaml", deck)], "decK");
    let words = ["acme-auth is absent on eu, and deck/eu.yaml:5:11 declares it", "nothing else was found"];
    gateways.muster(&["check"]).await.assert(0, &words);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["deck/eu.yaml:5:11", "take it out there", "not reached, exit 3"]);
    assert!(!said.out.contains("DELETES"), "{said}");
    assert_eq!(api.rows().len(), 1);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.commit(&[("deck/eu.yaml", &deck.replace("  - name: acme-auth\n", ""))], "taken out");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 1 row", "converged"]);
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn files_of_a_shared_lua_root_outlive_the_last_node_that_reads_them() {
    let clusters: &[(&str, &[&str])] = &[("eu", &["eu-1"]), ("us", &["us-1"])];
    let Some(gateways) = Gateways::start(clusters, |spec| spec).await else { return };
    let root = |name: &str| gateways.node(name).lua_root.display().to_string();
    let plugins = |text: &str, cluster: &str, line: &str| {
        let (before, after) = text.split_once(&format!("  {cluster}:\n")).unwrap();
        let after = after.replacen("    plugins:\n", &format!("    plugins:\n      {line}\n"), 1);
        format!("{before}  {cluster}:\n{after}")
    };
    let wanted = |bundle: bool, out: bool, lines: &[(&str, &str)]| {
        let bundles: &[&str] =
            if bundle { &["acme-auth: { dir: plugins/acme-auth }"] } else { &["x: { dir: plugins/acme-auth }"] };
        let mut text = gateways.inventory(&Wanted { bundles, plugins: &[], rollout: IN_TURN });
        text = text.replace(&root("us-1"), &root("eu-1"));
        if out {
            text = text.replace("us-1: {", "us-1: { out: \"later\",");
        }
        for (cluster, line) in lines {
            text = plugins(&text, cluster, line);
        }
        gateways.commit(&[("inventory.yaml", &text)], "another inventory");
    };
    gateways.want("1.0.0");
    wanted(true, true, &[("eu", "acme-auth: present")]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    // Somebody lets another gateway read the same files.
    let conf = &gateways.node("us-1").conf;
    let text = fs::read_to_string(conf).unwrap().replace(&root("us-1"), &root("eu-1"));
    fs::write(conf, text.replace("plugins = bundled", "plugins = bundled,acme-auth")).unwrap();
    gateways.node("us-1").stop().unwrap();
    next_second().await;
    gateways.node("us-1").start().unwrap();
    gateways.assert_serving(Some("1.0.0")).await;
    let probers = gateways.probers();

    wanted(false, false, &[("eu", DELETE), ("us", DELETE)]);
    let said = gateways.muster(&["--apply", "--cluster", "eu"]).await;
    let words = "us-1 (acme-auth is still in its directive; it has the same Lua root as eu-1)";
    assert!(one_line(&said.out).contains(words), "{said}");
    said.assert(3, &["1 of 1 node proven", "exit 3"]);
    assert!(has_files(&gateways, "eu-1"));
    assert_eq!(gateways.proxied("us-1").await.unwrap().1.as_deref(), Some("1.0.0"));
    restart(&gateways, &["us-1", "eu-1"]);
    let said = gateways.muster(&["--apply", "--cluster", "us"]).await;
    said.assert(said.code, &["1 of 1 node proven"]);
    assert!(has_files(&gateways, "eu-1"), "the files of eu-1 went with us-1:\n{said}");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["files deleted", "converged"]);
    assert_no_files(&gateways, "eu-1");
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    drop(probers);
}
