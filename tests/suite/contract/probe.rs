//! Looking at a node from outside: HTTP on fresh connections, processes through /proc, waiting with a deadline.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

/// One request on a fresh connection. `None`: no answer at all, as curl's codes 7 and 52.
pub(crate) fn request(address: Ipv4Addr, port: u16, method: &str, path: &str, body: &str) -> Option<Answer> {
    request_with(address, port, method, path, &[], body)
}

/// The same with more headers.
pub(super) fn request_with(
    address: Ipv4Addr,
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    send(address, port, (method, path), headers, ("application/x-www-form-urlencoded", body))
}

/// The same with a JSON body, posted.
pub(super) fn json(address: Ipv4Addr, port: u16, path: &str, body: &Value) -> Option<Answer> {
    send(address, port, ("POST", path), &[], ("application/json", &body.to_string()))
}

fn send(
    address: Ipv4Addr,
    port: u16,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    (kind, body): (&str, &str),
) -> Option<Answer> {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let to = SocketAddr::from((address, port));
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{kind}{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    let chunked =
        headers.iter().any(|(key, value)| key.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Some(Answer { status, headers, body })
}

fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, data)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || data.len() < size {
            break;
        }
        whole.push_str(&data[..size]);
        rest = data[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A process as /proc shows it. Two with the same pid are the same only if they began at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    began: u64,
    pub(crate) title: String,
}

impl Process {
    /// Told to go, still serving what it has.
    pub(crate) fn is_leaving(&self) -> bool {
        self.title.ends_with("is shutting down")
    }
}

/// The children of a process that are no zombies and show a command line.
pub(crate) fn children(parent: i32) -> Vec<Process> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<Process> = all
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
            let (state, ppid, began) =
                (*fields.first()?, fields.get(1)?.parse::<i32>().ok()?, fields.get(19)?.parse().ok()?);
            (ppid == parent && state != "Z").then_some(())?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let title = String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned();
            (!title.is_empty()).then_some(Process { pid, began, title })
        })
        .collect();
    found.sort();
    found
}

/// Whether bit 0 (SIGHUP) of the three masks is clear: the master is back in its waiting (protocols.md A, "Proof").
pub(crate) fn is_idle(master: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{master}/status")).unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).ok()
    };
    ["SigBlk", "ShdPnd", "SigPnd"].into_iter().all(|name| mask(name).is_some_and(|bits| bits & 1 == 0))
}

/// Polls until `look` yields something. Panics with `what` after 30 s, which is generous for a real Kong on a busy host.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "30 s passed without: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Polls until it is true.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    wait_for(what, || is_true().then_some(()));
}
