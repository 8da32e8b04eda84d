//! Texts to read: a node as it was seen, a node in the run, the difference of a change.

use ratatui::layout::Rect;

use super::canvas::{Canvas, cells};
use super::{ending, help, run, steps};
use crate::plan::Change;
use crate::tui::layout::Areas;
use crate::tui::look::{Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::picture::{Marks, NodeRow, Picture};
use crate::tui::screen::{About, Pager};
use crate::tui::shown::{clip, count, fit, time_of_day, width, wrap};
use crate::tui::text::{TextLine, hanging};

/// The lines of a text, for the present width.
pub(crate) fn lines(model: &Model, about: &About) -> Vec<TextLine> {
    let columns = model.width();
    match about {
        About::Node(node) => match model.picture.as_deref().and_then(|picture| Some((picture, picture.node(node)?))) {
            Some((picture, row)) => node_lines(model, picture, row, columns),
            None => vec![TextLine::new(Tone::Unknown, &format!(" {node} is not in the inventory any more"))],
        },
        About::RunNode(node) => run::node_lines(model, node, columns),
        About::RunStep(cluster, step) => match &model.run {
            Some(run) => steps::lines(run, cluster, *step, columns),
            None => Vec::new(),
        },
        About::Diff(cluster, change) => diff_lines(model, *cluster, *change, columns),
        About::Ticket => ending::ticket_lines(model, columns),
        About::Help(place) => help::lines(*place, columns),
    }
}

/// Draws a text.
pub(super) fn draw(model: &Model, pager: &Pager, canvas: &mut Canvas<'_>, areas: &Areas) {
    let window = pager.scroll.window(pager.lines.len(), usize::from(areas.body.height));
    canvas.line(areas.head, 0, &title(model, &pager.about));
    canvas.hidden(areas.body, &window, pager.lines.len());
    for (y, line) in (0..).zip(&pager.lines[window]) {
        canvas.line(areas.body, y, line);
    }
}

fn title(model: &Model, about: &About) -> TextLine {
    match about {
        About::Node(_) => {
            let looked = model.picture.as_ref().map(|picture| time_of_day(picture.looked)).unwrap_or_default();
            TextLine::new(Tone::Head, &format!(" a node, as it was seen at {looked} UTC"))
                .with(Tone::Faint, "  marks: files, directive, loaded, used")
        }
        About::RunNode(_) => TextLine::new(Tone::Head, " a node, in this run"),
        About::RunStep(..) => TextLine::new(Tone::Head, " a step of the whole cluster, in this run"),
        About::Diff(cluster, change) => match change_at(model, *cluster, *change) {
            Some(change) => TextLine::new(Tone::Head, &format!(" {} {}", change.kind.verb(), change.name))
                .with(Tone::Faint, &format!("  - as it is, + as it will be, {}", count(change.nodes.len(), "node"))),
            None => TextLine::new(Tone::Head, " the difference"),
        },
        About::Ticket => TextLine::new(Tone::Head, " to paste into a ticket")
            .with(Tone::Faint, "  also in the clipboard, where the terminal allows it; muster runs RUN --ticket"),
        About::Help(_) => TextLine::new(Tone::Head, " muster").with(Tone::Faint, "  keys and marks"),
    }
}

/// Draws as much of a text as there is room for, and says how much more there is.
pub(super) fn draw_beginning(canvas: &mut Canvas<'_>, area: Rect, lines: &[TextLine], how: &str) {
    let height = usize::from(area.height);
    let shown = if lines.len() > height { height.saturating_sub(1) } else { lines.len() };
    for (y, line) in (0..).zip(&lines[..shown]) {
        canvas.line(area, y, line);
    }
    if shown < lines.len() {
        let more = format!(" {how} {} more", count(lines.len() - shown, "line"));
        canvas.line(area, cells(shown), &TextLine::new(Tone::Faint, &more));
    }
}

/// What was seen of a node: its state, what there is to say, then each plugin, those with something to say first.
pub(super) fn node_lines(model: &Model, picture: &Picture, node: &NodeRow, columns: usize) -> Vec<TextLine> {
    let state = &node.state;
    let kong = node.kong.as_deref().map_or("version of Kong unknown".to_owned(), |version| format!("Kong {version}"));
    let head = TextLine::new(Tone::Head, &format!(" {}  ", node.name))
        .with(tone_of(state.mark), &format!("{} {}", state.mark, state.word))
        .with(Tone::Faint, &format!("  {kong}"));
    let mut lines = vec![head];
    // What a plugin says stands with the plugin.
    let of_plugin = node.plugins.iter().any(|(at, lines)| {
        let name = picture.columns.get(*at).map_or("", String::as_str);
        lines.iter().any(|line| state.why == format!("{name}: {line}"))
    });
    if !state.why.is_empty() && !of_plugin {
        lines.extend(hanging(&TextLine::new(Tone::Plain, "   "), tone_of(state.mark), &state.why, columns));
    }
    for remark in &node.remarks {
        lines.extend(hanging(&TextLine::new(Tone::Plain, "   "), Tone::Plain, remark, columns));
    }
    let mut items: Vec<(usize, Marks)> =
        node.cells.iter().enumerate().filter_map(|(at, marks)| Some((at, (*marks)?))).collect();
    items.sort_by_key(|(_, marks)| matches!(marks.loudest(), '=' | '.'));
    let widest = items.iter().filter_map(|(at, _)| picture.columns.get(*at)).map(|name| width(name)).max().unwrap_or(0);
    for (at, marks) in items {
        lines.extend(plugin_lines(model, picture, node, (at, marks), widest.min(24), columns));
    }
    lines
}

fn plugin_lines(
    model: &Model,
    picture: &Picture,
    node: &NodeRow,
    (at, marks): (usize, Marks),
    widest: usize,
    columns: usize,
) -> Vec<TextLine> {
    let name = picture.columns.get(at).map_or("", String::as_str);
    let lead = TextLine::new(Tone::Head, &format!("   {}  ", fit(name, widest, model.look.more())))
        .with(tone_of(marks.loudest()), &marks.signs())
        .with(Tone::Plain, "  ");
    let mut lines = hanging(&lead, Tone::Plain, &marks.words(node.stopped), columns);
    let indent = TextLine::new(Tone::Plain, &" ".repeat(lead.width()));
    for (_, more) in node.plugins.iter().filter(|(column, _)| *column == at) {
        lines.extend(more.iter().flat_map(|line| hanging(&indent, Tone::Change, line, columns)));
    }
    let held = indent.clone().with(Tone::Unknown, "held: ");
    lines.extend(held_reasons(model, node, name).flat_map(|why| hanging(&held, Tone::Unknown, why, columns)));
    lines
}

/// Why the last plan does not remove a plugin from the cluster of this node.
fn held_reasons<'a>(model: &'a Model, node: &'a NodeRow, name: &'a str) -> impl Iterator<Item = &'a str> {
    let clusters = model.plan.iter().flat_map(|plan| &plan.clusters);
    let home = clusters.filter(|cluster| {
        let n = &cluster.nodes;
        [&n.changing, &n.in_line, &n.blocked, &n.unknown, &n.out, &n.left_out]
            .into_iter()
            .flatten()
            .any(|n| *n == node.name)
    });
    let removals = home.flat_map(|cluster| &cluster.removals).filter(move |removal| removal.name == name);
    removals.flat_map(|removal| &removal.held).map(String::as_str)
}

/// A change of the plan by its place.
fn change_at(model: &Model, cluster: usize, change: usize) -> Option<&Change> {
    model.plan.as_deref()?.clusters.get(cluster)?.changes.get(change)
}

/// More of a difference than anybody reads; bundles may hold megabytes of text.
const MOST_LINES: usize = 20_000;

fn diff_lines(model: &Model, cluster: usize, change: usize, columns: usize) -> Vec<TextLine> {
    let Some(change) = change_at(model, cluster, change) else {
        return vec![TextLine::new(Tone::Plain, " the plan that had this change is gone")];
    };
    let room = columns.saturating_sub(2);
    if change.diff.is_empty() {
        let detail = if change.detail.is_empty() { "no text differs" } else { change.detail.as_str() };
        return wrap(detail, room).iter().map(|line| TextLine::new(Tone::Plain, &format!(" {line}"))).collect();
    }
    let line = |text: &String| TextLine::new(diff_tone(text), &format!(" {}", clip(text, room, model.look.more())));
    let mut lines: Vec<TextLine> = change.diff.iter().take(MOST_LINES).map(line).collect();
    if change.diff.len() > MOST_LINES {
        let more = format!(" {} more are not shown", count(change.diff.len() - MOST_LINES, "line"));
        lines.push(TextLine::new(Tone::Faint, &more));
    }
    lines
}

fn diff_tone(line: &str) -> Tone {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Tone::Head,
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        [b'@', b'@', ..] => Tone::Faint,
        _ => Tone::Plain,
    }
}
