//! Tests of [`super`].

use super::*;
use crate::hint::Sealed;
use crate::kong::EnvFile;

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

fn root(at: &str, directories: &[(&str, bool)]) -> FoundRoot {
    let directories = directories.iter().map(|(name, plugin)| ((*name).to_owned(), *plugin)).collect();
    FoundRoot { path: path(at), kind: Kind::Directory, directories, odd: 0, cut: false }
}

fn found(confs: &[(&str, Option<&str>)], env: &str, roots: Vec<FoundRoot>) -> Discovery {
    let kong = FoundKong {
        master: Some(7),
        prefix: Some(path("/p")),
        env: Some(Sealed::new(EnvFile::parse(env))),
        lua_roots: roots,
        ..FoundKong::default()
    };
    let conf = |(at, text): &(&str, Option<&str>)| (path(at), text.map(|text| Sealed::new(Conf::parse(text))));
    Discovery { kongs: vec![kong], confs: confs.iter().map(conf).collect(), ..Discovery::default() }
}

fn placed(found: &Discovery, typed: &Typed) -> Place {
    place(found, &found.kongs[0], typed).unwrap()
}

fn open(place: &Place) -> Vec<&str> {
    place.said.iter().filter(|said| said.weight == Weight::Open).map(|said| said.text.as_str()).collect()
}

const ENV: &str = "prefix = /p\nplugins = bundled,a\nlog_level = info\nadmin_listen = 127.0.0.1:8001\n";

#[test]
fn the_kong_conf_is_the_one_whose_settings_run() {
    let confs = [
        ("/etc/kong/kong.conf", Some("prefix = /other\nplugins = bundled,a\nlog_level = info\n")),
        ("/etc/kong.conf", Some("prefix = /p\nlog_level = notice\nplugins = bundled\n")),
        ("/p/kong.conf", Some("prefix = /p/\nplugins = bundled, a\nlog_level = info\n")),
        ("/etc/kong/secret.conf", None),
    ];
    let place = placed(&found(&confs, ENV, Vec::new()), &Typed::default());
    assert_eq!(place.paths.conf, path("/p/kong.conf"));
    assert!(
        place.said.iter().any(|said| said.weight == Weight::Assumed && said.text.contains("all of its 3 settings run"))
    );
    // Typed is typed, however badly it fits; one that is not there is said.
    let typed = Typed { conf: vec![path("/etc/kong.conf")], ..Typed::default() };
    let place = placed(&found(&confs, ENV, Vec::new()), &typed);
    assert_eq!(place.paths.conf, path("/etc/kong.conf"));
    assert!(
        place
            .said
            .iter()
            .any(|said| said.weight == Weight::Found && said.text.contains("1 of its settings run, and 2 not"))
    );
    let typed = Typed { conf: vec![path("/none.conf")], ..Typed::default() };
    let place = placed(&found(&confs[..1], ENV, Vec::new()), &typed);
    assert!(open(&place)[0].starts_with("conf /none.conf: as typed; it is not there"));
}

#[test]
fn without_a_kong_conf_the_default_is_said_to_be_one() {
    let place = placed(&found(&[], ENV, Vec::new()), &Typed::default());
    assert_eq!(place.paths.conf, path("/etc/kong/kong.conf"));
    assert!(open(&place)[0].contains("no kong.conf with this prefix"));
    let unread = placed(&found(&[("/etc/kong/kong.conf", None)], ENV, Vec::new()), &Typed::default());
    assert!(open(&unread)[0].contains("/etc/kong/kong.conf could not be read"));
}

#[test]
fn two_that_explain_as_well_are_a_question() {
    let text = Some("prefix = /p\nlog_level = info\n");
    let place = placed(&found(&[("/a.conf", text), ("/b.conf", text)], ENV, Vec::new()), &Typed::default());
    assert_eq!(place.paths.conf, path("/a.conf"));
    assert!(open(&place)[0].contains("/b.conf explains what runs as well"));
}

#[test]
fn the_lua_root_is_where_the_listed_plugins_are() {
    let usual = root("/usr/local/share/lua/5.1", &[("key-auth", true), ("b", true)]);
    let roots = || vec![root("/opt/one", &[("x", true)]), root("/opt/two", &[("a", true)]), usual.clone()];
    let place = placed(&found(&[], ENV, roots()), &Typed::default());
    assert_eq!((place.paths.lua_root.as_str(), place.listed.len()), ("/opt/two", 1));
    let elsewhere: Vec<(&str, &str)> = place.elsewhere.iter().map(|(name, at)| (name.as_str(), at.as_str())).collect();
    assert_eq!(elsewhere, [("b", "/usr/local/share/lua/5.1"), ("x", "/opt/one")]);
    let typed = Typed { lua_root: vec![path("/opt/one")], ..Typed::default() };
    assert_eq!(placed(&found(&[], ENV, roots()), &typed).paths.lua_root, path("/opt/one"));
    let bare = placed(
        &found(&[], "prefix = /p\n", vec![root("/opt/none", &[]), root("/usr/local/share/lua/5.1", &[])]),
        &Typed::default(),
    );
    assert_eq!(bare.paths.lua_root, path("/usr/local/share/lua/5.1"), "nothing custom is anywhere");
    assert_eq!(
        placed(&found(&[], ENV, Vec::new()), &Typed::default()).paths.lua_root.as_str(),
        "/usr/local/share/lua/5.1"
    );
}

#[test]
fn a_plugin_that_is_found_earlier_on_the_search_path_is_not_taken_from_the_lua_root() {
    let env = "prefix = /p\nplugins = bundled,a,b,c\n";
    let roots = vec![root("/first", &[("a", true)]), root("/second", &[("a", true), ("b", true), ("c", true)])];
    let place = placed(&found(&[], env, roots), &Typed::default());
    assert_eq!(place.paths.lua_root, path("/second"));
    assert_eq!(place.elsewhere.get("a"), Some(&path("/first")));
}

#[test]
fn a_prefix_that_cannot_be_written_down_is_no_place() {
    let mut discovery = found(&[], ENV, Vec::new());
    discovery.kongs[0].prefix = None;
    assert!(place(&discovery, &discovery.kongs[0], &Typed::default()).is_err());
}
