//! Drawing: the model in, a frame out. Only what is seen is composed, so that 5,000 nodes cost what 50 do.

mod canvas;
mod dialog;
mod difference;
mod ending;
mod equal;
mod fleet;
mod fleet_pane;
mod head;
mod help;
mod log;
mod node;
mod node_files;
mod node_settings;
mod pager;
mod palette;
mod plan;
mod removal;
mod replay;
mod run;
mod runs;
mod steps;
mod tail;

use ratatui::Frame;
use ratatui::layout::{Rect, Size};

use super::keymap::Place;
use super::layout::{LEAST, areas, is_too_small};
use super::look::Tone;
use super::model::Model;
use super::screen::Screen;
use super::text::TextLine;
use canvas::Canvas;

pub(super) use node::lines as node_screen_lines;
pub(super) use pager::lines as pager_lines;
pub(super) use plan::{removal_of, text as plan_text};
pub(super) use removal::losses;
pub(super) use tail::lines as tail_lines;

/// Draws what the model says.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut canvas = Canvas::new(frame.buffer_mut(), model.look);
    let cursor = if is_too_small(Size::new(area.width, area.height)) {
        too_small(model, &mut canvas, area);
        None
    } else {
        draw_screen(model, &mut canvas, area);
        model.dialog.as_ref().and_then(|dialog| dialog::draw(model, dialog, &mut canvas, area))
    };
    canvas.purify();
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
}

fn too_small(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let words = format!("muster needs at least {}x{}", LEAST.width, LEAST.height);
    let found = format!("this terminal is {}x{}", area.width, area.height);
    let run = model.is_running().then_some(["a run is on, and goes on:", "keys do nothing here"]);
    let run = run.into_iter().flatten().map(str::to_owned);
    for (y, text) in (0..).zip([words, found].into_iter().chain(run)) {
        canvas.line(area, y, &TextLine::new(Tone::Plain, &text));
    }
}

fn draw_screen(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let areas = areas(Size::new(area.width, area.height), model.place());
    for y in areas.rules() {
        canvas.rule(area, y);
    }
    match model.screen() {
        Screen::Fleet(screen) => fleet::draw(model, screen, canvas, &areas),
        Screen::Plan(screen) => plan::draw(model, screen, canvas, &areas),
        Screen::Run(screen) if model.place() == Place::Replay => replay::draw(model, screen, canvas, &areas),
        Screen::Run(screen) => run::draw(model, screen, canvas, &areas),
        Screen::Runs(screen) => runs::draw(model, screen, canvas, &areas),
        Screen::Log(screen) => log::draw(model, screen, canvas, &areas),
        Screen::Pager(pager) => pager::draw(model, pager, canvas, &areas),
        Screen::Node(screen) => node::draw(model, screen, canvas, &areas),
        Screen::Diff(screen) => difference::draw(model, screen, canvas, &areas),
        Screen::Tail(screen) => tail::draw(model, screen, canvas, &areas),
    }
    head::remark(model, canvas, &areas);
    head::foot(model, canvas, areas.foot);
}
