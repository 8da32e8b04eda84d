//! What tells 3.4.2 and 3.9.1 apart (measured.md 13, facts.md C6, C7, E10). The names behind `bundled` and the lines of the log:
//! `whole` and `overlap`.

use super::database::with_database;
use super::gateway::each;
use super::probe::wait_until;

#[test]
fn the_status_api_is_off_by_default_up_to_3_5() {
    each(|gateway| {
        let node = gateway.bare(&[("database", "off")], "bundled");
        node.set("status_listen", "");
        assert_eq!(node.with_conf("prepare").code, 0);
        let kept = node.kept("status_listen").unwrap_or_default();
        let expected = if gateway.is_34() { "off" } else { "127.0.0.1:8007" };
        assert_eq!(kept.split(' ').next(), Some(expected), "{kept}");
    });
}

#[test]
fn the_edition_is_told_from_3_6_on() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]).started();
        let root = node.root();
        assert_eq!(root.get("edition").is_some(), !gateway.is_34(), "{root}");
        assert_eq!(root["version"], gateway.version.as_str());
    });
}

#[test]
fn without_a_database_the_log_level_cannot_be_set_for_the_time_being() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]).started();
        let told = node.admin("/debug/node/log-level").json();
        assert_eq!(told["message"], "log level: notice");
        assert_eq!(node.ask("PUT", "/debug/node/log-level/debug", "").unwrap().status, 405);
    });
}

#[test]
fn a_log_level_for_the_time_being_outlives_a_reload_in_3_4_and_not_in_3_9() {
    with_database(|gateway, node| {
        let level = || node.admin("/debug/node/log-level").json()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(node.ask("PUT", "/debug/node/log-level/nosuch", "").unwrap().status, 400);
        let set = node.ask("PUT", "/debug/node/log-level/warn?timeout=600", "").unwrap();
        assert_eq!(set.status, 200, "{set:?}");
        wait_until("it is told", || level() == "log level: warn");
        node.reloaded();
        let expected = if gateway.is_34() { "log level: warn" } else { "log level: notice" };
        wait_until(expected, || level() == expected);
    });
}

/// A package that was updated under a running node (facts.md A5: the CLI's files are its own).
#[test]
fn after_an_update_the_command_is_of_another_release_than_what_runs() {
    each(|gateway| {
        if gateway.is_real() {
            return;
        }
        let node = gateway.node("bundled", &[]).started();
        let (version, other) = (gateway.version.as_str(), if gateway.is_34() { "3.9.1" } else { "3.4.2" });
        node.change(|settings| settings.version = other.into());
        node.kong(&["version"]).says(&format!("{other}\n"));
        assert_eq!(node.root()["version"], version);
        let keys = |node: &super::gateway::Node| node.kong_env().lines().count();
        let before = keys(&node);
        node.reloaded();
        assert_eq!(node.root()["version"], other, "the next load takes the new files");
        assert_eq!(keys(&node) > before, gateway.is_34(), "and the new release has other settings");
    });
}
