//! Every class of fault, by a real ssh against a real sshd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use muster::hint::Hint;
use muster::remote::{
    Connect as _, Fault, HttpAddress, NodeAddress, Privilege, Remote as _, RemoteError, SshConnect, Word,
};
use muster::wire::{Args, Status};
use tokio::time::Instant;

use super::contract::{BEGIN, call, collect, done, get, lost};
use crate::harness::{Fleet, Known, NodeSpec, within};

const SOON: Duration = Duration::from_secs(20);

/// The error of connecting to the only node.
async fn refused(fleet: &Fleet) -> RemoteError {
    let connect = fleet.connect();
    let result = within(SOON, "an error", connect.connect(&fleet.address("n1"))).await;
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
    result.map(|_| ()).unwrap_err()
}

fn first_command(error: &RemoteError) -> &str {
    let typed = error.hints().iter().find_map(|hint| match hint {
        Hint::Type(command) => Some(command.as_str()),
        _ => None,
    });
    typed.unwrap_or_default()
}

#[tokio::test]
async fn an_unknown_key_is_not_accepted() {
    let Some(fleet) = Fleet::start(vec![NodeSpec::new("n1").known(Known::Unknown)]).await else { return };
    let error = refused(&fleet).await;
    assert_eq!(error.fault, Fault::HostKeyUnknown, "{error}");
    assert!(error.found.starts_with("host key not known: "), "{error}");
    let config = fleet.ssh_config();
    assert_eq!(first_command(&error), format!("ssh -F {} n1", config.display()));
    assert_eq!(fs::read_to_string(fleet.dir().join("known_hosts")).unwrap(), "");
}

#[tokio::test]
async fn a_changed_key_is_told_with_its_place() {
    let Some(fleet) = Fleet::start(vec![NodeSpec::new("n1").known(Known::Changed)]).await else { return };
    let error = refused(&fleet).await;
    assert_eq!(error.fault, Fault::HostKeyChanged, "{error}");
    assert!(error.found.contains("known_hosts:1"), "{error}");
    assert!(error.found.starts_with("host key changed: "), "{error}");
    // What it tells to type really removes the key: after it the host is not known any more.
    let typed = first_command(&error);
    let done = std::process::Command::new("sh").args(["-c", typed]).output().unwrap();
    assert!(done.status.success(), "{typed}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read_to_string(fleet.dir().join("known_hosts")).unwrap(), "", "{typed}");
}

#[tokio::test]
async fn a_refused_login_is_told() {
    let Some(fleet) = Fleet::start(vec![NodeSpec::new("n1").locked()]).await else { return };
    let error = refused(&fleet).await;
    assert_eq!(error.fault, Fault::LoginRefused, "{error}");
    assert_eq!(fleet.node("n1").wire.accepted(), 1, "a refused login must not be tried again");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_told() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    fleet.node("n1").wire.refuse().await;
    let error = refused(&fleet).await;
    assert_eq!(error.fault, Fault::ConnectionRefused, "{error}");
    fleet.node("n1").wire.listen().await;
    let connect = fleet.connect();
    assert!(connect.connect(&fleet.address("n1")).await.is_ok(), "it listens again");
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_silent_port_ends_in_time() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    fleet.node("n1").wire.silence();
    let mut settings = fleet.settings();
    settings.connect_timeout = Duration::from_secs(1);
    let connect = SshConnect::new(settings);
    let started = Instant::now();
    let error = connect.connect(&fleet.address("n1")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut, "{error}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_of_the_login_ends_in_time() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    fleet.node("n1").wire.delay(Duration::from_millis(40));
    let mut settings = fleet.settings();
    settings.connect_timeout = Duration::from_secs(1);
    let connect = SshConnect::new(settings);
    let address = fleet.address("n1");
    let attempt = connect.connect(&address);
    let freeze = async {
        let log = fleet.node("n1").dir().join("log");
        crate::harness::poll_until(SOON, "sshd to start", || log.exists().then_some(())).await;
        fleet.node("n1").wire.freeze();
    };
    let (result, ()) = within(SOON, "an error", async { tokio::join!(attempt, freeze) }).await;
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut, "{error}");
    connect.shutdown().await;
    drop(connect);
    fleet.node("n1").wire.cut();
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    let address = NodeAddress { host: "nowhere.invalid".to_owned(), ..fleet.address("n1") };
    let error = within(SOON, "an error", connect.connect(&address)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::NoSuchHost, "{error}");
    assert!(error.doing.contains("n1 (nowhere.invalid)"), "{error}");
    connect.shutdown().await;
}

#[tokio::test]
async fn a_connection_dropped_before_the_login_is_tried_again() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    fleet.node("n1").wire.drop_next(2);
    let remote = within(SOON, "a connection", connect.open(&fleet.address("n1"))).await.unwrap();
    assert_eq!(fleet.node("n1").wire.accepted(), 3);
    assert!(remote.alive().await);
    fleet.node("n1").wire.drop_next(100);
    let error = within(SOON, "an error", connect.open(&fleet.address("n1"))).await.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Dropped, "{error}");
    assert_eq!(fleet.node("n1").wire.accepted(), 3 + 4);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_configuration_that_ssh_does_not_understand_is_told() {
    let Some(fleet) = Fleet::start(vec![NodeSpec::new("n1").client("NoSuchOption yes")]).await else { return };
    let error = refused(&fleet).await;
    assert_eq!(error.fault, Fault::Client, "{error}");
    assert!(error.found.to_lowercase().contains("nosuchoption"), "{error}");
}

#[tokio::test]
async fn a_missing_ssh_is_told() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let mut settings = fleet.settings();
    settings.vars.insert("PATH".to_owned(), fleet.dir().into());
    let error = SshConnect::new(settings).connect(&fleet.address("n1")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Client, "{error}");
    assert!(error.found.contains("ssh cannot be run"), "{error}");
}

#[tokio::test]
async fn where_one_session_is_allowed_a_second_script_is_refused_and_http_still_goes() {
    let Some(fleet) = Fleet::start(vec![NodeSpec::new("n1").server("MaxSessions 1")]).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let text = format!("{BEGIN}echo ready; while IFS= read -r w; do echo \"$w\"; [ \"$w\" = look ] || end 0; done\n");
    let mut first = remote.start_text(&text, call(Args::new())).await.unwrap();
    assert!(first.next().await.is_some());
    let second = remote.start_text(&text, call(Args::new())).await.map(|_| ()).unwrap_err();
    assert_eq!(second.fault, Fault::SessionRefused, "{second}");

    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = HttpAddress::Tcp(server.local_addr().unwrap());
    let serve = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = server.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    };
    let (answer, ()) = tokio::join!(remote.http(get(to, "/")), serve);
    assert_eq!(answer.unwrap().status, 204);

    first.say(Word::Look).await.unwrap();
    first.say(Word::Confirm).await.unwrap();
    assert_eq!(done(&collect(first).await.1), Status::Changed);
    // The session is free again, though the server may see it a moment later than we do.
    for _ in 0..30 {
        let next = remote.start_text(&format!("{BEGIN}end 10\n"), call(Args::new())).await.unwrap();
        assert_eq!(done(&next.finish().await), Status::Unchanged);
    }
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn an_admin_api_that_dies_in_the_middle_is_lost_and_not_refused() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = HttpAddress::Tcp(server.local_addr().unwrap());
    let die = async {
        let (stream, _) = server.accept().await.unwrap();
        stream.readable().await.unwrap();
    };
    let (answer, ()) = tokio::join!(remote.http(get(to, "/")), die);
    let error = answer.unwrap_err();
    assert_eq!(error.fault, Fault::Lost, "{error}");
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

/// A sudo that behaves as told; none is needed on the machine.
fn sudo(dir: &std::path::Path, body: &str) -> String {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("sudo"), format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

#[tokio::test]
async fn sudo_that_asks_is_refused_and_sudo_that_does_not_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let asking = sudo(&dir.path().join("asking"), "echo 'sudo: ein Passwort ist notwendig' >&2; exit 1");
    let granting =
        sudo(&dir.path().join("granting"), "[ \"$1\" = -n ] || exit 9; shift; BY=sudo; export BY; exec \"$@\"");
    let specs = vec![NodeSpec::new("asks").env("PATH", &asking), NodeSpec::new("grants").env("PATH", &granting)];
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let text = format!("{BEGIN}[ \"$BY\" = sudo ] || end 30; end 0\n");
    let run = async |name: &str| {
        let address = NodeAddress { privilege: Privilege::Sudo, ..fleet.address(name) };
        let remote = connect.open(&address).await.unwrap();
        collect(remote.start_text(&text, call(Args::new())).await.unwrap()).await.1
    };
    let error = lost(run("asks").await);
    assert_eq!(error.fault, Fault::SudoRefused, "{error}");
    let user = crate::harness::fleet::user();
    let line = Hint::do_(format!("in /etc/sudoers.d/muster on asks: {user} ALL=(root) NOPASSWD: /bin/sh"));
    assert_eq!(error.hints()[0], line);
    assert_eq!(done(&run("grants").await), Status::Changed);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_forced_command_is_not_taken_for_an_answer() {
    let spec = NodeSpec::new("n1").server("ForceCommand echo only backups here");
    let Some(fleet) = Fleet::start(vec![spec]).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let error = match remote.start_text(BEGIN, call(Args::new())).await {
        Ok(running) => lost(collect(running).await.1),
        Err(error) => error,
    };
    assert_eq!(error.fault, Fault::Garbled, "{error}");
    assert!(error.found.contains("only backups here"), "{error}");
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_frozen_node_is_lost_after_two_missing_signs_of_life() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let mut running = remote.start_text(&format!("{BEGIN}echo x; read -r w\n"), call(Args::new())).await.unwrap();
    assert!(running.next().await.is_some());
    fleet.node("n1").wire.freeze();
    let started = Instant::now();
    let error = lost(within(SOON, "the end", collect(running)).await.1);
    assert_eq!(error.fault, Fault::Lost, "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(!remote.alive().await);
    within(Duration::from_secs(8), "the end of all masters", connect.shutdown()).await;
    fleet.node("n1").wire.cut();
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_node_that_stalls_for_less_than_that_is_not_lost() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let text = format!("{BEGIN}echo ready; while IFS= read -r w; do echo \"$w\"; end 0; done\n");
    let mut running = remote.start_text(&text, call(Args::new())).await.unwrap();
    assert!(running.next().await.is_some());
    let wire = &fleet.node("n1").wire;
    wire.freeze();
    running.say(Word::Look).await.unwrap();
    let stalled = tokio::time::timeout(Duration::from_millis(700), running.next()).await;
    assert!(stalled.is_err(), "a frozen wire carried {stalled:?}");
    wire.thaw();
    assert_eq!(done(&within(SOON, "the end", collect(running)).await.1), Status::Changed);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_reset_and_a_cut_in_the_middle_of_an_answer_are_lost() {
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let connect = fleet.connect();
    let wire = &fleet.node("n1").wire;
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let text = format!("{BEGIN}echo x; echo blob b 4000000; dd if=/dev/zero bs=4000000 count=1 2>/dev/null; end 0\n");
    wire.cut_after(100_000);
    let (_, ended) = within(SOON, "the end", collect(remote.start_text(&text, call(Args::new())).await.unwrap())).await;
    assert_eq!(lost(ended).fault, Fault::Lost);

    wire.uncut();
    let remote = connect.open(&fleet.address("n1")).await.unwrap();
    let text = format!("{BEGIN}echo x; read -r w\n");
    let mut running = remote.start_text(&text, call(Args::new())).await.unwrap();
    assert!(running.next().await.is_some());
    wire.reset();
    let (_, ended) = within(SOON, "the end", collect(running)).await;
    assert_eq!(lost(ended).fault, Fault::Lost);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn twenty_nodes_at_once_each_give_their_own_answer() {
    let names: Vec<String> = (1..=20).map(|n| format!("eu-{n}")).collect();
    let specs = names.iter().map(|name| NodeSpec::new(name).env("NODE", name)).collect();
    let Some(fleet) = Fleet::start(specs).await else { return };
    let connect = fleet.connect();
    let ask = async |name: &String| {
        let remote = connect.open(&fleet.address(name)).await.unwrap();
        let text = format!("{BEGIN}[ \"$NODE\" = \"$a_want\" ] || end 30; end 10\n");
        let args = Args::new().with("want", name).unwrap();
        done(&collect(remote.start_text(&text, call(args)).await.unwrap()).await.1)
    };
    let all = futures_util::future::join_all(names.iter().map(ask));
    let statuses = within(Duration::from_mins(1), "all answers", all).await;
    assert!(statuses.iter().all(|status| *status == Status::Unchanged), "{statuses:?}");
    assert!(fleet.nodes().all(|node| node.logins() == 1));
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}
