//! A pause of a run: asked for, begun, taken back.

use jiff::Timestamp;

use super::EventKind;
use crate::name::ClusterName;

/// A pause that was asked for, and whether it has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who asked, `user@host`; empty in journals of old.
    pub by: String,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Since when nothing is under way; `None` while the wave that is on is not over.
    pub since: Option<Timestamp>,
    /// The wave that was the last before it, 0 before the first of its cluster; `None` until it has begun.
    pub after: Option<(ClusterName, u32)>,
}

impl Pause {
    /// What an event makes of the pause before it.
    pub(super) fn after(before: Option<Self>, at: Timestamp, kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::PauseRequested { paused: true, by } => {
                Some(Self { by: by.clone().unwrap_or_default(), asked: at, since: None, after: None })
            }
            EventKind::RunPaused { cluster, wave, by } => {
                let asked = before.map_or(at, |pause| pause.asked);
                Some(Self { by: by.clone(), asked, since: Some(at), after: Some((cluster.clone(), *wave)) })
            }
            EventKind::PauseRequested { paused: false, .. } | EventKind::RunResumed { .. } => None,
            _ => before,
        }
    }

    /// `paused after wave 2 by deploy@ops-1`, `pause after this wave, asked for by deploy@ops-1`.
    pub fn words(&self) -> String {
        let by = if self.by.is_empty() { String::new() } else { format!(" by {}", self.by) };
        match &self.after {
            None if self.by.is_empty() => "pause after this wave".to_owned(),
            None => format!("pause after this wave, asked for{by}"),
            Some((cluster, 0)) => format!("paused before the first wave of {cluster}{by}"),
            Some((_, wave)) => format!("paused after wave {wave}{by}"),
        }
    }
}
