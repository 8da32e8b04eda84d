//! The Admin API and the status API, as far as a fleet reconciler speaks them.

use serde_json::{Map, Value, json};

use super::generation::Plugin;
use super::http::{Request, Response};
use super::lmdb::Stored;
use super::rows::{self, Database};
use super::settings::Edition;
use super::worker::Node;
use super::workspaces::{self, Workspace};
use super::{Release, Settings, config_api, debug, entities};

/// What an entity route works with.
pub(super) struct Admin<'a> {
    pub(super) node: &'a Node,
    /// `None` without a database.
    pub(super) database: Option<Database>,
    /// What a node without a database has stored.
    pub(super) stored: Stored,
    /// What is shown and changed of the rows; the one workspace of a node that knows none.
    pub(super) workspace: &'a Workspace,
    pub(super) edition: Edition,
}

/// One request to the Admin API.
pub(super) fn answer(node: &Node, settings: &Settings, request: &Request) -> Response {
    match settings.edition {
        Edition::Community => within(node, settings, request, &Workspace::default()),
        Edition::Enterprise => workspaces::answer(node, settings, request),
    }
}

/// One request in one workspace.
pub(super) fn within(node: &Node, settings: &Settings, request: &Request, workspace: &Workspace) -> Response {
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let read = matches!(request.method.as_str(), "GET" | "HEAD");
    match parts.as_slice() {
        [] if read => root(node, settings, workspace),
        ["config"] => config_api::answer(node, request),
        ["clustering", "data-planes"] if read && node.handover.generation.role() != "control_plane" => {
            let text =
                "this endpoint is only available when Kong is configured to run as Control Plane for the cluster";
            Response::message(400, text)
        }
        ["status"] if read => status_page(node, settings),
        ["plugins", "enabled"] if read => Response::json(200, &json!({ "enabled_plugins": loaded(node) })),
        ["schemas", "plugins", "validate"] if request.method == "POST" => entities::validate(node, request),
        ["schemas", "plugins", name] if read => schema(node, name),
        ["debug", rest @ ..] if node.handover.generation.release() > Release::Upto28 => {
            debug::answer(node, request, rest)
        }
        _ => match admin(node, settings, workspace) {
            Ok(admin) => entities::answer(&admin, request, &parts),
            Err(response) => response,
        },
    }
}

fn admin<'a>(node: &'a Node, settings: &Settings, workspace: &'a Workspace) -> Result<Admin<'a>, Response> {
    let generation = &node.handover.generation;
    let database = match (generation.is_dbless(), settings.reachable_database()) {
        (true, _) => None,
        (false, Some(path)) => Some(Database::at(path)),
        (false, None) => return Err(Response::message(500, "An unexpected error occurred")),
    };
    let stored = if generation.is_dbless() { node.live.store().read() } else { Stored::default() };
    Ok(Admin { node, database, stored, workspace, edition: settings.edition })
}

fn loaded(node: &Node) -> Vec<&str> {
    node.handover.generation.plugins.iter().map(|plugin| plugin.name.as_str()).collect()
}

/// `GET /`: 500 without the database, and without `pids.workers` where none has announced itself (measured.md 2).
fn root(node: &Node, settings: &Settings, workspace: &Workspace) -> Response {
    let handover = &node.handover;
    let generation = &handover.generation;
    let Some(rows) = current_rows(node, settings, workspace) else {
        return Response::message(500, "An unexpected error happened");
    };
    let release = generation.release();
    // 2.8 tells that a plugin is there and nothing more (facts.md C1).
    let told = |plugin: &Plugin| match release {
        Release::Upto28 => json!(true),
        _ => json!({ "version": plugin.version, "priority": plugin.priority }),
    };
    let available: Map<String, Value> =
        generation.plugins.iter().map(|plugin| (plugin.name.clone(), told(plugin))).collect();
    let mut pids = json!({ "master": handover.master });
    let workers = node.shared.pids();
    if workers.is_empty() {
        node.log.write(
            super::log::Level::Error,
            "*1 [lua] kong.lua:102: fn(): could not get worker process id for worker #0: not found",
        );
    } else {
        pids["workers"] = workers.into();
    }
    let mut body = json!({
        "tagline": "Welcome to kong",
        "version": generation.version,
        "hostname": hostname(),
        "node_id": handover.node_id,
        "timers": { "running": 0, "pending": 1 },
        "plugins": { "available_on_server": available, "enabled_in_cluster": rows::names(&rows) },
        "lua_version": "LuaJIT 2.1.1700206165",
        "configuration": generation.configuration,
        "pids": pids,
        "stand-in": true,
    });
    if release > Release::Upto34 {
        // From 3.6 (facts.md C1).
        body["edition"] = serde_json::to_value(settings.edition).unwrap_or_default();
    }
    Response::json(200, &body)
}

/// The rows as this node's own API shows them: at once, whatever its workers act on.
fn current_rows(node: &Node, settings: &Settings, workspace: &Workspace) -> Option<Vec<Value>> {
    let mut rows = if node.handover.generation.is_dbless() {
        node.live.store().read().table("plugins").to_vec()
    } else {
        Database::at(settings.reachable_database()?).table("plugins").ok()?
    };
    rows.retain(|row| workspace.holds(row));
    Some(rows)
}

pub(super) fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".into(), |name| name.trim().to_owned())
}

fn schema(node: &Node, name: &str) -> Response {
    if !node.handover.generation.has(name) {
        return Response::message(404, &format!("No plugin named '{name}'"));
    }
    let bundled = || json!({ "fields": [{ "config": { "type": "record", "fields": [] } }] });
    Response::json(200, &node.plugins.schema(name).unwrap_or_else(bundled))
}

/// One request to the status API: it never shows plugins (facts.md C6).
pub(super) fn status(node: &Node, settings: &Settings, request: &Request) -> Response {
    match request.path.trim_end_matches('/') {
        "/status" => status_page(node, settings),
        // From 3.3 (facts.md C6).
        "/status/ready" if node.handover.generation.release() > Release::Upto28 => ready(node, settings),
        _ => Response::message(404, "Not found"),
    }
}

fn status_page(node: &Node, settings: &Settings) -> Response {
    let vms: Vec<Value> =
        node.shared.pids().into_iter().map(|pid| json!({ "pid": pid, "http_allocated_gc": "40.00 MiB" })).collect();
    let mut body = json!({
        "memory": { "workers_lua_vms": vms, "lua_shared_dicts": {} },
        "server": { "connections_active": 1, "connections_accepted": 1, "connections_handled": 1, "connections_reading": 0, "connections_waiting": 0, "connections_writing": 1, "total_requests": 1 },
    });
    if node.handover.generation.is_dbless() {
        body["configuration_hash"] = node.live.store().read().shown_hash().into();
    } else {
        body["database"] = json!({ "reachable": settings.reachable_database().is_some() });
    }
    Response::json(200, &body)
}

/// `/status/ready`: 503 from the wipe of a load until a worker has built its router again (measured.md 3).
fn ready(node: &Node, settings: &Settings) -> Response {
    let generation = &node.handover.generation;
    let (count, all) = (node.shared.ready_count(), generation.workers);
    let problem = if !generation.is_dbless() && settings.reachable_database().is_none() {
        Some("failed to connect to database".to_owned())
    } else if generation.role() == "control_plane" {
        // It proxies nothing: its database is all that counts (facts.md C6).
        None
    } else if generation.is_dbless() && count < all {
        Some(format!("router builds not yet complete, router ready in {count} of {all} workers"))
    } else if count == 0 {
        Some("router builds not yet complete".to_owned())
    } else if generation.is_dbless() && node.live.store().read().hash.is_none() {
        Some("no configuration available (empty configuration present)".to_owned())
    } else {
        None
    };
    match problem {
        Some(text) => Response::message(503, &text),
        None => Response::message(200, "ready"),
    }
}
