use super::*;

fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

fn info(version: &str, priority: i64) -> PluginInfo {
    PluginInfo {
        version: Some(version.to_owned()),
        priority: Some(priority),
        has_migrations: false,
        has_api: false,
        has_daos: false,
    }
}

fn loaded(entries: &[(&str, i64)]) -> BTreeMap<PluginName, i64> {
    entries.iter().map(|(name, priority)| (plugin(name), *priority)).collect()
}

/// What is said where these plugins come with these priorities to a node that has those loaded.
fn said(new: &[(&str, i64)], before: &[(&str, i64)]) -> Vec<String> {
    let all: Vec<(PluginName, PluginInfo)> =
        new.iter().map(|(name, priority)| (plugin(name), info("1.0.0", *priority))).collect();
    let changing: Vec<Changing<'_>> =
        all.iter().map(|(name, info)| Changing { name, info, replaces: false, new: true }).collect();
    priorities(&changing, &loaded(before), &BTreeSet::new()).into_iter().map(|(_, text)| text).collect()
}

const KONG: [(&str, i64); 4] = [("cors", 2000), ("jwt", 1450), ("key-auth", 1250), ("acl", 950)];

#[test]
fn a_changed_priority_names_what_it_passes() {
    let with = |own: i64| [&[("acme-auth", own)][..], &KONG].concat();
    for (old, new, expected) in [
        (1300, 900, "acme-auth: PRIORITY 1300 -> 900: it now runs after acl (950), key-auth (1250)"),
        (900, 1460, "acme-auth: PRIORITY 900 -> 1460: it now runs before acl (950), jwt (1450), key-auth (1250)"),
        (1000, 1001, "acme-auth: PRIORITY 1000 -> 1001: no plugin that is loaded lies between"),
        // Equal ones run by name, backwards: key-auth goes first, and did so before.
        (1249, 1250, "acme-auth: PRIORITY 1249 -> 1250: no plugin that is loaded lies between"),
    ] {
        assert_eq!(said(&[("acme-auth", new)], &with(old))[0], expected);
    }
    assert_eq!(said(&[("acme-auth", 900)], &with(900)), Vec::<String>::new(), "nothing changes");
    let many: Vec<(String, i64)> = (0..9).map(|number| (format!("p{number}"), 500)).collect();
    let many: Vec<(&str, i64)> = many.iter().map(|(name, priority)| (name.as_str(), *priority)).collect();
    let text = &said(&[("acme", 900)], &[&[("acme", 100)][..], &many].concat())[0];
    assert!(text.ends_with("p4 (500) and 4 more"), "{text}");
}

#[test]
fn equal_priorities_say_who_runs_first() {
    let expected = "PRIORITY 1250 is that of 2 plugins; among equals Kong goes by name, backwards: key-auth, acme-auth";
    assert_eq!(said(&[("acme-auth", 1250)], &KONG), [expected]);
    assert_eq!(said(&[("acme-auth", 1251)], &KONG), Vec::<String>::new());
    let both = said(&[("a", 7), ("b", 7)], &[]);
    assert_eq!(both, ["PRIORITY 7 is that of 2 plugins; among equals Kong goes by name, backwards: b, a"], "once");
    assert!(said(&[("a", 0)], &[("b", 0)])[0].contains("does not lay down"), "0 is not ordered by name");
    // It was so before, and stays so.
    assert_eq!(said(&[("a", 7)], &[("a", 7), ("b", 7)]), Vec::<String>::new());
}

#[test]
fn a_plugin_that_goes_is_passed_by_nobody() {
    let (name, about) = (plugin("a"), info("1.0.0", 7));
    let changing = [Changing { name: &name, info: &about, replaces: false, new: true }];
    assert!(priorities(&changing, &loaded(&[("b", 7)]), &[plugin("b")].into()).is_empty());
}

fn version(written: &str, runs: Option<&str>, replaces: bool) -> Vec<String> {
    let (name, about) = (plugin("acme"), info(written, 7));
    let changing = Changing { name: &name, info: &about, replaces, new: !replaces };
    versions(&changing, runs).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_version_that_tells_nothing_is_said() {
    assert!(version("1.4.2", Some("1.4.2"), true)[0].contains("VERSION stays 1.4.2"));
    assert!(version("1.4.2-2", Some("1.4.2"), true)[1].contains("VERSION stays 1.4.2"), "as Kong cleans it");
    assert_eq!(version("1.4.3", Some("1.4.2"), true), Vec::<String>::new());
    assert_eq!(version("1.4.2", Some("1.4.2"), false), Vec::<String>::new(), "its content does not change");
    for (written, cleaned) in [("1.0.0-1", "1.0.0"), ("v1.2.3", "1.2.3")] {
        let text = &version(written, None, false)[0];
        assert!(text.starts_with(&format!("acme: VERSION {written} is {cleaned} for Kong")), "{text}");
    }
}

#[test]
fn a_way_back_is_called_one() {
    assert_eq!(version("1.9.0", Some("1.10.0"), true), ["acme: 1.10.0 runs and 1.9.0 is wanted, a way back"]);
    let name = plugin("acme");
    let about = PluginInfo { has_migrations: true, ..info("1.0.0", 7) };
    let changing = Changing { name: &name, info: &about, replaces: true, new: false };
    assert!(versions(&changing, Some("2.0.0"))[0].1.contains("migrations"));
}

#[test]
fn only_the_first_install_of_a_bundled_name_is_said() {
    let (name, about) = (plugin("key-auth"), info("1.0.0", 7));
    let changing = |new: bool| Changing { name: &name, info: &about, replaces: !new, new };
    assert!(reused_name(&changing(true), true).is_some());
    assert!(reused_name(&changing(false), true).is_none(), "it is ours already");
    assert!(reused_name(&changing(true), false).is_none(), "this Kong has none of that name");
}
