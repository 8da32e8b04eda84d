//! Importing what runs: finds the Kongs of hosts, looks at them, writes an inventory, and plans from it over what was seen.
//! Changes nothing on any node.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

pub use check::{Difference, FirstPlan};

use crate::execute::look::{self, LookRequest, LookSettings};
use crate::execute::pool::Pool;
use crate::git::Repository;
use crate::hint::Hint;
use crate::import::{self, Contents, Draft, Hints, Options, Place, Said, Subject, Target, Typed};
use crate::inventory::Become;
use crate::name::{BundlePath, ClusterName, Digest, NodeName, Owner};
use crate::perform::{self, Reach as _, Site};
use crate::remote::{Connect, NodeAddress, Privilege, Transport};
use crate::run::Cause;
use crate::survey::{
    COLLECT_MOST, CollectRequest, DiscoverRequest, Discovery, NodeFacts, NodeSurvey, Survey, Trouble, Withheld,
};

/// How many files are asked for at once.
const AT_ONCE: usize = 400;
/// The most that is fetched of all nodes together, in bytes.
const MOST: usize = 8 * COLLECT_MOST;

/// What is imported.
pub struct Import {
    /// The hosts.
    pub targets: Vec<Target>,
    /// Where something is on them.
    pub hints: Hints,
    /// Whose inventory it is to be, if that was typed.
    pub owner: Option<Owner>,
    /// Who runs this: the owner where nobody else is known.
    pub operator: String,
    /// What the cluster is to be called.
    pub cluster: Option<ClusterName>,
    /// How rights are got.
    pub becomes: Become,
    /// Where the directory of the inventory is in its repository: empty, or with a slash at its end.
    pub below: String,
    /// The time.
    pub at: Timestamp,
    /// The command that was typed, for the head of the file.
    pub command: String,
}

/// A node that is in the inventory.
pub struct ImportedNode {
    /// Its name.
    pub name: NodeName,
    /// What was typed.
    pub target: String,
    /// Its cluster.
    pub cluster: ClusterName,
    /// The version of Kong that runs, or is installed.
    pub kong: Option<String>,
    /// Kong runs.
    pub running: bool,
    /// What is to be said of it.
    pub said: Vec<Said>,
}

/// A host, or a Kong on it, that is not in the inventory.
pub struct Missing {
    /// What was typed.
    pub target: String,
    /// A stable word.
    pub code: String,
    /// Why.
    pub text: String,
    /// What to do.
    pub hints: Vec<Hint>,
}

/// What came of it.
pub struct Imported {
    /// The inventory and its files.
    pub draft: Draft,
    /// The nodes in it.
    pub nodes: Vec<ImportedNode>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
    /// Hosts that are another one under a second name.
    pub twice: Vec<Missing>,
    /// What the first plan would be.
    pub first: FirstPlan,
}

/// A Kong that was found: its name, whose host, and where.
struct Candidate {
    name: NodeName,
    target: usize,
    place: Place,
}

/// The top of the repository that a directory is in or would be in, and where the directory is in it: empty, or with a slash at
/// its end. `None`: it is in none.
pub fn repository(dir: &Path) -> Option<(PathBuf, String)> {
    let there = dir.ancestors().find(|dir| dir.is_dir())?;
    let repository = Repository::open(there).ok()?;
    let top = repository.top()?.canonicalize().ok()?;
    let whole = there.canonicalize().ok()?.join(dir.strip_prefix(there).ok()?);
    let below = whole.strip_prefix(&top).ok()?.to_str()?.to_owned();
    Some((top, if below.is_empty() { below } else { format!("{below}/") }))
}

/// Imports. `progress` is told of every host as soon as it was searched.
pub async fn import(
    request: &Import,
    connect: Arc<dyn Connect>,
    settings: &LookSettings,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Imported {
    let pool = Pool::new(connect);
    let mut missing = Vec::new();
    let mut twice = Vec::new();
    let found = discover(request, &pool, settings, &mut missing, progress).await;
    let candidates = candidates(request, &found, &mut missing, &mut twice);
    let survey = survey(request, &candidates, &pool, settings).await;
    let contents = collect(request, &candidates, &survey, &pool, settings).await;
    pool.close().await;
    let mut subjects = Vec::new();
    for candidate in &candidates {
        match survey.nodes.get(&candidate.name) {
            Some(NodeSurvey::Seen(facts)) => subjects.push((candidate, facts.clone())),
            Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) => {
                missing.push(unseen(&request.targets[candidate.target].text, trouble.clone()));
            }
            None => {}
        }
    }
    made(request, &subjects, &survey, &contents, missing, twice)
}

fn unseen(target: &str, trouble: Trouble) -> Missing {
    Missing { target: target.to_owned(), code: trouble.code, text: trouble.text, hints: trouble.hints }
}

fn of_cause(target: &str, cause: Cause) -> Missing {
    Missing { target: target.to_owned(), code: cause.code, text: cause.text, hints: cause.hints }
}

/// The inventory, written anew without what its first plan would change, until that is nothing.
fn made(
    request: &Import,
    subjects: &[(&Candidate, Arc<NodeFacts>)],
    survey: &Survey,
    contents: &Contents,
    missing: Vec<Missing>,
    twice: Vec<Missing>,
) -> Imported {
    let nodes: Vec<Subject<'_>> = subjects
        .iter()
        .map(|(candidate, facts)| Subject {
            name: candidate.name.clone(),
            target: &request.targets[candidate.target],
            place: &candidate.place,
            facts,
        })
        .collect();
    let owner = owner(request, subjects);
    let head = head(request, &missing, &twice);
    let leave = BTreeMap::new();
    let options = Options {
        owner,
        cluster: request.cluster.clone(),
        becomes: request.becomes,
        below: &request.below,
        leave: &leave,
        head: &head,
    };
    let (draft, first) = settled(&nodes, contents, survey, &options);
    let cluster = |name: &NodeName| {
        draft.clusters.iter().find(|(_, nodes)| nodes.contains(name)).map(|(cluster, _)| cluster.clone())
    };
    let nodes = subjects.iter().filter_map(|(candidate, facts)| {
        let own = draft.said.get(&candidate.name).into_iter().flatten();
        Some(ImportedNode {
            name: candidate.name.clone(),
            target: request.targets[candidate.target].text.clone(),
            cluster: cluster(&candidate.name)?,
            kong: version(facts),
            running: facts.master.is_some(),
            said: candidate.place.said.iter().chain(own).cloned().collect(),
        })
    });
    Imported { nodes: nodes.collect(), missing, twice, first, draft }
}

/// The inventory of these nodes, written again without what its first plan would change, until that is nothing; and that plan.
pub fn settled(
    nodes: &[Subject<'_>],
    contents: &Contents,
    survey: &Survey,
    options: &Options<'_>,
) -> (Draft, FirstPlan) {
    let mut leave = options.leave.clone();
    loop {
        let options =
            Options { leave: &leave, owner: options.owner.clone(), cluster: options.cluster.clone(), ..*options };
        let draft = import::draft(nodes, contents, &options);
        let first = check::first_plan(&draft, options.below, survey);
        let before = leave.len();
        for Difference { node, plugin, why } in &first.differences {
            leave.entry((node.clone(), plugin.clone())).or_insert_with(|| why.clone());
        }
        // Each turn leaves something out, of which there is only so much.
        if leave.len() == before {
            return (draft, first);
        }
    }
}

fn version(facts: &NodeFacts) -> Option<String> {
    let running = facts.admin.as_ref().ok().map(|admin| admin.version.clone()).filter(|version| !version.is_empty());
    running.or_else(|| facts.installed_version.clone())
}

/// Lines for the head of the file.
fn head(request: &Import, missing: &[Missing], twice: &[Missing]) -> Vec<String> {
    let at = request.at.strftime("%Y-%m-%d %H:%M UTC");
    let mut lines = vec![
        format!("Written by `{}` on {at}, from what runs. Nothing on a node was changed.", request.command),
        "Read it, correct it, commit it: what is assumed or not explained stands beside each node.".to_owned(),
        "Files that are there already stay as they are while they are equal. The first change of a plugin needs `adopt: true`."
            .to_owned(),
    ];
    lines.extend(missing.iter().map(|host| format!("not here: {}: {}", host.target, host.text)));
    lines.extend(twice.iter().map(|host| format!("not here: {}: {}", host.target, host.text)));
    lines
}

/// Whose inventory it is: as typed, as muster's manifests on the nodes have it, or whoever runs this.
fn owner(request: &Import, subjects: &[(&Candidate, Arc<NodeFacts>)]) -> (Owner, &'static str) {
    if let Some(owner) = &request.owner {
        return (owner.clone(), "as typed");
    }
    let manifests = subjects.iter().filter_map(|(_, facts)| facts.manifest.as_ref()?.as_ref().ok());
    let owners: BTreeSet<&Owner> = manifests.flat_map(|m| m.bundles.values()).map(|owned| &owned.owner).collect();
    if let Some(owner) = owners.first().filter(|_| owners.len() == 1) {
        return ((*owner).clone(), "as muster's manifests on the nodes have it");
    }
    let user = request.operator.split('@').next().unwrap_or_default();
    let parsed = Owner::parse(user).or_else(|_| Owner::parse("owner"));
    (
        parsed.unwrap_or_else(|_| unreachable!("letters are an owner")),
        "assumed: who ran the import; it is written beside what is installed",
    )
}

/// A name for each target; the same host may be typed with several ports.
fn names(targets: &[Target]) -> Vec<NodeName> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for target in targets {
        let ported = target.port.map(|port| format!("{}-{port}", target.host));
        names.push(free(&mut taken, target.host.as_str(), ported));
    }
    names
}

/// The first of a name, another one for it, and the same with numbers that is not taken.
fn free(taken: &mut BTreeSet<NodeName>, name: &str, other: Option<String>) -> NodeName {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let all = std::iter::once(name.to_owned()).chain(other).chain(numbered);
    let mut parsed = all.filter_map(|text| NodeName::parse(&text).ok());
    // The host was parsed by the same rules; only a name of the greatest length has no numbered one.
    let found = parsed.by_ref().take(100_000).find(|name| !taken.contains(name));
    let found = found.unwrap_or_else(|| unreachable!("of that many names one is free"));
    taken.insert(found.clone());
    found
}

fn address(request: &Import, node: &NodeName, target: &Target) -> NodeAddress {
    NodeAddress {
        node: node.clone(),
        host: target.host.to_string(),
        user: target.user.as_ref().map(ToString::to_string),
        port: target.port,
        privilege: match request.becomes {
            Become::None => Privilege::None,
            Become::Sudo => Privilege::Sudo,
        },
        transport: Transport::Ssh,
    }
}

type Found = Vec<(usize, NodeName, Discovery)>;

async fn discover(
    request: &Import,
    pool: &Pool,
    settings: &LookSettings,
    missing: &mut Vec<Missing>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Found {
    let names = names(&request.targets);
    let one = |(index, name): (usize, NodeName)| async move {
        let target = &request.targets[index];
        let asked = DiscoverRequest {
            prefixes: Hints::of(&request.hints.prefix, target),
            confs: Hints::of(&request.hints.conf, target),
            lua_roots: Hints::of(&request.hints.lua_root, target),
        };
        let attempt = async {
            let remote = pool.reach(&address(request, &name, target)).await.map_err(|e| perform::of_remote(&e))?;
            perform::discover::discover(&*remote, &name, &asked, settings.deadline).await
        };
        let answer = tokio::time::timeout(settings.deadline, attempt).await;
        let slow = || {
            perform::cause(
                "timed-out",
                format!("{} did not answer within {} s", target.text, settings.deadline.as_secs()),
            )
        };
        let answer = answer.unwrap_or_else(|_| Err(slow()));
        progress(&target.text);
        (index, name, answer)
    };
    // Collected first: a stream over closures that borrow is not `Send` for every lifetime.
    let all: Vec<_> = names.into_iter().enumerate().map(one).collect();
    let mut answers = stream::iter(all).buffer_unordered(settings.at_once.max(1)).collect::<Vec<_>>().await;
    answers.sort_by_key(|(index, ..)| *index);
    let mut found = Found::new();
    for (index, name, answer) in answers {
        match answer {
            Ok(discovery) => found.push((index, name, discovery)),
            Err(cause) => missing.push(of_cause(&request.targets[index].text, cause)),
        }
    }
    found
}

/// The Kongs that were found, each once.
fn candidates(request: &Import, found: &Found, missing: &mut Vec<Missing>, twice: &mut Vec<Missing>) -> Vec<Candidate> {
    let mut taken: BTreeSet<NodeName> = found.iter().map(|(_, name, _)| name.clone()).collect();
    let mut seen: BTreeMap<(String, String, (u64, u64)), NodeName> = BTreeMap::new();
    let mut candidates = Vec::new();
    for (index, name, discovery) in found {
        let target = &request.targets[*index];
        let typed = Typed {
            conf: Hints::of(&request.hints.conf, target),
            lua_root: Hints::of(&request.hints.lua_root, target),
            home: Hints::of(&request.hints.home, target),
            cli: Hints::of(&request.hints.cli, target),
        };
        // A prefix that was typed for all hosts need not be on each.
        let there: Vec<_> = discovery.kongs.iter().filter(|kong| kong.id.is_some()).collect();
        if there.is_empty() {
            missing.push(no_kong(&target.text, discovery));
        }
        let mut first = true;
        for kong in there {
            let machine = |id| (discovery.machine.clone(), discovery.boot.clone(), id);
            let known = kong.id.filter(|_| !discovery.boot.is_empty()).map(machine);
            if let Some(other) = known.as_ref().and_then(|key| seen.get(key)) {
                let text = format!("it is the same machine and prefix as {other}, under another name");
                let hints = vec![Hint::do_(format!("use {other}; nothing of it is missing"))];
                twice.push(Missing { target: target.text.clone(), code: "same-node".to_owned(), text, hints });
                continue;
            }
            match import::place(discovery, kong, &typed) {
                Ok(mut place) => {
                    let name = if first { name.clone() } else { free(&mut taken, name.as_str(), None) };
                    first = false;
                    rights(request, discovery, &mut place);
                    seen.extend(known.map(|key| (key, name.clone())));
                    candidates.push(Candidate { name, target: *index, place });
                }
                Err(why) => missing.push(Missing {
                    target: target.text.clone(),
                    code: "no-place".to_owned(),
                    text: format!("a Kong there cannot be written down: {why}"),
                    hints: Vec::new(),
                }),
            }
        }
    }
    candidates
}

/// What a login that is not root may not have seen.
fn rights(request: &Import, discovery: &Discovery, place: &mut Place) {
    if discovery.others > 0 {
        let text = format!("{} more masters of nginx run there whose titles name no prefix", discovery.others);
        place.said.push(Said::open(text));
    }
    if discovery.user.1 != 0 && request.becomes == Become::None {
        let text = format!("become none: the scripts ran as {}; a change may need `become: sudo`", discovery.user.0);
        place.said.push(Said::assumed(text));
    }
}

fn no_kong(target: &str, discovery: &Discovery) -> Missing {
    let hidden = if discovery.proc_visible { "" } else { "; the processes of other users are hidden from the login" };
    let text = format!(
        "no Kong was found there: no master of nginx with a prefix of Kong's, and no /usr/local/kong/.kong_env{hidden}"
    );
    let mut hints = vec![Hint::do_(format!("if it is stopped, name its prefix: --prefix {target}=/PATH"))];
    if !discovery.proc_visible || discovery.user.1 != 0 {
        hints.push(Hint::do_("let the scripts run as root: --become sudo"));
    }
    Missing { target: target.to_owned(), code: "no-kong".to_owned(), text, hints }
}

fn site(request: &Import, candidate: &Candidate) -> Site {
    let paths = &candidate.place.paths;
    Site {
        address: address(request, &candidate.name, &request.targets[candidate.target]),
        conf: paths.conf.clone(),
        prefix: paths.prefix.clone(),
        lua_root: paths.lua_root.clone(),
        home: paths.home.clone(),
        cli: paths.cli.clone(),
        admin: None,
        status: None,
        proxy: None,
        token: None,
    }
}

async fn survey(request: &Import, candidates: &[Candidate], pool: &Pool, settings: &LookSettings) -> Survey {
    let looks: Vec<(NodeName, LookRequest)> = candidates
        .iter()
        .map(|candidate| {
            let roots = import::roots(&candidate.place);
            (candidate.name.clone(), LookRequest { site: site(request, candidate), roots })
        })
        .collect();
    look::look(&looks, pool, settings, request.at, &|_, _| {}).await
}

/// The content of every file that is needed, each fetched once, from the first node that has it.
async fn collect(
    request: &Import,
    candidates: &[Candidate],
    survey: &Survey,
    pool: &Pool,
    settings: &LookSettings,
) -> Contents {
    let mut contents = Contents::new();
    let mut size = 0;
    for candidate in candidates {
        let Some(facts) = survey.seen(&candidate.name) else { continue };
        let mut wanted: Vec<(BundlePath, Digest)> = import::wanted(&candidate.place, facts).into_iter().collect();
        let mut asked = BTreeSet::new();
        wanted.retain(|(_, digest)| !contents.contains_key(digest) && asked.insert(digest.clone()));
        while !wanted.is_empty() && size < MOST {
            let some: Vec<(BundlePath, Digest)> = wanted.drain(..wanted.len().min(AT_ONCE)).collect();
            let Some(full) =
                fetch(request, candidate, &some, (pool, settings.deadline), &mut contents, &mut size).await
            else {
                break;
            };
            // Nothing came, and nothing would.
            if full.len() == some.len() {
                break;
            }
            wanted.extend(full);
        }
    }
    contents
}

/// Fetches some files of a node. Those for which there was no room; `None`: the node did not answer. What is not as it was listed
/// is not kept.
async fn fetch(
    request: &Import,
    candidate: &Candidate,
    some: &[(BundlePath, Digest)],
    (pool, deadline): (&Pool, Duration),
    contents: &mut Contents,
    total: &mut usize,
) -> Option<Vec<(BundlePath, Digest)>> {
    let site = site(request, candidate);
    let asked = CollectRequest {
        conf: site.conf.clone(),
        prefix: site.prefix.clone(),
        lua_root: site.lua_root.clone(),
        files: some.iter().map(|(path, _)| path.clone()).collect(),
    };
    let attempt = async {
        let remote = pool.reach(&site.address).await.map_err(|error| perform::of_remote(&error))?;
        perform::discover::collect(&*remote, &candidate.name, &asked, deadline).await
    };
    let mut came = match tokio::time::timeout(deadline, attempt).await {
        Ok(Ok(came)) => came,
        Ok(Err(cause)) => {
            tracing::warn!(node = %candidate.name, code = cause.code, text = cause.text, "files were not fetched");
            return None;
        }
        Err(_) => return None,
    };
    let mut full = Vec::new();
    for (path, digest) in some {
        match came.remove(path) {
            Some(Ok(bytes)) if Digest::of(&bytes) == *digest => {
                *total += bytes.len();
                contents.insert(digest.clone(), bytes);
            }
            Some(Err(Withheld::Full)) => full.push((path.clone(), digest.clone())),
            _ => {}
        }
    }
    Some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::name::NodePath;
    use crate::survey::FoundKong;

    fn request(hosts: &[&str]) -> Import {
        Import {
            targets: hosts.iter().map(|host| Target::parse(host).unwrap()).collect(),
            hints: Hints::default(),
            owner: None,
            operator: "op@desk".to_owned(),
            cluster: None,
            becomes: Become::None,
            below: String::new(),
            at: Timestamp::UNIX_EPOCH,
            command: String::new(),
        }
    }

    fn found(index: usize, host: &str, boot: &str, prefixes: &[(&str, u64)]) -> (usize, NodeName, Discovery) {
        let kong = |(prefix, inode): &(&str, u64)| FoundKong {
            master: Some(7),
            prefix: NodePath::parse(prefix).ok(),
            id: Some((1, *inode)).filter(|(_, inode)| *inode > 0),
            ..FoundKong::default()
        };
        let kongs = prefixes.iter().map(kong).collect();
        (index, NodeName::parse(host).unwrap(), Discovery { boot: boot.to_owned(), kongs, ..Discovery::default() })
    }

    #[test]
    fn every_kong_is_a_node_and_no_kong_is_two() {
        let request = request(&["gw", "alias", "clone", "bare"]);
        let found = vec![
            found(0, "gw", "boot-1", &[("/a", 10), ("/b", 11), ("/typed/for/others", 0)]),
            found(1, "alias", "boot-1", &[("/a", 10)]),
            found(2, "clone", "boot-2", &[("/a", 10), ("relative", 12)]),
            found(3, "bare", "boot-3", &[]),
        ];
        let (mut missing, mut twice) = (Vec::new(), Vec::new());
        let candidates = candidates(&request, &found, &mut missing, &mut twice);
        let names: Vec<(&str, &str)> =
            candidates.iter().map(|one| (one.name.as_str(), one.place.paths.prefix.as_str())).collect();
        assert_eq!(names, [("gw", "/a"), ("gw-2", "/b"), ("clone", "/a")]);
        let said = |all: &[Missing]| -> Vec<(String, String)> {
            all.iter().map(|one| (one.target.clone(), one.code.clone())).collect()
        };
        assert_eq!(said(&twice), [("alias".to_owned(), "same-node".to_owned())]);
        assert_eq!(said(&missing), [("clone".to_owned(), "no-place".to_owned()), ("bare".into(), "no-kong".into())]);
        assert!(missing[1].hints.iter().any(|hint| hint.to_string().contains("--prefix bare=/PATH")));
    }

    #[test]
    fn every_target_has_a_name_of_its_own() {
        let targets: Vec<Target> =
            ["gw", "op@gw", "gw:2222", "[::1]:22", "gw:2222"].map(|text| Target::parse(text).unwrap()).into();
        let names: Vec<String> = names(&targets).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["gw", "gw-2", "gw-2222", "::1", "gw-3"]);
    }
}
