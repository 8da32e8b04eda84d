//! Undo bundles beside the journal of their run: files that outlive it, for the operator alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::name::RunId;

/// The ending of their names.
const ENDING: &str = "yaml";
/// How many bundles of one name a run may have: one for each cluster that has the same plugin.
const MOST: usize = 10_000;

/// Keeps a text as `RUNS/RUN/NAME.yaml`, or `NAME-2.yaml` where that is taken, with mode 0600; it is on the disk when this
/// returns. The run has its directory already, as it has a journal.
pub fn keep_undo(runs: &Path, run: &RunId, name: &str, text: &str) -> io::Result<PathBuf> {
    let dir = runs.join(run.as_str());
    let (path, mut file) = create(&dir, name)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // The name has to survive a power cut as well as the content.
    match written.and_then(|()| File::open(&dir)?.sync_all()) {
        Ok(()) => Ok(path),
        Err(error) => {
            // Half a bundle would be taken for a whole one.
            let _ = fs::remove_file(&path);
            Err(io::Error::new(error.kind(), format!("writing {}: {error}", path.display())))
        }
    }
}

fn create(dir: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    for number in 1..=MOST {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let path = dir.join(format!("{name}{number}.{ENDING}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("creating {}: {error}", path.display()))),
        }
    }
    Err(io::Error::other(format!("{} has {MOST} files named {name} already", dir.display())))
}

/// The undo bundles of a run, by name; none where the run has no directory.
pub fn undo_bundles(runs: &Path, run: &RunId) -> io::Result<Vec<PathBuf>> {
    undo_in(&runs.join(run.as_str()))
}

/// The undo bundles in the directory of a run.
pub(super) fn undo_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let dir = match fs::read_dir(dir) {
        Ok(dir) => dir,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = dir.map(|item| item.map(|item| item.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn bundles_are_the_operators_alone_and_never_overwrite_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunId::from_parts(1, 2);
        assert_eq!(undo_bundles(dir.path(), &run).unwrap(), Vec::<PathBuf>::new());
        fs::create_dir(dir.path().join(run.as_str())).unwrap();
        fs::write(dir.path().join(run.as_str()).join("journal.jsonl"), "{}").unwrap();
        let first = keep_undo(dir.path(), &run, "legacy-hmac", "one").unwrap();
        let second = keep_undo(dir.path(), &run, "legacy-hmac", "two").unwrap();
        assert!(first.ends_with("legacy-hmac.yaml") && second.ends_with("legacy-hmac-2.yaml"));
        assert_eq!(
            (fs::read_to_string(&first).unwrap(), fs::read_to_string(&second).unwrap()),
            ("one".into(), "two".into())
        );
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(undo_bundles(dir.path(), &run).unwrap(), [second, first]);
    }

    #[test]
    fn where_it_cannot_be_kept_the_place_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = keep_undo(dir.path(), &RunId::from_parts(1, 2), "x", "y").unwrap_err();
        assert!(error.to_string().contains("x.yaml"), "{error}");
    }
}
