//! What every transport promises, asked of both.

use std::sync::Arc;
use std::time::Duration;

use muster::name::{NodeName, NodePath};
use muster::remote::{
    Call, Connect as _, Ended, Fault, HttpAddress, HttpRequest, Local, LocalConnect, NodeAddress, Privilege, Remote,
    RemoteError, Reply, Running, Script, SshConnect, SshRemote, Transport, Word,
};
use muster::wire::{Args, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::harness::{Fleet, poll_until, within};

/// The least that a script of ours does: it reads its arguments and speaks first.
pub(super) const BEGIN: &str = r#"
while IFS= read -r k && [ -n "$k" ]; do IFS= read -r v; eval "a_$k=\$v"; done
printf 'muster 1 %s\n' "$a_nonce"
end() { printf 'end %s %s\n' "$a_nonce" "$1"; exit "$1"; }
field() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }
"#;

/// A node behind one of the transports.
enum Node {
    Ssh(Fleet, Arc<SshConnect>, Arc<SshRemote>),
    Local(Arc<Local>),
}

impl Node {
    async fn ssh() -> Option<Self> {
        let fleet = Fleet::of(&["n1"]).await?;
        let connect = fleet.connect();
        let remote = connect.open(&fleet.address("n1")).await.unwrap();
        Some(Self::Ssh(fleet, connect, remote))
    }

    async fn local() -> Option<Self> {
        let address = NodeAddress {
            node: NodeName::parse("here").unwrap(),
            host: "here".to_owned(),
            user: None,
            port: None,
            privilege: Privilege::None,
            transport: Transport::Local,
        };
        std::future::ready(Some(Self::Local(LocalConnect::new([]).open(&address)))).await
    }

    fn remote(&self) -> &dyn Remote {
        match self {
            Self::Ssh(_, _, remote) => remote.as_ref(),
            Self::Local(remote) => remote.as_ref(),
        }
    }

    async fn start(&self, body: &str, call: Call) -> Result<Box<dyn Running>, RemoteError> {
        let text = format!("{BEGIN}{body}\n");
        match self {
            Self::Ssh(_, _, remote) => remote.start_text(&text, call).await,
            Self::Local(remote) => remote.start_text(&text, call).await,
        }
    }

    async fn run(&self, body: &str, call: Call) -> (Vec<Reply>, Ended) {
        let running = self.start(body, call).await.unwrap();
        within(Duration::from_secs(40), "the call ends", collect(running)).await
    }

    async fn end(self) {
        if let Self::Ssh(fleet, connect, remote) = self {
            remote.close().await;
            connect.shutdown().await;
            fleet.assert_nothing_left().await;
        }
    }
}

pub(super) async fn collect(mut running: Box<dyn Running>) -> (Vec<Reply>, Ended) {
    let mut replies = Vec::new();
    while let Some(reply) = running.next().await {
        replies.push(reply);
    }
    (replies, running.finish().await)
}

pub(super) fn call(args: Args) -> Call {
    Call { script: Script::Survey, args, payload: None, deadline: Duration::from_secs(30) }
}

pub(super) fn done(ended: &Ended) -> Status {
    match ended {
        Ended::Done(status) => *status,
        Ended::Lost(error) => panic!("lost: {error} ({:?})", error.fault),
    }
}

pub(super) fn lost(ended: Ended) -> RemoteError {
    match ended {
        Ended::Lost(error) => error,
        Ended::Done(status) => panic!("it ended with {status:?}"),
    }
}

fn record(reply: &Reply) -> String {
    match reply {
        Reply::Record(record) => {
            let fields: Vec<_> = (0..record.fields.len()).filter_map(|at| record.text(at)).collect();
            format!("{} {}", record.tag, fields.join(" "))
        }
        Reply::Blob { name, bytes } => format!("blob {name} {}", bytes.len()),
    }
}

/// Each promise, once per transport.
macro_rules! promises {
    ($($name:ident)*) => {
        mod over_ssh {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let Some(node) = Node::ssh().await else { return };
                super::$name(&node).await;
                node.end().await;
            })*
        }
        mod here {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let Some(node) = Node::local().await else { return };
                super::$name(&node).await;
                node.end().await;
            })*
        }
    };
}

promises! {
    arguments_arrive_whole
    a_binary_payload_arrives_intact
    words_are_heard_in_order
    closing_our_side_ends_a_listening_script
    a_script_may_end_before_it_has_read_its_payload
    noise_before_the_answer_is_skipped
    a_huge_answer_arrives
    a_script_that_is_killed_is_lost
    a_deadline_makes_a_call_lost
    two_scripts_run_at_once
    http_is_asked_on_fresh_connections
    http_over_a_unix_socket_is_asked
    a_port_where_nothing_listens_is_told
    a_reply_that_is_not_waited_for_is_not_lost
}

async fn arguments_arrive_whole(node: &Node) {
    let value = "/etc/k'o\"n $(id) `x` \\ g.conf  %s ; # ü ";
    let args = Args::new().with("conf", value).unwrap().with("empty", "").unwrap();
    let body = r#"printf 'arg %s %s\n' "$(field "$a_conf")" "${a_empty:-%}"; end 10"#;
    let (replies, ended) = node.run(body, call(args)).await;
    assert_eq!(done(&ended), Status::Unchanged);
    let [Reply::Record(record)] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!(record.fields, [value.as_bytes(), b""]);
}

async fn a_binary_payload_arrives_intact(node: &Node) {
    let payload: Vec<u8> = (0_u32..1 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    assert_eq!(payload.len(), 1 << 20);
    let mut call = call(Args::new());
    call.payload = Some(payload.clone());
    let (replies, ended) = node.run("printf 'blob back 1048576\\n'; cat; end 0", call).await;
    assert_eq!(done(&ended), Status::Changed);
    let [Reply::Blob { name, bytes }] = &replies[..] else { panic!("{} replies", replies.len()) };
    assert_eq!(name, "back");
    assert!(*bytes == payload, "the bytes differ");
}

async fn words_are_heard_in_order(node: &Node) {
    let body = r#"while IFS= read -r w; do echo "heard $w"; [ "$w" = look ] || end 0; done; end 30"#;
    let mut running = node.start(body, call(Args::new())).await.unwrap();
    for word in [Word::Look, Word::Look, Word::Confirm] {
        running.say(word).await.unwrap();
        let reply = within(Duration::from_secs(10), "an answer to a word", running.next()).await.unwrap();
        assert_eq!(record(&reply), format!("heard {}", word.line().trim()));
    }
    let (rest, ended) = collect(running).await;
    assert_eq!((rest.len(), done(&ended)), (0, Status::Changed));
}

async fn closing_our_side_ends_a_listening_script(node: &Node) {
    let running = node.start("while IFS= read -r w; do :; done; end 23", call(Args::new())).await.unwrap();
    let ended = within(Duration::from_secs(10), "the end", running.finish()).await;
    assert_eq!(done(&ended), Status::Undone);
}

async fn a_script_may_end_before_it_has_read_its_payload(node: &Node) {
    let mut call = call(Args::new());
    call.payload = Some(vec![7; 8 << 20]);
    let (_, ended) = node.run("exec <&-; sleep 0.3; end 22", call).await;
    assert_eq!(done(&ended), Status::Refused);
}

async fn noise_before_the_answer_is_skipped(node: &Node) {
    let text =
        format!("printf 'Welcome to \\033[31mX\\nmuster 1 not-this\\nlast login: never '\n{BEGIN}echo x 1; end 10\n");
    let running = match node {
        Node::Ssh(_, _, remote) => remote.start_text(&text, call(Args::new())).await,
        Node::Local(remote) => remote.start_text(&text, call(Args::new())).await,
    };
    let (replies, ended) = collect(running.unwrap()).await;
    assert_eq!(replies.iter().map(record).collect::<Vec<_>>(), ["x 1"]);
    assert_eq!(done(&ended), Status::Unchanged);
}

async fn a_huge_answer_arrives(node: &Node) {
    let body = "printf 'blob zeros 4194304\\n'; dd if=/dev/zero bs=65536 count=64 2>/dev/null; end 0";
    let (replies, ended) = node.run(body, call(Args::new())).await;
    assert_eq!(replies.iter().map(record).collect::<Vec<_>>(), ["blob zeros 4194304"]);
    assert_eq!(done(&ended), Status::Changed);
}

async fn a_script_that_is_killed_is_lost(node: &Node) {
    let (replies, ended) = node.run("echo x 1; kill -s KILL $$", call(Args::new())).await;
    assert_eq!(replies.len(), 1);
    assert_eq!(lost(ended).fault, Fault::Lost);
    // The connection is as good as before.
    assert_eq!(done(&node.run("end 10", call(Args::new())).await.1), Status::Unchanged);
}

async fn a_deadline_makes_a_call_lost(node: &Node) {
    let mut call = call(Args::new());
    call.deadline = Duration::from_millis(500);
    let started = Instant::now();
    // It ends with our side: nothing is left behind.
    let (replies, ended) = node.run("echo x 1; read -r w; exit 0", call).await;
    let error = lost(ended);
    assert_eq!((error.fault, replies.len()), (Fault::TimedOut, 1), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
}

async fn two_scripts_run_at_once(node: &Node) {
    let body = r#"echo ready; while IFS= read -r w; do echo "$a_who"; end 0; done"#;
    let mut one = node.start(body, call(Args::new().with("who", "one").unwrap())).await.unwrap();
    let mut two = node.start(body, call(Args::new().with("who", "two").unwrap())).await.unwrap();
    assert_eq!(record(&one.next().await.unwrap()), "ready ");
    assert_eq!(record(&two.next().await.unwrap()), "ready ");
    two.say(Word::Look).await.unwrap();
    one.say(Word::Look).await.unwrap();
    assert_eq!(collect(one).await.0.iter().map(record).collect::<Vec<_>>(), ["one "]);
    assert_eq!(collect(two).await.0.iter().map(record).collect::<Vec<_>>(), ["two "]);
}

async fn a_reply_that_is_not_waited_for_is_not_lost(node: &Node) {
    let body = "i=0; while [ $i -lt 200 ]; do echo \"x $i\"; i=$((i+1)); done; end 10";
    let mut running = node.start(body, call(Args::new())).await.unwrap();
    let mut seen = Vec::new();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        // Given up as often as not: what was read stays.
        match tokio::time::timeout(Duration::from_micros(50), running.next()).await {
            Ok(Some(reply)) => seen.push(record(&reply)),
            Ok(None) => break,
            Err(_) => assert!(Instant::now() < until, "only {} replies", seen.len()),
        }
    }
    assert_eq!(done(&running.finish().await), Status::Unchanged);
    assert_eq!(seen, (0..200).map(|i| format!("x {i}")).collect::<Vec<_>>());
}

pub(super) fn get(to: HttpAddress, path: &str) -> HttpRequest {
    HttpRequest { to, method: "GET", path: path.to_owned(), body: None, token: None, deadline: Duration::from_secs(5) }
}

/// Answers each connection once, with how many there were.
async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, count: usize) {
    let mut asked = vec![0; 4096];
    let _ = stream.read(&mut asked).await;
    let body = count.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    // Left open: whether the connection is used again is for the other side to decide.
    let _ = stream.read(&mut asked).await;
}

async fn http_is_asked_on_fresh_connections(node: &Node) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = HttpAddress::Tcp(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for count in 1.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(answer(stream, count));
        }
    });
    for count in 1..=3 {
        let got = node.remote().http(get(to.clone(), "/status?x=1")).await.unwrap();
        assert_eq!((got.status, got.body), (200, count.to_string().into_bytes()));
    }
    server.abort();
}

async fn http_over_a_unix_socket_is_asked(node: &Node) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        if let Ok((stream, _)) = listener.accept().await {
            answer(stream, 7).await;
        }
    });
    let to = HttpAddress::Unix(NodePath::parse(path.to_str().unwrap()).unwrap());
    assert_eq!(node.remote().http(get(to, "/")).await.unwrap().body, b"7");
    server.abort();
}

async fn a_port_where_nothing_listens_is_told(node: &Node) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = HttpAddress::Tcp(listener.local_addr().unwrap());
    drop(listener);
    for _ in 0..2 {
        let error = node.remote().http(get(to.clone(), "/")).await.unwrap_err();
        assert_eq!(error.fault, Fault::ForwardRefused, "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_makes_the_call_lost_and_is_not_alive() {
    let Some(node) = Node::ssh().await else { return };
    let Node::Ssh(fleet, _, remote) = &node else { unreachable!() };
    let mut running = node.start("echo x 1; read -r w; end 0", call(Args::new())).await.unwrap();
    assert!(running.next().await.is_some());
    assert!(remote.alive().await);
    fleet.node("n1").wire.cut();
    let (_, ended) = within(Duration::from_secs(10), "the end", collect(running)).await;
    assert_eq!(lost(ended).fault, Fault::Lost);
    poll_until(Duration::from_secs(5), "the socket is gone", || fleet.left().is_empty().then_some(())).await;
    assert!(!remote.alive().await);
    let error = node.start("end 0", call(Args::new())).await.map(|_| ()).unwrap_err();
    assert_eq!(error.fault, Fault::Lost, "{error}");
    let error = remote.http(get(HttpAddress::Tcp(([127, 0, 0, 1], 1).into()), "/")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Lost, "{error}");
    node.end().await;
}
