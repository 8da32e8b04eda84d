//! Nodes with a database (measured.md 5, transcripts 05, 05b and 16). A real Kong takes part when `MUSTER_PG` is set.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::gateway::{Gateway, Node, each, told};
use super::probe::wait_until;

/// A real Kong's tests share one database.
static ONE_DATABASE: Mutex<()> = Mutex::new(());

/// `postgres://user:password@host:port/database` as lines of kong.conf.
fn lines_of(url: &str) -> Option<Vec<(&'static str, String)>> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    let (login, place) = rest.split_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (server, database) = place.split_once('/')?;
    let (host, port) = server.split_once(':').unwrap_or((server, "5432"));
    let pairs =
        [("pg_user", user), ("pg_password", password), ("pg_host", host), ("pg_port", port), ("pg_database", database)];
    Some(pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.to_owned())).collect())
}

/// Runs the body on a started node of each gateway that has a database, with the plugin `good` listed and unused.
fn with_database(body: impl Fn(&Gateway, &Node)) {
    let _alone = ONE_DATABASE.lock().unwrap_or_else(PoisonError::into_inner);
    each(|gateway| {
        let mut lines = vec![("database", "postgres".to_owned())];
        if gateway.is_real() {
            let Some(url) = told("MUSTER_PG") else {
                super::gateway::skip("MUSTER_PG is not set");
                return;
            };
            lines.extend(lines_of(&url).expect("MUSTER_PG is postgres://user:password@host:port/database"));
        }
        let lines: Vec<(&str, &str)> = lines.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let node = gateway.bare(&lines, "bundled,good");
        node.write_plugin("good", "1.0.0");
        if gateway.is_real() {
            // Either has nothing to do on a database that is up to date.
            let _ = node.kong(&["migrations", "bootstrap", "-c", node.conf.to_str().unwrap()]);
            let _ = node.kong(&["migrations", "up", "-c", node.conf.to_str().unwrap()]);
        }
        let node = node.started();
        remove_all(&node);
        body(gateway, &node);
        remove_all(&node);
    });
}

fn rows(node: &Node) -> Vec<Value> {
    node.admin("/plugins?size=1000").json()["data"].as_array().cloned().unwrap_or_default()
}

fn remove_all(node: &Node) {
    for row in node
        .ask("GET", "/plugins?size=1000", "")
        .map(|answer| answer.json()["data"].as_array().cloned().unwrap_or_default())
        .unwrap_or_default()
    {
        node.ask("DELETE", &format!("/plugins/{}", row["id"].as_str().unwrap()), "");
    }
}

fn apply(node: &Node, name: &str) -> String {
    let answer = node.ask("POST", "/plugins", &format!("name={name}")).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_plugin_that_is_not_loaded_cannot_be_applied_and_one_only_once() {
    with_database(|_, node| {
        let answer = node.ask("POST", "/plugins", "name=other").unwrap();
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_i64()), (400, Some(2)));
        assert_eq!(
            body["message"],
            "schema violation (name: plugin 'other' not enabled; add it to the 'plugins' configuration property)"
        );
        apply(node, "good");
        let again = node.ask("POST", "/plugins", "name=good").unwrap();
        assert_eq!((again.status, again.json()["code"].as_i64()), (409, Some(5)));
    });
}

#[test]
fn listing_pages_and_ignores_a_name() {
    with_database(|_, node| {
        for name in ["good", "cors", "key-auth"] {
            apply(node, name);
        }
        assert_eq!(node.admin("/plugins?name=nosuch&foo=bar").json()["data"].as_array().unwrap().len(), 3);
        let mut names = Vec::new();
        let mut next = Some("/plugins?size=2".to_owned());
        while let Some(path) = next {
            let page = node.admin(&path).json();
            names.extend(page["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            next = page["next"].as_str().map(str::to_owned);
        }
        names.sort();
        assert_eq!(names, ["cors", "good", "key-auth"]);
        for (path, code) in [("/plugins?size=0", 9), ("/plugins?size=1001", 9), ("/plugins?offset=bogus", 7)] {
            let answer = node.admin(path);
            assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(code)), "{path}");
        }
    });
}

#[test]
fn deleting_answers_204_for_anything_so_that_only_a_listing_tells() {
    with_database(|_, node| {
        let id = apply(node, "good");
        for key in ["good", "not-a-uuid", "b77146b4-1a61-5104-84b1-3198d5885b48"] {
            assert_eq!(node.ask("DELETE", &format!("/plugins/{key}"), "").unwrap().status, 204, "{key}");
        }
        assert_eq!(rows(node).len(), 1);
        assert_eq!(node.ask("DELETE", &format!("/plugins/{id}"), "").unwrap().status, 204);
        assert!(rows(node).is_empty());
    });
}

#[test]
fn a_plugin_in_use_even_disabled_cannot_be_taken_off_the_list() {
    with_database(|_, node| {
        let id = apply(node, "good");
        let patched = node.ask("PATCH", &format!("/plugins/{id}"), "enabled=false").unwrap();
        assert_eq!(patched.status, 200, "{patched:?}");
        let (before, already) = (node.live(), node.log().len());
        node.set("plugins", "bundled");
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the log says why", || {
            node.log()[already..].contains("error building initial plugins: good plugin is in use but not enabled")
        });
        node.wait_idle();
        assert_eq!(node.live(), before);
        assert_eq!(node.root()["plugins"]["available_on_server"]["good"]["version"], "1.0.0");
        assert_eq!(node.ready(), Some(503));
        // The right order: the row, a listing, the directive.
        node.ask("DELETE", &format!("/plugins/{id}"), "");
        assert!(rows(node).is_empty());
        node.reloaded();
        assert_eq!(node.root()["plugins"]["available_on_server"].get("good"), None);
    });
}

#[test]
fn without_the_database_a_reload_fails_after_it_has_rewritten_kong_env() {
    with_database(|gateway, node| {
        if gateway.is_real() {
            super::gateway::skip("a real database is not stopped");
            return;
        }
        let before = node.live();
        node.change(|settings| settings.faults.database_gone = true);
        node.set("plugins", "bundled,good,later");
        node.with_conf("reload")
            .fails("[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: connection refused");
        assert_eq!(node.kept("plugins").as_deref(), Some("bundled,good,later"));
        assert_eq!((node.live(), node.admin("/").status, node.ready()), (before.clone(), 500, Some(503)));
        // A signal of anybody fails now, and readiness stays away when the database is back (protocols.md B5).
        node.hup();
        wait_until("the load failed", || node.log().contains("init_by_lua error:"));
        node.wait_idle();
        node.change(|settings| settings.faults.database_gone = false);
        assert_eq!((node.live(), node.ready()), (before, Some(503)));
        node.set("plugins", "bundled,good");
        node.reloaded();
    });
}

#[test]
fn migrations_of_a_plugin_have_to_run_before_it_loads() {
    with_database(|gateway, node| {
        if gateway.is_real() {
            super::gateway::skip("it would leave a table in a real database");
            return;
        }
        node.write_plugin("tables", "1.0.0");
        node.write("tables/migrations/init.lua", "return { '000_base_tables' }");
        node.set("plugins", "bundled,good,tables");
        let (before, already) = (node.live(), node.log().len());
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the log says why", || {
            node.log()[already..].contains("New migrations available; run 'kong migrations up' to proceed")
        });
        node.wait_idle();
        assert_eq!(node.live(), before);
        let conf = node.conf.display().to_string();
        assert_eq!(node.kong(&["migrations", "list", "-c", &conf]).code, 5);
        assert_eq!(node.kong(&["migrations", "up", "-c", &conf]).code, 0);
        assert_eq!(node.kong(&["migrations", "list", "-c", &conf]).code, 0);
        node.reloaded();
    });
}
