//! Which nodes were selected: by name, so that no filter, order, group or look loses one.

use std::collections::BTreeSet;

use crate::name::NodeName;

/// The selected nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected(BTreeSet<NodeName>);

impl Selected {
    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this one is.
    pub fn has(&self, node: &NodeName) -> bool {
        self.0.contains(node)
    }

    /// Their names.
    pub fn names(&self) -> &BTreeSet<NodeName> {
        &self.0
    }

    /// Selects all of these; none of them, if all were.
    pub fn toggle(&mut self, nodes: &[NodeName]) {
        if nodes.iter().all(|node| self.has(node)) {
            for node in nodes {
                self.0.remove(node);
            }
        } else {
            self.0.extend(nodes.iter().cloned());
        }
    }

    /// Selects none.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Gives up what is not in the inventory any more.
    pub fn keep(&mut self, known: impl Fn(&NodeName) -> bool) {
        self.0.retain(known);
    }
}
