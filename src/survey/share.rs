//! What many nodes have alike is kept once: 5,000 nodes with 50 plugins each are a million files, and a few hundred that
//! differ.

use std::collections::{BTreeMap, BTreeSet};

use super::{FileFacts, NodeFacts, PluginRow, ServiceFacts};
use crate::hint::Sealed;
use crate::kong::service::Unit;
use crate::kong::{Conf, EnvFile};
use crate::name::{BundleName, BundlePath, Digest, PluginName, Pool, Shared};
use crate::wire::Manifest;

/// Shares the facts of the nodes of one survey.
#[derive(Default)]
pub struct Sharer {
    files: Pool<BundlePath, BTreeMap<String, FileFacts>>,
    confs: Pool<(), Conf>,
    envs: Pool<(), EnvFile>,
    units: Pool<(), Unit>,
    manifests: Pool<(), Manifest>,
    releases: Pool<(), BTreeMap<BundleName, BTreeSet<Digest>>>,
    current: Pool<(), BTreeMap<BundleName, Digest>>,
    loaded: Pool<(), BTreeMap<PluginName, Option<String>>>,
    priorities: Pool<(), BTreeMap<PluginName, i64>>,
    plugins: Pool<(), Vec<String>>,
    rows: Pool<(), BTreeMap<String, Vec<PluginRow>>>,
}

fn swap<K: Ord + Clone, T: PartialEq>(pool: &mut Pool<K, T>, key: &K, value: &mut Shared<T>) {
    *value = pool.share(key, value.clone());
}

fn swap_sealed<T: PartialEq>(pool: &mut Pool<(), T>, value: &mut Option<Sealed<Shared<T>>>) {
    if let Some(sealed) = value {
        *value = Some(Sealed::new(pool.share(&(), sealed.open().clone())));
    }
}

impl Sharer {
    /// Replaces what an earlier node had alike. The facts read the same afterwards.
    pub fn share(&mut self, facts: &mut NodeFacts) {
        for (path, root) in &mut facts.roots {
            swap(&mut self.files, path, &mut root.files);
        }
        swap_sealed(&mut self.confs, &mut facts.conf_file);
        swap_sealed(&mut self.envs, &mut facts.env_file);
        if let ServiceFacts::Unit(unit) = &mut facts.service {
            *unit = Sealed::new(self.units.share(&(), unit.open().clone()));
        }
        if let Some(Ok(manifest)) = &mut facts.manifest {
            swap(&mut self.manifests, &(), manifest);
        }
        swap(&mut self.releases, &(), &mut facts.releases);
        swap(&mut self.current, &(), &mut facts.current);
        if let Ok(admin) = &mut facts.admin {
            swap(&mut self.loaded, &(), &mut admin.loaded);
            swap(&mut self.priorities, &(), &mut admin.priorities);
            swap(&mut self.plugins, &(), &mut admin.plugins);
            swap(&mut self.rows, &(), &mut admin.rows);
        }
    }
}
