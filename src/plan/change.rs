//! What changes, in words that a reviewer can check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Withdrawal};
use crate::name::{NodeName, PluginName};
use crate::survey::PluginRow;

/// The kind of a change, in the order in which a plan lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// `+` A plugin that is not there yet.
    Install,
    /// `~` Other content of a plugin that is there.
    Upgrade,
    /// `~` Other content of a plugin that is there, of a version before it: a way back.
    Downgrade,
    /// `~` Files that were edited on the node are put back.
    Repair,
    /// `+` Files only; the directive stays (`staged`).
    Stage,
    /// `+` Into the directive; the files are there already.
    Enable,
    /// `-` Out of the directive.
    Disable,
    /// `-` Out of use, out of the directive, off the disk: see [`Removal`].
    Remove,
    /// `~` The workers run something else than is on disk.
    Reload,
    /// `~` What the next start reads is brought in line with what runs.
    Record,
}

impl ChangeKind {
    /// The mark before it.
    pub const fn mark(self) -> char {
        match self {
            Self::Install | Self::Stage | Self::Enable => '+',
            Self::Upgrade | Self::Downgrade | Self::Repair | Self::Reload | Self::Record => '~',
            Self::Disable | Self::Remove => '-',
        }
    }

    /// The verb.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Repair => "repair",
            Self::Stage => "stage",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Remove => "remove",
            Self::Reload => "reload",
            Self::Record => "record",
        }
    }
}

/// Whether a version is one before another. Only versions that are numbers with dots can be told apart; `1.2` is `1.2.0`.
pub(super) fn is_before(version: &str, other: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>();
    let (Some(mut one), Some(mut two)) = (numbers(version), numbers(other)) else { return false };
    let most = one.len().max(two.len());
    one.resize(most, 0);
    two.resize(most, 0);
    one < two
}

/// One change of one bundle or plugin, with all nodes that have exactly this change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind.
    pub kind: ChangeKind,
    /// The bundle or plugin, as the inventory names it.
    pub name: String,
    /// The version that is there, where it is known.
    pub from: Option<String>,
    /// The version that will be there.
    pub to: Option<String>,
    /// Details for the same line: "handler, schema, 2 more files", "+41 -12 lines in 3 files".
    pub detail: String,
    /// The difference in full: unified diffs of text, one line each, free of control characters.
    pub diff: Vec<String>,
    /// The nodes.
    pub nodes: Vec<NodeName>,
}

/// The three steps of one removal on a cluster, as far as this plan goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The bundle or plugin, as the inventory or the manifest names it.
    pub name: String,
    /// First step: what becomes of its rows in this plan.
    pub how: Option<Withdrawal>,
    /// The rows that use it, by plugin.
    pub rows: BTreeMap<PluginName, Vec<PluginRow>>,
    /// Second step: the nodes whose directive loses it, each in its one reload.
    pub directive: Vec<NodeName>,
    /// Third step: the nodes where its files go.
    pub files: Vec<NodeName>,
    /// How many nodes have to prove the second step before any file goes.
    pub proven_by: usize,
    /// Why it goes no further, one line for each reason.
    pub held: Vec<String>,
}

impl Removal {
    /// How many rows this plan deletes or disables; disabled ones are not disabled again.
    pub fn withdraws(&self) -> usize {
        let rows = self.rows.values().flatten();
        match self.how {
            None => 0,
            Some(Withdrawal::Delete) => rows.count(),
            Some(Withdrawal::Disable) => rows.filter(|row| row.enabled).count(),
        }
    }
}

impl super::Plan {
    /// What cannot be taken back by another reload, in one line: `DELETES 41 rows; reloads 200 gateways`. `None` where nothing is
    /// withdrawn or deleted.
    pub fn danger(&self) -> Option<String> {
        let removals = || self.clusters.iter().flat_map(|cluster| &cluster.removals);
        let rows = |how| removals().filter(|it| it.how == Some(how)).map(Removal::withdraws).sum::<usize>();
        let deletes = self.steps.iter().filter(|step| matches!(step.action, Action::Delete(_))).count();
        let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let (gone, disabled) = (rows(Withdrawal::Delete), rows(Withdrawal::Disable));
        let mut parts = Vec::new();
        if gone > 0 {
            parts.push(format!("DELETES {}", plural(gone, "row")));
        }
        if disabled > 0 {
            parts.push(format!("DISABLES {}", plural(disabled, "row")));
        }
        if deletes > 0 {
            parts.push(format!("deletes files on {}", plural(deletes, "node")));
        }
        if parts.is_empty() {
            return None;
        }
        if self.reloads() > 0 {
            parts.push(format!("reloads {}", plural(self.reloads(), "gateway")));
        }
        Some(parts.join("; "))
    }
}

/// Something to know: a sentence about some nodes of a cluster, on which nothing depends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about, for grouping: `reload`, `kept in`, `waiting`, `safety`, `orphan`, `not chosen`, `unknown`, `priority`, `name`,
    /// `version`, `rows`, `readiness`, `trial load`.
    pub topic: String,
    /// The sentence, without the nodes.
    pub text: String,
    /// The nodes.
    pub nodes: Vec<NodeName>,
}

#[cfg(test)]
mod tests {
    use super::is_before;

    #[test]
    fn only_numbers_tell_which_version_is_before_another() {
        let before = [("0.1.0", "0.2.0"), ("1.9", "1.10"), ("1.2", "1.2.1"), ("2.9.9", "10.0.0")];
        for (one, two) in before {
            assert!(is_before(one, two) && !is_before(two, one), "{one} {two}");
        }
        for (one, two) in [("1.2", "1.2.0"), ("a1", "a2"), ("1.0.0-rc1", "1.0.0"), ("", "1"), ("2025-01", "2025-02")] {
            assert!(!is_before(one, two) && !is_before(two, one), "{one} {two}");
        }
    }
}
