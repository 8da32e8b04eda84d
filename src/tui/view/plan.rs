//! The plan: grouped by cluster; the changes, how they are carried out, what is left alone and why; each of these folds.

mod blockers;
mod edited;
mod index;
mod sheet;
mod steps;

use std::collections::BTreeSet;

use super::canvas::Canvas;
use super::{head, removal, replay};
use crate::name::{NodeName, collapse};
use crate::plan::{Change, ChangeKind, ClusterPlan, Note, Plan, Removal};
use crate::tui::dialog::{stop_words, wave_words};
use crate::tui::edits::{LeftOut, MadeFrom};
use crate::tui::keymap::Place;
use crate::tui::layout::Areas;
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::screen::{PlanRow, PlanScreen, PlanText, RowKey, is_open};
use crate::tui::shown::{count, fit, time_of_day, width};
use crate::tui::text::{TextLine, hanging};
use index::Index;
use sheet::Sheet;

/// Wider lines would tear a change from the number of its nodes.
const WIDEST: usize = 118;
/// What stands below the name of a change.
const BELOW: &str = "              ";

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &PlanScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    if model.place() == Place::PastPlan {
        return draw_list(screen, canvas, areas, &replay::plan_title(model));
    }
    let left = head::title(model);
    let right = if model.busy.planning || model.busy.looking.is_some() { head::age(model) } else { origin(model) };
    draw_list(screen, canvas, areas, &(left, right));
}

fn draw_list(screen: &PlanScreen, canvas: &mut Canvas<'_>, areas: &Areas, (left, right): &(TextLine, TextLine)) {
    canvas.ends(areas.head, 0, left, right);
    let lines = &screen.text.lines;
    let window = screen.cursor.window(lines.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, lines.len());
    for (y, at) in (0..).zip(window) {
        canvas.line_at(areas.body, 1, y, &lines[at].text);
        if at == screen.cursor.at {
            canvas.line(areas.body, y, &TextLine::new(Tone::Plain, canvas.look.cursor()));
            canvas.highlight(areas.body, y);
        }
    }
}

/// The survey that the plan was made from, and whether it is still the last one.
fn origin(model: &Model) -> TextLine {
    match (model.plan.as_deref(), model.picture.as_deref()) {
        (None, _) => TextLine::default(),
        (Some(plan), Some(picture)) if picture.looked > plan.basis.surveyed => {
            TextLine::new(Tone::Unknown, "older than the last look: p makes another ")
        }
        (Some(plan), _) => {
            TextLine::new(Tone::Faint, &format!("from the survey of {} UTC ", time_of_day(plan.basis.surveyed)))
        }
    }
}

/// All that the screen shows of the plan that the model holds, for the present width and what was `turned`.
pub(crate) fn text(model: &Model, turned: &BTreeSet<RowKey>) -> PlanText {
    let mut sheet = Sheet::default();
    let Some(plan) = model.plan_seen() else {
        sheet.plain([TextLine::new(Tone::Plain, " the plan was carried out or is gone: p makes another")]);
        return sheet.done();
    };
    let columns = model.width().saturating_sub(2).min(WIDEST);
    let is_past = model.place() == Place::PastPlan;
    let nothing = MadeFrom::default();
    let from = if is_past { &nothing } else { &model.made_from };
    let (look, index) = (model.look, Index::of(plan));
    let mut composer =
        Composer { plan, look, columns, index, turned, from, is_past, is_read_only: model.read_only, sheet };
    composer.compose();
    composer.sheet.done()
}

/// Lays a plan out, from top to bottom.
struct Composer<'a> {
    plan: &'a Plan,
    look: Look,
    columns: usize,
    index: Index<'a>,
    turned: &'a BTreeSet<RowKey>,
    from: &'a MadeFrom,
    /// It is the plan of a recorded run.
    is_past: bool,
    /// muster was started read-only.
    is_read_only: bool,
    sheet: Sheet,
}

impl<'a> Composer<'a> {
    fn compose(&mut self) {
        self.danger();
        self.edited();
        let blockers = self.index.run.clone();
        self.blockers(&blockers);
        for (at, cluster) in self.plan.clusters.iter().enumerate() {
            self.cluster(at, cluster);
            self.sheet.blank();
        }
        self.general_notes();
        self.totals();
    }

    fn hanging(&self, lead: &TextLine, tone: Tone, text: &str) -> Vec<TextLine> {
        hanging(lead, tone, text, self.columns)
    }

    fn is_open(&self, key: &RowKey) -> bool {
        is_open(self.turned, key)
    }

    /// What stands before a row that folds, and before one that does not.
    fn marker(&self, row: &PlanRow) -> &'static str {
        if row.folds { self.look.fold(self.is_open(&row.key)) } else { " " }
    }

    /// What cannot be taken back stands first.
    fn danger(&mut self) {
        if let Some(danger) = self.plan.danger() {
            let lines = self.hanging(&TextLine::default(), Tone::Bad, &danger);
            self.sheet.plain(lines);
        }
    }

    fn cluster(&mut self, at: usize, cluster: &'a ClusterPlan) {
        let out = LeftOut::Cluster(cluster.cluster.clone());
        let mut row = PlanRow::of(RowKey::Cluster(cluster.cluster.clone()));
        row.folds = self.has_more(cluster);
        let lines = self.cluster_head(cluster, &row);
        let open = self.is_open(&row.key) && row.folds;
        row.out = Some(out);
        self.sheet.row(row, lines);
        if !open {
            return;
        }
        // What is lost stands before what is new.
        let (removed, others): (Vec<_>, Vec<_>) =
            cluster.changes.iter().enumerate().partition(|(_, change)| change.kind == ChangeKind::Remove);
        for (place, change) in removed.into_iter().chain(others) {
            self.change((at, place), cluster, change);
        }
        let blockers = self.index.blockers_of(&cluster.cluster).to_vec();
        self.blockers(&blockers);
        self.notes(cluster);
        self.steps(cluster);
        self.left_alone(cluster);
    }

    /// Whether anything stands below the line of a cluster.
    fn has_more(&self, cluster: &ClusterPlan) -> bool {
        let n = &cluster.nodes;
        let listed = !(n.unknown.is_empty() && n.out.is_empty() && not_selected(cluster).is_empty());
        let index = &self.index;
        listed
            || !cluster.changes.is_empty()
            || !index.blockers_of(&cluster.cluster).is_empty()
            || !index.notes_of(&cluster.cluster).is_empty()
    }

    fn cluster_head(&self, cluster: &ClusterPlan, row: &PlanRow) -> Vec<TextLine> {
        let lead = TextLine::new(Tone::Faint, &format!("{} ", self.marker(row)))
            .with(Tone::Head, &format!("{}  ", cluster.cluster));
        let n = &cluster.nodes;
        let all =
            n.changing.len() + n.in_line.len() + n.blocked.len() + n.unknown.len() + n.out.len() + n.left_out.len();
        if self.from.edits.clusters.contains(&cluster.cluster) {
            return vec![lead.with(Tone::Unknown, "left out by you (space takes it in)")];
        }
        let unapplied: usize = cluster.removals.iter().map(Removal::withdraws).sum();
        if n.changing.is_empty() && unapplied > 0 {
            let words = format!("{} un-applied, no node is changed", count(unapplied, "row"));
            return self.hanging(&lead, Tone::Plain, &words);
        }
        if n.changing.is_empty() && cluster.changes.is_empty() {
            let words = cluster.at_rest(self.plan.not_chosen(cluster));
            let tone = if words == Some("in line, nothing to do") { Tone::Good } else { Tone::Plain };
            return vec![lead.with(tone, words.unwrap_or("nothing planned"))];
        }
        let dot = format!(" {} ", self.look.dot());
        let soak = (cluster.soak > 0).then(|| format!("each wave healthy for {} s", cluster.soak));
        let parts = [
            Some(format!("{} of {}", n.changing.len(), count(all, "node"))),
            Some(wave_words(self.plan, cluster)),
            Some(stop_words(cluster)),
            soak,
        ];
        self.hanging(&lead, Tone::Plain, &parts.into_iter().flatten().collect::<Vec<_>>().join(&dot))
    }

    fn change(&mut self, place: (usize, usize), cluster: &'a ClusterPlan, change: &'a Change) {
        let removal = removal_of(cluster, change);
        let key = RowKey::Change(
            cluster.cluster.clone(),
            change.kind,
            change.name.clone(),
            change.to.clone(),
            change.detail.clone(),
        );
        let mut row = PlanRow::of(key.clone());
        (row.folds, row.change, row.out) = (true, Some(place), Some(LeftOut::Plugin(change.name.clone())));
        let open = self.is_open(&key);
        let lines = match removal {
            Some(removal) => self.removal(change, removal, &row),
            None => self.change_lines(cluster, change, &row),
        };
        self.sheet.row(row, lines);
        if !open {
            return;
        }
        match removal {
            Some(_) => self.nodes_of_removal(place, cluster, change),
            None => self.alike(&key.into(), Some(place), &change.nodes, 6, &|step| steps::is_for(step, change)),
        }
    }

    fn change_lines(&self, cluster: &ClusterPlan, change: &Change, row: &PlanRow) -> Vec<TextLine> {
        let (mark, verb) = (change.kind.mark(), change.kind.verb());
        let version = match (&change.from, &change.to) {
            (Some(from), Some(to)) => format!(" {from} {} {to}", self.look.to()),
            (None, Some(to)) => format!(" {to}"),
            (Some(from), None) => format!(" {from}"),
            (None, None) => String::new(),
        };
        let subject = format!("{}{version}", change.name);
        let head = TextLine::new(Tone::Faint, &format!("  {} ", self.marker(row)))
            .with(tone_of(mark), &format!("{mark} {} ", fit(verb, width(verb).max(7), "")))
            .with(Tone::Head, &fit(&subject, width(&subject).max(23), ""))
            .with(Tone::Plain, "  ");
        let nodes = count(change.nodes.len(), "node");
        let room = self.columns.saturating_sub(head.width() + width(&nodes));
        let below = TextLine::new(Tone::Plain, BELOW);
        let mut lines = if width(&change.detail) + 2 <= room {
            vec![head.with(Tone::Faint, &fit(&change.detail, room, "")).with(Tone::Plain, &nodes)]
        } else {
            let detail = self.hanging(&below, Tone::Faint, &change.detail);
            let head = head.with(Tone::Plain, &format!("{}{nodes}", " ".repeat(room)));
            std::iter::once(head).chain(detail).collect()
        };
        if change.nodes.len() < cluster.nodes.changing.len() && !self.is_open(&row.key) {
            let lead = below.with(Tone::Faint, "on ");
            lines.extend(self.hanging(&lead, Tone::Faint, &names(&change.nodes)));
        }
        lines
    }

    /// A removal: what goes, then its three steps, unless they are folded away.
    fn removal(&self, change: &Change, removal: &Removal, row: &PlanRow) -> Vec<TextLine> {
        let version = change.from.as_ref().map(|from| format!(" {from}")).unwrap_or_default();
        let head = TextLine::new(Tone::Faint, &format!("  {} ", self.marker(row)))
            .with(Tone::Bad, &format!("{} {} ", change.kind.mark(), fit(change.kind.verb(), 7, "")))
            .with(Tone::Head, &format!("{}{version}  ", change.name));
        if !self.is_open(&row.key) {
            return self.hanging(&head, Tone::Plain, &change.detail);
        }
        // The three steps say it all.
        std::iter::once(head).chain(removal::lines(removal, self.look, self.columns)).collect()
    }

    /// What is to be known of a cluster, what a reload would also apply first.
    fn notes(&mut self, cluster: &ClusterPlan) {
        let mut notes = self.index.notes_of(&cluster.cluster).to_vec();
        notes.sort_by_key(|(note, _)| index::weight(&note.topic));
        if notes.is_empty() {
            return;
        }
        let mut row = PlanRow::of(RowKey::Notes(cluster.cluster.clone()));
        row.folds = notes.len() > 1;
        let marker = self.marker(&row);
        if row.folds && !self.is_open(&row.key) {
            let topics: BTreeSet<&str> = notes.iter().map(|(note, _)| note.topic.as_str()).collect();
            let topics = topics.into_iter().collect::<Vec<_>>().join(", ");
            let lead = TextLine::new(Tone::Faint, &format!("  {marker} {}: ", count(notes.len(), "note")));
            let lines = self.hanging(&lead, Tone::Faint, &topics);
            return self.sheet.row(row, lines);
        }
        let mut lines = Vec::new();
        for (at, (note, nodes)) in notes.iter().enumerate() {
            let who = match nodes.len() {
                all if all == cluster.nodes.changing.len() => String::new(),
                _ => format!(" ({})", collapse(nodes.iter().copied())),
            };
            lines.extend(self.note(note, if at == 0 { marker } else { " " }, &who));
        }
        self.sheet.row(row, lines);
    }

    fn note(&self, note: &Note, marker: &str, nodes: &str) -> Vec<TextLine> {
        let tone = if index::is_loud(&note.topic) { Tone::Change } else { Tone::Plain };
        let lead = TextLine::new(Tone::Faint, &format!("  {marker} "))
            .with(if tone == Tone::Plain { Tone::Faint } else { tone }, &format!("{}: ", note.topic));
        let text = format!("{}{nodes}", note.text);
        let hang = TextLine::new(Tone::Plain, "      ");
        // The topic is no column: the second line hangs below the note.
        let mut lines = self.hanging(&lead, tone, &text);
        if lines.len() > 1 && lead.width() > 20 {
            lines = self.hanging(&hang, tone, &text);
            lines.insert(0, lead);
        }
        lines
    }

    fn general_notes(&mut self) {
        let notes = self.index.general.clone();
        let lines: Vec<TextLine> = notes.into_iter().flat_map(|note| self.note(note, " ", "")).collect();
        if !lines.is_empty() {
            self.sheet.plain(lines);
            self.sheet.blank();
        }
    }

    /// The nodes that nothing is planned for, and why.
    fn left_alone(&mut self, cluster: &'a ClusterPlan) {
        for (nodes, why) in self.plan.unknown(cluster) {
            let nodes: Vec<NodeName> = nodes.into_iter().cloned().collect();
            self.nodes_line(cluster, ('?', "unknown"), &nodes, why.unwrap_or("not seen: planned when it can be"));
        }
        self.nodes_line(cluster, ('.', "out"), &cluster.nodes.out, "out: known, not touched");
        let by_you = |node: &&NodeName| self.from.edits.nodes.contains(*node);
        let (mine, others): (Vec<&NodeName>, Vec<&NodeName>) = not_selected(cluster).iter().partition(by_you);
        let owned = |nodes: Vec<&NodeName>| nodes.into_iter().cloned().collect::<Vec<_>>();
        self.nodes_line(cluster, ('.', "left out"), &owned(mine), "left out by you (space takes it in)");
        self.nodes_line(cluster, ('.', "not selected"), &owned(others), "not selected");
    }

    /// Some nodes on one line; each for itself where it is unfolded.
    fn nodes_line(&mut self, cluster: &ClusterPlan, (mark, list): (char, &str), nodes: &[NodeName], why: &str) {
        let Some(first) = nodes.first() else { return };
        let under = std::sync::Arc::new(RowKey::Phase(cluster.cluster.clone(), list.to_owned()));
        let mut row = PlanRow::of(RowKey::Alike(std::sync::Arc::clone(&under), first.clone()));
        (row.folds, row.out) = (nodes.len() > 1, Some(LeftOut::Nodes(nodes.to_vec())));
        // What is out in the inventory is not taken in by a key.
        if list == "out" || list == "not selected" {
            row.out = None;
        }
        let lead =
            TextLine::new(Tone::Faint, &format!("  {} ", self.marker(&row))).with(tone_of(mark), &format!("{mark} "));
        let lines = self.hanging(&lead, tone_of(mark), &format!("{}: {why}", names(nodes)));
        let open = row.folds && self.is_open(&row.key);
        let out = row.out.is_some();
        self.sheet.row(row, lines);
        if open {
            self.each_node(&under, None, nodes, (8, out));
        }
    }
}

/// The nodes of a cluster that a selection leaves out; none where that is all that there is to say of the cluster.
fn not_selected(cluster: &ClusterPlan) -> &[NodeName] {
    let said = cluster.at_rest(0) == Some("not selected");
    if said { &[] } else { &cluster.nodes.left_out }
}

/// The removal that a change speaks of.
pub(crate) fn removal_of<'a>(cluster: &'a ClusterPlan, change: &Change) -> Option<&'a Removal> {
    cluster.removals.iter().find(|removal| change.kind == ChangeKind::Remove && removal.name == change.name)
}

pub(super) fn names(nodes: &[NodeName]) -> String {
    collapse(nodes)
}
