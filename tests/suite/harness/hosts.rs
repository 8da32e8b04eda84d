//! Gateways that each seem to have a machine of their own: process table, `/etc`, `/usr/local`, `/run`. A process that does
//! nothing keeps the namespaces of each until the test is over or dead; sessions and the gateway itself enter them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::program;

/// Where the doors of hosts are: what sshd runs in place of every command.
pub(crate) struct Doors(tempfile::TempDir);

impl Doors {
    /// `None` (and a printed line) where no namespaces can be had.
    pub(crate) fn new() -> Option<Self> {
        program("unshare")?;
        program("nsenter")?;
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        Some(Self(tempfile::Builder::new().prefix("md-").tempdir_in("/tmp").unwrap()))
    }

    /// The line of `sshd_config` for the host of this name.
    pub(crate) fn line(&self, name: &str) -> String {
        format!("ForceCommand {}", self.0.path().join(name).display())
    }

    /// Makes the host, after these commands in its own mounts; `path` comes before the usual search path of its sessions.
    pub(crate) fn host(&self, name: &str, mounts: &str, path: &str) -> Host {
        let text = format!("set -e\n{mounts}\nexec cat\n");
        let mut child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private", "/bin/sh", "-c", &text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What it is told it says again: then its mounts are there.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut said = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let inside = inside(child.id());
        let path = if path.is_empty() { String::new() } else { format!("{path}:") };
        let enter = format!(
            "#!/bin/sh\nexport PATH={path}$PATH\nexec nsenter -t {inside} -m -p -- /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
        );
        script(&self.0.path().join(name), &enter);
        Host { child, inside }
    }
}

/// The process that keeps the namespaces, as seen from outside.
fn inside(parent: u32) -> u32 {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        if let Some(pid) = children.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
            return pid;
        }
        assert!(Instant::now() < until, "unshare has no child");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A machine of its own, as far as it goes.
pub(crate) struct Host {
    child: Child,
    inside: u32,
}

impl Host {
    /// Runs a command there, with an environment of nothing but this, and asserts that it ends well.
    pub(crate) fn run(&self, vars: &[(&str, &str)], words: &[&str]) {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.inside.to_string(), "-m", "-p", "--"]).args(words).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").envs(vars.iter().copied()).current_dir("/");
        let out = command.stdin(Stdio::null()).output().unwrap();
        assert!(
            out.status.success(),
            "{words:?}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input ends what keeps the namespaces, and with that every process in them.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Written by a shell of its own: were it ever open for writing here, whoever starts a program meanwhile would keep it busy.
pub(crate) fn script(path: &Path, text: &str) {
    let status =
        Command::new("/bin/sh").args(["-c", r#"printf %s "$1" > "$2""#, "sh", text]).arg(path).status().unwrap();
    assert!(status.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A copy of `/etc` with a `kong` in it, to be mounted over the real one.
pub(crate) fn etc(dir: &Path) -> PathBuf {
    let etc = dir.join("whole-etc");
    let status = Command::new("cp").args(["-a", "/etc/.", etc.to_str().unwrap()]).status();
    // What cannot be copied is nothing that a gateway needs.
    drop(status);
    fs::create_dir_all(etc.join("kong")).unwrap();
    etc
}
