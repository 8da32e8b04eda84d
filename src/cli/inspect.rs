//! `muster inspect NODE`: all that is known of one node, each fact with its source, its files, receipts and error log.

use super::Format;
use super::session::Session;
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::name::NodeName;
use crate::report;

/// Looks at the fleet, asks this node, and shows it. Changes nothing, and takes no lock.
pub(super) async fn run(node: &str, lines: usize, session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, allow, control, .. } = session;
    let known = NodeName::parse(node).ok().filter(|node| fleet.inventory().node(node).is_some());
    let Some(node) = known else {
        let failure = Failure::usage(format!("the inventory has no node {node:?}"));
        return Err(Failure { hints: vec![Hint::type_(super::equal::placed("muster status", &options))], ..failure });
    };
    let Some(picture) = super::plan::look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let Some(inspection) = fleet.inspection(&picture, &node, allow) else {
        return Err(Failure::usage(format!("the inventory has no node {node}")));
    };
    let clock = env.clock.clone();
    let asking = async {
        let closer = fleet.closer(&picture, &node, &*clock).await;
        let diffs = match (&closer, options.diff) {
            (Ok(_), true) => Some(fleet.compare_all(&picture, &node).await),
            _ => None,
        };
        (closer, diffs)
    };
    let (closer, diffs) = tokio::select! {
        asked = asking => asked,
        () = control.interrupted() => return Ok(exit::INTERRUPTED),
    };
    let diffs = diffs.map(|diffs| diffs.unwrap_or_else(|cause| vec![Err(cause)]));
    let shown =
        report::inspect::Shown { inspection: &inspection, closer: closer.as_ref(), diffs: diffs.as_deref(), lines };
    let written = match options.format {
        Format::Text => report::inspect::text(&shown, &mut env.out),
        Format::Json => report::inspect::json(&shown, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing what is known of the node", &error))?;
    Ok(if closer.is_ok() { exit::IN_LINE } else { exit::INCOMPLETE })
}
