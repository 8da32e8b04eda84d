//! One digest and one payload for one content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use super::{Bundle, Content};
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
    packed(&files.iter().map(|(path, content)| (path.as_str().to_owned(), content)).collect())
}

/// Several bundles in one payload, the files of each below its name.
pub(super) fn pack_together<'a>(bundles: impl IntoIterator<Item = &'a Bundle>) -> Vec<u8> {
    let below = |bundle: &'a Bundle| {
        bundle.files.iter().map(move |(path, content)| (format!("{}/{path}", bundle.name), content))
    };
    packed(&bundles.into_iter().flat_map(below).collect())
}

fn packed(files: &BTreeMap<String, &Content>) -> Vec<u8> {
    // Writing to memory cannot fail, and `BundlePath` holds nothing that tar cannot write (no NUL, no `..`).
    let mut tar = tar::Builder::new(flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(6)));
    tar.mode(tar::HeaderMode::Deterministic);
    for directory in directories(files) {
        append(&mut tar, tar::EntryType::Directory, &format!("{directory}/"), &[]);
    }
    for (path, content) in files {
        append(&mut tar, tar::EntryType::Regular, path, content.bytes());
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
fn directories<'a>(files: &'a BTreeMap<String, &Content>) -> BTreeSet<&'a str> {
    files.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect()
}
