//! Nodes whose `plugins` comes from the environment of their unit: the plan says so, the right place is edited, and the value
//! is live after a reload and after a restart by the unit.
//!
//! No systemd runs here: `tests/data/scripts/systemctl` stands for it, and sessions have a mount namespace of their own, in which
//! `/run/systemd/system` is there and `/etc/systemd/system` is the node's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::gateways::next_second;
use crate::harness::{Gateways, program};

const FILE: &str = "# what Kong gets\nKONG_PLUGINS=\"bundled\"\nKONG_LOG_LEVEL=info\n";

/// One gateway that a unit starts.
pub(super) struct Site {
    pub(super) gateways: Gateways,
    dir: PathBuf,
    _door: TempDir,
}

impl Site {
    /// `None` (and a printed line) where sessions cannot have mounts of their own.
    pub(super) async fn start(unit: &str, drop_in: Option<&str>) -> Option<Self> {
        program("unshare")?;
        if !rustix::process::geteuid().is_root() || !PathBuf::from("/etc/systemd/system").is_dir() {
            return None;
        }
        let door = tempfile::Builder::new().prefix("md-").tempdir_in("/tmp").unwrap();
        let enter = door.path().join("enter");
        let command = format!("ForceCommand {}", enter.display());
        let gateways = Gateways::start(&[("eu", &["eu-1"])], |spec| spec.server(&command)).await?;
        let dir = gateways.node("eu-1").dir.clone();
        let at = dir.display();
        let text = format!(
            "#!/bin/sh\nexport PATH={at}/bin:$PATH\nexec unshare -m /bin/sh -c 'mount -t tmpfs none /run && \
             mkdir -p /run/systemd/system && mount --bind {at}/systemd/system /etc/systemd/system && \
             exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"'\n"
        );
        write(&enter, &text, 0o755);
        let state = dir.join("systemd");
        fs::create_dir_all(state.join("system/kong.service.d")).unwrap();
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scripts/systemctl");
        write(&dir.join("bin/systemctl"), &fs::read_to_string(tool).unwrap(), 0o755);
        let head = "[Unit]\nDescription=Kong\n\n[Service]\nUser=root\nEnvironment=KONG_NGINX_DAEMON=off\n";
        fs::write(state.join("kong.service"), format!("{head}{}", unit.replace("DIR", &at.to_string()))).unwrap();
        if let Some(text) = drop_in {
            fs::write(state.join("system/kong.service.d/10-plugins.conf"), text).unwrap();
        }
        fs::write(dir.join("etc/kong.env"), FILE).unwrap();
        fs::write(state.join("conf"), format!("{}\n", gateways.node("eu-1").conf.display())).unwrap();
        fs::write(state.join("prefix"), format!("{}\n", gateways.node("eu-1").prefix.display())).unwrap();
        let site = Self { gateways, dir, _door: door };
        site.systemctl("daemon-reload");
        site.systemctl("restart");
        Some(site)
    }

    fn systemctl(&self, verb: &str) {
        let out = Command::new(self.dir.join("bin/systemctl")).args([verb, "kong.service"]).output().unwrap();
        assert!(out.status.success(), "{verb}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join(path)).unwrap()
    }
}

/// Written by a shell of its own: were it ever open for writing here, whoever starts a program meanwhile would keep it busy.
fn write(path: &std::path::Path, text: &str, mode: u32) {
    let status =
        Command::new("/bin/sh").args(["-c", r#"printf %s "$1" > "$2""#, "sh", text]).arg(path).status().unwrap();
    assert!(status.success());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn plugins_of_an_environment_file_are_edited_there_and_live_after_reload_and_restart() {
    let Some(site) = Site::start("EnvironmentFile=-DIR/etc/kong.env\n", None).await else { return };
    let (gateways, conf) = (&site.gateways, site.read("etc/kong.conf"));
    gateways.want("1.0.0");
    let file = format!("{}/etc/kong.env", site.dir.display());
    let set = format!("plugins is set by {file}:2");
    gateways.muster(&["--plan"]).await.assert(0, &["+ install  acme-auth 1.0.0", &set, &format!("kept in: {file}")]);
    let explained = gateways.muster(&["explain", "eu-1", "acme-auth"]).await;
    explained.assert(
        0,
        &[
            "acme-auth on eu-1  (eu, Kong 3.9.1; drift)",
            &format!("> {file}:2  = bundled\n      does not name it; counts for the next start of the unit"),
            "beaten by the environment of the service",
            "the next start    is without it",
            &format!("edit {file} (the environment of the service: kong.conf is not edited)"),
            "plugins = bundled  >  bundled,acme-auth",
        ],
    );
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0. 1 of 1 node proven"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(site.read("etc/kong.env"), FILE.replace("\"bundled\"", "bundled,acme-auth"));
    assert_eq!(site.read("etc/kong.conf"), conf, "kong.conf was edited");
    gateways.assert_in_line().await;
    next_second().await;
    site.systemctl("restart");
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
    let said = gateways.muster(&["explain", "eu-1", "acme-auth", "--format", "json"]).await;
    let value = &said.lines()[0];
    assert_eq!((value["muster"].as_str(), value["format"].as_u64()), (Some("explain"), Some(1)));
    assert_eq!(value["chains"][0]["origin"]["origin"], "environment-file");
    assert_eq!((value["start"].as_str(), value["agreement"].as_str()), (Some("loads"), Some("agree")));
    assert_eq!(value["would"].as_array().unwrap().len(), 0, "{said}");
}

#[tokio::test]
async fn plugins_of_a_drop_in_are_beaten_by_one_of_ours_and_nothing_is_restarted() {
    let theirs = "[Service]\nEnvironment=\"KONG_PLUGINS=bundled\"\n";
    let Some(site) = Site::start("", Some(theirs)).await else { return };
    let gateways = &site.gateways;
    let master = gateways.node("eu-1").master();
    gateways.want("1.0.0");
    let ours = "/etc/systemd/system/kong.service.d/zz-muster.conf";
    gateways.muster(&["--plan"]).await.assert(0, &[&format!("kept in: {ours}"), "10-plugins.conf:2"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged, exit 0. 1 of 1 node proven"]);
    gateways.assert_serving(Some("1.0.0")).await;
    assert_eq!(gateways.node("eu-1").master(), master, "it was restarted");
    let text = site.read("systemd/system/kong.service.d/zz-muster.conf");
    assert!(text.ends_with("[Service]\nEnvironment=\"KONG_PLUGINS=bundled,acme-auth\"\n"), "{text}");
    assert_eq!(site.read("systemd/system/kong.service.d/10-plugins.conf"), theirs);
    assert!(site.read("systemd/loaded").contains("KONG_PLUGINS=bundled,acme-auth"), "systemd was not told");
    gateways.assert_in_line().await;
    next_second().await;
    site.systemctl("restart");
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_in_line().await;
    gateways.muster(&["explain", "eu-1", "acme-auth"]).await.assert(
        0,
        &[
            &format!("> {ours}:3"),
            "10-plugins.conf:2",
            "beaten by what the unit reads later",
            "muster would do nothing about it",
        ],
    );
}

#[tokio::test]
async fn a_systemd_that_does_not_take_the_drop_in_over_has_what_it_had() {
    let Some(site) = Site::start("Environment=KONG_PLUGINS=bundled\n", None).await else { return };
    let gateways = &site.gateways;
    gateways.want("1.0.0");
    fs::write(site.dir.join("systemd/broken"), "").unwrap();
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(3, &["systemd did not take /etc/systemd/system/kong.service.d/zz-muster.conf over"]);
    assert!(!site.dir.join("systemd/system/kong.service.d/zz-muster.conf").exists());
    // It runs the new content, and the next start would be without it: that is drift, and the next run finishes it.
    gateways.assert_serving(Some("1.0.0")).await;
    fs::remove_file(site.dir.join("systemd/broken")).unwrap();
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    gateways.assert_in_line().await;
}
