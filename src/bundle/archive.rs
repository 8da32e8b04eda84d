//! A `.tar.gz` from anywhere, taken apart in memory without trusting a byte of it.

use std::io::Read as _;

use super::layout::showable;
use super::{BundleError, SourceEntry};
use crate::name::{BundleName, Digest};

/// The largest archive that is read, in bytes.
pub const MAX_COMPRESSED: u64 = 32 << 20;
/// The largest sum of the sizes of all files, in bytes.
pub const MAX_UNPACKED: u64 = 64 << 20;
/// The largest number of entries, directories counted.
pub const MAX_ENTRIES: usize = 5_000;

/// What the heads and the padding of the entries may take beside the files themselves.
const OVERHEAD: u64 = 4 * 512 * MAX_ENTRIES as u64;
const BLOCK: usize = 512;

/// PAX records that say nothing about which bytes go where. Anything else (`size`, `GNU.sparse.…`) could make two
/// readers see two archives.
const HARMLESS_PAX: &[&str] =
    &["path", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "hdrcharset", "charset"];
const HARMLESS_PAX_VENDORS: &[&str] = &["LIBARCHIVE.", "SCHILY.", "RHT.security."];

/// The files of an archive, or why it is refused. Directories are dropped: they follow from the files.
pub(super) fn unpack(bundle: &BundleName, bytes: &[u8], expected: &Digest) -> Result<Vec<SourceEntry>, BundleError> {
    let reader = Reader { bundle };
    if bytes.len() as u64 > MAX_COMPRESSED {
        return Err(reader.too_large(format!("the archive has more than {} MiB", MAX_COMPRESSED >> 20)));
    }
    let found = Digest::of(bytes);
    if found != *expected {
        return Err(BundleError::WrongDigest {
            bundle: bundle.clone(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
    reader.entries(&reader.gunzip(bytes)?)
}

struct Reader<'a> {
    bundle: &'a BundleName,
}

impl Reader<'_> {
    fn too_large(&self, why: impl Into<String>) -> BundleError {
        BundleError::TooLarge { bundle: self.bundle.clone(), why: why.into() }
    }

    fn unreadable(&self, why: impl Into<String>) -> BundleError {
        BundleError::NotAnArchive { bundle: self.bundle.clone(), why: why.into() }
    }

    fn hostile(&self, path: &[u8], why: impl Into<String>) -> BundleError {
        let path = showable(&String::from_utf8_lossy(path));
        BundleError::Hostile { bundle: self.bundle.clone(), path, why: why.into() }
    }

    fn gunzip(&self, bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(self.unreadable(format!("it is {}", kind_of(bytes))));
        }
        let limit = MAX_UNPACKED + OVERHEAD;
        let mut rest = bytes;
        let mut decoder = flate2::bufread::GzDecoder::new(&mut rest);
        let mut unpacked = Vec::new();
        let read = decoder.by_ref().take(limit + 1).read_to_end(&mut unpacked);
        if unpacked.len() as u64 > limit {
            return Err(self.too_large(format!("it unpacks to more than {} MiB", MAX_UNPACKED >> 20)));
        }
        read.map_err(|error| self.unreadable(format!("it is damaged or cut off ({error})")))?;
        drop(decoder);
        if rest.iter().any(|byte| *byte != 0) {
            return Err(self.unreadable(format!("{} bytes follow the end of the gzip stream", rest.len())));
        }
        Ok(unpacked)
    }

    fn entries(&self, tar: &[u8]) -> Result<Vec<SourceEntry>, BundleError> {
        let mut found = Vec::new();
        let mut end = 0;
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().map_err(|error| self.unreadable(showable(&error.to_string())))?;
        for (count, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| {
                self.unreadable(format!("the tar inside is damaged ({})", showable(&error.to_string())))
            })?;
            if count >= MAX_ENTRIES {
                return Err(self.too_large(format!("it has more than {MAX_ENTRIES} entries")));
            }
            // Before anything is read: a sparse file of a few bytes unpacks to any number of zeros.
            self.check_kind(&entry)?;
            let mut bytes = Vec::new();
            let read = entry.read_to_end(&mut bytes);
            if read.is_err() || bytes.len() as u64 != entry.size() {
                return Err(self.unreadable("the tar inside is cut off in the middle of a file"));
            }
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            end = start.saturating_add(bytes.len().next_multiple_of(BLOCK));
            found.extend(self.entry(&mut entry, bytes)?);
        }
        self.check_end(tar, end)?;
        Ok(found)
    }

    /// After the last entry come zeros and nothing else: more would be what another reader of tar sees.
    fn check_end(&self, tar: &[u8], end: usize) -> Result<(), BundleError> {
        match tar.get(end..) {
            Some(rest) if rest.len() >= BLOCK && rest.iter().all(|byte| *byte == 0) => Ok(()),
            Some(rest) if rest.iter().any(|byte| *byte != 0) => {
                Err(self.unreadable("something follows the end of the tar inside"))
            }
            _ => Err(self.unreadable("the tar inside is cut off: it has no end mark")),
        }
    }

    fn check_kind(&self, entry: &tar::Entry<'_, &[u8]>) -> Result<(), BundleError> {
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_file() || kind.is_pax_global_extensions() {
            return Ok(());
        }
        Err(self.hostile(&entry.path_bytes(), format!("it is {}", word(kind))))
    }

    fn entry(&self, entry: &mut tar::Entry<'_, &[u8]>, bytes: Vec<u8>) -> Result<Option<SourceEntry>, BundleError> {
        let kind = entry.header().entry_type();
        let name = entry.path_bytes().into_owned();
        self.check_pax(entry, &name, kind)?;
        if kind.is_pax_global_extensions() {
            return self.check_global(&bytes).map(|()| None);
        }
        let directory = kind.is_dir() || name.ends_with(b"/");
        // A directory has no content; bytes there are meant for somebody who reads it as a file.
        if directory && !bytes.is_empty() {
            return Err(self.hostile(&name, "it is a directory with content"));
        }
        let path = self.path(&name)?;
        if directory || path.is_empty() {
            return Ok(None);
        }
        Ok(Some(SourceEntry::file(path, bytes)))
    }

    /// The name without the `./` that `tar -C DIR .` writes; checked here too for directories, which do not go on.
    fn path(&self, name: &[u8]) -> Result<Vec<u8>, BundleError> {
        let mut path = name;
        while let Some(rest) = path.strip_prefix(b"./") {
            path = rest;
        }
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if path.is_empty() || path == b"." {
            return Ok(Vec::new());
        }
        let text = std::str::from_utf8(path).map_err(|_| self.hostile(name, "its name is not UTF-8"))?;
        crate::name::BundlePath::parse(text).map_err(|error| self.hostile(name, error.why))?;
        Ok(path.to_vec())
    }

    fn check_pax(
        &self,
        entry: &mut tar::Entry<'_, &[u8]>,
        name: &[u8],
        kind: tar::EntryType,
    ) -> Result<(), BundleError> {
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let refuse = |why: String| Err(self.hostile(name, why));
        let Ok(Some(records)) = entry.pax_extensions() else { return Ok(()) };
        let mut paths = 0;
        for record in records {
            let Ok((key, value)) = record.map(|record| (record.key_bytes(), record.value_bytes())) else {
                return refuse("its PAX header is damaged".to_owned());
            };
            let key = String::from_utf8_lossy(key);
            if !harmless(&key) {
                return refuse(format!(
                    "its PAX header says {:?}, which not every reader understands alike",
                    showable(&key)
                ));
            }
            paths += usize::from(key == "path");
            if key == "path" && value != name {
                return refuse("it has two names, one of them in a PAX header".to_owned());
            }
        }
        if paths > 1 { refuse("it has two names in its PAX header".to_owned()) } else { Ok(()) }
    }

    /// `git archive` writes one global header with the commit as comment; anything else in one would apply to every entry.
    fn check_global(&self, bytes: &[u8]) -> Result<(), BundleError> {
        let refuse = || self.hostile(b"pax_global_header", "a global PAX header that says more than a comment");
        for record in tar::PaxExtensions::new(bytes) {
            let record = record.map_err(|_| refuse())?;
            if record.key_bytes() != b"comment" {
                return Err(refuse());
            }
        }
        Ok(())
    }
}

fn harmless(key: &str) -> bool {
    HARMLESS_PAX.contains(&key) || HARMLESS_PAX_VENDORS.iter().any(|vendor| key.starts_with(vendor))
}

fn word(kind: tar::EntryType) -> String {
    match kind {
        tar::EntryType::Link => "a hard link".to_owned(),
        tar::EntryType::Symlink => "a symbolic link".to_owned(),
        tar::EntryType::Char => "a character device".to_owned(),
        tar::EntryType::Block => "a block device".to_owned(),
        tar::EntryType::Fifo => "a named pipe".to_owned(),
        tar::EntryType::GNUSparse => "a sparse file".to_owned(),
        other => format!("of the unknown kind {:?}", char::from(other.as_byte())),
    }
}

fn kind_of(bytes: &[u8]) -> &'static str {
    const KINDS: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b"PK\x03\x04", "a zip file"),
        (b"\xfd7zXZ", "compressed by xz"),
        (b"BZh", "compressed by bzip2"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"version https://git-lfs", "a pointer of Git LFS"),
    ];
    if bytes.is_empty() {
        return KINDS[0].1;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar that is not compressed";
    }
    KINDS[1..].iter().find(|(magic, _)| bytes.starts_with(magic)).map_or("not compressed by gzip", |(_, kind)| kind)
}
