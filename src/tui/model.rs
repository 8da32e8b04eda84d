//! All that the interface knows. Only `update` changes it, `draw` only reads it.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::layout::Size;

use super::dialog::Dialog;
use super::edits::{Edits, MadeFrom};
use super::equal::{AsItIs, Carry};
use super::keymap::{Command, KEYMAP, Key, Place};
use super::keys::Keys;
use super::layout;
use super::look::Look;
use super::picture::{Picture, Title};
use super::recordings::Recordings;
use super::replay::Replay;
use super::screen::{FleetScreen, RunScreen, Screen, Source, Watched};
use crate::plan::Plan;

/// What is being waited for, apart from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Busy {
    /// A look is under way: so many of so many have answered.
    pub looking: Option<(usize, usize)>,
    /// A plan is being made.
    pub planning: bool,
}

/// Everything that the interface knows.
#[derive(Debug, Clone)]
pub struct Model {
    /// The keys in effect.
    pub keys: Arc<Keys>,
    /// Nothing may be changed (`--read-only`).
    pub read_only: bool,
    /// Adds the options that were given at the start to a command.
    pub carry: Arc<dyn Carry>,
    /// What the terminal can show.
    pub look: Look,
    /// How large it is.
    pub size: Size,
    /// The time, as last told.
    pub clock: Timestamp,
    /// Which commit of which repository.
    pub title: Title,
    /// The fleet, after the first look.
    pub picture: Option<Arc<Picture>>,
    /// The plan that was made last, until it is applied or the fleet is looked at again.
    pub plan: Option<Arc<Plan>>,
    /// What that plan was made from.
    pub made_from: MadeFrom,
    /// What is to be left out and lifted: of the plan that is shown, or of the one that is being made.
    pub edits: Edits,
    /// The run that was begun last.
    pub run: Option<Watched>,
    /// The runs that were recorded.
    pub recordings: Recordings,
    /// The recording that is open; never the run that was begun here.
    pub replay: Option<Replay>,
    /// What is under way.
    pub busy: Busy,
    /// The question that lies over the screen.
    pub dialog: Option<Dialog>,
    /// The answer to the last key, where it had no other; gone with the next.
    pub said: Option<String>,
    /// Texts about the run have to be laid out anew before the next frame.
    pub(super) put_off: bool,
    home: Screen,
    above: Vec<Screen>,
    /// What lay over the fleet before the recorded runs were shown.
    aside: Vec<Screen>,
}

impl Model {
    /// Before anything is known.
    pub fn new(title: Title, look: Look, size: Size, clock: Timestamp) -> Self {
        Self {
            keys: Arc::default(),
            read_only: false,
            carry: Arc::new(AsItIs),
            look,
            size,
            clock,
            title,
            picture: None,
            plan: None,
            made_from: MadeFrom::default(),
            edits: Edits::default(),
            run: None,
            recordings: Recordings::default(),
            replay: None,
            busy: Busy::default(),
            dialog: None,
            said: None,
            put_off: false,
            home: Screen::Fleet(FleetScreen::default()),
            above: Vec::new(),
            aside: Vec::new(),
        }
    }

    /// The screen that is seen.
    pub fn screen(&self) -> &Screen {
        self.above.last().unwrap_or(&self.home)
    }

    /// The screen that is seen, to be changed.
    pub(super) fn screen_mut(&mut self) -> &mut Screen {
        self.above.last_mut().unwrap_or(&mut self.home)
    }

    /// All screens; the fleet is the first.
    pub(super) fn screens(&self) -> impl Iterator<Item = &Screen> {
        std::iter::once(&self.home).chain(&self.above)
    }

    /// All screens, to be changed; the fleet is the first.
    pub(super) fn screens_mut(&mut self) -> impl Iterator<Item = &mut Screen> {
        std::iter::once(&mut self.home).chain(&mut self.above)
    }

    /// Lays a screen over the one that is seen. One of each kind is enough: going back never goes in circles.
    pub(super) fn push(&mut self, screen: Screen) {
        if let Some(at) = self.above.iter().position(|below| below.is_like(&screen)) {
            self.above.truncate(at);
        }
        if screen.place() != Place::Fleet {
            self.above.push(screen);
        }
    }

    /// Back to the screen before; false if there is none.
    pub(super) fn back(&mut self) -> bool {
        self.above.pop().is_some()
    }

    /// To a screen that has nothing to do with those that are seen. They are laid aside for the recorded runs, of which
    /// they would be taken to be otherwise.
    pub(super) fn jump(&mut self, screen: Screen) {
        let above = std::mem::take(&mut self.above);
        match screen.place() {
            Place::Runs if above.iter().all(|screen| screen.place() != Place::Runs) => self.aside = above,
            Place::Runs => {}
            _ => self.aside.clear(),
        }
        self.push(screen);
    }

    /// What was laid aside lies over the fleet again, if nothing else does; false if nothing was.
    pub(super) fn bring_back(&mut self) -> bool {
        let is_due = self.above.is_empty() && !self.aside.is_empty();
        if is_due {
            self.above = std::mem::take(&mut self.aside);
        }
        is_due
    }

    /// Takes away every screen of a kind.
    pub(super) fn drop_screens(&mut self, place: Place) {
        self.above.retain(|screen| screen.place() != place);
        self.aside.retain(|screen| screen.place() != place);
    }

    /// What kind of screen is seen.
    pub fn place(&self) -> Place {
        self.screen().place()
    }

    /// What a key does now.
    pub(super) fn command(&self, key: &KeyEvent) -> Option<Command> {
        self.keys.command(self.place(), key)
    }

    /// The key of a command on this screen, for people; without one, how the palette finds it.
    pub(super) fn key_words(&self, command: Command) -> String {
        let name = || KEYMAP.iter().find(|binding| binding.command == command).map_or("", |binding| binding.name);
        self.keys.shown(self.place(), command).map_or_else(|| format!(":{}", name()), Key::words)
    }

    /// The key of a command on this screen, in brackets behind what it is about; nothing where it has none.
    pub(super) fn key_hint(&self, command: Command) -> String {
        self.keys.shown(self.place(), command).map_or_else(String::new, |key| format!(" ({key})"))
    }

    /// How many rows of its list a screen shows.
    pub(super) fn height(&self, place: Place) -> usize {
        usize::from(layout::areas(self.size, place).body.height)
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        usize::from(self.size.width)
    }

    /// True while a run is on.
    pub fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(Watched::is_on)
    }

    /// Which run the screens show: there is one run screen at most, and what lies above it is of the same run.
    pub(super) fn source(&self) -> Source {
        let of_run = self.above.iter().find_map(|screen| match screen {
            Screen::Run(RunScreen { source, .. }) => Some(*source),
            _ => None,
        });
        of_run.unwrap_or_default()
    }

    /// The run that the screens show: the one that was begun here, or the recording.
    pub(super) fn watched(&self) -> Option<&Watched> {
        match self.source() {
            Source::Live => self.run.as_ref(),
            Source::Replay => self.replay.as_ref().map(Replay::watched),
        }
    }

    /// The screen that is seen, to be changed, and the run that the screens show.
    pub(super) fn screen_and_run(&mut self) -> (&mut Screen, Option<&Watched>) {
        let run = match self.source() {
            Source::Live => self.run.as_ref(),
            Source::Replay => self.replay.as_ref().map(Replay::watched),
        };
        (self.above.last_mut().unwrap_or(&mut self.home), run)
    }

    /// The time on the screens of a run: in a recording, the time that it has come to.
    pub(super) fn now(&self) -> Timestamp {
        match &self.replay {
            Some(replay) if self.source() == Source::Replay && !replay.is_watching() => replay.clock(),
            _ => self.clock,
        }
    }

    /// The plan that the screens show: the one that can be applied, or that of the recording, to be read only.
    pub(super) fn plan_seen(&self) -> Option<&Plan> {
        if self.above.iter().any(|screen| screen.place() == Place::PastPlan) {
            self.replay.as_ref()?.plan.as_ref()?.as_ref().ok().map(AsRef::as_ref)
        } else {
            self.plan.as_deref()
        }
    }

    /// Whether any screen shows the recording.
    pub(super) fn shows_replay(&self) -> bool {
        self.above.iter().any(|screen| matches!(screen.place(), Place::Replay | Place::PastPlan))
    }

    /// How often time itself changes what is seen; `None` while nothing does.
    pub fn tick(&self) -> Option<Duration> {
        let replay = self.replay.as_ref();
        if replay.is_some_and(Replay::is_playing) {
            return Some(Duration::from_millis(250));
        }
        let is_live = self.is_running() || replay.is_some_and(Replay::is_watching) || self.place() == Place::Runs;
        is_live.then_some(Duration::from_secs(1))
    }
}
