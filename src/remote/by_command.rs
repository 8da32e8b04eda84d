//! One HTTP request made by a command on the node, where its sshd forbids forwarding: the request goes there as the payload
//! of a script, the answer comes back as it was, and hyper reads it like one that came over a stream.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http::{Asking, HttpFault, LONGEST, exchange, raw};
use super::{Call, Ended, Fault, HttpAddress, HttpAnswer, HttpRequest, RemoteError, Reply, Running, Script};
use crate::wire::{ArgError, Args, Record};

/// How much longer than the script we wait, in seconds: it ends by itself, and says why.
const GRACE: u64 = 5;

/// The call of the script that makes this request.
pub(super) fn call(request: &HttpRequest, asking: &Asking<'_>) -> Result<Call, RemoteError> {
    let payload = raw(request).map_err(|fault| asking.failed(fault))?;
    let seconds = request.deadline.as_secs().max(1);
    let args = arguments(request, seconds).map_err(|error| asking.error(Fault::Other, error.to_string()))?;
    let deadline = std::time::Duration::from_secs(seconds + GRACE);
    Ok(Call { script: Script::Admin, args, payload: Some(payload), deadline })
}

fn arguments(request: &HttpRequest, seconds: u64) -> Result<Args, ArgError> {
    let (kind, to, host, port) = match &request.to {
        HttpAddress::Tcp(address) => ("tcp", address.to_string(), address.ip().to_string(), address.port()),
        HttpAddress::Unix(path) => ("unix", path.to_string(), path.to_string(), 0),
        HttpAddress::Web(web) => ("tcp", web.authority().to_owned(), web.host().to_owned(), web.port()),
    };
    let body = request.body.as_ref().map_or(0, Vec::len);
    Args::new()
        .with("kind", kind)?
        .with("to", to)?
        .with("host", host)?
        .with("port", port.to_string())?
        .with("body", body.to_string())?
        .with("seconds", seconds.to_string())
}

/// What the script brought back: the tool that asked, and the answer.
pub(super) async fn answer(
    mut running: Box<dyn Running>,
    request: &HttpRequest,
    asking: &Asking<'_>,
) -> Result<(String, HttpAnswer), RemoteError> {
    let (mut tool, mut bytes, mut problem) = (String::new(), Vec::new(), None);
    while let Some(reply) = running.next().await {
        match reply {
            Reply::Record(record) if record.tag == "by" => tool = record.text(0).unwrap_or_default(),
            Reply::Record(record) if record.tag == "problem" => problem = Some(record),
            Reply::Blob { name, bytes: more } if name == "answer" => bytes.extend(more),
            _ => {}
        }
    }
    if let Ended::Lost(error) = running.finish().await {
        return Err(error);
    }
    match problem {
        _ if bytes.len() > LONGEST + HEAD => Err(asking.failed(HttpFault::TooLong)),
        Some(problem) => Err(unanswered(&problem, asking)),
        None => {
            let answer = read(bytes, request).await.map_err(|fault| asking.failed(fault))?;
            Ok((tool, answer))
        }
    }
}

/// More than the head of an answer is long.
const HEAD: usize = 256 << 10;

/// Reads an answer that is whole. What was asked is only needed to know what it is the answer to.
async fn read(bytes: Vec<u8>, request: &HttpRequest) -> Result<HttpAnswer, HttpFault> {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    // The head once more, as an answer to nothing is none.
    let question = HttpRequest { body: None, token: None, ..request.clone() };
    let replay = async move {
        let mut asked = [0; 1024];
        // Fails only when the reader has gone, and that says so itself.
        let _ = theirs.read(&mut asked).await;
        let _ = theirs.write_all(&bytes).await;
    };
    let (answer, ()) = tokio::join!(exchange(ours, question), replay);
    answer
}

/// Why there is no answer, from the script's own record.
fn unanswered(problem: &Record, asking: &Asking<'_>) -> RemoteError {
    let text = |index| problem.text(index).unwrap_or_default();
    if problem.exact(0) != Some("no-answer") {
        let found = match text(0).as_str() {
            "no-tool" => "forwarding is forbidden, and neither curl nor perl is there to ask in its place".to_owned(),
            other => format!("the script ended by itself: {other}"),
        };
        return asking.error(Fault::ForwardRefused, found);
    }
    let (tool, why) = (text(1), text(3));
    match problem.number(2) {
        Some(7) => asking.error(Fault::ForwardRefused, format!("nothing answers there ({tool}: {why})")),
        Some(28) => asking.error(Fault::TimedOut, format!("{tool} on the node: {why}")),
        Some(52 | 56 | 18) => asking.failed(HttpFault::Closed),
        Some(number) => asking.error(Fault::Lost, format!("{tool} on the node ended with {number}: {why}")),
        None => asking.error(Fault::Lost, format!("{tool} on the node: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::hint::Sealed;
    use crate::name::{NodeName, NodePath};
    use crate::remote::login::Login;
    use crate::remote::{NodeAddress, Privilege, Transport, Word};
    use crate::wire::Status;

    struct Played(VecDeque<Reply>, Status);

    #[async_trait]
    impl Running for Played {
        async fn next(&mut self) -> Option<Reply> {
            self.0.pop_front()
        }

        async fn say(&mut self, _: Word) -> Result<(), RemoteError> {
            Ok(())
        }

        async fn finish(self: Box<Self>) -> Ended {
            Ended::Done(self.1)
        }
    }

    fn request() -> HttpRequest {
        HttpRequest {
            to: HttpAddress::Tcp(([127, 0, 0, 1], 8001).into()),
            method: "DELETE",
            path: "/plugins/x".to_owned(),
            body: None,
            token: None,
            deadline: Duration::from_millis(300),
        }
    }

    fn login() -> Login {
        let address = NodeAddress {
            node: NodeName::parse("eu-1").unwrap(),
            host: "eu-1".to_owned(),
            user: None,
            port: None,
            privilege: Privilege::None,
            transport: Transport::Ssh,
        };
        Login::new(&address, "deploy")
    }

    fn record(tag: &str, fields: &[&str]) -> Reply {
        let fields = fields.iter().map(|field| field.as_bytes().to_vec()).collect();
        Reply::Record(Record { tag: tag.to_owned(), fields })
    }

    async fn played(replies: Vec<Reply>, status: Status) -> Result<(String, HttpAnswer), RemoteError> {
        let (login, request) = (login(), request());
        let asking = Asking::new(&login, &request);
        answer(Box::new(Played(replies.into(), status)), &request, &asking).await
    }

    fn blob(bytes: &[u8]) -> Reply {
        Reply::Blob { name: "answer".to_owned(), bytes: bytes.to_vec() }
    }

    #[tokio::test]
    async fn pieces_are_one_answer_and_hyper_reads_it() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab";
        let replies = vec![record("by", &["curl"]), blob(head), blob(b"c\r\n0\r\n\r\n")];
        let (tool, answer) = played(replies, Status::Unchanged).await.unwrap();
        assert_eq!((tool.as_str(), answer.status, answer.body), ("curl", 200, b"abc".to_vec()));
    }

    #[tokio::test]
    async fn an_answer_without_a_body_is_one() {
        let replies = vec![record("by", &["perl"]), blob(b"HTTP/1.1 204 No Content\r\n\r\n")];
        assert_eq!(played(replies, Status::Unchanged).await.unwrap().1.status, 204);
    }

    #[tokio::test]
    async fn half_an_answer_or_none_is_an_error() {
        for bytes in [&b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"[..], b"", b"SSH-2.0-OpenSSH\r\n\r\n"] {
            let error = played(vec![blob(bytes)], Status::Unchanged).await.unwrap_err();
            assert_eq!(error.fault, Fault::Lost, "{error}");
        }
        let long = vec![blob(&vec![b'x'; LONGEST]), blob(&vec![b'x'; HEAD + 1])];
        let error = played(long, Status::Failed).await.unwrap_err();
        assert!(error.found.contains("longer than"), "{error}");
    }

    #[tokio::test]
    async fn what_the_tool_says_has_a_class() {
        let cases = [
            (["no-answer", "curl", "7", "curl: (7) refused"], Fault::ForwardRefused, "nothing answers there"),
            (["no-answer", "perl", "28", "no whole answer within 5 s"], Fault::TimedOut, "within 5 s"),
            (["no-answer", "curl", "52", ""], Fault::Lost, "closed before"),
            (["no-answer", "curl", "1", "HTTP/0.9"], Fault::Lost, "ended with 1: HTTP/0.9"),
            (["no-tool", "", "", ""], Fault::ForwardRefused, "neither curl nor perl"),
        ];
        for (fields, fault, text) in cases {
            let error = played(vec![record("problem", &fields)], Status::Failed).await.unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
            assert!(error.found.contains(text), "{error}");
        }
    }

    #[test]
    fn what_is_secret_is_in_the_payload_alone() {
        let mut request = request();
        request.method = "POST";
        request.to = HttpAddress::Unix(NodePath::parse("/run/kong/admin.sock").unwrap());
        request.body = Some(b"{\"config\":{\"key\":\"s3cret\"}}".to_vec());
        request.token = Some(Arc::new(Sealed::new("t0ken".to_owned())));
        let login = login();
        let call = call(&request, &Asking::new(&login, &request)).unwrap();
        let args: Vec<String> = call.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            args.join(" "),
            "kind=unix to=/run/kong/admin.sock host=/run/kong/admin.sock port=0 body=27 seconds=1"
        );
        let payload = String::from_utf8(call.payload.unwrap()).unwrap();
        assert!(payload.starts_with("POST /plugins/x HTTP/1.1\r\nhost: localhost\r\n"), "{payload}");
        assert!(payload.contains("kong-admin-token: t0ken\r\n"), "{payload}");
        assert!(payload.ends_with("content-length: 27\r\n\r\n{\"config\":{\"key\":\"s3cret\"}}"), "{payload}");
    }
}
