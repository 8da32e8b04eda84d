//! Where `plugins` and `lua_package_path` of a node come from, place by place.

use super::directive::conf_file;
use crate::inventory::KongPaths;
use crate::kong::origin::{Chain, Places, Seen};
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
