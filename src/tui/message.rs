//! Everything that can happen to the interface, from anyone.

use std::sync::Arc;

use crossterm::event::Event as Input;
use jiff::Timestamp;

use super::edits::Made;
use super::picture::Picture;
use crate::hint::Hint;
use crate::run::Event;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key, a paste, a new size of the terminal.
    Input(Input),
    /// The time, told by the loop before anything else that happened then.
    Clock(Timestamp),
    /// From the system.
    Signal(Signal),
    /// Looking goes on: so many nodes of so many have answered.
    Looking {
        /// Answered or given up.
        done: usize,
        /// All that are looked at.
        of: usize,
    },
    /// The fleet was looked at.
    Looked(Arc<Picture>),
    /// A plan was made.
    Planned(Made),
    /// What became of a plan that was to be saved.
    Saved(Saved),
    /// A fact of the run, or chatter.
    Run(Box<Event>),
    /// Something that was asked for could not be done.
    Failed {
        /// What.
        doing: Doing,
        /// Why, and what to do.
        notice: Notice,
    },
    /// A task of ours panicked; nothing that is shown can be relied on any more.
    Died(String),
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// A look at the fleet.
    Look,
    /// A plan.
    Plan,
    /// A run.
    Apply,
}

/// What became of a plan that was to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// It is in this file.
    Written(String),
    /// Another plan is in this file, and stays there until the word for it is typed.
    There(String),
    /// It could not be saved.
    Refused(Notice),
}

/// Words for the person: what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One line.
    pub text: String,
    /// More lines.
    pub details: Vec<String>,
    /// What to do next.
    pub hints: Vec<Hint>,
}

/// A signal that the interface answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: as Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone, or will be.
    Hangup,
    /// SIGCONT: we were stopped, and the terminal may hold anything.
    Continued,
}
