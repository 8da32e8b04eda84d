//! The shared dictionary of a node: which workers have said that they live and that their router is built.
//!
//! An unlinked file in memory, handed to every worker, with a fixed slot per worker. The master wipes it at the start
//! of every load while old workers still answer; that is what makes PIDs vanish from `GET /` (measured.md 2).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes per slot: the pid, then whether the router is built.
const SLOT: u64 = 8;
/// More workers than a configuration may ask for.
const SLOTS: usize = 16;
/// Behind the slots: the log level that somebody set for the time being, from 1; 0 for none.
const LEVEL: u64 = SLOTS as u64 * SLOT;

/// The dictionary, the same bytes in every process of the node.
#[derive(Debug)]
pub(super) struct Shared {
    file: File,
}

impl Shared {
    /// A new, empty dictionary.
    pub(super) fn create() -> io::Result<Self> {
        let file = rustix::fs::memfd_create("kong", rustix::fs::MemfdFlags::CLOEXEC)?;
        let shared = Self { file: File::from(file) };
        shared.wipe(false)?;
        Ok(shared)
    }

    /// The dictionary behind a descriptor that the master handed over.
    pub(super) fn from_file(file: File) -> Self {
        Self { file }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Forgets everything, as the first step of Kong's init does; `but_level`: except the log level (facts.md E10).
    pub(super) fn wipe(&self, but_level: bool) -> io::Result<()> {
        self.file.write_all_at(&[0; SLOTS * 8], 0)?;
        if but_level { Ok(()) } else { self.set_level(0) }
    }

    /// The log level that somebody set, as [`Shared::set_level`] was given it.
    pub(super) fn level(&self) -> u32 {
        let mut bytes = [0; 4];
        let read = self.file.read_exact_at(&mut bytes, LEVEL);
        read.map_or(0, |()| u32::from_le_bytes(bytes))
    }

    /// Every worker logs at this level from now on; 0: as configured.
    pub(super) fn set_level(&self, level: u32) -> io::Result<()> {
        self.file.write_all_at(&level.to_le_bytes(), LEVEL)
    }

    /// A worker says that it lives.
    pub(super) fn announce(&self, slot: usize, pid: u32) -> io::Result<()> {
        self.file.write_all_at(&pid.to_le_bytes(), Self::offset(slot))
    }

    /// A worker says that its router is built.
    pub(super) fn ready(&self, slot: usize) -> io::Result<()> {
        self.file.write_all_at(&1u32.to_le_bytes(), Self::offset(slot) + 4)
    }

    /// The announced pids, in the order of the slots.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.slots().into_iter().map(|(pid, _)| pid).filter(|pid| *pid != 0).collect()
    }

    /// How many workers have built their router.
    pub(super) fn ready_count(&self) -> usize {
        self.slots().into_iter().filter(|(_, ready)| *ready != 0).count()
    }

    fn offset(slot: usize) -> u64 {
        slot.min(SLOTS - 1) as u64 * SLOT
    }

    fn slots(&self) -> Vec<(u32, u32)> {
        let mut bytes = [0; SLOTS * 8];
        if self.file.read_exact_at(&mut bytes, 0).is_err() {
            return vec![];
        }
        let word = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        bytes.chunks_exact(8).map(|slot| (word(&slot[..4]), word(&slot[4..]))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_say_is_gone_after_a_wipe() {
        let shared = Shared::create().unwrap();
        shared.announce(0, 41).unwrap();
        shared.announce(1, 42).unwrap();
        shared.ready(1).unwrap();
        assert_eq!((shared.pids(), shared.ready_count()), (vec![41, 42], 1));
        shared.set_level(3).unwrap();
        shared.wipe(true).unwrap();
        assert_eq!((shared.pids(), shared.ready_count(), shared.level()), (vec![], 0, 3));
        shared.wipe(false).unwrap();
        assert_eq!(shared.level(), 0);
    }
}
