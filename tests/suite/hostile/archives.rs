//! Archives made to do harm, or to be two things to two readers. Each must be refused with an error that names the
//! reason, without a panic, without a byte written, and without raw bytes of the archive in the message.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use muster::bundle::{Bundle, BundleError, MAX_COMPRESSED, MAX_ENTRIES, SourceEntry};
use muster::kong::clean_plugin_version;
use muster::name::{BundleName, Digest};

const HANDLER: &[u8] = b"return { VERSION = \"1.0.0\", PRIORITY = 1000 }\n";
const SCHEMA: &[u8] = b"return { name = \"x\", fields = {} }\n";

/// A tar, written field by field: a library would refuse to write most of these.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// A whole plugin, to which something hostile is added.
    fn plugin() -> Self {
        Self::default().file(b"kong/plugins/x/handler.lua", HANDLER).file(b"kong/plugins/x/schema.lua", SCHEMA)
    }

    fn file(self, name: &[u8], content: &[u8]) -> Self {
        self.entry(b'0', name, b"", content.len() as u64, content)
    }

    fn link(self, kind: u8, name: &[u8], target: &[u8]) -> Self {
        self.entry(kind, name, target, 0, b"")
    }

    fn entry(mut self, kind: u8, name: &[u8], target: &[u8], size: u64, content: &[u8]) -> Self {
        let mut head = [0u8; 512];
        head[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        head[100..108].copy_from_slice(b"0000777\0");
        head[108..116].copy_from_slice(b"0001750\0");
        head[116..124].copy_from_slice(b"0001750\0");
        head[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        head[136..148].copy_from_slice(b"14707432000\0");
        head[156] = kind;
        head[157..157 + target.len()].copy_from_slice(target);
        head[257..265].copy_from_slice(b"ustar\x0000");
        head[148..156].copy_from_slice(b"        ");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX header for the next entry, or for all (`g`).
    fn pax(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let bare = format!(" {key}={value}\n");
            let length = (bare.len() + 1..bare.len() + 8)
                .find(|length| length.to_string().len() + bare.len() == *length)
                .unwrap();
            body.extend_from_slice(format!("{length}{bare}").as_bytes());
        }
        self.entry(kind, b"PaxHeader", b"", body.len() as u64, &body)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn gz(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
    Bundle::from_archive(BundleName::parse("x").unwrap(), bytes, &Digest::of(bytes))
}

/// Zeros that gzip makes small: `mebibytes` of them.
fn zeros(mebibytes: usize) -> Vec<u8> {
    vec![0; mebibytes << 20]
}

fn many(count: usize) -> Tar {
    (0..count).fold(Tar::plugin(), |tar, at| tar.file(format!("kong/plugins/x/f{at}").as_bytes(), b""))
}

fn long_name(length: usize) -> Tar {
    let name = [b"d/".repeat(length / 2), b"x".to_vec()].concat();
    Tar::plugin().entry(b'L', b"././@LongLink", b"", name.len() as u64, &name).file(b"short", b"x")
}

fn truncated(bytes: &[u8], keep: usize) -> Vec<u8> {
    bytes[..keep].to_vec()
}

#[test]
fn every_hostile_archive_is_refused_with_its_reason() {
    let good = Tar::plugin().gz();
    assert!(read(&good).is_ok(), "the archive that the others are made of must be fine: {:?}", read(&good));
    let whole = Tar::plugin().end();
    let with = |tar: fn(Tar) -> Tar| tar(Tar::plugin()).gz();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("absolute path", with(|tar| tar.file(b"/etc/cron.d/x", b"")), "absolute"),
        ("parent directory", with(|tar| tar.file(b"kong/plugins/../../../x", b"")), "part `..`"),
        ("parent directory behind ./", with(|tar| tar.file(b"./../x", b"")), "part `..`"),
        ("absolute behind ./", with(|tar| tar.file(b".//etc/x", b"")), "absolute"),
        ("parent as a directory", with(|tar| tar.entry(b'5', b"../x/", b"", 0, b"")), "part `..`"),
        ("symbolic link", with(|tar| tar.link(b'2', b"kong/plugins/x/a", b"/etc/passwd")), "symbolic link"),
        ("symbolic link that would not ship", with(|tar| tar.link(b'2', b"docs/a", b"/etc")), "symbolic link"),
        ("hard link", with(|tar| tar.link(b'1', b"kong/plugins/x/a", b"/etc/shadow")), "hard link"),
        ("character device", with(|tar| tar.link(b'3', b"kong/plugins/x/a", b"")), "character device"),
        ("block device", with(|tar| tar.link(b'4', b"kong/plugins/x/a", b"")), "block device"),
        ("named pipe", with(|tar| tar.link(b'6', b"kong/plugins/x/a", b"")), "named pipe"),
        ("sparse file", with(|tar| tar.link(b'S', b"kong/plugins/x/a", b"")), "sparse"),
        ("unknown kind", with(|tar| tar.link(b'Z', b"kong/plugins/x/a", b"")), "unknown kind"),
        ("directory with content", with(|tar| tar.entry(b'0', b"kong/d/", b"", 3, b"abc")), "directory with content"),
        ("bomb", with(|tar| tar.file(b"kong/plugins/x/big", &zeros(80))), "more than 64 MiB"),
        ("too many entries", many(MAX_ENTRIES).gz(), "more than 5000 entries"),
        ("too large to read", vec![0x1f; usize::try_from(MAX_COMPRESSED).unwrap() + 1], "more than 32 MiB"),
        ("endless name", long_name(4000).gz(), "longer than 1000 bytes"),
        ("name part too long", long_part().gz(), "more than 255"),
        ("letter case", with(|tar| tar.file(b"kong/plugins/x/HANDLER.lua", HANDLER)), "only in letter case"),
        ("letter case of a directory", with(|tar| tar.file(b"Kong/plugins/x/a.lua", b"")), "only in letter case"),
        ("the same name twice", with(|tar| tar.file(b"kong/plugins/x/handler.lua", b"os.exit()")), "there twice"),
        ("the same name twice by ./", with(|tar| tar.file(b"./kong/plugins/x/handler.lua", b"")), "there twice"),
        ("file and directory", with(|tar| tar.file(b"kong/plugins/x/handler.lua/a", b"")), "file and a directory"),
        ("newline in a name", with(|tar| tar.file(b"kong/plugins/x/a\nb", b"")), "control character"),
        ("escape sequence in a name", with(|tar| tar.file(b"kong/plugins/x/\x1b[2J", b"")), "control character"),
        ("backslash in a name", with(|tar| tar.file(b"kong\\plugins\\x", b"")), "backslash"),
        ("name that is not UTF-8", with(|tar| tar.file(b"kong/plugins/x/\xff\xfe", b"")), "not UTF-8"),
        ("PAX path with ..", with(|tar| tar.pax(b'x', &[("path", "../../x")]).file(b"ok", b"")), "part `..`"),
        (
            "two PAX paths",
            with(|tar| tar.pax(b'x', &[("path", "a.lua"), ("path", "b.lua")]).file(b"ok", b"")),
            "two names",
        ),
        ("PAX size", with(|tar| tar.pax(b'x', &[("size", "0")]).file(b"kong/plugins/x/a", b"abc")), "not every reader"),
        (
            "PAX sparse",
            with(|tar| tar.pax(b'x', &[("GNU.sparse.name", "a")]).file(b"kong/plugins/x/a", b"")),
            "not every reader",
        ),
        ("PAX and GNU name", two_names().gz(), "two names"),
        ("global PAX path", Tar::default().pax(b'g', &[("path", "/etc/passwd")]).gz(), "global PAX header"),
        ("archive inside", with(|tar| tar.file(b"kong/plugins/x/more.tar.gz", b"x")), "archive inside"),
        ("nothing but an archive inside", Tar::default().file(b"more.tgz", b"x").gz(), "another archive"),
        ("compiled Lua", with(|tar| tar.file(b"kong/plugins/x/a.lua", b"\x1bLJ\x02\x00")), "compiled Lua"),
        ("empty", Vec::new(), "it is empty"),
        ("a zip", b"PK\x03\x04rest".to_vec(), "a zip file"),
        ("a bare tar", Tar::plugin().end(), "not compressed"),
        ("no tar inside", gzip(b"hello, this is no tar at all, whatever its name may say"), "tar inside"),
        (
            "noise",
            gzip(&(0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>()),
            "tar inside",
        ),
        ("gzip cut off", truncated(&good, good.len() - 12), "damaged or cut off"),
        ("tar cut off in a file", gzip(&whole[..512 + 10]), "cut off"),
        ("tar without its end", gzip(&whole[..whole.len() - 1024]), "no end mark"),
        (
            "a second tar behind the end",
            gzip(&[whole.clone(), Tar::default().file(b"/x", b"").end()].concat()),
            "something follows",
        ),
        ("a second gzip behind the end", [good.clone(), good.clone()].concat(), "follow the end"),
        ("flipped bit", flipped(&good), "damaged"),
    ];
    assert!(cases.len() >= 20);
    for (what, bytes, reason) in cases {
        let error = read(&bytes).expect_err(what);
        let text = error.to_string();
        assert!(text.contains(reason), "{what}: {text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{what} shows raw bytes: {text:?}");
        assert!(text.len() < 1000, "{what}: endless message");
        assert!(!error.hints().is_empty(), "{what} says nothing about what to do");
    }
}

/// A name in a GNU header and another in a PAX header.
fn two_names() -> Tar {
    let tar = Tar::plugin().entry(b'L', b"././@LongLink", b"", 5, b"a.lua");
    tar.pax(b'x', &[("path", "b.lua")]).file(b"c.lua", b"")
}

fn long_part() -> Tar {
    let name = b"n".repeat(300);
    Tar::plugin().entry(b'L', b"././@LongLink", b"", 300, &name).file(b"short", b"x")
}

fn flipped(good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    bytes
}

#[test]
fn an_archive_that_is_not_the_named_one_is_refused_before_it_is_opened() {
    let bytes = Tar::plugin().gz();
    let error = Bundle::from_archive(BundleName::parse("x").unwrap(), &bytes, &Digest::of(b"other")).unwrap_err();
    assert!(
        matches!(&error, BundleError::WrongDigest { found, .. } if *found == Digest::of(&bytes).to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("the inventory says"));
}

/// Any prefix and any flipped byte of a good archive is an archive that somebody may send.
#[test]
fn damage_anywhere_is_an_error_and_never_a_panic() {
    let good = Tar::plugin().gz();
    let whole = read(&good).unwrap().digest;
    for at in 0..good.len() {
        assert!(read(&good[..at]).is_err(), "cut off at {at}");
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        if let Ok(bundle) = read(&bytes) {
            assert_eq!(bundle.digest, whole, "byte {at}: other content without an error");
        }
    }
}

/// What an operator packs with the usual tools is one bundle, whatever the format, the times and the umask.
#[test]
#[expect(clippy::print_stdout, reason = "a tool that is not there is said, not passed over")]
fn archives_of_the_usual_tools_are_the_same_bundle() {
    let scratch = tempfile::tempdir().unwrap();
    let plugin = scratch.path().join("pkg-1.0/kong/plugins/x/").join("deep/".repeat(30));
    std::fs::create_dir_all(&plugin).unwrap();
    let root = scratch.path().join("pkg-1.0/kong/plugins/x");
    std::fs::write(root.join("handler.lua"), HANDLER).unwrap();
    std::fs::write(root.join("schema.lua"), SCHEMA).unwrap();
    std::fs::write(plugin.join("asset with blanks.json"), b"{}").unwrap();
    std::fs::write(scratch.path().join("pkg-1.0/README.md"), b"x").unwrap();
    let mut digests = Vec::new();
    for (tool, options, what) in [
        ("tar", &["--format=gnu"][..], "pkg-1.0"),
        ("tar", &["--format=posix"], "pkg-1.0"),
        ("tar", &["--format=ustar"], "pkg-1.0"),
        ("tar", &["--format=posix", "--mtime=2001-01-01"], "./pkg-1.0"),
        ("tar", &["--format=gnu", "--mode=0600"], "."),
        ("busybox", &["tar"], "pkg-1.0"),
    ] {
        // Busybox takes its applet first and has no formats.
        let arguments = options.iter().copied().chain(["-c", "-z", "-f", "-", "-C"]);
        let packed = std::process::Command::new(tool).args(arguments).arg(scratch.path()).arg(what).output();
        let Ok(packed) = packed.inspect_err(|error| println!("skipped, as {tool} cannot be run: {error}")) else {
            continue;
        };
        assert!(packed.status.success(), "{tool} {options:?}: {}", String::from_utf8_lossy(&packed.stderr));
        let bundle = read(&packed.stdout).unwrap_or_else(|error| panic!("{tool} {options:?}: {error}"));
        assert_eq!(bundle.files.len(), 3, "{tool} {options:?}");
        digests.push(bundle.digest);
    }
    assert!(!digests.is_empty(), "no tar on this machine");
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

/// The lint of a bundle and the cleaning of versions live in two modules that may not know each other.
#[test]
fn a_version_is_refused_exactly_where_kong_could_not_clean_it() {
    for version in [
        "1.0.0",
        "1.0",
        "1",
        "v1.2.3",
        "1.0.0-1",
        "1.2.3-rc.1",
        "1.2.",
        ".5",
        "1.2.3.4",
        "1..2",
        "latest",
        "",
        ".",
        "x1.2y3",
    ] {
        let handler = format!("return {{ VERSION = \"{version}\", PRIORITY = 1 }}");
        let entries = [SourceEntry::file("handler.lua", handler), SourceEntry::file("schema.lua", SCHEMA)];
        let taken = Bundle::from_files(BundleName::parse("x").unwrap(), entries).is_ok();
        assert_eq!(taken, clean_plugin_version(version).is_some(), "{version:?}");
    }
}
