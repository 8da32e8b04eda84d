use proptest::prelude::*;

use super::*;

fn value(text: &str, key: &str) -> Option<String> {
    Conf::parse(text).get(key).map(|reading| reading.value)
}

/// What Kong was seen to read (facts.md A1, marked as executed; measured.md 4).
#[test]
fn files_are_read_as_kong_reads_them() {
    for (text, expected) in [
        ("plugins = bundled,foo\n", Some("bundled,foo")),
        ("plugins=bundled\n", Some("bundled")),
        ("plugins\t=\tbundled\t\n", Some("bundled")),
        ("  plugins = bundled\n", Some("bundled")),
        ("plugins = bundled\r\n", Some("bundled")),
        ("plugins = bundled", Some("bundled")),
        ("# plugins = a\n; plugins = b\n  # plugins = c\n", None),
        ("plugins = bundled,foo#bar\n", Some("bundled,foo")),
        ("plugins = bundled # bar\n", Some("bundled")),
        ("plugins = a\\#b # c\n", Some("a#b")),
        ("plugins: x\n", None),
        ("plugins x\n", None),
        ("PLUGINS = x\n", None),
        ("plugins = a\nplugins = b\n", Some("b")),
        ("plugins = \"bundled,foo\"\n", Some("\"bundled,foo\"")),
        ("plugins = a,\\\n  b\n", Some("a,  b")),
        ("plugins = a, \\  \n# comment\n\nb\n", Some("a, b")),
        ("plugins = a,\\\r\nb\r\n", Some("a,b")),
        ("plugins = a,\\\n ; comment\nb\n", Some("a,b")),
        ("x = 1\nplugins = a \\\n", None),
        ("plugins = a\nplugins = b \\", Some("a")),
        ("[kong]\nplugins = x\n", None),
        ("plugins = a\n[kong]\nplugins = x\n", Some("a")),
        ("plugins = a\n[plugins]\nx = y\n", None),
        (" [kong]\nplugins = x\n", Some("x")),
        ("\u{feff}plugins = x\n", None),
        ("\u{feff}# comment\nplugins = x\n", Some("x")),
        ("plugins =\n", Some("")),
        ("plugins = # none\n", Some("")),
        ("plugins = a = b\n", Some("a = b")),
        ("plugins = a # b \\\nc\n", Some("a")),
        ("plugins = my_blank_plugin\n", Some("my,p,ugi")),
        ("", None),
    ] {
        assert_eq!(value(text, "plugins").as_deref(), expected, "{text:?}");
    }
}

#[test]
fn keys_are_spelled_with_underscores() {
    for text in ["lua-package-path = /x", "lua.package.path = /x", "lua_package_path = /x", "lua package path = /x"] {
        assert_eq!(value(text, "lua_package_path").as_deref(), Some("/x"), "{text}");
    }
    assert_eq!(value("\u{feff}plugins = x\n", "___plugins").as_deref(), Some("x"));
}

#[test]
fn a_reading_knows_its_lines_and_how_often_the_key_stands_there() {
    let reading = Conf::parse("plugins = a\n# c\nplugins = b,\\\n# d\nc\n").get("plugins").unwrap();
    assert_eq!((reading.value.as_str(), reading.lines.as_slice(), reading.times), ("b,c", &[3, 5][..], 2));
}

#[test]
fn edits_change_the_value_and_nothing_else() {
    for (before, after) in [
        ("plugins = bundled\n", "plugins = bundled,x\n"),
        ("plugins=bundled", "plugins=bundled,x"),
        ("a = 1\r\nplugins = bundled\r\nb = 2\r\n", "a = 1\r\nplugins = bundled,x\r\nb = 2\r\n"),
        ("plugins = bundled   # why\n", "plugins = bundled,x   # why\n"),
        ("plugins = bundled#why\n", "plugins = bundled,x #why\n"),
        ("plugins = bundled  \n", "plugins = bundled,x  \n"),
        ("plugins =\n", "plugins = bundled,x\n"),
        ("plugins = # none\n", "plugins = bundled,x # none\n"),
        ("plugins = a\nplugins = b\n", "plugins = a\nplugins = bundled,x\n"),
        ("plugins = a,\\\n# keep\n  b # c\nz = 1\n", "plugins = bundled,x # c\n# keep\nz = 1\n"),
        ("pg_password = s3\\#cret\n", "pg_password = s3\\#cret\nplugins = bundled,x\n"),
        ("a = 1", "a = 1\nplugins = bundled,x\n"),
        ("a = 1\r\n", "a = 1\r\nplugins = bundled,x\r\n"),
        ("", "plugins = bundled,x\n"),
        ("a = 1\n[s]\nplugins = y\n", "a = 1\nplugins = bundled,x\n[s]\nplugins = y\n"),
        ("a = 1\nlost = 2 \\\n", "a = 1\nplugins = bundled,x\nlost = 2 \\\n"),
        ("#plugins = bundled\n", "#plugins = bundled\nplugins = bundled,x\n"),
    ] {
        let edited = Conf::parse(before).set("plugins", "bundled,x").unwrap();
        assert_eq!(String::from_utf8(edited).unwrap(), after, "{before:?}");
    }
}

#[test]
fn setting_what_is_already_read_changes_no_byte() {
    let text = "plugins = a,\\\nb # c\nplugins = \t z,y # d";
    assert_eq!(Conf::parse(text).set("plugins", "z,y").unwrap(), text.as_bytes());
}

#[test]
fn bytes_that_are_not_utf_8_survive() {
    let before = b"pg_password = \xff\xfe\n# \xe9\nplugins = a # \xfc\n";
    let edited = Conf::parse(before.as_slice()).set("plugins", "b").unwrap();
    assert_eq!(edited, b"pg_password = \xff\xfe\n# \xe9\nplugins = b # \xfc\n");
}

#[test]
fn values_that_kong_would_not_read_back_are_refused() {
    for bad in ["a\nb", " a", "a ", "a\\", "0123", "1e3", "x_blank_y", "a\rb\nc"] {
        let refused = Conf::parse("plugins = x\n").set("plugins", bad);
        assert_eq!(refused, Err(EditError::Value { key: "plugins".to_owned() }), "{bad:?}");
    }
    for key in ["", "a b", "a-b", "a=b", "#a"] {
        assert!(matches!(Conf::parse("").set(key, "x"), Err(EditError::Key { .. })), "{key:?}");
    }
}

#[test]
fn an_edit_that_would_not_be_seen_is_refused() {
    let hidden = Conf::parse("a = 1\n[plugins]\nx = y\n").set("plugins", "b");
    assert_eq!(hidden, Err(EditError::Effect { key: "plugins".to_owned() }));
}

#[test]
fn unsetting_takes_every_occurrence_with_its_continuation() {
    let conf = Conf::parse("plugins = a\nb = 1\nplugins = c,\\\n# keep\nd\n[s]\nplugins = e\n");
    assert_eq!(String::from_utf8(conf.unset("plugins").unwrap()).unwrap(), "b = 1\n# keep\n[s]\nplugins = e\n");
}

#[test]
fn only_readable_values_come_out_in_bulk_and_debug_shows_none() {
    let conf = Conf::parse("plugins = a\npg_password = hunter2\nrole = data_plane\n");
    let readable: Vec<_> = conf.readable().into_iter().collect();
    assert_eq!(readable, [("plugins", "a".to_owned()), ("role", "data_plane".to_owned())]);
    assert!(!format!("{conf:?} {:?}", conf.get("pg_password")).contains("hunter2"));
}

#[test]
fn differences_are_named_without_values() {
    let ours = Conf::parse("plugins = a\npg_password = x\nsame = 1\n");
    let theirs = Conf::parse("plugins = a # c\npg_password = y\nsame = 1\nmore = 2\n");
    assert_eq!(ours.differs(&theirs).into_iter().collect::<Vec<_>>(), ["more", "pg_password"]);
}

#[test]
fn what_a_person_might_misread_is_told_with_its_line() {
    let conf = Conf::parse("plugins x\nPLUGINS = y\nrole = a\nrole = b\n[s]\nz = 1 \\\n");
    assert_eq!(
        conf.oddities(),
        [
            Oddity::NoAssignment { line: 1 },
            Oddity::LetterCase { line: 2, key: "plugins".to_owned() },
            Oddity::Repeated { line: 4, key: "role".to_owned() },
            Oddity::Section { line: 5 },
            Oddity::LostLine { line: 6 },
        ]
    );
}

#[test]
fn a_file_that_kong_cannot_read_is_told() {
    let oddities = |text: &str| Conf::parse(text).oddities();
    assert_eq!(oddities("a = 1\n[x\nb = 2\n"), [Oddity::Unreadable { line: 2 }]);
    assert_eq!(oddities("[]\n"), [Oddity::Unreadable { line: 1 }]);
    assert_eq!(oddities("[][x]\n"), [Oddity::Section { line: 1 }]);
}

#[test]
fn sizes_and_lists_are_worked_out_as_kong_does() {
    for (text, expected) in [
        ("a = 5 kB\n", "5"),
        ("a = 5 kB\r\n", "5 kB"),
        ("a = 5x 6 kB\n", "5x 6"),
        ("a = 0x1F_blank_\n", "31"),
        ("a = x # c_blank_\n", "x # c"),
    ] {
        assert_eq!(value(text, "a").as_deref(), Some(expected), "{text:?}");
    }
}

/// Files made of the pieces that matter, in any order.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"plugins = bundled".to_vec()),
        Just(b"plugins".to_vec()),
        Just(b"lua-package-path=/x/?.lua;;".to_vec()),
        Just(b"pg_password = p\\#\xff".to_vec()),
        Just(b" \\".to_vec()),
        Just(b"\\\n".to_vec()),
        Just(b" # c".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n[s]\n".to_vec()),
        Just(b"\n# plugins = no\n".to_vec()),
        Just(b"\nplugins = a, b\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        Just(b"=".to_vec()),
        Just(b"  ".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_kept_byte_for_byte(bytes in file()) {
        let conf = Conf::parse(bytes.clone());
        prop_assert_eq!(conf.bytes(), &bytes);
        let joined: Vec<u8> = conf.lines.iter().flat_map(|line| bytes[line.start..line.next].to_vec()).collect();
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn what_is_set_is_read_and_every_other_key_as_before(
        bytes in file(),
        value in "[a-z][a-z#,/?;. _-]{0,20}[a-z;]",
        key in prop_oneof![Just("plugins"), Just("lua_package_path"), Just("absent")],
    ) {
        prop_assume!(!value.contains("_blank_"));
        let conf = Conf::parse(bytes);
        match conf.set(key, &value) {
            Ok(edited) => {
                let after = Conf::parse(edited);
                prop_assert_eq!(after.text(key), Some(value));
                let changed = conf.differs(&after);
                prop_assert!(changed.iter().all(|changed| changed == key), "{:?}", changed);
            }
            // The one honest reason: a section of that very name, which the pieces cannot make, or random bytes that did.
            Err(error) => prop_assert!(matches!(error, EditError::Effect { .. }), "{}", error),
        }
    }

    #[test]
    fn comments_and_other_lines_survive_an_edit(bytes in file()) {
        let conf = Conf::parse(bytes);
        if let Ok(edited) = conf.set("plugins", "zzz") {
            let touched: Vec<usize> = conf.active("plugins").last().map(|last| last.lines.clone()).unwrap_or_default();
            let after = Conf::parse(edited);
            let kept: Vec<&[u8]> = after.lines.iter().map(|line| &after.bytes[line.start..line.end]).collect();
            for (at, line) in conf.lines.iter().enumerate().filter(|(at, _)| !touched.contains(at)) {
                let content = &conf.bytes[line.start..line.end];
                // A last line `\r` without `\n` becomes an empty line with `\r\n`: the same bytes, split elsewhere.
                let there = kept.contains(&content) || content.strip_suffix(b"\r").is_some_and(|bare| kept.contains(&bare));
                prop_assert!(there, "line {} is gone", at + 1);
            }
        }
    }

    #[test]
    fn unsetting_leaves_nothing_to_read(bytes in file()) {
        let conf = Conf::parse(bytes);
        if let Ok(edited) = conf.unset("plugins") {
            prop_assert!(Conf::parse(edited).get("plugins").is_none());
        }
    }
}

#[test]
fn only_lines_of_readable_keys_are_shown_and_of_them_no_comment() {
    let conf = Conf::parse(
        "# pg_password = old\n\nplugins = bundled, \\\n  acme # was s3cret\npg_password = s3cret\nlog_level=info\nodd line\n",
    );
    let shown = conf.shown();
    assert_eq!(shown[2].as_deref(), Some("plugins = bundled,   acme"));
    assert_eq!((shown[0].as_deref(), shown[1].as_deref(), shown[3].as_deref()), (None, Some(""), Some("\\")));
    assert_eq!((shown[4].as_deref(), shown[5].as_deref(), shown[6].as_deref()), (None, Some("log_level = info"), None));
    assert!(!shown.iter().flatten().any(|line| line.contains("s3cret") || line.contains("old")), "{shown:?}");
    assert_eq!(conf.secrets(), ["s3cret"]);
    assert_eq!(conf.raw_lines().count(), shown.len());
}
