//! Where the environment of the service sets `plugins`: the edit goes there, as an edit of kong.conf would do nothing.

use super::activation::edit as smallest;
use super::node::Draft;
use super::{Blocker, BlockerCode, Scope};
use crate::action::{ConfEdit, Keeping};
use crate::diff::Agreement;
use crate::hint::Hint;
use crate::kong::managed_by;
use crate::kong::origin::{Environment, variable};
use crate::kong::service::{Content, Told, Unit};
use crate::name::{Digest, NodePath, PluginName};

/// What the planner read of a unit, for the basis; what could not be read is not part of it.
pub(super) fn sources(unit: &Unit) -> Vec<(NodePath, Option<Digest>)> {
    let read = unit.sources.iter().filter(|source| source.file.content != Content::Unreadable);
    read.filter_map(|source| Some((NodePath::parse(&source.path).ok()?, source.digest()))).collect()
}

/// The edit after which the next start of the service has this directive; `None` where somebody else has to make it, and then
/// that is said.
pub(super) fn edit(draft: &mut Draft<'_>, directive: &str) -> Option<ConfEdit> {
    let unit = draft.facts.unit()?;
    let name = variable("plugins");
    let made = match unit.edit(&name, directive) {
        Ok(edit) if edit.drop_in || !managed(draft, edit.before.as_deref(), edit.path.as_str()) => edit,
        Ok(_) => return None,
        Err(why) => {
            elsewhere(draft, &why, unit.line(&name, directive));
            return None;
        }
    };
    let before = made.before.as_deref();
    let shows = format!("{name}={directive}");
    let keeping =
        if made.drop_in { Keeping::DropIn { unit: unit.name.clone(), shows } } else { Keeping::EnvironmentFile };
    let found = smallest(made.path, before.unwrap_or_default(), &made.after);
    let Some(edit) = found else {
        elsewhere(draft, "the place of the edit holds bytes that are not UTF-8", unit.line(&name, directive));
        return None;
    };
    let origin = draft.diff.directives.origin.words();
    let text = format!("plugins is set by {origin}, which beats {}", draft.node.kong.conf);
    draft.plan.notes.push(("origin".to_owned(), text));
    Some(ConfEdit { keeping, before: before.map(Digest::of), ..edit })
}

/// Whether a configuration manager says that the file is its own, and nobody has allowed to write it all the same.
fn managed(draft: &mut Draft<'_>, before: Option<&[u8]>, path: &str) -> bool {
    let Some(line) = before.and_then(managed_by) else { return false };
    if draft.request.allows(BlockerCode::ManagedConf, Some(&draft.node.name)) {
        return false;
    }
    let hints = vec![
        Hint::do_("let that add the plugin and say `directive: external`, or:"),
        Hint::type_(format!("muster --plan --allow managed-conf={}", draft.node.name)),
    ];
    draft.block(BlockerCode::ManagedConf, format!("{path} says that something else writes it"), vec![line], hints);
    true
}

/// Whether it cannot be told what the next start reads because of what starts Kong: then that is said.
pub(super) fn untold(draft: &mut Draft<'_>) -> bool {
    let (name, diff) = (variable("plugins"), draft.diff);
    let leave: Vec<PluginName> = draft.drop.iter().cloned().collect();
    let next = diff.directives.env.directive().map(|now| now.with(&draft.add, &leave));
    let next = next.and_then(Result::ok).unwrap_or_default().to_string();
    match draft.facts.environment() {
        Environment::Unit(unit) => {
            let Told::Unknown(why) = unit.told(&name) else { return false };
            elsewhere(draft, &why, unit.line(&name, &next));
            true
        }
        Environment::Container if diff.directives.file != diff.directives.env && !ruled_apart(draft) => {
            let why = "the environment of its container cannot be read, and kong.conf is not what runs";
            elsewhere(draft, why, format!("set  {name}={next}  where the container is described, and start it anew"));
            true
        }
        Environment::Container | Environment::None => false,
    }
}

/// Whether what starts Kong differs from what runs in nothing but names that the inventory rules.
fn ruled_apart(draft: &Draft<'_>) -> bool {
    let ruled = draft.diff.items.values().flat_map(|item| &item.plugins).collect();
    matches!(draft.diff.directives.agreement_but(&ruled), Agreement::Agree | Agreement::ReloadDiffers)
}

/// Says that `plugins` is set where it cannot be edited, and which line has to be written by whom.
pub(super) fn elsewhere(draft: &mut Draft<'_>, why: &str, line: String) {
    let origin = &draft.diff.directives.origin;
    let what = if origin.is_environment() {
        format!("plugins is set by {}, and muster cannot change it there: {why}", origin.words())
    } else {
        format!("where plugins is set cannot be told: {why}")
    };
    let hints = vec![Hint::do_(line), Hint::do_("then plan again")];
    let scope = Scope::Node { node: draft.node.name.clone() };
    let code = BlockerCode::DirectiveElsewhere;
    draft.plan.blockers.push(Blocker { code, scope, what, details: Vec::new(), hints });
}
