//! Where one of Kong's interfaces listens, as seen from the node itself.

use std::fmt;

use crate::name::NodePath;

/// An address on a node: `http://127.0.0.1:8001` or `unix:/run/kong/admin.sock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// A TCP listener that speaks plain HTTP.
    Tcp {
        /// A host name or address, an IPv6 address without its brackets.
        host: String,
        /// The port, never 0.
        port: u16,
    },
    /// A unix socket.
    Unix(NodePath),
}

impl Listen {
    /// Reads an address, or says what would be right. TLS is refused: the address is spoken to through the
    /// connection to the node, which encrypts already (seams.md 4).
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return NodePath::parse(path).map(Self::Unix).map_err(|error| error.to_string());
        }
        if text.starts_with("https://") {
            return Err(format!(
                "{text:?} is a TLS listener; give the plain one, as the connection to the node encrypts already"
            ));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(format!("{text:?} begins with neither http:// nor unix:/"));
        };
        Self::tcp(rest.strip_suffix('/').unwrap_or(rest)).ok_or_else(|| {
            format!("{text:?} is not of the form http://ADDRESS:PORT, as in http://127.0.0.1:8001 or http://[::1]:8001")
        })
    }

    fn tcp(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None => host.to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let named = host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(plain);
        (named || text.starts_with('[')).then_some(Self::Tcp { host, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl schemars::JsonSchema for Listen {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An address as seen from the node: http://127.0.0.1:8001 or unix:/run/kong/admin.sock.",
            "type": "string", "pattern": "^(http://.+:[0-9]+/?|unix:/.+)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_written() {
        for text in ["http://127.0.0.1:8001", "http://gw-1.example.org:80", "http://[::1]:8001", "unix:/run/k/a.sock"] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Listen::parse("http://127.0.0.1:8001/").unwrap().to_string(), "http://127.0.0.1:8001");
    }

    #[test]
    fn what_cannot_be_spoken_to_is_refused() {
        for bad in [
            "",
            "8001",
            "127.0.0.1:8001",
            "https://127.0.0.1:8444",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://:8001",
            "http://-x:8001",
            "http://u:p@h:8001",
            "http://h:8001/x",
            "http://[::g]:1",
            "http://h\n:8001",
            "unix:run/x",
            "unix:/a/../b",
        ] {
            assert!(Listen::parse(bad).is_err(), "{bad}");
        }
        assert!(Listen::parse("https://127.0.0.1:8444").unwrap_err().contains("plain"));
    }
}
