//! The operator's own ssh configuration: what it may say, and what has no effect on our connections.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use muster::remote::{Connect as _, Reply};
use muster::wire::{Args, Status};

use super::contract::{BEGIN, call, collect, done};
use crate::harness::{Fleet, NodeSpec, poll_until, within};

/// What an operator may have for a host, and what must not reach a node.
fn habits(spec: NodeSpec, dir: &std::path::Path) -> NodeSpec {
    let touch = |name: &str| format!("touch {}", dir.join(name).display());
    spec.client("ForwardAgent yes")
        .client("ForwardX11 yes")
        .client(&format!("RemoteCommand {}", touch("remote-command")))
        .client("RequestTTY force")
        .client("PermitLocalCommand yes")
        .client(&format!("LocalCommand {}", touch("local-command")))
        .client("SendEnv MUSTER_SECRET LANG")
        .client("SetEnv MUSTER_SET=1")
        .client(&format!("LocalForward {0}/local.sock {0}/none.sock", dir.display()))
        .client(&format!("RemoteForward {0}/remote.sock {0}/none.sock", dir.display()))
        .client("ControlMaster auto")
        .client(&format!("ControlPath {}/own-%r", dir.display()))
        .client("ControlPersist yes")
        .client("StrictHostKeyChecking no")
        .client("BatchMode no")
        .client("LogLevel QUIET")
        .client("EscapeChar ~")
        .client("ServerAliveInterval 0")
        .client("ServerAliveCountMax 99")
}

/// An ssh-agent that ends with its test, however that ends.
struct Agent(Child);

impl Agent {
    fn start(socket: &std::path::Path) -> Self {
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The value that ssh would use, by the configuration that muster generates.
fn effective(config: &std::path::Path, host: &str) -> impl Fn(&str) -> Option<String> {
    let output = Command::new("ssh").arg("-G").arg("-F").arg(config).arg(host).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    move |key| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned))
}

#[tokio::test]
async fn what_the_operator_has_for_his_own_sessions_does_not_reach_the_node() {
    let extra = tempfile::tempdir().unwrap();
    let spec = NodeSpec::new("n1").server("AcceptEnv *").server("PermitTTY yes");
    let Some(fleet) = Fleet::start(vec![habits(spec, extra.path())]).await else { return };
    let mut settings = fleet.settings();
    let agent = extra.path().join("agent");
    let _agent = Agent::start(&agent);
    poll_until(Duration::from_secs(5), "an agent", || agent.exists().then_some(())).await;
    settings.vars.insert("SSH_AUTH_SOCK".to_owned(), agent.into());
    settings.vars.insert("MUSTER_SECRET".to_owned(), "s3cret".into());
    settings.vars.insert("DISPLAY".to_owned(), ":9".into());
    let connect = muster::remote::SshConnect::new(settings);
    let remote = connect.open(&fleet.address("n1")).await.unwrap();

    let body = "for v in SSH_AUTH_SOCK MUSTER_SECRET MUSTER_SET DISPLAY SSH_TTY; do eval \"w=\\${$v:-}\"; \
                [ -z \"$w\" ] || echo \"set $v\"; done; end 10";
    let running_script = remote.start_text(&format!("{BEGIN}{body}\n"), call(Args::new())).await.unwrap();
    let (replies, ended) = within(Duration::from_secs(20), "an answer", collect(running_script)).await;
    let seen = replies.iter().filter_map(|reply| match reply {
        Reply::Record(record) => record.text(0),
        Reply::Blob { .. } => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(done(&ended), Status::Unchanged);
    let mut made: Vec<_> = fs::read_dir(extra.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    made.retain(|name| name != "agent");
    assert!(made.is_empty(), "{made:?}");

    let config = generated(&fleet);
    let value = effective(&config, "n1");
    for (key, want) in [
        ("forwardagent", "no"),
        ("forwardx11", "no"),
        ("clearallforwardings", "yes"),
        ("tunnel", "false"),
        ("permitlocalcommand", "no"),
        ("requesttty", "false"),
        ("stricthostkeychecking", "true"),
        ("batchmode", "yes"),
        ("serveraliveinterval", "1"),
        ("serveralivecountmax", "2"),
        ("setenv", "LC_ALL=C"),
        ("updatehostkeys", "false"),
    ] {
        assert_eq!(value(key).as_deref(), Some(want), "{key}");
    }
    for key in ["sendenv", "localforward", "remoteforward", "remotecommand"] {
        assert_eq!(value(key), None, "{key}");
    }
    // What says how a host is reached is the operator's.
    assert_eq!(value("hostname"), Some(fleet.node("n1").address().ip().to_string()));
    assert_eq!(value("kexalgorithms").as_deref(), Some("curve25519-sha256"));
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

/// The file that muster gives to ssh.
fn generated(fleet: &Fleet) -> std::path::PathBuf {
    let mut dirs = fs::read_dir(fleet.dir().join("run")).unwrap().flatten();
    dirs.next().unwrap().path().join("config")
}

#[tokio::test]
async fn user_and_port_of_the_inventory_win_over_the_configuration() {
    let spec = NodeSpec::new("n1").client("Port 1").client("User nobody-such");
    let Some(fleet) = Fleet::start(vec![spec]).await else { return };
    let connect = fleet.connect();
    let mut address = fleet.address("n1");
    address.user = Some(crate::harness::fleet::user());
    address.port = Some(fleet.node("n1").address().port());
    let remote = within(Duration::from_secs(20), "a connection", connect.open(&address)).await.unwrap();
    let running = remote.start_text(&format!("{BEGIN}end 10\n"), call(Args::new())).await.unwrap();
    assert_eq!(done(&running.finish().await), Status::Unchanged);
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}

#[tokio::test]
async fn a_security_key_that_waits_is_told_while_it_waits() {
    // No such key is on the machine: this ssh writes what the real one does, and then waits like it.
    let Some(fleet) = Fleet::of(&["n1"]).await else { return };
    let Some(ssh) = crate::harness::program("ssh") else { return };
    let line = "debug1: Server accepts key: /x/id_ed25519_sk ED25519-SK SHA256:abc authenticator";
    let body = format!(
        "#!/bin/sh\nfor a; do [ \"$a\" = -G ] && exec {} \"$@\"; done\n\
         while [ \"$1\" != -E ]; do shift; done\necho '{line}' > \"$2\"\nexec sleep 30\n",
        ssh.display()
    );
    let fake = fleet.dir().join("ssh");
    fs::write(&fake, body).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut settings = fleet.settings();
    settings.vars.insert("PATH".to_owned(), format!("{}:/usr/bin:/bin", fleet.dir().display()).into());
    settings.notice = Some(std::sync::Arc::new(move |notice| drop(tell.send(notice))));
    let connect = muster::remote::SshConnect::new(settings);
    let address = fleet.address("n1");
    let notice = tokio::select! {
        notice = told.recv() => notice.unwrap(),
        _ = connect.connect(&address) => panic!("it did not wait"),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nobody was told"),
    };
    let key = "/x/id_ed25519_sk ED25519-SK SHA256:abc authenticator".to_owned();
    assert_eq!(notice, muster::remote::Notice::Touch { who: "n1".to_owned(), key });
    connect.shutdown().await;
    fleet.assert_nothing_left().await;
}
