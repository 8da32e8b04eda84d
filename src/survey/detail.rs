//! A closer look at one node, and reading it from the answer of `scripts/detail.sh`, whose top has the table of records.
//!
//! What a node says is untrusted, as in a survey: bounded, asked for, and of a log no control characters are kept. The bytes
//! of files are kept as they are, to be compared.

use std::collections::BTreeMap;

use super::SurveyError;
use crate::name::{BundlePath, NodePath};
use crate::wire::{ArgError, Args, Receipt, Record};

/// The longest line of a log that is kept, in characters.
const LINE: usize = 4_000;
/// How many lines of a log are kept: the last ones.
const LINES: usize = 500;
/// The longest end of a log that is asked for, in bytes; where more was sent, the node is not believed.
const TAIL: usize = 64 << 10;
/// The longest file that is asked for, likewise.
const FILE: usize = 256 << 10;

/// What is looked at on one node; see the top of `scripts/detail.sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailRequest {
    /// The configuration file of Kong: never shown, whatever leads to it.
    pub conf: NodePath,
    /// Kong's prefix directory.
    pub prefix: NodePath,
    /// The directory that plugin files are installed under.
    pub lua_root: NodePath,
    /// muster's own directory.
    pub home: NodePath,
    /// The files below the Lua root whose content is wanted: only those that the survey told of.
    pub files: Vec<BundlePath>,
    /// How many of the newest receipts.
    pub receipts: usize,
    /// The error log, as the survey found it.
    pub log: Option<NodePath>,
}

impl DetailRequest {
    /// The arguments of the script.
    pub fn args(&self) -> Result<Args, ArgError> {
        let mut args = Args::new()
            .with("conf", self.conf.as_str())?
            .with("prefix", self.prefix.as_str())?
            .with("lua_root", self.lua_root.as_str())?
            .with("home", self.home.as_str())?
            .with("receipts", self.receipts.to_string())?;
        if let Some(log) = &self.log {
            args = args.with("log", log.as_str())?;
        }
        args.with_list("file", self.files.iter().map(BundlePath::as_str))
    }
}

/// Why something of a node was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// Nothing is there any more.
    Absent,
    /// It is no regular file.
    Other,
    /// A link leads out of the Lua root and muster's releases, or to a file that may hold secrets.
    Outside,
    /// The login may not read it.
    Unreadable,
    /// It is longer than is sent.
    Long,
    /// It changed while it was read, or holds NUL bytes: it is not text.
    Torn,
    /// What was asked for before it was as much as is sent at once.
    Full,
}

impl Withheld {
    /// Why, as the end of a sentence that begins with what was asked for.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Absent => "is not there any more",
            Self::Other => "is no regular file",
            Self::Outside => "leads out of the Lua root, to where nothing is shown from",
            Self::Unreadable => "may not be read by the login",
            Self::Long => "is longer than the 256 KiB that are shown",
            Self::Torn => "is not text, or changed while it was read",
            Self::Full => "was not sent: more than 2 MiB were asked for",
        }
    }

    /// The sentence about what was asked for.
    pub fn sentence(self, what: &str) -> String {
        format!("{what} {}", self.words())
    }

    pub(super) fn of(word: Option<&str>) -> Option<Self> {
        Some(match word? {
            "absent" => Self::Absent,
            "other" => Self::Other,
            "outside" => Self::Outside,
            "unreadable" => Self::Unreadable,
            "long" => Self::Long,
            "torn" => Self::Torn,
            "full" => Self::Full,
            _ => return None,
        })
    }
}

/// The end of an error log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LogTail {
    /// The file that was read, links followed.
    pub path: String,
    /// Its whole length in bytes.
    pub length: u64,
    /// Its last lines, the last one last: free of control characters, very long ones cut.
    pub lines: Vec<String>,
    /// There is more before them.
    pub cut: bool,
}

/// What a closer look at a node brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The node's clock then, seconds since 1970.
    pub clock: i64,
    /// The content of each file that was asked for.
    pub files: BTreeMap<BundlePath, Result<Vec<u8>, Withheld>>,
    /// The newest receipts that could be read, oldest first.
    pub receipts: Vec<Receipt>,
    /// How many there are on the node, where they could be counted.
    pub receipts_all: Option<usize>,
    /// The end of the error log, if it was asked for.
    pub log: Option<Result<LogTail, Withheld>>,
}

/// Takes the records and blobs of one closer look as they come.
pub struct DetailDecoder {
    request: DetailRequest,
    clock: Option<i64>,
    files: BTreeMap<BundlePath, Result<Vec<u8>, Withheld>>,
    receipts: BTreeMap<String, Option<Receipt>>,
    receipts_all: Option<usize>,
    opened: Option<(String, u64)>,
    log: Option<Result<LogTail, Withheld>>,
}

type Outcome = Result<(), SurveyError>;

fn bad(tag: &'static str, field: &'static str) -> SurveyError {
    SurveyError::Field { tag, field }
}

fn unasked(found: &str) -> SurveyError {
    SurveyError::Unasked { what: "a block", found: super::decode::clean(found) }
}

fn once<T>(slot: &mut Option<T>, value: T, tag: &str) -> Outcome {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SurveyError::Twice(tag.to_owned())),
    }
}

impl DetailDecoder {
    /// A decoder for the answer to this request.
    pub const fn new(request: DetailRequest) -> Self {
        Self {
            request,
            clock: None,
            files: BTreeMap::new(),
            receipts: BTreeMap::new(),
            receipts_all: None,
            opened: None,
            log: None,
        }
    }

    /// Takes a record.
    pub fn record(&mut self, record: &Record) -> Outcome {
        match record.tag.as_str() {
            "clock" => {
                let clock = record.number(0).ok_or_else(|| bad("clock", "time"))?;
                once(&mut self.clock, clock, "clock")
            }
            "receipts" => {
                let all = record.number(0).ok_or_else(|| bad("receipts", "number"))?;
                once(&mut self.receipts_all, all, "receipts")
            }
            "log" => {
                let path = record.text(0).ok_or_else(|| bad("log", "path"))?;
                let length = record.number(1).ok_or_else(|| bad("log", "length"))?;
                once(&mut self.opened, (path.chars().take(LINE).collect(), length), "log")
            }
            "no-blob" => self.withheld(record),
            other => Err(SurveyError::Unknown(other.chars().take(40).collect())),
        }
    }

    /// Takes a blob.
    pub fn blob(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        if name == "log" {
            return self.tail(&bytes);
        }
        if let Some(id) = name.strip_prefix("receipt.") {
            return self.receipt(id, &bytes);
        }
        if bytes.len() > FILE {
            return Err(SurveyError::Torn(super::decode::clean(name)));
        }
        let path = self.file(name)?;
        self.put(path, Ok(bytes))
    }

    /// What it brought, once the trailer was seen.
    pub fn finish(self) -> Result<Detail, SurveyError> {
        let missing = |what: &str| SurveyError::Missing(what.to_owned());
        if let Some(path) = self.request.files.iter().find(|path| !self.files.contains_key(*path)) {
            return Err(missing(&super::decode::clean(path.as_str())));
        }
        if self.request.log.is_some() && self.log.is_none() {
            return Err(missing("the error log"));
        }
        Ok(Detail {
            clock: self.clock.ok_or_else(|| missing("its clock"))?,
            files: self.files,
            receipts: self.receipts.into_values().flatten().collect(),
            receipts_all: self.receipts_all,
            log: self.log,
        })
    }

    /// The file that `file.N` is.
    fn file(&self, name: &str) -> Result<BundlePath, SurveyError> {
        let number: Option<usize> = name.strip_prefix("file.").and_then(|number| number.parse().ok());
        let path = number.and_then(|number| self.request.files.get(number.checked_sub(1)?));
        path.cloned().ok_or_else(|| unasked(name))
    }

    fn put(&mut self, path: BundlePath, found: Result<Vec<u8>, Withheld>) -> Outcome {
        match self.files.insert(path, found) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("a file".to_owned())),
        }
    }

    fn receipt(&mut self, id: &str, bytes: &[u8]) -> Outcome {
        if self.receipts.len() >= self.request.receipts {
            return Err(unasked("receipt"));
        }
        // One that cannot be read is counted, and says nothing.
        let receipt = Receipt::parse(&String::from_utf8_lossy(bytes)).ok();
        match self.receipts.insert(id.to_owned(), receipt) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("receipt".to_owned())),
        }
    }

    fn tail(&mut self, bytes: &[u8]) -> Outcome {
        let (path, length) = self.opened.clone().ok_or_else(|| bad("log", "record before it"))?;
        if self.request.log.is_none() || bytes.len() > TAIL {
            return Err(unasked("log"));
        }
        once(&mut self.log, Ok(tail(path, length, bytes)), "log")
    }

    fn withheld(&mut self, record: &Record) -> Outcome {
        let why = Withheld::of(record.exact(1)).ok_or_else(|| bad("no-blob", "reason"))?;
        match record.exact(0).ok_or_else(|| bad("no-blob", "name"))? {
            "log" if self.request.log.is_some() => once(&mut self.log, Err(why), "log"),
            "log" => Err(unasked("log")),
            name if name == "receipts" || name.starts_with("receipt.") => Ok(()),
            name => {
                let path = self.file(name)?;
                self.put(path, Err(why))
            }
        }
    }
}

/// The lines of the end of a log; the first one is only a part of a line where there is more before it.
fn tail(path: String, length: u64, bytes: &[u8]) -> LogTail {
    let text = String::from_utf8_lossy(bytes);
    let more = length > bytes.len() as u64;
    let whole = if more { text.split_once('\n').map_or(text.as_ref(), |(_, rest)| rest) } else { text.as_ref() };
    let all: Vec<&str> = whole.lines().collect();
    let lines = all[all.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| blotted(&crate::kong::printable(line, LINE)))
        .collect();
    LogTail { path, length, lines, cut: more || all.len() > LINES }
}

/// Kong writes the token by which its requests can be traced into its own log (3.6 on).
const TOKEN: &str = "token for request debugging: ";

/// A line without the token that Kong writes there.
fn blotted(line: &str) -> String {
    match line.split_once(TOKEN) {
        Some((before, _)) => format!("{before}{TOKEN}{HIDDEN}"),
        None => line.to_owned(),
    }
}

impl LogTail {
    /// The same without these words: what a node keeps secret may have been written into its log by somebody.
    #[must_use]
    pub fn without(mut self, secrets: &[String]) -> Self {
        for line in &mut self.lines {
            for secret in secrets.iter().filter(|secret| line.contains(secret.as_str())).collect::<Vec<_>>() {
                *line = line.replace(secret.as_str(), HIDDEN);
            }
        }
        self
    }
}

/// What stands where a secret stood.
pub const HIDDEN: &str = "(not shown)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::unescape;

    fn request() -> DetailRequest {
        let path = |path| NodePath::parse(path).unwrap();
        DetailRequest {
            conf: path("/etc/kong/kong.conf"),
            prefix: path("/usr/local/kong"),
            lua_root: path("/lua"),
            home: path("/var/lib/muster"),
            files: ["kong/plugins/a/handler.lua", "kong/plugins/a/schema.lua"]
                .map(|p| BundlePath::parse(p).unwrap())
                .into(),
            receipts: 1,
            log: Some(path("/usr/local/kong/logs/error.log")),
        }
    }

    fn record(line: &str) -> Record {
        let mut words = line.split(' ');
        let tag = words.next().unwrap().to_owned();
        Record { tag, fields: words.map(|word| unescape(word).unwrap()).collect() }
    }

    /// Feeds records, and blobs as `blob NAME CONTENT`.
    fn fed(lines: &[&str]) -> Result<Detail, SurveyError> {
        let mut decoder = DetailDecoder::new(request());
        for line in lines {
            match line.strip_prefix("blob ").and_then(|rest| rest.split_once(' ')) {
                Some((name, content)) => decoder.blob(name, content.as_bytes().to_vec())?,
                None => decoder.record(&record(line))?,
            }
        }
        decoder.finish()
    }

    const GOOD: [&str; 5] = [
        "clock 1700000000",
        "blob file.1 return 1\n",
        "no-blob file.2 outside",
        "log /var/log/kong.log 12",
        "blob log one\ntwo \u{1b}[2J\n",
    ];

    #[test]
    fn what_was_asked_for_is_read_back() {
        let detail = fed(&GOOD).unwrap();
        assert_eq!(
            detail.files.values().cloned().collect::<Vec<_>>(),
            [Ok(b"return 1\n".to_vec()), Err(Withheld::Outside)]
        );
        let log = detail.log.unwrap().unwrap();
        assert_eq!((log.path.as_str(), log.cut), ("/var/log/kong.log", false));
        assert_eq!(log.lines, ["one", "two \u{fffd}[2J"], "no control character is kept");
    }

    #[test]
    fn an_answer_that_is_not_one_to_the_request_is_an_error() {
        let with = |line: &'static str| [&GOOD[..], &[line]].concat();
        for (lines, words) in [
            (with("blob file.3 x"), "not asked for"),
            (with("blob file.0 x"), "not asked for"),
            (with("blob ../../etc x"), "not asked for"),
            (with("blob file.1 again"), "twice"),
            (with("no-blob file.1 absent"), "twice"),
            (with("no-blob file.1 because"), "no sensible reason"),
            (with("blob log again"), "twice"),
            (with("clock 5"), "twice"),
            (with("secret x"), "not known here"),
            (GOOD[1..].to_vec(), "its clock"),
            (GOOD[..3].to_vec(), "the error log"),
            ([&GOOD[..1], &GOOD[2..]].concat(), "handler.lua"),
            (["clock x"].to_vec(), "no sensible time"),
            (["blob log early"].to_vec(), "record before it"),
        ] {
            let error = fed(&lines).expect_err(words).to_string();
            assert!(error.contains(words), "{lines:?}: {error}");
        }
    }

    #[test]
    fn more_receipts_or_bytes_than_were_asked_for_are_not_taken() {
        let mut decoder = DetailDecoder::new(request());
        decoder.blob("receipt.A.1", b"junk".to_vec()).unwrap();
        assert!(decoder.blob("receipt.A.2", b"junk".to_vec()).is_err());
        assert!(decoder.blob("file.1", vec![b'x'; FILE + 1]).is_err());
        decoder.record(&record("log /l 99")).unwrap();
        assert!(decoder.blob("log", vec![b'x'; TAIL + 1]).is_err());
    }

    #[test]
    fn of_a_long_log_the_last_whole_lines_are_kept() {
        let text = (0..2_000).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        let log = tail("/l".into(), text.len() as u64 + 1, text.as_bytes());
        assert_eq!((log.lines.len(), log.lines.last().unwrap().as_str(), log.cut), (LINES, "line 1999", true));
        let cut = tail("/l".into(), 100, b"rn of a line\nwhole\n");
        assert_eq!(cut.lines, ["whole"]);
        let huge = tail("/l".into(), 0, &vec![b'x'; 60_000]);
        assert_eq!(huge.lines[0].chars().count(), LINE + 1, "a line is cut, and says so");
    }

    #[test]
    fn a_secret_that_somebody_logged_is_not_shown() {
        let log = tail("/l".into(), 0, b"auth failed for s3cret\nfine\n").without(&["s3cret".to_owned()]);
        assert_eq!(log.lines, ["auth failed for (not shown)", "fine"]);
    }

    #[test]
    fn the_token_that_kong_logs_itself_is_not_shown() {
        let line = "2026/11/20 16:21:29 [notice] 1#1: init(): [request-debug] token for request debugging: d810-bb53";
        let log = tail("/l".into(), 0, line.as_bytes());
        assert!(log.lines[0].ends_with("debugging: (not shown)") && !log.lines[0].contains("d810"), "{log:?}");
    }

    #[test]
    fn the_arguments_are_lines_of_their_own() {
        let args = request().args().unwrap();
        assert_eq!(args.get("file_n"), Some("2"));
        assert_eq!(args.get("file_2"), Some("kong/plugins/a/schema.lua"));
        assert_eq!(args.get("log"), Some("/usr/local/kong/logs/error.log"));
    }
}
