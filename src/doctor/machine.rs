//! The machine: clock, space, rights of `.kong_env`, limits, logind, leases.

use super::{Check, Patient};
use crate::hint::Hint;
use crate::survey::{MasterFacts, Rights, in_force};

/// How far a clock may be from this machine's, in seconds.
const SKEW: i64 = 10;
/// What Kong itself asks for, in open files of its master.
const OPEN_FILES: u64 = 4096;

impl Patient<'_> {
    pub(super) fn clock(&self) -> Check {
        let (begun, ended) = self.measure.asked;
        let clock = self.facts.host.clock;
        // Between the two it could have been asked at any moment.
        let off = match () {
            () if clock < begun.as_second() => clock - begun.as_second(),
            () if clock > ended.as_second() => clock - ended.as_second(),
            () => 0,
        };
        if off.abs() <= SKEW {
            return Check::well(format!("within {SKEW} s of this machine's"));
        }
        let (by, way) = (off.unsigned_abs(), if off < 0 { "behind" } else { "ahead of" });
        let fix = Hint::type_(format!("timedatectl timesync-status    (on {}, then here)", self.node.name));
        Check::wrong(format!("its clock is {by} s {way} this machine's"), vec![fix])
    }

    pub(super) fn space(&self) -> Check {
        let facts = self.facts;
        let places = [&facts.home, &facts.prefix, &facts.lua_root, &facts.conf];
        let least = places.into_iter().filter_map(|place| Some((place.free_kib?, &place.path))).min();
        let Some((free, path)) = least else { return Check::unknown("how much is free could not be seen") };
        let (free_mib, wanted) = (free >> 10, self.measure.least_kib >> 10);
        if free >= self.measure.least_kib {
            return Check::well(format!("at least {free_mib} MiB are free"));
        }
        let fixes = vec![
            Hint::type_(format!("df -h {path}    (on {})", self.node.name)),
            Hint::do_("make space there; `keep:` in the inventory says how many old releases stay"),
        ];
        Check::wrong(format!("{free_mib} MiB are free at {path}, and {wanted} are wanted (--min-free)"), fixes)
    }

    pub(super) fn env(&self) -> Check {
        let path = format!("{}/.kong_env", self.node.kong.prefix);
        let Some(rights) = self.facts.env_rights else {
            return match &self.facts.env_file {
                None if self.facts.master.is_none() => Check::well("Kong has not made one"),
                None => Check::wrong(format!("{path} cannot be read"), vec![Hint::do_("set `become: sudo`")]),
                Some(_) => Check::unknown(format!("whose {path} is could not be seen")),
            };
        };
        let Rights { mode, owner } = rights;
        let shown = format!("{path} is {mode:04o} and belongs to {}:{}", owner.0, owner.1);
        if mode & 0o004 != 0 {
            let fix = Hint::type_(format!("chmod 0640 {path}    (on {})", self.node.name));
            return Check::wrong(format!("{shown}: everybody can read it, and it may hold passwords"), vec![fix]);
        }
        match self.facts.master.as_ref().map(|master| (readable(master, rights), master.owner)) {
            _ if self.facts.env_file.is_none() => Check::unknown(format!("{shown}; what is in it could not be read")),
            None | Some((Some(true), _)) => Check::well(shown),
            Some((None, (uid, _))) => {
                Check::unknown(format!("{shown}; whether the master (uid {uid}) is in that group is not known"))
            }
            Some((Some(false), (uid, gid))) => {
                let fixes = vec![
                    Hint::type_(format!("chown {uid}:{gid} {path}    (on {})", self.node.name)),
                    Hint::type_("muster errors env-unreadable"),
                ];
                Check::wrong(format!("{shown}: the master (uid {uid}) cannot read it, so that a reload fails"), fixes)
            }
        }
    }

    pub(super) fn open_files(&self) -> Check {
        let Some(master) = &self.facts.master else { return Check::well("Kong does not run") };
        let limit = master.nofile;
        if limit == u64::MAX {
            return Check::well("no limit is seen");
        }
        if limit >= OPEN_FILES {
            return Check::well(format!("{limit} open files; muster's reloads keep that"));
        }
        let fix =
            "set LimitNOFILE=65536 in a drop-in of the unit (or `ulimit -n` where Kong is started), then restart it";
        Check::wrong(
            format!("its master may open {limit} files; Kong asks for {OPEN_FILES} at least"),
            vec![Hint::do_(fix)],
        )
    }

    /// A guard of root's runs as a unit of its own where there is systemd; others would end with the login.
    pub(super) fn logout(&self) -> Check {
        let root = self.facts.host.user.1 == 0;
        match self.facts.host.kills {
            Some(true) if root && self.facts.host.tools.contains("systemd-run") => {
                Check::well("logind ends what a login leaves; the guard runs as a unit of its own")
            }
            Some(true) => {
                let fixes = vec![
                    Hint::do_("set `become: sudo` in the inventory, so that the guard can be a unit of its own"),
                    Hint::do_("or KillUserProcesses=no in /etc/systemd/logind.conf there"),
                ];
                Check::wrong("logind ends the guard together with the login (KillUserProcesses=yes)", fixes)
            }
            Some(false) => Check::well("logind lets live what a login leaves"),
            None => Check::well("nothing there says that logind ends what a login leaves"),
        }
    }

    pub(super) fn lease(&self) -> Check {
        let facts = self.facts;
        if let Some((lease, left)) = in_force(facts) {
            let fixes = vec![
                Hint::do_("wait for that run; if it is gone, the lease ends by itself, or sooner by:"),
                Hint::type_(format!("muster unlock {}", self.cluster.name)),
            ];
            let text = format!("held by {}, run {}, for {left} s unless renewed", lease.holder, lease.run);
            return Check::wrong(text, fixes);
        }
        if let Some(guard) = &facts.guard
            && guard.state != "none"
        {
            let (step, state) = (&guard.step, &guard.state);
            if guard.alive {
                let fix = Hint::do_("wait until it has put the node back");
                return Check::wrong(format!("the guard of step {step} is {state} and at work"), vec![fix]);
            }
            let fix = Hint::do_("plan and apply: the next run settles first what that one left");
            return Check::wrong(format!("the guard of step {step} is {state}, and its process is gone"), vec![fix]);
        }
        match (&facts.lease, &facts.manifest) {
            (Some(Err(why)), _) => Check::unknown(format!("its lease cannot be read: {why}")),
            (_, Some(Err(why))) => Check::unknown(format!("muster's manifest there cannot be read: {why}")),
            _ => Check::well("nobody holds it"),
        }
    }
}

/// Whether the master can read it; `None` where only its further groups would tell.
fn readable(master: &MasterFacts, rights: Rights) -> Option<bool> {
    let (uid, gid) = master.owner;
    match () {
        () if uid == 0 => Some(true),
        () if uid == rights.owner.0 => Some(rights.mode & 0o400 != 0),
        () if rights.mode & 0o040 == 0 => Some(false),
        () if gid == rights.owner.1 => Some(true),
        () if rights.owner.1 == 0 => Some(false),
        () => None,
    }
}
