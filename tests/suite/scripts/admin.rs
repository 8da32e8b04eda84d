//! `admin`: one HTTP request from the node's own side, by curl or perl: it arrives as it was made, the answer comes back as
//! it was given, and what is secret shows nowhere.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

use muster::remote::Script;
use muster::wire::{Args, Item, Status};

use super::speak::{Answer, Shell, call_with, is_there};
use crate::harness::process;

/// In the head of every request here, and in nothing else of this machine.
const TOKEN: &str = "t0ken-\"quoted\"-\\-of-this-test";

/// Longer than what curl is given.
const LONG: usize = 70_000;

/// What a request comes over.
trait Stream: std::io::Read + std::io::Write + Send + 'static {}
impl<S: std::io::Read + std::io::Write + Send + 'static> Stream for S {}

/// Reads a request to the end of its body, answers it, and gives it back with the command lines that showed the token then.
fn serve(mut stream: impl Stream, answer: &[u8]) -> (String, Vec<String>) {
    let mut asked = Vec::new();
    let mut piece = vec![0; 65536];
    while !whole(&asked) {
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "half a request: {}", String::from_utf8_lossy(&asked));
        asked.extend_from_slice(&piece[..n]);
    }
    let shown = process::with_text(TOKEN);
    // Who asks may have enough before the end.
    let _ = stream.write_all(answer);
    (String::from_utf8(asked).unwrap(), shown)
}

fn whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    body.len() >= length
}

type Served = JoinHandle<(String, Vec<String>)>;

fn tcp(answer: Vec<u8>) -> (Args, Served) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || serve(listener.accept().unwrap().0, &answer));
    (to("tcp", &at.to_string(), "127.0.0.1", at.port()), served)
}

fn unix(path: &Path, answer: Vec<u8>) -> (Args, Served) {
    let listener = UnixListener::bind(path).unwrap();
    let served = std::thread::spawn(move || serve(listener.accept().unwrap().0, &answer));
    let path = path.to_str().unwrap();
    (to("unix", path, path, 0), served)
}

fn to(kind: &str, to: &str, host: &str, port: u16) -> Args {
    let args = Args::new().with("kind", kind).unwrap().with("to", to).unwrap();
    args.with("host", host).unwrap().with("port", port.to_string()).unwrap()
}

fn payload(method: &str, target: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\nconnection: close\r\n\
         kong-admin-token: {TOKEN}\r\n{length}\r\n{body}"
    )
    .into_bytes()
}

fn ask(shell: Shell, args: Args, seconds: u64, request: &[u8], body: usize, path: Option<&Path>) -> Answer {
    let args = args.with("body", body.to_string()).unwrap().with("seconds", seconds.to_string()).unwrap();
    call_with(shell, Script::Admin, &args, Some(request), path)
}

fn bytes(answer: &Answer) -> Vec<u8> {
    let blobs = answer.items.iter().filter_map(|item| match item {
        Item::Blob { name, bytes } if name == "answer" => Some(bytes.as_slice()),
        _ => None,
    });
    blobs.collect::<Vec<_>>().concat()
}

/// A curl that says this of itself.
fn curl(dir: &Path, body: &str) {
    let file = dir.join("curl");
    fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Both tools: perl is taken where curl cannot do it, as with a long body.
fn bodies() -> [(&'static str, String); 2] {
    let secret = r#"{"config":{"key":"s3cret \"x\" \\ %41 $(id) @ ü"}}"#.to_owned();
    let long = format!("{{\"config\":{{\"key\":\"{}\"}}}}", "x".repeat(LONG));
    [("curl", secret), ("perl", long)]
}

#[test]
fn a_request_arrives_as_it_was_made_and_the_answer_comes_back_as_it_was_given() {
    let given =
        b"HTTP/1.1 201 Created\r\nX-Odd: a  b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}\n\n\n\r\n0\r\n\r\n".to_vec();
    for shell in Shell::all() {
        for (tool, body) in bodies().into_iter().filter(|(tool, _)| is_there(tool)) {
            let (args, served) = tcp(given.clone());
            let request = payload("POST", "/eu%20ws/plugins?size=1&x=[a]", &body);
            let answer = ask(shell, args, 20, &request, body.len(), None).ends(Status::Unchanged);
            let (asked, shown) = served.join().unwrap();
            assert_eq!(answer.one("by"), [tool], "{shell:?}");
            assert_eq!(String::from_utf8(bytes(&answer)).unwrap(), String::from_utf8(given.clone()).unwrap());
            assert!(asked.starts_with("POST /eu%20ws/plugins?size=1&x=[a] HTTP/1.1\r\n"), "{asked}");
            assert!(asked.contains(&format!("kong-admin-token: {TOKEN}\r\n")), "{shell:?} {tool}: {asked}");
            assert!(asked.ends_with(&format!("\r\n\r\n{body}")), "{shell:?} {tool}: {asked}");
            assert_eq!(shown, Vec::<String>::new(), "{shell:?} {tool} shows the token");
        }
    }
}

#[test]
fn a_request_without_a_body_has_none() {
    for shell in Shell::all().into_iter().filter(|_| is_there("curl")) {
        let (args, served) = tcp(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
        let answer = ask(shell, args, 20, &payload("DELETE", "/plugins/x", ""), 0, None).ends(Status::Unchanged);
        let (asked, _) = served.join().unwrap();
        assert!(asked.starts_with("DELETE /plugins/x HTTP/1.1\r\n"), "{asked}");
        let lower = asked.to_lowercase();
        assert!(
            !lower.contains("content-length") && !lower.contains("expect") && !lower.contains("urlencoded"),
            "{asked}"
        );
        assert_eq!(bytes(&answer), b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}

#[test]
fn a_socket_is_asked_and_perl_is_taken_where_curl_has_none() {
    let given = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    for shell in Shell::all() {
        for (tool, features) in [("curl", "UnixSockets"), ("perl", "IPv6 Largefile")] {
            let dir = tempfile::tempdir().unwrap();
            let real = "PATH=/usr/local/bin:/usr/bin:/bin; exec curl \"$@\"";
            curl(dir.path(), &format!("case $2 in -V) echo 'Features: {features}'; exit 0 ;; esac; {real}"));
            let (args, served) = unix(&dir.path().join("a sock"), given.clone());
            let answer = ask(shell, args, 20, &payload("GET", "/status", ""), 0, Some(dir.path()));
            assert_eq!(answer.ends(Status::Unchanged).one("by"), [tool], "{shell:?}");
            assert!(served.join().unwrap().0.starts_with("GET /status HTTP/1.1\r\n"));
        }
    }
}

#[test]
fn a_large_answer_comes_whole_in_pieces() {
    for shell in Shell::all() {
        for (tool, body) in bodies().into_iter().filter(|(tool, _)| is_there(tool)) {
            let text = "0123456\n".repeat(300_000);
            let given = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes();
            let (args, served) = tcp(given.clone());
            let answer = ask(shell, args, 30, &payload("PATCH", "/", &body), body.len(), None).ends(Status::Unchanged);
            served.join().unwrap();
            assert!(bytes(&answer) == given, "{shell:?} {tool}: {} bytes of {}", bytes(&answer).len(), given.len());
        }
    }
}

#[test]
fn what_does_not_answer_is_told_apart() {
    for shell in Shell::all() {
        for (tool, body) in bodies().into_iter().filter(|(tool, _)| is_there(tool)) {
            let request = payload("PATCH", "/", &body);
            let closed = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = closed.local_addr().unwrap();
            drop(closed);
            let args = to("tcp", &at.to_string(), "127.0.0.1", at.port());
            let refused = ask(shell, args, 20, &request, body.len(), None).ends(Status::Failed);
            assert_eq!(refused.one("problem")[..3], ["no-answer", tool, "7"], "{refused:?}");
            assert!(refused.one("problem")[3].to_lowercase().contains("connect"), "{refused:?}");

            let (args, served) = tcp(Vec::new());
            let empty = ask(shell, args, 20, &request, body.len(), None).ends(Status::Failed);
            assert_eq!(empty.one("problem")[..3], ["no-answer", tool, "52"], "{empty:?}");
            served.join().unwrap();

            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = silent.local_addr().unwrap();
            let args = to("tcp", &at.to_string(), "127.0.0.1", at.port());
            let slow = ask(shell, args, 1, &request, body.len(), None).ends(Status::Failed);
            assert_eq!(slow.one("problem")[..3], ["no-answer", tool, "28"], "{slow:?}");
            assert!(!format!("{refused:?}{empty:?}{slow:?}").contains(TOKEN));
        }
    }
}
