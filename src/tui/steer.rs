//! Steering the run that is on, and what comes after it: pause and go on, skip a node, retry what failed, a block to paste.

use super::dialog::{Dialog, Typed};
use super::effect::{Effect, Part};
use super::keymap::Command;
use super::look::Tone;
use super::model::Model;
use super::replay::Replay;
use super::screen::{About, Screen, Source, Watched};
use super::shown::shown;
use super::update::read;
use crate::name::{ClusterName, NodeName};
use crate::run::{Extent, Fate, NodeRun, ticket};

/// Whether to skip a node.
#[derive(Debug, Clone)]
pub struct Skipping {
    /// The node.
    pub node: NodeName,
    /// What comes of it, worst first.
    pub consequences: Vec<(Tone, String)>,
    /// What has to be typed: its name.
    pub typed: Typed,
}

/// Why a command of the run screen does nothing now; `None` where it would do something, or is no command of it.
pub(super) fn why_not(model: &Model, command: Command) -> Option<String> {
    match command {
        Command::Pause => why_no_pause(model),
        Command::Skip => skipped_node(model).err(),
        Command::Retry => why_no_retry(model),
        Command::Ticket => {
            let begun = model.watched().is_some_and(|run| run.state.head.is_some());
            (!begun).then(|| "no run was begun here".to_owned())
        }
        _ => None,
    }
}

/// What the bottom line calls a command now, where that changes.
pub(super) fn short(model: &Model, command: Command) -> Option<&'static str> {
    if command == Command::Play {
        return model.replay.as_ref().is_some_and(Replay::is_playing).then_some("stop");
    }
    let pausing = model.run.as_ref().is_some_and(|run| run.is_on() && run.state.pause.is_some());
    (command == Command::Pause && pausing).then_some("go on")
}

fn why_no_pause(model: &Model) -> Option<String> {
    match model.run.as_ref().filter(|run| run.is_on()) {
        None => Some("no run is on".to_owned()),
        Some(run) if run.cancelling().is_some() => Some("the run is being stopped: nothing begins any more".to_owned()),
        Some(_) => None,
    }
}

/// Asks for a pause after the wave that is on, takes that back, or goes on.
pub(super) fn pause(model: &mut Model) -> Vec<Effect> {
    if let Some(why) = why_no_pause(model) {
        model.said = Some(why);
        return Vec::new();
    }
    let paused = model.run.as_ref().is_some_and(|run| run.state.pause.is_some());
    vec![Effect::Pause(!paused)]
}

/// The node under the cursor, if it can be skipped now; else why not.
fn skipped_node(model: &Model) -> Result<(NodeName, &NodeRun, &Watched), String> {
    let (Screen::Run(screen), Some(run)) = (model.screen(), &model.run) else {
        return Err("no run is seen".to_owned());
    };
    let node = screen.node(run).ok_or("only a node can be skipped: put the cursor on one")?;
    let state = run.state.nodes.get(node).ok_or("no step of this run is for it")?;
    if !run.is_on() {
        return Err("the run is over".to_owned());
    }
    if run.cancelling().is_some() {
        return Err("the run is being stopped: nothing begins any more".to_owned());
    }
    if state.step.is_some() {
        return Err(format!("a step is under way on {node}: it ends first; x stops the run"));
    }
    if state.left == 0 {
        return Err(format!("all steps of {node} are over"));
    }
    if run.cluster_of(node).is_some_and(|cluster| run.state.added.contains_key(cluster)) {
        return Err("what was being removed is put back first".to_owned());
    }
    Ok((node.clone(), state, run))
}

/// Asks whether to skip the node under the cursor.
pub(super) fn ask_to_skip(model: &mut Model) {
    match skipped_node(model) {
        Err(why) => model.said = Some(why),
        Ok((node, state, run)) => {
            let consequences = consequences(&node, state, run);
            let typed = Typed::new(shown(node.as_str()));
            model.dialog = Some(Dialog::Skip(Box::new(Skipping { node, consequences, typed })));
        }
    }
}

/// The name was typed. The node may have begun meanwhile: the run itself decides, and its answer is seen as an event.
pub(super) fn skip(node: NodeName) -> Vec<Effect> {
    vec![Effect::Skip(node)]
}

fn consequences(node: &NodeName, state: &NodeRun, run: &Watched) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    let cluster = run.cluster_of(node);
    let fence = cluster.and_then(|cluster| Some((cluster, run.fence_of(cluster)?)));
    if let Some((cluster, plugins)) = fence.filter(|_| !state.proven()) {
        lines.push((
            Tone::Bad,
            format!("holds the files of {plugins} on every node of {cluster}, as it goes on listing it"),
        ));
    }
    if let Some((cluster, wave)) = cluster.and_then(|cluster| Some((cluster, alone_in(run, node, cluster)?))) {
        lines
            .push((Tone::Bad, format!("stops {cluster}: no wave follows wave {wave}, in which no other node is left")));
    }
    lines.push((Tone::Bad, format!("nothing more of this run is done on {node}: it stays as it is now")));
    lines.push((Tone::Plain, "the verdict will be: not reached; p plans the rest afterwards".to_owned()));
    lines.push((Tone::Plain, "it cannot be taken back in this run".to_owned()));
    lines
}

/// The wave in which no node but this one can still come to its goal.
fn alone_in(run: &Watched, node: &NodeName, cluster: &ClusterName) -> Option<u32> {
    let wave = run.wave_of(node).filter(|_| !run.state.nodes.get(node).is_some_and(NodeRun::proven))?;
    let of = run.state.head.as_ref()?.waves.get(cluster).copied()?;
    let mut others = run.state.nodes_of(cluster).filter(|(name, _)| *name != node && run.wave_of(name) == Some(wave));
    let may_reach = |other: &NodeRun| !other.fate.is_bad() && other.fate != Fate::NotTried;
    (wave < of && !others.any(|(_, other)| may_reach(other))).then_some(wave)
}

fn why_no_retry(model: &Model) -> Option<String> {
    let Some(run) = model.run.as_ref() else { return Some("no run was begun here".to_owned()) };
    if run.is_on() {
        return Some("not while the run is on: R plans what failed once it is over".to_owned());
    }
    if run.failed().is_empty() {
        return Some("no node failed: p plans what is left".to_owned());
    }
    if model.busy.looking.is_some() {
        return Some("the nodes are being looked at again: R then".to_owned());
    }
    None
}

/// Makes a plan for the nodes that did not end well. It is shown as any other plan; nothing begins without it.
pub(super) fn retry(model: &mut Model) -> Vec<Effect> {
    if let Some(why) = why_no_retry(model) {
        model.said = Some(why);
        return Vec::new();
    }
    let nodes = model.run.as_ref().map(Watched::failed).unwrap_or_default();
    model.busy.planning = true;
    vec![Effect::Plan(Part::Nodes(nodes.into_iter().collect()))]
}

/// More than a terminal takes as what is to be copied.
const MOST_COPIED: usize = 48 << 10;

/// Shows what became of the run as a block to paste, and gives it to the clipboard where the terminal allows that.
pub(super) fn show_ticket(model: &mut Model) -> Vec<Effect> {
    if let Some(why) = why_not(model, Command::Ticket) {
        model.said = Some(why);
        return Vec::new();
    }
    read(model, About::Ticket);
    let text = ticket_lines(model).join("\n") + "\n";
    if text.len() > MOST_COPIED { Vec::new() } else { vec![Effect::Copy(text)] }
}

/// The block's lines, clean.
pub(super) fn ticket_lines(model: &Model) -> Vec<String> {
    let Some(run) = model.watched() else { return Vec::new() };
    let plan = match model.source() {
        Source::Live => model.plan.as_deref(),
        Source::Replay => model.replay.as_ref().and_then(|replay| replay.plan.as_ref()?.as_deref().ok()),
    };
    let lines = ticket(&run.state, extent(model, run), plan, |line| model.carry.carry(line));
    lines.iter().map(|line| shown(line)).collect()
}

/// How far what is seen of the run reaches.
fn extent(model: &Model, run: &Watched) -> Extent {
    let replay = model.replay.as_ref().filter(|_| model.source() == Source::Replay);
    match replay {
        Some(replay) if replay.position().0 < replay.position().1 => Extent::Moment,
        _ if run.is_on() => Extent::AtWork,
        _ => Extent::Whole,
    }
}
