//! The steps of a plan: in order for a cluster, and for each node of a change; nodes that are alike are told as one.

use std::collections::HashMap;
use std::sync::Arc;

use super::Composer;
use crate::action::{Action, ReloadWay};
use crate::name::{ClusterName, NodeName, collapse};
use crate::plan::{Change, ChangeKind, ClusterPlan, Phase, Step, Wave};
use crate::tui::edits::LeftOut;
use crate::tui::look::Tone;
use crate::tui::screen::{PlanRow, RowKey};
use crate::tui::shown::{count, fit};
use crate::tui::text::TextLine;

/// What is told of a node: the verb of a step, and the rest; or a note.
type Told = (&'static str, String);
/// What stands where a verb would.
const NOTE: &str = "note";

/// Which steps are told.
type Which<'w> = &'w dyn Fn(&Step) -> bool;

/// Whether a step is one that carries a change out.
pub(super) fn is_for(step: &Step, change: &Change) -> bool {
    match &step.action {
        Action::Deliver(deliver) => deliver.bundle.as_str() == change.name,
        Action::Rehearse(_) | Action::Activate(_) => true,
        Action::Delete(delete) => {
            let of_it = delete.bundles.keys().any(|bundle| bundle.as_str() == change.name)
                || delete.plugins.iter().any(|plugin| plugin.as_str() == change.name);
            change.kind == ChangeKind::Remove && of_it
        }
        Action::Unapply(_) | Action::Fence(_) => false,
    }
}

impl<'a> Composer<'a> {
    /// The nodes of a removal with their steps, behind one line: its three steps stand above.
    pub(super) fn nodes_of_removal(&mut self, place: (usize, usize), cluster: &'a ClusterPlan, change: &'a Change) {
        if change.nodes.is_empty() {
            return;
        }
        let key = RowKey::Phase(cluster.cluster.clone(), format!("nodes of {}", change.name));
        let mut row = PlanRow::of(key.clone());
        (row.folds, row.change, row.out) = (true, Some(place), Some(LeftOut::Nodes(change.nodes.clone())));
        let lead = TextLine::new(Tone::Faint, &format!("    {} node by node  ", self.marker(&row)));
        let lines = self.hanging(&lead, Tone::Faint, &collapse(&change.nodes));
        self.sheet.row(row, lines);
        if self.is_open(&key) {
            self.alike(&key.into(), Some(place), &change.nodes, 6, &|step| is_for(step, change));
        }
    }

    /// Some nodes with some of their steps and the reason of each; those with the same ones together.
    pub(super) fn alike(
        &mut self,
        under: &Arc<RowKey>,
        change: Option<(usize, usize)>,
        nodes: &[NodeName],
        indent: usize,
        which: Which<'_>,
    ) {
        let mut groups: Vec<(Vec<Told>, Vec<NodeName>)> = Vec::new();
        let mut known: HashMap<Vec<Told>, usize> = HashMap::new();
        for node in nodes {
            let told = self.told(node, which);
            if let Some(at) = known.get(&told) {
                groups[*at].1.push(node.clone());
                continue;
            }
            known.insert(told.clone(), groups.len());
            groups.push((told, vec![node.clone()]));
        }
        for (told, nodes) in groups {
            self.group(under, change, &told, &nodes, indent);
        }
    }

    fn group(
        &mut self,
        under: &Arc<RowKey>,
        change: Option<(usize, usize)>,
        told: &[Told],
        nodes: &[NodeName],
        indent: usize,
    ) {
        let Some(first) = nodes.first() else { return };
        let mut row = PlanRow::of(RowKey::Alike(Arc::clone(under), first.clone()));
        (row.folds, row.change, row.out) = (nodes.len() > 1, change, Some(LeftOut::Nodes(nodes.to_vec())));
        let space = " ".repeat(indent);
        let lead = TextLine::new(Tone::Faint, &format!("{space}{} ", self.marker(&row)));
        let number = if nodes.len() > 1 { format!("  {}", count(nodes.len(), "node")) } else { String::new() };
        let mut lines = self.hanging(&lead, Tone::Head, &format!("{}{number}", collapse(nodes)));
        for (verb, text) in told {
            let tone = if *verb == NOTE { Tone::Change } else { Tone::Plain };
            let lead = TextLine::new(Tone::Plain, &format!("{space}    {}  ", fit(verb, 9, "")));
            lines.extend(self.hanging(&lead, tone, text));
        }
        let open = row.folds && self.is_open(&row.key);
        self.sheet.row(row, lines);
        if open {
            self.each_node(under, change, nodes, (indent + 4, true));
        }
    }

    /// One line for each node, to leave it out alone.
    pub(super) fn each_node(
        &mut self,
        under: &Arc<RowKey>,
        change: Option<(usize, usize)>,
        nodes: &[NodeName],
        (indent, out): (usize, bool),
    ) {
        for node in nodes {
            let mut row = PlanRow::of(RowKey::Node(Arc::clone(under), node.clone()));
            row.change = change;
            row.out = out.then(|| LeftOut::Nodes(vec![node.clone()]));
            let line = TextLine::new(Tone::Plain, &format!("{}{node}", " ".repeat(indent)));
            self.sheet.row(row, vec![line]);
        }
    }

    /// What is told of a node: the steps, each with when, why and how; then what its reload would also apply.
    fn told(&self, node: &NodeName, which: Which<'_>) -> Vec<Told> {
        let steps = self.index.steps.get(node).into_iter().flatten().filter(|step| which(step));
        let mut told: Vec<_> = steps.map(|step| (step.action.verb(), self.step_words(step))).collect();
        let notes = self.index.notes.get(node).into_iter().flatten();
        told.extend(notes.map(|note| (NOTE, format!("{}: {}", note.topic, note.text))));
        told
    }

    fn step_words(&self, step: &Step) -> String {
        let dot = self.look.dot();
        let (when, how) = match (&step.phase, &step.action) {
            (Phase::Wave(wave), _) => {
                let number = self.plan.waves.iter().find(|known| known.id == *wave).map_or(0, |wave| wave.number);
                (format!("in wave {number}"), Some(way_words(step)))
            }
            (Phase::Prepare, _) => ("before any wave".to_owned(), None),
            (Phase::Unapply, _) => ("once, before any wave".to_owned(), None),
            (Phase::Fence, _) => ("after all waves".to_owned(), None),
            (Phase::Clean, _) => ("after the fence".to_owned(), None),
        };
        let how = how.map(|how| format!(" {dot} {how}")).unwrap_or_default();
        format!("{when} {dot} {}{how}", *step.why)
    }

    /// The steps of a cluster in their order, folded at first: phase by phase, wave by wave.
    pub(super) fn steps(&mut self, cluster: &'a ClusterPlan) {
        let name = &cluster.cluster;
        let steps: Vec<&'a Step> = self.plan.steps.iter().filter(|step| step.cluster == *name).collect();
        if steps.is_empty() {
            return;
        }
        let waves: Vec<&'a Wave> = self.plan.waves.iter().filter(|wave| wave.cluster == *name).collect();
        let key = RowKey::Steps(name.clone());
        let mut row = PlanRow::of(key.clone());
        row.folds = true;
        let lead = TextLine::new(Tone::Faint, &format!("  {} ", self.marker(&row)))
            .with(Tone::Plain, &format!("{} in order: ", count(steps.len(), "step")));
        let lines = self.hanging(&lead, Tone::Faint, &phases(&steps, &waves).join(", "));
        self.sheet.row(row, lines);
        if !self.is_open(&key) {
            return;
        }
        let of = |phase: Phase| steps.iter().copied().filter(move |step| step.phase == phase).collect::<Vec<_>>();
        let prepare = of(Phase::Prepare);
        self.phase(name, prepare_word(&prepare), &prepare);
        self.once(name, &of(Phase::Unapply));
        for wave in waves {
            self.phase(name, &format!("wave {}", wave.number), &of(Phase::Wave(wave.id)));
        }
        self.once(name, &of(Phase::Fence));
        self.phase(name, "delete", &of(Phase::Clean));
    }

    /// A phase that is done node by node.
    fn phase(&mut self, cluster: &ClusterName, name: &str, steps: &[&'a Step]) {
        let mut nodes: Vec<NodeName> = steps.iter().filter_map(|step| step.target.node().cloned()).collect();
        // A node with several bundles has as many deliveries, one behind the other.
        nodes.dedup();
        let Some(first) = steps.first() else { return };
        let phase = first.phase;
        let key = RowKey::Phase(cluster.clone(), name.to_owned());
        let mut row = PlanRow::of(key.clone());
        (row.folds, row.out) = (true, Some(LeftOut::Nodes(nodes.clone())));
        let lead = TextLine::new(Tone::Faint, &format!("    {} ", self.marker(&row)))
            .with(Tone::Plain, &format!("{}  ", fit(name, 9, "")));
        let lines = self.hanging(&lead, Tone::Plain, &format!("{}: {}", count(nodes.len(), "node"), collapse(&nodes)));
        self.sheet.row(row, lines);
        if self.is_open(&key) {
            self.alike(&key.into(), None, &nodes, 8, &|step| step.phase == phase);
        }
    }

    /// Steps of the whole cluster.
    fn once(&mut self, cluster: &ClusterName, steps: &[&'a Step]) {
        for step in steps {
            let verb = step.action.verb();
            let lead = TextLine::new(Tone::Plain, &format!("      {}  ", fit(verb, 9, "")));
            let how = match &step.action {
                Action::Unapply(unapply) => format!("; through {}", collapse(unapply.through.iter().take(1))),
                Action::Fence(fence) => format!("; waits up to {} s for old workers", fence.limit),
                Action::Deliver(_) | Action::Rehearse(_) | Action::Activate(_) | Action::Delete(_) => String::new(),
            };
            let tone = if matches!(step.action, Action::Unapply(_)) { Tone::Bad } else { Tone::Plain };
            let lines = self.hanging(&lead, tone, &format!("{}{how}", self.step_words(step)));
            self.sheet.row(PlanRow::of(RowKey::Phase(cluster.clone(), format!("{verb} {}", step.id))), lines);
        }
    }
}

/// What is done before any wave: without a delivery only trial loads are.
fn prepare_word(steps: &[&Step]) -> &'static str {
    if steps.iter().any(|step| matches!(step.action, Action::Deliver(_))) { "deliver" } else { "rehearse" }
}

/// The phases that there are, by name.
fn phases(steps: &[&Step], waves: &[&Wave]) -> Vec<String> {
    let has = |phase: Phase| steps.iter().any(|step| step.phase == phase);
    let name = |phase: Phase, name: &str| has(phase).then(|| name.to_owned());
    let waves = match waves.len() {
        0 => None,
        1 => Some("one wave".to_owned()),
        all => Some(format!("waves 1 to {all}")),
    };
    let all = [
        name(Phase::Prepare, prepare_word(steps)),
        name(Phase::Unapply, "un-apply"),
        waves,
        name(Phase::Fence, "fence"),
        name(Phase::Clean, "delete"),
    ];
    all.into_iter().flatten().collect()
}

fn way_words(step: &Step) -> String {
    let Action::Activate(activate) = &step.action else { return String::new() };
    let way = match &activate.way {
        ReloadWay::Candidate => "one reload, staged with its own running settings",
        ReloadWay::Hup => "one reload, by `.kong_env` and HUP",
        ReloadWay::Prepare => "`kong prepare` and `kong reload`, each with -c",
        ReloadWay::Restart => "one restart, with -c: it serves nothing for a moment",
        ReloadWay::Unit { unit } => &format!("systemctl reload {unit}"),
        ReloadWay::Command { command } => &format!("/bin/sh there is given: {command}"),
        ReloadWay::Unneeded => "no reload is needed",
        ReloadWay::Stopped => "no reload: Kong is not running there",
    };
    if activate.evidence.is_empty() { way.to_owned() } else { format!("{way}: {}", activate.evidence) }
}
