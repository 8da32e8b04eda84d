//! Handing a generation and its descriptors to a worker over one message.
//!
//! The worker's standard input is one end of a socket pair. A single message carries every descriptor; the generation
//! itself is in a memory file among them, so that the master never waits for a worker to read.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::generation::Handover;

/// Memory file, dictionary, log, and at most this many listeners.
const DESCRIPTORS: usize = 3 + MOST_LISTENERS;
const MOST_LISTENERS: usize = 24;

/// What arrives at the worker.
pub(super) struct Received {
    pub(super) handover: Handover,
    pub(super) shared: File,
    pub(super) log: File,
    /// In the order of [`Handover::listeners`].
    pub(super) listeners: Vec<TcpListener>,
}

/// Sends everything in one message. Does not block.
pub(super) fn send(
    to: &UnixStream,
    handover: &Handover,
    shared: &File,
    log: &File,
    listeners: &[&TcpListener],
) -> io::Result<()> {
    if listeners.len() > MOST_LISTENERS {
        return Err(io::Error::other(format!(
            "{} listeners, at most {MOST_LISTENERS} can be handed over",
            listeners.len()
        )));
    }
    let mut memory = File::from(rustix::fs::memfd_create("generation", rustix::fs::MemfdFlags::CLOEXEC)?);
    memory.write_all(&serde_json::to_vec(handover)?)?;
    let mut descriptors: Vec<BorrowedFd<'_>> = vec![memory.as_fd(), shared.as_fd(), log.as_fd()];
    descriptors.extend(listeners.iter().map(|listener| listener.as_fd()));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the descriptors do not fit into one message"));
    }
    rustix::net::sendmsg(to, &[IoSlice::new(b"h")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the message. Fails when the master ended before it sent one.
pub(super) fn receive(from: &UnixStream) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    rustix::net::recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let mut descriptors = descriptors.into_iter();
    let mut next =
        || descriptors.next().map(File::from).ok_or_else(|| io::Error::other("the master sent too few descriptors"));
    let (memory, shared, log) = (next()?, next()?, next()?);
    let handover = serde_json::from_slice(&whole(&memory)?)?;
    let listeners = descriptors.map(TcpListener::from).collect();
    Ok(Received { handover, shared, log, listeners })
}

/// Reads from the start whatever the position, which is shared with the master.
fn whole(memory: &File) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let size = usize::try_from(memory.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    memory.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::generation::Generation;

    fn handover() -> Handover {
        let generation = Generation {
            configuration: serde_json::json!({}),
            plugins: vec![],
            modules: std::collections::BTreeMap::new(),
            package_path: "x".repeat(300_000),
            broken: None,
            database: "off".into(),
            level: "notice".into(),
            workers: 2,
        };
        Handover {
            generation,
            file: "f".into(),
            node_id: "n".into(),
            master: 1,
            slot: 0,
            respawned: false,
            busy: 0,
            listeners: vec![("kong".into(), "a".into())],
        }
    }

    #[test]
    fn a_listener_that_was_handed_over_still_accepts() {
        let (master, worker) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, log) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        send(&master, &handover(), &shared, &log, &[&listener]).unwrap();
        drop(listener);
        let received = receive(&worker).unwrap();
        assert_eq!(received.handover.generation.package_path.len(), 300_000);
        let client = std::net::TcpStream::connect(address).unwrap();
        let (server, _) = received.listeners[0].accept().unwrap();
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    }

    #[test]
    fn a_master_that_ended_first_is_an_error() {
        let (master, worker) = UnixStream::pair().unwrap();
        drop(master);
        assert!(receive(&worker).is_err());
    }
}
