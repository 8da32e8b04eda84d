//! Who is entered as whom, and the errors and next steps that follow from it.

use super::{Fault, NodeAddress, Privilege, RemoteError, Transport};
use crate::hint::Hint;

/// One node as seen by whoever types: what its errors name, and what their hints can be made of.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What is said in errors: the node, with its host where that is another word.
    pub(super) title: String,
    /// The command that enters it by hand.
    by_hand: String,
    host: String,
    /// The login name that ssh resolved, or the user of this machine.
    user: String,
    pub(super) privilege: Privilege,
}

impl Login {
    pub(super) fn new(address: &NodeAddress, user: &str) -> Self {
        let node = address.node.as_str();
        let same = node == address.host || address.transport == Transport::Local;
        Self {
            title: if same { node.to_owned() } else { format!("{node} ({})", address.host) },
            by_hand: by_hand(&address.host, address.user.as_deref(), address.port),
            host: address.host.clone(),
            user: user.to_owned(),
            privilege: address.privilege,
        }
    }

    /// A jump host: nothing runs there.
    pub(super) fn jump(host: &str, user: Option<&str>, port: Option<u16>) -> Self {
        Self {
            title: format!("the jump host {host}"),
            by_hand: by_hand(host, user, port),
            host: host.to_owned(),
            user: user.unwrap_or("the login user").to_owned(),
            privilege: Privilege::None,
        }
    }

    /// An error on the way to this node, with its next steps.
    pub(super) fn error(&self, fault: Fault, doing: &str, found: impl Into<String>) -> RemoteError {
        RemoteError { fault, doing: format!("{doing} {}", self.title), found: found.into(), hints: self.hints(fault) }
    }

    fn hints(&self, fault: Fault) -> Vec<Hint> {
        let Self { by_hand, host, user, title, .. } = self;
        match fault {
            Fault::NoSuchHost => vec![
                Hint::type_(format!("getent hosts {host}")),
                Hint::do_(format!("correct the host of {title} in the inventory, or name it in ~/.ssh/config")),
            ],
            Fault::ConnectionRefused => vec![Hint::do_(format!(
                "check that sshd runs on {host} and that the port is right; `out:` in the inventory sets a node aside"
            ))],
            Fault::TimedOut | Fault::Unreachable => vec![
                Hint::type_(by_hand.clone()),
                Hint::do_(format!("check that {host} is up and reachable; `out:` in the inventory sets a node aside")),
            ],
            Fault::HostKeyUnknown => vec![
                Hint::type_(by_hand.clone()),
                Hint::do_("compare the fingerprint that it shows before you accept it; muster never accepts one"),
            ],
            Fault::HostKeyChanged => vec![
                Hint::do_("find out why the key changed before anything else: somebody may be in between"),
                Hint::type_(format!("ssh-keygen -R {host}")),
            ],
            Fault::LoginRefused => vec![Hint::type_(by_hand.replacen("ssh", "ssh -v -o BatchMode=yes", 1) + " true")],
            Fault::Dropped => vec![Hint::do_(format!(
                "nothing was executed; try again with fewer connections at once, or raise MaxStartups on {host}"
            ))],
            Fault::SudoRefused => vec![
                Hint::do_(format!("in /etc/sudoers.d/muster on {title}: {user} ALL=(root) NOPASSWD: /bin/sh")),
                Hint::do_("or `become: none` in the inventory, where the login user has the rights itself"),
            ],
            Fault::SessionRefused => {
                vec![Hint::do_(format!(
                    "raise MaxSessions in sshd_config of {host}, or close what else uses the connection"
                ))]
            }
            Fault::ForwardRefused => vec![
                Hint::do_(format!("check that something listens at that address on {title}")),
                Hint::do_(format!("allow the login {user} `AllowTcpForwarding local` in sshd_config of {host}")),
            ],
            Fault::Lost => vec![Hint::type_("muster status")],
            Fault::Garbled => vec![
                Hint::type_(format!("{by_hand} true")),
                Hint::do_("it must print nothing: no forced command, no shell that refuses, no endless profile"),
            ],
            Fault::Client => vec![Hint::type_(by_hand.replacen("ssh", "ssh -G", 1))],
            Fault::Other => vec![Hint::type_(by_hand.replacen("ssh", "ssh -v", 1))],
        }
    }
}

fn by_hand(host: &str, user: Option<&str>, port: Option<u16>) -> String {
    let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    format!("ssh {port}{user}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NodeName;

    fn address() -> NodeAddress {
        NodeAddress {
            node: NodeName::parse("eu-1").unwrap(),
            host: "10.0.0.1".to_owned(),
            user: Some("deploy".to_owned()),
            port: Some(2222),
            privilege: Privilege::Sudo,
            transport: Transport::Ssh,
        }
    }

    #[test]
    fn every_fault_has_a_next_step() {
        let all = [
            Fault::NoSuchHost,
            Fault::ConnectionRefused,
            Fault::TimedOut,
            Fault::Unreachable,
            Fault::HostKeyUnknown,
            Fault::HostKeyChanged,
            Fault::LoginRefused,
            Fault::Dropped,
            Fault::SudoRefused,
            Fault::SessionRefused,
            Fault::ForwardRefused,
            Fault::Lost,
            Fault::Garbled,
            Fault::Client,
            Fault::Other,
        ];
        for fault in all {
            assert!(!Login::new(&address(), "deploy").error(fault, "entering", "x").hints().is_empty(), "{fault:?}");
        }
    }

    #[test]
    fn errors_name_the_node_and_hints_can_be_typed() {
        let error = Login::new(&address(), "deploy").error(Fault::HostKeyUnknown, "connecting to", "no key");
        assert_eq!(error.to_string(), "connecting to eu-1 (10.0.0.1): no key");
        assert_eq!(error.hints()[0], Hint::type_("ssh -p 2222 deploy@10.0.0.1"));
    }

    #[test]
    fn the_line_for_sudoers_is_exact() {
        let error = Login::new(&address(), "deploy").error(Fault::SudoRefused, "running a script on", "no");
        let Hint::Do(text) = &error.hints()[0] else { panic!("not advice") };
        assert!(text.ends_with(": deploy ALL=(root) NOPASSWD: /bin/sh"), "{text}");
    }
}
