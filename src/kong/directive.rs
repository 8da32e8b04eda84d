//! The `plugins` directive: which plugins a node loads (facts.md A2).

use std::collections::BTreeSet;
use std::fmt;

use crate::name::PluginName;

/// The plugins that come with Kong, of any open-source version from 2.8 to 3.9 (`constants.BUNDLED_PLUGINS`). Which of
/// them one node has, its Admin API says; this list answers only "may a custom plugin have this name".
pub const BUNDLED: &[&str] = &[
    "acl",
    "acme",
    "ai-prompt-decorator",
    "ai-prompt-guard",
    "ai-prompt-template",
    "ai-proxy",
    "ai-request-transformer",
    "ai-response-transformer",
    "aws-lambda",
    "azure-functions",
    "basic-auth",
    "bot-detection",
    "correlation-id",
    "cors",
    "datadog",
    "file-log",
    "grpc-gateway",
    "grpc-web",
    "hmac-auth",
    "http-log",
    "ip-restriction",
    "jwt",
    "key-auth",
    "ldap-auth",
    "loggly",
    "oauth2",
    "opentelemetry",
    "post-function",
    "pre-function",
    "prometheus",
    "proxy-cache",
    "rate-limiting",
    "redirect",
    "request-size-limiting",
    "request-termination",
    "request-transformer",
    "response-ratelimiting",
    "response-transformer",
    "session",
    "standard-webhooks",
    "statsd",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
];

/// Whether a plugin of this name comes with Kong.
pub fn is_bundled(plugin: &PluginName) -> bool {
    BUNDLED.contains(&plugin.as_str())
}

/// One element of the directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// `bundled`: all plugins that come with Kong.
    Bundled,
    /// `off`: as the first element it switches everything off; elsewhere Kong skips it.
    Off,
    /// A plugin.
    Plugin(PluginName),
    /// Nothing between two commas, or behind the last: Kong looks for a plugin with an empty name and fails.
    Empty,
    /// Text that cannot be the name of a plugin; Kong will not find it.
    Odd(String),
}

impl Word {
    fn parse(text: &str) -> Self {
        match text {
            "" => Self::Empty,
            "bundled" => Self::Bundled,
            "off" => Self::Off,
            _ => PluginName::parse(text).map_or_else(|_| Self::Odd(text.to_owned()), Self::Plugin),
        }
    }

    /// The element as it is written.
    fn as_str(&self) -> &str {
        match self {
            Self::Bundled => "bundled",
            Self::Off => "off",
            Self::Plugin(name) => name.as_str(),
            Self::Empty => "",
            Self::Odd(text) => text,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something odd about a directive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum DirectiveProblem {
    /// `off` stands first, with names behind it: nothing is loaded, whatever follows (measured.md 4).
    OffFirst,
    /// An empty name: the next reload or start fails with " plugin is enabled but not installed".
    EmptyName,
    /// Not the name of a plugin, so that no plugin can be found by it.
    OddName {
        /// The text.
        text: String,
    },
    /// A name that stands there more than once; harmless.
    Repeated {
        /// The name.
        name: String,
    },
    /// `off` that is not first; Kong skips it.
    OffIgnored,
}

impl DirectiveProblem {
    /// Whether muster must not write a directive that has it: the node would not come up, or adding a name would
    /// switch on what somebody has switched off.
    pub fn blocks(&self) -> bool {
        matches!(self, Self::OffFirst | Self::EmptyName | Self::OddName { .. })
    }
}

impl fmt::Display for DirectiveProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffFirst => f.write_str("`off` stands first in plugins, so that the names behind it are not loaded"),
            Self::EmptyName => f.write_str("plugins has an empty name (two commas, or one at the end)"),
            Self::OddName { text } => {
                write!(f, "plugins has {:?}, which cannot be a plugin", super::printable(text, 80))
            }
            Self::Repeated { name } => write!(f, "plugins names {name} more than once"),
            Self::OffIgnored => f.write_str("plugins has `off` that is not first, which Kong skips"),
        }
    }
}

impl std::error::Error for DirectiveProblem {}

/// The value of `plugins`, element by element. [`fmt::Display`] writes it as Kong writes `.kong_env`: bare commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    words: Vec<Word>,
}

impl Default for Directive {
    /// What counts where the key is absent: `bundled`.
    fn default() -> Self {
        Self { words: vec![Word::Bundled] }
    }
}

impl Directive {
    /// Reads a value as Kong does. An empty one is the default: Kong leaves it out of `.kong_env` (facts.md A2).
    pub fn parse(value: &str) -> Self {
        if value.trim().is_empty() {
            return Self::default();
        }
        Self { words: value.split(',').map(|word| Word::parse(word.trim())).collect() }
    }

    /// What an absent or present value means.
    pub fn effective(value: Option<&str>) -> Self {
        value.map_or_else(Self::default, Self::parse)
    }

    /// The elements in their order.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Whether `off` stands first, so that nothing is loaded.
    pub fn switched_off(&self) -> bool {
        self.words.first() == Some(&Word::Off)
    }

    /// Whether the node would load this plugin: its name is there, or it comes with Kong and `bundled` is, and nothing is switched off.
    pub fn loads(&self, plugin: &PluginName) -> bool {
        !self.switched_off() && (self.names(plugin) || (is_bundled(plugin) && self.words.contains(&Word::Bundled)))
    }

    /// Whether the name itself stands there.
    pub fn names(&self, plugin: &PluginName) -> bool {
        self.words.iter().any(|word| matches!(word, Word::Plugin(name) if name == plugin))
    }

    /// The plugins that are named, `bundled` not resolved. Empty where everything is switched off.
    pub fn plugins(&self) -> BTreeSet<&PluginName> {
        let named = self.words.iter().filter_map(|word| match word {
            Word::Plugin(name) if !self.switched_off() => Some(name),
            _ => None,
        });
        named.collect()
    }

    /// Everything odd about it.
    pub fn problems(&self) -> Vec<DirectiveProblem> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            found.extend(self.problem(at, word));
            if !matches!(word, Word::Off | Word::Empty) && !seen.insert(word.as_str()) {
                found.push(DirectiveProblem::Repeated { name: word.to_string() });
            }
        }
        found
    }

    /// The first problem that [`DirectiveProblem::blocks`], if there is one.
    pub fn blocking(&self) -> Option<DirectiveProblem> {
        let mut found = self.words.iter().enumerate().filter_map(|(at, word)| self.problem(at, word));
        found.find(DirectiveProblem::blocks)
    }

    /// What is odd about one element by itself.
    fn problem(&self, at: usize, word: &Word) -> Option<DirectiveProblem> {
        match word {
            Word::Off if at == 0 && self.words.len() > 1 => Some(DirectiveProblem::OffFirst),
            Word::Off if at > 0 => Some(DirectiveProblem::OffIgnored),
            Word::Empty => Some(DirectiveProblem::EmptyName),
            Word::Odd(text) => Some(DirectiveProblem::OddName { text: text.clone() }),
            Word::Off | Word::Bundled | Word::Plugin(_) => None,
        }
    }

    /// This directive with plugins added at the end and others taken out; every other element keeps its place and its
    /// spelling, `bundled` too. The first problem that [`DirectiveProblem::blocks`] is an error.
    ///
    /// Where nothing would be left it becomes `off`, as an empty value means `bundled`; and `off` alone, which is how that
    /// is written, gives way to a name.
    pub fn with(&self, add: &[PluginName], remove: &[PluginName]) -> Result<Self, DirectiveProblem> {
        if let Some(problem) = self.blocking() {
            return Err(problem);
        }
        let stays = |word: &&Word| !matches!(word, Word::Plugin(name) if remove.contains(name));
        let mut words: Vec<Word> = self.words.iter().filter(stays).cloned().collect();
        for plugin in add {
            let word = Word::Plugin(plugin.clone());
            if !words.contains(&word) {
                words.push(word);
            }
        }
        match words.as_slice() {
            [] => words.push(Word::Off),
            [Word::Off, _, ..] => drop(words.remove(0)),
            _ => {}
        }
        Ok(Self { words })
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            write!(f, "{}{word}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<PluginName> {
        text.split_whitespace().map(|name| PluginName::parse(name).unwrap()).collect()
    }

    #[test]
    fn adding_and_removing_keeps_every_other_name_in_its_place() {
        for (before, add, remove, after) in [
            ("bundled", "a", "", "bundled,a"),
            ("x, bundled ,y", "a b", "", "x,bundled,y,a,b"),
            ("bundled,a,b", "a", "", "bundled,a,b"),
            ("bundled,a,b,a", "", "a", "bundled,b"),
            ("bundled,a", "c", "a", "bundled,c"),
            ("a,bundled,b", "", "nothere", "a,bundled,b"),
            ("a", "", "a", "off"),
            ("off", "a", "", "a"),
            ("off", "", "a", "off"),
            ("", "a", "", "bundled,a"),
            ("Bundled,a", "b", "", "Bundled,a,b"),
            ("a,off,b", "c", "b", "a,off,c"),
        ] {
            let edited = Directive::parse(before).with(&names(add), &names(remove)).unwrap();
            assert_eq!(edited.to_string(), after, "{before} + {add} - {remove}");
        }
    }

    #[test]
    fn removing_what_stands_before_an_off_does_not_switch_everything_off() {
        let edited = Directive::parse("a,off,b").with(&[], &names("a")).unwrap();
        assert!(!edited.switched_off(), "{edited}");
    }

    #[test]
    fn a_directive_that_would_not_come_up_is_not_edited() {
        for (text, problem) in [
            ("off,x", DirectiveProblem::OffFirst),
            ("bundled,foo,", DirectiveProblem::EmptyName),
            ("bundled,,foo", DirectiveProblem::EmptyName),
            ("\"bundled,foo\"", DirectiveProblem::OddName { text: "\"bundled".to_owned() }),
        ] {
            assert_eq!(Directive::parse(text).blocking().as_ref(), Some(&problem), "{text}");
            assert_eq!(Directive::parse(text).with(&names("a"), &[]), Err(problem), "{text}");
        }
    }

    #[test]
    fn what_loads_follows_kong() {
        let plugin = |name: &str| PluginName::parse(name).unwrap();
        for (text, name, loads) in [
            ("bundled", "jwt", true),
            ("bundled", "acme-auth", false),
            ("Bundled", "jwt", false),
            ("bundled,acme-auth", "acme-auth", true),
            ("bundled,acme_auth", "acme-auth", false),
            ("off,acme-auth", "acme-auth", false),
            ("acme-auth,off", "acme-auth", true),
            ("acme-auth", "jwt", false),
        ] {
            assert_eq!(Directive::parse(text).loads(&plugin(name)), loads, "{text} {name}");
        }
        assert!(Directive::effective(None).loads(&plugin("jwt")));
    }

    #[test]
    fn harmless_oddities_are_told_and_do_not_block() {
        let directive = Directive::parse("bundled,a,a,off");
        let problems = directive.problems();
        assert_eq!(problems, [DirectiveProblem::Repeated { name: "a".to_owned() }, DirectiveProblem::OffIgnored]);
        assert!(!problems.iter().any(DirectiveProblem::blocks));
        assert_eq!(directive.blocking(), None);
    }
}
