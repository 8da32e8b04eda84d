//! Where a node listens, and how to reach that from the node itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address of `admin_listen`, `status_listen` or `proxy_listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where a client on the node itself reaches it.
    pub address: LocalAddress,
    /// Whether it speaks TLS (`ssl`, or `quic`).
    pub tls: bool,
    /// Whether it is HTTP/3 only, which a TCP forward cannot carry.
    pub quic: bool,
}

/// An address as a client on the node uses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalAddress {
    /// An address and a port; where Kong listens on every address, loopback.
    Tcp {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// A host name and a port, resolved on the node.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Its absolute path.
        path: String,
    },
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { ip: IpAddr::V6(ip), port } => write!(f, "[{ip}]:{port}"),
            Self::Tcp { ip, port } => write!(f, "{ip}:{port}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

impl Listen {
    /// Reads a whole value: several addresses with flags, separated by commas. `off` and an empty value are no address
    /// (facts.md C5, C6); what cannot be read is left out.
    pub fn parse_all(value: &str) -> Vec<Self> {
        if value.trim() == "off" {
            return Vec::new();
        }
        value.split(',').filter_map(Self::parse).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let address = LocalAddress::parse(words.next()?)?;
        let flags: Vec<&str> = words.collect();
        let quic = flags.contains(&"quic");
        Some(Self { address, tls: quic || flags.contains(&"ssl"), quic })
    }

    /// The address to speak to from the node itself: loopback and plain before other addresses and TLS.
    pub fn best(value: &str) -> Option<Self> {
        let all = Self::parse_all(value).into_iter().filter(|listen| !listen.quic);
        all.min_by_key(|listen| (listen.tls, !listen.address.is_loopback()))
    }
}

impl LocalAddress {
    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let clean = path.starts_with('/') && !path.chars().any(char::is_control);
            return clean.then(|| Self::Unix { path: path.to_owned() });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            // A bare port: nginx listens on every address.
            None => ("0.0.0.0", text.parse().ok()?),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Some(match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Tcp { ip: from_here(ip), port },
            Err(_) if bare == "*" => Self::Tcp { ip: Ipv4Addr::LOCALHOST.into(), port },
            Err(_) if is_host_name(bare) => Self::Name { host: bare.to_owned(), port },
            Err(_) => return None,
        })
    }

    /// Whether it is reachable from the node only.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp { ip, .. } => ip.is_loopback(),
            Self::Name { host, .. } => host == "localhost",
            Self::Unix { .. } => true,
        }
    }
}

/// "Every address" as a client on the node reaches it.
fn from_here(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(value: &str) -> Option<(String, bool)> {
        Listen::best(value).map(|listen| (listen.address.to_string(), listen.tls))
    }

    #[test]
    fn the_plain_loopback_address_is_preferred() {
        let plain = |text: &str| Some((text.to_owned(), false));
        let tls = |text: &str| Some((text.to_owned(), true));
        for (value, expected) in [
            ("127.0.0.1:8001 reuseport backlog=16384, 127.0.0.1:8444 http2 ssl reuseport", plain("127.0.0.1:8001")),
            ("0.0.0.0:8001", plain("127.0.0.1:8001")),
            ("[::]:8001", plain("[::1]:8001")),
            ("10.0.0.5:8001, 127.0.0.1:8001", plain("127.0.0.1:8001")),
            ("0.0.0.0:8444 ssl", tls("127.0.0.1:8444")),
            ("unix:/run/kong/admin.sock", plain("unix:/run/kong/admin.sock")),
            ("localhost:8001", plain("localhost:8001")),
            ("8001", plain("127.0.0.1:8001")),
            ("*:8001", plain("127.0.0.1:8001")),
            ("127.0.0.1:8443 quic, 127.0.0.1:8443 ssl", tls("127.0.0.1:8443")),
            ("off", None),
            ("", None),
            ("127.0.0.1:99999", None),
            ("unix:relative.sock", None),
            ("-oProxyCommand=x:80", None),
        ] {
            assert_eq!(best(value), expected, "{value}");
        }
    }

    #[test]
    fn every_address_of_a_list_is_read() {
        let all = Listen::parse_all("0.0.0.0:8000, 0.0.0.0:8443 ssl, unix:/x");
        assert_eq!(all.iter().map(|listen| listen.tls).collect::<Vec<_>>(), [false, true, false]);
    }
}
