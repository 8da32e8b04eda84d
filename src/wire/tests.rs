use super::*;
use crate::name::{BundleName, BundlePath, Digest, NodePath, Owner, PluginName, Revision};

fn decode(bytes: &[u8]) -> Result<Vec<Item>, WireError> {
    Decoder::new("n0", Limits::default()).feed(bytes)
}

#[test]
fn a_head_is_length_script_arguments_and_an_empty_line() {
    let args = Args::new().with("conf", "/etc/k'o\"n $(id)").unwrap().with_list("root", ["a", "b"]).unwrap();
    assert_eq!(head("x=1\n", &args), b"4\nx=1\nconf\n/etc/k'o\"n $(id)\nroot_1\na\nroot_2\nb\nroot_n\n2\n\n");
}

#[test]
fn arguments_that_would_be_two_lines_are_refused() {
    assert!(Args::new().with("a", "x\ny").is_err());
    assert!(Args::new().with("a", "x\0y").is_err());
    assert!(Args::new().with("a b", "x").is_err());
    assert!(Args::new().with("", "x").is_err());
    assert!(Args::new().with("A", "x").is_err());
}

#[test]
fn every_byte_survives_a_field() {
    let all: Vec<u8> = (0..=255).collect();
    let field = escape(&all);
    assert!(field.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(unescape(&field).unwrap(), all);
    assert_eq!(unescape(&escape(b"")).unwrap(), b"");
    assert_eq!(unescape("%4"), None);
    assert_eq!(unescape("%zz"), None);
}

#[test]
fn an_answer_is_read_whatever_its_pieces() {
    let bytes =
        b"Welcome to host\nno newline muster 1 n0\nfact user kong%20x 5\nblob conf 4\na\nb\nfact x %\nend n0 10\n";
    let whole = decode(bytes).unwrap();
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[1], Item::Blob { name: "conf".to_owned(), bytes: b"a\nb\n".to_vec() });
    assert_eq!(whole[3], Item::End(Status::Unchanged));
    let Item::Record(record) = &whole[0] else { panic!("not a record: {:?}", whole[0]) };
    assert_eq!((record.exact(1), record.number::<u8>(2)), (Some("kong x"), Some(5)));
    let mut decoder = Decoder::new("n0", Limits::default());
    let pieces: Vec<Item> = bytes.iter().flat_map(|byte| decoder.feed(&[*byte]).unwrap()).collect();
    assert_eq!(pieces, whole);
    assert!(decoder.ended());
}

#[test]
fn answers_made_to_do_harm_are_errors() {
    let begin = b"muster 1 n0\n".to_vec();
    let with = |rest: &[u8]| decode(&[&begin, rest].concat());
    assert_eq!(with(b"blob x 99999999999\n"), Err(WireError::Blob));
    assert_eq!(with(b"blob x -1\n"), Err(WireError::Blob));
    assert_eq!(with(b"blob x\n"), Err(WireError::Blob));
    assert_eq!(with(b"\x1b[2J\n"), Err(WireError::Malformed(1)));
    assert_eq!(with(b"fact %zz\n"), Err(WireError::Malformed(1)));
    assert_eq!(with(b"end other 0\n"), Err(WireError::Foreign));
    assert_eq!(with(b"end n0 77\n"), Err(WireError::Malformed(1)));
    assert_eq!(with(b"end n0 0\nx"), Err(WireError::Trailing));
    assert_eq!(with(&vec![b'a'; 100_000]), Err(WireError::Line(64 << 10)));
    assert!(matches!(decode(&vec![b'a'; 300_000]), Err(WireError::Noise(_))));
    assert!(matches!(decode(&b"noise\n".repeat(60_000)), Err(WireError::Noise(_))));
    let limits = Limits { total: 20, ..Limits::default() };
    assert_eq!(Decoder::new("n0", limits).feed(&[b'x'; 21]), Err(WireError::Total(20)));
}

#[test]
fn control_characters_never_leave_a_record() {
    let items = decode(b"muster 1 n0\nfile a%1B[31m%0Ab\n").unwrap();
    let Item::Record(record) = &items[0] else { panic!("not a record") };
    assert_eq!(record.text(0).unwrap(), "a?[31m?b");
    assert_eq!(record.exact(0), None);
    assert_eq!(record.fields[0], b"a\x1b[31m\nb");
}

#[test]
fn the_manifest_is_read_as_it_is_written() {
    let mut manifest = Manifest { generation: 7, ..Manifest::default() };
    let owned = Owned {
        owner: Owner::parse("edge-team").unwrap(),
        digest: Digest::of(b"x"),
        links: [BundlePath::parse("kong/plugins/acme auth").unwrap()].into(),
        plugins: [PluginName::parse("acme-auth").unwrap()].into(),
    };
    manifest.bundles.insert(BundleName::parse("acme-auth").unwrap(), owned);
    manifest.config = Some((NodePath::parse("/etc/kong/kong conf").unwrap(), Digest::of(b"y")));
    assert_eq!(Manifest::parse(&manifest.lines().join("\n")).unwrap(), manifest);
    assert_eq!(Manifest::parse("muster-manifest 2\n"), Err(FileError::Format("muster-manifest 1")));
    assert_eq!(Manifest::parse("muster-manifest 1\nlink x y\n"), Err(FileError::Line(2)));
    assert_eq!(Manifest::parse("muster-manifest 1\nowns ../x y z\n"), Err(FileError::Line(2)));
}

#[test]
fn a_lease_needs_all_its_lines() {
    let text = "muster-lease 1\ngeneration 3\nrun 01ARZ3NDEKTSV4RRFFQ69G5FAV\nholder me@ops\nboot b-1\nexpires 900\n";
    let lease = Lease::parse(text).unwrap();
    assert_eq!((lease.generation, lease.holder.as_str(), lease.expires), (3, "me@ops", 900));
    for line in ["generation 3\n", "holder me@ops\n", "expires 900\n"] {
        assert!(Lease::parse(&text.replace(line, "")).is_err(), "{line}");
    }
}

#[test]
fn an_open_receipt_may_end_in_the_middle_of_a_line() {
    let run = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let text =
        format!("muster-receipt 1\nrun {run}\nstep 4\nintent link acme-auth\ndid link acme-auth\nworker 12 900\nresu");
    let receipt = Receipt::parse(&text).unwrap();
    assert_eq!(receipt.result, None);
    assert_eq!((receipt.step, receipt.intents.len()), (4, 2));
    assert_eq!(receipt.workers, [(12, 900)].into());
    assert_eq!(receipt.commit, None);
    let commit = "3f2a91c4b5".repeat(4);
    let noted = Receipt::parse(&text.replace("step 4\n", &format!("step 4\ncommit {commit}\n"))).unwrap();
    assert_eq!(noted.commit.as_ref().map(Revision::as_str), Some(commit.as_str()));
    let closed = Receipt::parse(&format!("{text}lt changed\n")).unwrap();
    assert_eq!(closed.result.as_deref(), Some("changed"));
    let undone = Receipt::parse(&format!("{text}lt undone proved\n")).unwrap();
    assert_eq!(undone.result.as_deref(), Some("undone proved"));
    assert!(Receipt::parse(&format!("{text}lt\n")).is_err());
}
