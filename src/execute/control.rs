//! What a person or a signal asks of a run.

use std::sync::Arc;

use tokio::sync::watch;

use crate::name::NodeName;
use crate::run::CancelLevel;

/// What was asked for until now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) cancel: Option<CancelLevel>,
    pub(super) pause: bool,
    /// The nodes that were to be skipped, in the order in which that was asked for.
    pub(super) skips: Vec<NodeName>,
}

/// More than anybody asks for; a key that is held down must not fill the memory.
const MOST_SKIPS: usize = 10_000;

/// A handle on a run, for signals and the TUI. All clones speak to the same run; asking never waits.
#[derive(Debug, Clone)]
pub struct Control {
    orders: Arc<watch::Sender<Orders>>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// A handle that asks for nothing yet.
    pub fn new() -> Self {
        Self { orders: Arc::new(watch::Sender::new(Orders::default())) }
    }

    /// Asks for cancelling at this level. A lower level than one asked for before changes nothing.
    pub fn cancel(&self, level: CancelLevel) {
        self.orders.send_if_modified(|orders| {
            let rises = orders.cancel < Some(level);
            orders.cancel = orders.cancel.max(Some(level));
            rises
        });
    }

    /// Asks for the next rung of the ladder: the first Ctrl-C or SIGTERM lets running steps end, the second leaves those that
    /// may be left, the third closes connections.
    pub fn escalate(&self) {
        self.orders.send_modify(|orders| {
            let next = orders.cancel.map_or(CancelLevel::AfterSteps, CancelLevel::next);
            orders.cancel = Some(next.max(CancelLevel::AfterSteps));
        });
    }

    /// Asks for a pause after the wave that is on, or before the first.
    pub fn pause(&self) {
        self.orders.send_modify(|orders| orders.pause = true);
    }

    /// Takes the pause back, or ends it.
    pub fn resume(&self) {
        self.orders.send_modify(|orders| orders.pause = false);
    }

    /// Asks for a node to be skipped: none of its steps that have not begun will be. The run refuses it for a node on which a
    /// step is under way, or whose steps are over; its events say which.
    pub fn skip(&self, node: &NodeName) {
        self.orders.send_if_modified(|orders| {
            let room = orders.skips.len() < MOST_SKIPS;
            if room {
                orders.skips.push(node.clone());
            }
            room
        });
    }

    /// The level asked for until now.
    pub fn cancelled(&self) -> Option<CancelLevel> {
        self.orders.borrow().cancel
    }

    /// Waits until cancelling is asked for, at whatever level.
    pub async fn interrupted(&self) {
        let mut orders = self.orders.subscribe();
        if orders.wait_for(|orders| orders.cancel.is_some()).await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Orders> {
        // Orders given before the run began are news to it.
        let mut orders = self.orders.subscribe();
        orders.mark_changed();
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_only_rises() {
        let control = Control::new();
        assert_eq!(control.cancelled(), None);
        control.clone().cancel(CancelLevel::LeaveSteps);
        control.cancel(CancelLevel::AfterWave);
        assert_eq!(control.cancelled(), Some(CancelLevel::LeaveSteps));
        control.escalate();
        control.escalate();
        assert_eq!(control.cancelled(), Some(CancelLevel::Close));
    }

    #[test]
    fn the_ladder_has_three_rungs() {
        use CancelLevel::{AfterSteps, Close, LeaveSteps};
        let control = Control::new();
        let rungs: Vec<_> = (0..4)
            .map(|_| {
                control.escalate();
                control.cancelled()
            })
            .collect();
        assert_eq!(rungs, [Some(AfterSteps), Some(LeaveSteps), Some(Close), Some(Close)]);
    }
}
