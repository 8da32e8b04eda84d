//! A run's events on their way to the screen: facts all of them, of chatter no more than the screen keeps up with.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::message::Message;
use crate::run::{Event, EventKind};

/// How much chatter waits at most; beyond that it is dropped. Facts are never dropped.
const MOST_WAITING: usize = 4_096;
/// How many bytes of a printed line reach the screen; the journal has all of it.
const LONGEST: usize = 8_192;

/// Hands events to the screen.
#[derive(Debug, Clone)]
pub struct Feed {
    sender: UnboundedSender<Message>,
    waiting: Arc<()>,
}

/// Held by chatter that waits; gone with it.
#[derive(Debug, Clone)]
pub struct Ticket(#[expect(dead_code, reason = "it is there to be counted")] Arc<()>);

impl Feed {
    /// A feed into the queue of the screen.
    pub fn new(sender: UnboundedSender<Message>) -> Self {
        Self { sender, waiting: Arc::new(()) }
    }

    /// Hands an event on. The run goes on when the screen was left; the journal has it.
    pub fn event(&self, event: &Event) {
        let message = if event.kind.is_chatter() {
            // The feed's own is one of them.
            if Arc::strong_count(&self.waiting) > MOST_WAITING {
                return;
            }
            Message::Chatter(Box::new(shortened(event)), Ticket(Arc::clone(&self.waiting)))
        } else {
            Message::Run(Box::new(event.clone()))
        };
        drop(self.sender.send(message));
    }
}

/// The event with no more of what was printed than anybody reads on a screen.
fn shortened(event: &Event) -> Event {
    let short = |text: &String| text[..text.floor_char_boundary(LONGEST)].to_owned();
    let kind = match &event.kind {
        EventKind::StepPrinted { step, node, line } => {
            EventKind::StepPrinted { step: *step, node: node.clone(), line: short(line) }
        }
        EventKind::StepProgressed { step, node, phase, text } => {
            EventKind::StepProgressed { step: *step, node: node.clone(), phase: *phase, text: short(text) }
        }
        other => other.clone(),
    };
    Event { seq: event.seq, at: event.at, kind }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::name::NodeName;

    fn event(seq: u64, kind: EventKind) -> Event {
        Event { seq, at: jiff::Timestamp::UNIX_EPOCH, kind }
    }

    fn printed(line: String) -> Event {
        let step = serde_json::from_value(1.into()).unwrap();
        event(1, EventKind::StepPrinted { step, node: NodeName::parse("eu-1").unwrap(), line })
    }

    #[test]
    fn chatter_that_nobody_takes_is_dropped_and_facts_are_not() {
        let (sender, mut messages) = unbounded_channel();
        let feed = Feed::new(sender);
        for _ in 0..3 * MOST_WAITING {
            feed.event(&printed("x".to_owned()));
        }
        assert_eq!(messages.len(), MOST_WAITING);
        let fact = event(2, EventKind::PauseRequested { paused: true, by: None });
        feed.event(&fact);
        assert_eq!(messages.len(), MOST_WAITING + 1);
        drop(messages.try_recv());
        feed.event(&printed("again".to_owned()));
        assert_eq!(messages.len(), MOST_WAITING + 1, "there is room for as much as was taken");
    }

    #[test]
    fn of_a_line_of_a_megabyte_the_beginning_is_kept() {
        let (sender, mut messages) = unbounded_channel();
        Feed::new(sender).event(&printed("ä".repeat(1 << 20)));
        let Ok(Message::Chatter(event, _)) = messages.try_recv() else { panic!("no chatter") };
        let EventKind::StepPrinted { line, .. } = event.kind else { panic!("{event:?}") };
        assert!(line.len() <= LONGEST && line.len() > LONGEST - 2);
    }
}
