//! One node, closely: what the survey knows of it, what a plan would change on it, and what is asked of it on demand.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Fleet, Picture};
use crate::diff::{self, CloserLook, Comparison, FileState, Inspection, Mark, ReceiptFacts};
use crate::hint::Hint;
use crate::name::{BundlePath, NodeName};
use crate::perform::{self, Reach as _, detail};
use crate::plan::{Allow, Selection};
use crate::run::Cause;
use crate::survey::{Detail, DetailRequest, NodeFacts, NodeSurvey, Withheld};

/// How many of the newest receipts are asked for.
const RECEIPTS: usize = 20;
/// How many files are asked for at once; the script sends 2 MiB at most whatever their number.
const FILES: usize = 200;

/// What a node has at some paths below its Lua root.
type Contents = BTreeMap<BundlePath, Result<Vec<u8>, Withheld>>;

impl Fleet {
    /// All that is known of a node, and what the next plan would change on it. Asks nobody. `None`: there is no such node.
    pub fn inspection(&self, picture: &Picture, node: &NodeName, allow: Vec<Allow>) -> Option<Inspection> {
        let known = picture.diff.node(node)?;
        let (inventory, bundles) = (&self.desired.inventory, &self.desired.bundles);
        let mut inspection = diff::inspect(inventory, bundles, &picture.survey, known, node)?;
        if let Some(facts) = picture.survey.seen(node) {
            // For everything, as a removal is planned for whole clusters: what `p` would plan, as far as it is about this node.
            let plan = self.plan(picture, Selection::default(), allow);
            let conf = facts.conf_file.as_ref().map(crate::hint::Sealed::open);
            inspection.planned = plan.on_node(node, &inspection.cluster, conf.map(std::ops::Deref::deref));
        }
        Some(inspection)
    }

    /// Asks a node for its receipts and the end of its error log, over the connection that is held.
    ///
    /// # Errors
    /// The node was not seen, cannot be reached, or its answer cannot be used.
    pub async fn closer(
        &self,
        picture: &Picture,
        node: &NodeName,
        now: &(dyn Fn() -> Timestamp + Send + Sync),
    ) -> Result<CloserLook, Cause> {
        let facts = seen(picture, node)?;
        let log = facts.log.path.clone();
        let has_log = log.is_some();
        let request = |mut request: DetailRequest| {
            (request.receipts, request.log) = (RECEIPTS, log);
            request
        };
        let found = self.ask(node, request).await?;
        let log = match found.log {
            Some(Ok(tail)) => Ok(tail.without(&secrets(facts))),
            Some(Err(why)) => Err(why.sentence("the error log")),
            None if has_log => Err("the error log was not sent".to_owned()),
            None => Err("the error log is not a file: syslog, a pipe, or not there".to_owned()),
        };
        let mut receipts = found.receipts;
        receipts.sort_by(|a, b| (&b.run, b.step).cmp(&(&a.run, a.step)));
        Ok(CloserLook {
            clock: (found.clock, now().as_second()),
            receipts: receipts.iter().map(ReceiptFacts::of).collect(),
            receipts_all: found.receipts_all,
            log,
        })
    }

    /// Compares a file of a plugin on a node with what is wanted, or shows it where both are the same; without a path, every
    /// file of the plugin that differs. The node is asked for content that is not known here.
    ///
    /// # Errors
    /// There is no such file, the node cannot be asked, or it does not give the one file that was wanted. Of several, one that
    /// is not given says so in its place.
    pub async fn compare(
        &self,
        picture: &Picture,
        node: &NodeName,
        plugin: &str,
        path: Option<&str>,
    ) -> Result<Vec<Comparison>, Cause> {
        let mut files = self.files(picture, node);
        files.retain(|(of, file)| {
            let differs = file.state.is_drift() || file.state == Mark::Unknown;
            of == plugin && path.map_or(differs, |path| file.path == path)
        });
        files.truncate(FILES);
        if files.is_empty() {
            let what = path.map_or("no file that differs".to_owned(), |path| format!("no file {path}"));
            return Err(perform::cause("no-such-file", format!("{plugin} has {what} on {node}, as it was seen")));
        }
        let compared = self.compared(picture, node, &files).await?.into_iter();
        compared
            .map(|one| if path.is_some() { one } else { Ok(one.unwrap_or_else(|cause| not_given(&cause))) })
            .collect()
    }

    /// Compares every file of a node that differs, in one go; those that it does not give say why.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub async fn compare_all(
        &self,
        picture: &Picture,
        node: &NodeName,
    ) -> Result<Vec<Result<Comparison, Cause>>, Cause> {
        let mut files = self.files(picture, node);
        files.retain(|(_, file)| file.state.is_drift() || file.state == Mark::Unknown);
        files.truncate(FILES);
        self.compared(picture, node, &files).await
    }

    /// The files of a node, each with its plugin.
    fn files(&self, picture: &Picture, node: &NodeName) -> Vec<(String, FileState)> {
        let (inventory, bundles) = (&self.desired.inventory, &self.desired.bundles);
        let diff = picture.diff.node(node);
        let inspection = diff.and_then(|diff| diff::inspect(inventory, bundles, &picture.survey, diff, node));
        let plugins = inspection.into_iter().flat_map(|inspection| inspection.plugins);
        plugins.flat_map(|plugin| plugin.files.into_iter().map(move |file| (plugin.name.clone(), file))).collect()
    }

    async fn compared(
        &self,
        picture: &Picture,
        node: &NodeName,
        files: &[(String, FileState)],
    ) -> Result<Vec<Result<Comparison, Cause>>, Cause> {
        let facts = seen(picture, node)?;
        let needed: Vec<BundlePath> = files.iter().filter_map(|(_, file)| self.needed(node, file)).collect();
        let there = if needed.is_empty() { Contents::new() } else { self.contents(node, needed).await? };
        let secrets = secrets(facts);
        let one = |(plugin, file): &(String, FileState)| Ok(self.file(node, plugin, file, &there)?.without(&secrets));
        Ok(files.iter().map(one).collect())
    }

    /// The path to ask for, where the content on the node is not known from its digest.
    fn needed(&self, node: &NodeName, file: &FileState) -> Option<BundlePath> {
        let is_there = file.state != Mark::Missing && file.kind.is_none();
        let known = file.state == Mark::AsWanted && self.wanted(node, &file.path).is_some();
        BundlePath::parse(&file.path).ok().filter(|_| is_there && !known)
    }

    async fn contents(&self, node: &NodeName, files: Vec<BundlePath>) -> Result<Contents, Cause> {
        let request = |mut request: DetailRequest| {
            request.files = files;
            request
        };
        Ok(self.ask(node, request).await?.files)
    }

    /// The content that a node is to have at a path.
    fn wanted(&self, node: &NodeName, path: &str) -> Option<&[u8]> {
        let path = BundlePath::parse(path).ok()?;
        let inventory = &self.desired.inventory;
        let home = inventory.clusters.values().find_map(|cluster| Some((cluster, cluster.nodes.get(node)?)));
        let (cluster, home) = home?;
        let mut bundles = cluster.assignments(home).filter(|of| of.state != crate::inventory::State::Absent);
        bundles.find_map(|assignment| {
            let key = (assignment.subject.bundle()?.clone(), assignment.version.clone());
            Some(self.desired.bundles.get(&key)?.files.get(&path)?.bytes())
        })
    }

    fn file(&self, node: &NodeName, plugin: &str, file: &FileState, there: &Contents) -> Result<Comparison, Cause> {
        let wanted = self.wanted(node, &file.path);
        if let Some(kind) = file.kind {
            return Err(perform::cause("no-content", format!("{} on {node}: {kind}", file.path)));
        }
        let found = BundlePath::parse(&file.path).ok().and_then(|path| there.get(&path));
        let (before, after) = match (found, file.state, wanted) {
            (Some(Err(why)), ..) => {
                return Err(perform::cause("no-content", why.sentence(&format!("{} on {node}", file.path))));
            }
            (Some(Ok(bytes)), Mark::AsWanted, None) => (bytes.as_slice(), bytes.as_slice()),
            (Some(Ok(bytes)), _, wanted) => (bytes.as_slice(), wanted.unwrap_or_default()),
            (None, Mark::AsWanted, Some(wanted)) => (wanted, wanted),
            (None, Mark::Missing, Some(wanted)) => (&[][..], wanted),
            (None, ..) => {
                let text = format!("{} on {node} has a name that cannot be asked for", file.path);
                return Err(perform::cause("no-content", text));
            }
        };
        let becomes = match (file.state, wanted) {
            (_, None) if before == after => "brought by somebody else: only that it is there is known".to_owned(),
            (_, None) => "not wanted".to_owned(),
            (Mark::AsWanted, _) => "as wanted".to_owned(),
            _ => format!("wanted by {plugin}"),
        };
        Ok(Comparison::of(&file.path, before, after).between(format!("on {node}"), becomes))
    }

    /// Asks a node, twice if the connection that was kept turns out to be dead: looking changes nothing.
    async fn ask(&self, node: &NodeName, fill: impl FnOnce(DetailRequest) -> DetailRequest) -> Result<Detail, Cause> {
        let gone = || perform::cause("unknown-node", format!("{node} is not in the inventory, or is out"));
        let site = self.sites.get(node).ok_or_else(gone)?;
        let request = fill(DetailRequest {
            conf: site.conf.clone(),
            prefix: site.prefix.clone(),
            lua_root: site.lua_root.clone(),
            home: site.home.clone(),
            files: Vec::new(),
            receipts: 0,
            log: None,
        });
        let deadline = self.settings.deadline;
        let mut last = false;
        loop {
            let attempt = async {
                let remote = self.pool.reach(&site.address).await.map_err(|error| perform::of_remote(&error))?;
                detail::detail(&*remote, site, request.clone(), deadline).await
            };
            let slow = || {
                let text = format!("{node} did not answer within {} s", deadline.as_secs());
                let hint = Hint::do_("ask again; if it stays so, look at the load and the network of the node");
                Cause { hints: vec![hint], ..perform::cause("timed-out", text) }
            };
            match tokio::time::timeout(deadline, attempt).await.unwrap_or_else(|_| Err(slow())) {
                Err(cause) if !last && cause.code == "lost" => self.pool.forget(node).await,
                answer => return answer,
            }
            last = true;
        }
    }
}

/// A file that is not there to be compared, among others that are.
fn not_given(cause: &Cause) -> Comparison {
    Comparison::of_unified(std::slice::from_ref(&cause.text)).pop().unwrap_or_default()
}

/// The facts of a node that was seen.
fn seen<'a>(picture: &'a Picture, node: &NodeName) -> Result<&'a NodeFacts, Cause> {
    match picture.survey.nodes.get(node) {
        Some(NodeSurvey::Seen(facts)) => Ok(facts),
        Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) => {
            Err(perform::of_trouble(trouble.clone()))
        }
        None => Err(perform::cause("not-seen", format!("{node} was not looked at"))),
    }
}

/// Words that must not be shown, whatever file or log they stand in.
fn secrets(facts: &NodeFacts) -> Vec<String> {
    let conf = facts.conf_file.iter().flat_map(|conf| conf.open().secrets());
    let env = facts.env_file.iter().flat_map(|env| env.open().secrets());
    let all: std::collections::BTreeSet<String> = conf.chain(env).collect();
    all.into_iter().collect()
}
