//! Admin APIs that cannot be asked through the connection: the whole program over servers that forbid it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::removal::{DELETE, assert_no_files, assert_served, use_everywhere, want};
use crate::harness::{Gateways, NodeSpec, Relay, Reply, process};

/// A server that forbids every forward.
fn shut(spec: NodeSpec) -> NodeSpec {
    spec.server("AllowTcpForwarding no").server("AllowStreamLocalForwarding no")
}

#[tokio::test]
async fn where_forwarding_is_forbidden_a_plugin_is_installed_and_removed_with_its_rows() {
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1", "eu-2"])], shut).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--plan"]).await.assert(0, &["acme-auth"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;

    let said = gateways.muster(&["status"]).await;
    said.assert(0, &["Admin API asked by curl on the node (forwarding is forbidden): eu-[1,2]"]);
    let json = gateways.muster(&["status", "--format", "json"]).await;
    assert!(json.out.contains(r#""asked":{"by":"command","tool":"curl"}"#), "{json}");
    let said = gateways.muster(&["doctor", "--format", "json"]).await;
    said.assert(0, &["it answers: ", "asked by curl on the node (forwarding is forbidden)"]);

    let api = gateways.api("eu-1");
    use_everywhere(api);
    let probers = gateways.probers();
    want(&gateways, &[DELETE]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["converged"]);
    assert_served(probers);
    assert_eq!(api.rows_of("acme-auth"), Vec::<serde_json::Value>::new());
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
    }
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn the_token_shows_in_no_process_no_journal_and_no_log_whichever_way_it_goes() {
    const TOKEN: &str = "tok3n-of-this-very-test-7d1f";
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"])], shut).await else { return };
    gateways.want("1.0.0");
    let inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let inventory = inventory.replace("eu-1: { kong:", "eu-1: { admin: { token: { env: EU_TOKEN } }, kong:");
    gateways.commit(&[("inventory.yaml", &inventory)], "a token");
    // Whatever runs on this machine while it is used: its command line and its environment.
    let (seen, over) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let (told, stop) = (seen.clone(), over.clone());
    let watch = std::thread::spawn(move || {
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            told.lock().unwrap().extend(process::with_text(TOKEN));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let log = gateways.dir().join("muster.log");
    let vars = [("EU_TOKEN", TOKEN), ("MUSTER_LOG", "trace")];
    let args = ["--apply", "--all", "--log", log.to_str().unwrap()];
    let said = gateways.begin_with(&args, &vars).said().await;
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    watch.join().unwrap();
    said.assert(0, &["converged"]);
    assert_eq!(*seen.lock().unwrap(), BTreeSet::new());
    assert!(!said.to_string().contains(TOKEN));
    // Everything that was written: journals, state, what is on the nodes, the log.
    let found = std::process::Command::new("grep").args(["-rlF", TOKEN]).arg(gateways.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let found = std::process::Command::new("grep").args(["-rlF", TOKEN]).arg(gateways.ssh.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

/// The operator's own settings, in a directory that goes with the fleet.
fn settings(gateways: &Gateways, text: &str, mode: u32) -> String {
    let config = gateways.dir().join("config");
    fs::create_dir_all(config.join("muster")).unwrap();
    let file = config.join("muster/admin.yaml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    config.display().to_string()
}

#[tokio::test]
async fn a_token_comes_from_the_command_that_the_operator_has_set_and_from_no_other() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let relay = Relay::before(gateways.node("eu-1"));
    relay.answer(|head| match head.to_lowercase().contains("\r\nkong-admin-token: r1ght\r\n") {
        true => Reply::Pass,
        false => Reply::http("401 Unauthorized", "", "{\"message\":\"Unauthorized\"}"),
    });
    let inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let with = |token: &str| {
        let admin = format!("eu-1: {{ admin: {{ listen: {}{token} }}, kong:", relay.url());
        inventory.replace("eu-1: { kong:", &admin)
    };
    gateways.commit(&[("inventory.yaml", &with(""))], "behind a token");
    gateways.muster(&["--plan"]).await.assert(0, &["401", "a command in ~/.config/muster/admin.yaml"]);

    let count = gateways.dir().join("count");
    let command = format!("[sh, -c, 'echo x >>{}; echo r1ght']", count.display());
    let config = settings(&gateways, &format!("clusters: {{ eu: {{ token: {{ command: {command} }} }} }}"), 0o600);
    let vars = [("XDG_CONFIG_HOME", config.as_str())];
    gateways.begin_with(&["--apply", "--all"], &vars).said().await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");

    // Its failure is told, and that of a file which others could have written.
    settings(&gateways, "clusters: { eu: { token: { command: [sh, -c, 'echo locked >&2; exit 3'] } } }", 0o600);
    gateways.begin_with(&["--plan"], &vars).said().await.assert(1, &["token of cluster eu", "exit status: 3, locked"]);
    settings(&gateways, "clusters: {}", 0o666);
    gateways.begin_with(&["--plan"], &vars).said().await.assert(1, &["others may write", "chmod go-w"]);

    // A repository names none: nothing of it is run, and what is written there is not shown.
    let theirs = with(", token: { command: [touch, /tmp/muster-was-here] }");
    gateways.commit(&[("inventory.yaml", &theirs)], "a command");
    let said = gateways.begin_with(&["--plan"], &vars).said().await;
    said.assert(1, &["a command that gives a token is not taken from a repository", "~/.config/muster/admin.yaml"]);
    assert!(!said.to_string().contains("was-here"), "{said}");
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn one_token_for_two_clusters_is_said() {
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"]), ("us", &["us-1"])], |spec| spec).await else { return };
    gateways.want("1.0.0");
    let text = "clusters: { eu: { token: { env: ONE } }, us: { token: { command: [echo, the-same] } } }";
    let config = settings(&gateways, text, 0o600);
    let vars = [("XDG_CONFIG_HOME", config.as_str()), ("ONE", "the-same")];
    let said = gateways.begin_with(&["status"], &vars).said().await;
    assert!(said.err.contains("eu and us are given the same token"), "{said}");
    assert!(!said.to_string().contains("the-same"), "{said}");
}
