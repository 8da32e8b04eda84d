//! The fleet screen: which clusters are folded, and which row the cursor is on.

use std::collections::BTreeSet;

use super::Filter;
use crate::name::ClusterName;
use crate::tui::cursor::{Cursor, Step};
use crate::tui::effect::Part;
use crate::tui::picture::{ClusterRows, NodeRow, Picture};
use crate::tui::shown::width;

/// A row of the fleet screen, by its place in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetRow {
    /// A cluster.
    Cluster(usize),
    /// A node of a cluster.
    Node(usize, usize),
}

/// What the fleet screen knows.
#[derive(Debug, Clone, Default)]
pub struct FleetScreen {
    /// Where the cursor is among `rows`.
    pub cursor: Cursor,
    /// The rows that folding leaves.
    pub rows: Vec<FleetRow>,
    /// The first column of the matrix that is shown.
    pub column: usize,
    /// The columns that the longest name of all nodes takes.
    pub name_width: usize,
    /// Which nodes are shown.
    pub filter: Filter,
    folded: BTreeSet<ClusterName>,
}

impl FleetScreen {
    /// Whether a cluster's nodes are shown.
    pub fn is_open(&self, cluster: &ClusterName) -> bool {
        !self.folded.contains(cluster)
    }

    /// Takes a new picture of the fleet in; the cursor stays on the row that it was on, where that row is still there.
    pub fn picture_changed(&mut self, old: Option<&Picture>, new: &Picture, height: usize) {
        let before = old.and_then(|old| self.part(old));
        self.lay_out(new);
        if let Some(at) = before.and_then(|before| self.rows.iter().position(|row| select(new, *row) == before)) {
            self.cursor.at = at;
        }
        self.column = self.column.min(new.columns.len().saturating_sub(1));
        self.cursor.settle(self.rows.len(), height);
    }

    fn lay_out(&mut self, picture: &Picture) {
        self.rows.clear();
        let names = picture.clusters.iter().flat_map(|cluster| &cluster.nodes).map(|node| width(node.name.as_str()));
        self.name_width = names.max().unwrap_or(0);
        for (at, cluster) in picture.clusters.iter().enumerate() {
            let shown = |node: &usize| self.filter.shows(&cluster.nodes[*node], &cluster.name);
            let nodes: Vec<usize> = (0..cluster.nodes.len()).filter(shown).collect();
            if nodes.is_empty() && self.filter.is_on() {
                continue;
            }
            self.rows.push(FleetRow::Cluster(at));
            if !self.folded.contains(&cluster.name) {
                self.rows.extend(nodes.into_iter().map(|node| FleetRow::Node(at, node)));
            }
        }
    }

    /// Shows other nodes; the cursor stays on the row that it was on, where that row is still there.
    pub fn show(&mut self, text: String, picture: &Picture, height: usize) {
        self.filter.set(text, picture);
        self.picture_changed(Some(picture), picture, height);
    }

    /// How many nodes the filter shows.
    pub fn shown(&self, picture: &Picture) -> usize {
        let clusters = picture.clusters.iter();
        clusters.map(|cluster| self.shown_of(cluster)).sum()
    }

    /// How many nodes of a cluster the filter shows.
    pub fn shown_of(&self, cluster: &ClusterRows) -> usize {
        cluster.nodes.iter().filter(|node| self.filter.shows(node, &cluster.name)).count()
    }

    /// Folds or unfolds a cluster.
    pub fn fold(&mut self, picture: &Picture, cluster: &ClusterName, height: usize) {
        if !self.folded.remove(cluster) {
            self.folded.insert(cluster.clone());
        }
        self.lay_out(picture);
        self.cursor.settle(self.rows.len(), height);
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<FleetRow> {
        self.rows.get(self.cursor.at).copied()
    }

    /// What is under the cursor, by name.
    pub fn part(&self, picture: &Picture) -> Option<Part> {
        Some(select(picture, self.row()?))
    }

    /// To the next node that is not in line, round the end.
    pub fn next_trouble(&mut self, picture: &Picture, height: usize) -> bool {
        let rows = self.rows.len();
        let next = (1..=rows).map(|by| (self.cursor.at + by) % rows.max(1)).find(|at| match self.rows[*at] {
            FleetRow::Cluster(_) => false,
            FleetRow::Node(..) => {
                node_at(picture, self.rows[*at]).is_some_and(|node| !matches!(node.state.mark, '=' | '.'))
            }
        });
        if let Some(at) = next {
            self.cursor.at = at;
            self.cursor.step(Step::By(0), rows, height);
        }
        next.is_some()
    }
}

/// The cluster of a row.
pub(crate) fn cluster_at(picture: &Picture, row: FleetRow) -> Option<&ClusterRows> {
    let (FleetRow::Cluster(cluster) | FleetRow::Node(cluster, _)) = row;
    picture.clusters.get(cluster)
}

/// The node of a row, if it is one.
pub(crate) fn node_at(picture: &Picture, row: FleetRow) -> Option<&NodeRow> {
    match row {
        FleetRow::Cluster(_) => None,
        FleetRow::Node(cluster, node) => picture.clusters.get(cluster)?.nodes.get(node),
    }
}

fn select(picture: &Picture, row: FleetRow) -> Part {
    match (node_at(picture, row), cluster_at(picture, row)) {
        (Some(node), _) => Part::Node(node.name.clone()),
        (None, Some(cluster)) => Part::Cluster(cluster.name.clone()),
        (None, None) => Part::All,
    }
}
