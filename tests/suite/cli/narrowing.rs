//! A selection narrows what is changed, never what is looked at.

use crate::harness::Gateways;

#[tokio::test]
async fn cluster_node_and_plugin_narrow_what_is_changed_and_all_is_looked_at() {
    let clusters: &[(&str, &[&str])] = &[("eu", &["eu-1", "eu-2"]), ("us", &["us-1"])];
    let Some(gateways) = Gateways::start(clusters, |spec| spec).await else { return };
    gateways.want("1.0.0");
    let said = gateways.muster(&["--apply", "--cluster", "eu", "--node", "eu-2"]).await;
    said.assert(0, &["1 of 1 node proven"]);
    for (name, version) in [("eu-1", None), ("eu-2", Some("1.0.0")), ("us-1", None)] {
        assert_eq!(gateways.proxied(name).await, Some((200, version.map(str::to_owned))), "{name}");
        assert!(gateways.ssh.node(name).logins() > 0, "{name} was not looked at");
    }
    let said = gateways.muster(&["--apply", "--cluster", "eu"]).await;
    said.assert(0, &["1 of 1 node proven"]);
    assert_eq!(gateways.proxied("us-1").await, Some((200, None)));
    gateways.muster(&["--plan", "--cluster", "eu", "--detailed-exitcode"]).await.assert(0, &[]);
    gateways
        .muster(&["--plan", "--cluster", "u*", "--plugin", "acme-auth", "--detailed-exitcode"])
        .await
        .assert(2, &["us-1"]);
    gateways.muster(&["--apply", "--all", "--plugin", "acme-*"]).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn what_waits_in_kong_conf_is_in_the_status_and_what_to_type_next_is_about_what_was_chosen() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    for name in ["eu-1", "eu-2"] {
        let conf = &gateways.node(name).conf;
        let text = std::fs::read_to_string(conf).unwrap();
        std::fs::write(conf, format!("# This file is managed by Puppet\n{text}log_level = warn\n")).unwrap();
    }
    let words =
        ["waiting in kong.conf, not loaded: log_level (notice > warn)", "the same on 2 nodes", " UTC, 2 nodes in "];
    gateways.muster(&["status"]).await.assert(0, &words);
    let said = gateways.muster(&["status", "--format", "json"]).await;
    let node = &said.lines()[0]["clusters"]["eu"]["nodes"]["eu-2"];
    assert_eq!(node["waiting"], serde_json::json!(["log_level (notice > warn)"]), "{node}");
    let said = gateways.muster(&["--plan", "--cluster", "eu", "--node", "eu-2"]).await;
    said.assert(0, &["type: muster --plan --allow managed-conf=eu-2 --cluster eu --node eu-2\n"]);
    let typed = ["--plan", "--allow", "managed-conf=eu-2", "--cluster", "eu", "--node", "eu-2"];
    gateways.muster(&typed).await.assert(0, &["1 of 2 nodes"]);
}

#[tokio::test]
async fn what_stands_behind_an_exclamation_mark_is_left_out_and_the_rest_is_applied() {
    let clusters: &[(&str, &[&str])] = &[("eu", &["eu-1", "eu-2"]), ("us", &["us-1"])];
    let Some(gateways) = Gateways::start(clusters, |spec| spec).await else { return };
    gateways.want("1.0.0");
    let words = ["us   not selected", ". eu-2: not selected", "--apply --cluster '!us' --node '!eu-2'"];
    gateways.muster(&["--plan", "--cluster", "!us", "--node", "!eu-2"]).await.assert(0, &words);
    gateways.muster(&["--plan", "--plugin", "!acme-auth"]).await.assert(0, &["nothing to do for the chosen plugins"]);
    let said = gateways.muster(&["--apply", "--cluster", "!us", "--node", "!eu-2"]).await;
    said.assert(0, &["1 of 1 node proven"]);
    for (name, version) in [("eu-1", Some("1.0.0")), ("eu-2", None), ("us-1", None)] {
        assert_eq!(gateways.proxied(name).await, Some((200, version.map(str::to_owned))), "{name}");
    }
    let again = ["--plan", "--cluster", "!us", "--node", "!eu-2", "--detailed-exitcode"];
    gateways.muster(&again).await.assert(0, &["nothing to do on the selected nodes"]);
    gateways.muster(&["--plan", "--node", "!eu-7"]).await.assert(64, &["!eu-7", "there are: eu-[1,2], us-1"]);
}

#[tokio::test]
async fn a_plan_is_saved_as_it_is_printed_and_no_other_file_is_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let file = gateways.work_tree().join("plan.json");
    let name = file.to_str().unwrap();
    for _ in 0..2 {
        let said = gateways.muster(&["--plan", "--out", name, "--format", "json"]).await;
        assert_eq!((said.code, &said.out), (0, &std::fs::read_to_string(&file).unwrap()), "{}", said.err);
        assert!(said.out.starts_with(r#"{"muster":"plan","format":1,"#));
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    gateways.muster(&["--plan", "--out", name]).await.assert(0, &["+ install", &format!("Saved as {name}.\n")]);
    let mine = gateways.work_tree().join("inventory.yaml");
    let before = std::fs::read(&mine).unwrap();
    let said = gateways.muster(&["--plan", "--out", mine.to_str().unwrap()]).await;
    said.assert(1, &["inventory.yaml is a file that is not a plan, and is not overwritten", "name another file"]);
    assert_eq!((std::fs::read(&mine).unwrap(), said.out.as_str()), (before, ""));
    gateways.muster(&["--apply", "--all", "--out", name]).await.assert(64, &["--out does not go with --apply"]);
}
