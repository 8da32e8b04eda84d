//! What a node without a database keeps in `dbless.lmdb` of its prefix: the configuration that its workers act on, and that
//! they come up with after a reload or a restart (measured.md 7 and 8).
//!
//! The directory has the names of a real one; `data.mdb` in it is JSON. A copy of the directory is a copy of the
//! configuration, which is what a trial in a scratch prefix rests on (protocols.md A).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows by the name of their table.
pub(super) type Tables = Map<String, Value>;

/// How much of what was stored before stays readable in freed pages.
const FREED: usize = 64 << 10;

/// A stored configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// Identifies it; `None`: nothing was ever stored.
    pub(super) hash: Option<String>,
    pub(super) tables: Tables,
}

impl Stored {
    pub(super) fn table(&self, name: &str) -> &[Value] {
        self.tables.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// `configuration_hash`: zeros while there is none.
    pub(super) fn shown_hash(&self) -> String {
        self.hash.clone().unwrap_or_else(|| "0".repeat(32))
    }
}

/// 32 hexadecimal digits, as long as Kong's own.
pub(super) fn hash(bytes: &[u8]) -> String {
    let hex = crate::name::Digest::of(bytes).to_string();
    hex.chars().take(32).collect()
}

/// The store of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(super) fn of(prefix: &Path) -> Self {
        Self { dir: prefix.join("dbless.lmdb") }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data.mdb")
    }

    /// What is stored; nothing where nothing was, or where it cannot be read.
    pub(super) fn read(&self) -> Stored {
        fs::read(self.data()).map(|bytes| parse(&bytes)).unwrap_or_default()
    }

    /// Replaces what is stored, by a file beside and a rename. The old pages are freed and not cleared: a search for a name in
    /// the file proves nothing (protocols.md B4).
    pub(super) fn write(&self, stored: &Stored) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut freed = fs::read(self.data()).unwrap_or_default();
        freed.truncate(FREED);
        let beside = self.dir.join(format!("data.new.{}", std::process::id()));
        let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        serde_json::to_writer(&mut file, stored)?;
        file.write_all(b"\n")?;
        file.write_all(&freed)?;
        fs::File::options().create(true).append(true).mode(0o600).open(self.dir.join("lock.mdb"))?;
        fs::rename(beside, self.data())
    }

    /// Gives the store to the user that workers run as, as the module that opens it does. A failure shows when they write.
    pub(super) fn give_to(&self, user: Option<&str>) {
        let Some(user) = user.filter(|_| nix::unistd::geteuid().is_root()) else { return };
        let Ok(Some(user)) = nix::unistd::User::from_name(user) else { return };
        for path in [self.dir.clone(), self.data(), self.dir.join("lock.mdb")] {
            let _ = nix::unistd::chown(&path, Some(user.uid), Some(user.gid));
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        let found = fs::metadata(self.data()).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec()))
    }
}

fn parse(bytes: &[u8]) -> Stored {
    // Freed pages follow the first value.
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
    values.next().and_then(Result::ok).unwrap_or_default()
}

/// Tells one file from the next that takes its place.
type Stamp = (u64, i64, i64);

/// The store as the workers of a node act on it.
#[derive(Debug)]
pub(super) struct Live {
    store: Store,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    stamp: Option<Stamp>,
    acted_on: Arc<Stored>,
    /// When a newer one was first seen.
    seen: Option<Instant>,
}

impl Live {
    pub(super) fn of(prefix: &Path) -> Self {
        let store = Store::of(prefix);
        let held = Held { stamp: store.stamp(), acted_on: Arc::new(store.read()), seen: None };
        Self { store, held: Mutex::new(held) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What the worker acts on: it follows the store after this long (0.3 s on a real data plane, protocols.md B4).
    pub(super) fn acted_on(&self, delay: Duration) -> Arc<Stored> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.store.stamp();
        if stamp != held.stamp && held.seen.get_or_insert_with(Instant::now).elapsed() >= delay {
            *held = Held { stamp, acted_on: Arc::new(self.store.read()), seen: None };
        }
        Arc::clone(&held.acted_on)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(hash: &str, names: &[&str]) -> Stored {
        let rows: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        Stored { hash: Some(hash.into()), tables: Map::from_iter([("plugins".to_owned(), json!(rows))]) }
    }

    #[test]
    fn what_was_stored_is_read_by_who_has_a_copy_of_the_directory() {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::of(dir.path());
        assert_eq!(store.read(), Stored::default());
        store.write(&stored("one", &["acme-auth"])).unwrap();
        fs::create_dir(scratch.path().join("dbless.lmdb")).unwrap();
        fs::copy(dir.path().join("dbless.lmdb/data.mdb"), scratch.path().join("dbless.lmdb/data.mdb")).unwrap();
        assert_eq!(Store::of(scratch.path()).read(), stored("one", &["acme-auth"]));
    }

    #[test]
    fn a_name_that_is_gone_still_stands_in_a_freed_page() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        store.write(&stored("one", &["acme-auth"])).unwrap();
        store.write(&stored("two", &[])).unwrap();
        assert_eq!(store.read(), stored("two", &[]));
        assert!(fs::read_to_string(dir.path().join("dbless.lmdb/data.mdb")).unwrap().contains("acme-auth"));
        for _ in 0..100 {
            store.write(&stored("x", &["y"; 500])).unwrap();
        }
        let size = fs::metadata(dir.path().join("dbless.lmdb/data.mdb")).unwrap().len();
        assert!(size < 200_000, "it does not grow for ever: {size}");
    }

    #[test]
    fn a_worker_follows_the_store_after_the_delay_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let live = Live::of(dir.path());
        assert_eq!(live.acted_on(Duration::ZERO).hash, None);
        live.store().write(&stored("one", &[])).unwrap();
        assert_eq!(live.acted_on(Duration::from_hours(1)).hash, None);
        assert_eq!(live.acted_on(Duration::ZERO).hash.as_deref(), Some("one"));
    }
}
