//! How a node stands, apart from its plugins: when it was looked at and last seen, its role, who holds it, its last run.

use jiff::Timestamp;
use serde::Serialize;

use super::{Asked, NodeFacts, NodeSurvey, Survey, in_force};
use crate::kong::Topology;
use crate::name::{NodeName, Revision, RunId, Shared};
use crate::wire::Receipt;

/// What is known of a node beside its plugins. What is `None` is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// When the look at it began; `None`: it was not looked at.
    pub looked: Option<Timestamp>,
    /// How that look ended.
    pub sight: Option<Sight>,
    /// When it was last seen: at that look, or at an earlier one of the same session.
    pub last_seen: Option<Timestamp>,
    /// What it is in its cluster, by the settings that it runs with (facts.md D).
    pub role: Option<Topology>,
    /// Who holds it.
    pub lock: Option<Lock>,
    /// The last run that left something on it.
    pub last_run: Option<Shared<LastRun>>,
    /// How its Admin API was asked, where that is not through the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// How the look at a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// It answered in full.
    Seen,
    /// It could not be reached.
    Unreachable,
    /// It was reached and would not let us look.
    Refused,
}

/// Whether a run holds a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Lock {
    /// Nobody holds it.
    Free,
    /// A lease is in force.
    Held {
        /// Who, `user@host`.
        who: String,
        /// For which run.
        run: RunId,
        /// How many seconds more, unless it is renewed.
        left: u64,
    },
    /// Its lease cannot be read.
    Unclear {
        /// Why.
        why: String,
    },
}

/// The last run that left a receipt on a node, or that held it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// Which.
    pub run: RunId,
    /// When it began, by the clock of the operator's machine.
    pub at: Timestamp,
    /// Whose it was, `user@host`, while the node's lease still tells.
    pub by: Option<String>,
    /// The commit that it was planned from, where its receipt tells.
    pub commit: Option<Revision>,
    /// What it left.
    pub end: RunEnd,
}

/// What a run left on a node, by its receipts there; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// It held the node and left no receipt: it delivered at most.
    NoReceipt,
    /// It did what it was to do.
    Done,
    /// It was interrupted, and a later run went on with its work.
    Interrupted,
    /// It did what it was to do, except for what the next start reads.
    ConfLeft,
    /// What it did was put back.
    PutBack,
    /// It was put back, and that was not proven.
    Unproven,
    /// A receipt of it is still open.
    Open,
}

impl RunEnd {
    /// Mark and words.
    pub const fn words(self) -> (char, &'static str) {
        match self {
            Self::NoReceipt => ('.', "nothing activated"),
            Self::Done => ('=', "done"),
            Self::Interrupted => ('~', "interrupted, finished by a later run"),
            Self::ConfLeft => ('!', "done, but kong.conf could not be written"),
            Self::PutBack => ('<', "put back"),
            Self::Unproven => ('x', "put back, not proven"),
            Self::Open => ('?', "not settled: its receipt is open"),
        }
    }

    fn of(receipt: &Receipt) -> Self {
        match receipt.result.as_deref() {
            None => Self::Open,
            Some("undone unproved") => Self::Unproven,
            Some(result) if result.starts_with("undone") => Self::PutBack,
            Some(result) if result.starts_with("conf-") => Self::ConfLeft,
            Some("interrupted") => Self::Interrupted,
            Some(_) => Self::Done,
        }
    }
}

impl Survey {
    /// How a node stands; all unknown if it was not looked at.
    pub fn standing(&self, node: &NodeName) -> Standing {
        let Some(found) = self.nodes.get(node) else { return Standing::default() };
        let (sight, facts) = match found {
            NodeSurvey::Seen(facts) => (Sight::Seen, Some(&**facts)),
            NodeSurvey::Unreachable(_) => (Sight::Unreachable, None),
            NodeSurvey::Refused(_) => (Sight::Refused, None),
        };
        let looked = self.looked(node);
        Standing {
            looked: Some(looked),
            sight: Some(sight),
            last_seen: if facts.is_some() { Some(looked) } else { self.last_seen.get(node).copied() },
            role: facts.and_then(role),
            lock: facts.map(lock),
            last_run: facts.and_then(last_run).map(Into::into),
            asked: facts.and_then(asked),
        }
    }

    /// When the look at a node began.
    pub fn looked(&self, node: &NodeName) -> Timestamp {
        self.earlier.get(node).copied().unwrap_or(self.at)
    }

    /// Takes in what an earlier survey has of nodes that this one did not look at, as it was seen then.
    pub fn keep(&mut self, before: Self) {
        for (name, seen) in before.nodes {
            if self.nodes.contains_key(&name) {
                continue;
            }
            self.earlier.insert(name.clone(), before.earlier.get(&name).copied().unwrap_or(before.at));
            if let Some(at) = before.last_seen.get(&name) {
                self.last_seen.insert(name.clone(), *at);
            }
            if let Some(closer) = before.closer.get(&name) {
                self.closer.insert(name.clone(), closer.clone());
            }
            self.nodes.insert(name, seen);
        }
    }
}

/// By what the workers run with; of a node whose Admin API does not tell, by what its master reads, or will at its start.
fn role(facts: &NodeFacts) -> Option<Topology> {
    if let Ok(admin) = &facts.admin {
        return Topology::of(admin.role.as_deref(), admin.database.as_deref());
    }
    let settings = match (&facts.env_file, &facts.conf_file) {
        (Some(env), _) => env.open().readable(),
        (None, Some(conf)) => conf.open().readable(),
        (None, None) => return None,
    };
    let value = |key| settings.get(key).map(String::as_str);
    Topology::of(value("role"), value("database"))
}

fn asked(facts: &NodeFacts) -> Option<Asked> {
    let asked = &facts.admin.as_ref().ok()?.asked;
    (*asked != Asked::Connection).then(|| asked.clone())
}

fn lock(facts: &NodeFacts) -> Lock {
    match (in_force(facts), &facts.lease) {
        (Some((lease, left)), _) => Lock::Held { who: lease.holder.clone(), run: lease.run.clone(), left },
        (None, Some(Err(why))) => Lock::Unclear { why: why.clone() },
        (None, _) => Lock::Free,
    }
}

/// A run that is at work is the lock's to tell until it leaves a receipt.
fn last_run(facts: &NodeFacts) -> Option<LastRun> {
    let receipted = facts.receipts.iter().map(|receipt| &receipt.run).max();
    let lease = facts.lease.as_ref().and_then(|lease| lease.as_ref().ok());
    let over = lease.filter(|_| in_force(facts).is_none()).map(|lease| &lease.run);
    let run = receipted.max(over)?.clone();
    let of_it = || facts.receipts.iter().filter(|receipt| receipt.run == run);
    Some(LastRun {
        at: began(&run),
        by: lease.filter(|lease| lease.run == run).map(|lease| lease.holder.clone()),
        commit: of_it().find_map(|receipt| receipt.commit.clone()),
        end: of_it().map(RunEnd::of).max().unwrap_or(RunEnd::NoReceipt),
        run,
    })
}

fn began(run: &RunId) -> Timestamp {
    let milliseconds = i64::try_from(run.milliseconds()).unwrap_or(0);
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
