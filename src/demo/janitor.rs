//! Removes the demo's directory when its owner is gone, however that one ended.
//!
//! The processes of the fleet die by their leash; a directory needs somebody who outlives the owner. It is a shell in a
//! session of its own that waits for the end of its input, which only the owner holds.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Not to be ended by what ends the owner. A dying process of the demo may still write a file while the directory is being
/// removed, hence more than one try.
const WAIT: &str = "trap '' HUP INT TERM; cat >/dev/null; n=0; \
    until rm -rf -- \"$1\" 2>/dev/null && [ ! -e \"$1\" ] || [ $n -gt 100 ]; do n=$((n + 1)); sleep 0.1; done";

/// The waiting shell; dropping it makes it do its work, and waits for that.
pub(super) struct Janitor(Option<Child>);

impl Janitor {
    /// Watches over this directory.
    pub(super) fn watch(dir: &Path) -> std::io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let child = Command::new("/bin/sh")
            .args(["-c", WAIT, "muster-demo"])
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(Some(child)))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            if let Err(error) = child.wait() {
                tracing::warn!(%error, "waiting for the demo's directory to be removed");
            }
        }
    }
}
