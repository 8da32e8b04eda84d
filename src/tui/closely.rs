//! What the keys and the answers of the node screen, its differences and its error log change.

use std::sync::Arc;

use super::cursor::Step;
use super::effect::{Effect, Part};
use super::keymap::Place;
use super::message::Notice;
use super::model::Model;
use super::screen::{DiffAbout, DiffScreen, NodeScreen, RowKey, Screen, TailScreen, Target};
use super::view;
use crate::diff::{CloserLook, Comparison, Inspection};
use crate::name::NodeName;
use crate::plan::Scope;
use crate::run::Fate;

/// What a comparison of files comes as.
pub(super) type Compared = Result<Arc<Vec<Arc<Comparison>>>, Notice>;

/// Opens the screen of a node, and asks for what it shows.
pub(super) fn open(model: &mut Model, node: &NodeName) -> Vec<Effect> {
    model.push(Screen::Node(Box::new(NodeScreen::new(node.clone()))));
    let mut effects = vec![Effect::Inspect(node.clone())];
    effects.extend(ask(model, node).ok());
    refresh(model);
    effects
}

/// `o`: where the settings of a node come from, on its screen.
pub(super) fn origin(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    if !matches!(model.screen(), Screen::Node(_)) {
        let Some(node) = node_here(model) else {
            model.said = Some("no node is under the cursor: enter unfolds to its nodes".to_owned());
            return effects;
        };
        effects = open(model, &node);
    }
    if let Screen::Node(screen) = model.screen_mut() {
        screen.show_origins();
    }
    refresh(model);
    effects
}

/// The node under the cursor: of the fleet, of a change or step of the plan, or one that something stands in the way on.
fn node_here(model: &Model) -> Option<NodeName> {
    match (model.screen(), model.here()) {
        (_, Some(Part::Node(node))) => Some(node),
        (Screen::Plan(screen), _) => match &screen.row()?.key {
            RowKey::Alike(_, node) | RowKey::Node(_, node) | RowKey::Blocker(_, Scope::Node { node }) => {
                Some(node.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// After another look: what is known of the node that is open may be older.
pub(super) fn looked(model: &mut Model) -> Vec<Effect> {
    let node = model.screens().find_map(|screen| match screen {
        Screen::Node(screen) => Some(screen.node.clone()),
        _ => None,
    });
    let Some(node) = node else { return Vec::new() };
    let asked = ask(model, &node).ok();
    std::iter::once(Effect::Inspect(node)).chain(asked).collect()
}

/// Asks a node for receipts and log; why not, if it must not be asked now. A run has one session with a node where the
/// server allows no second one: whoever takes it meanwhile would make a step of the run fail.
fn ask(model: &mut Model, node: &NodeName) -> Result<Effect, &'static str> {
    let busy = model.run.as_ref().filter(|run| run.is_on()).and_then(|run| run.state.nodes.get(node));
    if busy.is_some_and(|state| matches!(state.fate, Fate::Waiting | Fate::Running)) {
        return Err("the run is at work on this node: it is asked when that is over");
    }
    let screen = node_screen(model, node).ok_or("the node is not open")?;
    if screen.closer.asking {
        return Err("it was asked already");
    }
    screen.closer.asking = true;
    Ok(Effect::Ask(node.clone()))
}

fn node_screen<'a>(model: &'a mut Model, node: &NodeName) -> Option<&'a mut NodeScreen> {
    model.screens_mut().find_map(|screen| match screen {
        Screen::Node(screen) if screen.node == *node => Some(&mut **screen),
        _ => None,
    })
}

/// What is known of a node has come.
pub(super) fn inspected(model: &mut Model, inspection: Arc<Inspection>) {
    if let Some(screen) = node_screen(model, &inspection.node) {
        screen.inspection = Some(inspection);
        refresh(model);
    }
}

/// A node has answered, or not.
pub(super) fn answered(model: &mut Model, node: &NodeName, answer: Result<Arc<CloserLook>, Notice>) {
    if let Some(screen) = node_screen(model, node) {
        screen.closer.answered(answer);
        refresh(model);
        to_the_end(model);
    }
}

/// Contents have come, or not.
pub(super) fn compared(model: &mut Model, about: &DiffAbout, answer: &Compared) {
    let (height, columns) = (model.height(Place::Diff), model.width());
    for screen in model.screens_mut() {
        if let Screen::Diff(screen) = screen
            && screen.about == *about
        {
            screen.answered(answer.clone());
            to_first_change(screen, columns, height);
        }
    }
}

fn to_first_change(screen: &mut DiffScreen, columns: usize, height: usize) {
    let rows = screen.sheet.len(columns);
    let first = screen.sheet.change(0, columns, true).unwrap_or_default();
    // What stands around it is seen, too.
    if first >= height {
        screen.scroll.scroll(Step::First, rows, height);
        screen.scroll.scroll(Step::By(isize::try_from(first).unwrap_or(0) - 3), rows, height);
    }
}

/// `enter` on a line of the node screen.
pub(super) fn enter(model: &mut Model) -> Vec<Effect> {
    let Screen::Node(screen) = model.screen_mut() else { return Vec::new() };
    match screen.target().cloned() {
        Some(Target::Fold(fold)) => {
            screen.toggle(fold);
            refresh(model);
            Vec::new()
        }
        Some(Target::Log) => log(model),
        Some(_) => diff(model),
        None => nothing(model),
    }
}

fn nothing(model: &mut Model) -> Vec<Effect> {
    model.said = Some("nothing to open is under the cursor".to_owned());
    Vec::new()
}

/// `d` on a line of the node screen: the difference of a file, of a plugin, of kong.conf.
pub(super) fn diff(model: &mut Model) -> Vec<Effect> {
    let Screen::Node(screen) = model.screen() else { return nothing(model) };
    let node = screen.node.clone();
    let inspection = screen.inspection.clone();
    match screen.target().cloned() {
        Some(Target::File(plugin, path)) => open_files(model, node, plugin, Some(path)),
        Some(Target::Plugin(plugin) | Target::Fold(super::screen::Fold::Files(plugin))) => {
            let of = |inspection: &Inspection| inspection.plugins.iter().any(|of| of.name == plugin && of.differs());
            if inspection.is_some_and(|inspection| of(&inspection)) {
                return open_files(model, node, plugin, None);
            }
            model.said = Some(format!("no file of {plugin} differs"));
            Vec::new()
        }
        Some(Target::Conf) => {
            let conf = inspection.and_then(|inspection| inspection.planned.conf.clone());
            let files = conf.into_iter().map(Arc::new).collect();
            model.push(Screen::Diff(Box::new(DiffScreen::of(DiffAbout::Conf(node), files))));
            Vec::new()
        }
        Some(Target::Fold(_) | Target::Log) | None => {
            model.said = Some("no file or plugin is under the cursor".to_owned());
            Vec::new()
        }
    }
}

fn open_files(model: &mut Model, node: NodeName, plugin: String, path: Option<String>) -> Vec<Effect> {
    let about = DiffAbout::Files(node, plugin, path);
    model.push(Screen::Diff(Box::new(DiffScreen::asking(about.clone()))));
    vec![Effect::Compare(about)]
}

/// Shows a change of the plan.
pub(super) fn plan_change(model: &mut Model, cluster: usize, change: usize) {
    let found = model.plan.as_deref().and_then(|plan| plan.clusters.get(cluster)?.changes.get(change));
    let Some(found) = found else { return };
    let mut files = Comparison::of_unified(&found.diff);
    if files.is_empty() {
        let detail = if found.detail.is_empty() { "no text differs" } else { found.detail.as_str() };
        files = Comparison::of_unified(&[detail.to_owned()]);
    }
    let files = files.into_iter().map(Arc::new).collect();
    model.push(Screen::Diff(Box::new(DiffScreen::of(DiffAbout::Change(cluster, change), files))));
}

/// `L`: the end of the error log, and asks for it anew.
pub(super) fn log(model: &mut Model) -> Vec<Effect> {
    let node = match model.screen() {
        Screen::Node(screen) => screen.node.clone(),
        Screen::Tail(screen) => screen.node.clone(),
        _ => return nothing(model),
    };
    if matches!(model.screen(), Screen::Node(_)) {
        let screen = TailScreen { node: node.clone(), lines: Vec::new(), scroll: super::cursor::Cursor::default() };
        model.push(Screen::Tail(Box::new(screen)));
    }
    let asked = ask(model, &node);
    if let Err(why) = asked {
        model.said = Some(why.to_owned());
    }
    refresh(model);
    to_the_end(model);
    asked.into_iter().collect()
}

/// The last lines are the ones that matter.
fn to_the_end(model: &mut Model) {
    let height = model.height(Place::ErrorLog);
    for screen in model.screens_mut() {
        if let Screen::Tail(screen) = screen {
            let rows = screen.lines.len();
            screen.scroll.scroll(Step::Last, rows, height);
        }
    }
}

/// `tab`.
pub(super) fn next_section(model: &mut Model) {
    let height = model.height(Place::Node);
    if let Screen::Node(screen) = model.screen_mut() {
        screen.next_section(height);
    }
}

/// `n` in a difference.
pub(super) fn next_change(model: &mut Model) -> bool {
    let (height, columns) = (model.height(Place::Diff), model.width());
    let Screen::Diff(screen) = model.screen_mut() else { return false };
    let rows = screen.sheet.len(columns);
    let next = screen.sheet.change(screen.scroll.at + MARGIN, columns, true);
    let Some(at) = next.or_else(|| screen.sheet.change(0, columns, true)) else { return false };
    let by = isize::try_from(at.saturating_sub(MARGIN)).unwrap_or(0);
    screen.scroll.scroll(Step::First, rows, height);
    screen.scroll.scroll(Step::By(by), rows, height);
    true
}

/// How many lines stand above a change that was gone to.
const MARGIN: usize = 3;

/// Along long lines of code.
pub(super) fn sideways(model: &mut Model, by: isize) {
    if let Screen::Diff(screen) = model.screen_mut() {
        screen.skip = screen.skip.saturating_add_signed(by * 8).min(MOST_SKIP);
    }
}

/// Lines are no longer than this (`diff::Comparison`).
const MOST_SKIP: usize = 2_000;

/// Makes the lines of the node screen and of the log anew.
pub(super) fn refresh(model: &mut Model) {
    let node = view::node_screen_lines(model);
    let tail = view::tail_lines(model);
    let (height, log, diff) = (model.height(Place::Node), model.height(Place::ErrorLog), model.height(Place::Diff));
    let columns = model.width();
    for screen in model.screens_mut() {
        match screen {
            Screen::Node(screen) => screen.set_lines(node.clone(), height),
            Screen::Tail(screen) => {
                screen.lines.clone_from(&tail);
                let rows = screen.lines.len();
                screen.scroll.scroll(Step::By(0), rows, log);
            }
            Screen::Diff(screen) => {
                let rows = screen.sheet.len(columns);
                screen.scroll.scroll(Step::By(0), rows, diff);
            }
            _ => {}
        }
    }
}
