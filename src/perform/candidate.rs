//! A closer look at a node that is going to be reloaded: one script, which changes nothing and takes no lock.

use std::sync::Arc;
use std::time::Duration;

use crate::hint::Hint;
use crate::kong::printable;
use crate::remote::{Call, Ended, Remote, RemoteError, Reply, Script};
use crate::survey::{CandidateDecoder, CandidateRequest, Closer, Trouble};
use crate::wire::Status;

use super::Site;
use super::cause::{fault_word, of_problem};

/// Looks. Whatever goes wrong is what is known then; `secrets` is what must not be shown of what the CLI says.
pub async fn candidate(
    remote: &dyn Remote,
    site: &Site,
    request: &CandidateRequest,
    secrets: &[String],
    deadline: Duration,
) -> Closer {
    let node = &site.address.node;
    let trouble = |code: &str, text: String, hints| Trouble { code: code.to_owned(), text, hints };
    // A little less than ours, so that the script's own end is seen.
    let seconds = deadline.as_secs().saturating_sub(2).max(1).to_string();
    let args = request.args().and_then(|args| args.with("seconds", seconds));
    let args = args.map_err(|error| trouble("not-sent", error.to_string(), Vec::new()))?;
    let call = Call { script: Script::Candidate, args, payload: None, deadline };
    let mut running = remote.start(call).await.map_err(of_remote)?;
    let (mut decoder, mut read, mut problem) = (CandidateDecoder::new(), Ok(()), None);
    while let Some(reply) = running.next().await {
        match reply {
            Reply::Record(record) if record.tag == "problem" => problem = Some(record),
            Reply::Record(record) => read = read.and_then(|()| decoder.record(&record)),
            Reply::Blob { .. } => {}
        }
    }
    match (running.finish().await, problem) {
        (Ended::Lost(error), _) => Err(of_remote(error)),
        (Ended::Done(_), Some(problem)) => {
            let found = of_problem("looking closer", node, &problem);
            Err(trouble(&found.code, found.text, found.hints))
        }
        (Ended::Done(Status::Unchanged), None) => {
            read.and_then(|()| decoder.finish(secrets)).map(Arc::new).map_err(|error| {
                let text = printable(&format!("looking closer at {node}: {error}"), 400);
                trouble("garbled", text, vec![Hint::do_("look at what the login shell of the node prints")])
            })
        }
        (Ended::Done(status), None) => {
            let text = format!("looking closer at {node} ended with {status:?}, without a reason");
            Err(trouble("candidate-failed", text, Vec::new()))
        }
    }
}

/// What a way to a node that failed means for a look.
pub fn of_remote(error: RemoteError) -> Trouble {
    Trouble { code: fault_word(error.fault), text: error.to_string(), hints: error.hints }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NodePath;
    use crate::perform::scripted::{self, Scripted};
    use crate::survey::From;

    async fn told(lines: &str, status: Status) -> Closer {
        let scripted = Scripted::default();
        scripted.plays(Script::Candidate, lines, status);
        let site = scripted::site("eu-1");
        let remote = crate::remote::Connect::connect(&scripted, &site.address).await.unwrap();
        let path = |path| NodePath::parse(path).unwrap();
        let request =
            CandidateRequest { prefix: path("/usr/local/kong"), cli: path("/usr/local/bin/kong"), from: From::Running };
        candidate(&*remote, &site, &request, &[], Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn what_the_script_tells_is_given() {
        let found = told("stopped", Status::Unchanged).await.unwrap();
        assert!(found.stopped && found.nginx.is_none());
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_trouble_that_names_the_node() {
        for (lines, status, code) in [
            ("limit x", Status::Unchanged, "garbled"),
            ("", Status::Unchanged, "garbled"),
            ("stopped", Status::Failed, "candidate-failed"),
            ("problem unreadable /x", Status::Refused, "unreadable"),
        ] {
            let trouble = told(lines, status).await.unwrap_err();
            assert_eq!(trouble.code, code, "{lines}: {}", trouble.text);
            assert!(trouble.text.contains("eu-1"), "{}", trouble.text);
        }
    }
}
