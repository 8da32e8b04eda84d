//! What a cluster is to lose, and whether its rows let it: decided once for all nodes, before any of them is planned.
//!
//! Kong refuses to load a configuration that uses a plugin which is not listed, so that rows go first, then the name on every
//! node, then the files (measured.md 5 and 6). Whatever cannot be known holds the removal.

use std::collections::{BTreeMap, BTreeSet};

use super::usage::{self, Usage};
use super::{Blocker, BlockerCode, Goal, Request, Scope};
use crate::action::{Unapply, Withdrawal};
use crate::diff::{ClusterDiff, Item, Mark};
use crate::hint::Hint;
use crate::inventory::{self, Assignment, Cluster, State, Topology};
use crate::kong::directive::is_bundled;
use crate::name::{NodeName, PluginName, collapse};

/// The tag of every row that Kong's ingress controller for Kubernetes writes.
const INGRESS_CONTROLLER: &str = "managed-by-ingress-controller";

/// A bundle or plugin that is to go.
pub(super) struct Subject<'a> {
    /// As the inventory or the manifest names it.
    pub(super) name: String,
    /// Its plugins, on whichever node.
    pub(super) plugins: BTreeSet<PluginName>,
    /// What the inventory says of it; nothing of what left it.
    pub(super) assignment: Option<&'a Assignment>,
    /// What uses it.
    pub(super) usage: Usage,
    /// What is decided.
    pub(super) ruling: Ruling,
}

/// What becomes of it.
pub(super) enum Ruling {
    /// Nothing uses it: its name may go.
    Free,
    /// This step deletes its rows, and behind it its name may go.
    Behind(Box<Unapply>),
    /// Its rows stay, so that its name stays too. Some may be disabled meanwhile.
    Held(Option<Box<Unapply>>, Blocker),
    /// It is not ours to remove: nothing is touched.
    NotOurs(Blocker),
}

impl Subject<'_> {
    /// Whether only its name is to go, and its files are wanted.
    pub(super) fn is_staged(&self) -> bool {
        self.assignment.is_some_and(|assignment| assignment.state == State::Staged)
    }

    /// The step that takes it out of use, if there is one.
    pub(super) fn unapply(&self) -> Option<&Unapply> {
        match &self.ruling {
            Ruling::Behind(step) | Ruling::Held(Some(step), _) => Some(step),
            Ruling::Free | Ruling::Held(None, _) | Ruling::NotOurs(_) => None,
        }
    }

    /// Whether its names may go with this plan.
    pub(super) fn goes(&self) -> bool {
        matches!(self.ruling, Ruling::Free | Ruling::Behind(_))
    }
}

/// Everything that a cluster is to lose, by name.
#[derive(Default)]
pub(super) struct Removals<'a> {
    pub(super) subjects: BTreeMap<String, Subject<'a>>,
    /// Nodes that a selection leaves out: what belongs to the whole cluster is not touched then.
    pub(super) left_out: Vec<NodeName>,
    /// Through whom rows are counted where a node's own Kong is stopped.
    pub(super) through: Vec<NodeName>,
    /// What would stand in the way and was lifted, in words.
    pub(super) lifted: Vec<String>,
    /// Plugins that are to be listed again, and nothing else ([`Goal::PutBack`]).
    pub(super) back: Option<BTreeSet<PluginName>>,
}

/// What is read to decide.
struct Judge<'a> {
    request: &'a Request<'a>,
    cluster: &'a Cluster,
    diff: &'a ClusterDiff,
    left_out: Vec<NodeName>,
}

impl<'a> Removals<'a> {
    /// Decides.
    pub(super) fn of(request: &'a Request<'a>, cluster: &'a Cluster, diff: &'a ClusterDiff) -> Self {
        let left_out = cluster.active().filter(|node| !request.selection.node(node)).map(|node| node.name.clone());
        let mut removals = Self { left_out: left_out.collect(), ..Self::default() };
        if let Goal::PutBack { plugins, .. } = &request.goal {
            let usage = Usage::of(request, cluster, plugins);
            let used = |plugin: &&PluginName| !usage.known || usage.rows.contains_key(*plugin);
            removals.back = Some(plugins.iter().filter(used).cloned().collect());
            return removals;
        }
        let judge = Judge { request, cluster, diff, left_out: removals.left_out.clone() };
        let mut subjects = judge.subjects();
        subjects.retain(|name, _| request.selection.plugin(name) && judge.differs(name));
        let judged = subjects.into_iter().map(|(name, (plugins, assignment))| {
            let usage = Usage::of(request, cluster, &plugins);
            let mut subject = Subject { name: name.clone(), plugins, assignment, usage, ruling: Ruling::Free };
            subject.ruling = judge.ruling(&subject);
            (name, subject)
        });
        removals.subjects = judged.collect();
        let lifted = removals.subjects.values().filter(|subject| subject.unapply().is_some());
        removals.lifted = lifted.filter_map(|subject| judge.managed(subject)).map(|blocker| blocker.what).collect();
        let plugins = removals.subjects.values().flat_map(|subject| subject.plugins.iter().cloned()).collect();
        if !removals.subjects.is_empty() {
            removals.through = usage::through(request, cluster, &plugins);
        }
        removals
    }

    /// Whether any step takes something out of use.
    pub(super) fn unapplies(&self) -> bool {
        self.subjects.values().any(|subject| subject.unapply().is_some())
    }
}

type Named<'a> = BTreeMap<String, (BTreeSet<PluginName>, Option<&'a Assignment>)>;

impl<'a> Judge<'a> {
    /// What is to be absent, what is to be staged only, and with `prune` what left the inventory.
    fn subjects(&self) -> Named<'a> {
        let mut subjects = Named::new();
        for assignment in self.cluster.plugins.values().filter(|assignment| assignment.state != State::Present) {
            let name = assignment.subject.as_str();
            let items = self.diff.nodes.values().filter_map(|node| node.items.get(name));
            let plugins = items.take(1).flat_map(|item| item.plugins.iter().cloned());
            subjects.insert(name.to_owned(), (plugins.collect(), Some(assignment)));
        }
        if self.request.inventory.prune {
            for (node, bundle) in self.diff.nodes.values().flat_map(|node| node.orphans.keys().map(move |b| (node, b)))
            {
                let Some(item) = node.items.get(bundle.as_str()) else { continue };
                let entry = subjects.entry(bundle.to_string()).or_default();
                entry.0.extend(item.plugins.iter().cloned());
            }
        }
        subjects
    }

    fn items(&self, name: &str) -> impl Iterator<Item = (&'a NodeName, &'a Item)> {
        let unwanted = |item: &&Item| item.wanted != State::Present;
        let items = self.diff.nodes.iter().filter_map(move |(node, diff)| Some((node, &**diff.items.get(name)?)));
        items.filter(move |(_, item)| unwanted(item))
    }

    /// Whether there is anything to do about it on any node.
    fn differs(&self, name: &str) -> bool {
        self.items(name).any(|(_, item)| match item.wanted {
            State::Staged => {
                let Item { truths, .. } = item;
                [truths.directive, truths.loaded, truths.used].contains(&Mark::Extra)
            }
            State::Absent | State::Present => item.truths.is_drift(),
        })
    }

    fn blocker(&self, subject: &Subject<'_>, code: BlockerCode, what: &str, hints: Vec<Hint>) -> Blocker {
        let name = subject.name.clone();
        let what = format!("{name}: {what}");
        let scope = Scope::Plugin { cluster: self.cluster.name.clone(), name };
        Blocker { code, scope, what, details: Vec::new(), hints }
    }

    fn ruling(&self, subject: &Subject<'_>) -> Ruling {
        let not_ours = self.kongs_own(subject).or_else(|| self.other_owner(subject));
        if let Some(blocker) = not_ours.or_else(|| self.contradiction(subject)) {
            return Ruling::NotOurs(blocker);
        }
        if !subject.usage.known {
            return Ruling::Held(None, self.unknown(subject));
        }
        match self.declared(subject) {
            Some(blocker) => Ruling::Held(None, blocker),
            None if subject.usage.rows.is_empty() => Ruling::Free,
            None => self.in_use(subject),
        }
    }

    /// What comes with Kong is loaded by `bundled`, whatever names are taken out, and its files are those of Kong's package.
    fn kongs_own(&self, subject: &Subject<'_>) -> Option<Blocker> {
        let plugin = subject.plugins.iter().find(|plugin| is_bundled(plugin))?;
        let it = if plugin.as_str() == subject.name { "it" } else { plugin.as_str() };
        let what = format!("{it} comes with Kong: its files are Kong's own, and `bundled` loads it");
        let hints = vec![
            Hint::do_(format!("take {} out of the inventory", subject.name)),
            Hint::do_("not to load it, name the plugins that you need in kong.conf, instead of `bundled`"),
        ];
        Some(self.blocker(subject, BlockerCode::Removal, &what, hints))
    }

    /// What another owner's manifest has is theirs, wherever in the cluster it stands: rows are everybody's.
    fn other_owner(&self, subject: &Subject<'_>) -> Option<Blocker> {
        let owner = &self.request.inventory.owner;
        let nodes = self.cluster.active().filter_map(|node| Some((node, self.request.survey.seen(&node.name)?)));
        for (node, facts) in nodes {
            let Some(Ok(manifest)) = &facts.manifest else { continue };
            let theirs = manifest.bundles.iter().find(|(name, owned)| {
                let it = name.as_str() == subject.name || !owned.plugins.is_disjoint(&subject.plugins);
                it && owned.owner != *owner
            });
            if let Some((bundle, owned)) = theirs {
                let what = format!(
                    "{bundle} was installed on {} for the owner {}, this inventory is {owner}; nothing of it is touched",
                    node.name, owned.owner
                );
                let hint = Hint::do_("agree who has it; one of you drops it");
                return Some(self.blocker(subject, BlockerCode::OtherOwner, &what, vec![hint]));
            }
        }
        None
    }

    /// A plugin that is to be absent cannot be in a bundle that is wanted on the same cluster.
    fn contradiction(&self, subject: &Subject<'_>) -> Option<Blocker> {
        if subject.is_staged() || subject.assignment.is_none() {
            return None;
        }
        let wanted = self.cluster.plugins.values().filter(|assignment| assignment.state == State::Present);
        let holder = wanted.filter_map(|assignment| assignment.subject.bundle().map(|name| (name, assignment))).find(
            |(name, assignment)| {
                let bundle = self.request.bundles.get(&((*name).clone(), assignment.version.clone()));
                bundle.is_some_and(|bundle| bundle.plugins.keys().any(|plugin| subject.plugins.contains(plugin)))
            },
        );
        holder.map(|(bundle, _)| {
            let what = format!("it is to be absent, and the bundle {bundle}, which is wanted, holds it");
            let hint = Hint::do_(format!("take {} out of the inventory, or out of the bundle {bundle}", subject.name));
            self.blocker(subject, BlockerCode::Removal, &what, vec![hint])
        })
    }

    fn unknown(&self, subject: &Subject<'_>) -> Blocker {
        let (what, hint) = match self.cluster.topology {
            Topology::Dbless => (
                "which rows use it is not known, as not every node that runs listed its rows",
                "see why below each node, and plan again once all of them answer",
            ),
            Topology::Traditional | Topology::Hybrid => (
                "which rows use it is not known, as no node of the cluster listed all of its rows",
                "see that the Admin API of one node answers (`admin: { listen: …, token: … }`), then plan again",
            ),
        };
        let mut blocker = self.blocker(subject, BlockerCode::RowsUnknown, what, vec![Hint::do_(hint)]);
        blocker.details = usage::troubles(self.request, self.cluster);
        blocker
    }

    /// Somebody else would put it back: each place that declares it.
    fn declared(&self, subject: &Subject<'_>) -> Option<Blocker> {
        let mut places = Vec::new();
        for named in &self.cluster.declared_in {
            for plugin in &subject.plugins {
                let found = named.declares.plugins.get(plugin).into_iter().flatten();
                places.extend(found.map(|place| format!("{}:{place}: {plugin}", named.file)));
            }
        }
        let (first, rest) = places.split_first()?;
        let more = match rest.len() {
            0 => String::new(),
            1 => ", and in 1 more place".to_owned(),
            more => format!(", and in {more} more places"),
        };
        let at = first.rsplit_once(": ").map_or(first.as_str(), |(at, _)| at);
        let what = format!("it is declared at {at}{more}, from where it would be put back");
        let hint = Hint::do_("take it out there, sync that, commit both, then plan again");
        let mut blocker = self.blocker(subject, BlockerCode::Declared, &what, vec![hint]);
        blocker.details = places;
        Some(blocker)
    }

    /// Rows use it: whether they may be un-applied, and how.
    fn in_use(&self, subject: &Subject<'_>) -> Ruling {
        let held = |blocker: Blocker| Ruling::Held(None, with_rows(subject, blocker));
        let words = subject.usage.words();
        if self.cluster.topology == Topology::Dbless {
            let what = format!("{words}, and without a database there is no way to un-apply it here");
            let hint =
                Hint::do_("take it out of the declarative configuration of each node, load that, then plan again");
            return held(self.blocker(subject, BlockerCode::RowsInUse, &what, vec![hint]));
        }
        let Some(unapply) = subject.assignment.and_then(|assignment| assignment.unapply) else {
            return held(self.no_word(subject));
        };
        if let Some(blocker) = self.managed(subject).filter(|blocker| !self.request.allows(blocker.code, None)) {
            return held(blocker);
        }
        if !self.left_out.is_empty() {
            let left = collapse(&self.left_out);
            let what = format!("{words}, and rows belong to the whole cluster, of which a selection leaves out {left}");
            let hint = Hint::type_(format!("muster --plan --cluster {}", self.cluster.name));
            return held(self.blocker(subject, BlockerCode::RowsInUse, &what, vec![hint]));
        }
        self.unapply(subject, unapply)
    }

    /// The inventory does not say what becomes of rows.
    fn no_word(&self, subject: &Subject<'_>) -> Blocker {
        let (name, words) = (&subject.name, subject.usage.words());
        let hint = match subject.assignment.map(|assignment| assignment.state) {
            Some(State::Staged) => "delete these rows, or write  state: present  for it".to_owned(),
            Some(_) => format!(
                "to have them saved and deleted, write  {name}: {{ state: absent, unapply: delete }}, or the gentle way, \
                 unapply: {{ disable: 24h }}"
            ),
            None => {
                let plugins: Vec<String> = subject
                    .plugins
                    .iter()
                    .map(|name| format!("{name}: {{ state: absent, unapply: delete }}"))
                    .collect();
                format!("to have them saved and deleted, write under `plugins` of the cluster  {}", plugins.join(", "))
            }
        };
        let what = format!("{words}, and nothing in the inventory says that rows may go");
        self.blocker(subject, BlockerCode::RowsInUse, &what, vec![Hint::do_(hint)])
    }

    /// Rows that somebody else writes again, by their tags.
    fn managed(&self, subject: &Subject<'_>) -> Option<Blocker> {
        let mut managers = BTreeSet::new();
        for tag in subject.usage.all().flat_map(|row| &row.tags) {
            if tag == INGRESS_CONTROLLER {
                managers.insert("the Kubernetes ingress controller".to_owned());
            }
            let files = self.cluster.declared_in.iter().filter(|named| named.declares.select_tags.contains(tag));
            managers.extend(files.map(|named| format!("decK with {} (tag {tag})", named.file)));
        }
        if managers.is_empty() {
            return None;
        }
        let who = managers.into_iter().collect::<Vec<_>>().join(" and ");
        let what = format!("{}, written by {who}, from where they would be put back", subject.usage.words());
        let hints = vec![
            Hint::do_("take it out there first; if it is out already, or nothing is synced any more:"),
            Hint::type_(format!("muster --plan --allow {}", BlockerCode::RowsManaged.word())),
        ];
        Some(self.blocker(subject, BlockerCode::RowsManaged, &what, hints))
    }

    fn unapply(&self, subject: &Subject<'_>, unapply: inventory::Unapply) -> Ruling {
        let step = |how: Withdrawal| {
            let through = usage::through(self.request, self.cluster, &subject.plugins);
            Box::new(Unapply { name: subject.name.clone(), how, rows: subject.usage.rows.clone(), through })
        };
        if unapply == inventory::Unapply::Delete {
            return Ruling::Behind(step(Withdrawal::Delete));
        }
        let enabled = subject.usage.all().filter(|row| row.enabled).count();
        let gently = match unapply {
            inventory::Unapply::DisableFor(rest) => Some(rest),
            inventory::Unapply::Delete | inventory::Unapply::Disable => None,
        };
        let left = gently.and_then(|rest| self.rests_until(subject, rest.duration().as_secs()));
        let (what, hint) = match (enabled, gently, left) {
            (0, Some(_), Some(left)) if left <= 0 => return Ruling::Behind(step(Withdrawal::Delete)),
            (0, Some(rest), Some(left)) => (
                format!("its rows are disabled, and stay so for {rest}; disabled rows count as use"),
                format!("plan again in {}: that plan deletes them", length(left)),
            ),
            (0, Some(rest), None) => (
                format!("its rows are disabled, and when that was is not known, so that {rest} cannot be counted"),
                "write  unapply: delete  once it has been long enough".to_owned(),
            ),
            (0, None, _) => (
                "its rows are disabled, which counts as use, and nothing in the inventory says that rows may go"
                    .to_owned(),
                "write  unapply: delete  to have them saved and deleted".to_owned(),
            ),
            (_, Some(rest), _) => (
                format!("{}, disabled by this plan: its name and its files stay meanwhile", subject.usage.words()),
                format!("plan again {rest} after that: that plan deletes them"),
            ),
            (_, None, _) => (
                format!("{}, disabled by this plan, which counts as use all the same", subject.usage.words()),
                "write  unapply: delete  once that has shown no harm".to_owned(),
            ),
        };
        let blocker = self.blocker(subject, BlockerCode::RowsInUse, &what, vec![Hint::do_(hint)]);
        let step = (enabled > 0).then(|| step(Withdrawal::Disable));
        Ruling::Held(step, with_rows(subject, blocker))
    }

    /// How many seconds are left until the youngest row has rested for that long; `None` if one does not say when it changed.
    fn rests_until(&self, subject: &Subject<'_>, rest: u64) -> Option<i64> {
        let ages: Option<Vec<i64>> = subject.usage.all().map(|row| row.updated_at).collect();
        let youngest = ages?.into_iter().max()?;
        let rest = i64::try_from(rest).unwrap_or(i64::MAX);
        Some(youngest.saturating_add(rest).saturating_sub(self.request.survey.at.as_second()))
    }
}

fn length(seconds: i64) -> String {
    super::cluster::length(u64::try_from(seconds).unwrap_or(0))
}

fn with_rows(subject: &Subject<'_>, mut blocker: Blocker) -> Blocker {
    blocker.details = subject.usage.lines();
    blocker
}
