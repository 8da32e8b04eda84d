//! Which commit is meant, and what of a repository is not used.

use crate::harness::Gateways;
use crate::harness::gateways::handler;

#[tokio::test]
async fn what_is_not_committed_is_said_and_not_used() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.write(&[("plugins/acme-auth/handler.lua", &handler("9.9.9", ""))]);
    let words = ["not committed, and not used: plugins/acme-auth/handler.lua"];
    gateways.muster(&["check"]).await.assert(0, &words);
    gateways.muster(&["--plan"]).await.assert(0, &[words[0], "acme-auth 1.0.0"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &words);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.muster(&["status"]).await.assert(0, &words);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_commit_a_tag_or_a_branch_can_be_asked_for_from_a_bare_repository_too() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let first = gateways.want("1.0.0");
    gateways.want("2.0.0");
    gateways.muster(&["--apply", "--all", "--rev", &first]).await.assert(0, &["acme-auth 1.0.0", "converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    let bare = gateways.dir().join("fleet.git");
    let from = gateways.work_tree();
    git2::build::RepoBuilder::new().bare(true).clone(from.to_str().unwrap(), &bare).unwrap();
    let call = gateways.begin_in(gateways.dir(), &["--apply", "--all", "--repo", "fleet.git", "--rev", "main"]);
    call.said().await.assert(0, &["1.0.0 > 2.0.0", "converged"]);
    gateways.assert_serving(Some("2.0.0")).await;
    gateways.muster(&["--plan", "--rev", "no-such"]).await.assert(1, &["no-such"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn where_no_repository_or_no_inventory_is_it_says_so() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let call = gateways.begin_in(gateways.dir(), &["--plan"]);
    let said = call.said().await;
    said.assert(1, &["repository", "--repo"]);
    let said = gateways.muster(&["--plan"]).await;
    said.assert(1, &["commit"]);
    gateways.commit(&[("readme", "x")], "nothing yet");
    let said = gateways.muster(&["--plan"]).await;
    said.assert(1, &["inventory.yaml"]);
    let inventory = gateways.inventory(&crate::harness::Wanted { bundles: &["x: { dir: x }"], ..Default::default() });
    gateways.commit(&[("fleets/eu.yaml", &inventory)], "elsewhere");
    gateways.commit(&[("fleets/eu/inventory.yml", &inventory)], "and below");
    gateways
        .muster(&["--plan"])
        .await
        .assert(1, &["no inventory: ", "did you mean  --inventory fleets/eu/inventory.yml"]);
    let said = gateways.muster(&["--plan", "--inventory", "fleets/eu.yaml"]).await;
    said.assert(1, &["fleets/eu.yaml:"]);
}
