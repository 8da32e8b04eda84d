//! What a run has seen when it looked again at its end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of looking again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SurveyCounts {
    /// Nodes in line.
    pub in_line: usize,
    /// Nodes with drift.
    pub drift: usize,
    /// Nodes with a blocker.
    pub blocked: usize,
    /// Nodes that could not be seen.
    pub unknown: usize,
    /// Of the nodes in line, those whose Kong is stopped: as wanted on disk, and nothing is served.
    #[serde(default, skip_serializing_if = "is_none")]
    pub stopped: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none(number: &usize) -> bool {
    *number == 0
}
