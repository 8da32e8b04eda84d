//! The screens: what each of them knows beyond the facts, above all where its cursor is.

mod filter;
mod fleet;
mod log;
mod pager;
mod plan;
mod run;

pub(super) use filter::Filter;
pub(super) use fleet::{FleetRow, FleetScreen, cluster_at, node_at};
pub(super) use log::{Extent, LogScreen, Row};
pub(super) use pager::{About, Pager};
pub(super) use plan::{PlanLine, PlanScreen};
pub(super) use run::{Expected, RunRow, RunScreen, UnderWay, Watched, mark, note, note_during};

use std::mem::discriminant;

use super::keymap::Place;

/// What is on the screen.
#[derive(Debug, Clone)]
pub enum Screen {
    /// The fleet.
    Fleet(FleetScreen),
    /// The plan.
    Plan(PlanScreen),
    /// The run.
    Run(RunScreen),
    /// The log of a node or cluster in the run.
    Log(LogScreen),
    /// A text to read: a node, a difference, the help.
    Pager(Pager),
}

impl Screen {
    /// What kind it is, for the keymap.
    pub const fn place(&self) -> Place {
        match self {
            Self::Fleet(_) => Place::Fleet,
            Self::Plan(_) => Place::Plan,
            Self::Run(_) => Place::Run,
            Self::Log(_) => Place::Log,
            Self::Pager(pager) => pager.place(),
        }
    }

    /// Whether another is of the same kind; a node as it was seen and a node in the run are two kinds.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pager(a), Self::Pager(b)) => discriminant(&a.about) == discriminant(&b.about),
            _ => discriminant(self) == discriminant(other),
        }
    }
}
