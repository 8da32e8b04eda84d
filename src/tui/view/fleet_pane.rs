//! More about the row under the cursor of the fleet: a node, or a group of nodes.

use jiff::SignedDuration;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::pager;
use crate::survey::Lock;
use crate::tui::look::{Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::picture::{ClusterRows, NodeRow, Picture};
use crate::tui::screen::{FleetRow, FleetScreen, Group, GroupKey, Grouping, node_at};
use crate::tui::shown::{count, moment, shown, width};
use crate::tui::text::{TextLine, hanging};

/// Draws it.
pub(super) fn draw(model: &Model, screen: &FleetScreen, picture: &Picture, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(row) = screen.row() else { return };
    let columns = usize::from(area.width);
    let lines = match (node_at(picture, row), screen.group(row)) {
        (Some(node), _) => node_lines(model, screen, picture, node, columns),
        (None, Some(group)) => group_lines(picture, group, screen, columns),
        (None, None) => Vec::new(),
    };
    pager::draw_beginning(canvas, area, &lines, "enter shows");
}

fn node_lines(model: &Model, screen: &FleetScreen, picture: &Picture, node: &NodeRow, columns: usize) -> Vec<TextLine> {
    let mut rest = pager::node_lines(model, picture, node, columns).into_iter().skip(1);
    let home = match screen.row() {
        Some(FleetRow::Node(cluster, _)) => picture.clusters.get(cluster),
        Some(FleetRow::Group(_)) | None => None,
    };
    let mut lines = vec![head(screen, home, node)];
    let indent = TextLine::new(Tone::Plain, "   ");
    lines.extend(lock_words(picture, node).iter().flat_map(|(tone, words)| hanging(&indent, *tone, words, columns)));
    // On one line where that is wide enough: there are few.
    let mut facts = facts(picture, node);
    let together = facts.join(&format!(" {} ", model.look.dot()));
    if indent.width() + width(&shown(&together)) <= columns && !facts.is_empty() {
        facts = vec![together];
    }
    lines.extend(facts.iter().flat_map(|fact| hanging(&indent, Tone::Faint, fact, columns)));
    lines.extend(&mut rest);
    lines
}

fn head(screen: &FleetScreen, home: Option<&ClusterRows>, node: &NodeRow) -> TextLine {
    let state = &node.state;
    let kong = node.kong.as_deref().map_or("version of Kong unknown".to_owned(), |version| format!("Kong {version}"));
    let stopped = if node.stopped { ", stopped" } else { "" };
    let role = node.standing.role.map(|role| format!(", {role}")).unwrap_or_default();
    // Where its group does not say it.
    let home = home.filter(|_| screen.grouping != Grouping::Cluster);
    let home = home.map(|cluster| format!(", in {}", cluster.name)).unwrap_or_default();
    TextLine::new(Tone::Head, &format!(" {}  ", node.name))
        .with(tone_of(state.mark), &format!("{} {}", state.mark, state.word))
        .with(Tone::Faint, &format!("  {kong}{stopped}{role}{home}"))
}

/// Who holds it.
fn lock_words(picture: &Picture, node: &NodeRow) -> Option<(Tone, String)> {
    match node.standing.lock.as_ref()? {
        Lock::Free => None,
        Lock::Held { who, run, left } => {
            // By the look's time: how long is left would be wrong a second later.
            let left = i64::try_from(*left).ok().map(SignedDuration::from_secs);
            let until = node.standing.looked.zip(left).and_then(|(looked, left)| looked.checked_add(left).ok());
            let until = until.map(|at| format!(", until {} UTC unless renewed", moment(at, picture.looked)));
            Some((Tone::Change, format!("held by {who}, run {}{}", run.short(), until.unwrap_or_default())))
        }
        Lock::Unclear { why } => Some((Tone::Unknown, format!("whether a run holds it is unknown: {why}"))),
    }
}

/// When it was looked at, where that is not what the first line says, and its last run.
fn facts(picture: &Picture, node: &NodeRow) -> Vec<String> {
    let run = node.standing.last_run.as_ref().map(|run| {
        let by = run.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let at = moment(run.at, picture.looked);
        format!("last run {at} UTC{by}: {} ({})", run.end.words().1, run.run.short())
    });
    let looked = node.standing.looked.filter(|looked| *looked != picture.looked);
    let looked = looked.map(|looked| format!("looked at {} UTC", moment(looked, picture.looked)));
    run.into_iter().chain(looked).collect()
}

fn group_lines(picture: &Picture, group: &Group, screen: &FleetScreen, columns: usize) -> Vec<TextLine> {
    let lead = TextLine::new(Tone::Head, &format!(" {}  ", group.key.title()));
    let nodes = if group.nodes.len() == group.of {
        count(group.of, "node")
    } else {
        format!("{} of {} shown", group.nodes.len(), count(group.of, "node"))
    };
    let kind = match &group.key {
        GroupKey::Cluster(name) => {
            let cluster = picture.clusters.iter().find(|cluster| cluster.name == *name);
            cluster.map(|cluster| format!("{} cluster, ", cluster.topology)).unwrap_or_default()
        }
        GroupKey::State(..) | GroupKey::Version(..) | GroupKey::Label(..) => String::new(),
    };
    let summary = if group.summary.is_empty() { String::new() } else { format!(": {}", group.summary) };
    let mut lines = hanging(&lead, Tone::Plain, &format!("{kind}{nodes}{summary}"), columns);
    let indent = TextLine::new(Tone::Plain, "   ");
    lines.extend(group.facts.iter().flat_map(|words| hanging(&indent, Tone::Plain, words, columns)));
    lines.extend(hanging(&TextLine::new(Tone::Plain, " "), Tone::Faint, &keys(group, screen), columns));
    lines
}

fn keys(group: &Group, screen: &FleetScreen) -> String {
    let fold = if screen.is_open(&group.key) { "enter folds it" } else { "enter unfolds it" };
    let all = group.selected == group.nodes.len() && group.selected > 0;
    let select = if all { "space selects none of it" } else { "space selects its nodes" };
    let plan = match (screen.selected.is_empty(), &group.key) {
        (false, _) => "P makes a plan for what is selected",
        (true, GroupKey::Cluster(_)) => "P makes a plan for it alone",
        (true, _) => "P makes a plan for these nodes alone",
    };
    format!("{fold}, {select}, {plan}")
}
