//! Which nodes of the fleet are shown: the grammar of `--node`, as it is typed.

use crate::inventory::Selector;
use crate::name::ClusterName;
use crate::tui::picture::{NodeRow, Picture};

/// Which nodes are shown.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What was typed.
    pub text: String,
    /// Why it is no selector; what was shown before is shown still.
    pub wrong: Option<String>,
    selector: Option<Selector>,
}

impl Filter {
    /// Takes a text in. What stands there while a name is being typed is no name yet: a plain text that is the name of no node
    /// is looked for inside names.
    pub fn set(&mut self, text: String, picture: &Picture) {
        self.wrong = None;
        if text.trim().is_empty() {
            self.selector = None;
        } else {
            match Selector::parse(&text) {
                Ok(selector) => self.selector = Some(within(selector, &text, picture)),
                Err(error) => self.wrong = Some(error.to_string()),
            }
        }
        self.text = text;
    }

    /// Whether any node may be hidden.
    pub const fn is_on(&self) -> bool {
        self.selector.is_some()
    }

    /// Whether a node is shown.
    pub fn shows(&self, node: &NodeRow, cluster: &ClusterName) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(&node.name, &node.labels, cluster))
    }
}

/// The selector, or one that looks for the same text inside names.
fn within(selector: Selector, text: &str, picture: &Picture) -> Selector {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let mut nodes = picture.clusters.iter().flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)));
    if !is_plain || nodes.any(|(cluster, node)| selector.matches(&node.name, &node.labels, &cluster.name)) {
        return selector;
    }
    Selector::parse(&format!("*{text}*")).unwrap_or(selector)
}
