//! What part a node plays in its cluster.

/// What a node is, by `role` and `database` (facts.md D).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Configuration in a database that the nodes share.
    Traditional,
    /// Configuration in a file or in memory, of this node alone.
    Dbless,
    /// Keeps the configuration in a database and hands it to data planes; has the Admin API.
    ControlPlane,
    /// Gets its configuration from a control plane; has no Admin API.
    DataPlane,
}

impl Topology {
    /// From the two settings as they count on the node; an absent one has Kong's default. `None` for a value Kong would refuse.
    pub fn of(role: Option<&str>, database: Option<&str>) -> Option<Self> {
        match (role.unwrap_or("traditional"), database.unwrap_or("postgres")) {
            ("control_plane", "postgres" | "cassandra") => Some(Self::ControlPlane),
            // Kong refuses a data plane with a database, so that the setting tells nothing more.
            ("data_plane", _) => Some(Self::DataPlane),
            ("traditional", "off") => Some(Self::Dbless),
            ("traditional", "postgres" | "cassandra") => Some(Self::Traditional),
            _ => None,
        }
    }

    /// Whether its rows live in a database, so that un-applying is one request for the whole cluster.
    pub fn has_database(self) -> bool {
        matches!(self, Self::Traditional | Self::ControlPlane)
    }

    /// Whether it can be expected to offer an Admin API.
    pub fn has_admin(self) -> bool {
        self != Self::DataPlane
    }
}

impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Traditional => "traditional",
            Self::Dbless => "dbless",
            Self::ControlPlane => "control plane",
            Self::DataPlane => "data plane",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_database_decide() {
        for (role, database, expected) in [
            (None, None, Some(Topology::Traditional)),
            (None, Some("off"), Some(Topology::Dbless)),
            (Some("traditional"), Some("postgres"), Some(Topology::Traditional)),
            (Some("control_plane"), None, Some(Topology::ControlPlane)),
            (Some("data_plane"), Some("off"), Some(Topology::DataPlane)),
            (Some("control_plane"), Some("off"), None),
            (Some("proxy"), None, None),
        ] {
            assert_eq!(Topology::of(role, database), expected, "{role:?} {database:?}");
        }
        assert!(!Topology::DataPlane.has_admin());
        assert!(!Topology::Dbless.has_database());
    }
}
