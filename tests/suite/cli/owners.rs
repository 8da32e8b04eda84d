//! Two teams on one cluster, and two runs at one moment.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::removal::{DELETE, IN_TURN, assert_no_files, assert_served, has_files, installed, want};
use crate::harness::gateways::{handler, schema};
use crate::harness::{Gateways, Wanted};

/// The inventory of the team apps, with this owner's line and these bundles and plugins.
fn inventory(gateways: &Gateways, owner: &str, bundles: &[&str], plugins: &[&str]) -> String {
    let text = gateways.inventory(&Wanted { bundles, plugins, rollout: IN_TURN });
    text.replace("owner: edge\n", &format!("owner: {owner}\n"))
}

const AUTH: &str = "acme-auth: { dir: plugins/acme-auth }";
const TAG: &str = "tag: { dir: plugins/tag }";

/// acme-auth is that of edge, tag is that of apps; both are installed.
async fn two_teams(names: &[&str]) -> Option<Gateways> {
    let gateways = installed(names).await?;
    let files = [
        ("plugins/tag/handler.lua", handler("0.3.0", "")),
        ("plugins/tag/schema.lua", schema("tag")),
        ("apps.yaml", inventory(&gateways, "apps", &[TAG], &["tag: present"])),
    ];
    gateways.commit(&files.each_ref().map(|(file, text)| (*file, text.as_str())), "apps");
    let said = gateways.muster(&["--apply", "--all", "--inventory", "apps.yaml"]).await;
    said.assert(0, &["tag 0.3.0", "converged"]);
    Some(gateways)
}

fn edge(gateways: &Gateways, owner: &str, bundles: &[&str], plugins: &[&str]) {
    gateways.commit(&[("inventory.yaml", &inventory(gateways, owner, bundles, plugins))], "edge");
}

fn apps(gateways: &Gateways, bundles: &[&str], plugins: &[&str]) {
    gateways.commit(&[("apps.yaml", &inventory(gateways, "apps", bundles, plugins))], "apps");
}

/// The plugins that the workers have loaded, without Kong's own.
fn loaded(gateways: &Gateways, name: &str) -> BTreeSet<String> {
    let (_, root) = gateways.api(name).send("GET", "/", None);
    let available = root["plugins"]["available_on_server"].as_object().unwrap();
    available.keys().filter(|name| ["acme-auth", "tag"].contains(&name.as_str())).cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn assert_both_in_line(gateways: &Gateways) {
    gateways.assert_in_line().await;
    let said = gateways.muster(&["--plan", "--detailed-exitcode", "--inventory", "apps.yaml"]).await;
    assert_eq!(said.code, 0, "apps is not in line:\n{said}");
}

#[tokio::test]
async fn each_team_touches_only_its_own() {
    let Some(gateways) = two_teams(&["eu-1", "eu-2"]).await else { return };
    assert_both_in_line(&gateways).await;
    assert_eq!(loaded(&gateways, "eu-1"), set(&["acme-auth", "tag"]));
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    api.make("/plugins", &json!({ "name": "tag" }));
    let probers = gateways.probers();
    edge(&gateways, "edge", &[TAG], &[DELETE]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["DELETES 1 row; deletes files on 2 nodes; reloads 2 gateways", "converged"]);
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
        assert_eq!(loaded(&gateways, name), set(&["tag"]));
        assert!(gateways.node(name).lua_root.join("kong/plugins/tag/handler.lua").is_file());
    }
    let rows: Vec<Value> = api.rows();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), ["tag"]);
    assert_both_in_line(&gateways).await;
    assert_served(probers);
}

#[tokio::test]
async fn one_name_under_two_owners_is_left_alone_whatever_is_wanted_of_it() {
    let Some(gateways) = two_teams(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    let before = fs::read_to_string(gateways.home("eu-1").join("state/manifest")).unwrap();
    // The other team wants it, in another version; or does not want it.
    gateways.commit(&[("plugins/acme-auth/handler.lua", &handler("9.0.0", ""))], "another acme-auth");
    for (bundles, plugins) in
        [(&[TAG, AUTH], &["tag: present", "acme-auth: present"]), (&[TAG, TAG], &["tag: present", DELETE])]
    {
        let bundles: BTreeSet<&str> = bundles.iter().copied().collect();
        apps(&gateways, &bundles.into_iter().collect::<Vec<_>>(), plugins);
        let said = gateways.muster(&["--apply", "--all", "--inventory", "apps.yaml"]).await;
        said.assert(said.code, &["other-owner", "edge", "agree who has it; one of you drops it"]);
        assert!([3, 6].contains(&said.code) && !said.out.contains("DELETES"), "{said}");
    }
    assert_eq!(api.rows().len(), 1);
    assert_eq!(fs::read_to_string(gateways.home("eu-1").join("state/manifest")).unwrap(), before);
    assert!(has_files(&gateways, "eu-1"));
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn pruning_takes_what_left_the_own_inventory_and_leaves_that_of_the_others() {
    let Some(gateways) = two_teams(&["eu-1", "eu-2"]).await else { return };
    // Without the word it is only shown.
    edge(&gateways, "edge", &[TAG], &[]);
    gateways.muster(&["--plan", "--detailed-exitcode"]).await.assert(0, &["orphan", "acme-auth"]);
    edge(&gateways, "edge\nprune: true", &[TAG], &[]);
    let api = gateways.api("eu-1");
    api.make("/plugins", &json!({ "name": "acme-auth" }));
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["acme-auth is held on eu: 1 row uses it", "global", "state: absent, unapply: delete"]);
    gateways.assert_serving(Some("1.0.0")).await;
    let id = api.rows()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.send("DELETE", &format!("/plugins/{id}"), None).0, 204);
    let probers = gateways.probers();
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["deletes files on 2 nodes", "converged"]);
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
        assert_eq!(loaded(&gateways, name), set(&["tag"]));
    }
    assert_both_in_line(&gateways).await;
    assert_served(probers);
}

/// The runs that left a receipt on a node.
fn runs_on(gateways: &Gateways, name: &str) -> BTreeSet<String> {
    let receipts = fs::read_dir(gateways.home(name).join("state/receipts")).unwrap().flatten();
    receipts.map(|entry| entry.file_name().to_str().unwrap().split('.').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn of_two_runs_at_one_moment_one_works_and_the_other_ends_at_once_and_names_it() {
    let names = ["eu-1", "eu-2", "eu-3"];
    let Some(gateways) = installed(&names).await else { return };
    let probers = gateways.probers();
    for name in names {
        gateways.node(name).change(|settings| settings.faults.slow_load = 1.0).unwrap();
    }
    for plugins in [&["acme-auth: { state: absent, unapply: delete }"], &["acme-auth: present"]] {
        want(&gateways, plugins);
        let before: Vec<_> = names.iter().map(|name| runs_on(&gateways, name)).collect();
        let calls = [gateways.begin(&["--apply", "--all"]), gateways.begin(&["--apply", "--all"])];
        let [first, second] = calls;
        let (first, second) = tokio::join!(first.said(), second.said());
        let (won, lost) = if first.code == 0 { (first, second) } else { (second, first) };
        won.assert(0, &["3 of 3 nodes proven", "verdict: converged"]);
        let run = won.out.lines().find_map(|line| line.split(" run ").nth(1)?.split(' ').next()).unwrap().to_owned();
        lost.assert(5, &["eu-", "@", &run, "wait for that run", "verdict: locked, exit 5"]);
        assert!(!lost.out.contains("committed") && !lost.out.contains("activating"), "{lost}");
        for (name, before) in names.iter().zip(before) {
            let new: BTreeSet<String> = runs_on(&gateways, name).difference(&before).cloned().collect();
            assert_eq!(new, BTreeSet::from([run.clone()]), "{name}");
        }
        gateways.assert_in_line().await;
    }
    gateways.assert_serving(Some("1.0.0")).await;
    assert_served(probers);
}
