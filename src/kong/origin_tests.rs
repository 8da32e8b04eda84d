use std::collections::BTreeMap;

use super::super::service::{Content, UnitFile};
use super::*;

const KEY: &str = "plugins";

fn unit(environment: &str, file: Option<&str>) -> Unit {
    let found = |text: &str| UnitFile { real: None, writable: false, content: Content::Read(text.as_bytes().to_vec()) };
    let (ten, default) = ("/etc/systemd/system/kong.service.d/10.conf", "/etc/default/kong");
    let mut files = BTreeMap::from([(ten.to_owned(), found(&format!("[Service]\nEnvironment=\"{environment}\"\n")))]);
    files.extend(file.map(|text| (default.to_owned(), found(text))));
    let named = file.map(|_| format!("EnvironmentFiles={default} (ignore_errors=no)\n")).unwrap_or_default();
    let shown = format!(
        "Id=kong.service\nMainPID=7\nDropInPaths={ten}\nEnvironment=\"{environment}\"\n{named}LoadState=loaded\n"
    );
    Unit::read("kong.service", &shown, "", &files, false).unwrap()
}

fn places<'a>(conf: &'a Conf, environment: Environment<'a>, env: Option<&'a str>) -> Places<'a> {
    let seen = env.map_or(Seen::Unset, Seen::Set);
    Places {
        conf: (ConfFile::Read(conf), "/etc/kong/kong.conf"),
        environment,
        beside: None,
        env: (seen, "/usr/local/kong/.kong_env"),
        running: seen,
    }
}

fn said(chain: &Chain) -> Vec<String> {
    chain
        .links
        .iter()
        .map(|link| {
            let line = link.line.map(|line| format!(":{line}")).unwrap_or_default();
            let value = link.value.as_deref().unwrap_or("-");
            format!("{}{line} {value} {}", link.at, if link.counts { "counts" } else { "no" })
        })
        .collect()
}

#[test]
fn without_an_environment_the_last_line_of_kong_conf_counts() {
    let conf = Conf::parse("plugins = bundled\nPLUGINS = x\nplugins = bundled,\\\n a\n[later]\nplugins = y\n");
    let chain = Chain::of(KEY, places(&conf, Environment::None, Some("bundled,a")));
    assert_eq!(
        said(&chain),
        [
            "Kong's default bundled no",
            "/etc/kong/kong.conf:1 bundled no",
            "/etc/kong/kong.conf:2 x no",
            "/etc/kong/kong.conf:3 bundled, a counts",
            "/etc/kong/kong.conf:6 y no",
            "KONG_PLUGINS - no",
            "/usr/local/kong/.kong_env bundled,a counts",
            "the workers (Admin API) bundled,a counts",
        ]
    );
    assert_eq!((chain.start.as_deref(), chain.by_hand.as_deref()), (Some("bundled, a"), None));
    assert_eq!(chain.links[3].why, "counts for the next start, and goes on to line 4");
    assert_eq!(
        (chain.links[2].why.as_str(), chain.links[4].why.as_str()),
        ("ignored: Kong knows plugins in lower case only", "ignored: it stands behind a [section]")
    );
}

#[test]
fn the_environment_of_the_unit_beats_kong_conf_and_a_shell_has_it_not() {
    let conf = Conf::parse("plugins = bundled,a\n");
    let unit = unit("KONG_PLUGINS=bundled,b", Some("KONG_PLUGINS=bundled,c\n"));
    let chain = Chain::of(KEY, places(&conf, Environment::Unit(&unit), Some("bundled,c")));
    assert_eq!(
        said(&chain)[1..4],
        [
            "/etc/kong/kong.conf:1 bundled,a no",
            "/etc/systemd/system/kong.service.d/10.conf:2 bundled,b no",
            "/etc/default/kong:1 bundled,c counts",
        ]
    );
    assert_eq!((chain.start.as_deref(), chain.by_hand.as_deref()), (Some("bundled,c"), Some("bundled,a")));
    assert_eq!(chain.origin, Origin::EnvironmentFile { path: "/etc/default/kong".to_owned(), line: 1 });
    assert_eq!(chain.links[1].why, "beaten by the environment of the service");
}

#[test]
fn a_variable_that_is_set_to_nothing_beats_kong_conf_and_means_the_default() {
    let conf = Conf::parse("plugins = bundled,a\n");
    let unit = unit("KONG_PLUGINS=", None);
    let chain = Chain::of(KEY, places(&conf, Environment::Unit(&unit), None));
    assert_eq!((chain.start.as_deref(), chain.reload.as_deref()), (Some("bundled"), Some("bundled")));
    assert!(chain.origin.is_environment() && chain.links[0].counts);
}

#[test]
fn what_cannot_be_read_is_unknown_and_not_the_default() {
    let conf = Conf::parse("plugins = bundled,a\n");
    let here = places(&conf, Environment::None, None);
    let unread = Chain::of(KEY, Places { conf: (ConfFile::Unreadable, "/etc/kong/kong.conf"), ..here });
    assert_eq!((unread.start, unread.links[0].counts), (None, false));
    let container = Chain::of(KEY, Places { environment: Environment::Container, ..here });
    assert_eq!(said(&container)[2], "KONG_PLUGINS of the container - no");
    let stopped = Chain::of(KEY, Places { env: (Seen::Nothing, "/p/.kong_env"), running: Seen::Nothing, ..here });
    assert_eq!((stopped.reload, stopped.running), (None, None));
    let absent = Chain::of(KEY, Places { conf: (ConfFile::Absent, "/etc/kong/kong.conf"), ..here });
    assert_eq!((absent.start.as_deref(), absent.origin), (Some("bundled"), Origin::Default));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Of each chain exactly one place counts for the next start, and its value is what the next start has.
        #[test]
        fn one_place_counts(lines in proptest::collection::vec("[a-z,]{1,6}", 0..4),
            env in proptest::option::of("[a-z,]{1,6}"), file in proptest::option::of("[a-z,]{1,6}")) {
            let text = lines.iter().map(|value| format!("plugins = {value}\n")).collect::<Vec<_>>().concat();
            let conf = Conf::parse(text);
            let file_text = file.as_ref().map(|value| format!("KONG_PLUGINS={value}\n"));
            let variable = env.as_ref().map_or_else(|| "X=1".to_owned(), |value| format!("KONG_PLUGINS={value}"));
            let unit = unit(&variable, file_text.as_deref());
            let chain = Chain::of(KEY, places(&conf, Environment::Unit(&unit), None));
            let wanted = file.or(env).or(lines.last().cloned()).unwrap_or_else(|| "bundled".to_owned());
            prop_assert_eq!(chain.start.as_deref(), Some(wanted.as_str()));
            let counting: Vec<_> = chain.links.iter()
                .filter(|link| link.counts && !matches!(link.place, Place::KongEnv | Place::Workers)).collect();
            prop_assert_eq!(counting.len(), 1);
            prop_assert_eq!(counting[0].value.as_deref(), Some(wanted.as_str()));
        }
    }
}
