//! The scripts, each composed of the prelude, the parts that it shares with others, and its body: exactly the bytes that
//! are checked are the bytes that run. What each takes and answers stands at the top of its body.

/// A script that runs on nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    /// Looks; changes nothing.
    Survey,
    /// Takes, renews or releases the node's lease.
    Lease,
    /// Unpacks a bundle into its release directory.
    Deliver,
    /// Loads plugins with Kong's own command in a scratch prefix; changes nothing.
    Rehearse,
    /// Stages, reloads, reports for the proof, commits or lets the guard put back.
    Activate,
    /// Deletes what is ours of bundles that nothing uses any more.
    Delete,
    /// Looks closer at one node: contents of files, receipts, the end of the error log; changes nothing.
    Detail,
    /// Makes one HTTP request from the node's own side, where forwarding is forbidden.
    Admin,
    /// Finds the Kongs of a machine and where they keep their plugins; changes nothing.
    Discover,
    /// Sends the content of files of plugins, byte for byte; changes nothing.
    Collect,
    /// Looks closer at a node that is going to be reloaded: what its own CLI would make of its settings; changes nothing.
    Candidate,
}

const SURVEY: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/machine.sh"),
    include_str!("scripts/unit.sh"),
    include_str!("scripts/survey.sh"),
);

const LEASE: &str =
    concat!(include_str!("scripts/prelude.sh"), include_str!("scripts/lock.sh"), include_str!("scripts/lease.sh"));

const DELIVER: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/lock.sh"),
    include_str!("scripts/content.sh"),
    include_str!("scripts/deliver.sh"),
);

const REHEARSE: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/content.sh"),
    include_str!("scripts/rehearse.sh"),
);

const DELETE: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/lock.sh"),
    include_str!("scripts/guard.sh"),
    include_str!("scripts/revive.sh"),
    include_str!("scripts/commit.sh"),
    include_str!("scripts/cli.sh"),
    include_str!("scripts/delete.sh"),
);

const ACTIVATE: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/lock.sh"),
    include_str!("scripts/guard.sh"),
    include_str!("scripts/revive.sh"),
    include_str!("scripts/commit.sh"),
    include_str!("scripts/log.sh"),
    include_str!("scripts/cli.sh"),
    include_str!("scripts/asked.sh"),
    include_str!("scripts/activate.sh"),
);

const DETAIL: &str = concat!(include_str!("scripts/prelude.sh"), include_str!("scripts/detail.sh"));

const ADMIN: &str = concat!(include_str!("scripts/prelude.sh"), include_str!("scripts/admin.sh"));

const CANDIDATE: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/cli.sh"),
    include_str!("scripts/candidate.sh"),
);

const DISCOVER: &str = concat!(
    include_str!("scripts/prelude.sh"),
    include_str!("scripts/master.sh"),
    include_str!("scripts/discover.sh"),
);

const COLLECT: &str = concat!(include_str!("scripts/prelude.sh"), include_str!("scripts/collect.sh"));

impl Script {
    /// Every script.
    pub const ALL: [Self; 11] = [
        Self::Survey,
        Self::Lease,
        Self::Deliver,
        Self::Rehearse,
        Self::Activate,
        Self::Delete,
        Self::Detail,
        Self::Discover,
        Self::Collect,
        Self::Candidate,
        Self::Admin,
    ];

    /// The whole text that is sent to a node.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Survey => SURVEY,
            Self::Lease => LEASE,
            Self::Deliver => DELIVER,
            Self::Rehearse => REHEARSE,
            Self::Activate => ACTIVATE,
            Self::Delete => DELETE,
            Self::Detail => DETAIL,
            Self::Admin => ADMIN,
            Self::Discover => DISCOVER,
            Self::Collect => COLLECT,
            Self::Candidate => CANDIDATE,
        }
    }

    /// Its name, for people and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Lease => "lease",
            Self::Deliver => "deliver",
            Self::Rehearse => "rehearse",
            Self::Activate => "activate",
            Self::Delete => "delete",
            Self::Detail => "detail",
            Self::Admin => "admin",
            Self::Discover => "discover",
            Self::Collect => "collect",
            Self::Candidate => "candidate",
        }
    }
}
