//! The fleet: clusters, nodes, the matrix, and more about the row under the cursor.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::{head, pager};
use crate::tui::layout::Areas;
use crate::tui::look::{Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::picture::{ClusterRows, NodeRow, Picture};
use crate::tui::screen::{FleetRow, FleetScreen, cluster_at, node_at};
use crate::tui::shown::{count, fit, width};
use crate::tui::text::{TextLine, hanging};

/// How wide the columns are.
struct Columns {
    name: usize,
    kong: usize,
    /// The plugins that are shown: their place in the picture and their width.
    plugins: Vec<(usize, usize)>,
    /// How many plugins are to the left and to the right of those.
    hidden: (usize, usize),
    /// How many columns there are in all.
    whole: usize,
}

/// Before every name: the cursor, the fold or the indent.
const LEAD: usize = 4;
const KONG: usize = 8;
const STATE: usize = 18;
const NAME: std::ops::RangeInclusive<usize> = 8..=28;
const PLUGIN: std::ops::RangeInclusive<usize> = 6..=18;
/// A name that is cut to less cannot be told from others.
const CUT: usize = 8;

impl Columns {
    fn new(screen: &FleetScreen, picture: &Picture, columns: usize) -> Self {
        let name = screen.name_width.clamp(*NAME.start(), *NAME.end()) + 2;
        let mut room = columns.saturating_sub(LEAD + name + KONG + STATE);
        let mut plugins = Vec::new();
        let most = widest(picture, room);
        for (at, plugin) in picture.columns.iter().enumerate().skip(screen.column) {
            let wide = width(plugin).clamp(*PLUGIN.start(), most) + 2;
            if wide > room && !plugins.is_empty() {
                break;
            }
            room = room.saturating_sub(wide);
            plugins.push((at, wide));
        }
        let right = picture.columns.len().saturating_sub(screen.column + plugins.len());
        let hidden = (screen.column.min(picture.columns.len()), right);
        Self { name, kong: KONG, plugins, hidden, whole: columns }
    }

    /// Where the state begins.
    fn state(&self) -> usize {
        LEAD + self.name + self.kong + self.plugins.iter().map(|(_, wide)| wide).sum::<usize>()
    }
}

/// The widest that a plugin's column may be: cut names are better than a plugin that is not seen, as long as they can be told.
fn widest(picture: &Picture, room: usize) -> usize {
    let need = |most: usize| {
        let wide = |plugin: &String| width(plugin).clamp(*PLUGIN.start(), most) + 2;
        picture.columns.iter().map(wide).sum::<usize>()
    };
    (CUT..=*PLUGIN.end()).rev().find(|most| need(*most) <= room).unwrap_or(*PLUGIN.end())
}

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &FleetScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    canvas.ends(areas.head, 0, &head::title(model), &head::age(model));
    let Some(picture) = model.picture.as_deref() else {
        canvas.line(areas.body, 0, &TextLine::new(Tone::Plain, "  nothing is known yet"));
        return;
    };
    let columns = Columns::new(screen, picture, usize::from(areas.body.width));
    canvas.line(areas.columns, 0, &column_names(canvas, picture, &columns));
    if screen.rows.is_empty() && screen.filter.is_on() {
        canvas.line(areas.body, 0, &TextLine::new(Tone::Plain, "  no node is chosen by this filter"));
    }
    let window = screen.cursor.window(screen.rows.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, screen.rows.len());
    for (y, at) in (0..).zip(window) {
        let is_here = at == screen.cursor.at;
        draw_row(canvas, areas.body, y, (picture, screen), screen.rows[at], &columns, is_here);
    }
    draw_pane(model, screen, picture, canvas, areas.pane);
}

fn column_names(canvas: &Canvas<'_>, picture: &Picture, columns: &Columns) -> TextLine {
    let more = canvas.look.more();
    let mut line = TextLine::new(Tone::Head, &fit(&format!("{}NODE", " ".repeat(LEAD)), LEAD + columns.name, more))
        .with(Tone::Head, &fit("KONG", columns.kong, more));
    for (at, wide) in &columns.plugins {
        line = line.with(Tone::Head, &format!("{}  ", fit(&picture.columns[*at], wide - 2, more)));
    }
    line = line.with(Tone::Head, "STATE");
    match columns.hidden {
        (0, 0) => line,
        (0, right) => line.with(Tone::Faint, &format!("  right: {right} more")),
        (left, 0) => line.with(Tone::Faint, &format!("  left: {left} more")),
        (left, right) => line.with(Tone::Faint, &format!("  left: {left}, right: {right}")),
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    y: u16,
    (picture, screen): (&Picture, &FleetScreen),
    row: FleetRow,
    columns: &Columns,
    is_here: bool,
) {
    let cursor = if is_here { canvas.look.cursor() } else { " " };
    let line = match (node_at(picture, row), cluster_at(picture, row)) {
        (Some(node), _) => node_row(canvas, node, columns, cursor),
        (None, Some(cluster)) => cluster_row(canvas, cluster, columns, cursor, screen),
        (None, None) => return,
    };
    canvas.line(area, y, &line);
    if is_here {
        canvas.highlight(area, y);
    }
}

fn cluster_row(
    canvas: &Canvas<'_>,
    cluster: &ClusterRows,
    columns: &Columns,
    cursor: &str,
    screen: &FleetScreen,
) -> TextLine {
    let open = screen.is_open(&cluster.name);
    let some = if screen.filter.is_on() { format!("{} of ", screen.shown_of(cluster)) } else { String::new() };
    let more = canvas.look.more();
    let about = format!("{some}{}, {}", count(cluster.nodes.len(), "node"), cluster.topology);
    let lead = format!("{cursor}{} {}  ", canvas.look.fold(open), cluster.name);
    // Where its column is too narrow for the summary, it begins before it.
    let summary = cluster.summary();
    let state = columns.state().min(columns.whole.saturating_sub(width(&summary)));
    let room = state.saturating_sub(width(&lead) + 1);
    TextLine::new(Tone::Head, &lead)
        .with(Tone::Faint, &format!("{} ", fit(&about, room, more)))
        .with(tone_of(cluster.worst()), &summary)
}

fn node_row(canvas: &Canvas<'_>, node: &NodeRow, columns: &Columns, cursor: &str) -> TextLine {
    let more = canvas.look.more();
    let name = fit(node.name.as_str(), columns.name - 2, more);
    let mut line = TextLine::new(Tone::Plain, &format!("{cursor}{}{name}  ", " ".repeat(LEAD - 1)))
        .with(Tone::Faint, &format!("{} ", fit(node.kong.as_deref().unwrap_or("?"), columns.kong - 1, more)));
    for (at, wide) in &columns.plugins {
        let marks = node.cells.get(*at).copied().flatten();
        let (signs, tone) =
            marks.map_or((String::new(), Tone::Plain), |marks| (marks.signs(), tone_of(marks.loudest())));
        line = line.with(tone, &fit(&signs, *wide, more));
    }
    let state = &node.state;
    let begun = columns.state() + width(state.word) + ": ~ ".len();
    let why = state.why_within(columns.whole.saturating_sub(begun));
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    line.with(tone_of(state.mark), &format!("{} {}", state.mark, state.word)).with(Tone::Plain, &why)
}

fn draw_pane(model: &Model, screen: &FleetScreen, picture: &Picture, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(row) = screen.row() else { return };
    let columns = usize::from(area.width);
    let lines = match (node_at(picture, row), cluster_at(picture, row)) {
        (Some(node), _) => pager::node_lines(model, picture, node, columns),
        (None, Some(cluster)) => cluster_lines(cluster, screen.is_open(&cluster.name), columns),
        (None, None) => Vec::new(),
    };
    pager::draw_beginning(canvas, area, &lines, "enter shows");
}

fn cluster_lines(cluster: &ClusterRows, open: bool, columns: usize) -> Vec<TextLine> {
    let lead = TextLine::new(Tone::Head, &format!(" {}  ", cluster.name));
    let about = format!("{} cluster, {}: {}", cluster.topology, count(cluster.nodes.len(), "node"), cluster.summary());
    let mut lines = hanging(&lead, Tone::Plain, &about, columns);
    let fold = if open { "enter folds it" } else { "enter unfolds it" };
    lines.push(TextLine::new(Tone::Faint, &format!(" {fold}, P makes a plan for it alone")));
    lines
}
