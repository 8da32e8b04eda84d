//! Fleets of every topology and edition, made of stand-ins: started, and serving, before a builder returns.
//!
//! ```ignore
//! let Some(fleet) = Gateways::hybrid("cp", &["dp1", "dp2", "dp3"]).await else { return };
//! fleet.want("1.0.0");
//! fleet.muster(&["--apply", "--all"]).await.assert(0, &["verdict: converged"]);
//! ```

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster::standin::site::{self, Node};
use muster::standin::{Edition, RbacUser, Right};
use serde_json::{Value, json};

use super::gateways::Gateways;
use super::poll_until;

/// The variable of the operator's environment that holds a token of an Enterprise cluster, and what it holds.
pub(crate) const TOKEN: (&str, &str) = ("EU_ADMIN_TOKEN", "admin-token");

/// A token that opens the workspace `team` for reading, and nothing else.
pub(crate) const READER: &str = "reader-token";

/// Longer than a stand-in takes to be ready on a busy machine.
const LONG: Duration = Duration::from_mins(1);

/// How a cluster gets its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every node reads one database.
    Traditional,
    /// The first nodes, this many, are control planes on one database; the others are data planes of the first.
    Hybrid { control: usize },
    /// Each node has a declarative file of its own, [`Gateways::declare`].
    DblessFile,
    /// Each node was sent its configuration, [`Gateways::post`].
    DblessLmdb,
    /// As the first, with the workspace `team` beside `default`, and RBAC with the tokens [`TOKEN`] and [`READER`].
    Enterprise,
}

impl Shape {
    /// The word of the inventory.
    pub(crate) fn topology(self) -> &'static str {
        match self {
            Self::Traditional | Self::Enterprise => "traditional",
            Self::Hybrid { .. } => "hybrid",
            Self::DblessFile | Self::DblessLmdb => "dbless",
        }
    }

    /// More keys of the cluster in the inventory, each with its indent and its break.
    pub(crate) fn keys(self) -> String {
        match self {
            Self::Enterprise => format!("    admin: {{ token: {{ env: {} }} }}\n", TOKEN.0),
            _ => String::new(),
        }
    }
}

/// A cluster to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cluster<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Shape,
    pub(crate) nodes: &'a [&'a str],
}

impl Gateways {
    /// One cluster `eu` of a control plane and its data planes.
    pub(crate) async fn hybrid(control: &str, data: &[&str]) -> Option<Self> {
        let nodes: Vec<&str> = std::iter::once(control).chain(data.iter().copied()).collect();
        Self::one(Shape::Hybrid { control: 1 }, &nodes).await
    }

    /// One cluster `eu` of nodes with a declarative file each, in which no custom plugin stands.
    pub(crate) async fn dbless_by_file(nodes: &[&str]) -> Option<Self> {
        Self::one(Shape::DblessFile, nodes).await
    }

    /// One cluster `eu` of nodes that keep what they were sent, in which no custom plugin stands.
    pub(crate) async fn dbless_by_lmdb(nodes: &[&str]) -> Option<Self> {
        Self::one(Shape::DblessLmdb, nodes).await
    }

    /// One cluster `eu` of Enterprise nodes with two workspaces, `default` and `team`.
    pub(crate) async fn enterprise(nodes: &[&str]) -> Option<Self> {
        Self::one(Shape::Enterprise, nodes).await
    }

    async fn one(shape: Shape, nodes: &[&str]) -> Option<Self> {
        Self::sites(&[Cluster { name: "eu", shape, nodes }]).await
    }

    /// Clusters of any shapes side by side.
    pub(crate) async fn sites(clusters: &[Cluster<'_>]) -> Option<Self> {
        let fleet = Self::built(clusters, |spec| spec).await?;
        fleet.furnish(clusters).await;
        Some(fleet)
    }

    /// What has to be done once the nodes run.
    async fn furnish(&self, clusters: &[Cluster<'_>]) {
        for Cluster { shape, nodes, .. } in clusters {
            match shape {
                Shape::DblessLmdb => nodes.iter().for_each(|name| self.post(name, &[])),
                Shape::Enterprise => {
                    let api = self.api(nodes[0]).as_user(TOKEN.1);
                    api.make("/workspaces", &json!({ "name": "team" }));
                }
                _ => {}
            }
            for name in *nodes {
                let ready = || (self.status_page(name, "/status/ready").0 == 200).then_some(());
                poll_until(LONG, &format!("{name} is ready"), ready).await;
            }
        }
    }

    /// Writes the declarative file of a node: a route that answers 200, and these plugins on everything. The node reads it at its
    /// next reload.
    pub(crate) fn declare(&self, name: &str, used: &[&str]) -> PathBuf {
        let file = declared_file(&self.node(name).dir);
        fs::write(&file, declaration(used)).unwrap();
        file
    }

    /// Sends a node the same by `POST /config`: it acts on it at once.
    pub(crate) fn post(&self, name: &str, used: &[&str]) {
        let (status, body) = self.api(name).send("POST", "/config", Some(&json!({ "config": declaration(used) })));
        assert_eq!(status, 201, "{body}");
    }

    /// Every data plane as this control plane shows it, by its host's address: the living and the dead.
    pub(crate) fn planes(&self, control: &str) -> Vec<Value> {
        let (status, page) = self.api(control).send("GET", "/clustering/data-planes?size=1000", None);
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().clone()
    }

    /// What the control plane shows of this data plane; `None`: it never saw it.
    pub(crate) fn plane(&self, control: &str, data: &str) -> Option<Value> {
        let id = fs::read_to_string(self.node(data).prefix.join("kong.id")).ok()?;
        self.planes(control).into_iter().find(|row| row["id"] == id.trim())
    }

    /// Waits until the control plane shows this `sync_status` of the data plane.
    pub(crate) async fn wait_plane(&self, control: &str, data: &str, status: &str) {
        let shown = || self.plane(control, data).filter(|row| row["sync_status"] == status).map(drop);
        poll_until(LONG, &format!("{data} is {status}"), shown).await;
    }

    /// `configuration_hash` of a node without a database, by its own status API.
    pub(crate) fn local_hash(&self, name: &str) -> String {
        self.status_page(name, "/status").1["configuration_hash"].as_str().unwrap_or_default().to_owned()
    }

    /// A page of a node's status API; status 0: no answer.
    pub(crate) fn status_page(&self, name: &str, path: &str) -> (u16, Value) {
        page((self.node(name).address, site::STATUS).into(), path).unwrap_or_default()
    }

    /// Holds the data planes off their control plane, so that its table grows old; or lets them come back.
    pub(crate) fn hold_data_planes(&self, control: &str, held: bool) {
        self.node(control).change(|settings| settings.faults.cluster_gone = held).unwrap();
    }
}

fn page(to: SocketAddr, path: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}

fn declared_file(dir: &Path) -> PathBuf {
    dir.join("kong.yml")
}

/// A declarative configuration with these plugins on everything, and a comment that an edit has to keep.
pub(crate) fn declaration(used: &[&str]) -> String {
    let mut text = "_format_version: \"3.0\"\n# Kept by the edge team.\nservices:\n- name: term\n  url: http://127.0.0.1:9\n  \
                    routes:\n  - name: term\n    paths: [\"/\"]\nplugins:\n- name: request-termination\n  config: { status_code: 200 }\n"
        .to_owned();
    for name in used {
        let _ = writeln!(text, "- name: {name}");
    }
    text
}

/// What a node of this cluster is, beside what every node is. `at` is its number there.
pub(super) fn shaped(spec: &mut site::NodeSpec, dir: &Path, cluster: &Cluster<'_>, at: usize, control: Option<&Node>) {
    let settings = &mut spec.settings;
    let mut line = |key: &str, value: String| spec.lines.push((key.to_owned(), value));
    match cluster.shape {
        Shape::Traditional => {}
        Shape::Hybrid { control: count } => {
            let pair = certificates(dir);
            line("cluster_cert", pair.0);
            line("cluster_cert_key", pair.1);
            if at < count {
                line("role", "control_plane".to_owned());
                line("cluster_listen", format!("{}:{}", spec.address, site::CLUSTER));
            } else {
                let first = control.expect("a hybrid cluster begins with a control plane");
                settings.database = None;
                line("role", "data_plane".to_owned());
                line("cluster_control_plane", format!("{}:{}", first.address, site::CLUSTER));
            }
        }
        Shape::DblessFile => {
            settings.database = None;
            let home = dir.join(cluster.nodes[at]);
            fs::create_dir_all(&home).unwrap();
            fs::write(declared_file(&home), declaration(&[])).unwrap();
            line("declarative_config", declared_file(&home).display().to_string());
        }
        Shape::DblessLmdb => settings.database = None,
        Shape::Enterprise => {
            settings.edition = Edition::Enterprise;
            "3.9.1.2".clone_into(&mut settings.version);
            let all = ["read", "create", "update", "delete"];
            settings.rbac = vec![
                user("admin", TOKEN.1, right("*", "*", &all)),
                user("reader", READER, right("team", "*", &["read"])),
            ];
        }
    }
}

fn user(name: &str, token: &str, right: Right) -> RbacUser {
    RbacUser { name: name.into(), token: token.into(), rights: vec![right] }
}

/// A right of an Enterprise user.
pub(crate) fn right(workspace: &str, endpoint: &str, actions: &[&str]) -> Right {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Right { workspace: workspace.into(), endpoint: endpoint.into(), actions, negative: false }
}

/// A pair that is there: a stand-in looks no further.
fn certificates(dir: &Path) -> (String, String) {
    let at = |name: &str| {
        let path = dir.join(name);
        fs::write(&path, "of a stand-in\n").unwrap();
        path.display().to_string()
    };
    (at("cluster.crt"), at("cluster.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inventory is one that muster reads, and says this topology.
    async fn assert_inventory(fleet: &Gateways, topology: &str) {
        fleet.want("1.0.0");
        let text = fs::read_to_string(fleet.work_tree().join("inventory.yaml")).unwrap();
        assert!(text.contains(&format!("topology: {topology}\n")), "{text}");
        fleet.muster(&["check"]).await.assert(0, &[]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hybrid_fleet_is_a_control_plane_with_data_planes_that_serve() {
        let data = ["dp1", "dp2", "dp3"];
        let Some(fleet) = Gateways::hybrid("cp", &data).await else { return };
        let api = fleet.api("cp");
        api.make("/plugins", &json!({ "name": "request-termination" }));
        for name in data {
            fleet.wait_plane("cp", name, "normal").await;
            let same = || (fleet.plane("cp", name)?["config_hash"] == fleet.local_hash(name)).then_some(());
            poll_until(LONG, "the control plane shows what it has", same).await;
            assert_eq!(fleet.proxied(name).await, Some((200, None)));
        }
        assert_eq!(fleet.planes("cp").len(), 3);
        fleet.hold_data_planes("cp", true);
        fleet.node("dp1").stop().unwrap();
        assert_eq!(fleet.plane("cp", "dp1").unwrap()["sync_status"], "normal", "the row of a dead one stays");
        assert_inventory(&fleet, "hybrid").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dbless_fleet_by_file_reads_each_nodes_own_file() {
        let Some(fleet) = Gateways::dbless_by_file(&["d1", "d2"]).await else { return };
        let hash = fleet.local_hash("d1");
        assert_eq!(hash, fleet.local_hash("d2"));
        fleet.declare("d1", &["cors"]);
        let node = fleet.node("d1");
        assert!(node.kong(&["reload", "-c"]).arg(&node.conf).status().unwrap().success());
        poll_until(LONG, "the file is read", || (fleet.local_hash("d1") != hash).then_some(())).await;
        assert_eq!((fleet.api("d1").rows_of("cors").len(), fleet.api("d2").rows_of("cors").len()), (1, 0));
        assert_inventory(&fleet, "dbless").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dbless_fleet_by_lmdb_keeps_what_it_was_sent() {
        let Some(fleet) = Gateways::dbless_by_lmdb(&["d1", "d2"]).await else { return };
        fleet.post("d1", &["cors"]);
        assert_eq!((fleet.api("d1").rows_of("cors").len(), fleet.api("d2").rows_of("cors").len()), (1, 0));
        let (node, hash) = (fleet.node("d1"), fleet.local_hash("d1"));
        node.stop().unwrap();
        poll_until(LONG, "it is gone", || (fleet.status_page("d1", "/status").0 == 0).then_some(())).await;
        poll_until(LONG, "it starts", || node.start().ok()).await;
        assert_eq!(fleet.local_hash("d1"), hash);
        assert_inventory(&fleet, "dbless").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_enterprise_fleet_has_two_workspaces_and_asks_for_a_token() {
        let Some(fleet) = Gateways::enterprise(&["e1", "e2"]).await else { return };
        let api = fleet.api("e1").as_user(TOKEN.1);
        assert_eq!(fleet.api("e1").send("GET", "/plugins", None).0, 401);
        assert_eq!(fleet.api("e1").as_user(READER).send("GET", "/team/plugins", None).0, 200);
        api.make("/team/plugins", &json!({ "name": "cors" }));
        let (_, page) = fleet.api("e2").as_user(TOKEN.1).send("GET", "/team/plugins", None);
        assert_eq!((page["data"].as_array().unwrap().len(), api.rows().len()), (1, 0));
        assert_eq!(api.send("GET", "/", None).1["edition"], "enterprise");
        assert_inventory(&fleet, "traditional").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn clusters_of_different_shapes_stand_side_by_side() {
        let eu = Cluster { name: "eu", shape: Shape::Traditional, nodes: &["a"] };
        let us = Cluster { name: "us", shape: Shape::DblessFile, nodes: &["b"] };
        let Some(fleet) = Gateways::sites(&[eu, us]).await else { return };
        assert_eq!(fleet.api("a").send("GET", "/config", None).0, 400);
        assert_eq!(fleet.api("b").send("GET", "/config", None).0, 200);
        assert_inventory(&fleet, "traditional").await;
    }
}
