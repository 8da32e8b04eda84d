//! One script from its start to its end, for those that are not spoken to meanwhile.

use crate::hint::Hint;
use crate::name::NodeName;
use crate::remote::{Call, Ended, Remote, Reply};
use crate::run::Cause;
use crate::wire::{Record, Status};

use super::cause::{advised, cause, of_problem, of_remote};

/// The most records that are kept of one script.
const RECORDS: usize = 10_000;

/// What a script told, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) records: Vec<Record>,
}

impl Told {
    /// The last record with this tag.
    pub(crate) fn find(&self, tag: &str) -> Option<&Record> {
        self.records.iter().rfind(|record| record.tag == tag)
    }

    /// What of the node is not as the plan saw it, in words.
    pub(crate) fn moved(&self) -> String {
        let Some(record) = self.find("moved") else { return String::new() };
        let word = record.text(0).unwrap_or_default();
        let what = match word.as_str() {
            "conf" => "kong.conf was written since",
            "place" => "the file that the directive is kept in was written since",
            "source" => "a file of Kong's unit was written since",
            "env" => "its .kong_env was written since",
            "master" => "its master is another one",
            "manifest" => "muster's manifest was written since",
            "link" => "a link of ours points elsewhere",
            "release" => "a release is not there",
            "root" => "something else stands at a root of ours",
            "guard" => "an unfinished step was settled just now",
            other => other,
        };
        record.text(1).map_or_else(|| what.to_owned(), |detail| format!("{what} ({detail})"))
    }

    /// Why it did not end well, by its own records.
    pub(crate) fn cause(&self, doing: &str, node: &NodeName) -> Cause {
        match (self.find("problem"), self.status) {
            (_, Status::Locked) => super::lease::held(node, self),
            (Some(problem), _) => of_problem(doing, node, problem),
            (None, _) if self.find("no-guard").is_some() => advised(
                "no-guard",
                format!(
                    "{doing} on {node}: no process can be kept there that puts back if we die; nothing was touched"
                ),
                Hint::do_("install util-linux (setsid) or perl there"),
            ),
            (None, Status::Moved) => moved(node),
            (None, status) => {
                cause("script-failed", format!("{doing} on {node} ended with {status:?}, without a reason"))
            }
        }
    }
}

/// The node is not as the plan saw it.
pub(crate) fn moved(node: &NodeName) -> Cause {
    advised("moved", format!("{node} is not as the plan saw it; nothing was touched"), Hint::type_("muster --plan"))
}

/// Runs a script and keeps what it tells. A script whose end is not seen is an error: what it did is not known.
pub(crate) async fn to_the_end(remote: &dyn Remote, call: Call) -> Result<Told, Cause> {
    let mut running = remote.start(call).await.map_err(|error| of_remote(&error))?;
    let mut records = Vec::new();
    while let Some(reply) = running.next().await {
        if let Reply::Record(record) = reply
            && records.len() < RECORDS
        {
            records.push(record);
        }
    }
    match running.finish().await {
        Ended::Done(status) => Ok(Told { status, records }),
        Ended::Lost(error) => Err(of_remote(&error)),
    }
}
