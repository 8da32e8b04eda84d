//! Jump hosts: one login each, whoever is behind.

use std::time::Duration;

use futures_util::future::join_all;
use muster::remote::{Connect as _, Fault, Remote as _, RemoteError, SshConnect};
use muster::wire::{Args, Status};

use super::contract::{BEGIN, call, collect, done};
use crate::harness::{Fleet, NodeSpec, within};

const SOON: Duration = Duration::from_secs(30);

/// `count` nodes that are entered through these hops.
fn behind(hops: &str, count: usize) -> (Vec<String>, Vec<NodeSpec>) {
    let names: Vec<String> = (1..=count).map(|n| format!("in-{n}")).collect();
    let specs = names.iter().map(|name| NodeSpec::new(name).client(&format!("ProxyJump {hops}"))).collect();
    (names, specs)
}

/// Enters a node and has it answer.
async fn enter(fleet: &Fleet, connect: &SshConnect, name: &str) -> Result<Status, RemoteError> {
    let remote = connect.open(&fleet.address(name)).await?;
    let running = remote.start_text(&format!("{BEGIN}end 10\n"), call(Args::new())).await?;
    let status = done(&collect(running).await.1);
    Ok(status)
}

async fn enter_all(fleet: &Fleet, connect: &SshConnect, names: &[String]) -> Vec<Result<Status, RemoteError>> {
    within(SOON, "all answers", join_all(names.iter().map(|name| enter(fleet, connect, name)))).await
}

#[tokio::test]
async fn nodes_behind_one_jump_host_share_one_login_there() {
    let (names, mut specs) = behind("bastion", 8);
    // Two unauthenticated connections at once are all that it takes: eight logins would not get through.
    specs.push(NodeSpec::new("bastion").server("MaxStartups 2:100:2"));
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let answers = enter_all(&fleet, &connect, &names).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Status::Unchanged)), "{answers:?}");
    assert_eq!((fleet.node("bastion").logins(), fleet.node("bastion").wire.accepted()), (1, 1));
    assert!(names.iter().all(|name| fleet.node(name).logins() == 1));
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_chain_of_jump_hosts_is_entered_once_each() {
    let (names, mut specs) = behind("outer,inner", 3);
    specs.extend([NodeSpec::new("outer"), NodeSpec::new("inner")]);
    let Some(fleet) = Fleet::start(specs).await else { return };
    // The inner one and the nodes are not to be reached without the ones before: what went through is counted there.
    let connect = fleet.connect();
    let answers = enter_all(&fleet, &connect, &names).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Status::Unchanged)), "{answers:?}");
    assert_eq!((fleet.node("outer").logins(), fleet.node("inner").logins()), (1, 1));
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_jump_host_behind_a_jump_host_of_the_configuration_is_followed() {
    let (names, mut specs) = behind("inner", 2);
    specs.extend([NodeSpec::new("outer"), NodeSpec::new("inner").client("ProxyJump outer")]);
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let answers = enter_all(&fleet, &connect, &names).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Status::Unchanged)), "{answers:?}");
    assert_eq!((fleet.node("outer").logins(), fleet.node("inner").logins()), (1, 1));
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_jump_host_that_refuses_is_named_and_asked_once() {
    let (names, mut specs) = behind("bastion", 6);
    specs.push(NodeSpec::new("bastion").locked());
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    for answer in enter_all(&fleet, &connect, &names).await {
        let error = answer.unwrap_err();
        assert_eq!(error.fault, Fault::LoginRefused, "{error}");
        assert!(error.doing.contains("the jump host bastion"), "{error}");
    }
    assert_eq!(fleet.node("bastion").wire.accepted(), 1);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_node_that_refuses_behind_a_jump_host_is_told_as_such() {
    let (_, mut specs) = behind("bastion", 1);
    specs.push(NodeSpec::new("bastion"));
    let Some(fleet) = Fleet::start(specs).await else { return };
    fleet.node("in-1").wire.refuse().await;
    let connect = fleet.connect();
    let error = within(SOON, "an error", enter(&fleet, &connect, "in-1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::ConnectionRefused, "{error}");
    assert_eq!(error.doing, "connecting to in-1");
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_jump_host_that_was_lost_is_entered_again() {
    let (_, mut specs) = behind("bastion", 2);
    specs.push(NodeSpec::new("bastion"));
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("in-1")).await.unwrap();
    fleet.node("bastion").wire.cut();
    crate::harness::poll_until(SOON, "the masters end", || fleet.left().is_empty().then_some(())).await;
    assert!(!remote.alive().await);
    assert_eq!(within(SOON, "an answer", enter(&fleet, &connect, "in-2")).await, Ok(Status::Unchanged));
    assert_eq!(fleet.node("bastion").logins(), 2);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn jump_hosts_in_a_circle_are_an_error() {
    let specs = vec![
        NodeSpec::new("a").client("ProxyJump b"),
        NodeSpec::new("b").client("ProxyJump a"),
        NodeSpec::new("n").client("ProxyJump a"),
    ];
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let error = within(SOON, "an error", enter(&fleet, &connect, "n")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Client, "{error}");
    assert!(error.found.contains("loop"), "{error}");
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}
