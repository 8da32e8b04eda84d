//! Writing the nginx files from templates, as Kong does: lines that begin with `>` are Lua, `$(…)` is an expression, `${{KEY}}`
//! a setting (`kong prepare --help`; the documents' chapter on custom nginx templates).

use std::path::Path;

use super::effective::Effective;
use super::prefix::SERVERS;

/// nginx.conf, unless somebody has a template of his own (`--nginx-conf`).
const STOCK: &str = "# Written by the stand-in gateway, which is not nginx and reads only the lines that it needs.
pid pids/nginx.pid;
error_log ${{PROXY_ERROR_LOG}} ${{LOG_LEVEL}};

> for _, el in ipairs(nginx_main_directives) do
$(el.name) $(el.value);
> end

events {
> for _, el in ipairs(nginx_events_directives) do
    $(el.name) $(el.value);
> end
}

> if any_listener then
http {
    include 'nginx-kong.conf';
}
> end
";

/// nginx-kong.conf, which is always Kong's own.
const HTTP: &str = "lua_package_path       '$(lua_package_path);$(lua_path);;';

> for _, el in ipairs(nginx_http_directives) do
$(el.name) $(el.value);
> end

> for _, server in ipairs(servers) do
server {
    server_name $(server.name);
>   for _, address in ipairs(server.listens) do
    listen $(address);
>   end
>   for _, el in ipairs(server.directives) do
    $(el.name) $(el.value);
>   end
}
> end
";

/// The engine: what Penlight's does with Kong's two escapes.
const ENGINE: &str = r#"
local text, env = ...
local code = { "local out = {}\n" }
local function add(piece) code[#code + 1] = piece end
for line in text:gmatch("([^\n]*)\n") do
  local lua = line:match("^%s*>(.*)$")
  if lua then
    add(lua .. "\n")
  else
    local at = 1
    while true do
      local from, to = line:find("%$%b()", at)
      if not from then break end
      add(("out[#out + 1] = %q\n"):format(line:sub(at, from - 1)))
      add("out[#out + 1] = tostring(" .. line:sub(from + 2, to - 1) .. ")\n")
      at = to + 1
    end
    add(("out[#out + 1] = %q\n"):format(line:sub(at) .. "\n"))
  end
end
add("return table.concat(out)")
local chunk = assert(loadstring(table.concat(code), "=template"))
env.ipairs, env.pairs, env.tostring, env.table = ipairs, pairs, tostring, table
local made = setfenv(chunk, env)()
return (made:gsub("%${(%b{})}", function(word) return env[word:sub(2, -2):lower()] end))
"#;

/// nginx.conf by this template, or by the stock one.
pub(super) fn nginx_conf(config: &Effective, own: Option<&Path>, files: u64) -> Result<String, String> {
    let template = match own {
        None => STOCK.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|_| format!("failed reading custom nginx template file: {}", path.display()))?,
    };
    rendered(&template, config, "", files)
}

/// nginx-kong.conf.
pub(super) fn nginx_kong_conf(config: &Effective, lua_path: &str) -> Result<String, String> {
    rendered(HTTP, config, lua_path, 0)
}

fn rendered(template: &str, config: &Effective, lua_path: &str, files: u64) -> Result<String, String> {
    let make = || -> mlua::Result<String> {
        let lua = mlua::Lua::new();
        let env = lua.create_table()?;
        for (key, value) in config.all() {
            env.set(key, value)?;
        }
        env.set("lua_path", lua_path)?;
        env.set("nginx_worker_processes", config.worker_count().to_string())?;
        for (name, lines) in groups(config, files) {
            env.set(name, pairs(&lua, &lines)?)?;
        }
        let servers = lua.create_table()?;
        for (name, key, group) in SERVERS {
            let listens = config.listens(key).unwrap_or_default();
            if !listens.is_empty() {
                let server = lua.create_table()?;
                server.set("name", name)?;
                server.set("listens", listens)?;
                server.set("directives", pairs(&lua, &injected(config, group))?)?;
                servers.raw_push(server)?;
            }
        }
        // With every listener off there is no `http` block, and Kong's init does not run (measured.md 3).
        let gui = config.get("admin_gui_listen");
        env.set("any_listener", servers.raw_len() > 0 || !(gui.is_empty() || gui == "off"))?;
        env.set("servers", servers)?;
        lua.load(ENGINE).set_name("=engine").call((format!("{template}\n"), env))
    };
    make().map(|text| text.trim_end_matches('\n').to_owned() + "\n").map_err(|error| {
        let text = error.to_string();
        format!("failed to compile nginx config template: {}", text.lines().next().unwrap_or_default())
    })
}

type Lines = Vec<(String, String)>;

/// The directives of a template's three lists.
fn groups(config: &Effective, files: u64) -> [(&'static str, Lines); 3] {
    let mut main = injected(config, "nginx_main_");
    let mut events = injected(config, "nginx_events_");
    main.retain(|(name, _)| name != "worker_processes" && name != "user");
    main.push(("daemon".into(), config.get("nginx_daemon").to_owned()));
    main.push(("worker_processes".into(), config.worker_count().to_string()));
    // What the shell of whoever runs the CLI may open, not what the node's own may (measured.md 4, "ulimit trap").
    for (_, value) in main
        .iter_mut()
        .chain(&mut events)
        .filter(|(name, value)| value == "auto" && (name == "worker_rlimit_nofile" || name == "worker_connections"))
    {
        *value = files.to_string();
    }
    [
        ("nginx_main_directives", main),
        ("nginx_events_directives", events),
        ("nginx_http_directives", injected(config, "nginx_http_")),
    ]
}

/// The settings of one prefix as directives.
fn injected(config: &Effective, group: &str) -> Lines {
    let of = |(key, value): (&str, &str)| Some((key.strip_prefix(group)?.to_owned(), value.to_owned()));
    config.all().filter(|(_, value)| !value.is_empty()).filter_map(of).collect()
}

fn pairs(lua: &mlua::Lua, lines: &Lines) -> mlua::Result<mlua::Table> {
    let list = lua.create_table()?;
    for (name, value) in lines {
        let entry = lua.create_table()?;
        entry.set("name", name.as_str())?;
        entry.set("value", value.as_str())?;
        list.raw_push(entry)?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::Settings;
    use crate::standin::effective::Sources;

    fn config(file: &str) -> Effective {
        Effective::merge(&Settings::default(), &Sources { file, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_template_of_somebodys_own_is_followed_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(
            &path,
            "level ${{LOG_LEVEL}};\n> for _, el in ipairs(nginx_main_directives) do\n$(el.name) <$(el.value)>;\n> end\n> if role == 'x' then\nno\n> end\n",
        )
        .unwrap();
        let made = nginx_conf(&config("log_level = warn\nnginx_main_env = A=1"), Some(&path), 1024).unwrap();
        assert!(made.starts_with("level warn;\n") && made.contains("env <A=1>;\n"), "{made}");
        assert!(made.contains("worker_rlimit_nofile <1024>;\n") && !made.contains("no\n"), "{made}");
    }

    #[test]
    fn a_template_that_is_not_there_or_no_template_is_an_error() {
        assert!(nginx_conf(&config(""), Some(Path::new("/no/such")), 1).is_err());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, "> for\n").unwrap();
        assert!(nginx_conf(&config(""), Some(&path), 1).is_err());
    }

    #[test]
    fn without_a_listener_there_is_no_http_block() {
        let off = "proxy_listen = off\nadmin_listen = off\nstatus_listen = off\nadmin_gui_listen = off";
        assert!(!nginx_conf(&config(off), None, 1).unwrap().contains("http"));
        assert!(nginx_conf(&config("nginx_http_a = b"), None, 1).unwrap().contains("http"));
        assert!(nginx_kong_conf(&config("nginx_http_a = b"), "").unwrap().contains("\na b;\n"));
    }
}
