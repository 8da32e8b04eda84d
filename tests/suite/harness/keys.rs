//! Keys: made once per test process, written into each fleet's directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A pair of keys as ssh-keygen writes them.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) secret: String,
    pub(crate) public: String,
}

/// The keys of all fleets: what hosts show, what a host that was changed shows, and what the operator has.
pub(crate) struct Keys {
    pub(crate) host: Pair,
    pub(crate) other: Pair,
    pub(crate) user: Pair,
}

/// The keys of this process.
pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        Keys { host: make(dir.path(), "host"), other: make(dir.path(), "other"), user: make(dir.path(), "user") }
    })
}

fn make(dir: &Path, name: &str) -> Pair {
    let path = dir.join(name);
    let status =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
    assert!(status.unwrap().success(), "ssh-keygen made no key");
    Pair { secret: fs::read_to_string(&path).unwrap(), public: fs::read_to_string(path.with_extension("pub")).unwrap() }
}

impl Pair {
    /// Writes both halves, the secret one so that ssh takes it.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, &self.secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path.with_extension("pub"), &self.public).unwrap();
        path
    }

    /// The line of a `known_hosts` file for this address.
    pub(crate) fn known_as(&self, address: std::net::SocketAddr) -> String {
        let mut words = self.public.split_whitespace();
        let (kind, key) = (words.next().unwrap(), words.next().unwrap());
        format!("[{}]:{} {kind} {key}\n", address.ip(), address.port())
    }
}
