//! What the Admin API and the status API answer (facts.md C). A node is not trusted: answers are bounded, unknown fields
//! are ignored, missing ones are `None`, and of the configuration only readable keys are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{EnvFile, KongVersion, printable, setting};
use crate::name::PluginName;

/// The largest answer that is read, in bytes. `GET /` of a real node is 15 kB; a page of 1,000 rows stays below 4 MiB.
pub const MAX_ANSWER: usize = 16 << 20;
/// The longest text that is kept of any field, in characters.
const MAX_TEXT: usize = 1_000;
/// The most plugins or rows that are kept of one answer.
const MAX_ITEMS: usize = 10_000;

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// More than [`MAX_ANSWER`].
    #[error("the answer has {0} bytes, more than {MAX_ANSWER}")]
    TooLarge(usize),
    /// Not JSON, or not an object.
    #[error("the answer is not what Kong's Admin API sends: {0}")]
    NotUnderstood(String),
}

/// A plugin that the answering worker has loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoadedPlugin {
    /// VERSION as Kong cleaned it; `None` where Kong does not tell (2.8).
    pub version: Option<String>,
    /// PRIORITY.
    pub priority: Option<i64>,
}

/// The processes as the answering worker knows them. Absent in the answer while a reload is under way, and after one
/// that failed (measured.md 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pids {
    /// The master.
    pub master: Option<u32>,
    /// The workers; empty where the answer has none.
    pub workers: BTreeSet<u32>,
}

/// `GET /`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeInfo {
    /// Kong's version.
    pub version: Option<KongVersion>,
    /// `community` or `enterprise`, from 3.6 on.
    pub edition: Option<String>,
    /// The name of the host.
    pub hostname: Option<String>,
    /// Kong's own id of the node; not a stable key (facts.md C1).
    pub node_id: Option<String>,
    /// What the answering worker has loaded, by name.
    pub loaded: BTreeMap<PluginName, LoadedPlugin>,
    /// Names with rows in the default workspace, loaded or not.
    pub in_use: BTreeSet<PluginName>,
    /// The processes.
    pub pids: Pids,
    /// The running configuration, readable keys only, lists joined by commas.
    pub configuration: BTreeMap<String, String>,
}

impl NodeInfo {
    /// Reads the body of `GET /`.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let root = object(body)?;
        let text = |key: &str| root.get(key).and_then(Value::as_str).map(|text| printable(text, MAX_TEXT));
        let plugins = root.get("plugins").unwrap_or(&Value::Null);
        Ok(Self {
            version: root.get("version").and_then(Value::as_str).and_then(KongVersion::parse),
            edition: text("edition"),
            hostname: text("hostname"),
            node_id: text("node_id"),
            loaded: loaded(plugins.get("available_on_server")),
            in_use: names(plugins.get("enabled_in_cluster")),
            pids: pids(root.get("pids")),
            configuration: configuration(root.get("configuration")),
        })
    }

    /// The readable keys that the workers run otherwise than `.kong_env` says: any HUP would apply them (protocols.md A,
    /// "Evidence before"). A key that only one of the two has is not compared.
    pub fn pending(&self, env: &EnvFile) -> BTreeSet<String> {
        let differs = |(key, running): (&String, &String)| {
            let next = env.get(key)?;
            (tidy(&next) != tidy(running)).then(|| key.clone())
        };
        self.configuration.iter().filter_map(differs).collect()
    }
}

/// A list without blanks around its commas, a directory without a slash at its end.
fn tidy(value: &str) -> String {
    let parts: Vec<&str> = value.split(',').map(|part| part.trim().trim_end_matches('/')).collect();
    parts.join(",")
}

fn object(body: &[u8]) -> Result<Value, AnswerError> {
    if body.len() > MAX_ANSWER {
        return Err(AnswerError::TooLarge(body.len()));
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(AnswerError::NotUnderstood("not an object".to_owned())),
        Err(error) => Err(AnswerError::NotUnderstood(printable(&error.to_string(), 200))),
    }
}

/// `{name: {version, priority}}` from 3.0 on, `{name: true}` before; an empty table may come as `[]`.
fn loaded(value: Option<&Value>) -> BTreeMap<PluginName, LoadedPlugin> {
    let Some(Value::Object(map)) = value else { return BTreeMap::new() };
    let read = |(name, about): (&String, &Value)| {
        let version = about.get("version").and_then(Value::as_str).map(|text| printable(text, 80));
        let priority = about.get("priority").and_then(Value::as_f64);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a priority is a small whole number; saturating is right for others"
        )]
        let plugin = LoadedPlugin { version, priority: priority.map(|priority| priority as i64) };
        PluginName::parse(name).ok().map(|name| (name, plugin))
    };
    map.iter().take(MAX_ITEMS).filter_map(read).collect()
}

/// Names from a list of texts or from the keys of a map.
fn names(value: Option<&Value>) -> BTreeSet<PluginName> {
    let texts: Vec<&str> = match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(map)) => map.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().take(MAX_ITEMS).filter_map(|name| PluginName::parse(name).ok()).collect()
}

fn pids(value: Option<&Value>) -> Pids {
    let pid = |value: &Value| value.as_u64().and_then(|pid| u32::try_from(pid).ok());
    let workers = value.and_then(|pids| pids.get("workers")).and_then(Value::as_array);
    Pids {
        master: value.and_then(|pids| pids.get("master")).and_then(pid),
        workers: workers.into_iter().flatten().filter_map(pid).take(MAX_ITEMS).collect(),
    }
}

fn configuration(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(map)) = value else { return BTreeMap::new() };
    let readable = map.iter().filter(|(key, _)| setting::is_readable(key));
    readable
        .filter_map(|(key, value)| scalar(value).map(|text| (key.clone(), printable(&text, 8 * MAX_TEXT))))
        .collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        Value::Array(list) => Some(list.iter().filter_map(scalar).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Object(_) => None,
    }
}

/// `GET /plugins/enabled`: the names that the answering worker has loaded (facts.md C2).
pub fn parse_enabled(body: &[u8]) -> Result<BTreeSet<PluginName>, AnswerError> {
    Ok(names(object(body)?.get("enabled_plugins")))
}

/// One row of `plugins`: a plugin applied to something. Its configuration is not kept: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PluginRow {
    /// The id, by which it is deleted: by a name Kong answers 204 and deletes nothing (measured.md 5).
    pub id: String,
    /// The plugin.
    pub name: PluginName,
    /// Whether it is switched on. A row that is off counts as in use all the same (facts.md B4).
    pub enabled: bool,
    /// What it is applied to; empty means everything.
    pub scope: BTreeMap<ScopeKind, String>,
    /// The name that somebody gave this row.
    pub instance_name: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was last changed, seconds since 1970.
    pub updated_at: Option<i64>,
}

/// What a row can be applied to; several at once narrow it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKind {
    /// A service.
    Service,
    /// A route.
    Route,
    /// A consumer.
    Consumer,
    /// A group of consumers (Enterprise).
    ConsumerGroup,
}

impl ScopeKind {
    /// As people call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Route => "route",
            Self::Consumer => "consumer",
            Self::ConsumerGroup => "consumer group",
        }
    }
}

#[derive(Deserialize)]
struct RawRow {
    id: String,
    name: String,
    enabled: Option<bool>,
    service: Option<RawRef>,
    route: Option<RawRef>,
    consumer: Option<RawRef>,
    consumer_group: Option<RawRef>,
    instance_name: Option<String>,
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    updated_at: Value,
}

#[derive(Deserialize)]
struct RawRef {
    id: Option<String>,
}

impl RawRow {
    fn row(self) -> Option<PluginRow> {
        let scopes = [
            (ScopeKind::Service, self.service),
            (ScopeKind::Route, self.route),
            (ScopeKind::Consumer, self.consumer),
            (ScopeKind::ConsumerGroup, self.consumer_group),
        ];
        let scope = scopes.into_iter().filter_map(|(kind, target)| Some((kind, id(&target?.id?)?))).collect();
        let tags = self.tags.as_array().into_iter().flatten().filter_map(Value::as_str);
        Some(PluginRow {
            id: id(&self.id)?,
            name: PluginName::parse(&self.name).ok()?,
            enabled: self.enabled.unwrap_or(true),
            scope,
            instance_name: self.instance_name.map(|name| printable(&name, MAX_TEXT)),
            tags: tags.take(100).map(|tag| printable(tag, MAX_TEXT)).collect(),
            updated_at: self.updated_at.as_i64().filter(|at| *at >= 0),
        })
    }
}

/// An id that can stand in the path of a request.
fn id(text: &str) -> Option<String> {
    let clean =
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    clean.then(|| text.to_owned())
}

/// One page of `GET /plugins`. There is no filter by name: every page must be walked (measured.md 5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginPage {
    /// The rows that were understood.
    pub rows: Vec<PluginRow>,
    /// Rows that were not: while there are any, the list is not known.
    pub not_understood: usize,
    /// What to send as `offset` for the next page; `None` on the last.
    pub offset: Option<String>,
}

impl PluginPage {
    /// Reads one page.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let root = object(body)?;
        let data = match root.get("data") {
            Some(Value::Array(rows)) => rows.as_slice(),
            // An empty Lua table comes as an object.
            Some(Value::Object(map)) if map.is_empty() => &[],
            _ => return Err(AnswerError::NotUnderstood("no list of rows in it".to_owned())),
        };
        let rows: Vec<PluginRow> = data
            .iter()
            .take(MAX_ITEMS)
            .filter_map(|row| serde_json::from_value::<RawRow>(row.clone()).ok().and_then(RawRow::row))
            .collect();
        let offset =
            root.get("offset").and_then(Value::as_str).filter(|text| text.len() <= 4 * MAX_TEXT).map(str::to_owned);
        Ok(Self { not_understood: data.len() - rows.len(), rows, offset })
    }
}

/// `GET /status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeStatus {
    /// Whether the node reaches its database; `None` without one.
    pub database_reachable: Option<bool>,
    /// The hash of the configuration of a node without a database.
    pub configuration_hash: Option<String>,
}

impl NodeStatus {
    /// Reads the answer.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let root = object(body)?;
        let reachable = root.get("database").and_then(|database| database.get("reachable"));
        let hash = root.get("configuration_hash").and_then(Value::as_str);
        Ok(Self {
            database_reachable: reachable.and_then(Value::as_bool),
            configuration_hash: hash.map(|hash| printable(hash, 80)),
        })
    }
}

/// The message of an answer that is an error (`{"message": …}`), fit to be shown.
pub fn error_message(body: &[u8]) -> Option<String> {
    object(body).ok()?.get("message").and_then(Value::as_str).map(|text| printable(text, 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str) -> PluginName {
        PluginName::parse(name).unwrap()
    }

    const NODE: &str = r#"{"version":"3.9.1","edition":"community","hostname":"vm","node_id":"34f1ee50",
        "plugins":{"available_on_server":{"hello":{"version":"1.0.0","priority":900},"bad name":{"version":"1"}},
                   "enabled_in_cluster":["request-termination"]},
        "configuration":{"plugins":["bundled","hello"],"pg_password":"hunter2","lua_package_path":"/x/?.lua;;",
                         "db_update_frequency":5,"prefix":"/usr/local/kong"},
        "pids":{"master":5806,"workers":[6411,6416]},"timers":{"running":1}}"#;

    #[test]
    fn the_answer_of_3_is_read() {
        let info = NodeInfo::parse(NODE.as_bytes()).unwrap();
        assert_eq!(info.version, KongVersion::parse("3.9.1"));
        let hello = LoadedPlugin { version: Some("1.0.0".to_owned()), priority: Some(900) };
        assert_eq!(info.loaded.into_iter().collect::<Vec<_>>(), [(plugin("hello"), hello)]);
        assert_eq!(info.pids, Pids { master: Some(5806), workers: BTreeSet::from([6411, 6416]) });
        assert_eq!(info.in_use, BTreeSet::from([plugin("request-termination")]));
        assert_eq!(info.configuration["plugins"], "bundled,hello");
        assert!(!info.configuration.contains_key("pg_password"));
    }

    #[test]
    fn the_answer_of_2_8_is_read() {
        let body = br#"{"version":"2.8.5","plugins":{"available_on_server":{"hello":true},"enabled_in_cluster":{}}}"#;
        let info = NodeInfo::parse(body).unwrap();
        assert_eq!(info.loaded[&plugin("hello")], LoadedPlugin::default());
        assert!(info.in_use.is_empty());
    }

    #[test]
    fn a_node_in_a_reload_has_no_workers_and_that_is_not_an_error() {
        let info = NodeInfo::parse(br#"{"version":"3.9.1","pids":{"master":5}}"#).unwrap();
        assert_eq!(info.pids, Pids { master: Some(5), workers: BTreeSet::new() });
        let none = NodeInfo::parse(br#"{"pids":{"workers":{}},"plugins":{"available_on_server":[]}}"#).unwrap();
        assert_eq!(none, NodeInfo::default());
    }

    #[test]
    fn what_a_hup_would_apply_is_told_by_name() {
        let info = NodeInfo::parse(NODE.as_bytes()).unwrap();
        let env = EnvFile::parse(
            "plugins = bundled, hello\nprefix = /usr/local/kong/\nlua_package_path = /y/?.lua;;\nrole = x\n",
        );
        assert_eq!(info.pending(&env), BTreeSet::from(["lua_package_path".to_owned()]));
    }

    #[test]
    fn rows_are_read_with_their_scope_and_without_their_configuration() {
        let body = br#"{"data":[
            {"id":"11111111-1111-1111-1111-111111111111","name":"hello","enabled":false,"service":{"id":"s-1"},"route":null,
             "consumer":null,"config":{"secret":"x"},"tags":["a"],"instance_name":"mine","updated_at":1789999000},
            {"id":"2","name":"other","tags":null},
            {"id":"3","name":"other","consumer_group":{"id":"g-1"}},
            {"id":"../x","name":"other"},{"nonsense":1}],"next":"/plugins?offset=W1","offset":"W1"}"#;
        let page = PluginPage::parse(body).unwrap();
        assert_eq!(page.offset.as_deref(), Some("W1"));
        assert_eq!(page.not_understood, 2);
        let first = &page.rows[0];
        assert!(!first.enabled);
        assert_eq!(first.scope, BTreeMap::from([(ScopeKind::Service, "s-1".to_owned())]));
        assert_eq!((first.tags.as_slice(), first.updated_at), (&["a".to_owned()][..], Some(1_789_999_000)));
        assert!(page.rows[1].enabled && page.rows[1].scope.is_empty());
        assert_eq!(page.rows[2].scope, BTreeMap::from([(ScopeKind::ConsumerGroup, "g-1".to_owned())]));
        assert_eq!((page.rows[1].tags.len(), page.rows[1].updated_at), (0, None));
    }

    #[test]
    fn a_page_without_rows_is_not_an_empty_list() {
        assert!(PluginPage::parse(br#"{"message":"Unauthorized"}"#).is_err());
        assert_eq!(PluginPage::parse(br#"{"data":[],"next":null}"#).unwrap(), PluginPage::default());
        assert_eq!(error_message(br#"{"message":"Un\u001bauthorized"}"#).as_deref(), Some("Un\u{fffd}authorized"));
    }

    #[test]
    fn what_is_no_answer_of_kong_is_an_error() {
        for body in [&b""[..], b"<html>", b"[]", b"\"x\"", b"{", &vec![b'['; 100_000]] {
            assert!(NodeInfo::parse(body).is_err());
        }
        assert!(matches!(NodeInfo::parse(&vec![b' '; MAX_ANSWER + 1]), Err(AnswerError::TooLarge(_))));
    }

    #[test]
    fn the_status_tells_of_the_database_or_the_hash() {
        let status = NodeStatus::parse(br#"{"database":{"reachable":false},"server":{}}"#).unwrap();
        assert_eq!(status.database_reachable, Some(false));
        assert_eq!(
            NodeStatus::parse(br#"{"configuration_hash":"ab"}"#).unwrap().configuration_hash.as_deref(),
            Some("ab")
        );
        assert_eq!(parse_enabled(br#"{"enabled_plugins":["jwt","hello"]}"#).unwrap().len(), 2);
    }
}
