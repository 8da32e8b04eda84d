//! A plan carried out on nodes made of values, as the scripts carry it out: the basis is compared, a reload loads what is
//! on disk, and what the step promises has to hold afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster::action::{Action, Activate, Deliver, ReloadWay, Switch};
use muster::bundle::Bundle;
use muster::kong::{EnvFile, SearchPath, clean_plugin_version};
use muster::name::{Digest, NodeName, RunId};
use muster::plan::Plan;
use muster::wire::{Intent, Manifest, Receipt};

use super::fleet::{NodeModel, Root, Standing, Tree};

/// How long one step takes on the clock of its node, in seconds.
const STEP: i64 = 60;

/// Carries out every step in its order. Panics where a script would answer `moved` or a proof would fail.
pub(crate) fn apply(plan: &Plan, nodes: &mut BTreeMap<NodeName, NodeModel>, known: &BTreeMap<Digest, Arc<Bundle>>) {
    for step in &plan.steps {
        let Some(node) = step.target.node() else { panic!("step {}: no step of a node", step.id) };
        let model = nodes.get_mut(node).unwrap_or_else(|| panic!("a step for {node}, which nobody has seen"));
        model.clock += STEP;
        match &step.action {
            Action::Deliver(deliver) => model.deliver(deliver, known),
            Action::Activate(activate) => model.activate(activate, step.id.number(), node),
            Action::Unapply(_) | Action::Fence(_) | Action::Delete(_) => panic!("step {}: not played", step.id),
        }
    }
}

impl NodeModel {
    fn deliver(&mut self, deliver: &Deliver, known: &BTreeMap<Digest, Arc<Bundle>>) {
        let tree = Arc::new(Tree::of(&known[&deliver.digest]));
        self.releases.entry(deliver.bundle.clone()).or_default().insert(deliver.digest.clone(), tree);
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
        match activate.way {
            ReloadWay::Candidate | ReloadWay::Hup => {}
            ReloadWay::Stopped => return assert!(self.running.is_none(), "{node}: it runs"),
            ReloadWay::Unneeded => return self.prove(activate, node),
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
            let before = self.conf.clone().unwrap_or_default();
            assert_eq!(edit.before, Digest::of(&before), "{node}: moved conf");
            assert_eq!(edit.path, self.conf_place.real, "{node}: the edit goes to another file");
            let offset = usize::try_from(edit.offset).expect("it fits");
            let end = offset + usize::try_from(edit.remove).expect("it fits");
            let after = [&before[..offset], edit.insert.as_bytes(), &before[end..]].concat();
            assert_eq!(edit.after, Digest::of(&after), "{node}: kong.conf became something else");
            self.conf = Some(after);
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
