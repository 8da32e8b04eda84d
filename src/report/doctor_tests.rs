use insta::assert_snapshot;

use super::*;
use crate::hint::Hint;
use crate::name::ClusterName;

fn node(name: &str, cluster: &str, change: impl Fn(Topic, &mut Check)) -> Examined {
    let check = |topic: Topic| {
        let mut check = Check::well(match topic {
            Topic::Kong => "Kong 3.9.1, traditional".to_owned(),
            Topic::From => "plugins comes from /etc/kong/kong.conf: bundled,acme-auth".to_owned(),
            Topic::Load => "`kong reload` with what it runs with and our lines".to_owned(),
            Topic::Api => "it answers: 46 plugins loaded, 3 rows of plugins".to_owned(),
            _ => format!("in order on {name}"),
        });
        change(topic, &mut check);
        (topic, check)
    };
    Examined {
        node: NodeName::parse(name).unwrap(),
        cluster: ClusterName::parse(cluster).unwrap(),
        seen: true,
        checks: Topic::ALL.into_iter().map(check).collect(),
    }
}

fn shut(name: &str) -> Examined {
    let hints = vec![Hint::do_(format!("in /etc/sudoers.d/muster on {name}: deploy ALL=(root) NOPASSWD: /bin/sh"))];
    let mut found = node(name, "eu-prod", |topic, check| match topic {
        Topic::Ssh => {}
        Topic::Sudo => {
            *check = Check::wrong(format!("running a script on {name}: sudo: a password is required"), hints.clone());
        }
        _ => *check = Check::unknown(""),
    });
    found.seen = false;
    found
}

fn report() -> Report {
    let full = |topic: Topic, check: &mut Check| {
        if topic == Topic::Clock {
            let fix = Hint::type_("timedatectl timesync-status    (on eu-12, then here)");
            *check = Check::wrong("its clock is 61 s ahead of this machine's", vec![fix]);
        }
        if topic == Topic::Api {
            *check = Check::unknown(
                "\u{1b}[2Jit did not\nsay anything that could be read for a very long time, and then said more of it",
            );
        }
    };
    Report {
        at: Timestamp::from_second(1_795_159_045).unwrap(),
        here: vec![
            ("repository", Check::well("gateway-fleet @ 3f2a91c")),
            ("journals", Check::wrong("no run can be recorded", vec![Hint::do_("let it be written")])),
        ],
        nodes: vec![
            node("eu-c1", "eu-canary", |_, _| {}),
            node("eu-c2", "eu-canary", |_, _| {}),
            node("eu-1", "eu-prod", |_, _| {}),
            shut("eu-2"),
            shut("eu-3"),
            node("eu-10", "eu-prod", |_, _| {}),
            node("eu-12", "eu-prod", full),
        ],
        exit: 3,
    }
}

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_fleet_with_something_in_the_way() {
    assert_snapshot!(written(|out| text(&report(), out)), @"
    = repository  gateway-fleet @ 3f2a91c
    ! journals    no run can be recorded
          > let it be written

    looked 07:17:25 UTC  7 nodes: 4 well, 3 with something in the way

    NODE                ssh sudo kong from load api clock space env files kill lock
    eu-canary
      eu-c[1,2]         =   =    =    =    =    =   =     =     =   =     =    =
    eu-prod
      eu-[1,10]         =   =    =    =    =    =   =     =     =   =     =    =
      eu-[2,3]          =   !    ?    ?    ?    ?   ?     ?     ?   ?     ?    ?
      eu-12             =   =    =    =    =    ?   !     =     =   =     =    =

    ! eu-[2,3]
      ! sudo  running a script on eu-2: sudo: a password is required
          > in /etc/sudoers.d/muster on eu-2: deploy ALL=(root) NOPASSWD: /bin/sh
        the rest could not be looked at
        the same on each of them, with its own name

    ! eu-12
      ! clock its clock is 61 s ahead of this machine's
          > type: timedatectl timesync-status    (on eu-12, then here)
      ? api   �[2Jit did not�say anything that could be read for a very long time,
              and then said more of it
      = kong  Kong 3.9.1, traditional
      = from  plugins comes from /etc/kong/kong.conf: bundled,acme-auth
      = load  `kong reload` with what it runs with and our lines

    = eu-c[1,2]
      = kong  Kong 3.9.1, traditional
      = from  plugins comes from /etc/kong/kong.conf: bundled,acme-auth
      = load  `kong reload` with what it runs with and our lines
      = api   it answers: 46 plugins loaded, 3 rows of plugins

    = eu-[1,10]
      = kong  Kong 3.9.1, traditional
      = from  plugins comes from /etc/kong/kong.conf: bundled,acme-auth
      = load  `kong reload` with what it runs with and our lines
      = api   it answers: 46 plugins loaded, 3 rows of plugins

    something stands in the way; nothing was changed: exit 3
    ");
}

#[test]
fn a_line_is_longer_than_a_terminal_only_where_it_is_to_be_typed() {
    let text = written(|out| text(&report(), out));
    let long = text.lines().filter(|line| width(line) > COLUMNS && !line.trim_start().starts_with("> "));
    assert_eq!(long.collect::<Vec<_>>(), [""; 0]);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn programs_get_every_check_of_every_node() {
    let value: Value = serde_json::from_str(&written(|out| json(&report(), out))).unwrap();
    assert_eq!((&value["muster"], &value["format"], &value["exit"]), (&"doctor".into(), &1.into(), &3.into()));
    assert_eq!(value["nodes"].as_array().map(Vec::len), Some(7));
    let node = &value["nodes"][3];
    assert_eq!((&node["node"], &node["standing"], &node["seen"]), (&"eu-2".into(), &"wrong".into(), &false.into()));
    assert_eq!(node["checks"].as_object().map(Map::len), Some(Topic::ALL.len()));
    assert_eq!(node["checks"]["sudo"]["fixes"][0]["kind"], "do");
    assert_eq!(value["here"][1]["standing"], "wrong");
}
