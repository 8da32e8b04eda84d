//! Nodes whose sshd forbids forwarding: asked by a command there, and what that cannot do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use muster::hint::Sealed;
use muster::name::NodePath;
use muster::remote::{Connect as _, Fault, HttpAddress, HttpRequest, Remote as _, SshConnect, SshRemote, Word};
use muster::wire::{Args, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::contract::{BEGIN, call, collect, done, get};
use crate::harness::{Fleet, NodeSpec, within};

/// A server that forbids every forward.
fn shut(name: &str) -> NodeSpec {
    NodeSpec::new(name).server("AllowTcpForwarding no").server("AllowStreamLocalForwarding no")
}

/// One node, entered.
struct Entered {
    fleet: Fleet,
    connect: Arc<SshConnect>,
    remote: Arc<SshRemote>,
}

impl Entered {
    async fn by(spec: NodeSpec) -> Option<Self> {
        let fleet = Fleet::start(vec![spec]).await?;
        let connect = fleet.connect();
        let remote = connect.open(&fleet.address("n1")).await.unwrap();
        Some(Self { fleet, connect, remote })
    }

    async fn leave(self) {
        self.connect.shutdown().await;
        self.fleet.assert_nothing_left().await;
    }
}

/// Echoes the body of each request, on each connection once.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&asked).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                let token = lower.lines().find_map(|line| line.strip_prefix("kong-admin-token: ")).unwrap_or("none");
                let said = format!("{} {token} {body}", head.lines().next().unwrap());
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                return;
            }
        }
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "half a request: {text}");
        asked.extend_from_slice(&piece[..n]);
    }
}

async fn echoing() -> (HttpAddress, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (to, count) = (HttpAddress::Tcp(listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(echo(stream));
        }
    });
    (to, count)
}

fn post(to: HttpAddress) -> HttpRequest {
    let token = Some(Arc::new(Sealed::new("t0ken".to_owned())));
    let body = Some(br#"{"name":"acme-auth","config":{"key":"\"q\""}}"#.to_vec());
    HttpRequest { method: "POST", body, token, deadline: Duration::from_secs(20), ..get(to, "/plugins?x=1") }
}

#[tokio::test]
async fn a_server_that_forbids_forwarding_is_asked_by_a_command_there() {
    let Some(node) = Entered::by(shut("n1")).await else { return };
    let (to, count) = echoing().await;
    assert_eq!(node.remote.asks_by(), None);
    for asked in 1..=3 {
        let answer = within(Duration::from_mins(1), "an answer", node.remote.http(post(to.clone()))).await.unwrap();
        let said = String::from_utf8(answer.body).unwrap();
        let wanted = r#"POST /plugins?x=1 HTTP/1.1 t0ken {"name":"acme-auth","config":{"key":"\"q\""}}"#;
        assert_eq!((answer.status, said.as_str()), (200, wanted));
        // Each time once: a forward that was refused has sent nothing, and a request is not made twice.
        assert_eq!(count.load(Ordering::SeqCst), asked);
    }
    assert_eq!(node.remote.asks_by().as_deref(), Some("curl"));
    // Only the first was tried through a forward.
    let log = std::fs::read_to_string(node.fleet.node("n1").dir().join("log")).unwrap();
    assert_eq!(log.matches("refused local port forward").count(), 1, "{log}");
    node.leave().await;
}

#[tokio::test]
async fn an_address_that_may_be_forwarded_to_goes_on_being_asked_so() {
    let (free, _) = echoing().await;
    let HttpAddress::Tcp(at) = &free else { unreachable!() };
    let spec = NodeSpec::new("n1").server(&format!("PermitOpen 127.0.0.1:{}", at.port()));
    let Some(node) = Entered::by(spec).await else { return };
    node.remote.http(post(free)).await.unwrap();
    assert_eq!(node.remote.asks_by(), None);
    let (other, _) = echoing().await;
    assert_eq!(node.remote.http(post(other)).await.unwrap().status, 200);
    assert_eq!(node.remote.asks_by().as_deref(), Some("curl"));
    node.leave().await;
}

#[tokio::test]
async fn a_socket_is_asked_by_a_command_where_streams_may_not_be_forwarded() {
    let Some(node) = Entered::by(shut("n1")).await else { return };
    let path = node.fleet.dir().join("admin.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let to = HttpAddress::Unix(NodePath::parse(path.to_str().unwrap()).unwrap());
    let said = node.remote.http(HttpRequest { deadline: Duration::from_secs(20), ..get(to, "/status") }).await.unwrap();
    assert!(said.body.starts_with(b"GET /status HTTP/1.1 none"), "{said:?}");
    served.await.unwrap();
    node.leave().await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_said_with_the_rights_of_the_scripts() {
    let Some(node) = Entered::by(NodeSpec::new("n1")).await else { return };
    let to = || HttpAddress::Unix(NodePath::parse("/nonexistent/admin.sock").unwrap());
    let error = node.remote.http(get(to(), "/")).await.unwrap_err();
    assert_eq!(error.fault, Fault::ForwardRefused, "{error}");
    assert_eq!(node.remote.asks_by(), None);
    node.leave().await;
}

#[tokio::test]
async fn a_closed_port_is_said_to_be_one_whichever_way_it_is_asked() {
    let Some(node) = Entered::by(shut("n1")).await else { return };
    let nothing = HttpAddress::Tcp(([127, 0, 0, 1], 1).into());
    for _ in 0..2 {
        let error = node.remote.http(get(nothing.clone(), "/")).await.unwrap_err();
        assert_eq!(error.fault, Fault::ForwardRefused, "{error}");
        assert!(error.found.starts_with("nothing answers there (curl: "), "{error}");
        assert!(error.hints[0].to_string().starts_with("check that something listens"), "{:?}", error.hints);
    }
    node.leave().await;
}

#[tokio::test]
async fn a_command_runs_beside_a_script_and_where_that_is_not_allowed_it_is_said_before_anything_is_changed() {
    let Some(node) = Entered::by(shut("n1").server("MaxSessions 2")).await else { return };
    let (to, _) = echoing().await;
    let text = format!("{BEGIN}echo ready; while IFS= read -r w; do echo \"$w\"; [ \"$w\" = look ] || end 0; done\n");
    let mut script = node.remote.start_text(&text, call(Args::new())).await.unwrap();
    assert!(script.next().await.is_some());
    for _ in 0..5 {
        assert_eq!(node.remote.http(post(to.clone())).await.unwrap().status, 200);
    }
    script.say(Word::Confirm).await.unwrap();
    assert_eq!(done(&collect(script).await.1), Status::Changed);
    node.leave().await;

    let Some(node) = Entered::by(shut("n1").server("MaxSessions 1")).await else { return };
    let error = node.remote.http(post(to)).await.unwrap_err();
    assert_eq!(error.fault, Fault::SessionRefused, "{error}");
    assert!(error.found.contains("one session at a time"), "{error}");
    assert!(error.hints[0].to_string().contains("MaxSessions 2"), "{:?}", error.hints);
    node.leave().await;
}

#[tokio::test]
async fn a_node_without_a_tool_that_could_ask_says_which_would() {
    // A curl that would have to take too long a line, and a perl without its own modules.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("perl"), "#!/bin/sh\nexit 2\n").unwrap();
    std::fs::set_permissions(dir.path().join("perl"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let Some(node) = Entered::by(shut("n1").env("PATH", &path)).await else { return };
    let (to, _) = echoing().await;
    let long = HttpRequest { body: Some(vec![b'x'; 70_000]), ..post(to) };
    let error = node.remote.http(long).await.unwrap_err();
    assert_eq!(error.fault, Fault::ForwardRefused, "{error}");
    assert!(error.found.contains("neither curl nor perl"), "{error}");
    assert!(error.hints[0].to_string().contains("AllowTcpForwarding local"), "{:?}", error.hints);
    node.leave().await;
}
