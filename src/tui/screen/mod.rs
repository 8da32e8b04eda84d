//! The screens: what each of them knows beyond the facts, above all where its cursor is.

mod filter;
mod fleet;
mod group;
mod log;
mod node;
mod pager;
mod plan;
mod run;
mod runs;
mod selected;

pub(super) use filter::Filter;
pub(super) use fleet::{FleetRow, FleetScreen, node_at};
pub(super) use group::{Group, GroupKey, Grouping, Order};
pub(super) use log::{Extent, LogScreen, Row};
pub use node::DiffAbout;
pub(super) use node::{DiffScreen, Fold, NodeLine, NodeScreen, Section, TailScreen, Target};
pub(super) use pager::{About, Pager};
pub(super) use plan::{Liftable, PlanLine, PlanRow, PlanScreen, PlanText, RowKey, is_open};
pub(super) use run::{Expected, RunRow, RunScreen, Source, UnderWay, Watched, mark, note, note_during};
pub(super) use runs::RunsScreen;

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
    /// The recorded runs.
    Runs(RunsScreen),
    /// The log of a node or cluster in the run.
    Log(LogScreen),
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
            Self::Plan(PlanScreen { source: Source::Live, .. }) => Place::Plan,
            Self::Plan(PlanScreen { source: Source::Replay, .. }) => Place::PastPlan,
            Self::Run(RunScreen { source: Source::Live, .. }) => Place::Run,
            Self::Run(RunScreen { source: Source::Replay, .. }) => Place::Replay,
            Self::Runs(_) => Place::Runs,
            Self::Log(_) => Place::Log,
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
