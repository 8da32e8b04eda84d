//! The Admin API of a stand-in gateway, as somebody else speaks to it; and a relay in front of it that can answer in its place.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use muster::standin::site::{self, Node};
use serde_json::Value;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The Admin API of one gateway, on fresh connections and without ssh: it blocks, so that it can be called while muster writes
/// an event, and muster goes on only afterwards.
#[derive(Clone, Copy)]
pub(crate) struct Api(SocketAddr, Option<&'static str>);

impl Api {
    pub(crate) fn of(node: &Node) -> Self {
        Self((node.address, site::ADMIN).into(), None)
    }

    /// The same with a `Kong-Admin-Token`.
    pub(crate) fn as_user(self, token: &'static str) -> Self {
        Self(self.0, Some(token))
    }

    /// One request: the status, and the body if it is JSON.
    pub(crate) fn send(self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let token = self.1.map(|token| format!("Kong-Admin-Token: {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{token}Content-Type: application/json\r\nContent-Length: {}",
            body.len()
        );
        let answer = pass(self.0, format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (
            status.unwrap_or_else(|| panic!("{method} {path}: {answer:?}")),
            serde_json::from_str(body).unwrap_or_default(),
        )
    }

    /// Makes something: what was made.
    #[track_caller]
    pub(crate) fn make(self, path: &str, body: &Value) -> Value {
        let (status, made) = self.send("POST", path, Some(body));
        assert_eq!(status, 201, "POST {path}: {made}");
        made
    }

    /// Every row of `plugins`, without the times, by id.
    pub(crate) fn rows(self) -> Vec<Value> {
        let (mut rows, mut next) = (Vec::new(), "/plugins?size=1000".to_owned());
        loop {
            let (status, mut page) = self.send("GET", &next, None);
            assert_eq!(status, 200, "{page}");
            rows.append(page["data"].as_array_mut().unwrap());
            match page["next"].as_str() {
                Some(more) => more.clone_into(&mut next),
                None => break,
            }
        }
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|key, _| !key.ends_with("_at"));
        }
        rows.sort_by_key(|row| row["id"].to_string());
        rows
    }

    /// The rows of one plugin.
    pub(crate) fn rows_of(self, plugin: &str) -> Vec<Value> {
        self.rows().into_iter().filter(|row| row["name"] == plugin).collect()
    }
}

fn pass(to: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// What a relay does with a request.
pub(crate) enum Reply {
    /// The gateway answers.
    Pass,
    /// These bytes come back; none at all closes the connection.
    Raw(String),
}

impl Reply {
    /// A whole answer with this status, these headers and this body.
    pub(crate) fn http(status: &str, headers: &str, body: &str) -> Self {
        Self::Raw(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    /// The connection is closed without a byte.
    pub(crate) fn nothing() -> Self {
        Self::Raw(String::new())
    }
}

type Script = Arc<Mutex<Box<dyn FnMut(&str) -> Reply + Send>>>;

/// Stands between the Admin API of a gateway and whoever asks.
pub(crate) struct Relay {
    address: SocketAddr,
    script: Script,
    heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Passes everything on.
    pub(crate) fn before(node: &Node) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Arc::new(Mutex::new(Box::new(|_: &str| Reply::Pass)));
        let (heard, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (acts, told, over) = (script.clone(), heard.clone(), stop.clone());
        let to = SocketAddr::from((node.address, site::ADMIN));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (acts, told) = (acts.clone(), told.clone());
                // An asker that goes away in the middle is no matter here.
                std::thread::spawn(move || relay(stream, to, &acts, &told).unwrap_or_default());
            }
        });
        Self { address, script, heard, stop, thread: Some(thread) }
    }

    /// `http://ADDRESS:PORT`, for the inventory.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this decides, by the whole head of a request: `GET /plugins?size=1000 HTTP/1.1` and the headers.
    pub(crate) fn answer(&self, script: impl FnMut(&str) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Passes everything on again.
    pub(crate) fn heal(&self) {
        self.answer(|_| Reply::Pass);
    }

    /// The requests that changed something or tried to, `DELETE /plugins/ID`.
    pub(crate) fn changes(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|line| !line.starts_with("GET ")).cloned().collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn relay(mut stream: TcpStream, to: SocketAddr, script: &Script, told: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    told.lock().unwrap().push(line);
    let reply = (script.lock().unwrap())(&head);
    match reply {
        Reply::Pass => stream.write_all(&pass(to, &[head.as_bytes(), &body].concat())?),
        Reply::Raw(text) => stream.write_all(text.as_bytes()),
    }
}
