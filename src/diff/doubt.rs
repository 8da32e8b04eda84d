//! Whether it can be told that Kong runs on a node, and where.
//!
//! A Kong that is looked for in the wrong place, or whose master was killed, looks like one that is stopped, while its workers
//! go on serving old content. Such a node is never called in line and never edited as a stopped one.

use crate::hint::Hint;
use crate::inventory::KongPaths;
use crate::kong::printable;
use crate::name::NodePath;
use crate::survey::{Kind, NodeFacts, Trouble};

/// The longest setting that is shown, in characters.
const LONGEST: usize = 200;

/// Why it cannot be told whether this is the Kong that was meant, or whether it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// It is about the prefix, else about the master.
    pub prefix: bool,
    /// What was found, one line.
    pub what: String,
    /// What to do.
    pub hints: Vec<Hint>,
}

impl Doubt {
    /// What casts doubt on a node, if anything does.
    pub fn of(kong: &KongPaths, facts: &NodeFacts) -> Option<Self> {
        other_prefix(kong, facts).or_else(|| no_prefix(kong, facts)).or_else(|| no_master(kong, facts))
    }
}

/// Whether Kong does not run there: no master, and nothing that casts doubt on it. The only place where that is decided.
pub fn stopped(kong: &KongPaths, facts: &NodeFacts) -> bool {
    facts.master.is_none() && Doubt::of(kong, facts).is_none()
}

fn other_prefix(kong: &KongPaths, facts: &NodeFacts) -> Option<Doubt> {
    let conf = facts.conf_file.as_ref()?;
    let said = conf.open().text("prefix").filter(|said| !said.is_empty())?;
    let plain = |path: &str| path.trim_end_matches('/').to_owned();
    let real = facts.prefix.real.as_ref().map(NodePath::as_str);
    if plain(&said) == plain(kong.prefix.as_str()) || real.is_some_and(|real| plain(&said) == plain(real)) {
        return None;
    }
    let said = printable(&plain(&said), LONGEST);
    let what = format!("{} says prefix = {said}, the inventory says {}", kong.conf, kong.prefix);
    let hint = Hint::do_(format!("write  kong: {{ prefix: {said} }}  in the inventory, or correct {}", kong.conf));
    Some(Doubt { prefix: true, what, hints: vec![hint] })
}

fn no_prefix(kong: &KongPaths, facts: &NodeFacts) -> Option<Doubt> {
    let how = match facts.prefix.kind {
        _ if facts.master.is_some() => return None,
        Kind::Absent | Kind::Link => "is not there",
        Kind::Denied => "cannot be looked at",
        Kind::File | Kind::Other => "is not a directory",
        Kind::Directory => return None,
    };
    let what = format!("its prefix {} {how}, so that it cannot be told whether Kong runs", kong.prefix);
    let hint = match facts.prefix.kind {
        Kind::Denied => Hint::do_("use become: sudo, or let the login look into it"),
        _ => Hint::do_("correct  kong: { prefix: … }  in the inventory, or start Kong once"),
    };
    Some(Doubt { prefix: true, what, hints: vec![hint] })
}

fn pids(facts: &NodeFacts) -> String {
    let pids: Vec<String> = facts.orphans.keys().take(4).map(|(pid, _)| pid.to_string()).collect();
    pids.join(", ")
}

fn no_master(kong: &KongPaths, facts: &NodeFacts) -> Option<Doubt> {
    if facts.master.is_some() {
        return None;
    }
    let tied = facts.orphans.values().filter(|tied| **tied).count();
    let what = match &facts.admin {
        Err(_) if tied > 0 => format!(
            "no master below {}, and {tied} of its workers serve: the master was killed, or the prefix is another",
            kong.prefix
        ),
        Err(_) if !facts.orphans.is_empty() => format!(
            "no master below {}, and there are workers of nginx without a master ({}), of which it cannot be seen whose they are",
            kong.prefix,
            pids(facts)
        ),
        Err(trouble) if trouble.code == Trouble::NOT_RUNNING => return None,
        Err(trouble) => {
            format!("no master below {}, and whether its Admin API answers is not clear: {}", kong.prefix, trouble.text)
        }
        Ok(_) => format!(
            "no master below {}, and its Admin API answers: the master was killed, or the prefix is another",
            kong.prefix
        ),
    };
    let hint =
        Hint::do_("correct  kong: { prefix: … }  in the inventory; or end the workers that were left and start Kong");
    Some(Doubt { prefix: false, what, hints: vec![hint] })
}
