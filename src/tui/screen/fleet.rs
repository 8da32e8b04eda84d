//! The fleet screen: how the nodes are arranged, which groups are folded, which nodes are selected, and which row the cursor
//! is on. Rows are laid out once for each change, never for a frame.

use std::collections::BTreeSet;

use super::Filter;
use super::group::{Group, GroupKey, Grouping, Order, groups};
use super::selected::Selected;
use crate::name::NodeName;
use crate::tui::cursor::{Cursor, Step};
use crate::tui::effect::Part;
use crate::tui::picture::{NodeRow, Picture};
use crate::tui::shown::width;

/// A row of the fleet screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetRow {
    /// The heading of a group, by its place among the groups.
    Group(usize),
    /// A node, by its cluster and its place there in the picture.
    Node(usize, usize),
}

/// What the fleet screen knows.
#[derive(Debug, Clone, Default)]
pub struct FleetScreen {
    /// Where the cursor is among `rows`.
    pub cursor: Cursor,
    /// The rows that folding leaves.
    pub rows: Vec<FleetRow>,
    /// The groups that the nodes are in.
    pub groups: Vec<Group>,
    /// The first column of the matrix that is shown.
    pub column: usize,
    /// The columns that the longest name of all nodes takes.
    pub name_width: usize,
    /// Some node is held by a run.
    pub held: bool,
    /// Which nodes are shown.
    pub filter: Filter,
    /// What the nodes of a group have in common.
    pub grouping: Grouping,
    /// The order in a group.
    pub order: Order,
    /// Which nodes are selected.
    pub selected: Selected,
    /// How many nodes the filter shows.
    pub shown: usize,
    /// How many of the selected nodes it does not.
    pub unseen: usize,
    folded: BTreeSet<GroupKey>,
}

/// What the cursor is on, by name: it is found again however the rows are arranged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Anchor {
    Node(NodeName),
    Group(GroupKey, Option<NodeName>),
}

impl FleetScreen {
    /// Whether a group's nodes are shown.
    pub fn is_open(&self, key: &GroupKey) -> bool {
        !self.folded.contains(key)
    }

    /// Takes a new picture of the fleet in; the cursor stays on what it was on, where that is still there.
    pub fn picture_changed(&mut self, old: Option<&Picture>, new: &Picture, height: usize) {
        let before = old.and_then(|old| self.anchor(old));
        let rows = || new.clusters.iter().flat_map(|cluster| &cluster.nodes);
        self.name_width = rows().map(|node| width(node.name.as_str())).max().unwrap_or(0);
        self.held = rows().any(NodeRow::is_held);
        if !self.selected.is_empty() {
            let known: BTreeSet<&NodeName> = rows().map(|node| &node.name).collect();
            self.selected.keep(|node| known.contains(node));
        }
        self.column = self.column.min(new.columns.len().saturating_sub(1));
        self.lay_out(new, before, height);
    }

    /// Makes groups and rows anew, with the cursor where it was.
    fn lay_out(&mut self, picture: &Picture, before: Option<Anchor>, height: usize) {
        self.groups = groups(picture, &self.grouping, self.order, &self.filter);
        self.shown = self.groups.iter().map(|group| group.nodes.len()).sum();
        self.count_selected(picture);
        self.fill();
        if let Some(at) = before.and_then(|before| self.find(picture, &before)) {
            self.cursor.at = at;
        }
        self.cursor.settle(self.rows.len(), height);
    }

    /// The rows of the groups, as they are folded.
    fn fill(&mut self) {
        let Self { rows, groups, folded, .. } = self;
        rows.clear();
        for (at, group) in groups.iter().enumerate() {
            rows.push(FleetRow::Group(at));
            if !folded.contains(&group.key) {
                rows.extend(group.nodes.iter().map(|(cluster, node)| FleetRow::Node(*cluster, *node)));
            }
        }
    }

    fn count_selected(&mut self, picture: &Picture) {
        let selected = &self.selected;
        for group in &mut self.groups {
            let of_it = |group: &Group| group.names(picture).filter(|name| selected.has(name)).count();
            group.selected = if selected.is_empty() { 0 } else { of_it(group) };
        }
        self.unseen = self.selected.len() - self.groups.iter().map(|group| group.selected).sum::<usize>();
    }

    fn anchor(&self, picture: &Picture) -> Option<Anchor> {
        match self.row()? {
            FleetRow::Group(at) => {
                let group = self.groups.get(at)?;
                Some(Anchor::Group(group.key.clone(), group.names(picture).next().cloned()))
            }
            row @ FleetRow::Node(..) => Some(Anchor::Node(node_at(picture, row)?.name.clone())),
        }
    }

    /// The row of what the cursor was on: the same, or the heading that it is folded under now.
    fn find(&self, picture: &Picture, before: &Anchor) -> Option<usize> {
        let wanted = match before {
            Anchor::Group(key, first) => {
                let same = |row: &FleetRow| self.group(*row).is_some_and(|group| group.key == *key);
                if let Some(at) = self.rows.iter().position(same) {
                    return Some(at);
                }
                let first = first.as_ref()?;
                let holds =
                    |row: &FleetRow| self.group(*row).is_some_and(|group| group.names(picture).any(|n| n == first));
                return self.rows.iter().position(holds);
            }
            Anchor::Node(node) => node,
        };
        let is_it = |row: &FleetRow| node_at(picture, *row).is_some_and(|node| node.name == *wanted);
        let heading = |row: &FleetRow| {
            self.group(*row).is_some_and(|group| !self.is_open(&group.key) && group.names(picture).any(|n| n == wanted))
        };
        self.rows.iter().position(is_it).or_else(|| self.rows.iter().position(heading))
    }

    /// Shows other nodes; the cursor stays on what it was on, where that is still there.
    pub fn show(&mut self, text: String, picture: &Picture, height: usize) {
        let before = self.anchor(picture);
        self.filter.set(text, picture);
        self.lay_out(picture, before, height);
    }

    /// Groups the nodes by what comes next.
    pub fn regroup(&mut self, picture: &Picture, height: usize) {
        let before = self.anchor(picture);
        self.grouping = self.grouping.next(picture);
        self.lay_out(picture, before, height);
    }

    /// Sorts the nodes by what comes next.
    pub fn resort(&mut self, picture: &Picture, height: usize) {
        let before = self.anchor(picture);
        self.order = self.order.next();
        self.lay_out(picture, before, height);
    }

    /// Folds or unfolds the group under the cursor; false if a node is.
    pub fn fold(&mut self, height: usize) -> bool {
        let Some(key) = self.row().and_then(|row| self.group(row)).map(|group| group.key.clone()) else { return false };
        if !self.folded.remove(&key) {
            self.folded.insert(key);
        }
        self.fill();
        self.cursor.settle(self.rows.len(), height);
        true
    }

    /// Selects what is under the cursor, or gives it up: a node, or all nodes of a group that are shown.
    pub fn select(&mut self, picture: &Picture) {
        let Some(row) = self.row() else { return };
        let names: Vec<NodeName> = match self.group(row) {
            Some(group) => group.names(picture).cloned().collect(),
            None => node_at(picture, row).map(|node| node.name.clone()).into_iter().collect(),
        };
        self.selected.toggle(&names);
        self.count_selected(picture);
    }

    /// Gives the selection up, or, where nothing is selected, the filter; false if there was neither.
    pub fn clear(&mut self, picture: &Picture, height: usize) -> bool {
        if !self.selected.is_empty() {
            self.selected.clear();
            self.count_selected(picture);
        } else if self.filter.is_on() {
            self.show(String::new(), picture, height);
        } else {
            return false;
        }
        true
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<FleetRow> {
        self.rows.get(self.cursor.at).copied()
    }

    /// The group of a heading.
    pub fn group(&self, row: FleetRow) -> Option<&Group> {
        match row {
            FleetRow::Group(at) => self.groups.get(at),
            FleetRow::Node(..) => None,
        }
    }

    /// What R and P are about, by name: the selected nodes, or else what is under the cursor.
    pub fn part(&self, picture: &Picture) -> Option<Part> {
        if !self.selected.is_empty() {
            return Some(Part::Nodes(self.selected.names().clone()));
        }
        let row = self.row()?;
        match self.group(row) {
            None => Some(Part::Node(node_at(picture, row)?.name.clone())),
            Some(Group { key: GroupKey::Cluster(name), .. }) => Some(Part::Cluster(name.clone())),
            Some(group) => Some(Part::Nodes(group.names(picture).cloned().collect())),
        }
    }

    /// To the next node that is not in line or stopped, round the end; the group that it is in is unfolded.
    pub fn next_trouble(&mut self, picture: &Picture, height: usize) -> bool {
        let all =
            || self.groups.iter().enumerate().flat_map(|(at, group)| group.nodes.iter().map(move |node| (at, *node)));
        let begin = match self.row() {
            None => 0,
            Some(FleetRow::Group(group)) => all().take_while(|(at, _)| *at < group).count(),
            Some(FleetRow::Node(cluster, node)) => all().take_while(|(_, at)| *at != (cluster, node)).count() + 1,
        };
        let is_trouble = |(_, (cluster, node)): &(usize, (usize, usize))| {
            let row = node_at(picture, FleetRow::Node(*cluster, *node));
            row.is_some_and(|row| row.state.is_trouble())
        };
        let Some((group, (cluster, node))) = all().skip(begin).chain(all().take(begin)).find(is_trouble) else {
            return false;
        };
        if self.folded.remove(&self.groups[group].key) {
            self.fill();
        }
        let row = FleetRow::Node(cluster, node);
        self.cursor.at = self.rows.iter().position(|at| *at == row).unwrap_or(self.cursor.at);
        self.cursor.step(Step::By(0), self.rows.len(), height);
        true
    }
}

/// The node of a row, if it is one.
pub(crate) fn node_at(picture: &Picture, row: FleetRow) -> Option<&NodeRow> {
    match row {
        FleetRow::Group(_) => None,
        FleetRow::Node(cluster, node) => picture.clusters.get(cluster)?.nodes.get(node),
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
