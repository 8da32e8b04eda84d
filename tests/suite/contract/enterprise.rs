//! Enterprise as its documentation has it (facts.md C3, C4 and C6, [DOC]): workspaces, RBAC, consumer groups. No real one was
//! measured and none takes part: what is asserted here is what muster is built against, not what was seen.

use muster::standin::{Edition, RbacUser, Right};
use serde_json::{Value, json};

use super::database::{lines, make};
use super::gateway::{Gateway, Node, each, skip};
use super::probe::wait_until;

/// A started Enterprise node with the plugin `good`, on each release that is imitated.
fn with_enterprise(body: impl Fn(&Node)) {
    each(|gateway: &Gateway| {
        if gateway.is_real() {
            skip("no Enterprise was measured");
            return;
        }
        let lines = lines(gateway).unwrap();
        let lines: Vec<(&str, &str)> = lines.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let node = gateway.bare(&lines, "bundled,good");
        node.write_plugin("good", "1.0.0");
        node.change(|settings| {
            settings.edition = Edition::Enterprise;
            settings.version = format!("{}.2", gateway.version);
        });
        body(&node.started());
    });
}

fn names(node: &Node, path: &str) -> Vec<String> {
    let page = node.admin(path).json();
    let rows = page["data"].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_edition_and_the_release_are_told() {
    with_enterprise(|node| {
        let root = node.root();
        let version = root["version"].as_str().unwrap();
        assert_eq!(version.split('.').count(), 4);
        assert_eq!(node.kong(&["version"]).out, format!("Kong Enterprise {version}\n"));
        // From 3.6 (facts.md C1).
        let edition = root.get("edition").and_then(Value::as_str);
        assert_eq!(edition, (!version.starts_with("3.4")).then_some("enterprise"));
        assert!(node.admin("/license/report").json()["license"]["license_expiration_date"].is_string());
    });
}

#[test]
fn rows_of_a_workspace_are_not_seen_from_another() {
    with_enterprise(|node| {
        assert_eq!(names(node, "/workspaces"), ["default"]);
        make(node, "workspaces", "name=team");
        assert_eq!(names(node, "/workspaces"), ["default", "team"]);
        make(node, "plugins", "name=good");
        let id = make(node, "team/plugins", "name=good");
        make(node, "team/plugins", "name=cors");
        assert_eq!((names(node, "/plugins").len(), names(node, "/default/plugins").len()), (1, 1));
        assert_eq!(names(node, "/team/plugins"), ["good", "cors"]);
        assert_eq!(node.admin(&format!("/plugins/{id}")).status, 404);
        assert_eq!(node.admin(&format!("/team/plugins/{id}")).json().get("ws_id"), None);
        assert_eq!(node.admin("/nosuch/plugins").status, 404);
        let page = node.admin("/team/plugins?size=1").json();
        assert!(page["next"].as_str().unwrap().starts_with("/team/plugins?"), "{page}");
        assert_eq!(names(node, page["next"].as_str().unwrap()), ["cors"]);
        // A deletion through the wrong workspace is 204 as any other, and deletes nothing.
        assert_eq!(node.ask("DELETE", &format!("/plugins/{id}"), "").unwrap().status, 204);
        assert_eq!(names(node, "/team/plugins"), ["good", "cors"]);
        assert_eq!(node.root()["plugins"]["enabled_in_cluster"], json!(["good"]), "of the default workspace alone");
    });
}

/// facts.md B4: any workspace.
#[test]
fn a_row_in_any_workspace_makes_the_reload_fail() {
    with_enterprise(|node| {
        make(node, "workspaces", "name=team");
        make(node, "team/plugins", "name=good&enabled=false");
        assert!(names(node, "/plugins").is_empty(), "nothing to be seen here");
        let before = node.live();
        node.set("plugins", "bundled");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the log says why", || node.log().contains("good plugin is in use but not enabled"));
        node.wait_idle();
        assert_eq!(node.live(), before);
    });
}

#[test]
fn a_consumer_group_has_plugins_of_its_own() {
    with_enterprise(|node| {
        let group = make(node, "consumer_groups", "name=gold");
        make(node, &format!("consumer_groups/{group}/plugins"), "name=good");
        let row = node.admin("/plugins").json()["data"][0].clone();
        assert_eq!((row["name"].as_str(), row["consumer_group"]["id"].as_str()), (Some("good"), Some(group.as_str())));
        make(node, "plugins", "name=good");
        assert_eq!(node.ask("DELETE", &format!("/consumer_groups/{group}"), "").unwrap().status, 204);
        assert_eq!(names(node, "/plugins"), ["good"], "what hung on it went with it");
    });
}

#[test]
fn there_are_no_workspaces_and_no_consumer_groups_without_enterprise() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]).started();
        for path in ["/workspaces", "/default/plugins", "/consumer_groups", "/rbac/users"] {
            assert_eq!(node.admin(path).status, 404, "{path}");
        }
    });
}

fn right(workspace: &str, endpoint: &str, actions: &[&str]) -> Right {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Right { workspace: workspace.into(), endpoint: endpoint.into(), actions, negative: false }
}

#[test]
fn without_a_token_nothing_is_told_and_with_few_rights_little() {
    with_enterprise(|node| {
        make(node, "workspaces", "name=team");
        node.change(|settings| {
            let all = ["read", "create", "update", "delete"];
            let users = [("admin", right("*", "*", &all)), ("reader", right("team", "*", &["read"]))];
            settings.rbac = users
                .map(|(name, right)| RbacUser {
                    name: name.into(),
                    token: format!("{name}-token"),
                    rights: vec![right],
                })
                .into();
        });
        let ask = |method: &str, path: &str, token: &str, body: &str| {
            let headers = [("Kong-Admin-Token", token)];
            let answer = super::probe::request_with(node.address, 8001, method, path, &headers, body).unwrap();
            let message = answer.json().get("message").and_then(Value::as_str).map(str::to_owned);
            (answer.status, message)
        };
        let unknown = (401, Some("Invalid RBAC credentials".to_owned()));
        for (path, token) in [("/", ""), ("/plugins", ""), ("/plugins", "wrong"), ("/plugins", "reader-token")] {
            assert_eq!(ask("GET", path, token, ""), unknown, "{path} {token}");
        }
        assert_eq!(ask("GET", "/team/plugins", "reader-token", ""), (200, None));
        let few = "reader, you do not have permissions to create this resource".to_owned();
        assert_eq!(ask("POST", "/team/plugins", "reader-token", "name=good"), (403, Some(few)));
        assert_eq!(ask("POST", "/team/plugins", "admin-token", "name=good").0, 201);
        assert_eq!(ask("GET", "/rbac/users/reader/permissions", "admin-token", ""), (200, None));
        assert_eq!(node.ready(), Some(200), "the status API asks for nothing");
    });
}
