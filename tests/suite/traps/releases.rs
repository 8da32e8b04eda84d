//! Releases other than 3.4 to 3.9: looked at, never changed, and said so.

use super::{fleet, kept, starts};

#[tokio::test]
async fn kong_2_8_is_looked_at_and_nothing_is_changed() {
    let Some(gateways) = fleet().await else { return };
    let node = gateways.node("eu-1");
    node.stop().unwrap();
    node.install_release("2.8.5").unwrap();
    starts(|| {
        let mut command = node.kong(&["start", "-c"]);
        command.arg(&node.conf);
        command
    });
    let (_, root) = gateways.api("eu-1").send("GET", "/", None);
    assert_eq!(root["plugins"]["available_on_server"]["cors"], true, "it answers as 2.8 does");
    assert_eq!(root.get("edition"), None);
    gateways.want("1.0.0");
    let (settings, conf, master) = (kept(node), std::fs::read(&node.conf).unwrap(), node.master());
    let says = ["it runs Kong 2.8.5", "looks at and does not change"];
    for args in [&["--plan"][..], &["--apply", "--all"]] {
        let said = gateways.muster(args).await;
        let one_line = said.out.split_whitespace().collect::<Vec<_>>().join(" ") + &said.err;
        for word in says {
            assert!(one_line.contains(word), "{word}: {said}");
        }
        assert_eq!(said.code, if args.len() == 1 { 0 } else { 6 }, "{said}");
    }
    gateways.muster(&["status"]).await.assert(0, &["drift"]);
    gateways.muster(&["explain", "eu-1", "acme-auth"]).await.assert(0, &["Kong 2.8.5"]);
    assert_eq!((kept(node), std::fs::read(&node.conf).unwrap(), node.master()), (settings, conf, master));
    assert!(!gateways.home("eu-1").exists() && !node.lua_root.join("kong/plugins/acme-auth").exists());
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}
