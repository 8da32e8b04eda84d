//! What the workers run, against what is wanted.
//!
//! A worker does not say which content it loaded; only the version, which an edit need not change. The evidence, from
//! strong to weak: the staged search path of a running worker, which holds the digest (protocols.md A, "Proof"); muster's
//! receipt with the processes that were proven; the age of the master against the age of the files. A worker that was
//! respawned is young and runs old code (measured.md 6), so its age proves nothing, and what cannot be told is Unknown.

use super::{FilesDiff, Mark};
use crate::bundle::Bundle;
use crate::inventory::KongPaths;
use crate::kong::{SearchPath, clean_plugin_version};
use crate::name::{BundleName, Digest, NodePath, PluginName};
use crate::survey::{AdminFacts, MasterFacts, NodeFacts, Process};

/// What is known of the content that the workers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// They have the wanted content.
    Wanted,
    /// They have other content.
    Other,
    /// They were started before what is on disk was written.
    Owed,
    /// It cannot be told.
    Unclear,
}

/// The ticks of a second in `/proc/PID/stat` (`USER_HZ`), fixed on every Linux that Kong runs on.
const TICKS: i64 = 100;

/// When a process was started, seconds since 1970, rounded down.
pub(super) fn started(process: Process, facts: &NodeFacts) -> i64 {
    let since_boot = i64::try_from(process.1).unwrap_or(i64::MAX) / TICKS;
    facts.host.clock - i64::try_from(facts.host.uptime).unwrap_or(0) + since_boot
}

/// What the Admin API says, if it is that of this node's Kong: where several run on one machine, the port may be answered by
/// another one, whose plugins prove nothing here.
pub fn own_admin(facts: &NodeFacts) -> Option<&AdminFacts> {
    let admin = facts.admin.as_ref().ok()?;
    let other = admin.master.zip(facts.master.as_ref()).is_some_and(|(pid, master)| pid != master.process.0);
    (!other).then_some(admin)
}

/// The mark of the loaded truth for plugins that are wanted loaded, and a remark if it needs one. `files` is the comparison
/// of content that we manage; without it only names and versions are compared.
pub(super) fn wanted(
    plugins: &[PluginName],
    bundle: Option<&Bundle>,
    files: Option<&FilesDiff>,
    facts: &NodeFacts,
    kong: &KongPaths,
) -> (Mark, Option<String>) {
    if super::stopped(kong, facts) {
        return (Mark::Absent, None);
    }
    let Some(admin) = own_admin(facts) else { return (Mark::Unknown, None) };
    let loaded = plugins.iter().filter(|plugin| admin.loaded.contains_key(*plugin)).count();
    if loaded == 0 {
        return (Mark::Missing, None);
    }
    if loaded < plugins.len() {
        return (Mark::Differs, None);
    }
    let Some(bundle) = bundle else { return (Mark::AsWanted, None) };
    if let Some(remark) = other_version(plugins, bundle, admin) {
        return (Mark::Differs, Some(remark));
    }
    let Some(files) = files else { return (Mark::AsWanted, None) };
    if !files.any() && !files.unread() {
        return (
            Mark::Unknown,
            Some("it runs, and its files are gone: the next reload or start would fail".to_owned()),
        );
    }
    // Without a master there is no telling since when its workers run.
    let Some(master) = &facts.master else { return (Mark::Unknown, None) };
    match (Witness { facts, master, admin, home: &kong.home }).evidence(bundle, files) {
        Evidence::Wanted => (Mark::AsWanted, None),
        Evidence::Other => (Mark::Differs, Some("the workers run other content of the same version".to_owned())),
        Evidence::Owed => (Mark::Differs, Some("files changed after the workers started: a reload is owed".to_owned())),
        Evidence::Unclear => {
            let text = "it cannot be told whether the workers run what is on disk; --reload-unproven settles it";
            (Mark::Unknown, Some(text.to_owned()))
        }
    }
}

/// The mark for plugins that are not wanted loaded.
pub(super) fn unwanted(plugins: &[PluginName], facts: &NodeFacts, kong: &KongPaths) -> Mark {
    match own_admin(facts) {
        _ if super::stopped(kong, facts) => Mark::Absent,
        None => Mark::Unknown,
        Some(admin) if plugins.iter().any(|plugin| admin.loaded.contains_key(plugin)) => Mark::Extra,
        Some(_) => Mark::Absent,
    }
}

fn other_version(plugins: &[PluginName], bundle: &Bundle, admin: &AdminFacts) -> Option<String> {
    plugins.iter().find_map(|plugin| {
        let wanted = bundle.plugins.get(plugin)?.version.as_deref()?;
        let wanted = clean_plugin_version(wanted).unwrap_or_else(|| wanted.to_owned());
        let loaded = admin.loaded.get(plugin)?.as_deref()?;
        (loaded != wanted).then(|| format!("loaded {loaded}, wanted {wanted}"))
    })
}

/// Everything that tells what the workers have.
struct Witness<'a> {
    facts: &'a NodeFacts,
    master: &'a MasterFacts,
    admin: &'a AdminFacts,
    home: &'a NodePath,
}

impl<'a> Witness<'a> {
    fn evidence(&self, bundle: &Bundle, files: &FilesDiff) -> Evidence {
        let judged = |digest: &Digest| if *digest == bundle.digest { Evidence::Wanted } else { Evidence::Other };
        let staged = SearchPath::new(self.admin.lua_package_path.clone().unwrap_or_default()).releases(self.home);
        if let Some(release) = staged.iter().find(|release| release.name == bundle.name.as_str()) {
            return judged(&release.digest);
        }
        if let Some(proven) = self.proven_content(&bundle.name) {
            return judged(proven);
        }
        let Some(newest) = files.newest else { return Evidence::Unclear };
        let since = |process: &Process| started(*process, self.facts) > newest;
        let reloaded_since = staged.is_empty() && self.reloaded_with(bundle) && self.master.workers.iter().all(since);
        match () {
            // Whatever HUP came later, it loaded what is on disk now.
            () if since(&self.master.process) || reloaded_since => {
                if files.same() {
                    Evidence::Wanted
                } else {
                    Evidence::Other
                }
            }
            () if self.master.workers.iter().any(since) => Evidence::Unclear,
            () => Evidence::Owed,
        }
    }

    fn is_this_master(&self, process: Option<Process>, boot: Option<&String>) -> bool {
        process == Some(self.master.process) && boot == Some(&self.facts.host.boot)
    }

    /// The content that exactly these workers were proven with.
    fn proven_content(&self, name: &BundleName) -> Option<&'a Digest> {
        let receipt = self.facts.receipts.iter().rev().find(|receipt| !receipt.workers.is_empty())?;
        let same_workers = !self.master.workers.is_empty() && self.master.workers.is_subset(&receipt.workers);
        if same_workers && self.is_this_master(receipt.master, receipt.boot.as_ref()) {
            receipt.content.get(name)
        } else {
            None
        }
    }

    /// Whether somebody reloaded this master since our last proof, with this content on disk from then on. Our release then
    /// stood in the path of the workers, which a respawn keeps; where it does not any more, they are of a later reload. A
    /// reload of ours that staged nothing leaves no such mark, and an older receipt says nothing of what came after it.
    fn reloaded_with(&self, bundle: &Bundle) -> bool {
        let last = self.facts.receipts.iter().rev().find(|receipt| !receipt.workers.is_empty());
        last.is_some_and(|receipt| {
            let staged = receipt.intents.iter().any(|intent| match intent.what.as_slice() {
                [what, bundle, digest] => {
                    let loaded =
                        receipt.content.iter().any(|(name, is)| name.as_str() == bundle && is.as_str() == digest);
                    intent.done && what == "switch" && loaded
                }
                _ => false,
            });
            let same = receipt.content.get(&bundle.name) == Some(&bundle.digest);
            staged && same && self.is_this_master(receipt.master, receipt.boot.as_ref())
        })
    }
}
