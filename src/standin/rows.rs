//! Rows of `plugins` in the cluster's database file.
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
}
