//! The `plugins` directive in its three places: what the next start, the next HUP and the workers have.

use serde::Serialize;

use super::Mark;
use crate::inventory::KongPaths;
use crate::kong::Directive;
use crate::name::{PluginName, Shared};
use crate::survey::NodeFacts;

/// The directive of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It could be read: the value, or the default where there is none.
    Read(Shared<Directive>),
    /// The place does not count on this node (Kong is not running, so nothing is running).
    None,
    /// It could not be read.
    Unknown,
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(directive) => serializer.collect_str(directive),
            Self::None => serializer.serialize_none(),
            Self::Unknown => serializer.serialize_str("?"),
        }
    }
}

impl Source {
    /// The directive, if it could be read.
    pub fn directive(&self) -> Option<&Directive> {
        match self {
            Self::Read(directive) => Some(directive),
            Self::None | Self::Unknown => None,
        }
    }
}

/// The directive of a node: Kong reads it from different places at different times (measured.md 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directives {
    /// kong.conf: what the next start or prepare reads.
    pub file: Source,
    /// `.kong_env`: what the next HUP reads.
    pub env: Source,
    /// What the workers run with.
    pub running: Source,
}

impl Directives {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { file: Source::Unknown, env: Source::Unknown, running: Source::Unknown };

    /// Reads them from the facts of a node.
    pub fn of(kong: &KongPaths, facts: &NodeFacts) -> Self {
        let stopped = super::stopped(kong, facts);
        let file = match &facts.conf_file {
            Some(conf) => Source::Read(Directive::effective(conf.open().text("plugins").as_deref()).into()),
            None if facts.conf.kind == crate::survey::Kind::Absent => Source::Read(Shared::default()),
            None => Source::Unknown,
        };
        let env = match &facts.env_file {
            Some(env) => Source::Read(env.open().directive().into()),
            None if stopped => Source::None,
            None => Source::Unknown,
        };
        let running = match super::loaded::own_admin(facts) {
            _ if stopped => Source::None,
            Some(admin) => Source::Read(Directive::effective(Some(&admin.plugins.join(","))).into()),
            None => Source::Unknown,
        };
        Self { file, env, running }
    }

    /// The places that count for this node. A stopped Kong rebuilds `.kong_env` at its next start.
    fn counting(&self, running: bool) -> impl Iterator<Item = &Source> {
        let places = if running { vec![&self.file, &self.env, &self.running] } else { vec![&self.file] };
        places.into_iter().filter(|source| **source != Source::None)
    }

    /// The mark for plugins that are wanted in it, or not.
    pub fn mark(&self, plugins: &[PluginName], wanted: bool, running: bool) -> Mark {
        let unread = self.counting(running).any(|source| *source == Source::Unknown);
        let names = self.counting(running).filter_map(Source::directive).flat_map(|directive| {
            plugins.iter().map(move |plugin| directive.names(plugin) && !directive.switched_off())
        });
        let (mut some, mut all) = (false, true);
        for named in names {
            some |= named;
            all &= named;
        }
        match (wanted, some, all) {
            // A name that should not be there is one too many, whatever the other places have.
            _ if unread && (wanted || !some) => Mark::Unknown,
            (true, _, true) => Mark::AsWanted,
            (true, true, false) => Mark::Differs,
            (true, false, false) => Mark::Missing,
            (false, true, _) => Mark::Extra,
            (false, false, _) => Mark::Absent,
        }
    }
}
