//! HTTP over an ssh connection: through a forward, and where the server forbids that, by a command on the node.
//!
//! A refused forward has sent nothing, so that the same request may be made the other way, whatever its method is.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use openssh::{Child, Session};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::{
    Arc, Asking, Fault, HttpAddress, HttpAnswer, HttpFault, HttpRequest, Log, Mutex, PATIENCE, RemoteError, SCRIPTS,
    SshRemote, Target, UnixStream, exchange, io, is_refusal,
};
use crate::remote::{Script, by_command};

/// What is known of asking by a command over one connection.
#[derive(Default)]
pub(super) struct Commands {
    /// Where the server forbids to forward to.
    forbidden: std::sync::Mutex<BTreeSet<HttpAddress>>,
    /// What asks on the node.
    tool: std::sync::Mutex<Option<String>>,
    /// One at a time: each takes a session, of which a server may allow few.
    turn: Mutex<()>,
    /// Whether a command can be run beside a script; a reload is proven beside the script that made it.
    beside: OnceCell<bool>,
}

impl Commands {
    pub(super) fn is_forbidden(&self, to: &HttpAddress) -> bool {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).contains(to)
    }

    pub(super) fn forbid(&self, to: &HttpAddress) {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).insert(to.clone());
    }

    pub(super) fn tool(&self) -> Option<String> {
        self.tool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What came of a forward.
pub(super) enum Forwarded {
    /// An answer.
    Answered(HttpAnswer),
    /// The server forbids it; nothing was sent.
    Forbidden,
    /// The server could not open it, and why; nothing was sent.
    Closed(String),
}

impl SshRemote {
    pub(super) async fn by_forward(&self, request: HttpRequest, asking: &Asking<'_>) -> Result<Forwarded, RemoteError> {
        let path = self.forward(&request.to, asking).await?;
        let target = match &request.to {
            HttpAddress::Tcp(address) => Target::tcp(&address.ip().to_string(), address.port()),
            HttpAddress::Unix(path) => Target::unix(path.as_str()),
            HttpAddress::Web(web) => Target::tcp(web.host(), web.port()),
        };
        let log = Log::from_here(self.master.log());
        let gone = |error: io::Error| asking.error(Fault::Lost, format!("the connection is gone ({error})"));
        let stream = UnixStream::connect(path).await.map_err(gone)?;
        // A stream that was closed before an answer: the master's log says whether the server refused to open it.
        match exchange(stream, request).await {
            Ok(answer) => Ok(Forwarded::Answered(answer)),
            Err(HttpFault::Closed) => match log.refusal(&target) {
                Some(why) if why.contains("prohibited") => Ok(Forwarded::Forbidden),
                Some(why) => Ok(Forwarded::Closed(why)),
                None => Err(asking.failed(HttpFault::Closed)),
            },
            Err(fault) => Err(asking.failed(fault)),
        }
    }

    pub(super) async fn by_command(
        &self,
        request: HttpRequest,
        asking: &Asking<'_>,
    ) -> Result<HttpAnswer, RemoteError> {
        let _turn = self.commands.turn.lock().await;
        self.can_ask_beside(asking).await?;
        let call = by_command::call(&request, asking)?;
        let running = self.start_when_free(Script::Admin.text(), call).await?;
        let (tool, answer) = by_command::answer(running, &request, asking).await?;
        *self.commands.tool.lock().unwrap_or_else(PoisonError::into_inner) = Some(tool);
        Ok(answer)
    }

    /// Two sessions at once are tried before the first of them matters, as soon as no script runs: so a server that allows
    /// one is found out before anything is changed.
    async fn can_ask_beside(&self, asking: &Asking<'_>) -> Result<(), RemoteError> {
        if !self.commands.beside.initialized() && self.permits.available_permits() < SCRIPTS {
            return Ok(());
        }
        let beside = self.commands.beside.get_or_try_init(|| async {
            let _first = self.session_when_free().await?;
            match self.session_when_free().await {
                Ok(_second) => Ok(true),
                Err(error) if is_refusal(&error) => Ok(false),
                Err(error) => Err(error),
            }
        });
        match beside.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let found =
                    "the server forbids forwarding and allows one session at a time, and to prove a reload takes two";
                Err(asking.error(Fault::SessionRefused, found))
            }
            Err(error) => Err(self.sort("asking on", &error)),
        }
    }

    /// A session, as soon as there is one: that of a script that has just ended may be there still. Nothing was executed by
    /// one that was refused.
    pub(super) async fn session_when_free(&self) -> Result<Child<Arc<Session>>, openssh::Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.spawn().await {
                Err(error) if is_refusal(&error) && Instant::now() < until => {
                    sleep(super::Duration::from_millis(20)).await;
                }
                result => return result,
            }
        }
    }
}
