//! Where Kong's faces are on one node: from the inventory, else from the running settings in `.kong_env`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::hint::Hint;
use crate::kong::{EnvFile, Listen, LocalAddress, setting};
use crate::name::NodePath;
use crate::remote::HttpAddress;
use crate::survey::Trouble;

use super::Site;
use super::admin::{Face, trouble};

/// The faces of one node.
#[derive(Clone)]
pub struct Doors {
    /// The Admin API, or why there is none to ask.
    pub admin: Result<Face, Trouble>,
    /// The status API.
    pub status: Option<Face>,
    /// The proxy.
    pub proxy: Option<Face>,
}

impl Doors {
    /// What the inventory says, and for the rest what `.kong_env` says; without that file only the inventory counts.
    pub fn of(site: &Site, env: Option<&[u8]>, deadline: Duration) -> Self {
        let env = env.map(EnvFile::parse);
        let face = |to| Face { to, token: None, deadline };
        let listen = |key| env.as_ref().and_then(|env| best(env, key));
        Self {
            admin: admin(site, env.as_ref()).map(|to| Face { to, token: site.token.clone(), deadline }),
            status: site.status.clone().or_else(|| listen("status_listen")).map(face),
            proxy: site.proxy.clone().or_else(|| listen("proxy_listen")).map(face),
        }
    }
}

fn value(env: &EnvFile, key: &str) -> String {
    // Kong leaves out of the file what is empty, never what has a default (measured.md 1).
    env.get(key).or_else(|| setting::default_value(key).map(str::to_owned)).unwrap_or_default()
}

/// A plain address that can be spoken to.
fn best(env: &EnvFile, key: &str) -> Option<HttpAddress> {
    let found = Listen::best(&value(env, key)).filter(|listen| !listen.tls)?;
    address(&found.address)
}

fn admin(site: &Site, env: Option<&EnvFile>) -> Result<HttpAddress, Trouble> {
    if let Some(address) = &site.admin {
        return Ok(address.clone());
    }
    let named = Hint::do_("name it in the inventory: admin: { listen: http://127.0.0.1:8001 }");
    let none = |code: &str, text: String| Err(trouble(code, text, vec![named.clone()]));
    let Some(env) = env else {
        return none("admin-unknown", format!("{}/.kong_env cannot be read, so its address is not known", site.prefix));
    };
    let listen = value(env, "admin_listen");
    match Listen::best(&listen) {
        None => none("admin-off", format!("admin_listen is `{}`: there is no Admin API here", listen.trim())),
        Some(found) if found.tls => none(
            "admin-tls",
            format!("admin_listen has TLS addresses only ({}), which muster does not speak", found.address),
        ),
        Some(found) => address(&found.address)
            .map_or_else(|| none("admin-unknown", format!("admin_listen names the host {}", found.address)), Ok),
    }
}

fn address(address: &LocalAddress) -> Option<HttpAddress> {
    match address {
        LocalAddress::Tcp { ip, port } => Some(HttpAddress::Tcp(SocketAddr::new(*ip, *port))),
        // The only name that means the same on every node.
        LocalAddress::Name { host, port } if host == "localhost" => {
            Some(HttpAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), *port)))
        }
        LocalAddress::Name { .. } => None,
        LocalAddress::Unix { path } => NodePath::parse(path).ok().map(HttpAddress::Unix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::admin::shown;
    use crate::perform::scripted;

    fn doors(env: &str) -> (Result<String, String>, Option<String>, Option<String>) {
        let doors = Doors::of(&scripted::site("eu-1"), Some(env.as_bytes()), Duration::from_secs(1));
        let shown = |face: Face| shown(&face.to);
        (doors.admin.map(shown).map_err(|trouble| trouble.code), doors.status.map(shown), doors.proxy.map(shown))
    }

    #[test]
    fn the_running_settings_say_where_the_faces_are() {
        let (admin, status, proxy) = doors(
            "admin_listen = 127.0.0.9:8001, 127.0.0.9:8444 ssl\nstatus_listen = 0.0.0.0:8007\nproxy_listen = unix:/run/p\n",
        );
        assert_eq!(admin.as_deref(), Ok("127.0.0.9:8001"));
        assert_eq!(status.as_deref(), Some("127.0.0.1:8007"));
        assert_eq!(proxy.as_deref(), Some("unix:/run/p"));
    }

    #[test]
    fn what_cannot_be_spoken_to_is_told_apart() {
        assert_eq!(doors("admin_listen = off\n").0, Err("admin-off".to_owned()));
        assert_eq!(doors("admin_listen = 127.0.0.1:8444 ssl\n").0, Err("admin-tls".to_owned()));
        assert_eq!(doors("admin_listen = db.example:8001\n").0, Err("admin-unknown".to_owned()));
        assert_eq!(doors("admin_listen = localhost:8001\n").0.as_deref(), Ok("127.0.0.1:8001"));
        assert_eq!(doors("").1, None, "no status API unless it is set");
        let none = Doors::of(&scripted::site("eu-1"), None, Duration::from_secs(1));
        assert!(matches!(none.admin, Err(trouble) if trouble.code == "admin-unknown"));
    }

    #[test]
    fn the_inventory_comes_first_and_only_the_admin_api_gets_the_token() {
        let mut site = scripted::site("eu-1");
        site.admin = Some(HttpAddress::Tcp(([127, 0, 0, 5], 9001).into()));
        site.token = Some(std::sync::Arc::new(crate::hint::Sealed::new("t".to_owned())));
        let doors =
            Doors::of(&site, Some(b"admin_listen = off\nproxy_listen = 0.0.0.0:8000\n"), Duration::from_secs(1));
        let admin = doors.admin.ok().unwrap();
        assert_eq!(shown(&admin.to), "127.0.0.5:9001");
        assert!(admin.token.is_some() && doors.proxy.unwrap().token.is_none());
    }
}
