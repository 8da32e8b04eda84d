//! One digest and one payload for one content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use super::Content;
use crate::name::{BundlePath, Digest, Hasher};

/// The digest of a whole bundle: sha256 over `PATH NUL SHA256 NUL` of every file, sorted by path (bytewise). Only paths and
/// bytes count; every file is installed as 0644, so that a mode cannot differ.
pub(super) fn digest(files: &BTreeMap<BundlePath, Content>) -> Digest {
    let mut hasher = Hasher::default();
    for (path, content) in files {
        for part in [path.as_str(), content.sha256().as_str()] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
    }
    hasher.finish()
}

pub(super) fn manifest(files: &BTreeMap<BundlePath, Content>) -> String {
    let mut text = String::new();
    for (path, content) in files {
        let _ = writeln!(text, "{}  {path}", content.sha256());
    }
    text
}

pub(super) fn pack(files: &BTreeMap<BundlePath, Content>) -> Vec<u8> {
    // Writing to memory cannot fail, and `BundlePath` holds nothing that tar cannot write (no NUL, no `..`).
    let mut tar = tar::Builder::new(flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(6)));
    tar.mode(tar::HeaderMode::Deterministic);
    for directory in directories(files) {
        append(&mut tar, tar::EntryType::Directory, &format!("{directory}/"), &[]);
    }
    for (path, content) in files {
        append(&mut tar, tar::EntryType::Regular, path.as_str(), content.bytes());
    }
    let mut gzip =
        tar.into_inner().unwrap_or_else(|_| flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::none()));
    let _ = gzip.flush();
    gzip.finish().unwrap_or_default()
}

fn append(tar: &mut tar::Builder<impl std::io::Write>, kind: tar::EntryType, path: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    let _ = tar.append_data(&mut header, path, bytes);
}

/// Every directory above a file, parents first.
fn directories(files: &BTreeMap<BundlePath, Content>) -> BTreeSet<&str> {
    files.keys().flat_map(|path| path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at])).collect()
}
