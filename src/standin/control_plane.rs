//! A control plane: takes data planes on its cluster listener, sends them what is in the database, and keeps the table of
//! them there, where a row stays when its data plane is dead (facts.md C9).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::clustering::{self, Conflict, Hello, Said, Status, Told};
use super::lmdb::Stored;
use super::log::Level;
use super::rows::{self, Database};
use super::worker::Node;

/// The name of the listener in the nginx files.
pub(super) const SERVER: &str = "kong_cluster_listener";

/// The table of data planes in the database.
pub(super) const TABLE: &str = "clustering_data_planes";

/// How often a worker looks whether the database is another file.
const LOOK: Duration = Duration::from_millis(25);

/// How long a change takes until it is sent, in seconds (1.4 s from the deletion of a row to a data plane without it, of which
/// 0.3 s are its own: transcript 08b, 2).
const PUSH: f64 = 1.0;

/// A data plane that is connected.
struct Peer<'a> {
    node: &'a Node,
    hello: Hello,
    ip: String,
    /// The last configuration that was sent on this connection.
    sent: Option<String>,
    status: Option<Status>,
    seen: Option<(PathBuf, Mark)>,
}

type Mark = (u64, Option<std::time::SystemTime>);

/// Serves one data plane until either end goes, or this worker is told to.
pub(super) async fn serve(node: &Node, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
    let ip = stream.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = talk(node, stream, ip) => {}
    }
}

async fn talk(node: &Node, stream: TcpStream, ip: String) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let Some(line) = lines.next_line().await? else { return Ok(()) };
    let Said::Hello(hello) = serde_json::from_str(&line)? else { return Ok(()) };
    let mut peer = Peer { node, hello, ip, sent: None, status: None, seen: None };
    if node.settings().faults.cluster_gone || !peer.is_welcome() {
        return Ok(());
    }
    loop {
        if node.settings().faults.cluster_gone {
            return Ok(());
        }
        if let Some(told) = peer.news().await {
            let mut text = serde_json::to_vec(&told)?;
            text.push(b'\n');
            writer.write_all(&text).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            line = lines.next_line() => match line? {
                Some(line) => if let Ok(Said::Ping { hash }) = serde_json::from_str(&line) {
                    peer.hello.hash = hash;
                    peer.record();
                },
                None => return Ok(()),
            },
        }
    }
}

impl Peer<'_> {
    /// Whether the releases go together; if not, the row says so and the connection ends.
    fn is_welcome(&mut self) -> bool {
        let ours = self.node.settings().version;
        match clustering::releases(&ours, &self.hello.version) {
            Ok(()) => {
                self.tell_differences();
                true
            }
            Err(conflict) => {
                self.warn(&conflict.text);
                self.status = Some(conflict.status);
                self.record();
                false
            }
        }
    }

    /// What is logged at connect, of every plugin that is loaded here, configured or not.
    fn tell_differences(&self) {
        let has = |name: &str| self.hello.plugins.iter().any(|plugin| plugin.name == name);
        for plugin in self.node.handover.generation.plugins.iter().filter(|plugin| !has(&plugin.name)) {
            self.warn(&format!("{} plugin {} is missing from data plane", plugin.name, plugin.version));
        }
    }

    fn warn(&self, text: &str) {
        let Hello { id, hostname, version, .. } = &self.hello;
        let line =
            format!("*1 [lua] [clustering] {text} [id: {id}, host: {hostname}, ip: {}, version: {version}]", self.ip);
        self.node.log.write(Level::Warn, &line);
    }

    /// The configuration, if the database was changed since it was last looked at and may be sent.
    async fn news(&mut self) -> Option<Told> {
        let settings = self.node.settings();
        let path = settings.reachable_database()?.to_owned();
        let now = Some((path.clone(), mark(&path)));
        if self.seen == now {
            return None;
        }
        if self.seen.is_some() {
            tokio::time::sleep(settings.scaled(PUSH, 0)).await;
        }
        // The mark from before the reading: what is written meanwhile is seen at the next look.
        self.seen = Some((path.clone(), mark(&path)));
        let config = clustering::export(&Database::at(&path).read().ok()?);
        let known = (self.status, self.sent.clone());
        let told = self.weigh(config);
        if known.0 != self.status {
            self.record();
        }
        told
    }

    /// A data plane that does not fit what is configured is sent nothing at all.
    fn weigh(&mut self, config: Stored) -> Option<Told> {
        let loaded = &self.node.handover.generation.plugins;
        let configured = rows::names(config.table("plugins"));
        if let Err(Conflict { status, text }) = clustering::plugins(loaded, &configured, &self.hello.plugins) {
            self.warn(&format!("unable to send updated configuration to data plane: {text}"));
            self.status = Some(status);
            return None;
        }
        self.status = Some(Status::Normal);
        if self.sent == config.hash {
            return None;
        }
        self.sent.clone_from(&config.hash);
        Some(Told { config })
    }

    /// Writes the row of this data plane.
    fn record(&self) {
        let settings = self.node.settings();
        let Some(path) = settings.reachable_database() else { return };
        let now = super::clock::unix_seconds();
        let Hello { id, hostname, version, hash, .. } = &self.hello;
        let row = json!({
            "id": id, "ip": self.ip, "hostname": hostname, "version": version, "last_seen": now, "config_hash": hash,
            "sync_status": self.status.map_or("unknown", Status::word), "labels": null,
            "cert_details": { "expiry_timestamp": now + 94_608_000 },
        });
        let _ = Database::at(path).change(|all| {
            let rows = all.entry(TABLE).or_insert_with(|| json!([]));
            let Some(rows) = rows.as_array_mut() else { return };
            match rows.iter_mut().find(|other: &&mut Value| other["id"] == row["id"]) {
                Some(other) => *other = row,
                None => rows.push(row),
            }
        });
    }
}

/// The database is replaced by a rename at each change.
fn mark(path: &std::path::Path) -> Mark {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).map_or((0, None), |found| (found.ino(), found.modified().ok()))
}
