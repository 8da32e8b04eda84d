use std::fmt::Write as _;

use super::*;
use crate::perform::scripted::{self, Scripted, ok};
use crate::remote::{Connect as _, Fault, HttpAnswer, Script};
use crate::wire::Status;

const HOST: &str = "host m1 b1 1700000000 900 deploy 1000 1\ntools perl
place conf file 1 1000 0\nplace prefix directory 1 1000 0\nplace lua-root directory 1 1000 0\nplace home directory 1 1000 0";

fn set(pids: &[u32]) -> BTreeSet<Process> {
    pids.iter().map(|pid| (*pid, u64::from(*pid) * 10)).collect()
}

fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

fn standing() -> Standing {
    Standing {
        master: Some((100, 5)),
        live: set(&[21, 22]),
        loaded: BTreeMap::from([(plugin("acme-auth"), None)]),
        gone: BTreeSet::from([plugin("legacy")]),
        ready: true,
        replaced: 0,
    }
}

struct Node {
    master: Option<(u32, u64)>,
    idle: bool,
    live: Vec<u32>,
    loaded: &'static str,
    ready: u16,
}

fn fine() -> Node {
    Node { master: Some((100, 5)), idle: true, live: vec![21, 22], loaded: "acme-auth", ready: 200 }
}

async fn check(standing: &mut Standing, node: Node) -> Result<(), String> {
    let scripted = Scripted::default();
    let mut lines = HOST.to_owned();
    if let Some((pid, start)) = node.master {
        let _ = write!(lines, "\nmaster {pid} {start} 0 0 1024 {} /", u8::from(node.idle));
        for pid in &node.live {
            let _ = write!(lines, "\nworker {pid} {pid}0 live");
        }
    }
    scripted.plays(Script::Survey, &lines, Status::Unchanged);
    let Node { loaded, ready, .. } = node;
    scripted.http(move |request| match request.path.as_str() {
        "/" => ok(format!("{{\"version\":\"3.9.1\",\"plugins\":{{\"available_on_server\":{{\"{loaded}\":{{}}}}}}}}")),
        "/status/ready" => Ok(HttpAnswer { status: ready, body: vec![] }),
        _ => ok("{\"data\":[]}"),
    });
    let mut site = scripted::site("eu-1");
    site.admin = Some(crate::remote::HttpAddress::Tcp(([127, 0, 0, 1], 8001).into()));
    site.status = Some(crate::remote::HttpAddress::Tcp(([127, 0, 0, 1], 8007).into()));
    let remote = scripted.connect(&site.address).await.unwrap();
    standing.check(&*remote, &site).await.map_err(|cause| cause.code)
}

#[tokio::test]
async fn a_node_that_stays_as_proven_is_healthy() {
    assert_eq!(check(&mut standing(), fine()).await, Ok(()));
}

#[tokio::test]
async fn what_does_not_stand_any_more_is_told() {
    for (node, code) in [
        (Node { master: None, ..fine() }, "master-gone"),
        (Node { master: Some((100, 6)), ..fine() }, "master-changed"),
        (Node { live: vec![], ..fine() }, "workers-gone"),
        (Node { live: vec![21, 33], ..fine() }, "workers-restart"),
        (Node { loaded: "other", ..fine() }, "not-loaded"),
        (Node { ready: 503, ..fine() }, "not-ready"),
    ] {
        assert_eq!(check(&mut standing(), node).await, Err(code.to_owned()), "{code}");
    }
    let mut back = Standing { loaded: BTreeMap::new(), ..standing() };
    assert_eq!(check(&mut back, Node { loaded: "legacy", ..fine() }).await, Err("still-loaded".to_owned()));
}

#[tokio::test]
async fn a_worker_that_died_stays_a_complaint_when_asked_again() {
    let mut standing = standing();
    for _ in 0..2 {
        let node = Node { live: vec![21, 33], ..fine() };
        assert_eq!(check(&mut standing, node).await, Err("workers-restart".to_owned()));
    }
}

#[tokio::test]
async fn a_reload_by_somebody_else_is_no_complaint_and_restarts_without_end_are() {
    let mut standing = standing();
    let loading = Node { idle: false, ready: 503, live: vec![21, 22, 31], ..fine() };
    assert_eq!(check(&mut standing, loading).await, Ok(()));
    for pid in [31, 41] {
        assert_eq!(check(&mut standing, Node { live: vec![pid, pid + 1], ..fine() }).await, Ok(()));
    }
    let third = Node { live: vec![51, 52], ..fine() };
    assert_eq!(check(&mut standing, third).await, Err("workers-restart".to_owned()));
}

#[tokio::test]
async fn a_node_that_was_not_ready_before_need_not_be_ready() {
    let mut standing = Standing { ready: false, ..standing() };
    assert_eq!(check(&mut standing, Node { ready: 503, ..fine() }).await, Ok(()));
}

#[tokio::test]
async fn a_kong_that_does_not_run_has_nothing_to_lose_and_a_lost_link_is_told() {
    let scripted = Scripted::default();
    let site = scripted::site("eu-1");
    let remote = scripted.connect(&site.address).await.unwrap();
    let mut stopped = Standing { master: None, ..standing() };
    assert_eq!(stopped.check(&*remote, &site).await, Ok(()));
    assert!(scripted.calls().is_empty());
    let found = standing().check(&*remote, &site).await.unwrap_err();
    assert_eq!(found.code, super::super::fault_word(Fault::SessionRefused));
}
