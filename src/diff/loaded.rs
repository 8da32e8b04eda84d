//! What the workers run, against what is wanted.
//!
//! A worker does not say which content it loaded; only the version, which an edit need not change. The evidence, from
//! strong to weak: the staged search path of a running worker, which holds the digest (protocols.md A, "Proof"); muster's
//! receipt with the processes that were proven; the age of the master against the age of the files. A worker that was
//! respawned is young and runs old code (measured.md 6), so its age proves nothing, and what cannot be told is Unknown.

use super::{FilesDiff, Mark};
use crate::bundle::Bundle;
use crate::kong::{SearchPath, clean_plugin_version};
use crate::name::{Digest, NodePath, PluginName};
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
fn started(process: Process, facts: &NodeFacts) -> i64 {
    let since_boot = i64::try_from(process.1).unwrap_or(i64::MAX) / TICKS;
    facts.host.clock - i64::try_from(facts.host.uptime).unwrap_or(0) + since_boot
}

/// The mark of the loaded truth for plugins that are wanted loaded, and a remark if it needs one.
pub(super) fn wanted(
    plugins: &[PluginName],
    bundle: Option<&Bundle>,
    files: &FilesDiff,
    facts: &NodeFacts,
    home: &NodePath,
) -> (Mark, Option<String>) {
    let Some(master) = &facts.master else { return (Mark::Absent, None) };
    let Ok(admin) = &facts.admin else { return (Mark::Unknown, None) };
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
    match evidence(&bundle.name, &bundle.digest, files, facts, master, admin, home) {
        Evidence::Wanted => (Mark::AsWanted, None),
        Evidence::Other => (Mark::Differs, Some("the workers run other content of the same version".to_owned())),
        Evidence::Owed => (Mark::Differs, Some("files changed after the workers started: a reload is owed".to_owned())),
        Evidence::Unclear => {
            let text = "it cannot be told whether the workers run what is on disk; a reload settles it";
            (Mark::Unknown, Some(text.to_owned()))
        }
    }
}

/// The mark for plugins that are not wanted loaded.
pub(super) fn unwanted(plugins: &[PluginName], facts: &NodeFacts) -> Mark {
    match &facts.admin {
        _ if facts.master.is_none() => Mark::Absent,
        Err(_) => Mark::Unknown,
        Ok(admin) if plugins.iter().any(|plugin| admin.loaded.contains_key(plugin)) => Mark::Extra,
        Ok(_) => Mark::Absent,
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

fn evidence(
    name: &crate::name::BundleName,
    digest: &Digest,
    files: &FilesDiff,
    facts: &NodeFacts,
    master: &MasterFacts,
    admin: &AdminFacts,
    home: &NodePath,
) -> Evidence {
    let path = SearchPath::new(admin.lua_package_path.clone().unwrap_or_default());
    if let Some(staged) = path.releases(home).iter().find(|staged| staged.name == name.as_str()) {
        return if staged.digest == *digest { Evidence::Wanted } else { Evidence::Other };
    }
    if let Some(proven) = proven_content(name, facts, master) {
        return if proven == digest { Evidence::Wanted } else { Evidence::Other };
    }
    let Some(newest) = files.newest else { return Evidence::Unclear };
    let since = |process: &Process| started(*process, facts) > newest;
    let reloaded_since = was_proven(name, facts, master) && master.workers.iter().all(since);
    match () {
        // Whatever HUP came later, it loaded what is on disk now.
        () if since(&master.process) || reloaded_since => {
            if files.same() {
                Evidence::Wanted
            } else {
                Evidence::Other
            }
        }
        () if master.workers.iter().any(since) => Evidence::Unclear,
        () => Evidence::Owed,
    }
}

/// The content that exactly these workers were proven with.
fn proven_content<'a>(
    name: &crate::name::BundleName,
    facts: &'a NodeFacts,
    master: &MasterFacts,
) -> Option<&'a Digest> {
    let receipt = facts.receipts.iter().rev().find(|receipt| !receipt.workers.is_empty())?;
    let same_master = receipt.master == Some(master.process) && receipt.boot.as_ref() == Some(&facts.host.boot);
    let same_workers = !master.workers.is_empty() && master.workers.is_subset(&receipt.workers);
    if same_master && same_workers { receipt.content.get(name) } else { None }
}

/// Whether this master was once proven by us with the bundle staged. As its workers' search path is no longer staged,
/// somebody reloaded it since: a respawn alone keeps the path.
fn was_proven(name: &crate::name::BundleName, facts: &NodeFacts, master: &MasterFacts) -> bool {
    facts.receipts.iter().any(|receipt| {
        receipt.master == Some(master.process)
            && receipt.boot.as_ref() == Some(&facts.host.boot)
            && receipt.content.contains_key(name)
    })
}
