//! What stands in the way on a node: everything that would make a change unsafe, each with its fix.

use super::node::Draft;
use super::{Blocker, BlockerCode, service};
use crate::bundle::Bundle;
use crate::diff::{self, Doubt, FileDrift, Item, RootState, Source};
use crate::hint::Hint;
use crate::inventory::Assignment;
use crate::kong::version::Support;
use crate::kong::{KongVersion, SearchPath};
use crate::name::{BundlePath, PluginName};
use crate::survey::Kind;

/// What stands in the way of a bundle's files; true if something does.
pub(super) fn files(draft: &mut Draft<'_>, assignment: &Assignment, item: &Item, bundle: &Bundle) -> bool {
    let owner = &draft.request.inventory.owner;
    if let Some(other) = draft.manifest().and_then(|m| m.bundles.get(&bundle.name)).filter(|o| o.owner != *owner) {
        let what = format!("{} was installed for the owner {}, this inventory is {owner}", bundle.name, other.owner);
        draft.block(
            BlockerCode::OtherOwner,
            what,
            Vec::new(),
            vec![Hint::do_("agree who has it; one of you drops it")],
        );
        return true;
    }
    let mut foreign = Vec::new();
    for root in item.files.foreign() {
        match draft.linked_by(root) {
            None => foreign.push(root.clone()),
            Some((other, theirs)) if theirs.owner == *owner => {
                let text = format!("{root} passes from the bundle {other} to {}", bundle.name);
                draft.plan.notes.push(("ours".to_owned(), text));
            }
            Some((other, theirs)) => {
                let what = format!("{}: {root} belongs to {other} of the owner {}", bundle.name, theirs.owner);
                let hint = Hint::do_("agree who has it; one of you drops it");
                draft.block(BlockerCode::OtherOwner, what, Vec::new(), vec![hint]);
                return true;
            }
        }
    }
    if foreign.is_empty() {
        return false;
    }
    let below = |file: &str| foreign.iter().any(|root| file == root.as_str() || file.starts_with(&format!("{root}/")));
    if let Some(rock) = draft.facts.rocks.iter().find(|rock| rock.files.iter().any(|file| below(file))) {
        let what = format!("{}: the rock {} {} owns the files that are there", bundle.name, rock.name, rock.version);
        let hint = Hint::type_(format!("luarocks remove {}    (on {}, in a quiet hour)", rock.name, draft.node.name));
        draft.block(BlockerCode::OwnedByRock, what, Vec::new(), vec![hint]);
        return true;
    }
    if foreign.iter().any(|root| draft.facts.roots.get(root).is_some_and(|found| found.mount)) {
        let what = format!("{}: a mount point stands where it has to go", bundle.name);
        let hint = Hint::do_("unmount it, or say `files: external`");
        draft.block(BlockerCode::ForeignFiles, what, foreign.iter().map(ToString::to_string).collect(), vec![hint]);
        return true;
    }
    if assignment.adopt {
        for root in &foreign {
            let text = format!("{root} is not ours; it is kept in {}/attic and replaced", draft.node.kong.home);
            draft.plan.notes.push(("adopt".to_owned(), text));
        }
        return false;
    }
    let what = format!("{}: other files, not ours, stand where it has to go ({})", bundle.name, item.files.words());
    let details = item.files.files.iter().take(8).map(|(path, drift)| format!("{path}: {}", words(*drift))).collect();
    let hint = Hint::do_(format!("to take them over (they are kept), write  {}: {{ adopt: true }}", bundle.name));
    draft.block(BlockerCode::ForeignFiles, what, details, vec![hint]);
    true
}

fn words(drift: FileDrift) -> &'static str {
    match drift {
        FileDrift::Missing => "not there",
        FileDrift::Differs => "other content",
        FileDrift::Extra => "not in the bundle",
        FileDrift::Unknown => "could not be read",
    }
}

/// Where it cannot be told whether Kong runs, nothing else is planned; true if so.
pub(super) fn doubt(draft: &mut Draft<'_>) -> bool {
    let Some(Doubt { prefix, what, hints }) = Doubt::of(&draft.node.kong, draft.facts) else { return false };
    let code = if prefix { BlockerCode::Prefix } else { BlockerCode::NoMaster };
    draft.block(code, what, Vec::new(), hints);
    true
}

/// What stands in the way of any change on this node; true if something does.
pub(super) fn node(draft: &mut Draft<'_>) -> bool {
    let before = draft.plan.blockers.len();
    for check in [manifest, unfinished, shared, version, tools, admin, search_path, directives] {
        check(draft);
    }
    if draft.reloads() {
        pending(draft);
        gone(draft);
    }
    draft.plan.blockers.len() > before
}

/// What stands in the way of deleting files on this node.
pub(super) fn deletion(draft: &mut Draft<'_>) -> Vec<Blocker> {
    let before = draft.plan.blockers.len();
    for check in [manifest, unfinished, shared, version, tools] {
        check(draft);
    }
    draft.plan.blockers.split_off(before)
}

/// Whether files that are not ours may go; if not, adds what stands in the way. The way of their removal is the attic.
pub(super) fn foreign(draft: &mut Draft<'_>, name: &str, adopt: bool, roots: &[BundlePath]) -> bool {
    let paths: Vec<String> = roots.iter().map(ToString::to_string).collect();
    let facts = |root: &BundlePath| draft.facts.roots.get(root);
    let below = |file: &str| roots.iter().any(|root| file == root.as_str() || file.starts_with(&format!("{root}/")));
    let rock = draft.facts.rocks.iter().find(|rock| rock.files.iter().any(|file| below(file)));
    let (code, what, hints) = if roots.iter().any(|root| facts(root).is_some_and(|found| found.kind == Kind::Denied)) {
        let what = format!("{name}: what is left of it could not be read");
        (BlockerCode::NodeFiles, what, vec![Hint::do_("give the login the right to read it")])
    } else if let Some(rock) = rock {
        let what = format!("{name}: the rock {} {} owns the files that are left", rock.name, rock.version);
        let line = format!("luarocks remove {}    (on {}, once it is not listed)", rock.name, draft.node.name);
        (BlockerCode::OwnedByRock, what, vec![Hint::type_(line)])
    } else if roots.iter().any(|root| facts(root).is_some_and(|found| found.mount)) {
        let what = format!("{name}: a mount point stands where its files are");
        (BlockerCode::ForeignFiles, what, vec![Hint::do_("unmount it, or say `files: external`")])
    } else if adopt {
        for root in roots {
            let text = format!("{root} is not ours; it is moved to {}/attic", draft.node.kong.home);
            draft.plan.remarks.push(("adopt".to_owned(), text));
        }
        return true;
    } else {
        let what = format!("{name}: what is left of it was not installed by muster, and stays");
        let hints = vec![
            Hint::do_(format!("to have it moved to the attic, write  {name}: {{ state: absent, adopt: true }}")),
            Hint::do_("to leave it to whoever put it there, add  files: external"),
        ];
        (BlockerCode::ForeignFiles, what, hints)
    };
    draft.block(code, what, paths, hints);
    false
}

fn manifest(draft: &mut Draft<'_>) {
    let unreadable = draft.facts.manifest.as_ref().and_then(|manifest| manifest.as_ref().err()).cloned();
    if let Some(why) = unreadable {
        let what = format!("muster's manifest on the node cannot be read: {why}");
        let hint = Hint::look(format!("{}/state/manifest on {}", draft.node.kong.home, draft.node.name));
        draft.block(BlockerCode::NodeFiles, what, Vec::new(), vec![hint]);
    }
}

fn unfinished(draft: &mut Draft<'_>) {
    let Some(guard) = draft.facts.guard.clone().filter(|guard| guard.state == "armed" && guard.alive) else { return };
    let what = format!("a guard of step {} is armed and fires in {} s", guard.step, guard.left.max(0));
    let run = guard.step.split('.').next().unwrap_or_default();
    let lease = draft.facts.lease.as_ref().and_then(|lease| lease.as_ref().ok());
    let (what, hint) = match lease.filter(|lease| lease.run.as_str() == run) {
        // It may have died as well: the node cannot tell.
        Some(lease) => (
            format!("{} changes it in run {run}: {what}", lease.holder),
            "wait for that run; if it has died, the guard puts the node back. Then plan again",
        ),
        None => (what, "wait until it has put the node back, then plan again"),
    };
    draft.block(BlockerCode::Unfinished, what, Vec::new(), vec![Hint::do_(hint)]);
}

/// Two nodes with one prefix or one Lua root: changing one changes the other, outside of its waves (protocols.md B1).
/// A name may leave where only the Lua root is shared: it touches no file, and files wait for all who share them.
fn shared(draft: &mut Draft<'_>) {
    if draft.switches.is_empty() && draft.lookup.shares_only_lua(draft.request, &draft.node.name, draft.facts) {
        return;
    }
    if let Some(other) = draft.lookup.neighbour(&draft.node.name, draft.facts) {
        let what = format!("it is on the same machine as {other}, with the same prefix or Lua root");
        let hint = Hint::do_("list it once, or give each its own prefix and lua_root");
        draft.block(BlockerCode::SharedNode, what, Vec::new(), vec![hint]);
    }
}

fn version(draft: &mut Draft<'_>) {
    let Some(text) = draft.diff.kong.clone() else { return };
    let support = KongVersion::parse(&text).map(|version| version.support());
    if matches!(support, Some(Support::Full)) {
        return;
    }
    let what = format!("it runs Kong {text}, which this version of muster looks at and does not change");
    draft.block(BlockerCode::KongVersion, what, Vec::new(), vec![Hint::look("docs/safety.md")]);
}

fn tools(draft: &mut Draft<'_>) {
    let has = |tool: &str| draft.facts.host.tools.contains(tool);
    let lacks: Vec<&str> = [("flock", "perl"), ("setsid", "perl")]
        .into_iter()
        .filter(|(tool, instead)| !has(tool) && !has(instead))
        .map(|(tool, _)| tool)
        .collect();
    if !lacks.is_empty() {
        let what = format!("it has no {}, without which a change cannot be guarded", lacks.join(" and no "));
        draft.block(BlockerCode::NodeLacks, what, Vec::new(), vec![Hint::do_("install util-linux or perl there")]);
    }
    if draft.diff.running && !draft.facts.host.proc_visible {
        let what = "its process table is hidden (hidepid), so that a reload cannot be proven".to_owned();
        draft.block(
            BlockerCode::NodeLacks,
            what,
            Vec::new(),
            vec![Hint::do_("use become: sudo, or mount /proc without hidepid")],
        );
    }
}

/// What stands in the way of asking what the workers run.
pub(super) fn admin(draft: &mut Draft<'_>) {
    let Some(master) = &draft.facts.master else { return };
    if let Some(other) =
        draft.facts.admin.as_ref().ok().and_then(|admin| admin.master).filter(|pid| *pid != master.process.0)
    {
        let ours = master.process.0;
        let what = format!("its Admin API is that of another Kong: of master {other}, and this node's is {ours}");
        let hint = Hint::do_("say in the inventory where the Admin API of this node listens (`admin: { listen: … }`)");
        draft.block(BlockerCode::AdminUnreachable, what, Vec::new(), vec![hint]);
    }
    let Err(trouble) = &draft.facts.admin else { return };
    let (what, hints) = (
        format!("its Admin API did not answer, so that nothing could be proven: {}", trouble.text),
        trouble.hints.clone(),
    );
    draft.block(BlockerCode::AdminUnreachable, what, Vec::new(), hints);
}

fn search_path(draft: &mut Draft<'_>) {
    if let Some(lack) = diff::lacks(&draft.node.kong, draft.facts).into_iter().next() {
        // What started Kong may have an environment that cannot be seen, and will have it again.
        let seen = draft.facts.unit().is_some() || !draft.diff.running;
        if lack.who == diff::Who::Start && !seen {
            let text = format!("{}, unless what starts Kong sets it: {}", lack.what, lack.fix);
            draft.plan.notes.push(("search path".to_owned(), text));
            return;
        }
        draft.block(BlockerCode::SearchPath, lack.what, Vec::new(), vec![Hint::do_(lack.fix)]);
    }
}

/// What each place says apart from the names that are wanted anyway must agree, else it cannot be known where the
/// directive has to be kept so that the next start has it too (measured.md 4).
fn directives(draft: &mut Draft<'_>) {
    let diff = draft.diff;
    if service::untold(draft) {
        return;
    }
    let kept_in_conf = !diff.directives.origin.is_environment();
    if kept_in_conf && draft.facts.conf.kind == Kind::Absent {
        // What the settings that run say can only differ from a file that is not there.
        conf(draft);
        return;
    }
    for source in [&diff.directives.file, &diff.directives.env] {
        if let Some(problem) = source.directive().and_then(crate::kong::Directive::blocking) {
            let hint = Hint::look(format!("{} on {}", draft.node.kong.conf, draft.node.name));
            draft.block(BlockerCode::DirectiveUnclear, problem.to_string(), Vec::new(), vec![hint]);
            return;
        }
    }
    if diff.directives.file == diff.directives.env {
        if kept_in_conf {
            conf_readable(draft);
        }
        return;
    }
    // A name that the inventory rules may be anywhere: that is drift, and tells nothing of who sets the directive.
    let ruled: std::collections::BTreeSet<&str> =
        diff.items.values().flat_map(|item| &item.plugins).map(PluginName::as_str).collect();
    let others = |source: &Source| {
        source.directive().map(|directive| {
            let words = directive.words().iter().map(ToString::to_string);
            words.filter(|word| !ruled.contains(word.as_str())).collect::<std::collections::BTreeSet<_>>()
        })
    };
    let (file, env) = (others(&diff.directives.file), others(&diff.directives.env));
    if let (Some(file), Some(env)) = (&file, &env)
        && file != env
    {
        let show = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let at = if kept_in_conf { draft.node.kong.conf.to_string() } else { diff.directives.origin.words() };
        let what = if kept_in_conf {
            "kong.conf and the running settings disagree about plugins, so that it is unclear what sets it".to_owned()
        } else {
            format!("{at} and the running settings disagree about plugins, so that it is unclear which is meant")
        };
        let details = vec![
            format!("{at}: plugins = {}", show(file)),
            format!("{}/.kong_env: plugins = {}", draft.node.kong.prefix, show(env)),
        ];
        let runs = diff.directives.env.directive().map(ToString::to_string).unwrap_or_default();
        let (conf, prefix, name) = (&draft.node.kong.conf, &draft.node.kong.prefix, &draft.node.name);
        let hints = vec![
            Hint::look(format!("{at} and {prefix}/.kong_env on {name}, and KONG_PLUGINS in what starts Kong there")),
            Hint::do_(match draft.facts.unit().filter(|_| !kept_in_conf) {
                Some(unit) => format!("if what runs is right, {}", unit.line("KONG_PLUGINS", &runs)),
                None => format!("if what runs is right, write into {conf}:  plugins = {runs}"),
            }),
            Hint::do_(format!(
                "if {} is right, reload Kong there; then plan again",
                if kept_in_conf { "kong.conf" } else { &at }
            )),
        ];
        draft.block(BlockerCode::DirectiveUnclear, what, details, hints);
    }
    if kept_in_conf {
        conf_readable(draft);
    }
}

/// Without kong.conf it is not known what the next start reads.
fn conf_readable(draft: &mut Draft<'_>) {
    if draft.facts.conf.kind == Kind::Denied
        || (draft.facts.conf_file.is_none() && draft.facts.conf.kind != Kind::Absent)
    {
        let what = format!("{} could not be read", draft.node.kong.conf);
        draft.block(
            BlockerCode::ConfUnwritable,
            what,
            Vec::new(),
            vec![Hint::do_("use become: sudo, or let the login read it")],
        );
    }
}

/// Settings that any reload would apply beside ours (protocols.md A, "Evidence before").
fn pending(draft: &mut Draft<'_>) {
    let (Ok(admin), Some(env)) = (&draft.facts.admin, &draft.facts.env_file) else { return };
    // What runs is what an unfinished run staged, and what comes back is what was loaded before it.
    if draft.facts.undoes {
        return;
    }
    let mut details = Vec::new();
    let running = [("log_level", &admin.log_level), ("database", &admin.database), ("role", &admin.role)];
    for (key, value) in running {
        let next = env.open().get(key);
        if let (Some(value), Some(next)) = (value, next)
            && *value != next
        {
            details.push(format!("{key}  {value} > {next}"));
        }
    }
    let home = &draft.node.kong.home;
    let now = admin.lua_package_path.as_ref().map(|path| SearchPath::new(path.as_str()).unstaged(home));
    let next = env.open().get("lua_package_path").map(|path| SearchPath::new(path).unstaged(home));
    if let (Some(now), Some(next)) = (now, next)
        && now != next
    {
        details.push(format!("lua_package_path  {} > {}", now.as_str(), next.as_str()));
    }
    if let (Source::Read(next), Source::Read(now)) = (&draft.diff.directives.env, &draft.diff.directives.running) {
        let foreign = |d: &crate::kong::Directive| {
            let ours = |name: &PluginName| draft.loaded.contains_key(name) || draft.drop.contains(name);
            d.plugins().into_iter().filter(|name| !ours(name)).cloned().collect::<Vec<_>>()
        };
        if foreign(next) != foreign(now) {
            details.push(format!("plugins  {now} > {next}"));
        }
    }
    if details.is_empty() {
        return;
    }
    if draft.request.allows(BlockerCode::PendingSettings, Some(&draft.node.name)) {
        let text = format!("by the same reload, prepared by others and never loaded: {}", details.join("; "));
        draft.plan.notes.push(("also applied".to_owned(), text));
        return;
    }
    let settings = if details.len() == 1 {
        "a setting that was".to_owned()
    } else {
        format!("{} settings that were", details.len())
    };
    let what = format!("any reload of it would also apply {settings} prepared and never loaded");
    let hints = vec![
        Hint::do_("reload it yourself first, or:"),
        Hint::type_(format!("muster --plan --allow pending-settings={}", draft.node.name)),
    ];
    draft.block(BlockerCode::PendingSettings, what, details, hints);
}

/// Plugins that the next reload would look for in vain. Files that are elsewhere on the search path are not seen: only what
/// is known to have been here, and is not here any more, counts.
fn gone(draft: &mut Draft<'_>) {
    let Some(next) = draft.diff.directives.env.directive() else { return };
    let brought = |name: &str| draft.loads().any(|switch| switch.bundle.as_str() == name);
    let was_here = |name: &str, root: &str| {
        let there = draft.diff.items[name].files.roots.iter();
        let stands = there.filter(|(_, state)| **state != RootState::Absent).any(|(path, _)| path.as_str() == root);
        let owned = draft.manifest().into_iter().flat_map(|manifest| manifest.bundles.values());
        stands || owned.flat_map(|owned| &owned.links).any(|link| link.as_str() == root)
    };
    let missing = |name: &str, plugin: &PluginName| {
        let root = format!("kong/plugins/{plugin}");
        let files = &draft.diff.items[name].files.files;
        let lacks = |part: &str| files.get(&format!("{root}/{part}.lua")) == Some(&FileDrift::Missing);
        (lacks("handler") || lacks("schema")) && was_here(name, &root)
    };
    let lacking =
        draft.diff.items.iter().filter(|(_, item)| item.files.files.values().any(|d| *d == FileDrift::Missing));
    let named = lacking.flat_map(|(name, item)| item.plugins.iter().map(move |plugin| (name, plugin)));
    let found = named.filter(|(name, plugin)| missing(name, plugin) && !brought(name));
    let found = found.map(|(_, plugin)| plugin).filter(|plugin| next.names(plugin));
    let found = found.filter(|plugin| !draft.add.contains(plugin) && !draft.drop.contains(plugin));
    let found: Vec<&str> = found.map(PluginName::as_str).collect();
    if found.is_empty() {
        return;
    }
    let what = format!("any reload of it would fail: plugins names {}, whose files are gone", found.join(", "));
    let hint = Hint::do_("plan without --plugin, or put the files back the way they came there");
    draft.block(BlockerCode::ReloadFails, what, Vec::new(), vec![hint]);
}

/// What stands in the way of an edit of kong.conf; true if something does.
pub(super) fn conf(draft: &mut Draft<'_>) -> bool {
    let place = &draft.facts.conf;
    let path = &draft.node.kong.conf;
    let fault = match () {
        () if place.kind == Kind::Absent => Some(format!("kong.conf {path} is not there")),
        () if place.kind != Kind::File => Some(format!("{path} is not a regular file")),
        () if place.links > 1 => Some(format!("{path} has {} hard links, which an edit would break", place.links)),
        () if !place.writable => Some(format!("{path} cannot be written")),
        () => None,
    };
    if let Some(what) = fault {
        let hint = Hint::do_("correct `conf:` in the inventory, or make it a file of its own that can be written");
        draft.block(BlockerCode::ConfUnwritable, what, Vec::new(), vec![hint]);
        return true;
    }
    let managed = draft.facts.conf_managed.clone();
    match managed {
        Some(line) if !draft.request.allows(BlockerCode::ManagedConf, Some(&draft.node.name)) => {
            let what = format!("{path} says that something else writes it");
            let hints = vec![
                Hint::do_("let that add the plugin and say `directive: external`, or:"),
                Hint::type_(format!("muster --plan --allow managed-conf={}", draft.node.name)),
            ];
            draft.block(BlockerCode::ManagedConf, what, vec![line], hints);
            true
        }
        Some(line) => {
            let text = format!("{path} is edited though something else writes it, which may undo that: {line}");
            draft.plan.notes.push(("allowed".to_owned(), text));
            false
        }
        None => false,
    }
}
