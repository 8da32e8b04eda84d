//! Loading plugins as Kong's init does: in one Lua state, every listed one, before any worker is started.

use std::path::Path;

use mlua::{Table, Value};

use super::effective::Effective;
use super::generation::{Generation, Plugin};
use super::sandbox::{Refused, Sandbox, Setting};
use super::{Settings, defaults};

/// Where Kong's own lines are, as they stand in its log.
const KONG: &str = "/usr/local/share/lua/5.1/kong";

/// Loads every plugin of the effective configuration. The error is what follows `init_by_lua error: `.
pub(super) fn load(settings: &Settings, config: &Effective, path: &str) -> Result<Generation, String> {
    let package_path = search_path(path, &settings.lua_root);
    let bundled = defaults::bundled(settings.is_34());
    let none = std::collections::BTreeMap::new();
    let setting = Setting {
        package_path: &package_path,
        bundled: &bundled,
        version: &settings.version,
        modules: &none,
        log: Box::new(|_, _| {}),
    };
    let sandbox = Sandbox::new(setting).map_err(|error| broken(&error))?;
    let mut loader = Loader { settings, sandbox, bundled, plugins: vec![], problems: vec![] };
    for name in config.loaded_plugins(settings.is_34()) {
        loader.one(&name)?;
    }
    if !loader.problems.is_empty() {
        let line = if settings.is_34() { 629 } else { 708 };
        let all = loader.problems.join("; ");
        return Err(format!("{KONG}/init.lua:{line}: error loading plugin schemas: {all}{}", trace("assert", line)));
    }
    Ok(Generation {
        configuration: config.as_json(settings.is_34()),
        modules: loader.sandbox.recorded().map_err(|error| broken(&error))?,
        plugins: loader.plugins,
        package_path,
        broken: None,
        database: config.get("database").to_owned(),
        level: config.get("log_level").to_owned(),
        workers: config.worker_count(),
    })
}

/// The stack trace that follows an error out of Kong's init.
pub(super) fn trace(function: &str, line: u32) -> String {
    format!(
        "\nstack traceback:\n\t[C]: in function '{function}'\n\t{KONG}/init.lua:{line}: in function 'init'\n\tinit_by_lua(nginx-kong.conf:44):3: in main chunk"
    )
}

/// `lua_package_path` with its first empty element replaced by the default path (facts.md B2).
pub(super) fn search_path(written: &str, lua_root: &Path) -> String {
    let root = lua_root.display();
    let mut parts = Vec::new();
    let mut default = Some([format!("{root}/?.lua"), format!("{root}/?/init.lua")]);
    for part in written.split(';') {
        if part.is_empty() {
            parts.extend(default.take().into_iter().flatten());
        } else {
            parts.push(part.to_owned());
        }
    }
    parts.join(";")
}

struct Loader<'a> {
    settings: &'a Settings,
    sandbox: Sandbox,
    bundled: Vec<&'static str>,
    plugins: Vec<Plugin>,
    /// Collected and raised together; what is not collected ends the load at once (facts.md B3).
    problems: Vec<String>,
}

impl Loader<'_> {
    fn one(&mut self, name: &str) -> Result<(), String> {
        let module = format!("kong.plugins.{name}.handler");
        let ours = self.sandbox.finds(&module).map_err(|error| broken(&error))?;
        if !ours && self.bundled.contains(&name) {
            let version = self.settings.version.clone();
            self.plugins.push(Plugin {
                name: name.to_owned(),
                version,
                priority: 1000,
                custom: false,
                migrations: false,
            });
            return Ok(());
        }
        let handler = match self.sandbox.require(&module).map_err(|error| broken(&error))? {
            Ok(value) => value,
            Err(Refused { missing: true, .. }) => {
                self.problem(name, &format!("{name} plugin is enabled but not installed;\nno plugin found"));
                return Ok(());
            }
            Err(refused) => return Err(module_error(&module, &refused.text)),
        };
        let checked = match &handler {
            Value::Table(table) => checked(name, table),
            _ => Ok((String::new(), 0)),
        };
        let (version, priority) = match checked {
            Ok(both) => both,
            Err(problem) => {
                self.problem(name, &problem);
                return Ok(());
            }
        };
        if !self.schema(name)? {
            return Ok(());
        }
        if !matches!(handler, Value::Table(_)) {
            return Err(not_a_table(&handler));
        }
        let migrations = self.has_migrations(name)?;
        self.plugins.push(Plugin { name: name.to_owned(), version, priority, custom: true, migrations });
        Ok(())
    }

    /// Whether the schema is there and well formed; what is wrong is collected.
    fn schema(&mut self, name: &str) -> Result<bool, String> {
        let module = format!("kong.plugins.{name}.schema");
        let schema = match self.sandbox.require(&module).map_err(|error| broken(&error))? {
            Ok(value) => value,
            Err(Refused { missing: true, .. }) => {
                self.problem(name, &format!("no configuration schema found for plugin: {name}"));
                return Ok(false);
            }
            Err(refused) => return Err(module_error(&module, &refused.text)),
        };
        let found: Option<String> = self
            .sandbox
            .function("schema_problem")
            .and_then(|check| check.call(schema))
            .map_err(|error| broken(&error))?;
        if let Some(found) = &found {
            self.problem(name, &format!("[off] schema violation ({found})"));
        }
        Ok(found.is_none())
    }

    /// `migrations/init.lua` counts even where the path has no `?/init.lua` (facts.md B2).
    fn has_migrations(&self, name: &str) -> Result<bool, String> {
        let base = format!("kong.plugins.{name}.migrations");
        let finds = |module: &str| self.sandbox.finds(module).map_err(|error| broken(&error));
        Ok(finds(&base)? || finds(&format!("{base}.init"))?)
    }

    fn problem(&mut self, name: &str, text: &str) {
        self.problems.push(format!("on plugin '{name}': {text}"));
    }
}

/// Version and priority as Kong takes them, PRIORITY first.
fn checked(name: &str, handler: &Table) -> Result<(String, i64), String> {
    let shown = |value: &Value| value.to_string().unwrap_or_else(|_| "nil".into());
    let get = |key: &str| handler.get::<Value>(key).unwrap_or(Value::Nil);
    let priority = get("PRIORITY");
    let whole = match &priority {
        Value::Integer(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within i64 after the check")]
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i64),
        _ => None,
    };
    let Some(priority) = whole else {
        return Err(format!(
            "Plugin \"{name}\" cannot be loaded because its PRIORITY field is not a valid integer number, got: \"{}\".\n",
            shown(&priority)
        ));
    };
    let version = get("VERSION");
    let cleaned = if let Value::String(text) = &version { clean_version(&text.to_string_lossy()) } else { None };
    match cleaned {
        Some(version) => Ok((version, priority)),
        None => Err(format!(
            "Plugin \"{name}\" cannot be loaded because its VERSION field does not follow the \"x.y.z\" format, got: \"{}\".\n",
            shown(&version)
        )),
    }
}

/// `v1.2.3-1` is reported as `1.2.3`; four components or no number at all are refused (facts.md B4).
fn clean_version(text: &str) -> Option<String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let number = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = number.split('.').collect();
    let numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (numeric && parts.len() <= 3).then(|| number.to_owned())
}

fn module_error(module: &str, text: &str) -> String {
    format!("{KONG}/tools/module.lua:29: error loading module '{module}':\n{text}{}", trace("error", 708))
}

fn not_a_table(handler: &Value) -> String {
    let article = if matches!(handler, Value::Integer(_)) { "an" } else { "a" };
    format!(
        "{KONG}/db/dao/plugins.lua:288: attempt to index local 'handler' ({article} {} value){}",
        handler.type_name(),
        trace("error", 708)
    )
}

fn broken(error: &mlua::Error) -> String {
    format!("{KONG}/init.lua: the stand-in's own Lua state failed: {error}")
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
