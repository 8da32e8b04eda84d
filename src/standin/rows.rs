//! Rows of `plugins`: from the cluster's database file, or from a declarative file.
//!
//! The database of a cluster is one JSON object with a lock beside it: tables by name (`plugins`, `services`, `routes`,
//! `consumers`), each a list of rows as the Admin API shows them, and `migrations`, the plugins whose own migrations ran.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// The database of a cluster, as one file.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: PathBuf,
}

impl Database {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Everything in it; a file that is not there yet is an empty database.
    pub(super) fn read(&self) -> io::Result<Map<String, Value>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(error),
        }
    }

    /// The rows of one table.
    pub(super) fn table(&self, name: &str) -> io::Result<Vec<Value>> {
        Ok(self.read()?.remove(name).and_then(|rows| rows.as_array().cloned()).unwrap_or_default())
    }

    /// Changes the database under its lock, by a file beside and a rename, so that readers need no lock.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Map<String, Value>) -> T) -> io::Result<T> {
        let lock = File::options().create(true).append(true).open(self.path.with_extension("lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        let mut all = self.read()?;
        let result = change(&mut all);
        let beside = self.path.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&all)?)?;
        fs::rename(beside, &self.path)?;
        Ok(result)
    }
}

/// The names in use, disabled rows included: each must be loaded, or the load fails (facts.md B4).
pub(super) fn names(rows: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row.get("name")?.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The plugin rows of a declarative file in YAML or JSON, nested ones too. The error is Kong's sentence.
pub(super) fn declarative(path: &Path, enabled: impl Fn(&str) -> bool) -> Result<Vec<Value>, String> {
    let head = format!("error parsing declarative config file {}:\n", path.display());
    let text = fs::read_to_string(path)
        .map_err(|error| format!("{head}{}: {}", path.display(), super::prefix::plain(&error)))?;
    let file: Value = serde_yaml::from_str(&text)
        .map_err(|error| format!("{head}failed parsing declarative configuration: {error}"))?;
    let mut rows = Vec::new();
    collect(&file, None, &mut rows);
    for (at, row) in rows.iter().enumerate() {
        let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
        if !enabled(name) {
            let entry = at + 1;
            return Err(format!(
                "{head}in 'plugins':\n  - in entry {entry} of 'plugins':\n    in 'name': plugin '{name}' not enabled; add it to the 'plugins' configuration property"
            ));
        }
    }
    Ok(rows)
}

/// Plugins at the top and below services, routes and consumers, each as a row.
fn collect(entity: &Value, scope: Option<(&str, &Value)>, rows: &mut Vec<Value>) {
    for plugin in list(entity, "plugins") {
        let mut row = fresh(plugin.get("name").and_then(Value::as_str).unwrap_or_default());
        for (key, value) in plugin.as_object().into_iter().flatten() {
            row[key.as_str()] = value.clone();
        }
        if let Some((kind, owner)) = scope {
            row[kind] =
                json!({ "id": owner.get("name").or_else(|| owner.get("username")).cloned().unwrap_or_default() });
        }
        rows.push(row);
    }
    for (table, kind) in [("services", "service"), ("routes", "route"), ("consumers", "consumer")] {
        for child in list(entity, table) {
            collect(child, Some((kind, child)), rows);
        }
    }
}

fn list<'a>(entity: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    entity.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A row as `POST /plugins` answers it, of global scope.
pub(super) fn fresh(name: &str) -> Value {
    let now = super::clock::unix_seconds();
    json!({
        "id": super::clock::uuid(), "name": name, "instance_name": null, "enabled": true, "config": {},
        "service": null, "route": null, "consumer": null, "tags": null, "created_at": now, "updated_at": now,
        "protocols": ["grpc", "grpcs", "http", "https"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_from_many_threads_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::at(&dir.path().join("db.json"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let push = |all: &mut Map<String, Value>| {
                            let rows = all.entry("plugins").or_insert_with(|| json!([]));
                            rows.as_array_mut().unwrap().push(fresh("x"));
                        };
                        database.change(push).unwrap();
                    }
                });
            }
        });
        assert_eq!(database.table("plugins").unwrap().len(), 100);
    }

    #[test]
    fn nested_plugins_are_found_and_one_that_is_not_enabled_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kong.yml");
        let text = "_format_version: '3.0'\nplugins: [{ name: a }]\nservices:\n- name: s\n  routes:\n  - name: r\n    plugins: [{ name: b, enabled: false, config: { x: 1 } }]\n";
        fs::write(&file, text).unwrap();
        let rows = declarative(&file, |_| true).unwrap();
        assert_eq!(names(&rows), ["a", "b"]);
        assert_eq!(
            (&rows[1]["route"]["id"], &rows[1]["enabled"], &rows[1]["config"]["x"]),
            (&json!("r"), &json!(false), &json!(1))
        );
        let problem = declarative(&file, |name| name == "a").unwrap_err();
        assert!(
            problem.ends_with("in 'name': plugin 'b' not enabled; add it to the 'plugins' configuration property"),
            "{problem}"
        );
    }
}
