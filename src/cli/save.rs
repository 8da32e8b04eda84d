//! A plan in a file: the line that `--plan --format json` prints, whole or not at all, for the operator alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::hint::Hint;
use crate::plan::Plan;
use crate::report;

/// What the file of a plan begins with, whatever its format.
const HEAD: &[u8] = br#"{"muster":"plan","#;
/// How many names are tried for the file beside; each left over by a run that died.
const MOST: usize = 100;

/// What stands where a plan is to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A plan.
    Plan,
    /// Something else: never overwritten.
    Other(&'static str),
}

/// What stands there. Where that cannot be read it is not a plan.
pub(super) fn found(path: &Path) -> Found {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::symlink_metadata(path) {
            Ok(_) => Found::Other("a link that leads nowhere"),
            Err(_) => Found::Nothing,
        },
        Err(_) => Found::Other("something that cannot be looked at"),
        Ok(what) if what.is_dir() => Found::Other("a directory"),
        Ok(what) if !what.is_file() => Found::Other("no regular file"),
        Ok(_) => match begins_like_a_plan(path) {
            Ok(true) => Found::Plan,
            Ok(false) => Found::Other("a file that is not a plan"),
            Err(_) => Found::Other("a file that cannot be read"),
        },
    }
}

fn begins_like_a_plan(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD.len() as u64).read_to_end(&mut head)?;
    Ok(head == HEAD)
}

/// Saves a plan, in place of another plan if one is there. Nothing else is overwritten.
pub(super) fn save(plan: &Plan, path: &Path) -> Result<(), Failure> {
    if let Found::Other(what) = found(path) {
        let text = format!("saving the plan: {} is {what}, and is not overwritten", path.display());
        return Err(Failure::input(text, vec![Hint::do_("name another file")]));
    }
    write(plan, path).map_err(|error| {
        let text = format!("saving the plan as {}: {error}", path.display());
        Failure::input(text, vec![Hint::do_("name a file in a directory that is there and can be written")])
    })
}

/// Beside it first, synced, then renamed: who reads it finds a whole plan. A link is followed.
fn write(plan: &Plan, path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let (beside, mut file) = beside(&path)?;
    let written = report::plan::json(plan, &mut file)
        .and_then(|()| file.flush())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| File::open(&dir)?.sync_all());
    if written.is_err() {
        // Half a plan must not be left lying about; that it could not be written is the error to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A new file beside, which nobody else can read: a plan names hosts and settings.
fn beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it has no file name"))?;
    for number in 0..MOST {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{number}.muster"));
        let beside = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (beside, file)),
        }
    }
    Err(io::Error::other("too many unfinished files stand beside it"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plan() -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals/FORMAT-1-refused.jsonl");
        let journal = fs::read(path).unwrap();
        let head: serde_json::Value = serde_json::from_slice(journal.split(|b| *b == b'\n').next().unwrap()).unwrap();
        serde_json::from_value(head["plan"].clone()).unwrap()
    }

    fn printed() -> Vec<u8> {
        let mut bytes = Vec::new();
        report::plan::json(&plan(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_plan_is_saved_as_it_is_printed_for_the_operator_alone_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        assert_eq!(found(&path), Found::Nothing);
        save(&plan(), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), printed());
        assert!(printed().starts_with(HEAD));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(found(&path), Found::Plan);
        fs::write(&path, [HEAD, b"older"].concat()).unwrap();
        save(&plan(), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), printed(), "an older plan gives way");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_but_a_plan_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let notes = dir.path().join("notes.txt");
        fs::write(&notes, "mine").unwrap();
        let nowhere = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("gone"), &nowhere).unwrap();
        for (path, words) in [
            (notes.clone(), "a file that is not a plan"),
            (dir.path().to_owned(), "a directory"),
            (PathBuf::from("/dev/null"), "no regular file"),
            (nowhere, "a link that leads nowhere"),
            (dir.path().join("no/such/plan.json"), "saving the plan as"),
        ] {
            let failure = save(&plan(), &path).unwrap_err();
            assert!(failure.text.contains(words), "{}", failure.text);
            assert!(!failure.hints.is_empty());
        }
        assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    }

    #[test]
    fn a_link_to_a_plan_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("plan.json"), dir.path().join("latest.json"));
        save(&plan(), &path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(&path, HEAD).unwrap();
        save(&plan(), &link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), printed());
    }

    #[test]
    fn what_a_dead_run_left_beside_does_not_stand_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".plan.json.0.muster"), "half").unwrap();
        save(&plan(), &dir.path().join("plan.json")).unwrap();
        assert_eq!(found(&dir.path().join("plan.json")), Found::Plan);
    }
}
