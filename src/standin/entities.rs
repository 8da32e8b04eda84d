//! Routes of the Admin API that list and change rows.

use serde_json::{Map, Value, json};

use super::admin::Admin;
use super::declarative::OWNERS;
use super::http::{self, Request, Response};
use super::workspaces::Workspace;
use super::{Edition, control_plane, row_schema, rows};

/// Answers `/TABLE`, `/TABLE/ID` and `/OWNERS/ID/plugins`.
pub(super) fn answer(admin: &Admin<'_>, request: &Request, parts: &[&str]) -> Response {
    // Consumer groups are of Enterprise alone (measured.md 5: 404).
    let owns = |(name, _): &&(&str, &str)| *name != "consumer_groups" || admin.edition == Edition::Enterprise;
    let known = |table: &str| table == "plugins" || OWNERS.iter().filter(owns).any(|(name, _)| *name == table);
    match (request.method.as_str(), parts) {
        ("GET" | "HEAD", ["clustering", "data-planes"]) => list(admin, request, control_plane::TABLE, None),
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
        ("PUT", [table, id]) if known(table) => upsert(admin, request, table, id),
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

/// The rows as this node shows them: those of plugins with the schema that it has loaded.
fn table(admin: &Admin<'_>, name: &str) -> Vec<Value> {
    let mut rows = match &admin.database {
        Some(database) => database.table(name).unwrap_or_default(),
        None => admin.stored.table(name).to_vec(),
    };
    rows.retain(|row| admin.workspace.holds(row));
    if name == "plugins" {
        for row in &mut rows {
            row_schema::read(&admin.node.plugins, row);
        }
    }
    rows
}

/// `POST /schemas/plugins/validate`: a row is judged and not written (transcript 16). It needs no database.
pub(super) fn validate(node: &super::worker::Node, request: &Request) -> Response {
    let given = Value::Object(fields(request));
    match refused(node, &given) {
        Some(response) => response,
        None => Response::message(200, "schema validation successful"),
    }
}

/// Why a row of a plugin is not taken by what this node has loaded.
fn refused(node: &super::worker::Node, row: &Value) -> Option<Response> {
    let name = row["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Some(violation(&json!({ "name": "required field missing" })));
    }
    if !node.handover.generation.has(name) {
        return Some(not_enabled(name));
    }
    let mut judged = row.clone();
    if node.settings().edition == Edition::Enterprise
        && let Some(fields) = judged.as_object_mut()
    {
        // The one scope more that the other edition has (facts.md C3).
        fields.remove("consumer_group");
    }
    row_schema::violations(&node.plugins, &judged).map(|fields| violation(&fields))
}

fn violation(fields: &Value) -> Response {
    let message = row_schema::message(fields);
    Response::json(400, &json!({ "code": 2, "name": "schema violation", "fields": fields, "message": message }))
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

/// The fields of a JSON body or a form; `config.x` goes into `config`, `service.id` into `service`.
pub(super) fn fields(request: &Request) -> Map<String, Value> {
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
        match key.split_once('.') {
            Some((outer, inner)) => found.entry(outer).or_insert_with(|| json!({}))[inner] = value,
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
    if let Some(refused) = refused_row(admin, name, &mut row) {
        return refused;
    }
    admin.workspace.mark(&mut row);
    stored(database.change(|all| store(all, name, row)), 201)
}

/// `PUT /TABLE/KEY`: makes the row or replaces it (Kong's `put_entity_endpoint`). A key that is no UUID is the row's name; that
/// of a plugin's row is its `instance_name`.
fn upsert(admin: &Admin<'_>, request: &Request, name: &str, key: &str) -> Response {
    let Some(database) = &admin.database else { return unsupported("create or update", name) };
    let given = fields(request);
    let text = given.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut row = match name {
        "plugins" if text.is_empty() => {
            return failure(400, 2, "schema violation", "schema violation (name: required field missing)");
        }
        "plugins" if !admin.node.handover.generation.has(&text) => return not_enabled(&text),
        "plugins" => {
            let mut row = rows::fresh(&text);
            row["config"] = admin.node.plugins.config_defaults(&text);
            row
        }
        _ => json!({}),
    };
    let is_uuid = key.len() == 36 && key.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let field = match name {
        _ if is_uuid => "id",
        "plugins" => "instance_name",
        "consumers" => "username",
        _ => "name",
    };
    let known = table(admin, name).into_iter().find(|row| row[field] == key).map(|row| row["id"].clone());
    merge(&mut row, given);
    row["id"] = known.unwrap_or_else(|| super::clock::uuid().into());
    row[field] = key.into();
    if let Some(refused) = refused_row(admin, name, &mut row) {
        return refused;
    }
    admin.workspace.mark(&mut row);
    stored(database.change(|all| store(all, name, row)), 200)
}

/// A row that is to be written: judged, and completed as Kong stores it.
fn refused_row(admin: &Admin<'_>, name: &str, row: &mut Value) -> Option<Response> {
    if name != "plugins" {
        return None;
    }
    let refused = refused(admin.node, row);
    row_schema::read(&admin.node.plugins, row);
    refused
}

/// Why a row is not taken.
enum Refusal {
    Twin(String),
    NoOwner { table: &'static str, id: String },
}

/// Puts the row into the table, in the place of the one with its id if there is one.
fn store(all: &mut Map<String, Value>, name: &str, row: Value) -> Result<Value, Refusal> {
    for (table, kind) in OWNERS {
        let Some(id) = row[kind]["id"].as_str() else { continue };
        let owners = all.get(table).and_then(Value::as_array).into_iter().flatten();
        if !owners.into_iter().any(|owner| owner["id"] == id) {
            return Err(Refusal::NoOwner { table, id: id.to_owned() });
        }
    }
    if !all.get(name).is_some_and(Value::is_array) {
        all.insert(name.to_owned(), json!([]));
    }
    let Some(list) = all.get_mut(name).and_then(Value::as_array_mut) else { return Ok(row) };
    let twin = |other: &Value| {
        let alike = ["name", "service", "route", "consumer", "consumer_group", "ws_id"]
            .iter()
            .all(|key| other[*key] == row[*key]);
        name == "plugins" && other["id"] != row["id"] && alike
    };
    if list.iter().any(twin) {
        return Err(Refusal::Twin(row["name"].as_str().unwrap_or_default().to_owned()));
    }
    match list.iter_mut().find(|other| other["id"] == row["id"]) {
        Some(other) => *other = row.clone(),
        None => list.push(row.clone()),
    }
    Ok(row)
}

fn stored(result: std::io::Result<Result<Value, Refusal>>, good: u16) -> Response {
    match result {
        Ok(Ok(row)) => Response::json(good, &row),
        Ok(Err(Refusal::Twin(name))) => failure(
            409,
            5,
            "unique constraint violation",
            &format!("UNIQUE violation detected on '{{name=\"{name}\"}}'"),
        ),
        Ok(Err(Refusal::NoOwner { table, id })) => failure(
            400,
            4,
            "foreign key violation",
            &format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing '{table}' entity."),
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
        let is_it = |row: &&mut Value| row["id"] == id && admin.workspace.holds(row);
        let row = all.get_mut(name)?.as_array_mut()?.iter_mut().find(is_it)?;
        let mut changed = row.clone();
        merge(&mut changed, given);
        changed["updated_at"] = super::clock::unix_seconds().into();
        if let Some(refused) = refused_row(admin, name, &mut changed) {
            return Some(Err(refused));
        }
        row.clone_from(&changed);
        Some(Ok(changed))
    });
    match changed {
        Ok(Some(Ok(row))) => Response::json(200, &row),
        Ok(Some(Err(refused))) => refused,
        Ok(None) => not_found(),
        Err(_) => Response::message(500, "An unexpected error occurred"),
    }
}

/// 204 whether or not there was such a row (measured.md 5); what hangs on a deleted owner goes with it, but a service that has
/// routes is not deleted.
fn delete(admin: &Admin<'_>, name: &str, id: &str) -> Response {
    let Some(database) = &admin.database else { return unsupported("remove", name) };
    let kind = OWNERS.iter().find(|(table, _)| *table == name).map(|(_, kind)| *kind);
    let done = database.change(|all| {
        let mut gone = Vec::new();
        if name == "services" && has_routes(all, admin.workspace, id) {
            return false;
        }
        if let Some(list) = all.get_mut(name).and_then(Value::as_array_mut) {
            let is_named = |row: &Value| if name == "plugins" { is_plugin(row, id) } else { is_row(row, id) };
            let is_it = |row: &Value| admin.workspace.holds(row) && is_named(row);
            gone = list.iter().filter(|row| is_it(row)).map(|row| row["id"].clone()).collect();
            list.retain(|row| !is_it(row));
        }
        if let (Some(kind), Some(plugins)) = (kind, all.get_mut("plugins").and_then(Value::as_array_mut)) {
            plugins.retain(|row| !gone.contains(&row[kind]["id"]));
        }
        true
    });
    match done {
        Ok(true) => Response::empty(),
        Ok(false) => {
            failure(400, 4, "foreign key violation", "an existing 'routes' entity references this 'services' entity")
        }
        Err(_) => Response::message(500, "An unexpected error occurred"),
    }
}

fn has_routes(all: &Map<String, Value>, workspace: &Workspace, service: &str) -> bool {
    let list = |table: &str| all.get(table).and_then(Value::as_array).into_iter().flatten();
    let service = list("services").find(|row| workspace.holds(row) && is_row(row, service)).map(|row| &row["id"]);
    service.is_some_and(|id| list("routes").any(|route| route["service"]["id"] == *id))
}
