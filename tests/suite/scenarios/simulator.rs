//! A plan carried out on nodes made of values, as the scripts carry it out: the basis is compared, a reload loads what is
//! on disk, and what the step promises has to hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster::action::{Action, Activate, Delete, Deliver, Keeping, Rehearse, ReloadWay, Switch, Unapply, Withdrawal};
use muster::bundle::Bundle;
use muster::kong::{EnvFile, SearchPath, clean_plugin_version};
use muster::name::{Digest, NodeName, PluginName, RunId};
use muster::plan::Step;
use muster::wire::{Intent, Manifest, Receipt};

use super::fleet::{NodeModel, Root, Standing, Tree};

/// How long one step takes on the clock of its node, in seconds.
const STEP: i64 = 60;

/// Carries out one step of a node. Panics where a script would answer `moved` or a proof would fail.
pub(crate) fn step(step: &Step, node: &NodeName, model: &mut NodeModel, known: &BTreeMap<Digest, Arc<Bundle>>) {
    model.clock += STEP;
    match &step.action {
        Action::Deliver(deliver) => model.deliver(deliver, known),
        Action::Rehearse(rehearse) => model.rehearse(rehearse, node),
        Action::Activate(activate) => model.activate(activate, step.id.number(), node),
        Action::Delete(delete) => model.delete(delete, node),
        Action::Unapply(_) | Action::Fence(_) => panic!("step {}: no step of a node", step.id),
    }
}

/// Takes rows out of use for a whole cluster. Panics where a row is there that the plan did not show.
pub(crate) fn unapply<'a>(unapply: &Unapply, nodes: impl Iterator<Item = (&'a NodeName, &'a mut NodeModel)>) {
    assert!(!unapply.through.is_empty(), "{}: no node to un-apply it through", unapply.name);
    for (node, model) in nodes {
        for (plugin, planned) in &unapply.rows {
            let Some(rows) = model.rows.get_mut(plugin.as_str()) else { continue };
            let new = rows.iter().find(|row| !planned.iter().any(|known| known.id == row.id));
            assert!(new.is_none(), "{node}: the plan did not show {new:?}");
            match unapply.how {
                Withdrawal::Delete => rows.clear(),
                Withdrawal::Disable => rows.iter_mut().filter(|row| row.enabled).for_each(|row| {
                    row.enabled = false;
                    row.updated_at = Some(model.clock);
                }),
            }
        }
        model.rows.retain(|_, rows| !rows.is_empty());
    }
}

/// The recount right before names go: through the node's own Kong, else through others that run.
pub(crate) fn counts(activate: &Activate, model: &NodeModel, through: usize, node: &NodeName) {
    if activate.gone.is_empty() {
        return;
    }
    if activate.way == ReloadWay::Stopped {
        assert!(!activate.count_through.is_empty(), "{node}: nobody to count through");
        assert_eq!(through, 0, "{node}: others count rows of what goes");
    } else {
        assert_eq!(model.used(&activate.gone), 0, "{node}: it counts rows of what goes");
    }
}

impl NodeModel {
    fn deliver(&mut self, deliver: &Deliver, known: &BTreeMap<Digest, Arc<Bundle>>) {
        let tree = Arc::new(Tree::of(&known[&deliver.digest]));
        self.releases.entry(deliver.bundle.clone()).or_default().insert(deliver.digest.clone(), tree);
    }

    /// What `rehearse.sh` loads: everything that is listed then, the new releases first.
    fn rehearse(&self, rehearse: &Rehearse, node: &NodeName) {
        for candidate in &*rehearse.staged {
            let there = self.releases.get(&candidate.bundle).is_some_and(|all| all.contains_key(&candidate.digest));
            assert!(there, "{node}: {} is rehearsed, and was not delivered", candidate.title());
        }
        let new = rehearse.staged.iter().flat_map(|candidate| &candidate.plugins).chain(&rehearse.added);
        assert!(new.count() > 0 || self.running.is_some(), "{node}: nothing is rehearsed");
    }

    /// How many rows use one of these plugins.
    pub(crate) fn used(&self, plugins: &BTreeSet<PluginName>) -> usize {
        plugins.iter().filter_map(|plugin| self.rows.get(plugin.as_str())).map(Vec::len).sum()
    }

    /// What `delete.sh` checks and does.
    fn delete(&mut self, delete: &Delete, node: &NodeName) {
        let generation = match &self.manifest {
            Some(Ok(manifest)) => manifest.generation,
            _ => 0,
        };
        assert_eq!(delete.generation, generation, "{node}: moved manifest");
        for listed in self.lists() {
            let named: Vec<_> = listed.intersection(&delete.plugins).collect();
            assert!(named.is_empty(), "{node}: {named:?} is listed or loaded, and its files are to go");
        }
        for (bundle, links) in &delete.bundles {
            let ours = |root: &Root| matches!(&root.standing, Standing::Linked(of) if of == bundle);
            for link in links {
                if self.roots.get(link).is_some_and(ours) {
                    self.roots.remove(link);
                }
            }
            self.releases.remove(bundle);
            self.current.remove(bundle);
        }
        for root in &delete.adopts {
            let standing = self.roots.remove(root).map(|root| root.standing);
            assert!(matches!(standing, Some(Standing::Foreign { .. })), "{node}: nothing foreign stands at {root}");
        }
        let manifest = delete.manifest.join("\n") + "\n";
        self.manifest = Some(Ok(Manifest::parse(&manifest).expect("the plan writes a manifest that muster reads")));
    }

    fn activate(&mut self, activate: &Activate, step: u32, node: &NodeName) {
        self.compare(activate, node);
        self.reload(activate, node);
        self.commit(activate, node);
        self.note(activate, step);
    }

    /// What `activate.sh` compares before it touches anything.
    fn compare(&self, activate: &Activate, node: &NodeName) {
        let basis = &activate.basis;
        assert_eq!(basis.conf, self.conf.as_ref().map(|bytes| Digest::of(bytes)), "{node}: moved conf");
        assert_eq!(basis.env, self.env.clone().map(|bytes| EnvFile::parse(bytes).digest()), "{node}: moved env");
        assert_eq!(basis.master, self.running.as_ref().map(|running| running.master), "{node}: moved master");
        for (path, digest) in &basis.sources {
            let found = self.unit.get(path.as_str()).map(|bytes| Digest::of(bytes));
            assert_eq!(*digest, found, "{node}: moved source {path}");
        }
        let generation = match &self.manifest {
            Some(Ok(manifest)) => manifest.generation,
            Some(Err(why)) => panic!("{node}: a step on a node whose manifest cannot be read: {why}"),
            None => 0,
        };
        assert_eq!(basis.generation, generation, "{node}: moved manifest");
        for switch in &activate.switches {
            assert_eq!(switch.from.as_ref(), self.current.get(&switch.bundle), "{node}: moved link {}", switch.bundle);
            let releases = self.releases.get(&switch.bundle);
            assert!(releases.is_some_and(|releases| releases.contains_key(&switch.to)), "{node}: moved release");
            for root in &switch.links {
                let ours = match self.roots.get(root).map(|root| &root.standing) {
                    None => true,
                    Some(Standing::Linked(bundle)) => *bundle == switch.bundle,
                    Some(Standing::Foreign { .. } | Standing::Denied) => false,
                };
                assert!(ours || switch.adopts.contains(root), "{node}: moved root {root}");
            }
        }
    }

    /// The reload, with the releases staged, and its proof.
    fn reload(&mut self, activate: &Activate, node: &NodeName) {
        match &activate.way {
            ReloadWay::Stopped => return assert!(self.running.is_none(), "{node}: it runs"),
            ReloadWay::Unneeded => return self.prove(activate, node),
            _ => {}
        }
        let env = EnvFile::parse(self.env.clone().unwrap_or_default());
        let releases = activate.staged.iter().map(|(bundle, digest)| {
            self.paths.home.join(&format!("releases/{bundle}/{digest}")).expect("a release is a path")
        });
        let releases: Vec<_> = releases.collect();
        let path = env.search_path().staged(&self.paths.home, &releases).expect("a release fits a search path");
        let bytes = env.with(&[("plugins", &activate.directive.1), ("lua_package_path", path.as_str())]);
        self.env = Some(bytes.expect("a candidate can be written"));
        let old = self.running.clone().unwrap_or_else(|| panic!("{node}: a reload of a Kong that does not run"));
        let first = old.workers.iter().map(|worker| worker.0).max().unwrap_or(old.master.0) + 1;
        let count = u32::try_from(old.workers.len()).unwrap_or(1);
        self.load(old.master, (0..count).map(|n| Self::process(first + n, self.clock)).collect());
        self.prove(activate, node);
    }

    fn prove(&self, activate: &Activate, node: &NodeName) {
        let running = self.running.as_ref().unwrap_or_else(|| panic!("{node}: Kong does not run"));
        for (plugin, version) in &activate.loaded {
            let found = running.loaded.get(plugin);
            assert!(found.is_some(), "{node}: the proof fails: {plugin} is not loaded");
            let clean = |text: &String| clean_plugin_version(text).unwrap_or_else(|| text.clone());
            let found = found.and_then(Option::as_ref).map(clean);
            assert!(
                version.is_none() || *version == found,
                "{node}: the proof fails: {plugin} is {found:?}, not {version:?}"
            );
        }
        for plugin in &activate.gone {
            assert!(!running.loaded.contains_key(plugin), "{node}: the proof fails: {plugin} is loaded");
        }
    }

    /// Links, kong.conf, the normal search path, the manifest.
    fn commit(&mut self, activate: &Activate, node: &NodeName) {
        let later = self.clock + 1;
        for switch in &activate.switches {
            self.switch(switch, later);
        }
        if let Some(edit) = &activate.conf {
            let elsewhere = edit.keeping != Keeping::Conf;
            let there = if elsewhere { self.unit.get(edit.path.as_str()) } else { self.conf.as_ref() }.cloned();
            assert_eq!(edit.before, there.as_ref().map(|bytes| Digest::of(bytes)), "{node}: moved conf");
            assert!(elsewhere || edit.path == self.conf_place.real, "{node}: the edit goes to another file");
            let before = there.unwrap_or_default();
            let offset = usize::try_from(edit.offset).expect("it fits");
            let end = offset + usize::try_from(edit.remove).expect("it fits");
            let after = [&before[..offset], edit.insert.as_bytes(), &before[end..]].concat();
            assert_eq!(edit.after, Digest::of(&after), "{node}: kong.conf became something else");
            if elsewhere {
                self.unit.insert(edit.path.to_string(), after);
            } else {
                self.conf = Some(after);
            }
            if let Keeping::DropIn { shows, .. } = &edit.keeping {
                assert!(self.environment().contains(shows), "{node}: systemd shows {:?}", self.environment());
            }
        }
        if self.running.is_some() {
            let env = EnvFile::parse(self.env.clone().unwrap_or_default());
            let path: SearchPath = env.search_path().unstaged(&self.paths.home);
            self.env = Some(env.with(&[("lua_package_path", path.as_str())]).expect("it can be written"));
        }
        let manifest = activate.manifest.join("\n") + "\n";
        self.manifest = Some(Ok(Manifest::parse(&manifest).expect("the plan writes a manifest that muster reads")));
    }

    fn switch(&mut self, switch: &Switch, at: i64) {
        self.current.insert(switch.bundle.clone(), switch.to.clone());
        for root in &switch.links {
            let standing = Standing::Linked(switch.bundle.clone());
            self.roots.insert(root.clone(), Root { standing, newest: at });
        }
        for root in &switch.unlinks {
            let ours = |root: &Root| matches!(&root.standing, Standing::Linked(bundle) if *bundle == switch.bundle);
            if self.roots.get(root).is_some_and(ours) {
                self.roots.remove(root);
            }
        }
    }

    fn note(&mut self, activate: &Activate, step: u32) {
        let running = self.running.as_ref();
        let did = |switch: &Switch| Intent {
            done: true,
            what: vec!["switch".to_owned(), switch.bundle.to_string(), switch.to.to_string()],
        };
        let milliseconds = u64::try_from(self.clock).unwrap_or(0) * 1000;
        self.receipts.push(Receipt {
            commit: None,
            run: RunId::from_parts(milliseconds, 7),
            step,
            intents: activate.switches.iter().map(did).collect(),
            master: running.map(|running| running.master),
            workers: running.map(|running| running.workers.clone()).unwrap_or_default(),
            content: (*activate.content).clone(),
            boot: Some(self.boot.clone()),
            result: Some("changed".to_owned()),
        });
    }
}
