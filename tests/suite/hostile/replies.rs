//! Answers to a survey that are made to do harm: each is a clear error or harmless, nothing panics, nothing raw is kept.

use std::collections::BTreeSet;

use muster::name::{BundlePath, NodePath};
use muster::survey::{NodeFacts, SurveyDecoder, SurveyRequest};
use muster::wire::{Decoder, Item, Limits};

const HOST: &str = "host m b 1700000000 100 root 0 1\ntools flock perl mv-t\n";
const PLACES: &str = "place conf file 1 100 0 1 2 81a4 0 0 1 /k.conf\nplace prefix directory 1 100 0 1 3 41ed 0 0 2 /p\n\
                      place lua-root directory 1 100 0 1 4 41ed 0 0 2 /l\nplace home absent 1 100 0\n";
const ROOT: &str = "root 1 directory 1 1700000000 0 %\n";

fn request() -> SurveyRequest {
    let path = |text: &str| NodePath::parse(text).unwrap();
    SurveyRequest {
        conf: path("/k.conf"),
        prefix: path("/p"),
        lua_root: path("/l"),
        home: path("/h"),
        cli: None,
        roots: BTreeSet::from([BundlePath::parse("kong/plugins/x").unwrap()]),
    }
}

/// Reads an answer as muster does; any error as its text.
fn read(answer: &[u8]) -> Result<NodeFacts, String> {
    let mut decoder = Decoder::new("n0", Limits { total: 4 << 20, ..Limits::default() });
    let mut survey = SurveyDecoder::new(request());
    for piece in answer.chunks(1000) {
        for item in decoder.feed(piece).map_err(|e| e.to_string())? {
            match item {
                Item::Record(record) => survey.record(&record).map_err(|e| e.to_string())?,
                Item::Blob { name, bytes } => survey.blob(&name, bytes).map_err(|e| e.to_string())?,
                Item::End(_) => {}
            }
        }
    }
    if !decoder.ended() {
        return Err("the answer has no end".to_owned());
    }
    survey.finish().map_err(|e| e.to_string())
}

fn reply(body: &str) -> Vec<u8> {
    format!("Last login: today\nmuster 1 n0\n{body}end n0 10\n").into_bytes()
}

fn good(more: &str) -> Vec<u8> {
    reply(&format!("{HOST}{PLACES}{ROOT}{more}"))
}

#[test]
fn the_good_reply_that_the_others_are_made_of_is_read() {
    let sum = "a".repeat(64);
    let facts =
        read(&good(&format!("file 81a4 1700000001 kong/plugins/x/h.lua\nsum {sum} kong/plugins/x/h.lua\n"))).unwrap();
    let root = facts.roots.values().next().unwrap();
    assert_eq!(root.files["h.lua"].digest.as_ref().unwrap().as_str(), sum);
    assert_eq!((root.newest, root.files["h.lua"].mode), (1_700_000_001, 0o644));
    assert_eq!(facts.admin.err().unwrap().code, "not-asked");
}

#[test]
fn twenty_replies_made_to_do_harm_are_clear_errors() {
    let sum = "a".repeat(64);
    let file = "file 81a4 1 kong/plugins/x/h.lua\n";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("raw escape", reply("\x1b]0;owned\x07\n"), "not a record"),
        ("raw bytes", [&b"muster 1 n0\n"[..], b"host \xff\xfe\n"].concat(), "not a record"),
        ("unknown record", good("owned 1\n"), "not known here: owned"),
        ("upper case", good("HOST x\n"), "not a record"),
        ("broken escape", good("log %zz 1 1\n"), "not a record"),
        ("blob longer than all", good("blob conf 99999999999\n"), "impossible length"),
        ("blob of negative length", good("blob conf -5\n"), "impossible length"),
        ("blob that swallows the end", good("blob conf 100\n"), "no end"),
        ("blob not asked for", good("blob /etc/shadow 3\nabc"), "not asked for: /etc/shadow"),
        ("blob twice", good("blob conf 1\nablob conf 1\nb"), "twice"),
        ("another nonce", foreign(&reply(HOST)), "not one to this call"),
        ("more behind the end", [good(""), b"more\n".to_vec()].concat(), "after the end"),
        ("no end", format!("muster 1 n0\n{HOST}").into_bytes(), "no end"),
        ("endless noise", b"x".repeat(1 << 20), "before the answer began"),
        ("endless line", good(&"a".repeat(1 << 20)), "longer than"),
        ("endless records", good(&"worker 1 1 live\n".repeat(400_000)), "sensible master"),
        ("endless answer", good(&"tool\n".repeat(2_000_000)), "not known here: tool"),
        ("root not asked for", good("root 7 absent\n"), "not asked for: 7"),
        ("root number zero", good("root 0 absent\n"), "not asked for: 0"),
        ("root twice", good(ROOT), "twice"),
        ("file outside", good("file 81a4 1 kong/plugins/x/../../../etc/passwd\n"), "not asked for"),
        ("file of another root", good("file 81a4 1 kong/plugins/xy/h.lua\n"), "not asked for"),
        ("absolute file", good("file 81a4 1 /etc/passwd\n"), "not asked for"),
        ("file twice", good(&format!("{file}{file}")), "twice"),
        ("sum without file", good(&format!("sum {sum} kong/plugins/x/h.lua\n")), "file before it"),
        ("sum that is none", good(&format!("{file}sum ABC kong/plugins/x/h.lua\n")), "sensible digest"),
        (
            "sum twice",
            good(&format!("{file}sum {sum} kong/plugins/x/h.lua\nsum {sum} kong/plugins/x/h.lua\n")),
            "twice",
        ),
        ("mode that is none", good("file rwxr 1 kong/plugins/x/h.lua\n"), "sensible mode"),
        ("host twice", good(HOST), "twice"),
        ("no host", reply(&format!("{PLACES}{ROOT}")), "nothing of the host"),
        ("no root", reply(&format!("{HOST}{PLACES}")), "nothing of the root kong/plugins/x"),
        ("no places", reply(&format!("{HOST}{ROOT}")), "nothing of"),
        ("place twice", good(PLACES), "twice"),
        ("place not asked for", good("place %2Fetc file 1 1 0\n"), "sensible name"),
        ("number with a sign", good("master -1 1 0 0 1 1\n"), "sensible pid"),
        ("number too big", good("master 99999999999999999999 1 0 0 1 1\n"), "sensible pid"),
        ("flag that is none", good("master 1 1 0 0 1 maybe\n"), "sensible state"),
        ("worker of no master", good("worker 1 1 live\n"), "sensible master"),
        ("escape in a complaint", good("problem %1B%5B2J%0Aowned\n"), "?[2J?owned"),
    ];
    assert!(cases.len() >= 20);
    for (name, bytes, wanted) in cases {
        let error = read(&bytes).err().unwrap_or_else(|| panic!("{name}: it was believed"));
        assert!(error.contains(wanted), "{name}: {error:?} does not say {wanted:?}");
        assert!(!error.chars().any(char::is_control), "{name}: raw {error:?}");
        assert!(error.len() < 400, "{name}: {} bytes of error", error.len());
    }
}

#[test]
fn control_characters_in_what_is_kept_are_gone() {
    let esc = "%1B%5B31m%07%0A";
    let body = format!(
        "host m{esc} b{esc} 1 1 root{esc} 0 1\ntools x{esc}\n{PLACES}root 1 link 1 1 0 t{esc}\n\
         odd 81a4 1 - kong/plugins/x/n{esc}\ninstalled 3{esc}\nrock r{esc} 1{esc}\nrock-file f{esc}\n\
         guard armed{esc} s{esc} 1 0\nlog /l{esc} 1 1\nblob conf 21\n# managed by \x1b[2J me\n"
    );
    let facts = read(&reply(&body)).unwrap();
    let root = facts.roots.values().next().unwrap();
    let guard = facts.guard.unwrap();
    let kept = [
        facts.host.machine,
        facts.host.boot,
        facts.host.user.0,
        facts.host.tools.into_iter().collect(),
        root.target.as_deref().unwrap().to_owned(),
        root.files.keys().cloned().collect(),
        facts.installed_version.unwrap(),
        facts.rocks[0].name.clone() + &facts.rocks[0].version,
        facts.rocks[0].files.iter().cloned().collect(),
        guard.state + &guard.step,
        facts.conf_managed.unwrap(),
    ];
    for text in kept {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
    // A path that cannot be a path of ours is none.
    assert_eq!(facts.log.path, None);
}

#[test]
fn files_that_the_node_would_have_us_read_as_ours_are_judged_not_believed() {
    let with = |name: &str, text: &str| read(&good(&format!("blob {name} {}\n{text}", text.len()))).unwrap();
    assert!(with("manifest", "muster-manifest 1\nowns ../x y z\n").manifest.unwrap().is_err());
    assert!(with("manifest", "\x1b[2J").manifest.unwrap().unwrap_err().starts_with("its first line is not"));
    assert!(with("lease", "muster-lease 1\ngeneration 18446744073709551616\n").lease.unwrap().is_err());
    assert!(with("receipt.x", "muster-receipt 1\nrun ../../x\nstep 1\n").receipts.is_empty());
}

/// The same with the end of another call.
fn foreign(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace("end n0", "end n1").into_bytes()
}
