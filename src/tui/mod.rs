//! The terminal UI: draws the same facts that text and JSON show.
//!
//! Owns: a [`Model`], the pure functions [`update`] and [`draw`] over it, the table of keys, the loop that joins them, and
//! the terminal itself. Must not know: how the fleet is looked at, planned for or changed; that is asked for through
//! [`Driver`], and comes back as a [`Message`].

mod app;
mod command;
mod cursor;
mod dialog;
mod effect;
pub mod keymap;
mod layout;
mod logs;
mod look;
mod message;
mod model;
mod picture;
mod reading;
mod screen;
mod shown;
mod steer;
mod terminal;
mod text;
mod update;
mod view;

pub use app::{Clock, Ended, Host, run_on};
pub use effect::{Driver, Effect, Part};
pub use look::Look;
pub use message::{Doing, Message, Notice, Signal};
pub use model::Model;
pub use picture::{ClusterRows, Marks, NodeRow, NodeState, Picture, Title};
pub use terminal::run;
pub use update::update;
pub use view::draw;
