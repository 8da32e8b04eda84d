use super::*;
use crate::name::{NodePath, Shared};
use crate::survey::{AdminFacts, SurveyDecoder, SurveyRequest};
use crate::wire::{Decoder, Item, Limits};

const INVENTORY: &str = "version: 1\nowner: edge\ndefaults: { become: sudo, kong: { conf: /k.conf, prefix: /p, lua_root: /l, home: /h } }\n\
    clusters:\n  eu:\n    topology: traditional\n    nodes: [eu-1]\n    plugins: { acme: { state: present, files: external } }\n";
/// A moment that the node and this machine agree about.
const NOW: i64 = 1_795_159_045;

/// What a node in order says, with this kong.conf and `.kong_env`.
fn lines(conf: &str, env: &str) -> String {
    format!(
        "host m b {NOW} 500 root 0 1\ntools flock setsid systemd-run\nplace conf file 1 1048576 0 64 5 81a4 0 0 1 /k.conf\n\
         place prefix directory 1 1048576 0 64 6 41ed 0 0 2 /p\nplace lua-root directory 1 1048576 0 64 7 41ed 0 0 2 /l\n\
         place home directory 1 1048576 0 64 8 41ed 0 0 2 /h\nmaster 10 100 0 0 65536 1 /\nworker 11 200 live\nenv 81a0 0 0\n\
         blob env {}\n{env}blob conf {}\n{conf}",
        env.len(),
        conf.len()
    )
}

fn healthy() -> String {
    lines("plugins = bundled,acme\n", "plugins = bundled,acme\nlua_package_path = /l/?.lua;/l/?/init.lua;;\n")
}

fn decoded(said: &str) -> NodeFacts {
    let path = |text: &str| NodePath::parse(text).unwrap();
    let mut decoder = SurveyDecoder::new(SurveyRequest {
        conf: path("/k.conf"),
        prefix: path("/p"),
        lua_root: path("/l"),
        home: path("/h"),
        cli: None,
        roots: BTreeSet::new(),
    });
    let text = format!("muster 1 n\n{said}end n 10\n");
    for item in Decoder::new("n", Limits::default()).feed(text.as_bytes()).unwrap() {
        match item {
            Item::Record(record) => decoder.record(&record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
            Item::End(_) => {}
        }
    }
    let mut facts = decoder.finish().unwrap();
    let plugins = ["bundled", "acme"].map(str::to_owned).to_vec();
    facts.admin = Ok(AdminFacts {
        version: "3.9.1".to_owned(),
        plugins: Shared::from(plugins),
        master: Some(10),
        ..AdminFacts::default()
    });
    facts.ready = Some(200);
    facts
}

fn examined_with(seen: &NodeSurvey, least_kib: u64) -> Examined {
    let inventory = crate::inventory::parse("inventory.yaml", INVENTORY.as_bytes()).unwrap();
    let cluster = inventory.clusters.values().next().unwrap();
    let asked = (Timestamp::from_second(NOW - 1).unwrap(), Timestamp::from_second(NOW + 2).unwrap());
    examine(cluster, cluster.nodes.values().next().unwrap(), seen, Measure { least_kib, asked })
}

fn examined(facts: NodeFacts) -> Examined {
    examined_with(&NodeSurvey::Seen(facts.into()), 1 << 10)
}

#[track_caller]
fn assert_check(examined: &Examined, topic: Topic, standing: Standing, words: &[&str]) {
    let check = &examined.checks.iter().find(|(of, _)| *of == topic).unwrap().1;
    let fixes: Vec<String> = check.fixes.iter().map(ToString::to_string).collect();
    let text = format!("{}\n{}", check.found, fixes.join("\n"));
    assert_eq!(check.standing, standing, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    assert_eq!(standing == Standing::Wrong, !check.fixes.is_empty(), "what is wrong has a fix: {text}");
}

#[test]
fn a_node_in_order_is_well_in_every_topic() {
    let found = examined(decoded(&healthy()));
    for (topic, check) in &found.checks {
        assert_eq!(check.standing, Standing::Well, "{topic:?}: {check:?}");
    }
    assert_eq!(found.checks.iter().map(|(topic, _)| *topic).collect::<Vec<_>>(), Topic::ALL);
    assert_check(&found, Topic::Kong, Standing::Well, &["3.9.1", "traditional"]);
    assert_check(&found, Topic::From, Standing::Well, &["/k.conf", "bundled,acme"]);
}

#[test]
fn each_line_of_a_node_that_is_not_as_it_should_be_is_found_where_it_belongs() {
    let skewed = format!("host m b {}", NOW + 63);
    let behind = format!("host m b {}", NOW - 3601);
    for (from, to, topic, standing, words) in [
        (
            "root 0 1\n",
            "deploy 1000 1\n",
            Topic::Sudo,
            Standing::Wrong,
            &["uid 0", "deploy ALL=(root) NOPASSWD: /bin/sh"][..],
        ),
        ("place home directory 1", "place home directory 0", Topic::Sudo, Standing::Wrong, &["cannot write /h"]),
        ("65536 1 /", "65536 0 /", Topic::Kong, Standing::Unknown, &["a reload is under way"]),
        ("place conf file 1", "place conf file 0", Topic::From, Standing::Wrong, &["/k.conf cannot be written"]),
        ("tools flock setsid", "tools flock", Topic::Load, Standing::Wrong, &["no setsid", "util-linux"]),
        ("root 0 1\n", "root 0 0\n", Topic::Load, Standing::Wrong, &["hidepid"]),
        (&format!("host m b {NOW}"), &skewed, Topic::Clock, Standing::Wrong, &["61 s ahead of"]),
        (&format!("host m b {NOW}"), &behind, Topic::Clock, Standing::Wrong, &["3600 s behind"]),
        (
            "place home directory 1 1048576",
            "place home directory 1 900",
            Topic::Space,
            Standing::Wrong,
            &["0 MiB", "/h"],
        ),
        ("env 81a0 0 0", "env 81a4 0 0", Topic::Env, Standing::Wrong, &["everybody", "chmod 0640 /p/.kong_env"]),
        (
            "10 100 0 0",
            "10 100 1000 1000",
            Topic::Env,
            Standing::Wrong,
            &["0640", "uid 1000", "chown 1000:1000", "env-unreadable"],
        ),
        ("10 100 0 0 65536", "10 100 0 0 1024", Topic::Files, Standing::Wrong, &["1024", "4096", "LimitNOFILE"]),
        ("env 81a0", "guard armed x.1 5 1\nenv 81a0", Topic::Lock, Standing::Wrong, &["guard of step x.1", "wait"]),
        ("env 81a0", "guard armed x.1 5 0\nenv 81a0", Topic::Lock, Standing::Wrong, &["process is gone"]),
        ("env 81a0", "no-blob lease unreadable\nenv 81a0", Topic::Lock, Standing::Unknown, &["cannot be read"]),
        ("env 81a0", "logind 1\nenv 81a0", Topic::Kill, Standing::Well, &["unit of its own"]),
        ("systemd-run", "curl\nlogind 1", Topic::Kill, Standing::Wrong, &["KillUserProcesses=no"]),
    ] {
        let said = healthy().replacen(from, to, 1);
        assert_ne!(said, healthy(), "{from}");
        assert_check(&examined(decoded(&said)), topic, standing, words);
    }
}

#[test]
fn where_the_directive_comes_from_is_told_and_what_disagrees() {
    let path = "lua_package_path = /l/?.lua;/l/?/init.lua;;\n";
    for (conf, env, standing, words) in [
        ("", format!("plugins = bundled\n{path}"), Standing::Well, &["Kong's default"][..]),
        ("plugins = bundled\n", format!("plugins = bundled,acme\n{path}"), Standing::Well, &["/k.conf"]),
        (
            "plugins = bundled\n",
            format!("plugins = bundled,foo\n{path}"),
            Standing::Wrong,
            &["KONG_PLUGINS", "bundled,foo"],
        ),
        (
            "# managed by Puppet\n",
            format!("plugins = bundled\n{path}"),
            Standing::Wrong,
            &["Puppet", "managed-conf=eu-1"],
        ),
        ("plugins = bundled,,x\n", format!("plugins = bundled\n{path}"), Standing::Wrong, &["/k.conf on eu-1"]),
    ] {
        let mut facts = decoded(&lines(conf, &env));
        let running = facts.env_file.as_ref().unwrap().open().get("plugins").unwrap();
        facts.admin.as_mut().unwrap().plugins = running.split(',').map(str::to_owned).collect::<Vec<_>>().into();
        assert_check(&examined(facts), Topic::From, standing, words);
    }
    let mut facts = decoded(&healthy());
    facts.admin.as_mut().unwrap().plugins = vec!["bundled".to_owned(), "old".to_owned()].into();
    assert_check(&examined(facts), Topic::From, Standing::Wrong, &["never loaded", "pending-settings=eu-1"]);
}

#[test]
fn settings_that_could_not_be_read_leave_what_depends_on_them_unknown() {
    let mut facts = decoded(&healthy());
    facts.env_file = None;
    let found = examined(facts);
    assert_check(&found, Topic::Env, Standing::Unknown, &["0640", "could not be read"]);
    assert_check(&found, Topic::From, Standing::Unknown, &["/k.conf says bundled,acme"]);
}

#[test]
fn a_lua_root_that_kong_does_not_reach_is_said_with_the_line_to_write() {
    let facts = decoded(&lines("plugins = bundled\n", "plugins = bundled\nlua_package_path = /l/?.lua;;\n"));
    let words = ["/l/?/init.lua", "lua_package_path = /l/?.lua;/l/?/init.lua;;"];
    assert_check(&examined(facts), Topic::Load, Standing::Wrong, &words);
}

#[test]
fn kong_that_is_not_ready_old_or_stopped_is_said() {
    let with = |change: fn(&mut NodeFacts)| {
        let mut facts = decoded(&healthy());
        change(&mut facts);
        examined(facts)
    };
    let found = with(|facts| facts.ready = Some(503));
    assert_check(&found, Topic::Kong, Standing::Wrong, &["503", "docs/errors/not-ready.md"]);
    let found = with(|facts| {
        facts.ready = Some(503);
        facts.admin.as_mut().unwrap().workers = None;
    });
    assert_check(&found, Topic::Kong, Standing::Wrong, &["503 since a reload that failed", "mend it, and reload"]);
    let found = with(|facts| facts.admin.as_mut().unwrap().version = "2.8.5".to_owned());
    assert_check(&found, Topic::Kong, Standing::Wrong, &["2.8.5", "changes nothing"]);
    let found = with(|facts| {
        facts.master = None;
        let text = "Kong does not run".to_owned();
        facts.admin = Err(Trouble { code: Trouble::NOT_RUNNING.to_owned(), text, hints: Vec::new() });
    });
    assert_check(&found, Topic::Kong, Standing::Wrong, &["does not run in /p"]);
    assert_check(&found, Topic::Api, Standing::Unknown, &["does not run"]);
    let found = with(|facts| facts.admin.as_mut().unwrap().master = Some(77));
    assert_check(&found, Topic::Api, Standing::Wrong, &["its master is 77"]);
}

#[test]
fn the_way_in_and_sudo_are_told_apart_and_the_rest_is_unknown() {
    let refused = |code: &str| {
        let hints = vec![Hint::do_("do that")];
        NodeSurvey::Refused(Trouble { code: code.to_owned(), text: "it said no".to_owned(), hints })
    };
    let found = examined_with(&refused("sudo-refused"), 0);
    assert_check(&found, Topic::Ssh, Standing::Well, &["accepted"]);
    assert_check(&found, Topic::Sudo, Standing::Wrong, &["it said no", "do that"]);
    assert_check(&found, Topic::Lock, Standing::Unknown, &[]);
    assert!(!found.seen);
    let found = examined_with(&refused("login-refused"), 0);
    assert_check(&found, Topic::Ssh, Standing::Wrong, &["it said no"]);
    assert_check(&found, Topic::Sudo, Standing::Unknown, &[]);
    assert_eq!(examined_with(&refused("login-withheld"), 0).standing(), Standing::Unknown);
}
