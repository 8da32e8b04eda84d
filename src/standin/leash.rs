//! The leash: no process of a stand-in outlives whoever made it, however that one ends.
//!
//! Masters are started through sshd, so that no process group or parent ties them to the demo or the test. Instead
//! every process connects to one unix socket of the owner and dies when it closes, which the kernel also does for
//! an owner that was killed with -9.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The owner's end. Dropping it ends every stand-in process that holds on to it.
#[derive(Debug)]
pub struct Leash {
    path: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Leash {
    /// Listens at `path` (at most 107 bytes, a limit of unix sockets) and keeps every connection open.
    pub fn hold(path: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        // Workers that have changed to another user hold on too.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("leash".into()).spawn(move || keep(&listener, &flag))?;
        Ok(Self { path: path.to_owned(), over, thread: Some(thread) })
    }

    /// The socket, for [`super::Settings::leash`].
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The thread waits in accept: this connection wakes it.
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn keep(listener: &UnixListener, over: &AtomicBool) {
    let mut held: Vec<UnixStream> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if over.load(Ordering::Acquire) {
            return;
        }
        held.retain(is_alive);
        if stream.set_nonblocking(true).is_ok() {
            held.push(stream);
        }
    }
}

/// A stand-in never says anything: only the end of a process can be read.
fn is_alive(mut stream: &UnixStream) -> bool {
    !matches!(stream.read(&mut [0; 1]), Ok(0))
}

/// Connects, and ends this process by SIGKILL when the owner is gone. Fails when the owner is gone already.
///
/// Called before any other thread exists and with signals blocked where the caller wants its threads to have them
/// blocked: the thread that waits inherits the mask.
pub(super) fn attach(path: Option<&Path>) -> std::io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut stream = UnixStream::connect(path)?;
    std::thread::Builder::new().name("leash".into()).spawn(move || {
        let _ = stream.read(&mut [0; 1]);
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_leash_closes_every_connection() {
        let dir = tempfile::tempdir().unwrap();
        let leash = Leash::hold(&dir.path().join("leash")).unwrap();
        let mut held: Vec<_> = (0..200).map(|_| UnixStream::connect(leash.path()).unwrap()).collect();
        drop(leash);
        for stream in &mut held {
            assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
        }
    }

    #[test]
    fn a_process_without_an_owner_refuses_to_start() {
        let dir = tempfile::tempdir().unwrap();
        assert!(attach(Some(&dir.path().join("gone"))).is_err());
        assert!(attach(None).is_ok());
    }
}
