//! One Lua state in which plugin code runs among stubs (`sandbox.lua`).

use std::collections::BTreeMap;

use mlua::{Function, Lua, Table, Value};

use super::generation::Module;
use super::{Release, Settings};

/// Takes a level and a message of plugin code.
pub(super) type LogOfPlugins = Box<dyn Fn(&str, &str) + Send>;

/// A tree of LuaRocks, whose modules come before every search path up to 3.8 (facts.md B2).
pub(super) struct Rocks {
    /// The tree's own list of modules, as LuaRocks writes it.
    manifest: Vec<u8>,
    /// Where they are deployed, as a search path.
    path: String,
}

impl Rocks {
    /// The tree of the Lua root, where there is one and the release looks into it.
    pub(super) fn of(settings: &Settings, version: &str) -> Option<Self> {
        let root = settings.lua_root.display().to_string();
        let base = root.strip_suffix("/share/lua/5.1").unwrap_or(&root);
        let looks = Release::of(version) < Release::Since39;
        let manifest = looks.then(|| std::fs::read(format!("{base}/lib/luarocks/rocks-5.1/manifest")).ok())??;
        Some(Self { manifest, path: format!("{root}/?.lua;{root}/?/init.lua") })
    }
}

/// What a state is made for.
pub(super) struct Setting<'a> {
    pub(super) package_path: &'a str,
    pub(super) bundled: &'a [&'a str],
    pub(super) version: &'a str,
    pub(super) rocks: Option<Rocks>,
    pub(super) modules: &'a BTreeMap<String, Module>,
    pub(super) log: LogOfPlugins,
}

/// A Lua state with `sandbox.lua` in place.
pub(super) struct Sandbox {
    lua: Lua,
    api: Table,
}

/// Why a module did not load.
pub(super) struct Refused {
    pub(super) text: String,
    /// It is this very module that was not found, not one that it requires.
    pub(super) missing: bool,
}

impl Sandbox {
    pub(super) fn new(setting: Setting<'_>) -> mlua::Result<Self> {
        let lua = Lua::new();
        let host = lua.create_table()?;
        host.set("path", setting.package_path)?;
        host.set("version", setting.version)?;
        host.set("pid", std::process::id())?;
        let bundled = lua.create_table()?;
        for name in setting.bundled {
            bundled.set(*name, true)?;
        }
        host.set("bundled", bundled)?;
        host.set("memory", memory(&lua, setting.modules)?)?;
        if let Some(rocks) = &setting.rocks {
            host.set("rocks_manifest", lua.create_string(&rocks.manifest)?)?;
            host.set("rocks_path", rocks.path.as_str())?;
        }
        let log = setting.log;
        host.set(
            "log",
            lua.create_function(move |_, (level, message): (String, String)| {
                log(&level, &message);
                Ok(())
            })?,
        )?;
        let api = lua.load(include_str!("sandbox.lua")).set_name("=sandbox").call(host)?;
        Ok(Self { lua, api })
    }

    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// One of the functions that `sandbox.lua` returns.
    pub(super) fn function(&self, name: &str) -> mlua::Result<Function> {
        self.api.get(name)
    }

    /// `require`, with LuaJIT's own error text.
    pub(super) fn require(&self, name: &str) -> mlua::Result<Result<Value, Refused>> {
        let (ok, value, missing): (bool, Value, Option<bool>) = self.function("try")?.call(name)?;
        if ok {
            return Ok(Ok(value));
        }
        let text = value.to_string()?;
        Ok(Err(Refused { text, missing: missing.unwrap_or(false) }))
    }

    /// Whether the search path holds the module.
    pub(super) fn finds(&self, name: &str) -> mlua::Result<bool> {
        self.function("found")?.call(name)
    }

    /// Every module that came from a file so far.
    pub(super) fn recorded(&self) -> mlua::Result<BTreeMap<String, Module>> {
        let recorded: Table = self.api.get("recorded")?;
        let mut modules = BTreeMap::new();
        for pair in recorded.pairs::<String, Table>() {
            let (name, module) = pair?;
            let source: mlua::String = module.get("source")?;
            modules.insert(name, Module::new(module.get("path")?, &source.as_bytes()));
        }
        Ok(modules)
    }
}

/// Runs what a file gives as a command of the CLI: a table with `execute`.
pub(super) fn run_command(module: &[u8]) -> mlua::Result<()> {
    let lua = Lua::new();
    let command: Table = lua.load(module).call(())?;
    command.get::<Function>("execute")?.call(lua.create_table()?)
}

fn memory(lua: &Lua, modules: &BTreeMap<String, Module>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, module) in modules {
        let entry = lua.create_table()?;
        entry.set("path", module.path.as_str())?;
        entry.set("source", lua.create_string(module.bytes())?)?;
        table.set(name.as_str(), entry)?;
    }
    Ok(table)
}

/// A Lua value as JSON; what is no data is null.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Boolean(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        Value::Number(number) => (*number).into(),
        Value::String(text) => text.to_string_lossy().into(),
        Value::Table(table) if table.raw_len() > 0 => {
            table.clone().sequence_values::<Value>().flatten().map(|item| to_json(&item)).collect::<Vec<_>>().into()
        }
        Value::Table(table) => {
            let table = table.clone();
            let pairs = table.pairs::<mlua::String, Value>().flatten();
            serde_json::Value::Object(pairs.map(|(key, value)| (key.to_string_lossy(), to_json(&value))).collect())
        }
        _ => serde_json::Value::Null,
    }
}

/// JSON as a Lua value; null is nil.
pub(super) fn from_json(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    convert(lua, value, &Value::Nil)
}

/// JSON as a Lua value; null is a value of its own, as in Kong's Admin API.
pub(super) fn from_body(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    convert(lua, value, &Value::NULL)
}

fn convert(lua: &Lua, value: &serde_json::Value, null: &Value) -> mlua::Result<Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => null.clone(),
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Number(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let table = lua.create_table()?;
            for item in items {
                table.raw_push(convert(lua, item, null)?)?;
            }
            Value::Table(table)
        }
        Json::Object(entries) => {
            let table = lua.create_table()?;
            for (key, item) in entries {
                table.set(key.as_str(), convert(lua, item, null)?)?;
            }
            Value::Table(table)
        }
    })
}
