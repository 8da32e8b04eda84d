//! Inventory and fleet in, diff and plan out; the plan is carried out on nodes made of values, and nothing is left to do.
//!
//! Each file of tests/data/scenarios is one scenario; how they are written is in the README there. `UPDATE=1` writes what came
//! out into the files, to be read before it is committed.

mod example;
mod file;
mod fleet;
mod import;
mod properties;
mod removals;
mod simulator;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use muster::action::{Action, Delete};
use muster::bundle::Bundle;
use muster::diff::{self, Bundles, Condition, FleetDiff, Mark};
use muster::inventory::{Cluster, Inventory, Node};
use muster::name::{BundlePath, ClusterName, Digest, NodeName, Revision};
use muster::plan::{self, Goal, Judgement, Origin, Phase, Plan, Request, Step, StepId};
use muster::survey::{NodeSurvey, Survey};

use file::{Scenario, Seen, World, key};
use fleet::NodeModel;

use crate::harness::variable;

/// Diff and plan of a world as it stands.
pub(crate) struct Planned {
    pub(crate) diff: FleetDiff,
    pub(crate) plan: Plan,
}

/// The roots that are looked at on a node, as `fleet` asks for them.
pub(crate) fn roots(cluster: &Cluster, node: &Node, bundles: &Bundles) -> BTreeSet<BundlePath> {
    let mut roots = BTreeSet::new();
    for assignment in cluster.assignments(node) {
        if let Some(plugin) = assignment.subject.plugin() {
            roots.extend(BundlePath::parse(&format!("kong/plugins/{plugin}")));
        }
        let key = assignment.subject.bundle().map(|name| (name.clone(), assignment.version.clone()));
        roots.extend(key.and_then(|key| bundles.get(&key)).into_iter().flat_map(|bundle| bundle.roots.iter().cloned()));
    }
    roots
}

/// Where all of it is said to come from.
pub(crate) fn origin() -> Origin {
    Origin {
        repository: "gateway-fleet".to_owned(),
        revision: Revision::parse(&"3f2a91c0".repeat(5)).expect("a revision"),
        summary: "tag: raise limit".to_owned(),
        branch: Some("main".to_owned()),
    }
}

impl World {
    /// The bundles that are assigned.
    pub(crate) fn assigned(&self) -> Bundles {
        let all: Bundles = self.bundles.iter().map(|(text, bundle)| (key(text), bundle.clone())).collect();
        let assigned = self.inventory.clusters.values().flat_map(|cluster| cluster.plugins.values());
        let keys = assigned.filter_map(|one| Some((one.subject.bundle()?.clone(), one.version.clone())));
        keys.map(|key| {
            let bundle = all.get(&key).unwrap_or_else(|| panic!("the scenario has no bundle {key:?}")).clone();
            (key, bundle)
        })
        .collect()
    }

    /// Every bundle by digest.
    pub(crate) fn known(&self) -> BTreeMap<Digest, Arc<Bundle>> {
        self.bundles.values().map(|bundle| (bundle.digest.clone(), bundle.clone())).collect()
    }

    fn survey(&self, bundles: &Bundles) -> Survey {
        let look = |cluster: &Cluster, node: &Node| match &self.nodes[&node.name] {
            Seen::Unreachable(trouble) => NodeSurvey::Unreachable(trouble.clone()),
            Seen::Refused(trouble) => NodeSurvey::Refused(trouble.clone()),
            Seen::Model(model) => NodeSurvey::Seen(Arc::new(model.facts(&roots(cluster, node, bundles)))),
        };
        let clusters = self.inventory.clusters.values();
        let nodes = clusters.flat_map(|cluster| cluster.active().map(|node| (node.name.clone(), look(cluster, node))));
        let nodes: BTreeMap<NodeName, NodeSurvey> = nodes.collect();
        Survey { at: jiff::Timestamp::from_second(fleet::CLOCK).expect("a time"), nodes, ..Survey::default() }
    }

    /// Looks, compares and plans.
    pub(crate) fn planned(&self) -> Planned {
        let (bundles, known) = (self.assigned(), self.known());
        let survey = self.survey(&bundles);
        let diff = diff::diff(&self.inventory, &bundles, &survey);
        let request = Request {
            inventory: &self.inventory,
            bundles: &bundles,
            known: &known,
            survey: &survey,
            diff: &diff,
            origin: origin(),
            selection: self.selection.clone(),
            allow: self.allow.clone(),
            goal: self.goal.clone(),
            trials: &[],
        };
        let plan = plan::plan(&request);
        Planned { diff, plan }
    }

    /// Carries the plan out, step by step in its order.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.carry_out(step);
        }
    }

    /// Carries one step out.
    pub(crate) fn carry_out(&mut self, step: &Step) {
        match &step.action {
            Action::Unapply(unapply) => simulator::unapply(unapply, self.models(&step.cluster)),
            Action::Fence(fence) => {
                let bundles = self.assigned();
                let survey = self.survey(&bundles);
                let diff = diff::diff(&self.inventory, &bundles, &survey);
                let judged = plan::judge(fence, &survey, &diff);
                assert_eq!(judged, Judgement::Holds, "step {}: the fence does not hold", step.id);
            }
            Action::Activate(activate) => {
                let through: Vec<NodeName> = activate.count_through.clone();
                let known = self.known();
                let counted: usize = through.iter().map(|node| self.model(node).used(&activate.gone)).sum();
                let node = step.target.node().expect("a node is activated");
                simulator::counts(activate, self.model(node), counted, node);
                simulator::step(step, node, self.model(node), &known);
            }
            Action::Deliver(_) | Action::Rehearse(_) | Action::Delete(_) => {
                let known = self.known();
                let node = step.target.node().expect("it is a step of a node");
                simulator::step(step, node, self.model(node), &known);
                if let Action::Delete(delete) = &step.action {
                    self.gone_elsewhere(node, delete);
                }
            }
        }
    }

    /// Files that go on one node go for every node with the same Lua root.
    fn gone_elsewhere(&mut self, node: &NodeName, delete: &Delete) {
        let from = self.model(node);
        let here = (from.machine.clone(), from.lua_root_id);
        for seen in self.nodes.values_mut() {
            if let Seen::Model(model) = seen
                && (model.machine.clone(), model.lua_root_id) == here
            {
                let roots = delete.bundles.values().flatten().chain(&delete.adopts);
                roots.for_each(|root| drop(model.roots.remove(root)));
                for listed in model.lists() {
                    assert!(listed.is_disjoint(&delete.plugins), "files go that a node with the same Lua root lists");
                }
            }
        }
    }

    fn model(&mut self, node: &NodeName) -> &mut NodeModel {
        match self.nodes.get_mut(node) {
            Some(Seen::Model(model)) => model,
            _ => panic!("a step for {node}, which nobody has seen"),
        }
    }

    fn models(&mut self, cluster: &ClusterName) -> impl Iterator<Item = (&NodeName, &mut NodeModel)> {
        let cluster = &self.inventory.clusters[cluster];
        self.nodes.iter_mut().filter_map(|(name, seen)| match seen {
            Seen::Model(model) if cluster.nodes.contains_key(name) => Some((name, &mut **model)),
            _ => None,
        })
    }
}

/// What must hold of every plan, whatever it was made from; the first that does not, in words.
pub(crate) fn sound(inventory: &Inventory, planned: &Planned) -> Result<(), String> {
    let Planned { plan, diff, .. } = planned;
    let mut activated = BTreeSet::new();
    for (at, step) in plan.steps.iter().enumerate() {
        if step.id.index() != at || step.needs.iter().any(|need| *need >= step.id) {
            return Err(format!("step {} needs something that is not before it", step.id));
        }
        let Some(node) = step.target.node() else { continue };
        if step.action.verb() == "activate" && !activated.insert(node.clone()) {
            return Err(format!("{node} is activated twice"));
        }
        let changing = plan.clusters.iter().any(|cluster| cluster.nodes.changing.contains(node));
        if !changing {
            return Err(format!("{node} has a step and is not among those that change"));
        }
    }
    ordered(plan)?;
    for cluster in &plan.clusters {
        let lists = &cluster.nodes;
        let all = [&lists.changing, &lists.in_line, &lists.blocked, &lists.unknown, &lists.out, &lists.left_out];
        let mut listed: Vec<&NodeName> = all.into_iter().flatten().collect();
        listed.sort();
        let wanted: Vec<&NodeName> = inventory.clusters[&cluster.cluster].nodes.keys().collect();
        if listed != wanted {
            return Err(format!("{}: the lists have {listed:?}, the inventory {wanted:?}", cluster.cluster));
        }
        for node in &lists.changing {
            if !plan.steps.iter().any(|step| step.target.is(node)) {
                return Err(format!("{node} is said to change and has no step"));
            }
        }
        // Rows belong to no node: where only they are too many, the step of the cluster is the word.
        let rows_only = |node: &diff::NodeDiff| {
            let unapplied = plan.steps.iter().any(|s| s.phase == Phase::Unapply && s.cluster == cluster.cluster);
            let of_rows = |item: &diff::Item| {
                let diff::Truths { files, directive, loaded, used } = item.truths;
                !item.truths.is_drift()
                    || (used == Mark::Extra && [files, directive, loaded].iter().all(|m| !m.is_drift()))
            };
            unapplied && node.items.values().all(|item| of_rows(item))
        };
        let said: BTreeSet<&NodeName> =
            plan.notes.iter().filter(|note| note.topic == "shared").flat_map(|note| &note.nodes).collect();
        let quiet = |node: &&NodeName| {
            let drifts = |d: &diff::NodeDiff| matches!(d.condition, Condition::Drift | Condition::ReloadOwed);
            diff.node(node).is_some_and(|node| drifts(node) && !rows_only(node)) && !said.contains(node)
        };
        if let Some(node) = lists.in_line.iter().find(quiet) {
            return Err(format!("{node} has drift and is listed as in line, without a word why"));
        }
    }
    Ok(())
}

/// What must hold of the order of a removal.
pub(crate) fn ordered(plan: &Plan) -> Result<(), String> {
    for cluster in &plan.clusters {
        let steps = || plan.steps.iter().filter(|step| step.cluster == cluster.cluster);
        let of = |is: fn(&Action) -> bool| -> Vec<StepId> { steps().filter(|s| is(&s.action)).map(|s| s.id).collect() };
        let unapplied = of(|action| matches!(action, Action::Unapply(_)));
        let removing = of(|action| matches!(action, Action::Activate(activate) if !activate.gone.is_empty()));
        let fences = of(|action| matches!(action, Action::Fence(_)));
        let needs_all = |step: &Step, all: &[StepId]| all.iter().all(|id| step.needs.contains(id));
        for step in steps() {
            let right = match &step.action {
                Action::Activate(activate) => {
                    let own = |s: &&Step| s.target == step.target && s.phase == Phase::Prepare;
                    let before: Vec<StepId> = steps().filter(own).map(|s| s.id).collect();
                    needs_all(step, &before) && (activate.gone.is_empty() || needs_all(step, &unapplied))
                }
                Action::Rehearse(_) => {
                    let own = |s: &&Step| s.target == step.target && matches!(s.action, Action::Deliver(_));
                    let before: Vec<StepId> = steps().filter(own).map(|s| s.id).collect();
                    step.phase == Phase::Prepare && needs_all(step, &before)
                }
                Action::Fence(_) => needs_all(step, &removing) && needs_all(step, &unapplied),
                Action::Delete(_) => {
                    let own = steps().find(|s| s.target == step.target && s.action.verb() == "activate");
                    fences.len() == 1 && needs_all(step, &fences) && own.is_none_or(|own| step.needs.contains(&own.id))
                }
                Action::Deliver(_) | Action::Unapply(_) => true,
            };
            if !right {
                return Err(format!("step {} does not need what has to come before it", step.id));
            }
        }
    }
    Ok(())
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios")
}

/// What a scenario comes to.
fn outcome(scenario: &Scenario) -> Result<String, String> {
    let mut world = scenario.world()?;
    let labels: text::Labels = world.bundles.iter().map(|(key, bundle)| (bundle.digest.clone(), key.clone())).collect();
    let first = world.planned();
    let narrowed = world.selection.plugins.is_some();
    if !narrowed && world.goal == Goal::InLine {
        sound(&world.inventory, &first)?;
    }
    if first.plan != world.planned().plan {
        return Err("planning the same twice gives two plans".to_owned());
    }
    let mut out = text::diff(&first.diff) + &text::plan(&first.plan, &labels);
    world.apply(&first.plan);
    let second = world.planned();
    let again: BTreeSet<&NodeName> = second.plan.steps.iter().filter_map(|step| step.target.node()).collect();
    let left: Vec<&NodeName> =
        first.plan.steps.iter().filter_map(|step| step.target.node()).filter(|node| again.contains(node)).collect();
    let withdrawn = |plan: &Plan| plan.steps.iter().any(|step| step.phase == Phase::Unapply);
    if !left.is_empty() || (withdrawn(&first.plan) && withdrawn(&second.plan)) {
        return Err(format!(
            "after the plan was carried out there is more to do on {left:?}:\n{}{}",
            text::diff(&second.diff),
            text::plan(&second.plan, &labels)
        ));
    }
    if !first.plan.is_empty() {
        out.push_str("then\n");
        out.push_str(&text::diff(&second.diff));
    }
    Ok(out)
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory()).expect("the scenarios can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_scenario_comes_out_as_its_file_says() {
    let update = variable("UPDATE").is_some_and(|update| update == "1");
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() >= 40, "only {} scenarios were found", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a scenario can be read");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scenario = match Scenario::parse(&text) {
            Ok(scenario) => scenario,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert!(!scenario.about.is_empty(), "{name} does not say what it is about");
        let outcome = std::panic::catch_unwind(|| outcome(&scenario));
        let found = match outcome {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => {
                wrong.push(format!("{name}: {why}"));
                continue;
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned());
                wrong.push(format!("{name}: {text}"));
                continue;
            }
        };
        if found == scenario.expect {
            continue;
        }
        if update {
            std::fs::write(&path, rewritten(&text, &found)).expect("a scenario can be written");
        } else {
            let diff = similar::TextDiff::from_lines(scenario.expect.as_str(), found.as_str());
            wrong.push(format!("{name}:\n{}", diff.unified_diff().context_radius(2).header("expected", "found")));
        }
    }
    assert!(wrong.is_empty(), "{} scenarios:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_large_fleet_is_compared_and_planned() {
    let fleet::Large { inventory, bundles, known, survey } = fleet::Large::new(60, 8);
    let diff = diff::diff(&inventory, &bundles, &survey);
    let request = Request {
        inventory: &inventory,
        bundles: &bundles,
        known: &known,
        survey: &survey,
        diff: &diff,
        origin: origin(),
        selection: plan::Selection::default(),
        allow: Vec::new(),
        goal: Goal::InLine,
        trials: &[],
    };
    let plan = plan::plan(&request);
    assert_eq!(diff.counts(), (20, 40, 0));
    assert_eq!((plan.reloads(), plan.steps.len(), plan.blockers.len()), (40, 40 * 10, 0));
    let nodes: Vec<usize> = plan.clusters[0].changes.iter().map(|change| change.nodes.len()).collect();
    assert_eq!(nodes, [20; 16], "each change is listed once, with its nodes");
}

/// The file with its last key, `expect`, written anew.
fn rewritten(text: &str, found: &str) -> String {
    let head = text.find("\nexpect:").map_or(text.trim_end(), |at| text[..at].trim_end());
    let lines = found.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    format!("{head}\nexpect: |\n{}", lines.collect::<String>())
}
