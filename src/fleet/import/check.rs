//! What the first plan from a drafted inventory would be, over the survey that it was written from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::{Bundle, SourceEntry};
use crate::diff::{self, Bundles, Condition, Item};
use crate::import::Draft;
use crate::inventory::{self, FILE_NAME, Inventory, Look};
use crate::name::{NodeName, PluginName, Revision};
use crate::plan::{self, Goal, Origin, Request, Scope, Selection};
use crate::survey::Survey;

/// A plugin on a node that the plan would change, or that stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The node.
    pub node: NodeName,
    /// The plugin.
    pub plugin: PluginName,
    /// What differs.
    pub why: String,
}

/// What the first plan would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstPlan {
    /// What it would change; left out of the inventory in turn.
    pub differences: Vec<Difference>,
    /// What stands in the way of any plan there, or makes it other than empty, and cannot be left out; one line each.
    pub blockers: Vec<String>,
    /// Nodes of which not enough is known, and why.
    pub unknown: Vec<(NodeName, String)>,
    /// How many steps it would have.
    pub steps: usize,
}

impl FirstPlan {
    /// Nothing to do, and nothing in the way.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.blockers.is_empty() && self.steps == 0
    }
}

/// Reads the draft as `muster --plan` would read it from a commit, and plans.
pub(super) fn first_plan(draft: &Draft, below: &str, survey: &Survey) -> FirstPlan {
    let inventory = match inventory::parse(FILE_NAME, draft.text.as_bytes()) {
        Ok(inventory) => inventory,
        Err(mistakes) => {
            let blockers = vec![format!("what was written cannot be read back: {}", mistakes.render(Look::Plain))];
            return FirstPlan { blockers, ..FirstPlan::default() };
        }
    };
    let (bundles, mut blockers) = bundles(&inventory, draft, below);
    let diff = diff::diff(&inventory, &bundles, survey);
    let known = bundles.values().map(|bundle| (bundle.digest.clone(), bundle.clone())).collect();
    let Ok(revision) = Revision::parse(&"0".repeat(40)) else { unreachable!("40 digits are a revision") };
    let origin = Origin { repository: String::new(), revision, summary: String::new(), branch: None };
    let plan = plan::plan(&Request {
        inventory: &inventory,
        bundles: &bundles,
        known: &known,
        survey,
        diff: &diff,
        origin,
        selection: Selection::default(),
        allow: Vec::new(),
        goal: Goal::InLine,
        trials: &[],
    });
    let (mut differences, mut unknown) = (Vec::new(), Vec::new());
    for (node, found) in diff.clusters.values().flat_map(|cluster| &cluster.nodes) {
        for item in found.items.values().filter(|item| item.truths.is_drift()) {
            differences.extend(of_item(node, item));
        }
        if let Condition::Unknown { why, .. } = &found.condition {
            unknown.push((node.clone(), why.clone()));
        }
    }
    for blocker in &plan.blockers {
        let mut about = Vec::new();
        if let (Scope::Node { node }, Some((name, why))) = (&blocker.scope, blocker.subject()) {
            let item = diff.node(node).and_then(|found| found.items.get(name));
            about = item
                .into_iter()
                .flat_map(|item| item.plugins.iter())
                .map(|plugin| Difference { node: node.clone(), plugin: plugin.clone(), why: why.to_owned() })
                .collect();
        }
        let new: Vec<Difference> = about
            .into_iter()
            .filter(|one| !differences.iter().any(|other| (&other.node, &other.plugin) == (&one.node, &one.plugin)))
            .collect();
        let known =
            blocker.subject().is_some_and(|(name, _)| differences.iter().any(|one| one.plugin.as_str() == name));
        if new.is_empty() && !known {
            blockers.push(format!("{}: {}", blocker.code.word(), blocker.what));
        }
        differences.extend(new);
    }
    FirstPlan { differences, blockers, unknown, steps: plan.steps.len() }
}

/// One for each plugin that an item stands for.
fn of_item(node: &NodeName, item: &Item) -> Vec<Difference> {
    let why =
        item.remarks.first().cloned().unwrap_or_else(|| {
            format!("files, directive, loaded, used are {} and not as written", item.truths.signs())
        });
    let one = |plugin: &PluginName| Difference { node: node.clone(), plugin: plugin.clone(), why: why.clone() };
    item.plugins.iter().map(one).collect()
}

/// The bundles that are assigned, made of the files of the draft.
fn bundles(inventory: &Inventory, draft: &Draft, below: &str) -> (Bundles, Vec<String>) {
    let mut bundles: Bundles = BTreeMap::new();
    let mut troubles = Vec::new();
    for assignment in inventory.clusters.values().flat_map(|cluster| cluster.plugins.values()) {
        let (Some(name), Some(source)) = (assignment.subject.bundle(), inventory.source(assignment)) else { continue };
        let dir = format!("{}/", source.path().as_str().strip_prefix(below).unwrap_or(source.path().as_str()));
        let files = draft.files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&dir)?, bytes)));
        let entries = files.map(|(path, bytes)| SourceEntry::file(path, bytes.clone()));
        match Bundle::from_files(name.clone(), entries) {
            Ok(bundle) => drop(bundles.insert((name.clone(), assignment.version.clone()), Arc::new(bundle))),
            Err(error) => troubles.push(error.to_string()),
        }
    }
    (bundles, troubles)
}
