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
    /// The keys.
    Help,
    /// The recorded runs.
    Runs,
    /// A recorded run.
    Replay,
    /// The plan of a recorded run.
    PastPlan,
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
        "open",
        "all that is known of the node or step under the cursor",
        &[Place::Run, Place::Replay],
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
        &[Place::Fleet, Place::Run, Place::Replay],
    ),
    bind(Command::Stop, "stop", &[key('x')], "stop", "stop the run: how hard is asked", &[Place::Run]),
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
        &[Place::Node, Place::Plan, Place::Diff, Place::Run, Place::Help, Place::Runs, Place::Replay, Place::PastPlan],
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
        &[Place::Fleet, Place::Node, Place::Plan, Place::Diff, Place::Run, Place::Help, Place::Runs, Place::PastPlan],
    ),
    bind(
        Command::First,
        "first",
        &[plain(KeyCode::Home), key('g')],
        "",
        "to the first line; in a recording, to its start",
        &[],
    ),
    bind(
        Command::Last,
        "last",
        &[plain(KeyCode::End), key('G')],
        "",
        "to the last line; in a recording, to its end",
        &[],
    ),
    bind(Command::Left, "left", &[plain(KeyCode::Left), key('h')], "", "columns to the left", &[Place::Fleet]),
    bind(Command::Right, "right", &[plain(KeyCode::Right), key('l')], "", "columns to the right", &[Place::Fleet]),
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

    const PLACES: [Place; 9] = [
        Place::Fleet,
        Place::Node,
        Place::Plan,
        Place::Diff,
        Place::Run,
        Place::Help,
        Place::Runs,
        Place::Replay,
        Place::PastPlan,
    ];

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
