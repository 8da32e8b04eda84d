//! How a node is reloaded, and on what evidence: its own CLI where that makes the same files of what runs, else `.kong_env` and a
//! HUP (protocols.md A, B2).

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use muster::standin::site::Node;

use crate::harness::Gateways;
use crate::harness::gateways::handler;
use crate::harness::prober::ask;

/// Stops a gateway and starts it with these arguments behind `start -c CONF`, in this environment.
pub(super) fn start_anew(node: &Node, args: &[&str], vars: &[(&str, &str)]) {
    node.stop().unwrap();
    let conf = node.conf.to_str().unwrap();
    let started = || node.kong(&[&["start", "-c", conf], args].concat()).envs(vars.iter().copied()).output().unwrap();
    let mut out = started();
    // `kong stop` may return before the master is gone (measured.md 1).
    for _ in 0..50 {
        if out.status.success() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        out = started();
    }
    panic!("{}", said(&out));
}

pub(super) fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Plans, and every one of these is in the plan, however its lines are broken.
#[track_caller]
fn has(said: &str, words: &[&str]) {
    let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in the plan\n{said}");
    }
}

pub(super) async fn assert_plan(gateways: &Gateways, words: &[&str]) {
    let plan = gateways.muster(&["--plan"]).await;
    assert_eq!(plan.code, 0, "{plan}");
    has(&plan.out, words);
}

/// Starts a gateway with a template of its own, which has a server beside Kong's; where that listens.
fn with_own_server(node: &Node) -> SocketAddr {
    let own = SocketAddr::from((node.address, 9099));
    let template = node.dir.join("etc/nginx.template");
    let text = format!(
        "pid pids/nginx.pid;\nerror_log ${{{{PREFIX}}}}/logs/error.log ${{{{LOG_LEVEL}}}};\nhttp {{\n    include 'nginx-kong.conf';\n    \
         server {{\n        server_name own;\n        listen {own};\n    }}\n}}\n"
    );
    fs::write(&template, text).unwrap();
    start_anew(node, &["--nginx-conf", template.to_str().unwrap()], &[]);
    assert!(ask(own).is_ok());
    own
}

#[tokio::test]
async fn a_node_whose_cli_makes_the_same_files_is_reloaded_by_it_and_the_plan_says_why() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let env = || fs::read(gateways.node("eu-1").prefix.join(".kong_env")).unwrap();
    let before = env();
    let way = "staged, with each node's own running settings; its CLI 3.9.1 makes the same files of what runs";
    assert_plan(&gateways, &[way]).await;
    assert_eq!(env(), before, "planning wrote into the prefix");
    assert_eq!(gateways.left(), Vec::<String>::new());
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
    gateways.muster(&["--plan"]).await.assert(0, &["in line"]);
}

#[tokio::test]
async fn started_with_a_template_of_ones_own_the_node_keeps_it_and_a_candidate_would_have_dropped_it() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    let own = with_own_server(&node);
    gateways.want("1.0.0");
    let why = "staged, by `.kong_env` and HUP; its nginx files are not those that its CLI makes (nginx.conf)";
    assert_plan(&gateways, &[why]).await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert!(ask(own).is_ok(), "the server of the template is gone");
    gateways.want("2.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("2.0.0")).await;
    assert!(ask(own).is_ok(), "the server of the template is gone");
    gateways.muster(&["--plan"]).await.assert(0, &["in line"]);
    // A broken one is put back, by the same way.
    gateways.want_handler(&handler("3.0.0", "error('no')"), "broken");
    assert_ne!(gateways.muster(&["--apply", "--all"]).await.code, 0);
    gateways.assert_serving(Some("2.0.0")).await;
    assert!(ask(own).is_ok(), "the server of the template is gone");
    // The naive way, and what it does to the template.
    let candidate = node.dir.join("candidate");
    fs::copy(node.prefix.join(".kong_env"), &candidate).unwrap();
    let prefix = node.prefix.to_str().unwrap();
    let out = node.kong(&["reload", "-c", candidate.to_str().unwrap(), "-p", prefix]).output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask(own).is_ok() {
        assert!(std::time::Instant::now() < until, "a candidate kept the server of the template");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn vault_references_stay_references_and_no_cli_has_to_resolve_them() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    let reference = "{vault://env/pg-secret}";
    let conf = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("{conf}pg_password = {reference}\n")).unwrap();
    start_anew(&node, &[], &[("PG_SECRET", "hunter2")]);
    gateways.want("1.0.0");
    assert_plan(&gateways, &["`.kong_env` and HUP; its settings hold vault references"]).await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    let env = fs::read_to_string(node.prefix.join(".kong_env")).unwrap();
    assert!(env.contains(&format!("pg_password = {reference}\n")), "{env}");
    gateways.muster(&["--plan"]).await.assert(0, &["in line"]);
}

#[tokio::test]
async fn a_cli_of_another_release_or_none_is_not_used() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    let (other, none) = (gateways.node("eu-1").clone(), gateways.node("eu-2").clone());
    let wrapper = fs::read_to_string(&other.kong).unwrap();
    let text = wrapper.replace("exec ", "[ \"$1\" != version ] || { echo 3.9.3; exit; }\nexec ");
    fs::write(other.dir.join("bin/new"), text).unwrap();
    std::process::Command::new("/bin/sh")
        .args(["-c", "cd \"$1\" && chmod +x new && mv new kong && rm \"$2\"", "sh"])
        .args([other.dir.join("bin"), none.kong.clone()])
        .status()
        .unwrap();
    gateways.want("1.0.0");
    let words = ["its CLI is that of Kong 3.9.3, and 3.9.1 runs", "the kong command of the inventory is not there"];
    assert_plan(&gateways, &words).await;
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.muster(&["--plan"]).await.assert(0, &["in line"]);
}

#[tokio::test]
async fn files_that_changed_since_the_closer_look_stop_the_step_before_anything_is_touched() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1").clone();
    gateways.want("1.0.0");
    gateways.muster(&["--plan", "--out", "saved"]).await.assert(0, &["Saved"]);
    let file = node.prefix.join("nginx.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}# by hand\n")).unwrap();
    let said = gateways.muster(&["--apply", "--from", "saved"]).await;
    assert_ne!(said.code, 0, "{said}");
    gateways.assert_serving(None).await;
    assert!(fs::read_to_string(&file).unwrap().ends_with("# by hand\n"));
}
