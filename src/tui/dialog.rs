//! The questions: each lies over a screen, takes all keys, and has "no" as its answer unless more is typed.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::edits::Edits;
use super::equal::Equal;
use super::look::Tone;
use super::message::Notice;
use super::palette::Palette;
use super::screen::Liftable;
use super::shown::{count, first_line, shown};
use super::steer::Skipping;
use super::view::{losses, removal_of};
use crate::name::{NodeName, collapse};
use crate::plan::{Change, ChangeKind, ClusterPlan, Plan};
use crate::run::CancelLevel;

/// A question, or something that has to be read.
#[derive(Debug, Clone)]
pub enum Dialog {
    /// Whether to apply a plan.
    Apply(Box<Confirm>),
    /// How hard to stop the run; the rung that is chosen.
    Stop(CancelLevel),
    /// Whether to stop the run so hard that nodes are left in the middle of a change.
    Force(Box<Force>),
    /// Whether to leave while a run is on.
    Leave(Typed),
    /// Which nodes of the fleet are shown; what was typed is the screen's.
    Filter,
    /// Whether to lift a blocker of the plan.
    Lift(Box<Lift>),
    /// In which file to save the plan.
    Save(Box<SaveAs>),
    /// Whether to skip a node of the run.
    Skip(Box<Skipping>),
    /// What is searched for in a log; what was typed is the screen's.
    Search,
    /// Something could not be done.
    Notice(Notice),
    /// What to do, found by its words.
    Palette(Palette),
    /// The commands for what is seen.
    Equal(Vec<Equal>),
}

/// Whether to stop the run so hard that nodes are left in the middle of a change.
#[derive(Debug, Clone)]
pub struct Force {
    /// How hard.
    pub level: CancelLevel,
    /// What has to be typed.
    pub typed: Typed,
}

impl Force {
    /// The question for a level.
    pub fn new(level: CancelLevel) -> Self {
        let word = if level == CancelLevel::Close { "close" } else { "leave" };
        Self { level, typed: Typed::new(word) }
    }
}

/// Whether to lift a blocker.
#[derive(Debug, Clone)]
pub struct Lift {
    /// Which, and where.
    pub what: Liftable,
    /// What will then happen, the worst first.
    pub then: Vec<(Tone, String)>,
    /// The name of the node, or of the cluster.
    pub typed: Typed,
}

/// In which file to save a plan.
#[derive(Debug, Clone)]
pub struct SaveAs {
    /// The plan, as it was shown.
    pub plan: Arc<Plan>,
    /// The name of the file.
    pub name: Typed,
    /// Why it was not saved yet.
    pub said: Option<String>,
    /// Another plan is there: the word that replaces it.
    pub replace: Option<Typed>,
    /// It is being saved.
    pub saving: bool,
}

/// Whether to apply a plan.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// The plan, as it was shown.
    pub plan: Arc<Plan>,
    /// What will be lost or changed, worst first.
    pub consequences: Vec<(Tone, String)>,
    /// What has to be typed.
    pub typed: Typed,
}

/// A word that has to be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The word.
    pub word: String,
    /// What was typed so far.
    pub text: String,
    /// Something else was entered.
    pub wrong: bool,
}

/// What a key in a question comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not yet anything.
    Open,
    /// No.
    No,
    /// Yes: the word is there and was entered.
    Yes,
}

/// Longer than any name, and short enough for any paste.
const MOST_TYPED: usize = 300;

impl Typed {
    /// A word that has to be typed.
    pub fn new(word: impl Into<String>) -> Self {
        Self { word: word.into(), text: String::new(), wrong: false }
    }

    /// Takes a key.
    pub fn key(&mut self, key: &KeyEvent) -> Answer {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Answer::No,
            KeyCode::Char('c') if control => return Answer::No,
            KeyCode::Enter if self.text == self.word => return Answer::Yes,
            KeyCode::Enter => self.wrong = true,
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char('u') if control => self.text.clear(),
            KeyCode::Char(c) if !control => self.add(&c.to_string()),
            _ => return Answer::Open,
        }
        Answer::Open
    }

    /// Takes text in, typed or pasted: its first line. A paste never enters anything.
    pub fn add(&mut self, text: &str) {
        self.wrong = false;
        let line = first_line(text);
        let room = MOST_TYPED.saturating_sub(self.text.chars().count());
        self.text.push_str(&shown(&line.chars().take(room).collect::<String>()));
    }
}

impl Confirm {
    /// The question for a plan, with what the operator changed about it.
    pub fn new(plan: Arc<Plan>, edits: &Edits) -> Self {
        let typed = Typed::new(word(&plan));
        let mut consequences = consequences(&plan);
        consequences.extend(edits.words().map(|words| (Tone::Change, format!("edited by you: {words}"))));
        Self { plan, consequences, typed }
    }
}

/// The clusters that a plan changes.
pub(super) fn changed_clusters(plan: &Plan) -> impl Iterator<Item = &ClusterPlan> {
    // Rows belong to no node: a cluster that only loses rows is changed too.
    plan.clusters.iter().filter(|cluster| !cluster.nodes.changing.is_empty() || !cluster.removals.is_empty())
}

/// What has to be typed for a plan: the name of its cluster, or `all` where there are several.
fn word(plan: &Plan) -> String {
    let mut clusters = changed_clusters(plan);
    match (clusters.next(), clusters.next()) {
        (Some(only), None) => only.cluster.to_string(),
        _ => "all".to_owned(),
    }
}

/// What a plan will do, worst first: what is lost, what is taken away, what is exchanged, what is new, what is left alone.
pub(super) fn consequences(plan: &Plan) -> Vec<(Tone, String)> {
    let several = changed_clusters(plan).nth(1).is_some();
    let others = |cluster: &'_ ClusterPlan, change: &Change| removal_of(cluster, change).is_none();
    let changes =
        changed_clusters(plan).flat_map(|cluster| cluster.changes.iter().filter(move |change| others(cluster, change)));
    let changes = together(changes);
    let lines = changes.iter().map(|(change, nodes)| change_line(change, nodes));
    let reloading = changed_clusters(plan).filter(|cluster| !cluster.nodes.changing.is_empty());
    let reloads = reloading.map(|cluster| (Tone::Plain, reload_line(plan, cluster, several)));
    lost(plan, several).into_iter().chain(lines).chain(reloads).chain(left_alone(plan)).collect()
}

/// What removals take away: of all of them the rows first, then the files, then the places in directives.
fn lost(plan: &Plan, several: bool) -> Vec<(Tone, String)> {
    let removals = changed_clusters(plan).flat_map(|cluster| cluster.removals.iter().map(move |it| (cluster, it)));
    let losses: Vec<[Option<String>; 3]> = removals
        .map(|(cluster, removal)| {
            let place = if several { format!(" in {}", cluster.cluster) } else { String::new() };
            losses(removal, &place)
        })
        .collect();
    let kind = |kind: usize| losses.iter().filter_map(move |of| of[kind].clone());
    (0..3).flat_map(kind).map(|words| (Tone::Bad, words)).collect()
}

const fn weight(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Remove => 0,
        ChangeKind::Repair | ChangeKind::Disable => 1,
        ChangeKind::Upgrade | ChangeKind::Downgrade => 2,
        ChangeKind::Reload => 3,
        ChangeKind::Record => 4,
        ChangeKind::Enable => 5,
        ChangeKind::Install => 6,
        ChangeKind::Stage => 7,
    }
}

/// The same change in several clusters is one consequence; worst first.
fn together<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<(&'a Change, Vec<&'a NodeName>)> {
    let mut groups: Vec<(&Change, Vec<&NodeName>)> = Vec::new();
    let is_same = |a: &Change, b: &Change| (a.kind, &a.name, &a.from, &a.to) == (b.kind, &b.name, &b.from, &b.to);
    for change in changes {
        match groups.iter_mut().find(|(known, _)| is_same(known, change)) {
            Some((_, nodes)) => nodes.extend(&change.nodes),
            None => groups.push((change, change.nodes.iter().collect())),
        }
    }
    groups.sort_by_key(|(change, _)| weight(change.kind));
    groups
}

fn change_line(change: &Change, nodes: &[&NodeName]) -> (Tone, String) {
    let name = &change.name;
    let to = change.to.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let what = match change.kind {
        ChangeKind::Remove => return (Tone::Bad, format!("removes {name}: {}", change.detail)),
        ChangeKind::Repair => format!("replaces what was edited by hand in {name} (a copy is kept)"),
        ChangeKind::Disable => format!("takes {name} out of the directive"),
        ChangeKind::Upgrade => format!("replaces the content of {name}{}", versions(change)),
        ChangeKind::Downgrade => format!("puts an older version of {name} there{}", versions(change)),
        ChangeKind::Reload => format!("makes the workers load {name} as it is on disk"),
        ChangeKind::Record => format!("brings what the next start reads of {name} in line with what runs"),
        ChangeKind::Enable => format!("puts {name} into the directive"),
        ChangeKind::Install => format!("installs {name}{to}"),
        ChangeKind::Stage => format!("puts the files of {name}{to} there, without enabling it"),
    };
    let tone = if matches!(change.kind, ChangeKind::Repair | ChangeKind::Disable) { Tone::Bad } else { Tone::Plain };
    (tone, format!("{what} on {}", nodes_briefly(nodes)))
}

fn versions(change: &Change) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!(", {from} to {to},"),
        (None, Some(to)) => format!(", to {to},"),
        (_, None) => String::new(),
    }
}

/// Some nodes by their names where these are few, else by their number.
fn nodes_briefly(nodes: &[&NodeName]) -> String {
    let names = collapse(nodes.iter().copied());
    if names.len() <= 30 { names } else { count(nodes.len(), "node") }
}

fn reload_line(plan: &Plan, cluster: &ClusterPlan, several: bool) -> String {
    let changing: std::collections::BTreeSet<&NodeName> = cluster.nodes.changing.iter().collect();
    let reloads = plan
        .steps
        .iter()
        .filter(|step| step.reloads() && step.target.node().is_some_and(|node| changing.contains(node)))
        .count();
    let place = if several { format!(" of {}", cluster.cluster) } else { String::new() };
    let restarts = plan.steps.iter().any(|step| step.cluster == cluster.cluster && step.restarts());
    let verb = if restarts { "RESTARTS, with an outage of each," } else { "reloads" };
    format!("{verb} {}{place}, {}, {}", count(reloads, "gateway"), wave_words(plan, cluster), stop_words(cluster))
}

/// How a cluster goes: "in waves of 1, then 9, then 17", or "in one wave".
pub(super) fn wave_words(plan: &Plan, cluster: &ClusterPlan) -> String {
    let waves = plan.waves.iter().filter(|wave| wave.cluster == cluster.cluster);
    let sizes: Vec<String> = waves.map(|wave| wave.nodes.len().to_string()).collect();
    match sizes.len() {
        0 | 1 => "in one wave".to_owned(),
        _ => format!("in waves of {}", sizes.join(", then ")),
    }
}

/// When a cluster stops.
pub(super) fn stop_words(cluster: &ClusterPlan) -> String {
    match cluster.max_failed {
        0 => "stopping at the first failure".to_owned(),
        some => format!("stopping after more than {}", count(some, "failure")),
    }
}

fn left_alone(plan: &Plan) -> Vec<(Tone, String)> {
    let sum = |list: fn(&ClusterPlan) -> usize| plan.clusters.iter().map(list).sum::<usize>();
    let blocked = sum(|cluster| cluster.nodes.blocked.len());
    let unknown = sum(|cluster| cluster.nodes.unknown.len());
    let line = |number: usize, why: &str| {
        (number > 0).then(|| (Tone::Unknown, format!("leaves {} alone: {why}", count(number, "node"))))
    };
    let held = plan.held().len();
    let held = (held > 0).then(|| (Tone::Unknown, format!("holds {}: the plan says what for", count(held, "removal"))));
    let lines = [held, line(blocked, "blocked, see the plan"), line(unknown, "not seen, so not known")];
    lines.into_iter().flatten().collect()
}

/// The rungs of stopping, from the softest.
pub(super) const LADDER: [CancelLevel; 4] =
    [CancelLevel::AfterWave, CancelLevel::AfterSteps, CancelLevel::LeaveSteps, CancelLevel::Close];

/// The rung above, if there is one.
pub(super) fn next_rung(asked: Option<CancelLevel>) -> Option<CancelLevel> {
    LADDER.into_iter().find(|level| asked.is_none_or(|asked| *level > asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn typed(word: &str, text: &str) -> Typed {
        let mut typed = Typed::new(word);
        for c in text.chars() {
            assert_eq!(typed.key(&key(KeyCode::Char(c))), Answer::Open);
        }
        typed
    }

    #[test]
    fn only_the_whole_word_and_then_enter_is_yes() {
        assert_eq!(typed("eu-prod", "eu-prod").key(&key(KeyCode::Enter)), Answer::Yes);
        let mut wrong = typed("eu-prod", "eu-pro");
        assert_eq!(wrong.key(&key(KeyCode::Enter)), Answer::Open);
        assert!(wrong.wrong);
        assert_eq!(typed("eu-prod", "").key(&key(KeyCode::Enter)), Answer::Open);
    }

    #[test]
    fn escape_and_ctrl_c_are_no() {
        assert_eq!(typed("all", "all").key(&key(KeyCode::Esc)), Answer::No);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(typed("all", "all").key(&interrupt), Answer::No);
    }

    #[test]
    fn a_paste_of_several_lines_enters_nothing() {
        let mut typed = Typed::new("all");
        for paste in ["all\nyes\n", "all\ryes\r"] {
            typed.text.clear();
            typed.add(paste);
            assert_eq!(typed.text, "all");
        }
        typed.add(&"x".repeat(100_000));
        assert!(typed.text.len() <= MOST_TYPED);
    }

    #[test]
    fn the_ladder_only_rises() {
        assert_eq!(next_rung(None), Some(CancelLevel::AfterWave));
        assert_eq!(next_rung(Some(CancelLevel::AfterSteps)), Some(CancelLevel::LeaveSteps));
        assert_eq!(next_rung(Some(CancelLevel::Close)), None);
        assert!(LADDER.is_sorted());
    }
}
