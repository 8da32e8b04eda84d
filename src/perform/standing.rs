//! What was proven of a node, and whether it still stands: the soak after a wave.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::hint::Hint;
use crate::name::PluginName;
use crate::remote::Remote;
use crate::run::Cause;
use crate::survey::{AdminFacts, MasterFacts, NodeFacts, Process};

use super::Site;
use super::cause::{advised, cause, of_remote};
use super::inspect::{self, Patience};

/// How long one check may take.
const PATIENCE: Patience = Patience { script: Duration::from_secs(30), request: Duration::from_secs(5) };
/// How often all workers may be replaced during a soak. Once is what a reload by somebody else does; again and again is
/// what workers do that die.
const REPLACED: u32 = 2;

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// The master; `None` for a Kong that does not run, of which nothing can stop standing.
    pub(crate) master: Option<Process>,
    /// The workers.
    pub(crate) live: BTreeSet<Process>,
    /// Plugins that are loaded.
    pub(crate) loaded: BTreeMap<PluginName, Option<String>>,
    /// Plugins that are not.
    pub(crate) gone: BTreeSet<PluginName>,
    /// The node was ready.
    pub(crate) ready: bool,
    /// How often all its workers were replaced since.
    pub(crate) replaced: u32,
}

impl Standing {
    /// Looks at the node, without the files of any bundle.
    pub(crate) async fn check(&mut self, remote: &dyn Remote, site: &Site) -> Result<(), Cause> {
        if self.master.is_none() {
            return Ok(());
        }
        match inspect::inspect(remote, site, &[], PATIENCE).await {
            Ok(facts) => self.holds(&facts),
            Err(inspect::Failure::Remote(error)) => Err(of_remote(&error)),
            Err(inspect::Failure::Answer(trouble)) => {
                Err(Cause { hints: trouble.hints, ..cause(&trouble.code, trouble.text) })
            }
        }
    }

    fn holds(&mut self, facts: &NodeFacts) -> Result<(), Cause> {
        let log = || Hint::do_("look at the error log of Kong on the node");
        let Some(master) = &facts.master else {
            return Err(advised("master-gone", "Kong does not run any more", log()));
        };
        if Some(master.process) != self.master {
            let text = format!("Kong was restarted since the proof: its master is now {}", master.process.0);
            return Err(advised("master-changed", text, log()));
        }
        self.workers(master)?;
        if let Ok(admin) = &facts.admin {
            self.plugins(admin)?;
        }
        // A reload by somebody else takes readiness away for a moment (measured.md 2).
        match facts.ready {
            Some(200) | None => Ok(()),
            Some(_) if !self.ready || !master.idle => Ok(()),
            Some(status) => {
                let mut cause =
                    advised("not-ready", format!("the status API answers {status} to /status/ready"), log());
                cause.hints.push(Hint::look(crate::kong::Cause::NotReady.place()));
                Err(cause)
            }
        }
    }

    fn workers(&mut self, master: &MasterFacts) -> Result<(), Cause> {
        if master.workers == self.live || !master.idle {
            return Ok(());
        }
        let log = Hint::do_("look for `exited on signal` in the error log of Kong on the node");
        if master.workers.is_empty() {
            return Err(advised("workers-gone", "no worker of Kong serves", log));
        }
        let kept = self.live.intersection(&master.workers).count();
        if kept > 0 && master.workers.len() > kept {
            let died = self.live.len() - kept;
            let text = format!("{died} of {} workers died since the proof", self.live.len());
            return Err(advised("workers-restart", text, log));
        }
        self.replaced += u32::from(kept == 0);
        self.live.clone_from(&master.workers);
        if self.replaced > REPLACED {
            return Err(advised("workers-restart", "the workers keep being replaced", log));
        }
        Ok(())
    }

    fn plugins(&self, admin: &AdminFacts) -> Result<(), Cause> {
        let missing = self.loaded.keys().find(|name| !admin.loaded.contains_key(*name));
        if let Some(name) = missing {
            return Err(cause("not-loaded", format!("{name} is not loaded any more")));
        }
        match self.gone.iter().find(|name| admin.loaded.contains_key(*name)) {
            Some(name) => Err(cause("still-loaded", format!("{name} is loaded again"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
