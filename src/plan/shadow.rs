//! The same module in another place: what Kong would load instead of what is installed, or beside it (facts.md B2, G6).

use super::BlockerCode;
use super::node::Draft;
use crate::bundle::Bundle;
use crate::diff;
use crate::hint::Hint;
use crate::kong::KongVersion;
use crate::survey::{Double, Rock};

/// The tree that LuaRocks looks in by itself.
const SYSTEM: &str = "/usr/local";

/// Whether a node would load a module of this bundle from elsewhere; said with what to do. What ours comes before is noted.
pub(super) fn stands_before(draft: &mut Draft<'_>, bundle: &Bundle) -> bool {
    let rocks: Vec<Rock> = draft.facts.rocks.iter().filter(|rock| provides(rock, bundle)).cloned().collect();
    if rocks.len() > 1 {
        let names: Vec<String> = rocks.iter().map(|rock| format!("{} {}", rock.name, rock.version)).collect();
        let text = format!(
            "{} {} hold {}: LuaRocks keeps the files of one under their names and the others' under mangled ones",
            names.join(" and "),
            if names.len() == 2 { "both" } else { "all" },
            bundle.name
        );
        draft.plan.notes.push(("rocks".to_owned(), text));
    }
    if let Some(rock) = rocks.iter().find(|rock| wins(draft, rock)) {
        rock_wins(draft, bundle, rock);
        return true;
    }
    if let Some(double) = first(draft, bundle) {
        let what = format!("{}: {} comes before the Lua root on lua_package_path", bundle.name, double.path);
        let fix = diff::first_of_all(&draft.node.kong, draft.facts);
        let hints = vec![Hint::do_(format!("move {} away, if nobody needs it; or {fix}", double.path))];
        draft.block(BlockerCode::Shadowed, what, Vec::new(), hints);
        return true;
    }
    for rock in &rocks {
        if in_the_lua_root(draft, rock) {
            continue;
        }
        let text = format!(
            "{} is in the rock {} {} ({}), too: the search path decides, and ours comes first",
            bundle.name, rock.name, rock.version, rock.tree
        );
        draft.plan.notes.push(("rocks".to_owned(), text));
    }
    false
}

fn provides(rock: &Rock, bundle: &Bundle) -> bool {
    let of = |file: &String| {
        let below = |root: &str| file.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        bundle.roots.iter().any(|root| below(root.as_str()))
    };
    rock.files.iter().any(of)
}

fn in_the_lua_root(draft: &Draft<'_>, rock: &Rock) -> bool {
    rock.lua_root().is_none_or(|root| root == draft.node.kong.lua_root.as_str())
}

/// Whether LuaRocks' own loader finds it before the search path is asked: before Kong 3.9.
fn wins(draft: &Draft<'_>, rock: &Rock) -> bool {
    let version = draft.diff.kong.as_deref().and_then(KongVersion::parse);
    rock.tree == SYSTEM && version.is_some_and(|version| version.prefers_rocks())
}

fn rock_wins(draft: &mut Draft<'_>, bundle: &Bundle, rock: &Rock) {
    let kong = draft.diff.kong.clone().unwrap_or_default();
    let what = format!(
        "{}: the rock {} {} holds the same modules, and Kong {kong} loads those of a rock before all others",
        bundle.name, rock.name, rock.version
    );
    let hint = Hint::type_(format!("luarocks remove {}    (on {}, in a quiet hour)", rock.name, draft.node.name));
    draft.block(BlockerCode::OwnedByRock, what, rock.files.iter().take(5).cloned().collect(), vec![hint]);
}

/// The first file on the search path that stands for a module of the bundle, before the Lua root.
fn first(draft: &Draft<'_>, bundle: &Bundle) -> Option<Double> {
    let path = draft.facts.env_file.as_ref()?.open().search_path();
    let ours = path.place(&draft.node.kong.lua_root);
    let doubles =
        draft.facts.doubles.iter().filter(|double| bundle.roots.contains(&double.root) && double.place < ours);
    doubles.min_by_key(|double| double.place).cloned()
}
