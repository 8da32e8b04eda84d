use super::*;
use crate::standin::effective::Sources;

const HANDLER: &str = "return { PRIORITY = 900, VERSION = '1.0.0' }";
const SCHEMA: &str = "return { name = 'x', fields = { { config = { type = 'record', fields = {} } } } }";

/// Loads a plugin `x` made of these files, each relative to `kong/plugins/x/`.
fn with(files: &[(&str, &str)]) -> Result<Generation, String> {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("kong/plugins/x");
    std::fs::create_dir_all(&home).unwrap();
    for (name, text) in files {
        std::fs::write(home.join(name), text).unwrap();
    }
    let settings = Settings { lua_root: dir.path().to_owned(), ..Settings::default() };
    let sources = Sources { file: "plugins = bundled,x", ..Sources::default() };
    load(&settings, &Effective::merge(&settings, &sources).unwrap(), "./?.lua;;;;")
}

fn failure(files: &[(&str, &str)]) -> String {
    with(files).err().unwrap_or_else(|| panic!("{files:?} loaded"))
}

#[test]
fn a_good_plugin_loads_beside_the_bundled_ones() {
    let generation = with(&[("handler.lua", HANDLER), ("schema.lua", SCHEMA)]).unwrap();
    assert_eq!(generation.plugins.len(), 46);
    let x = generation.plugins.iter().find(|plugin| plugin.name == "x").unwrap();
    assert_eq!((x.version.as_str(), x.priority, x.custom), ("1.0.0", 900, true));
    assert_eq!(generation.modules.keys().collect::<Vec<_>>(), ["kong.plugins.x.handler", "kong.plugins.x.schema"]);
}

#[test]
fn each_way_to_fail_is_said_as_kong_says_it() {
    let handler = |text| vec![("handler.lua", text), ("schema.lua", SCHEMA)];
    let table: [(Vec<(&str, &str)>, &str); 11] = [
        (
            vec![],
            "error loading plugin schemas: on plugin 'x': x plugin is enabled but not installed;\nno plugin found",
        ),
        (vec![("schema.lua", SCHEMA)], "x plugin is enabled but not installed;"),
        (vec![("handler.lua", HANDLER)], "on plugin 'x': no configuration schema found for plugin: x"),
        (
            handler("return {\nfunction"),
            "error loading module 'kong.plugins.x.handler':\nerror loading module 'kong.plugins.x.handler' from file '",
        ),
        (vec![("handler.lua", HANDLER), ("schema.lua", "return }")], "error loading module 'kong.plugins.x.schema':\n"),
        (handler("return { PRIORITY = 1 }"), "VERSION field does not follow the \"x.y.z\" format, got: \"nil\"."),
        (handler("return { VERSION = '1.0.0' }"), "PRIORITY field is not a valid integer number, got: \"nil\"."),
        (handler("error('boom at load')"), "kong/plugins/x/handler.lua:1: boom at load"),
        (handler("require 'no.such'\nreturn {}"), "module 'no.such' not found:"),
        (handler(""), "attempt to index local 'handler' (a boolean value)"),
        (
            vec![("handler.lua", HANDLER), ("schema.lua", "return { fields = { { config = { type = 'strng' } } } }")],
            "schema violation (fields: {\n",
        ),
    ];
    for (files, expected) in table {
        let found = failure(&files);
        assert!(found.contains(expected), "{files:?}: {found}");
    }
}

#[test]
fn a_plugin_that_requires_what_kong_ships_loads() {
    let handler = "local typedefs = require 'kong.db.schema.typedefs'\nlocal http = require 'resty.http'\nlocal c = require 'cjson.safe'\nlocal jwt = require 'kong.plugins.jwt.jwt_parser'\nassert(ngx.null ~= nil and kong.log)\nreturn { PRIORITY = 1, VERSION = '0.1' }";
    assert!(with(&[("handler.lua", handler), ("schema.lua", SCHEMA)]).is_ok());
}

#[test]
fn a_module_of_another_plugin_that_is_not_there_is_missing() {
    let found = failure(&[("handler.lua", "require 'kong.plugins.y.lib'\nreturn {}"), ("schema.lua", SCHEMA)]);
    assert!(found.contains("module 'kong.plugins.y.lib' not found:"), "{found}");
}

#[test]
fn versions_are_cleaned_or_refused_as_facts_b4_has_it() {
    let table = [
        ("1.0.0", Some("1.0.0")),
        ("1.0.0-1", Some("1.0.0")),
        ("v1.2.3", Some("1.2.3")),
        ("0.1", Some("0.1")),
        ("1", Some("1")),
        ("1.2.3-rc.1", Some("1.2.3")),
        ("1.2.3.4", None),
        ("one", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(clean_version(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn the_default_path_stands_where_the_first_empty_element_was() {
    let root = Path::new("/r");
    assert_eq!(search_path("/a/?.lua;;;;;", root), "/a/?.lua;/r/?.lua;/r/?/init.lua");
    assert_eq!(search_path("./?.lua;./?/init.lua;;;;", root), "./?.lua;./?/init.lua;/r/?.lua;/r/?/init.lua");
}

#[test]
fn before_3_9_a_module_of_a_rock_comes_before_the_search_path() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (root, version) in [("own", "2.0.0"), ("share/lua/5.1", "1.0.0")] {
        let home = at(root).join("kong/plugins/x");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("handler.lua"), HANDLER.replace("1.0.0", version)).unwrap();
        std::fs::write(home.join("schema.lua"), SCHEMA).unwrap();
    }
    std::fs::create_dir_all(at("lib/luarocks/rocks-5.1")).unwrap();
    let manifest = "commands = {}\nmodules = {\n  [\"kong.plugins.x.handler\"] = { \"kong-plugin-x/1.0.0-1\" }\n}\n";
    std::fs::write(at("lib/luarocks/rocks-5.1/manifest"), manifest).unwrap();
    let loaded = |version: &str| {
        let settings = Settings { lua_root: at("share/lua/5.1"), version: version.into(), ..Settings::default() };
        let file = format!("plugins = x\nlua_package_path = {}/?.lua;;", at("own").display());
        let config = Effective::merge(&settings, &Sources { file: &file, ..Sources::default() }).unwrap();
        load(&settings, &config, config.get("lua_package_path")).unwrap().plugins[0].version.clone()
    };
    assert_eq!([loaded("3.9.1"), loaded("3.4.2")], ["2.0.0", "1.0.0"]);
}
