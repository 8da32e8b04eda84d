//! The directory of sockets: short, private, locked as long as its muster lives, swept by the next one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, flock};

/// How the directories of all musters begin.
const PREFIX: &str = "muster-";
/// The longest path of the directory, in bytes: of the 107 of a socket's path, ssh wants 17 more while it binds one
/// (crates.md 1), and ours are called `/12345/m`.
const LONGEST: usize = 107 - 17 - 8;

/// The directory of this muster.
#[derive(Debug)]
pub(super) struct Control {
    dir: PathBuf,
    /// Held for as long as this process lives: the kernel lets go of it, whatever ends us.
    _lock: File,
    count: AtomicUsize,
}

impl Control {
    /// Makes the directory below `parent`, or below `/tmp` where that cannot be.
    pub(super) fn create(parent: &Path) -> io::Result<Self> {
        let parent = if usable(parent) { parent } else { Path::new("/tmp") };
        for _ in 0..8 {
            let dir = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(parent)?
                .keep();
            if let Some(lock) = claim(&dir)? {
                return Ok(Self { dir, _lock: lock, count: AtomicUsize::new(0) });
            }
        }
        Err(io::Error::other("another muster removes every directory that is made"))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration file in it.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// A new directory for one master.
    pub(super) fn slot(&self) -> io::Result<PathBuf> {
        let slot = self.dir.join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&slot)?;
        Ok(slot)
    }
}

/// Whether sockets can live there, and its name can be put into a command without quotes.
fn usable(parent: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let text = parent.to_str().unwrap_or_default();
    let length = text.len() + 1 + PREFIX.len() + 6;
    parent.is_absolute() && parent.is_dir() && text.chars().all(plain) && length <= LONGEST
}

/// Locks the directory for us; `None` if it is somebody else's, or was taken away in between.
fn claim(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join("lock");
    let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    let still_there = fs::metadata(&path).is_ok_and(|meta| lock.metadata().is_ok_and(|own| own.ino() == meta.ino()));
    Ok(still_there.then_some(lock))
}

/// A directory whose muster is dead; ours as long as the lock is held.
pub(super) struct Stale {
    pub(super) dir: PathBuf,
    _lock: File,
}

/// The directories beside `own` whose muster is dead.
pub(super) fn stale(own: &Path) -> Vec<Stale> {
    let Some(entries) = own.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return Vec::new() };
    let dirs = entries.flatten().map(|entry| entry.path()).filter(|dir| dir != own && is_ours(dir));
    dirs.filter_map(|dir| Some(Stale { _lock: claim_existing(&dir)?, dir })).collect()
}

/// A directory of a muster of this user; one without a lock file is being made, or is something else.
fn is_ours(dir: &Path) -> bool {
    let named = dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    let user = rustix::process::geteuid().as_raw();
    named
        && fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir() && meta.uid() == user)
        && dir.join("lock").is_file()
}

fn claim_existing(dir: &Path) -> Option<File> {
    let lock = File::options().write(true).open(dir.join("lock")).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(lock)
}

/// The sockets of masters below a directory.
pub(super) fn sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().join("m")).filter(|socket| socket.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_private_and_its_slots_are_new() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let control = Control::create(parent.path()).unwrap();
        assert!(control.dir().starts_with(parent.path()));
        assert_eq!(fs::metadata(control.dir()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_ne!(control.slot().unwrap(), control.slot().unwrap());
    }

    #[test]
    fn an_unusable_parent_is_replaced() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let long = parent.path().join("x".repeat(80));
        let odd = parent.path().join("a b");
        for dir in [&long, &odd] {
            fs::create_dir(dir).unwrap();
            let control = Control::create(dir).unwrap();
            assert_eq!(control.dir().parent(), Some(Path::new("/tmp")));
            fs::remove_dir_all(control.dir()).unwrap();
        }
    }

    #[test]
    fn only_the_directories_of_dead_musters_are_stale() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let own = Control::create(parent.path()).unwrap();
        let alive = Control::create(parent.path()).unwrap();
        let dead = Control::create(parent.path()).unwrap();
        let gone = dead.dir().to_owned();
        drop(dead);
        fs::create_dir(parent.path().join("muster-being-made")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        fs::write(parent.path().join("other/lock"), "").unwrap();
        let found: Vec<_> = stale(own.dir()).into_iter().map(|stale| stale.dir).collect();
        assert_eq!(found, [gone]);
        assert!(alive.dir().is_dir());
    }
}
