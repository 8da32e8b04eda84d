//! Tests of [`super`].

use super::*;
use crate::wire::unescape;

fn record(line: &str) -> Record {
    let mut words = line.split(' ');
    let tag = words.next().unwrap().to_owned();
    Record { tag, fields: words.map(|word| unescape(word).unwrap()).collect() }
}

/// Feeds records, and blobs as `blob NAME CONTENT`.
fn fed(lines: &[&str]) -> Result<Discovery, SurveyError> {
    let mut decoder = DiscoveryDecoder::default();
    for line in lines {
        match line.strip_prefix("blob ").and_then(|rest| rest.split_once(' ')) {
            Some((name, content)) => decoder.blob(name, content.as_bytes().to_vec())?,
            None => decoder.record(&record(line))?,
        }
    }
    decoder.finish()
}

const HOST: &str = "host m b root 0 1";

#[test]
fn what_was_found_is_read_back() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let declared = format!("declared 1 {digest} /etc/kong/kong.yml");
    let found = fed(&[
        HOST,
        "cli /usr/local/bin/kong",
        "conf 1 file /etc/kong/kong.conf",
        "blob conf.1 prefix = /p",
        "conf 2 directory /etc/kong.conf",
        "kong 1 77 1 2 /p",
        "blob env.1 plugins = bundled,a",
        "root 1 1 directory /opt",
        "dir 1 1 acme-auth 1",
        "dir 1 1 lib 0",
        "odd 1 1 2",
        "root 1 2 absent /gone",
        declared.as_str(),
        "other 9",
    ])
    .unwrap();
    let kong = &found.kongs[0];
    assert_eq!(
        (kong.master, kong.prefix.as_ref().map(NodePath::as_str), kong.id),
        (Some(77), Some("/p"), Some((1, 2)))
    );
    assert_eq!(kong.env.as_ref().unwrap().open().directive().to_string(), "bundled,a");
    assert_eq!(kong.lua_roots[0].directories, [("acme-auth".to_owned(), true), ("lib".to_owned(), false)].into());
    assert_eq!((kong.lua_roots[0].odd, kong.lua_roots[1].kind, found.others), (2, Kind::Absent, 1));
    assert_eq!(kong.declared.as_ref().unwrap().1.as_str(), digest);
    let confs: Vec<&str> = found.confs.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(confs, ["/etc/kong/kong.conf"], "a directory is no kong.conf");
}

#[test]
fn a_prefix_that_cannot_be_written_down_has_none() {
    let found = fed(&[HOST, "kong 1 77 0 0 /p/../q", "kong 2 78 0 0 /a%0Ab"]).unwrap();
    assert!(found.kongs.iter().all(|kong| kong.prefix.is_none() && kong.id.is_none()));
}

#[test]
fn what_a_node_says_is_checked_at_the_door() {
    for odd in [
        "root 1 1 directory /opt",
        "dir 1 1 acme 1",
        "kong 2 77 1 2 /p",
        "kong 1 x 1 2 /p",
        "conf 2 file /c",
        "conf 1 file c",
        "conf 1 file /c%0A",
        "host m b root 0 1",
        "host m b root 0 2",
        "blob env.1 x",
        "blob conf.0 x",
        "blob other.1 x",
        "blob env x",
        "what 1",
    ] {
        assert!(fed(&[HOST, odd]).is_err(), "{odd}");
    }
    let kong = "kong 1 77 1 2 /p";
    for odd in ["root 1 2 directory /opt", "root 1 1 link /opt", "root 1 1 directory opt", "declared 1 x /y"] {
        assert!(fed(&[HOST, kong, odd]).is_err(), "{odd}");
    }
    let root = "root 1 1 directory /opt";
    for odd in
        ["dir 1 1 .. 1", "dir 1 1 a/b 1", "dir 1 1 a%0A 1", "dir 1 1 .x 1", "dir 1 1 a 2", "dir 1 2 a 1", "odd 1 1 x"]
    {
        assert!(fed(&[HOST, kong, root, odd]).is_err(), "{odd}");
    }
    assert!(fed(&[HOST, kong, root, "dir 1 1 a 1", "dir 1 1 a 1"]).is_err());
    assert!(fed(&[HOST, kong, "blob env.1 a", "blob env.1 b"]).is_err());
    assert!(fed(&["cli /x"]).is_err(), "it says nothing of the machine");
    let many: Vec<String> = std::iter::once(HOST.to_owned()).chain((0..MOST).map(|_| "other 1".to_owned())).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(fed(&many).is_err());
}
