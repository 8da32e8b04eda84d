//! Writing, reading back, and reading what was once written.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::run::{CancelLevel, Event, EventKind, Recorder, Verdict};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals").join(format!("FORMAT-{name}.jsonl"))
}

fn run_id(random: u128) -> RunId {
    RunId::from_parts(1_772_460_300_000, random)
}

fn cancel(seq: u64) -> Event {
    let at = "2026-03-02T14:05:00Z".parse().unwrap();
    Event { seq, at, kind: EventKind::CancelRequested { level: CancelLevel::AfterWave, by: None } }
}

/// A journal whose lines behind the head are these.
fn with_lines(dir: &Path, lines: &str) -> PathBuf {
    let head = format!(r#"{{"muster":"journal","format":1,"run":"{}","plan":{{}}}}"#, run_id(1));
    let path = dir.join("journal.jsonl");
    fs::write(&path, format!("{head}\n{lines}")).unwrap();
    path
}

#[test]
fn what_is_written_is_read_back_and_is_private() {
    let plan = read(&recorded("1-converged")).unwrap().plan().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("muster/runs");
    let mut writer = Writer::create(&runs, &run_id(1), &plan).unwrap();
    writer.record(&cancel(1)).unwrap();
    writer.record(&cancel(2)).unwrap();
    writer.sync().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(writer.path()), mode(&runs), mode(&runs.join(run_id(1).as_str()))), (0o600, 0o700, 0o700));

    let journal = read(writer.path()).unwrap();
    assert_eq!((journal.format, &journal.run, journal.torn), (1, &run_id(1), false));
    assert_eq!(journal.plan().unwrap(), plan);
    assert_eq!(journal.events().cloned().collect::<Vec<_>>(), [cancel(1), cancel(2)]);
    assert_eq!(journal.state().verdict(), Verdict::Interrupted);
}

#[test]
fn a_run_is_never_recorded_twice() {
    let plan = read(&recorded("1-converged")).unwrap().plan().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let _first = Writer::create(dir.path(), &run_id(1), &plan).unwrap();
    let error = Writer::create(dir.path(), &run_id(1), &plan).unwrap_err();
    assert!(error.to_string().starts_with("creating "), "{error}");
}

#[test]
fn a_run_has_ended_when_its_writer_is_gone_and_one_that_is_not_here_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let plan = read(&recorded("1-converged")).unwrap().plan().unwrap();
    let writer = Writer::create(dir.path(), &run_id(1), &plan).unwrap();
    assert!(!has_ended(dir.path(), &run_id(1)));
    drop(writer);
    assert!(has_ended(dir.path(), &run_id(1)));
    assert!(!has_ended(dir.path(), &run_id(2)));
}

#[test]
fn after_a_failed_write_nothing_comes_behind_the_torn_line() {
    let plan = read(&recorded("1-converged")).unwrap().plan().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), &run_id(1), &plan).unwrap();
    writer.fail_next();
    assert!(writer.record(&cancel(1)).is_err());
    assert!(writer.record(&cancel(2)).is_err());
}

#[test]
fn every_recorded_journal_is_read_for_ever() {
    let mut verdicts = Vec::new();
    for name in [
        "converged",
        "rolled-back",
        "locked",
        "refused",
        "interrupted",
        "newer-kind",
        "cut-short",
        "removal",
        "removal-held",
    ] {
        let journal = read(&recorded(&format!("1-{name}"))).unwrap();
        assert!(journal.plan().is_ok(), "{name}: its plan");
        let state = journal.state();
        assert_eq!(Verdict::of(&state), state.verdict(), "{name}: recorded and computed");
        verdicts.push((name, journal.torn, state.verdict.is_some(), state.verdict()));
    }
    assert_eq!(
        verdicts,
        [
            ("converged", false, true, Verdict::Converged),
            ("rolled-back", false, true, Verdict::NotReached),
            ("locked", false, true, Verdict::Locked),
            ("refused", false, true, Verdict::Refused),
            ("interrupted", false, true, Verdict::Interrupted),
            ("newer-kind", false, true, Verdict::Converged),
            ("cut-short", true, false, Verdict::NotReached),
            ("removal", false, true, Verdict::NotReached),
            ("removal-held", false, true, Verdict::NotReached),
        ]
    );
}

#[test]
fn the_recorded_journals_hold_every_kind() {
    let mut words = BTreeSet::new();
    for name in ["converged", "rolled-back", "locked", "refused", "interrupted", "removal", "steered"] {
        let journal = read(&recorded(&format!("1-{name}"))).unwrap();
        words.extend(journal.events().map(|event| event.kind.word()));
    }
    assert_eq!(words, BTreeSet::from(EventKind::WORDS));
}

#[test]
fn an_unknown_kind_is_kept() {
    let journal = read(&recorded("1-newer-kind")).unwrap();
    let unknown: Vec<_> = journal.lines.iter().filter(|line| matches!(line, Line::Unknown(_))).collect();
    let [Line::Unknown(unknown)] = unknown[..] else { panic!("{unknown:?}") };
    assert_eq!(unknown.word, "weather-changed");
    assert!(unknown.json.contains(r#""sky""#));
}

#[test]
fn a_torn_last_line_is_dropped_even_if_it_is_whole_json() {
    let dir = tempfile::tempdir().unwrap();
    let line = serde_json::to_string(&cancel(1)).unwrap();
    for (lines, events, torn) in [
        (format!("{line}\n{line}"), 1, true),
        (format!("{line}\n{}", &line[..20]), 1, true),
        (format!("{line}\n"), 1, false),
        (String::new(), 0, false),
    ] {
        let journal = read(&with_lines(dir.path(), &lines)).unwrap();
        assert_eq!((journal.lines.len(), journal.torn), (events, torn), "{lines}");
    }
}

#[test]
fn a_damaged_line_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let good = serde_json::to_string(&cancel(1)).unwrap();
    for (bad, found) in [
        ("{", "it is not JSON"),
        ("{}", "it has no field `event`"),
        (r#"{"seq":2,"at":"2026-03-02T14:05:00Z","event":"cancel-requested","level":"softly"}"#, "cancel-requested"),
        (r#"{"at":"2026-03-02T14:05:00Z","event":"weather-changed"}"#, "it has no number in `seq`"),
        (r#"{"seq":2,"at":"noon","event":"weather-changed"}"#, "it has no time in `at`"),
    ] {
        let error = read(&with_lines(dir.path(), &format!("{good}\n{bad}\n{good}\n"))).unwrap_err();
        let JournalError::Damaged { line, found: text, .. } = &error else { panic!("{error}") };
        assert!(*line == 3 && text.contains(found), "{error}");
        assert_eq!(error.hints().len(), 2);
    }
}

#[test]
fn what_is_no_journal_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for (text, found) in [
        ("", "it has no whole line"),
        ("hello\n", "its first line is not JSON"),
        ("{\"muster\":\"plan\"}\n", "its first line does not say so"),
        ("{\"muster\":\"journal\",\"format\":1,\"run\":\"x\"}\n", "its first line names no run"),
        ("{\"muster\":\"journal\",\"format\":2}\n", "its format is 2, this muster reads up to 1"),
    ] {
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
    }
}

#[test]
fn runs_are_listed_the_newest_first() {
    let plan = read(&recorded("1-converged")).unwrap().plan().unwrap();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(list(&dir.path().join("none")).unwrap(), []);
    for random in [2, 9, 5] {
        Writer::create(dir.path(), &run_id(random), &plan).unwrap();
    }
    fs::create_dir(dir.path().join("notes")).unwrap();
    fs::create_dir(dir.path().join(run_id(7).as_str())).unwrap();
    let entries = list(dir.path()).unwrap();
    let runs: Vec<_> = entries.iter().map(|entry| entry.run.clone()).collect();
    assert_eq!(runs, [run_id(9), run_id(5), run_id(2)]);
    assert_eq!(entries[0].read().unwrap().run, run_id(9));
}
