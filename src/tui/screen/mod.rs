//! The screens: what each of them knows beyond the facts, above all where its cursor is.

mod filter;
mod fleet;
mod node;
mod pager;
mod plan;
mod run;

pub(super) use filter::Filter;
pub(super) use fleet::{FleetRow, FleetScreen, cluster_at, node_at};
pub use node::DiffAbout;
pub(super) use node::{DiffScreen, Fold, NodeLine, NodeScreen, Section, TailScreen, Target};
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
    /// A text to read: a node, a difference, the help.
    Pager(Pager),
    /// One node.
    Node(Box<NodeScreen>),
    /// A difference.
    Diff(Box<DiffScreen>),
    /// The end of an error log.
    Tail(Box<TailScreen>),
}

impl Screen {
    /// What kind it is, for the keymap.
    pub const fn place(&self) -> Place {
        match self {
            Self::Fleet(_) => Place::Fleet,
            Self::Plan(_) => Place::Plan,
            Self::Run(_) => Place::Run,
            Self::Pager(pager) => pager.place(),
            Self::Node(_) => Place::Node,
            Self::Diff(_) => Place::Diff,
            Self::Tail(_) => Place::ErrorLog,
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
