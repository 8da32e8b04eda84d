//! The one activation of a node: links, directive, reload, and what has to hold afterwards.

use super::lookup::NextManifest;
use super::node::Draft;
use super::{BlockerCode, asked, obstacle, service, way};
use crate::action::{Activate, Again, ConfEdit, Keeping, NodeBasis, Pace, ReloadWay, Switch};
use crate::diff::Mark;
use crate::hint::Hint;
use crate::kong::Directive;
use crate::kong::origin::{Environment, not_beaten};
use crate::name::{BundleName, Digest, NodePath, PluginName, Shared};
use crate::wire::{Manifest, Owned};

/// Makes the activation, or adds the blocker that stands in its way.
pub(super) fn make(draft: &mut Draft<'_>) {
    let Some(way::Way { way, evidence }) = way::of(draft) else { return };
    let add = std::mem::take(&mut draft.add);
    let gone = draft.drop.clone();
    let leave: Vec<PluginName> = gone.iter().cloned().collect();
    let Ok(conf) = conf(draft, &add, &leave) else { return };
    let Some((directive, search_path)) = settings(draft, &add, &leave) else { return };
    waiting(draft);
    let staged: Vec<(BundleName, Digest)> = if matches!(way, ReloadWay::Candidate | ReloadWay::Hup) {
        draft.loads().map(|switch| (switch.bundle.clone(), switch.to.clone())).collect()
    } else {
        Vec::new()
    };
    if way == ReloadWay::Unneeded {
        // Nothing is loaded anew, so that nothing is proven that was not known before.
        let known = |name: &BundleName| {
            draft.diff.items.get(name.as_str()).is_some_and(|item| item.truths.loaded == Mark::AsWanted)
        };
        draft.content.retain(|name, _| known(name));
    }
    if !matches!(way, ReloadWay::Unneeded | ReloadWay::Stopped) {
        draining(draft);
        let beside = beside(draft);
        draft.content.extend(beside);
    }
    let again = if way.stages() { Again::default() } else { asked::again(draft) };
    let counts = way == ReloadWay::Stopped && !gone.is_empty();
    let count_through = if counts { draft.removals.through.clone() } else { Vec::new() };
    let (cluster, mut alike) = (&draft.cluster.name, draft.lookup.alike());
    let all = |switches: &Vec<Shared<Switch>>| switches.iter().map(|switch| Switch::clone(switch)).collect();
    let switches = alike.switches.ask(std::mem::take(&mut draft.switches), all);
    let config = conf.as_ref().map(|edit| (edit.path.clone(), edit.after.clone()));
    let next = (draft.manifest().cloned(), switches.clone(), config);
    let basis = basis(draft, &switches);
    draft.plan.manifest = (!draft.plan.leftovers.is_empty()).then(|| manifest(&next));
    draft.plan.activate = Some(Box::new(Activate {
        basis: NodeBasis { links: alike.links.share(cluster, basis.links), ..basis },
        switches,
        directive: alike.directives.share(cluster, directive.into()),
        way,
        evidence: alike.evidence.share(cluster, evidence.into()),
        again,
        pace: Pace { gap: draft.cluster.rollout.gap(), draining: Some(draft.cluster.rollout.max_draining) },
        staged: alike.staged.share(cluster, staged.into()),
        search_path,
        conf,
        loaded: alike.loaded.share(cluster, std::mem::take(&mut draft.loaded).into()),
        count_through,
        gone,
        manifest: alike.manifests.ask(next, |next| manifest(next).lines().into()),
        keep: draft.request.inventory.keep,
        validate: std::collections::BTreeSet::new(),
        content: alike.content.share(cluster, std::mem::take(&mut draft.content).into()),
    }));
}

/// The content that a reload loads besides ours: bundles of other owners, as they are linked. Without it in the receipt the next
/// look of that owner could not tell what his workers run, as ours would be the last proof of them.
fn beside(draft: &Draft<'_>) -> Vec<(BundleName, Digest)> {
    let bundles = draft.manifest().into_iter().flat_map(|manifest| &manifest.bundles);
    let theirs = bundles.filter(|(name, owned)| {
        let linked = draft.facts.current.get(*name) == Some(&owned.digest);
        owned.owner != draft.request.inventory.owner && linked
    });
    theirs.map(|(name, owned)| (name.clone(), owned.digest.clone())).collect()
}

/// A blocker stands in the way and was added.
struct Blocked;

/// The edit of kong.conf, where it needs one.
fn conf(draft: &mut Draft<'_>, add: &[PluginName], leave: &[PluginName]) -> Result<Option<ConfEdit>, Blocked> {
    let file = draft.diff.directives.file.directive().cloned().unwrap_or_default();
    if add.iter().all(|name| file.names(name)) && !leave.iter().any(|name| file.names(name)) {
        return Ok(None);
    }
    let edited = match file.with(add, leave) {
        Ok(directive) => directive.to_string(),
        Err(problem) => return Err(unclear(draft, &problem.to_string())),
    };
    if draft.diff.directives.origin.is_environment() {
        return service::edit(draft, &edited).map(Some).ok_or(Blocked);
    }
    container(draft, &edited);
    let (Some(before), Some(path)) = (&draft.facts.conf_file, draft.facts.conf.real.clone()) else {
        obstacle::conf(draft);
        return Err(Blocked);
    };
    let before = before.open();
    if obstacle::conf(draft) {
        return Err(Blocked);
    }
    match before.set("plugins", &edited) {
        Ok(after) => match edit(path, before.bytes(), &after) {
            Some(edit) => Ok(Some(ConfEdit { before: Some(before.digest().clone()), ..edit })),
            None => Err(unclear(draft, "the place of the edit holds bytes that are not UTF-8")),
        },
        Err(error) => Err(unclear(draft, &error.to_string())),
    }
}

fn unclear(draft: &mut Draft<'_>, why: &str) -> Blocked {
    let hint = Hint::look(format!("{} on {}", draft.node.kong.conf, draft.node.name));
    let what = format!("kong.conf cannot be edited: {why}");
    draft.block(BlockerCode::DirectiveUnclear, what, Vec::new(), vec![hint]);
    Blocked
}

/// What a container is started with cannot be read, and would beat the file (facts.md A3).
fn container(draft: &mut Draft<'_>, value: &str) {
    if matches!(draft.facts.environment(), Environment::Container) {
        let conf = &draft.node.kong.conf;
        let text = format!(
            "the environment of its container cannot be read: if that sets KONG_PLUGINS, it beats {conf} at the next start, \
             and has to become {value}"
        );
        draft.plan.notes.push(("container".to_owned(), text));
    }
}

/// Notes what others edited in kong.conf and nobody has loaded: our reload leaves it waiting (protocols.md A).
fn waiting(draft: &mut Draft<'_>) {
    let (Some(conf), Some(env), Some(_)) = (&draft.facts.conf_file, &draft.facts.env_file, &draft.facts.master) else {
        return;
    };
    let both = (env.open().clone(), conf.open().clone());
    let mut lines = draft.lookup.alike().waiting.ask(both, |(env, conf)| env.waiting(conf));
    if let Some(unit) = draft.facts.unit() {
        not_beaten(&mut lines, unit);
    }
    if !lines.is_empty() {
        let text = format!("in kong.conf, not applied by this: {}", lines.join(", "));
        draft.plan.notes.push(("waiting".to_owned(), text));
    }
}

/// Notes workers of earlier generations: a reload adds one more to them (facts.md E5).
fn draining(draft: &mut Draft<'_>) {
    let Some(master) = draft.facts.master.as_ref().filter(|master| !master.leaving.is_empty()) else { return };
    let (leaving, serving) = (master.leaving.len(), master.workers.len().max(1));
    let most = draft.cluster.rollout.max_draining as usize;
    let waits = if leaving > most * serving { ": the reload waits until fewer do" } else { "" };
    let text = format!("{leaving} old workers still serve what they began before an earlier reload{waits}");
    draft.plan.notes.push(("draining".to_owned(), text));
}

/// The smallest edit that turns one content into the other, as if there was no file; `None` if what it inserts is not text.
pub(super) fn edit(path: NodePath, before: &[u8], after: &[u8]) -> Option<ConfEdit> {
    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let rest = before[same..].iter().rev().zip(after[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    Some(ConfEdit {
        keeping: Keeping::Conf,
        path,
        before: None,
        offset: same as u64,
        remove: (before.len() - same - rest) as u64,
        insert: String::from_utf8(after[same..after.len() - rest].to_vec()).ok()?,
        after: Digest::of(after),
    })
}

/// The directive before and after, and the search path as it is and will be again.
fn settings(
    draft: &mut Draft<'_>,
    add: &[PluginName],
    leave: &[PluginName],
) -> Option<((String, String), Option<String>)> {
    let directives = &draft.diff.directives;
    let base = if draft.diff.running { &directives.env } else { &directives.file };
    let before: Directive = base.directive().cloned().unwrap_or_default();
    let after = match before.with(add, leave) {
        Ok(after) => after,
        Err(problem) => {
            draft.block(BlockerCode::DirectiveUnclear, problem.to_string(), Vec::new(), Vec::new());
            return None;
        }
    };
    let path = draft.facts.env_file.as_ref().and_then(|env| env.open().get("lua_package_path"));
    Some(((before.to_string(), after.to_string()), path))
}

fn manifest((before, switches, config): &NextManifest) -> Manifest {
    let mut manifest = before.as_deref().cloned().unwrap_or_default();
    manifest.generation += 1;
    for switch in switches {
        if !switch.adopts.is_empty() {
            // Links that pass from one bundle of ours to another; what has none left is no bundle any more.
            for other in manifest.bundles.values_mut() {
                other.links.retain(|root| !switch.adopts.contains(root));
            }
            manifest.bundles.retain(|_, other| !other.links.is_empty());
        }
        let owned = Owned {
            owner: switch.owner.clone(),
            digest: switch.to.clone(),
            links: switch.links.clone(),
            plugins: switch.plugins.clone(),
        };
        manifest.bundles.insert(switch.bundle.clone(), owned);
    }
    if config.is_some() {
        manifest.config.clone_from(config);
    }
    manifest
}

fn basis(draft: &Draft<'_>, switches: &[Switch]) -> NodeBasis {
    let facts = draft.facts;
    // Links of roots that the old content alone had are not looked at by the survey; the script removes only links of ours.
    let roots = switches.iter().flat_map(|switch| &switch.links);
    let link = |root: &crate::name::BundlePath| facts.roots.get(root)?.target.as_deref().map(str::to_owned);
    let closer = draft.request.survey.closer.get(&draft.node.name).and_then(|closer| closer.as_ref().ok());
    NodeBasis {
        // What a dead guard's files bring back was not looked at, and is not what lies there now.
        nginx: closer.filter(|_| !facts.undoes).and_then(|found| found.nginx.clone()),
        conf: facts.conf_file.as_ref().map(|conf| conf.open().digest().clone()),
        sources: facts.unit().map(service::sources).unwrap_or_default(),
        env: facts.env_file.as_ref().map(|env| env.open().digest()),
        links: roots.map(|root| (root.clone(), link(root))).collect(),
        generation: draft.manifest().map_or(0, |manifest| manifest.generation),
        master: facts.master.as_ref().map(|master| master.process),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(before: &[u8], after: &[u8]) -> Option<ConfEdit> {
        edit(NodePath::parse("/etc/kong/kong.conf").unwrap(), before, after)
    }

    #[test]
    fn an_edit_is_as_small_as_can_be_and_gives_the_other_content() {
        for (before, after) in [
            ("plugins = bundled\n", "plugins = bundled,a\n"),
            ("plugins = bundled,aa\n", "plugins = bundled,aa,a\n"),
            ("", "plugins = a\n"),
            ("a\nb", "a\n"),
            ("x = é\nplugins = b # ü", "x = é\nplugins = b,c # ü"),
            ("same", "same"),
        ] {
            let edit = edited(before.as_bytes(), after.as_bytes()).unwrap();
            let (offset, remove) = (usize::try_from(edit.offset).unwrap(), usize::try_from(edit.remove).unwrap());
            let made =
                [&before.as_bytes()[..offset], edit.insert.as_bytes(), &before.as_bytes()[offset + remove..]].concat();
            assert_eq!(made, after.as_bytes());
            assert_eq!(edit.after, Digest::of(&made));
            assert!(edit.insert.len() <= after.len() && remove <= before.len());
        }
    }

    #[test]
    fn bytes_that_are_no_text_may_stand_around_an_edit_and_not_in_it() {
        let around = edited(b"\xfc a \xfc", b"\xfc ab \xfc").unwrap();
        assert_eq!((around.offset, around.remove, around.insert.as_str()), (3, 0, "b"));
        assert!(edited(b"a", b"a\xfc").is_none());
        // The two letters begin with the same byte.
        assert!(edited("é".as_bytes(), "è".as_bytes()).is_none());
    }
}
