//! From a node of the inventory to where and how it is reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Access;
use crate::hint::Hint;
use crate::inventory::{Become, Listen, Node, Transport};
use crate::perform::Site;
use crate::remote::{self, HttpAddress, NodeAddress, Privilege};

/// Why a node cannot be reached as the inventory has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// A host name where only an address is sure to mean the node itself.
    #[error("node {node}: its {what} listens on {host:?}, which is neither an address nor localhost")]
    HostName {
        /// The node.
        node: String,
        /// Admin API, status API, proxy.
        what: &'static str,
        /// The name.
        host: String,
    },
}

impl SiteError {
    /// What to do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::HostName { .. } => {
                vec![Hint::do_("give the address that it listens on, as seen from the node itself")]
            }
        }
    }
}

/// The site of a node, with what its Admin API is entered with.
pub fn site(node: &Node, access: &Access) -> Result<Site, SiteError> {
    let listen = |what, listen: &Option<Listen>| listen.as_ref().map(|listen| address(node, what, listen)).transpose();
    Ok(Site {
        address: NodeAddress {
            node: node.name.clone(),
            host: node.host.to_string(),
            user: node.user.as_ref().map(ToString::to_string),
            port: node.port,
            privilege: match node.becomes {
                Become::None => Privilege::None,
                Become::Sudo => Privilege::Sudo,
            },
            transport: match node.transport {
                Transport::Ssh => remote::Transport::Ssh,
                Transport::Local => remote::Transport::Local,
            },
        },
        conf: node.kong.conf.clone(),
        prefix: node.kong.prefix.clone(),
        lua_root: node.kong.lua_root.clone(),
        home: node.kong.home.clone(),
        cli: node.kong.cli.clone(),
        admin: match access.url(&node.name) {
            Some(url) => Some(HttpAddress::Web(url.clone())),
            None => listen("Admin API", &node.admin.listen)?,
        },
        status: listen("status API", &node.status)?,
        proxy: listen("proxy", &node.proxy)?,
        token: access.of(&node.name).cloned(),
    })
}

fn address(node: &Node, what: &'static str, listen: &Listen) -> Result<HttpAddress, SiteError> {
    match listen {
        Listen::Unix(path) => Ok(HttpAddress::Unix(path.clone())),
        Listen::Tcp { host, port } => {
            let ip = if host == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { host.parse().ok() };
            let name = || SiteError::HostName { node: node.name.to_string(), what, host: host.clone() };
            Ok(HttpAddress::Tcp(SocketAddr::new(ip.ok_or_else(name)?, *port)))
        }
    }
}
