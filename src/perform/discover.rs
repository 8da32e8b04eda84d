//! Finding the Kongs of a machine, and fetching the files of their plugins: one script each, which change nothing.

use std::time::Duration;

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::NodeName;
use crate::remote::{Call, Ended, Remote, Reply, Script};
use crate::run::Cause;
use crate::survey::{
    CollectDecoder, CollectRequest, Collected, DiscoverRequest, Discovery, DiscoveryDecoder, SurveyError,
};
use crate::wire::{Args, Record, Status};

use super::cause::{advised, cause, of_problem, of_remote};

/// Finds the Kongs of a machine. `node` is what it is called in what is said.
pub async fn discover(
    remote: &dyn Remote,
    node: &NodeName,
    request: &DiscoverRequest,
    deadline: Duration,
) -> Result<Discovery, Cause> {
    let args = request.args().map_err(|error| cause("not-sent", error.to_string()))?;
    let mut decoder = DiscoveryDecoder::default();
    let take = |reply| match reply {
        Reply::Record(record) => decoder.record(&record),
        Reply::Blob { name, bytes } => decoder.blob(&name, bytes),
    };
    look(remote, node, Script::Discover, args, deadline, take).await?;
    decoder.finish().map_err(|error| garbled(node, &error))
}

/// Fetches the content of files of plugins.
pub async fn collect(
    remote: &dyn Remote,
    node: &NodeName,
    request: &CollectRequest,
    deadline: Duration,
) -> Result<Collected, Cause> {
    let args = request.args().map_err(|error| cause("not-sent", error.to_string()))?;
    let mut decoder = CollectDecoder::new(request);
    let take = |reply| match reply {
        Reply::Record(record) => decoder.record(&record),
        Reply::Blob { name, bytes } => decoder.blob(&name, bytes),
    };
    look(remote, node, Script::Collect, args, deadline, take).await?;
    decoder.finish().map_err(|error| garbled(node, &error))
}

/// Runs a script that only looks, to its end. A script whose end is not seen is a cause: nothing of it is believed.
async fn look(
    remote: &dyn Remote,
    node: &NodeName,
    script: Script,
    args: Args,
    deadline: Duration,
    mut take: impl FnMut(Reply) -> Result<(), SurveyError>,
) -> Result<(), Cause> {
    // A little less than ours, so that the script's own end is seen.
    let seconds = deadline.as_secs().saturating_sub(2).max(1).to_string();
    let args = args.with("seconds", seconds).map_err(|error| cause("not-sent", error.to_string()))?;
    let call = Call { script, args, payload: None, deadline };
    let mut running = remote.start(call).await.map_err(|error| of_remote(&error))?;
    let mut read = Ok(());
    let mut problem: Option<Record> = None;
    while let Some(reply) = running.next().await {
        read = read.and_then(|()| match reply {
            Reply::Record(record) if record.tag == "problem" => {
                problem = Some(record);
                Ok(())
            }
            reply => take(reply),
        });
    }
    match (running.finish().await, problem) {
        (Ended::Lost(error), _) => Err(of_remote(&error)),
        (Ended::Done(_), Some(problem)) => Err(of_problem("looking", node, &problem)),
        (Ended::Done(Status::Unchanged), None) => read.map_err(|error| garbled(node, &error)),
        (Ended::Done(status), None) => {
            Err(cause("discover-failed", format!("looking at {node} ended with {status:?}, without a reason")))
        }
    }
}

fn garbled(node: &NodeName, error: &SurveyError) -> Cause {
    let text = printable(&format!("looking at {node}: {error}"), 400);
    advised("garbled", text, Hint::do_("look at what the login shell of the node prints"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::scripted::{self, Scripted};
    use crate::remote::Connect as _;

    async fn told(lines: &str, status: Status) -> Result<Discovery, Cause> {
        let scripted = Scripted::default();
        scripted.plays(Script::Discover, lines, status);
        let site = scripted::site("eu-1");
        let remote = scripted.connect(&site.address).await.unwrap();
        let node = NodeName::parse("eu-1").unwrap();
        discover(&*remote, &node, &DiscoverRequest::default(), Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn what_the_script_tells_is_given() {
        let found = told("host m b root 0 1\nkong 1 7 1 2 /usr/local/kong", Status::Unchanged).await.unwrap();
        assert_eq!((found.user.0.as_str(), found.kongs.len()), ("root", 1));
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_a_cause_that_names_the_node() {
        for (lines, status, code) in [
            ("host", Status::Unchanged, "garbled"),
            ("", Status::Unchanged, "garbled"),
            ("host m b root 0 1", Status::Failed, "discover-failed"),
            ("problem missing-tool stat", Status::Failed, "missing-tool"),
        ] {
            let Err(cause) = told(lines, status).await else { panic!("{lines}") };
            assert_eq!(cause.code, code, "{lines}: {}", cause.text);
            assert!(cause.text.contains("eu-1"), "{}", cause.text);
        }
    }
}
