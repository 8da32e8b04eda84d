//! The fleet: clusters, nodes, the matrix, and more about the row under the cursor.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::{fleet_pane, head, run};
use crate::survey::{Lock, Sight};
use crate::tui::keymap::Command;
use crate::tui::layout::Areas;
use crate::tui::look::{Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::picture::{NodeRow, Picture};
use crate::tui::screen::{FleetRow, FleetScreen, Group, GroupKey, Grouping, Order, Screen, node_at};
use crate::tui::shown::{clip, count, fit, when, width};
use crate::tui::text::TextLine;

/// How wide the columns are; 0 is a column that is not shown.
struct Columns {
    name: usize,
    kong: usize,
    role: usize,
    /// The plugins that are shown: their place in the picture and their width.
    plugins: Vec<(usize, usize)>,
    run: usize,
    lock: usize,
    /// How many plugins are to the left and to the right of those.
    hidden: (usize, usize),
    /// How many columns there are in all.
    whole: usize,
}

/// Before every name: the cursor, the fold or the mark of what is selected, the indent.
const LEAD: usize = 4;
const KONG: usize = 8;
const ROLE: usize = 15;
const RUN: usize = 15;
const LOCK: usize = 18;
const STATE: usize = 18;
const NAME: std::ops::RangeInclusive<usize> = 8..=28;
const PLUGIN: std::ops::RangeInclusive<usize> = 6..=18;
/// A name that is cut to less cannot be told from others.
const CUT: usize = 8;
/// From so many columns on there may be more than the matrix and the state.
const WIDE: usize = 110;
/// What the matrix keeps, however many plugins there are, before other columns take from it.
const MATRIX: usize = 48;
/// What the reason behind a state keeps before a column takes from it that says something; one that says nothing on any row.
const REASON: (usize, usize) = (20, 50);

impl Columns {
    fn new(screen: &FleetScreen, picture: &Picture, columns: usize) -> Self {
        let name = screen.name_width.clamp(*NAME.start(), *NAME.end()) + 2;
        let mut room = columns.saturating_sub(LEAD + name + KONG + STATE);
        let [run, lock, role] = extras(screen, picture, columns, &mut room);
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
        Self { name, kong: KONG, role, plugins, run, lock, hidden, whole: columns }
    }

    /// Where the state begins.
    fn state(&self) -> usize {
        let plugins = self.plugins.iter().map(|(_, wide)| wide).sum::<usize>();
        LEAD + self.name + self.kong + self.role + plugins + self.run + self.lock
    }
}

/// The widths of the last run, the lock and the role, as far as there is room beside the matrix and the reasons; taken from
/// the room. A lock that somebody holds comes first.
fn extras(screen: &FleetScreen, picture: &Picture, columns: usize, room: &mut usize) -> [usize; 3] {
    let mut widths = [0; 3];
    if columns < WIDE {
        return widths;
    }
    let narrow = |plugin: &String| width(plugin).clamp(*PLUGIN.start(), CUT) + 2;
    let matrix = picture.columns.iter().map(narrow).sum::<usize>().min(MATRIX);
    let order = if screen.held { [1, 0, 2] } else { [0, 2, 1] };
    for at in order {
        let wide = [RUN, LOCK, ROLE][at];
        let reason = if at == 1 && !screen.held { REASON.1 } else { REASON.0 };
        if *room >= matrix + wide + reason {
            *room -= wide;
            widths[at] = wide;
        }
    }
    widths
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
        draw_row(canvas, areas.body, y, (model, picture, screen), screen.rows[at], &columns, is_here);
    }
    fleet_pane::draw(model, screen, picture, canvas, areas.pane);
}

/// What is not plain to see on this screen: what is selected, what is not shown, how it is arranged.
pub(super) fn remark(model: &Model) -> Option<String> {
    let (Screen::Fleet(screen), Some(picture)) = (model.screen(), model.picture.as_deref()) else { return None };
    let hint = |command| model.key_hint(command);
    let selected = (!screen.selected.is_empty()).then(|| {
        let unseen = if screen.unseen > 0 { format!(", {} not shown", screen.unseen) } else { String::new() };
        format!("{} selected{unseen}{}", screen.selected.len(), hint(Command::Back))
    });
    let filter = screen.filter.is_on().then(|| {
        let text = clip(&screen.filter.text, model.width() / 3, model.look.more());
        format!("filter {text}: {} of {} nodes shown{}", screen.shown, picture.nodes, hint(Command::Filter))
    });
    let grouped = (screen.grouping != Grouping::Cluster)
        .then(|| format!("grouped by {}{}", screen.grouping.words(), hint(Command::Group)));
    let sorted =
        (screen.order != Order::Name).then(|| format!("sorted by {}{}", screen.order.words(), hint(Command::Sort)));
    let pieces: Vec<String> = [selected, filter, grouped, sorted].into_iter().flatten().collect();
    (!pieces.is_empty()).then(|| format!(" {} ", pieces.join(&format!(" {} ", model.look.dot()))))
}

fn column_names(canvas: &Canvas<'_>, picture: &Picture, columns: &Columns) -> TextLine {
    let more = canvas.look.more();
    let mut line = TextLine::new(Tone::Head, &fit(&format!("{}NODE", " ".repeat(LEAD)), LEAD + columns.name, more))
        .with(Tone::Head, &fit("KONG", columns.kong, more))
        .with(Tone::Head, &fit("ROLE", columns.role, ""));
    for (at, wide) in &columns.plugins {
        line = line.with(Tone::Head, &format!("{}  ", fit(&picture.columns[*at], wide - 2, more)));
    }
    line = line
        .with(Tone::Head, &fit("LAST RUN", columns.run, ""))
        .with(Tone::Head, &fit("LOCK", columns.lock, ""))
        .with(Tone::Head, "STATE");
    let (left, right) = canvas.look.sides();
    let hidden = match columns.hidden {
        (0, 0) => return line,
        (0, more) => format!("  {more} more {right}"),
        (more, 0) => format!("  {left} {more} more"),
        (before, behind) => format!("  {left} {before}, {behind} {right}"),
    };
    line.with(Tone::Faint, &hidden)
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    y: u16,
    (model, picture, screen): (&Model, &Picture, &FleetScreen),
    row: FleetRow,
    columns: &Columns,
    is_here: bool,
) {
    let cursor = if is_here { canvas.look.cursor() } else { " " };
    let line = match (node_at(picture, row), screen.group(row)) {
        (Some(node), _) => {
            let selected = if screen.selected.has(&node.name) { canvas.look.selected() } else { " " };
            node_row(canvas, (model, picture), node, columns, (cursor, selected))
        }
        (None, Some(group)) => group_row(canvas, picture, group, columns, cursor, screen),
        (None, None) => return,
    };
    canvas.line(area, y, &line);
    if is_here {
        canvas.highlight(area, y);
    }
}

fn group_row(
    canvas: &Canvas<'_>,
    picture: &Picture,
    group: &Group,
    columns: &Columns,
    cursor: &str,
    screen: &FleetScreen,
) -> TextLine {
    let more = canvas.look.more();
    let some = if screen.filter.is_on() { format!("{} of ", group.nodes.len()) } else { String::new() };
    let selected = if group.selected > 0 { format!(", {} selected", group.selected) } else { String::new() };
    let held = if group.held > 0 { format!(", {} held", group.held) } else { String::new() };
    let about = format!("{some}{}{}{held}{selected}", count(group.of, "node"), topology(picture, group));
    let fold = canvas.look.fold(screen.is_open(&group.key));
    let title = clip(&group.key.title(), columns.whole / 2, more);
    let lead = format!("{cursor}{fold} {title}  ");
    // Where its column is too narrow for the summary, it begins before it.
    let state = columns.state().min(columns.whole.saturating_sub(width(&group.summary)));
    let room = state.saturating_sub(width(&lead) + 1);
    let tone = if matches!(group.key, GroupKey::State(..)) { Tone::Faint } else { tone_of(group.worst) };
    TextLine::new(Tone::Head, &lead)
        .with(Tone::Faint, &format!("{} ", fit(&about, room, more)))
        .with(tone, &group.summary)
}

/// What kind of cluster a group is, if it is one: ", hybrid".
fn topology(picture: &Picture, group: &Group) -> String {
    let GroupKey::Cluster(name) = &group.key else { return String::new() };
    let cluster = picture.clusters.iter().find(|cluster| cluster.name == *name);
    cluster.map(|cluster| format!(", {}", cluster.topology)).unwrap_or_default()
}

fn node_row(
    canvas: &Canvas<'_>,
    (model, picture): (&Model, &Picture),
    node: &NodeRow,
    columns: &Columns,
    (cursor, selected): (&str, &str),
) -> TextLine {
    let more = canvas.look.more();
    let name = fit(node.name.as_str(), columns.name - 2, more);
    let mut line = TextLine::new(Tone::Plain, cursor)
        .with(Tone::Head, &format!(" {selected} "))
        .with(Tone::Plain, &format!("{name}  "));
    let (tone, kong) = kong_cell(node);
    line = line.with(tone, &format!("{} ", fit(kong, columns.kong - 1, more)));
    line = cell(line, columns.role, role_cell(node), more);
    for (at, wide) in &columns.plugins {
        let marks = node.cells.get(*at).copied().flatten();
        let (signs, tone) =
            marks.map_or((String::new(), Tone::Plain), |marks| (marks.signs(), tone_of(marks.loudest())));
        line = line.with(tone, &fit(&signs, *wide, more));
    }
    line = cell(line, columns.run, run_cell(picture, node), more);
    line = cell(line, columns.lock, lock_cell(node), more);
    if let Some((mark, now)) = run::node_now(model, &node.name) {
        // What the last look saw is not so any more.
        let words = format!("{mark} in this run: {now}");
        return line.with(tone_of(mark), &clip(&words, columns.whole.saturating_sub(columns.state()), more));
    }
    let state = &node.state;
    let mut begun = columns.state() + width(state.word) + ": ~ ".len();
    line = line.with(tone_of(state.mark), &format!("{} {}", state.mark, state.word));
    // Where the lock has no column of its own.
    if let (0, Some(Lock::Held { who, .. })) = (columns.lock, &node.standing.lock) {
        let words = format!(", held by {who}");
        begun += width(&words);
        line = line.with(Tone::Change, &words);
    }
    let room = columns.whole.saturating_sub(begun);
    let why = state.why_within(room);
    if why.is_empty() { line } else { line.with(Tone::Plain, &format!(": {why}")) }
}

/// A line with another cell, if its column is shown.
fn cell(line: TextLine, wide: usize, (tone, text): (Tone, String), more: &str) -> TextLine {
    match wide {
        0 => line,
        _ => line.with(tone, &format!("{}  ", fit(&text, wide - 2, more))),
    }
}

/// What stands where something was not to be seen; nothing where it was not looked for.
fn unknown(node: &NodeRow) -> Option<(Tone, String)> {
    let unseen = matches!(node.standing.sight, Some(Sight::Unreachable | Sight::Refused));
    unseen.then(|| (Tone::Unknown, "?".to_owned()))
}

/// The version, or that Kong is stopped, which a node that also drifts would not say otherwise; the version is in the pane.
fn kong_cell(node: &NodeRow) -> (Tone, &str) {
    match &node.kong {
        _ if node.stopped => (Tone::Change, "stopped"),
        Some(version) => (Tone::Faint, version),
        None => (Tone::Unknown, "?"),
    }
}

fn role_cell(node: &NodeRow) -> (Tone, String) {
    match (node.standing.role, node.standing.sight) {
        (Some(role), _) => (Tone::Faint, role.to_string()),
        (None, Some(_)) => (Tone::Unknown, "?".to_owned()),
        (None, None) => (Tone::Faint, String::new()),
    }
}

fn run_cell(picture: &Picture, node: &NodeRow) -> (Tone, String) {
    let known = node.standing.last_run.as_ref().map(|run| {
        let (mark, _) = run.end.words();
        let tone = if mark == '=' { Tone::Faint } else { tone_of(mark) };
        (tone, format!("{mark} {}", when(run.at, picture.looked)))
    });
    known.or_else(|| unknown(node)).unwrap_or((Tone::Faint, String::new()))
}

fn lock_cell(node: &NodeRow) -> (Tone, String) {
    match &node.standing.lock {
        Some(Lock::Held { who, .. }) => (Tone::Change, who.clone()),
        Some(Lock::Unclear { .. }) => (Tone::Unknown, "?".to_owned()),
        Some(Lock::Free) => (Tone::Faint, String::new()),
        None => unknown(node).unwrap_or((Tone::Faint, String::new())),
    }
}
