//! Everything that can happen to the interface, from anyone.

use std::sync::Arc;

use crossterm::event::Event as Input;
use jiff::Timestamp;

use super::edits::Made;
use super::feed::Ticket;
use super::picture::Picture;
use super::screen::DiffAbout;
use crate::diff::{CloserLook, Comparison, Inspection};
use crate::hint::Hint;
use crate::name::{NodeName, RunId};
use crate::plan::Plan;
use crate::run::{Event, Recorded};

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
    /// Of the runs that were recorded.
    Runs(RunsHeard),
    /// Of the recording that was opened last.
    Replay(RunId, Reel),
    /// Chatter of the run, of which only so much waits at a time ([`super::Feed`]).
    Chatter(Box<Event>, Ticket),
    /// A frame is about to be drawn: what was put off until somebody looks is done.
    Frame,
    /// Something that was asked for could not be done.
    Failed {
        /// What.
        doing: Doing,
        /// Why, and what to do.
        notice: Notice,
    },
    /// What is known of a node.
    Inspected(Arc<Inspection>),
    /// What a node answered, or why it did not.
    Answered(NodeName, Result<Arc<CloserLook>, Notice>),
    /// Files of a node, compared, or why they are not.
    Compared(DiffAbout, Result<Arc<Vec<Arc<Comparison>>>, Notice>),
    /// A task of ours panicked; nothing that is shown can be relied on any more.
    Died(String),
}

/// What is told of the recorded runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsHeard {
    /// These are there, and will be told of; the others are not there any more.
    Listed {
        /// The newest first.
        runs: Vec<RunId>,
        /// The places that cannot be listed, with why.
        wrong: Vec<String>,
    },
    /// What some of them came to, at first glance or after all of it was read.
    Told(Vec<Recorded>),
}

/// What is read of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reel {
    /// Its plan, or why that cannot be read. Comes first.
    Plan(Result<Arc<Plan>, String>),
    /// More of its events, in order.
    Events {
        /// Those that this version knows.
        events: Vec<Event>,
        /// How many others were among them.
        unknown: usize,
    },
    /// Everything that is there was read.
    Rest(Rest),
}

/// What a recording has to come behind what was read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// It is still being read.
    Reading,
    /// Its run is at work: more comes as it happens.
    On,
    /// Nothing.
    Over {
        /// Its last line was cut off in the middle.
        torn: bool,
    },
    /// Nothing that can be trusted: it is damaged there.
    Damaged(String),
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
    /// A recording.
    Replay,
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
    /// SIGTSTP: somebody wants it stopped; the terminal has to be given back first.
    Stop,
    /// SIGCONT: we were stopped, and the terminal may hold anything.
    Continued,
}
