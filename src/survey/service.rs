//! Kong's unit, from the records that `scripts/unit.sh` sends.

use std::collections::BTreeMap;

use super::decode::{Outcome, clean};
use super::{ServiceFacts, SurveyError};
use crate::hint::Sealed;
use crate::kong::service::{Content, Unit, UnitFile};
use crate::name::NodePath;
use crate::wire::Record;

/// What came of it until now.
#[derive(Default)]
pub(super) struct ServiceRecords {
    unit: Option<String>,
    manager: Option<String>,
    files: BTreeMap<u32, (String, UnitFile)>,
    writable: bool,
    unanswered: bool,
}

fn bad(tag: &'static str, field: &'static str) -> SurveyError {
    SurveyError::Field { tag, field }
}

fn flag(record: &Record, index: usize) -> Option<bool> {
    match record.exact(index) {
        Some("0") => Some(false),
        Some("1") => Some(true),
        _ => None,
    }
}

impl ServiceRecords {
    /// `unit-file N KIND WRITABLE REAL PATH`.
    pub(super) fn file(&mut self, record: &Record) -> Outcome {
        let tag = "unit-file";
        let number = record.number(0).ok_or_else(|| bad(tag, "number"))?;
        // Until its content comes, what is there could not be read.
        let content = match record.exact(1) {
            Some("absent") => Content::Absent,
            Some("file" | "link" | "denied" | "other") => Content::Unreadable,
            _ => return Err(bad(tag, "kind")),
        };
        let writable = flag(record, 2).ok_or_else(|| bad(tag, "right to write"))?;
        let real = record.exact(3).and_then(|path| NodePath::parse(path).ok());
        let path = record.exact(4).and_then(|path| NodePath::parse(path).ok()).ok_or_else(|| bad(tag, "path"))?;
        match self.files.insert(number, (path.to_string(), UnitFile { real, writable, content })) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice(format!("{tag} {number}"))),
        }
    }

    /// `unit-place WRITABLE`.
    pub(super) fn place(&mut self, record: &Record) -> Outcome {
        self.writable = flag(record, 0).ok_or_else(|| bad("unit-place", "right to write"))?;
        Ok(())
    }

    /// What `systemctl show` printed of the units, or of the manager.
    pub(super) fn shown(&mut self, name: &str, text: &str) -> Outcome {
        let slot = if name == "unit" { &mut self.unit } else { &mut self.manager };
        match slot.replace(text.to_owned()) {
            None => Ok(()),
            Some(_) => Err(SurveyError::Twice(name.to_owned())),
        }
    }

    /// The content of a file that was told of.
    pub(super) fn content(&mut self, number: &str, bytes: Vec<u8>) -> Outcome {
        let unasked = || SurveyError::Unasked { what: "a file of a unit", found: clean(number) };
        let (_, file) = number.parse().ok().and_then(|number: u32| self.files.get_mut(&number)).ok_or_else(unasked)?;
        match std::mem::replace(&mut file.content, Content::Read(bytes)) {
            Content::Read(_) => Err(SurveyError::Twice(format!("unit.{}", clean(number)))),
            Content::Absent | Content::Unreadable => Ok(()),
        }
    }

    /// systemd is there, and did not answer.
    pub(super) fn unanswered(&mut self) {
        self.unanswered = true;
    }

    /// The unit that runs this master, or that would start one.
    pub(super) fn finish(self, master: Option<u32>) -> ServiceFacts {
        let Some(shown) = self.unit else {
            let why = "systemd runs there and did not answer, so that the environment of Kong's unit is not known";
            return if self.unanswered { ServiceFacts::Beside(why.to_owned()) } else { ServiceFacts::None };
        };
        let loaded = Unit::loaded(&shown);
        let names = || loaded.iter().map(|(name, _)| clean(name)).collect::<Vec<_>>().join(" and ");
        let chosen = match (master, loaded.as_slice()) {
            (_, []) => return ServiceFacts::None,
            (Some(master), all) => all.iter().find(|(_, pid)| *pid == Some(master)),
            (None, [one]) => Some(one),
            (None, _) => None,
        };
        let Some((name, _)) = chosen else {
            let why = if master.is_some() { "does not run this master" } else { "are both there: which starts Kong?" };
            return ServiceFacts::Beside(format!("{} {why}", names()));
        };
        let files: BTreeMap<String, UnitFile> = self.files.into_values().collect();
        let unit = Unit::read(name, &shown, &self.manager.unwrap_or_default(), &files, self.writable);
        match unit {
            Some(unit) => ServiceFacts::Unit(Sealed::new(unit.into())),
            None => ServiceFacts::Beside(format!("what systemd says of {} is not understood", clean(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kong::service::Told;

    fn record(line: &str) -> Record {
        let mut fields = line.split(' ').map(str::to_owned);
        let tag = fields.next().unwrap();
        Record { tag, fields: fields.map(String::into_bytes).collect() }
    }

    fn records(shown: &str) -> ServiceRecords {
        let mut records = ServiceRecords::default();
        records.shown("unit", shown).unwrap();
        records
    }

    const SHOWN: &str = "Id=kong.service\nLoadState=loaded\nMainPID=7\nEnvironment=KONG_PLUGINS=a\n\n\
        Id=kong-enterprise-edition.service\nLoadState=not-found\nMainPID=0\n";

    #[test]
    fn the_unit_is_that_of_the_master_or_the_only_one() {
        let is_unit = |facts| matches!(facts, ServiceFacts::Unit(_));
        assert!(is_unit(records(SHOWN).finish(Some(7))) && is_unit(records(SHOWN).finish(None)));
        let ServiceFacts::Beside(why) = records(SHOWN).finish(Some(8)) else { panic!("it is not the unit's master") };
        assert_eq!(why, "kong.service does not run this master");
        let both = SHOWN.replace("not-found", "loaded");
        assert!(matches!(records(&both).finish(None), ServiceFacts::Beside(_)));
        assert!(matches!(records("").finish(None), ServiceFacts::None));
        assert!(matches!(ServiceRecords::default().finish(None), ServiceFacts::None));
        let silent = ServiceRecords { unanswered: true, ..ServiceRecords::default() };
        assert!(matches!(silent.finish(None), ServiceFacts::Beside(_)));
    }

    #[test]
    fn files_find_their_contents_and_what_did_not_come_is_unread() {
        let shown = SHOWN.replace(
            "MainPID=7",
            "MainPID=7\nEnvironmentFiles=/a (ignore_errors=yes)\nEnvironmentFiles=/b (ignore_errors=no)",
        );
        let mut records = records(&shown);
        records.file(&record("unit-file 1 file 1 /real/a /a")).unwrap();
        records.file(&record("unit-file 2 absent 0 /b /b")).unwrap();
        records.content("1", b"KONG_PLUGINS=from-a".to_vec()).unwrap();
        let ServiceFacts::Unit(unit) = records.finish(None) else { panic!("there is a unit") };
        assert!(matches!(unit.open().told("KONG_PLUGINS"), Told::Set(set) if set.value == "from-a"));
    }

    #[test]
    fn what_a_node_says_is_checked_at_the_door() {
        let mut records = records(SHOWN);
        for odd in [
            "unit-file x file 1 /a /a",
            "unit-file 1 tree 1 /a /a",
            "unit-file 1 file 2 /a /a",
            "unit-file 1 file 1 /a a",
        ] {
            assert!(records.file(&record(odd)).is_err(), "{odd}");
        }
        records.file(&record("unit-file 1 file 1 /a /a")).unwrap();
        assert!(records.file(&record("unit-file 1 file 1 /a /a")).is_err());
        assert!(records.content("2", Vec::new()).is_err() && records.content("x", Vec::new()).is_err());
        records.content("1", Vec::new()).unwrap();
        assert!(records.content("1", Vec::new()).is_err());
        assert!(records.shown("unit", SHOWN).is_err());
        assert!(records.place(&record("unit-place 2")).is_err());
    }
}
