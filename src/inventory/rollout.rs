//! How a change is rolled out over a cluster.

use std::collections::BTreeMap;

use super::{Amount, Length, WaveSize};
use crate::name::ClusterName;

/// The policy of a rollout. The defaults are careful: one node first, then a quarter, then all, and stop at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The clusters that must have converged before, and for how long. Without cycles.
    pub after: BTreeMap<ClusterName, Length>,
    /// How many nodes are done at the end of each wave, counted from the first; what then remains is a last wave.
    pub waves: Vec<WaveSize>,
    /// How many nodes are worked on at one time, at least 1.
    pub at_once: usize,
    /// How many nodes may be not serving at one time; while that many are, no further one is begun.
    pub max_out: Amount,
    /// How many nodes may fail (be put back) before the run stops.
    pub max_failed: Amount,
    /// How many nodes may be unreachable when the run begins.
    pub max_unreachable: Amount,
    /// How long a node must be stable, and a wave must rest, before the next wave.
    pub soak: Length,
    /// How long ago the last reload of a node must be when it is reloaded; none: the soak, 10 s at most (facts.md E5).
    pub reload_gap: Option<Length>,
    /// How many old generations of workers may still be leaving a node when it is reloaded: each holds the memory of a
    /// whole one for as long as one request lasts (facts.md E5; measured.md 10).
    pub max_draining: u32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            after: BTreeMap::new(),
            waves: vec![Amount::Count(1), Amount::Percent(25), Amount::Percent(100)],
            at_once: 10,
            max_out: Amount::Count(1),
            max_failed: Amount::Count(0),
            max_unreachable: Amount::Percent(5),
            soak: Length::seconds(120),
            reload_gap: None,
            max_draining: 1,
        }
    }
}

impl Rollout {
    /// How many seconds ago the last reload of a node must be when it is reloaded.
    pub fn gap(&self) -> u64 {
        let soak = self.soak.duration().as_secs().min(10);
        self.reload_gap.map_or(soak, |gap| gap.duration().as_secs())
    }

    /// How many of `total` nodes are done at the end of each wave: rising, the last being `total`; empty for none.
    pub fn wave_ends(&self, total: usize) -> Vec<usize> {
        let mut ends = Vec::with_capacity(self.waves.len() + 1);
        for end in self.waves.iter().map(|size| size.of(total)).chain([total]) {
            if end > ends.last().copied().unwrap_or(0) {
                ends.push(end);
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(waves: &[&str], total: usize) -> Vec<usize> {
        let waves = waves.iter().map(|text| Amount::parse(text).unwrap()).collect();
        Rollout { waves, ..Rollout::default() }.wave_ends(total)
    }

    #[test]
    fn waves_count_up_to_all_nodes() {
        assert_eq!(ends(&["1", "5%", "25%", "100%"], 41), [1, 3, 11, 41]);
        assert_eq!(ends(&["1", "5%", "25%", "100%"], 4), [1, 4]);
        assert_eq!(ends(&["1", "25%", "100%"], 1), [1]);
    }

    #[test]
    fn what_the_waves_leave_over_is_a_last_wave() {
        assert_eq!(ends(&["2", "50%"], 10), [2, 5, 10]);
        assert_eq!(ends(&[], 3), [3]);
    }

    #[test]
    fn the_gap_between_reloads_is_that_of_the_soak_unless_it_is_said() {
        let gap = |soak, gap| Rollout { soak: Length::seconds(soak), reload_gap: gap, ..Rollout::default() }.gap();
        assert_eq!([gap(0, None), gap(3, None), gap(120, None)], [0, 3, 10]);
        assert_eq!(gap(0, Some(Length::seconds(45))), 45);
    }

    #[test]
    fn no_nodes_make_no_waves() {
        assert!(ends(&["1", "100%"], 0).is_empty());
    }
}
