//! What `/status/ready` means on a node (measured.md 3).

use super::own_admin;
use crate::survey::NodeFacts;

/// Whether a node is not ready since a reload that failed, whoever asked for it: it serves as before, and stays so until a
/// worker is respawned or a reload succeeds. The mark is that its own Admin API names no workers although the master rests.
pub fn stuck(facts: &NodeFacts) -> bool {
    let rests = facts.master.as_ref().is_some_and(|master| master.idle && !master.workers.is_empty());
    facts.ready == Some(503) && rests && own_admin(facts).is_some_and(|admin| admin.workers.is_none())
}

/// What is to be said of a node that is not ready.
pub fn not_ready(facts: &NodeFacts) -> Option<String> {
    let status = facts.ready.filter(|status| *status != 200)?;
    Some(if stuck(facts) {
        format!(
            "/status/ready answers {status} since a reload that failed: it serves as before, until a reload succeeds"
        )
    } else {
        format!("/status/ready answers {status}")
    })
}
