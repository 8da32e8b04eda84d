//! The ways to reload that an inventory asks for: what they would do beside what is wanted, on the evidence of a closer look, and
//! what stands in their way (measured.md 4; protocols.md B2). Nothing is staged with them.

use std::collections::BTreeSet;

use super::node::Draft;
use super::way::{Way, fails};
use super::{Allow, BlockerCode};
use crate::action::{Again, ReloadWay};
use crate::hint::Hint;
use crate::inventory::Reload;
use crate::kong::service::Unit;
use crate::survey::{CandidateFacts, Closer, Kind, MasterFacts};

/// Something that stands in the way.
struct Danger {
    code: BlockerCode,
    what: String,
    fix: String,
}

/// The way, if nothing stands in it; else that is said.
pub(super) fn of(draft: &mut Draft<'_>, closer: Option<&Closer>) -> Option<Way> {
    let reload = draft.node.reload.clone();
    let (way, word) = match &reload {
        Reload::Auto => return None,
        Reload::Prepare => (ReloadWay::Prepare, "prepare"),
        Reload::Restart => (ReloadWay::Restart, "restart"),
        Reload::Unit => {
            let unit = draft.facts.unit().map(|unit| unit.name.clone()).unwrap_or_default();
            (ReloadWay::Unit { unit }, "unit")
        }
        Reload::Command(command) => (ReloadWay::Command { command: command.clone() }, "command"),
    };
    let mut dangers = always(draft);
    match &reload {
        Reload::Unit => dangers.extend(of_unit(draft)),
        Reload::Command(_) => dangers.extend(of_command(draft)),
        _ => dangers.extend(of_cli(draft, &way)),
    }
    let (found, evidence) = evidence(draft, closer, &reload);
    dangers.extend(found);
    let mut stopped = false;
    for danger in dangers {
        if draft.request.allows(danger.code, Some(&draft.node.name)) {
            draft.plan.notes.push(("allowed".to_owned(), format!("reload: {word}: {}", danger.what)));
            continue;
        }
        let mut hints = vec![Hint::do_(danger.fix)];
        if danger.code.can_be_allowed() {
            let allow = Allow { code: danger.code, node: Some(draft.node.name.clone()) };
            hints.push(Hint::type_(format!("muster --plan --allow {allow}")));
        }
        draft.block(danger.code, format!("reload: {word}: {}", danger.what), Vec::new(), hints);
        stopped = true;
    }
    if stopped {
        return None;
    }
    let text = "new content is in place before it is proven: a power cut in between leaves it for the next start";
    draft.plan.notes.push(("danger".to_owned(), text.to_owned()));
    Some(Way { way, evidence })
}

/// How Kong is started again, should the way leave it down.
pub(super) fn again(draft: &Draft<'_>) -> Again {
    match supervised(draft) {
        Some(unit) => Again::Unit(unit.name.clone()),
        None => Again::Kong,
    }
}

/// The unit whose main process the master is.
fn supervised<'a>(draft: &Draft<'a>) -> Option<&'a Unit> {
    let master = draft.facts.master.as_ref()?.process.0;
    draft.facts.unit().filter(|unit| unit.main_pid == Some(master))
}

fn never(what: impl Into<String>, fix: impl Into<String>) -> Danger {
    Danger { code: BlockerCode::ReloadWay, what: what.into(), fix: fix.into() }
}

fn unless_allowed(what: impl Into<String>, fix: impl Into<String>) -> Danger {
    Danger { code: BlockerCode::ReloadApplies, what: what.into(), fix: fix.into() }
}

const AUTO: &str = "write  kong: { reload: auto }  for the node: that applies nothing but muster's own lines";

fn always(draft: &Draft<'_>) -> Vec<Danger> {
    let adopts = draft.switches.iter().any(|switch| !switch.adopts.is_empty());
    let what = "files that are not ours would be adopted before the proof, which the guard could not put back";
    adopts.then(|| never(what, AUTO)).into_iter().collect()
}

/// Of `kong prepare` and `kong restart`, which read kong.conf and nothing of what runs.
fn of_cli(draft: &Draft<'_>, way: &ReloadWay) -> Vec<Danger> {
    let (facts, mut found) = (draft.facts, Vec::new());
    if facts.conf.kind != Kind::File || facts.conf_file.is_none() {
        let what = format!("it would be started from {}, which is not there or cannot be read", draft.node.kong.conf);
        found.push(never(what, "say in the inventory which file it is started from (`kong: { conf: … }`)"));
    }
    if super::way::has_references(facts) {
        let what = "its settings hold vault references, which a CLI with a clean environment cannot resolve";
        found.push(never(what, AUTO));
    }
    if *way == ReloadWay::Restart {
        let foreground =
            facts.env_file.as_ref().and_then(|env| env.open().get("nginx_daemon")).as_deref() == Some("off");
        if let Some(unit) = supervised(draft) {
            let what = format!("its master is the main process of {}, which a restart by the CLI ends", unit.name);
            found.push(never(what, "write  kong: { reload: unit }  or  auto"));
        } else if foreground || facts.master.as_ref().is_some_and(|master| master.process.0 == 1) {
            let what = "it runs in the foreground (nginx_daemon = off): whatever started it would see its process end";
            found.push(never(what, AUTO));
        }
        if facts.host.kills == Some(true) {
            let what = "logind ends what a login started when it ends (KillUserProcesses), and so the restarted Kong";
            found.push(never(what, AUTO));
        }
    }
    found
}

/// Of the reload of a unit.
fn of_unit(draft: &Draft<'_>) -> Vec<Danger> {
    let Some(unit) = draft.facts.unit() else {
        return vec![never("no unit of Kong's is known there", AUTO)];
    };
    let mut found = Vec::new();
    if supervised(draft).is_none() {
        let what = format!("the master that runs is not the main process of {}", unit.name);
        found.push(never(what, "start Kong by its unit, or: write  kong: { reload: auto }"));
    }
    if unit.reloads_by().is_empty() {
        found.push(never(format!("{} has no ExecReload=, so that it cannot be reloaded", unit.name), AUTO));
    }
    found
}

/// Of a command that nothing is known of. As root it may leave files that a master of another user cannot read (measured.md 4,
/// "owner trap").
fn of_command(draft: &Draft<'_>) -> Vec<Danger> {
    let owner = draft.facts.master.as_ref().map_or(0, |master: &MasterFacts| master.owner.0);
    let login = draft.facts.host.user.1;
    if owner == login {
        return Vec::new();
    }
    let what = format!(
        "the command runs as uid {login} and the master as uid {owner}: what `kong` writes as the one, the other may be unable to read"
    );
    vec![unless_allowed(
        what,
        "let the command run kong as the master's user, and allow it; or: write  kong: { reload: auto }",
    )]
}

/// What a closer look says against the way, and for it.
fn evidence(draft: &Draft<'_>, closer: Option<&Closer>, reload: &Reload) -> (Vec<Danger>, String) {
    let asked = "asked for by the inventory";
    let found = match closer {
        _ if matches!(reload, Reload::Command(_)) => {
            return (Vec::new(), format!("{asked}; what else the command applies is not known"));
        }
        None => return (Vec::new(), String::new()),
        Some(Err(trouble)) => {
            return (vec![never(format!("no closer look was possible: {}", trouble.text), AUTO)], String::new());
        }
        Some(Ok(found)) if found.stopped => return (Vec::new(), asked.to_owned()),
        Some(Ok(found)) => found,
    };
    let mut dangers: Vec<Danger> =
        fails(found, draft.diff.kong.as_deref()).map(|why| never(why, AUTO)).into_iter().collect();
    dangers.extend(of_start(draft, found));
    (dangers, format!("{asked}; from {} its CLI would make the same settings", draft.node.kong.conf))
}

/// What a start from kong.conf would have otherwise than what runs.
fn of_start(draft: &Draft<'_>, found: &CandidateFacts) -> Vec<Danger> {
    match &found.started {
        Some((0, _)) => {}
        Some((code, said)) => {
            let what = format!("its CLI cannot prepare {} ({code}): {}", draft.node.kong.conf, said.trim());
            return vec![never(what, "correct kong.conf, then plan again")];
        }
        // The first look failed, and says why.
        None => return Vec::new(),
    }
    let ours = ["plugins", "prefix"];
    let others = found.otherwise.iter().map(String::as_str).filter(|key| !ours.contains(key));
    let in_file = |key: &&str| draft.facts.conf_file.as_ref().is_some_and(|conf| conf.open().text(key).is_some());
    let (waiting, lost): (BTreeSet<&str>, BTreeSet<&str>) = others.partition(in_file);
    let named = |keys: &BTreeSet<&str>| keys.iter().copied().collect::<Vec<_>>().join(", ");
    let mut dangers = Vec::new();
    if !lost.is_empty() {
        let what = format!("it would lose settings that only what runs has: {}", named(&lost));
        let fix = format!(
            "write them into {} or the environment of its service; or: write  kong: {{ reload: auto }}",
            draft.node.kong.conf
        );
        dangers.push(never(what, fix));
    }
    if !waiting.is_empty() {
        let what = format!("it would also apply what waits in {}: {}", draft.node.kong.conf, named(&waiting));
        dangers.push(unless_allowed(what, "reload it yourself first, or: write  kong: { reload: auto }"));
    }
    dangers
}
