//! What can be said against a commit without looking at a node: assignments that every plan would hold, and content that
//! nothing uses.

use crate::inventory::{Assignment, BundleEntry, Cluster, Place, State};
use crate::kong::directive::is_bundled;
use crate::name::{BundleName, PluginName};

use super::Desired;

/// Something that is probably not meant, with its place in the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Where in the inventory.
    pub place: Place,
    /// What.
    pub what: String,
    /// What to do about it.
    pub instead: String,
}

/// All doubts about a commit, by their place.
pub fn doubts(desired: &Desired) -> Vec<Doubt> {
    let clusters = desired.inventory.clusters.values();
    let assigned = clusters.flat_map(|cluster| cluster.plugins.values().map(move |it| (cluster, it)));
    let held =
        assigned.filter(|(_, it)| it.state == State::Absent).flat_map(|(cluster, it)| held(desired, cluster, it));
    let mut doubts: Vec<Doubt> = held.chain(unused(desired)).chain(super::plugin_doubts::of(desired)).collect();
    doubts.sort_by_key(|doubt| doubt.place);
    doubts
}

/// Why every plan would hold this removal.
fn held(desired: &Desired, cluster: &Cluster, assignment: &Assignment) -> Vec<Doubt> {
    let place = assignment.place;
    let plugins = plugins(desired, assignment);
    let bundled = plugins.iter().filter(|plugin| is_bundled(plugin)).map(|plugin| Doubt {
        place,
        what: format!("{plugin} comes with Kong: nothing of it would be removed from {}", cluster.name),
        instead: "take the entry out; its rows are removed where they are configured".to_owned(),
    });
    let declared = cluster.declared_in.iter().flat_map(|named| {
        let places = plugins.iter().filter_map(|plugin| Some((plugin, named.declares.plugins.get(plugin)?.first()?)));
        places.map(|(plugin, at)| Doubt {
            place,
            what: format!(
                "{plugin} is absent on {}, and {}:{at} declares it: its removal would be held",
                cluster.name, named.file
            ),
            instead: "take it out there, and commit both".to_owned(),
        })
    });
    bundled.chain(declared).collect()
}

/// The plugins that an assignment is about; of a bundle, those of all of its versions that could be read.
fn plugins(desired: &Desired, assignment: &Assignment) -> Vec<PluginName> {
    let of_bundle = |bundle: &BundleName| {
        let versions = desired.bundles.iter().filter(|((name, _), _)| name == bundle);
        let mut names: Vec<PluginName> = versions.flat_map(|(_, content)| content.plugins.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    };
    match (assignment.subject.bundle(), assignment.subject.plugin()) {
        (Some(bundle), _) => of_bundle(bundle),
        (None, Some(plugin)) => vec![plugin.clone()],
        (None, None) => Vec::new(),
    }
}

/// Bundles that no cluster is assigned. Of a bundle with versions one assigned version is enough: the others are kept to go
/// back to.
fn unused(desired: &Desired) -> impl Iterator<Item = Doubt> {
    let assigned = |name: &BundleName| {
        let mut all = desired.inventory.clusters.values().flat_map(|cluster| cluster.plugins.values());
        all.any(|assignment| assignment.subject.bundle() == Some(name))
    };
    let idle = desired.inventory.bundles.iter().filter(move |(name, _)| !assigned(name));
    idle.filter_map(|(name, entry)| {
        Some(Doubt {
            place: first(entry)?,
            what: format!("bundle {name} is assigned by no cluster, and its content was not read"),
            instead: format!("assign it under a cluster's `plugins`, as  {name}: present  or by its version"),
        })
    })
}

fn first(entry: &BundleEntry) -> Option<Place> {
    entry.sources().first().map(|(_, source)| source.place())
}
