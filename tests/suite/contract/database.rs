//! Nodes with a database (measured.md 5, transcripts 05, 05b and 16). A real Kong takes part when `MUSTER_PG` is set.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::gateway::{Gateway, Node, each, told};
use super::probe::wait_until;

/// A real Kong's tests share one database.
pub(super) static ONE_DATABASE: Mutex<()> = Mutex::new(());

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

/// The lines of a node with a database; none where there is none to be had.
pub(super) fn lines(gateway: &Gateway) -> Option<Vec<(&'static str, String)>> {
    let mut lines = vec![("database", "postgres".to_owned())];
    if gateway.is_real() {
        let Some(url) = told("MUSTER_PG") else {
            super::gateway::skip("MUSTER_PG is not set");
            return None;
        };
        lines.extend(lines_of(&url).expect("MUSTER_PG is postgres://user:password@host:port/database"));
    }
    Some(lines)
}

/// A node with the plugin `good`, not started.
fn node(gateway: &Gateway, lines: &[(&'static str, String)], plugins: &str) -> Node {
    let lines: Vec<(&str, &str)> = lines.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let node = gateway.bare(&lines, plugins);
    node.write_plugin("good", "1.0.0");
    node
}

/// Runs the body on a started node of each gateway that has a database, with the plugin `good` listed and unused.
pub(super) fn with_database(body: impl Fn(&Gateway, &Node)) {
    let _alone = ONE_DATABASE.lock().unwrap_or_else(PoisonError::into_inner);
    each(|gateway| {
        let Some(lines) = lines(gateway) else { return };
        let node = node(gateway, &lines, "bundled,good");
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

/// A second node on the same database, started.
pub(super) fn beside(gateway: &Gateway, first: &Node, plugins: &str) -> Node {
    let second = node(gateway, &lines(gateway).unwrap(), plugins);
    if !gateway.is_real() {
        let database = first.dir.path().join("database.json");
        second.change(|settings| settings.database = Some(database));
    }
    second.started()
}

pub(super) fn rows(node: &Node) -> Vec<Value> {
    node.admin("/plugins?size=1000").json()["data"].as_array().cloned().unwrap_or_default()
}

/// What hangs on something goes before it.
pub(super) fn remove_all(node: &Node) {
    for table in ["plugins", "routes", "services", "consumers"] {
        let listed = node.ask("GET", &format!("/{table}?size=1000"), "").map(|answer| answer.json()["data"].clone());
        for row in listed.and_then(|data| data.as_array().cloned()).unwrap_or_default() {
            node.ask("DELETE", &format!("/{table}/{}", row["id"].as_str().unwrap()), "");
        }
    }
}

/// Makes an entity; its id.
pub(super) fn make(node: &Node, table: &str, form: &str) -> String {
    let answer = node.ask("POST", &format!("/{table}"), form).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn apply(node: &Node, name: &str) -> String {
    make(node, "plugins", &format!("name={name}"))
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

const ID: &str = "b77146b4-1a61-4104-84b1-3198d5885b48";

/// A schema with this field of config.
fn demanding(name: &str, field: &str) -> String {
    format!(
        "return {{ name = \"{name}\", fields = {{ {{ config = {{ type = \"record\", fields = {{ {{ greeting = {{ type = \"string\", default = \"hi\" }} }},\n  \
         {field} }} }} }} }} }}\n"
    )
}

/// Transcript 16: asked about, and not written. A row that was good before is judged by the schema that is loaded now.
#[test]
fn a_row_is_judged_by_the_loaded_schema_without_being_written() {
    with_database(|_, node| {
        let ask = |form: &str| {
            let answer = node.ask("POST", "/schemas/plugins/validate", form).unwrap();
            (answer.status, answer.json())
        };
        let (status, body) = ask("name=good&config.greeting=x");
        assert_eq!((status, body["message"].as_str()), (200, Some("schema validation successful")), "{body}");
        let (status, body) = ask("name=good&config.nope=x");
        assert_eq!((status, body["code"].as_i64()), (400, Some(2)), "{body}");
        assert_eq!(body["message"], "schema violation (config.nope: unknown field)");
        assert_eq!(body["fields"], serde_json::json!({ "config": { "nope": "unknown field" } }));
        let (status, body) = ask("name=nosuch");
        assert_eq!((status, body["code"].as_i64()), (400, Some(2)), "{body}");
        assert!(body["fields"]["name"].as_str().unwrap().contains("not enabled; add it"), "{body}");
        assert!(rows(node).is_empty(), "nothing was written");
        let refused = node.ask("POST", "/plugins", "name=good&config.nope=x").unwrap();
        assert_eq!(
            (refused.status, refused.json()["code"].as_i64()),
            (400, Some(2)),
            "what is written is judged alike"
        );

        apply(node, "good");
        node.write("good/schema.lua", &demanding("good", "{ realm = { type = \"string\", required = true } }"));
        node.reloaded();
        let listed = rows(node).remove(0);
        assert_eq!(listed["config"]["greeting"], "hi");
        let answer = super::probe::json(node.address, 8001, "/schemas/plugins/validate", &listed).unwrap();
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_i64()), (400, Some(2)), "the row as it is listed: {body}");
        assert_eq!(body["fields"]["config"]["realm"], "required field missing", "{body}");
        // What has a default fits, and so does the whole row with its id, scope and times.
        let field =
            "{ realm = { type = \"string\", required = true, default = \"all\", one_of = { \"all\", \"none\" } } }";
        node.write("good/schema.lua", &demanding("good", field));
        node.reloaded();
        let mut listed = rows(node).remove(0);
        let answer = super::probe::json(node.address, 8001, "/schemas/plugins/validate", &listed).unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        listed["config"]["realm"] = "some".into();
        let answer = super::probe::json(node.address, 8001, "/schemas/plugins/validate", &listed).unwrap();
        assert_eq!(answer.json()["fields"]["config"]["realm"], "expected one of: all, none");
        listed["config"]["realm"] = 7.into();
        let answer = super::probe::json(node.address, 8001, "/schemas/plugins/validate", &listed).unwrap();
        assert_eq!(answer.json()["fields"]["config"]["realm"], "expected a string");
    });
}

/// How rows come back: Kong's kong/api/endpoints.lua, `put_entity_endpoint`.
#[test]
fn putting_makes_a_row_with_that_id_or_replaces_it() {
    with_database(|_, node| {
        let put = |id: &str, form: &str| {
            let answer = node.ask("PUT", &format!("/plugins/{id}"), form).unwrap();
            (answer.status, answer.json())
        };
        let (status, row) = put(ID, "name=good&config.greeting=ho&enabled=false");
        assert_eq!((status, row["id"].as_str(), row["enabled"].as_bool()), (200, Some(ID), Some(false)), "{row}");
        assert_eq!(row["config"]["greeting"], "ho");
        let (status, row) = put(ID, "name=good");
        assert_eq!(
            (status, row["config"]["greeting"].as_str(), row["enabled"].as_bool()),
            (200, Some("hi"), Some(true))
        );
        assert_eq!(rows(node).len(), 1);
        let other = ID.replace('7', "8");
        let (status, body) = put(&other, "name=good");
        assert_eq!((status, body["code"].as_i64()), (409, Some(5)), "{body}");
        let (status, body) = put(&other, "name=nosuch");
        assert_eq!((status, body["code"].as_i64()), (400, Some(2)), "{body}");
        assert!(body["message"].as_str().unwrap().contains("not enabled; add it"), "{body}");
        let (status, body) = put(&other, &format!("name=good&service.id={ID}"));
        assert_eq!((status, body["code"].as_i64()), (400, Some(4)), "{body}");
    });
}

#[test]
fn what_a_row_hangs_on_takes_it_along() {
    with_database(|_, node| {
        let service = make(node, "services", "name=billing&url=http://127.0.0.1:9");
        let route = make(node, "routes", &format!("name=login&paths[]=/&service.id={service}"));
        let consumer = make(node, "consumers", "username=ann");
        for (table, id) in [("services", &service), ("routes", &route)] {
            make(node, &format!("{table}/{id}/plugins"), "name=good");
        }
        make(node, &format!("consumers/{consumer}/plugins"), "name=rate-limiting&config.minute=5");
        assert_eq!(rows(node).len(), 3);
        let refused = node.ask("DELETE", &format!("/services/{service}"), "").unwrap();
        assert_eq!((refused.status, refused.json()["code"].as_i64()), (400, Some(4)), "a service with routes stays");
        for (path, left) in [
            (format!("/routes/{route}"), 2),
            (format!("/services/{service}"), 1),
            (format!("/consumers/{consumer}"), 0),
        ] {
            assert_eq!(node.ask("DELETE", &path, "").unwrap().status, 204, "{path}");
            assert_eq!(rows(node).len(), left, "{path}");
        }
    });
}

/// measured.md 5: one database, two nodes, of which one does not list a plugin that is used through the other.
#[test]
fn a_node_that_does_not_list_what_is_used_freezes_and_would_not_start() {
    with_database(|gateway, node| {
        let second = beside(gateway, node, "bundled,good");
        node.write_plugin("extra", "1.0.0");
        node.set("plugins", "bundled,good,extra");
        node.reloaded();
        make(node, "routes", &format!("paths[]=/&service.id={}", make(node, "services", "url=http://127.0.0.1:9")));
        let good = apply(node, "good");
        let runs = |node: &Node| node.proxy("/").is_some_and(|answer| answer.header("X-good").is_some());
        wait_until("both nodes run it", || runs(node) && runs(&second));
        assert_eq!(second.ask("POST", "/plugins", "name=extra").unwrap().status, 400);
        let extra = apply(node, "extra");
        // Every node's Admin API shows it at once, whatever its workers act on.
        assert_eq!(rows(&second).len(), 2);
        wait_until("the log says that it froze", || {
            runs(&second) && second.log().contains("extra plugin is in use but not enabled")
        });
        node.ask("DELETE", &format!("/plugins/{good}"), "");
        wait_until("the first node drops it", || !runs(node));
        assert!(runs(&second), "no change of any plugin arrives any more");
        assert_eq!(second.ready(), Some(200), "and nothing shows it");
        let before = second.live();
        second.with_conf("reload").says("Kong reloaded\n");
        wait_until("the load failed", || second.log().contains("error building initial plugins"));
        second.wait_idle();
        assert_eq!(second.live(), before);
        let restarted = second.with_conf("restart");
        assert!(restarted.code == 1 && second.proxy("/").is_none(), "{restarted:?}");
        // Listing it there cures it, without the row's having gone.
        second.write_plugin("extra", "1.0.0");
        second.set("plugins", "bundled,good,extra");
        let second = second.started();
        assert!(!runs(&second));
        node.ask("DELETE", &format!("/plugins/{extra}"), "");
    });
}

#[test]
fn a_deleted_row_acts_for_a_while_on_every_node() {
    with_database(|gateway, node| {
        if gateway.is_real() {
            super::gateway::skip("how long it takes there was measured (5 to 8.6 s)");
            return;
        }
        let second = beside(gateway, node, "bundled,good");
        let id = apply(node, "good");
        let runs = |node: &Node| node.proxy("/").is_some_and(|answer| answer.header("X-good").is_some());
        wait_until("both nodes run it", || runs(node) && runs(&second));
        // From here on no worker looks at the database until this is taken back.
        second.change(|settings| settings.propagation = 3600.0);
        node.ask("DELETE", &format!("/plugins/{id}"), "");
        assert!(rows(&second).is_empty(), "its own Admin API shows it gone at once");
        assert!(runs(&second) && !runs(node));
        second.change(|settings| settings.propagation = 0.0);
        wait_until("it has arrived", || !runs(&second));
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
