//! Which key does what, and where: one table, which the keys, the bottom line, the help and the palette are made from. An
//! operator's own settings change the keys of it ([`super::Keys`]), nothing else.

use crossterm::event::KeyCode;

pub use super::key::Key;
use super::key::{ctrl, key, plain};

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

const fn bind(
    command: Command,
    name: &'static str,
    keys: &'static [Key],
    short: &'static str,
    words: &'static str,
    places: &'static [Place],
) -> Binding {
    Binding { command, name, keys, short, words, places }
}

/// The keys. Order is that of the bottom line and of the help.
pub const KEYMAP: &[Binding] = &[
    bind(Command::Apply, "apply", &[key('a')], "apply", "carry out this plan; asks first", &[Place::Plan]),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "open",
        "open a node; fold or unfold a group",
        &[Place::Fleet],
    ),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "fold",
        "fold or unfold what is under the cursor",
        &[Place::Plan, Place::PastPlan],
    ),
    bind(
        Command::Diff,
        "diff",
        &[key('d')],
        "diff",
        "more of the change under the cursor",
        &[Place::Plan, Place::PastPlan],
    ),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "log",
        "the log of the node or cluster under the cursor",
        &[Place::Run, Place::Replay],
    ),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "open",
        "fold or unfold; the difference of a file, the error log",
        &[Place::Node],
    ),
    bind(
        Command::NextSection,
        "next-section",
        &[plain(KeyCode::Tab)],
        "section",
        "to the next section",
        &[Place::Node],
    ),
    bind(
        Command::Diff,
        "diff",
        &[key('d')],
        "diff",
        "the difference of the file or plugin under the cursor",
        &[Place::Node],
    ),
    bind(
        Command::ErrorLog,
        "error-log",
        &[key('L')],
        "log",
        "the end of the node's error log; asks the node",
        &[Place::Node],
    ),
    bind(
        Command::Origin,
        "origin",
        &[key('o')],
        "origin",
        "where plugins and lua_package_path of the node come from, place by place",
        &[Place::Node],
    ),
    bind(
        Command::Origin,
        "origin",
        &[key('o')],
        "",
        "where plugins and lua_package_path of the node under the cursor come from, place by place",
        &[Place::Fleet, Place::Plan],
    ),
    bind(
        Command::ErrorLog,
        "error-log",
        &[key('r'), key('L')],
        "ask again",
        "ask the node for its error log again",
        &[Place::ErrorLog],
    ),
    bind(
        Command::NextTrouble,
        "next-trouble",
        &[key('n')],
        "next change",
        "to the next change, round the end",
        &[Place::Diff],
    ),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "open",
        "open a recorded run: play it back, or watch it while it is at work",
        &[Place::Runs],
    ),
    bind(Command::Play, "play", &[key(' ')], "play", "play the recording, or stop playing it", &[Place::Replay]),
    bind(Command::Left, "left", &[plain(KeyCode::Left), key('h')], "1 back", "one event back", &[Place::Replay]),
    bind(Command::Right, "right", &[plain(KeyCode::Right), key('l')], "1 on", "one event on", &[Place::Replay]),
    bind(Command::MarkOn, "mark-on", &[key(']')], "next wave", "on to the next wave or trouble", &[Place::Replay]),
    bind(
        Command::MarkBack,
        "mark-back",
        &[key('[')],
        "wave before",
        "back to the last wave or trouble before",
        &[Place::Replay],
    ),
    bind(
        Command::Faster,
        "faster",
        &[key('+'), key('=')],
        "",
        "play faster: 1, 4, 16 or 64 seconds in one",
        &[Place::Replay],
    ),
    bind(Command::Slower, "slower", &[key('-')], "", "play slower", &[Place::Replay]),
    bind(Command::Plan, "plan", &[key('p')], "its plan", "the plan of the recorded run, to be read", &[Place::Replay]),
    bind(
        Command::Plan,
        "plan",
        &[key('p')],
        "plan",
        "make a plan for the whole fleet",
        &[Place::Fleet, Place::Node, Place::Run],
    ),
    bind(
        Command::Plan,
        "plan",
        &[key('p')],
        "plan",
        "make this plan anew, with what you left out and lifted",
        &[Place::Plan],
    ),
    bind(
        Command::LeaveOut,
        "leave-out",
        &[key(' ')],
        "leave out",
        "leave the node, plugin or cluster under the cursor out; take it in again",
        &[Place::Plan],
    ),
    bind(
        Command::Lift,
        "lift",
        &[key('l')],
        "lift",
        "lift the blocker under the cursor, where that may be; take it back",
        &[Place::Plan],
    ),
    bind(Command::Save, "save", &[key('s')], "save", "save this plan in a file", &[Place::Plan]),
    bind(
        Command::Filter,
        "filter",
        &[key('/')],
        "filter",
        "show only some nodes: names, ranges, wildcards, labels, as for --node",
        &[Place::Fleet],
    ),
    bind(
        Command::Select,
        "select",
        &[key(' ')],
        "select",
        "select the node under the cursor, or all shown of a group; again: give it up",
        &[Place::Fleet],
    ),
    bind(
        Command::Look,
        "look-again",
        &[key('r')],
        "look",
        "look at all nodes again",
        &[Place::Fleet, Place::Node, Place::Plan],
    ),
    bind(Command::Look, "look-again", &[key('r')], "read again", "read the recorded runs again", &[Place::Runs]),
    bind(
        Command::Filter,
        "filter",
        &[key('/')],
        "filter",
        "show only some runs: a text that stands in any of their columns",
        &[Place::Runs],
    ),
    bind(
        Command::NextTrouble,
        "next-trouble",
        &[key('n')],
        "trouble",
        "to the next run that did not end well",
        &[Place::Runs],
    ),
    bind(
        Command::LookHere,
        "look-here",
        &[key('R')],
        "",
        "look again at the selected nodes, or at what is under the cursor",
        &[Place::Fleet, Place::Node],
    ),
    bind(
        Command::PlanHere,
        "plan-here",
        &[key('P')],
        "plan this",
        "make a plan for the selected nodes, or for what is under the cursor",
        &[Place::Fleet, Place::Node],
    ),
    bind(
        Command::NextTrouble,
        "next-trouble",
        &[key('n')],
        "trouble",
        "to the next node that is not well",
        &[Place::Fleet, Place::Run, Place::Replay],
    ),
    bind(
        Command::Group,
        "group",
        &[key('g')],
        "group",
        "group by cluster, state, version of Kong, each label",
        &[Place::Fleet],
    ),
    bind(
        Command::Sort,
        "sort",
        &[key('s')],
        "sort",
        "sort by name, worst state, version of Kong, last run",
        &[Place::Fleet],
    ),
    bind(Command::NextTrouble, "next-trouble", &[key('n')], "", "to the next blocker", &[Place::Plan]),
    bind(
        Command::Pause,
        "pause",
        &[key(' ')],
        "pause",
        "pause after the wave that is on; again: take it back, or go on",
        &[Place::Run],
    ),
    bind(Command::Stop, "stop", &[key('x')], "stop", "stop the run: how hard is asked", &[Place::Run]),
    bind(Command::Retry, "retry", &[key('R')], "retry failed", "make a plan for the nodes that failed", &[Place::Run]),
    bind(
        Command::Skip,
        "skip",
        &[key('S')],
        "skip",
        "skip the node under the cursor, of which no step has begun; asks first",
        &[Place::Run],
    ),
    bind(
        Command::Ticket,
        "ticket",
        &[key('y')],
        "ticket",
        "what became of the run, as a block of text to paste; also sent to the clipboard where the terminal allows it",
        &[Place::Run, Place::Log, Place::Ticket, Place::Replay],
    ),
    bind(
        Command::Detail,
        "detail",
        &[key('d')],
        "detail",
        "all that is known of the node or step under the cursor",
        &[Place::Run, Place::Log, Place::Replay],
    ),
    bind(Command::Search, "search", &[key('/')], "search", "search in this log; capitals are meant", &[Place::Log]),
    bind(Command::NextMatch, "next-match", &[key('n')], "next", "to the next match", &[Place::Log]),
    bind(Command::PreviousMatch, "previous-match", &[key('N')], "", "to the match before", &[Place::Log]),
    bind(
        Command::Follow,
        "follow",
        &[key('f')],
        "follow",
        "stay at the end as lines come, or stay here",
        &[Place::Log],
    ),
    bind(Command::Wrap, "wrap", &[key('w')], "wrap", "wrap long lines, or cut them", &[Place::Log]),
    bind(
        Command::Stop,
        "stop",
        &[key('x')],
        "",
        "nothing: a run can be stopped only where it was begun",
        &[Place::Replay],
    ),
    bind(Command::Apply, "apply", &[key('a')], "", "nothing: a recorded plan can only be read", &[Place::PastPlan]),
    bind(
        Command::Watch,
        "watch",
        &[key('w')],
        "run",
        "to the run",
        &[Place::Fleet, Place::Node, Place::Plan, Place::Runs, Place::Replay],
    ),
    bind(Command::Runs, "runs", &[key('W')], "runs", "the runs that were recorded, those of cron too", &[Place::Fleet]),
    bind(
        Command::Runs,
        "runs",
        &[key('W')],
        "",
        "the runs that were recorded; escape comes back",
        &[Place::Node, Place::Plan, Place::Run],
    ),
    bind(
        Command::Back,
        "back",
        &[plain(KeyCode::Esc), plain(KeyCode::Backspace)],
        "back",
        "back to where you came from",
        &[
            Place::Node,
            Place::Plan,
            Place::Diff,
            Place::ErrorLog,
            Place::Run,
            Place::Log,
            Place::Ticket,
            Place::Help,
            Place::Runs,
            Place::Replay,
            Place::PastPlan,
        ],
    ),
    bind(
        Command::Back,
        "back",
        &[plain(KeyCode::Esc), plain(KeyCode::Backspace)],
        "",
        "end the selection, then the filter",
        &[Place::Fleet],
    ),
    bind(Command::Quit, "quit", &[key('q')], "quit", "leave; asks while a run is on", &[]),
    bind(
        Command::Help,
        "help",
        &[key('?'), plain(KeyCode::F(1))],
        "help",
        "all keys of this screen, and the marks",
        &[],
    ),
    bind(Command::Palette, "palette", &[key(':')], "", "find any action by its words", &[]),
    bind(Command::Equal, "command-line", &[key('c')], "", "the command that shows or does the same", &[]),
    bind(Command::Up, "up", &[plain(KeyCode::Up), key('k')], "", "up", &[]),
    bind(Command::Down, "down", &[plain(KeyCode::Down), key('j')], "", "down", &[]),
    bind(Command::PageUp, "page-up", &[plain(KeyCode::PageUp), ctrl('b')], "", "a page up", &[]),
    bind(Command::PageDown, "page-down", &[plain(KeyCode::PageDown), ctrl('f'), key(' ')], "", "a page down", &[]),
    bind(Command::First, "first", &[plain(KeyCode::Home), key('g')], "", "to the first line", &[]),
    bind(Command::Last, "last", &[plain(KeyCode::End), key('G')], "", "to the last line", &[]),
    bind(
        Command::Left,
        "left",
        &[plain(KeyCode::Left), key('h')],
        "",
        "columns to the left",
        &[Place::Fleet, Place::Diff],
    ),
    bind(
        Command::Right,
        "right",
        &[plain(KeyCode::Right), key('l')],
        "",
        "columns to the right",
        &[Place::Fleet, Place::Diff],
    ),
    bind(Command::Redraw, "redraw", &[ctrl('l')], "", "draw the screen anew", &[]),
    bind(Command::Suspend, "suspend", &[ctrl('z')], "", "to the shell; fg comes back", &[]),
    bind(
        Command::Interrupt,
        "interrupt",
        &[ctrl('c')],
        "",
        "leave; while a run is on: its first step of stopping, again: the next",
        &[],
    ),
];

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
