//! measured.md 3: loads that come to nothing while the command says that all is well.

use super::{append, applies, fleet, holds, kept, naive, ready};
use crate::contract::probe::wait_until;
use crate::harness::gateways::{handler, schema};

/// What may be wrong with a plugin: its name, handler and schema ("" for a good one, "-" for no file).
const KINDS: [(&str, &str, &str); 12] = [
    ("no files", "-", "-"),
    ("no handler", "-", ""),
    ("no schema", "", "-"),
    ("syntax of the handler", "return {\n}\nfunction x", ""),
    ("syntax of the schema", "", "return }"),
    (
        "invalid schema",
        "",
        "return { name = 'acme-auth', fields = { { config = { type = 'no-such-type', fields = {} } } } }",
    ),
    ("no VERSION", "return { PRIORITY = 1 }", ""),
    ("no PRIORITY", "return { VERSION = '2.0.0' }", ""),
    ("error at load", "error('boom at load')", ""),
    ("missing module", "local x = require 'no.such.module'\nreturn { PRIORITY = 1, VERSION = '2.0.0' }", ""),
    ("returns nothing", "local x = 1", ""),
    ("empty handler", "\n", ""),
];

/// Every kind exits 0 by the command (`contract::failures`); here muster is asked to bring each.
#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_is_never_left_on_a_node_whatever_is_wrong_with_it() {
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    let node = gateways.node("eu-1");
    let (master, settings, conf) = (node.master(), kept(node), std::fs::read(&node.conf).unwrap());
    for (kind, its_handler, its_schema) in KINDS {
        for (file, text, good) in [
            ("plugins/acme-auth/handler.lua", its_handler, handler("2.0.0", "")),
            ("plugins/acme-auth/schema.lua", its_schema, schema("acme-auth")),
        ] {
            match text {
                "-" => drop(gateways.remove(file, kind)),
                "" => drop(gateways.commit(&[(file, &good)], kind)),
                text => drop(gateways.commit(&[(file, text)], kind)),
            }
        }
        let said = gateways.muster(&["--apply", "--all"]).await;
        assert!(said.code != 0, "{kind}: {said}");
        gateways.assert_serving(Some("1.0.0")).await;
        assert_eq!((ready(node), node.master()), (200, master), "{kind}: {said}");
        assert_eq!(
            (kept(node), std::fs::read(&node.conf).unwrap()),
            (settings.clone(), conf.clone()),
            "{kind}: {said}"
        );
        // Whoever reloads or starts it next meets what ran before.
        gateways.want("1.0.0");
    }
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn what_nginx_refuses_waits_in_kong_conf_and_hinders_nobody() {
    let bogus = "nginx_http_bogus_directive = 1";
    let node = naive();
    node.set("nginx_http_bogus_directive", "1");
    node.set("plugins", "bundled,good,other");
    node.write_plugin("other", "1.0.0");
    assert_eq!(node.with_conf("prepare").code, 1);
    let before = node.live();
    node.hup();
    wait_until("the next reload of anybody fails too", || node.log().contains("unknown directive \"bogus_directive\""));
    node.wait_idle();
    assert_eq!(node.live(), before, "the naive way: one refused prepare, and no reload works any more");
    let Some(gateways) = fleet().await else { return };
    append(gateways.node("eu-1"), bogus);
    applies(&gateways, "1.0.0").await;
    assert!(std::fs::read_to_string(&gateways.node("eu-1").conf).unwrap().contains(bogus));
}

#[tokio::test]
async fn after_a_failed_change_the_next_hangup_of_anybody_is_a_good_one() {
    let node = naive();
    let before = node.live();
    node.set("plugins", "bundled,good,nosuch");
    node.with_conf("prepare").says("");
    node.hup();
    wait_until("it meets what the naive way prepared", || node.announced().is_none());
    node.wait_idle();
    assert_eq!(node.live(), before);
    assert_eq!(node.with_conf("restart").code, 1, "and the next restart takes it down");
    let Some(gateways) = fleet().await else { return };
    applies(&gateways, "1.0.0").await;
    gateways.want_handler("error('no')\n", "2.0.0");
    assert_ne!(gateways.muster(&["--apply", "--all"]).await.code, 0);
    let node = gateways.node("eu-1");
    assert!(node.kong(&["reload", "-c"]).arg(&node.conf).status().unwrap().success());
    let pid = nix::unistd::Pid::from_raw(node.master().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    wait_until("it is ready", || ready(node) == 200);
    gateways.want("1.0.0");
    holds(&gateways, "1.0.0").await;
}
