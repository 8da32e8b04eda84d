//! Who reads a run while it happens.

use std::io;

use super::{Event, RunState};

/// Is handed every event, in order, together with the state after it. It is called by the dispatcher itself: that is the
/// back-pressure. Something slow (a terminal) takes a copy and returns.
pub trait Reporter: Send {
    /// One event, and what is known after it.
    fn event(&mut self, event: &Event, state: &RunState);
}

impl<R: Reporter + ?Sized> Reporter for Box<R> {
    fn event(&mut self, event: &Event, state: &RunState) {
        (**self).event(event, state);
    }
}

/// Keeps the facts where they outlive this process. It comes before every [`Reporter`], and a step that changes a node is
/// not begun before its start was kept.
pub trait Recorder: Send {
    /// Takes one event. It need not be durable yet.
    fn record(&mut self, event: &Event) -> io::Result<()>;
    /// Makes everything that was taken durable.
    fn sync(&mut self) -> io::Result<()>;
}
