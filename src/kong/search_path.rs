//! `lua_package_path`: where Lua looks for modules, and the staged releases at its head.

use std::fmt::Write as _;

use crate::name::{Digest, NodePath};

/// The directory below which Kong finds modules even if no setting names it (facts.md B2: the default path of the Lua
/// that comes with Kong stands at the end of every search path).
pub const DEFAULT_LUA_ROOT: &str = "/usr/local/share/lua/5.1";

/// Whether modules below a Lua root are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// By name (`?.lua`) and as a directory (`?/init.lua`).
    Full,
    /// By name only: `require "kong.plugins.x.lib"` does not find `lib/init.lua` (protocols.md B1).
    NoInit,
    /// Not at all.
    No,
}

/// A release that stands in a search path: the mark by which a running worker tells which content it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StagedRelease {
    /// The directory above the digest: the name that the release is filed under.
    pub name: String,
    /// The digest, read from the path; the content itself is always hashed anew.
    pub digest: Digest,
}

/// Why a release cannot be staged in a search path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} cannot stand in a Lua search path, as it contains {found:?}")]
pub struct UnfitPath {
    /// The directory.
    pub path: NodePath,
    /// The character that Lua or nginx reads as its own.
    pub found: char,
}

/// A value of `lua_package_path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    text: String,
}

impl SearchPath {
    /// Takes the value as it stands.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn templates(&self) -> impl Iterator<Item = &str> {
        self.text.split(';').map(str::trim).filter(|template| !template.is_empty())
    }

    /// Whether Kong finds modules below this directory.
    pub fn reaches(&self, lua_root: &NodePath) -> Reach {
        let root = lua_root.as_str().trim_end_matches('/');
        if root == DEFAULT_LUA_ROOT {
            return Reach::Full;
        }
        let has = |ending: &str| self.templates().any(|template| tidy(template) == format!("{root}/{ending}"));
        match (has("?.lua"), has("?/init.lua")) {
            (true, true) => Reach::Full,
            (true, false) => Reach::NoInit,
            (false, _) => Reach::No,
        }
    }

    /// Which entry of the path, from 1, is the first that finds modules below this directory. Lua's own directory is found by
    /// the end of every path (facts.md B2), and so is what no entry names.
    pub fn place(&self, lua_root: &NodePath) -> usize {
        let root = lua_root.as_str().trim_end_matches('/');
        let ours = |template: &str| {
            let template = tidy(template.trim());
            template.strip_prefix(root).is_some_and(|rest| rest == "/?.lua" || rest == "/?/init.lua")
        };
        self.text.split(';').position(ours).map_or(usize::MAX, |at| at + 1)
    }

    /// The path with these releases at its head, in this order, each by name and as a directory; releases below `home`
    /// that stood there before are gone. (protocols.md A: `RELEASE/?.lua;RELEASE/?/init.lua;OLD`.)
    pub fn staged(&self, home: &NodePath, releases: &[NodePath]) -> Result<Self, UnfitPath> {
        let mut text = String::new();
        for release in releases {
            if let Some(found) = release.as_str().chars().find(|c| ";?'\"\\$".contains(*c)) {
                return Err(UnfitPath { path: release.clone(), found });
            }
            let _ = write!(text, "{release}/?.lua;{release}/?/init.lua;");
        }
        text.push_str(self.unstaged(home).as_str());
        Ok(Self { text })
    }

    /// The path without releases below `home`; what else is there stays byte for byte.
    #[must_use]
    pub fn unstaged(&self, home: &NodePath) -> Self {
        let kept: Vec<&str> =
            self.text.split(';').filter(|template| staged_release(home, template).is_none()).collect();
        Self { text: kept.join(";") }
    }

    /// The releases below `home` that stand in the path, each once, in their order.
    pub fn releases(&self, home: &NodePath) -> Vec<StagedRelease> {
        let mut found = Vec::new();
        for release in self.templates().filter_map(|template| staged_release(home, template)) {
            if !found.contains(&release) {
                found.push(release);
            }
        }
        found
    }
}

/// The release of `HOME/releases/NAME/DIGEST/?.lua` or `…/?/init.lua`.
fn staged_release(home: &NodePath, template: &str) -> Option<StagedRelease> {
    let rest = template.trim().strip_prefix(home.as_str().trim_end_matches('/'))?.strip_prefix("/releases/")?;
    let directory = rest.strip_suffix("/?.lua").or_else(|| rest.strip_suffix("/?/init.lua"))?;
    let (name, digest) = directory.split_once('/')?;
    Some(StagedRelease { name: name.to_owned(), digest: Digest::parse(digest).ok()? })
}

/// Without doubled slashes, which mean the same directory.
fn tidy(template: &str) -> String {
    let mut clean = String::with_capacity(template.len());
    for c in template.chars() {
        if !(c == '/' && clean.ends_with('/')) {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> NodePath {
        NodePath::parse(text).unwrap()
    }

    const OLD: &str = "./?.lua;./?/init.lua;";

    #[test]
    fn both_patterns_are_needed_to_reach_a_root() {
        for (text, root, reach) in [
            ("/x/?.lua;/x/?/init.lua;;", "/x", Reach::Full),
            ("/x//?.lua; /x/?/init.lua ;;", "/x", Reach::Full),
            ("/x/?.lua;;", "/x", Reach::NoInit),
            ("/xy/?.lua;;", "/x", Reach::No),
            ("/x/?/init.lua;;", "/x", Reach::No),
            (OLD, "/x", Reach::No),
            ("/x/?.lua", DEFAULT_LUA_ROOT, Reach::Full),
        ] {
            assert_eq!(SearchPath::new(text).reaches(&path(root)), reach, "{text} {root}");
        }
    }

    #[test]
    fn the_place_of_a_root_is_that_of_its_first_pattern_and_luas_own_directory_comes_last() {
        for (text, root, place) in [
            ("/x/?.lua;/x/?/init.lua;;", "/x", 1),
            ("./?.lua; /a/?.lua ;/x//?.lua;;", "/x", 3),
            ("/xy/?.lua;/x/?/init.lua", "/x", 2),
            ("/a/?.lua;;", DEFAULT_LUA_ROOT, usize::MAX),
            ("/usr/local/share/lua/5.1/?.lua;/a/?.lua", DEFAULT_LUA_ROOT, 1),
        ] {
            assert_eq!(SearchPath::new(text).place(&path(root)), place, "{text} {root}");
        }
    }

    #[test]
    fn staging_puts_the_new_release_first_and_the_old_one_away() {
        let home = path("/var/lib/muster");
        let release = |byte: &str| path(&format!("/var/lib/muster/releases/acme-auth/{}", byte.repeat(64)));
        let once = SearchPath::new(OLD).staged(&home, &[release("a")]).unwrap();
        assert_eq!(once.as_str(), format!("{0}/?.lua;{0}/?/init.lua;{OLD}", release("a")));
        let twice = once.staged(&home, &[release("b")]).unwrap();
        assert_eq!(twice, SearchPath::new(OLD).staged(&home, &[release("b")]).unwrap());
        assert_eq!(twice.unstaged(&home), SearchPath::new(OLD));
        let found = twice.releases(&home);
        assert_eq!(
            found,
            [StagedRelease { name: "acme-auth".to_owned(), digest: Digest::parse(&"b".repeat(64)).unwrap() }]
        );
    }

    #[test]
    fn what_is_not_ours_stays_in_the_path() {
        let home = path("/var/lib/muster");
        for foreign in ["/var/lib/muster/releases/x/short/?.lua;;", "/opt/?.lua;;", " /a/?.lua ; ;"] {
            assert_eq!(SearchPath::new(foreign).unstaged(&home).as_str(), foreign);
            assert_eq!(SearchPath::new(foreign).releases(&home), []);
        }
    }

    #[test]
    fn a_directory_that_lua_or_nginx_would_misread_is_refused() {
        let home = path("/var/lib/muster");
        for bad in ["/a;b", "/a?b", "/a'b"] {
            assert!(SearchPath::new("").staged(&home, &[path(bad)]).is_err(), "{bad}");
        }
    }
}
