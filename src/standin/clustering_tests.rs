use serde_json::json;

use super::*;
use crate::standin::Settings;
use crate::standin::effective::Sources;

fn plugin(name: &str, version: &str) -> Plugin {
    Plugin { name: name.into(), version: version.into(), priority: 1, custom: true, migrations: false }
}

fn announced(name: &str, version: &str) -> Announced {
    Announced { name: name.into(), version: version.into() }
}

/// Transcripts 08 (4) and 08b (1): control plane, data plane, what is said of it.
#[test]
fn versions_conflict_as_measured() {
    for (control, data, conflict) in [
        ("1.0.0", "1.0.0", None),
        ("1.0.0", "1.0.1", None),
        ("1.1.0", "1.0.0", None),
        ("1.0.0", "1.1.0", Some(Status::PluginVersion)),
        ("1.0.0", "2.0.0", Some(Status::PluginVersion)),
        ("1.0.0", "0.9.0", Some(Status::PluginVersion)),
        // One without three numbers is not compared (facts.md D3).
        ("1.0.0", "2.0", None),
    ] {
        let found = plugins(&[plugin("hello", control)], &["hello"], &[announced("hello", data)]);
        assert_eq!(found.err().map(|conflict| conflict.status), conflict, "{control} {data}");
    }
}

#[test]
fn only_what_is_configured_and_loaded_on_the_control_plane_can_conflict() {
    let control = [plugin("hello", "1.0.0")];
    assert_eq!(plugins(&control, &[], &[]), Ok(()));
    assert_eq!(plugins(&control, &["other"], &[]), Ok(()));
    let found = plugins(&control, &["hello"], &[]).unwrap_err();
    assert_eq!(
        (found.status, found.text.as_str()),
        (Status::PluginSet, "configured hello plugin 1.0.0 is missing from data plane")
    );
    assert_eq!(plugins(&[], &[], &[announced("more", "1.0.0")]), Ok(()));
}

#[test]
fn a_data_plane_may_be_older_by_a_minor_and_not_newer() {
    assert_eq!(releases("3.9.1", "3.4.2"), Ok(()));
    assert_eq!(releases("3.4.3.1", "3.4.2"), Ok(()));
    for (control, data) in [("3.4.2", "3.9.1"), ("3.9.1", "2.8.5"), ("3.9.1", "4.0.0")] {
        assert_eq!(releases(control, data).unwrap_err().status, Status::KongVersion, "{control} {data}");
    }
}

#[test]
fn disabled_rows_are_not_sent_and_the_hash_without_a_row_comes_back() {
    let mut all = Map::new();
    all.insert("services".into(), json!([{ "id": "s", "enabled": false }]));
    all.insert("routes".into(), json!([{ "id": "r", "service": { "id": "s" } }]));
    all.insert("clustering_data_planes".into(), json!([{ "id": "d" }]));
    let before = export(&all);
    let rows = json!([
        { "id": "1", "name": "a", "enabled": false },
        { "id": "2", "name": "b", "service": { "id": "s" } },
        { "id": "3", "name": "c", "route": { "id": "r" } },
    ]);
    all.insert("plugins".into(), rows);
    assert_eq!(export(&all), before);
    all.insert("plugins".into(), json!([{ "id": "4", "name": "d", "enabled": true, "service": null }]));
    let with = export(&all);
    assert_eq!(with.table("plugins").len(), 1);
    assert_ne!(with.hash, before.hash);
    all.insert("plugins".into(), json!([]));
    assert_eq!(export(&all).hash, before.hash);
}

#[test]
fn a_role_wants_its_listeners_its_database_and_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cert");
    std::fs::write(&file, "").unwrap();
    let certs = format!("cluster_cert = {0}\ncluster_cert_key = {0}\n", file.display());
    let of = |text: &str| {
        Effective::merge(&Settings::default(), &Sources { file: &format!("{certs}{text}"), ..Sources::default() })
    };
    for (text, problem) in [
        (
            "role = data_plane",
            "only in-memory storage can be used when role = \"data_plane\"\nHint: set database = off in your kong.conf",
        ),
        (
            "role = data_plane\ndatabase = off\nproxy_listen = off",
            "proxy_listen must be specified when role = \"data_plane\"",
        ),
        ("role = control_plane\ndatabase = off", "in-memory storage can not be used when role = \"control_plane\""),
        ("role = control_plane\nadmin_listen = off", "admin_listen must be specified when role = \"control_plane\""),
        ("role = control_plane\ncluster_cert = /nonesuch", "cluster_cert: no such file at /nonesuch"),
    ] {
        assert_eq!(of(text).unwrap_err(), problem);
    }
    let (control, data) = (of("role = control_plane").unwrap(), of("role = data_plane\ndatabase = off").unwrap());
    assert!(control.listens("proxy_listen").unwrap().is_empty() && data.listens("admin_listen").unwrap().is_empty());
    assert_eq!(control.listens("cluster_listen").unwrap(), ["0.0.0.0:8005"]);
    assert!(data.listens("cluster_listen").unwrap().is_empty() && !data.listens("proxy_listen").unwrap().is_empty());
    let bare = Sources { file: "role = data_plane\ndatabase = off", ..Sources::default() };
    let problem = Effective::merge(&Settings::default(), &bare).unwrap_err();
    assert_eq!(problem, "cluster certificate and key must be provided to use Hybrid mode");
}
