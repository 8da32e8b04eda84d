//! The `plugins` directive in its three places: what the next start, the next HUP and the workers have.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Mark;
use crate::inventory::KongPaths;
use crate::kong::origin::{self, ConfFile, Origin, Start};
use crate::kong::{Directive, Word};
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
    /// What the next start of the service reads: kong.conf, or the environment of its unit where that sets it.
    pub file: Source,
    /// `.kong_env`: what the next HUP reads.
    pub env: Source,
    /// What the workers run with.
    pub running: Source,
    /// What decides `file`.
    #[serde(flatten)]
    pub origin: Origin,
    /// Whether the three say the same.
    pub agreement: Agreement,
}

/// How the three places of a setting stand to each other. Kong reads each at another time, so that whatever they differ in comes
/// with the next of these (measured.md 4: drift between the three is a state of its own).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// They say the same; where Kong does not run, there is one only.
    Agree,
    /// What runs and the next reload say the same, and the next start another thing.
    StartDiffers,
    /// The next reload, by whomever, brings another thing than what runs; the next start has it too.
    ReloadDiffers,
    /// No two that follow each other say the same.
    AllDiffer,
    /// Not all of them could be read.
    Unknown,
}

impl Agreement {
    pub(super) fn of<T: PartialEq>(start: Option<&T>, reload: Option<&T>, running: Option<&T>) -> Self {
        let (Some(start), Some(reload), Some(running)) = (start, reload, running) else { return Self::Unknown };
        match (start == reload, reload == running) {
            (true, true) => Self::Agree,
            (false, true) => Self::StartDiffers,
            (true, false) => Self::ReloadDiffers,
            (false, false) => Self::AllDiffer,
        }
    }
}

/// kong.conf as it was found.
pub fn conf_file(facts: &NodeFacts) -> ConfFile<'_> {
    match &facts.conf_file {
        Some(conf) => ConfFile::Read(conf.open()),
        None if facts.conf.kind == crate::survey::Kind::Absent => ConfFile::Absent,
        None => ConfFile::Unreadable,
    }
}

impl Directives {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        file: Source::Unknown,
        env: Source::Unknown,
        running: Source::Unknown,
        origin: Origin::Unknown { why: String::new() },
        agreement: Agreement::Unknown,
    };

    /// Reads them from the facts of a node.
    pub fn of(kong: &KongPaths, facts: &NodeFacts) -> Self {
        let stopped = super::stopped(kong, facts);
        let Start { value, origin } = origin::start("plugins", conf_file(facts), facts.environment());
        let file = match &origin {
            Origin::Unknown { .. } => Source::Unknown,
            _ => Source::Read(Directive::effective(value.as_deref()).into()),
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
        let agreement = if stopped { Agreement::Agree } else { Agreement::Unknown };
        let mut all = Self { file, env, running, origin, agreement };
        if !stopped {
            all.agreement = all.agreement_but(&BTreeSet::new());
        }
        all
    }

    /// How the places agree about everything but these names.
    pub fn agreement_but(&self, names: &BTreeSet<&PluginName>) -> Agreement {
        let rest = |source: &Source| {
            let directive = source.directive()?;
            let other = |word: &&Word| !matches!(word, Word::Plugin(name) if names.contains(name));
            Some(directive.words().iter().filter(other).map(ToString::to_string).collect::<BTreeSet<_>>())
        };
        let (file, env, running) = (rest(&self.file), rest(&self.env), rest(&self.running));
        Agreement::of(file.as_ref(), env.as_ref(), running.as_ref())
    }

    /// The places that count for this node. A stopped Kong rebuilds `.kong_env` at its next start.
    fn counting(&self, running: bool) -> impl Iterator<Item = &Source> {
        let places = if running { vec![&self.file, &self.env, &self.running] } else { vec![&self.file] };
        places.into_iter().filter(|source| **source != Source::None)
    }

    /// The mark for plugins whose names others keep in it. Where the environment that Kong is started with cannot be seen, what
    /// the next start reads is theirs to know: what runs, and what the next reload reads, is what counts.
    pub fn kept_by_others(&self, plugins: &[PluginName], running: bool, environment_seen: bool) -> Mark {
        let mark = self.mark(plugins, true, running);
        if environment_seen && self.file != Source::Unknown || !running || mark == Mark::AsWanted {
            return mark;
        }
        let names = |source: &Source| match source.directive() {
            Some(directive) => plugins.iter().all(|plugin| directive.names(plugin) && !directive.switched_off()),
            None => false,
        };
        if names(&self.env) && names(&self.running) { Mark::AsWanted } else { mark }
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
