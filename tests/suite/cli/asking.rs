//! Admin APIs that cannot be asked through the connection: the whole program over servers that forbid it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::removal::{DELETE, assert_no_files, assert_served, use_everywhere, want};
use crate::harness::{Gateways, NodeSpec, Relay, Reply, process};

/// A server that forbids every forward.
fn shut(spec: NodeSpec) -> NodeSpec {
    spec.server("AllowTcpForwarding no").server("AllowStreamLocalForwarding no")
}

#[tokio::test]
async fn where_forwarding_is_forbidden_a_plugin_is_installed_and_removed_with_its_rows() {
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1", "eu-2"])], shut).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--plan"]).await.assert(0, &["acme-auth"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;

    let said = gateways.muster(&["status"]).await;
    said.assert(0, &["Admin API asked by curl on the node (forwarding is forbidden): eu-[1,2]"]);
    let json = gateways.muster(&["status", "--format", "json"]).await;
    assert!(json.out.contains(r#""asked":{"by":"command","tool":"curl"}"#), "{json}");
    let said = gateways.muster(&["doctor", "--format", "json"]).await;
    said.assert(0, &["it answers: ", "asked by curl on the node (forwarding is forbidden)"]);

    let api = gateways.api("eu-1");
    use_everywhere(api);
    let probers = gateways.probers();
    want(&gateways, &[DELETE]);
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(0, &["converged"]);
    assert_served(probers);
    assert_eq!(api.rows_of("acme-auth"), Vec::<serde_json::Value>::new());
    for name in ["eu-1", "eu-2"] {
        assert_no_files(&gateways, name);
    }
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn the_token_shows_in_no_process_no_journal_and_no_log_whichever_way_it_goes() {
    const TOKEN: &str = "tok3n-of-this-very-test-7d1f";
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"])], shut).await else { return };
    gateways.want("1.0.0");
    let inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let inventory = inventory.replace("eu-1: { kong:", "eu-1: { admin: { token: { env: EU_TOKEN } }, kong:");
    gateways.commit(&[("inventory.yaml", &inventory)], "a token");
    // Whatever runs on this machine while it is used: its command line and its environment.
    let (seen, over) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let (told, stop) = (seen.clone(), over.clone());
    let watch = std::thread::spawn(move || {
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            told.lock().unwrap().extend(process::with_text(TOKEN));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let log = gateways.dir().join("muster.log");
    let vars = [("EU_TOKEN", TOKEN), ("MUSTER_LOG", "trace")];
    let args = ["--apply", "--all", "--log", log.to_str().unwrap()];
    let said = gateways.begin_with(&args, &vars).said().await;
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    watch.join().unwrap();
    said.assert(0, &["converged"]);
    assert_eq!(*seen.lock().unwrap(), BTreeSet::new());
    assert!(!said.to_string().contains(TOKEN));
    // Everything that was written: journals, state, what is on the nodes, the log.
    let found = std::process::Command::new("grep").args(["-rlF", TOKEN]).arg(gateways.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let found = std::process::Command::new("grep").args(["-rlF", TOKEN]).arg(gateways.ssh.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

/// The operator's own settings, in a directory that goes with the fleet.
fn settings(gateways: &Gateways, text: &str, mode: u32) -> String {
    let config = gateways.dir().join("config");
    fs::create_dir_all(config.join("muster")).unwrap();
    let file = config.join("muster/admin.yaml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    config.display().to_string()
}

#[tokio::test]
async fn a_token_comes_from_the_command_that_the_operator_has_set_and_from_no_other() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    let relay = Relay::before(gateways.node("eu-1"));
    relay.answer(|head| {
        if head.to_lowercase().contains("\r\nkong-admin-token: r1ght\r\n") {
            return Reply::Pass;
        }
        Reply::http("401 Unauthorized", "", "{\"message\":\"Unauthorized\"}")
    });
    let inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    let with = |token: &str| {
        let admin = format!("eu-1: {{ admin: {{ listen: {}{token} }}, kong:", relay.url());
        inventory.replace("eu-1: { kong:", &admin)
    };
    gateways.commit(&[("inventory.yaml", &with(""))], "behind a token");
    gateways.muster(&["--plan"]).await.assert(0, &["401", "a command in ~/.config/muster/admin.yaml"]);

    let count = gateways.dir().join("count");
    let command = format!("[sh, -c, 'echo x >>{}; echo r1ght']", count.display());
    let config = settings(&gateways, &format!("clusters: {{ eu: {{ token: {{ command: {command} }} }} }}"), 0o600);
    let vars = [("XDG_CONFIG_HOME", config.as_str())];
    gateways.begin_with(&["--apply", "--all"], &vars).said().await.assert(0, &["converged"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");

    // Its failure is told, and that of a file which others could have written.
    settings(&gateways, "clusters: { eu: { token: { command: [sh, -c, 'echo locked >&2; exit 3'] } } }", 0o600);
    gateways.begin_with(&["--plan"], &vars).said().await.assert(1, &["token of cluster eu", "exit status: 3, locked"]);
    settings(&gateways, "clusters: {}", 0o666);
    gateways.begin_with(&["--plan"], &vars).said().await.assert(1, &["others may write", "chmod go-w"]);

    // A repository names none: nothing of it is run, and what is written there is not shown.
    let theirs = with(", token: { command: [touch, /tmp/muster-was-here] }");
    gateways.commit(&[("inventory.yaml", &theirs)], "a command");
    let said = gateways.begin_with(&["--plan"], &vars).said().await;
    said.assert(1, &["a command that gives a token is not taken from a repository", "~/.config/muster/admin.yaml"]);
    assert!(!said.to_string().contains("was-here"), "{said}");
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn one_token_for_two_clusters_is_said() {
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"]), ("us", &["us-1"])], |spec| spec).await else { return };
    gateways.want("1.0.0");
    let text = "clusters: { eu: { token: { env: ONE } }, us: { token: { command: [echo, the-same] } } }";
    let config = settings(&gateways, text, 0o600);
    let vars = [("XDG_CONFIG_HOME", config.as_str()), ("ONE", "the-same")];
    let said = gateways.begin_with(&["status"], &vars).said().await;
    assert!(said.err.contains("eu and us are given the same token"), "{said}");
    assert!(!said.to_string().contains("the-same"), "{said}");
}

/// An authority, in PEM, and TLS in front of the Admin API of a gateway, for those alone who show a certificate of it.
struct Front {
    port: u16,
    ca: String,
    cert: String,
    key: String,
}

impl Front {
    async fn before(gateways: &Gateways, name: &str) -> Self {
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use tokio_rustls::rustls::server::WebPkiClientVerifier;
        use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
        };
        let ((cert, key), (own, own_key)) = (signed("operator"), signed("localhost"));
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (mut roots, provider) = (RootCertStore::empty(), Arc::new(ring::default_provider()));
        roots.add(der(&authority.pem())).unwrap();
        let people = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let own_key = PrivateKeyDer::from_pem_slice(own_key.as_bytes()).unwrap();
        let config = config.with_client_cert_verifier(people).with_single_cert(vec![der(&own)], own_key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = std::net::SocketAddr::from((gateways.node(name).address, muster::standin::site::ADMIN));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let Ok(mut gateway) = tokio::net::TcpStream::connect(to).await else { return };
                    // Whoever goes away in the middle is no matter here.
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut gateway).await;
                });
            }
        });
        Self { port, ca: authority.pem(), cert, key }
    }

    /// The operator's settings that lead there.
    fn set(&self, gateways: &Gateways, ca: &str, with_certificate: bool) -> String {
        let more = if with_certificate { ", cert: me.pem, key: me.key" } else { "" };
        let text = format!("clusters: {{ eu: {{ url: \"https://localhost:{}\", ca: ca.pem{more} }} }}", self.port);
        let config = settings(gateways, &text, 0o600);
        let dir = std::path::Path::new(&config).join("muster");
        for (file, text) in [("ca.pem", ca), ("me.pem", &self.cert), ("me.key", &self.key)] {
            fs::write(dir.join(file), text).unwrap();
            fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        config
    }
}

#[tokio::test]
async fn an_admin_api_by_url_is_asked_from_here_with_an_authority_and_a_certificate_of_ones_own() {
    // Nothing could be asked through the node.
    let dir = tempfile::tempdir().unwrap();
    let door = |spec: NodeSpec| super::failing::mute(dir.path(), spec);
    let Some(gateways) = Gateways::start(&[("eu", &["eu-1"])], door).await else { return };
    gateways.want("1.0.0");
    let front = Front::before(&gateways, "eu-1").await;
    let vars = |config: &str| [("XDG_CONFIG_HOME".to_owned(), config.to_owned())];
    let call = async |config: &str, args: &[&str]| {
        let vars = vars(config);
        let vars: Vec<(&str, &str)> = vars.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        gateways.begin_with(args, &vars).said().await
    };
    let without = front.set(&gateways, &front.ca, false);
    call(&without, &["--plan"]).await.assert(0, &["admin-unreachable", "where it wants a certificate"]);
    let other = Front::before(&gateways, "eu-1").await;
    let wrong = front.set(&gateways, &other.ca, true);
    call(&wrong, &["--plan"]).await.assert(0, &["admin-unreachable", "name the file of its authority as `ca`"]);

    let right = front.set(&gateways, &front.ca, true);
    call(&right, &["--apply", "--all"]).await.assert(0, &["converged"]);
    call(&right, &["--plan", "--detailed-exitcode"]).await.assert(0, &[]);
    let url = format!("https://localhost:{}", front.port);
    call(&right, &["status"]).await.assert(0, &[&format!("asked from here at {url}")]);
    gateways.assert_nothing_left().await;
}
