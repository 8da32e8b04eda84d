//! One HTTP request over one fresh stream. Redirects are answers like any other.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::login::Login;
use super::{Fault, HttpAddress, HttpAnswer, HttpRequest, RemoteError};

/// The longest body that is read, in bytes: a page of 1,000 rows of `plugins` is well below it.
pub(super) const LONGEST: usize = 8 << 20;

/// What went wrong with a request, once the stream was there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HttpFault {
    /// The stream ended before the first byte of an answer: nothing listens there, or it died.
    Closed,
    /// It broke in the middle, or was not HTTP.
    Broken(String),
    /// The body is longer than [`LONGEST`].
    TooLong,
    /// The request itself cannot be made.
    Request(String),
    /// No whole answer within the deadline.
    TimedOut(Duration),
}

/// Makes the request on the stream and reads the whole answer, within its deadline.
pub(super) async fn exchange<S>(stream: S, request: HttpRequest) -> Result<HttpAnswer, HttpFault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let deadline = request.deadline;
    let answer = tokio::time::timeout(deadline, converse(stream, build(request)?)).await;
    answer.unwrap_or(Err(HttpFault::TimedOut(deadline)))
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<HttpAnswer, HttpFault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |e: hyper::Error| sort(&e);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|e| sort(&e))?;
        read(response).await
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may be done before its last bytes were taken; its own error comes out of the exchange.
        _ = connection => exchange.await,
    }
}

async fn read(response: Response<Incoming>) -> Result<HttpAnswer, HttpFault> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST)
        .collect()
        .await
        .map_err(|e| if e.is::<LengthLimitError>() { HttpFault::TooLong } else { HttpFault::Broken(e.to_string()) })?;
    Ok(HttpAnswer { status, body: body.to_bytes().to_vec() })
}

fn sort(error: &hyper::Error) -> HttpFault {
    let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<io::Error>());
    let reset =
        source.is_some_and(|io| matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe));
    if error.is_incomplete_message() || error.is_canceled() || reset {
        HttpFault::Closed
    } else {
        // What TLS has to say stands behind what hyper says.
        HttpFault::Broken(source.map_or_else(|| error.to_string(), |io| format!("{error}: {io}")))
    }
}

fn build(request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpFault> {
    let bad = |what: &str, e: &dyn std::fmt::Display| HttpFault::Request(format!("{what}: {e}"));
    let host = match &request.to {
        HttpAddress::Tcp(address) => address.to_string(),
        HttpAddress::Unix(_) => "localhost".to_owned(),
        HttpAddress::Web(web) => web.authority().to_owned(),
    };
    let uri: Uri = request.path.parse().map_err(|e| bad("its path is not one", &e))?;
    let mut builder = Request::builder()
        .method(request.method)
        .uri(uri)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close");
    if request.body.is_some() {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = &request.token {
        let mut value = HeaderValue::from_str(token.open())
            .map_err(|_| HttpFault::Request("the token holds a character that a header cannot carry".to_owned()))?;
        value.set_sensitive(true);
        builder = builder.header("Kong-Admin-Token", value);
    }
    builder.body(Full::from(request.body.unwrap_or_default())).map_err(|e| bad("it cannot be made", &e))
}

/// The request as it goes over the wire, for whoever sends it as it is: body and all, with its length.
pub(super) fn raw(request: &HttpRequest) -> Result<Vec<u8>, HttpFault> {
    let length = request.body.as_ref().map(Vec::len);
    let built = build(request.clone())?;
    let mut bytes = format!("{} {} HTTP/1.1\r\n", built.method(), built.uri()).into_bytes();
    for (name, value) in built.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if let Some(length) = length {
        bytes.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
    Ok(bytes)
}

/// A request as errors name it: `asking GET http://127.0.0.1:8001/status of eu-1`.
pub(super) struct Asking<'a> {
    login: &'a Login,
    doing: String,
}

impl<'a> Asking<'a> {
    pub(super) fn new(login: &'a Login, request: &HttpRequest) -> Self {
        let path = request.path.split('?').next().unwrap_or_default();
        let doing = match &request.to {
            HttpAddress::Tcp(address) => format!("asking {} http://{address}{path} on", request.method),
            HttpAddress::Unix(socket) => format!("asking {} unix:{socket}:{path} on", request.method),
            HttpAddress::Web(web) => format!("asking {} {web}{path} of", request.method),
        };
        Self { login, doing }
    }

    /// Nothing could be opened there.
    pub(super) fn unopened(&self, error: &io::Error) -> RemoteError {
        let fault = if error.kind() == io::ErrorKind::TimedOut { Fault::TimedOut } else { Fault::ForwardRefused };
        self.error(fault, error.to_string())
    }

    /// The exchange failed.
    pub(super) fn failed(&self, fault: HttpFault) -> RemoteError {
        match fault {
            HttpFault::Closed => self.error(Fault::Lost, "the connection was closed before it was answered"),
            HttpFault::Broken(why) => self.error(Fault::Lost, why),
            HttpFault::TooLong => self.error(Fault::Garbled, format!("the answer is longer than {LONGEST} bytes")),
            HttpFault::Request(why) => self.error(Fault::Other, why),
            HttpFault::TimedOut(after) => {
                self.error(Fault::TimedOut, format!("no answer within {:.1} s", after.as_secs_f32()))
            }
        }
    }

    pub(super) fn error(&self, fault: Fault, found: impl Into<String>) -> RemoteError {
        self.login.error(fault, &self.doing, found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::hint::Sealed;

    fn request(path: &str) -> HttpRequest {
        HttpRequest {
            to: HttpAddress::Tcp(([127, 0, 0, 1], 8001).into()),
            method: "GET",
            path: path.to_owned(),
            body: None,
            token: None,
            deadline: Duration::from_secs(5),
        }
    }

    /// Serves one connection with these bytes and gives back what was asked.
    async fn serve(answer: Vec<u8>, request: HttpRequest) -> (Result<HttpAnswer, HttpFault>, String) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move {
            let mut asked = vec![0; 4096];
            let n = theirs.read(&mut asked).await.unwrap_or(0);
            let _ = theirs.write_all(&answer).await;
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        let answer = exchange(ours, request).await;
        (answer, server.await.unwrap())
    }

    #[tokio::test]
    async fn an_answer_has_status_and_body() {
        let (answer, asked) =
            serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(), request("/status")).await;
        assert_eq!(answer.unwrap(), HttpAnswer { status: 200, body: b"{}".to_vec() });
        assert!(asked.starts_with("GET /status HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: 127.0.0.1:8001\r\n"), "{asked}");
        assert!(asked.contains("connection: close\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn body_and_token_are_sent() {
        let mut request = request("/plugins");
        request.method = "POST";
        request.body = Some(b"{\"name\":\"x\"}".to_vec());
        request.token = Some(Arc::new(Sealed::new("t0ken".to_owned())));
        let (answer, asked) = serve(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_vec(), request).await;
        assert_eq!(answer.unwrap().status, 201);
        assert!(asked.contains("kong-admin-token: t0ken\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
        assert!(asked.ends_with("{\"name\":\"x\"}"), "{asked}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let answer = b"HTTP/1.1 302 Found\r\nLocation: http://example.org/\r\nContent-Length: 0\r\n\r\n".to_vec();
        assert_eq!(serve(answer, request("/")).await.0.unwrap().status, 302);
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        assert_eq!(serve(Vec::new(), request("/")).await.0, Err(HttpFault::Closed));
        let (answer, _) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_vec(), request("/")).await;
        assert!(matches!(answer, Err(HttpFault::Broken(_))), "{answer:?}");
        let (answer, _) = serve(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), request("/")).await;
        assert!(matches!(answer, Err(HttpFault::Broken(_))), "{answer:?}");
        assert!(matches!(serve(Vec::new(), request("not a path")).await.0, Err(HttpFault::Request(_))));
        let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        long.resize(LONGEST + 100, b'x');
        assert_eq!(serve(long, request("/")).await.0, Err(HttpFault::TooLong));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let answer = exchange(ours, request("/")).await;
        assert_eq!(answer, Err(HttpFault::TimedOut(Duration::from_secs(5))));
    }
}
