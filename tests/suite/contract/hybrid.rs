//! Control planes and data planes (measured.md 8 and 13, protocols.md B4, transcripts 08, 08b, 08c and 20). A real Kong takes
//! part when `MUSTER_PG` is set.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::database::{ONE_DATABASE, lines, make, remove_all, rows};
use super::gateway::{Gateway, Node, each, skip, told};
use super::probe::{self, Process, wait_for, wait_until};

/// One control plane and one data plane, both with the plugin `good` of version 1.0.0 on disk and listed, and a route that
/// answers 200.
pub(super) struct Site {
    pub(super) control: Node,
    pub(super) data: Node,
}

/// A real Kong's tests share one database; stand-ins have one each and need not wait for each other.
fn alone() -> Option<MutexGuard<'static, ()>> {
    told("MUSTER_PG").map(|_| ONE_DATABASE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs the body on a site of each gateway that has a database.
pub(super) fn with_site(body: impl Fn(&Gateway, &Site)) {
    let _alone = alone();
    each(|gateway| {
        let Some(site) = Site::of(gateway) else { return };
        body(gateway, &site);
        if site.control.ask("GET", "/", "").is_some() {
            remove_all(&site.control);
        }
    });
}

impl Site {
    fn of(gateway: &Gateway) -> Option<Self> {
        let database = lines(gateway)?;
        let database: Vec<(&str, &str)> = database.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let control = gateway.bare(&database, "bundled,good");
        let data = gateway.bare(&[("database", "off")], "bundled,good");
        let at = |name: &str| control.dir.path().join(name).display().to_string();
        let pair = (at("cluster.crt"), at("cluster.key"));
        let ran = control.kong(&["hybrid", "gen_cert", &pair.0, &pair.1]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let (cluster, telemetry) = (format!("{}:8005", control.address), format!("{}:8006", control.address));
        for (node, role) in [(&control, "control_plane"), (&data, "data_plane")] {
            node.set("role", role);
            node.set("cluster_cert", &pair.0);
            node.set("cluster_cert_key", &pair.1);
            node.write_plugin("good", "1.0.0");
        }
        control.set("cluster_listen", &cluster);
        control.set("cluster_telemetry_listen", &telemetry);
        data.set("cluster_control_plane", &cluster);
        data.set("cluster_telemetry_endpoint", &telemetry);
        if gateway.is_real() {
            // Either has nothing to do on a database that is up to date.
            let _ = control.with_conf_of("migrations bootstrap");
            let _ = control.with_conf_of("migrations up");
        }
        let control = control.started();
        remove_all(&control);
        let service = make(&control, "services", "name=term&url=http://127.0.0.1:9");
        make(&control, "routes", &format!("name=term&paths[]=/&service.id={service}"));
        let ends = "name=request-termination&config.status_code=200&config.message=ok";
        make(&control, &format!("services/{service}/plugins"), ends);
        let site = Self { control, data: data.started() };
        wait_until("the data plane serves", || site.data.proxy("/").is_some_and(|answer| answer.status == 200));
        Some(site)
    }

    /// What the control plane shows of the data plane.
    fn row(&self) -> Value {
        let id = std::fs::read_to_string(self.data.prefix.join("kong.id")).unwrap();
        let page = self.control.admin("/clustering/data-planes?size=1000").json();
        let rows = page["data"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id.trim()).unwrap_or_else(|| panic!("no row {id} in {page}")).clone()
    }

    fn status(&self) -> String {
        self.row()["sync_status"].as_str().unwrap().to_owned()
    }

    fn wait_status(&self, wanted: &str) {
        wait_until(wanted, || self.status() == wanted);
    }

    /// The hash of what the data plane has, by its own status API.
    fn hash(&self) -> Value {
        local_hash(&self.data)
    }

    /// Both show the same hash, and this is it.
    fn settled(&self) -> Value {
        wait_for("both show the same hash", || {
            let hash = self.hash();
            (self.row()["config_hash"] == hash).then_some(hash)
        })
    }

    /// Applies a plugin through the control plane, and waits until the data plane runs it. The id of the row.
    fn applied(&self, name: &str) -> String {
        let id = make(&self.control, "plugins", &format!("name={name}"));
        wait_until("the data plane runs it", || runs(&self.data, name));
        id
    }

    fn delete(&self, id: &str) {
        assert_eq!(self.control.ask("DELETE", &format!("/plugins/{id}"), "").unwrap().status, 204);
    }
}

/// `configuration_hash` of the status API.
pub(super) fn local_hash(node: &Node) -> Value {
    let status = probe::request(node.address, 8007, "GET", "/status", "").expect("the status API answers");
    status.json()["configuration_hash"].clone()
}

/// Whether the plugin acts on a proxied answer.
pub(super) fn runs(node: &Node, name: &str) -> bool {
    node.proxy("/").is_some_and(|answer| answer.header(&format!("X-{name}")).is_some())
}

/// Reloads, and waits until only new workers are left, whether they serve or not.
pub(super) fn replaced(node: &Node) {
    let before = node.live();
    node.with_conf("reload").says("Kong reloaded\n");
    wait_new(node, &before);
}

fn wait_new(node: &Node, before: &[Process]) {
    wait_until("the workers are new", || {
        let live = node.live();
        node.is_idle() && !live.is_empty() && live.iter().all(|process| !before.contains(process))
    });
}

/// An empty reply on each of a few connections, and a status API that says that it is not ready.
#[track_caller]
pub(super) fn assert_dead(node: &Node) {
    wait_until("the status API answers", || node.ready().is_some());
    for _ in 0..4 {
        assert!(node.proxy("/").is_none(), "an empty reply");
    }
    assert_eq!(node.ready(), Some(503));
}

/// Transcript 08, 6 and 20, 7.
#[test]
fn a_data_plane_has_no_admin_api_and_its_status_api_shows_no_plugins() {
    with_site(|gateway, site| {
        assert!(site.data.ask("GET", "/", "").is_none(), "whatever admin_listen says");
        assert!(site.control.proxy("/").is_none(), "and a control plane has no proxy");
        let status = |path: &str| probe::request(site.data.address, 8007, "GET", path, "").unwrap();
        for path in ["/", "/plugins/enabled", "/schemas/plugins/good"] {
            assert_eq!(status(path).status, 404, "{path}");
        }
        let page = status("/status").json();
        let keys: Vec<&str> =
            ["configuration_hash", "memory", "server"].into_iter().filter(|key| page.get(*key).is_some()).collect();
        assert_eq!(keys.len(), 3, "{page}");
        let pids: Vec<i64> =
            page["memory"]["workers_lua_vms"].as_array().unwrap().iter().filter_map(|vm| vm["pid"].as_i64()).collect();
        let titled =
            |title: &str| site.data.live().into_iter().filter(|child| child.title == title).collect::<Vec<_>>();
        let workers: Vec<i64> = titled("nginx: worker process").iter().map(|child| child.pid.into()).collect();
        assert_eq!(pids, workers);
        let agents = titled("nginx: privileged agent process").len();
        assert_eq!(agents, usize::from(!gateway.is_34()), "{:?}", site.data.children());
        let row = site.row();
        assert_eq!(
            (row["version"].as_str(), row["sync_status"].as_str()),
            (Some(gateway.version.as_str()), Some("normal"))
        );
        assert!(row["ip"].is_string() && row["hostname"].is_string() && row["last_seen"].is_i64(), "{row}");
        site.settled();
    });
}

#[test]
fn the_id_of_a_data_plane_survives_a_restart_and_the_row_of_a_dead_one_stays() {
    with_site(|_, site| {
        let id = site.row()["id"].clone();
        assert_eq!(site.data.with_conf("restart").code, 0);
        site.data.wait_ready();
        assert_eq!(site.row()["id"], id);
        assert_eq!(site.data.with_prefix("stop").code, 0);
        wait_until("it is gone", || site.data.ready().is_none());
        let row = site.row();
        assert_eq!((row["sync_status"].as_str(), row["id"].clone()), (Some("normal"), id));
    });
}

#[test]
fn the_table_of_data_planes_is_a_control_planes_alone() {
    each(|gateway| {
        let answer = gateway.node("bundled", &[]).started().admin("/clustering/data-planes");
        let text = "this endpoint is only available when Kong is configured to run as Control Plane for the cluster";
        assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(text)));
    });
}

/// Transcript 08, 1 to 1e.
#[test]
fn a_data_plane_that_lacks_a_configured_plugin_is_frozen_and_serves() {
    with_site(|_, site| {
        for name in ["extra", "later"] {
            site.control.write_plugin(name, "1.0.0");
        }
        site.control.set("plugins", "bundled,good,extra");
        site.control.reloaded();
        site.wait_status("normal");
        let frozen = site.settled();
        make(&site.control, "plugins", "name=extra");
        site.wait_status("plugin_set_incompatible");
        make(&site.control, "plugins", "name=good");
        assert_eq!((site.hash(), site.data.ready(), runs(&site.data, "good")), (frozen.clone(), Some(200), false));
        assert_eq!(site.data.with_conf("restart").code, 0);
        site.data.wait_ready();
        site.wait_status("plugin_set_incompatible");
        assert_eq!((site.hash(), runs(&site.data, "good")), (frozen, false), "and a restart keeps it so");
        // Files alone are not enough: it announces its plugins when it connects, after its own reload.
        site.data.write_plugin("extra", "1.0.0");
        site.data.set("plugins", "bundled,good,extra");
        assert_eq!(site.status(), "plugin_set_incompatible");
        site.data.reloaded();
        site.wait_status("normal");
        wait_until("what was held back arrives", || runs(&site.data, "extra") && runs(&site.data, "good"));
    });
}

/// Transcripts 08, 4 and 08b, 1: versions are those of the handlers.
#[test]
fn versions_that_conflict_freeze_a_data_plane_and_it_serves_what_it_has() {
    with_site(|_, site| {
        let row = site.applied("good");
        for (version, status) in [
            ("1.0.1", "normal"),
            ("1.1.0", "plugin_version_incompatible"),
            ("2.0.0", "plugin_version_incompatible"),
            ("1.0.0", "normal"),
            ("0.9.0", "plugin_version_incompatible"),
        ] {
            site.data.write_plugin("good", version);
            site.data.reloaded();
            site.wait_status(status);
            assert_eq!(site.data.proxied("X-good").as_deref(), Some(version), "it runs its own code all the time");
        }
        site.delete(&row);
        // What is not configured cannot conflict, and the configuration flows again.
        site.wait_status("normal");
        wait_until("the row is gone there", || !runs(&site.data, "good"));
    });
}

#[test]
fn a_control_plane_that_is_newer_by_a_minor_is_normal() {
    with_site(|_, site| {
        let row = site.applied("good");
        site.control.write_plugin("good", "1.1.0");
        site.control.reloaded();
        site.delete(&row);
        wait_until("what is changed arrives", || !runs(&site.data, "good"));
        assert_eq!(site.status(), "normal");
    });
}

#[test]
fn a_data_plane_that_lists_more_than_its_control_plane_is_normal() {
    with_site(|_, site| {
        site.data.write_plugin("more", "1.0.0");
        site.data.set("plugins", "bundled,good,more");
        site.data.reloaded();
        site.wait_status("normal");
        site.applied("good");
        assert_eq!(site.status(), "normal");
    });
}

/// facts.md D3: the export skips them.
#[test]
fn a_disabled_row_is_not_sent_and_blocks_no_data_plane() {
    with_site(|_, site| {
        site.control.write_plugin("extra", "1.0.0");
        site.control.set("plugins", "bundled,good,extra");
        site.control.reloaded();
        make(&site.control, "plugins", "name=extra&enabled=false");
        site.applied("good");
        assert_eq!(site.status(), "normal");
    });
}

/// Transcripts 08, 2 to 2c and 20, 7: the trap that removal has to be ordered around.
#[test]
fn a_data_plane_whose_directive_goes_first_serves_nothing() {
    with_site(|gateway, site| {
        let row = site.applied("good");
        site.settled();
        site.data.set("plugins", "bundled");
        replaced(&site.data);
        assert_dead(&site.data);
        assert_eq!(site.data.with_prefix("health").code, 0, "and it counts as healthy");
        if gateway.is_34() {
            assert_eq!(site.status(), "normal", "in 3.4 nothing at all is shown of it");
        } else {
            site.wait_status("plugin_set_incompatible");
        }
        assert_eq!(site.data.with_conf("restart").code, 0);
        assert_dead(&site.data);
        if !gateway.is_34() {
            let broken = site.hash();
            site.delete(&row);
            wait_until("the data plane has heard of it", || site.hash() != broken);
            site.wait_status("normal");
            assert_dead(&site.data);
            // Only another reload helps.
            site.data.reloaded();
            assert_eq!(site.data.proxy("/").unwrap().status, 200);
            return;
        }
        // There it never hears that the row is gone (deduced: its first worker did not come up); the directive back helps.
        site.data.set("plugins", "bundled,good");
        site.data.reloaded();
        assert!(runs(&site.data, "good"));
    });
}

/// Transcript 08, 3a to 3a2.
#[test]
fn a_control_plane_whose_directive_goes_while_rows_exist_does_not_reload_and_would_not_start() {
    with_site(|_, site| {
        let row = site.applied("good");
        let (before, already) = (site.control.live(), site.control.log().len());
        site.control.set("plugins", "bundled");
        site.control.with_conf("reload").says("Kong reloaded\n");
        let text = "error building initial plugins: good plugin is in use but not enabled";
        wait_until("the log says why", || site.control.log()[already..].contains(text));
        site.control.wait_idle();
        assert_eq!(site.control.live(), before);
        // Changes go on to the data planes meanwhile.
        site.delete(&row);
        wait_until("a change arrives", || !runs(&site.data, "good"));
        site.applied("good");
        let restarted = site.control.with_conf("restart");
        assert!(restarted.code == 1 && restarted.err.contains(text), "{restarted:?}");
        assert!(site.control.ask("GET", "/", "").is_none());
        assert_eq!((site.data.ready(), runs(&site.data, "good")), (Some(200), true), "the data plane serves");
        site.control.set("plugins", "bundled,good");
        assert_eq!(site.control.with_conf("start").code, 0);
        wait_until("the control plane is back", || site.control.ask("GET", "/", "").is_some());
    });
}

/// Transcript 08b, 3: `sync_status` says nothing about the workers.
#[test]
fn a_failed_reload_of_a_data_plane_shows_in_its_readiness_alone() {
    with_site(|_, site| {
        site.applied("good");
        let before = site.data.live();
        site.data.set("plugins", "bundled,good,nofiles");
        site.data.with_conf("reload").says("Kong reloaded\n");
        wait_until("the load failed", || site.data.log().contains("nofiles plugin is enabled but not installed"));
        site.data.wait_idle();
        assert_eq!((site.data.live(), site.data.ready()), (before, Some(503)));
        assert_eq!((site.status().as_str(), runs(&site.data, "good")), ("normal", true));
        site.data.set("plugins", "bundled,good");
        site.data.reloaded();
    });
}

/// Transcript 08b, 4.
#[test]
fn without_its_control_plane_a_data_plane_reloads_and_restarts_with_what_it_stored() {
    with_site(|_, site| {
        site.applied("good");
        let hash = site.settled();
        assert_eq!(site.control.with_prefix("stop").code, 0);
        site.data.reloaded();
        assert!(runs(&site.data, "good"));
        assert_eq!(site.data.with_conf("restart").code, 0);
        site.data.wait_ready();
        assert_eq!((site.hash(), runs(&site.data, "good")), (hash, true));
        wait_until("the log says it", || site.data.log().contains("[clustering] connection to control plane wss://"));
        assert_eq!(site.control.with_conf("start").code, 0);
        wait_until("the control plane is back", || site.control.ask("GET", "/", "").is_some());
        let row = rows(&site.control).into_iter().find(|row| row["name"] == "good").unwrap();
        site.delete(row["id"].as_str().unwrap());
        wait_until("changes arrive again", || !runs(&site.data, "good"));
    });
}

/// protocols.md B4: everything local looks fine there, and the directive must not go.
#[test]
fn a_data_plane_that_missed_the_unapply_dies_of_its_directive_and_lives_when_it_is_back() {
    with_site(|_, site| {
        let row = site.applied("good");
        site.settled();
        assert_eq!(site.data.with_prefix("stop").code, 0);
        wait_until("it is gone", || site.data.ready().is_none());
        site.delete(&row);
        assert!(rows(&site.control).iter().all(|row| row["name"] != "good"));
        assert_eq!(site.control.with_prefix("stop").code, 0);
        assert_eq!(site.data.with_conf("start").code, 0);
        site.data.wait_ready();
        assert!(runs(&site.data, "good"), "all is well, as far as can be seen there");
        site.data.set("plugins", "bundled");
        replaced(&site.data);
        assert_dead(&site.data);
        // The line of .kong_env back and a signal, without the CLI.
        let before = site.data.live();
        super::gateway::put(&site.data.prefix.join(".kong_env"), "plugins", "bundled,good");
        site.data.hup();
        site.data.wait_replaced(&before);
        assert!(runs(&site.data, "good"));
        assert_eq!(site.control.with_conf("start").code, 0);
        wait_until("the control plane is back", || site.control.ask("GET", "/", "").is_some());
        wait_until("and now it hears of it", || !runs(&site.data, "good"));
    });
}

/// protocols.md B4 and transcript 08, 5: what the control plane shows is old after its reload, and says nothing about rows.
#[test]
fn after_a_reload_of_the_control_plane_its_table_is_old_and_the_hash_without_rows_comes_back() {
    with_site(|gateway, site| {
        let without = site.settled();
        let row = site.applied("good");
        let with = site.settled();
        assert_ne!(with, without);
        // A real data plane takes 5 to 10 s to connect again; a stand-in is told when it may.
        if !gateway.is_real() {
            site.control.change(|settings| settings.faults.cluster_gone = true);
        }
        site.control.reloaded();
        let seen = site.row()["last_seen"].clone();
        site.delete(&row);
        // For a while, and not only because nothing has had time to arrive.
        for _ in 0..30 {
            let stale = site.row();
            assert_eq!((&stale["config_hash"], stale["sync_status"].as_str()), (&with, Some("normal")));
            assert_eq!((&stale["last_seen"], runs(&site.data, "good")), (&seen, true), "and it runs there still");
            std::thread::sleep(Duration::from_millis(10));
        }
        if !gateway.is_real() {
            site.control.change(|settings| settings.faults.cluster_gone = false);
        }
        wait_until("it has arrived", || !runs(&site.data, "good"));
        assert_eq!(site.settled(), without, "the hash of before the row was there");
    });
}

/// protocols.md B4: control planes first, so that nobody can re-apply; a data plane is safe meanwhile.
#[test]
fn a_control_plane_that_dropped_the_name_refuses_it_and_its_data_planes_stay_normal() {
    with_site(|_, site| {
        let row = site.applied("good");
        site.delete(&row);
        wait_until("the row is gone there", || !runs(&site.data, "good"));
        site.control.set("plugins", "bundled");
        site.control.reloaded();
        let refused = site.control.ask("POST", "/plugins", "name=good").unwrap();
        assert_eq!((refused.status, refused.json()["code"].as_i64()), (400, Some(2)));
        let before = site.settled();
        make(&site.control, "plugins", "name=cors");
        wait_until("changes arrive", || site.hash() != before);
        site.data.set("plugins", "bundled");
        site.data.reloaded();
        site.wait_status("normal");
    });
}

#[test]
fn a_data_plane_of_a_newer_minor_is_shut_out() {
    let _alone = alone();
    each(|gateway| {
        if gateway.is_real() || !gateway.is_34() {
            skip("it takes a data plane of another release");
            return;
        }
        let site = Site::of(gateway).unwrap();
        let hash = site.settled();
        site.data.change(|settings| settings.version = "3.9.1".into());
        assert_eq!(site.data.with_conf("restart").code, 0);
        site.data.wait_ready();
        site.wait_status("kong_version_incompatible");
        make(&site.control, "plugins", "name=good");
        assert_eq!((site.hash(), site.data.proxy("/").unwrap().status), (hash, 200), "it serves what it has");
    });
}

#[test]
fn a_node_of_a_hybrid_cluster_says_what_it_wants() {
    each(|gateway| {
        let node = gateway.bare(&[("role", "data_plane"), ("database", "off")], "bundled");
        let file = node.conf.display().to_string();
        let ran = node.kong(&["check", &file]);
        assert!(ran.code == 1 && ran.err.contains("must be provided to use Hybrid mode"), "{ran:?}");
        node.set("database", "postgres");
        let ran = node.kong(&["check", &file]);
        let text = "only in-memory storage can be used when role = \"data_plane\"";
        assert!(ran.code == 1 && ran.err.contains(text), "{ran:?}");
    });
}
