//! What the survey of a node asks for.

use std::collections::BTreeSet;

use crate::name::{BundlePath, NodePath};
use crate::wire::{ArgError, Args};

/// What is looked at on one node; see the top of `scripts/survey.sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyRequest {
    /// The configuration file of Kong.
    pub conf: NodePath,
    /// Kong's prefix directory.
    pub prefix: NodePath,
    /// The directory that plugin files are installed under.
    pub lua_root: NodePath,
    /// muster's own directory.
    pub home: NodePath,
    /// The `kong` command, run only where no running Kong tells its version.
    pub cli: Option<String>,
    /// The roots below the Lua root whose files are listed and hashed.
    pub roots: BTreeSet<BundlePath>,
}

impl SurveyRequest {
    /// The arguments of the script.
    pub fn args(&self) -> Result<Args, ArgError> {
        let mut args = Args::new()
            .with("conf", self.conf.as_str())?
            .with("prefix", self.prefix.as_str())?
            .with("lua_root", self.lua_root.as_str())?
            .with("home", self.home.as_str())?;
        if let Some(cli) = &self.cli {
            args = args.with("cli", cli)?;
        }
        args.with_list("root", self.roots.iter().map(BundlePath::as_str))
    }
}
