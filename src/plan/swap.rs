//! A bundle whose links change on a node: what the activation switches, and how that is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::is_before;
use super::lookup::Lookup;
use super::node::NodeChange;
use super::{ChangeKind, Request};
use crate::action::Switch;
use crate::bundle::Bundle;
use crate::diff::{self, Item};
use crate::inventory::State;
use crate::name::{BundlePath, Digest, NodePath, Shared};

/// A bundle on a node whose links change, with everything that what is made of it depends on beside the request. Most nodes
/// of a cluster have the same.
#[derive(PartialEq)]
pub(super) struct Swap {
    /// The content of the bundle.
    pub(super) to: Digest,
    pub(super) state: State,
    /// Its place in the directive is somebody else's.
    pub(super) others_list: bool,
    pub(super) item: Shared<Item>,
    /// The content that is linked now.
    pub(super) from: Option<Digest>,
    pub(super) repair: bool,
    /// Links of ours that the content does not have any more.
    pub(super) unlinks: BTreeSet<BundlePath>,
    pub(super) lua_root: NodePath,
}

impl Swap {
    pub(super) fn switch(&self, bundle: &Bundle, request: &Request<'_>) -> Switch {
        Switch {
            bundle: bundle.name.clone(),
            owner: request.inventory.owner.clone(),
            from: self.from.clone(),
            to: bundle.digest.clone(),
            links: bundle.roots.clone(),
            unlinks: self.unlinks.clone(),
            adopts: self.item.files.foreign().cloned().collect(),
            plugins: bundle.plugins.keys().cloned().collect(),
        }
    }

    fn kind(&self) -> ChangeKind {
        let installs = self.from.is_none() && !self.item.files.any();
        match self.state {
            State::Staged if installs => ChangeKind::Stage,
            // Files first; the name follows from elsewhere.
            State::Present if installs && self.others_list && self.item.truths.directive.is_drift() => {
                ChangeKind::Stage
            }
            _ if installs => ChangeKind::Install,
            _ if self.repair => ChangeKind::Repair,
            _ => ChangeKind::Upgrade,
        }
    }

    pub(super) fn change(&self, bundle: &Bundle, request: &Request<'_>, lookup: &Lookup<'_>) -> NodeChange {
        let (kind, item) = (self.kind(), &self.item);
        let before = self.from.as_ref().and_then(|digest| request.known.get(digest)).map(AsRef::as_ref);
        let (detail, diff) = match (kind, before) {
            (ChangeKind::Upgrade, Some(before)) => {
                let difference = lookup.difference(before, bundle);
                (difference.detail.clone(), difference.lines.clone())
            }
            (ChangeKind::Upgrade | ChangeKind::Repair, _) => (item.files.words(), Arc::new(self.by_digest())),
            _ => (contents(bundle), lookup.listing(bundle)),
        };
        let version = |bundle: &Bundle| bundle.plugins.values().find_map(|plugin| plugin.version.clone());
        let to = item.version.clone().or_else(|| version(bundle));
        let from = match kind {
            ChangeKind::Upgrade => before.and_then(version).or_else(|| item.loaded_version.clone()),
            _ => None,
        };
        let from = from.filter(|from| Some(from) != to.as_ref());
        let kind = match (kind, &from, &to) {
            (ChangeKind::Upgrade, Some(from), Some(to)) if is_before(to, from) => ChangeKind::Downgrade,
            _ => kind,
        };
        NodeChange { kind, name: bundle.name.to_string(), from, to, detail, diff }
    }

    /// What differs where only digests of what is on the node are known: the survey reads no content.
    fn by_digest(&self) -> Vec<String> {
        let root = &self.lua_root;
        let line = |(path, drift): (&String, &diff::FileDrift)| {
            let more = match drift {
                diff::FileDrift::Differs | diff::FileDrift::Extra => {
                    format!("; its content is not read; see it on the node: {root}/{path}")
                }
                diff::FileDrift::Missing | diff::FileDrift::Unknown => String::new(),
            };
            format!("{path}: {}{more}", drift_word(*drift))
        };
        self.item.files.files.iter().map(line).collect()
    }
}
fn drift_word(drift: diff::FileDrift) -> &'static str {
    match drift {
        diff::FileDrift::Missing => "missing on the node",
        diff::FileDrift::Differs => "differs on the node",
        diff::FileDrift::Extra => "on the node, not in the bundle",
        diff::FileDrift::Unknown => "could not be read",
    }
}

/// `handler, schema, 2 more files`.
fn contents(bundle: &Bundle) -> String {
    let has = |end: &str| bundle.files.keys().any(|path| path.as_str().ends_with(end));
    let mut words: Vec<String> = Vec::new();
    let mut named = 0;
    for part in ["handler", "schema", "api", "daos"] {
        let end = format!("/{part}.lua");
        if has(&end) {
            named += bundle.files.keys().filter(|path| path.as_str().ends_with(&end)).count();
            words.push(part.to_owned());
        }
    }
    match bundle.files.len().saturating_sub(named) {
        0 => {}
        1 => words.push("1 more file".to_owned()),
        more => words.push(format!("{more} more files")),
    }
    words.join(", ")
}
