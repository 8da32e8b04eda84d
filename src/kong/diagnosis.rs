//! What Kong says about a load that failed, in its log, on the standard error of its command and in the answers of its
//! APIs (facts.md B4; measured.md 3, 5, 7, 8). It explains; it never proves.

mod table;
mod text;

use std::fmt;

use crate::name::PluginName;

use table::{Entry, Sign, Spoken, TABLE};
use text::{Place, first_place, quoted_after, read_entries};

/// Why Kong did not load its configuration, or refused what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The handler was not found, or the master may not read it.
    NotInstalled,
    /// The directive has a comma too many (facts.md A2).
    EmptyName,
    /// There is a handler and no schema.
    NoSchema,
    /// `schema.lua` is not a schema that Kong takes.
    SchemaViolation,
    /// A plugin that was written for Kong 2 (facts.md B4).
    OldStyle,
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
    /// A running node met such a row and takes over no further change of plugins (measured.md 5).
    PluginsFrozen,
    /// A configuration, or a row that was sent, names a plugin that the directive does not.
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
    /// Two commands wrote one prefix at the same time (measured.md 4).
    PrefixRace,
    /// nginx refused its own configuration, or could not listen.
    NginxRefused,
    /// A setting has a value that is not of its type.
    InvalidSetting,
    /// The configuration file that was named is not there.
    ConfNotFound,
    /// The prefix is not there.
    PrefixNotFound,
    /// Kong does not run in the prefix.
    NotRunning,
    /// Kong runs in the prefix already.
    AlreadyRunning,
    /// The status API says that Kong is not ready.
    NotReady,
    /// A load that failed has cleared the shared memory of the workers that go on.
    MemoryCleared,
    /// A data plane lacks a plugin that is configured (measured.md 8).
    DataPlaneLacksPlugin,
    /// A data plane has a plugin in another version.
    DataPlaneVersion,
    /// A data plane does not reach its control plane.
    ControlPlaneUnreachable,
    /// The Admin API of a node without a database takes no rows.
    NoDatabaseWrites,
    /// The plugin is configured on this scope already.
    RowExists,
    /// Something else refers to what was to be deleted.
    RowReferenced,
    /// A row is not as the plugin's schema wants it.
    RowInvalid,
    /// The node that answered has not loaded the plugin.
    NotLoaded,
    /// Something else in the start of Kong.
    Other,
}

impl Cause {
    /// Whether it says that a plugin could not be loaded: what a trial load is made for.
    pub const fn is_of_a_load(self) -> bool {
        matches!(
            self,
            Self::NotInstalled
                | Self::EmptyName
                | Self::NoSchema
                | Self::SchemaViolation
                | Self::OldStyle
                | Self::BadVersion
                | Self::BadPriority
                | Self::ConflictingPhases
                | Self::SyntaxError
                | Self::MissingModule
                | Self::ErrorAtLoad
                | Self::ReturnsNothing
        )
    }
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

/// Every reason in a piece of error.log, in what a `kong` command wrote to stderr, or in an answer of its APIs; each once, in
/// the order in which it was said, and behind them what only stands beside a failure. Lines that every good reload may write
/// too (a worker that lost its broker, an open socket) are none.
pub fn diagnose(said: &[u8]) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for entry in read_entries(said) {
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
    found.sort_by_key(|diagnosis| diagnosis.cause.is_beside());
    found
}

/// The first lines of the entries that sound like a failure and for which there is no reason here, fit to be shown: nothing
/// that Kong said is lost because it is not known.
pub fn unexplained(log: &[u8]) -> Vec<String> {
    let entries = read_entries(log);
    let unknown = entries.iter().filter(|entry| is_failure(entry) && read_entry(entry).is_empty());
    let mut lines: Vec<String> = Vec::new();
    for line in unknown.map(|entry| first_line(entry)) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// What a reload that holds may write, too (measured.md 2, 3): while the old workers end, and while a load goes on.
const HARMLESS: &[&str] = &[
    "event worker failed to communicate",
    "open socket #",
    "could not get worker process id",
    "exited on signal",
    "[alert] aborting",
];

fn is_failure(entry: &str) -> bool {
    let grave = ["[error]", "[crit]", "[alert]", "[emerg]"].iter().any(|level| entry.contains(level));
    (grave || entry.starts_with("Error: ")) && !HARMLESS.iter().any(|text| entry.contains(text))
}

fn first_line(entry: &str) -> String {
    super::printable(entry.lines().next().unwrap_or_default(), 400)
}

fn read_entry(entry: &str) -> Vec<Diagnosis> {
    let raw = first_line(entry);
    let told = reply_message(entry);
    let make = |reason: Reason| Diagnosis {
        cause: reason.cause,
        plugin: reason.plugin.and_then(|name| PluginName::parse(name).ok()),
        file: reason.place.map(|place| super::printable(place.file, 400)),
        line: reason.place.map(|place| place.line),
        module: reason.module.map(|module| super::printable(module, 200)),
        words: super::printable(told.as_deref().unwrap_or(&reason.words).trim(), 300),
        raw: raw.clone(),
    };
    let (parts, by) = (plugin_parts(entry), speaker(entry));
    if parts.is_empty() {
        return reason(entry, by, None).into_iter().map(make).collect();
    }
    let or_other = |plugin, text| {
        reason(text, by, Some(plugin)).unwrap_or_else(|| Reason::new(Cause::Other, Some(plugin), line_of(text)))
    };
    parts.into_iter().map(|(plugin, text)| make(or_other(plugin, text))).collect()
}

/// The message of an answer; what a client writes behind it (a status code) does not matter.
fn reply_message(entry: &str) -> Option<String> {
    let mut values = serde_json::Deserializer::from_str(entry.trim_start()).into_iter::<serde_json::Value>();
    let value = values.next().filter(|_| is_reply(entry))?.ok()?;
    value["message"].as_str().map(str::to_owned)
}

fn is_reply(entry: &str) -> bool {
    entry.trim_start().starts_with('{')
}

/// A worker or the master names its process behind the level (`[error] 77#77: `), the command does not.
fn is_command(entry: &str) -> bool {
    let process = |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let logged = entry.split_once("] ").is_some_and(|(head, rest)| head.contains(" [") && process(rest));
    !logged && !is_reply(entry)
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

impl Sign {
    fn found_in(&self, text: &str, by: Speaker) -> Option<usize> {
        let speaks = match self.spoken {
            Spoken::Any => true,
            Spoken::Cli => by == Speaker::Command,
            Spoken::Reply => by == Speaker::Api,
        };
        text.find(self.text).filter(|_| speaks && (self.also.is_empty() || text.contains(self.also)))
    }
}

/// Who said an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Command,
    Api,
    Log,
}

fn speaker(entry: &str) -> Speaker {
    match () {
        () if is_reply(entry) => Speaker::Api,
        () if is_command(entry) => Speaker::Command,
        () => Speaker::Log,
    }
}

fn reason<'a>(text: &'a str, by: Speaker, plugin: Option<&'a str>) -> Option<Reason<'a>> {
    if text.contains("error loading module '") {
        return Some(load_error(text, plugin));
    }
    let signs = TABLE.iter().flat_map(|entry| entry.signs.iter().map(move |sign| (entry, sign)));
    let mut found = signs.filter_map(|(entry, sign)| Some((entry, sign, sign.found_in(text, by)?)));
    if let Some((entry, sign, at)) = found.next() {
        return Some(signed(entry, sign, (text, at), plugin));
    }
    if let Some((at, module)) = missing_at_run_time(text) {
        let plugin = plugin.or_else(|| plugin_of(module));
        return Some(Reason { module: Some(module), ..Reason::new(missing(module), plugin, words(text, at)) });
    }
    let init = ["init_by_lua error:", "init_worker_by_lua error:"].iter().find_map(|sign| text.find(sign));
    init.map(|at| Reason::new(Cause::Other, plugin, words(text, at)))
}

fn signed<'a>(entry: &Entry, sign: &Sign, (text, at): (&'a str, usize), plugin: Option<&'a str>) -> Reason<'a> {
    let named = sign.plugin.and_then(|(before, after)| between(text, before, after));
    let words = if sign.plugin.is_none() { message(text, at) } else { words(text, at).to_owned() };
    match (entry.cause, plugin.or(named)) {
        // Between two commas of the directive, or behind the last one.
        (Cause::NotInstalled, Some("")) => Reason::new(Cause::EmptyName, None, &words),
        (cause, plugin) => Reason::new(cause, plugin, &words),
    }
}

/// Kong 3.0 took away what every plugin for Kong 2 began with (facts.md B4).
fn missing(module: &str) -> Cause {
    if module == "kong.plugins.base_plugin" { Cause::OldStyle } else { Cause::MissingModule }
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
    if let Some(wanted) = quoted_after(body, "module '").filter(|_| body.contains("' not found:")) {
        return reason(missing(wanted), Some(wanted), place, body.lines().next().map_or(body, after_place));
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
mod recorded_tests;
#[cfg(test)]
mod tests;
