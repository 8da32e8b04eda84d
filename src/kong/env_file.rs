//! `.kong_env`: what the master reads at every HUP (facts.md A4; measured.md 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::{Conf, Directive, EditError, SearchPath};
use crate::name::{Digest, Hasher};

/// The file that Kong writes into its prefix. The same syntax as kong.conf, one key a line, in random order.
#[derive(Debug, Clone)]
pub struct EnvFile {
    conf: Conf,
    digest: OnceLock<Digest>,
}

/// The bytes say everything.
impl PartialEq for EnvFile {
    fn eq(&self, other: &Self) -> bool {
        self.conf == other.conf
    }
}

impl Eq for EnvFile {}

impl EnvFile {
    /// Takes the bytes of the file.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        Self { conf: Conf::parse(bytes), digest: OnceLock::new() }
    }

    /// The file, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        self.conf.bytes()
    }

    /// The value of a key, if it is set.
    pub fn get(&self, key: &str) -> Option<String> {
        self.conf.text(key)
    }

    /// The `plugins` that the next HUP would load; `bundled` where the key is absent, as Kong leaves out empty values.
    pub fn directive(&self) -> Directive {
        Directive::effective(self.get("plugins").as_deref())
    }

    /// The search path that the next HUP would use.
    pub fn search_path(&self) -> SearchPath {
        let default = super::setting::default_value("lua_package_path").unwrap_or_default();
        SearchPath::new(self.get("lua_package_path").unwrap_or_else(|| default.to_owned()))
    }

    /// What identifies the content whatever the order of the lines, which is random at each write: sha256 over the lines
    /// that are not empty and do not begin with `#`, sorted bytewise, each with a newline. On a node:
    /// `LC_ALL=C grep -v -e '^#' -e '^$' FILE | LC_ALL=C sort | sha256sum`.
    pub fn digest(&self) -> Digest {
        self.digest.get_or_init(|| self.sorted()).clone()
    }

    fn sorted(&self) -> Digest {
        let mut lines: Vec<&[u8]> = self
            .bytes()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .collect();
        lines.sort_unstable();
        let mut hasher = Hasher::default();
        for line in lines {
            hasher.update(line);
            hasher.update(b"\n");
        }
        hasher.finish()
    }

    /// The file with these keys set and every other byte as it was: the candidate for a reload (protocols.md A).
    pub fn with(&self, settings: &[(&str, &str)]) -> Result<Vec<u8>, EditError> {
        settings
            .iter()
            .try_fold(self.conf.clone(), |conf, (key, value)| conf.set(key, value).map(Conf::parse))
            .map(|conf| conf.bytes().to_vec())
    }

    /// See [`Conf::secrets`].
    pub fn secrets(&self) -> Vec<String> {
        self.conf.secrets()
    }

    /// The values of the keys that may be shown.
    pub fn readable(&self) -> BTreeMap<&'static str, String> {
        self.conf.readable()
    }

    /// What waits in a kong.conf: settings that it has otherwise than this file, and that the next start or prepare would
    /// apply. One line each, with values only where they may be read out loud. `plugins`, the search path and the prefix
    /// are looked at by themselves. A key that is not here at all is new if it is of a group that Kong takes any key of, or
    /// has secrets in; Kong does not write empty values, and ignores what it does not know.
    pub fn waiting(&self, conf: &Conf) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, next) in conf.effective() {
            let readable = super::setting::is_readable(&key);
            let now = self.conf.value(&key);
            let default = super::setting::default_value(&key).map(|value| value.as_bytes().to_vec());
            if matches!(key.as_str(), "plugins" | "lua_package_path" | "prefix") {
                continue;
            }
            let Some(now) = now.or(if readable { default } else { None }) else {
                if GROUPS.iter().any(|group| key.starts_with(group)) && !next.trim_ascii().is_empty() {
                    lines.push(format!("{key} (new, not shown)"));
                }
                continue;
            };
            if loose(&now) == loose(&next) {
                continue;
            }
            let shown = |value: &[u8]| super::printable(&String::from_utf8_lossy(value), 60);
            lines.push(if readable {
                format!("{key} ({} > {})", shown(&now), shown(&next))
            } else {
                format!("{key} (not shown)")
            });
        }
        lines
    }

    /// How many settings of a kong.conf are here with the same value, and how many with another one: whether it may be what Kong
    /// was started with. Keys that are not here count as neither, as Kong drops what it does not know and what is empty.
    pub fn explained_by(&self, conf: &Conf) -> (usize, usize) {
        let values = conf.effective().into_iter().filter_map(|(key, next)| Some((self.conf.value(&key)?, next)));
        let plain = |value: &[u8]| loose(value).strip_suffix(b"/").map_or_else(|| loose(value), <[u8]>::to_vec);
        values.fold(
            (0, 0),
            |(same, other), (now, next)| {
                if plain(&now) == plain(&next) { (same + 1, other) } else { (same, other + 1) }
            },
        )
    }

    /// The keys that the two files do not set alike. Names only.
    pub fn differs(&self, other: &Self) -> BTreeSet<String> {
        self.conf.differs(&other.conf)
    }
}

/// What keys begin with of which every one counts, known by name or not (facts.md A1: `nginx_*` and `vault_*` are injected).
const GROUPS: [&str; 5] = ["pg_", "nginx_", "vault_", "headers", "pluginserver_"];

/// A value without the blanks around its commas, which Kong drops when it writes a list.
fn loose(value: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
    parts.join(&b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "# *************************\n# This file is generated\n\nplugins = bundled,hello\n\
        pg_password = s\\#cret\nlua_package_path = ./?.lua;./?/init.lua;\nlog_level = notice\n";

    #[test]
    fn what_waits_in_kong_conf_is_told_without_its_secrets() {
        let env = EnvFile::parse(
            "plugins = bundled\nlog_level = notice\nproxy_listen = 0.0.0.0:8000,[::]:8000\npg_password = a\n",
        );
        let conf = Conf::parse(
            "plugins = bundled,x\nlog_level = info\nproxy_listen = 0.0.0.0:8000, [::]:8000\npg_password = b\nno_such = 1\n",
        );
        assert_eq!(env.waiting(&conf), ["log_level (notice > info)", "pg_password (not shown)"]);
        assert!(env.waiting(&Conf::parse("log_level = notice\n")).is_empty());
        let new = Conf::parse("nginx_http_foo = 1\nvault_env_prefix = x\npg_ro_password = s3cret\npg_ssl =\n");
        let names =
            ["nginx_http_foo (new, not shown)", "pg_ro_password (new, not shown)", "vault_env_prefix (new, not shown)"];
        let mut lines = EnvFile::parse("plugins = bundled\n").waiting(&new);
        lines.sort();
        assert_eq!(lines, names);
        let unset = EnvFile::parse("plugins = bundled\n");
        assert_eq!(unset.waiting(&Conf::parse("log_level = debug\n")), ["log_level (notice > debug)"]);
    }

    #[test]
    fn a_kong_conf_explains_what_it_has_alike() {
        let env = EnvFile::parse("plugins = bundled,x\nprefix = /p\nlog_level = notice\n");
        let conf = Conf::parse("plugins = bundled, x\nprefix = /p/\nlog_level = info\nno_such = 1\n");
        assert_eq!(env.explained_by(&conf), (2, 1));
        assert_eq!(env.explained_by(&Conf::parse("")), (0, 0));
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_the_lines() {
        let mut lines: Vec<&str> = LIVE.lines().collect();
        lines.reverse();
        let other = EnvFile::parse(lines.join("\n"));
        assert_eq!(EnvFile::parse(LIVE).digest(), other.digest());
        let changed = EnvFile::parse(LIVE.replace("notice", "debug"));
        assert_ne!(EnvFile::parse(LIVE).digest(), changed.digest());
    }

    #[test]
    fn a_candidate_differs_in_our_lines_alone() {
        let live = EnvFile::parse(LIVE);
        let path = live.search_path().as_str().to_owned();
        let candidate =
            live.with(&[("plugins", "bundled,hello,x"), ("lua_package_path", &format!("/r/?.lua;{path}"))]).unwrap();
        let candidate = EnvFile::parse(candidate);
        assert_eq!(live.differs(&candidate).into_iter().collect::<Vec<_>>(), ["lua_package_path", "plugins"]);
        assert_eq!(candidate.directive().to_string(), "bundled,hello,x");
        assert_eq!(candidate.bytes().split(|byte| *byte == b'\n').count(), LIVE.split('\n').count());
    }

    #[test]
    fn an_absent_directive_means_bundled() {
        assert_eq!(EnvFile::parse("log_level = notice\n").directive(), Directive::default());
    }
}
