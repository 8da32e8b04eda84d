//! The configuration that every ssh of ours is given: ours first (the first value counts), then the operator's.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::remote::NodeAddress;

/// What the operator's configuration cannot change on our connections, with the reasons.
const OURS: &str = "\
# Nothing asks, nothing is accepted unseen, nothing is written to the operator's files.
BatchMode yes
StrictHostKeyChecking yes
UpdateHostKeys no
# Only there does ssh say that it waits for a security key, and why a forward was refused.
LogLevel DEBUG1
# Nodes get nothing of the operator's session.
ForwardAgent no
ForwardX11 no
ForwardX11Trusted no
Tunnel no
ClearAllForwardings yes
SetEnv LC_ALL=C
# What runs is what muster sends.
RemoteCommand none
RequestTTY no
PermitLocalCommand no
EscapeChar none
";

/// The text of the file. `instead` replaces the operator's own two files.
pub(super) fn render(instead: Option<&Path>, alive_interval: Duration) -> String {
    let mut text = OURS.to_owned();
    let seconds = alive_interval.as_secs().max(1);
    let _ = writeln!(text, "ServerAliveInterval {seconds}\nServerAliveCountMax 2");
    match instead {
        Some(path) => {
            let _ = writeln!(text, "Include \"{}\"", path.display());
        }
        None => text.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"),
    }
    // These names add up over all files, so the last word removes them.
    text.push_str("Match all\nSendEnv -*\n");
    text
}

/// What ssh is told to enter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
}

impl Destination {
    pub(super) fn of(address: &NodeAddress) -> Self {
        Self { host: address.host.clone(), user: address.user.clone(), port: address.port }
    }

    /// One hop of `ProxyJump`: `[user@]host[:port]` or the same as a URI.
    fn hop(text: &str) -> Option<Self> {
        let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None if rest.matches(':').count() == 1 => rest.split_once(':').map(|(host, port)| (host, Some(port)))?,
            None => (rest, None),
        };
        let port = port.map(str::parse).transpose().ok()?;
        (!host.is_empty() && !host.starts_with('-')).then(|| Self { host: host.to_owned(), user, port })
    }

    /// The arguments that name it, the host last and not to be taken for an option.
    pub(super) fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if let Some(user) = &self.user {
            args.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            args.extend(["-p".to_owned(), port.to_string()]);
        }
        args.extend(["--".to_owned(), self.host.clone()]);
        args
    }
}

/// What ssh makes of a destination with all its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The login name.
    pub(super) user: String,
    /// The address or name that is connected to, and its port.
    pub(super) hostname: String,
    pub(super) port: u16,
    /// The name that the host's key is kept under in place of its address (`HostKeyAlias`).
    pub(super) alias: Option<String>,
    /// The jump hosts, the first one nearest to us.
    pub(super) jumps: Vec<Destination>,
}

impl Resolved {
    /// What the host's key is kept under in a file of known keys, as `ssh-keygen -R` wants it.
    pub(super) fn key_name(&self) -> String {
        match &self.alias {
            Some(alias) => alias.clone(),
            None if self.port == 22 => self.hostname.clone(),
            None => format!("[{}]:{}", self.hostname, self.port),
        }
    }

    /// From what `ssh -G` prints.
    pub(super) fn parse(text: &str) -> Self {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let jumps = value("proxyjump").filter(|jumps| *jumps != "none").unwrap_or_default();
        Self {
            user: value("user").unwrap_or_default().to_owned(),
            hostname: value("hostname").unwrap_or_default().to_owned(),
            port: value("port").and_then(|port| port.parse().ok()).unwrap_or(22),
            alias: value("hostkeyalias").filter(|alias| *alias != "none").map(str::to_owned),
            jumps: jumps.split(',').filter_map(|hop| Destination::hop(hop.trim())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str, user: Option<&str>, port: Option<u16>) -> Destination {
        Destination { host: host.to_owned(), user: user.map(str::to_owned), port }
    }

    #[test]
    fn ours_come_first_and_the_names_of_variables_are_cleared_last() {
        let text = render(Some(Path::new("/x/my config")), Duration::from_millis(1));
        let include = text.find("Include \"/x/my config\"").unwrap();
        assert!(text.find("ForwardAgent no").unwrap() < include);
        assert!(text.find("ServerAliveInterval 1\n").unwrap() < include);
        assert!(text.find("SendEnv -*").unwrap() > include);
        let text = render(None, Duration::from_secs(5));
        assert!(text.contains("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"));
    }

    #[test]
    fn hops_are_read_as_ssh_reads_them() {
        assert_eq!(Destination::hop("bastion"), Some(to("bastion", None, None)));
        assert_eq!(Destination::hop("me@bastion:2222"), Some(to("bastion", Some("me"), Some(2222))));
        assert_eq!(Destination::hop("ssh://me@bastion:22/"), Some(to("bastion", Some("me"), Some(22))));
        assert_eq!(Destination::hop("[::1]:22"), Some(to("::1", None, Some(22))));
        assert_eq!(Destination::hop("fe80::1"), Some(to("fe80::1", None, None)));
        assert_eq!(Destination::hop("a@b@host"), Some(to("host", Some("a@b"), None)));
        for bad in ["", "-oProxyCommand=x", "host:x", "me@", "[::1"] {
            assert_eq!(Destination::hop(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_answer_of_ssh_is_understood() {
        let text = "user deploy\nhostname 10.0.0.1\nport 22\nproxyjump a,me@b:23\n";
        let jumps = vec![to("a", None, None), to("b", Some("me"), Some(23))];
        let (user, hostname) = ("deploy".to_owned(), "10.0.0.1".to_owned());
        let want = Resolved { user, hostname, port: 22, alias: None, jumps };
        assert_eq!(Resolved::parse(text), want);
        assert!(Resolved::parse("user x\nproxyjump none\n").jumps.is_empty());
        assert!(Resolved::parse("user x\n").jumps.is_empty());
    }

    #[test]
    fn a_key_is_kept_under_address_and_port_or_under_its_alias() {
        let name = |text: &str| Resolved::parse(text).key_name();
        assert_eq!(name("hostname 10.0.0.1\nport 22\n"), "10.0.0.1");
        assert_eq!(name("hostname 10.0.0.1\nport 2222\n"), "[10.0.0.1]:2222");
        assert_eq!(name("hostname 10.0.0.1\nport 2222\nhostkeyalias gw\n"), "gw");
    }

    #[test]
    fn a_host_cannot_become_an_option() {
        assert_eq!(to("-x", Some("u"), Some(1)).args(), ["-l", "u", "-p", "1", "--", "-x"]);
    }
}
