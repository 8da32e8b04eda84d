//! A difference that is read: one below the other, or side by side where there is room.

use super::canvas::Canvas;
use crate::plan::Change;
use crate::tui::layout::Areas;
use crate::tui::look::Tone;
use crate::tui::model::Model;
use crate::tui::screen::{DiffAbout, DiffScreen};
use crate::tui::shown::count;
use crate::tui::text::{TextLine, hanging};

/// Draws it.
pub(super) fn draw(model: &Model, screen: &DiffScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    let columns = usize::from(areas.body.width);
    canvas.ends(areas.head, 0, &title(model, screen), &numbers(screen));
    let rows = screen.sheet.len(columns);
    if rows == 0 {
        for (y, line) in (0..).zip(&waiting(screen, columns)) {
            canvas.line(areas.body, y, line);
        }
        return;
    }
    let window = screen.scroll.window(rows, usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, rows);
    for (y, at) in (0..).zip(window) {
        canvas.line(areas.body, y, &screen.sheet.row(at, canvas.look, columns, screen.skip));
    }
}

fn title(model: &Model, screen: &DiffScreen) -> TextLine {
    match &screen.about {
        DiffAbout::Change(cluster, change) => match change_at(model, *cluster, *change) {
            Some(change) => TextLine::new(Tone::Head, &format!(" {} {}", change.kind.verb(), change.name))
                .with(Tone::Faint, &format!("  - as it is, + as it will be, {}", count(change.nodes.len(), "node"))),
            None => TextLine::new(Tone::Head, " the difference"),
        },
        DiffAbout::Files(node, plugin, None) => {
            TextLine::new(Tone::Head, &format!(" {plugin}")).with(Tone::Faint, &format!("  - on {node}, + as wanted"))
        }
        DiffAbout::Files(.., Some(path)) => sides(screen, path),
        DiffAbout::Conf(node) => sides(screen, &format!("kong.conf of {node}")),
    }
}

/// What is left and what is right.
fn sides(screen: &DiffScreen, path: &str) -> TextLine {
    let head = TextLine::new(Tone::Head, &format!(" {path}"));
    match screen.sheet.files().first() {
        Some(file) if file.is_same() => head.with(Tone::Faint, &format!("  {}, {}", file.before, file.after)),
        Some(file) => head.with(Tone::Faint, &format!("  - {}, + {}", file.before, file.after)),
        None => head,
    }
}

fn numbers(screen: &DiffScreen) -> TextLine {
    let (less, more) = screen.sheet.counts();
    match (less, more) {
        _ if screen.files.asking => TextLine::new(Tone::Plain, "asking "),
        (0, 0) => TextLine::default(),
        (less, more) => TextLine::new(Tone::Bad, &format!("-{less}")).with(Tone::Good, &format!(" +{more} ")),
    }
}

/// What stands there until contents come, or instead of them.
fn waiting(screen: &DiffScreen, columns: usize) -> Vec<TextLine> {
    let Some(trouble) = &screen.files.trouble else {
        let words =
            if screen.files.asking { "  asking the node for its content" } else { "  there is nothing to compare" };
        return vec![TextLine::new(Tone::Faint, words)];
    };
    let mut lines = hanging(&TextLine::new(Tone::Plain, "  "), Tone::Unknown, &trouble.text, columns);
    let lead = TextLine::new(Tone::Head, "  what to do  ");
    lines.extend(trouble.hints.iter().flat_map(|hint| hanging(&lead, Tone::Plain, &hint.to_string(), columns)));
    lines
}

/// A change of the plan by its place.
fn change_at(model: &Model, cluster: usize, change: usize) -> Option<&Change> {
    model.plan.as_deref()?.clusters.get(cluster)?.changes.get(change)
}
