//! Asking a node's faces for what the proof wants to know.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::remote::Remote;
use crate::run::Cause;

use super::Doors;
use super::admin::Readiness;
use super::cause::cause;
use super::proof::{Answer, Question};

/// What is requested of the proxy. Any HTTP answer counts; a gateway without such a route says 404 by itself.
const PROBE: &str = "/.well-known/muster-proof";
/// How many of these are under way at once.
const PROBES: usize = 4;

/// What a node offers as evidence, found out right before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The Admin API answers.
    pub(crate) admin: bool,
    /// What the status API says.
    pub(crate) ready: Option<Readiness>,
    /// The proxy answers.
    pub(crate) proxy: bool,
}

/// What can be asked, and whether the node's database answers: without it a reload fails and readiness stays away even
/// when the database is back (protocols.md B5), so nothing is touched then.
pub(crate) async fn before(remote: &dyn Remote, doors: &Doors) -> Result<Evidence, Cause> {
    let database = async {
        match &doors.admin {
            Ok(face) => face.database_reachable(remote).await.map(Some),
            Err(_) => Ok(None),
        }
    };
    let ready = async { doors.status.as_ref()?.ready(remote).await };
    let (database, ready, proxied) = tokio::join!(database, ready, proxied(remote, doors, 1));
    match database {
        Err(trouble) => {
            let text = format!("nothing was touched, as the proof could not be had: {}", trouble.text);
            Err(Cause { hints: trouble.hints, ..cause("admin-unreachable", text) })
        }
        Ok(Some(Some(false))) => Err(super::cause::advised(
            "database-unreachable",
            "nothing was touched, as the node's database does not answer: a reload would fail now",
            crate::hint::Hint::do_("bring the database back, then apply again"),
        )),
        Ok(answered) => Ok(Evidence { admin: answered.is_some(), ready, proxy: proxied == 1 }),
    }
}

/// Asks one question.
pub(crate) async fn ask(remote: &dyn Remote, doors: &Doors, question: Question) -> Answer {
    match question {
        Question::Admin => Answer::Admin(Box::new(match &doors.admin {
            Ok(face) => face.node(remote).await,
            Err(trouble) => Err(trouble.clone()),
        })),
        Question::Ready => Answer::Ready(match &doors.status {
            Some(face) => face.ready(remote).await,
            None => None,
        }),
        Question::Proxy(count) => Answer::Proxy(proxied(remote, doors, count).await),
    }
}

/// How many of so many requests to the proxy got an HTTP answer.
async fn proxied(remote: &dyn Remote, doors: &Doors, count: u32) -> u32 {
    let Some(face) = &doors.proxy else { return 0 };
    let asks = (0..count).map(|_| face.ask(remote, PROBE));
    let answers = stream::iter(asks).buffer_unordered(PROBES).filter(|answer| std::future::ready(answer.is_ok()));
    u32::try_from(answers.count().await).unwrap_or(u32::MAX)
}
