//! The plan: grouped by cluster; the changes, how they are carried out, what is left alone and why.

use std::collections::{BTreeMap, BTreeSet};

use super::canvas::Canvas;
use super::{head, removal, replay};
use crate::hint::Hint;
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::{Alike, Blocker, Change, ChangeKind, ClusterPlan, Note, Plan, Removal, Scope};
use crate::tui::dialog::{stop_words, wave_words};
use crate::tui::keymap::Place;
use crate::tui::layout::Areas;
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::screen::{PlanLine, PlanScreen};
use crate::tui::shown::{count, fit, time_of_day, width};
use crate::tui::text::{TextLine, hanging};

/// Wider lines would tear a change from the number of its nodes.
const WIDEST: usize = 118;

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
    let window = screen.cursor.window(screen.lines.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, screen.lines.len());
    for (y, at) in (0..).zip(window) {
        canvas.line_at(areas.body, 1, y, &screen.lines[at].text);
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

/// The lines of the plan that the model holds, for the present width; of removals that are `folded`, only the first.
pub(crate) fn lines(model: &Model, folded: &BTreeSet<(usize, usize)>) -> Vec<PlanLine> {
    let Some(plan) = model.plan_seen() else {
        return plain(vec![TextLine::new(Tone::Plain, " the plan was carried out or is gone: p makes another")]);
    };
    let columns = model.width().saturating_sub(2).min(WIDEST);
    let is_past = model.place() == Place::PastPlan;
    Composer { plan, look: model.look, columns, homes: homes(plan), folded, is_past }.compose()
}

fn plain(lines: Vec<TextLine>) -> Vec<PlanLine> {
    lines.into_iter().map(|text| PlanLine { text, change: None }).collect()
}

fn blank() -> PlanLine {
    PlanLine { text: TextLine::default(), change: None }
}

/// The cluster of every node that the plan knows.
fn homes(plan: &Plan) -> BTreeMap<&NodeName, &ClusterName> {
    let mut homes = BTreeMap::new();
    for cluster in &plan.clusters {
        let n = &cluster.nodes;
        let lists = [&n.changing, &n.in_line, &n.blocked, &n.unknown, &n.out, &n.left_out];
        homes.extend(lists.into_iter().flatten().map(|node| (node, &cluster.cluster)));
    }
    homes
}

struct Composer<'a> {
    plan: &'a Plan,
    look: Look,
    columns: usize,
    homes: BTreeMap<&'a NodeName, &'a ClusterName>,
    folded: &'a BTreeSet<(usize, usize)>,
    /// It is the plan of a recorded run.
    is_past: bool,
}

impl Composer<'_> {
    fn compose(&self) -> Vec<PlanLine> {
        let mut lines = plain(self.danger());
        lines.extend(plain(self.run_blockers()));
        for (at, cluster) in self.plan.clusters.iter().enumerate() {
            lines.extend(self.cluster(at, cluster));
            lines.push(blank());
        }
        let is_general = |note: &&Note| !note.nodes.iter().any(|node| self.homes.contains_key(node));
        let general = self.plan.notes.iter().filter(is_general);
        let general: Vec<TextLine> = general.flat_map(|note| self.note(note, "")).collect();
        if !general.is_empty() {
            lines.extend(plain(general));
            lines.push(blank());
        }
        lines.extend(plain(self.totals()));
        lines
    }

    fn hanging(&self, lead: &TextLine, tone: Tone, text: &str) -> Vec<TextLine> {
        hanging(lead, tone, text, self.columns)
    }

    /// What cannot be taken back stands first.
    fn danger(&self) -> Vec<TextLine> {
        let danger = self.plan.danger();
        danger.into_iter().flat_map(|danger| self.hanging(&TextLine::default(), Tone::Bad, &danger)).collect()
    }

    fn run_blockers(&self) -> Vec<TextLine> {
        self.blockers(|blocker| blocker.scope == Scope::Run)
    }

    /// Some blockers; what is true of many nodes is said once.
    fn blockers(&self, of: impl Fn(&Blocker) -> bool) -> Vec<TextLine> {
        let changing: BTreeSet<&NodeName> = self.plan.clusters.iter().flat_map(|c| &c.nodes.changing).collect();
        let groups = Alike::group(self.plan.blockers.iter().filter(|blocker| of(blocker)), &changing);
        groups.iter().flat_map(|group| self.blocker(group)).collect()
    }

    fn cluster(&self, at: usize, cluster: &ClusterPlan) -> Vec<PlanLine> {
        let mut lines = plain(self.cluster_head(cluster));
        for (place, change) in cluster.changes.iter().enumerate() {
            let texts = match removal_of(cluster, change) {
                Some(removal) => self.removal(change, removal, self.folded.contains(&(at, place))),
                None => self.change(cluster, change),
            };
            lines.extend(texts.into_iter().map(|text| PlanLine { text, change: Some((at, place)) }));
        }
        // Why a node is unknown stands with the node.
        let notes = self.plan.notes.iter().filter(|note| note.topic != "unknown");
        let notes = notes.flat_map(|note| self.cluster_note(note, cluster));
        lines.extend(plain(notes.collect()));
        lines.extend(plain(self.blockers(|blocker| self.is_of(blocker, &cluster.cluster))));
        lines.extend(plain(self.left_alone(cluster)));
        lines
    }

    fn cluster_head(&self, cluster: &ClusterPlan) -> Vec<TextLine> {
        let lead = TextLine::new(Tone::Head, &format!("{}  ", cluster.cluster));
        let n = &cluster.nodes;
        let all =
            n.changing.len() + n.in_line.len() + n.blocked.len() + n.unknown.len() + n.out.len() + n.left_out.len();
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

    fn change(&self, cluster: &ClusterPlan, change: &Change) -> Vec<TextLine> {
        let (mark, verb) = (change.kind.mark(), change.kind.verb());
        let version = match (&change.from, &change.to) {
            (Some(from), Some(to)) => format!(" {from} {} {to}", self.look.to()),
            (None, Some(to)) => format!(" {to}"),
            (Some(from), None) => format!(" {from}"),
            (None, None) => String::new(),
        };
        let subject = format!("{}{version}", change.name);
        let head = TextLine::new(tone_of(mark), &format!("  {mark} {} ", fit(verb, width(verb).max(8), "")))
            .with(Tone::Head, &fit(&subject, width(&subject).max(24), ""))
            .with(Tone::Plain, "  ");
        let nodes = count(change.nodes.len(), "node");
        let room = self.columns.saturating_sub(head.width() + width(&nodes));
        let mut lines = if width(&change.detail) + 2 <= room {
            vec![head.with(Tone::Faint, &fit(&change.detail, room, "")).with(Tone::Plain, &nodes)]
        } else {
            let lead = TextLine::new(Tone::Plain, "             ");
            let detail = self.hanging(&lead, Tone::Faint, &change.detail);
            let head = head.with(Tone::Plain, &format!("{}{nodes}", " ".repeat(room)));
            std::iter::once(head).chain(detail).collect()
        };
        if change.nodes.len() < cluster.nodes.changing.len() {
            let lead = TextLine::new(Tone::Faint, "             on ");
            lines.extend(self.hanging(&lead, Tone::Faint, &names(&change.nodes)));
        }
        lines
    }

    /// A removal: what goes, then its three steps, unless they are folded away.
    fn removal(&self, change: &Change, removal: &Removal, folded: bool) -> Vec<TextLine> {
        let version = change.from.as_ref().map(|from| format!(" {from}")).unwrap_or_default();
        let head = TextLine::new(Tone::Bad, &format!("  {} {} ", change.kind.mark(), fit(change.kind.verb(), 8, "")))
            .with(Tone::Head, &format!("{}{version}  ", change.name))
            .with(Tone::Faint, &format!("{}  ", self.look.fold(!folded)));
        if folded {
            return self.hanging(&head, Tone::Plain, &change.detail);
        }
        std::iter::once(head).chain(removal::lines(removal, self.look, self.columns)).collect()
    }

    /// The nodes of a note that are of a cluster; a note may be about several clusters, and stands with each.
    fn nodes_of<'n>(&self, note: &'n Note, cluster: &ClusterName) -> Vec<&'n NodeName> {
        note.nodes.iter().filter(|node| self.homes.get(*node).is_some_and(|home| *home == cluster)).collect()
    }

    fn cluster_note(&self, note: &Note, cluster: &ClusterPlan) -> Vec<TextLine> {
        let nodes = self.nodes_of(note, &cluster.cluster);
        match nodes.len() {
            0 => Vec::new(),
            all if all == cluster.nodes.changing.len() => self.note(note, ""),
            _ => self.note(note, &format!(" ({})", collapse(nodes))),
        }
    }

    fn note(&self, note: &Note, nodes: &str) -> Vec<TextLine> {
        let lead = TextLine::new(Tone::Faint, &format!("  {}: ", note.topic));
        self.hanging(&lead, Tone::Plain, &format!("{}{nodes}", note.text))
    }

    fn is_of(&self, blocker: &Blocker, cluster: &ClusterName) -> bool {
        match &blocker.scope {
            Scope::Run => false,
            Scope::Cluster { cluster: of } | Scope::Plugin { cluster: of, .. } => of == cluster,
            Scope::Node { node } => self.homes.get(node).is_some_and(|of| *of == cluster),
        }
    }

    fn blocker(&self, group: &Alike<'_>) -> Vec<TextLine> {
        let blocker = group.first;
        let (about, allow) = match &blocker.scope {
            Scope::Run => ("the run is blocked: ".to_owned(), String::new()),
            Scope::Cluster { cluster } => (format!("{cluster} is left alone: "), String::new()),
            Scope::Plugin { .. } => (String::new(), String::new()),
            Scope::Node { node } => (String::new(), format!("={node}")),
        };
        let lead = TextLine::new(Tone::Bad, "  ! ");
        let mut lines = self.hanging(&lead, Tone::Bad, &format!("{about}{}", group.sentence()));
        let indent = TextLine::new(Tone::Plain, "      ");
        lines.extend(blocker.details.iter().flat_map(|line| self.hanging(&indent, Tone::Plain, line)));
        lines.extend(blocker.hints.iter().flat_map(|hint| self.hint(hint)));
        if blocker.code.can_be_allowed() {
            let allow = format!("muster --plan --allow {}{allow}", blocker.code.word());
            let is_said = |hint: &Hint| matches!(hint, Hint::Type(command) if command.contains(&allow));
            if !blocker.hints.iter().any(is_said) {
                lines.extend(self.hint(&Hint::type_(allow)));
            }
        }
        if group.hints_differ {
            lines.push(TextLine::new(Tone::Plain, "      and likewise for the others"));
        }
        lines.push(TextLine::new(Tone::Faint, &format!("      ({})", blocker.code.word())));
        lines
    }

    fn hint(&self, hint: &Hint) -> Vec<TextLine> {
        self.hanging(&TextLine::new(Tone::Head, "      what to do  "), Tone::Plain, &hint.to_string())
    }

    fn left_alone(&self, cluster: &ClusterPlan) -> Vec<TextLine> {
        let n = &cluster.nodes;
        let line = |mark: char, text: String| {
            let lead = TextLine::new(tone_of(mark), &format!("  {mark} "));
            self.hanging(&lead, tone_of(mark), &text)
        };
        let unknown = self.plan.unknown(cluster).into_iter().flat_map(|(nodes, why)| {
            line('?', format!("{}: {}", collapse(nodes), why.unwrap_or("not seen: planned when it can be")))
        });
        let not_selected = cluster.at_rest(0) != Some("not selected");
        let left_out: &[NodeName] = if not_selected { &n.left_out } else { &[] };
        let lists = [(n.out.as_slice(), "out: known, not touched"), (left_out, "not selected")];
        let some = lists.into_iter().filter(|(nodes, _)| !nodes.is_empty());
        let some = some.flat_map(|(nodes, why)| line('.', format!("{}: {why}", names(nodes))));
        unknown.chain(some).collect()
    }

    fn totals(&self) -> Vec<TextLine> {
        let sum = |list: fn(&ClusterPlan) -> usize| self.plan.clusters.iter().map(list).sum::<usize>();
        let (changing, in_line) = (sum(|c| c.nodes.changing.len()), sum(|c| c.nodes.in_line.len()));
        let (blocked, unknown) = (sum(|c| c.nodes.blocked.len()), sum(|c| c.nodes.unknown.len()));
        let not_chosen = self.plan.clusters.iter().map(|cluster| self.plan.not_chosen(cluster)).sum::<usize>();
        let others = [
            (blocked, "blocked"),
            (unknown, "unknown"),
            (in_line - not_chosen, "in line"),
            (not_chosen, "in line for the chosen plugins"),
        ];
        let others = others.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
        let left = self.plan.left_alone().len();
        let others = others.chain((left > 0).then(|| format!("{} left alone", count(left, "plugin"))));
        let held = self.plan.held().len();
        let others = others.chain((held > 0).then(|| format!("{} held", count(held, "removal"))));
        let rows: usize = self.plan.clusters.iter().flat_map(|c| &c.removals).map(Removal::withdraws).sum();
        let rows = (rows > 0).then(|| format!("{} un-applied", count(rows, "row")));
        let first = [format!("{} to change", count(changing, "node")), count(self.plan.reloads(), "reload")];
        let words = first.into_iter().chain(rows).chain(others).collect::<Vec<_>>().join(", ");
        let next = if self.is_past {
            "This is what was planned then; esc goes back to what came of it"
        } else if self.plan.is_empty() {
            "Nothing has been changed, and there is nothing to apply"
        } else {
            "Nothing has been changed. a applies exactly this"
        };
        let mut lines = self.hanging(&TextLine::default(), Tone::Head, &words);
        lines.push(TextLine::new(Tone::Plain, next));
        lines
    }
}

/// The removal that a change speaks of.
pub(crate) fn removal_of<'a>(cluster: &'a ClusterPlan, change: &Change) -> Option<&'a Removal> {
    cluster.removals.iter().find(|removal| change.kind == ChangeKind::Remove && removal.name == change.name)
}

pub(super) fn names(nodes: &[NodeName]) -> String {
    collapse(nodes)
}
