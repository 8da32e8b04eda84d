-- What plugin code sees of a gateway that is not there. Called once per Lua state with a table:
--   path      package.path, already spelled out
--   bundled   set of names of bundled plugins
--   version   the Kong release that is imitated
--   memory    map of module name to { path, source }: what the master had loaded, for a worker
--   rocks_manifest, rocks_path   a tree of LuaRocks that comes first, where there is one
--   log       function(level, message)
--   pid       pid of this process
-- Standard libraries are LuaJIT's own. Whatever Kong or OpenResty would bring is a stub that takes every call; what
-- they would not bring is missing, so that a missing module is observed and not assumed.
local host = ...
local api = { recorded = {} }

local stub
local function stub_op() return 0 end
stub = function(name)
  local meta = {
    __index = function(t, k)
      local v = stub(name .. "." .. tostring(k))
      rawset(t, k, v)
      return v
    end,
    __call = function() return stub(name .. "()") end,
    __tostring = function() return name end,
    __concat = function(a, b) return tostring(a) .. tostring(b) end,
    __lt = function() return false end,
    __le = function() return false end,
    __add = stub_op, __sub = stub_op, __mul = stub_op, __div = stub_op, __mod = stub_op, __unm = stub_op,
    stub = true,
  }
  return setmetatable({}, meta)
end
local function is_stub(v)
  local meta = type(v) == "table" and getmetatable(v)
  return type(meta) == "table" and rawget(meta, "stub") == true
end

-- The request that runs right now; set on every resume, as several may sleep at once.
local current

local function set_header(name, value)
  if current then current.out[#current.out + 1] = { tostring(name), tostring(value) } end
end

local function clear_header(name)
  if current then current.out[#current.out + 1] = { tostring(name) } end
end

local function sleep(seconds)
  if coroutine.running() and current then coroutine.yield(tonumber(seconds) or 0) end
end

local function exit(status, body)
  if current then
    current.status, current.body = tonumber(status) or 200, type(body) == "string" and body or ""
    coroutine.yield("exit")
  end
end

local levels = { emerg = 1, alert = 1, crit = 1, err = 1, warn = 1, notice = 1, info = 1, debug = 1 }
local function joined(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  return table.concat(parts)
end

local log = setmetatable({}, { __call = function(_, ...) host.log("notice", joined(...)) end, __index = function() return function() end end })
for level in pairs(levels) do
  log[level] = function(...) host.log(level == "err" and "error" or level, joined(...)) end
end

kong = stub("kong")
rawset(kong, "version", host.version)
rawset(kong, "log", log)
local response = stub("kong.response")
rawset(response, "set_header", set_header)
rawset(response, "add_header", set_header)
rawset(response, "clear_header", clear_header)
rawset(response, "exit", exit)
rawset(kong, "response", response)
local request = stub("kong.request")
rawset(request, "get_query_arg", function(name) return current and current.args[name] end)
rawset(request, "get_query", function() return current and current.args or {} end)
rawset(request, "get_header", function(name) return current and current.headers[string.lower(name)] end)
rawset(request, "get_headers", function() return current and current.headers or {} end)
rawset(request, "get_path", function() return current and current.path or "/" end)
rawset(request, "get_method", function() return current and current.method or "GET" end)
rawset(kong, "request", request)
rawset(kong, "ctx", { shared = {}, plugin = {} })

ngx = stub("ngx")
rawset(ngx, "sleep", sleep)
rawset(ngx, "exit", exit)
rawset(ngx, "now", os.time)
rawset(ngx, "time", os.time)
rawset(ngx, "update_time", function() end)
rawset(ngx, "worker", { pid = function() return host.pid end, id = function() return 0 end, count = function() return 1 end, exiting = function() return false end })
rawset(ngx, "header", setmetatable({}, { __newindex = function(_, k, v) if v == nil then clear_header(k) else set_header(k, v) end end }))
rawset(ngx, "ctx", {})
rawset(ngx, "config", { subsystem = "http", ngx_lua_version = 10026, nginx_version = 1025003, prefix = function() return "" end })
rawset(ngx, "get_phase", function() return current and current.phase or "init" end)
local numbers = { "EMERG", "ALERT", "CRIT", "ERR", "WARN", "NOTICE", "INFO", "DEBUG" }
for i, name in ipairs(numbers) do rawset(ngx, name, i) end
rawset(ngx, "log", function(level, ...)
  local name = string.lower(numbers[level] or "notice")
  host.log(name == "err" and "error" or name, joined(...))
end)

-- Modules that Kong or OpenResty ship. A plugin of another name under kong.plugins is never one of them.
local shipped = {}
for name in ([[cjson cjson.safe ffi inspect lpeg lyaml lfs mime ltn12 multipart version date tablepool protobuf pb
  protoc pgmoon lsyslog luaxxhash lua_pack lua_system_constants socket ssl system table.new table.clear table.nkeys
  table.isempty table.isarray table.clone thread.exdata net.url kong ngx]]):gmatch("%S+") do shipped[name] = true end
local families = { ngx = true, pl = true, socket = true, pgmoon = true, cjson = true, ssl = true }
local resty = {}
for name in ([[acme aes apenode aws base64 cookie core counter ctxdump dns events evp healthcheck hmac http ipmatcher
  jit-uuid kong limit lmdb lock lrucache md5 memcached mlcache mysql openssl passwdqc random redis router rsa session
  sha sha1 sha224 sha256 sha384 sha512 shell signal simdjson string timer timerng upload upstream websocket
  worker xxhash]]):gmatch("%S+") do resty[name] = true end

local function is_shipped(name)
  if shipped[name] then return true end
  local plugin = name:match("^kong%.plugins%.([^.]*)")
  if plugin then return host.bundled[plugin] == true end
  if name:match("^kong%.") then return true end
  local family, rest = name:match("^([^.]+)%.([^.]+)")
  if family == "resty" then return resty[rest] == true end
  return families[family] == true
end

local function compiled(name, path, source)
  local chunk, problem = loadstring(source, "@" .. path)
  if not chunk then
    error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. tostring(problem), 0)
  end
  return chunk
end

package.path, package.cpath = host.path, ""
-- preload, the master's memory, files, stubs; nothing compiled from C.
local preload = package.loaders[1]
local function from_memory(name)
  local module = host.memory[name]
  return module and compiled(name, module.path, module.source) or nil
end
local function from_path(name, search)
  local path, tried = package.searchpath(name, search)
  if not path then return tried end
  local file, problem = io.open(path, "rb")
  if not file then return "\n\tno file '" .. path .. "' (" .. tostring(problem) .. ")" end
  local source = file:read("*a")
  file:close()
  api.recorded[name] = { path = path, source = source or "" }
  return compiled(name, path, source or "")
end
local function from_file(name) return from_path(name, package.path) end
-- What LuaRocks says that its tree holds; its manifest is a list of assignments.
local rocks = {}
do
  local chunk = host.rocks_manifest and loadstring(host.rocks_manifest, "=manifest")
  local env = {}
  if chunk and pcall(setfenv(chunk, env)) and type(env.modules) == "table" then rocks = env.modules end
end
local function from_rocks(name)
  return rocks[name] and from_path(name, host.rocks_path) or nil
end
local function from_stub(name)
  if is_shipped(name) then return function() return stub(name) end end
  return nil
end
for i = #package.loaders, 1, -1 do package.loaders[i] = nil end
for i, loader in ipairs({ preload, from_memory, from_rocks, from_file, from_stub }) do package.loaders[i] = loader end

-- ok, value; or false, text, whether it was this very module that is missing.
function api.try(name)
  local ok, value = pcall(require, name)
  if ok then return true, value end
  local text = tostring(value)
  return false, text, text:find("module '" .. name .. "' not found", 1, true) ~= nil
end

function api.found(name)
  return host.memory[name] ~= nil or rocks[name] ~= nil or package.searchpath(name, package.path) ~= nil
end

local types = {}
for name in ("string array record foreign number function json integer map boolean set any"):gmatch("%S+") do types[name] = true end

local function bad_field(fields)
  for _, entry in ipairs(fields) do
    for key, field in pairs(type(entry) == "table" and not is_stub(entry) and entry or {}) do
      if type(key) == "string" and type(field) == "table" and not is_stub(field) then
        local kind = rawget(field, "type")
        if type(kind) == "string" and not types[kind] then return key, kind end
        local inner = rawget(field, "fields")
        if type(inner) == "table" and not is_stub(inner) then
          local name, wrong = bad_field(inner)
          if name then return name, wrong end
        end
      end
    end
  end
end

-- nil when a schema is well formed as far as it is looked at, else what is wrong.
function api.schema_problem(schema)
  if type(schema) ~= "table" then return "expected a record" end
  if is_stub(schema) then return nil end
  local fields = rawget(schema, "fields")
  if type(fields) ~= "table" then return "fields: field required for entity check" end
  if is_stub(fields) then return nil end
  local name, kind = bad_field(fields)
  if name then
    return "fields: {\n  " .. name .. " = {\n    default = \"invalid type: " .. kind .. "\"\n  }\n}"
  end
end

local function config_defaults(schema)
  local found = {}
  local fields = type(schema) == "table" and not is_stub(schema) and rawget(schema, "fields") or {}
  for _, entry in ipairs(fields) do
    local config = type(entry) == "table" and not is_stub(entry) and rawget(entry, "config")
    local inner = type(config) == "table" and not is_stub(config) and rawget(config, "fields") or {}
    for _, field in ipairs(inner) do
      for key, spec in pairs(type(field) == "table" and not is_stub(field) and field or {}) do
        if type(spec) == "table" and not is_stub(spec) then found[key] = rawget(spec, "default") end
      end
    end
  end
  return found
end
api.config_defaults = config_defaults

-- Kong's rules for values, as far as a schema is data or a function of its own: nil, a message, or a table of them by field.
-- `null` stands for JSON's null, which a default does not replace (kong/db/schema).
local function is_sequence(t)
  local count = 0
  for key in pairs(t) do
    if type(key) ~= "number" then return false end
    count = count + 1
  end
  return count == #t
end

local validators = {
  { "eq", function(v, wanted) return v == wanted or "value must be " .. tostring(wanted) end },
  { "one_of", function(v, options)
    for _, option in ipairs(options) do if v == option then return true end end
    return "expected one of: " .. table.concat(options, ", ")
  end },
  { "gt", function(v, limit) return v > limit or "value must be greater than " .. tostring(limit) end },
  { "between", function(v, l)
    return (v >= l[1] and v <= l[2]) or ("value should be between %d and %d"):format(l[1], l[2])
  end },
  { "len_eq", function(v, n) return #v == n or "length must be " .. n end },
  { "len_min", function(v, n) return #v >= n or "length must be at least " .. n end },
  { "len_max", function(v, n) return #v <= n or "length must be at most " .. n end },
  { "starts_with", function(v, begin) return v:sub(1, #begin) == begin or "should start with: " .. begin end },
  { "match", function(v, pattern) return v:match(pattern) ~= nil or "invalid value: " .. v end },
  { "custom_validator", function(v, check)
    local ok, problem = check(v)
    return ok and true or problem or "failed validating: " .. tostring(v)
  end },
}

local fields_violations

local plain_types = {
  string = "expected a string", number = "expected a number", boolean = "expected a boolean",
}

local function value_violation(field, value, null)
  if value == nil or value == null then return field.required and "required field missing" or nil end
  local kind = field.type
  if plain_types[kind] then
    if type(value) ~= kind then return plain_types[kind] end
    if kind == "string" and not field.len_min and value == "" then return "length must be at least 1" end
  elseif kind == "integer" then
    if type(value) ~= "number" or value ~= math.floor(value) then return "expected an integer" end
  elseif kind == "array" or kind == "set" then
    if type(value) ~= "table" or not is_sequence(value) then
      return kind == "set" and "expected a set" or "expected an array"
    end
    local found = {}
    for i, item in ipairs(value) do
      if type(field.elements) == "table" and not is_stub(field.elements) then
        if item == null then found[i] = "required field missing" else found[i] = value_violation(field.elements, item, null) end
      end
    end
    if next(found) then return found end
  elseif kind == "map" then
    if type(value) ~= "table" then return "expected a map" end
    for key, item in pairs(value) do
      for _, pair in ipairs({ { field.keys, key }, { field.values, item } }) do
        local problem = type(pair[1]) == "table" and not is_stub(pair[1]) and value_violation(pair[1], pair[2], null)
        if problem then return problem end
      end
    end
  elseif kind == "record" then
    if type(value) ~= "table" then return "expected a record" end
    if type(field.fields) == "table" and not is_stub(field.fields) then return fields_violations(field.fields, value, null) end
  end
  for _, validator in ipairs(validators) do
    local wanted = rawget(field, validator[1])
    if wanted ~= nil then
      local held = validator[2](value, wanted)
      if held ~= true then return held end
    end
  end
end

fields_violations = function(fields, value, null)
  local found, known = {}, {}
  for _, entry in ipairs(fields) do
    for name, field in pairs(type(entry) == "table" and not is_stub(entry) and entry or {}) do
      known[name] = true
      if type(field) == "table" and not is_stub(field) then
        local given = value[name]
        if given == nil then given = rawget(field, "default") end
        if given == nil and field.type == "record" and field.required then given = {} end
        found[name] = value_violation(field, given, null)
      end
    end
  end
  for name in pairs(value) do
    if not known[name] then found[tostring(name)] = "unknown field" end
  end
  return next(found) and found or nil
end

local function config_of(schema)
  for _, entry in ipairs(type(schema) == "table" and not is_stub(schema) and rawget(schema, "fields") or {}) do
    local config = type(entry) == "table" and not is_stub(entry) and rawget(entry, "config")
    if type(config) == "table" and not is_stub(config) then return config end
  end
end

-- What of a row's config its schema does not take, by field; nil where it takes all.
function api.violations(schema, config, null)
  local field = config_of(schema)
  local fields = field and rawget(field, "fields")
  if type(fields) ~= "table" or is_stub(fields) then return nil end
  return fields_violations(fields, config, null)
end

-- The names of the fields of config, each with whether it is required; nil where the schema does not say.
function api.config_names(schema)
  local field = config_of(schema)
  local fields = field and rawget(field, "fields")
  if type(fields) ~= "table" or is_stub(fields) then return nil end
  local names = {}
  for _, entry in ipairs(fields) do
    for name, spec in pairs(type(entry) == "table" and not is_stub(entry) and entry or {}) do
      names[name] = type(spec) == "table" and not is_stub(spec) and spec.required == true
    end
  end
  return names
end

-- A copy that holds data only: stubs and functions left out.
local function plain(value, depth)
  if type(value) ~= "table" then return (type(value) ~= "function" and type(value) ~= "userdata") and value or nil end
  if is_stub(value) or depth > 12 then return nil end
  local copy = {}
  for k, v in pairs(value) do copy[k] = plain(v, depth + 1) end
  return copy
end
function api.plain(value) return plain(value, 0) end

-- Runs the phases of a request. `plugins` is a list of { handler, config } in order of priority.
function api.start(plugins, ctx)
  return coroutine.create(function()
    for _, phase in ipairs({ "rewrite", "access", "header_filter" }) do
      ctx.phase = phase
      for _, plugin in ipairs(plugins) do
        local run = plugin.handler[phase]
        if type(run) == "function" then run(plugin.handler, plugin.config) end
      end
    end
  end)
end

-- "sleep", seconds; "exit"; "done"; or "error", text.
function api.resume(co, ctx)
  current = ctx
  local ok, value = coroutine.resume(co)
  current = nil
  if not ok then return "error", tostring(value) end
  if coroutine.status(co) == "dead" then return "done" end
  if value == "exit" then return "exit" end
  return "sleep", tonumber(value) or 0
end

-- A phase outside requests (init_worker) or behind them (log): nil or the error.
function api.run(handler, phase, config, ctx)
  local f = type(handler) == "table" and handler[phase]
  if type(f) ~= "function" then return nil end
  current = ctx
  local ok, problem = pcall(f, handler, config)
  current = nil
  return not ok and tostring(problem) or nil
end

return api
