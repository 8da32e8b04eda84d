//! All that the interface knows. Only `update` changes it, `draw` only reads it.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::layout::Size;

use super::dialog::Dialog;
use super::edits::{Edits, MadeFrom};
use super::keymap::{self, Command, Place};
use super::layout;
use super::look::Look;
use super::picture::{Picture, Title};
use super::screen::{FleetScreen, Screen, Watched};
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
    /// What is under way.
    pub busy: Busy,
    /// The question that lies over the screen.
    pub dialog: Option<Dialog>,
    /// The answer to the last key, where it had no other; gone with the next.
    pub said: Option<String>,
    home: Screen,
    above: Vec<Screen>,
}

impl Model {
    /// Before anything is known.
    pub fn new(title: Title, look: Look, size: Size, clock: Timestamp) -> Self {
        Self {
            look,
            size,
            clock,
            title,
            picture: None,
            plan: None,
            made_from: MadeFrom::default(),
            edits: Edits::default(),
            run: None,
            busy: Busy::default(),
            dialog: None,
            said: None,
            home: Screen::Fleet(FleetScreen::default()),
            above: Vec::new(),
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

    /// Takes away every screen of a kind.
    pub(super) fn drop_screens(&mut self, place: Place) {
        self.above.retain(|screen| screen.place() != place);
    }

    /// What kind of screen is seen.
    pub fn place(&self) -> Place {
        self.screen().place()
    }

    /// What a key does now.
    pub(super) fn command(&self, key: &KeyEvent) -> Option<Command> {
        keymap::command(self.place(), key)
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

    /// True while time itself changes what is seen: the loop then tells it every second.
    pub fn wants_clock(&self) -> bool {
        self.is_running()
    }
}
