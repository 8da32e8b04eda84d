//! Jump hosts: one login each, opened first, shared by every node behind it.
//!
//! Without this each node would log in at the jump host anew: slow, and beyond a handful at once the server drops some
//! (crates.md 1, `MaxStartups`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
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

/// The masters of jump hosts.
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
        self.through(hops, login, 0).await
    }

    /// Opens the hops in order. A future of its own as jump hosts may be behind jump hosts.
    fn through<'a>(
        &'a self,
        hops: &'a [Destination],
        login: &'a Login,
        depth: usize,
    ) -> BoxFuture<'a, Result<Option<PathBuf>, RemoteError>> {
        Box::pin(async move {
            if depth + hops.len() > DEEPEST {
                let found = format!("more than {DEEPEST} jump hosts, one behind the other: is it a loop?");
                return Err(login.error(Fault::Client, "connecting to", found));
            }
            let mut way = None;
            for count in 1..=hops.len() {
                way = Some(self.open(&hops[..count], way, login, depth).await?);
            }
            Ok(way)
        })
    }

    /// The socket of the last hop; `way` leads to it.
    async fn open(
        &self,
        hops: &[Destination],
        way: Option<PathBuf>,
        login: &Login,
        depth: usize,
    ) -> Result<PathBuf, RemoteError> {
        let entry = self.entry(hops);
        let mut known = entry.lock().await;
        match &*known {
            Known::Open(master) if answers(master.socket()).await => return Ok(master.socket().to_owned()),
            Known::Failed(error, at) if at.elapsed() < self.launcher.connect_timeout() => return Err(error.clone()),
            _ => {}
        }
        let (state, result) = match self.launch(hops, way, login, depth).await {
            Ok(master) => (Known::Open(master.clone()), Ok(master.socket().to_owned())),
            Err(error) => (Known::Failed(error.clone(), Instant::now()), Err(error)),
        };
        *known = state;
        result
    }

    async fn launch(
        &self,
        hops: &[Destination],
        way: Option<PathBuf>,
        login: &Login,
        depth: usize,
    ) -> Result<Master, RemoteError> {
        let Some(hop) = hops.last() else { return Err(login.error(Fault::Client, "connecting to", "no jump host")) };
        let login = Login::jump(&hop.host, hop.user.as_deref(), hop.port);
        // The first hop may have a jump host of its own in the configuration; for later ones the list says it all.
        let before = if way.is_none() { self.launcher.resolve(hop, &login).await?.jumps } else { Vec::new() };
        let (before, login) = (&before, &login);
        let way = &way;
        let route = move || async move {
            match way {
                Some(way) => Ok(Some(way.clone())),
                None => self.through(before, login, depth + 1).await,
            }
        };
        self.launcher.connect(hop, login, route).await
    }

    fn entry(&self, hops: &[Destination]) -> Entry {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(hops.to_vec()).or_insert_with(|| Arc::new(Turn::new(Known::Nothing))).clone()
    }
}
