//! A face by URL: asked over TLS from the operator's machine, not through the node. Which URLs there are is the operator's own
//! to say; no proxy is used and no redirect followed, so that nobody else is contacted.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::fault::one_line;
use super::http::{HttpFault, LONGEST, exchange};
use super::{Fault, HttpAnswer, HttpRequest, RemoteError};
use crate::hint::{Hint, Sealed};

/// Who is believed, and as whom muster comes. All of it is PEM.
#[derive(Default)]
pub struct Trust {
    /// The only authorities that are believed; none: those of this machine.
    pub ca: Option<Vec<u8>>,
    /// The certificate that is shown, and its key.
    pub identity: Option<(Vec<u8>, Sealed<Vec<u8>>)>,
}

/// An address such as `https://admin.example.net:8444`, ready to be asked. Two are equal if their addresses are.
#[derive(Clone)]
pub struct Web(Arc<Known>);

struct Known {
    url: String,
    host: String,
    port: u16,
    name: ServerName<'static>,
    /// Whether a certificate is shown.
    named: bool,
    tls: TlsConnector,
}

impl Web {
    /// Reads an address and what it is asked with, or says what is wrong.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, String> {
        let (host, port) = parts(url).ok_or_else(|| format!("{url:?} is not of the form https://HOST:PORT"))?;
        let name =
            ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is no name that a certificate has"))?;
        let tls = TlsConnector::from(Arc::new(config(trust)?));
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let url = format!("https://{shown}:{port}");
        Ok(Self(Arc::new(Known { url, host, port, name, named: trust.identity.is_some(), tls })))
    }

    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    /// Without the scheme, as a request names its host.
    pub(super) fn authority(&self) -> &str {
        self.0.url.trim_start_matches("https://")
    }

    /// Makes a request on a connection of its own.
    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpAnswer, RemoteError> {
        let path = request.path.split('?').next().unwrap_or_default();
        let doing = format!("asking {} {}{path}", request.method, self.0.url);
        let deadline = request.deadline;
        let asked = tokio::time::timeout(deadline, self.converse(request)).await;
        asked
            .unwrap_or(Err(Stop::Http(HttpFault::TimedOut(deadline))))
            .map_err(|stop| explain(doing, stop, self.0.named))
    }

    async fn converse(&self, request: HttpRequest) -> Result<HttpAnswer, Stop> {
        let stream = TcpStream::connect((self.host(), self.port())).await.map_err(Stop::Tcp)?;
        let stream = self.0.tls.connect(self.0.name.clone(), stream).await.map_err(Stop::Tls)?;
        exchange(stream, request).await.map_err(Stop::Http)
    }
}

/// Where asking stopped.
enum Stop {
    Tcp(std::io::Error),
    Tls(std::io::Error),
    Http(HttpFault),
}

/// `named`: a certificate was shown. A server that wants one ends the connection after the handshake, with an alert that may be
/// lost with it.
fn explain(doing: String, stop: Stop, named: bool) -> RemoteError {
    let (fault, found) = match stop {
        Stop::Tcp(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            (Fault::ConnectionRefused, error.to_string())
        }
        Stop::Tcp(error) => (Fault::Unreachable, error.to_string()),
        Stop::Tls(error) => (Fault::Other, error.to_string()),
        Stop::Http(HttpFault::Closed) => (Fault::Lost, "the connection was closed before it was answered".to_owned()),
        Stop::Http(HttpFault::Broken(why)) => (Fault::Lost, why),
        Stop::Http(HttpFault::Request(why)) => (Fault::Other, why),
        Stop::Http(HttpFault::TooLong) => (Fault::Garbled, format!("the answer is longer than {LONGEST} bytes")),
        Stop::Http(HttpFault::TimedOut(after)) => {
            (Fault::TimedOut, format!("no answer within {:.1} s", after.as_secs_f32()))
        }
    };
    let found = one_line(found.as_bytes());
    let hint = match fault {
        Fault::Lost if !named || found.contains("Certificate") => {
            "where it wants a certificate: name `cert` and `key` beside `url` in ~/.config/muster/admin.yaml"
        }
        Fault::Other if found.contains("certificate") => {
            "name the file of its authority as `ca` beside `url` in ~/.config/muster/admin.yaml"
        }
        _ => "check `url` in ~/.config/muster/admin.yaml, and that it can be reached from here",
    };
    RemoteError { fault, doing, found, hints: vec![Hint::do_(hint)] }
}

fn config(trust: &Trust) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &trust.ca {
        Some(pem) => {
            for certificate in certificates(pem, "ca")? {
                roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = builder.with_root_certificates(roots);
    let Some((cert, key)) = &trust.identity else { return Ok(builder.with_no_client_auth()) };
    // What a parser says of a key could hold a piece of it.
    let key = PrivateKeyDer::from_pem_slice(key.open()).map_err(|_| "key: there is no private key in it".to_owned())?;
    builder.with_client_auth_cert(certificates(cert, "cert")?, key).map_err(|error| format!("cert and key: {error}"))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("{what}: {error}"))?;
    if read.is_empty() { Err(format!("{what}: there is no certificate in it")) } else { Ok(read) }
}

/// Host and port; the port is 443 where none is named.
fn parts(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("https://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(rest) = rest.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let host: std::net::Ipv6Addr = host.parse().ok()?;
        let port = if port.is_empty() { 443 } else { port.strip_prefix(':')?.parse().ok()? };
        return (port != 0).then(|| (host.to_string(), port));
    }
    let (host, port) =
        rest.split_once(':').map_or(Some((rest, 443)), |(host, port)| Some((host, port.parse().ok()?)))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let named = host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(plain);
    (named && port != 0).then(|| (host.to_owned(), port))
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.url)
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.url)
    }
}

impl PartialEq for Web {
    fn eq(&self, other: &Self) -> bool {
        self.0.url == other.0.url
    }
}

impl Eq for Web {}

impl PartialOrd for Web {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Web {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.url.cmp(&other.0.url)
    }
}

impl std::hash::Hash for Web {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.url.hash(state);
    }
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
