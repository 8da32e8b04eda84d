//! t
use crate::plan::Plan;
use std::io::{self, Write};
/// j
pub fn json(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        muster: &'static str,
        #[serde(flatten)]
        plan: &'a Plan,
    }
    super::json::line(&Line { muster: "plan", plan }, out)
}
/// t
pub fn text(plan: &Plan, _diff: bool, out: &mut dyn Write) -> io::Result<()> {
    for c in &plan.clusters {
        writeln!(out, "{} {:?}\n{:#?}", c.cluster, c.nodes, c.changes)?;
    }
    for b in &plan.blockers {
        writeln!(out, "{b:?}")?;
    }
    Ok(())
}
