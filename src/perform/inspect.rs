//! Looking at one node: one script, and the Admin API. Changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::{BundlePath, PluginName};
use crate::remote::{Call, Ended, Remote, RemoteError, Reply, Script};
use crate::survey::{AdminFacts, NodeFacts, SurveyDecoder, SurveyError, SurveyRequest, Trouble};
use crate::wire::Status;

use super::admin::{Face, Row, has_workspaces, trouble};
use super::cause::of_problem;
use super::{Doors, Site, rows};

/// How long a look may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The script.
    pub script: Duration,
    /// One request to the Admin API; all of them together get four times that.
    pub request: Duration,
}

/// Why a node's facts are not known.
#[derive(Debug)]
pub enum Failure {
    /// The way to the node failed.
    Remote(RemoteError),
    /// The node answered, and the answer cannot be used.
    Answer(Trouble),
}

/// Looks at a node. Trouble with its Admin API is one of its facts.
pub async fn inspect(
    remote: &dyn Remote,
    site: &Site,
    roots: &[BundlePath],
    patience: Patience,
) -> Result<NodeFacts, Failure> {
    // Where the inventory says where the Admin API is, both are asked at once; nothing is lost if Kong is down.
    let named = site.admin.as_ref().map(|_| Doors::of(site, None, patience.request));
    let early = async {
        match &named {
            Some(doors) => Some(ask(remote, doors, patience).await),
            None => None,
        }
    };
    let (facts, early) = tokio::join!(survey(remote, site, roots, patience.script), early);
    let mut facts = facts?;
    let env = facts.env_file.as_ref().map(|env| env.open().bytes());
    let doors = Doors::of(site, env, patience.request);
    let running = facts.master.is_some();
    let matters = plugins_of(roots, &facts);
    let late = async {
        let asked = match early {
            Some(asked) => asked,
            None if !running => return alone(remote, &doors, patience).await,
            None => ask(remote, &doors, patience).await,
        };
        match asked {
            Ok(asked) => Ok(asked.told(remote, &matters, patience).await),
            Err(trouble) => Err(trouble),
        }
    };
    let ready = async {
        let status = doors.status.as_ref().filter(|_| running)?;
        Some(status.ready(remote).await?.status)
    };
    let (admin, ready) = tokio::join!(late, ready);
    facts.admin =
        if running || !facts.orphans.is_empty() { admin } else { admin.map_err(|trouble| stopped(site, trouble)) };
    facts.ready = ready;
    Ok(facts)
}

/// The plugins that these roots are of, and those that were installed here: one that left the inventory may be removed, too.
fn plugins_of(roots: &[BundlePath], facts: &NodeFacts) -> BTreeSet<PluginName> {
    let name = |root: &BundlePath| PluginName::parse(root.as_str().strip_prefix("kong/plugins/")?).ok();
    let manifest = facts.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok());
    let installed = manifest.into_iter().flat_map(|manifest| manifest.bundles.values());
    let installed = installed.flat_map(|owned| owned.plugins.iter().cloned());
    roots.iter().filter_map(name).chain(installed).collect()
}

/// Asked where no master was found: workers outlive a master that was killed, and a prefix may be another one.
async fn alone(remote: &dyn Remote, doors: &Doors, patience: Patience) -> Result<AdminFacts, Trouble> {
    let face = doors.admin.as_ref().map_err(Clone::clone)?;
    let answer = tokio::time::timeout(patience.request, face.node(remote)).await;
    answer.unwrap_or_else(|_| {
        let text = format!("the Admin API did not answer within {} s", patience.request.as_secs());
        Err(trouble("admin-slow", text, vec![]))
    })
}

/// Without a master: where nothing listens, or nobody knows where it would, Kong does not run. All else stays what it is.
fn stopped(site: &Site, found: Trouble) -> Trouble {
    match found.code.as_str() {
        "admin-unreachable" | "admin-unknown" | "admin-off" | "admin-tls" => {
            let text = format!("Kong does not run in {}, and no Admin API answers there", site.prefix);
            trouble(Trouble::NOT_RUNNING, text, vec![])
        }
        _ => found,
    }
}

/// What an Admin API said, its rows without the names of what they are applied to.
struct Asked<'a> {
    face: &'a Face,
    facts: AdminFacts,
    rows: Result<Vec<Row>, Trouble>,
}

impl Asked<'_> {
    /// The facts, with the rows of the plugins that matter in words.
    async fn told(self, remote: &dyn Remote, matters: &BTreeSet<PluginName>, patience: Patience) -> AdminFacts {
        let Self { face, mut facts, rows } = self;
        match rows {
            Ok(found) => {
                let asking = rows::names(face, remote, &found, matters);
                let names = tokio::time::timeout(patience.request * 4, asking).await.unwrap_or_default();
                facts.rows = rows::by_plugin(found, &names).into();
            }
            Err(trouble) => facts.rows_trouble = Some(trouble),
        }
        facts
    }
}

async fn ask<'a>(remote: &dyn Remote, doors: &'a Doors, patience: Patience) -> Result<Asked<'a>, Trouble> {
    let face = doors.admin.as_ref().map_err(Clone::clone)?;
    let asking = admin_facts(face, remote);
    tokio::time::timeout(patience.request * 4, asking).await.unwrap_or_else(|_| {
        let text = format!("the Admin API did not answer in full within {} s", patience.request.as_secs() * 4);
        Err(trouble("admin-slow", text, vec![Hint::do_("look at the load of the node and of its database")]))
    })
}

async fn admin_facts<'a>(face: &'a Face, remote: &dyn Remote) -> Result<Asked<'a>, Trouble> {
    let (facts, default_rows) = tokio::join!(face.node(remote), face.rows(remote, false));
    let facts = facts?;
    let rows = if has_workspaces(&facts) { face.rows(remote, true).await } else { default_rows };
    Ok(Asked { face, facts, rows })
}

async fn survey(
    remote: &dyn Remote,
    site: &Site,
    roots: &[BundlePath],
    deadline: Duration,
) -> Result<NodeFacts, Failure> {
    let request = SurveyRequest {
        conf: site.conf.clone(),
        prefix: site.prefix.clone(),
        lua_root: site.lua_root.clone(),
        home: site.home.clone(),
        cli: Some(site.cli.to_string()),
        roots: roots.iter().cloned().collect(),
    };
    // A little less than ours, so that the script's own end is seen.
    let seconds = deadline.as_secs().saturating_sub(2).max(1).to_string();
    let args = request.args().and_then(|args| args.with("seconds", seconds));
    let args = args.map_err(|error| Failure::Answer(trouble("not-sent", error.to_string(), vec![])))?;
    let call = Call { script: Script::Survey, args, payload: None, deadline };
    let mut running = remote.start(call).await.map_err(Failure::Remote)?;
    let mut decoder = SurveyDecoder::new(request);
    let mut read = Ok(());
    let mut problem = None;
    while let Some(reply) = running.next().await {
        read = read.and_then(|()| match reply {
            Reply::Record(record) if record.tag == "problem" => {
                problem = Some(of_problem("looking", &site.address.node, &record));
                Ok(())
            }
            Reply::Record(record) => decoder.record(&record),
            Reply::Blob { name, bytes } => decoder.blob(&name, bytes),
        });
    }
    match (running.finish().await, problem) {
        (Ended::Lost(error), _) => Err(Failure::Remote(error)),
        (Ended::Done(_), Some(found)) => {
            Err(Failure::Answer(Trouble { code: found.code, text: found.text, hints: found.hints }))
        }
        (Ended::Done(Status::Unchanged), None) => {
            read.and_then(|()| decoder.finish()).map_err(|error| Failure::Answer(garbled(site, &error)))
        }
        (Ended::Done(status), None) => {
            let text = format!("looking at {} ended with {status:?}, without a reason", site.address.node);
            Err(Failure::Answer(trouble("survey-failed", text, vec![])))
        }
    }
}

fn garbled(site: &Site, error: &SurveyError) -> Trouble {
    let text = printable(&format!("looking at {}: {error}", site.address.node), 400);
    trouble("garbled", text, vec![Hint::do_("look at what the login shell of the node prints")])
}
