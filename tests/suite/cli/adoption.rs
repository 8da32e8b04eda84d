//! Files that were there before muster.

use crate::harness::gateways::{handler, next_second, schema};
use crate::harness::{Gateways, Wanted};

#[tokio::test]
async fn equal_content_is_nothing_to_do() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1");
    node.plugin("acme-auth", &handler("1.0.0", ""), &schema("acme-auth")).unwrap();
    let conf = std::fs::read_to_string(&node.conf).unwrap();
    std::fs::write(&node.conf, conf.replace("plugins = bundled", "plugins = bundled,acme-auth")).unwrap();
    node.stop().unwrap();
    next_second().await;
    node.start().unwrap();
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.want("1.0.0");
    let said = gateways.muster(&["--plan", "--detailed-exitcode"]).await;
    said.assert(0, &[]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["in line"]);
    assert!(!node.lua_root.join("kong/plugins/acme-auth").is_symlink(), "something was written");
}

#[tokio::test]
async fn other_content_is_left_alone_until_adoption_is_committed() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1");
    let home = node.plugin("acme-auth", &handler("0.9.0", "-- by hand\n"), &schema("acme-auth")).unwrap();
    gateways.want("1.0.0");
    let said = gateways.muster(&["--plan"]).await;
    said.assert(0, &["! eu-1", "adopt: true"]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    assert!(std::fs::read_to_string(home.join("handler.lua")).unwrap().contains("by hand"));
    said.assert(6, &["foreign-files", "verdict: refused, exit 6"]);
    // As the hint has it.
    let wanted = Wanted { plugins: &["acme-auth: { adopt: true }"], ..Wanted::default() };
    gateways.commit(&[("inventory.yaml", &gateways.inventory(&wanted))], "take it over");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    let kept = found(&gateways.home("eu-1"), "handler.lua");
    assert!(kept.iter().any(|text| text.contains("by hand")), "the old tree is gone: {kept:?}");
    gateways.assert_in_line().await;
}

/// The content of every file of this name below a directory.
fn found(dir: &std::path::Path, name: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts.extend(found(&path, name));
        } else if path.file_name().is_some_and(|file| file == name) {
            texts.extend(std::fs::read_to_string(path));
        }
    }
    texts
}
