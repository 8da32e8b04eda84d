//! The survey collector: looks at many nodes at once and makes one [`Survey`] of what they say.
//!
//! One connection and one script per node; the Admin API is asked beside the script where the inventory says where it is,
//! otherwise after it, at the address that the running settings name. Whatever goes wrong with a node is a fact about that
//! node, never an error of the look.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use crate::hint::Hint;
use crate::name::{BundlePath, NodeName};
use crate::perform::inspect::{self, Patience};
use crate::perform::{Reach, Site, fault_word};
use crate::remote::{Fault, NodeAddress, RemoteError};
use crate::survey::{NodeSurvey, Sharer, Survey, Trouble};

/// What is looked at on one node.
#[derive(Clone)]
pub struct LookRequest {
    /// The node.
    pub site: Site,
    /// The roots below its Lua root whose files matter.
    pub roots: Vec<BundlePath>,
}

/// How it is looked.
#[derive(Debug, Clone, Copy)]
pub struct LookSettings {
    /// How many nodes at once.
    pub at_once: usize,
    /// After how long one node is given up, connecting included.
    pub deadline: Duration,
    /// After how long one request to the Admin API is given up.
    pub request: Duration,
    /// After how many refused logins of one user, and none accepted, no further node is tried with that user: servers
    /// penalise the address that fails again and again (`PerSourcePenalties` of OpenSSH 9.8), and a key that is missing
    /// is missing everywhere.
    pub refusals: usize,
}

impl LookSettings {
    /// Settings for a machine with so many cores.
    pub fn for_cores(cores: usize) -> Self {
        Self {
            at_once: (8 * cores.max(1)).min(32),
            deadline: Duration::from_mins(1),
            request: Duration::from_secs(5),
            refusals: 3,
        }
    }
}

/// Told of every node as soon as it was looked at.
pub type Progress<'a> = &'a (dyn Fn(&NodeName, &NodeSurvey) + Send + Sync);

/// Looks at all these nodes. `at` is the time that the survey carries.
pub async fn look(
    requests: &[(NodeName, LookRequest)],
    reach: &dyn Reach,
    settings: &LookSettings,
    at: Timestamp,
    progress: Progress<'_>,
) -> Survey {
    let (logins, sharer) = (Logins::new(settings.refusals), Mutex::new(Sharer::default()));
    // Boxed one by one: as a closure over references the whole future would not be `Send` for every lifetime.
    let mut looks: Vec<BoxFuture<'_, (NodeName, NodeSurvey)>> = Vec::with_capacity(requests.len());
    for (name, request) in requests {
        let (logins, sharer) = (&logins, &sharer);
        looks.push(Box::pin(async move {
            let mut seen = look_at(request, reach, settings, logins).await;
            share(&mut seen, sharer);
            progress(name, &seen);
            (name.clone(), seen)
        }));
    }
    let nodes = stream::iter(looks).buffer_unordered(settings.at_once.max(1)).collect::<Vec<_>>().await;
    Survey { at, nodes: nodes.into_iter().collect(), ..Survey::default() }
}

/// As soon as it is seen, so that what is kept once never stands there often.
fn share(seen: &mut NodeSurvey, sharer: &Mutex<Sharer>) {
    if let NodeSurvey::Seen(facts) = seen
        && let Some(facts) = std::sync::Arc::get_mut(facts)
    {
        sharer.lock().unwrap_or_else(PoisonError::into_inner).share(facts);
    }
}

async fn look_at(request: &LookRequest, reach: &dyn Reach, settings: &LookSettings, logins: &Logins) -> NodeSurvey {
    let address = &request.site.address;
    if let Some(trouble) = logins.withheld(address) {
        return NodeSurvey::Refused(trouble);
    }
    if let Ok(seen) = tokio::time::timeout(settings.deadline, attempt(request, reach, settings, logins)).await {
        return seen;
    }
    // The connection may hang for ever; the next look opens another.
    reach.forget(&address.node).await;
    let found = format!("it did not answer in full within {} s", settings.deadline.as_secs());
    not_seen(RemoteError::new(Fault::TimedOut, format!("looking at {}", address.node), found))
}

async fn attempt(request: &LookRequest, reach: &dyn Reach, settings: &LookSettings, logins: &Logins) -> NodeSurvey {
    let address = &request.site.address;
    // Twice: a connection that was kept may have died unnoticed, and looking changes nothing.
    for last in [false, true] {
        let remote = match reach.reach(address).await {
            Ok(remote) => remote,
            Err(error) => {
                logins.failed(address, &error);
                return not_seen(error);
            }
        };
        logins.accepted(address);
        let patience = Patience { script: settings.deadline, request: settings.request };
        match inspect::inspect(&*remote, &request.site, &request.roots, patience).await {
            Ok(facts) => return NodeSurvey::Seen(std::sync::Arc::new(facts)),
            Err(inspect::Failure::Remote(error)) if error.fault == Fault::Lost && !last => {
                reach.forget(&address.node).await;
            }
            Err(inspect::Failure::Remote(error)) => return not_seen(error),
            Err(inspect::Failure::Answer(trouble)) => return NodeSurvey::Refused(trouble),
        }
    }
    not_seen(RemoteError::new(Fault::Lost, format!("looking at {}", address.node), "the connection was lost twice"))
}

/// Refused: it is there and would not let us look. Unreachable: nothing is known of it.
fn not_seen(error: RemoteError) -> NodeSurvey {
    let refused = matches!(
        error.fault,
        Fault::HostKeyUnknown
            | Fault::HostKeyChanged
            | Fault::LoginRefused
            | Fault::SudoRefused
            | Fault::SessionRefused
            | Fault::Garbled
    );
    let trouble = Trouble { code: fault_word(error.fault), text: error.to_string(), hints: error.hints };
    if refused { NodeSurvey::Refused(trouble) } else { NodeSurvey::Unreachable(trouble) }
}

/// Logins that were refused, by user.
struct Logins {
    limit: usize,
    counts: Mutex<HashMap<Option<String>, Count>>,
}

#[derive(Default)]
struct Count {
    refused: usize,
    accepted: bool,
}

impl Logins {
    fn new(limit: usize) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    fn with<T>(&self, address: &NodeAddress, act: impl FnOnce(&mut Count) -> T) -> T {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        act(counts.entry(address.user.clone()).or_default())
    }

    fn failed(&self, address: &NodeAddress, error: &RemoteError) {
        if error.fault == Fault::LoginRefused {
            self.with(address, |count| count.refused += 1);
        }
    }

    fn accepted(&self, address: &NodeAddress) {
        self.with(address, |count| count.accepted = true);
    }

    fn withheld(&self, address: &NodeAddress) -> Option<Trouble> {
        let refused = self.with(address, |count| (!count.accepted).then_some(count.refused))?;
        if refused < self.limit {
            return None;
        }
        let user = address.user.as_deref().map_or_else(|| "the same user".to_owned(), |user| format!("`{user}`"));
        Some(Trouble {
            code: "login-withheld".to_owned(),
            text: format!("not tried: {refused} logins as {user} were refused on other nodes, and none was accepted"),
            hints: vec![Hint::type_("ssh-add -l"), Hint::do_("look at the nodes whose login was refused first")],
        })
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
