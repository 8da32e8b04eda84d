//! What cannot be reached, loaded or agreed on: said clearly, and the nodes go on serving.

use std::time::Duration;

use crate::harness::gateways::{Wanted, handler, in_the_master};
use crate::harness::{Gateways, NodeSpec, Said, poll_until};

#[tokio::test]
async fn an_unreachable_node_is_unknown_and_the_rest_goes_on() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.ssh.node("eu-2").wire.refuse().await;
    let said = gateways.muster(&["--plan"]).await;
    said.assert(4, &["+ install", "? eu-2 is unknown", "refused", "1 node to change"]);
    // Unknown goes before pending.
    gateways.muster(&["--plan", "--detailed-exitcode"]).await.assert(4, &[]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(4, &["1 of 1 node proven", "eu-2", "verdict: incomplete, exit 4"]);
    gateways.muster(&["status"]).await.assert(4, &["? unknown", "exit 4"]);
    gateways.ssh.node("eu-2").wire.listen().await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_plugin_that_fails_while_it_is_loaded_is_put_back_and_its_line_is_named() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &[]);
    let broken = in_the_master("error(\"no licence on \" .. \"this host\")");
    let broken = handler("2.0.0", &format!("-- reads its licence\n{broken}"));
    gateways.want_handler(&broken, "2.0.0");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["eu-1", "rolled back, serving as before", "handler.lua:2", "no licence on this host"]);
    said.assert(3, &["verdict: not reached, exit 3"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
    // The same again is no better; the mended one converges.
    gateways.want("2.0.1");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("2.0.1")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_module_that_only_the_node_could_have_is_named_when_it_is_missing() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &[]);
    let needy = handler("2.0.0", &in_the_master("local jwt = require \"resty.jwt\""));
    gateways.want_handler(&needy, "2.0.0");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        3,
        &["plugin acme-auth: kong/plugins/acme-auth/handler.lua:1: module 'resty.jwt' not found  (reload-failed)"],
    );
    said.assert(3, &["eu-1", "rolled back", "the plugin requires a module that is not on this node"]);
    said.assert(3, &["ship the module in a bundle, or install it on the node first"]);
    said.assert(3, &["see: docs/errors/missing-module.md", "type: muster errors missing-module"]);
    gateways.muster(&["errors", "missing-module"]).await.assert(0, &["# missing-module: ", "## What to do"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn one_failed_node_stops_the_waves_behind_it() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    let careful = Wanted { rollout: "{ waves: [1, 100%], at_once: 1, soak: 0s }", ..Wanted::default() };
    gateways.want_handler(&handler("1.0.0", &in_the_master("error(\"not \" .. \"today\")")), "1.0.0");
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&careful))], "one first");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["stopped:", "0 of 3 nodes proven, 1 rolled back, 2 not tried"]);
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn a_second_muster_ends_at_once_and_names_who_holds_the_nodes() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.node("eu-1").change(|settings| settings.faults.endless_load = true).unwrap();
    let first = gateways.begin(&["--apply", "--all"]);
    poll_until(Duration::from_secs(30), "the first is at work", || first.out().contains("activating").then_some(()))
        .await;
    let second = gateways.muster(&["--apply", "--all"]).await;
    // Whether its guard stands already or only its lease, the answer is the same.
    second.assert(5, &["eu-1", "@", "wait for that run", "verdict: locked, exit 5"]);
    assert!(!first.out().contains("verdict"), "the second waited for the first:\n{}", first.out());
    gateways.node("eu-1").change(|settings| settings.faults.endless_load = false).unwrap();
    first.said().await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

/// A server that forbids forwarding, on a node where nothing can ask in its place.
pub(super) fn mute(dir: &std::path::Path, spec: NodeSpec) -> NodeSpec {
    for tool in ["curl", "perl"] {
        // Perl is there for what else needs it, and lacks its own modules.
        let body =
            if tool == "curl" { "exit 7" } else { "case $1 in -MSocket*) exit 2 ;; esac; exec /usr/bin/perl \"$@\"" };
        std::fs::write(dir.join(tool), format!("#!/bin/sh\n{body}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.join(tool), mode).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", dir.display());
    spec.server("AllowTcpForwarding no").server("AllowStreamLocalForwarding no").env("PATH", &path)
}

#[tokio::test]
async fn a_node_that_cannot_be_asked_at_all_is_said_so_and_not_called_in_line() {
    let door = |spec: NodeSpec| spec.server("AllowTcpForwarding no").server("MaxSessions 1");
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"])], door).await else { return };
    gateways.want("1.0.0");
    let words =
        ["eu-1 is left alone", "forbids forwarding and allows one session", "AllowTcpForwarding local", "sshd_config"];
    for args in [&["--plan"][..], &["--apply", "--all"]] {
        let said = gateways.muster(args).await;
        assert!(!said.out.contains("check that something listens"), "the server said what it is: {}", said.out);
        let one_line = Said { out: said.out.split_whitespace().collect::<Vec<_>>().join(" "), ..said };
        one_line.assert(if args.len() == 1 { 0 } else { 6 }, &words);
    }
    gateways.muster(&["status"]).await.assert(0, &["~ drift", "the server forbids forwarding"]);
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn a_killed_master_is_seen_by_its_workers_where_the_admin_api_cannot_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    let door = |spec: NodeSpec| mute(dir.path(), spec);
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1", "eu-2"])], door).await else { return };
    gateways.want("1.0.0");
    let master = nix::unistd::Pid::from_raw(gateways.node("eu-1").master().unwrap());
    nix::sys::signal::kill(master, nix::sys::signal::Signal::SIGKILL).unwrap();
    gateways.node("eu-2").stop().unwrap();
    assert_eq!(gateways.proxied("eu-1").await, Some((200, None)));
    let said = gateways.muster(&["status"]).await;
    said.assert(4, &["no master below", "of its workers serve: the master was killed", "? unknown", "eu-2"]);
    // The other one does not run, and that is all there is to say of it.
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["(no-master)", "eu-1 is left alone", "1 edited while stopped"]);
    assert_eq!(gateways.proxied("eu-1").await, Some((200, None)));
    let installed = |name: &str| gateways.node(name).lua_root.join("kong/plugins/acme-auth").exists();
    assert_eq!((installed("eu-1"), installed("eu-2")), (false, true));
}

#[tokio::test]
async fn what_the_operator_has_in_his_configuration_for_himself_changes_nothing() {
    let door = |spec: NodeSpec| {
        spec.server("AcceptEnv *")
            .client("ForwardAgent yes")
            .client("RemoteCommand touch /nowhere/at/all")
            .client("RequestTTY force")
            .client("SendEnv *")
            .client("SetEnv KONG_PLUGINS=off KONG_PREFIX=/nowhere")
            .client("LogLevel QUIET")
    };
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"])], door).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}
