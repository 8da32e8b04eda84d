//! The effective configuration of one call: defaults, file and environment, in Kong's order (measured.md 4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::defaults::{self, KEYS, Kind};
use super::{Settings, conf};

/// The effective values by key; an empty one counts as not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effective {
    values: BTreeMap<String, String>,
    /// The keys whose value is kept in a vault, with the reference.
    references: BTreeMap<String, String>,
}

/// Which sources one call has, beside the defaults.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources<'a> {
    /// The text of kong.conf or `.kong_env`.
    pub(super) file: &'a str,
    /// The caller's environment; empty for the master, which reads only `.kong_env`.
    pub(super) environment: &'a [(String, String)],
    /// `-p`.
    pub(super) prefix: Option<&'a Path>,
    /// What the CLI found for vault references, for the master: by key.
    pub(super) secrets: Option<&'a BTreeMap<String, String>>,
}

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];

impl Effective {
    /// Merges and checks. The error is Kong's sentence, without the `Error: ` in front.
    pub(super) fn merge(settings: &Settings, sources: &Sources<'_>) -> Result<Self, String> {
        let is_34 = settings.is_34();
        let mut values: BTreeMap<String, String> =
            defaults::of(is_34).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        values.insert("prefix".into(), settings.default_prefix.display().to_string());
        let file = conf::read(sources.file);
        // A key without a value in a file keeps its default, but an empty variable overrides (facts.md A3).
        let takes = |(key, _): &(String, String)| defaults::takes(key, is_34);
        values.extend(file.into_iter().filter(|(_, value)| !value.is_empty()).filter(takes));
        let variables = sources.environment.iter().filter_map(|(name, value)| from_environment(name, value));
        values.extend(variables.filter(takes));
        if let Some(prefix) = sources.prefix {
            values.insert("prefix".into(), prefix.display().to_string());
        }
        let values = values.into_iter().map(|(key, value)| (normal(&key, &value), key)).map(swap).collect();
        let mut merged = Self { values, references: BTreeMap::new() };
        merged.dereference(sources);
        merged.check()?;
        Ok(merged)
    }

    /// Puts the value in the place of each `{vault://env/NAME}`: from the caller's environment, or what the CLI once found. What
    /// is not found is nothing, without a word (measured.md 15: "no user name").
    fn dereference(&mut self, sources: &Sources<'_>) {
        for (key, value) in &mut self.values {
            let Some(name) = value.strip_prefix("{vault://env/").and_then(|rest| rest.strip_suffix('}')) else {
                continue;
            };
            let name = name.replace('-', "_").to_ascii_uppercase();
            let variable = sources.environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
            let kept = sources.secrets.and_then(|secrets| secrets.get(key));
            let found = variable.or(kept).cloned().unwrap_or_default();
            self.references.insert(key.clone(), std::mem::replace(value, found));
        }
    }

    /// What the references stood for, by key; `None` where there are none.
    pub(super) fn secrets(&self) -> Option<BTreeMap<String, String>> {
        let value = |key: &String| self.values.get(key).filter(|value| !value.is_empty());
        let found = self.references.keys().filter_map(|key| Some((key.clone(), value(key)?.clone())));
        (!self.references.is_empty()).then(|| found.collect())
    }

    /// Every key with its value; "" where there is none.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values as they are written and shown: a reference is never replaced by what it stands for.
    fn written(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter().map(|(key, value)| (key, self.references.get(key).unwrap_or(value)))
    }

    fn check(&self) -> Result<(), String> {
        self.one_of("log_level", &LEVELS)?;
        self.one_of("database", &["postgres", "cassandra", "off"])?;
        self.one_of("role", &["data_plane", "control_plane", "traditional"])?;
        for (key, value) in &self.values {
            if defaults::kind_of(key) == Some(Kind::Number) && !value.is_empty() && value.parse::<f64>().is_err() {
                return Err(format!("{key} is not a number: '{value}'"));
            }
        }
        for key in ["proxy_listen", "admin_listen", "status_listen", "cluster_listen"] {
            self.listens(key)?;
        }
        super::clustering::check(self)
    }

    fn one_of(&self, key: &str, allowed: &[&str]) -> Result<(), String> {
        let value = self.get(key);
        if allowed.contains(&value) {
            return Ok(());
        }
        Err(format!("{key} has an invalid value: '{value}' ({})", allowed.join(", ")))
    }

    /// The raw value, "" where there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// Forgets a key, as `kong reload` does with `declarative_config`.
    pub(super) fn forget(&mut self, key: &str) {
        self.values.remove(key);
    }

    pub(super) fn prefix(&self) -> PathBuf {
        PathBuf::from(self.get("prefix"))
    }

    /// The `plugins` directive as listed.
    pub(super) fn plugins(&self) -> Vec<String> {
        conf::elements(self.get("plugins"))
    }

    /// The set that is loaded: `bundled` spelled out, `off` in front means none, elsewhere it is skipped (facts.md A2).
    pub(super) fn loaded_plugins(&self, is_34: bool) -> BTreeSet<String> {
        let listed = self.plugins();
        if listed.first().is_some_and(|name| name == "off") {
            return BTreeSet::new();
        }
        let mut set = BTreeSet::new();
        for name in listed.into_iter().filter(|name| name != "off") {
            if name == "bundled" {
                set.extend(defaults::bundled(is_34).into_iter().map(str::to_owned));
            } else {
                set.insert(name);
            }
        }
        set
    }

    /// The plain HTTP addresses of one `*_listen` key; those with `ssl` are left out, as the stand-in speaks no TLS.
    pub(super) fn listens(&self, key: &str) -> Result<Vec<String>, String> {
        let listed = conf::elements(self.get(key));
        if !super::clustering::listens(self.get("role"), key)
            || listed.is_empty()
            || listed.first().is_some_and(|first| first == "off")
        {
            return Ok(vec![]);
        }
        let mut plain = Vec::new();
        for entry in listed {
            let mut words = entry.split_whitespace();
            let address = words.next().unwrap_or_default();
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return Err(format!(
                    "{key} must be of form: [off] | <ip>:<port> [ssl] [http2] [proxy_protocol] [deferred] [bind] [reuseport] [backlog=%d+] [... next entry ...]"
                ));
            }
            if !words.any(|word| word == "ssl") {
                plain.push(address.to_owned());
            }
        }
        Ok(plain)
    }

    /// How many workers; `auto` is two, so that a fleet of nodes fits on one machine.
    pub(super) fn worker_count(&self) -> usize {
        let given = [self.get("nginx_worker_processes"), self.get("nginx_main_worker_processes")];
        given.into_iter().find_map(|value| value.parse().ok()).unwrap_or(2).clamp(1, 16)
    }

    /// `key = value` lines of `.kong_env`, unsorted, empty values left out (facts.md A4).
    pub(super) fn lines(&self) -> Vec<String> {
        let derived = self.derived();
        let all = self.written().chain(&derived).filter(|(_, value)| !value.is_empty());
        all.map(|(key, value)| format!("{key} = {}", conf::escaped(value))).collect()
    }

    fn derived(&self) -> BTreeMap<String, String> {
        let prefix = self.get("prefix");
        let paths = [
            ("kong_env", ".kong_env"),
            ("nginx_conf", "nginx.conf"),
            ("nginx_kong_conf", "nginx-kong.conf"),
            ("nginx_pid", "pids/nginx.pid"),
            ("nginx_err_logs", "logs/error.log"),
        ];
        paths.into_iter().map(|(key, path)| (key.to_owned(), format!("{prefix}/{path}"))).collect()
    }

    /// `configuration` of `GET /`: values by their kind, known secrets blotted out.
    pub(super) fn as_json(&self, is_34: bool) -> Value {
        let mut shown = Map::new();
        for (key, value) in self.written().chain(&self.derived()).filter(|(_, value)| !value.is_empty()) {
            shown.insert(key.clone(), typed(key, value));
        }
        let loaded = self.loaded_plugins(is_34).into_iter().map(|name| (name, Value::Bool(true))).collect();
        shown.insert("loaded_plugins".into(), Value::Object(loaded));
        Value::Object(shown)
    }
}

fn swap((value, key): (String, String)) -> (String, String) {
    (key, value)
}

/// Arrays are kept with a bare comma between their elements.
fn normal(key: &str, value: &str) -> String {
    match defaults::kind_of(key) {
        Some(Kind::Array) => conf::elements(value).join(","),
        _ => value.to_owned(),
    }
}

/// `KONG_PLUGINS` is `plugins`. Known keys want exact upper case, others are found by lower-casing (facts.md A3).
fn from_environment(name: &str, value: &str) -> Option<(String, String)> {
    let key = name.strip_prefix("KONG_")?.to_ascii_lowercase();
    let known = KEYS.iter().any(|(known, _, _)| *known == key);
    let exact = name[5..].chars().all(|char| !char.is_ascii_lowercase());
    (defaults::kind_of(&key).is_some() && (exact || !known)).then(|| (key, value.to_owned()))
}

fn typed(key: &str, value: &str) -> Value {
    // `GET /` blots out this one and leaves vault tokens readable (protocols.md B8).
    if key == "pg_password" {
        return "******".into();
    }
    match defaults::kind_of(key) {
        Some(Kind::Array) => conf::elements(value).into(),
        Some(Kind::Switch) => (value == "on" || value == "true").into(),
        Some(Kind::Number) => value
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| value.parse::<f64>().map(Value::from))
            .unwrap_or(Value::Null),
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(file: &str, environment: &[(&str, &str)]) -> Effective {
        let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Effective::merge(&Settings::default(), &Sources { file, environment: &environment, ..Sources::default() })
            .unwrap()
    }

    #[test]
    fn the_environment_beats_the_file_which_beats_the_default() {
        assert_eq!(merge("", &[]).get("plugins"), "bundled");
        assert_eq!(merge("plugins = a, b", &[]).get("plugins"), "a,b");
        assert_eq!(merge("plugins = a", &[("KONG_PLUGINS", "c")]).get("plugins"), "c");
        assert_eq!(merge("plugins = a", &[("KONG_Plugins", "c")]).get("plugins"), "a");
    }

    #[test]
    fn an_empty_variable_drops_the_key_so_that_the_next_reader_takes_the_default() {
        let merged = merge("plugins = a", &[("KONG_PLUGINS", "")]);
        assert!(!merged.lines().iter().any(|line| line.starts_with("plugins =")));
        assert_eq!(merge(&merged.lines().join("\n"), &[]).get("plugins"), "bundled");
    }

    #[test]
    fn off_in_front_loads_nothing_and_elsewhere_is_skipped() {
        assert!(merge("plugins = off,x", &[]).loaded_plugins(false).is_empty());
        assert_eq!(merge("plugins = x,off", &[]).loaded_plugins(false).len(), 1);
        assert!(merge("plugins = bundled,x,", &[]).loaded_plugins(false).contains(""));
    }

    #[test]
    fn a_written_kong_env_reads_back_as_the_same_configuration() {
        let first = merge("plugins = bundled,x\nlog_level = warn\nnginx_http_a = b\\#c", &[]);
        assert_eq!(merge(&first.lines().join("\n"), &[]), first);
    }

    #[test]
    fn a_vault_reference_is_used_but_never_written_out() {
        let file = "pg_user = {vault://env/pg-login}\ndatabase = off";
        let merged = merge(file, &[("PG_LOGIN", "kong")]);
        assert_eq!(merged.get("pg_user"), "kong");
        assert!(merged.lines().contains(&"pg_user = {vault://env/pg-login}".to_owned()));
        let secrets = merged.secrets().unwrap();
        let later = Sources { file: &merged.lines().join("\n"), secrets: Some(&secrets), ..Sources::default() };
        assert_eq!(Effective::merge(&Settings::default(), &later).unwrap().get("pg_user"), "kong");
        assert_eq!(merge(file, &[]).get("pg_user"), "");
        assert_eq!(merge("", &[]).secrets(), None);
    }

    #[test]
    fn a_bad_value_is_said_in_kongs_words() {
        let sources = Sources { file: "log_level = loud", ..Sources::default() };
        let found = Effective::merge(&Settings::default(), &sources).unwrap_err();
        assert_eq!(
            found,
            "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)"
        );
    }

    #[test]
    fn listeners_with_tls_are_left_out_and_a_missing_port_is_an_error() {
        let merged = merge("admin_listen = 127.0.0.1:8001 reuseport, 127.0.0.1:8444 ssl", &[]);
        assert_eq!(merged.listens("admin_listen").unwrap(), ["127.0.0.1:8001"]);
        let sources = Sources { file: "proxy_listen = 127.0.0.1:notaport", ..Sources::default() };
        assert!(
            Effective::merge(&Settings::default(), &sources).unwrap_err().starts_with("proxy_listen must be of form")
        );
    }
}
