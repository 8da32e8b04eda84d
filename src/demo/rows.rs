//! What somebody configures on the demo's gateways, through the Admin API as anybody does.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::standin::site::Node;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One `POST` to a node's Admin API; what was made.
pub(super) fn post(node: &Node, path: &str, body: &Value) -> io::Result<Value> {
    let address = node.admin();
    let address = address.strip_prefix("http://").unwrap_or(&address);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, made) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 201") {
        return Err(io::Error::other(format!("POST {path}: {}", head.lines().next().unwrap_or("no answer"))));
    }
    Ok(serde_json::from_str(made)?)
}
