//! The proxy port: every path is answered, and what the loaded plugins do can be seen on the answer.
//!
//! Each loaded custom plugin adds `X-Plugin-NAME: VERSION`, in use or not. The request phases of those that are in
//! use really run, so that a lazily required module is read by the worker at its first use (measured.md 6).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mlua::{FromLua, Table, Value};
use serde_json::{Map, Value as Json, json};

use super::generation::{Generation, Plugin};
use super::http::{Request, Response};
use super::log::{Level, Log};
use super::rows::{self, Database};
use super::sandbox::{self, Rocks, Sandbox, Setting};
use super::worker::Node;
use super::{Release, Settings, defaults};

/// The custom plugins of a worker, with their code.
pub(super) struct Plugins {
    sandbox: Sandbox,
    /// Handlers in order of priority, highest first; equal ones by name, descending (facts.md B6).
    handlers: Vec<(Plugin, Table)>,
    rows: Mutex<Rows>,
}

/// The rows that this worker acts on: they follow the database with a delay.
#[derive(Default)]
struct Rows {
    acted_on: Vec<Json>,
    taken: Option<Instant>,
    /// A row of a plugin that is not loaded freezes the set (measured.md 5); said once.
    frozen: bool,
}

impl Plugins {
    /// Loads the code from the generation's memory and runs `init_worker` of each.
    pub(super) fn load(generation: &Generation, settings: &Settings, log: &Arc<Log>) -> Result<Self, String> {
        let bundled = defaults::bundled(generation.release() < Release::Since39);
        let log_of_plugins = Arc::clone(log);
        let setting = Setting {
            package_path: &generation.package_path,
            bundled: &bundled,
            version: &generation.version,
            rocks: Rocks::of(settings, &generation.version),
            modules: &generation.modules,
            log: Box::new(move |level, message| {
                log_of_plugins.write(Level::named(level), &format!("*1 [kong] {message}"));
            }),
        };
        let sandbox = Sandbox::new(setting).map_err(|error| error.to_string())?;
        let mut handlers = Vec::new();
        for plugin in generation.plugins.iter().filter(|plugin| plugin.custom) {
            match sandbox.require(&format!("kong.plugins.{}.handler", plugin.name)) {
                Ok(Ok(Value::Table(handler))) => handlers.push((plugin.clone(), handler)),
                _ => log.write(Level::Crit, &format!("{} loaded in the master but not in this worker", plugin.name)),
            }
        }
        handlers.sort_by(|(a, _), (b, _)| (b.priority, &b.name).cmp(&(a.priority, &a.name)));
        let plugins = Self { sandbox, handlers, rows: Mutex::default() };
        for (plugin, handler) in &plugins.handlers {
            plugins.outside(handler, "init_worker", &Value::Nil, &Value::Nil, &plugin.name, log);
        }
        Ok(plugins)
    }

    /// Runs a phase that no request waits for, and logs its error.
    fn outside(&self, handler: &Table, phase: &str, config: &Value, ctx: &Value, name: &str, log: &Log) {
        let run = self.sandbox.function("run");
        let found = run.and_then(|run| run.call::<Option<String>>((handler, phase, config, ctx)));
        match found {
            Ok(None) => {}
            Ok(Some(problem)) => {
                log.write(Level::Error, &format!("*1 lua entry thread aborted: {name} {phase}: {problem}"));
            }
            Err(error) => log.write(Level::Error, &format!("{name} {phase}: {error}")),
        }
    }

    /// `fields` of a plugin's schema as JSON data; `None` when the plugin is not a loaded custom one.
    pub(super) fn schema(&self, name: &str) -> Option<Json> {
        self.handlers.iter().find(|(plugin, _)| plugin.name == name)?;
        let schema = self.sandbox.require(&format!("kong.plugins.{name}.schema")).ok()?.ok()?;
        let plain: Value = self.sandbox.function("plain").ok()?.call(schema).ok()?;
        let shown = sandbox::to_json(&plain);
        Some(json!({ "entity_checks": [], "fields": shown.get("fields").cloned().unwrap_or_else(|| json!([])) }))
    }

    /// The schema of a loaded custom plugin, with the state that it lives in; `None` for any other.
    pub(super) fn schema_of(&self, name: &str) -> Option<(&Sandbox, Value)> {
        self.handlers.iter().find(|(plugin, _)| plugin.name == name)?;
        let schema = self.sandbox.require(&format!("kong.plugins.{name}.schema")).ok()?.ok()?;
        Some((&self.sandbox, schema))
    }

    /// `config` of a new row: the defaults of the schema.
    pub(super) fn config_defaults(&self, name: &str) -> Json {
        let found = || {
            let schema = self.sandbox.require(&format!("kong.plugins.{name}.schema")).ok()?.ok()?;
            self.sandbox.function("config_defaults").ok()?.call::<Value>(schema).ok()
        };
        found().map_or_else(
            || json!({}),
            |value| match sandbox::to_json(&value) {
                Json::Null => json!({}),
                other => other,
            },
        )
    }

    /// Custom plugins that an enabled row uses, as a list of `{ handler, config }` in order of priority.
    fn in_use(&self, node: &Node) -> mlua::Result<(Table, Vec<String>)> {
        let lua = self.sandbox.lua();
        let (list, mut names) = (lua.create_table()?, vec![]);
        let rows = self.rows(node);
        for (plugin, handler) in &self.handlers {
            let used = |row: &&Json| row["name"] == plugin.name.as_str() && row["enabled"] != json!(false);
            if let Some(row) = rows.iter().find(used) {
                let mut config = self.config_defaults(&plugin.name);
                for (key, value) in row["config"].as_object().into_iter().flatten() {
                    config[key.as_str()] = value.clone();
                }
                let entry = lua.create_table()?;
                entry.set("handler", handler)?;
                entry.set("config", sandbox::from_json(lua, &config)?)?;
                list.raw_push(entry)?;
                names.push(plugin.name.clone());
            }
        }
        Ok((list, names))
    }

    fn rows(&self, node: &Node) -> Vec<Json> {
        let generation = &node.handover.generation;
        let settings = node.settings();
        if generation.is_dbless() {
            let delay = if generation.role() == "data_plane" { settings.scaled(0.3, 0) } else { Duration::ZERO };
            return node.live.acted_on(delay).table("plugins").to_vec();
        }
        let mut held = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = Duration::from_secs_f64(settings.propagation.max(0.0));
        if held.taken.is_none_or(|taken| taken.elapsed() >= delay) {
            held.take(generation, &settings, &node.log);
        }
        held.acted_on.clone()
    }
}

impl Rows {
    fn take(&mut self, generation: &Generation, settings: &Settings, log: &Log) {
        let read = settings.reachable_database().map(|path| Database::at(path).table("plugins"));
        // A worker goes on with what it has while the database is away.
        let Some(Ok(fresh)) = read else { return };
        self.taken = Some(Instant::now());
        match rows::names(&fresh).into_iter().find(|name| !generation.has(name)) {
            None => (self.acted_on, self.frozen) = (fresh, false),
            Some(name) if !self.frozen => {
                self.frozen = true;
                log.write(Level::Error, &format!("*1 [lua] handler.lua:1034: could not rebuild plugins iterator via timer: {name} plugin is in use but not enabled, context: ngx.timer"));
            }
            Some(_) => {}
        }
    }
}

/// Answers any path with 200, unless a plugin says otherwise. `None`: the worker has no router (measured.md 7).
///
/// `/slow?ms=N` is answered after N milliseconds, to hold a worker that was told to go.
pub(super) async fn answer(node: &Node, request: &Request) -> Option<Response> {
    if node.handover.generation.broken.is_some() {
        node.log.write(Level::Alert, "*1 [lua] init.lua:993: rewrite(): unsafe request processing due to earlier initialization errors; this node must be restarted");
        return None;
    }
    if request.path == "/slow" {
        let milliseconds = request.query("ms").and_then(|text| text.parse().ok()).unwrap_or(1000);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    Some(match run(node, request).await {
        Ok(response) => response,
        Err(problem) => {
            node.log.write(Level::Error, &format!("*1 [kong] init.lua:427 {problem}"));
            Response::message(500, "An unexpected error occurred")
        }
    })
}

async fn run(node: &Node, request: &Request) -> Result<Response, String> {
    let plugins = &node.plugins;
    let lua = plugins.sandbox.lua();
    let text = |error: mlua::Error| error.to_string();
    let ctx = context(lua, request).map_err(text)?;
    let (list, names) = plugins.in_use(node).map_err(text)?;
    let thread: mlua::Thread =
        plugins.sandbox.function("start").and_then(|start| start.call((&list, &ctx))).map_err(text)?;
    let resume = plugins.sandbox.function("resume").map_err(text)?;
    loop {
        let (state, value): (String, Value) = resume.call((&thread, &ctx)).map_err(text)?;
        match state.as_str() {
            "sleep" => {
                let seconds = f64::from_lua(value, lua).unwrap_or(0.0).clamp(0.0, 3600.0);
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            "error" => return Err(value.to_string().map_err(text)?),
            _ => break,
        }
    }
    let response = response(node, &ctx, &names).map_err(text)?;
    for entry in list.sequence_values::<Table>().flatten() {
        if let (Ok(handler), Ok(config)) = (entry.get::<Table>("handler"), entry.get::<Value>("config")) {
            plugins.outside(&handler, "log", &config, &Value::Table(ctx.clone()), "a plugin", &node.log);
        }
    }
    Ok(response)
}

fn context(lua: &mlua::Lua, request: &Request) -> mlua::Result<Table> {
    let ctx = lua.create_table()?;
    ctx.set("method", request.method.as_str())?;
    ctx.set("path", request.path.as_str())?;
    let table = |pairs: &[(String, String)]| lua.create_table_from(pairs.iter().cloned().collect::<BTreeMap<_, _>>());
    ctx.set("args", table(&request.query)?)?;
    ctx.set("headers", table(&request.headers)?)?;
    ctx.set("out", lua.create_table()?)?;
    Ok(ctx)
}

fn response(node: &Node, ctx: &Table, names: &[String]) -> mlua::Result<Response> {
    let loaded: Map<String, Json> =
        node.plugins.handlers.iter().map(|(plugin, _)| (plugin.name.clone(), plugin.version.clone().into())).collect();
    let body = json!({ "stand-in": true, "worker": std::process::id(), "plugins": loaded, "in_use": names });
    let mut response = Response::json(ctx.get::<Option<u16>>("status")?.unwrap_or(200), &body);
    if let Some(body) = ctx.get::<Option<mlua::String>>("body")? {
        response.body = body.as_bytes().to_vec();
    }
    response.headers.push(("Server".into(), format!("stand-in kong/{}", node.handover.generation.version)));
    for (plugin, _) in &node.plugins.handlers {
        response.headers.push((format!("X-Plugin-{}", plugin.name), plugin.version.clone()));
    }
    for change in ctx.get::<Table>("out")?.sequence_values::<Table>() {
        let change = change?;
        let name: String = change.get(1)?;
        response.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        if let Some(value) = change.get::<Option<mlua::String>>(2)? {
            response.headers.push((name, value.to_string_lossy()));
        }
    }
    Ok(response)
}
