//! What is typed: the hosts, and where on them something is to be looked for.

use crate::inventory::{Host, SshUser};
use crate::name::{NodeName, NodePath};

/// A host as it was typed: `HOST`, `USER@HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it was typed.
    pub text: String,
    /// What ssh is given.
    pub host: Host,
    /// The login name, if one was typed.
    pub user: Option<SshUser>,
    /// The port, if one was typed.
    pub port: Option<u16>,
}

impl Target {
    /// Reads a host, or says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(SshUser::parse(user).map_err(|error| error.to_string())?), rest),
            None => (None, text),
        };
        let (host, port) = split(rest).ok_or_else(|| format!("{text:?} is not of the form [USER@]HOST[:PORT]"))?;
        let host = Host::parse(host).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), host, user, port })
    }

    /// The name of the node: the host's, as both have the same rules.
    pub fn name(&self) -> Option<NodeName> {
        NodeName::parse(self.host.as_str()).ok()
    }
}

/// Host and port. An address of IPv6 has colons of its own, so that its port needs brackets.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(number) => Some((host, Some(port(number)?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, number)) if !number.contains(':') => Some((host, Some(port(number)?))),
        _ => Some((text, None)),
    }
}

/// A path that was typed for one host, or for all: `HOST=/PATH` or `/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathHint {
    /// For which; none: for all.
    pub host: Option<String>,
    /// The path.
    pub path: NodePath,
}

impl PathHint {
    /// Reads one, or says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, path) = match text.split_once("=/") {
            Some((host, _)) if !text.starts_with('/') => (Some(host.to_owned()), &text[host.len() + 1..]),
            _ => (None, text),
        };
        NodePath::parse(path).map(|path| Self { host, path }).map_err(|error| error.to_string())
    }
}

/// The paths that were typed.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// Where kong.conf is.
    pub conf: Vec<PathHint>,
    /// Kong's prefix.
    pub prefix: Vec<PathHint>,
    /// Where plugin files are below.
    pub lua_root: Vec<PathHint>,
    /// Where muster is to keep its own.
    pub home: Vec<PathHint>,
    /// The kong command.
    pub cli: Vec<PathHint>,
}

impl Hints {
    /// The paths among these that are for a host, those for it alone first.
    pub fn of(hints: &[PathHint], target: &Target) -> Vec<NodePath> {
        let names = |hint: &&PathHint| {
            hint.host.as_ref().is_some_and(|host| *host == target.text || *host == target.host.as_str())
        };
        let own = hints.iter().filter(names);
        let all = hints.iter().filter(|hint| hint.host.is_none());
        own.chain(all).map(|hint| hint.path.clone()).collect()
    }

    /// The host of a hint that is none of these.
    pub fn stray<'a>(&'a self, targets: &[Target]) -> Option<&'a str> {
        let all = [&self.conf, &self.prefix, &self.lua_root, &self.home, &self.cli];
        let mut hosts = all.into_iter().flatten().filter_map(|hint| hint.host.as_deref());
        hosts.find(|host| !targets.iter().any(|target| target.text == *host || target.host.as_str() == *host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_ssh_takes() {
        let parts =
            |text| Target::parse(text).map(|t| (t.user.map(|user| user.to_string()), t.host.to_string(), t.port)).ok();
        let some = |user: Option<&str>, host: &str, port| Some((user.map(str::to_owned), host.to_owned(), port));
        assert_eq!(parts("gw-1"), some(None, "gw-1", None));
        assert_eq!(parts("deploy@gw-1:2222"), some(Some("deploy"), "gw-1", Some(2222)));
        assert_eq!(parts("10.0.0.4:22"), some(None, "10.0.0.4", Some(22)));
        assert_eq!(parts("root@[fe80::1%eth0]:22"), some(Some("root"), "fe80::1%eth0", Some(22)));
        assert_eq!(parts("fe80::1"), some(None, "fe80::1", None));
        for bad in
            ["", "-oProxyCommand=x", "gw 1", "gw:0", "gw:x", "gw:99999", "@gw", "-u@gw", "[gw", "[gw]x", "a/b", "gw\n"]
        {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_path_is_for_one_host_or_for_all() {
        let (one, two) = (Target::parse("op@gw-1").unwrap(), Target::parse("gw-2").unwrap());
        let hints: Vec<PathHint> = ["/a", "gw-1=/b=/c", "op@gw-1=/d"].map(|text| PathHint::parse(text).unwrap()).into();
        let of = |target| Hints::of(&hints, target).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((of(&one), of(&two)), (vec!["/b=/c".to_owned(), "/d".into(), "/a".into()], vec!["/a".to_owned()]));
        let hints = Hints { conf: hints, ..Hints::default() };
        assert_eq!(hints.stray(std::slice::from_ref(&two)), Some("gw-1"));
        assert_eq!(hints.stray(&[one, two]), None);
        assert!(PathHint::parse("etc/kong.conf").is_err() && PathHint::parse("gw-1=etc").is_err());
    }
}
