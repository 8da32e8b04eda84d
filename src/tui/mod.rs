//! The terminal UI: draws the same facts that text and JSON show.
//!
//! Owns: a [`Model`], the pure functions [`update`] and [`draw`] over it, the table of keys, the loop that joins them, and
//! the terminal itself. Must not know: how the fleet is looked at, planned for or changed; that is asked for through
//! [`Driver`], and comes back as a [`Message`].

mod app;
mod arrange;
mod closely;
mod code;
mod command;
mod cursor;
mod dialog;
mod editing;
mod edits;
mod effect;
mod equal;
mod feed;
mod key;
pub mod keymap;
mod keys;
mod layout;
mod lift;
mod line;
mod logs;
mod look;
mod message;
mod model;
mod palette;
mod picture;
mod possible;
mod reading;
mod recordings;
mod replay;
mod screen;
mod sheet;
mod shown;
mod steer;
mod terminal;
mod text;
mod update;
mod view;

pub use app::{Clock, Ended, Host, run_on};
pub use edits::{Edits, Equal, LeftOut, Made, MadeFrom};
pub use effect::{Driver, Effect, Part};
pub use equal::{AsItIs, Carry};
pub use feed::{Feed, Ticket};
pub use keys::Keys;
pub use look::Look;
pub use message::{Doing, Message, Notice, Reel, Rest, RunsHeard, Saved, Signal};
pub use model::Model;
pub use picture::{ClusterRows, Marks, NodeRow, NodeState, Picture, Title};
pub use possible::READ_ONLY;
pub use screen::DiffAbout;
pub use terminal::{Opening, run};
pub use update::update;
pub use view::draw;
