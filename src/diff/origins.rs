//! Where `plugins` and `lua_package_path` of a node come from, place by place.

use serde::Serialize;

use super::directive::conf_file;
use super::{Disagreement, Lack, Settings, lacks};
use crate::inventory::KongPaths;
use crate::kong::SearchPath;
use crate::kong::origin::{Chain, Places, Seen};
use crate::kong::search_path::Reach;
use crate::survey::{NodeFacts, ServiceFacts};

/// The chains of the two settings, `plugins` first.
pub fn chains(kong: &KongPaths, facts: &NodeFacts) -> [Chain; 2] {
    let admin = super::loaded::own_admin(facts);
    let stopped = super::stopped(kong, facts);
    let plugins = admin.map(|admin| admin.plugins.join(","));
    let path = admin.and_then(|admin| admin.lua_package_path.clone());
    let of = |key, running: Option<&str>| {
        let env = facts.env_file.as_ref().map(|env| env.open().get(key));
        let at = format!("{}/.kong_env", kong.prefix);
        let seen = match &env {
            Some(value) if !stopped => value.as_deref().map_or(Seen::Unset, Seen::Set),
            _ => Seen::Nothing,
        };
        Chain::of(
            key,
            Places {
                conf: (conf_file(facts), kong.conf.as_str()),
                environment: facts.environment(),
                beside: match &facts.service {
                    ServiceFacts::Beside(why) => Some(why),
                    ServiceFacts::None | ServiceFacts::Unit(_) => None,
                },
                env: (seen, &at),
                running: running.filter(|_| !stopped).map_or(Seen::Nothing, Seen::Set),
            },
        )
    };
    [of("plugins", plugins.as_deref()), of("lua_package_path", path.as_deref())]
}

/// One of the two settings, place by place, with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingOrigin {
    /// The places, the weakest first.
    #[serde(flatten)]
    pub chain: Chain,
    /// What the places say, where that is not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<Disagreement>,
    /// Whether what is under the Lua root is found; of the search path only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaches: Option<Reaches>,
    /// What the search path lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

impl SettingOrigin {
    /// Whether somebody should look at it.
    pub const fn is_odd(&self) -> bool {
        self.disagreement.is_some() || !self.lacks.is_empty()
    }
}

/// Who finds the plugins under the Lua root; `None` where the search path of one is not known, or there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reaches {
    /// The Lua root.
    pub root: String,
    /// The workers.
    pub running: Option<Reach>,
    /// The next reload.
    pub reload: Option<Reach>,
    /// The next start.
    pub start: Option<Reach>,
}

impl Reaches {
    /// Of a chain of `lua_package_path`. Releases that are staged before the rest are not what reaches the Lua root.
    pub fn of(kong: &KongPaths, chain: &Chain) -> Self {
        let reach = |path: &Option<String>| {
            let path = SearchPath::new(path.as_deref()?).unstaged(&kong.home);
            Some(path.reaches(&kong.lua_root))
        };
        let (running, reload, start) = (reach(&chain.running), reach(&chain.reload), reach(&chain.start));
        Self { root: kong.lua_root.to_string(), running, reload, start }
    }

    /// In one line: who finds what.
    pub fn words(&self) -> String {
        let root = &self.root;
        let whole = |reach: Reach| match reach {
            Reach::Full => format!("finds {root}/?.lua and {root}/?/init.lua"),
            Reach::NoInit => format!("finds {root}/?.lua and not {root}/?/init.lua"),
            Reach::No => format!("does not find what is under {root}"),
        };
        let all = [("the workers", self.running), ("the next reload", self.reload), ("the next start", self.start)];
        let known: Vec<(&str, Reach)> = all.iter().filter_map(|(who, reach)| Some((*who, (*reach)?))).collect();
        match known.as_slice() {
            [] => format!("whether it finds what is under {root} cannot be told"),
            [(_, first), rest @ ..] if rest.iter().all(|(_, reach)| reach == first) => whole(*first),
            some => some.iter().map(|(who, reach)| format!("{who} {}", whole(*reach))).collect::<Vec<_>>().join("; "),
        }
    }
}

/// Both settings of a node, with what follows, `plugins` first.
pub fn settings(kong: &KongPaths, facts: &NodeFacts, found: &Settings) -> Vec<SettingOrigin> {
    let of = |chain: Chain| {
        let is_path = chain.key == "lua_package_path";
        SettingOrigin {
            disagreement: found.disagreements.iter().find(|one| one.key == chain.key).cloned(),
            reaches: is_path.then(|| Reaches::of(kong, &chain)),
            lacks: if is_path { lacks(kong, facts) } else { Vec::new() },
            chain,
        }
    };
    chains(kong, facts).into_iter().map(of).collect()
}
