//! Which key does what, and where: one table, which the keys, the bottom line, the help and the palette are made from. An
//! operator's own settings change the keys of it ([`super::Keys`]), nothing else.

mod table;

pub use self::table::KEYMAP;
pub use super::key::Key;

/// Something that an operator can do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Columns to the left.
    Left,
    /// Columns to the right.
    Right,
    /// To the next row that is not well.
    NextTrouble,
    /// What is under the cursor.
    Open,
    /// Back to where one came from.
    Back,
    /// A plan for everything.
    Plan,
    /// A plan for what is under the cursor.
    PlanHere,
    /// Carry the plan out.
    Apply,
    /// Leave what is under the cursor out of the plan, or take it in again.
    LeaveOut,
    /// Lift the blocker under the cursor, or take that back.
    Lift,
    /// Save the plan in a file.
    Save,
    /// More of a change: line by line where both contents are known.
    Diff,
    /// To the next section of a screen that has some.
    NextSection,
    /// The end of the error log of a node.
    ErrorLog,
    /// Where the settings of a node come from.
    Origin,
    /// Look at all nodes again.
    Look,
    /// Look at what is under the cursor again.
    LookHere,
    /// Show only some nodes.
    Filter,
    /// Select what is under the cursor, or no longer.
    Select,
    /// Put the nodes together by something else.
    Group,
    /// Order the nodes by something else.
    Sort,
    /// To the run.
    Watch,
    /// Stop the run.
    Stop,
    /// To the recorded runs.
    Runs,
    /// Play a recording, or stop playing it.
    Play,
    /// Play it faster.
    Faster,
    /// Play it slower.
    Slower,
    /// To the event before at which something stands out.
    MarkBack,
    /// To the next one.
    MarkOn,
    /// Pause the run after the wave that is on, or go on.
    Pause,
    /// Skip the node under the cursor.
    Skip,
    /// A plan for the nodes that failed.
    Retry,
    /// What became of the run, to paste.
    Ticket,
    /// All that is known of a node or step in the run.
    Detail,
    /// Search in a log.
    Search,
    /// To the next match.
    NextMatch,
    /// To the match before.
    PreviousMatch,
    /// Wrap long lines or cut them.
    Wrap,
    /// Follow the end of a log.
    Follow,
    /// All keys.
    Help,
    /// Any action, by its words.
    Palette,
    /// The same on the command line.
    Equal,
    /// Leave.
    Quit,
    /// Draw anew.
    Redraw,
    /// Give the terminal back for a while.
    Suspend,
    /// Ctrl-C.
    Interrupt,
}

/// A kind of screen, for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The fleet.
    Fleet,
    /// One node.
    Node,
    /// The plan.
    Plan,
    /// The difference of one change.
    Diff,
    /// The end of a node's error log.
    ErrorLog,
    /// The run.
    Run,
    /// The log of a node or cluster in the run.
    Log,
    /// What became of the run, to paste.
    Ticket,
    /// The keys.
    Help,
    /// The recorded runs.
    Runs,
    /// A recorded run.
    Replay,
    /// The plan of a recorded run.
    PastPlan,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// What it does.
    pub command: Command,
    /// Its name, as the operator's settings call it.
    pub name: &'static str,
    /// The keys; the first is the one that the bottom line shows. The others of a line that is for everywhere give way where
    /// a screen has a meaning of its own for them.
    pub keys: &'static [Key],
    /// One or two words for the bottom line; empty for what is only in the help.
    pub short: &'static str,
    /// What it does, for the help.
    pub words: &'static str,
    /// The screens where it does something; empty for everywhere.
    pub places: &'static [Place],
}

impl Binding {
    /// Whether it does something on this screen.
    pub fn is_on(&self, place: Place) -> bool {
        self.places.is_empty() || self.places.contains(&place)
    }
}

impl Place {
    /// Every kind of screen, in the order in which one comes to them.
    pub const ALL: &[Self] = &[
        Self::Fleet,
        Self::Node,
        Self::Plan,
        Self::Diff,
        Self::ErrorLog,
        Self::Run,
        Self::Log,
        Self::Ticket,
        Self::Help,
        Self::Runs,
        Self::Replay,
        Self::PastPlan,
    ];

    /// What it is, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Fleet => "the fleet",
            Self::Node => "a node",
            Self::Plan => "the plan",
            Self::Diff => "a difference",
            Self::ErrorLog => "the error log of a node",
            Self::Run => "the run",
            Self::Log => "a log",
            Self::Ticket => "the ticket",
            Self::Help => "the help",
            Self::Runs => "the recorded runs",
            Self::Replay => "a recorded run",
            Self::PastPlan => "the plan of a recorded run",
        }
    }

    /// Its name in the operator's settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Node => "node",
            Self::Plan => "plan",
            Self::Diff => "diff",
            Self::ErrorLog => "error-log",
            Self::Run => "run",
            Self::Log => "log",
            Self::Ticket => "ticket",
            Self::Help => "help",
            Self::Runs => "runs",
            Self::Replay => "replay",
            Self::PastPlan => "past-plan",
        }
    }
}
