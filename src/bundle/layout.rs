//! Which files of a source ship, and where they go under the Lua root.
//!
//! Three layouts are understood: rooted at `kong/`; a bare directory with `handler.lua` and `schema.lua`, whose plugin is named
//! after the bundle; one top directory that holds either of these (as an archive of a release does).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{BundleError, Content, MAX_ENTRIES, MAX_UNPACKED, Note, SourceEntry, SourceKind};
use crate::name::{BundleName, BundlePath, PluginName};

/// Where a rule of [`NEVER_SHIPPED`] applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To every part of a path, directories too.
    Anywhere,
    /// To the names of files, unless they end in `.lua`: `license.lua` is a module, `kong/plugins/license-gate/` a plugin.
    Files,
    /// To what stands beside the Lua root, or beside the handler of a bare plugin: deeper the same name is content.
    Beside,
}

/// What never ships: a pattern for one part of a path (`*` stands for anything, letter case does not count), where it
/// applies, and the reason. Beside the Lua root only `.lua` files and directories that hold some ship at all.
pub const NEVER_SHIPPED: &[(&str, Scope, &str)] = &[
    (".*", Scope::Anywhere, "hidden: .git, .github, .pongo, .luacheckrc, .luacov, .DS_Store, .editorconfig"),
    ("*~", Scope::Anywhere, "left by an editor"),
    ("*.swp", Scope::Anywhere, "left by an editor"),
    ("*.swo", Scope::Anywhere, "left by an editor"),
    ("*.bak", Scope::Anywhere, "left by an editor"),
    ("#*#", Scope::Anywhere, "left by an editor"),
    ("*.orig", Scope::Anywhere, "left by a merge"),
    ("*.rej", Scope::Anywhere, "left by a merge"),
    ("__macosx", Scope::Anywhere, "left by a packer"),
    ("thumbs.db", Scope::Anywhere, "left by a desktop"),
    ("luacov.*.out", Scope::Anywhere, "a report of tests"),
    ("*_spec.lua", Scope::Anywhere, "tests"),
    ("*.rockspec", Scope::Files, "for LuaRocks"),
    ("*.rock", Scope::Files, "for LuaRocks"),
    ("readme*", Scope::Files, "for people"),
    ("license*", Scope::Files, "for people"),
    ("licence*", Scope::Files, "for people"),
    ("copying*", Scope::Files, "for people"),
    ("install*", Scope::Files, "for people"),
    ("changelog*", Scope::Files, "for people"),
    ("makefile", Scope::Files, "for building"),
    ("dockerfile*", Scope::Files, "for building"),
    ("spec", Scope::Beside, "tests"),
    ("test", Scope::Beside, "tests"),
    ("tests", Scope::Beside, "tests"),
    ("t", Scope::Beside, "tests"),
    ("doc", Scope::Beside, "for people"),
    ("docs", Scope::Beside, "for people"),
    ("example", Scope::Beside, "for people"),
    ("examples", Scope::Beside, "for people"),
    ("scripts", Scope::Beside, "for building"),
    ("lua_modules", Scope::Beside, "a tree of LuaRocks"),
    ("node_modules", Scope::Beside, "a tree of npm"),
];

/// Endings of files that hold other files, which nobody would see in a review.
const NESTED: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip", ".7z"];

/// The most parts of a path: every part is looked at, and a kilobyte of `d/` has 500 of them.
const MAX_DEPTH: usize = 64;

/// Files at the paths where they will be installed.
pub(super) struct Laid {
    pub(super) files: BTreeMap<BundlePath, Content>,
    /// Where each of them is in the source.
    pub(super) origins: BTreeMap<BundlePath, BundlePath>,
    pub(super) notes: Vec<Note>,
}

type Sources = BTreeMap<BundlePath, (SourceKind, Vec<u8>)>;

/// Checks every entry, finds the layout, and puts what ships where it goes.
pub(super) fn lay_out(name: &BundleName, entries: impl IntoIterator<Item = SourceEntry>) -> Result<Laid, BundleError> {
    let builder = Builder { name };
    let sources = builder.collect(entries)?;
    let shape = builder.shape(&sources)?;
    let (mut files, mut origins) = (BTreeMap::new(), BTreeMap::new());
    let (mut left, mut shipped) = (Vec::new(), BTreeSet::new());
    for (path, (kind, bytes)) in sources {
        let Some(target) = builder.target(&shape, &path)? else {
            left.push(path);
            continue;
        };
        builder.check_shipped(&path, kind, &bytes)?;
        files.insert(target.clone(), Content::new(bytes));
        shipped.insert(path.as_str().to_owned());
        origins.insert(target, path);
    }
    if let Some((path, why)) = clash(files.keys(), true) {
        return Err(builder.hostile(path.as_str(), why));
    }
    let notes = not_shipped(&left, &shipped);
    Ok(Laid { files, origins, notes })
}

/// Where the Lua root is in the source.
struct Shape {
    /// What stands before every path that matters, with its slash; empty for none.
    above: String,
    /// The plugin that a bare directory is.
    bare: Option<PluginName>,
    /// Directories and files beside `kong/` that are Lua modules.
    modules: BTreeSet<String>,
}

struct Builder<'a> {
    name: &'a BundleName,
}

impl Builder<'_> {
    fn hostile(&self, path: &str, why: impl Into<String>) -> BundleError {
        BundleError::Hostile { bundle: self.name.clone(), path: showable(path), why: why.into() }
    }

    fn layout(&self, why: impl Into<String>, fix: impl Into<String>) -> BundleError {
        BundleError::Layout { bundle: self.name.clone(), why: why.into(), fix: fix.into() }
    }

    fn collect(&self, entries: impl IntoIterator<Item = SourceEntry>) -> Result<Sources, BundleError> {
        let mut sources = Sources::new();
        let mut size = 0;
        for entry in entries {
            let path = self.path(&entry.path)?;
            size += entry.bytes.len() as u64;
            let too_large = |why| BundleError::TooLarge { bundle: self.name.clone(), why };
            if size > MAX_UNPACKED {
                return Err(too_large(format!("its files are more than {} MiB", MAX_UNPACKED >> 20)));
            }
            if sources.len() >= MAX_ENTRIES {
                return Err(too_large(format!("it has more than {MAX_ENTRIES} entries")));
            }
            if sources.contains_key(&path) {
                return Err(self.hostile(path.as_str(), "it is there twice"));
            }
            sources.insert(path, (entry.kind, entry.bytes));
        }
        match clash(sources.keys(), false) {
            Some((path, why)) => Err(self.hostile(path.as_str(), why)),
            None => Ok(sources),
        }
    }

    fn path(&self, raw: &[u8]) -> Result<BundlePath, BundleError> {
        let shown = String::from_utf8_lossy(raw);
        let text = std::str::from_utf8(raw).map_err(|_| self.hostile(&shown, "its name is not UTF-8"))?;
        if let Some(part) = text.split('/').find(|part| part.len() > 255) {
            return Err(self.hostile(text, format!("a part of its name has {} bytes, more than 255", part.len())));
        }
        if text.split('/').count() > MAX_DEPTH {
            return Err(self.hostile(text, format!("it lies more than {MAX_DEPTH} directories deep")));
        }
        BundlePath::parse(text).map_err(|error| self.hostile(text, error.why))
    }

    fn shape(&self, sources: &Sources) -> Result<Shape, BundleError> {
        let paths: Vec<&str> = sources.keys().map(BundlePath::as_str).filter(|path| !never(path, false)).collect();
        if let Some(shape) = self.shape_at(&paths, "")? {
            return Ok(shape);
        }
        let tops: BTreeSet<&str> = paths.iter().filter_map(|path| path.split_once('/').map(|(top, _)| top)).collect();
        let mut found = Vec::new();
        for top in &tops {
            if let Some(shape) = self.shape_at(&paths, &format!("{top}/"))? {
                found.push((*top, shape));
            }
        }
        match found.len() {
            _ if Self::is_mapped(sources) => Err(self.layout(
                "its sources are in src/ and a rockspec says where they go, which muster does not read",
                "move them to kong/plugins/NAME/, or name the directory that holds handler.lua as `dir:`",
            )),
            1 => Ok(found.remove(0).1),
            0 => Err(self.nothing_found(&paths)),
            _ => Err(self.layout(
                format!(
                    "several directories hold a plugin: {}",
                    found.iter().map(|(top, _)| *top).collect::<Vec<_>>().join(", ")
                ),
                "make one bundle of each, with `dir:` naming it",
            )),
        }
    }

    /// Lua below a `src/` with a rockspec beside it: only the rockspec knows the modules' names.
    fn is_mapped(sources: &Sources) -> bool {
        let paths = || sources.keys().map(BundlePath::as_str);
        let beside = |path: &str| {
            paths().any(|other| {
                other.strip_prefix(path).is_some_and(|rest| !rest.contains('/') && rest.ends_with(".rockspec"))
            })
        };
        paths().filter(|path| is_lua(path)).any(|path| {
            let source = path.match_indices("src/").find(|(at, _)| *at == 0 || path.as_bytes()[at - 1] == b'/');
            source.is_some_and(|(at, _)| beside(&path[..at]))
        })
    }

    fn nothing_found(&self, paths: &[&str]) -> BundleError {
        match paths.iter().find(|path| nested(path)) {
            Some(path) => self.layout(
                format!("it holds no plugin but another archive, {:?}", showable(path)),
                "name the inner archive in the inventory",
            ),
            None => self.layout(
                "no plugin found: neither kong/plugins/NAME/handler.lua nor handler.lua at the top",
                "put the files at kong/plugins/NAME/, or handler.lua and schema.lua at the top of the directory",
            ),
        }
    }

    /// The layout, if the Lua root or a bare plugin is right below `above`.
    fn shape_at(&self, paths: &[&str], above: &str) -> Result<Option<Shape>, BundleError> {
        let below: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix(above)).collect();
        let rooted = below.iter().any(|path| path.starts_with("kong/"));
        let bare = below.iter().any(|path| matches!(*path, "handler.lua" | "schema.lua"));
        let bare = match (rooted, bare) {
            (false, false) => return Ok(None),
            (true, true) => {
                return Err(self.layout(
                    "it has both kong/ and a handler.lua or schema.lua at the top",
                    "keep one of the two; beside kong/ only other Lua modules ship",
                ));
            }
            (true, false) => None,
            (false, true) => Some(self.bare_name()?),
        };
        let modules = below.iter().filter(|path| is_lua(path)).map(|path| top(path).to_owned()).collect();
        Ok(Some(Shape { above: above.to_owned(), bare, modules }))
    }

    fn bare_name(&self) -> Result<PluginName, BundleError> {
        PluginName::parse(self.name.as_str()).map_err(|error| {
            self.layout(
                format!("a bare directory is the plugin named like its bundle, and {error}"),
                "name the bundle like the plugin, or put the files at kong/plugins/NAME/",
            )
        })
    }

    /// Where a path of the source goes, `None` if it does not ship.
    fn target(&self, shape: &Shape, path: &BundlePath) -> Result<Option<BundlePath>, BundleError> {
        let Some(inner) = path.as_str().strip_prefix(&shape.above) else { return Ok(None) };
        let beside = !inner.starts_with("kong/");
        if never(inner, beside) {
            return Ok(None);
        }
        let target = match &shape.bare {
            Some(plugin) => format!("kong/plugins/{plugin}/{inner}"),
            None if beside && !shape.modules.contains(top(inner)) => return Ok(None),
            None => inner.to_owned(),
        };
        BundlePath::parse(&target).map(Some).map_err(|error| self.hostile(path.as_str(), error.why))
    }

    fn check_shipped(&self, path: &BundlePath, kind: SourceKind, bytes: &[u8]) -> Result<(), BundleError> {
        let why = match kind {
            SourceKind::Symlink => "it is a symbolic link; links do not ship, put the file itself there",
            SourceKind::Submodule => "it is a Git submodule, whose files are not in this repository",
            SourceKind::File
                if bytes.len() < 1024 && bytes.starts_with(b"version https://git-lfs.github.com/spec/v1") =>
            {
                "it is a pointer of Git LFS; the file itself is not in the repository"
            }
            SourceKind::File if nested(path.as_str()) => "it is an archive inside; its content could not be reviewed",
            SourceKind::File => return Ok(()),
        };
        Err(self.hostile(path.as_str(), why))
    }
}

/// Two paths that cannot be side by side: a file and a directory of one name, or, with `fold`, names that differ only in
/// letter case, which some file systems take for one.
fn clash<'a>(paths: impl Iterator<Item = &'a BundlePath>, fold: bool) -> Option<(&'a BundlePath, String)> {
    let folded = |path: &str| if fold { path.to_lowercase() } else { path.to_owned() };
    // With NUL for the slash, what lies below a directory comes right behind a file of the same name.
    let mut sorted: Vec<(String, &BundlePath)> =
        paths.map(|path| (folded(path.as_str()).replace('/', "\0"), path)).collect();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| {
        let [(one, first), (two, second)] = pair else { return None };
        if two.strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with('\0')) {
            return Some((*second, format!("{:?} is a file and a directory at once", showable(first.as_str()))));
        }
        let same = first.parts().zip(second.parts()).take_while(|(a, b)| folded(a) == folded(b));
        let differs = same.into_iter().any(|(a, b)| a != b);
        differs.then(|| (*second, format!("it differs from {:?} only in letter case", showable(first.as_str()))))
    })
}

fn top(path: &str) -> &str {
    path.split_once('/').map_or(path, |(top, _)| top)
}

fn nested(path: &str) -> bool {
    let lower = path.to_lowercase();
    NESTED.iter().any(|ending| lower.ends_with(ending))
}

/// Whether a path, relative to the Lua root or to a bare plugin, matches a rule of [`NEVER_SHIPPED`].
fn never(path: &str, beside: bool) -> bool {
    let lower = path.to_lowercase();
    let file = lower.rsplit('/').next().unwrap_or_default();
    NEVER_SHIPPED.iter().any(|(pattern, scope, _)| match scope {
        Scope::Anywhere => lower.split('/').any(|part| matches(pattern, part)),
        Scope::Files => !is_lua(file) && matches(pattern, file),
        Scope::Beside => beside && matches(pattern, top(&lower)),
    })
}

/// Whether Lua finds a file as a module: by `.lua` in just that spelling.
pub(super) fn is_lua(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending == "lua")
}

/// A pattern with any number of `*`, against one part of a path.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// Text that can go to a screen: without control characters and not endless.
pub(super) fn showable(text: &str) -> String {
    let clean: String =
        text.chars().take(120).map(|c| if c.is_control() || is_directional(c) { '\u{fffd}' } else { c }).collect();
    if clean.len() < text.len() && text.chars().count() > 120 { format!("{clean}…") } else { clean }
}

/// Characters that turn the direction of text around, and could make a name look like another.
fn is_directional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const SHOWN: usize = 20;

/// The note about what does not ship: a directory stands for all below it where nothing of it ships.
fn not_shipped(left: &[BundlePath], shipped: &BTreeSet<String>) -> Vec<Note> {
    let next = |prefix: &str| shipped.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)).next();
    let ships = |prefix: &str| next(prefix).is_some_and(|path| path.starts_with(prefix));
    let mut names = BTreeSet::new();
    for path in left {
        let whole = path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..=at]).find(|prefix| !ships(prefix));
        names.insert(showable(whole.unwrap_or(path.as_str())));
    }
    let total = names.len();
    let paths: Vec<String> = names.into_iter().take(SHOWN).collect();
    if total == 0 { Vec::new() } else { vec![Note::NotShipped { paths, total }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_one_part_of_a_path() {
        for (pattern, yes, no) in [
            (".*", ".git", "git"),
            ("*~", "handler.lua~", "handler~.lua"),
            ("#*#", "#x#", "#x"),
            ("luacov.*.out", "luacov.stats.out", "luacov.out"),
            ("*_spec.lua", "a_spec.lua", "spec.lua"),
            ("readme*", "readme.md", "the_readme"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn shown_names_hold_nothing_that_moves_the_cursor() {
        assert_eq!(showable("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(showable(&"x".repeat(500)).chars().count(), 121);
    }
}
