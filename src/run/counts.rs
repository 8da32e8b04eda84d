//! How many nodes came to what.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, NodeRun};

/// Nodes by what became of them; each is counted once, so that all but `total` add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Nodes with steps.
    pub total: usize,
    /// All steps are done, and proven.
    pub proven: usize,
    /// All steps are done while Kong is stopped: nothing is proven.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edited: usize,
    /// What they run is proven to be without the plugins that go; the files of these stay for now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: usize,
    /// A step runs.
    pub under_way: usize,
    /// Put back, and proven to serve as before.
    pub rolled_back: usize,
    /// Failed, or not healthy afterwards.
    pub failed: usize,
    /// Not known.
    pub unknown: usize,
    /// Not tried, or not yet.
    pub not_tried: usize,
}

/// Left out of the JSON, where a run has no such node.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Counts {
    /// Counts these nodes.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a NodeRun>) -> Self {
        let mut counts = Self::default();
        for node in nodes {
            counts.total += 1;
            *counts.place(node.fate) += 1;
        }
        counts
    }

    /// `9 of 27 nodes proven, 1 rolled back, 17 not tried`.
    pub fn words(&self) -> String {
        let Self { total, proven, edited, held, under_way, rolled_back, failed, unknown, not_tried } = self;
        let mut words = format!("{proven} of {total} node{} proven", if *total == 1 { "" } else { "s" });
        let rest = [
            (held, "with files held"),
            (edited, "edited while stopped"),
            (failed, "failed"),
            (unknown, "unknown"),
            (rolled_back, "rolled back"),
            (under_way, "under way"),
            (not_tried, "not tried"),
        ];
        for (number, what) in rest.into_iter().filter(|(number, _)| **number > 0) {
            // Writing to a String cannot fail.
            let _ = write!(words, ", {number} {what}");
        }
        words
    }

    const fn place(&mut self, fate: Fate) -> &mut usize {
        match fate {
            Fate::Proven => &mut self.proven,
            Fate::Edited => &mut self.edited,
            Fate::Held => &mut self.held,
            Fate::Running => &mut self.under_way,
            Fate::RolledBack => &mut self.rolled_back,
            Fate::Failed => &mut self.failed,
            Fate::Unknown => &mut self.unknown,
            Fate::Waiting | Fate::NotTried => &mut self.not_tried,
        }
    }
}
