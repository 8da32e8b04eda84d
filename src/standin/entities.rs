//! Routes of the Admin API that list and change rows.

use serde_json::{Map, Value, json};

use super::admin::Admin;
use super::http::{self, Request, Response};
use super::rows;

/// Tables that plugins can hang on, with the word for one row.
const OWNERS: [(&str, &str); 3] = [("services", "service"), ("routes", "route"), ("consumers", "consumer")];

/// Answers `/TABLE`, `/TABLE/ID` and `/OWNERS/ID/plugins`.
pub(super) fn answer(admin: &Admin<'_>, request: &Request, parts: &[&str]) -> Response {
    let known = |table: &str| table == "plugins" || OWNERS.iter().any(|(name, _)| *name == table);
    match (request.method.as_str(), parts) {
        ("GET" | "HEAD", [table]) if known(table) => list(admin, request, table, None),
        ("GET" | "HEAD", [table, id]) if known(table) => one(admin, table, id),
        ("GET" | "HEAD", [owner, id, "plugins"]) if known(owner) => match scope(admin, owner, id) {
            Some(scope) => list(admin, request, "plugins", Some(scope)),
            None => not_found(),
        },
        ("POST", [table]) if known(table) => create(admin, request, table, None),
        ("POST", [owner, id, "plugins"]) if known(owner) => match scope(admin, owner, id) {
            Some(scope) => create(admin, request, "plugins", Some(scope)),
            None => not_found(),
        },
        ("PATCH", [table, id]) if known(table) => update(admin, request, table, id),
        ("DELETE", [table, id]) if known(table) => delete(admin, table, id),
        _ => not_found(),
    }
}

fn not_found() -> Response {
    Response::message(404, "Not found")
}

fn failure(status: u16, code: u32, name: &str, message: &str) -> Response {
    Response::json(status, &json!({ "code": code, "name": name, "message": message }))
}

fn unsupported(what: &str, table: &str) -> Response {
    failure(405, 12, "operation unsupported", &format!("cannot {what} '{table}' entities when not using a database"))
}

fn table(admin: &Admin<'_>, name: &str) -> Vec<Value> {
    match &admin.database {
        Some(database) => database.table(name).unwrap_or_default(),
        None if name == "plugins" => admin.declarative.to_vec(),
        None => vec![],
    }
}

fn is_row(row: &Value, id: &str) -> bool {
    ["id", "name", "username"].iter().any(|key| row[*key] == id)
}

/// `("service", UUID)` for the owner of that id or name.
fn scope(admin: &Admin<'_>, owner: &str, id: &str) -> Option<(&'static str, Value)> {
    let (_, kind) = OWNERS.iter().find(|(name, _)| *name == owner)?;
    let row = table(admin, owner).into_iter().find(|row| is_row(row, id))?;
    Some((kind, row["id"].clone()))
}

/// A page: `size` 1 to 1000 (100), `offset`; any other parameter is ignored, `name` too (measured.md 5).
fn list(admin: &Admin<'_>, request: &Request, name: &str, scope: Option<(&str, Value)>) -> Response {
    let size =
        request.query("size").map_or(Some(100), |text| text.parse().ok().filter(|size| (1..=1000).contains(size)));
    let Some(size) = size else {
        return failure(400, 9, "invalid size", "size must be an integer between 1 and 1000");
    };
    let offset = request.query("offset");
    let Some(from) = offset.map_or(Some(0), |text| text.strip_prefix("o")?.parse::<usize>().ok()) else {
        let problem = format!("'{}' is not a valid offset: bad base64 encoding", offset.unwrap_or_default());
        return failure(400, 7, "invalid offset", &problem);
    };
    let mut rows = table(admin, name);
    if let Some((kind, id)) = scope {
        rows.retain(|row| row[kind]["id"] == id);
    }
    let more = rows.len() > from + size;
    let data: Vec<Value> = rows.into_iter().skip(from).take(size).collect();
    let mut page = json!({ "data": data, "next": null });
    if more {
        let offset = format!("o{}", from + size);
        page["next"] = format!("{}?offset={offset}&size={size}", request.path).into();
        page["offset"] = offset.into();
    }
    Response::json(200, &page)
}

fn one(admin: &Admin<'_>, name: &str, id: &str) -> Response {
    // A plugin's name is no key; its instance_name is (measured.md 5).
    let is_it = |row: &Value| if name == "plugins" { is_plugin(row, id) } else { is_row(row, id) };
    table(admin, name).into_iter().find(is_it).map_or_else(not_found, |row| Response::json(200, &row))
}

fn is_plugin(row: &Value, id: &str) -> bool {
    row["id"] == id || row["instance_name"] == id
}

/// The fields of a JSON body or a form; `config.x` goes into `config`.
fn fields(request: &Request) -> Map<String, Value> {
    if request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return serde_json::from_slice(&request.body).unwrap_or_default();
    }
    let mut found = Map::new();
    for (key, text) in http::pairs(&String::from_utf8_lossy(&request.body)) {
        let value = match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => text.into(),
        };
        match key.strip_prefix("config.") {
            Some(inner) => found.entry("config").or_insert_with(|| json!({}))[inner] = value,
            None => drop(found.insert(key, value)),
        }
    }
    found
}

fn create(admin: &Admin<'_>, request: &Request, name: &str, scope: Option<(&str, Value)>) -> Response {
    let Some(database) = &admin.database else { return unsupported("create", name) };
    let given = fields(request);
    let text = given.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name == "plugins" && !admin.node.handover.generation.has(&text) {
        return not_enabled(&text);
    }
    let mut row = if name == "plugins" { rows::fresh(&text) } else { json!({ "id": super::clock::uuid() }) };
    if name == "plugins" {
        row["config"] = admin.node.plugins.config_defaults(&text);
    }
    merge(&mut row, given);
    if let Some((kind, id)) = scope {
        row[kind] = json!({ "id": id });
    }
    let added = database.change(|all| {
        let list = all.entry(name).or_insert_with(|| json!([])).as_array_mut()?;
        let twin = |other: &Value| {
            name == "plugins" && ["name", "service", "route", "consumer"].iter().all(|key| other[*key] == row[*key])
        };
        if list.iter().any(twin) {
            return None;
        }
        list.push(row.clone());
        Some(row.clone())
    });
    match added {
        Ok(Some(row)) => Response::json(201, &row),
        Ok(None) => failure(
            409,
            5,
            "unique constraint violation",
            &format!("UNIQUE violation detected on '{{name=\"{text}\"}}'"),
        ),
        Err(_) => Response::message(500, "An unexpected error occurred"),
    }
}

fn not_enabled(name: &str) -> Response {
    let problem = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
    let message = format!("schema violation (name: {problem})");
    Response::json(
        400,
        &json!({ "code": 2, "name": "schema violation", "fields": { "name": problem }, "message": message }),
    )
}

fn merge(row: &mut Value, given: Map<String, Value>) {
    for (key, value) in given {
        match value {
            Value::Object(inner) if key == "config" => {
                inner.into_iter().for_each(|(name, value)| row["config"][name] = value);
            }
            other => row[key] = other,
        }
    }
}

fn update(admin: &Admin<'_>, request: &Request, name: &str, id: &str) -> Response {
    let Some(database) = &admin.database else { return unsupported("update", name) };
    let given = fields(request);
    let changed = database.change(|all| {
        let row = all.get_mut(name)?.as_array_mut()?.iter_mut().find(|row| row["id"] == id)?;
        merge(row, given);
        row["updated_at"] = super::clock::unix_seconds().into();
        Some(row.clone())
    });
    match changed {
        Ok(Some(row)) => Response::json(200, &row),
        Ok(None) => not_found(),
        Err(_) => Response::message(500, "An unexpected error occurred"),
    }
}

/// 204 whether or not there was such a row (measured.md 5); what hangs on a deleted owner goes with it.
fn delete(admin: &Admin<'_>, name: &str, id: &str) -> Response {
    let Some(database) = &admin.database else { return unsupported("remove", name) };
    let kind = OWNERS.iter().find(|(table, _)| *table == name).map(|(_, kind)| *kind);
    let done = database.change(|all| {
        let mut gone = Vec::new();
        if let Some(list) = all.get_mut(name).and_then(Value::as_array_mut) {
            let is_it = |row: &Value| if name == "plugins" { is_plugin(row, id) } else { is_row(row, id) };
            gone = list.iter().filter(|row| is_it(row)).map(|row| row["id"].clone()).collect();
            list.retain(|row| !is_it(row));
        }
        if let (Some(kind), Some(plugins)) = (kind, all.get_mut("plugins").and_then(Value::as_array_mut)) {
            plugins.retain(|row| !gone.contains(&row[kind]["id"]));
        }
    });
    done.map_or_else(|_| Response::message(500, "An unexpected error occurred"), |()| Response::empty())
}
