use super::*;
use crate::bundle::{Bundle, SourceEntry};
use crate::diff::diff;
use crate::name::BundleName;
use crate::survey::{SurveyDecoder, SurveyRequest};
use crate::wire::{Decoder, Item as Piece, Limits};

const INVENTORY: &str = "
version: 1
owner: edge
bundles:
  acme: { dir: plugins/acme }
clusters:
  eu:
    topology: traditional
    nodes: [eu-1, eu-2]
    plugins: { acme: present, geo: { state: present, files: external } }
";

fn bundle(files: &[(&str, &str)]) -> Bundle {
    let entries = files.iter().map(|(path, text)| SourceEntry::file(path.as_bytes(), text.as_bytes()));
    Bundle::from_files(BundleName::parse("acme").unwrap(), entries).unwrap()
}

fn acme() -> Bundle {
    let handler = "return { VERSION = '1.0.0', PRIORITY = 1 }\n";
    let schema = "return { name = 'acme', fields = {} }\n";
    bundle(&[("handler.lua", handler), ("schema.lua", schema), ("lib/x.lua", "return 1\n")])
}

/// A node with these records beside those that every survey has.
fn facts(records: &str) -> NodeFacts {
    let path = |text: &str| NodePath::parse(text).unwrap();
    let mut decoder = SurveyDecoder::new(SurveyRequest {
        conf: path("/etc/kong/kong.conf"),
        prefix: path("/usr/local/kong"),
        lua_root: path("/lua"),
        home: path("/home"),
        cli: None,
        roots: ["kong/plugins/acme", "kong/plugins/geo"].map(|root| BundlePath::parse(root).unwrap()).into(),
    });
    let conf = "# pg_password = 0ld-pass\nlog_level = info\npg_password = s3cret\nplugins = bundled, acme\n";
    let env = "plugins=bundled,acme\nlog_level=notice\npg_password=s3cret\n";
    let text = format!(
        "muster 1 n\nhost abc boot-1 1700000100 50 deploy 1001 1\ntools flock perl\n\
         place conf file 1 2048 0 64 2 81a4 0 997 1 /etc/kong/kong.conf\nplace prefix directory 0 2048 0 64 3 41ed 997 997 2 /opt/kong\n\
         place lua-root directory 1 9000 0 64 4 41ed 0 0 2 /lua\nplace home absent 1 9 0\n\
         {records}blob conf {}\n{conf}blob env {}\n{env}end n 10\n",
        conf.len(),
        env.len()
    );
    for piece in Decoder::new("n", Limits::default()).feed(text.as_bytes()).unwrap() {
        match piece {
            Piece::Record(record) => decoder.record(&record).unwrap(),
            Piece::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
            Piece::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn inspected(facts: NodeFacts) -> (Inspection, Inspection) {
    inspected_with(facts, |_| {})
}

/// The same of a survey that was changed like this.
fn inspected_with(facts: NodeFacts, change: impl FnOnce(&mut Survey)) -> (Inspection, Inspection) {
    let inventory = crate::inventory::parse("inventory.yaml", INVENTORY.as_bytes()).unwrap();
    let bundles: Bundles = [((BundleName::parse("acme").unwrap(), None), std::sync::Arc::new(acme()))].into();
    let name = |name: &str| NodeName::parse(name).unwrap();
    let trouble = crate::survey::Trouble {
        code: "timed-out".to_owned(),
        text: "connection timed out".to_owned(),
        hints: vec![Hint::type_("ssh eu-2 true")],
    };
    let mut survey = Survey {
        at: jiff::Timestamp::from_second(1_700_000_097).unwrap(),
        nodes: [
            (name("eu-1"), NodeSurvey::Seen(std::sync::Arc::new(facts))),
            (name("eu-2"), NodeSurvey::Unreachable(trouble)),
        ]
        .into(),
        ..Survey::default()
    };
    change(&mut survey);
    let fleet = diff(&inventory, &bundles, &survey);
    let of =
        |node: &str| inspect(&inventory, &bundles, &survey, fleet.node(&name(node)).unwrap(), &name(node)).unwrap();
    assert!(inspect(&inventory, &bundles, &survey, fleet.node(&name("eu-1")).unwrap(), &name("us-1")).is_none());
    (of("eu-1"), of("eu-2"))
}

fn edited() -> NodeFacts {
    let acme = acme();
    let digest = |path: &str| acme.files[&BundlePath::parse(path).unwrap()].sha256().to_string();
    let other = "f".repeat(64);
    facts(&format!(
        "root 1 directory 64 9 0 %\nroot 2 directory 64 9 0 %\n\
         file 81a4 9 kong/plugins/acme/handler.lua\nfile 81a4 9 kong/plugins/acme/schema.lua\nfile 81a4 9 kong/plugins/acme/more.lua\n\
         file 11a4 9 kong/plugins/acme/pipe\nfile 81a4 9 kong/plugins/geo/handler.lua\n\
         sum {other} kong/plugins/acme/handler.lua\nsum {} kong/plugins/acme/schema.lua\nsum {other} kong/plugins/acme/more.lua\n\
         sum {other} kong/plugins/geo/handler.lua\n",
        digest("kong/plugins/acme/schema.lua")
    ))
}

#[test]
fn each_file_of_bundle_and_node_has_its_state() {
    let (seen, _) = inspected(edited());
    let acme = seen.plugins.iter().find(|plugin| plugin.name == "acme").unwrap();
    let states: Vec<(&str, char)> =
        acme.files.iter().map(|file| (file.path.rsplit('/').next().unwrap(), file.state.sign())).collect();
    assert_eq!(states, [("handler.lua", '~'), ("x.lua", '-'), ("more.lua", '+'), ("pipe", '+'), ("schema.lua", '=')]);
    assert!(acme.differs());
    assert_eq!(acme.files[3].kind, Some("no regular file"));
    let geo = seen.plugins.iter().find(|plugin| plugin.name == "geo").unwrap();
    assert_eq!(
        geo.files.iter().map(|file| file.state.sign()).collect::<String>(),
        "=",
        "of others it is known that it is there"
    );
}

#[test]
fn of_a_node_that_was_not_seen_every_file_is_unknown_and_what_to_do_is_said() {
    let (_, unseen) = inspected(edited());
    assert_eq!((unseen.state, unseen.facts.len()), (('?', "unknown"), 0));
    assert!(unseen.plugins[0].files.iter().all(|file| file.state == Mark::Unknown));
    assert_eq!((unseen.remarks[0].as_str(), unseen.hints.len()), ("connection timed out", 1));
}

#[test]
fn no_secret_is_in_what_is_known_of_a_node() {
    let (seen, _) = inspected(edited());
    let json = serde_json::to_string(&seen).unwrap();
    assert!(!json.contains("s3cret") && !json.contains("0ld-pass") && json.contains("log_level"), "{json}");
}

#[test]
fn a_setting_says_where_it_stands_and_where_places_disagree() {
    let (seen, _) = inspected(edited());
    let of = |name: &str| -> Vec<(&str, &str, bool)> {
        let facts = seen.facts.iter().filter(|fact| fact.group == "settings" && fact.name == name);
        facts.map(|fact| (fact.value.as_str(), fact.source.as_str(), fact.odd)).collect()
    };
    assert_eq!(of("plugins"), [("bundled, acme", "kong.conf, line 4; .kong_env", false)], "blanks make no difference");
    assert_eq!(of("log_level"), [("info", "kong.conf, line 2", true), ("notice", ".kong_env", true)]);
    assert_eq!(of("database"), [("postgres", "Kong's default, as no place sets it", false)]);
    assert!(of("pg_password").is_empty());
}

#[test]
fn releases_before_the_search_path_are_no_disagreement() {
    let mut values = vec![
        ("/lua/?.lua;;".to_owned(), vec![".kong_env".to_owned()]),
        ("/home/releases/a/?.lua;/lua/?.lua;;".to_owned(), vec!["workers".to_owned()]),
    ];
    facts::staged(&mut values);
    assert_eq!(values[1].1.len(), 2);
    let mut other = vec![values[0].clone(), ("/else/?.lua".to_owned(), vec!["workers".to_owned()])];
    facts::staged(&mut other);
    assert_eq!(other[1].1.len(), 1);
}

#[test]
fn the_machine_and_the_places_are_told_with_their_sources() {
    let (seen, _) = inspected(edited());
    let of = |name: &str| seen.facts.iter().rfind(|fact| fact.name == name).unwrap();
    assert_eq!(of("clock").value, "2023-11-14 22:15:00 UTC, 3 s after the look began");
    assert!(!of("clock").odd);
    assert_eq!(
        of("prefix").value,
        "/usr/local/kong, really /opt/kong, mode 755, owner 997:997, not writable for the login, 2 MiB free"
    );
    assert!(of("prefix").odd && of("error log").odd);
    assert_eq!((of("muster's home").value.as_str(), of("muster's home").odd), ("/home, not there", false));
    assert!(seen.facts.iter().all(|fact| !fact.source.is_empty()));
}

#[test]
fn a_clock_that_is_off_is_one_to_look_at() {
    let mut seen = edited();
    for (clock, odd) in [(1_700_000_100, false), (1_700_009_000, true), (1_600_000_000, true)] {
        seen.host.clock = clock;
        let kong = crate::inventory::parse("i", INVENTORY.as_bytes()).unwrap();
        let kong = &kong.nodes().next().unwrap().kong;
        let all = facts::of(kong, &seen, 1_700_000_097);
        assert_eq!(all.iter().find(|fact| fact.name == "clock").unwrap().odd, odd, "{clock}");
    }
}

#[test]
fn a_node_that_was_not_looked_at_again_keeps_its_own_look_and_a_clock_that_is_right() {
    let mut seen = edited();
    seen.host.clock = 1_700_000_100;
    let time = |second| jiff::Timestamp::from_second(second).unwrap();
    // Only eu-2 was looked at again, a minute later.
    let (kept, again) = inspected_with(seen, |survey| {
        survey.at = time(1_700_000_160);
        survey.earlier.insert(NodeName::parse("eu-1").unwrap(), time(1_700_000_097));
    });
    assert_eq!((kept.looked, again.looked), (time(1_700_000_097), time(1_700_000_160)));
    let clock = kept.facts.iter().find(|fact| fact.name == "clock").unwrap();
    assert!(!clock.odd && clock.value.ends_with(", 3 s after the look began"), "{}", clock.value);
}

#[test]
fn the_files_of_what_is_to_be_absent_are_those_that_are_there() {
    let files = FilesDiff { files: [("a".to_owned(), FileDrift::Missing)].into(), ..FilesDiff::default() };
    assert_eq!(mark(&files, "a", false, false), Mark::Absent);
    assert_eq!((mark(&files, "b", false, true), mark(&files, "a", true, false)), (Mark::Extra, Mark::Missing));
}

#[test]
fn a_receipt_is_told_in_words() {
    let text = "muster-receipt 1\nrun 01ARZ3NDEKTSV4RRFFQ69G5FAV\nstep 3\nintent link acme\ndid link acme\n";
    let open = ReceiptFacts::of(&Receipt::parse(text).unwrap());
    assert_eq!(
        (open.words().as_str(), open.did.as_slice()),
        ("open: no end was written", &["link acme".to_owned()][..])
    );
    assert_eq!(open.at.strftime("%Y").to_string(), "2016");
    for (result, words) in [
        ("changed", "changed, and proven where something was reloaded"),
        ("undone proved", "put back, and proven to serve as before"),
        ("undone unproved", "put back: unproved"),
        ("interrupted", "interrupted"),
    ] {
        let receipt = Receipt::parse(&format!("{text}result {result}\n")).unwrap();
        assert_eq!(ReceiptFacts::of(&receipt).words(), words);
    }
}
