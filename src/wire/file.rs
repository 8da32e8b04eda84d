//! The files that the scripts keep on a node: lines, the format in the first one. muster renders them and passes them
//! as arguments; the scripts write them as they are, so that there is one place that knows the format.

use std::collections::{BTreeMap, BTreeSet};

use super::{escape, unescape};
use crate::name::{BundleName, BundlePath, Digest, NodePath, Owner, PluginName, Revision, RunId};

/// Why a file of ours on a node cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The first line is not the one expected: another format, or not our file.
    #[error("its first line is not `{0}`")]
    Format(&'static str),
    /// A line is not understood.
    #[error("line {0} is not understood")]
    Line(usize),
    /// A line that must be there is missing.
    #[error("it has no line `{0}`")]
    Missing(&'static str),
}

/// A bundle on a node, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Whose inventory put it there.
    pub owner: Owner,
    /// Its content: the release directory that its link points to.
    pub digest: Digest,
    /// The roots below the Lua root that are links of ours.
    pub links: BTreeSet<BundlePath>,
    /// The plugins in it that we put into the directive.
    pub plugins: BTreeSet<PluginName>,
}

/// What muster owns on a node: `HOME/state/manifest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Grows by one with every change.
    pub generation: u64,
    /// The bundles, of every owner.
    pub bundles: BTreeMap<BundleName, Owned>,
    /// The configuration file that we last edited, and its digest after that edit.
    pub config: Option<(NodePath, Digest)>,
}

const MANIFEST: &str = "muster-manifest 1";
const LEASE: &str = "muster-lease 1";
const RECEIPT: &str = "muster-receipt 1";

struct Lines<'a> {
    lines: Vec<(usize, Vec<&'a str>)>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, format: &'static str) -> Result<Self, FileError> {
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line) != Some(format) {
            return Err(FileError::Format(format));
        }
        let lines = lines.filter(|(_, line)| !line.is_empty());
        Ok(Self { lines: lines.map(|(at, line)| (at + 1, line.split(' ').collect())).collect() })
    }
}

fn word<T>(words: &[&str], index: usize, line: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, FileError> {
    words.get(index).and_then(|word| parse(word)).ok_or(FileError::Line(line))
}

fn text(field: &str) -> Option<String> {
    String::from_utf8(unescape(field)?).ok().filter(|text| !text.chars().any(char::is_control))
}

impl Manifest {
    /// Reads the file as it stands on the node.
    pub fn parse(content: &str) -> Result<Self, FileError> {
        let mut manifest = Self::default();
        for (at, words) in Lines::of(content, MANIFEST)?.lines {
            manifest.line(at, &words)?;
        }
        Ok(manifest)
    }

    fn line(&mut self, at: usize, words: &[&str]) -> Result<(), FileError> {
        let bundle = |index| word(words, index, at, |w| BundleName::parse(w).ok());
        match words[0] {
            "generation" => self.generation = word(words, 1, at, |w| w.parse().ok())?,
            "owns" => {
                let owned = Owned {
                    owner: word(words, 1, at, |w| Owner::parse(w).ok())?,
                    digest: word(words, 3, at, |w| Digest::parse(w).ok())?,
                    links: BTreeSet::new(),
                    plugins: BTreeSet::new(),
                };
                self.bundles.insert(bundle(2)?, owned);
            }
            "link" => {
                let root = word(words, 2, at, |w| BundlePath::parse(&text(w)?).ok())?;
                self.bundles.get_mut(&bundle(1)?).ok_or(FileError::Line(at))?.links.insert(root);
            }
            "plugin" => {
                let plugin = word(words, 2, at, |w| PluginName::parse(w).ok())?;
                self.bundles.get_mut(&bundle(1)?).ok_or(FileError::Line(at))?.plugins.insert(plugin);
            }
            "config" => {
                let path = word(words, 1, at, |w| NodePath::parse(&text(w)?).ok())?;
                self.config = Some((path, word(words, 2, at, |w| Digest::parse(w).ok())?));
            }
            _ => return Err(FileError::Line(at)),
        }
        Ok(())
    }

    /// The lines of the file, without line ends.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![MANIFEST.to_owned(), format!("generation {}", self.generation)];
        for (name, owned) in &self.bundles {
            lines.push(format!("owns {} {name} {}", owned.owner, owned.digest));
            lines.extend(owned.links.iter().map(|root| format!("link {name} {}", escape(root.as_str().as_bytes()))));
            lines.extend(owned.plugins.iter().map(|plugin| format!("plugin {name} {plugin}")));
        }
        if let Some((path, digest)) = &self.config {
            lines.push(format!("config {} {digest}", escape(path.as_str().as_bytes())));
        }
        lines
    }
}

/// Who may change a node now: `HOME/state/lease` (protocols.md A, "Lease").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Grows with every takeover; a script with an older one changes nothing.
    pub generation: u64,
    /// The run that holds it.
    pub run: RunId,
    /// Who holds it, as `user@host`.
    pub holder: String,
    /// The boot id of the node when it was taken: after a reboot it is void.
    pub boot: String,
    /// When it ends, in seconds of the node's uptime.
    pub expires: u64,
}

impl Lease {
    /// Reads the file as it stands on the node.
    pub fn parse(content: &str) -> Result<Self, FileError> {
        let lines = Lines::of(content, LEASE)?.lines;
        let find = |key: &'static str| {
            let found = lines.iter().find(|(_, words)| words[0] == key);
            found.and_then(|(_, words)| words.get(1).copied()).ok_or(FileError::Missing(key))
        };
        Ok(Self {
            generation: find("generation")?.parse().map_err(|_| FileError::Missing("generation"))?,
            run: RunId::parse(find("run")?).map_err(|_| FileError::Missing("run"))?,
            holder: text(find("holder")?).ok_or(FileError::Missing("holder"))?,
            boot: text(find("boot")?).ok_or(FileError::Missing("boot"))?,
            expires: find("expires")?.parse().map_err(|_| FileError::Missing("expires"))?,
        })
    }
}

/// One thing that a script said it was about to do (`intent`) or has done (`did`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// True for `did`.
    pub done: bool,
    /// The thing, in the script's own words.
    pub what: Vec<String>,
}

/// What a changing script did: `HOME/state/receipts/RUN.N`. One without a result is still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The run.
    pub run: RunId,
    /// The step of its plan.
    pub step: u32,
    /// The commit that was planned from; none in a receipt from before commits were noted.
    pub commit: Option<Revision>,
    /// Intents and deeds, in order.
    pub intents: Vec<Intent>,
    /// The master at the time of the proof: pid and start time in clock ticks since boot.
    pub master: Option<(u32, u64)>,
    /// The workers that were proven: pid and start time.
    pub workers: BTreeSet<(u32, u64)>,
    /// The content that these workers loaded.
    pub content: BTreeMap<BundleName, Digest>,
    /// The boot id of the node then.
    pub boot: Option<String>,
    /// How it ended, in the script's words: `changed`, `undone proved|restored|unproved`, `interrupted` (a later run went on
    /// with its commit or its deletion), `conf-moved`, `conf-unwritten`, `unit-unread`; none means that it is open.
    pub result: Option<String>,
}

impl Receipt {
    /// Reads the file as it stands on the node; a torn last line of an open receipt is dropped.
    pub fn parse(content: &str) -> Result<Self, FileError> {
        let whole = content.rfind('\n').map_or("", |end| &content[..=end]);
        let mut lines = Lines::of(whole, RECEIPT)?.lines.into_iter();
        let mut first = |key| {
            let (at, words) = lines.next().ok_or(FileError::Missing(key))?;
            if words[0] == key { Ok((at, words)) } else { Err(FileError::Missing(key)) }
        };
        let (at, words) = first("run")?;
        let run = word(&words, 1, at, |w| RunId::parse(w).ok())?;
        let (at, words) = first("step")?;
        let step = word(&words, 1, at, |w| w.parse().ok())?;
        let mut receipt = Self {
            run,
            step,
            commit: None,
            intents: Vec::new(),
            master: None,
            workers: BTreeSet::new(),
            content: BTreeMap::new(),
            boot: None,
            result: None,
        };
        for (at, words) in lines {
            receipt.line(at, &words)?;
        }
        Ok(receipt)
    }

    fn line(&mut self, at: usize, words: &[&str]) -> Result<(), FileError> {
        let process = || {
            let pid = word(words, 1, at, |w| w.parse().ok())?;
            Ok((pid, word(words, 2, at, |w| w.parse().ok())?))
        };
        match words[0] {
            "intent" | "did" => {
                let what: Option<Vec<_>> = words[1..].iter().map(|w| text(w)).collect();
                self.intents.push(Intent { done: words[0] == "did", what: what.ok_or(FileError::Line(at))? });
            }
            "master" => self.master = Some(process()?),
            "worker" => {
                self.workers.insert(process()?);
            }
            "content" => {
                let bundle = word(words, 1, at, |w| BundleName::parse(w).ok())?;
                self.content.insert(bundle, word(words, 2, at, |w| Digest::parse(w).ok())?);
            }
            "commit" => self.commit = Some(word(words, 1, at, |w| Revision::parse(w).ok())?),
            "boot" => self.boot = Some(word(words, 1, at, text)?),
            "result" => {
                let words: Option<Vec<_>> = words[1..].iter().map(|w| text(w)).collect();
                let result = words.filter(|words| !words.is_empty()).ok_or(FileError::Line(at))?;
                self.result = Some(result.join(" "));
            }
            _ => return Err(FileError::Line(at)),
        }
        Ok(())
    }
}
