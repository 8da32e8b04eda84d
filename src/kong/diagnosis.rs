//! What the error log says about a load that failed (facts.md B4; measured.md 3). It explains; it never proves.

mod text;

use std::fmt;

use crate::name::PluginName;

use text::{Place, first_place, quoted_after, read_entries};

/// Why Kong did not load its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The handler was not found, or the master may not read it.
    NotInstalled,
    /// There is a handler and no schema.
    NoSchema,
    /// `schema.lua` is not a schema that Kong takes.
    SchemaViolation,
    /// VERSION is missing or not x.y.z.
    BadVersion,
    /// PRIORITY is missing or not a whole number.
    BadPriority,
    /// `response` together with `header_filter` or `body_filter`.
    ConflictingPhases,
    /// Lua that does not compile.
    SyntaxError,
    /// A module that is required and not found.
    MissingModule,
    /// Code that raised an error while it was loaded.
    ErrorAtLoad,
    /// A handler that returns nothing, an empty file for one.
    ReturnsNothing,
    /// Rows use a plugin that the directive does not name.
    InUseNotEnabled,
    /// The declarative configuration uses a plugin that the directive does not name.
    ConfiguredNotEnabled,
    /// The declarative configuration itself is wrong.
    DeclarativeInvalid,
    /// The database lacks migrations of a plugin.
    MigrationsPending,
    /// The new workers run without a configuration: every request gets an empty reply.
    WorkersBroken,
    /// The master may not read `.kong_env`.
    EnvUnreadable,
    /// The database did not answer.
    DatabaseUnreachable,
    /// nginx refused its own configuration, or could not listen.
    NginxRefused,
    /// Something else in the start of Kong.
    Other,
}

/// One reason found in the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Diagnosis {
    /// What it is.
    pub cause: Cause,
    /// The plugin, where the log names it.
    pub plugin: Option<PluginName>,
    /// The file, as the log names it: LuaJIT cuts long paths at the front (`...`).
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The module that was being loaded or is missing.
    pub module: Option<String>,
    /// The log's own words for it, fit to be shown.
    pub words: String,
    /// The first line of the log entry, fit to be shown.
    pub raw: String,
}

impl Cause {
    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotInstalled => {
                "the directive names a plugin whose handler the master finds nowhere, or may not read"
            }
            Self::NoSchema => "the plugin has a handler and no schema",
            Self::SchemaViolation => "the plugin's schema is not one that this Kong takes",
            Self::BadVersion => "the plugin's handler has no VERSION of the form x.y.z",
            Self::BadPriority => "the plugin's handler has no PRIORITY that is a whole number",
            Self::ConflictingPhases => "the plugin has `response` together with `header_filter` or `body_filter`",
            Self::SyntaxError => "a Lua file does not compile",
            Self::MissingModule => "the plugin requires a module that is not on this node",
            Self::ErrorAtLoad => "the plugin's code raised an error while it was loaded",
            Self::ReturnsNothing => "a handler returns nothing; the file may be empty or cut off",
            Self::InUseNotEnabled => "rows use a plugin that the directive does not name",
            Self::ConfiguredNotEnabled => {
                "the declarative configuration uses a plugin that the directive does not name"
            }
            Self::DeclarativeInvalid => "the declarative configuration is not one that this Kong takes",
            Self::MigrationsPending => "a plugin brings database migrations that have not been run",
            Self::WorkersBroken => "the workers run without a configuration and answer every request with nothing",
            Self::EnvUnreadable => "the master may not read .kong_env: another user wrote it",
            Self::DatabaseUnreachable => "the database did not answer",
            Self::NginxRefused => "nginx refused its configuration or could not listen",
            Self::Other => "Kong's start failed",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotInstalled => {
                "check that the files are below a directory of lua_package_path and readable by the master's user"
            }
            Self::NoSchema => "add schema.lua to the plugin",
            Self::SchemaViolation => "correct the field that the message names in schema.lua",
            Self::BadVersion => "write VERSION = \"1.0.0\" into the handler's table",
            Self::BadPriority => "write PRIORITY = 1000 into the handler's table",
            Self::ConflictingPhases => "use either `response` or the two filters",
            Self::SyntaxError => "correct the line, commit, and plan again",
            Self::MissingModule => "ship the module in a bundle, or install it on the node first",
            Self::ErrorAtLoad => "read the line: code outside of functions runs when the plugin is loaded",
            Self::ReturnsNothing => {
                "end handler.lua with `return` and the handler's table; check that the file is whole"
            }
            Self::InUseNotEnabled => "put the name back into the directive, or delete the rows first",
            Self::ConfiguredNotEnabled => {
                "put the name back into the directive, or take the plugin out of the declarative file first"
            }
            Self::DeclarativeInvalid => "correct the entry that the message names in the declarative file",
            Self::MigrationsPending => "run `kong migrations up` once for the cluster, with the new directive",
            Self::WorkersBroken => "put the name back into the directive and reload; a restart alone does not help",
            Self::EnvUnreadable => "give .kong_env back to the master's user",
            Self::DatabaseUnreachable => "bring the database back; nothing was applied",
            Self::NginxRefused => "read the message; it names the file and the line of nginx's configuration",
            Self::Other => "read the message and the lines below it in the log",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plugin) = &self.plugin {
            write!(f, "plugin {plugin}: ")?;
        }
        if let Some(file) = &self.file {
            // What LuaJIT cut off is a release directory: from `kong/` on it is the path in the bundle.
            let bundled =
                file.strip_prefix("...").and_then(|rest| rest.find("/kong/plugins/").map(|at| &rest[at + 1..]));
            write!(f, "{}:", bundled.unwrap_or(file))?;
            self.line.map_or(Ok(()), |line| write!(f, "{line}:"))?;
            f.write_str(" ")?;
        }
        f.write_str(self.words.trim_end_matches(':'))
    }
}

/// Every reason in a piece of error.log, or in what `kong start` wrote to stderr; each once, in the log's order. Lines
/// that every good reload may write too (a worker that lost its broker, an open socket) are none.
pub fn diagnose(log: &[u8]) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for entry in read_entries(log) {
        for diagnosis in read_entry(&entry) {
            let same = |known: &Diagnosis| {
                (known.cause, &known.plugin, &known.file, known.line)
                    == (diagnosis.cause, &diagnosis.plugin, &diagnosis.file, diagnosis.line)
            };
            if !found.iter().any(same) {
                found.push(diagnosis);
            }
        }
    }
    found
}

fn read_entry(entry: &str) -> Vec<Diagnosis> {
    let raw = super::printable(entry.lines().next().unwrap_or_default(), 400);
    let make = |reason: Reason| Diagnosis {
        cause: reason.cause,
        plugin: reason.plugin.and_then(|name| PluginName::parse(name).ok()),
        file: reason.place.map(|place| super::printable(place.file, 400)),
        line: reason.place.map(|place| place.line),
        module: reason.module.map(|module| super::printable(module, 200)),
        words: super::printable(reason.words.trim(), 300),
        raw: raw.clone(),
    };
    let parts = plugin_parts(entry);
    if parts.is_empty() {
        return reason(entry, None).into_iter().map(make).collect();
    }
    let or_other = |plugin, text| {
        reason(text, Some(plugin)).unwrap_or_else(|| Reason::new(Cause::Other, Some(plugin), line_of(text)))
    };
    parts.into_iter().map(|(plugin, text)| make(or_other(plugin, text))).collect()
}

/// Kong collects the errors of all plugins in one entry: `on plugin 'A': …; on plugin 'B': …` (facts.md B3).
fn plugin_parts(entry: &str) -> Vec<(&str, &str)> {
    let mut parts = entry.split("on plugin '");
    parts.next();
    parts
        .filter_map(|part| part.split_once("': "))
        .map(|(plugin, text)| (plugin, text.trim_end_matches("; ")))
        .collect()
}

struct Reason<'a> {
    cause: Cause,
    plugin: Option<&'a str>,
    place: Option<Place<'a>>,
    module: Option<&'a str>,
    words: String,
}

impl<'a> Reason<'a> {
    fn new(cause: Cause, plugin: Option<&'a str>, words: &str) -> Self {
        Self { cause, plugin, place: None, module: None, words: words.to_owned() }
    }
}

/// What stands before and behind a plugin's name.
type Around = Option<(&'static str, &'static str)>;

/// Texts that settle the cause by themselves, the most telling first: the text, the cause, and the words before and after
/// the plugin's name, where the text holds one.
const SIGNS: &[(&str, Cause, Around)] = &[
    ("worker initialization error", Cause::WorkersBroken, Some((" ", " plugin is in use but not enabled"))),
    ("earlier initialization errors", Cause::WorkersBroken, Some((" ", " plugin is in use but not enabled"))),
    (" plugin is enabled but not installed", Cause::NotInstalled, Some((" ", " plugin is enabled but not installed"))),
    ("no configuration schema found for plugin: ", Cause::NoSchema, Some(("for plugin: ", "\n"))),
    ("VERSION field does not follow", Cause::BadVersion, Some(("Plugin \"", "\" cannot be loaded"))),
    ("PRIORITY field is not a valid integer", Cause::BadPriority, Some(("Plugin \"", "\" cannot be loaded"))),
    ("because it implements both `response`", Cause::ConflictingPhases, Some(("Plugin \"", "\" can"))),
    (" plugin is in use but not enabled", Cause::InUseNotEnabled, Some((" ", " plugin is in use but not enabled"))),
    ("' not enabled; add it to the 'plugins'", Cause::ConfiguredNotEnabled, Some(("plugin '", "' not enabled; add"))),
    ("error parsing declarative config", Cause::DeclarativeInvalid, None),
    ("schema violation", Cause::SchemaViolation, None),
    ("New migrations available", Cause::MigrationsPending, None),
    ("Database needs bootstrapping", Cause::MigrationsPending, None),
    ("attempt to index local 'handler' (a boolean value)", Cause::ReturnsNothing, None),
    (".kong_env: Permission denied", Cause::EnvUnreadable, None),
    ("[PostgreSQL error]", Cause::DatabaseUnreachable, None),
    ("failed to retrieve PostgreSQL", Cause::DatabaseUnreachable, None),
    ("[emerg]", Cause::NginxRefused, None),
];

fn reason<'a>(text: &'a str, plugin: Option<&'a str>) -> Option<Reason<'a>> {
    if text.contains("error loading module '") {
        return Some(load_error(text, plugin));
    }
    for (sign, cause, around) in SIGNS {
        let Some(at) = text.find(sign) else { continue };
        let named = around.and_then(|(before, after)| between(text, before, after));
        let words = if around.is_none() { message(text, at) } else { words(text, at).to_owned() };
        return Some(Reason::new(*cause, plugin.or(named), &words));
    }
    if let Some((at, module)) = missing_at_run_time(text) {
        let plugin = plugin.or_else(|| plugin_of(module));
        return Some(Reason { module: Some(module), ..Reason::new(Cause::MissingModule, plugin, words(text, at)) });
    }
    let init = ["init_by_lua error:", "init_worker_by_lua error:"].iter().find_map(|sign| text.find(sign));
    init.map(|at| Reason::new(Cause::Other, plugin, words(text, at)))
}

/// A module that a worker required only when it needed it, and did not find (measured.md 6).
fn missing_at_run_time(text: &str) -> Option<(usize, &str)> {
    let at = text.find("' not found:")?;
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    quoted_after(&text[line..], "module '").map(|module| (at, module))
}

fn plugin_of(module: &str) -> Option<&str> {
    module.strip_prefix("kong.plugins.")?.split('.').next()
}

/// The name that stands between two texts: the last word before `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let end = if after == "\n" { text.len() } else { text.find(after)? };
    let start = text[..end].rfind(before)? + before.len();
    text[start..end].split(|c: char| c.is_whitespace() || c == ';' || c == ',').next()
}

/// `error loading module 'M':` and what follows: Lua that does not compile, a module that is not there, or an error that
/// the code raised.
fn load_error<'a>(text: &'a str, plugin: Option<&'a str>) -> Reason<'a> {
    let start = text.find("error loading module '").unwrap_or(0);
    let text = &text[start..];
    let module = quoted_after(text, "error loading module '");
    let plugin = plugin.or_else(|| plugin_of(module?));
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    let place = first_place(body);
    let reason = |cause, module, place, words: &str| Reason { cause, plugin, place, module, words: words.to_owned() };
    if let Some(missing) = quoted_after(body, "module '").filter(|_| body.contains("' not found:")) {
        return reason(Cause::MissingModule, Some(missing), place, body.lines().next().map_or(body, after_place));
    }
    if let Some(file) = quoted_after(body, "from file '") {
        // The inner error names the whole path; the line stands behind the cut one.
        let place = place.map(|place| Place { file, ..place });
        let words = body.lines().nth(1).map_or(body, after_place);
        // The module that does not compile may be one that the handler requires.
        let module = quoted_after(body, "error loading module '").or(module);
        return reason(Cause::SyntaxError, module, place, words);
    }
    reason(Cause::ErrorAtLoad, module, place, body.lines().next().map_or(line_of(text), after_place))
}

/// What stands behind `FILE:LINE: `.
fn after_place(line: &str) -> &str {
    first_place(line).map_or(line, |place| place.rest)
}

/// What the log writes before a message.
const HEADS: &[&str] = &["init_by_lua error: ", "init_worker(): ", "rewrite(): ", "[emerg] ", "via timer: "];

/// The line of the text in which a sign was found, from where its message begins.
fn words(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = line_of(&text[start..]);
    let head = HEADS.iter().filter_map(|head| line.find(head).map(|found| found + head.len())).max();
    after_place(head.map_or(line, |head| &line[head..])).trim_start()
}

/// The message in which a sign was found, its further lines too, down to the stack trace, as one line.
fn message(text: &str, at: usize) -> String {
    let below = text[at..].split_once('\n').map_or("", |(_, below)| below);
    let below = below.split("stack traceback").next().unwrap_or_default();
    let whole = [words(text, at), below].join(" ");
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line_of(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
