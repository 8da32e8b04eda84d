use super::*;
use crate::name::NodePath;
use crate::wire::{Decoder, Item, Limits};

fn decoder(roots: &[&str]) -> SurveyDecoder {
    let path = |text: &str| NodePath::parse(text).unwrap();
    SurveyDecoder::new(SurveyRequest {
        conf: path("/k.conf"),
        prefix: path("/p"),
        lua_root: path("/l"),
        home: path("/h"),
        cli: None,
        roots: roots.iter().map(|root| BundlePath::parse(root).unwrap()).collect(),
    })
}

fn feed(decoder: &mut SurveyDecoder, lines: &str) -> Outcome {
    let text = format!("muster 1 n\n{lines}end n 10\n");
    for item in Decoder::new("n", Limits::default()).feed(text.as_bytes()).unwrap() {
        match item {
            Item::Record(record) => decoder.record(&record)?,
            Item::Blob { name, bytes } => decoder.blob(&name, bytes)?,
            Item::End(_) => {}
        }
    }
    Ok(())
}

const BEGIN: &str = "host m b 1 2 kong 5 0\ntools flock\nplace conf link 0 7 0\nplace prefix denied 0 - 0\n\
                     place lua-root directory 1 9 1 64 2 41c0 3 4 5 /real\nplace home absent 1 9 0\n";

fn facts(roots: &[&str], lines: &str) -> NodeFacts {
    let mut decoder = decoder(roots);
    feed(&mut decoder, &format!("{BEGIN}{lines}")).unwrap();
    decoder.finish().unwrap()
}

#[test]
fn places_keep_what_is_known_of_them() {
    let facts = facts(&[], "");
    assert_eq!((facts.conf.kind, facts.conf.free_kib, facts.conf.writable), (Kind::Link, Some(7), false));
    assert_eq!((facts.prefix.kind, facts.prefix.free_kib), (Kind::Denied, None));
    let root = facts.lua_root;
    assert_eq!((root.id, root.mode, root.owner, root.links), (Some((64, 2)), 0o700, (3, 4), 5));
    assert_eq!((root.mount, root.real.unwrap().as_str()), (true, "/real"));
    assert_eq!((facts.host.user, facts.host.proc_visible), (("kong".to_owned(), 5), false));
}

#[test]
fn a_root_on_another_filesystem_cannot_be_renamed_away() {
    let lines =
        "root 1 directory 64 9 0 %\nroot 2 directory 65 9 0 %\nroot 3 link 65 9 0 x\nroot 4 directory 64 9 1 %\n";
    let facts = facts(&["a", "b", "c", "d"], lines);
    let mounts: Vec<bool> = facts.roots.values().map(|root| root.mount).collect();
    assert_eq!(mounts, [false, true, false, true]);
}

#[test]
fn a_switched_link_counts_as_a_change_of_its_roots() {
    let digest = "b".repeat(64);
    let lines = format!(
        "root 1 link 64 9 0 /h/current/acme/kong/plugins/x\nroot 2 directory 64 9 0 %\n\
         current acme 77 ../releases/acme/{digest}\ncurrent odd%20one 78 x\ncurrent other 79 elsewhere\n"
    );
    let facts = facts(&["kong/plugins/x", "kong/plugins/y"], &lines);
    let newest: Vec<i64> = facts.roots.values().map(|root| root.newest).collect();
    assert_eq!(newest, [77, 9]);
    let current: Vec<_> = facts.current.iter().map(|(name, digest)| (name.as_str(), digest.as_str())).collect();
    assert_eq!(current, [("acme", digest.as_str())], "a link that leads to no release is none");
}

#[test]
fn names_that_look_the_same_when_cleaned_are_unknown() {
    let facts = facts(&["x"], "root 1 directory 64 9 0 %\nodd 81a4 1 - x/a%0A\nodd 81a4 1 - x/a%0D\n");
    let root = facts.roots.values().next().unwrap();
    assert!(root.cut && root.files.len() == 1);
}

#[test]
fn a_cut_is_of_one_root_or_of_all_that_are_there() {
    let roots = "root 1 directory 64 9 0 %\nroot 2 directory 64 9 0 %\nroot 3 absent\n";
    let cuts = |line: &str| -> Vec<bool> {
        facts(&["a", "b", "c"], &format!("{roots}{line}")).roots.values().map(|root| root.cut).collect()
    };
    assert_eq!(cuts(""), [false, false, false]);
    assert_eq!(cuts("cut 2\n"), [false, true, false]);
    assert_eq!(cuts("cut 0\n"), [true, true, false]);
}

#[test]
fn overlapping_roots_both_get_their_file() {
    let facts = facts(&["a", "a/b"], "root 1 directory 64 9 0 %\nroot 2 directory 64 9 0 %\nfile 81a4 5 a/b/c\n");
    let files: Vec<_> = facts.roots.values().map(|root| root.files.keys().next().unwrap().as_str()).collect();
    assert_eq!(files, ["b/c", "c"]);
}

#[test]
fn what_a_configuration_manager_writes_is_found_in_comments_only() {
    assert_eq!(
        managed_by(b"a = 1\n  # Ansible managed: do NOT edit\n").as_deref(),
        Some("# Ansible managed: do NOT edit")
    );
    assert_eq!(managed_by(b"name = managed by me\n#plain\n"), None);
    assert_eq!(managed_by(&[b"# managed by ".to_vec(), vec![b'x'; 500]].concat()).unwrap().len(), 120);
}

#[test]
fn a_flood_is_an_error_and_not_a_heap() {
    let mut flood = decoder(&[]);
    let lines = "release a b\n".repeat(1000);
    let result = (0..300).try_for_each(|_| feed(&mut flood, &lines));
    assert_eq!(result, Err(SurveyError::Flood("record")));
}

#[test]
fn arguments_name_every_root() {
    let args = decoder(&["a", "b c"]).request.args().unwrap();
    assert_eq!((args.get("root_2"), args.get("root_n"), args.get("cli")), (Some("b c"), Some("2"), None));
}

#[test]
fn files_in_one_block_are_told_apart_by_their_lengths_and_by_what_is_between_them() {
    let host = "host m B 1 1 root 0 1\n";
    let told = |parts: &str, block: &str| {
        let mut decoder = decoder(&[]);
        let text = format!("{host}{parts}blob parts {}\n{block}", block.len());
        feed(&mut decoder, &text).map(|()| decoder)
    };
    let parts = "part env 4\npart conf 3\n";
    let decoder = told(parts, "a=b\nB\nB\nx\0yB\nB\n").unwrap();
    assert_eq!((decoder.env.as_deref(), decoder.conf.as_deref()), (Some(&b"a=b\n"[..]), Some(&b"x\0y"[..])));
    let torn = [
        ("part env 4\npart conf 3\n", "a=b\nx\0yB\nB\nB\nB\n"),
        ("part env 4\npart conf 99999999999\n", "a=b\nB\nB\nx\0yB\nB\n"),
        ("part env 4\n", "a=b\nB\nB\nmore"),
        ("part parts 4\n", "a=b\nB\nB\n"),
    ];
    for (parts, block) in torn {
        assert!(matches!(told(parts, block), Err(SurveyError::Torn(_))), "{parts}");
    }
    assert_eq!(
        told("part secret 1\n", "xB\nB\n").err().map(|e| e.to_string()).unwrap(),
        "the survey tells of a block that was not asked for: secret"
    );
    assert!(matches!(feed(&mut SurveyDecoder::new(decoder.request), "blob parts 0\n"), Err(SurveyError::Missing(_))));
}

#[test]
fn what_a_guard_saved_counts_only_where_the_guard_is_dead_and_nothing_was_confirmed() {
    for (guard, undoes) in
        [("armed x.1 5 0", true), ("fired x.1 5 0", true), ("armed x.1 5 1", false), ("confirmed x.1 5 0", false)]
    {
        let facts = facts(&[], &format!("guard {guard}\nblob env 6\na = 1\nblob saved 6\na = 2\n"));
        let wanted: &[u8] = if undoes { b"a = 2\n" } else { b"a = 1\n" };
        assert_eq!((facts.undoes, facts.env_file.unwrap().open().bytes()), (undoes, wanted), "{guard}");
    }
    assert!(!facts(&[], "blob saved 6\na = 2\n").undoes, "there is no guard");
    assert_eq!(facts(&[], "orphan 7 8 1\norphan 9 9 0\n").orphans.len(), 2);
}
