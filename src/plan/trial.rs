//! The trial load of a node: what is to be loaded anew there, tried with its own Kong before anything changes (measured.md 3).

use std::collections::BTreeSet;

use super::node::Draft;
use crate::action::{Activate, Candidate, Rehearse, ReloadWay, Switch};
use crate::bundle::Bundle;
use crate::diff;
use crate::inventory::BundleSource;
use crate::kong::{Directive, SearchPath};
use crate::name::{BundleName, Digest, PluginName};

/// Why there is such a step.
pub(super) const WHY: &str = "it has to load with the node's own Kong before anything there changes";

/// What is rehearsed before the activation that was made; nothing where it loads nothing anew, or no trial load can be made:
/// then that is noted.
pub(super) fn make(draft: &mut Draft<'_>) -> Option<Rehearse> {
    let activate = draft.plan.activate.as_deref()?;
    // What is listed again because it is used again was loaded a moment ago, and there is no time to lose.
    if activate.way == ReloadWay::Unneeded || draft.removals.back.is_some() {
        return None;
    }
    let added = added(activate);
    let staged = staged(draft, activate);
    let owed = draft.reload && !draft.facts.undoes && !activate.loaded.is_empty();
    if added.is_empty() && staged.is_empty() && !owed {
        return None;
    }
    let plugins = activate.directive.1.clone();
    if let Some(why) = impossible(draft) {
        draft.plan.notes.push(("no trial load".to_owned(), format!("no trial load here: {why}")));
        return None;
    }
    let home = &draft.node.kong.home;
    let path = diff::next_path(&draft.node.kong, draft.facts);
    let search_path = path.map(|path| SearchPath::new(path).unstaged(home).as_str().to_owned());
    let staged = draft.lookup.alike().rehearsed.share(&draft.cluster.name, staged.into());
    Some(Rehearse { plugins, added, staged, search_path, runs: draft.diff.running })
}

/// Names that the directive did not have.
fn added(activate: &Activate) -> BTreeSet<PluginName> {
    let (before, after) = &*activate.directive;
    let before = Directive::parse(before);
    Directive::parse(after).plugins().into_iter().filter(|name| !before.names(name)).cloned().collect()
}

/// Bundles whose new content is loaded.
fn staged(draft: &Draft<'_>, activate: &Activate) -> Vec<Candidate> {
    let loaded = |switch: &&Switch| switch.plugins.iter().any(|plugin| activate.loaded.contains_key(plugin));
    activate.switches.iter().filter(loaded).map(|switch| candidate(draft, switch)).collect()
}

fn candidate(draft: &Draft<'_>, switch: &Switch) -> Candidate {
    let version = draft.diff.items.get(switch.bundle.as_str()).and_then(|item| item.version.clone());
    Candidate {
        bundle: switch.bundle.clone(),
        version,
        digest: switch.to.clone(),
        plugins: switch.plugins.clone(),
        source: source(draft, &switch.bundle, &switch.to),
    }
}

/// Where its files are in the repository.
fn source(draft: &Draft<'_>, name: &BundleName, digest: &Digest) -> Option<(String, String)> {
    let is_it = |bundle: &Bundle| bundle.digest == *digest;
    let ((_, version), bundle) =
        draft.request.bundles.iter().find(|((of, _), bundle)| of == name && is_it(bundle.as_ref()))?;
    let entry = draft.request.inventory.bundles.get(name)?;
    let BundleSource::Directory { dir, .. } = entry.source(version.as_ref())? else { return None };
    let (here, there) = bundle.lead.clone();
    let dir = if dir.as_str() == "." { String::new() } else { format!("{dir}/") };
    Some((here, format!("{dir}{there}")))
}

/// Why Kong's command cannot make one there, as far as that can be seen beforehand.
fn impossible(draft: &Draft<'_>) -> Option<&'static str> {
    let vault = || {
        draft
            .facts
            .env_file
            .as_ref()
            .is_some_and(|env| env.open().bytes().windows(9).any(|bytes| bytes == b"{vault://"))
    };
    if draft.diff.running && vault() {
        return Some("its settings hold vault references, which only its own environment can resolve");
    }
    (!draft.facts.host.tools.contains("perl")).then_some("it has no perl, which Kong's command needs")
}
