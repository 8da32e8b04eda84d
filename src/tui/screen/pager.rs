//! A text to read: a node, the difference of a change, the help.

use crate::name::{ClusterName, NodeName};
use crate::plan::StepId;
use crate::tui::cursor::Cursor;
use crate::tui::keymap::Place;
use crate::tui::text::TextLine;

/// What a text is about; its lines are made from that anew when a fact or the width changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A node, in the run.
    RunNode(NodeName),
    /// A step of a whole cluster, in the run.
    RunStep(ClusterName, StepId),
    /// What became of the run, to paste.
    Ticket,
    /// The keys of a screen.
    Help(Place),
}

/// A text that scrolls.
#[derive(Debug, Clone)]
pub struct Pager {
    /// What it is about.
    pub about: About,
    /// Its lines.
    pub lines: Vec<TextLine>,
    /// What is seen of them.
    pub scroll: Cursor,
}

impl Pager {
    /// A text whose lines are still to be made.
    pub fn new(about: About) -> Self {
        Self { about, lines: Vec::new(), scroll: Cursor::default() }
    }

    /// What kind of screen it is.
    pub const fn place(&self) -> Place {
        match self.about {
            About::RunNode(_) | About::RunStep(..) => Place::Node,
            About::Ticket => Place::Ticket,
            About::Help(_) => Place::Help,
        }
    }
}
