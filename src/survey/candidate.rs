//! A closer look at a node that is going to be reloaded, and reading it from the answer of `scripts/candidate.sh`, whose top has
//! the table of records: whether the node's own CLI makes the files of the running Kong again (protocols.md A, "Evidence before").

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{SurveyError, Trouble};
use crate::kong::printable;
use crate::name::{Digest, NodePath};
use crate::wire::{ArgError, Args, Record};

/// The most keys and files that a node is believed to name; the script names fewer.
const NAMES: usize = 200;

/// What is looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct CandidateRequest {
    /// Kong's prefix directory.
    pub prefix: NodePath,
    /// The `kong` command.
    pub cli: NodePath,
    /// What it is asked to prepare.
    pub from: From,
}

/// What the node's CLI is asked to prepare, in a directory of its own.
#[derive(Clone, PartialEq, Eq)]
pub enum From {
    /// What runs: the live `.kong_env`.
    Running,
    /// That, and then what a start from this file would be, with these variables of its service besides. They may be secret.
    Started {
        /// kong.conf.
        conf: NodePath,
        /// `KONG_X=value`.
        variables: Vec<String>,
    },
    /// Nothing: its settings hold references that only the environment of the service resolves.
    Nothing,
}

impl CandidateRequest {
    /// The arguments of the script.
    pub fn args(&self) -> Result<Args, ArgError> {
        let args = Args::new().with("prefix", self.prefix.as_str())?.with("cli", self.cli.as_str())?;
        match &self.from {
            From::Running => args.with("from", "env"),
            From::Nothing => args.with("from", "none"),
            From::Started { conf, variables } => {
                args.with("from", "conf")?.with("conf", conf.as_str())?.with_list("variable", variables)
            }
        }
    }
}

/// What was found of one node, or why nothing was.
pub type Closer = Result<Arc<CandidateFacts>, Trouble>;

/// What was found. Names only, no value of any setting.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct CandidateFacts {
    /// No master ran any more.
    pub stopped: bool,
    /// One digest of the nginx files of the prefix.
    pub nginx: Option<Digest>,
    /// The nginx files in which a search path can be staged; none where HTTP has none in a file that nginx reads.
    pub staged: Vec<String>,
    /// The CLI is there and may be run.
    pub cli: bool,
    /// What the CLI says of itself.
    pub version: Option<String>,
    /// The login can become the user that the master runs as.
    pub becomes: bool,
    /// The master's limit of open files, where the login cannot have it.
    pub limit: Option<u64>,
    /// How preparing ended: nothing where it was not asked for, else the exit status, and what was said if that is not 0.
    pub prepared: Option<(u8, String)>,
    /// Keys of `.kong_env` that would be another one, or would be there or not.
    pub keys: BTreeSet<String>,
    /// nginx files that would be another one.
    pub files: BTreeSet<String>,
    /// So many further keys.
    pub more: u64,
    /// How preparing a start from kong.conf ended, likewise.
    pub started: Option<(u8, String)>,
    /// Keys of `.kong_env` that such a start would have otherwise.
    pub otherwise: BTreeSet<String>,
}

/// Reads the answer.
#[derive(Default)]
pub struct CandidateDecoder {
    facts: CandidateFacts,
    told: bool,
}

impl CandidateDecoder {
    /// One for one answer.
    pub fn new() -> Self {
        Self { facts: CandidateFacts { becomes: true, ..CandidateFacts::default() }, told: false }
    }

    /// Takes a record. One that is not known is none: a newer script may say more.
    pub fn record(&mut self, record: &Record) -> Result<(), SurveyError> {
        let facts = &mut self.facts;
        let odd = || SurveyError::Unknown(printable(&record.tag, 40));
        let text = |index, limit| record.text(index).map(|text| printable(&text, limit)).ok_or_else(odd);
        match record.tag.as_str() {
            "stopped" => facts.stopped = true,
            "nginx" => facts.nginx = Some(Digest::parse(record.exact(0).ok_or_else(odd)?).map_err(|_| odd())?),
            "staged" => {
                facts.staged = (0..record.fields.len().min(8)).map(|at| text(at, 60)).collect::<Result<_, _>>()?;
            }
            "cli" => facts.cli = record.exact(0) == Some("there"),
            "version" => facts.version = Some(text(0, 60)?),
            "become" => facts.becomes = false,
            "limit" => facts.limit = Some(record.number(0).ok_or_else(odd)?),
            "prepared" => {
                let said = record.text(1).map(|text| printable(&text, 600)).unwrap_or_default();
                facts.prepared = Some((record.number(0).ok_or_else(odd)?, said));
            }
            "key" if facts.keys.len() < NAMES => drop(facts.keys.insert(text(0, 80)?)),
            "file" if facts.files.len() < NAMES => drop(facts.files.insert(text(0, 80)?)),
            "started" => {
                let said = record.text(1).map(|text| printable(&text, 600)).unwrap_or_default();
                facts.started = Some((record.number(0).ok_or_else(odd)?, said));
            }
            "otherwise" if facts.otherwise.len() < NAMES => drop(facts.otherwise.insert(text(0, 80)?)),
            "more" => facts.more = record.number(0).ok_or_else(odd)?,
            _ => {}
        }
        self.told |= matches!(record.tag.as_str(), "stopped" | "nginx");
        Ok(())
    }

    /// The facts, without these words: what the CLI says may hold what the node keeps secret.
    pub fn finish(mut self, secrets: &[String]) -> Result<CandidateFacts, SurveyError> {
        if !self.told {
            return Err(SurveyError::Unknown("nothing".to_owned()));
        }
        for (_, said) in [&mut self.facts.prepared, &mut self.facts.started].into_iter().flatten() {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                *said = said.replace(secret.as_str(), super::HIDDEN);
            }
        }
        Ok(self.facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[&str]]) -> Result<CandidateFacts, SurveyError> {
        let mut decoder = CandidateDecoder::new();
        for line in lines {
            let fields = line[1..].iter().map(|field| field.as_bytes().to_vec()).collect();
            decoder.record(&Record { tag: line[0].to_owned(), fields })?;
        }
        decoder.finish(&["s3cret".to_owned(), String::new()])
    }

    #[test]
    fn names_are_kept_and_what_is_secret_is_not() {
        let sha = "ab".repeat(32);
        let facts = read(&[
            &["nginx", &sha],
            &["staged", "nginx.conf", "nginx-kong.conf"],
            &["cli", "there"],
            &["version", "3.9.1\u{1b}[2J"],
            &["prepared", "1", "Error: pg_password is s3cret"],
            &["key", "log_level"],
            &["file", "nginx.conf"],
            &["more", "4"],
            &["of-a-newer-script", "x"],
        ])
        .unwrap();
        assert_eq!(facts.prepared, Some((1, "Error: pg_password is (not shown)".to_owned())));
        assert!(facts.cli && facts.becomes && !facts.stopped && facts.more == 4);
        assert!(!facts.version.unwrap().contains('\u{1b}'));
        assert_eq!(facts.staged, ["nginx.conf", "nginx-kong.conf"]);
        assert_eq!((facts.keys.len(), facts.files.len()), (1, 1));
    }

    #[test]
    fn an_answer_that_is_none_is_an_error_and_one_without_end_is_cut() {
        assert!(read(&[]).is_err());
        assert!(read(&[&["nginx", "no digest"]]).is_err());
        assert!(read(&[&["nginx"]]).is_err());
        assert!(read(&[&["stopped"], &["limit", "x"]]).is_err());
        let mut decoder = CandidateDecoder::new();
        decoder.record(&Record { tag: "stopped".to_owned(), fields: Vec::new() }).unwrap();
        for number in 0..10_000 {
            let fields = vec![format!("key_{number}").into_bytes()];
            decoder.record(&Record { tag: "key".to_owned(), fields }).unwrap();
        }
        assert_eq!(decoder.finish(&[]).unwrap().keys.len(), NAMES);
    }
}
