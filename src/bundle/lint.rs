//! What can be known to fail before anything is sent: Lua that Kong's LuaJIT cannot compile, files, fields and modules
//! that are not there. Nothing is run.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::Laid;
use super::plugin::{describe, integer, module_file};
use super::source_text::{
    Field, field, mentions, requires, returned_function, returns_nothing, returns_plain_table, table_name,
};
use super::{Bundle, BundleError, Content, Fault, FaultKind, Note, PluginInfo, pack};
use crate::name::{BundleName, BundlePath, PluginName};

type Files = BTreeMap<BundlePath, Content>;

/// Judges the files and makes the bundle of them.
pub(super) fn finish(name: BundleName, laid: Laid) -> Result<Bundle, BundleError> {
    let Laid { files, origins, mut notes } = laid;
    let directories = plugin_directories(&files);
    let mut faults: Vec<Fault> = files.iter().filter_map(bytecode).collect();
    faults.extend(compile(&files, &mut notes));
    let elsewhere = named_elsewhere(&files);
    let mut plugins = BTreeMap::new();
    for directory in &directories {
        match plugin(&name, &files, directory)? {
            Half::Library => {}
            Half::Faulty(fault) => faults.push(fault),
            Half::Plugin(plugin) => {
                let info = describe(&files, &plugin);
                faults.extend(fields(&files, &plugin, &info, &elsewhere, &mut notes));
                notes.extend(other_name(&files, &plugin));
                plugins.insert(plugin, info);
            }
        }
    }
    faults.extend(missing_modules(&files, &directories));
    if !faults.is_empty() {
        faults.sort();
        for fault in &mut faults {
            if let Some(origin) = origins.get(&fault.path) {
                fault.source = origin.to_string();
            }
        }
        return Err(BundleError::Faulty { bundle: name, faults });
    }
    if plugins.is_empty() {
        return Err(BundleError::Layout {
            bundle: name,
            why: "no plugin found: no directory below kong/plugins has a handler.lua and a schema.lua".to_owned(),
            fix: "add the plugin's files at kong/plugins/NAME/".to_owned(),
        });
    }
    let digest = pack::digest(&files);
    let roots = roots(&files);
    let lead = lead(&origins);
    Ok(Bundle { name, digest, files, roots, plugins, notes, lead })
}

/// What of a handler's path, here and in the source, is not the same in both.
fn lead(origins: &BTreeMap<BundlePath, BundlePath>) -> (String, String) {
    let handler = origins.iter().find(|(path, _)| path.as_str().ends_with("/handler.lua"));
    let Some((path, origin)) = handler.map(|(path, origin)| (path.as_str(), origin.as_str())) else {
        return Default::default();
    };
    let parts = |path: &str| path.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
    let (here, there) = (parts(path), parts(origin));
    let same: usize = here.iter().zip(&there).take_while(|(a, b)| a == b).map(|(part, _)| part.len() + 1).sum();
    let cut = |path: &str| path[..(path.len() + 1).saturating_sub(same)].to_owned();
    (cut(path), cut(origin))
}

/// The directory below `kong/plugins` that a path lies in.
fn plugin_directory(path: &BundlePath) -> Option<&str> {
    path.as_str().strip_prefix("kong/plugins/")?.split_once('/').map(|(directory, _)| directory)
}

fn plugin_directories(files: &Files) -> BTreeSet<String> {
    files.keys().filter_map(plugin_directory).map(str::to_owned).collect()
}

fn roots(files: &Files) -> BTreeSet<BundlePath> {
    files
        .keys()
        .map(|path| {
            let directory =
                plugin_directory(path).and_then(|name| BundlePath::parse(&format!("kong/plugins/{name}")).ok());
            directory.unwrap_or_else(|| path.clone())
        })
        .collect()
}

enum Half {
    Library,
    Plugin(PluginName),
    Faulty(Fault),
}

/// Whether a directory below `kong/plugins` is a plugin: it has a handler and a schema (facts.md B1). With neither it
/// is a library that plugins share.
fn plugin(bundle: &BundleName, files: &Files, directory: &str) -> Result<Half, BundleError> {
    let handler = module_file(files, directory, "handler");
    let schema = module_file(files, directory, "schema");
    let (there, missing) = match (handler, schema) {
        (None, None) => return Ok(Half::Library),
        (Some((path, _)), None) => (path, Some("schema.lua")),
        (None, Some((path, _))) => (path, Some("handler.lua")),
        (Some((path, _)), Some(_)) => (path, None),
    };
    let plugin = PluginName::parse(directory).map_err(|error| BundleError::Layout {
        bundle: bundle.clone(),
        why: error.to_string(),
        fix: "rename the directory, and the module names in its files".to_owned(),
    })?;
    Ok(match missing {
        None => Half::Plugin(plugin),
        Some(missing) => {
            let kind = FaultKind::MissingFile { plugin, missing: missing.to_owned() };
            Half::Faulty(Fault::new(there, None, kind))
        }
    })
}

/// Which of VERSION and PRIORITY a Lua file other than a handler mentions: a handler could get the field from there.
fn named_elsewhere(files: &Files) -> Vec<&'static str> {
    let handler = |path: &str| path.ends_with("/handler.lua") || path.ends_with("/handler/init.lua");
    let other = || files.iter().filter(|(path, _)| is_lua(path) && !handler(path.as_str()));
    let named = |name: &&str| other().any(|(_, content)| mentions(content.bytes(), name));
    ["VERSION", "PRIORITY"].into_iter().filter(named).collect()
}

/// What Kong 3 demands of VERSION and PRIORITY (facts.md B4), as far as it is certain from the text.
fn fields(
    files: &Files,
    plugin: &PluginName,
    info: &PluginInfo,
    elsewhere: &[&str],
    notes: &mut Vec<Note>,
) -> Vec<Fault> {
    let Some((path, handler)) = module_file(files, plugin.as_str(), "handler") else { return Vec::new() };
    let other = |returns: &str| FaultKind::NotATable { plugin: plugin.clone(), returns: returns.to_owned() };
    if let Some(line) = returned_function(handler.bytes()) {
        return vec![Fault::new(path, Some(line), other("a function"))];
    }
    if returns_nothing(handler.bytes()) {
        return vec![Fault::new(path, None, other("nothing"))];
    }
    let mut faults = Vec::new();
    for (name, known) in [("VERSION", info.version.is_some()), ("PRIORITY", info.priority.is_some())] {
        let bad = |value: String| FaultKind::BadField { plugin: plugin.clone(), field: name.to_owned(), value };
        let (line, kind) = match field(handler.bytes(), name) {
            Field::Absent if !elsewhere.contains(&name) && returns_plain_table(handler.bytes()) => {
                (None, FaultKind::MissingField { plugin: plugin.clone(), field: name.to_owned() })
            }
            Field::Text { value, line } if name == "VERSION" && !acceptable_version(&value) => (Some(line), bad(value)),
            // Kong takes only a text for VERSION: `1.0` without quotes is refused (facts.md B4).
            Field::Number { value, line } if name == "VERSION" => (Some(line), bad(value)),
            Field::Number { value, line } if name == "PRIORITY" && integer(&value).is_none() => {
                (Some(line), bad(value))
            }
            _ => {
                if !known {
                    notes.push(Note::Computed { plugin: plugin.clone(), field: name.to_owned() });
                }
                continue;
            }
        };
        faults.push(Fault::new(path, line, kind));
    }
    faults
}

/// A schema that calls itself otherwise than the directory, by which Kong loads and lists the plugin
/// (measured.md: that works, and misleads people).
fn other_name(files: &Files, plugin: &PluginName) -> Option<Note> {
    let (_, schema) = module_file(files, plugin.as_str(), "schema")?;
    let name = table_name(schema.bytes()).filter(|name| name != plugin.as_str())?;
    Some(Note::OtherName { plugin: plugin.clone(), name: super::layout::showable(&name) })
}

/// Whether Kong takes a VERSION: its first run of digits and dots is one to three numbers (facts.md B4). `kong::version`
/// has the same rule for cleaning; this module may not use it (docs/architecture.md), so a test compares the two.
fn acceptable_version(text: &str) -> bool {
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let Some(start) = text.find(numeric) else { return false };
    let run = &text[start..];
    let run = &run[..run.find(|c| !numeric(c)).unwrap_or(run.len())];
    let run = run.strip_prefix('.').unwrap_or(run);
    let run = run.strip_suffix('.').unwrap_or(run);
    let parts: Vec<&str> = run.split('.').collect();
    parts.len() <= 3 && parts.iter().all(|part| !part.is_empty())
}

/// Modules of this bundle's own directories below `kong/plugins` that are required and not there. A module elsewhere
/// may be on the node.
fn missing_modules(files: &Files, directories: &BTreeSet<String>) -> Vec<Fault> {
    let lua = files.iter().filter(|(path, _)| is_lua(path));
    lua.flat_map(|(path, content)| {
        requires(content.bytes())
            .into_iter()
            .filter(|require| !require.guarded && is_missing(files, directories, &require.module))
            .map(|require| Fault::new(path, Some(require.line), FaultKind::MissingModule { module: require.module }))
    })
    .collect()
}

fn is_missing(files: &Files, directories: &BTreeSet<String>, module: &str) -> bool {
    let Some(rest) = module.strip_prefix("kong.plugins.") else { return false };
    let own = rest.split('.').next().is_some_and(|directory| directories.contains(directory));
    let path = module.replace('.', "/");
    let found = [format!("{path}.lua"), format!("{path}/init.lua"), format!("{path}.so")]
        .iter()
        .any(|path| BundlePath::parse(path).is_ok_and(|path| files.contains_key(&path)));
    own && !found
}

fn is_lua(path: &BundlePath) -> bool {
    super::layout::is_lua(path.as_str())
}

/// Compiled Lua under whatever name: nobody can review it, and nginx's Lua loads it where it finds it.
fn bytecode((path, content): (&BundlePath, &Content)) -> Option<Fault> {
    let compiled = [b"\x1bLJ".as_slice(), b"\x1bLua"].iter().any(|magic| content.bytes().starts_with(magic));
    compiled.then(|| Fault::new(path, None, FaultKind::Bytecode))
}

#[cfg(not(feature = "lua"))]
fn compile(_: &Files, notes: &mut Vec<Note>) -> Vec<Fault> {
    notes.push(Note::NotCompiled);
    Vec::new()
}

#[cfg(feature = "lua")]
fn compile(files: &Files, _: &mut Vec<Note>) -> Vec<Fault> {
    let lua = mlua::Lua::new_with(mlua::StdLib::NONE, mlua::LuaOptions::default()).unwrap_or_default();
    files
        .iter()
        .filter(|(path, _)| is_lua(path))
        .filter_map(|(path, content)| compile_one(&lua, path, content))
        .collect()
}

/// The chunk's name: short, as LuaJIT cuts long ones, and told apart from any path by its first character.
#[cfg(feature = "lua")]
const CHUNK: &str = "=\u{b6}";

#[cfg(feature = "lua")]
fn compile_one(lua: &mlua::Lua, path: &BundlePath, content: &Content) -> Option<Fault> {
    let fault = |line, kind| Some(Fault::new(path, line, kind));
    if bytecode((path, content)).is_some() {
        return None;
    }
    let chunk = lua.load(content.bytes()).set_name(CHUNK).set_mode(mlua::ChunkMode::Text);
    let message = chunk.into_function().err()?.to_string();
    let (line, message) = place(&message);
    fault(line, FaultKind::Syntax { message: super::layout::showable(message) })
}

/// Line and words of `syntax error: CHUNK:7: unexpected symbol near 'x'`.
#[cfg(feature = "lua")]
fn place(message: &str) -> (Option<u32>, &str) {
    let first = message.lines().next().unwrap_or(message);
    let parsed = first
        .split_once(&CHUNK[1..])
        .and_then(|(_, rest)| rest.strip_prefix(':'))
        .and_then(|rest| rest.split_once(": "))
        .and_then(|(line, words)| line.parse().ok().map(|line| (Some(line), words)));
    parsed.unwrap_or((None, first))
}

#[cfg(all(test, feature = "lua"))]
mod tests {
    use super::*;

    fn compiled(source: &str) -> Option<Fault> {
        let lua = mlua::Lua::new();
        compile_one(&lua, &BundlePath::parse("x.lua").unwrap(), &Content::new(source.as_bytes().to_vec()))
    }

    /// Kong's LuaJIT, not a newer one: what passes here must load there (crates.md 6). Trips when an update of mlua
    /// brings another LuaJIT.
    #[test]
    fn the_compiler_takes_and_refuses_what_kongs_luajit_does() {
        for refused in [
            "return 1 & 2",
            "return 1 // 2",
            "while true do continue end",
            "local x <const> = 1",
            "return a?.b",
            "if a != b then end",
        ] {
            assert!(compiled(refused).is_some(), "{refused} must be refused");
        }
        for taken in [
            "goto out ::out:: return 1",
            "return 1LL",
            "return \"\\u{48}\"",
            "\u{feff}return 1",
            "#!/usr/bin/lua\nreturn 1",
        ] {
            assert_eq!(compiled(taken), None, "{taken}");
        }
    }

    #[test]
    fn a_syntax_error_has_its_line_and_luajits_words() {
        let fault = compiled("local a = 1\n\nend\n").unwrap();
        assert_eq!(fault.line, Some(3));
        assert_eq!(fault.kind, FaultKind::Syntax { message: "'<eof>' expected near 'end'".to_owned() });
        assert_eq!(fault.to_string(), "x.lua:3: '<eof>' expected near 'end'");
    }

    #[test]
    fn words_of_an_error_cannot_reach_the_terminal_raw() {
        let fault = compiled("local \u{1b}[2J").unwrap();
        assert!(!fault.to_string().contains('\u{1b}'), "{fault}");
    }

    #[test]
    fn compiled_lua_is_refused_by_content_not_by_name() {
        for (text, refused) in [("\u{1b}LJ\u{2}", true), ("\u{1b}LuaQ", true), ("\u{1b}[0m", false)] {
            let path = BundlePath::parse("kong/plugins/x/asset.bin").unwrap();
            let fault = bytecode((&path, &Content::new(text.as_bytes().to_vec())));
            assert_eq!(fault.map(|fault| fault.kind), refused.then_some(FaultKind::Bytecode), "{text:?}");
        }
    }

    #[test]
    fn versions_are_judged_as_laxly_as_kong_does() {
        for good in ["1.0", "1", "v1.2.3", "1.0.0-1", "1.2.3-rc.1", "0.1"] {
            assert!(acceptable_version(good), "{good}");
        }
        for bad in ["", "latest", "1.2.3.4", "1..2", "x.y.z"] {
            assert!(!acceptable_version(bad), "{bad}");
        }
    }
}
