//! `muster locks` and `muster unlock`: who holds which nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::nodes::brief;
use super::words::{clean, count, time};
use crate::hint::Hint;
use crate::name::{ClusterName, NodeName};
use crate::run::Cause;
use crate::survey::{Guarded, Holder, Locks};

/// How wide a list of nodes may be before it becomes a number.
const NODES: usize = 48;

/// For people. `command` gives a command its places.
pub fn text(
    locks: &BTreeMap<ClusterName, Locks>,
    at: Timestamp,
    command: &dyn Fn(&str) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "looked {}", time(at))?;
    for (cluster, locks) in locks {
        writeln!(out)?;
        one(cluster, locks, out)?;
    }
    let mut held = locks.iter().filter(|(_, locks)| !locks.holders.is_empty());
    if let Some((cluster, _)) = held.next() {
        writeln!(out)?;
        let hint = Hint::type_(command(&format!("muster unlock {cluster}")));
        writeln!(out, "a run that is gone gives its nodes back when its leases end; sooner by hand:  {hint}")?;
    }
    out.flush()
}

fn one(cluster: &ClusterName, locks: &Locks, out: &mut dyn Write) -> io::Result<()> {
    let nodes = locks.free.len() + locks.holders.iter().map(|holder| holder.nodes.len()).sum::<usize>();
    if locks.holders.is_empty() {
        let seen = if nodes == 0 { "nothing of it was seen".to_owned() } else { count(nodes, "node") };
        let word = if nodes == 0 { "unknown" } else { "free" };
        writeln!(out, "{cluster}   {word}: {seen}")?;
    }
    for holder in &locks.holders {
        writeln!(out, "{}", clean(&format!("{cluster}   {}", held(holder, nodes))))?;
    }
    for (node, guard) in &locks.guards {
        writeln!(out, "{}", clean(&format!("  {node}  {}", guarded(guard))))?;
    }
    for (node, why) in &locks.unknown {
        writeln!(out, "{}", clean(&format!("  ? {node} is unknown: {why}")))?;
    }
    Ok(())
}

fn held(holder: &Holder, of: usize) -> String {
    let names: Vec<NodeName> = holder.nodes.keys().cloned().collect();
    let (least, most) = (holder.nodes.values().min().unwrap_or(&0), holder.nodes.values().max().unwrap_or(&0));
    let left = if least == most { format!("{least} s") } else { format!("{least} to {most} s") };
    let (who, run) = (&holder.who, &holder.run);
    let nodes = format!("{} of {}: {}", names.len(), count(of, "node"), brief(&names, NODES));
    format!("held by {who}, run {run}, {nodes}; ends in {left} unless renewed")
}

fn guarded(guard: &Guarded) -> String {
    let Guarded { state, step, left, alive } = guard;
    match (state.as_str(), alive) {
        ("armed", true) if *left >= 0 => format!("guard of step {step} puts back in {left} s, unless confirmed"),
        ("armed", true) => format!("guard of step {step} is about to put back"),
        (_, true) => format!("guard of step {step} is {state}, and still at work"),
        ("confirmed", false) => format!("guard of step {step} is {state}: the next run finishes its commit"),
        (_, false) => format!("guard of step {step} is {state}, and its process is gone: the next run puts back first"),
    }
}

/// As one line of JSON.
pub fn json(locks: &BTreeMap<ClusterName, Locks>, at: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        muster: &'static str,
        format: u32,
        at: Timestamp,
        clusters: &'a BTreeMap<ClusterName, Locks>,
    }
    super::json::line(&Line { muster: "locks", format: 1, at, clusters: locks }, out)
}

type Unlocked = (BTreeSet<NodeName>, BTreeMap<NodeName, Cause>);

/// Who holds a cluster and, if it was done, what came of taking that away. `command` gives a command its places.
pub fn unlocked(
    cluster: &ClusterName,
    locks: &Locks,
    done: Option<&Unlocked>,
    command: &dyn Fn(&str) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    one(cluster, locks, out)?;
    let Some((free, kept)) = done else {
        if !locks.holders.is_empty() {
            writeln!(
                out,
                "nothing was changed. A run that still works there would be stopped at its next step; if it is gone:"
            )?;
            writeln!(out, "  {}", Hint::type_(command(&format!("muster unlock {cluster} --yes"))))?;
        }
        return out.flush();
    };
    let names: Vec<NodeName> = free.iter().cloned().collect();
    writeln!(out, "unlocked {}", if names.is_empty() { "no node".to_owned() } else { brief(&names, NODES) })?;
    for (node, cause) in kept {
        writeln!(out, "{}", clean(&format!("  {node} stays as it is: {}", cause.text)))?;
        for hint in &cause.hints {
            writeln!(out, "{}", clean(&format!("    {hint}")))?;
        }
    }
    out.flush()
}

/// The same as one line of JSON.
pub fn unlocked_json(
    cluster: &ClusterName,
    locks: &Locks,
    done: Option<&Unlocked>,
    out: &mut dyn Write,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        muster: &'static str,
        format: u32,
        cluster: &'a ClusterName,
        locks: &'a Locks,
        unlocked: Option<&'a BTreeSet<NodeName>>,
        kept: Option<&'a BTreeMap<NodeName, Cause>>,
    }
    let (unlocked, kept) = (done.map(|(free, _)| free), done.map(|(_, kept)| kept));
    super::json::line(&Line { muster: "unlock", format: 1, cluster, locks, unlocked, kept }, out)
}
