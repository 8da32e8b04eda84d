//! Many nodes in the room that a line has.

use super::words::{count, width};
use crate::name::{NodeName, collapse};

/// These nodes if that fits, else how many there are.
pub fn brief(nodes: &[NodeName], columns: usize) -> String {
    let all = collapse(nodes);
    if width(&all) <= columns { all } else { count(nodes.len(), "node") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_nodes_that_do_not_fit_are_counted() {
        let nodes = ["eu-1", "eu-3", "eu-5", "eu-7"].map(|name| NodeName::parse(name).unwrap());
        assert_eq!(brief(&nodes, 14), "eu-[1,3,5,7]");
        assert_eq!(brief(&nodes, 11), "4 nodes");
    }
}
