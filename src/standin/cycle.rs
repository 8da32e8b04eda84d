//! One load: from the files of the prefix to a generation, in the order in which Kong's init goes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::effective::{Effective, Sources};
use super::generation::Generation;
use super::lmdb::Store;
use super::prefix::Prefix;
use super::rows::{self, Database};
use super::shared::Shared;
use super::{Settings, declarative, load};

/// A loaded generation with what nginx's own files said.
#[derive(Debug)]
pub(super) struct Cycle {
    pub(super) generation: Generation,
    /// `server_name` and address.
    pub(super) listeners: Vec<(String, String)>,
    pub(super) error_log: PathBuf,
}

/// Why a load came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotLoaded {
    /// nginx itself could not go on; nothing of Kong ran.
    Nginx(String),
    /// Kong's init raised an error.
    Init(String),
}

impl NotLoaded {
    pub(super) fn is_emergency(&self) -> bool {
        matches!(self, Self::Nginx(_))
    }

    /// What stands in the log behind the level.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Nginx(text) | Self::Init(text) => text,
        }
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", if self.is_emergency() { "emerg" } else { "error" }, self.text())
    }
}

fn init_error(text: &str) -> NotLoaded {
    NotLoaded::Init(format!("init_by_lua error: {text}"))
}

/// Reads the prefix, wipes the shared dictionary, loads every listed plugin and checks what is in use.
///
/// Only `.kong_env` and the nginx files count here: the environment and kong.conf do not (measured.md 4).
///
/// `secrets` is what vault references stood for, as whoever started or last reloaded the node handed it over.
pub(super) fn load(
    prefix: &Prefix,
    settings: &Settings,
    file: &Path,
    shared: &Shared,
    secrets: &mut BTreeMap<String, String>,
) -> Result<Cycle, NotLoaded> {
    let nginx = prefix.read_nginx().map_err(NotLoaded::Nginx)?;
    if !nginx.has_http {
        // Every listener is off: nginx runs, and nothing of Kong does (measured.md 3).
        let generation = Generation { workers: nginx.workers, level: nginx.level, ..Generation::default() };
        return Ok(Cycle { generation, listeners: vec![], error_log: nginx.error_log });
    }
    secrets.extend(prefix.take_secrets());
    let at = |line: u32| format!("/usr/local/share/lua/5.1/kong/init.lua:{line}: ");
    // A load that fails before the wipe leaves the announced pids as they were (measured.md 3).
    let text = prefix
        .read_env()
        .map_err(|problem| init_error(&format!("{}{problem}{}", at(642), load::trace("assert", 642))))?;
    let sources = Sources { file: &text, prefix: Some(prefix.dir()), secrets: Some(secrets), ..Sources::default() };
    let config = Effective::merge(settings, &sources).map_err(|problem| init_error(&problem))?;
    // 3.4 carries a log level that was set through the Admin API over a reload, 3.9 does not (facts.md E10).
    shared.wipe(settings.is_34()).map_err(|error| NotLoaded::Nginx(error.to_string()))?;
    settings.linger(0.3);
    suffer(settings, file);
    let database = connect(settings, &config).map_err(|problem| init_error(&format!("{}{problem}", at(657))))?;
    let mut generation =
        load::load(settings, &config, &nginx.lua_package_path).map_err(|problem| init_error(&problem))?;
    match &database {
        Some(database) => check_database(database, &generation)?,
        None => take_declarative(prefix, settings, &config, &mut generation)?,
    }
    generation.workers = nginx.workers;
    generation.level = nginx.level;
    (generation.files, generation.returns) = (nginx.files, nginx.returns);
    Ok(Cycle { generation, listeners: nginx.listeners, error_log: nginx.error_log })
}

/// Slow and never-ending loads. The file is read again, so that a test can let a stuck master go on.
fn suffer(settings: &Settings, file: &Path) {
    if settings.faults.slow_load > 0.0 {
        std::thread::sleep(Duration::from_secs_f64(settings.faults.slow_load));
    }
    let mut stuck = settings.faults.endless_load;
    while stuck {
        std::thread::sleep(Duration::from_millis(20));
        stuck = Settings::load(file).map_or(stuck, |fresh| fresh.faults.endless_load);
    }
}

/// The database of the configuration, `None` without one, Kong's sentence when it does not answer.
pub(super) fn connect(settings: &Settings, config: &Effective) -> Result<Option<Database>, String> {
    if config.get("database") == "off" {
        return Ok(None);
    }
    match settings.reachable_database() {
        Some(_) if config.get("pg_user").is_empty() => Err("[PostgreSQL error] failed to retrieve PostgreSQL \
            server_version_num: FATAL: no PostgreSQL user name specified in startup packet"
            .into()),
        Some(path) => Ok(Some(Database::at(path))),
        None => Err("[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: connection refused".into()),
    }
}

/// Migrations first, then the rows: every plugin in use must be loaded, disabled rows included.
fn check_database(database: &Database, generation: &Generation) -> Result<(), NotLoaded> {
    let all = database.read().map_err(|error| init_error(&error.to_string()))?;
    if pending_migrations(&all, generation).next().is_some() {
        let line = "/usr/local/share/lua/5.1/kong/cmd/utils/migrations.lua:20: ";
        return Err(init_error(&format!(
            "{line}New migrations available; run 'kong migrations up' to proceed{}",
            load::trace("error", 668)
        )));
    }
    let rows = all.get("plugins").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
    match rows::names(&rows).into_iter().find(|name| !generation.has(name)) {
        Some(name) => {
            let text = format!(
                "/usr/local/share/lua/5.1/kong/init.lua:743: error building initial plugins: {name} plugin is in use but not enabled{}",
                load::trace("error", 743)
            );
            Err(init_error(&text))
        }
        None => Ok(()),
    }
}

/// Custom plugins that have migrations of their own and are not in the database's list of those that ran.
pub(super) fn pending_migrations<'a>(
    all: &serde_json::Map<String, serde_json::Value>,
    generation: &'a Generation,
) -> impl Iterator<Item = &'a str> {
    let ran: Vec<String> =
        all.get("migrations").and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default();
    let names = generation
        .plugins
        .iter()
        .filter(|plugin| plugin.custom && plugin.migrations)
        .map(|plugin| plugin.name.as_str());
    names.filter(move |name| !ran.iter().any(|done| done == name))
}

/// The rows of a DB-less node: from its file, which is kept in LMDB, or from what was kept. A data plane has no file.
fn take_declarative(
    prefix: &Prefix,
    settings: &Settings,
    config: &Effective,
    generation: &mut Generation,
) -> Result<(), NotLoaded> {
    let store = Store::of(prefix.dir());
    let file = config.get("declarative_config");
    if file.is_empty() || generation.role() == "data_plane" {
        let kept = store.read();
        let lost = rows::names(kept.table("plugins")).into_iter().find(|name| !generation.has(name));
        generation.broken = lost.map(|name| format!("failed to initialize declarative config: error building initial plugins iterator: {name} plugin is in use but not enabled"));
    } else {
        let stored = declarative::file(Path::new(file), |name| generation.has(name)).map_err(|problem| {
            init_error(&format!("/usr/local/share/lua/5.1/kong/init.lua:731: {problem}{}", load::trace("error", 731)))
        })?;
        store.write(&stored).map_err(|error| init_error(&error.to_string()))?;
    }
    store.give_to(settings.worker_user.as_deref());
    Ok(())
}
