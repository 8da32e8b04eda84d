//! A trial load: Kong's own command loads the plugins of the new directive in a scratch prefix. Nothing live changes, whatever
//! comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::action::{Candidate, Rehearse};
use crate::hint::Hint;
use crate::kong::diagnosis::{self, Diagnosis, diagnose};
use crate::kong::{directive, printable};
use crate::name::{BundleName, NodeName, PluginName};
use crate::remote::{Call, Ended, Remote, RemoteError, Reply, Script};
use crate::run::{Cause, Outcome, StepEnd, StepPhase};
use crate::survey::HIDDEN;
use crate::wire::{ArgError, Args, Record, Status};

use super::cause::{advised, cause, of_problem, of_remote};
use super::explain::advice;
use super::{Parcel, Site, Watch};

/// How long Kong's command may take, in seconds: 3 were measured on a busy machine.
const LIMIT: u64 = 60;
/// The script's own deadline is before this one.
const DEADLINE: Duration = Duration::from_secs(LIMIT + 60);
/// The most records that are kept.
const RECORDS: usize = 2_000;
/// The most of what was said that is shown where nobody knows it.
const LINES: usize = 5;

/// What was delivered before stands at the head of the search path.
fn arguments(site: &Site, rehearse: &Rehearse) -> Result<Args, ArgError> {
    let release = |candidate: &Candidate| {
        let release = format!("{}/releases/{}/{}", site.home, candidate.bundle, candidate.digest);
        format!("{release}/?.lua;{release}/?/init.lua;")
    };
    settings(site, rehearse)?.with("stage", rehearse.staged.iter().map(release).collect::<String>())
}

fn settings(site: &Site, rehearse: &Rehearse) -> Result<Args, ArgError> {
    let plugins = rehearse.staged.iter().flat_map(|candidate| &candidate.plugins).chain(&rehearse.added);
    let args = Args::new()
        .with("home", site.home.as_str())?
        .with("prefix", site.prefix.as_str())?
        .with("conf", site.conf.as_str())?
        .with("lua_root", site.lua_root.as_str())?
        .with("cli", site.cli.as_str())?
        .with("base", if rehearse.runs { "env" } else { "conf" })?
        .with("plugins", &rehearse.plugins)?
        .with("limit", LIMIT.to_string())?
        .with_list("plugin", plugins.map(PluginName::as_str))?;
    match &rehearse.search_path {
        Some(path) => args.with("path", path),
        None => Ok(args),
    }
}

/// What the script told.
#[derive(Debug, Default)]
struct Told {
    records: Vec<Record>,
    said: Vec<u8>,
}

impl Told {
    fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.tag == tag)
    }

    fn text(&self, tag: &str, index: usize) -> Option<String> {
        Some(printable(&self.all(tag).last()?.text(index)?, 400))
    }
}

/// Rehearses. What loads, or why no trial load can be made there, is told as a fact.
pub(crate) async fn perform(remote: &dyn Remote, site: &Site, rehearse: &Rehearse, watch: &dyn Watch) -> StepEnd {
    let args = match arguments(site, rehearse) {
        Ok(args) => args,
        Err(error) => return StepEnd::Failed { cause: cause("not-sent", error.to_string()) },
    };
    watch.phase(StepPhase::Rehearse, format!("loading {} on trial", rehearse.about()));
    let call = Call { script: Script::Rehearse, args, payload: None, deadline: DEADLINE };
    let (told, status) = match listen(remote, call).await {
        Ok(both) => both,
        Err(error) => return StepEnd::Unknown { cause: of_remote(&error) },
    };
    match judge(site, rehearse, &told, status) {
        Trial::Loads => watch.proven(format!("loads on trial: {}", rehearse.about())),
        Trial::NotMade(why) => watch.proven(format!("no trial load here: {why}")),
        Trial::Fails { cause, .. } => return StepEnd::Failed { cause },
    }
    StepEnd::Done { outcome: Outcome::Unchanged }
}

/// A trial load for a plan: nothing was delivered, so that the content goes along, as one parcel with the files of each bundle
/// below its name. No lease is taken. `secrets` is what must not be shown of what Kong's command says.
pub async fn on_trial(
    remote: &dyn Remote,
    site: &Site,
    rehearse: &Rehearse,
    parcel: &Parcel,
    secrets: &[String],
) -> Result<Trial, RemoteError> {
    let bundles = rehearse.staged.iter().map(|candidate| candidate.bundle.as_str());
    let files = parcel.files.iter().map(|(path, digest)| format!("{digest} {path}"));
    let args = settings(site, rehearse).and_then(|args| args.with_list("content", bundles)?.with_list("file", files));
    let args = match args {
        Ok(args) => args,
        Err(error) => return Ok(Trial::NotMade(error.to_string())),
    };
    let payload = (!rehearse.staged.is_empty()).then(|| parcel.bytes.clone());
    let call = Call { script: Script::Rehearse, args, payload, deadline: DEADLINE };
    let (mut told, status) = listen(remote, call).await?;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        told.said = String::from_utf8_lossy(&told.said).replace(secret.as_str(), HIDDEN).into_bytes();
    }
    Ok(judge(site, rehearse, &told, status))
}

async fn listen(remote: &dyn Remote, call: Call) -> Result<(Told, Status), RemoteError> {
    let mut running = remote.start(call).await?;
    let mut told = Told::default();
    while let Some(reply) = running.next().await {
        match reply {
            Reply::Record(record) if record.tag == "alive" => {}
            Reply::Record(record) if told.records.len() < RECORDS => told.records.push(record),
            Reply::Blob { name, bytes } if name == "said" => told.said = bytes,
            Reply::Record(_) | Reply::Blob { .. } => {}
        }
    }
    match running.finish().await {
        Ended::Done(status) => Ok((told, status)),
        Ended::Lost(error) => Err(error),
    }
}

/// What a trial load came to.
#[derive(Debug)]
pub enum Trial {
    /// All of it loads.
    Loads,
    /// None can be made there, and why: the reload's own proof, and the guard, hold all the same.
    NotMade(String),
    /// It does not load.
    Fails {
        /// Why.
        cause: Cause,
        /// The bundles whose content it is: it would be the same on any node. None: something of the node.
        of: BTreeSet<BundleName>,
    },
}

impl Trial {
    fn fails_here(cause: Cause) -> Self {
        Self::Fails { cause, of: BTreeSet::new() }
    }
}

fn judge(site: &Site, rehearse: &Rehearse, told: &Told, status: Status) -> Trial {
    let node = &site.address.node;
    match (status, told.text("problem", 0)) {
        (Status::Unchanged, _) => return Trial::Loads,
        (Status::Refused, Some(problem)) => return Trial::NotMade(impossible(node, &problem, told)),
        (Status::Failed, None) => {}
        (_, _) => {
            let problem = told.all("problem").last();
            let why = problem.map(|problem| of_problem("loading on trial", node, problem).text);
            return Trial::NotMade(why.unwrap_or_else(|| format!("its script ended with {status:?}")));
        }
    }
    match told.text("trial", 0).as_deref() {
        Some("0") => Trial::fails_here(unreadable(node, rehearse, told)),
        Some("124") => Trial::fails_here(late(node, rehearse)),
        _ => {
            let found = diagnose(&told.said);
            let Some(first) = found.iter().find(|diagnosis| diagnosis.cause.is_of_a_load()) else {
                return unknown(node, rehearse, told);
            };
            Failure { site, rehearse, told }.trial(first)
        }
    }
}

/// Why none can be made, by the script's own word.
fn impossible(node: &NodeName, problem: &str, told: &Told) -> String {
    let about = told.text("problem", 1).unwrap_or_default();
    match problem {
        "no-perl" => "it has no perl, which Kong's command needs".to_owned(),
        "no-cli" => format!("Kong's command {about} is not there, or does not run"),
        "no-scratch" => format!("neither {about} nor a directory for temporary files can be written"),
        "no-base" => format!("{about} cannot be copied"),
        "not-the-owner" => format!("Kong's master belongs to uid {about}, and scripts run as somebody else"),
        _ => told.all("problem").last().map_or_else(String::new, |p| of_problem("loading on trial", node, p).text),
    }
}

/// It loads in the master, and its workers could not read what they require later.
fn unreadable(node: &NodeName, rehearse: &Rehearse, told: &Told) -> Cause {
    let field = |index| told.text("unreadable", index).unwrap_or_default();
    let (uid, path) = (field(0), field(1));
    let text = format!("{} does not load on {node}: its workers (uid {uid}) may not read {path}", rehearse.about());
    let hint = Hint::do_(format!("let them: chmod a+r {path} and a+x for every directory above it"));
    let mut cause = advised(Cause::DOES_NOT_LOAD_HERE, text, hint);
    cause.details.push("what the master loads as root a worker reads later, where it is required only then".to_owned());
    cause
}

fn late(node: &NodeName, rehearse: &Rehearse) -> Cause {
    let text = format!("{} does not load on {node}: the trial load did not end within {LIMIT} s", rehearse.about());
    let advice = "look for code that waits or loops outside of functions; a reload would hang in it, too";
    advised(Cause::DOES_NOT_LOAD_HERE, text, Hint::do_(advice))
}

/// Kong's command failed in a way that is none of a plugin's: nothing is known of what was to be tried.
fn unknown(node: &NodeName, rehearse: &Rehearse, told: &Told) -> Trial {
    let said = String::from_utf8_lossy(&told.said);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.by_ref().take(LINES).map(|line| printable(line, 400)).collect();
    let first = lines.iter().find(|line| line.contains("Error:")).or_else(|| lines.first());
    let exit = told.text("trial", 0).unwrap_or_default();
    let Some(first) = first else {
        return Trial::NotMade(format!("Kong's command ended with {exit} and said nothing"));
    };
    // What speaks of a plugin is not the command's own trouble.
    if !lines.iter().any(|line| line.contains("kong/plugins/") || line.contains("kong.plugins.")) {
        return Trial::NotMade(format!("Kong's command ended with {exit}: {first}"));
    }
    let text = format!("{} does not load on {node}: {first}", rehearse.about());
    Trial::fails_here(Cause { details: lines, ..cause(Cause::DOES_NOT_LOAD_HERE, text) })
}

/// A trial load that failed, and what is needed to tell whose fault it is.
struct Failure<'a> {
    site: &'a Site,
    rehearse: &'a Rehearse,
    told: &'a Told,
}

impl Failure<'_> {
    fn trial(&self, found: &Diagnosis) -> Trial {
        let plugin = found.plugin.clone().or_else(|| self.lacking()).or_else(|| self.only(found));
        let ours = plugin.as_ref().and_then(|plugin| self.candidate(plugin));
        let who = match (&ours, &plugin) {
            (Some(candidate), Some(plugin)) if candidate.bundle.as_str() == plugin.as_str() => candidate.title(),
            (Some(candidate), Some(plugin)) => format!("{} (plugin {plugin})", candidate.title()),
            (None, Some(plugin)) if self.rehearse.added.contains(plugin) => plugin.to_string(),
            (None, Some(plugin)) => format!("{plugin}, which the node lists and this does not change,"),
            (None, None) => self.rehearse.about(),
            (Some(_), None) => String::new(),
        };
        let suspects = match ours {
            Some(candidate) => std::slice::from_ref(candidate),
            None if plugin.is_none() => self.rehearse.staged.as_slice(),
            // What the node lists besides runs there now.
            None => &[],
        };
        let of = suspects.iter().filter(|candidate| is_of_content(found, candidate));
        let of: BTreeSet<BundleName> = of.map(|candidate| candidate.bundle.clone()).collect();
        let code = if of.is_empty() { Cause::DOES_NOT_LOAD_HERE } else { Cause::DOES_NOT_LOAD };
        let node = &self.site.address.node;
        let text = format!("{who} does not load on {node}: {}{}", self.place(found), words(found));
        let mut details = vec![found.cause.meaning().to_owned()];
        details.extend(self.files());
        details.push(format!("Kong's own words: {}", found.raw));
        Trial::Fails { cause: Cause { details, hints: advice(found).into(), ..cause(code, text) }, of }
    }

    fn candidate(&self, plugin: &PluginName) -> Option<&Candidate> {
        self.rehearse.staged.iter().find(|candidate| candidate.plugins.contains(plugin))
    }

    /// The plugin that is loaded anew, if it is one: Kong's command leaves the name out where it is at the head of its
    /// message (facts.md A5).
    fn only(&self, found: &Diagnosis) -> Option<PluginName> {
        let names = self.rehearse.staged.iter().flat_map(|candidate| &candidate.plugins).chain(&self.rehearse.added);
        let names: BTreeSet<&PluginName> = names.collect();
        let one = names.len() == 1 && found.cause != diagnosis::Cause::NotInstalled;
        names.into_iter().next().filter(|_| one).cloned()
    }

    /// A listed name of which nothing was found; Kong's command does not say which (measured.md 3). Ours come first.
    fn lacking(&self) -> Option<PluginName> {
        let names = self.told.all("lacks").filter_map(|record| PluginName::parse(&record.text(0)?).ok());
        let mut names: Vec<PluginName> = names.filter(|name| !directive::is_bundled(name)).collect();
        names.sort_by_key(|name| self.candidate(name).is_none());
        names.into_iter().next()
    }

    /// The files that the master's user may not read.
    fn files(&self) -> Vec<String> {
        let line = |record: &Record| Some(format!("uid {} may not read {}", record.text(0)?, record.text(1)?));
        self.told.all("unreadable").filter_map(line).take(LINES).map(|line| printable(&line, 400)).collect()
    }

    /// The file and the line, as they are in the repository, or else in the bundle.
    fn place(&self, found: &Diagnosis) -> String {
        let Some(file) = &found.file else { return String::new() };
        let shown = self.own_path(file).unwrap_or_else(|| file.clone());
        found.line.map_or_else(|| format!("{shown}: "), |line| format!("{shown}:{line}: "))
    }

    /// A path on the node, which LuaJIT may have cut at its front, as the bundle has it.
    fn own_path(&self, file: &str) -> Option<String> {
        self.rehearse.staged.iter().find_map(|candidate| {
            let release = match self.told.text("content", 0) {
                Some(content) => format!("{content}/{}/", candidate.bundle),
                None => format!("{}/releases/{}/{}/", self.site.home, candidate.bundle, candidate.digest),
            };
            let path = match file.strip_prefix(&release) {
                Some(path) => path.to_owned(),
                None => uncut(file, candidate)?,
            };
            let Some((here, there)) = &candidate.source else { return Some(path) };
            Some(path.strip_prefix(here).map_or_else(|| path.clone(), |rest| format!("{there}{rest}")))
        })
    }
}

fn words(found: &Diagnosis) -> String {
    // The command's text for a plugin without files is about something else.
    if found.cause == diagnosis::Cause::NotInstalled {
        return "it is listed, and its handler is found nowhere on the search path, or may not be read".to_owned();
    }
    found.words.trim_end_matches(':').trim_start_matches("Error: ").to_owned()
}

/// `...ng/plugins/acme-auth/handler.lua` with its beginning.
fn uncut(file: &str, candidate: &Candidate) -> Option<String> {
    let cut = file.strip_prefix("...")?;
    candidate.plugins.iter().find_map(|plugin| {
        let lead = format!("plugins/{plugin}/");
        let at = cut.find(&lead)?;
        Some(format!("kong/{}", &cut[at..]))
    })
}

/// Whether it would be the same on any node: what the bundle itself holds, and not what it finds there.
fn is_of_content(found: &Diagnosis, candidate: &Candidate) -> bool {
    use diagnosis::Cause as Of;
    let own =
        |module: &str| candidate.plugins.iter().any(|plugin| module.starts_with(&format!("kong.plugins.{plugin}.")));
    match found.cause {
        Of::MissingModule => found.module.as_deref().is_some_and(own),
        Of::NotInstalled => false,
        _ => true,
    }
}

#[cfg(test)]
#[path = "rehearse_tests.rs"]
mod tests;
