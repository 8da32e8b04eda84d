//! What control planes and data planes of stand-ins say to each other, and what a control plane makes of it
//! (facts.md D3, measured.md 8).
//!
//! One JSON value per line over plain TCP, where a real Kong speaks WebSocket with mutual TLS. Certificates are asked for,
//! as a real Kong does, and not looked at.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::effective::Effective;
use super::generation::{Generation, Plugin};
use super::lmdb::{self, Stored, Tables};

/// From a data plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Said {
    /// Once per connection: plugins are announced at no other time.
    Hello(Hello),
    /// The hash of what it runs now.
    Ping { hash: String },
}

/// Who a data plane is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) id: String,
    pub(super) hostname: String,
    pub(super) version: String,
    pub(super) hash: String,
    pub(super) plugins: Vec<Announced>,
}

/// A plugin of a data plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announced {
    pub(super) name: String,
    pub(super) version: String,
}

/// From a control plane: the whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) config: Stored,
}

/// `sync_status` of a data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Normal,
    KongVersion,
    PluginSet,
    PluginVersion,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::KongVersion => "kong_version_incompatible",
            Self::PluginSet => "plugin_set_incompatible",
            Self::PluginVersion => "plugin_version_incompatible",
        }
    }
}

/// Why a data plane is sent nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) status: Status,
    /// As the control plane's log has it.
    pub(super) text: String,
}

/// Major and minor; `None` unless all three numbers are there: then no version is compared.
fn parts(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let (major, minor) = (numbers.next()??, numbers.next()??);
    numbers.next()??;
    Some((major, minor))
}

/// The releases: the same major, and no data plane newer by a minor.
pub(super) fn releases(control: &str, data: &str) -> Result<(), Conflict> {
    let conflict = |text| Err(Conflict { status: Status::KongVersion, text });
    let (Some(ours), Some(theirs)) = (parts(control), parts(data)) else {
        return conflict(format!("data plane version {data} is not a version"));
    };
    if ours.0 != theirs.0 {
        return conflict(format!(
            "data plane version {data} is incompatible with control plane version {control} ({}.x.y are accepted)",
            ours.0
        ));
    }
    if theirs.1 > ours.1 {
        return conflict(format!(
            "data plane version {data} is incompatible with older control plane version {control}"
        ));
    }
    Ok(())
}

/// The plugins: only those count that are loaded on the control plane and stand in the configuration that would be sent.
pub(super) fn plugins(control: &[Plugin], configured: &[&str], data: &[Announced]) -> Result<(), Conflict> {
    for plugin in control.iter().filter(|plugin| configured.contains(&plugin.name.as_str())) {
        let (name, ours) = (&plugin.name, &plugin.version);
        let Some(theirs) = data.iter().find(|announced| announced.name == *name) else {
            let text = format!("configured {name} plugin {ours} is missing from data plane");
            return Err(Conflict { status: Status::PluginSet, text });
        };
        let (Some(cp), Some(dp)) = (parts(ours), parts(&theirs.version)) else { continue };
        if cp.0 != dp.0 || cp.1 < dp.1 {
            let text = format!(
                "configured data plane {name} plugin version {} is different to control plane plugin version {ours}",
                theirs.version
            );
            return Err(Conflict { status: Status::PluginVersion, text });
        }
    }
    Ok(())
}

/// What a data plane is sent of a database: without disabled rows, and without what hangs on a disabled service.
pub(super) fn export(all: &Map<String, Value>) -> Stored {
    let enabled = |row: &Value| row["enabled"] != Value::Bool(false);
    let rows = |table: &str| all.get(table).and_then(Value::as_array).cloned().unwrap_or_default();
    let off: Vec<Value> = rows("services").iter().filter(|row| !enabled(row)).map(|row| row["id"].clone()).collect();
    let without: Vec<Value> =
        rows("routes").iter().filter(|row| off.contains(&row["service"]["id"])).map(|row| row["id"].clone()).collect();
    let mut tables = Tables::new();
    for table in ["services", "routes", "consumers", "consumer_groups", "plugins"] {
        let mut kept = rows(table);
        kept.retain(|row| {
            enabled(row) && !off.contains(&row["service"]["id"]) && !without.contains(&row["route"]["id"])
        });
        kept.sort_by_key(|row| row["id"].to_string());
        if !kept.is_empty() {
            tables.insert(table.to_owned(), kept.into());
        }
    }
    // The content alone counts: the hash without a row is that from before the row.
    let hash = lmdb::hash(Value::Object(tables.clone()).to_string().as_bytes());
    Stored { hash: Some(hash), tables }
}

/// What Kong's configuration loader asks of a node of a hybrid cluster.
pub(super) fn check(config: &Effective) -> Result<(), String> {
    let role = config.get("role");
    if role == "traditional" {
        return Ok(());
    }
    let is_off = |key: &str| matches!(config.get(key).split([',', ' ']).next(), None | Some("" | "off"));
    let wanted: &[&str] = if role == "control_plane" { &["admin_listen", "cluster_listen"] } else { &["proxy_listen"] };
    if let Some(key) = wanted.iter().find(|key| is_off(key)) {
        return Err(format!("{key} must be specified when role = \"{role}\""));
    }
    match (role, config.get("database")) {
        ("control_plane", "off") => {
            return Err("in-memory storage can not be used when role = \"control_plane\"".into());
        }
        ("data_plane", database) if database != "off" => {
            return Err("only in-memory storage can be used when role = \"data_plane\"\nHint: set database = off in your kong.conf".into());
        }
        _ => {}
    }
    for key in ["cluster_cert", "cluster_cert_key"] {
        match config.get(key) {
            "" => return Err("cluster certificate and key must be provided to use Hybrid mode".into()),
            file if !Path::new(file).is_file() => return Err(format!("{key}: no such file at {file}")),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a pair for both roles of a cluster, and says so: nobody looks into it here. Overwrites nothing.
pub(super) fn certify(cert: &Path, key: &Path) -> Result<String, String> {
    if let Some(path) = [cert, key].into_iter().find(|path| path.exists()) {
        return Err(format!("{} already exists.\nWill not overwrite it.", path.display()));
    }
    std::fs::write(cert, "-----BEGIN CERTIFICATE-----\nof a stand-in\n-----END CERTIFICATE-----\n")
        .and_then(|()| std::fs::write(key, "a stand-in has no key\n"))
        .map_err(|error| super::prefix::plain(&error))?;
    let (cert, key) = (cert.display(), key.display());
    Ok(format!("Successfully generated certificate/key pairs, they have been written to: '{cert}' and '{key}'."))
}

/// Which listeners a role has: a data plane has no Admin API, a control plane no proxy (Kong's nginx template).
pub(super) fn listens(role: &str, key: &str) -> bool {
    match key {
        "proxy_listen" => role != "control_plane",
        "admin_listen" => role != "data_plane",
        "cluster_listen" => role == "control_plane",
        _ => true,
    }
}

impl Generation {
    /// A text of the configuration, "" where there is none.
    pub(super) fn setting(&self, key: &str) -> &str {
        self.configuration[key].as_str().unwrap_or_default()
    }

    /// `traditional`, `control_plane` or `data_plane`.
    pub(super) fn role(&self) -> &str {
        self.setting("role")
    }

    pub(super) fn prefix(&self) -> PathBuf {
        PathBuf::from(self.setting("prefix"))
    }
}

/// Whether the generation is one of a data plane whose connection a process of its own holds: from 3.9, not in 3.4
/// (measured.md 13).
pub(super) fn has_agent(generation: &Generation, is_34: bool) -> bool {
    generation.role() == "data_plane" && !is_34
}

#[cfg(test)]
#[path = "clustering_tests.rs"]
mod tests;
