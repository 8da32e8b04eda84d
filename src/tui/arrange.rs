//! What the keys do by which the fleet is arranged: select, group, sort, and back out of it again.

use std::collections::BTreeSet;

use super::keymap::Place;
use super::model::Model;
use super::picture::Picture;
use super::screen::{FleetScreen, Screen};
use super::shown::count;
use crate::name::NodeName;
use crate::survey::Sight;

/// Does something with the fleet screen, if it is seen and there is a fleet.
fn arrange<T>(model: &mut Model, act: impl FnOnce(&mut FleetScreen, &Picture, usize) -> T) -> Option<T> {
    let height = model.height(Place::Fleet);
    let picture = model.picture.clone()?;
    match model.screen_mut() {
        Screen::Fleet(fleet) => Some(act(fleet, &picture, height)),
        _ => None,
    }
}

/// Selects what is under the cursor, or gives it up.
pub(super) fn select(model: &mut Model) {
    let some = arrange(model, |fleet, picture, _| {
        fleet.select(picture);
        fleet.row().is_some()
    });
    if some != Some(true) {
        model.said = Some("nothing is under the cursor".to_owned());
    }
}

/// Puts the nodes together by what comes next.
pub(super) fn regroup(model: &mut Model) {
    arrange(model, FleetScreen::regroup);
}

/// Orders the nodes by what comes next.
pub(super) fn resort(model: &mut Model) {
    arrange(model, FleetScreen::resort);
}

/// Back to the screen before; on the fleet, which is the first, ends the selection, then the filter.
pub(super) fn back(model: &mut Model) {
    if !model.back() {
        arrange(model, FleetScreen::clear);
    }
}

/// What a look at some of the nodes came to, for the last line; `None` after a look at all of them.
pub(super) fn looked_again(old: Option<&Picture>, new: &Picture) -> Option<String> {
    let rows = || new.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let again: Vec<_> = rows().filter(|node| node.standing.looked == Some(new.looked)).collect();
    let old = old.filter(|old| old.looked < new.looked && new.oldest < new.looked)?;
    let before = |name: &NodeName| old.node(name).map(|node| node.state.mark);
    let changed: BTreeSet<&NodeName> =
        again.iter().filter(|node| before(&node.name) != Some(node.state.mark)).map(|node| &node.name).collect();
    let unseen = again.iter().filter(|node| node.standing.sight != Some(Sight::Seen)).count();
    let what = match again.as_slice() {
        [node] => format!("{} was looked at again: {} {}", node.name, node.state.mark, node.state.word),
        nodes if unseen == 0 => format!("{} were looked at again, all were seen", count(nodes.len(), "node")),
        nodes => format!("{} were looked at again, {unseen} of them not seen", count(nodes.len(), "node")),
    };
    let now = match changed.len() {
        0 => ", as before".to_owned(),
        _ if again.len() == 1 => String::new(),
        some => format!("; the state of {some} has changed"),
    };
    Some(what + &now)
}
