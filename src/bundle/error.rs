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
    #[error("bundle {bundle}: Kong would not load it:{}", list(faults))]
    Faulty {
        /// The bundle.
        bundle: BundleName,
        /// The reasons, by path and line.
        faults: Vec<Fault>,
    },
}

fn list(faults: &[Fault]) -> String {
    let hint = |fault: &Fault| fault.hint().map(|hint| format!("\n    {hint}")).unwrap_or_default();
    faults.iter().fold(String::new(), |list, fault| format!("{list}\n  {fault}{}", hint(fault)))
}

impl BundleError {
    /// The same, its paths told from where whoever reads it stands: `before` is a directory with its slash, or an archive
    /// with a colon and a blank.
    #[must_use]
    pub fn within(mut self, before: &str) -> Self {
        match &mut self {
            Self::Hostile { path, .. } => path.insert_str(0, before),
            Self::Faulty { faults, .. } => faults.iter_mut().for_each(|fault| fault.source.insert_str(0, before)),
            Self::WrongDigest { .. } | Self::NotAnArchive { .. } | Self::TooLarge { .. } | Self::Layout { .. } => {}
        }
        self
    }

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
            Self::Faulty { faults, .. } => {
                let mut all = Vec::new();
                for hint in faults.iter().filter_map(Fault::hint) {
                    if !all.contains(&hint) {
                        all.push(hint);
                    }
                }
                if all.is_empty() { vec![Hint::do_("correct it there, and commit")] } else { all }
            }
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
    /// The file as whoever wrote it knows it: its path in the directory or archive.
    pub source: String,
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
    /// The handler returns a function or nothing, which cannot have the fields that Kong demands of it (facts.md B4;
    /// measured.md 3).
    NotATable {
        /// The plugin.
        plugin: PluginName,
        /// `a function`, `nothing`.
        returns: String,
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
            Self::NotATable { .. } => "not-a-table".to_owned(),
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
            Self::NotATable { plugin, returns } => {
                write!(f, "the handler of plugin {plugin} returns {returns}, not a table")
            }
            Self::BadField { plugin, field, value } => {
                write!(f, "{field} of plugin {plugin} is {value:?}, which Kong refuses")
            }
            Self::MissingModule { module } => write!(f, "module '{module}' is required and not in the bundle"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl Fault {
    /// A fault whose file is where it will be installed, too.
    pub(super) fn new(path: &BundlePath, line: Option<u32>, kind: FaultKind) -> Self {
        Self { path: path.clone(), line, source: path.to_string(), kind }
    }

    /// What to do about it; nothing where its place says that.
    pub fn hint(&self) -> Option<Hint> {
        Some(match &self.kind {
            FaultKind::Syntax { .. } => return None,
            FaultKind::Bytecode => Hint::do_("ship the Lua source"),
            FaultKind::MissingFile { missing, .. } => {
                Hint::do_(format!("add {missing} beside it, or remove it if this is a library"))
            }
            FaultKind::NotATable { .. } => {
                Hint::do_("return a table with VERSION, PRIORITY and one function for each phase")
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
        })
    }
}
