//! The content of files of plugins, read from the answer of `scripts/collect.sh`, whose top has the table of records.

use std::collections::BTreeMap;

use super::decode::clean;
use super::{SurveyError, Withheld};
use crate::name::{BundlePath, NodePath};
use crate::wire::{ArgError, Args, Record};

/// The longest file that is asked for; where more was sent, the node is not believed.
const FILE: usize = 1 << 20;
/// How much is asked for at once.
pub const COLLECT_MOST: usize = 16 << 20;

/// Which files are wanted; see the top of `scripts/collect.sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectRequest {
    /// The configuration file of Kong: never sent, whatever leads to it.
    pub conf: NodePath,
    /// Kong's prefix directory.
    pub prefix: NodePath,
    /// The directory that plugin files are below.
    pub lua_root: NodePath,
    /// The files below the Lua root: only those that the survey told of.
    pub files: Vec<BundlePath>,
}

impl CollectRequest {
    /// The arguments of the script.
    pub fn args(&self) -> Result<Args, ArgError> {
        Args::new()
            .with("conf", self.conf.as_str())?
            .with("prefix", self.prefix.as_str())?
            .with("lua_root", self.lua_root.as_str())?
            .with_list("file", self.files.iter().map(BundlePath::as_str))
    }
}

/// What came of each file that was asked for.
pub type Collected = BTreeMap<BundlePath, Result<Vec<u8>, Withheld>>;

/// Takes the records and blobs of one collection as they come.
pub struct CollectDecoder {
    files: Vec<BundlePath>,
    found: Collected,
}

impl CollectDecoder {
    /// A decoder for the answer to this request.
    pub fn new(request: &CollectRequest) -> Self {
        Self { files: request.files.clone(), found: Collected::new() }
    }

    /// Takes a record.
    pub fn record(&mut self, record: &Record) -> Result<(), SurveyError> {
        if record.tag != "no-blob" {
            return Err(SurveyError::Unknown(record.tag.chars().take(40).collect()));
        }
        let bad = |field| SurveyError::Field { tag: "no-blob", field };
        let why = Withheld::of(record.exact(1)).ok_or_else(|| bad("reason"))?;
        self.put(record.exact(0).ok_or_else(|| bad("name"))?, Err(why))
    }

    /// Takes a blob.
    pub fn blob(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), SurveyError> {
        if bytes.len() > FILE {
            return Err(SurveyError::Torn(clean(name)));
        }
        self.put(name, Ok(bytes))
    }

    /// What came, once the trailer was seen.
    pub fn finish(self) -> Result<Collected, SurveyError> {
        match self.files.iter().find(|path| !self.found.contains_key(*path)) {
            Some(path) => Err(SurveyError::Missing(clean(path.as_str()))),
            None => Ok(self.found),
        }
    }

    fn put(&mut self, name: &str, content: Result<Vec<u8>, Withheld>) -> Result<(), SurveyError> {
        let number = name.strip_prefix("file.").and_then(|number| number.parse::<usize>().ok());
        let path = number.and_then(|number| self.files.get(number.checked_sub(1)?)).cloned();
        let path = path.ok_or_else(|| SurveyError::Unasked { what: "a block", found: clean(name) })?;
        match self.found.insert(path, content) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice("a file".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> CollectDecoder {
        let path = |path| NodePath::parse(path).unwrap();
        let files = ["kong/plugins/a/handler.lua", "kong/plugins/a/x.so"].map(|p| BundlePath::parse(p).unwrap()).into();
        let request = CollectRequest { conf: path("/c"), prefix: path("/p"), lua_root: path("/lua"), files };
        assert_eq!(request.args().unwrap().get("file_2"), Some("kong/plugins/a/x.so"));
        CollectDecoder::new(&request)
    }

    fn withheld(name: &str, why: &str) -> Record {
        Record { tag: "no-blob".to_owned(), fields: vec![name.into(), why.into()] }
    }

    #[test]
    fn bytes_come_as_they_are() {
        let mut decoder = decoder();
        decoder.blob("file.1", b"a\0\xffb".to_vec()).unwrap();
        decoder.record(&withheld("file.2", "long")).unwrap();
        let found: Vec<_> = decoder.finish().unwrap().into_values().collect();
        assert_eq!(found, [Ok(b"a\0\xffb".to_vec()), Err(Withheld::Long)]);
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        for name in ["file.0", "file.3", "file.x", "../x", ""] {
            assert!(decoder().blob(name, Vec::new()).is_err(), "{name}");
            assert!(decoder().record(&withheld(name, "long")).is_err(), "{name}");
        }
        assert!(decoder().record(&withheld("file.1", "tired")).is_err());
        assert!(decoder().blob("file.1", vec![0; FILE + 1]).is_err());
        assert!(decoder().finish().is_err(), "nothing came");
        let mut twice = decoder();
        twice.blob("file.1", Vec::new()).unwrap();
        assert!(twice.blob("file.1", Vec::new()).is_err());
        let other = Record { tag: "clock".to_owned(), fields: Vec::new() };
        assert!(decoder().record(&other).is_err());
    }
}
