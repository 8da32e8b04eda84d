//! t
use crate::diff::FleetDiff;
use std::io::{self, Write};
/// h
pub struct Head {
    /// x
    pub origin: crate::plan::Origin,
    /// x
    pub at: jiff::Timestamp,
    /// x
    pub took: std::time::Duration,
    /// x
    pub counts: (usize, usize, usize),
}
/// j
pub fn json(_h: &Head, d: &FleetDiff, out: &mut dyn Write) -> io::Result<()> {
    super::json::line(d, out)
}
/// t
pub fn text(_h: &Head, d: &FleetDiff, _v: crate::run::Verdict, out: &mut dyn Write) -> io::Result<()> {
    for (c, cd) in &d.clusters {
        writeln!(out, "{c}")?;
        for (n, nd) in &cd.nodes {
            write!(out, "  {n:8} {:?} ", nd.condition.words())?;
            for (k, i) in &nd.items {
                write!(out, " {k} {}", i.truths.signs())?;
            }
            writeln!(out, " {:?}", nd.remarks)?;
        }
    }
    Ok(())
}
