//! Workspaces of an Enterprise node: rows of one are not seen from another, and a path without one means `default`
//! (facts.md C4, [DOC]: nothing of it was measured).
//!
//! In the database a row says its workspace by `ws_id`, those of `default` do not; answers never show it.

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::rows::Database;
use super::worker::Node;
use super::{Settings, admin, clock, rbac};

/// The table in the database, which holds all but `default`.
const TABLE: &str = "workspaces";

/// The id of the workspace that is always there.
const DEFAULT_ID: &str = "00000000-0000-4000-8000-0000000000d0";

/// Whose rows are shown and changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Workspace {
    /// `None`: `default`, or the one of a node that knows none.
    pub(super) id: Option<String>,
}

impl Workspace {
    /// Whether the row is one of this workspace.
    pub(super) fn holds(&self, row: &Value) -> bool {
        row["ws_id"].as_str() == self.id.as_deref()
    }

    /// Puts a new row into this workspace.
    pub(super) fn mark(&self, row: &mut Value) {
        if let Some(id) = &self.id {
            row["ws_id"] = id.as_str().into();
        }
    }
}

/// One request to the Admin API of an Enterprise node.
pub(super) fn answer(node: &Node, settings: &Settings, request: &Request) -> Response {
    let all = listed(settings);
    let mut parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let named = parts.first().and_then(|first| all.iter().find(|row| row["name"] == *first));
    let name = named.and_then(|row| row["name"].as_str()).unwrap_or("default").to_owned();
    let workspace = Workspace {
        id: named.map(|row| &row["id"]).and_then(Value::as_str).filter(|id| *id != DEFAULT_ID).map(str::to_owned),
    };
    if named.is_some() {
        parts.remove(0);
    }
    let endpoint = format!("/{}", parts.join("/"));
    if let Err(refused) = rbac::admitted(settings, request, &name, &endpoint) {
        return refused;
    }
    let response = match parts.as_slice() {
        [TABLE, rest @ ..] => table(settings, request, &all, rest),
        ["rbac", rest @ ..] => rbac::answer(settings, rest),
        ["license", "report"] => Response::json(200, &license(settings, &all)),
        _ => {
            let inner = Request { path: endpoint, ..request.clone() };
            admin::within(node, settings, &inner, &workspace)
        }
    };
    hidden(response, named.is_some().then_some(name.as_str()))
}

/// Every workspace, `default` first.
fn listed(settings: &Settings) -> Vec<Value> {
    let mut all =
        vec![json!({ "id": DEFAULT_ID, "name": "default", "comment": null, "created_at": 1, "updated_at": 1 })];
    let others = settings.reachable_database().and_then(|path| Database::at(path).table(TABLE).ok());
    all.extend(others.unwrap_or_default());
    all
}

/// `/workspaces`: list, look, make, remove.
fn table(settings: &Settings, request: &Request, all: &[Value], rest: &[&str]) -> Response {
    let Some(database) = settings.reachable_database().map(Database::at) else {
        return Response::message(500, "An unexpected error occurred");
    };
    let find = |key: &str| all.iter().find(|row| row["id"] == key || row["name"] == key);
    match (request.method.as_str(), rest) {
        ("GET" | "HEAD", []) => Response::json(200, &json!({ "data": all, "next": null })),
        ("GET" | "HEAD", [key]) => {
            find(key).map_or_else(|| Response::message(404, "Not found"), |row| Response::json(200, row))
        }
        ("POST", []) => make(&database, request, all),
        ("DELETE", [key]) => {
            let gone = find(key).map(|row| row["id"].clone());
            let kept = |row: &Value| Some(&row["id"]) != gone.as_ref();
            let done = database.change(|all| {
                if let Some(rows) = all.get_mut(TABLE).and_then(Value::as_array_mut) {
                    rows.retain(kept);
                }
            });
            done.map_or_else(|_| Response::message(500, "An unexpected error occurred"), |()| Response::empty())
        }
        _ => Response::message(404, "Not found"),
    }
}

fn make(database: &Database, request: &Request, all: &[Value]) -> Response {
    let given = super::entities::fields(request);
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || all.iter().any(|row| row["name"] == name) {
        return Response::json(
            409,
            &json!({ "code": 5, "name": "unique constraint violation", "fields": { "name": name } }),
        );
    }
    let now = clock::unix_seconds();
    let row = json!({ "id": clock::uuid(), "name": name, "comment": null, "created_at": now, "updated_at": now });
    let added = row.clone();
    let done = database.change(|all| {
        if let Some(rows) = all.entry(TABLE).or_insert_with(|| json!([])).as_array_mut() {
            rows.push(added);
        }
    });
    done.map_or_else(|_| Response::message(500, "An unexpected error occurred"), |()| Response::json(201, &row))
}

fn license(settings: &Settings, all: &[Value]) -> Value {
    json!({
        "license": { "license_expiration_date": "2099-12-31", "license_key": "STAND-IN" },
        "kong_version": settings.version,
        "db_version": "postgres 15.0",
        "workspaces_count": all.len(),
        "rbac_users": settings.rbac.len(),
    })
}

/// The answer without the marks of workspaces; the next page is found where this one was.
fn hidden(response: Response, prefix: Option<&str>) -> Response {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return response };
    let strip = |row: &mut Value| drop(row.as_object_mut().map(|row| row.shift_remove("ws_id")));
    strip(&mut body);
    body.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten().for_each(strip);
    if let (Some(prefix), Some(next)) = (prefix, body.get("next").and_then(Value::as_str)) {
        body["next"] = format!("/{prefix}{next}").into();
    }
    Response { body: body.to_string().into_bytes(), ..response }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_belongs_to_one_workspace_and_never_says_so() {
        let team = Workspace { id: Some("t".into()) };
        let mut row = json!({ "id": "1" });
        assert!(Workspace::default().holds(&row) && !team.holds(&row));
        team.mark(&mut row);
        assert!(team.holds(&row) && !Workspace::default().holds(&row));
        let page = json!({ "data": [row], "next": "/plugins?offset=o1" });
        let shown = hidden(Response::json(200, &page), Some("team"));
        let shown: Value = serde_json::from_slice(&shown.body).unwrap();
        assert_eq!(shown, json!({ "data": [{ "id": "1" }], "next": "/team/plugins?offset=o1" }));
    }
}
