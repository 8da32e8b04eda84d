//! Who holds which nodes, and taking that away: `muster locks`, `muster unlock`.

use std::fs;

use crate::harness::Gateways;

const RUN: &str = "01JD3MVSTER00000000000000A";

/// A lease of somebody elsewhere, on each of these nodes, in force for so many seconds.
pub(super) fn hold(gateways: &Gateways, names: &[&str], seconds: u64) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let now: u64 = uptime.split('.').next().unwrap().parse().unwrap();
    for name in names {
        let state = gateways.home(name).join("state");
        fs::create_dir_all(&state).unwrap();
        let lines = [
            "muster-lease 1".to_owned(),
            "generation 4".to_owned(),
            format!("run {RUN}"),
            "holder ann@ops-9".to_owned(),
            format!("boot {}", boot.trim()),
            format!("expires {}", now + seconds),
        ];
        fs::write(state.join("lease"), lines.join("\n") + "\n").unwrap();
    }
}

#[tokio::test]
async fn who_holds_a_cluster_is_shown_and_can_be_taken_away() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["locks"]).await.assert(0, &["eu   free: 2 nodes"]);
    hold(&gateways, &["eu-2"], 500);
    let held = ["held by ann@ops-9", RUN, "1 of 2 nodes: eu-2", "unless renewed"];
    let said = gateways.muster(&["locks"]).await;
    said.assert(0, &held);
    said.assert(0, &["type: muster unlock eu"]);
    let json = gateways.muster(&["locks", "--format", "json"]).await;
    assert_eq!(json.lines()[0]["clusters"]["eu"]["holders"][0]["run"].as_str(), Some(RUN));
    // An apply ends at once and names the holder.
    gateways.muster(&["--apply", "--all"]).await.assert(5, &["ann@ops-9", RUN]);

    let said = gateways.muster(&["unlock", "eu"]).await;
    said.assert(0, &held);
    said.assert(0, &["nothing was changed", "type: muster unlock eu --yes"]);
    gateways.muster(&["--apply", "--all"]).await.assert(5, &["ann@ops-9"]);

    gateways.muster(&["unlock", "eu", "--yes"]).await.assert(0, &["unlocked eu-2"]);
    gateways.muster(&["locks"]).await.assert(0, &["eu   free: 2 nodes"]);
    // Whoever had it finds another generation.
    let lease = fs::read_to_string(gateways.home("eu-2").join("state/lease")).unwrap();
    assert!(lease.contains("generation 5\n") && lease.contains("expires 0\n"), "{lease}");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn locks_need_only_to_know_where_the_machines_are() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    hold(&gateways, &["eu-1"], 500);
    let good = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let broken = good.replace("acme-auth: present", "acme-auth: presnet").replace("owner: edge", "owner: [");
    gateways.commit(&[("inventory.yaml", &good.replace("acme-auth: present", "acme-auth: presnet"))], "a slip");
    gateways.muster(&["status"]).await.assert(1, &["presnet"]);
    gateways.muster(&["locks"]).await.assert(0, &["inventory.yaml:", "presnet", "held by ann@ops-9"]);
    gateways.muster(&["unlock", "eu", "--yes"]).await.assert(0, &["unlocked eu-1"]);
    // What is no YAML at all names no machine; an older commit does.
    gateways.commit(&[("inventory.yaml", &broken)], "no YAML");
    gateways.muster(&["locks"]).await.assert(1, &["inventory.yaml:", "--rev HEAD~1"]);
    gateways.muster(&["locks", "--rev", "HEAD~2"]).await.assert(0, &["eu   free: 1 node"]);
    gateways.muster(&["unlock", "ue"]).await.assert(1, &["inventory.yaml:"]);
    gateways.muster(&["unlock", "ue", "--rev", "HEAD~1"]).await.assert(64, &["no cluster ue", "there are: eu"]);
}
