//! Which key does what, and where: one table, which the keys, the bottom line and the help are made from.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
    /// More of a change: line by line where both contents are known.
    Diff,
    /// Look at all nodes again.
    Look,
    /// Look at what is under the cursor again.
    LookHere,
    /// Show only some nodes.
    Filter,
    /// To the run.
    Watch,
    /// Stop the run.
    Stop,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The fleet.
    Fleet,
    /// One node.
    Node,
    /// The plan.
    Plan,
    /// The difference of one change.
    Diff,
    /// The run.
    Run,
    /// The log of a node or cluster in the run.
    Log,
    /// What became of the run, to paste.
    Ticket,
    /// The keys.
    Help,
}

/// A key with its modifiers. For letters, shift is part of the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(KeyCode, KeyModifiers);

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// What it does.
    pub command: Command,
    /// Its name, as a configuration will call it.
    pub name: &'static str,
    /// The keys; the first is the one that the bottom line shows.
    pub keys: &'static [Key],
    /// One or two words for the bottom line; empty for what is only in the help.
    pub short: &'static str,
    /// What it does, for the help.
    pub words: &'static str,
    /// The screens where it does something; empty for everywhere.
    pub places: &'static [Place],
}

const fn key(letter: char) -> Key {
    Key(KeyCode::Char(letter), KeyModifiers::NONE)
}

const fn ctrl(letter: char) -> Key {
    Key(KeyCode::Char(letter), KeyModifiers::CONTROL)
}

const fn plain(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
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
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "open",
        "open a node; fold or unfold a cluster",
        &[Place::Fleet],
    ),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "fold",
        "fold or unfold a removal; more of another change",
        &[Place::Plan],
    ),
    bind(Command::Diff, "diff", &[key('d')], "diff", "more of the change under the cursor", &[Place::Plan]),
    bind(
        Command::Open,
        "open",
        &[plain(KeyCode::Enter)],
        "log",
        "the log of the node or cluster under the cursor",
        &[Place::Run],
    ),
    bind(
        Command::Plan,
        "plan",
        &[key('p')],
        "plan",
        "make a plan for the whole fleet",
        &[Place::Fleet, Place::Node, Place::Plan, Place::Run],
    ),
    bind(
        Command::PlanHere,
        "plan-here",
        &[key('P')],
        "plan this",
        "make a plan for the cluster or node under the cursor",
        &[Place::Fleet, Place::Node],
    ),
    bind(Command::Apply, "apply", &[key('a')], "apply", "carry out this plan; asks first", &[Place::Plan]),
    bind(
        Command::Look,
        "look-again",
        &[key('r')],
        "look",
        "look at all nodes again",
        &[Place::Fleet, Place::Node, Place::Plan],
    ),
    bind(
        Command::LookHere,
        "look-here",
        &[key('R')],
        "",
        "look again at the cluster or node under the cursor",
        &[Place::Fleet, Place::Node],
    ),
    bind(
        Command::Filter,
        "filter",
        &[key('/')],
        "filter",
        "show only some nodes: names, ranges, wildcards, labels, as for --node",
        &[Place::Fleet],
    ),
    bind(
        Command::NextTrouble,
        "next-trouble",
        &[key('n')],
        "trouble",
        "to the next node that is not well",
        &[Place::Fleet, Place::Run],
    ),
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
        &[Place::Run, Place::Log, Place::Ticket],
    ),
    bind(
        Command::Detail,
        "detail",
        &[key('d')],
        "detail",
        "all that is known of the node or step under the cursor",
        &[Place::Run, Place::Log],
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
    bind(Command::Watch, "watch", &[key('w')], "run", "to the run", &[Place::Fleet, Place::Node, Place::Plan]),
    bind(
        Command::Back,
        "back",
        &[plain(KeyCode::Esc), plain(KeyCode::Backspace)],
        "back",
        "back to where you came from",
        &[Place::Node, Place::Plan, Place::Diff, Place::Run, Place::Log, Place::Ticket, Place::Help],
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
    bind(Command::Up, "up", &[plain(KeyCode::Up), key('k')], "", "up", &[]),
    bind(Command::Down, "down", &[plain(KeyCode::Down), key('j')], "", "down", &[]),
    bind(Command::PageUp, "page-up", &[plain(KeyCode::PageUp), ctrl('b')], "", "a page up", &[]),
    bind(Command::PageDown, "page-down", &[plain(KeyCode::PageDown), ctrl('f')], "", "a page down", &[]),
    bind(
        Command::PageDown,
        "page-down",
        &[key(' ')],
        "",
        "a page down",
        &[Place::Fleet, Place::Node, Place::Plan, Place::Diff, Place::Log, Place::Ticket, Place::Help],
    ),
    bind(Command::First, "first", &[plain(KeyCode::Home), key('g')], "", "to the first line", &[]),
    bind(Command::Last, "last", &[plain(KeyCode::End), key('G')], "", "to the last line", &[]),
    bind(Command::Left, "left", &[plain(KeyCode::Left), key('h')], "", "columns to the left", &[Place::Fleet]),
    bind(Command::Right, "right", &[plain(KeyCode::Right), key('l')], "", "columns to the right", &[Place::Fleet]),
    bind(
        Command::Left,
        "left",
        &[plain(KeyCode::Left), key('h')],
        "",
        "to the left, in lines that are cut",
        &[Place::Log],
    ),
    bind(
        Command::Right,
        "right",
        &[plain(KeyCode::Right), key('l')],
        "",
        "to the right, in lines that are cut",
        &[Place::Log],
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

/// What a key does on a screen.
pub fn command(place: Place, event: &KeyEvent) -> Option<Command> {
    let pressed = Key::pressed(event);
    KEYMAP.iter().find(|binding| binding.is_on(place) && binding.keys.contains(&pressed)).map(|binding| binding.command)
}

impl Key {
    fn pressed(event: &KeyEvent) -> Self {
        let modifiers = match event.code {
            // A terminal may or may not tell of the shift that made the letter.
            KeyCode::Char(_) => event.modifiers - KeyModifiers::SHIFT,
            _ => event.modifiers,
        };
        Self(event.code, modifiers)
    }

    /// The key as the bottom line shows it.
    pub fn words(self) -> String {
        let name = match self.0 {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(letter) if self.1.contains(KeyModifiers::CONTROL) => letter.to_ascii_uppercase().to_string(),
            KeyCode::Char(letter) => letter.to_string(),
            KeyCode::PageUp => "page up".to_owned(),
            KeyCode::PageDown => "page down".to_owned(),
            KeyCode::F(number) => format!("F{number}"),
            other => format!("{other:?}").to_lowercase(),
        };
        if self.1.contains(KeyModifiers::CONTROL) { format!("Ctrl-{name}") } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 8] =
        [Place::Fleet, Place::Node, Place::Plan, Place::Diff, Place::Run, Place::Log, Place::Ticket, Place::Help];

    #[test]
    fn no_key_has_two_meanings_on_one_screen() {
        for place in PLACES {
            let keys: Vec<Key> = KEYMAP.iter().filter(|b| b.is_on(place)).flat_map(|b| b.keys).copied().collect();
            for (at, key) in keys.iter().enumerate() {
                assert!(!keys[..at].contains(key), "{} twice on {place:?}", key.words());
            }
        }
    }

    #[test]
    fn every_screen_can_be_left_and_has_help() {
        for place in PLACES {
            let can = |command| KEYMAP.iter().any(|b| b.is_on(place) && b.command == command);
            assert!(can(Command::Quit) && can(Command::Help), "{place:?}");
            assert!(place == Place::Fleet || can(Command::Back), "{place:?}");
        }
    }

    #[test]
    fn a_shifted_letter_is_the_same_with_and_without_the_modifier() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            let event = KeyEvent::new(KeyCode::Char('P'), modifiers);
            assert_eq!(command(Place::Fleet, &event), Some(Command::PlanHere));
        }
    }

    #[test]
    fn keys_are_named_as_people_name_them() {
        assert_eq!(ctrl('l').words(), "Ctrl-L");
        assert_eq!(plain(KeyCode::Enter).words(), "enter");
        assert_eq!(key('P').words(), "P");
        assert_eq!(key(' ').words(), "space");
    }
}
