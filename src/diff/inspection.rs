//! Everything that is known of one node, for a person who looks at this one: facts with their sources, every file of every
//! plugin with its state, receipts, and what a plan would change.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Bundles, Comparison, Fact, FileDrift, FilesDiff, Item, Mark, NodeDiff, SettingOrigin, Truths, facts, node,
};
use crate::bundle::Bundle;
use crate::hint::Hint;
use crate::inventory::{Cluster, Inventory, Node, State};
use crate::name::{BundlePath, ClusterName, Digest, NodeName, NodePath};
use crate::survey::{Kind, LogTail, NodeFacts, NodeSurvey, Survey};
use crate::wire::Receipt;

/// One node, closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The node.
    pub node: NodeName,
    /// Its cluster.
    pub cluster: ClusterName,
    /// When the look that this is from began.
    pub looked: jiff::Timestamp,
    /// Mark and word of its state.
    pub state: (char, &'static str),
    /// What there is to say of it, worst first.
    pub remarks: Vec<String>,
    /// What to do where it could not be seen.
    pub hints: Vec<Hint>,
    /// The facts.
    pub facts: Vec<Fact>,
    /// Where `plugins` and `lua_package_path` come from; empty for a node that was not seen.
    pub settings: Vec<SettingOrigin>,
    /// Its plugins, those that differ first.
    pub plugins: Vec<PluginFiles>,
    /// What the next plan would change on it.
    pub planned: Planned,
    /// The receipts that the survey brought, the newest first.
    pub receipts: Vec<ReceiptFacts>,
    /// The error log, if it is a file.
    pub log: Option<NodePath>,
}

/// A plugin or bundle of a node, with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginFiles {
    /// Its name in the inventory.
    pub name: String,
    /// How far it is wanted.
    pub wanted: State,
    /// The version wanted.
    pub version: Option<String>,
    /// The four truths.
    pub truths: Truths,
    /// What there is to say.
    pub remarks: Vec<String>,
    /// The files of the bundle and of the node, by path.
    pub files: Vec<FileState>,
    /// There are more files on the node than the survey reads.
    pub cut: bool,
}

/// A file below the Lua root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// Its path below the Lua root.
    pub path: String,
    /// As wanted, missing, different, extra, rightly absent, unknown.
    pub state: Mark,
    /// Its digest on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Digest>,
    /// Its digest in the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Digest>,
    /// What it is, where that is no regular file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// What a plan for everything would change on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// What would be done, one line each.
    pub changes: Vec<String>,
    /// The directive as it is and as it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directive: Option<(String, String)>,
    /// The edit of kong.conf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conf: Option<Comparison>,
    /// Why the node is left alone.
    pub blocked: Vec<String>,
}

/// A receipt in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptFacts {
    /// The run.
    pub run: String,
    /// When the run began, by the clock of whoever began it.
    pub at: jiff::Timestamp,
    /// The step of its plan.
    pub step: u32,
    /// The commit that was planned from, short.
    pub commit: Option<String>,
    /// How it ended: `changed`, `undone proved`, …; none: it is open.
    pub result: Option<String>,
    /// What was done, in the script's words.
    pub did: Vec<String>,
    /// The content that was proven, `BUNDLE DIGEST`.
    pub content: Vec<String>,
}

/// What was asked of a node beyond the survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloserLook {
    /// The node's clock, and this machine's when the answer came, seconds since 1970.
    pub clock: (i64, i64),
    /// The newest receipts, the newest first.
    pub receipts: Vec<ReceiptFacts>,
    /// How many there are on the node, where they could be counted.
    pub receipts_all: Option<usize>,
    /// The end of the error log, or why it is not there (in JSON: `{"trouble": …}`).
    #[serde(serialize_with = "tail_or_trouble")]
    pub log: Result<LogTail, String>,
}

fn tail_or_trouble<S: serde::Serializer>(log: &Result<LogTail, String>, serializer: S) -> Result<S::Ok, S::Error> {
    match log {
        Ok(tail) => tail.serialize(serializer),
        Err(trouble) => BTreeMap::from([("trouble", trouble)]).serialize(serializer),
    }
}

impl PluginFiles {
    /// Whether a file of it is not as wanted, or is not known.
    pub fn differs(&self) -> bool {
        self.files.iter().any(|file| file.state.is_drift() || file.state == Mark::Unknown)
    }
}

impl ReceiptFacts {
    /// A receipt as it was read.
    pub fn of(receipt: &Receipt) -> Self {
        let at = i64::try_from(receipt.run.milliseconds()).ok();
        let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).unwrap_or_default();
        let words = |what: &[String]| crate::kong::printable(&what.join(" "), 200);
        Self {
            run: receipt.run.to_string(),
            at,
            step: receipt.step,
            commit: receipt.commit.as_ref().map(|commit| commit.short().to_owned()),
            result: receipt.result.clone(),
            did: receipt.intents.iter().filter(|intent| intent.done).map(|intent| words(&intent.what)).collect(),
            content: receipt.content.iter().map(|(name, digest)| format!("{name} {}", digest.short())).collect(),
        }
    }

    /// How it ended, in words.
    pub fn words(&self) -> String {
        match self.result.as_deref() {
            None => "open: no end was written".to_owned(),
            Some("changed") => "changed, and proven where something was reloaded".to_owned(),
            Some("undone proved") => "put back, and proven to serve as before".to_owned(),
            Some(other) => match other.strip_prefix("undone ") {
                Some(how) => format!("put back: {how}"),
                None => other.to_owned(),
            },
        }
    }
}

/// The facts of a node of the survey, compared with what is wanted of it. `None`: the inventory has no such node.
pub fn inspect(
    inventory: &Inventory,
    bundles: &Bundles,
    survey: &Survey,
    diff: &NodeDiff,
    name: &NodeName,
) -> Option<Inspection> {
    let mut of = inventory.clusters.values().filter_map(|cluster| Some((cluster, cluster.nodes.get(name)?)));
    let (cluster, node) = of.next()?;
    let (seen, looked) = (survey.seen(name), survey.looked(name));
    let mut remarks: Vec<String> = diff.remarks.to_vec();
    let mut hints = Vec::new();
    if let Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) = survey.nodes.get(name) {
        remarks.insert(0, trouble.text.clone());
        hints.clone_from(&trouble.hints);
    } else if let Some(why) = &node.out {
        remarks.insert(0, format!("out: {why}"));
    }
    let mut receipts: Vec<&Receipt> = seen.iter().flat_map(|facts| &facts.receipts).collect();
    receipts.sort_by(|a, b| (&b.run, b.step).cmp(&(&a.run, a.step)));
    Some(Inspection {
        node: name.clone(),
        cluster: cluster.name.clone(),
        looked,
        state: diff.state(),
        remarks,
        hints,
        facts: seen.map(|seen| facts::of(&node.kong, seen, looked.as_second())).unwrap_or_default(),
        settings: seen.map(|seen| super::settings(&node.kong, seen, &diff.settings)).unwrap_or_default(),
        plugins: plugins(inventory, (cluster, node), bundles, seen, diff),
        planned: Planned::default(),
        receipts: receipts.into_iter().map(ReceiptFacts::of).collect(),
        log: seen.and_then(|facts| facts.log.path.clone()),
    })
}

fn plugins(
    inventory: &Inventory,
    (cluster, home): (&Cluster, &Node),
    bundles: &Bundles,
    seen: Option<&NodeFacts>,
    diff: &NodeDiff,
) -> Vec<PluginFiles> {
    let mut all: Vec<PluginFiles> = Vec::new();
    for assignment in cluster.assignments(home) {
        let Some(item) = diff.items.get(assignment.subject.as_str()) else { continue };
        let (bundle, plugins) = node::content(inventory, assignment, bundles);
        let (files, cut) = match (bundle, seen) {
            (Some(bundle), Some(facts)) => (of_bundle(bundle, facts, item), is_cut(&bundle.roots, facts)),
            (Some(bundle), None) => (unseen(bundle), false),
            (None, Some(facts)) => {
                let roots = plugins.iter().filter_map(|name| BundlePath::parse(&format!("kong/plugins/{name}")).ok());
                let roots: std::collections::BTreeSet<BundlePath> = roots.collect();
                (without_bundle(&roots, facts, assignment.state), is_cut(&roots, facts))
            }
            (None, None) => (Vec::new(), false),
        };
        all.push(PluginFiles {
            name: assignment.subject.as_str().to_owned(),
            wanted: assignment.state,
            version: item.version.clone(),
            truths: item.truths,
            remarks: item.remarks.clone(),
            files,
            cut,
        });
    }
    all.sort_by_key(|plugin| !(plugin.truths.is_drift() || plugin.truths.is_unknown()));
    all
}

fn is_cut<'a>(roots: impl IntoIterator<Item = &'a BundlePath>, facts: &NodeFacts) -> bool {
    roots.into_iter().any(|root| facts.roots.get(root).is_some_and(|found| found.cut))
}

fn unseen(bundle: &Bundle) -> Vec<FileState> {
    let state = |(path, content): (&BundlePath, &crate::bundle::Content)| FileState {
        path: path.to_string(),
        state: Mark::Unknown,
        found: None,
        wanted: Some(content.sha256().clone()),
        kind: None,
    };
    bundle.files.iter().map(state).collect()
}

/// What was found below these roots, by path below the Lua root.
fn found<'a>(
    roots: impl IntoIterator<Item = &'a BundlePath>,
    facts: &NodeFacts,
) -> BTreeMap<String, (Option<Digest>, Option<&'static str>)> {
    let mut all = BTreeMap::new();
    for root in roots {
        let Some(there) = facts.roots.get(root) else { continue };
        for (relative, file) in &*there.files {
            let path = if relative.is_empty() { root.to_string() } else { format!("{root}/{relative}") };
            let kind = match file.kind {
                Kind::File => None,
                Kind::Link => Some("a link that leads nowhere"),
                Kind::Denied => Some("may not be read"),
                _ => Some("no regular file"),
            };
            all.insert(path, (file.digest.clone(), kind));
        }
    }
    all
}

fn of_bundle(bundle: &Bundle, facts: &NodeFacts, item: &Item) -> Vec<FileState> {
    let there = found(&bundle.roots, facts);
    let wanted: BTreeMap<String, &Digest> =
        bundle.files.iter().map(|(path, content)| (path.to_string(), content.sha256())).collect();
    let is_wanted = item.wanted != State::Absent;
    let paths: std::collections::BTreeSet<&String> =
        there.keys().chain(wanted.keys()).chain(item.files.files.keys()).collect();
    let state = |path: &&String| {
        let (digest, kind) = there.get(*path).cloned().unwrap_or_default();
        let is_there = there.contains_key(*path);
        let state = mark(&item.files, path, is_wanted, is_there);
        FileState { path: (*path).clone(), state, found: digest, wanted: wanted.get(*path).map(|d| (*d).clone()), kind }
    };
    paths.iter().map(state).filter(|file| file.state != Mark::Absent).collect()
}

fn mark(files: &FilesDiff, path: &str, is_wanted: bool, is_there: bool) -> Mark {
    match (files.files.get(path), is_wanted) {
        (Some(FileDrift::Unknown), _) => Mark::Unknown,
        (_, false) if is_there => Mark::Extra,
        (_, false) => Mark::Absent,
        (None, true) => Mark::AsWanted,
        (Some(FileDrift::Missing), true) => Mark::Missing,
        (Some(FileDrift::Differs), true) => Mark::Differs,
        (Some(FileDrift::Extra), true) => Mark::Extra,
    }
}

/// Of a plugin whose files somebody else brings it is only known that they are there.
fn without_bundle<'a>(
    roots: impl IntoIterator<Item = &'a BundlePath>,
    facts: &NodeFacts,
    wanted: State,
) -> Vec<FileState> {
    let state = match wanted {
        State::Absent => Mark::Extra,
        _ => Mark::AsWanted,
    };
    let there = found(roots, facts).into_iter();
    there.map(|(path, (found, kind))| FileState { path, state, found, wanted: None, kind }).collect()
}

#[cfg(test)]
#[path = "inspection_tests.rs"]
mod tests;
