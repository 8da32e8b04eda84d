//! A recorded run in a few words: what a list of runs says of each, on the screen, as text and as JSON.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Counts, RunHead, RunState, Verdict};
use crate::name::{ClusterName, Revision, RunId};

/// What a recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The run ended with this.
    To(Verdict),
    /// It is on: somebody holds its journal.
    AtWork,
    /// Its journal has no end, and nobody writes it any more: muster was killed, or its machine went down.
    CutShort,
    /// A line in the middle of its journal is damaged; what stands before that can be trusted.
    Damaged,
    /// Not even its beginning can be read.
    NotReadable,
}

impl Came {
    /// What a journal came to that can be read to its end, from its verdict and from whether anybody still writes it.
    pub const fn of(verdict: Option<Verdict>, ended: bool) -> Self {
        match verdict {
            Some(verdict) => Self::To(verdict),
            None if ended => Self::CutShort,
            None => Self::AtWork,
        }
    }

    /// The word, as in every list.
    pub const fn word(self) -> &'static str {
        match self {
            Self::To(verdict) => verdict.word(),
            Self::AtWork => "at work",
            Self::CutShort => "cut short",
            Self::Damaged => "damaged",
            Self::NotReadable => "not readable",
        }
    }

    /// How the run ended, if it is known.
    pub const fn verdict(self) -> Option<Verdict> {
        match self {
            Self::To(verdict) => Some(verdict),
            Self::AtWork | Self::CutShort | Self::Damaged | Self::NotReadable => None,
        }
    }

    /// Whether somebody has to look at it: it is over, and did not come to what was wanted.
    pub const fn is_trouble(self) -> bool {
        !matches!(self, Self::AtWork | Self::To(Verdict::InLine | Verdict::Converged))
    }

    /// Whether something may be left that `muster resume` would do.
    pub const fn is_open(self) -> bool {
        match self {
            Self::To(verdict) => !matches!(verdict, Verdict::InLine | Verdict::Converged),
            Self::CutShort => true,
            Self::AtWork | Self::Damaged | Self::NotReadable => false,
        }
    }
}

/// What a recorded run was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Who ran it, `user@host`.
    pub operator: String,
    /// The repository's name.
    pub repository: String,
    /// The commit.
    pub revision: Revision,
    /// The first line of its message.
    pub summary: String,
    /// The clusters with something to do, in order.
    pub clusters: Vec<ClusterName>,
    /// How many nodes have steps.
    pub nodes: usize,
}

impl About {
    /// What the first event says.
    pub fn of(head: &RunHead) -> Self {
        let is_busy = |cluster: &ClusterName| head.cluster_steps.iter().any(|step| step.cluster == *cluster);
        let busy = head.clusters.iter().filter(|(cluster, nodes)| !nodes.is_empty() || is_busy(cluster));
        Self {
            operator: head.operator.clone(),
            repository: head.repository.clone(),
            revision: head.revision.clone(),
            summary: head.summary.clone(),
            clusters: busy.map(|(cluster, _)| cluster.clone()).collect(),
            nodes: head.clusters.iter().map(|(_, nodes)| nodes.len()).sum(),
        }
    }
}

/// A recorded run in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The run.
    pub run: RunId,
    /// Its journal.
    pub journal: PathBuf,
    /// What it was about; `None` where nothing was begun, or it cannot be read.
    pub about: Option<About>,
    /// When it began: by its first event, else by its id.
    pub began: Timestamp,
    /// The time of the last event that was read.
    pub last: Option<Timestamp>,
    /// What it came to.
    pub came: Came,
    /// Its nodes by what became of them; `None` until all of the journal was read.
    pub counts: Option<Counts>,
    /// Its undo bundles.
    pub undo: Vec<PathBuf>,
    /// What is wrong with its journal.
    pub trouble: Option<String>,
}

impl Recorded {
    /// A run of which nothing but its id is known yet.
    pub fn new(run: RunId, journal: PathBuf) -> Self {
        let milliseconds = i64::try_from(run.milliseconds()).unwrap_or(0);
        let began = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        Self {
            run,
            journal,
            about: None,
            began,
            last: None,
            came: Came::NotReadable,
            counts: None,
            undo: Vec::new(),
            trouble: None,
        }
    }

    /// The same, with what all of its journal says.
    #[must_use]
    pub fn told(mut self, state: &RunState, ended: bool) -> Self {
        self.about = state.head.as_ref().map(About::of);
        self.began = state.started.unwrap_or(self.began);
        self.last = state.now;
        self.came = Came::of(state.verdict, ended);
        self.counts = state.head.is_some().then(|| state.counts());
        self
    }

    /// How long it took, in seconds; of one that is on or was cut short, until the last event.
    pub fn seconds(&self) -> Option<i64> {
        self.last.map(|last| (last.as_second() - self.began.as_second()).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_without_an_end_is_at_work_while_somebody_writes_it_and_cut_short_afterwards() {
        assert_eq!((Came::of(None, false), Came::of(None, true)), (Came::AtWork, Came::CutShort));
        let verdict = Verdict::NotReached;
        assert_eq!(Came::of(Some(verdict), false), Came::To(verdict), "the verdict counts, whoever holds the file");
    }

    #[test]
    fn what_did_not_end_well_is_trouble_and_only_what_is_known_to_be_over_is_open() {
        let all = [
            (Came::To(Verdict::Converged), false, false),
            (Came::To(Verdict::InLine), false, false),
            (Came::To(Verdict::NotReached), true, true),
            (Came::To(Verdict::Interrupted), true, true),
            (Came::CutShort, true, true),
            (Came::Damaged, true, false),
            (Came::NotReadable, true, false),
            (Came::AtWork, false, false),
        ];
        for (came, trouble, open) in all {
            assert_eq!((came.is_trouble(), came.is_open()), (trouble, open), "{came:?}");
        }
    }

    #[test]
    fn a_run_of_which_only_the_id_is_known_began_when_its_id_says() {
        let run = RunId::from_parts(1_772_460_300_000, 7);
        let recorded = Recorded::new(run, PathBuf::from("/x"));
        assert_eq!((recorded.began.to_string().as_str(), recorded.seconds()), ("2026-03-02T14:05:00Z", None));
    }
}
