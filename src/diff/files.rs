//! Files on disk against the files of a bundle.

use std::collections::BTreeMap;

use super::Mark;
use crate::bundle::Bundle;
use crate::name::BundlePath;
use crate::survey::{Kind, NodeFacts, RootFacts};

/// The longest name of a file that stands in a sentence, in bytes.
const NAME: usize = 60;

/// How one file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileDrift {
    /// Wanted, not there.
    Missing,
    /// Other content, or not a regular file.
    Differs,
    /// There, not in the bundle.
    Extra,
    /// It could not be read, or was more than the survey reads.
    Unknown,
}

/// What stands at one root of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootState {
    /// Nothing.
    #[default]
    Absent,
    /// A link of ours: through muster's home to the release.
    Ours,
    /// Something else.
    Foreign,
}

/// What differs on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesDiff {
    /// Files that differ, by their path under the Lua root; a path that is no [`BundlePath`] is shown cleaned.
    pub files: BTreeMap<String, FileDrift>,
    /// What stands at each root.
    pub roots: BTreeMap<BundlePath, RootState>,
    /// The newest change of anything there, seconds since 1970; `None` where nothing is.
    pub newest: Option<i64>,
}

impl FilesDiff {
    /// Compares a bundle with what stands at its roots.
    pub fn of(bundle: &Bundle, facts: &NodeFacts, home: &str) -> Self {
        let mut diff = Self::default();
        for root in &bundle.roots {
            match facts.roots.get(root) {
                Some(found) => diff.root(bundle, root, found, home),
                None => drop(diff.files.insert(root.to_string(), FileDrift::Unknown)),
            }
        }
        diff
    }

    fn root(&mut self, bundle: &Bundle, root: &BundlePath, found: &RootFacts, home: &str) {
        self.roots.insert(root.clone(), state(bundle, root, found, home));
        if found.kind == Kind::Denied || found.cut {
            self.files.insert(root.to_string(), FileDrift::Unknown);
        }
        if found.kind != Kind::Absent {
            self.newest = self.newest.max(Some(found.newest));
        }
        let mut known = 0;
        for (path, content) in &bundle.files {
            let Some(relative) = below(root, path) else { continue };
            known += usize::from(found.files.contains_key(relative));
            let drift = match found.files.get(relative) {
                None if found.cut => FileDrift::Unknown,
                None => FileDrift::Missing,
                Some(file) if file.kind == Kind::Denied => FileDrift::Unknown,
                Some(file) if file.kind == Kind::File && file.digest.is_none() => FileDrift::Unknown,
                Some(file) if file.digest.as_ref() == Some(content.sha256()) => continue,
                Some(_) => FileDrift::Differs,
            };
            self.files.insert(path.to_string(), drift);
        }
        if known == found.files.len() {
            return;
        }
        for relative in found.files.keys() {
            let path = if relative.is_empty() { root.to_string() } else { format!("{root}/{relative}") };
            let known = BundlePath::parse(&path).is_ok_and(|path| bundle.files.contains_key(&path));
            if !known {
                self.files.insert(path, FileDrift::Extra);
            }
        }
    }

    /// Nothing differs.
    pub fn same(&self) -> bool {
        self.files.is_empty()
    }

    /// Something could not be read.
    pub fn unread(&self) -> bool {
        self.files.values().any(|drift| *drift == FileDrift::Unknown)
    }

    /// Something stands at one of the roots.
    pub fn any(&self) -> bool {
        self.roots.values().any(|state| *state != RootState::Absent)
    }

    /// Roots where something stands that is not a link of ours.
    pub fn foreign(&self) -> impl Iterator<Item = &BundlePath> {
        self.roots.iter().filter(|(_, state)| **state == RootState::Foreign).map(|(root, _)| root)
    }

    /// The mark for a bundle whose files are wanted.
    pub fn wanted(&self) -> Mark {
        match () {
            () if self.unread() => Mark::Unknown,
            () if !self.any() => Mark::Missing,
            () if self.same() => Mark::AsWanted,
            () => Mark::Differs,
        }
    }

    /// The mark for a bundle that is not wanted.
    pub fn unwanted(&self) -> Mark {
        if self.any() { Mark::Extra } else { Mark::Absent }
    }

    /// The only file that differs, as people call it; none where there are more, or its name is too long for a line.
    fn only(&self) -> Option<(&str, FileDrift)> {
        let (path, drift) = self.files.first_key_value().filter(|_| self.files.len() == 1)?;
        let below = path.strip_prefix("kong/plugins/").filter(|rest| rest.contains('/'));
        let name = match below.and_then(|rest| rest.split_once('/')) {
            Some((_, name)) if self.roots.len() <= 1 => name,
            // Several plugins have a handler each.
            _ => below.unwrap_or(path),
        };
        (name.len() <= NAME).then_some((name, *drift))
    }

    /// Anything there that is not as it was delivered: it would be lost if it were overwritten.
    pub fn edited(&self) -> bool {
        self.files.values().any(|drift| matches!(drift, FileDrift::Differs | FileDrift::Extra))
    }

    /// `2 files differ, 1 is missing`; of a single file its name.
    pub fn words(&self) -> String {
        if let Some((name, drift)) = self.only() {
            return match drift {
                FileDrift::Differs => format!("{name} differs"),
                FileDrift::Missing => format!("{name} is missing"),
                FileDrift::Extra => format!("{name} is not in the bundle"),
                FileDrift::Unknown => format!("{name} could not be read"),
            };
        }
        let count = |wanted| self.files.values().filter(|drift| **drift == wanted).count();
        let counts = [
            (count(FileDrift::Differs), "differs", "differ"),
            (count(FileDrift::Missing), "is missing", "are missing"),
            (count(FileDrift::Extra), "is not in the bundle", "are not in the bundle"),
            (count(FileDrift::Unknown), "could not be read", "could not be read"),
        ];
        let mut words = Vec::new();
        for (number, one, many) in counts.into_iter().filter(|(number, ..)| *number > 0) {
            let noun = match (words.is_empty(), number) {
                (true, 1) => " file",
                (true, _) => " files",
                (false, _) => "",
            };
            words.push(format!("{number}{noun} {}", if number == 1 { one } else { many }));
        }
        words.join(", ")
    }
}

/// As the scripts see it: a link of ours is one into this bundle, by its current release or by a certain one.
fn state(bundle: &Bundle, root: &BundlePath, found: &RootFacts, home: &str) -> RootState {
    let name = bundle.name.as_str();
    let below = |rest: &str, dir: &str| -> Option<String> {
        let rest = rest.strip_prefix(dir)?.strip_prefix(name)?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    let into = |rest: &str| {
        let release = below(rest, "/releases/");
        let of_release = release.as_deref().and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
        below(rest, "/current/").as_deref() == Some(root.as_str()) || of_release == Some(root.as_str())
    };
    let ours = |target: &str| target.strip_prefix(home).is_some_and(into);
    match (found.kind, &found.target) {
        (Kind::Absent, _) => RootState::Absent,
        (Kind::Link, Some(target)) if ours(target) => RootState::Ours,
        _ => RootState::Foreign,
    }
}

/// The part of `path` below `root`, if it is the root or below it.
fn below<'a>(root: &BundlePath, path: &'a BundlePath) -> Option<&'a str> {
    let rest = path.as_str().strip_prefix(root.as_str())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_file_is_named_and_more_are_counted() {
        let words = |files: &[(&str, FileDrift)]| {
            let files = files.iter().map(|(path, drift)| ((*path).to_owned(), *drift)).collect();
            FilesDiff { files, ..FilesDiff::default() }.words()
        };
        let (differs, extra) = (FileDrift::Differs, FileDrift::Extra);
        assert_eq!(words(&[("kong/plugins/acme-auth/lib/x.lua", differs)]), "lib/x.lua differs");
        assert_eq!(words(&[("resty/x.lua", FileDrift::Missing)]), "resty/x.lua is missing");
        assert_eq!(
            words(&[("kong/plugins/acme-auth", FileDrift::Unknown)]),
            "kong/plugins/acme-auth could not be read"
        );
        assert_eq!(
            words(&[("kong/plugins/a/x", differs), ("kong/plugins/a/y", extra)]),
            "1 file differs, 1 is not in the bundle"
        );
        assert_eq!(words(&[(&"x".repeat(NAME + 1), differs)]), "1 file differs");
    }
}
