//! The dialogue with a running `activate`: what it tells, in the terms of the proof.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use crate::remote::{Ended, Fault, RemoteError, Reply, Running, Word};
use crate::survey::Process;
use crate::wire::{Record, Status};

use super::call::Told;
use super::explain::Log;

/// The most records that are kept.
const RECORDS: usize = 10_000;
/// The most plugins that a log is believed to name.
const LOADING: usize = 200;
/// The most children of a master that are believed.
const CHILDREN: usize = 4096;

/// What the master looked like, without a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) idle: bool,
    pub(crate) same: bool,
    /// Which process it is, where the script says so.
    pub(crate) process: Option<Process>,
    pub(crate) live: BTreeSet<Process>,
    pub(crate) leaving: BTreeSet<Process>,
}

/// What the script said next.
#[derive(Debug)]
pub(crate) enum Heard {
    /// From here on Kong may have been told.
    Reloading,
    /// It waits, with nothing touched: for what.
    Waiting(String),
    /// A whole look at the master.
    Look(Seen),
    /// It has ended, or its end will not be seen.
    End,
}

/// A running `activate`.
pub(crate) struct Session {
    running: Box<dyn Running>,
    /// The workers before the reload.
    pub(crate) before: BTreeSet<Process>,
    /// All that was said and is no look.
    pub(crate) records: Vec<Record>,
    /// The piece of the error log that the reload wrote.
    pub(crate) log: Option<Vec<u8>>,
    lost: Option<RemoteError>,
}

impl Session {
    pub(crate) fn new(running: Box<dyn Running>) -> Self {
        Self { running, before: BTreeSet::new(), records: Vec::new(), log: None, lost: None }
    }

    /// The next thing of weight, within so much time.
    pub(crate) async fn hear(&mut self, patience: Duration) -> Heard {
        if self.lost.is_some() {
            return Heard::End;
        }
        if let Ok(heard) = timeout(patience, self.listen()).await {
            return heard;
        }
        let found = format!("the script on the node said nothing for {} s", patience.as_secs());
        self.lost = Some(RemoteError::new(Fault::TimedOut, "activating", found));
        Heard::End
    }

    async fn listen(&mut self) -> Heard {
        while let Some(reply) = self.running.next().await {
            match reply {
                Reply::Record(record) if record.tag == "proof" => return self.look(&record).await,
                Reply::Record(record) if record.tag == "waiting" => return Heard::Waiting(waiting(&record)),
                Reply::Record(record) if record.tag == "before" => self.before.extend(process(&record)),
                Reply::Record(record) => {
                    let reloading = record.tag == "reloading";
                    self.note(record);
                    if reloading {
                        return Heard::Reloading;
                    }
                }
                Reply::Blob { name, bytes } if name == "log" => self.log = Some(bytes),
                Reply::Blob { .. } => {}
            }
        }
        Heard::End
    }

    /// `proof SECONDS IDLE ALIVE N [PID START]`, then N workers. A look that is not whole is none: the end follows.
    async fn look(&mut self, proof: &Record) -> Heard {
        let flag = |index| proof.exact(index) == Some("1");
        let mut seen = Seen {
            idle: flag(1),
            same: flag(2),
            process: proof.number(4).zip(proof.number(5)),
            live: BTreeSet::new(),
            leaving: BTreeSet::new(),
        };
        let count: usize = proof.number(3).unwrap_or(usize::MAX);
        if count > CHILDREN {
            return self.garbled();
        }
        for _ in 0..count {
            let Some(Reply::Record(record)) = self.running.next().await else { return self.garbled() };
            let Some(process) = process(&record).filter(|_| record.tag == "worker") else { return self.garbled() };
            let set = if record.exact(2) == Some("leaving") { &mut seen.leaving } else { &mut seen.live };
            set.insert(process);
        }
        Heard::Look(seen)
    }

    fn garbled(&mut self) -> Heard {
        let found = "a look at the master is not as it was agreed";
        self.lost = Some(RemoteError::new(Fault::Garbled, "activating", found));
        Heard::End
    }

    fn note(&mut self, record: Record) {
        if self.records.len() < RECORDS {
            self.records.push(record);
        }
    }

    /// Says a word; a link that is gone shows at the next [`Session::hear`].
    pub(crate) async fn say(&mut self, word: Word) {
        if self.lost.is_none() {
            self.lost = self.running.say(word).await.err();
        }
    }

    /// The plugins that Kong's log says were loaded since the reload: it does so at `log_level` debug alone (facts.md B5).
    pub(crate) fn loading(&self) -> BTreeSet<String> {
        let records = self.records.iter().filter(|record| record.tag == "loading");
        records.flat_map(|record| (0..LOADING).map_while(|index| record.text(index))).collect()
    }

    /// Listens to the end.
    pub(crate) async fn end(mut self, patience: Duration) -> (Result<Told, RemoteError>, Log) {
        loop {
            if let Heard::End = self.hear(patience).await {
                break;
            }
        }
        let no_blob = self.records.iter().find(|record| record.tag == "no-blob" && record.exact(0) == Some("log"));
        let log = Log::of(self.log.take(), no_blob);
        if let Some(lost) = self.lost {
            return (Err(lost), log);
        }
        let ended = match self.running.finish().await {
            Ended::Done(status) => Ok(Told { status, records: self.records }),
            Ended::Lost(error) => Err(error),
        };
        (ended, log)
    }

    /// Whether the script has said so.
    pub(crate) fn said(&self, tag: &str) -> bool {
        self.records.iter().any(|record| record.tag == tag)
    }
}

fn waiting(record: &Record) -> String {
    let count = record.text(1).unwrap_or_default();
    match record.exact(0) {
        Some("gap") => format!("waiting until its last reload is {count} s ago"),
        _ => format!("waiting for old workers to end ({count} still serve what they began)"),
    }
}

fn process(record: &Record) -> Option<Process> {
    Some((record.number(0)?, record.number(1)?))
}

/// How a change was put back, in the script's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// A good reload of the old state was seen.
    Proved,
    /// The files are as they were, and Kong was not told or there is nobody to tell.
    Restored,
    /// The files are as they were, and Kong did not take it.
    Unproved,
}

impl Undone {
    pub(crate) fn of(told: &Told) -> Option<Self> {
        match told.find("undone")?.exact(0)? {
            "proved" => Some(Self::Proved),
            "restored" => Some(Self::Restored),
            _ => Some(Self::Unproved),
        }
    }
}

/// Statuses that say that nothing was touched.
pub(crate) const fn untouched(status: Status) -> bool {
    matches!(status, Status::Moved | Status::Locked | Status::Refused | Status::Protocol)
}
