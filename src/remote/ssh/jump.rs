//! Jump hosts: one login each, opened first, shared by every node behind it.
//!
//! Without this each node would log in at the jump host anew: slow, and beyond a handful at once the server drops some
//! (crates.md 1, `MaxStartups`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::answers;
use super::config::Destination;
use super::master::{Launcher, Master};
use crate::remote::login::Login;
use crate::remote::{Fault, RemoteError};

/// How many jump hosts one behind the other are followed; more is a loop in the configuration.
const DEEPEST: usize = 8;

/// What is known of a jump host. A failure is shared for a while: forty nodes behind one are not forty failed logins.
enum Known {
    Nothing,
    Open(Master),
    Failed(RemoteError, Instant),
}

type Entry = Arc<Turn<Known>>;

/// The masters of jump hosts, each under the whole way to it.
pub(super) struct Jumps {
    launcher: Arc<Launcher>,
    known: Mutex<HashMap<Vec<Destination>, Entry>>,
}

impl Jumps {
    pub(super) fn new(launcher: Arc<Launcher>) -> Self {
        Self { launcher, known: Mutex::default() }
    }

    /// The socket of the last of these jump hosts, all of them open; `None` if there are none.
    pub(super) async fn way(&self, hops: &[Destination], login: &Login) -> Result<Option<PathBuf>, RemoteError> {
        let hops = self.route(hops, login).await?;
        let mut way = None;
        for count in 1..=hops.len() {
            way = Some(self.open(&hops[..count], way).await?);
        }
        Ok(way)
    }

    /// All hops from here on: the first of a list may be behind others by its own configuration, for later ones the
    /// list says it all (as ssh does it).
    async fn route(&self, hops: &[Destination], login: &Login) -> Result<Vec<Destination>, RemoteError> {
        let mut route = hops.to_vec();
        while let Some(first) = route.first() {
            let mut before = self.launcher.resolve(first, login).await?.jumps;
            if before.is_empty() {
                break;
            }
            before.append(&mut route);
            route = before;
            if route.len() > DEEPEST {
                let found = format!("more than {DEEPEST} jump hosts, one behind the other: is it a loop?");
                return Err(login.error(Fault::Client, "connecting to", found));
            }
        }
        Ok(route)
    }

    /// The socket of the last hop; `way` leads to it.
    async fn open(&self, hops: &[Destination], way: Option<PathBuf>) -> Result<PathBuf, RemoteError> {
        let Some(hop) = hops.last() else { return Ok(way.unwrap_or_default()) };
        let entry = self.entry(hops);
        let mut known = entry.lock().await;
        match &*known {
            Known::Open(master) if answers(master.socket()).await => return Ok(master.socket().to_owned()),
            Known::Failed(error, at) if at.elapsed() < self.launcher.connect_timeout() => return Err(error.clone()),
            _ => {}
        }
        let login = Login::jump(&hop.host, hop.user.as_deref(), hop.port).configured(self.launcher.config());
        let key_name = self.launcher.resolve(hop, &login).await?.key_name();
        let login = login.keyed(key_name);
        let result = self.launcher.connect(hop, &login, || std::future::ready(Ok(way.clone()))).await;
        *known = match &result {
            Ok(master) => Known::Open(master.clone()),
            Err(error) => Known::Failed(error.clone(), Instant::now()),
        };
        result.map(|master| master.socket().to_owned())
    }

    fn entry(&self, hops: &[Destination]) -> Entry {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(hops.to_vec()).or_insert_with(|| Arc::new(Turn::new(Known::Nothing))).clone()
    }
}
