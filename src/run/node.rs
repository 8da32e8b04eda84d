//! What is known of one node in a run.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Cause, Outcome, SkipReason, StepEnd, StepPhase};
use crate::plan::StepId;

/// How many printed lines of a node are kept.
pub const PRINTED: usize = 200;

/// What is known of one phase on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cell {
    /// Not begun.
    #[default]
    Waiting,
    /// Under way since then.
    Running(Timestamp),
    /// Done, `=`.
    Done,
    /// Failed, `x`.
    Failed,
    /// Put back, `<`.
    PutBack,
    /// Not known, `?`.
    Unknown,
    /// Not begun, and will not be, `.`.
    Skipped,
}

/// What became of a node so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// No step runs; more are to come.
    #[default]
    Waiting,
    /// A step runs.
    Running,
    /// All its steps are done, and proven.
    Proven,
    /// All its steps are done while its Kong is stopped: nothing was loaded, so that nothing is proven.
    Edited,
    /// The second step of a removal is done on it; its files stay, as they are held or nobody got to them.
    Held,
    /// It was put back and serves as before.
    RolledBack,
    /// A step failed, or it was not healthy afterwards.
    Failed,
    /// The connection was lost, or it could not be asked for its lease.
    Unknown,
    /// What was left of its steps will not be begun, though none of them went wrong.
    NotTried,
}

impl Fate {
    /// Whether nothing more will happen to the node in this run, but for its health in the soak.
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// Whether something went wrong on the node.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::RolledBack | Self::Failed | Self::Unknown)
    }
}

/// What is known of one node in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeRun {
    /// deliver (with the trial load of what was delivered), guard, reload, prove, commit, delete.
    pub cells: [Cell; 6],
    /// The last thing seen, one line.
    pub now: String,
    /// Why it did not end well.
    pub cause: Option<Cause>,
    /// What became of it so far.
    pub fate: Fate,
    /// The step that runs.
    pub step: Option<StepId>,
    /// How many of its steps have not ended.
    pub left: u32,
    /// A step was begun on it.
    pub touched: bool,
    /// A step changed something on it, or may have.
    pub changed: bool,
    /// Steps were added that put back what was done on it.
    pub listed_again: bool,
    /// Its wave, from 1; 0 before.
    pub wave: u32,
    /// Who had it skipped, `user@host`.
    pub skipped_by: Option<String>,
    /// When the step that runs, or that ran last, was begun.
    pub begun: Option<Timestamp>,
    /// When that step ended.
    pub over: Option<Timestamp>,
    /// The last lines printed, at most [`PRINTED`].
    pub printed: VecDeque<String>,
}

const DELIVER: usize = 0;
const GUARD: usize = 1;
const RELOAD: usize = 2;
const PROVE: usize = 3;
const COMMIT: usize = 4;
const DELETE: usize = 5;

/// The cells of a step, by its verb.
fn cells(action: &str) -> std::ops::Range<usize> {
    match action {
        "deliver" | "rehearse" => DELIVER..GUARD,
        "delete" => DELETE..DELETE + 1,
        _ => GUARD..DELETE,
    }
}

impl NodeRun {
    /// A node with so many steps.
    pub fn with_steps(steps: u32) -> Self {
        Self { left: steps, ..Self::default() }
    }

    /// Steps were added: what held until now is about to change again.
    pub(super) fn more_steps(&mut self, steps: u32) {
        self.left += steps;
        self.listed_again = true;
        if !self.fate.is_bad() {
            self.fate = Fate::Waiting;
        }
        self.cells[GUARD..DELETE].fill(Cell::Waiting);
    }

    /// Whether it ended, well or not.
    pub const fn ended(&self) -> bool {
        self.fate.is_end()
    }

    /// Whether what its workers run holds: all of its steps do, or only the deleting of files is to come.
    pub fn proven(&self) -> bool {
        let loaded = [PROVE, COMMIT].iter().all(|cell| self.cells[*cell] == Cell::Done);
        matches!(self.fate, Fate::Proven) || loaded && !self.fate.is_bad()
    }

    /// Whether it was edited while its Kong is stopped.
    pub fn edited(&self) -> bool {
        self.cells[PROVE] == Cell::Skipped && self.cells[COMMIT] == Cell::Done
    }

    /// Since when the running phase runs.
    pub fn since(&self) -> Option<Timestamp> {
        self.cells.iter().rev().find_map(|cell| match cell {
            Cell::Running(at) => Some(*at),
            _ => None,
        })
    }

    pub(super) fn step_started(&mut self, at: Timestamp, step: StepId, action: &str, about: &str) {
        self.cells[cells(action).start] = Cell::Running(at);
        self.now = if about.is_empty() { action.to_owned() } else { format!("{action} {about}") };
        self.step = Some(step);
        (self.begun, self.over) = (Some(at), None);
        self.touched = true;
        if !self.fate.is_end() {
            self.fate = Fate::Running;
        }
    }

    /// Chatter of a step that no longer runs is late, and says nothing.
    pub(super) fn progressed(&mut self, at: Timestamp, step: StepId, phase: StepPhase, text: &str) {
        if self.step != Some(step) {
            return;
        }
        text.clone_into(&mut self.now);
        match phase {
            StepPhase::Deliver | StepPhase::Rehearse => self.reach(DELIVER, at),
            StepPhase::Guard => self.reach(GUARD, at),
            StepPhase::Reload => self.reach(RELOAD, at),
            StepPhase::Prove => self.reach(PROVE, at),
            StepPhase::Commit => self.reach(COMMIT, at),
            StepPhase::PutBack => self.put_back(),
            StepPhase::Delete => self.reach(DELETE, at),
        }
    }

    fn reach(&mut self, phase: usize, at: Timestamp) {
        let first = match phase {
            DELIVER | DELETE => phase,
            _ => GUARD,
        };
        self.cells[first..phase].fill(Cell::Done);
        if !matches!(self.cells[phase], Cell::Running(_)) {
            self.cells[phase] = Cell::Running(at);
        }
    }

    fn put_back(&mut self) {
        if let Some(cell) = self.cells[RELOAD..].iter_mut().find(|cell| matches!(cell, Cell::Running(_))) {
            *cell = Cell::Failed;
        }
        self.cells[GUARD] = Cell::PutBack;
    }

    pub(super) fn printed(&mut self, step: StepId, line: &str) {
        if self.step != Some(step) {
            return;
        }
        if self.printed.len() == PRINTED {
            self.printed.pop_front();
        }
        self.printed.push_back(line.to_owned());
    }

    pub(super) fn step_proven(&mut self, at: Timestamp, text: &str) {
        // A deletion only tells what it kept, a trial load what it found.
        if self.deletes() || self.prepares() {
            text.clone_into(&mut self.now);
            return;
        }
        self.reach(COMMIT, at);
        self.now = format!("proven: {text}");
    }

    /// Whether files are being deleted there now.
    pub fn deletes(&self) -> bool {
        matches!(self.cells[DELETE], Cell::Running(_))
    }

    /// Whether something is brought there, or loaded on trial, now.
    pub const fn prepares(&self) -> bool {
        matches!(self.cells[DELIVER], Cell::Running(_))
    }

    /// Whether something may still be going on there, or may have come to anything: a step was lost, whatever went wrong before.
    pub fn is_uncertain(&self) -> bool {
        self.fate == Fate::Unknown || self.cells.contains(&Cell::Unknown)
    }

    pub(super) fn step_ended(&mut self, at: Timestamp, action: &str, end: &StepEnd) {
        if self.step.take().is_some() {
            self.over = Some(at);
        }
        self.left = self.left.saturating_sub(1);
        end_cells(&mut self.cells[cells(action)], end);
        match end {
            StepEnd::Done { outcome } => self.done(action, *outcome),
            StepEnd::RolledBack { cause } => self.bad(Fate::RolledBack, "rolled back", cause),
            StepEnd::Failed { cause } => self.bad(Fate::Failed, "failed", cause),
            StepEnd::Unknown { cause } => self.bad(Fate::Unknown, "unknown", cause),
            StepEnd::Skipped { why } => self.skipped(action, why),
        }
    }

    fn done(&mut self, action: &str, outcome: Outcome) {
        self.changed |= outcome != Outcome::Unchanged;
        self.now = match (action, outcome) {
            // What it found was told before its end.
            ("rehearse", _) => std::mem::take(&mut self.now),
            ("deliver", Outcome::Changed) => "delivered".to_owned(),
            ("deliver", Outcome::Unchanged) => "was there already".to_owned(),
            ("delete", Outcome::Changed) => "files deleted".to_owned(),
            ("delete", Outcome::Unchanged) => "no files were left".to_owned(),
            (_, Outcome::Changed) => "committed".to_owned(),
            (_, Outcome::Unchanged) => "was so already".to_owned(),
            (_, Outcome::Edited) => "edited while Kong is stopped, not proven".to_owned(),
        };
        if outcome == Outcome::Edited {
            self.cells[RELOAD..=PROVE].fill(Cell::Skipped);
        }
        if !self.fate.is_end() {
            self.fate = match self.left {
                0 if self.edited() => Fate::Edited,
                0 => Fate::Proven,
                _ => Fate::Waiting,
            };
        }
    }

    /// What went wrong first is what became of the node.
    pub(super) fn bad(&mut self, fate: Fate, word: &str, cause: &Cause) {
        if self.fate.is_bad() {
            return;
        }
        self.changed |= fate == Fate::Unknown && self.touched;
        self.now = format!("{word}: {}", cause.text);
        self.cause = Some(cause.clone());
        self.fate = fate;
    }

    fn skipped(&mut self, action: &str, why: &SkipReason) {
        // Why the first of its steps was not begun is what a person has to know.
        if self.fate.is_bad() || self.fate == Fate::NotTried {
            return;
        }
        let committed = self.cells[COMMIT] == Cell::Done;
        let held = matches!(why, SkipReason::Held { .. });
        if action != "delete" || self.listed_again || !(committed || held) {
            self.fate = Fate::NotTried;
            self.now = format!("not begun: {}", why.words());
            return;
        }
        let lead = match committed {
            true if self.edited() => "edited; ",
            true => "proven; ",
            // The second step was an earlier run's.
            false => "",
        };
        let stay = if held { "" } else { "stay: " };
        self.fate = Fate::Held;
        self.now = format!("{lead}files {stay}{}", why.words());
    }

    /// It was unknown, and was then seen in line.
    pub(super) fn settled(&mut self) {
        if self.fate == Fate::Unknown {
            self.fate = Fate::Proven;
            "seen in line afterwards".clone_into(&mut self.now);
        }
    }

    /// The run is over: what still ran is unknown, what had not begun was not tried.
    pub(super) fn run_ended(&mut self) {
        match self.fate {
            Fate::Running => self.fate = Fate::Unknown,
            Fate::Waiting => self.fate = Fate::NotTried,
            Fate::Proven
            | Fate::Edited
            | Fate::Held
            | Fate::RolledBack
            | Fate::Failed
            | Fate::Unknown
            | Fate::NotTried => {}
        }
    }
}

/// The cells of a step after its end. The phase that ran is the one that failed; without chatter it is the first one that
/// is not done.
fn end_cells(cells: &mut [Cell], end: &StepEnd) {
    let at = cells.iter().position(|c| matches!(c, Cell::Running(_) | Cell::Failed));
    let at = at.or_else(|| cells.iter().position(|c| *c == Cell::Waiting));
    match end {
        StepEnd::Done { .. } => cells.fill(Cell::Done),
        // One that is not as the plan saw it was begun, and not touched.
        StepEnd::Skipped { .. } => {
            let open = |c: &&mut Cell| matches!(**c, Cell::Waiting | Cell::Running(_));
            cells.iter_mut().filter(open).for_each(|c| *c = Cell::Skipped);
        }
        StepEnd::Unknown { .. } => cells.iter_mut().filter(|c| **c != Cell::Done).for_each(|c| *c = Cell::Unknown),
        StepEnd::Failed { .. } | StepEnd::RolledBack { .. } => {
            if let Some(at) = at {
                cells[at] = Cell::Failed;
                cells[at + 1..].iter_mut().filter(|c| **c != Cell::PutBack).for_each(|c| *c = Cell::Skipped);
            }
        }
    }
    if matches!(end, StepEnd::RolledBack { .. }) {
        cells[0] = Cell::PutBack;
    }
}
