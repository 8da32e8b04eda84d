//! A closer look at one node: one script, which changes nothing and takes no lock.

use std::time::Duration;

use crate::hint::Hint;
use crate::kong::printable;
use crate::remote::{Call, Ended, Remote, Reply, Script};
use crate::run::Cause;
use crate::survey::{Detail, DetailDecoder, DetailRequest};
use crate::wire::{Record, Status};

use super::Site;
use super::cause::{advised, cause, of_problem, of_remote};

/// Looks. A script whose end is not seen, or whose answer is not one to this request, is a cause: nothing of it is shown.
pub async fn detail(
    remote: &dyn Remote,
    site: &Site,
    request: DetailRequest,
    deadline: Duration,
) -> Result<Detail, Cause> {
    let node = &site.address.node;
    // A little less than ours, so that the script's own end is seen.
    let seconds = deadline.as_secs().saturating_sub(2).max(1).to_string();
    let args = request.args().and_then(|args| args.with("seconds", seconds));
    let args = args.map_err(|error| cause("not-sent", error.to_string()))?;
    let call = Call { script: Script::Detail, args, payload: None, deadline };
    let mut running = remote.start(call).await.map_err(|error| of_remote(&error))?;
    let mut decoder = DetailDecoder::new(request);
    let mut read = Ok(());
    let mut problem: Option<Record> = None;
    while let Some(reply) = running.next().await {
        read = read.and_then(|()| match reply {
            Reply::Record(record) if record.tag == "problem" => {
                problem = Some(record);
                Ok(())
            }
            Reply::Record(record) => decoder.record(&record),
            Reply::Blob { name, bytes } => decoder.blob(&name, bytes),
        });
    }
    match (running.finish().await, problem) {
        (Ended::Lost(error), _) => Err(of_remote(&error)),
        (Ended::Done(_), Some(problem)) => Err(of_problem("looking closer", node, &problem)),
        (Ended::Done(Status::Unchanged), None) => read.and_then(|()| decoder.finish()).map_err(|error| {
            let text = printable(&format!("looking closer at {node}: {error}"), 400);
            advised("garbled", text, Hint::do_("look at what the login shell of the node prints"))
        }),
        (Ended::Done(status), None) => {
            Err(cause("detail-failed", format!("looking closer at {node} ended with {status:?}, without a reason")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NodePath;
    use crate::perform::scripted::{self, Scripted};

    fn request() -> DetailRequest {
        let path = |path| NodePath::parse(path).unwrap();
        DetailRequest {
            conf: path("/etc/kong/kong.conf"),
            prefix: path("/usr/local/kong"),
            lua_root: path("/lua"),
            home: path("/var/lib/muster"),
            files: Vec::new(),
            receipts: 3,
            log: None,
        }
    }

    async fn told(lines: &str, status: Status) -> Result<Detail, Cause> {
        let scripted = Scripted::default();
        scripted.plays(Script::Detail, lines, status);
        let site = scripted::site("eu-1");
        let remote = crate::remote::Connect::connect(&scripted, &site.address).await.unwrap();
        detail(&*remote, &site, request(), Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn what_the_script_tells_is_given() {
        let detail = told("clock 1700000000\nreceipts 4", Status::Unchanged).await.unwrap();
        assert_eq!((detail.clock, detail.receipts_all), (1_700_000_000, Some(4)));
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_a_cause_that_names_the_node() {
        for (lines, status, code) in [
            ("clock x", Status::Unchanged, "garbled"),
            ("", Status::Unchanged, "garbled"),
            ("clock 1", Status::Failed, "detail-failed"),
            ("problem missing-tool stat", Status::Failed, "missing-tool"),
        ] {
            let cause = told(lines, status).await.unwrap_err();
            assert_eq!(cause.code, code, "{lines}: {}", cause.text);
            assert!(cause.text.contains("eu-1"), "{}", cause.text);
        }
    }
}
