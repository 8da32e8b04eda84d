//! Who is entered as whom, and the errors and next steps that follow from it.

use std::path::Path;

use super::fault::key_file;
use super::{Fault, NodeAddress, Privilege, RemoteError, Transport};
use crate::hint::{Hint, quoted};

/// How an error begins that the last jump host gave the reason for.
pub(super) const BY_JUMP: &str = "its jump host says: ";

/// One node as seen by whoever types: what its errors name, and what their hints can be made of.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What is said in errors: the node, with its host where that is another word.
    pub(super) title: String,
    /// The command that enters it by hand.
    by_hand: String,
    host: String,
    /// What the host's key is kept under in a file of known keys.
    key_name: String,
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
            key_name: address.port.map_or_else(|| address.host.clone(), |port| format!("[{}]:{port}", address.host)),
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
            key_name: host.to_owned(),
            user: user.unwrap_or("the login user").to_owned(),
            privilege: Privilege::None,
        }
    }

    /// With the configuration that is read in place of the operator's own: commands to type have to name it too.
    pub(super) fn configured(mut self, config: Option<&Path>) -> Self {
        if let Some(file) = config {
            let file = quoted(&file.to_string_lossy());
            self.by_hand = self.by_hand.replacen("ssh ", &format!("ssh -F {file} "), 1);
        }
        self
    }

    /// With what the host's key is kept under, as the whole configuration has it.
    pub(super) fn keyed(mut self, name: String) -> Self {
        self.key_name = name;
        self
    }

    /// An error on the way to this node, with its next steps.
    pub(super) fn error(&self, fault: Fault, doing: &str, found: impl Into<String>) -> RemoteError {
        let found = found.into();
        let hints = self.hints(fault, &found);
        RemoteError { fault, doing: format!("{doing} {}", self.title), found, hints }
    }

    /// The next steps, the one that is most likely to help first.
    fn hints(&self, fault: Fault, found: &str) -> Vec<Hint> {
        let Self { by_hand, host, title, .. } = self;
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
                Hint::type_(self.forget_key(found)),
                Hint::type_(by_hand.clone()),
            ],
            Fault::LoginRefused => vec![Hint::type_(by_hand.replacen("ssh", "ssh -v -o BatchMode=yes", 1) + " true")],
            Fault::Dropped => vec![Hint::do_(format!(
                "nothing was executed; try again with fewer connections at once, or raise MaxStartups on {host}"
            ))],
            Fault::SudoRefused => self.sudo_hints(found),
            Fault::SessionRefused if found.contains("forbids forwarding") => vec![Hint::do_(format!(
                "in sshd_config of {host}, allow the login {} `AllowTcpForwarding local`, or MaxSessions 2",
                self.user
            ))],
            Fault::SessionRefused => {
                vec![Hint::do_(format!(
                    "raise MaxSessions in sshd_config of {host}, or close what else uses the connection"
                ))]
            }
            Fault::ForwardRefused => self.forward_hints(found),
            Fault::Lost => vec![Hint::type_("muster status")],
            Fault::Garbled => vec![
                Hint::type_(format!("{by_hand} true")),
                Hint::do_("it must print nothing: no forced command, no shell that refuses, no endless profile"),
            ],
            Fault::Client => vec![Hint::type_(by_hand.replacen("ssh", "ssh -G", 1))],
            Fault::Other => vec![Hint::type_(by_hand.replacen("ssh", "ssh -v", 1))],
        }
    }

    /// The line for sudoers, and what else sudo's words ask for.
    fn sudo_hints(&self, found: &str) -> Vec<Hint> {
        let Self { user, title, .. } = self;
        let line = Hint::do_(format!("in /etc/sudoers.d/muster on {title}: {user} ALL=(root) NOPASSWD: /bin/sh"));
        let none = Hint::do_("or `become: none` in the inventory, where the login user has the rights itself");
        match () {
            () if found.contains("sudo: not found") || found.contains("sudo: command not found") => {
                vec![Hint::do_(format!("install sudo on {title}")), line, none]
            }
            () if found.contains("a tty") => {
                vec![line, Hint::do_(format!("and below it: Defaults:{user} !requiretty")), none]
            }
            () => vec![line, none],
        }
    }

    /// The command that removes the key which is known; from the file that ssh found it in.
    fn forget_key(&self, found: &str) -> String {
        let file = key_file(found).map(|file| format!("-f {} ", quoted(file))).unwrap_or_default();
        format!("ssh-keygen {file}-R {}", quoted(&self.key_name))
    }

    fn forward_hints(&self, found: &str) -> Vec<Hint> {
        let Self { host, user, title, .. } = self;
        let listens = Hint::do_(format!("check that something listens at that address on {title}"));
        let allow = |host: &str| {
            Hint::do_(format!("allow the login {user} `AllowTcpForwarding local` in sshd_config of {host}"))
        };
        // The server says by its words which of the two it is.
        match found {
            _ if found.contains(BY_JUMP) => vec![allow("that jump host")],
            _ if found.contains("neither curl nor perl") => {
                vec![allow(host), Hint::do_(format!("or install curl or perl on {title}"))]
            }
            _ => vec![listens, allow(host)],
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
    fn a_changed_key_is_removed_by_the_name_and_from_the_file_that_it_is_kept_in() {
        let login = Login::new(&address(), "deploy")
            .configured(Some(Path::new("/x/my config")))
            .keyed("[10.9.9.9]:2200".to_owned());
        let found = "host key changed: Offending ED25519 key in /x/known hosts:1";
        let hints = login.error(Fault::HostKeyChanged, "connecting to", found).hints;
        assert_eq!(hints[1], Hint::type_("ssh-keygen -f '/x/known hosts' -R '[10.9.9.9]:2200'"));
        assert_eq!(hints[2], Hint::type_("ssh -F '/x/my config' -p 2222 deploy@10.0.0.1"));
    }

    #[test]
    fn what_the_server_forbids_is_not_looked_for_elsewhere() {
        let first = |found: &str| {
            let error = Login::new(&address(), "deploy").error(Fault::ForwardRefused, "asking", found);
            error.hints()[0].to_string()
        };
        assert!(first("forwarding is forbidden, and neither curl nor perl is there").starts_with("allow"));
        assert!(first("its jump host says: administratively prohibited: open failed").ends_with("that jump host"));
        assert!(first("nothing answers there (connect failed: Connection refused)").starts_with("check"));
    }

    #[test]
    fn what_else_sudo_asks_for_is_said() {
        let hints = |found: &str| {
            let error = Login::new(&address(), "deploy").error(Fault::SudoRefused, "running a script on", found);
            error.hints().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(hints("sudo: sorry, you must have a tty to run sudo").contains("Defaults:deploy !requiretty"));
        assert!(hints("sh: 1: exec: sudo: not found").starts_with("install sudo on eu-1"));
        assert!(!hints("sudo: a password is required").contains("requiretty"));
    }

    #[test]
    fn the_line_for_sudoers_is_exact() {
        let error = Login::new(&address(), "deploy").error(Fault::SudoRefused, "running a script on", "no");
        let Hint::Do(text) = &error.hints()[0] else { panic!("not advice") };
        assert!(text.ends_with(": deploy ALL=(root) NOPASSWD: /bin/sh"), "{text}");
    }
}
