//! Nodes over real sshd, stand-in gateways, deadlines.
//!
//! [`Fleet`] is the entrance: it makes nodes that a real `ssh` can enter, each behind a [`wire::Wire`] that can refuse, cut,
//! delay, freeze or reset. A stand-in gateway belongs to a node's directory (`SshNode::dir`), which lives as long as the
//! fleet.
//!
//! What a machine must have: `ssh`, `sshd`, `ssh-keygen`, `ssh-agent`, and loopback addresses of 127.0.0.0/8. Root and an
//! ordinary user with a login shell will do; nothing is configured, and no daemon runs.

pub(crate) mod admin;
pub(crate) mod fleet;
pub(crate) mod gateways;
pub(crate) mod hosts;
pub(crate) mod keys;
pub(crate) mod prober;
pub(crate) mod process;
pub(crate) mod sites;
pub(crate) mod wire;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use admin::{Api, Relay, Reply};
pub(crate) use fleet::{Fleet, Known, NodeSpec};
pub(crate) use gateways::{Gateways, Said, Wanted};
pub(crate) use prober::Prober;

/// The future's value, or a panic that says what did not come in time.
pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(limit, future).await;
    value.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}

/// Waits until `now` gives a value, asking often; a panic that says what did not come in time.
pub(crate) async fn poll_until<T>(limit: Duration, what: &str, mut now: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(value) = now() {
            return value;
        }
        assert!(Instant::now() < until, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The program, if this machine has it. Otherwise the test is skipped with a line that says so, except in CI, where a
/// missing program is a failure.
pub(crate) fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|dir| std::path::Path::new(dir).join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(name);
    }
    found
}

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn skip(name: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(variable("MUSTER_CI").is_none_or(|ci| ci != "1"), "{test}: {name} is missing, and MUSTER_CI is set");
    eprintln!("skipped: {test}: there is no {name} on this machine");
}

/// A variable of the test's own environment.
#[expect(clippy::disallowed_methods, reason = "a test has no Env to be given; this is the one place that reads it")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
