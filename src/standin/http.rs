//! As much HTTP/1.1 as the Admin API, the status API and the proxy of a stand-in need.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Larger requests are refused by closing the connection.
const LARGEST_BODY: usize = 8 << 20;
const MOST_HEADERS: usize = 200;

/// A request, read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query, percent-decoded.
    pub(super) path: String,
    /// Decoded, in the order given.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// A JSON body, as the Admin API answers.
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type".into(), "application/json; charset=utf-8".into())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// `{"message": …}`.
    pub(super) fn message(status: u16, text: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": text }))
    }

    /// 204.
    pub(super) fn empty() -> Self {
        Self { status: 204, headers: vec![], body: vec![] }
    }
}

/// Reads one request. `None`: the other end closed before it sent one.
pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request =
        Request { method: method.to_owned(), path: decoded(path), query: pairs(query), ..Request::default() };
    request.headers = headers(stream).await?;
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0usize);
    if length > LARGEST_BODY {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the body is too large"));
    }
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

async fn headers(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    while found.len() < MOST_HEADERS {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => found.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    Ok(found)
}

/// `a=b&c=d`, percent-decoded: a query or a form.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Writes an answer; `close` says that the connection ends here.
pub(super) async fn write(stream: &mut BufReader<TcpStream>, response: &Response, close: bool) -> io::Result<()> {
    let connection = if close { "close" } else { "keep-alive" };
    let mut head = format!("HTTP/1.1 {} {}\r\nConnection: {connection}\r\n", response.status, reason(response.status));
    if response.status != 204 && response.status != 304 {
        let _ = write!(head, "Content-Length: {}\r\n", response.body.len());
    }
    for (name, value) in &response.headers {
        let value = value.replace(['\r', '\n'], " ");
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&response.body);
    stream.get_mut().write_all(&bytes).await?;
    stream.get_mut().flush().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        500 => "Internal Server Error",
        503 => "Service Temporarily Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_forms_are_decoded() {
        assert_eq!(pairs("a=b%20c&d+e="), [("a".into(), "b c".into()), ("d e".into(), String::new())]);
    }

    #[tokio::test]
    async fn a_request_with_a_body_is_read_whole_and_answered() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut server = BufReader::new(server);
        client.write_all(b"POST /plugins?size=2 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nname=x").await.unwrap();
        let request = read(&mut server).await.unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), request.query("size")),
            ("POST", "/plugins", Some("2"))
        );
        assert_eq!(request.body, b"name=x");
        write(&mut server, &Response::message(404, "Not found"), true).await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("{\"message\":\"Not found\"}"),
            "{answer}"
        );
    }
}
