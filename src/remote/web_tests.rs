use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use super::*;
use crate::remote::HttpAddress;

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Certificate and key for a name, as PEM.
    fn signs(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

/// Serves TLS on a port of its own, with what was asked as its answer; where `clients` is given, only to who shows its
/// certificate. The port.
async fn serve(authority: &Authority, clients: Option<&Authority>) -> u16 {
    let (cert, key) = authority.signs("localhost");
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificates(&clients.pem(), "ca").unwrap().remove(0)).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
    let config = builder.with_single_cert(certificates(&cert, "cert").unwrap(), key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut asked = vec![0; 4096];
            let n = stream.read(&mut asked).await.unwrap_or(0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &asked[..n]].concat()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

async fn ask(port: u16, trust: &Trust) -> Result<String, RemoteError> {
    let web = Web::new(&format!("https://localhost:{port}"), trust).unwrap();
    let request = HttpRequest {
        to: HttpAddress::Web(web.clone()),
        method: "GET",
        path: "/status?x=1".to_owned(),
        body: None,
        token: Some(Arc::new(Sealed::new("t0ken".to_owned()))),
        deadline: Duration::from_secs(10),
    };
    web.ask(request).await.map(|answer| String::from_utf8(answer.body).unwrap())
}

fn trusting(authority: &Authority) -> Trust {
    Trust { ca: Some(authority.pem()), identity: None }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_and_no_other() {
    let (ours, other) = (Authority::new(), Authority::new());
    let port = serve(&ours, None).await;
    let asked = ask(port, &trusting(&ours)).await.unwrap();
    assert!(asked.starts_with("GET /status?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("host: localhost:{port}\r\n")) && asked.contains("kong-admin-token: t0ken\r\n"),
        "{asked}"
    );
    for trust in [trusting(&other), Trust::default()] {
        let error = ask(port, &trust).await.unwrap_err();
        assert!(error.found.contains("certificate"), "{error}");
        assert!(error.hints[0].to_string().contains("as `ca` beside `url`"), "{:?}", error.hints);
    }
}

#[tokio::test]
async fn a_certificate_is_shown_where_one_is_wanted() {
    let (ours, people) = (Authority::new(), Authority::new());
    let port = serve(&ours, Some(&people)).await;
    let error = ask(port, &trusting(&ours)).await.unwrap_err();
    assert!(error.hints[0].to_string().contains("where it wants a certificate"), "{error} {:?}", error.hints);
    let (cert, key) = people.signs("operator");
    let trust = Trust { identity: Some((cert, Sealed::new(key))), ..trusting(&ours) };
    assert!(ask(port, &trust).await.is_ok());
}

#[tokio::test]
async fn where_nothing_listens_it_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = ask(port, &trusting(&Authority::new())).await.unwrap_err();
    assert_eq!(error.fault, Fault::ConnectionRefused, "{error}");
    assert!(error.doing.starts_with(&format!("asking GET https://localhost:{port}/status")), "{error}");
}

#[test]
fn only_hosts_over_tls_are_addresses() {
    let shown = |url: &str| Web::new(url, &Trust::default()).map(|web| web.to_string());
    assert_eq!(shown("https://admin.example.net").as_deref(), Ok("https://admin.example.net:443"));
    assert_eq!(shown("https://admin.example.net:8444/").as_deref(), Ok("https://admin.example.net:8444"));
    assert_eq!(shown("https://[::1]:8444").as_deref(), Ok("https://[::1]:8444"));
    for url in [
        "http://admin.example.net:8001",
        "https://user:word@admin.example.net",
        "https://admin.example.net/path",
        "https://admin.example.net:0",
        "https://admin.example.net:8444:1",
        "https://-x",
        "https://",
        "admin.example.net",
    ] {
        assert!(shown(url).is_err(), "{url}");
    }
}

#[test]
fn what_is_no_pem_is_said_without_it() {
    let url = "https://admin.example.net";
    let of = |trust: Trust| Web::new(url, &trust).map(|_| ()).unwrap_err();
    assert_eq!(of(Trust { ca: Some(b"s3cret".to_vec()), identity: None }), "ca: there is no certificate in it");
    let (cert, _) = Authority::new().signs("x");
    let identity = Some((cert, Sealed::new(b"s3cret".to_vec())));
    assert_eq!(of(Trust { ca: None, identity }), "key: there is no private key in it");
}
