//! A throw-away fleet to try everything on: six stand-in gateways on this machine, a Git repository with an inventory
//! of yesterday (which the fleet is brought to) and one of today.
//!
//! Owns: what the demo consists of, and that nothing of it is left however it ends: processes die by the leash, the
//! directory by the janitor. Must not know: how it is shown.

mod content;
mod fleet;
mod janitor;
mod repository;
mod rows;
mod sshd;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleet::DemoFleet;
use janitor::Janitor;

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file, a process, a socket.
    #[error("a file, socket or process of the demo")]
    Io(#[from] std::io::Error),
    /// The repository.
    #[error("the demo's repository")]
    Git(#[from] git2::Error),
    /// The inventory of the demo is not as it should be: a mistake of ours.
    #[error("the demo's inventory")]
    Desired(#[from] crate::fleet::DesiredError),
    /// A node of the demo cannot be addressed: a mistake of ours.
    #[error("a node of the demo")]
    Site(#[from] crate::fleet::SiteError),
    /// The run that brings the fleet to yesterday's state could not begin.
    #[error("bringing the demo fleet to its first state")]
    Apply(#[from] crate::fleet::ApplyError),
    /// It ended otherwise than it should.
    #[error("bringing the demo fleet to its first state: {0}")]
    Verdict(String),
    /// The demo needs what this program was built without.
    #[error("this muster was built without the feature `lua`, and so without the stand-in gateway")]
    NoStandIn,
}

/// A node of the demo.
pub(crate) struct DemoNode {
    /// Its name.
    pub(crate) name: String,
    /// Its cluster.
    pub(crate) cluster: &'static str,
    /// Its directory.
    pub(crate) dir: String,
    /// `ssh` or `local`.
    pub(crate) transport: &'static str,
}

/// The demo, set up. [`Demo::end`] takes everything away; so does the end of the process.
pub struct Demo {
    dir: PathBuf,
    fleet: Option<DemoFleet>,
    janitor: Option<Janitor>,
}

impl Demo {
    /// Sets it up below `temp`: starts the gateways (`program` is this very program, which they are), commits yesterday's
    /// inventory, brings the fleet to it, edits a file on one node by hand, stops another, commits today's inventory.
    /// Each part of it is told as it begins, as it takes seconds in all.
    pub async fn begin(
        program: &Path,
        temp: &Path,
        vars: &BTreeMap<String, String>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, DemoError> {
        let dir = tempfile::Builder::new().prefix("muster-demo-").tempdir_in(temp)?.keep();
        let janitor = Some(Janitor::watch(&dir)?);
        std::fs::create_dir(dir.join("run"))?;
        let mut demo = Self { dir, fleet: None, janitor };
        match DemoFleet::set_up(&demo.dir, program, vars, tell).await {
            Ok(fleet) => {
                demo.fleet = Some(fleet);
                Ok(demo)
            }
            Err(error) => {
                demo.end().await;
                Err(error)
            }
        }
    }

    /// The repository.
    pub fn repository(&self) -> PathBuf {
        self.dir.join("gateway-fleet")
    }

    /// Where the demo's journals go.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The ssh configuration that leads to the nodes, if they are reached by ssh.
    pub fn ssh_config(&self) -> Option<PathBuf> {
        self.fleet.as_ref().and_then(DemoFleet::ssh_config)
    }

    /// Where sockets of connections go, so that they go with the demo.
    pub fn runtime(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// What it is, in words: how many gateways of what kind, and how they are reached.
    pub fn about(&self) -> String {
        match self.fleet.as_ref().and_then(DemoFleet::without_ssh) {
            None => format!("{} stand-in gateways over real sshd", fleet::NODES.len()),
            Some(why) => format!("{} stand-in gateways without ssh, as {why}", fleet::NODES.len()),
        }
    }

    /// Ends the gateways and removes the directory.
    pub async fn end(mut self) {
        drop(self.fleet.take());
        let janitor = self.janitor.take();
        // Waiting for the shell that removes the directory blocks.
        drop(tokio::task::spawn_blocking(move || drop(janitor)).await);
    }
}
