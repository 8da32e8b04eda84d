//! From a commit to a proven install, and to an empty second plan.

use serde_json::Value;

use crate::harness::Gateways;
use crate::harness::gateways::{Wanted, handler, next_second, schema};

#[tokio::test]
async fn what_is_installed_then_upgraded_then_edited_by_hand_ends_in_line_each_time() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--plan"]).await.assert(0, &["+ install  acme-auth 1.0.0", "2 nodes to change, 2 reloads"]);
    gateways.muster(&["--plan", "--detailed-exitcode"]).await.assert(2, &["+ install"]);
    gateways.assert_serving(None).await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["verdict: converged, exit 0. 2 of 2 nodes proven"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;

    gateways.want("2.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["~ upgrade  acme-auth 1.0.0 > 2.0.0", "converged"]);
    gateways.assert_serving(Some("2.0.0")).await;

    let file = gateways.node("eu-2").lua_root.join("kong/plugins/acme-auth/handler.lua");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("900", "901")).unwrap();
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["~ repair   acme-auth", "eu-2", "verdict: converged, exit 0. 1 of 1 node proven"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["verdict: in line, exit 0"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_stopped_node_gets_everything_and_is_not_started() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.node("eu-2").stop().unwrap();
    gateways.want("1.0.0");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        0,
        &["1 reload", "not running there", "eu-2", "converged, exit 0. 1 of 2 nodes proven, 1 edited while stopped"],
    );
    let lines: Vec<&str> = said.out.lines().filter(|line| line.contains("eu-2")).collect();
    assert!(!lines.iter().any(|line| line.contains("proven:")), "{lines:?}");
    gateways.muster(&["status"]).await.assert(0, &[". in line, stopped", "Kong is not running"]);
    assert_eq!(gateways.proxied("eu-2").await, None, "it was started");
    next_second().await;
    gateways.node("eu-2").start().unwrap();
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn workers_that_outlived_their_master_are_not_taken_for_a_stopped_kong() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.want("2.0.0");
    let master = nix::unistd::Pid::from_raw(gateways.node("eu-1").master().unwrap());
    nix::sys::signal::kill(master, nix::sys::signal::Signal::SIGKILL).unwrap();
    gateways.assert_serving(Some("1.0.0")).await;
    let words = ["no master below", "its Admin API answers", "? unknown"];
    gateways.muster(&["status"]).await.assert(4, &words);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(6, &["(no-master)", "the master was killed", "verdict: refused"]);
    gateways.assert_serving(Some("1.0.0")).await;
    let handler = gateways.node("eu-1").lua_root.join("kong/plugins/acme-auth/handler.lua");
    assert!(std::fs::read_to_string(handler).unwrap().contains("1.0.0"), "its files were switched");
}

#[tokio::test]
async fn a_prefix_that_is_not_that_of_kong_conf_is_never_in_line() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let prefix = gateways.node("eu-1").prefix.display().to_string();
    let other = gateways.node("eu-1").dir.join("other");
    std::fs::create_dir(&other).unwrap();
    let wrong = |text: String| text.replace(&format!("prefix: {prefix},"), &format!("prefix: {},", other.display()));
    let inventory = wrong(gateways.inventory(&Wanted::default()));
    assert!(inventory.contains("/other,"));
    gateways.commit(&[("inventory.yaml", &inventory)], "the wrong prefix");
    let said = format!("says prefix = {prefix}, the inventory says {}", other.display());
    gateways.muster(&["status"]).await.assert(4, &["? unknown", &said]);
    let applied = gateways.muster(&["--apply", "--all"]).await;
    applied.assert(6, &["(prefix)", "says prefix =", "kong: { prefix: ", "verdict: refused"]);
    assert!(!gateways.node("eu-1").lua_root.join("kong/plugins/acme-auth").exists(), "its files were switched");
    gateways.assert_serving(None).await;
}

#[tokio::test]
async fn staged_means_files_and_nothing_else() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let wanted = Wanted { plugins: &["acme-auth: staged"], ..Wanted::default() };
    let conf = std::fs::read(&gateways.node("eu-1").conf).unwrap();
    gateways.want("1.0.0");
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&wanted))], "stage it");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["acme-auth", "converged, exit 0"]);
    assert!(gateways.node("eu-1").lua_root.join("kong/plugins/acme-auth/handler.lua").is_file());
    assert_eq!(std::fs::read(&gateways.node("eu-1").conf).unwrap(), conf, "kong.conf was edited");
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    // From there on it is one line of the inventory.
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn two_clusters_and_two_bundles_are_brought_in_line_in_one_run() {
    let clusters: &[(&str, &[&str])] = &[("eu", &["eu-1"]), ("us", &["us-1"])];
    let Some(gateways) = Gateways::start(clusters, |spec| spec).await else { return };
    let wanted = Wanted {
        bundles: &["acme-auth: { dir: plugins/acme-auth }", "tag: { dir: plugins/tag }"],
        plugins: &["acme-auth: present", "tag: present"],
        ..Wanted::default()
    };
    let files = [
        ("plugins/acme-auth/handler.lua", handler("1.0.0", "")),
        ("plugins/acme-auth/schema.lua", schema("acme-auth")),
        ("plugins/tag/handler.lua", handler("0.3.0", "")),
        ("plugins/tag/schema.lua", schema("tag")),
        ("inventory.yaml", gateways.inventory(&wanted)),
    ];
    let files: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
    gateways.commit(&files, "both");
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["eu ", "us ", "acme-auth 1.0.0", "tag 0.3.0", "2 of 2 nodes proven"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn every_line_of_json_is_a_value_and_the_last_says_how_it_ended() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let plan = gateways.muster(&["--plan", "--format", "json"]).await;
    assert_eq!((plan.code, plan.err.as_str(), plan.lines().len()), (0, "", 1));
    assert_eq!(plan.lines()[0]["muster"], "plan");
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said}");
    let lines = said.lines();
    let is_chatter = |line: &&Value| ["step-progressed", "step-printed"].iter().any(|kind| line["event"] == *kind);
    let facts: Vec<_> = lines.iter().filter(|line| !is_chatter(line)).map(|line| line["seq"].as_u64()).collect();
    assert_eq!(facts, (1..=facts.len() as u64).map(Some).collect::<Vec<_>>(), "facts are numbered without a gap");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["verdict"], &last["exit"]),
        (&"run-ended".into(), &"converged".into(), &0.into())
    );
    // With nothing to do it ends the same way.
    let said = gateways.muster(&["--apply", "--all", "--format", "json"]).await;
    let last = said.lines().pop().unwrap();
    assert_eq!((said.code, &last["verdict"]), (0, &"in-line".into()));
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn the_program_itself_does_the_same() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let output = gateways.command(&["--apply", "--cluster", "eu"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("verdict: converged, exit 0"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn status_shows_the_four_truths_and_says_the_same_in_json() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["status"]).await.assert(0, &["eu", "acme-auth", "~ drift", "---."]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &[]);
    gateways.muster(&["status"]).await.assert(0, &["= in line", "===.", "2 in line"]);
    let said = gateways.muster(&["status", "--format", "json"]).await;
    assert_eq!((said.code, said.lines()[0]["muster"].as_str()), (0, Some("status")));
    gateways.assert_in_line().await;
}
