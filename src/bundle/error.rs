//! Why a source is not a bundle, and what to do about it.

use crate::hint::Hint;
use crate::name::{BundleName, BundlePath, PluginName};

/// Why no bundle could be made. Nothing was sent anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The archive's bytes are not those that the inventory names.
    #[error("bundle {bundle}: the archive's sha256 is {found}, the inventory says {expected}")]
    WrongDigest {
        /// The bundle.
        bundle: BundleName,
        /// What the inventory says.
        expected: String,
        /// What the bytes have.
        found: String,
    },
    /// The file is not a `.tar.gz`, or not a whole one.
    #[error("bundle {bundle}: not a readable .tar.gz: {why}")]
    NotAnArchive {
        /// The bundle.
        bundle: BundleName,
        /// What was found instead.
        why: String,
    },
    /// More than an archive or a directory may hold: see [`super::MAX_UNPACKED`] and its neighbours.
    #[error("bundle {bundle}: too large: {why}")]
    TooLarge {
        /// The bundle.
        bundle: BundleName,
        /// Which limit, and what was found.
        why: String,
    },
    /// An entry whose name or kind could do harm on a node, or could mean two things.
    #[error("bundle {bundle}: entry {path:?} refused: {why}")]
    Hostile {
        /// The bundle.
        bundle: BundleName,
        /// The entry's name as text that is safe to show.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The files are there, but not in a layout that says where they go.
    #[error("bundle {bundle}: {why}")]
    Layout {
        /// The bundle.
        bundle: BundleName,
        /// What was expected, what was found.
        why: String,
        /// What to write or do instead.
        fix: String,
    },
    /// Kong could not load it; every reason at once.
    #[error("bundle {bundle}: {} of its files would not load:{}", faults.len(), list(faults))]
    Faulty {
        /// The bundle.
        bundle: BundleName,
        /// The reasons, by path and line.
        faults: Vec<Fault>,
    },
}

fn list(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |list, fault| list + "\n  " + &fault.to_string())
}

impl BundleError {
    /// What to do next.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::WrongDigest { .. } => vec![Hint::do_(
                "if the archive is the right one, write its sha256 into the inventory; if not, fetch it again",
            )],
            Self::NotAnArchive { .. } => vec![
                Hint::do_("pack the directory that holds kong/ with tar and gzip"),
                Hint::type_("tar -czf NAME.tar.gz kong/"),
            ],
            Self::TooLarge { .. } => {
                vec![Hint::do_("ship only what Lua loads; put large data where the node fetches it by itself")]
            }
            Self::Hostile { .. } => {
                vec![Hint::do_("rename or remove the entry where the content is made, and pack it again")]
            }
            Self::Layout { fix, .. } => vec![Hint::do_(fix.clone())],
            Self::Faulty { faults, .. } => faults.iter().map(Fault::hint).fold(Vec::new(), |mut all, hint| {
                if !all.contains(&hint) {
                    all.push(hint);
                }
                all
            }),
        }
    }
}

/// One reason why Kong could not load a bundle, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// The file, by its path under the Lua root.
    pub path: BundlePath,
    /// The line, where there is one.
    pub line: Option<u32>,
    /// What is wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// LuaJIT, as Kong has it, cannot compile it.
    Syntax {
        /// LuaJIT's own words.
        message: String,
    },
    /// Compiled Lua, which nobody can review.
    Bytecode,
    /// A plugin has a handler and no schema, or the reverse.
    MissingFile {
        /// The plugin.
        plugin: PluginName,
        /// The file that is not there, relative to the plugin's directory.
        missing: String,
    },
    /// The handler names no VERSION or PRIORITY, which Kong 3 demands.
    MissingField {
        /// The plugin.
        plugin: PluginName,
        /// `VERSION` or `PRIORITY`.
        field: String,
    },
    /// VERSION or PRIORITY is a literal that Kong refuses.
    BadField {
        /// The plugin.
        plugin: PluginName,
        /// `VERSION` or `PRIORITY`.
        field: String,
        /// The literal.
        value: String,
    },
    /// A module of this very bundle is required and is not in it.
    MissingModule {
        /// The module as it is written.
        module: String,
    },
}

impl FaultKind {
    /// The short name that stands in reports and in JSON.
    pub fn code(&self) -> String {
        match self {
            Self::Syntax { .. } => "syntax".to_owned(),
            Self::Bytecode => "bytecode".to_owned(),
            Self::MissingFile { missing, .. } => format!("missing-{}", missing.trim_end_matches(".lua")),
            Self::MissingField { field, .. } => format!("missing-{}", field.to_lowercase()),
            Self::BadField { field, .. } => format!("bad-{}", field.to_lowercase()),
            Self::MissingModule { .. } => "missing-module".to_owned(),
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax { message } => write!(f, "{message}"),
            Self::Bytecode => f.write_str("compiled Lua, not source"),
            Self::MissingFile { plugin, missing } => write!(f, "plugin {plugin} has no {missing}"),
            Self::MissingField { plugin, field } => write!(f, "the handler of plugin {plugin} has no {field}"),
            Self::BadField { plugin, field, value } => {
                write!(f, "{field} of plugin {plugin} is {value:?}, which Kong refuses")
            }
            Self::MissingModule { module } => write!(f, "module '{module}' is required and not in the bundle"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl Fault {
    /// What to do about it.
    pub fn hint(&self) -> Hint {
        match &self.kind {
            FaultKind::Syntax { .. } => {
                Hint::look(self.line.map_or(self.path.to_string(), |line| format!("{}:{line}", self.path)))
            }
            FaultKind::Bytecode => Hint::do_("ship the Lua source"),
            FaultKind::MissingFile { plugin, missing } => {
                Hint::do_(format!("add kong/plugins/{plugin}/{missing}, or remove the other file if this is a library"))
            }
            FaultKind::MissingField { field, .. } if field == "VERSION" => {
                Hint::do_("write VERSION = \"1.0.0\" into the handler's table")
            }
            FaultKind::MissingField { .. } => {
                Hint::do_("write PRIORITY = 1000 (a whole number) into the handler's table")
            }
            FaultKind::BadField { field, .. } if field == "VERSION" => {
                Hint::do_("write VERSION as a text of one to three numbers: \"1.0.0\"")
            }
            FaultKind::BadField { .. } => Hint::do_("write PRIORITY as a whole number"),
            FaultKind::MissingModule { .. } => {
                Hint::do_("add the file, or correct the name; case and `-` against `_` count")
            }
        }
    }
}
